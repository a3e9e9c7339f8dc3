// log.cpp: see log.h.
#include "dispatch/log.h"

#include "base/escape.h"
#include "base/standard_streams.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <utility>

namespace websock {

// A peer has a say in what is logged, but not in what a line is.
Log::Text Log::format(const char *format, va_list arguments)
{
    char raw[kLongestLine + 2]; // so that what is too long can be told, and cut between characters
    const int wanted = std::vsnprintf(raw, sizeof raw, format, arguments);
    const size_t there = std::min(static_cast<size_t>(std::max(wanted, 0)), sizeof raw - 1);
    Text text;
    const std::string_view whole = shortened({raw, there}, kLongestLine);
    text[escape(whole, std::span(text).first<kLongestLine>())] = '\0';
    return text;
}

void Log::write(int level, const char *format, ...)
{
    if (!wants(level))
        return;
    va_list arguments;
    va_start(arguments, format);
    const Text text = Log::format(format, arguments);
    va_end(arguments);
    put(level, text.data());
}

void Log::write_limited(const char *what, int level, const char *format, ...)
{
    if (!wants(level) || !admits(what, level))
        return;
    va_list arguments;
    va_start(arguments, format);
    const Text text = Log::format(format, arguments);
    va_end(arguments);
    put(level, text.data());
}

bool Log::admits(const char *what, int level)
{
    Lock lock(mutex_);
    if (!dispatcher_) // nobody who would log the number later
        return true;
    const TimePoint now = Clock::now();
    put_sums(now); // before what follows them
    if (limiter_.admit(what, level, now))
        return true;
    if (!std::exchange(expires_, true))
        dispatcher_->expire_at(*this, limiter_.due());
    return false;
}

void Log::expired() noexcept
{
    Lock lock(mutex_);
    expires_ = false;
    put_sums(Clock::now());
    if (dispatcher_ && limiter_.due() != kNever && !std::exchange(expires_, true))
        dispatcher_->expire_at(*this, limiter_.due());
}

void Log::put_sums(TimePoint now)
{
    while (const std::optional<LineLimiter::Sum> sum = limiter_.take(now)) {
        char text[128];
        (void)std::snprintf(text, sizeof text, "%zu more in the last second: %s", sum->count,
                            sum->what);
        queue(sum->level, text);
    }
}

void Log::put(int level, const char *text)
{
    Lock lock(mutex_);
    if (dispatcher_)
        return queue(level, text);
    const Onlog receiver = onlog();
    lock.unlock();
    deliver(receiver, level, text);
}

void Log::queue(int level, const char *text)
{
    try {
        if (waiting_.size() < kMostWaiting)
            waiting_.push_back({level, text});
        else
            ++lost_;
    } catch (const std::bad_alloc &) {
        ++lost_;
    }
    if (dispatcher_ && !std::exchange(posted_, true))
        dispatcher_->post(*this);
}

void default_onlog(libwebsock_context *, int level, const char *text)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if (level <= LIBWEBSOCK_LOG_INFO)
        print_line(STDERR_FILENO, "libwebsock: %s: %s", names[level], text);
}

// Whether the user's function, which is fixed while the server runs, takes any of it.
bool Log::wants(int level)
{
    Lock lock(mutex_);
    if (!attached_)
        return true;
    return onlog_ && (onlog_ != default_onlog || level <= LIBWEBSOCK_LOG_INFO);
}

void Log::write_here(int level, const char *format, const char *argument)
{
    char raw[kLongestLine + 1];
    (void)std::snprintf(raw, sizeof raw, format, argument);
    Text text;
    text[escape(raw, std::span(text).first<kLongestLine>())] = '\0';
    Onlog receiver = nullptr;
    {
        Lock lock(mutex_);
        receiver = onlog();
    }
    deliver(receiver, level, text.data());
}

void Log::attach(Dispatcher &dispatcher)
{
    Lock lock(mutex_);
    onlog_ = context_.onlog;
    attached_ = true;
    dispatcher_ = &dispatcher;
}

void Log::detach()
{
    {
        Lock lock(mutex_);
        dispatcher_ = nullptr;
        put_sums(kNever);
    }
    while (deliver_some()) {
    }
}

void Log::run(Progress &progress, std::vector<uint8_t> &) noexcept
{
    progress.begin_event();
    if (!deliver_some())
        return;
    Lock lock(mutex_);
    if (dispatcher_) // behind the others, who may have waited for a slow onlog
        dispatcher_->post(*this);
}

// Delivers the next lines, and what was lost behind them. Whether there are more; if not, it
// is to be posted for the next.
bool Log::deliver_some()
{
    Lock lock(mutex_);
    const Onlog receiver = onlog();
    for (size_t i = 0; i < kLinesInARow && !waiting_.empty(); ++i) {
        const Line line = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        deliver(receiver, line.level, line.text.c_str());
        lock.lock();
    }
    if (const size_t lost = std::exchange(lost_, 0); lost != 0) {
        char text[64];
        (void)std::snprintf(text, sizeof text, "%zu log lines were lost", lost);
        lock.unlock();
        deliver(receiver, LIBWEBSOCK_LOG_WARNING, text);
        lock.lock();
    }
    posted_ = !waiting_.empty() || lost_ != 0;
    return posted_;
}

void Log::deliver(Onlog receiver, int level, const char *text)
{
    if (receiver)
        receiver(&context_, level, text);
}

} // namespace websock
