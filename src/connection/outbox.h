// outbox.h: the sending side of one connection: who may write, in which order, what
// is gathered, and when a peer that does not read is given up. It is used by every
// thread; what arrives is none of its business.
//
// A thread that writes to the transport holds the turn, not the lock: so nobody ever waits
// for the lock longer than a few instructions. A sender may wait for the turn, and then for
// the peer. Nobody else does: the reading thread, a worker at the end of a batch and send_all
// leave what does not leave at once to the Flusher.
#pragma once

#include "dispatch/dispatcher.h"
#include "dispatch/flusher.h"
#include "protocol/frame.h"
#include "protocol/frame_trace.h"
#include "transport/transport.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace websock {

class Outbox final : private Flusher::Blocked
{
  public:
    struct Limits {
        int send_timeout_ms;
        int close_timeout_ms;
        size_t max_queued_bytes;
        size_t trace_frames;
    };

    class Owner : public Runnable
    {
      public:
        // What end_batch_or_suspend() or suspend_if_backed_up() was about has left, or the
        // connection has ended. Under the outbox's lock.
        virtual void resume_callbacks() noexcept = 0;

      protected:
        ~Owner() = default;
    };

    // owner expires close_timeout_ms after a Close frame of ours, and must drop the connection
    // then.
    Outbox(Transport &transport, const Limits &limits, Dispatcher &dispatcher, Flusher &flusher,
           Owner &owner)
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

    // Sends one frame; waits while the peer does not read. A thread that is in callbacks of this
    // client (CallbackScope) leaves it to the Flusher instead: up to max_queued_bytes, and in each
    // callback one of any size.
    int send(bool fin, Opcode opcode, std::span<const uint8_t> payload) EXCLUDES(mutex_);

    // Sends a whole encoded message, or queues it. Never waits. ENOBUFS: too much is
    // queued, and the connection is being closed with 1008.
    int queue_or_close(std::span<const uint8_t> frame) EXCLUDES(mutex_);

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
    void flush_transport() EXCLUDES(mutex_);

    // As long as one of these lives, its thread runs callbacks of this client.
    class CallbackScope
    {
      public:
        explicit CallbackScope(const Outbox &outbox) { callback_ = {&outbox, false}; }
        ~CallbackScope() { callback_ = {}; }
        CallbackScope(const CallbackScope &) = delete;
        CallbackScope &operator=(const CallbackScope &) = delete;

        void begin_event() { callback_.has_left_frame = false; }
    };

    // Whether the client has left so much unread of what its callbacks have sent that no further
    // one should run.
    bool is_backed_up() EXCLUDES(mutex_);
    // Has the owner told when that has left. False: it has already.
    bool suspend_if_backed_up() EXCLUDES(mutex_);

    // Between these two, small frames are gathered, to leave together. Until end_batch_or_suspend()
    // returns, lent is the outbox's, for that: a thread that lends the same one to each
    // connection in turn has it in its cache. No lock is needed to begin: whoever does not
    // see it yet writes at once.
    void begin_batch(std::vector<uint8_t> &lent)
    {
        lent_.store(&lent, std::memory_order_release);
        gathering_.store(true, std::memory_order_relaxed);
    }
    // Never waits. False: the client is backed up. The owner is told when that has left, as after
    // suspend_if_backed_up(), and is to begin no other batch before.
    bool end_batch_or_suspend() EXCLUDES(mutex_);
    // The batch takes its time: what was gathered leaves now, and what follows at once.
    void stop_gathering() EXCLUDES(mutex_);

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
    // Whether something waits here for the peer.
    bool has_pending() EXCLUDES(mutex_);

  private:
    // The right to write. Its holder alone writes to transport_, and uses to_write_ and stall_
    // without the lock.
    enum class Turn : uint8_t {
        free,
        taken,
        reserved, // to one of the turn_waiters_ threads
    };

    // A frame on its way from its sender, not copied.
    struct Frame {
        std::span<const uint8_t> header;
        std::span<const uint8_t> payload;
        size_t size() const { return header.size() + payload.size(); }
    };

    void flush() noexcept override EXCLUDES(mutex_);
    void retain() noexcept override { owner_.retain(); }
    void release() noexcept override { owner_.release(); }

    enum class Way { enqueue, write };
    int place(Frame frame, bool fin, Opcode opcode, Way way) REQUIRES(mutex_);
    int add(Frame frame, Way way) REQUIRES(mutex_);
    bool only_joins_queue(Frame frame) const REQUIRES(mutex_);
    bool in_callback() const { return callback_.outbox == this; }
    bool suspend_locked() REQUIRES(mutex_);
    int advance_fragments(bool fin, Opcode opcode, std::span<const uint8_t> payload)
        REQUIRES(mutex_);
    int keep_behind_fragments(Frame frame) REQUIRES(mutex_);
    int finish_fragments(Frame frame, Way way) REQUIRES(mutex_);
    int enqueue(Frame frame) REQUIRES(mutex_);
    int close_locked(uint16_t code, std::string_view reason, bool expires) REQUIRES(mutex_);
    void queue_control(Opcode opcode, std::span<const uint8_t> payload) REQUIRES(mutex_);
    void queue_pong() REQUIRES(mutex_);
    size_t unwritten() const REQUIRES(mutex_) { return to_write_.size() - written_; }
    size_t queued_bytes() const REQUIRES(mutex_)
    {
        return queue_.size() + unwritten() + behind_fragments_.size();
    }
    bool is_backed_up_locked() const REQUIRES(mutex_);
    // What a client may leave unread before the callbacks of its next messages have to wait.
    size_t allowed_backlog() const { return std::min(kMaxBacklog, limits_.max_queued_bytes / 2); }
    // What a callback may leave to the Flusher now. One that waits would hold a worker up.
    size_t may_leave_bytes() const REQUIRES(mutex_)
    {
        if (!in_callback())
            return 0;
        return callback_.has_left_frame ? room() : SIZE_MAX;
    }
    size_t room() const REQUIRES(mutex_)
    {
        const size_t queued = queued_bytes();
        return queued < limits_.max_queued_bytes ? limits_.max_queued_bytes - queued : 0;
    }

