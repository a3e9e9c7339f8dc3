// websock.hpp: libwebsock for C++20: websock.h as classes. Header only; link libwebsock.a as ever.
// Manual: websock.hpp(3). What a function does in detail, its comment in websock.h says.
//
//     #include <websock/websock.hpp>
//
//     int main()
//     {
//         websock::Server server;
//         server.on_message([](const websock::Client &client, std::string_view text) {
//             client.send(text);
//         });
//         server.listen("127.0.0.1", 1234);
//         server.run(); // until SIGINT or SIGTERM
//     }
//
// Conventions:
//  1. Text is std::string_view and must be UTF-8; binary data is std::span<const std::byte>, in
//     functions whose names say binary. Nothing is guessed from a type. Names and other strings
//     may be any std::string_view without NUL characters (else EINVAL).
//  2. A function throws std::system_error (std::generic_category, so the code is an errno value) if
//     it fails. Its twin try_... returns that as std::error_code instead. Functions that only ask
//     do not throw, but for gone_fd(), which may have to make a descriptor, and state<T>(). What
//     the library has no memory for fails with ENOMEM; what a call makes for its caller may throw
//     std::bad_alloc: arguments, exceptions, callables that a Server keeps, states, and the strings
//     of query_parameter() and cookie().
//  3. Callbacks may be any callable, also one that can only be moved. Set them before run(). The
//     Server keeps them; a message allocates nothing. They run on workers, those of different
//     clients at the same time; the events of one client one at a time. What a callback throws is
//     logged, and its client is closed with 1011; that a send has failed as its client has gone is
//     logged as LogLevel::debug. No callback may end its thread.
//  4. A callback may take its client as const Client &, which costs nothing, or as Client, which
//     costs an atomic increment and decrement; but not as Client &, as that could be moved from.
//  5. A Client is a counted handle, as std::shared_ptr is: copy it and keep it where you like. Once
//     the connection has ended, sends fail with ENOTCONN. Any thread may use it, and different
//     copies at the same time. It may outlive the Server: sends still fail with ENOTCONN, and
//     peer(), request(), tls(), close_info() and its state are still there. Only after() and
//     every() need the Server; do not call them then.
//  6. What callbacks know about a client is client.emplace<T>(...), and later client.state<T>().
//     It is not Server<State>: so Server and Client are plain classes, that any function can take;
//     clients of one server may have different states; and state<T>() costs one comparison more.
//  7. Everything is in websock.h, too, and may be mixed with it: server.context(), client.handle().
//     This face uses context->user_data, the context's callbacks and client->data.
//  8. A std::string_view or span that a callback gets is valid until it returns. A whole message is
//     followed by a NUL that does not count.
#ifndef WEBSOCK_WEBSOCK_HPP
#define WEBSOCK_WEBSOCK_HPP

#if __cplusplus < 202002L
#error "websock.hpp needs C++20"
#else

#include <websock/websock.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <iterator>
#include <latch>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace websock {

class Client;
class Server;
class Session;

using Bytes = std::span<const std::byte>;
using std::chrono::milliseconds;

namespace detail {
class Borrowed;
class NewTimer;
struct Callbacks;
template<typename Signature> class Function;
} // namespace detail

// --- What is handed to callbacks ---

enum class EndedBy {
    peer = LIBWEBSOCK_ENDED_BY_PEER,
    program = LIBWEBSOCK_ENDED_BY_PROGRAM,
    library = LIBWEBSOCK_ENDED_BY_LIBRARY
};

// How a connection ended: see libwebsock_close_info.
class CloseInfo
{
  public:
    explicit CloseInfo(const libwebsock_close_info &info) noexcept : info_(&info) {}

    int code() const noexcept { return info_->code; } // the peer's: WS_CLOSE_*
    std::string_view reason() const noexcept { return info_->reason; }
    EndedBy ended_by() const noexcept { return static_cast<EndedBy>(info_->ended_by); }
    int sent_code() const noexcept { return info_->sent_code; } // 0: no Close frame was sent
    std::string_view sent_reason() const noexcept { return info_->sent_reason; }

  private:
    const libwebsock_close_info *info_;
};

// The HTTP request that opened a connection. Valid as long as a Client of it.
class Request
{
  public:
    explicit Request(const libwebsock_request *request) noexcept : request_(request) {}

    std::string_view method() const noexcept { return request_->method; }
    std::string_view path() const noexcept { return request_->path; } // percent-encoded as sent
    std::string_view query() const noexcept { return request_->query; }
    bool is_websocket() const noexcept { return request_->is_websocket != 0; } // no: plain HTTP

    // The name in upper or lower case. Several headers of one name are joined with ", ".
    std::optional<std::string_view> header(std::string_view name) const noexcept;

    // Decoded. Nothing: there is no such parameter, or it cannot be decoded.
    std::optional<std::string> query_parameter(std::string_view name) const;

    // Nothing: no such cookie was sent.
    std::optional<std::string> cookie(std::string_view name) const;

    // Calls function(name, value) for each header, in the order they were sent.
    template<std::invocable<std::string_view, std::string_view> Function>
    void for_each_header(Function function) const;

    // Up to Settings::max_request_body bytes.
    std::string_view body() const noexcept;

    const libwebsock_request *handle() const noexcept { return request_; }

  private:
    using Getter = int (*)(const libwebsock_request *, const char *, char *, size_t);

    // No value is longer than the text it is in.
    std::optional<std::string> value_of(Getter get, std::string_view name, size_t longest) const;

    const libwebsock_request *request_;
};

// What on_request returns to go on: with the upgrade, or with what Client::respond has set.
inline constexpr int accepted = 0;

// A complete message, of a session. Valid until the session receives again.
class Message
{
  public:
    Message() noexcept = default;
    explicit Message(const libwebsock_message &message) noexcept : message_(message) {}

    bool is_text() const noexcept { return message_.opcode == WS_OPCODE_TEXT; }
    unsigned opcode() const noexcept { return message_.opcode; }
    size_t size() const noexcept { return static_cast<size_t>(message_.payload_len); }
    // Both are the payload, whatever its type. It may be written to.
    std::string_view text() const noexcept { return {message_.payload, size()}; }
    std::span<std::byte> bytes() const noexcept
    {
        return std::as_writable_bytes(std::span(message_.payload, size()));
    }

  private:
    libwebsock_message message_{};
};

// Some of a message, as it comes. Valid until the callback returns, or the session receives again.
// Not followed by a NUL.
class Part
{
  public:
    Part() noexcept = default;
    explicit Part(const libwebsock_part &part) noexcept : part_(part) {}

    bool is_text() const noexcept { return part_.opcode == WS_OPCODE_TEXT; }
    bool is_last() const noexcept { return part_.fin != 0; }
    unsigned opcode() const noexcept { return part_.opcode; }
    unsigned long long offset() const noexcept { return part_.offset; } // in the message
    size_t size() const noexcept { return part_.len; }
    std::string_view text() const noexcept { return {part_.payload, part_.len}; }
    std::span<std::byte> bytes() const noexcept
    {
        return std::as_writable_bytes(std::span(part_.payload, part_.len));
    }

  private:
    libwebsock_part part_{};
};

// A control frame; or, in on_frame_too_large, the frame that is, without its payload.
class Frame
{
  public:
    explicit Frame(const libwebsock_frame &frame) noexcept : frame_(&frame) {}

    bool is_final() const noexcept { return frame_->fin != 0; }
    unsigned opcode() const noexcept { return frame_->opcode; }
    unsigned long long size() const noexcept { return frame_->payload_len; } // as announced
    std::string_view payload() const noexcept
    {
        return frame_->payload ? std::string_view(frame_->payload, static_cast<size_t>(size()))
                               : std::string_view();
    }
    void dump() const noexcept { (void)libwebsock_dump_frame(frame_); } // to stderr

  private:
    const libwebsock_frame *frame_;
};

// A message that has entered the log of a topic: for on_published.
class Published
{
  public:
    explicit Published(const libwebsock_publication &raw) noexcept : publication_(&raw) {}

    std::string_view topic() const noexcept { return publication_->topic; }
    // "": it has none.
    std::string_view id() const noexcept;
    std::string_view key() const noexcept;
    bool is_text() const noexcept { return publication_->opcode != WS_OPCODE_BINARY; }
    std::string_view text() const noexcept;
    Bytes bytes() const noexcept { return std::as_bytes(std::span(text())); }

  private:
    const libwebsock_publication *publication_;
};

enum class LogLevel {
    error = LIBWEBSOCK_LOG_ERROR,
    warning = LIBWEBSOCK_LOG_WARNING,
    info = LIBWEBSOCK_LOG_INFO,
    debug = LIBWEBSOCK_LOG_DEBUG
};

// --- Timers ---

// Of after() and every(), whose callable may take it, too. A copy means the same timer. Its
// destructor does not end it, so what after() returns may be dropped. Do not use it when the Server
// is gone.
class Timer
{
  public:
    Timer() noexcept = default;

    // The callable is not called any more; a call that is running goes on. False: it was over.
    bool cancel() const noexcept { return context_ && libwebsock_cancel(context_, number_) == 0; }

    explicit operator bool() const noexcept { return number_ != 0; } // it was started

  private:
    friend class detail::NewTimer;
    Timer(libwebsock_context *context, unsigned long long number) noexcept
        : context_(context), number_(number)
    {
    }

    libwebsock_context *context_ = nullptr;
    unsigned long long number_ = 0;
};

namespace detail {
// What after() and every() of a Server call.
template<typename Callback>
concept ForProgram = std::invocable<Callback &, Timer> || std::invocable<Callback &>;
} // namespace detail

// --- Clients ---

