// inbox.h: the events of one connection that wait for a worker. The connection's
// thread puts them in and waits while there are too many; workers take them out in
// order. Running them is the connection's.
//
// An exclusive event runs alone: all of them, or, with concurrent_events, all but
// messages.
//
// What is counted is the memory that events keep: a place in the queue for each, and each
// chunk whole, once, from the first event put in that holds it to the last one finished.
#pragma once

#include "base/lock.h"
#include "connection/event.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <vector>

namespace websock {

class Inbox
{
  public:
    // concurrent: so many messages may run at a time; 0: everything runs in order.
    Inbox(size_t max_bytes, size_t concurrent)
        : concurrent_(concurrent != 0), most_running_(std::max<size_t>(concurrent, 1)),
          max_bytes_(max_bytes)
    {
    }

    // Whether nothing is queued and nothing runs; what has run happened before. For the
    // connection's thread: until it puts something in, that stays so.
    bool idle() const { return idle_.load(std::memory_order_acquire); }

    // Moves the events in, which leaves none; waits first while max_bytes are queued, but
    // not beyond deadline. cut: cut_off() was called, and nothing was put in. schedule: the
    // caller must post the connection to the dispatcher. Throws std::bad_alloc, with nothing
    // put in.
    enum class Put { done, schedule, cut };
    Put put(std::vector<Event> &events, TimePoint deadline) EXCLUDES(mutex_);

    // Puts in the last event. Its place is kept from the start: it cannot fail. True: the
    // connection must be posted.
    bool put_closed() EXCLUDES(mutex_);

    // Instead of take(), by a run() that is to take nothing now: nothing is posted until
    // go_on(), which is true if the connection must be posted.
    void pause() EXCLUDES(mutex_);
    bool go_on() EXCLUDES(mutex_);

    // Waits until all events that were put in have run, at most until deadline.
    void wait_until_run(TimePoint deadline) EXCLUDES(mutex_);

    // Ends the waiting in put(), now and later: we have closed, and what still comes is read for
    // the sake of the peer's Close. What a later put() finds no room for is dropped.
    void take_no_more() EXCLUDES(mutex_);

    // Ends the waiting in these, now and later.
    void cut_off() EXCLUDES(mutex_);
    // The same, and what waits is not run any more, but for the last event.
    void discard() EXCLUDES(mutex_);
    bool is_discarded() const { return discarded_.load(std::memory_order_relaxed); }

    // Takes events that may run now; none if there are none. With concurrent only one, and
    // posts says how often the connection must be posted again at once, for the next ones.
    struct Taken {
        size_t count = 0;
        size_t posts = 0;
        size_t bytes = 0;   // to be given back
        Ref<Chunk> chunk{}; // concurrent: and this one, unless another event holds it
    };
    Taken take(std::span<Event> into) EXCLUDES(mutex_);

    // Events that have not begun to run; of a batch that is running, all but one count.
    size_t waiting() EXCLUDES(mutex_);

    // Says that these have run. True: the connection must be posted.
    bool finished(const Taken &events) EXCLUDES(mutex_);

  private:
    bool exclusive(const Event &event) const
    {
        return !concurrent_ || event.kind != Event::message;
    }
    size_t hold(const std::vector<Event> &events) REQUIRES(mutex_);
    void make_room(size_t count) REQUIRES(mutex_);
    size_t may_run(size_t most) const REQUIRES(mutex_);
    bool schedule() REQUIRES(mutex_);
    bool wait_for_room(TimePoint deadline) REQUIRES(mutex_);
    bool empty() const REQUIRES(mutex_) { return head_ == queue_.size(); }

    // In this order, so that what every event needs lies together.
    Mutex mutex_;
    std::vector<Event> queue_ GUARDED_BY(mutex_); // from head_ on; before it, taken
    size_t head_ GUARDED_BY(mutex_) = 0;
    size_t bytes_ GUARDED_BY(mutex_) = 0;   // kept by the events queued or running
    size_t running_ GUARDED_BY(mutex_) = 0; // events taken and not finished
    bool exclusive_running_ GUARDED_BY(mutex_) = false;
    size_t posted_ GUARDED_BY(mutex_) = 0;   // so often, and not taken from since
    bool closed_ GUARDED_BY(mutex_) = false; // put in, and not taken yet
    bool paused_ GUARDED_BY(mutex_) = false;
    bool takes_no_more_ GUARDED_BY(mutex_) = false;
    bool cut_off_ GUARDED_BY(mutex_) = false;
    bool waited_for_ GUARDED_BY(mutex_) = false; // the connection's thread waits for room_
    std::atomic<bool> idle_{true};               // these two are written under mutex_
    std::atomic<bool> discarded_{false};
    const bool concurrent_;
    const size_t most_running_;
    const size_t max_bytes_;
    Cond room_; // there is some again, or all have run
};

} // namespace websock
