// log.cpp: see log.h.
#include "dispatch/log.h"

#include "base/escape.h"
#include "base/standard_streams.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <utility>

namespace websock {

// What a peer has chosen may be in the line, and must not look like a line of its own.
Log::Text Log::format(const char *format, va_list arguments)
{
    char raw[kLongestLine + 2]; // one byte more, to see what is too long and cut it well
    const int wanted = std::vsnprintf(raw, sizeof raw, format, arguments);
    const size_t written = std::min(static_cast<size_t>(std::max(wanted, 0)), sizeof raw - 1);
    Text text;
    const std::string_view whole = shortened({raw, written}, kLongestLine);
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
    emit(level, text.data());
}

void Log::write_limited(const char *what, int level, const char *format, ...)
{
    if (!wants(level) || !admits(what, level))
        return;
    va_list arguments;
    va_start(arguments, format);
    const Text text = Log::format(format, arguments);
    va_end(arguments);
    emit(level, text.data());
}

bool Log::admits(const char *what, int level)
{
    Lock lock(mutex_);
    if (!dispatcher_) // nobody would log the number later
        return true;
    const TimePoint now = Clock::now();
    queue_summaries(now); // before the lines that follow them
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
    queue_summaries(Clock::now());
    if (dispatcher_ && limiter_.due() != kNever && !std::exchange(expires_, true))
        dispatcher_->expire_at(*this, limiter_.due());
}

void Log::queue_summaries(TimePoint now)
{
    while (const std::optional<LineLimiter::Summary> summary = limiter_.take(now)) {
        char text[128];
        (void)std::snprintf(text, sizeof text, "%zu similar lines left out in the last second: %s",
                            summary->count, summary->what);
        queue(summary->level, text);
    }
}

void Log::emit(int level, const char *text)
{
    Lock lock(mutex_);
    if (dispatcher_)
        return queue(level, text);
    const Onlog function = onlog();
    lock.unlock();
    deliver(function, level, text);
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

// Whether the user's function takes lines of this level. While the server runs it is fixed.
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
    Onlog function = nullptr;
    {
        Lock lock(mutex_);
        function = onlog();
    }
    deliver(function, level, text.data());
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
        queue_summaries(kNever);
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
    if (dispatcher_) // at the end of the queue: others may have waited for a slow onlog
        dispatcher_->post(*this);
}

// Delivers the next lines, and then says how many were lost. Returns whether more are waiting;
// if not, the next line will post it.
bool Log::deliver_some()
{
    Lock lock(mutex_);
    const Onlog function = onlog();
    for (size_t i = 0; i < kLinesInARow && !waiting_.empty(); ++i) {
        const Line line = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        deliver(function, line.level, line.text.c_str());
        lock.lock();
    }
    if (const size_t lost = std::exchange(lost_, 0); lost != 0) {
        char text[64];
        (void)std::snprintf(text, sizeof text, "%zu log %s lost", lost,
                            lost == 1 ? "line was" : "lines were");
        lock.unlock();
        deliver(function, LIBWEBSOCK_LOG_WARNING, text);
        lock.lock();
    }
    posted_ = !waiting_.empty() || lost_ != 0;
    return posted_;
}

void Log::deliver(Onlog function, int level, const char *text)
{
    if (function)
        function(&context_, level, text);
}

} // namespace websock
