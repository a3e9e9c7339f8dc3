// handshake_gate.h: how many threads may compute a TLS handshake at a time; the others
// wait here for their turn. Handshakes are by far the most that a stranger can make the
// server compute: as many at once as there are processors make no handshake slower, and
// leave the scheduler a short queue, in which those who are connected soon get their turn.
// What is computed, and what waits for the network, is the transport's.
#pragma once

#include "base/linked_list.h"
#include "base/lock.h"

#include <cstddef>

namespace websock {

class HandshakeGate
{
  public:
    static constexpr size_t kMostWaiting = 32; // for each place: some ten milliseconds

    // One connection, which comes as often as its handshake has steps.
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

    // beginning: nothing of the handshake has been computed. answered: the peer has been sent
    // something, and has gone on with it.
    enum class Step { beginning, answered };

    // patience: of let_in(). The usual one is long enough for a crowd that reconnects.
    explicit HandshakeGate(size_t places,
                           std::chrono::milliseconds patience = std::chrono::seconds(2))
        : most_waiting_(kMostWaiting * places), patience_(patience), free_(places)
    {
    }

    // A place, held as long as this lives; or none, if deadline came before, or turn_away().
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

    // Ends the visitor's waiting, now and later. Any thread; never waits.
    void turn_away(Visitor &visitor) EXCLUDES(mutex_);

    // Whether there is room for one more connection, by the thread that accepts. Waits while
    // many wait here: those that come then wait in the backlog, where they cost nothing. False:
    // that has gone on so long that the backlog would only hold up who comes next.
    bool let_in() EXCLUDES(mutex_);
    // From now on it does not wait.
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
    TimePoint crowded_at_ GUARDED_BY(mutex_){}; // when let_in() has found it so last
    TimePoint crowded_since_ GUARDED_BY(mutex_){};
    bool stopping_ GUARDED_BY(mutex_) = false;
    size_t free_ GUARDED_BY(mutex_);
    // First come, first served, in each.
    LinkedList<Visitor> beginning_ GUARDED_BY(mutex_);
    LinkedList<Visitor> answered_ GUARDED_BY(mutex_);
    bool answered_is_next_ GUARDED_BY(mutex_) = true;
};

} // namespace websock
