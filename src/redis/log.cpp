// log.cpp: see log.h.
#include "redis/log.h"

#include "base/clock.h"

#include <array>
#include <cstdarg>
#include <cstdio>

namespace websock::redis {

namespace {

constexpr size_t kLongestLine = 512;
constexpr int64_t kMinuteMs = 60 * 1000;

} // namespace

void Log::write(int level, const char *format, ...)
{
    std::array<char, kLongestLine> text;
    va_list arguments;
    va_start(arguments, format);
    (void)std::vsnprintf(text.data(), text.size(), format, arguments);
    va_end(arguments);
    (void)libwebsock_log(&context_, level, text.data());
}

bool Log::Minutely::due()
{
    const int64_t now = coarse_ms();
    int64_t next = next_ms_.load(std::memory_order_relaxed);
    return now >= next && next_ms_.compare_exchange_strong(next, now + kMinuteMs);
}

} // namespace websock::redis
