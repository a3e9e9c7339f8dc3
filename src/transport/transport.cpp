// transport.cpp: what both kinds of Transport share. See transport.h.
#include "transport/transport.h"

#include <cerrno>

namespace websock {

std::span<iovec> drop_written(std::span<iovec> parts, size_t written)
{
    while (!parts.empty() && written >= parts.front().iov_len) {
        written -= parts.front().iov_len;
        parts = parts.subspan(1);
    }
    if (!parts.empty()) {
        parts.front().iov_base = static_cast<uint8_t *>(parts.front().iov_base) + written;
        parts.front().iov_len -= written;
    }
    return parts;
}

size_t size_of(std::span<const iovec> parts)
{
    size_t bytes = 0;
    for (const iovec &part : parts)
        bytes += part.iov_len;
    return bytes;
}

int Transport::write_all(std::span<iovec> parts, TimePoint deadline)
{
    parts = drop_written(parts, 0);
    while (!parts.empty() || unsent()) {
        const ssize_t n = write_some(parts.data(), static_cast<int>(parts.size()));
        if (n >= 0) {
            parts = drop_written(parts, static_cast<size_t>(n));
            continue;
        }
        if (errno != EAGAIN)
            return errno;
        if (const int error = wait_writable(deadline); error != 0)
            return error;
    }
    return 0;
}

} // namespace websock
