// connection.h: one client's life, from the accepted socket to onclose.
//
// Its own thread reads: the opening handshake (connection_open.cpp), frames and the
// closing handshake (connection.cpp). Workers (connection_events.cpp) run its callbacks.
// What both need is in objects that guard themselves: the Inbox (events to be run),
// the Outbox (what is sent) and the RequestHook.
//
// References: the registry's, from start() until its thread and the worker that has run
// onclose are both done with it; the dispatcher's, while it is queued, running or has a
// deadline; and the user's (libwebsock_retain). After the registry has let go nothing
// here touches the Engine any more, so a handle may outlive it.
#pragma once

#include "connection/event.h"
#include "connection/inbox.h"
#include "connection/outbox.h"
#include "connection/registry.h"
#include "connection/request_hook.h"
#include "dispatch/dispatcher.h"
#include "protocol/assembly.h"
#include "protocol/frame_trace.h"
#include "protocol/handshake.h"
#include "transport/silence.h"
#include "transport/transport.h"

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include <websock/websock.h>

namespace websock {

struct Engine;

class Connection final : public Outbox::Owner
{
  public:
    // Takes the transport over, unless it throws std::bad_alloc.
    static Ref<Connection> make(Engine &engine, std::unique_ptr<Transport> &transport,
                                const sockaddr_storage &peer);

    // Enters it in the registry and starts its thread. 0, or an errno value: EAGAIN,
    // ENOMEM, ESHUTDOWN; then it is as if it had never been, and give_back() returns
    // the transport.
    int start();
    std::unique_ptr<Transport> give_back() { return std::move(owned_transport_); }

    libwebsock_client_state *handle() { return &handle_; }
    static Connection *of(const libwebsock_client_state *client)
    {
        return static_cast<Connection *>(client->priv);
    }

    // For the API; errno values.
    Outbox &outbox() { return outbox_; }
    int close(uint16_t code, std::string_view reason); // see Outbox::close
    RequestHook &hook() { return hook_; }
    const Request &request() const { return request_; }
    const libwebsock_request *public_request() const { return &public_request_; }
    const libwebsock_tls_info *public_tls() const { return tls_ ? &public_tls_ : nullptr; }
    int offer(std::span<const uint8_t> frame); // of send_all; see Outbox::offer

    // Cuts the connection off; onclose still comes, behind what has been received before.
    void drop(std::string_view reason);
    // The same, and behind the callback that is running now.
    void abandon(std::string_view reason);
    // The server stops: 1001 for an open connection, the end for others.
    void go_away();

    Registry::Traffic traffic();

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void late() noexcept override;
    void expired() noexcept override;
    void drained() noexcept override;
    void retain() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept override;
    const char *name() const noexcept override { return peer_.c_str(); }

  private:
    using Refused = Registry::Refused;

    static constexpr size_t kBatch = 32; // events handed over, or run, in one go

    Connection(Engine &engine, std::unique_ptr<Transport> &transport, const sockaddr_storage &peer);
    ~Connection() = default;
    friend class Registry;

    // The connection's thread, until it is open: connection_open.cpp.
    bool open();
    bool secure(TimePoint deadline);
    bool advance(Registry::Opening to);
    bool read_request(HeaderScanner &scanner, TimePoint deadline);
    bool ask_hook(HookAnswer &answer, TimePoint deadline);
    bool answer_request(const HookAnswer &answer, TimePoint deadline);
    bool upgrade(const std::string &response, TimePoint deadline);
    bool refuse(const Refusal &refusal, Refused as, TimePoint deadline,
                const ExtraHeaders &extra = {});
    bool end_with(const std::string &response, Refused as, TimePoint deadline);
    bool write(const std::string &response, TimePoint deadline);

