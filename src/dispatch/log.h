// log.h: lines for the user's onlog. While the server runs they are handed to a
// worker, since onlog is a callback like the others; before and after, they are
// written by the thread that has something to say.
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

    // A line, formatted as by printf(3) and escaped; what is longer than kLongestLine is cut.
    // Never fails: a line there is no memory for is counted, and the number logged later.
    void write(int level, const char *format, ...) __attribute__((format(printf, 3, 4)))
    EXCLUDES(mutex_);

    // The same, for lines that clients can bring about as fast as they connect. Beyond
    // LineLimiter::kPerSecond of a kind they are counted, and the number logged when their
    // second is over: "412 more in the last second: ", and what they were.
    void write_limited(const char *what, int level, const char *format, ...)
        __attribute__((format(printf, 4, 5))) EXCLUDES(mutex_);

    // The same, by the calling thread, even while the server runs: when no worker can be
    // relied on.
    void write_here(int level, const char *format, const char *argument) EXCLUDES(mutex_);

    // From attach() to detach(), lines go through the dispatcher. detach() is for when
    // no worker runs any more: it writes what has been left over.
    void attach(Dispatcher &dispatcher) EXCLUDES(mutex_);
    void detach() EXCLUDES(mutex_);

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void expired() noexcept override;  // a second of lines that were counted is over
    void retain() noexcept override {} // outlives the dispatcher
    void release() noexcept override {}
    const char *name() const noexcept override { return "onlog"; }

  private:
    using Onlog = void (*)(libwebsock_context *, int, const char *);
    struct Line {
        int level;
        std::string text;
    };

    static constexpr size_t kMostWaiting = 4096;     // lines
    static constexpr size_t kLinesInARow = 16;       // and then it is others' turn
    static constexpr size_t kLongestLine = 1023;     // bytes; the last frames in it are the most
    using Text = std::array<char, kLongestLine + 1>; // with a NUL

    static Text format(const char *format, va_list arguments);
    bool wants(int level) EXCLUDES(mutex_);
    bool admits(const char *what, int level) EXCLUDES(mutex_);
    void put(int level, const char *text) EXCLUDES(mutex_);
    void put_sums(TimePoint now) REQUIRES(mutex_);
    void queue(int level, const char *text) REQUIRES(mutex_);
    void deliver(Onlog receiver, int level, const char *text);
    bool deliver_some() EXCLUDES(mutex_);

    libwebsock_context &context_;
    Onlog onlog() const REQUIRES(mutex_) { return attached_ ? onlog_ : context_.onlog; }

    Mutex mutex_;
    bool attached_ GUARDED_BY(mutex_) = false; // ever; from then on the user's pointer is fixed
    Onlog onlog_ GUARDED_BY(mutex_) = nullptr;
    Dispatcher *dispatcher_ GUARDED_BY(mutex_) = nullptr;
    std::deque<Line> waiting_ GUARDED_BY(mutex_);
    size_t lost_ GUARDED_BY(mutex_) = 0;     // no memory, or too many at once
    bool posted_ GUARDED_BY(mutex_) = false; // or about to be
    LineLimiter limiter_ GUARDED_BY(mutex_);
    bool expires_ GUARDED_BY(mutex_) = false; // expired() will be called
};

} // namespace websock
