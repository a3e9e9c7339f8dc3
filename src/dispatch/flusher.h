// flusher.h: the one thread that writes what could not leave at once. It watches only writers
// whose descriptors take nothing now: a peer that does not read costs an entry in an epoll set,
// and no thread waits for it. It knows nothing of connections or frames.
//
// It also calls each of them at regular intervals, since a descriptor does not tell how long its
// peer has taken nothing.
#pragma once

#include "base/fd.h"
#include "base/lock.h"
#include "base/thread.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace websock {

class Flusher
{
  public:
    // A writer with more to write than its descriptor takes. It counts its own references.
    class Blocked
    {
      public:
        // On the flusher's thread: the descriptor can be written to, or the interval is over.
        // Must not wait.
        virtual void flush() noexcept = 0;
        virtual void retain() noexcept = 0;
        virtual void release() noexcept = 0;

      protected:
        ~Blocked() = default;

      private:
        friend class Flusher;
        // All guarded by Flusher::mutex_.
        int fd_ = -1;                // -1: it is not watched, and the others mean nothing
        bool is_in_epoll_ = false;   // fd_ is in the epoll set
        TimePoint due_at_{};         // when its interval is over
        Blocked *earlier_ = nullptr; // in the list of all that are watched, the next due first
        Blocked *later_ = nullptr;
    };

    Flusher() = default;
    ~Flusher() { stop(); }
    Flusher(const Flusher &) = delete;
    Flusher &operator=(const Flusher &) = delete;

    // interval_ms: how often each one that is watched is called at the least. 0, or an errno
    // value: EMFILE, EAGAIN, ENOMEM.
    int start(int interval_ms);
    // Ends the thread. Nothing may be watched any more.
    void stop();

    // Calls blocked.flush() at each interval and, if when_writable, when fd can be written to.
    // Holds a reference until forget(). May be called again with another when_writable. Any
    // thread. 0, or an errno value, and then it is not watched.
    int watch(Blocked &blocked, int fd, bool when_writable) EXCLUDES(mutex_);
    // Stops watching it, if it is watched; flush() may still be running. Any thread.
    void forget(Blocked &blocked) EXCLUDES(mutex_);
    size_t watched() EXCLUDES(mutex_); // how many

  private:
    void serve();
    void flush(Blocked &blocked);
    bool flush_one_due(TimePoint now) EXCLUDES(mutex_);
    int wait_ms() EXCLUDES(mutex_);
    int set_in_epoll(Blocked &blocked, bool is_in) REQUIRES(mutex_);
    void link_last(Blocked &blocked) REQUIRES(mutex_);
    void unlink(Blocked &blocked) REQUIRES(mutex_);
    void wake();

    std::chrono::milliseconds interval_{}; // this and the next two are fixed by start()
    UniqueFd epoll_;
    UniqueFd wake_; // an eventfd: the list is no longer empty, or the thread is to end

    Mutex mutex_;
    // The epoll set holds descriptors, not pointers: an event may still come for a writer that
    // was forgotten. At worst it then calls the next owner of the number.
    std::unordered_map<int, Blocked *> watched_ GUARDED_BY(mutex_);
    Blocked *first_ GUARDED_BY(mutex_) = nullptr; // of the list; the next to be due
    Blocked *last_ GUARDED_BY(mutex_) = nullptr;
    bool ends_ GUARDED_BY(mutex_) = false;
    Thread thread_; // start()'s and stop()'s alone, as the next
    bool started_ = false;
};

} // namespace websock
