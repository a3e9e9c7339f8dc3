// connection.cpp: fuzz target: a whole connection over a socket pair, from the request to
// onclose, with a server that lives as long as the process. What the server delivers and
// answers is compared with what the reference reads in the same bytes.
//
// Input: a byte of choices (below), the chunk lengths, what the client sends. A chunk is sent
// once the server has taken the one before. Binary messages that begin with one of the letters
// in act() make a callback do something other than echo.
#include "http.h"
#include "inflater.h"
#include "reference.h"

#include "server/context.h"

#include <cerrno>
#include <linux/sockios.h>
#include <mutex>
#include <poll.h>
#include <sched.h>
#include <stdexcept>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace fuzz;

namespace {

constexpr uint8_t kRaw = 1;         // what the client sends has no request in front
constexpr uint8_t kOther = 2;       // the server with concurrent_events and a hook
constexpr uint8_t kHardClose = 4;   // the client closes without reading to the end
constexpr uint8_t kCompresses = 8;  // the client offers permessage-deflate
constexpr uint8_t kNoTakeover = 16; // and that no message refers to another

constexpr size_t kMostChunks = 48;
constexpr int kPatienceMs = 10000; // ms; whatever takes longer never ends

constexpr PlainLimits kSmallLimits = {1000, 3000};
constexpr PlainLimits kDefaultLimits = {16 << 20, 16 << 20};

constexpr std::string_view kRequest = "GET /chat?room=1 HTTP/1.1\r\n"
                                      "Host: localhost\r\n"
                                      "Upgrade: websocket\r\n"
                                      "Connection: Upgrade\r\n"
                                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                      "Sec-WebSocket-Protocol: chat, other\r\n"
                                      "Sec-WebSocket-Version: 13\r\n";
constexpr std::string_view kOffer = "Sec-WebSocket-Extensions: permessage-deflate";
constexpr std::string_view kForgetful = "; client_no_context_takeover; server_no_context_takeover";

bool compresses(uint8_t choices) { return (choices & (kRaw | kCompresses)) == kCompresses; }

bool has_takeover(uint8_t choices) { return (choices & kNoTakeover) == 0; }

std::string request_with(uint8_t choices)
{
    std::string request(kRequest);
    if (compresses(choices))
        request.append(kOffer).append(has_takeover(choices) ? "" : kForgetful).append("\r\n");
    return request + "\r\n";
}

struct Message {
    unsigned opcode;
    std::string payload;
    auto operator<=>(const Message &) const = default;
};

// What the callbacks of the only connection have seen.
struct Seen {
    std::mutex mutex;
    unsigned opened = 0;
    unsigned closed = 0;
    unsigned too_large = 0;
    unsigned out_of_order = 0; // callbacks before onopen or after onclose
    std::vector<Message> messages;
    std::vector<Message> controls;
    unsigned short close_code = 0;
    libwebsock_client_state *retained = nullptr;
};
Seen *seen;

std::unique_lock<std::mutex> seen_while_open()
{
    std::unique_lock lock(seen->mutex);
    seen->out_of_order += seen->opened != 1 || seen->closed != 0;
    return lock;
}

bool is_command(const Message &message)
{
    return message.opcode == WS_OPCODE_BINARY && !message.payload.empty() &&
           std::string_view("CFPATR").find(message.payload[0]) != std::string_view::npos;
}

void retain(libwebsock_client_state *client)
{
    std::unique_lock lock(seen->mutex);
    if (!seen->retained)
        seen->retained = libwebsock_retain(client);
}

void act(libwebsock_client_state *client, const Message &command)
{
    const std::string rest = command.payload.substr(1);
    const auto byte = [&](size_t i) { return i < rest.size() ? static_cast<uint8_t>(rest[i]) : 0; };
    switch (command.payload[0]) {
    case 'C': {
        const auto code = static_cast<unsigned short>(byte(0) * 256 + byte(1));
        const std::string reason = rest.substr(std::min<size_t>(rest.size(), 2));
        (void)libwebsock_close_with_reason(client, code, reason.c_str());
        return;
    }
    case 'F':
        (void)libwebsock_send_fragment(client, rest.data(), rest.size(), byte(0));
        return;
    case 'P':
        (void)libwebsock_ping(client);
        return;
    case 'A':
        (void)libwebsock_send_all_binary(client->ctx, rest.data(), rest.size());
        return;
    case 'T':
        throw std::runtime_error("as the client asked");
    case 'R':
        return retain(client);
    default: // nothing
        return;
    }
}

int onmessage(libwebsock_client_state *client, libwebsock_message *msg)
{
    require(msg->payload[msg->payload_len] == '\0', "a payload has no NUL after it");
    const Message message{msg->opcode, {msg->payload, msg->payload + msg->payload_len}};
    {
        const auto lock = seen_while_open();
        seen->messages.push_back(message);
    }
    if (is_command(message))
        act(client, message);
    else if (message.opcode == WS_OPCODE_TEXT)
        (void)libwebsock_send_text_with_length(client, msg->payload, msg->payload_len);
    else
        (void)libwebsock_send_binary(client, msg->payload, msg->payload_len);
    return 0;
}

int onopen(libwebsock_client_state *)
{
    std::unique_lock lock(seen->mutex);
    ++seen->opened;
    return 0;
}

int onclose(libwebsock_client_state *client)
{
    const auto lock = seen_while_open();
    ++seen->closed;
    seen->close_code = client->close_info->code;
    const std::string reason = client->close_info->reason;
    require(judge_text(bytes_of(reason)).valid(reason.size()), "a close reason is not UTF-8");
    return 0;
}

int onframetoolarge(libwebsock_client_state *, libwebsock_frame *)
{
    const auto lock = seen_while_open();
    ++seen->too_large;
    return 0;
}

int control_callback(libwebsock_client_state *, libwebsock_frame *frame)
{
    const auto lock = seen_while_open();
    seen->controls.push_back(
        {frame->opcode, {frame->payload, frame->payload + frame->payload_len}});
    return 0;
}

int onrequest(libwebsock_client_state *client, const libwebsock_request *request)
{
    const std::string_view path = request->path;
    (void)libwebsock_accept_protocol(client, "chat");
    if (path == "/h")
        (void)libwebsock_add_response_header(client, "X-Query", request->query);
    if (path == "/p")
        (void)libwebsock_respond(client, 200, "text/plain", path.data(), path.size());
    return path == "/4" ? 404 : 0;
}

// What a client sends must not pass for separate lines in a log file.
void onlog(libwebsock_context *, int, const char *text)
{
    for (; *text != '\0'; ++text)
        require(static_cast<unsigned char>(*text) >= 0x20 && *text != 0x7f,
                "a control character in the log");
}

class Server
{
  public:
    explicit Server(PlainLimits given, bool other)
        : limits(given), ctx(libwebsock_init(nullptr, nullptr, given.frame))
    {
        require(ctx != nullptr, "no context");
        ctx->max_message_payload = limits.message;
        ctx->compression = 1;
        ctx->compression_threshold = 1;
        ctx->onopen = onopen;
        ctx->onmessage = onmessage;
        ctx->onclose = onclose;
        ctx->onframetoolarge = onframetoolarge;
        ctx->control_callback = control_callback;
        ctx->onlog = onlog;
        if (other) {
            ctx->concurrent_events = 1;
            ctx->onrequest = onrequest;
        } else {
            ctx->max_handshake_bytes = 2048;
            ctx->max_queued_bytes = 2000;
        }
    }
    ~Server() { libwebsock_free(ctx); }
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    void serve(int fd) { require(libwebsock_bind_socket(ctx, fd) == 0, "a socket is refused"); }