// How a subscription begins, for Client::subscribe.
struct Subscription {
    size_t history = 0;             // so many of the newest messages in the log first
    std::string_view after_id = {}; // instead of that, all after the message with this id
    bool no_echo = false;           // without what this client has published
};

// For Subscription::history.
inline constexpr size_t all_history = SIZE_MAX;

// How a client is served. By default it is a session if the server has on_session, or else in parts
// if it has on_part.
enum class Style { messages, parts, session };

// For Client::set_limit: which of the settings has another value for this client.
enum class Limit {
    message_payload = LIBWEBSOCK_LIMIT_MESSAGE,
    frame_payload = LIBWEBSOCK_LIMIT_FRAME,
    queued_bytes = LIBWEBSOCK_LIMIT_QUEUED,
    idle_ms = LIBWEBSOCK_LIMIT_IDLE_MS,
    concurrent_events = LIBWEBSOCK_LIMIT_CONCURRENCY
};

// One client, or none: a counted handle. All functions are const, as what they change is the
// connection. One that holds no client is false; its functions fail with EINVAL.
class Client
{
  public:
    Client() noexcept = default;
    // Of a client of websock.h, which must be valid now.
    explicit Client(libwebsock_client_state *state) noexcept : state_(libwebsock_retain(state)) {}
    Client(const Client &other) noexcept : Client(other.state_) {}
    Client(Client &&other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    Client &operator=(Client other) noexcept;
    ~Client();

    explicit operator bool() const noexcept { return state_ != nullptr; }
    // Equal: the same connection. The order means nothing, but is one.
    friend bool operator==(const Client &a, const Client &b) noexcept = default;
    friend auto operator<=>(const Client &a, const Client &b) noexcept
    {
        return std::compare_three_way()(a.state_, b.state_);
    }

    // Sending. Blocks while the client does not read, but not in this client's own callbacks: see
    // websock.h. A message of either type is sent as what it is.
    void send(std::string_view text) const;
    std::error_code try_send(std::string_view text) const noexcept;
    void send_binary(Bytes bytes) const;
    std::error_code try_send_binary(Bytes bytes) const noexcept;
    void send(const Message &message) const;
    std::error_code try_send(const Message &message) const noexcept;

    // The same without waiting. ENOBUFS: too much waits for this client; on_drain says when that
    // has left.
    void queue(std::string_view text) const;
    std::error_code try_queue(std::string_view text) const noexcept;
    void queue_binary(Bytes bytes) const;
    std::error_code try_queue_binary(Bytes bytes) const noexcept;
    // Bytes that wait for the client to read.
    size_t queued_bytes() const noexcept { return libwebsock_queued_bytes(state_); }

    // One frame of a message: flags is WS_OPCODE_TEXT or _BINARY for the first, WS_OPCODE_CONTINUE
    // for the others, | WS_FRAGMENT_FIN for the last.
    void send_fragment(Bytes bytes, int flags) const;
    std::error_code try_send_fragment(Bytes bytes, int flags) const noexcept;
    void send_fragment(std::string_view text, int flags) const;
    std::error_code try_send_fragment(std::string_view text, int flags) const noexcept;

    // So many bytes of a file as one message, read as they leave. fd stays yours.
    void send_file(unsigned opcode, int fd, unsigned long long offset,
                   unsigned long long size) const;
    std::error_code try_send_file(unsigned opcode, int fd, unsigned long long offset,
                                  unsigned long long size) const noexcept;

    // An empty Ping, which on_pong tells the answer of.
    void ping() const;
    std::error_code try_ping() const noexcept;

    // Starts the closing handshake, after all that was sent. Does not wait.
    void close(int code = WS_CLOSE_NORMAL, std::string_view reason = {}) const;
    std::error_code try_close(int code = WS_CLOSE_NORMAL,
                              std::string_view reason = {}) const noexcept;

    // Cuts the connection off, without a Close frame. why is logged, and on_close gets it.
    void abort(std::string_view why) const;
    std::error_code try_abort(std::string_view why) const noexcept;

    // Whether messages can be sent, at this moment. True until the library has answered the
    // client's Close.
    bool is_open() const noexcept { return libwebsock_is_open(state_) == 1; }

    // For callbacks that wait for something else: a descriptor that becomes readable as soon as the
    // client's Close is read, or when the connection ends. Sends still work for up to a second;
    // return soon, as the client waits for its Close. Only poll it.
    int gone_fd() const;

    // Topics: this client gets their messages from now on, or from where subscription says. EEXIST:
    // it does already.
    void subscribe(std::string_view topic, const Subscription &subscription = {}) const;
    std::error_code try_subscribe(std::string_view topic,
                                  const Subscription &subscription = {}) const noexcept;
    void unsubscribe(std::string_view topic) const;
    std::error_code try_unsubscribe(std::string_view topic) const noexcept;
    void unsubscribe_all() const noexcept { (void)libwebsock_unsubscribe(state_, nullptr); }

    // State: makes a T of the arguments, which lives as long as the connection and its handles, and
    // replaces one that was there. In the client's callbacks, on_request at the earliest. What the
    // constructor throws, or std::bad_alloc, leaves all as it was.
    template<typename T, typename... Arguments> T &emplace(Arguments &&...arguments) const;
    // What emplace<T> has made; T is that very type. Throws std::bad_cast if it is not, or there is
    // none. The client's callbacks may use it without a lock, but not with concurrent_events, nor
    // a session beside its posts and timers.
    template<typename T> T &state() const;
    // The same, or null.
    template<typename T> T *find_state() const noexcept;

    // Later, and from elsewhere: has callback(client), or callback(), called among this client's
    // events (but beside on_session), on a worker. It is destroyed there, when it has been called
    // or will not be.
    template<typename Callback> void post(Callback callback) const;
    template<typename Callback> std::error_code try_post(Callback callback) const;

    // after: once, delay from now. every: first after interval, then each interval. Both end with
    // the client. The callback may run before this call has returned. It may take its own timer,
    // alone or after the client, and so can cancel it:
    //     client.every(1s, [n = 0](const websock::Client &self, websock::Timer timer) mutable {
    //         self.send(std::to_string(++n));
    //         if (n == 3)
    //             timer.cancel();
    //     });
    template<typename Callback> Timer after(milliseconds delay, Callback callback) const;
    template<typename Callback> Timer every(milliseconds interval, Callback callback) const;
    template<typename Callback>
    std::error_code try_after(milliseconds delay, Callback callback, Timer &timer) const;
    template<typename Callback>
    std::error_code try_every(milliseconds interval, Callback callback, Timer &timer) const;

    // Only in on_request and on_open.
    void set_limit(Limit limit, unsigned long long value) const;
    std::error_code try_set_limit(Limit limit, unsigned long long value) const noexcept;

    // In on_request: what this client gets, if the server has more than one style. EINVAL: the
    // server has no callback for that. EPERM: this is not its on_request.
    void serve_as(Style style) const;
    std::error_code try_serve_as(Style style) const noexcept;

    // Makes the receive of this client's session, or its next one, return was_woken().
    void wake() const;
    std::error_code try_wake() const noexcept;

    // In on_request: how it is answered. EPERM elsewhere.
    void accept_protocol(std::string_view name) const;
    std::error_code try_accept_protocol(std::string_view name) const noexcept;
    void refuse_compression() const;
    std::error_code try_refuse_compression() const noexcept;
    void add_response_header(std::string_view name, std::string_view value) const;
    std::error_code try_add_response_header(std::string_view name,
                                            std::string_view value) const noexcept;
    // Instead of the upgrade, and if on_request then returns accepted. content_type "": none.
    void respond(int status, std::string_view content_type, std::string_view body) const;
    std::error_code try_respond(int status, std::string_view content_type,
                                std::string_view body) const noexcept;

    // Who it is. There must be a client.
    std::string_view peer() const noexcept;
    const sockaddr_storage &address() const noexcept { return *state_->sa; }
    int socket() const noexcept { return state_->sockfd; } // only for socket options
    Request request() const noexcept { return Request(libwebsock_client_request(state_)); }
    // Null: the connection has no TLS.
    const libwebsock_tls_info *tls() const noexcept { return libwebsock_client_tls(state_); }
    // Nothing: no compression was agreed.
    std::optional<libwebsock_compression_info> compression_info() const noexcept;
    // Filled in before on_close.
    CloseInfo close_info() const noexcept { return CloseInfo(*state_->close_info); }

    // For the functions of websock.h. Valid as long as this Client.
    libwebsock_client_state *handle() const noexcept { return state_; }

  private:
    friend class detail::Borrowed;

    // The library wants no null pointer, also if there are no characters.
    static const char *characters(std::string_view text) noexcept;

    template<typename Callback>
    std::error_code start_timer(milliseconds first, milliseconds interval, Callback callback,
                                Timer &timer) const;

    libwebsock_client_state *state_ = nullptr;
};

// --- Sessions: the blocking style ---

// What a session has received: a Message or a Part, or why there is none.
template<typename Received> class Receipt
{
  public:
    explicit operator bool() const noexcept { return result_ == 1; } // something has come
    bool has_ended() const noexcept { return result_ == 0; }         // close_info() says how
    bool timed_out() const noexcept { return result_ == -1 && error_ == ETIMEDOUT; }
    bool was_woken() const noexcept { return result_ == -1 && error_ == EINTR; }

    const Received &operator*() const noexcept { return received_; }
    const Received *operator->() const noexcept { return &received_; }

  private:
    friend class Session;
    Receipt(int result, int error, Received received) noexcept
        : result_(result), error_(error), received_(received)
    {
    }

    int result_;
    int error_;
    Received received_;
};

// A client that is served by one thread, which asks for its messages. Lives in on_session, but for
// copies of it as a Client.
//
//     for (const auto &message : session) // until the connection has ended
//         session.send(message);
class Session : public Client
{
  public:
    explicit Session(libwebsock_client_state *state) noexcept : Client(state) {}
    Session(Session &&) noexcept = default;
    Session &operator=(Session &&) noexcept = default;

