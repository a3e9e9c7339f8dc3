// outbox.h: the sending side of one connection: who may write, in which order, what
// is gathered, and when a peer that does not read is given up. It is used by every
// thread; what arrives is none of its business.
//
// A thread that writes to the transport holds the turn (writing_), not the lock: so
// nobody ever waits for the lock longer than a few instructions, threads that wait for
// the turn do so with a deadline, and the reading thread, which must not wait at all,
// leaves its pong or Close in pending_ for whoever has the turn.
#pragma once

#include "dispatcher.h"
#include "frame.h"
#include "frame_trace.h"
#include "transport.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace websock {

class Outbox
{
  public:
    struct Limits {
        int send_timeout_ms;
        int close_timeout_ms;
        size_t max_queued_bytes;
        size_t trace_frames;
    };

    // flusher is posted when something is left that nobody is there to write; its run()
    // must call flush(), on a worker. owner expires close_timeout_ms after a Close frame
    // of ours, and must drop the connection then.
    Outbox(Transport &transport, const Limits &limits, Dispatcher &dispatcher, Runnable &flusher,
           Runnable &owner)
        : transport_(transport), trace_(limits.trace_frames), limits_(limits),
          dispatcher_(dispatcher), flusher_(flusher), owner_(owner)
    {
    }

    // opening: no frame may be sent yet. closing: our Close frame is under way, and no
    // other frame follows it. ended: nothing leaves any more.
    enum class State : uint8_t { opening, open, closing, ended };
    State state() const { return state_.load(std::memory_order_acquire); }

    // Writes the answer to the opening handshake. From here on sends are accepted, and
    // leave behind it.
    int open(std::string_view response, TimePoint deadline) EXCLUDES(mutex_);

    // All of these return an errno value, 0 for success, as the public functions
    // document them.

    // Sends one frame; waits while the peer does not read.
    int send(bool fin, Opcode opcode, std::span<const uint8_t> payload) EXCLUDES(mutex_);

    // Sends a whole encoded message, or queues it. Never waits. ENOBUFS: too much is
    // queued, and the connection is being closed with 1008.
    int offer(std::span<const uint8_t> frame) EXCLUDES(mutex_);

    // Sends a Close frame behind what has been sent, or queues it. Never waits. Ends the
    // gathering. expires: the owner does, if there is no answer; a thread that has a deadline
    // itself for what follows needs none.
    int close(uint16_t code, std::string_view reason, bool expires = true) EXCLUDES(mutex_);

    // Waits until a Close frame of ours is under way, or the connection has ended.
    void wait_for_close() EXCLUDES(mutex_);

    // Queues an answer to the newest ping, or a ping of ours. Never waits.
    void pong(std::span<const uint8_t> payload) EXCLUDES(mutex_);
    void ping() EXCLUDES(mutex_);

    // The transport has something of its own to send.
    void nudge() EXCLUDES(mutex_);

    // Between these two, small frames are gathered, to leave together. Until end_batch()
    // returns, lent is the outbox's, for that: a thread that lends the same one to each
    // connection in turn has it in its cache. No lock is needed to begin: whoever does not
    // see it yet writes at once.
    void begin_batch(std::vector<uint8_t> &lent)
    {
        lent_.store(&lent, std::memory_order_release);
        gathering_.store(true, std::memory_order_relaxed);
    }
    void end_batch() EXCLUDES(mutex_);
    // The batch takes its time: what was gathered leaves now, and what follows at once.
    void hurry() EXCLUDES(mutex_);

    // The flusher's work: writes what is pending; waits while the peer does not read.
    void flush() EXCLUDES(mutex_);

    // Sees everything off that is pending or being written, by deadline, and says that
    // nothing follows; no matter how that ends, nobody is writing any more only after end().
    void finish(TimePoint deadline) EXCLUDES(mutex_);

    // Cuts the connection off in both directions, if it has not ended. Only the first
    // reason counts.
    void drop(std::string_view reason) EXCLUDES(mutex_);
    std::string drop_reason() EXCLUDES(mutex_); // "" if it was not dropped

    // Cuts off, for good, and waits until no thread uses the transport any more.
    void end() EXCLUDES(mutex_);

    struct Totals {
        uint64_t messages = 0;
        uint64_t bytes = 0;
        bool timed_out = false; // the connection ended because its peer did not read
    };
    Totals totals() EXCLUDES(mutex_);
    void count_bytes(size_t n) EXCLUDES(mutex_); // written past this outbox: the handshake
    std::string last_frames() EXCLUDES(mutex_);  // see FrameTrace::text

