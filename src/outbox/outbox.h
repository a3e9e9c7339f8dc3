// outbox.h: the sending side of one connection: who may write, in which order frames leave, which
// are gathered, and when a peer that does not read is given up. For any thread.
//
// A thread that writes to the transport holds the turn, not the lock, so nobody waits for the
// lock longer than a few instructions. Only a sender waits for the turn, and then for the peer.
// The reading thread, a worker at the end of a batch and send_all never do: what cannot leave at
// once they leave to the Flusher.
#pragma once

#include "dispatch/dispatcher.h"
#include "dispatch/flusher.h"
#include "outbox/callback_scope.h"
#include "outbox/end.h"
#include "outbox/fragments.h"
#include "outbox/message_queue.h"
#include "outbox/send_compression.h"
#include "outbox/source.h"
#include "protocol/frame.h"
#include "protocol/frame_trace.h"
#include "protocol/message.h"
#include "transport/transport.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
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
        size_t send_buffer_bytes; // 0: the transport's, and kUnsent for a source
        size_t trace_frames;
    };

    class Owner : public Runnable
    {
      public:
        // There is something to tell among the client's events: see take_drained() and
        // Source::tell(). May be called under the outbox's lock.
        virtual void notify() noexcept = 0;
        // The suspension is over: what the client had left unread has been written, or the
        // connection has ended. Called under the outbox's lock.
        virtual void resume_callbacks() noexcept = 0;

      protected:
        ~Owner() = default;
    };

    // owner expires close_timeout_ms after our Close frame, and must drop the connection then.
    Outbox(Transport &transport, const Limits &limits, Dispatcher &dispatcher, Flusher &flusher,
           Owner &owner)
        : transport_(transport), trace_(limits.trace_frames),
          max_queued_bytes_(limits.max_queued_bytes), limits_(limits), dispatcher_(dispatcher),
          flusher_(flusher), owner_(owner)
    {
    }

    // opening: no frame may be sent yet. closing: our Close frame is written or queued, and no
    // other frame follows it. ended: nothing leaves any more.
    enum class State : uint8_t { opening, open, closing, ended };
    State state() const { return state_.load(std::memory_order_acquire); }

    // What returns an int returns 0 or an errno value, as the public functions document them.
    // Writes the answer to the opening handshake. Sends are accepted from here on, and leave
    // behind it. compression: of messages to the client; nullptr: none was agreed on.
    int open(std::string_view response, TimePoint deadline,
             std::unique_ptr<SendCompression> compression) EXCLUDES(mutex_);

    // Sends one frame, and waits while the peer does not read. A CallbackScope's thread leaves it
    // to the Flusher instead: up to max_queued_bytes in all, and one of any size in each callback.
    int send(bool fin, Opcode opcode, std::span<const uint8_t> payload, bool may_compress)
        EXCLUDES(mutex_);

    // Sends or queues a message that others get, too, if it can without a copy. Never waits.
    // ENOBUFS: the queue has no room for it, and the connection is being closed with 1008.
    int queue_or_close(const Ref<Message> &message) EXCLUDES(mutex_);

    // Sends or queues a whole message. Never waits. ENOBUFS: there is no room; the owner is
    // notified once what is queued has left.
    int queue(Opcode opcode, std::span<const uint8_t> payload) EXCLUDES(mutex_);
    bool take_drained() EXCLUDES(mutex_); // whether it has, since this was last asked
    size_t queued() EXCLUDES(mutex_);     // bytes

    // What the system may take of a source's that it cannot send yet: the rest is not too late to
    // be replaced by something newer. A client that reads 20 kB a second gets prices 0.7 s old, and
    // with the system's own limits of several MiB more than 13 s old.
    static constexpr size_t kUnsent = 8192; // bytes
    // The client's source, which stays as long as the outbox. nullptr: it has none.
    Source *source() const { return source_.load(std::memory_order_acquire); }
    // Makes it, if it has none. nullptr: the connection is not open. Throws std::bad_alloc.
    Source *source(const std::function<std::unique_ptr<Source>()> &make) EXCLUDES(mutex_);
    // The source has something. Never waits.
    void deliver() EXCLUDES(mutex_);

    // Sends or queues a Close frame, behind all that was sent before. Never waits. expires: the
    // owner expires if no answer comes; a thread with a deadline of its own does not need that.
    int close(uint16_t code, std::string_view reason, By by, bool expires = true) EXCLUDES(mutex_);

    // Waits until the state is closing or ended.
    void wait_for_close() EXCLUDES(mutex_);

    // Sends or queues an answer to the newest ping, or a ping of ours. Never waits.
    void pong(std::span<const uint8_t> payload) EXCLUDES(mutex_);
    void ping() EXCLUDES(mutex_);

    // For when Transport::read() has said that a write is due. Never waits.
    void flush_transport() EXCLUDES(mutex_);

    bool in_callback() const { return RunningCallback::current.outbox == this; }
    // The client has left so much unread of what callbacks sent that none should run.
    bool is_backed_up() EXCLUDES(mutex_);
    // Returns whether it is; if so, the owner is suspended: it must run no callbacks until
    // resume_callbacks(), which may come before this returns.
    bool suspend_if_backed_up() EXCLUDES(mutex_);

    // From here to the end of the batch, small frames are gathered to leave together. The outbox
    // uses lent for that, until the batch has ended; a thread that lends the same buffer to one
    // connection after another has it in its cache. Takes no lock: a sender that does not see
    // this yet writes at once.
    void begin_batch(std::vector<uint8_t> &lent)
    {
        lent_.store(&lent, std::memory_order_release);
        gathering_.store(true, std::memory_order_relaxed);
    }
    // Writes what was gathered, without waiting. False: the owner is suspended, as by
    // suspend_if_backed_up(), and must not begin another batch before it is resumed.
    bool end_batch_or_suspend() EXCLUDES(mutex_);
    void end_batch() EXCLUDES(mutex_); // nobody is suspended by it
    // For a batch that takes long: what was gathered leaves now, and the rest at once.
    void stop_gathering() EXCLUDES(mutex_);

    // Waits until everything is written, but not beyond deadline, and tells the transport that
    // nothing follows. Other threads may still be writing until end() has returned.
    void finish(TimePoint deadline) EXCLUDES(mutex_);

    // From now on: max_queued_bytes.
    void limit_queue(size_t bytes) EXCLUDES(mutex_)
    {
        Lock lock(mutex_);
        max_queued_bytes_ = bytes;
    }

    // Cuts the connection off, if it has not ended yet. The first reason counts.
    void drop(std::string_view reason, By by = By::library) EXCLUDES(mutex_);
    std::string drop_reason() EXCLUDES(mutex_); // "" if it was not dropped

    // Throws std::bad_alloc when only its reason is missing.
    void get_end(End &end) EXCLUDES(mutex_);

    // Cuts the connection off for good, and waits until no thread uses the transport any more.
    void end() EXCLUDES(mutex_);

    struct Totals {
        uint64_t messages = 0;
        uint64_t bytes = 0;
        bool timed_out = false;    // the connection ended because its peer did not read
        uint64_t compressed = 0;   // messages
        uint64_t uncompressed = 0; // although the client accepts compressed ones
        uint64_t bytes_before = 0; // payload of the compressed
        uint64_t bytes_after = 0;
        size_t history = 0; // bytes of memory, now
    };
    Totals totals() EXCLUDES(mutex_);
    void count_bytes(size_t n) EXCLUDES(mutex_); // written past this outbox: the handshake
    std::string last_frames() EXCLUDES(mutex_);  // see FrameTrace::text
    bool has_pending() EXCLUDES(mutex_);         // whether anything waits to be written

  private:
    // The right to write: to use stall_ and the writing half of transport_, and to change
    // to_write_, which its holder reads without the lock.
    enum class Turn : uint8_t {
        free,
        taken,
        reserved, // for one of the threads that wait for it
    };

    void flush() noexcept override EXCLUDES(mutex_);
    void retain() noexcept override { owner_.retain(); }
    void release() noexcept override { owner_.release(); }

    // outbox.cpp
    enum class Way { enqueue, write, write_now }; // write: the caller holds the turn
    int queue_locked(Departing &out, const Ref<Message> *shared = nullptr) REQUIRES(mutex_);
    int place(Departing &out, Way way) REQUIRES(mutex_);
    int place_fragment(Departing &out, Way way) REQUIRES(mutex_);
    int add(Departing &out, Way way) REQUIRES(mutex_);
    void enqueue(Frame frame) REQUIRES(mutex_);
    bool fits_batch(size_t size) const REQUIRES(mutex_);
    void borrow_buffer() REQUIRES(mutex_);
    bool joins_queue(size_t size) REQUIRES(mutex_);
    int keep_behind_fragments(Frame frame) REQUIRES(mutex_);
    int close_locked(uint16_t code, std::string_view reason, By by, bool expires) REQUIRES(mutex_);
    void add_control(std::vector<uint8_t> &to, Opcode opcode, std::span<const uint8_t> payload)
        REQUIRES(mutex_);
    void add_pong_and_ping(std::vector<uint8_t> &to) REQUIRES(mutex_);
    size_t unwritten() const REQUIRES(mutex_) { return to_write_.size() - written_; }
    size_t queued_bytes() const REQUIRES(mutex_)
    {
        return unwritten() + queue_.size() + behind_fragments_.size() + messages_.bytes() +
               (begun_was_queued_ ? rest_of_begun().size() : 0);
    }
    size_t room() const REQUIRES(mutex_);
    bool has_pending_locked() const REQUIRES(mutex_)
    {
        return has_bytes() || !messages_.empty() || may_collect();
    }
    // Whether write_out() has something to do.
    bool has_bytes() const REQUIRES(mutex_)
    {
        const bool may_load = has_pong_ || has_ping_ || (messages_.empty() && !queue_.empty());
        return unwritten() > 0 || may_load || transport_wants_write_ || begun_;
    }

    // outbox_compression.cpp
    void prepare(Departing &out) const noexcept;
    int compress(Departing &out) REQUIRES(mutex_);
    bool is_to_be_compressed(const Departing &out) const REQUIRES(mutex_);
    bool is_current(const Departing &out) const REQUIRES(mutex_);
    void deflate(Departing &out, bool refers_back) REQUIRES(mutex_);
    void note_place(const Departing &out) noexcept REQUIRES(mutex_);
    void note_compressed(const Departing &out, bool ends_history = true) noexcept REQUIRES(mutex_);
    void note_items(std::span<const Source::Item> items, SentHistory::Gap &gap) REQUIRES(mutex_);

    // outbox_callbacks.cpp
    bool may_gather(bool fin, Opcode opcode) const;
    bool gathers(size_t payload_len) const REQUIRES(mutex_);
    int gather(Opcode opcode, std::span<const uint8_t> payload) REQUIRES(mutex_);
    size_t may_leave_bytes() const REQUIRES(mutex_);
    bool is_backed_up_locked() const REQUIRES(mutex_);
    bool suspend_locked() REQUIRES(mutex_);
    void stop_gathering_locked() REQUIRES(mutex_);
    void end_batch_locked() REQUIRES(mutex_);
    void resume_owner_if_due() REQUIRES(mutex_);

    // outbox_turn.cpp
    int take_turn() REQUIRES(mutex_);
    void pass_turn(bool writable = true) REQUIRES(mutex_);
    bool may_flush() const REQUIRES(mutex_);
    void flush_if_due() REQUIRES(mutex_);
    void leave_to_flusher() REQUIRES(mutex_);
    void take_from_flusher() REQUIRES(mutex_);
    void write_now(Frame frame) REQUIRES(mutex_);
    int make_way(Departing &out) REQUIRES(mutex_);
    int write(const Departing &out, std::span<const uint8_t> behind = {}) REQUIRES(mutex_);
    enum class Effort { once, all };
    int write_out(Frame frame, Effort effort, size_t may_leave = 0) REQUIRES(mutex_);
    int write_parts(std::span<iovec> &parts, size_t &bytes, Effort effort, size_t may_leave);
    void load_queue() REQUIRES(mutex_);
    void keep(std::span<const iovec> rest) REQUIRES(mutex_);
    void give_buffer_back() REQUIRES(mutex_);

    // outbox_delivery.cpp
    bool may_collect() const REQUIRES(mutex_)
    {
        return source_has_items_ && state() == State::open && !fragments_.under_way;
    }
    bool may_share() const REQUIRES(mutex_);
    int queue_shared(const Ref<Message> &message, const Departing &out) REQUIRES(mutex_);
    void copy_messages() REQUIRES(mutex_);
    void next_messages(Source::Items &out) const REQUIRES(mutex_);
    bool deliver_some() REQUIRES(mutex_);
    struct Delivered {
        int error = 0; // as of write_out()
        bool unsent = false;
        size_t bytes = 0;
        size_t taken = 0;        // items that have left or begun to
        size_t left_of_last = 0; // bytes of the last one of these
    };
    Delivered write_items(Source::Items &items);
    void note_delivered(std::span<const Source::Item> items) REQUIRES(mutex_);
    std::span<const uint8_t> frame_of(const Message &message) const
    {
        return message.frame(window_bits_);
    }
    std::span<const uint8_t> rest_of_begun() const REQUIRES(mutex_);

    // outbox_end.cpp
    void end_writing(TimePoint deadline) REQUIRES(mutex_);
    void fail(int error) REQUIRES(mutex_);
    void drop_locked(std::string_view reason, By by) REQUIRES(mutex_);
    void note_end(By by) REQUIRES(mutex_) { end_.by = end_.by == By::nobody ? by : end_.by; }
    void end_locked() REQUIRES(mutex_);
    bool wait_for_quiet(TimePoint deadline) REQUIRES(mutex_);
    void wake_quiet_waiters() REQUIRES(mutex_);

    // In this order, so that what every message needs lies together.
    Mutex mutex_;
    Transport &transport_;                     // written to by the holder of the turn
    std::atomic<State> state_{State::opening}; // written under mutex_
    std::atomic<bool> gathering_{false};       // set by begin_batch(), cleared under mutex_
    Turn turn_ GUARDED_BY(mutex_) = Turn::free;
    std::atomic<bool> left_to_flusher_{false}; // or to a sender that waits; written under mutex_
    bool writing_ended_ GUARDED_BY(mutex_) = false;         // the transport has been told so
    bool transport_wants_write_ GUARDED_BY(mutex_) = false; // bytes of its own, which go first
    bool has_pong_ GUARDED_BY(mutex_) = false;              // pong_ answers the newest ping
    bool has_ping_ GUARDED_BY(mutex_) = false;              // of ours, to be sent
    bool source_has_items_ GUARDED_BY(mutex_) = false;
    bool tells_when_drained_ GUARDED_BY(mutex_) = false; // queue() had no room
    bool drained_ GUARDED_BY(mutex_) = false;            // all has left since then
    uint8_t pong_len_ GUARDED_BY(mutex_) = 0;
    unsigned turn_waiters_ GUARDED_BY(mutex_) = 0;  // threads that wait for turn_given_
    unsigned quiet_waiters_ GUARDED_BY(mutex_) = 0; // threads that wait for quiet_
    // What it points to is guarded by mutex_; nullptr: no batch is under way.
    std::atomic<std::vector<uint8_t> *> lent_{nullptr};
    int64_t gathering_since_ms_ GUARDED_BY(mutex_) = 0; // of coarse_ms(); 0: nothing is gathered
    // They leave in this order: begun_, to_write_, messages_, queue_.
    std::vector<uint8_t> queue_ GUARDED_BY(mutex_);
    std::vector<uint8_t> to_write_ GUARDED_BY(mutex_);  // see Turn
    size_t written_ GUARDED_BY(mutex_) = 0;             // bytes of to_write_ that have left
    size_t callback_bytes_ GUARDED_BY(mutex_) = 0;      // sent by callbacks since all had left
    uint64_t loads_ GUARDED_BY(mutex_) = 0;             // times that queue_ became to_write_
    uint64_t resume_after_load_ GUARDED_BY(mutex_) = 0; // is written; 0: not suspended
    Totals totals_ GUARDED_BY(mutex_);
    FrameTrace trace_ GUARDED_BY(mutex_);
    Fragments fragments_ GUARDED_BY(mutex_);
    std::vector<uint8_t> behind_fragments_ GUARDED_BY(mutex_); // whole messages
    MessageQueue messages_ GUARDED_BY(mutex_);         // those in front are the turn's holder's
    Ref<Message> begun_ GUARDED_BY(mutex_);            // some of it has left; see Turn
    size_t begun_written_ GUARDED_BY(mutex_) = 0;      // bytes of it
    bool begun_was_queued_ GUARDED_BY(mutex_) = false; // it is from messages_
    std::unique_ptr<Source> owned_source_ GUARDED_BY(mutex_);
    std::atomic<Source *> source_{nullptr}; // the same; written under mutex_
    size_t max_queued_bytes_ GUARDED_BY(mutex_);
    // Both are set before the state is open. mutex_ guards what says so there.
    std::unique_ptr<SendCompression> compression_;
    int window_bits_ = 0; // of it; 0: there is none
    const Limits limits_;
    Dispatcher &dispatcher_; // these two are used under mutex_, and not once the connection has
    Flusher &flusher_;       // ended: they may be gone then
    Owner &owner_;
    Stall stall_;     // the holder of the turn's
    Cond turn_given_; // the turn is reserved, or the connection has ended
    Cond quiet_;      // nobody writes and nothing is left, or state_ has changed
    std::array<uint8_t, kMaxControlPayload> pong_ GUARDED_BY(mutex_);
    std::string drop_reason_ GUARDED_BY(mutex_);
    End end_ GUARDED_BY(mutex_);
};

} // namespace websock