    // Waits for a message, as long as it takes or so long (0: only what is there). Meanwhile pings
    // are answered. It is valid until the next receive.
    Receipt<Message> receive() const { return receive_for(-1); }
    Receipt<Message> receive(milliseconds timeout) const;
    // The same for a part of a message, as on_part would get it.
    Receipt<Part> receive_part() const { return receive_part_for(-1); }
    Receipt<Part> receive_part(milliseconds timeout) const;

    class Iterator;
    class Messages;

    // All messages, until the connection has ended, or a stop is requested. wake() does not end
    // this; whoever uses that calls receive().
    Iterator begin() const;
    std::default_sentinel_t end() const noexcept { return {}; }
    Messages messages(std::stop_token stop) const;

  private:
    Receipt<Message> receive_for(int timeout_ms) const;
    Receipt<Part> receive_part_for(int timeout_ms) const;

    // Anything but these two is a mistake in the program.
    template<typename Received> static Receipt<Received> made(int result, const Received &received);
};

// Reads a session's messages one by one.
class Session::Iterator
{
  public:
    using value_type = Message;
    using difference_type = std::ptrdiff_t;

    Iterator(const Session &session, std::stop_token stop)
        : session_(&session), stop_(std::move(stop))
    {
        ++*this;
    }

    const Message &operator*() const noexcept { return message_; }
    const Message *operator->() const noexcept { return &message_; }
    Iterator &operator++()
    {
        while (!stop_.stop_requested()) {
            const Receipt<Message> receipt = session_->receive();
            if (receipt)
                message_ = *receipt;
            if (receipt || receipt.has_ended()) {
                at_end_ = receipt.has_ended();
                return *this;
            }
        }
        at_end_ = true;
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator &iterator, std::default_sentinel_t) noexcept
    {
        return iterator.at_end_;
    }

  private:
    const Session *session_;
    std::stop_token stop_;
    Message message_;
    bool at_end_ = false;
};

// What Session::messages returns: a range that a request to stop ends.
class Session::Messages
{
  public:
    Messages(const Session &session, std::stop_token stop)
        : session_(&session), stop_(std::move(stop)), wake_(stop_, Wake{session.handle()})
    {
    }

    Iterator begin() const { return Iterator(*session_, stop_); }
    std::default_sentinel_t end() const noexcept { return {}; }

  private:
    struct Wake {
        libwebsock_client_state *client;
        void operator()() const noexcept { (void)libwebsock_wake(client); }
    };

    const Session *session_;
    std::stop_token stop_;
    std::stop_callback<Wake> wake_;
};

// --- Settings: all of them may be named, in this order; none must be ---

// For messages in both directions, with clients that offer it: libwebsock_compression(7).
struct Compression {
    int level = 0;                        // 0: off. From 1, fastest, to 9, smallest; 3 is good
    std::optional<size_t> threshold = {}; // messages of fewer bytes are sent as they are
    std::optional<size_t> history = {};   // bytes kept for each client to refer to
    std::optional<int> window_bits = {};
};

// What is not set is as libwebsock_context(3) says; there it is described. run() fails with EINVAL,
// and logs the name, if one is out of range. A time of 0 is for ever, where that is allowed.
struct Settings {
    std::optional<milliseconds> handshake_timeout = {};
    std::optional<milliseconds> idle_timeout = {};
    std::optional<milliseconds> send_timeout = {};
    std::optional<milliseconds> close_timeout = {};
    std::optional<milliseconds> drain_timeout = {};
    std::optional<milliseconds> message_timeout = {};
    std::optional<size_t> max_connections = {};
    std::optional<size_t> max_handshakes = {};
    std::optional<size_t> max_handshake_bytes = {};
    std::optional<size_t> max_request_body = {};
    std::optional<size_t> max_frame_payload = {};
    std::optional<size_t> max_message_payload = {};
    std::optional<size_t> max_queued_bytes = {};
    std::optional<size_t> max_topics = {};
    std::optional<size_t> max_topic_bytes = {};
    std::optional<size_t> max_subscriptions_per_client = {};
    std::optional<size_t> max_workers = {};
    std::optional<size_t> worker_stack_bytes = {};
    std::optional<size_t> connection_stack_bytes = {};
    std::optional<size_t> send_buffer_bytes = {};
    std::optional<size_t> close_trace_frames = {};
    std::optional<int> concurrent_events = {};
    std::optional<bool> handle_signals = {};
    Compression compression = {};
};

// A certificate for clients that ask for host, "example.org" or "*.example.org". Files are PEM.
struct TlsHost {
    std::string host;
    std::string key;
    std::string certificate;
    std::string chain = {};
};

// For Server::listen. Files are PEM; key and certificate must be there. "" means none, or OpenSSL's
// default.
struct TlsOptions {
    std::string key;
    std::string certificate;
    std::string chain = {};     // if it is not in the same file as the certificate
    std::string client_ca = {}; // who signs clients' certificates. "": they are not asked for one
    bool client_certificate_demanded = false;
    int min_version = LIBWEBSOCK_TLS_1_2;
    std::string ciphers = {};      // of TLS 1.2
    std::string ciphersuites = {}; // of TLS 1.3
    std::vector<TlsHost> hosts = {};
};

// A number, or the name of a service. 0: any free port.
class Port
{
  public:
    Port(int number) : name_(std::to_string(number)) {}
    Port(std::string_view name) : name_(name) {}
    Port(const char *name) : name_(name) {}
    Port(const std::string &name) : name_(name) {}

    const std::string &name() const noexcept { return name_; }

  private:
    std::string name_;
};

// --- Topics ---

// For Server::publish. Nothing is kept of it.
struct Publication {
    std::string_view topic;     // 1 to 255 bytes
    std::string_view text = {}; // either this
    Bytes binary = {};          // or this
    std::string_view id = {};   // what Subscription::after_id names
    std::string_view key = {};  // it replaces the message that has the same key
    Client publisher = {};      // for Subscription::no_echo
    bool uncompressed = false;  // for secrets
};

enum class WhenBehind { close = LIBWEBSOCK_BEHIND_CLOSE, skip = LIBWEBSOCK_BEHIND_SKIP };

// What topics keep. 0 is the library's default.
struct TopicOptions {
    size_t history_messages = 0;
    size_t history_bytes = 0;
    milliseconds history_time{0};
    WhenBehind when_behind = WhenBehind::close; // of a subscriber whose next message is not there
};

// --- Servers ---

// A server, and all it owns. Its destructor stops it and waits for its callbacks, for
// drain_timeout and a second at most; a callback that has not returned by then goes on, and what it
// needs is never freed. Not from a callback. One that was moved from can only be assigned to or
// destroyed. Move it before callbacks capture it by reference, or let them capture what stays put.
class Server
{
  public:
    // Throws std::system_error or std::bad_alloc for want of memory.
    explicit Server(const Settings &settings = {});
    Server(Server &&other) noexcept;
    Server &operator=(Server &&other) noexcept;
    ~Server();

    // Callbacks, in the order a client has them.

    // An HTTP request: before the upgrade, or instead of it. Returns websock::accepted, or a status
    // from 400 to 599 that refuses, or nothing, which accepts. An exception refuses with 500.
    template<std::invocable<const Client &, const Request &> Callback>
    void on_request(Callback callback);

    // The opening handshake is done.
    template<std::invocable<const Client &> Callback> void on_open(Callback callback);

    // A text message. If there is no such callback, but on_binary, it closes with 1003.
    template<std::invocable<const Client &, std::string_view> Callback>
    void on_message(Callback callback);

    // A binary message, which may be written to. If there is no such callback, but on_message, it
    // closes with 1003.
    template<std::invocable<const Client &, std::span<std::byte>> Callback>
    void on_binary(Callback callback);

    // Messages of any length, in parts as they come, instead of on_message and on_binary.
    template<std::invocable<const Client &, const Part &> Callback> void on_part(Callback callback);

    // Serves a client in the blocking style, instead of those three; on the connection's thread,
    // which has connection_stack_bytes. When it returns, the connection is closed with 1000.
    template<typename Callback>
    requires std::invocable<Callback &, Session> || std::invocable<Callback &, Session &>
    void on_session(Callback callback);

    // What was queued has left, after queue() has failed with ENOBUFS.
    template<std::invocable<const Client &> Callback> void on_drain(Callback callback);

    // So many messages of a topic have left its log before the client could get them.
    template<std::invocable<const Client &, std::string_view, unsigned long long> Callback>
    void on_missed(Callback callback);

    // A Pong has come.
    template<std::invocable<const Client &> Callback> void on_pong(Callback callback);

    // A Ping, Pong or Close frame has come, and has been answered.
    template<std::invocable<const Client &, const Frame &> Callback>
    void on_control(Callback callback);

    // A frame announces more than max_frame_payload. When this returns, the client is closed with
    // 1009, as it is without this callback. (In C, the default callback cuts it off instead.)
    template<std::invocable<const Client &, const Frame &> Callback>
    void on_frame_too_large(Callback callback);

    // The connection has ended. Once for each client that had on_open, after all its other events.
    template<std::invocable<const Client &, const CloseInfo &> Callback>
    void on_close(Callback callback);

    // A message has entered the log of a topic: for programs that store or forward all of them.
    template<std::invocable<const Published &> Callback> void on_published(Callback callback);

    // One line of the log. Until this is set, errors, warnings and infos go to stderr.
    template<std::invocable<LogLevel, std::string_view> Callback> void on_log(Callback callback);
    void no_log() noexcept { context_->onlog = nullptr; }

