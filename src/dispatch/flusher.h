// flusher.h: the one thread that writes what could not leave at once. It watches just those
// whose descriptors take nothing now, so a peer that does not read costs an entry in an epoll
// set, and no thread waits for it. It knows nothing of connections or frames.
//
// Everybody it watches is looked at once in a while besides, since a descriptor does not tell
// how long its peer has taken nothing.
#pragma once

#include "base/fd.h"
#include "base/lock.h"
#include "base/thread.h"

#include <chrono>
#include <cstdint>
#include <unordered_map>

namespace websock {

class Flusher
{
  public:
    // Who has more to write than its descriptor takes. Counts its own references.
    class Blocked
    {
      public:
        // On the flusher's thread: the descriptor can be written to, or it was time to look.
        // Must not wait.
        virtual void flush() noexcept = 0;
        virtual void retain() noexcept = 0;
        virtual void release() noexcept = 0;

      protected:
        ~Blocked() = default;

      private:
        friend class Flusher;
        // Guarded by Flusher::mutex_, and of a meaning only while it is watched.
        Blocked *earlier_ = nullptr; // in the list of those to be looked at
        Blocked *later_ = nullptr;
        TimePoint look_at_{};
        int fd_ = -1;        // -1: it is not watched
        bool armed_ = false; // fd_ is in the epoll set
    };

    Flusher() = default;
    ~Flusher() { stop(); }
    Flusher(const Flusher &) = delete;
    Flusher &operator=(const Flusher &) = delete;

    // Each one that is watched is looked at every look_ms. 0, or an errno value: EMFILE,
    // EAGAIN, ENOMEM.
    int start(int look_ms);
    // Ends the thread. Nobody may be watched any more.
    void stop();

    // Has blocked.flush() called, and holds a reference until forget(). writable: when fd can
    // be written to, and once in a while; otherwise only that. May be called again, to change
    // between the two. Any thread. 0, or an errno value, and then it is not watched.
    int watch(Blocked &blocked, int fd, bool writable) EXCLUDES(mutex_);
    // Lets go of it, if it is watched; flush() may still be running. Any thread.
    void forget(Blocked &blocked) EXCLUDES(mutex_);

  private:
    void serve();
    void flush(Blocked &blocked);
    bool flush_one_due(TimePoint now) EXCLUDES(mutex_);
    int wait_ms() EXCLUDES(mutex_);
    int arm(Blocked &blocked, bool writable) REQUIRES(mutex_);
    void link_last(Blocked &blocked) REQUIRES(mutex_);
    void unlink(Blocked &blocked) REQUIRES(mutex_);
    void wake();

    std::chrono::milliseconds look_every_{}; // fixed by start()
    UniqueFd epoll_;                         // as are these
    UniqueFd wake_; // an eventfd: somebody is the first to be watched, or the end has come

    Mutex mutex_;
    // By descriptor, and not by a pointer in the epoll set: an event may be on its way of one
    // that was forgotten meanwhile. At worst it then wakes the next owner of the number.
    std::unordered_map<int, Blocked *> watched_ GUARDED_BY(mutex_);
    Blocked *first_ GUARDED_BY(mutex_) = nullptr; // the one to be looked at next
    Blocked *last_ GUARDED_BY(mutex_) = nullptr;
    bool ends_ GUARDED_BY(mutex_) = false;
    Thread thread_;
    bool started_ = false; // start() and stop() alone
};

} // namespace websock
