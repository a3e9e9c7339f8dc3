// inbox.h: the events of one connection that wait for a worker: the queue that max_queued_bytes
// bounds. The connection's thread puts them in, and waits while it is full; workers take them out
// in order. The connection runs them.
//
// Exclusive events run alone: all of them or, with concurrent_events, all but messages.
//
// Beside the queue, other threads put in notices and calls, which take no memory here. A call is
// taken when all has been taken that was there before it.
//
// What counts is the memory that events keep: a place in the queue each, and each chunk whole,
// once, from the first event put in that holds it to the last one finished.
#pragma once

#include "base/buffer.h"
#include "base/inline_vector.h"
#include "base/lock.h"
#include "protocol/frame.h"
#include "timers/call.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

namespace websock {

// What a callback is to be called for. Made by the connection's thread, run by a worker.
struct Event {
    // closed is the last one: onclose. notice, call: see Inbox::put_notice() and put_call().
    enum Kind : uint8_t { request, open, message, part, too_large, control, notice, call, closed };
    Kind kind = closed;
    bool fin = true;
    Opcode opcode = Opcode::text;
    uint32_t part_len = 0; // part: of its payload; payload_len is its offset in the message then
    uint64_t payload_len = 0;
    uint8_t *payload = nullptr; // in chunk; NUL-terminated, but for a part; nullptr: there is none
    Ref<Chunk> chunk{};

    // call: it is to be run or dropped. It has payload's place, for events are to be small.
    Call &called() const { return *reinterpret_cast<Call *>(payload); }
};

class Inbox
{
  public:
    // concurrent_events: how many messages may run at a time. 0: everything runs in order. 1: as
    // many as overlap what they wait for, without one client having all the workers.
    Inbox(size_t max_bytes, size_t concurrent_events)
        : concurrent_(concurrent_events != 0),
          most_running_(concurrent_events == 1 ? 16 : std::max<size_t>(concurrent_events, 1)),
          max_bytes_(max_bytes)
    {
    }

    // From now on: max_bytes.
    void limit(size_t max_bytes) EXCLUDES(mutex_);
    // Once nothing runs: how many messages may run at a time; 1: everything runs in order.
    void limit_running(size_t most) EXCLUDES(mutex_);
    // Does not change while anything runs.
    bool is_concurrent() const { return concurrent_.load(std::memory_order_relaxed); }

    // Nothing is queued and nothing runs but notices and calls, if at all; what has run happened
    // before this. Stays so until the connection's thread puts something in.
    bool idle() const { return idle_.load(std::memory_order_acquire); }

    // Moves the events in, and leaves none. Waits first while max_bytes are queued, at most until
    // deadline. cut: cut_off() was called, and nothing was put in. schedule: the caller must post
    // the connection to the dispatcher. Throws std::bad_alloc, with nothing put in.
    enum class Put { done, schedule, cut };
    Put put(std::vector<Event> &events, TimePoint deadline) EXCLUDES(mutex_);

    // Instead of putting in the open event, when onopen has nothing to do: as if it had run. False:
    // something else is to run, or runs, and the event is to be put in. Not after cut_off().
    bool skip_open() EXCLUDES(mutex_);

    // Waits until put() would not wait, at most until deadline. False: it would. By the thread that
    // puts events in.
    bool has_room(TimePoint deadline) EXCLUDES(mutex_);

    // Puts in the last event. It has its place from the start, so this cannot fail. True: the
    // connection must be posted.
    bool put_closed() EXCLUDES(mutex_);
    // Takes it at once, instead of having it posted. False: something is to run before it.
    bool take_closed() EXCLUDES(mutex_);

    // Puts in a notice, unless one is in already, or the last event has been taken. Once onopen has
    // been taken, it is taken before what is queued. Any thread; cannot fail. True: the connection
    // must be posted.
    bool put_notice() EXCLUDES(mutex_);

    // Puts in a call, from when the open event has been put in until the last one is, and if fewer
    // than most wait. Any thread. schedule: the connection must be posted. Otherwise the call stays
    // the caller's: early, late, full.
    enum class PutCall { done, schedule, early, late, full };
    PutCall put_call(Call &call, size_t most) EXCLUDES(mutex_);
    // False: it has been taken, or was not put in.
    bool withdraw_call(Call &call) EXCLUDES(mutex_);

    // Called instead of take(), by a run() that is to take nothing now: nothing is posted until
    // go_on(), which is true if the connection must be posted.
    void pause() EXCLUDES(mutex_);
    bool go_on() EXCLUDES(mutex_);

    // Waits until all events and calls that were put in before this have run, at most until
    // deadline. By the thread that puts events in.
    void wait_until_run(TimePoint deadline) EXCLUDES(mutex_);

    // From now on put() does not wait, and drops what there is no room for: our Close has been
    // sent, and only the peer's Close is still of interest.
    void drop_overflow() EXCLUDES(mutex_);