    // Listens on every address of host ("": of this machine), before or during run(). Several
    // times, if you like. With TLS if there are options. If it fails, the log says why.
    //     server.listen("localhost", 8443, {.key = "key.pem", .certificate = "cert.pem"});
    void listen(std::string_view host, const Port &port);
    std::error_code try_listen(std::string_view host, const Port &port) noexcept;
    void listen(std::string_view host, const Port &port, const TlsOptions &options);
    std::error_code try_listen(std::string_view host, const Port &port,
                               const TlsOptions &options) noexcept;

    // Takes over a socket that listens or is connected. If that fails, fd is still yours.
    void adopt(int fd);
    std::error_code try_adopt(int fd) noexcept;

    // The first listener's port, also of one that was given 0; 0 if nothing is bound.
    int port() const noexcept { return std::max(libwebsock_port(context_), 0); }

    // Reads the files of every TLS listener again; if one is bad, nothing changes. Any thread.
    void reload_certificates();
    std::error_code try_reload_certificates() noexcept;

    // Serves until stop(), or SIGINT or SIGTERM; then clients get 1001, and callbacks are waited
    // for. ETIMEDOUT: one did not return.
    void run();
    std::error_code try_run() noexcept;

    // Makes run() return, now or as soon as it is called. Any thread, callback or signal handler.
    void stop() noexcept { (void)libwebsock_stop(context_); }

    // To every open client. Never waits: who does not read is closed with 1008 at last. The text
    // must not have a NUL.
    void send_all(std::string_view text);
    std::error_code try_send_all(std::string_view text) noexcept;
    void send_all_binary(Bytes bytes);
    std::error_code try_send_all_binary(Bytes bytes) noexcept;

    // Topics: to all who have subscribed or will. Never waits. Any thread.
    void publish(std::string_view topic, std::string_view text);
    void publish_binary(std::string_view topic, Bytes bytes);
    void publish(const Publication &publication);
    std::error_code try_publish(std::string_view topic, std::string_view text) noexcept;
    std::error_code try_publish_binary(std::string_view topic, Bytes bytes) noexcept;
    std::error_code try_publish(const Publication &publication) noexcept;

    // Of all topics whose names begin with prefix, "" being all of them; the longest prefix counts.
    void configure_topics(std::string_view prefix, const TopicOptions &options);
    std::error_code try_configure_topics(std::string_view prefix,
                                         const TopicOptions &options) noexcept;

    size_t topic_subscribers(std::string_view topic) const noexcept;
    // Nothing: there is no such topic.
    std::optional<libwebsock_topic_statistics> topic_stats(std::string_view topic) const noexcept;

    // Other machines: libwebsock_use_redis or libwebsock_use_backplane, with context().

    // The same for the program itself, during run(): callback(timer) or callback(), each on a
    // worker of its own.
    template<detail::ForProgram Callback> Timer after(milliseconds delay, Callback callback);
    template<detail::ForProgram Callback> Timer every(milliseconds interval, Callback callback);
    template<detail::ForProgram Callback>
    std::error_code try_after(milliseconds delay, Callback callback, Timer &timer);
    template<detail::ForProgram Callback>
    std::error_code try_every(milliseconds interval, Callback callback, Timer &timer);

    // Counts of all kinds. All 0 in a child of the process that serves.
    libwebsock_statistics stats() const noexcept;

    // Writes a line to the log, as the library does.
    void log(LogLevel level, std::string_view text) noexcept;

    // For the functions of websock.h. It is freed with this Server.
    libwebsock_context *context() const noexcept { return context_; }

  private:
    template<typename Signature, typename Callback>
    static void set(detail::Function<Signature> &where, Callback callback);

    template<typename Callback>
    std::error_code start_timer(milliseconds first, milliseconds interval, Callback callback,
                                Timer &timer);

    void apply(const Settings &settings) noexcept;

    std::unique_ptr<detail::Callbacks> callbacks_;
    libwebsock_context *context_ = nullptr;
};

// The version of the library that is linked, "1.0.0".
inline std::string_view version() noexcept { return libwebsock_version_string(); }

//
// That is the interface. What follows is how it is done.
//

// --- Strings, errors and callables ---

namespace detail {

inline std::error_code error_of(int number) noexcept { return {number, std::generic_category()}; }

// Of a function of websock.h.
inline std::error_code error_of_result(int result) noexcept
{
    return result == 0 ? std::error_code() : error_of(errno);
}

inline void check(std::error_code error, const char *function)
{
    if (error)
        throw std::system_error(error, function);
}

// Of a function that logs what an errno value cannot say: a setting, a file, a line in it.
class LoggedError : public std::system_error
{
  public:
    LoggedError(std::error_code error, const char *function) : std::system_error(error, function)
    {
        (void)std::snprintf(what_, sizeof what_, "%s (the log says why)",
                            std::system_error::what());
    }
    const char *what() const noexcept override { return what_; }

  private:
    char what_[128]; // a string could not be copied without an exception
};

inline void check_logged(std::error_code error, const char *function)
{
    const int number = error.value();
    if (number == EBUSY || number == EPERM || number == ESHUTDOWN) // these say it all
        return check(error, function);
    if (error)
        throw LoggedError(error, function);
}

// A NUL-terminated copy of a string: on the stack, unless it is long.
class Terminated
{
  public:
    explicit Terminated(std::string_view text) noexcept
    {
        if (text.find('\0') != std::string_view::npos) {
            error_ = EINVAL;
            return;
        }
        if (text.size() >= sizeof short_) {
            long_.reset(new (std::nothrow) char[text.size() + 1]);
            error_ = long_ ? 0 : ENOMEM;
        }
        if (error_ == 0) {
            char *copy = long_ ? long_.get() : short_;
            text.copy(copy, text.size());
            copy[text.size()] = '\0';
        }
    }

    int error() const noexcept { return error_; }
    const char *c_str() const noexcept { return long_ ? long_.get() : short_; }

  private:
    char short_[256]; // more than a topic can have
    std::unique_ptr<char[]> long_;
    int error_ = 0;
};

// Calls function, of websock.h, with these strings.
template<typename Call, typename... Strings>
std::error_code call_with(Call function, const Strings &...strings) noexcept
{
    const auto call = [&](const auto &...terminated) {
        int error = 0;
        ((error = error != 0 ? error : terminated.error()), ...);
        return error != 0 ? error_of(error) : error_of_result(function(terminated.c_str()...));
    };
    return call(Terminated(strings)...);
}

inline std::string_view view(const char *text) noexcept
{
    return text ? std::string_view(text) : std::string_view();
}

// What fits into the int that websock.h has for times.
inline int clamped(milliseconds time) noexcept
{
    return time.count() < 0         ? -1
           : time.count() > INT_MAX ? INT_MAX
                                    : static_cast<int>(time.count());
}

// As the library says it of a callback in C. client may be null.
inline void report_thrown(libwebsock_context *context, libwebsock_client_state *client,
                          const char *callback, const char *what, int level) noexcept
{
    char line[512];
    (void)std::snprintf(line, sizeof line, "%s%s%s threw an exception: %s",
                        client ? libwebsock_peer(client) : "", client ? ": " : "", callback, what);
    (void)libwebsock_log(context, level, line);
    if (client)
        (void)libwebsock_close_with_reason(client, WS_CLOSE_UNEXPECTED_ERROR, nullptr);
}

// Calls function. Nothing may be thrown through C.
template<typename Function>
void guarded(libwebsock_context *context, libwebsock_client_state *client, const char *callback,
             Function &&function) noexcept
try {
    function();
} catch (const std::system_error &error) {
    // That a client has gone before it was sent something is no error of the server.
    const bool has_gone = client && error.code() == std::errc::not_connected;
    report_thrown(context, client, callback, error.what(),
                  has_gone ? LIBWEBSOCK_LOG_DEBUG : LIBWEBSOCK_LOG_ERROR);
} catch (const std::exception &exception) {
    report_thrown(context, client, callback, exception.what(), LIBWEBSOCK_LOG_ERROR);
} catch (...) {
    report_thrown(context, client, callback, "not a std::exception", LIBWEBSOCK_LOG_ERROR);
}

// Owns a callable of any type. A call is one through a pointer.
template<typename Result, typename... Arguments> class Function<Result(Arguments...)>
{
  public:
    Function() noexcept = default;

    template<typename Callable>
    explicit Function(Callable callable)
        : target_(new Callable(std::move(callable)),
                  [](void *target) { delete static_cast<Callable *>(target); }),
          call_([](void *target, Arguments... arguments) -> Result {
              return static_cast<Result>(std::invoke(*static_cast<Callable *>(target),
                                                     std::forward<Arguments>(arguments)...));
          })
    {
    }

    explicit operator bool() const noexcept { return call_ != nullptr; }

    Result operator()(Arguments... arguments) const
    {
        return call_(target_.get(), std::forward<Arguments>(arguments)...);
    }

  private:
    std::unique_ptr<void, void (*)(void *)> target_{nullptr, [](void *) {}};
    Result (*call_)(void *, Arguments...) = nullptr;
};

// Its address stands for T, in client->data.
template<typename T> inline char type_tag = 0;

// What client->data points to.
struct State {
    const char *type;
    void (*destroy)(State *);
};

template<typename T> struct StateOf : State {
    template<typename... Arguments>
    explicit StateOf(Arguments &&...arguments)
        : State{&type_tag<T>, [](State *state) { delete static_cast<StateOf *>(state); }},
          value(made(std::forward<Arguments>(arguments)...))
    {
    }
    T value;

  private:
    // As an aggregate, if it has no such constructor.
    template<typename... Arguments> static T made(Arguments &&...arguments)
    {
        if constexpr (std::is_constructible_v<T, Arguments...>)
            return T(std::forward<Arguments>(arguments)...);
        else
            return T{std::forward<Arguments>(arguments)...};
    }
};

inline void destroy_state(void *state) noexcept
{
    static_cast<State *>(state)->destroy(static_cast<State *>(state));
}

} // namespace detail

// --- What the library calls ---

namespace detail {

// A Client that is not counted, while the library itself holds the handle. As it is const, nobody
// can move from it: only a copy gets out, and that counts.
class Borrowed
{
  public:
    explicit Borrowed(libwebsock_client_state *state) noexcept { client_.state_ = state; }
    Borrowed(const Borrowed &) = delete;
    Borrowed &operator=(const Borrowed &) = delete;
    ~Borrowed() { client_.state_ = nullptr; }

