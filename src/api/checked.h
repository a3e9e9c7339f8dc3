// checked.h: what every function of the API does with its arguments and its result. No
// exception gets past checked(), and so none reaches C.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>

namespace websock {

// Runs f, which returns an errno value, and returns what C callers get.
template<class F> int checked(F f) noexcept
{
    int error = 0;
    try {
        error = f();
    } catch (const std::exception &) {
        error = ENOMEM; // std::bad_alloc, or std::length_error: more than there can be
    }
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

inline std::span<const uint8_t> bytes_of(const void *data, size_t len)
{
    return {static_cast<const uint8_t *>(data), len};
}

// Whether it can be memory of the caller's. No object is larger than PTRDIFF_MAX, and with a
// header before it that is still a size.
inline bool is_memory(const void *data, size_t len)
{
    return (data || len == 0) && len <= PTRDIFF_MAX;
}

} // namespace websock