    // Returns after onclose has run and the connection's thread has ended.
    void wait_for_end()
    {
        websock::Registry &registry = websock::Context::of(ctx)->engine().registry;
        require(registry.wait_until_empty(websock::in_ms(kPatienceMs)),
                "a connection outlives its client");
    }

    const PlainLimits limits;

  private:
    libwebsock_context *const ctx;
};

// The client's end of the socket pair. It reads whatever comes while it sends or waits.
class Client
{
  public:
    explicit Client(Server &server)
    {
        int ends[2];
        require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no socket pair");
        fd_ = ends[0];
        server.serve(ends[1]);
    }

    void send(Bytes bytes)
    {
        while (!bytes.empty() && !ended_) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN)
                return; // the server has closed; what it sent is still to be read
            bytes = bytes.subspan(static_cast<size_t>(std::max<ssize_t>(n, 0)));
            if (n < 0)
                await(POLLIN | POLLOUT);
            receive();
        }
    }

    // Returns when the server has read what was sent.
    void wait_until_taken()
    {
        const websock::TimePoint deadline = websock::in_ms(kPatienceMs);
        int unread = 1;
        while (!ended_ && ioctl(fd_, SIOCOUTQ, &unread) == 0 && unread > 0) {
            require(websock::ms_until(deadline) > 0, "the server does not read");
            sched_yield();
            receive();
        }
    }

    void half_close_and_read()
    {
        shutdown(fd_, SHUT_WR);
        while (!ended_) {
            await(POLLIN);
            receive();
        }
        close(fd_);
    }

    void close_now() { close(fd_); }

    const std::string &received() const { return received_; }

  private:
    void await(short events)
    {
        pollfd entry{.fd = fd_, .events = events, .revents = 0};
        int ready = 0;
        do
            ready = poll(&entry, 1, kPatienceMs);
        while (ready < 0 && errno == EINTR);
        require(ready > 0, "the server neither reads, sends nor closes");
    }

    void receive()
    {
        char block[16384];
        ssize_t n = 0;
        while ((n = recv(fd_, block, sizeof block, MSG_DONTWAIT)) > 0)
            received_.append(block, static_cast<size_t>(n));
        ended_ = n == 0 || errno != EAGAIN;
    }

    int fd_ = -1;
    bool ended_ = false;
    std::string received_;
};

