// handshake_gate.h: limits how many threads compute TLS handshakes at a time; the others wait here
// for their turn. A handshake is by far the most work that a stranger can give the server. Running
// as many at once as there are processors slows none of them down, and keeps the scheduler's queue
// short, so that clients who are connected already soon get their turn. The handshake itself, and
// its waiting for the network, is in transport_tls_handshake.cpp.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"

#include <cstddef>

namespace websock {

class HandshakeGate
{
  public:
    static constexpr size_t kMostWaiting = 32; // for each place: about ten milliseconds of work

    // One connection. It comes once for each step of its handshake.
    class Visitor
    {
        friend class HandshakeGate;
        friend class LinkedList<Visitor>;
        // All guarded by the gate's lock.
        Visitor *previous = nullptr;
        Visitor *next = nullptr;
        bool has_place_ = false;
        bool turned_away_ = false;
        Cond called_;
    };

    enum class Step {
        beginning, // nothing of the handshake is computed yet
        answered,  // the peer was sent an answer, and has sent its next message
    };

    // patience: how long let_in() waits for a crowd to go. Two seconds are enough for one that
    // reconnects.
    explicit HandshakeGate(size_t places,
                           std::chrono::milliseconds patience = std::chrono::seconds(2))
        : most_waiting_(kMostWaiting * places), patience_(patience), free_(places)
    {
    }

    // A place, held for as long as this lives; or none, if the deadline or turn_away() came first.
    class Place
    {
      public:
        Place(HandshakeGate &gate, Visitor &visitor, Step step, TimePoint deadline)
            : gate_(gate), held_(gate.enter(visitor, step, deadline))
        {
        }
        ~Place()
        {
            if (held_)
                gate_.leave();
        }
        Place(const Place &) = delete;
        Place &operator=(const Place &) = delete;
        explicit operator bool() const { return held_; }

      private:
        HandshakeGate &gate_;
        const bool held_;
    };

    // The visitor does not wait any more, now or later, and gets no place. Any thread; never waits.
    void turn_away(Visitor &visitor) EXCLUDES(mutex_);

    // The accepting thread asks whether there is room for one more connection. Waits while a crowd
    // waits here: further connections then wait in the backlog, where they cost nothing. False if
    // the crowd was there for all of patience: then it is better to refuse connections than to
    // leave the backlog full.
    bool let_in() EXCLUDES(mutex_);
    // From now on let_in() does not wait.
    void stop_holding_back() EXCLUDES(mutex_);

    size_t waiting() EXCLUDES(mutex_);

  private:
    bool enter(Visitor &visitor, Step step, TimePoint deadline) EXCLUDES(mutex_);
    void leave() EXCLUDES(mutex_);
    void pass_place() REQUIRES(mutex_);
    LinkedList<Visitor> &next_queue() REQUIRES(mutex_);
    void erase(LinkedList<Visitor> &queue, Visitor &visitor) REQUIRES(mutex_);
    bool is_crowded() const REQUIRES(mutex_)
    {
        return beginning_.size() + answered_.size() >= most_waiting_;
    }

    const size_t most_waiting_;
    const std::chrono::milliseconds patience_;
    Mutex mutex_;
    Cond not_crowded_;
    TimePoint crowded_at_ GUARDED_BY(mutex_){}; // when let_in() last found a crowd
    TimePoint crowded_since_ GUARDED_BY(mutex_){};
    bool stopping_ GUARDED_BY(mutex_) = false;
    size_t free_ GUARDED_BY(mutex_);
    // Each is first come, first served.
    LinkedList<Visitor> beginning_ GUARDED_BY(mutex_);
    LinkedList<Visitor> answered_ GUARDED_BY(mutex_);
    bool answered_is_next_ GUARDED_BY(mutex_) = true;
};

} // namespace websock