    // And from then on: connection.cpp.
    void serve() noexcept;
    void read_frames();
    enum class Read { bytes, timed_out, ended };
    Read receive(size_t frame_len, int timeout_ms);
    ssize_t wait_for_bytes(size_t frame_len, int timeout_ms);
    int wait_ms(bool in_message, int silence_ms);
    bool survives(Silence &silence);
    bool take_frame(const Decoded &frame);
    bool take_data(const Decoded &frame);
    bool take_control(const Decoded &frame);
    bool take_close(const ClosePayload &close_frame);
    void take_too_large(const Decoded &frame);
    void fail(uint16_t code, std::string_view reason);
    void let_answers_go_first();
    Ref<Chunk> hold_chunk();
    bool callbacks_are_known() const;
    bool queue(Event event);
    bool hand_over(TimePoint deadline = kNever);
    void finish() noexcept;
    void tell_of_made_room() noexcept;
    void discard(TimePoint deadline) noexcept;
    void describe_end() noexcept;
    std::string trace();

    // Workers: connection_events.cpp.
    Inbox::Taken take(std::array<Event, kBatch> &events, std::span<Event> &batch);
    bool keep_for_later(std::span<Event> rest);
    bool is_paused();
    bool end_batch(const Inbox::Taken &taken);
    void run(std::span<Event> batch, Progress &progress) noexcept;
    void handle(Event &event) noexcept;
    void call(Event &event);
    void log_thrown(const char *what) noexcept;
    void run_request();
    void run_control(const Event &event);
    void run_too_large(const Event &event);
    void run_closed();

    void part();
    void bury();

    // In this order, so that what every message needs lies together, and at the beginning,
    // where prefetch() looks.
    std::atomic<size_t> references_{1};
    Engine &engine_;
    Transport &transport_; // gone once onclose has run
    // The connection's thread's alone.
    ReceiveBuffer buffer_;
    Assembly assembly_;
    std::vector<Event> decoded_;   // not handed over yet, at most kBatch
    FrameTrace trace_;             // of what has come
    int64_t received_ms_ = 0;      // of coarse_ms(): when bytes came last
    int64_t message_since_ms_ = 0; // part of a message is here since; 0: no part is
    // Written by the connection's thread, read by any.
    std::atomic<uint64_t> messages_in_{0};
    std::atomic<uint64_t> bytes_in_{0};

    Inbox inbox_;
    libwebsock_client_state handle_{};
    Outbox outbox_;

    RequestHook hook_;
    std::unique_ptr<Transport> owned_transport_;
    std::atomic<int> parties_{2}; // its thread, and the worker that runs onclose, if there is
                                  // one: not done yet
    const std::string peer_;
    const sockaddr_storage address_;
    const TimePoint accepted_at_ = Clock::now();

    // Written by the connection's thread before the event that lets workers read them.
    std::unique_ptr<TlsInfo> tls_; // nullptr: there is none
    libwebsock_tls_info public_tls_{};
    Request request_;
    libwebsock_request public_request_{};
    libwebsock_close_info close_info_{};
    bool upgraded_ = false; // the 101 has left

    std::atomic<bool> is_late_{false}; // the run that is under way; set by the monitor

    // The workers' alone, one after the other:
    bool opened_ = false; // onopen was called
    // Not with concurrent_events: a batch that goes on when what it has sent has left, and
    // what is to be run of it then.
    Inbox::Taken suspended_;
    std::vector<Event> not_run_;

    // The connection's thread's alone.
    bool got_close_ = false; // the peer's Close frame; close_info_ is from it
    bool polite_ = false;    // the peer is to get time to read what it was told last
    bool vanished_ = false;  // the stream ended, without an error of TLS
    std::string end_reason_; // why there is no connection (any more), unless got_close_
    int end_level_ = LIBWEBSOCK_LOG_INFO; // of the line that says so
    Refused refused_ = Refused::gone;     // unless upgraded_

    // Guarded by the registry's lock.
    Connection *previous_ = nullptr;
    Connection *next_ = nullptr;
    Registry::Place place_;
};

} // namespace websock
