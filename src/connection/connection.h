// connection.h: one client's life, from the accepted socket to onclose.
//
// Its own thread opens it, reads and ends it (connection_open.cpp, connection_reading.cpp,
// connection_frames.cpp, connection_session.cpp, connection_end.cpp), workers run its callbacks
// (connection_events.cpp), and any thread may use the public functions (connection.cpp). They share
// the Inbox (events to be run), the Outbox (what is sent) and the RequestHook, which guard
// themselves.
//
// References are held by the registry, from start() until both the connection's thread and the
// worker that has run onclose, if it is not absent, are done; by the dispatcher, while it is
// queued, running or has a deadline; and by the user (libwebsock_retain). After the registry has
// let go nothing here touches the Engine, so a handle may outlive it.
#pragma once

#include "base/once_readable.h"
#include "connection/client_limits.h"
#include "connection/ending.h"
#include "connection/inflation.h"
#include "connection/reading.h"
#include "inbox/request_hook.h"
#include "connection/session.h"
#include "inbox/inbox.h"
#include "outbox/outbox.h"
#include "protocol/assembly.h"
#include "protocol/request_body.h"
#include "timers/timers.h"

#include <memory>

namespace websock {

struct Engine;

class Connection final : public Outbox::Owner
{
  public:
    // Takes the transport over, unless it throws std::bad_alloc.
    static Ref<Connection> make(Engine &engine, std::unique_ptr<Transport> &transport,
                                const sockaddr_storage &peer)
    {
        return Ref<Connection>::adopt(new Connection(engine, transport, peer));
    }

    // Enters it in the registry and starts its thread. 0, or an errno value: EAGAIN, ENOMEM,
    // ESHUTDOWN. On failure nothing has happened, and give_back() returns the transport.
    int start();
    std::unique_ptr<Transport> give_back() { return std::move(owned_transport_); }

    static Connection *of(const libwebsock_client_state *client)
    {
        return static_cast<Connection *>(client->priv);
    }

    // For the API; errno values.
    Outbox &outbox() { return outbox_; }
    int close(uint16_t code, std::string_view reason, // see Outbox::close
              By by = By::program);
    RequestHook &hook() { return hook_; }
    uint64_t number() const { return number_; } // no other connection of this process has it
    const Request &request() const { return request_; }
    const libwebsock_request *public_request() const { return &public_request_; }
    // False: its messages are not compressed. From onopen on.
    bool compression_info(libwebsock_compression_info &info);
    const libwebsock_tls_info *public_tls() const { return tls_ ? &public_tls_ : nullptr; }
    int queue_or_close(const Ref<Message> &message); // of send_all; see Outbox::queue_or_close

    // Has the call run among the client's events. 0, or what libwebsock_post fails with.
    int post(Call &call, size_t most_waiting);
    int start_timer(int first_ms, int every_ms, ProgramFunction &function, uint64_t &number);
    void set_data(void *data, ProgramFunction::FreeArg free_data);
    int gone_fd(int &fd) { return gone_.fd(fd); }
    int set_limit(int which, uint64_t n);

    // Cuts the connection off. Events that were received before still run, then onclose.
    void drop(std::string_view reason, By by = By::library);
    // Cuts it off. Only the callback that is running now ends, then onclose runs.
    void abandon(std::string_view reason, By by = By::library);
    // The server stops: 1001 for an open connection, the end for others.
    void go_away();

    void add_traffic_to(Registry::Traffic &sum);

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void late() noexcept override;
    void expired() noexcept override { drop("the peer did not answer our Close frame"); }
    void resume_callbacks() noexcept override;
    void notify() noexcept override;
    // For the API; errno values. By the session's thread, or it fails. event is what has come, or
    // nullptr at the end of the connection.
    int receive(bool in_parts, const Event *&event, int timeout_ms) EXCLUDES(session_mutex_);
    int wake() EXCLUDES(session_mutex_);        // any thread
    bool in_session() EXCLUDES(session_mutex_); // onsession has not returned
    // By Source::tell().
    void call_onmissed(const char *topic, uint64_t messages);
    void retain() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept override;
    const char *name() const noexcept override { return peer_.c_str(); }

  private:
    using Refused = Registry::Refused;

    static constexpr size_t kBatch = Inbox::kMostTaken; // events queued, or run, in one go
    static constexpr size_t kMostParts = 1024 * 1024;   // bytes that wait for onpart

    Connection(Engine &engine, std::unique_ptr<Transport> &transport, const sockaddr_storage &peer);
    ~Connection();
    friend class Registry;