    // outbox_turn.cpp
    int take_turn() REQUIRES(mutex_);
    void pass_turn(bool writable = true) REQUIRES(mutex_);
    int write(Frame frame) REQUIRES(mutex_);
    int write_out(Frame frame, size_t may_leave) REQUIRES(mutex_);
    int write_all(std::span<iovec> &parts, size_t may_leave);
    void write_now(Frame frame) REQUIRES(mutex_);
    bool write_some(Frame frame) REQUIRES(mutex_);
    void flush_if_due() REQUIRES(mutex_);
    bool has_pending_locked() const REQUIRES(mutex_)
    {
        return unwritten() > 0 || !queue_.empty() || has_pong_ || transport_wants_write_;
    }
    bool may_flush() const REQUIRES(mutex_);
    void take_up_queue() REQUIRES(mutex_);
    void keep_rest(size_t written, Frame frame) REQUIRES(mutex_);
    void give_back_buffer() REQUIRES(mutex_);
    void leave_to_flusher() REQUIRES(mutex_);
    void resume_owner() REQUIRES(mutex_);
    void resume_owner_if_written() REQUIRES(mutex_);
    void fail(int error) REQUIRES(mutex_);
    void end_writing(TimePoint deadline) REQUIRES(mutex_);
    void end_locked() REQUIRES(mutex_);
    bool wait_for_quiet(TimePoint deadline) REQUIRES(mutex_);
    void wake_quiet_waiters() REQUIRES(mutex_);

    static constexpr size_t kMaxBacklog = 64 * 1024;

    // Of the calling thread. In a library that dlopen(3) has loaded, others are allocated at first
    // use, and glibc ends the process where it cannot.
    struct Callback {
        const Outbox *outbox = nullptr;
        bool has_left_frame = false;
    };
    [[gnu::tls_model("initial-exec")]] static thread_local constinit Callback callback_;

    // In this order, so that what every message needs lies together.
    Mutex mutex_;
    Transport &transport_;                     // written to by the holder of the turn
    std::atomic<State> state_{State::opening}; // written under mutex_
    std::atomic<bool> gathering_{false};       // set without the lock; see begin_batch()
    Turn turn_ GUARDED_BY(mutex_) = Turn::free;
    std::atomic<bool> left_to_flusher_{false};  // the Flusher watches, and nobody else tries;
                                                // written under mutex_
    bool suspended_ GUARDED_BY(mutex_) = false; // the owner waits for the end of resume_after_load_
    bool writing_ended_ GUARDED_BY(mutex_) = false;         // the transport has been told so
    bool transport_wants_write_ GUARDED_BY(mutex_) = false; // the transport's, before all of these
    bool has_pong_ GUARDED_BY(mutex_) = false;              // to be sent: the newest ping's
    uint8_t pong_len_ GUARDED_BY(mutex_) = 0;
    unsigned turn_waiters_ GUARDED_BY(mutex_) = 0;  // threads that want the turn
    unsigned quiet_waiters_ GUARDED_BY(mutex_) = 0; // threads that wait for quiet_
    // What it points to is guarded by mutex_; nullptr: no batch is under way.
    std::atomic<std::vector<uint8_t> *> lent_{nullptr};
    std::vector<uint8_t> queue_ GUARDED_BY(mutex_);    // leaves behind to_write_, in this order
    std::vector<uint8_t> to_write_ GUARDED_BY(mutex_); // leaves next; written_ of it have left.
                                                       // Not changed while the turn is taken
    size_t written_ GUARDED_BY(mutex_) = 0;
    size_t callback_bytes_ GUARDED_BY(mutex_) = 0;      // sent by callbacks since nothing was left
    uint64_t loads_ GUARDED_BY(mutex_) = 0;             // times that queue_ became to_write_
    uint64_t resume_after_load_ GUARDED_BY(mutex_) = 0; // the last one that suspended_ is about
    Totals totals_ GUARDED_BY(mutex_);
    FrameTrace trace_ GUARDED_BY(mutex_);
    struct {
        bool under_way = false; // between the fragments of a message
        bool text = false;
        Utf8Validator utf8;
    } fragments_ GUARDED_BY(mutex_);
    std::vector<uint8_t> behind_fragments_ GUARDED_BY(mutex_); // messages behind an unfinished one
    const Limits limits_;
    Dispatcher &dispatcher_; // these two are used under mutex_, and not once ended: they may be
    Flusher &flusher_;       // gone then
    Owner &owner_;
    Stall stall_;     // the holder of the turn's
    Cond turn_given_; // the turn is reserved, or the connection has ended
    Cond quiet_;      // nobody writes and nothing is left, or state_ has changed
    std::array<uint8_t, kMaxControlPayload> pong_ GUARDED_BY(mutex_);
    std::string drop_reason_ GUARDED_BY(mutex_);
};

} // namespace websock
