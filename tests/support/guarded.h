// guarded.h: memory that ends, or begins, exactly at a page that nobody may touch, so that a read
// or write one byte too far crashes for certain.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>

class Guarded
{
  public:
    enum Edge { at_end, at_beginning }; // the end that touches the page exactly

    explicit Guarded(size_t size, Edge edge = at_end) : size_(size)
    {
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t inside = (size + page - 1) / page * page;
        mapped_ = inside + 2 * page;
        void *map = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) {
            throw std::bad_alloc();
        }
        base_ = static_cast<uint8_t *>(map);
        if (inside != 0 && mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) != 0) {
            munmap(base_, mapped_);
            throw std::bad_alloc();
        }
        data_ = edge == at_beginning ? base_ + page : base_ + page + inside - size;
    }

    explicit Guarded(std::string_view bytes, Edge edge = at_end) : Guarded(bytes.size(), edge)
    {
        if (!bytes.empty()) {
            std::memcpy(data_, bytes.data(), bytes.size());
        }
    }

    ~Guarded() { munmap(base_, mapped_); }

    Guarded(const Guarded &) = delete;
    Guarded &operator=(const Guarded &) = delete;

    uint8_t *data() { return data_; }
    size_t size() const { return size_; }
    std::span<uint8_t> span() { return {data_, size_}; }
    std::string_view text() const { return {reinterpret_cast<const char *>(data_), size_}; }

  private:
    size_t size_;
    size_t mapped_ = 0;
    uint8_t *base_ = nullptr;
    uint8_t *data_ = nullptr;
};
