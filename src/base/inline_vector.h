// inline_vector.h: a vector of at most so many elements, which lie in the vector itself. Only
// those that are there have been constructed, so that an empty one costs nothing.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace websock {

template<class T, size_t kMost> class InlineVector
{
  public:
    InlineVector() {} // elements_ is left as it is
    ~InlineVector() { std::destroy_n(elements_, size_); }
    InlineVector(const InlineVector &) = delete;
    InlineVector &operator=(const InlineVector &) = delete;

    void push_back(T &&element) // there must be room for it
    {
        std::construct_at(elements_ + size_, std::move(element));
        ++size_;
    }
    void clear() { std::destroy_n(elements_, std::exchange(size_, 0)); }

    size_t size() const { return size_; }
    size_t room() const { return kMost - size_; }
    T *data() { return elements_; }
    T *begin() { return elements_; }
    T *end() { return elements_ + size_; }
    T &operator[](size_t i) { return elements_[i]; }

  private:
    size_t size_ = 0;
    union {
        T elements_[kMost];
    };
};

} // namespace websock
