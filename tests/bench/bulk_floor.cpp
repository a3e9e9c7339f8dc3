// bulk_floor.cpp: the baseline for large messages: a blocking thread for each connection on bare
// TCP, with one buffer. bulk_floor upload|download FILE. It reads a frame's header, and then reads
// and unmasks the payload in place and answers with its length; or it takes the payload for a
// number, and writes as many bytes of the file. There is no handshake, and no other frame.
// Prints "port N" and serves until it is killed.
#include "bulk.h"
#include "raw_echo.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace {

constexpr size_t kMaskBytes = 4;

int file;
bool downloads;

bool read_all(int fd, void *into, size_t n)
{
    return recv(fd, into, n, MSG_WAITALL) == static_cast<ssize_t>(n);
}

bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t written = send(fd, bytes, n, MSG_NOSIGNAL);
        if (written <= 0)
            return false;
        bytes += written;
        n -= static_cast<size_t>(written);
    }
    return true;
}

// RFC 6455 5.2; a header of a client, or what a server writes of one.
struct Header {
    uint64_t len = 0;
    unsigned char mask[kMaskBytes] = {};
};

bool read_header(int fd, Header &header)
{
    unsigned char bytes[8];
    if (!read_all(fd, bytes, 2))
        return false;
    header.len = bytes[1] & 0x7f;
    if (header.len >= 126) {
        const size_t width = header.len == 126 ? 2 : 8;
        if (!read_all(fd, bytes, width))
            return false;
        header.len = 0;
        for (size_t i = 0; i < width; ++i)
            header.len = header.len << 8 | bytes[i];
    }
    return read_all(fd, header.mask, kMaskBytes);
}

// Eight bytes at a time, as a plain loop over words.
void unmask(char *bytes, size_t n, const Header &header, uint64_t offset)
{
    unsigned char rotated[8];
    for (size_t i = 0; i < sizeof rotated; ++i)
        rotated[i] = header.mask[(offset + i) % kMaskBytes];
    uint64_t key = 0;
    std::memcpy(&key, rotated, sizeof key);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word = 0;
        std::memcpy(&word, bytes + i, sizeof word);
        word ^= key;
        std::memcpy(bytes + i, &word, sizeof word);
    }
    for (; i < n; ++i)
        bytes[i] = static_cast<char>(bytes[i] ^ rotated[i % 8]);
}

bool take(int fd, char *buffer, const Header &header)
{
    for (uint64_t offset = 0; offset < header.len;) {
        const auto most = std::min<uint64_t>(bench::kReadBytes, header.len - offset);
        const ssize_t n = recv(fd, buffer, most, 0);
        if (n <= 0)
            return false;
        const auto len = static_cast<size_t>(n);
        unmask(buffer, len, header, offset);
        if (!bulk_is_right(buffer, len, offset))
            return false;
        offset += len;
    }
    const std::string text = std::to_string(header.len);
    const std::string answer = "\x81" + std::string(1, static_cast<char>(text.size())) + text;
    return write_all(fd, answer.data(), answer.size());
}

bool give(int fd, char *buffer, const Header &header)
{
    if (header.len >= 32 || !read_all(fd, buffer, header.len))
        return false;
    unmask(buffer, header.len, header, 0);
    buffer[header.len] = '\0';
    const uint64_t len = std::strtoull(buffer, nullptr, 10);
    char start[10] = {'\x82', 127};
    for (size_t i = 0; i < 8; ++i)
        start[2 + i] = static_cast<char>(len >> (56 - 8 * i));
    if (!write_all(fd, start, sizeof start))
        return false;
    for (uint64_t offset = 0; offset < len;) {
        const auto most = std::min<uint64_t>(bench::kReadBytes, len - offset);
        const ssize_t n = pread(file, buffer, most, static_cast<off_t>(offset));
        if (n <= 0 || !write_all(fd, buffer, static_cast<size_t>(n)))
            return false;
        offset += static_cast<uint64_t>(n);
    }
    return true;
}

void serve(int fd)
{
    char buffer[bench::kReadBytes];
    Header header;
    while (read_header(fd, header)) {
        if (!(downloads ? give : take)(fd, buffer, header))
            break;
    }
    close(fd);
}

} // namespace

int main(int argc, char **argv)
{
    const std::string_view what = argc == 3 ? argv[1] : "";
    downloads = what == "download";
    file = argc == 3 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || (!downloads && what != "upload")) {
        std::fprintf(stderr, "usage: %s upload|download FILE\n", argv[0]);
        return 2;
    }
    const int listener = bench::listen_and_say_port();
    for (;;) {
        const int fd = bench::accept_one(listener, 0);
        if (fd >= 0)
            std::thread(serve, fd).detach();
    }
}
