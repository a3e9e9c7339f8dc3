// log.cpp: see log.h.
#include "log.h"

#include "default_callbacks.h"

#include <cstdarg>
#include <cstdio>
#include <new>
#include <utility>

namespace websock {

namespace {

// A peer has a say in what is logged, but not in what a line is.
void blank_control_characters(char *text)
{
    for (; *text; ++text) {
        if (static_cast<unsigned char>(*text) < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

} // namespace

void Log::write(int level, const char *format, ...)
{
    if (!wants(level))
        return;
    char text[kLongestLine + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    blank_control_characters(text);

    Lock lock(mutex_);
    if (!dispatcher_) {
        const Onlog receiver = onlog();
        lock.unlock();
        deliver(receiver, level, text);
        return;
    }
    try {
        if (waiting_.size() < kMostWaiting)
            waiting_.push_back({level, text});
        else
            ++lost_;
    } catch (const std::bad_alloc &) {
        ++lost_;
    }
    if (!std::exchange(posted_, true))
        dispatcher_->post(*this);
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
    char text[kLongestLine + 1];
    (void)std::snprintf(text, sizeof text, format, argument);
    Onlog receiver = nullptr;
    {
        Lock lock(mutex_);
        receiver = onlog();
    }
    deliver(receiver, level, text);
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
    }
    deliver_waiting();
}

void Log::run(Progress &, std::vector<uint8_t> &) noexcept { deliver_waiting(); }

void Log::deliver_waiting()
{
    std::vector<Line> lines;
    size_t lost = 0;
    Lock lock(mutex_);
    while (!waiting_.empty() || lost_ != 0) {
        lines.clear();
        lines.swap(waiting_);
        lost = std::exchange(lost_, 0);
        const Onlog receiver = onlog();
        lock.unlock();
        for (const Line &line : lines)
            deliver(receiver, line.level, line.text.c_str());
        if (lost != 0) {
            char text[64];
            (void)std::snprintf(text, sizeof text, "%zu log lines were lost", lost);
            deliver(receiver, LIBWEBSOCK_LOG_WARNING, text);
        }
        lock.lock();
    }
    posted_ = false;
}

void Log::deliver(Onlog receiver, int level, const char *text)
{
    if (receiver)
        receiver(&context_, level, text);
}

} // namespace websock