    // Ends the waiting in put() and wait_until_run(), now and later.
    void cut_off() EXCLUDES(mutex_);
    // The same, and nothing that waits is run any more but the last event. Calls are taken all the
    // same, to be dropped.
    void discard() EXCLUDES(mutex_);
    bool is_discarded() const { return discarded_.load(std::memory_order_relaxed); }

    // Takes events that may run now, if there are any. With concurrent_events it takes one, and
    // posts says how often the connection must be posted at once, for the next ones.
    struct Taken {
        size_t count = 0;
        size_t posts = 0;
        size_t bytes = 0;   // that finished() uncounts
        Ref<Chunk> chunk{}; // concurrent: which it uncounts too, unless another event holds it
    };
    static constexpr size_t kMostTaken = 32; // events
    using Batch = InlineVector<Event, kMostTaken>;
    Taken take(Batch &into) EXCLUDES(mutex_); // into what is empty

    // How many events have not begun to run; of a batch that is running, all but one.
    size_t waiting() EXCLUDES(mutex_);

    // Says that these have run. True: the connection must be posted.
    bool finished(const Taken &events) EXCLUDES(mutex_);

  private:
    // The queue may have twice the places that it needs, and a few more while it grows. So the
    // memory it takes is at most twice what is counted.
    static constexpr size_t kEventCost = 2 * sizeof(Event);

    bool exclusive(const Event &event) const
    {
        return !is_concurrent() || event.kind != Event::message;
    }
    void take_new_limit() REQUIRES(mutex_);
    void make_room(size_t count) REQUIRES(mutex_);
    size_t runnable(size_t most) const REQUIRES(mutex_);
    bool claim_post() REQUIRES(mutex_);
    bool wait_for_room(TimePoint deadline) REQUIRES(mutex_);
    bool is_full() const REQUIRES(mutex_)
    {
        return bytes_ >= max_bytes_ && !drops_overflow_ && !cut_off_;
    }
    bool empty() const REQUIRES(mutex_) { return head_ == queue_.size(); }
    bool notice_is_next() const REQUIRES(mutex_) { return notice_ && opened_; }
    bool call_is_next() const REQUIRES(mutex_) { return calls_.behind() <= taken_; }
    // How many events of queue_ come before that.
    size_t until_call() const REQUIRES(mutex_)
    {
        return static_cast<size_t>(std::min<uint64_t>(calls_.behind() - taken_, SIZE_MAX));
    }
    Taken take_queued(Batch &into) REQUIRES(mutex_);
    void hold_for(Event &last) REQUIRES(mutex_);
    Taken take_alone(Batch &into) REQUIRES(mutex_);

    // In this order, so that what every event needs lies together.
    Mutex mutex_;
    std::vector<Event> queue_ GUARDED_BY(mutex_); // from head_ on; before it, taken
    size_t head_ GUARDED_BY(mutex_) = 0;
    size_t bytes_ GUARDED_BY(mutex_) = 0;   // of the events queued or running
    size_t running_ GUARDED_BY(mutex_) = 0; // events taken and not finished
    bool exclusive_running_ GUARDED_BY(mutex_) = false;
    size_t posted_ GUARDED_BY(mutex_) = 0;  // posts that no take() or pause() has answered
    uint64_t put_ GUARDED_BY(mutex_) = 0;   // events, ever, into queue_
    uint64_t taken_ GUARDED_BY(mutex_) = 0; // of these
    CallQueue calls_ GUARDED_BY(mutex_);
    bool takes_calls_ GUARDED_BY(mutex_) = false;
    bool closed_ GUARDED_BY(mutex_) = false; // the last event is put in, and not taken yet
    bool notice_ GUARDED_BY(mutex_) = false; // is put in, and not taken yet
    bool opened_ GUARDED_BY(mutex_) = false; // the open event has been taken
    bool over_ GUARDED_BY(mutex_) = false;   // the last event has been taken
    bool paused_ GUARDED_BY(mutex_) = false;
    bool drops_overflow_ GUARDED_BY(mutex_) = false;
    bool cut_off_ GUARDED_BY(mutex_) = false;
    bool waited_for_ GUARDED_BY(mutex_) = false; // the connection's thread waits for room_
    std::atomic<bool> idle_{true};               // this and the next are written under mutex_
    std::atomic<bool> discarded_{false};
    std::atomic<bool> concurrent_; // written under mutex_
    size_t most_running_ GUARDED_BY(mutex_);
    size_t new_most_running_ GUARDED_BY(mutex_) = 0; // once nothing runs; 0: no other
    size_t max_bytes_ GUARDED_BY(mutex_);
    bool call_runs_ GUARDED_BY(mutex_) = false;
    uint64_t calls_over_ GUARDED_BY(mutex_) = 0; // have run, or never will
    Cond room_; // there is room again, all have run, or nobody is to wait any more
};

} // namespace websock