    // connection.cpp
    void serve() noexcept;
    void serve_open();
    void side_is_done();
    void leave_server();

    // connection_open.cpp
    bool open();
    bool secure(TimePoint deadline);
    bool read_request(HeaderScanner &scanner, TimePoint deadline);
    bool read_body(TimePoint deadline);
    bool await_request_bytes(TimePoint deadline);
    bool ask_hook(HookAnswer &answer, TimePoint deadline);
    bool answer_request(const HookAnswer &answer, TimePoint deadline);
    bool upgrade(const HookAnswer &answer, TimePoint deadline);
    bool refuse(const Refusal &refusal, Refused as, TimePoint deadline,
                const ExtraHeaders &extra = {});
    bool end_with(const std::string &response, Ending ending, TimePoint deadline);
    bool write_answer(std::string_view answer, TimePoint deadline);

    // connection_reading.cpp
    enum class Next { data, timed_out, woken, ended };
    enum class Read { bytes, timed_out, woken, ended };
    Reading begin_reading();
    Next next_data(Reading &reading, Decoded &data, TimePoint deadline);
    Next wait_for_more(Reading &reading, size_t frame_len, TimePoint deadline);
    bool survives_silence(Reading &reading);
    void take_limits(Reading &reading);
    bool decide_on_parts(Decoder &decoder);
    void deliver_parts(Decoder &decoder, bool parts);
    Read read_more(size_t frame_len, int timeout_ms);
    Transport::Received wait_for_bytes(size_t frame_len, int timeout_ms);
    bool holds_much() const;
    void give_memory_back();
    int wait_ms(bool in_message, int silence_ms);
    bool survives(Silence &silence);

    // connection_frames.cpp
    void read_frames(Reading &reading);
    bool take_data(const Decoded &frame);
    bool add_part(Opcode opcode, std::span<uint8_t> payload, bool fin, Ref<Chunk> chunk);
    bool add_assembled_part(Opcode opcode, bool fin);
    bool add_assembled(Opcode opcode);
    bool add_whole(const Decoded &frame);
    bool add_message(Event event);
    void count_message();
    bool is_not_wanted() const;
    bool hand_out(Event event);
    bool take_control(const Decoded &frame);
    void take_too_large(const Decoded &frame);
    Ref<Chunk> chunk_for_data() { return own_session_ ? Ref<Chunk>() : chunk_for_event(); }
    Ref<Chunk> chunk_for_event();
    bool callbacks_are_known() const;
    bool add_event(Event event);
    bool queue_events(TimePoint deadline = kNever);

    // connection_compression.cpp
    const Inflation *inflation() const { return open_inflation_.load(std::memory_order_acquire); }
    std::unique_ptr<SendCompression> agree_on_compression(const HookAnswer &hook,
                                                          std::string &answer);
    bool take_compressed(const Decoded &frame);
    bool take_compressed_rest();
    template<class Step> bool inflate(const Step &step);
    template<class Step>
    MessageInflater::Result timed(const Step &step, const MessageInflater::Take &take);
    bool end_inflated_frame(MessageInflater::Result result);

    // connection_session.cpp
    bool run_session(Reading &reading);
    void call_onsession() noexcept;
    int own_session(Session *&session) EXCLUDES(session_mutex_);
    int choose_parts(Decoder &decoder, bool in_parts);
    Next receive_next(Session &session, TimePoint deadline);
    Next queue_events_of_session(TimePoint deadline);
    Next wait_for_callbacks(TimePoint deadline);
    void gather_if_more_came();
    void stop_gathering();
    Transport::Received wait_in_session(size_t frame_len, int timeout_ms);
    bool wait_calmly(TimePoint deadline);
    void make_wake_fd() EXCLUDES(session_mutex_);
    bool wait_until_woken(TimePoint deadline);

    // connection_end.cpp
    bool take_close(const ClosePayload &close_frame);
    void fail(uint16_t code, std::string_view reason);
    void let_answers_go_first();
    void finish() noexcept;
    void find_who_cut_off() noexcept;
    void find_close_info() noexcept;
    void report_ending() noexcept;
    bool may_close_first() noexcept;
    void read_until_closed(TimePoint deadline) noexcept;