    const Client &client() const noexcept { return client_; }

  private:
    Client client_;
};

// What a Server's callbacks are; context->user_data points here. Written before run(), then only
// read, but for users.
struct Callbacks {
    Function<void(const Client &)> open;
    Function<void(const Client &, std::string_view)> text;
    Function<void(const Client &, std::span<std::byte>)> binary;
    Function<void(const Client &, const CloseInfo &)> close;
    Function<int(const Client &, const Request &)> request;
    Function<void(const Client &, const Part &)> part;
    Function<void(Session &)> session;
    Function<void(const Client &)> drain;
    Function<void(const Client &, std::string_view, unsigned long long)> missed;
    Function<void(const Client &)> pong;
    Function<void(const Client &, const Frame &)> control;
    Function<void(const Client &, const Frame &)> frame_too_large;
    Function<void(const Published &)> published;
    Function<void(LogLevel, std::string_view)> log;

    // Clients that are open, and callbacks of nobody that run. If there are any when the context
    // has been freed, one of them did not return in time, and still needs this.
    std::atomic<size_t> users{0};

    static Callbacks &of(libwebsock_context *context) noexcept
    {
        return *static_cast<Callbacks *>(context->user_data);
    }
};

class User
{
  public:
    explicit User(Callbacks &callbacks) noexcept : callbacks_(callbacks) { ++callbacks_.users; }
    User(const User &) = delete;
    User &operator=(const User &) = delete;
    ~User() { --callbacks_.users; }

  private:
    Callbacks &callbacks_;
};

// Calls one of them for a client.
template<typename Callback, typename... Arguments>
int run(libwebsock_client_state *state, const char *name, Callback Callbacks::*callback,
        const Arguments &...arguments) noexcept
{
    guarded(state->ctx, state, name, [&] {
        const Borrowed borrowed(state);
        (Callbacks::of(state->ctx).*callback)(borrowed.client(), arguments...);
    });
    return 0;
}

// What the library calls.

inline int onopen(libwebsock_client_state *state) noexcept
{
    ++Callbacks::of(state->ctx).users;
    return Callbacks::of(state->ctx).open ? run(state, "on_open", &Callbacks::open) : 0;
}

inline int onclose(libwebsock_client_state *state) noexcept
{
    Callbacks &callbacks = Callbacks::of(state->ctx);
    if (callbacks.close)
        run(state, "on_close", &Callbacks::close, CloseInfo(*state->close_info));
    --callbacks.users;
    return 0;
}

inline int onmessage(libwebsock_client_state *state, libwebsock_message *raw) noexcept
{
    const Callbacks &callbacks = Callbacks::of(state->ctx);
    const Message message(*raw);
    if (message.is_text() && callbacks.text)
        return run(state, "on_message", &Callbacks::text, message.text());
    if (!message.is_text() && callbacks.binary)
        return run(state, "on_binary", &Callbacks::binary, message.bytes());
    return libwebsock_close_with_reason(state, WS_CLOSE_NOT_ALLOWED,
                                        message.is_text() ? "binary messages only"
                                                          : "text messages only");
}

inline int onrequest(libwebsock_client_state *state, const libwebsock_request *request) noexcept
{
    const User user(Callbacks::of(state->ctx));
    int status = 500;
    guarded(state->ctx, state, "on_request", [&] {
        const Borrowed borrowed(state);
        status = Callbacks::of(state->ctx).request(borrowed.client(), Request(request));
    });
    return status;
}

inline int onpart(libwebsock_client_state *state, libwebsock_part *part) noexcept
{
    return run(state, "on_part", &Callbacks::part, Part(*part));
}

inline int onsession(libwebsock_client_state *state) noexcept
{
    guarded(state->ctx, state, "on_session", [&] {
        Session session(state);
        Callbacks::of(state->ctx).session(session);
    });
    return 0;
}

inline int ondrain(libwebsock_client_state *state) noexcept
{
    return run(state, "on_drain", &Callbacks::drain);
}

inline int onmissed(libwebsock_client_state *state, const char *topic,
                    unsigned long long messages) noexcept
{
    return run(state, "on_missed", &Callbacks::missed, std::string_view(topic), messages);
}

inline int onpong(libwebsock_client_state *state) noexcept
{
    return run(state, "on_pong", &Callbacks::pong);
}

inline int oncontrol(libwebsock_client_state *state, libwebsock_frame *frame) noexcept
{
    return run(state, "on_control", &Callbacks::control, Frame(*frame));
}

inline int onframetoolarge(libwebsock_client_state *state, libwebsock_frame *frame) noexcept
{
    return run(state, "on_frame_too_large", &Callbacks::frame_too_large, Frame(*frame));
}

inline void onpublished(libwebsock_context *context,
                        const libwebsock_publication *publication) noexcept
{
    const User user(Callbacks::of(context));
    guarded(context, nullptr, "on_published",
            [&] { Callbacks::of(context).published(Published(*publication)); });
}

// What it throws cannot be logged.
inline void onlog(libwebsock_context *context, int level, const char *text) noexcept
try {
    const User user(Callbacks::of(context));
    Callbacks::of(context).log(static_cast<LogLevel>(level), std::string_view(text));
} catch (...) {
}

// A callable that will be called once, or now and then: for a client, or for the program.
template<typename Callback> struct Task {
    libwebsock_context *context;
    const char *name;
    Callback callback;

    static void run(libwebsock_client_state *state, void *arg) noexcept
    {
        auto &task = *static_cast<Task *>(arg);
        guarded(task.context, state, task.name, [&] {
            if constexpr (std::invocable<Callback &, const Client &>) {
                const Borrowed borrowed(state);
                std::invoke(task.callback, borrowed.client());
            } else {
                std::invoke(task.callback);
            }
        });
    }

    static void destroy(void *arg) noexcept { delete static_cast<Task *>(arg); }
};

// Makes one, and hands it to start, which returns whether it has taken it.
template<typename Callback, typename Start>
std::error_code start_task(libwebsock_context *context, const char *name, Callback callback,
                           Start start)
{
    static_assert(std::invocable<Callback &> || std::invocable<Callback &, const Client &>,
                  "the callable takes nothing, or its client; that of a timer also its Timer");
    std::unique_ptr<Task<Callback>> task(new (std::nothrow)
                                             Task<Callback>{context, name, std::move(callback)});
    if (!task)
        return error_of(ENOMEM);
    if (!start(&Task<Callback>::run, task.get(), &Task<Callback>::destroy))
        return error_of(errno);
    (void)task.release();
    return {};
}

// A timer of a client that is to be started; or of the program, if client is null.
class NewTimer
{
  public:
    NewTimer(libwebsock_context *context, libwebsock_client_state *client, milliseconds first,
             milliseconds interval) noexcept
        : context_(context), client_(client), first_(clamped(first)), interval_(clamped(interval))
    {
    }

    template<typename Callback> std::error_code start(Callback callback, Timer &timer) const
    {
        const auto start_it = [&](auto call, void *task, auto destroy) {
            timer = Timer(context_, libwebsock_start_timer(context_, client_, first_, interval_,
                                                           call, task, destroy));
            return static_cast<bool>(timer);
        };
        return start_task(context_, "a timer", std::move(callback), start_it);
    }

    // Of a callable that takes its timer.
    template<typename Callback>
    std::error_code start_with_timer(Callback callback, Timer &timer) const
    try {
        const auto number = std::make_shared<Number>();
        const std::error_code error =
            start(WithTimer<Callback>{context_, number, std::move(callback)}, timer);
        number->set(timer.number_);
        return error;
    } catch (const std::bad_alloc &) {
        return error_of(ENOMEM);
    }

  private:
    // It is known only when libwebsock_start_timer has returned. The first call may be earlier, and
    // waits for it: for microseconds. Shared, as the timer may be over before it is known.
    class Number
    {
      public:
        void set(unsigned long long number) noexcept
        {
            number_ = number;
            known_.count_down();
        }
        unsigned long long get() const noexcept
        {
            known_.wait();
            return number_;
        }

      private:
        unsigned long long number_ = 0;
        std::latch known_{1};
    };

    template<typename Callback> struct WithTimer {
        libwebsock_context *context;
        std::shared_ptr<const Number> number;
        Callback callback;

        void operator()(const Client &client)
        {
            const Timer timer(context, number->get());
            if constexpr (std::invocable<Callback &, const Client &, Timer>)
                std::invoke(callback, client, timer);
            else
                std::invoke(callback, timer);
        }
    };