// What the reference reads in the client's frames.
struct Expected {
    std::vector<Message> messages;
    std::vector<Message> controls;
    bool too_large = false;
    uint16_t fails_with = 0;                    // what the server closes with; 0: it does not
    unsigned short close_code = WS_CLOSE_DIRTY; // as onclose is told
    bool commands = false;                      // callbacks do something other than echo
};

// False for a Close frame, after which nothing counts.
bool expect_frame(Expected &expected, const PlainFrame &frame, std::string &message)
{
    if (frame.opcode < WS_OPCODE_CLOSE) {
        message += frame.payload;
        if (!frame.fin)
            return true;
        expected.messages.push_back({frame.message_opcode, message});
        expected.commands = expected.commands || is_command(expected.messages.back());
        message.clear();
        return true;
    }
    const Bytes payload = bytes_of(frame.payload);
    if (frame.opcode != WS_OPCODE_CLOSE || plain_close_code(payload) != 0)
        expected.controls.push_back({frame.opcode, frame.payload});
    if (frame.opcode != WS_OPCODE_CLOSE)
        return true;
    const uint16_t code = plain_close_code(payload);
    const bool bad_code =
        code == 0 && (payload.size() < 2 || plain_close_code(payload.first(2)) == 0);
    expected.fails_with = code != 0 ? code : bad_code ? 1002 : 1007;
    expected.close_code = code != 0 ? code : static_cast<unsigned short>(WS_CLOSE_DIRTY);
    return false;
}

Expected expect(Bytes frames, PlainLimits limits, uint8_t choices)
{
    Expected expected;
    PlainReader reader(frames, true, limits, compresses(choices));
    PlainInflater inflater(has_takeover(choices), limits.message);
    PlainFrame frame;
    std::string message;
    while (reader.next(frame)) {
        if (frame.kind == PlainFrame::frame && frame.compressed)
            expected.fails_with = inflater.feed(frame);
        if (expected.fails_with != 0)
            break;
        if (frame.kind == PlainFrame::frame && expect_frame(expected, frame, message))
            continue;
        expected.too_large = frame.kind == PlainFrame::too_large;
        if (frame.kind != PlainFrame::frame)
            expected.fails_with = expected.too_large ? 1009 : frame.close_code;
        break;
    }
    return expected;
}

// What the server sent after the 101.
struct Sent {
    std::vector<Message> messages;
    std::vector<Message> controls;
    bool closes = false;
    uint16_t close_code = 0;
};

Sent read_frames(Bytes stream, uint8_t choices)
{
    Sent sent;
    PlainReader reader(stream, false, {UINT32_MAX, UINT32_MAX}, compresses(choices));
    PlainInflater inflater(has_takeover(choices), UINT32_MAX);
    PlainFrame frame;
    std::string message;
    while (reader.next(frame)) {
        require(frame.kind == PlainFrame::frame, "the server sent an invalid frame");
        require(!sent.closes, "the server sent a frame after its Close frame");
        require(!frame.compressed || inflater.feed(frame) == 0,
                "the server sent a compressed message that cannot be read");
        if (frame.opcode == WS_OPCODE_CLOSE) {
            sent.closes = true;
            sent.close_code = plain_close_code(bytes_of(frame.payload));
            require(sent.close_code != 0, "the server sent an invalid Close frame");
        } else if (frame.opcode > WS_OPCODE_CLOSE) {
            sent.controls.push_back({frame.opcode, frame.payload});
        } else {
            message += frame.payload;
            if (frame.fin)
                sent.messages.push_back({frame.message_opcode, message});
            if (frame.fin)
                message.clear();
        }
    }
    require(reader.rest().empty(), "the server sent half a frame");
    return sent;
}

