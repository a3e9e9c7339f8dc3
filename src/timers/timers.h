// timers.h: has functions of the program called at their time, once or again and again, for a
// client or for the program itself. One thread waits for the next one that is due, and hands it
// over to the client's events, or to a worker. Here a timer belongs to an Owner; it knows nothing
// of connections.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"
#include "base/thread.h"
#include "timers/call.h"
#include "timers/program_calls.h"
#include "timers/timer_heap.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace websock {

class Timers
{
  private:
    struct Timer;

  public:
    // A client that has timers.
    class Owner
    {
      public:
        // yes: it runs or drops the call some time. not_yet: ask again. never: it is about to
        // forget its timers. On the timers' thread.
        enum class Took { yes, not_yet, never };
        virtual Took take(Call &call) noexcept = 0;
        // The call does not wait there any more. False: it did not. Called under Timers::mutex_.
        virtual bool withdraw(Call &call) noexcept = 0;
        virtual void retain() noexcept = 0;
        virtual void release() noexcept = 0;

      protected:
        ~Owner() = default;

      private:
        friend class Timers;
        // Guarded by Timers::mutex_:
        LinkedList<Timer> timers_;
        bool is_over_ = false; // they were forgotten, and it gets no others
    };

    Timers(Dispatcher &dispatcher, Log &log) : program_calls_(dispatcher, log) {}
    ~Timers();
    Timers(const Timers &) = delete;
    Timers &operator=(const Timers &) = delete;

    // Until then, nothing is called, and what is due waits. 0, or an errno value: EAGAIN.
    int start() EXCLUDES(mutex_);
    // Ends the thread, and the program's timers. Nothing is called or added any more.
    void stop() EXCLUDES(mutex_);

    // owner: nullptr for the program. every_ms: 0 for once. 0, or an errno value, and then the
    // function is given back with its argument: ENOTCONN the owner is over; ESHUTDOWN; ENOMEM.
    struct Spec {
        Owner *owner;
        int first_ms;
        int every_ms;
    };
    int add(const Spec &spec, ProgramFunction &function, uint64_t &number) EXCLUDES(mutex_);
    int cancel(uint64_t number) EXCLUDES(mutex_); // ENOENT, as libwebsock_cancel

    // Ends the owner's timers, now and for good. By the thread that runs its calls, or once none
    // can be run.
    void forget(Owner &owner) EXCLUDES(mutex_);
    // The same on any thread, if there are none: so no argument of the program's is freed. False:
    // there are some, and nothing has happened.
    bool forget_if_none(Owner &owner) EXCLUDES(mutex_);

  private:
    // A timer is in the heap while it waits, handed over while its call waits or runs, and neither
    // if its owner takes no more calls. It is deleted when it is over and not handed over.
    struct Timer final : public Call, public TimerHeap::Timed {
        Timer(Timers &of, const Spec &spec, ProgramFunction &program_function);
        void run(libwebsock_client_state *client) override { timers.run(*this, client); }
        void drop() noexcept override { timers.end_turn(*this); }

        Timers &timers;
        Owner *const owner;
        const std::chrono::milliseconds every;
        ProgramFunction function; // the turn's that runs
        // Guarded by mutex_:
        TimePoint due;
        uint32_t slot = 0;
        bool is_in_heap = false;
        bool is_handed_over = false;
        bool is_over = false; // it has no number any more
        Timer *previous = nullptr;
        Timer *next = nullptr;
    };
    // Timers that are over and not handed over: deleted with this, which is after the lock, since
    // the program is called to free their arguments.
    struct Remains {
        ~Remains();
        LinkedList<Timer> timers;
    };
    struct Slot {
        Timer *timer = nullptr;
        uint32_t generation = 1; // of its numbers
    };

    void serve() EXCLUDES(mutex_);
    void hand_over_first() REQUIRES(mutex_);
    bool withdraw(Timer &timer) REQUIRES(mutex_);
    void push(Timer &timer, TimePoint due) REQUIRES(mutex_);
    void take_from_heap(Timer &timer) REQUIRES(mutex_);
    void run(Timer &timer, libwebsock_client_state *client) EXCLUDES(mutex_);
    bool begin_turn(Timer &timer) EXCLUDES(mutex_);
    void end_turn(Timer &timer) noexcept EXCLUDES(mutex_);
    void wait_for(Timer &timer) REQUIRES(mutex_);
    uint64_t give_number(Timer &timer) REQUIRES(mutex_);
    Timer *find(uint64_t number) REQUIRES(mutex_); // nullptr: there is none
    void end(Timer &timer) REQUIRES(mutex_);
    void end(Timer &timer, Remains &remains) REQUIRES(mutex_);
    LinkedList<Timer> &list_of(const Timer &timer) REQUIRES(mutex_)
    {
        return timer.owner ? timer.owner->timers_ : program_timers_;
    }

    ProgramCalls program_calls_;
    Mutex mutex_;
    TimerHeap heap_ GUARDED_BY(mutex_);
    std::vector<Slot> slots_ GUARDED_BY(mutex_);
    std::vector<uint32_t> free_slots_ GUARDED_BY(mutex_); // has room for all
    LinkedList<Timer> program_timers_ GUARDED_BY(mutex_);
    TimePoint wakes_at_ GUARDED_BY(mutex_) = kNever; // the thread
    bool stopped_ GUARDED_BY(mutex_) = false;
    Cond wake_;
    Thread thread_; // start()'s and stop()'s alone, as the next
    bool started_ = false;
};

} // namespace websock