    // connection_events.cpp
    Inbox::Taken take_batch(Inbox::Batch &events, std::span<Event> &batch);
    void run_batch(std::span<Event> batch, Progress &progress) noexcept;
    bool keep_for_later(std::span<Event> rest);
    bool pause_if_backed_up();
    bool end_batch(const Inbox::Taken &taken);
    bool begin_callbacks();
    void end_callbacks() noexcept;
    void callbacks_are_over() noexcept;
    void run_event(const Event &event) noexcept;
    void call_back(const Event &event);
    Inbox::PutCall put_call(Call &call, size_t most_waiting);
    void call_onrequest();
    void call_onopen();
    void call_onpart(const Event &event, uint64_t offset, uint64_t len);
    void call_with_frame(const Event &event);
    void give_notice();

    // In this order, so that what every message needs lies together, and at the beginning,
    // where prefetch() looks.
    std::atomic<size_t> references_{1};
    Engine &engine_;
    Transport &transport_; // gone once onclose has run
    // Written by the workers, read by the connection's thread:
    std::atomic<unsigned> limits_version_{0};   // of limits_; counted up by onrequest and onopen
    std::atomic<bool> limits_are_final_{false}; // onopen has returned
    // The connection's thread's alone:
    ReceiveBuffer buffer_;
    Assembly assembly_;
    enum class Parts : uint8_t { undecided, no, yes };
    Parts parts_ = Parts::undecided; // whether messages come in parts, to onpart
    bool wants_parts_ = false;       // these two: when the 101 left; onopen may change it
    bool wants_session_ = false;
    uint64_t part_offset_ = 0;       // of the next part in its message
    Session *own_session_ = nullptr; // that is running
    Event received_;                 // what it has received last
    size_t assembled_bytes_ = 0;  // of the largest message that was, since the peer was last calm
    bool has_used_stack_ = false; // for inflating, or a TLS handshake, since then
    std::unique_ptr<Inflation> inflation_; // nullptr: nothing comes compressed
    std::vector<Event> new_events_;        // not in the Inbox yet, at most kBatch
    FrameTrace trace_;                     // of received frames
    int64_t received_ms_ = 0;              // coarse_ms() when bytes came last
    int64_t message_since_ms_ = 0;         // when the message that is arriving began; 0: none is
    // Written by the connection's thread, read by any:
    std::atomic<uint64_t> messages_in_{0};
    std::atomic<uint64_t> bytes_in_{0};
    std::atomic<const Inflation *> open_inflation_{nullptr}; // once the 101 has left

    Inbox inbox_;
    libwebsock_client_state handle_{};
    Outbox outbox_;

    std::atomic<bool> has_session_{false}; // it gathers by itself; set before the session begins
    Mutex session_mutex_;
    Session *session_ GUARDED_BY(session_mutex_) = nullptr; // the same as own_session_

    RequestHook hook_;
    std::unique_ptr<Transport> owned_transport_;
    std::atomic<int> sides_left_{2}; // its thread, and the worker that runs onclose
    const uint64_t number_;
    const std::string peer_;
    const sockaddr_storage address_;
    const TimePoint accepted_at_ = Clock::now();

    // Written by the connection's thread before the event that lets workers read them:
    std::unique_ptr<TlsInfo> tls_; // nullptr: there is none
    libwebsock_tls_info public_tls_{};
    Request request_;
    std::unique_ptr<RequestBody> body_; // nullptr: none was asked for
    libwebsock_request public_request_{};
    bool upgraded_ = false; // the 101 has left
    Ending ending_;

    ClientLimits limits_; // guards itself

    std::atomic<bool> is_late_{false}; // the current run takes long; set by the monitor

    // The workers' alone, one after the other:
    bool opened_ = false;         // onopen was called
    bool may_set_limits_ = false; // onrequest or onopen runs
    // Not with concurrent_events: a batch that waits until the client has read, and the events
    // of it that have not run.
    Inbox::Taken suspended_;
    std::vector<Event> not_run_;

    // The callbacks' and set_data()'s, one after the other:
    void *data_ = nullptr;
    ProgramFunction::FreeArg free_data_ = nullptr;

    OnceReadable gone_;
    // A member, not a base, since it is not among what every message needs.
    struct TimerOwner final : public Timers::Owner {
        explicit TimerOwner(Connection &of) : connection(of) {}
        Took take(Call &call) noexcept override;
        bool withdraw(Call &call) noexcept override
        {
            return connection.inbox_.withdraw_call(call);
        }
        void retain() noexcept override { connection.retain(); }
        void release() noexcept override { connection.release(); }

        Connection &connection;
    };
    TimerOwner timers_{*this};

    Registry::Entry entry_; // guarded by the registry's lock
};

} // namespace websock