// Whether whole begins with part or, without order, contains all of it.
bool is_front(std::vector<Message> part, std::vector<Message> whole, bool in_order)
{
    if (!in_order) {
        std::sort(part.begin(), part.end());
        std::sort(whole.begin(), whole.end());
        return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
    }
    return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

// commands may have closed the connection from our side, and a hard close cuts off what was
// still to be sent: then less than everything is seen.
void compare(const Expected &expected, const Sent *sent, bool in_order)
{
    require(is_front(seen->messages, expected.messages, in_order),
            "messages are delivered that the client did not send");
    require(is_front(seen->controls, expected.controls, true),
            "control frames are delivered that the client did not send");
    if (!sent || expected.commands)
        return;
    require(seen->messages.size() == expected.messages.size(), "a message is not delivered");
    require(seen->controls.size() == expected.controls.size(), "a control frame is not delivered");
    require(seen->too_large == (expected.too_large ? 1 : 0),
            "onframetoolarge ran too often or not at all");
    require(seen->close_code == expected.close_code, "onclose is told a different code");
    require(sent->closes == (expected.fails_with != 0) && sent->close_code == expected.fails_with,
            "the server closes with a different code");
    require(is_front(sent->messages, expected.messages, in_order),
            "an echo differs from its message");
    for (const Message &pong : sent->controls) {
        require(pong.opcode == WS_OPCODE_PONG, "the server sent a ping");
        const Message ping{WS_OPCODE_PING, pong.payload};
        require(std::find(expected.controls.begin(), expected.controls.end(), ping) !=
                    expected.controls.end(),
                "a pong answers no ping");
    }
}

// Everything that the server sent to a client that reads to the end.
std::unique_ptr<Sent> read_sent(const std::string &received, bool head_request, uint8_t choices)
{
    if (received.empty())
        return nullptr;
    const Answer answer = read_answer(received);
    if (answer.status == 101)
        return std::make_unique<Sent>(read_frames(bytes_of(std::string(answer.rest)), choices));
    require(answer.has_length, "an answer has no length");
    require(answer.rest.size() == (head_request && answer.rest.empty() ? 0 : answer.content_length),
            "a body's length is not as announced");
    return nullptr;
}

void check_retained()
{
    if (!seen->retained)
        return;
    require(libwebsock_send_text(seen->retained, "late") == -1 && errno == ENOTCONN,
            "a handle of a closed connection can be sent to");
    require(libwebsock_close(seen->retained) == -1 && errno == ENOTCONN,
            "a handle of a closed connection can be closed");
    libwebsock_release(seen->retained);
}

Server &server_of(uint8_t choices)
{
    static Server small(kSmallLimits, false);
    static Server other(kDefaultLimits, true);
    return (choices & kOther) != 0 ? other : small;
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const uint8_t choices = input.byte();
    Chunking chunking(input);
    const Bytes stream = input.rest();
    const bool raw = (choices & kRaw) != 0;
    const bool hard_close = (choices & kHardClose) != 0;

    Seen fresh;
    seen = &fresh;
    Server &server = server_of(choices);
    Client client(server);
    std::string pending(raw ? "" : request_with(choices));
    size_t chunks = 0;
    for (size_t at = 0; at < stream.size(); ++chunks) {
        const size_t left = stream.size() - at;
        const size_t len = chunks < kMostChunks ? chunking.next(left) : left;
        pending += text_of(stream.subspan(at, len));
        at += len;
        client.send(bytes_of(pending));
        pending.clear();
        if (at < stream.size())
            client.wait_until_taken();
    }
    client.send(bytes_of(pending)); // the request, if nothing follows it
    if (hard_close)
        client.close_now();
    else
        client.half_close_and_read();
    server.wait_for_end();

    require(fresh.opened <= 1 && fresh.closed == fresh.opened, "onclose does not match onopen");
    require(fresh.out_of_order == 0, "a callback before onopen or after onclose");
    check_retained();
    std::unique_ptr<Sent> sent;
    if (!hard_close) {
        const bool head_request = text_of(stream).starts_with("HEAD ");
        sent = read_sent(client.received(), head_request, choices);
        require((fresh.opened == 1) == (sent != nullptr), "onopen does not match the 101");
    }
    if (!raw)
        compare(expect(stream, server.limits, choices), sent.get(), (choices & kOther) == 0);
    seen = nullptr;
    return 0;
}