    libwebsock_context *context_;
    libwebsock_client_state *client_;
    int first_;
    int interval_;
};

// Whether after() and every() of a Client call it with its timer. A generic callable is asked in
// this order, as its body may only compile for what it gets.
template<typename Callback>
concept TakesTimer = std::invocable<Callback &, const Client &, Timer> ||
    (!std::invocable<Callback &, const Client &> && std::invocable<Callback &, Timer>);

} // namespace detail

inline std::optional<std::string_view> Request::header(std::string_view name) const noexcept
{
    const char *value = nullptr;
    (void)detail::call_with(
        [&](const char *terminated) {
            value = libwebsock_request_header(request_, terminated);
            return 0;
        },
        name);
    return value ? std::optional<std::string_view>(value) : std::nullopt;
}

inline std::optional<std::string> Request::query_parameter(std::string_view name) const
{
    return value_of(&libwebsock_query_parameter, name, query().size());
}

inline std::optional<std::string> Request::cookie(std::string_view name) const
{
    return value_of(&libwebsock_cookie, name, header("Cookie").value_or("").size());
}

template<std::invocable<std::string_view, std::string_view> Function>
void Request::for_each_header(Function function) const
{
    struct Visit {
        Function &function;
        std::exception_ptr thrown;
    } visit{function, nullptr};
    const auto step = [](void *arg, const char *name, const char *value) noexcept -> int {
        auto &state = *static_cast<Visit *>(arg);
        try {
            state.function(std::string_view(name), std::string_view(value));
            return 0;
        } catch (...) {
            state.thrown = std::current_exception();
            return 1; // no more
        }
    };
    (void)libwebsock_each_header(request_, step, &visit);
    if (visit.thrown)
        std::rethrow_exception(visit.thrown);
}

inline std::string_view Request::body() const noexcept
{
    return {static_cast<const char *>(request_->body), request_->body_len};
}

inline std::optional<std::string> Request::value_of(Getter get, std::string_view name,
                                                    size_t longest) const
{
    std::string value(longest + 1, '\0');
    const auto fill = [&](const char *terminated) {
        return get(request_, terminated, value.data(), value.size());
    };
    if (detail::call_with(fill, name))
        return std::nullopt;
    value.resize(std::strlen(value.c_str()));
    return value;
}

inline std::string_view Published::id() const noexcept { return detail::view(publication_->id); }

inline std::string_view Published::key() const noexcept { return detail::view(publication_->key); }

inline std::string_view Published::text() const noexcept
{
    return {static_cast<const char *>(publication_->payload), publication_->payload_len};
}

// --- Clients ---

inline Client &Client::operator=(Client other) noexcept
{
    std::swap(state_, other.state_);
    return *this;
}

inline Client::~Client()
{
    if (state_)
        libwebsock_release(state_);
}

inline void Client::send(std::string_view text) const { detail::check(try_send(text), "send"); }

inline std::error_code Client::try_send(std::string_view text) const noexcept
{
    return detail::error_of_result(
        libwebsock_send_text_with_length(state_, characters(text), text.size()));
}

inline void Client::send_binary(Bytes bytes) const
{
    detail::check(try_send_binary(bytes), "send_binary");
}

inline std::error_code Client::try_send_binary(Bytes bytes) const noexcept
{
    return detail::error_of_result(libwebsock_send_binary(state_, bytes.data(), bytes.size()));
}

inline void Client::send(const Message &message) const { detail::check(try_send(message), "send"); }

inline std::error_code Client::try_send(const Message &message) const noexcept
{
    return message.is_text() ? try_send(message.text()) : try_send_binary(message.bytes());
}

inline void Client::queue(std::string_view text) const { detail::check(try_queue(text), "queue"); }

inline std::error_code Client::try_queue(std::string_view text) const noexcept
{
    return detail::error_of_result(libwebsock_queue_text(state_, characters(text), text.size()));
}

inline void Client::queue_binary(Bytes bytes) const
{
    detail::check(try_queue_binary(bytes), "queue_binary");
}

inline std::error_code Client::try_queue_binary(Bytes bytes) const noexcept
{
    return detail::error_of_result(libwebsock_queue_binary(state_, bytes.data(), bytes.size()));
}

inline void Client::send_fragment(Bytes bytes, int flags) const
{
    detail::check(try_send_fragment(bytes, flags), "send_fragment");
}

inline std::error_code Client::try_send_fragment(Bytes bytes, int flags) const noexcept
{
    return detail::error_of_result(
        libwebsock_send_fragment(state_, bytes.data(), bytes.size(), flags));
}

inline void Client::send_fragment(std::string_view text, int flags) const
{
    send_fragment(std::as_bytes(std::span(text)), flags);
}

inline std::error_code Client::try_send_fragment(std::string_view text, int flags) const noexcept
{
    return try_send_fragment(std::as_bytes(std::span(text)), flags);
}

inline void Client::send_file(unsigned opcode, int fd, unsigned long long offset,
                              unsigned long long size) const
{
    detail::check(try_send_file(opcode, fd, offset, size), "send_file");
}

inline std::error_code Client::try_send_file(unsigned opcode, int fd, unsigned long long offset,
                                             unsigned long long size) const noexcept
{
    return detail::error_of_result(libwebsock_send_file(state_, opcode, fd, offset, size));
}

inline void Client::ping() const { detail::check(try_ping(), "ping"); }

inline std::error_code Client::try_ping() const noexcept
{
    return detail::error_of_result(libwebsock_ping(state_));
}

inline void Client::close(int code, std::string_view reason) const
{
    detail::check(try_close(code, reason), "close");
}

inline std::error_code Client::try_close(int code, std::string_view reason) const noexcept
{
    if (code < 0 || code > 0xffff)
        return detail::error_of(EINVAL);
    const auto close_it = [&](const char *why) {
        return libwebsock_close_with_reason(state_, static_cast<unsigned short>(code), why);
    };
    return detail::call_with(close_it, reason);
}

inline void Client::abort(std::string_view why) const { detail::check(try_abort(why), "abort"); }

inline std::error_code Client::try_abort(std::string_view why) const noexcept
{
    return detail::call_with([&](const char *text) { return libwebsock_abort(state_, text); }, why);
}

inline int Client::gone_fd() const
{
    const int fd = libwebsock_gone_fd(state_);
    detail::check(detail::error_of_result(fd < 0 ? -1 : 0), "gone_fd");
    return fd;
}

inline void Client::subscribe(std::string_view topic, const Subscription &subscription) const
{
    detail::check(try_subscribe(topic, subscription), "subscribe");
}

inline std::error_code Client::try_subscribe(std::string_view topic,
                                             const Subscription &subscription) const noexcept
{
    const auto subscribe_it = [&](const char *name, const char *after_id) {
        libwebsock_subscription wanted{};
        wanted.size = sizeof wanted;
        wanted.history = subscription.history;
        wanted.after_id = subscription.after_id.empty() ? nullptr : after_id;
        wanted.no_echo = subscription.no_echo ? 1 : 0;
        return libwebsock_subscribe(state_, name, &wanted);
    };
    return detail::call_with(subscribe_it, topic, subscription.after_id);
}

inline void Client::unsubscribe(std::string_view topic) const
{
    detail::check(try_unsubscribe(topic), "unsubscribe");
}

inline std::error_code Client::try_unsubscribe(std::string_view topic) const noexcept
{
    const auto end_it = [&](const char *name) { return libwebsock_unsubscribe(state_, name); };
    return detail::call_with(end_it, topic);
}

template<typename T, typename... Arguments> T &Client::emplace(Arguments &&...arguments) const
{
    detail::check(detail::error_of(state_ ? 0 : EINVAL), "emplace");
    auto *state = new detail::StateOf<T>(std::forward<Arguments>(arguments)...);
    libwebsock_set_data(state_, static_cast<detail::State *>(state), &detail::destroy_state);
    return state->value;
}

template<typename T> T &Client::state() const
{
    T *found = find_state<T>();
    if (!found)
        throw std::bad_cast();
    return *found;
}

template<typename T> T *Client::find_state() const noexcept
{
    auto *state = state_ ? static_cast<detail::State *>(state_->data) : nullptr;
    return state && state->type == &detail::type_tag<T>
               ? &static_cast<detail::StateOf<T> *>(state)->value
               : nullptr;
}

template<typename Callback> void Client::post(Callback callback) const
{
    detail::check(try_post(std::move(callback)), "post");
}

template<typename Callback> Timer Client::after(milliseconds delay, Callback callback) const
{
    Timer timer;
    detail::check(try_after(delay, std::move(callback), timer), "after");
    return timer;
}

template<typename Callback> Timer Client::every(milliseconds interval, Callback callback) const
{
    Timer timer;
    detail::check(try_every(interval, std::move(callback), timer), "every");
    return timer;
}

inline void Client::set_limit(Limit limit, unsigned long long value) const
{
    detail::check(try_set_limit(limit, value), "set_limit");
}

inline std::error_code Client::try_set_limit(Limit limit, unsigned long long value) const noexcept
{
    return detail::error_of_result(libwebsock_set_limit(state_, static_cast<int>(limit), value));
}

inline void Client::serve_as(Style style) const { detail::check(try_serve_as(style), "serve_as"); }

inline void Client::wake() const { detail::check(try_wake(), "wake"); }

inline std::error_code Client::try_wake() const noexcept
{
    return detail::error_of_result(libwebsock_wake(state_));
}

inline void Client::accept_protocol(std::string_view name) const
{
    detail::check(try_accept_protocol(name), "accept_protocol");
}

inline std::error_code Client::try_accept_protocol(std::string_view name) const noexcept
{
    const auto accept_it = [&](const char *wanted) {
        return libwebsock_accept_protocol(state_, wanted);
    };
    return detail::call_with(accept_it, name);
}

inline void Client::refuse_compression() const
{
    detail::check(try_refuse_compression(), "refuse_compression");
}

inline std::error_code Client::try_refuse_compression() const noexcept
{
    return detail::error_of_result(libwebsock_refuse_compression(state_));
}

inline void Client::add_response_header(std::string_view name, std::string_view value) const
{
    detail::check(try_add_response_header(name, value), "add_response_header");
}

inline std::error_code Client::try_add_response_header(std::string_view name,
                                                       std::string_view value) const noexcept
{
    const auto add = [&](const char *header, const char *content) {
        return libwebsock_add_response_header(state_, header, content);
    };
    return detail::call_with(add, name, value);
}

inline void Client::respond(int status, std::string_view content_type, std::string_view body) const
{
    detail::check(try_respond(status, content_type, body), "respond");
}

inline std::error_code Client::try_respond(int status, std::string_view content_type,
                                           std::string_view body) const noexcept
{
    const auto answer = [&](const char *type) {
        return libwebsock_respond(state_, status, *type ? type : nullptr, body.data(), body.size());
    };
    return detail::call_with(answer, content_type);
}

inline std::string_view Client::peer() const noexcept
{
    return detail::view(libwebsock_peer(state_));
}

inline std::optional<libwebsock_compression_info> Client::compression_info() const noexcept
{
    libwebsock_compression_info info{};
    info.size = sizeof info;
    return libwebsock_client_compression(state_, &info) == 0 ? std::optional(info) : std::nullopt;
}

inline const char *Client::characters(std::string_view text) noexcept
{
    return text.data() ? text.data() : "";
}

template<typename Callback> std::error_code Client::try_post(Callback callback) const
{
    if (!state_)
        return detail::error_of(EINVAL);
    const auto start = [&](auto call, void *task, auto destroy) {
        return libwebsock_post_with(state_, call, task, destroy) == 0;
    };
    return detail::start_task(state_->ctx, "what was posted", std::move(callback), start);
}

template<typename Callback>
std::error_code Client::try_after(milliseconds delay, Callback callback, Timer &timer) const
{
    return start_timer(delay, milliseconds(0), std::move(callback), timer);
}

template<typename Callback>
std::error_code Client::try_every(milliseconds interval, Callback callback, Timer &timer) const
{
    if (interval <= milliseconds(0))
        return detail::error_of(EINVAL);
    return start_timer(interval, interval, std::move(callback), timer);
}

template<typename Callback>
std::error_code Client::start_timer(milliseconds first, milliseconds interval, Callback callback,
                                    Timer &timer) const
{
    if (!state_)
        return detail::error_of(EINVAL);
    const detail::NewTimer wanted(state_->ctx, state_, first, interval);
    if constexpr (detail::TakesTimer<Callback>)
        return wanted.start_with_timer(std::move(callback), timer);
    else
        return wanted.start(std::move(callback), timer);
}

inline std::error_code Client::try_serve_as(Style style) const noexcept
{
    if (!state_)
        return detail::error_of(EINVAL);
    // 0 is no status: that says EINVAL in on_request, and EPERM elsewhere.
    (void)libwebsock_respond(state_, 0, nullptr, nullptr, 0);
    if (errno == EPERM)
        return detail::error_of(EPERM);
    const detail::Callbacks &callbacks = detail::Callbacks::of(state_->ctx);
    if ((style == Style::session && !callbacks.session) ||
        (style == Style::parts && !callbacks.part))
        return detail::error_of(EINVAL);
    state_->onsession = style == Style::session ? &detail::onsession : nullptr;
    state_->onpart = style == Style::parts ? &detail::onpart : nullptr;
    return {};
}

// --- Sessions ---

inline Receipt<Message> Session::receive(milliseconds timeout) const
{
    return receive_for(detail::clamped(std::max(timeout, milliseconds(0))));
}

inline Receipt<Part> Session::receive_part(milliseconds timeout) const
{
    return receive_part_for(detail::clamped(std::max(timeout, milliseconds(0))));
}

inline Receipt<Message> Session::receive_for(int timeout_ms) const
{
    libwebsock_message message{};
    const int result = libwebsock_receive(handle(), &message, timeout_ms);
    return made<Message>(result, Message(message));
}

inline Receipt<Part> Session::receive_part_for(int timeout_ms) const
{
    libwebsock_part part{};
    const int result = libwebsock_receive_part(handle(), &part, timeout_ms);
    return made<Part>(result, Part(part));
}

template<typename Received> Receipt<Received> Session::made(int result, const Received &received)
{
    const int error = result == -1 ? errno : 0;
    if (error != 0 && error != ETIMEDOUT && error != EINTR)
        throw std::system_error(detail::error_of(error), "receive");
    return Receipt<Received>(result, error, received);
}

inline Session::Iterator Session::begin() const { return Iterator(*this, {}); }
inline Session::Messages Session::messages(std::stop_token stop) const
{
    return Messages(*this, std::move(stop));
}

// --- Servers ---

inline Server::Server(const Settings &settings)
    : callbacks_(std::make_unique<detail::Callbacks>()),
      context_(libwebsock_init(nullptr, nullptr, 0))
{
    if (!context_)
        detail::check(detail::error_of(errno), "websock::Server");
    context_->user_data = callbacks_.get();
    context_->onopen = detail::onopen;
    context_->onclose = detail::onclose;
    context_->onmessage = nullptr;
    context_->onframetoolarge = nullptr;
    apply(settings);
}

inline Server::Server(Server &&other) noexcept
    : callbacks_(std::move(other.callbacks_)), context_(std::exchange(other.context_, nullptr))
{
}

inline Server &Server::operator=(Server &&other) noexcept
{
    Server moved(std::move(other));
    std::swap(callbacks_, moved.callbacks_);
    std::swap(context_, moved.context_);
    return *this;
}

inline Server::~Server()
{
    libwebsock_free(context_);
    if (callbacks_ && callbacks_->users != 0)
        (void)callbacks_.release(); // one of them is still running
}

template<std::invocable<const Client &, const Request &> Callback>
void Server::on_request(Callback callback)
{
    using Result = std::invoke_result_t<Callback &, const Client &, const Request &>;
    static_assert(std::is_void_v<Result> || std::is_same_v<Result, int>,
                  "on_request returns a status as int, or nothing");
    set(callbacks_->request,
        [target = std::move(callback)](const Client &client, const Request &request) mutable {
            if constexpr (std::is_void_v<Result>) {
                std::invoke(target, client, request);
                return accepted;
            } else {
                return std::invoke(target, client, request);
            }
        });
    context_->onrequest = detail::onrequest;
}

template<std::invocable<const Client &> Callback> void Server::on_open(Callback callback)
{
    set(callbacks_->open, std::move(callback));
}

template<std::invocable<const Client &, std::string_view> Callback>
void Server::on_message(Callback callback)
{
    set(callbacks_->text, std::move(callback));
    context_->onmessage = detail::onmessage;
}

template<std::invocable<const Client &, std::span<std::byte>> Callback>
void Server::on_binary(Callback callback)
{
    set(callbacks_->binary, std::move(callback));
    context_->onmessage = detail::onmessage;
}

template<std::invocable<const Client &, const Part &> Callback>
void Server::on_part(Callback callback)
{
    set(callbacks_->part, std::move(callback));
    context_->onpart = detail::onpart;
}

template<typename Callback>
requires std::invocable<Callback &, Session> || std::invocable<Callback &, Session &>
void Server::on_session(Callback callback)
{
    set(callbacks_->session, [target = std::move(callback)](Session &session) mutable {
        if constexpr (std::invocable<Callback &, Session &>)
            std::invoke(target, session);
        else
            std::invoke(target, std::move(session));
    });
    context_->onsession = detail::onsession;
}

template<std::invocable<const Client &> Callback> void Server::on_drain(Callback callback)
{
    set(callbacks_->drain, std::move(callback));
    context_->ondrain = detail::ondrain;
}

template<std::invocable<const Client &, std::string_view, unsigned long long> Callback>
void Server::on_missed(Callback callback)
{
    set(callbacks_->missed, std::move(callback));
    context_->onmissed = detail::onmissed;
}

template<std::invocable<const Client &> Callback> void Server::on_pong(Callback callback)
{
    set(callbacks_->pong, std::move(callback));
    context_->onpong = detail::onpong;
}

template<std::invocable<const Client &, const Frame &> Callback>
void Server::on_control(Callback callback)
{
    set(callbacks_->control, std::move(callback));
    context_->control_callback = detail::oncontrol;
}

template<std::invocable<const Client &, const Frame &> Callback>
void Server::on_frame_too_large(Callback callback)
{
    set(callbacks_->frame_too_large, std::move(callback));
    context_->onframetoolarge = detail::onframetoolarge;
}

template<std::invocable<const Client &, const CloseInfo &> Callback>
void Server::on_close(Callback callback)
{
    set(callbacks_->close, std::move(callback));
}

template<std::invocable<const Published &> Callback> void Server::on_published(Callback callback)
{
    set(callbacks_->published, std::move(callback));
    context_->onpublished = detail::onpublished;
}

template<std::invocable<LogLevel, std::string_view> Callback> void Server::on_log(Callback callback)
{
    set(callbacks_->log, std::move(callback));
    context_->onlog = detail::onlog;
}

inline void Server::listen(std::string_view host, const Port &port)
{
    detail::check_logged(try_listen(host, port), "listen");
}

inline std::error_code Server::try_listen(std::string_view host, const Port &port) noexcept
{
    const auto bind = [&](const char *name) {
        return libwebsock_bind(context_, name, port.name().c_str());
    };
    return detail::call_with(bind, host);
}

inline void Server::listen(std::string_view host, const Port &port, const TlsOptions &options)
{
    detail::check_logged(try_listen(host, port, options), "listen");
}

inline void Server::adopt(int fd) { detail::check(try_adopt(fd), "adopt"); }

inline std::error_code Server::try_adopt(int fd) noexcept
{
    return detail::error_of_result(libwebsock_bind_socket(context_, fd));
}

inline void Server::reload_certificates()
{
    detail::check_logged(try_reload_certificates(), "reload_certificates");
}

inline std::error_code Server::try_reload_certificates() noexcept
{
    return detail::error_of_result(libwebsock_reload_ssl(context_));
}

inline void Server::run() { detail::check_logged(try_run(), "run"); }

inline std::error_code Server::try_run() noexcept
{
    return detail::error_of_result(libwebsock_wait(context_));
}

inline void Server::send_all(std::string_view text)
{
    detail::check(try_send_all(text), "send_all");
}

inline std::error_code Server::try_send_all(std::string_view text) noexcept
{
    const auto send = [&](const char *message) {
        return libwebsock_send_all_text(context_, message);
    };
    return detail::call_with(send, text);
}

inline void Server::send_all_binary(Bytes bytes)
{
    detail::check(try_send_all_binary(bytes), "send_all_binary");
}

inline std::error_code Server::try_send_all_binary(Bytes bytes) noexcept
{
    return detail::error_of_result(
        libwebsock_send_all_binary(context_, bytes.data(), bytes.size()));
}

inline void Server::publish(std::string_view topic, std::string_view text)
{
    publish({.topic = topic, .text = text});
}

inline void Server::publish_binary(std::string_view topic, Bytes bytes)
{
    detail::check(try_publish_binary(topic, bytes), "publish_binary");
}

inline void Server::publish(const Publication &publication)
{
    detail::check(try_publish(publication), "publish");
}

inline std::error_code Server::try_publish(std::string_view topic, std::string_view text) noexcept
{
    return try_publish({.topic = topic, .text = text});
}

inline std::error_code Server::try_publish_binary(std::string_view topic, Bytes bytes) noexcept
{
    const auto publish_it = [&](const char *name) {
        return libwebsock_publish_binary(context_, name, bytes.data(), bytes.size());
    };
    return detail::call_with(publish_it, topic);
}

inline void Server::configure_topics(std::string_view prefix, const TopicOptions &options)
{
    detail::check(try_configure_topics(prefix, options), "configure_topics");
}

inline std::error_code Server::try_configure_topics(std::string_view prefix,
                                                    const TopicOptions &options) noexcept
{
    libwebsock_topic_options wanted{};
    wanted.size = sizeof wanted;
    wanted.history_messages = options.history_messages;
    wanted.history_bytes = options.history_bytes;
    wanted.history_ms = detail::clamped(options.history_time);
    wanted.when_behind = static_cast<int>(options.when_behind);
    const auto configure = [&](const char *name) {
        return libwebsock_configure_topics(context_, name, &wanted);
    };
    return detail::call_with(configure, prefix);
}

inline size_t Server::topic_subscribers(std::string_view topic) const noexcept
{
    size_t count = 0;
    const auto ask = [&](const char *name) {
        count = libwebsock_topic_subscribers(context_, name);
        return 0;
    };
    (void)detail::call_with(ask, topic);
    return count;
}

inline std::optional<libwebsock_topic_statistics>
Server::topic_stats(std::string_view topic) const noexcept
{
    libwebsock_topic_statistics stats{};
    stats.size = sizeof stats;
    const auto ask = [&](const char *name) {
        return libwebsock_topic_stats(context_, name, &stats);
    };
    return detail::call_with(ask, topic) ? std::nullopt : std::optional(stats);
}

template<detail::ForProgram Callback> Timer Server::after(milliseconds delay, Callback callback)
{
    Timer timer;
    detail::check(try_after(delay, std::move(callback), timer), "after");
    return timer;
}

template<detail::ForProgram Callback> Timer Server::every(milliseconds interval, Callback callback)
{
    Timer timer;
    detail::check(try_every(interval, std::move(callback), timer), "every");
    return timer;
}

template<detail::ForProgram Callback>
std::error_code Server::try_after(milliseconds delay, Callback callback, Timer &timer)
{
    return start_timer(delay, milliseconds(0), std::move(callback), timer);
}

template<detail::ForProgram Callback>
std::error_code Server::try_every(milliseconds interval, Callback callback, Timer &timer)
{
    if (interval <= milliseconds(0))
        return detail::error_of(EINVAL);
    return start_timer(interval, interval, std::move(callback), timer);
}

inline libwebsock_statistics Server::stats() const noexcept
{
    libwebsock_statistics stats{};
    stats.size = sizeof stats;
    (void)libwebsock_stats(context_, &stats);
    return stats;
}

inline void Server::log(LogLevel level, std::string_view text) noexcept
{
    const auto write = [&](const char *line) {
        return libwebsock_log(context_, static_cast<int>(level), line);
    };
    (void)detail::call_with(write, text);
}

template<typename Signature, typename Callback>
void Server::set(detail::Function<Signature> &where, Callback callback)
{
    where = detail::Function<Signature>(std::move(callback));
}

template<typename Callback>
std::error_code Server::start_timer(milliseconds first, milliseconds interval, Callback callback,
                                    Timer &timer)
{
    const detail::NewTimer wanted(context_, nullptr, first, interval);
    if constexpr (std::invocable<Callback &, Timer>)
        return wanted.start_with_timer(std::move(callback), timer);
    else
        return wanted.start(std::move(callback), timer);
}

inline std::error_code Server::try_listen(std::string_view host, const Port &port,
                                          const TlsOptions &options) noexcept
try {
    const auto given = [](const std::string &text) {
        return text.empty() ? nullptr : text.c_str();
    };
    std::vector<libwebsock_tls_host> hosts;
    for (const TlsHost &other : options.hosts)
        hosts.push_back(
            {other.host.c_str(), given(other.key), given(other.certificate), given(other.chain)});
    libwebsock_tls_options wanted{};
    wanted.size = sizeof wanted;
    wanted.keyfile = given(options.key);
    wanted.certfile = given(options.certificate);
    wanted.chainfile = given(options.chain);
    wanted.client_ca_file = given(options.client_ca);
    wanted.client_certificate_demanded = options.client_certificate_demanded ? 1 : 0;
    wanted.min_version = options.min_version;
    wanted.ciphers = given(options.ciphers);
    wanted.ciphersuites = given(options.ciphersuites);
    wanted.hosts = hosts.data();
    wanted.host_count = hosts.size();
    const auto bind = [&](const char *name) {
        return libwebsock_bind_tls(context_, name, port.name().c_str(), &wanted);
    };
    return detail::call_with(bind, host);
} catch (const std::bad_alloc &) {
    return detail::error_of(ENOMEM);
}

inline std::error_code Server::try_publish(const Publication &publication) noexcept
{
    const bool is_binary = publication.binary.data() != nullptr;
    const auto publish_it = [&](const char *topic, const char *id, const char *key) {
        libwebsock_publication wanted{};
        wanted.size = sizeof wanted;
        wanted.topic = topic;
        wanted.opcode = is_binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT;
        wanted.payload = is_binary ? static_cast<const void *>(publication.binary.data())
                         : publication.text.data() ? publication.text.data()
                                                   : "";
        wanted.payload_len = is_binary ? publication.binary.size() : publication.text.size();
        wanted.id = publication.id.empty() ? nullptr : id;
        wanted.key = publication.key.empty() ? nullptr : key;
        wanted.publisher = publication.publisher.handle();
        wanted.flags = publication.uncompressed ? LIBWEBSOCK_UNCOMPRESSED : 0;
        return libwebsock_publish(context_, &wanted);
    };
    return detail::call_with(publish_it, publication.topic, publication.id, publication.key);
}

inline void Server::apply(const Settings &settings) noexcept
{
    const auto set = [](auto &field, const auto &value) {
        if (value)
            field = static_cast<std::remove_reference_t<decltype(field)>>(*value);
    };
    const auto set_ms = [](int &field, const std::optional<milliseconds> &time) {
        if (time)
            field = detail::clamped(*time);
    };
    libwebsock_context &context = *context_;
    set_ms(context.handshake_timeout_ms, settings.handshake_timeout);
    set_ms(context.idle_timeout_ms, settings.idle_timeout);
    set_ms(context.send_timeout_ms, settings.send_timeout);
    set_ms(context.close_timeout_ms, settings.close_timeout);
    set_ms(context.drain_timeout_ms, settings.drain_timeout);
    set_ms(context.message_timeout_ms, settings.message_timeout);
    set(context.max_connections, settings.max_connections);
    set(context.max_handshakes, settings.max_handshakes);
    set(context.max_handshake_bytes, settings.max_handshake_bytes);
    set(context.max_request_body, settings.max_request_body);
    set(context.max_frame_payload, settings.max_frame_payload);
    set(context.max_message_payload, settings.max_message_payload);
    set(context.max_queued_bytes, settings.max_queued_bytes);
    set(context.max_topics, settings.max_topics);
    set(context.max_topic_bytes, settings.max_topic_bytes);
    set(context.max_subscriptions_per_client, settings.max_subscriptions_per_client);
    set(context.max_workers, settings.max_workers);
    set(context.worker_stack_bytes, settings.worker_stack_bytes);
    set(context.connection_stack_bytes, settings.connection_stack_bytes);
    set(context.send_buffer_bytes, settings.send_buffer_bytes);
    set(context.close_trace_frames, settings.close_trace_frames);
    set(context.concurrent_events, settings.concurrent_events);
    set(context.handle_signals, settings.handle_signals);
    context.compression = settings.compression.level != 0 ? 1 : 0;
    if (settings.compression.level != 0)
        context.compression_level = settings.compression.level;
    set(context.compression_threshold, settings.compression.threshold);
    set(context.compression_history, settings.compression.history);
    set(context.compression_window_bits, settings.compression.window_bits);
}

} // namespace websock

template<> struct std::hash<websock::Client> {
    size_t operator()(const websock::Client &client) const noexcept
    {
        return std::hash<libwebsock_client_state *>()(client.handle());
    }
};

#endif // C++20

#endif
