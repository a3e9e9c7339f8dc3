// log.h: lines for the user's onlog. While the server runs a worker delivers them, since onlog
// is a callback like the others. Before and after that, the thread that has something to say
// calls onlog itself.
#pragma once

#include "base/line_limiter.h"
#include "dispatch/dispatcher.h"

#include <array>
#include <cstdarg>
#include <deque>
#include <string>
#include <vector>
#include <websock/websock.h>

namespace websock {

// The onlog of a new context: INFO and above to the standard error. Any thread.
void default_onlog(libwebsock_context *ctx, int level, const char *text);

class Log final : public Runnable
{
  public:
    explicit Log(libwebsock_context &context) : context_(context) {}

    // Logs a line, formatted as by printf(3), escaped, and cut at kLongestLine. Never fails: if
    // there is no memory for a line, it is counted, and how many were lost is logged later.
    void write(int level, const char *format, ...) __attribute__((format(printf, 3, 4)))
    EXCLUDES(mutex_);

    // The same, for lines that clients can cause as fast as they connect. Beyond
    // LineLimiter::kPerSecond of a kind, lines are only counted. When their second is over, one
    // line says how many there were, "412 similar lines left out in the last second: ", and what.
    void write_limited(const char *what, int level, const char *format, ...)
        __attribute__((format(printf, 4, 5))) EXCLUDES(mutex_);

    // As write(), but the calling thread calls onlog itself, even while the server runs. For when
    // no worker can be relied on.
    void write_here(int level, const char *format, const char *argument) EXCLUDES(mutex_);

    // From attach() to detach(), lines go through the dispatcher. No worker may run any more when
    // detach() is called: it delivers what is left.
    void attach(Dispatcher &dispatcher) EXCLUDES(mutex_);
    void detach() EXCLUDES(mutex_);

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void expired() noexcept override;  // a second in which lines were left out is over
    void retain() noexcept override {} // it outlives the dispatcher
    void release() noexcept override {}
    const char *name() const noexcept override { return "onlog"; }

  private:
    using Onlog = void (*)(libwebsock_context *, int, const char *);
    struct Line {
        int level;
        std::string text;
    };

    static constexpr size_t kMostWaiting = 4096;     // lines
    static constexpr size_t kLinesInARow = 16;       // then it is the others' turn
    static constexpr size_t kLongestLine = 1023;     // bytes; most of them for the last frames
    using Text = std::array<char, kLongestLine + 1>; // ends with a NUL

    static Text format(const char *format, va_list arguments);
    bool wants(int level) EXCLUDES(mutex_);
    bool admits(const char *what, int level) EXCLUDES(mutex_);
    void emit(int level, const char *text) EXCLUDES(mutex_);
    void queue_summaries(TimePoint now) REQUIRES(mutex_);
    void queue(int level, const char *text) REQUIRES(mutex_);
    void deliver(Onlog receiver, int level, const char *text);
    bool deliver_some() EXCLUDES(mutex_);

    libwebsock_context &context_;
    Onlog onlog() const REQUIRES(mutex_) { return attached_ ? onlog_ : context_.onlog; }

    Mutex mutex_;
    bool attached_ GUARDED_BY(mutex_) = false; // it once was, which fixes the user's pointer
    Onlog onlog_ GUARDED_BY(mutex_) = nullptr; // that pointer
    Dispatcher *dispatcher_ GUARDED_BY(mutex_) = nullptr;
    std::deque<Line> waiting_ GUARDED_BY(mutex_);
    size_t lost_ GUARDED_BY(mutex_) = 0;     // lines: no memory, or too many at once
    bool posted_ GUARDED_BY(mutex_) = false; // a run() will come, or is delivering
    LineLimiter limiter_ GUARDED_BY(mutex_);
    bool expires_ GUARDED_BY(mutex_) = false; // expired() will come
};

} // namespace websock
