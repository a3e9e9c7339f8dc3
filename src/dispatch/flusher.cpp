// flusher.cpp: see flusher.h.
#include "dispatch/flusher.h"

#include <array>
#include <cerrno>
#include <new>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <utility>

namespace websock {

namespace {

constexpr int kEventsInARow = 64; // from one epoll_wait
constexpr int kDueInARow = 64;    // between two of these

} // namespace

int Flusher::start(int interval_ms)
{
    interval_ = std::chrono::milliseconds(interval_ms);
    {
        Lock lock(mutex_);
        ends_ = false; // an earlier start may have failed
    }
    epoll_ = above_stdio(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_)
        return errno;
    wake_ = above_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_)
        return errno;
    epoll_event event{.events = EPOLLIN, .data = {.fd = wake_.get()}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
        return errno;
    const auto entry = [](void *self) { static_cast<Flusher *>(self)->serve(); };
    const int error = thread_.start({.name = "ws-flusher"}, entry, this);
    started_ = error == 0;
    return error;
}

void Flusher::stop()
{
    if (!std::exchange(started_, false))
        return;
    {
        Lock lock(mutex_);
        ends_ = true;
    }
    wake();
    thread_.join();
}

int Flusher::watch(Blocked &blocked, int fd, bool when_writable)
try {
    Lock lock(mutex_);
    if (blocked.fd_ >= 0)
        return set_in_epoll(blocked, when_writable);
    watched_.emplace(fd, &blocked);
    blocked.fd_ = fd;
    if (const int error = set_in_epoll(blocked, when_writable); error != 0) {
        watched_.erase(fd);
        blocked.fd_ = -1;
        return error;
    }
    blocked.retain();
    const bool was_empty = first_ == nullptr;
    link_last(blocked);
    if (was_empty)
        wake(); // the thread may be waiting without a time-out
    return 0;
} catch (const std::bad_alloc &) {
    return ENOMEM;
}

size_t Flusher::watched()
{
    Lock lock(mutex_);
    return watched_.size();
}

void Flusher::forget(Blocked &blocked)
{
    {
        Lock lock(mutex_);
        if (blocked.fd_ < 0)
            return;
        (void)set_in_epoll(blocked, false);
        watched_.erase(blocked.fd_);
        unlink(blocked);
        blocked.fd_ = -1;
    }
    blocked.release();
}

int Flusher::set_in_epoll(Blocked &blocked, bool is_in)
{
    if (blocked.is_in_epoll_ == is_in)
        return 0;
    epoll_event event{.events = EPOLLOUT, .data = {.fd = blocked.fd_}};
    const int operation = is_in ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
    if (epoll_ctl(epoll_.get(), operation, blocked.fd_, &event) != 0 && is_in)
        return errno;
    blocked.is_in_epoll_ = is_in;
    return 0;
}

// The interval is the same for all, so the last one to come is the last one to be due.
void Flusher::link_last(Blocked &blocked)
{
    blocked.due_at_ = Clock::now() + interval_;
    blocked.earlier_ = last_;
    blocked.later_ = nullptr;
    (last_ ? last_->later_ : first_) = &blocked;
    last_ = &blocked;
}

void Flusher::unlink(Blocked &blocked)
{
    (blocked.earlier_ ? blocked.earlier_->later_ : first_) = blocked.later_;
    (blocked.later_ ? blocked.later_->earlier_ : last_) = blocked.earlier_;
}

void Flusher::serve()
{
    for (;;) {
        std::array<epoll_event, kEventsInARow> events;
        const int count = epoll_wait(epoll_.get(), events.data(), kEventsInARow, wait_ms());
        for (int i = 0; i < count; ++i) {
            Blocked *blocked = nullptr;
            {
                Lock lock(mutex_);
                const auto found = watched_.find(events[static_cast<size_t>(i)].data.fd);
                if (found != watched_.end()) {
                    blocked = found->second;
                    blocked->retain();
                }
            }
            if (blocked)
                flush(*blocked);
        }
        const TimePoint now = Clock::now();
        for (int i = 0; i < kDueInARow && flush_one_due(now); ++i) {
        }
        uint64_t wakes = 0;
        (void)!read(wake_.get(), &wakes, sizeof wakes);
        Lock lock(mutex_);
        if (ends_)
            return;
    }
}

// The caller has taken a reference for this.
void Flusher::flush(Blocked &blocked)
{
    blocked.flush();
    blocked.release();
}

bool Flusher::flush_one_due(TimePoint now)
{
    Blocked *due = nullptr;
    {
        Lock lock(mutex_);
        if (!first_ || first_->due_at_ > now)
            return false;
        due = first_;
        unlink(*due);
        link_last(*due);
        due->retain();
    }
    flush(*due);
    return true;
}

int Flusher::wait_ms()
{
    Lock lock(mutex_);
    return ms_until(first_ ? first_->due_at_ : kNever);
}

void Flusher::wake()
{
    const uint64_t one = 1;
    // It fails only when the counter is full, and then it is readable already.
    (void)!write(wake_.get(), &one, sizeof one);
}

} // namespace websock