  private:
    // A frame on its way from its sender, not copied.
    struct Frame {
        std::span<const uint8_t> header;
        std::span<const uint8_t> payload;
        size_t size() const { return header.size() + payload.size(); }
    };

    int place(Frame frame, bool fin, Opcode opcode, const TimePoint *deadline) REQUIRES(mutex_);
    int advance_fragments(bool fin, Opcode opcode, std::span<const uint8_t> payload)
        REQUIRES(mutex_);
    int hold(Frame frame) REQUIRES(mutex_);
    int release_held(Frame frame, const TimePoint *deadline) REQUIRES(mutex_);
    int gather(Frame frame) REQUIRES(mutex_);
    int write(Frame frame, TimePoint deadline) REQUIRES(mutex_);
    int take_turn(TimePoint deadline) REQUIRES(mutex_);
    void pass_turn() REQUIRES(mutex_);
    void write_some(Frame frame) REQUIRES(mutex_);
    void flush_pending(TimePoint deadline) REQUIRES(mutex_);
    void flush_if_due() REQUIRES(mutex_);
    bool flush_is_due() const REQUIRES(mutex_);
    void post_flusher() REQUIRES(mutex_);
    int close_locked(uint16_t code, std::string_view reason, bool expires) REQUIRES(mutex_);
    void queue_control(Opcode opcode, std::span<const uint8_t> payload) REQUIRES(mutex_);
    void queue_pong() REQUIRES(mutex_);
    void fail(int error) REQUIRES(mutex_);
    void end_writing() REQUIRES(mutex_);
    void end_locked() REQUIRES(mutex_);
    void load_in_flight() REQUIRES(mutex_);
    void put_back(size_t written, Frame frame) REQUIRES(mutex_);
    bool wait_for_quiet(TimePoint deadline) REQUIRES(mutex_);
    void wake_quiet_waiters() REQUIRES(mutex_);
    bool anything_pending() const REQUIRES(mutex_)
    {
        return !pending_.empty() || has_pong_ || unsent_;
    }
    size_t queued_bytes() const REQUIRES(mutex_)
    {
        return pending_.size() + in_flight_.size() + held_.size();
    }

    // In this order, so that what every message needs lies together.
    Mutex mutex_;
    Transport &transport_;                        // written to by the holder of the turn
    std::atomic<State> state_{State::opening};    // written under mutex_
    std::atomic<bool> gathering_{false};          // set without the lock; see begin_batch()
    bool writing_ GUARDED_BY(mutex_) = false;     // somebody has the turn
    bool handed_over_ GUARDED_BY(mutex_) = false; // to one of those that wait; writing_ stays set
    bool flush_posted_ GUARDED_BY(mutex_) = false;
    bool writing_ended_ GUARDED_BY(mutex_) = false; // the transport has been told so
    bool unsent_ GUARDED_BY(mutex_) = false;        // the transport's, before all of these
    bool has_pong_ GUARDED_BY(mutex_) = false;      // to be sent: the newest ping's
    uint8_t pong_len_ GUARDED_BY(mutex_) = 0;
    unsigned waiting_ GUARDED_BY(mutex_) = 0;       // threads that want the turn
    unsigned quiet_waiters_ GUARDED_BY(mutex_) = 0; // threads that wait for quiet_
    // What it points to is guarded by mutex_.
    std::atomic<std::vector<uint8_t> *> lent_{nullptr};
    std::vector<uint8_t> pending_ GUARDED_BY(mutex_);   // leaves next, in this order
    std::vector<uint8_t> in_flight_ GUARDED_BY(mutex_); // read by the holder of the turn
                                                        // without the lock
    Totals totals_ GUARDED_BY(mutex_);
    FrameTrace trace_ GUARDED_BY(mutex_);
    struct {
        bool under_way = false; // between the fragments of a message
        bool text = false;
        Utf8Validator utf8;
    } fragments_ GUARDED_BY(mutex_);
    std::vector<uint8_t> held_ GUARDED_BY(mutex_); // messages behind an unfinished one
    const Limits limits_;
    Dispatcher &dispatcher_; // used under mutex_, and not once ended: it may be gone then
    Runnable &flusher_;
    Runnable &owner_;
    Cond turn_;  // the turn is free, or the connection has ended
    Cond quiet_; // nobody writes and nothing is pending, or state_ has changed
    std::array<uint8_t, kMaxControlPayload> pong_ GUARDED_BY(mutex_);
    std::string drop_reason_ GUARDED_BY(mutex_);
};

} // namespace websock
