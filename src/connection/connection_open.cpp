// connection_open.cpp: a connection's thread until there is a WebSocket connection: TLS, the
// request, onrequest, the answer; all under one deadline from accept to 101. See connection.h.
#include "connection/connection.h"

#include "base/escape.h"
#include "connection/engine.h"

#include <cstring>

namespace websock {

namespace {

// Of a peer that has sent nothing, such as a health check: worth no line.
constexpr int kSilent = LIBWEBSOCK_LOG_DEBUG;

constexpr size_t kNamedBytes = 128; // of a path, in the log

std::string_view as_text(std::span<const uint8_t> bytes)
{
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

} // namespace

// The opening handshake, RFC 6455 4.2. False: there is no WebSocket connection.
bool Connection::open()
{
    const TimePoint deadline =
        accepted_at_ + std::chrono::milliseconds(engine_.settings.handshake_timeout_ms);
    HeaderScanner scanner(engine_.settings.max_handshake_bytes);
    if (!secure(deadline) || !read_request(scanner, deadline))
        return false;
    const bool takes_bodies = engine_.settings.onrequest && engine_.settings.max_request_body > 0;
    const Refusal refusal =
        request_.parse(as_text(buffer_.unread()).substr(0, scanner.length()),
                       takes_bodies ? Request::Bodies::accepted : Request::Bodies::refused);
    buffer_.consume(scanner.length());
    public_request_ = {.method = request_.method(),
                       .path = request_.path(),
                       .query = request_.query(),
                       .is_websocket = request_.is_websocket(),
                       .priv = &request_,
                       .body = "",
                       .body_len = 0};
    if (refusal.status != 0)
        return refuse(refusal, Refused::request, deadline);
    if (takes_bodies && !request_.is_websocket() && !read_body(deadline))
        return false;
    HookAnswer answer;
    if (engine_.settings.onrequest && !ask_hook(answer, deadline))
        return false;
    return answer_request(answer, deadline);
}

// The TLS handshake, if there is one.
bool Connection::secure(TimePoint deadline)
{
    Transport::Opening opening = transport_.open(
        deadline, [this] { (void)engine_.registry.advance(*this, Registry::Opening::peer); });
    if (opening.result == Transport::Opening::plaintext)
        return refuse({400, "this port speaks TLS: use https:// or wss://"}, Refused::tls,
                      deadline);
    if (opening.result != Transport::Opening::ready) {
        ending_ = {.peer_is_told = opening.result == Transport::Opening::refused,
                   .refused = opening.silent && !opening.late ? Refused::gone : Refused::tls,
                   .log_level = opening.silent ? kSilent : LIBWEBSOCK_LOG_INFO,
                   .reason = "TLS handshake: " + opening.why};
        return false;
    }
    tls_ = std::move(opening.tls);
    if (tls_)
        public_tls_ = {.version = tls_->version,
                       .cipher = tls_->cipher,
                       .server_name = tls_->server_name.c_str(),
                       .client_subject = tls_->client_subject.c_str(),
                       .resumed = tls_->resumed};
    return !tls_ || engine_.registry.advance(*this, Registry::Opening::peer);
}

bool Connection::read_request(HeaderScanner &scanner, TimePoint deadline)
{
    for (;;) {
        const HeaderScanner::Result result = scanner.scan(as_text(buffer_.unread()));
        if (result == HeaderScanner::Result::complete)
            return true;
        if (result == HeaderScanner::Result::refused)
            return refuse(scanner.refusal(), Refused::request, deadline);
        if (await_request_bytes(deadline))
            continue;
        if (scanner.length() == 0)
            ending_.log_level = kSilent;
        return false;
    }
}

// What follows the headers of plain HTTP. False: it is refused, or did not come.
bool Connection::read_body(TimePoint deadline)
{
    const libwebsock_context &settings = engine_.settings;
    body_ = std::make_unique<RequestBody>(settings.max_request_body, settings.max_handshake_bytes);
    RequestBody::Result result = body_->begin(request_);
    // RFC 9110 10.1.1: who has sent some of it does not wait.
    if (result == RequestBody::Result::need_more && buffer_.unread().empty() &&
        expects_continue(request_) && !write_answer(kContinue, deadline))
        return false;
    for (;;) {
        if (result == RequestBody::Result::refused)
            return refuse(body_->refusal(), Refused::request, deadline);
        if (result == RequestBody::Result::complete)
            break;
        size_t used = 0;
        result = body_->take(as_text(buffer_.unread()), used);
        buffer_.consume(used);
        if (result == RequestBody::Result::need_more && !await_request_bytes(deadline))
            return false;
    }
    buffer_.relax(); // it may be large by now, and nothing more is read before the answer
    public_request_.body = body_->data();
    public_request_.body_len = body_->size();
    return true;
}

// False: none have come, and the connection is over.
bool Connection::await_request_bytes(TimePoint deadline)
{
    const int left_ms = ms_until(deadline);
    const Read read = left_ms > 0 ? read_more(0, left_ms) : Read::timed_out;
    if (read == Read::timed_out)
        (void)refuse({408, "no complete request in time"}, Refused::late, deadline);
    return read == Read::bytes;
}

// Has a worker run onrequest, and waits for its answer.
bool Connection::ask_hook(HookAnswer &answer, TimePoint deadline)
{
    if (!engine_.registry.advance(*this, Registry::Opening::program) ||
        !add_event({.kind = Event::request}) || !queue_events())
        return false;
    const bool answered = hook_.wait(answer, deadline);
    // The peer's turn: it is to read the answer.
    (void)engine_.registry.advance(*this, Registry::Opening::peer);
    return answered || refuse({503, "onrequest did not answer in time"}, Refused::late, deadline);
}

bool Connection::answer_request(const HookAnswer &hook, TimePoint deadline)
{
    const bool has_body = hook.status != 0;
    if (hook.returned == 0 && !has_body) {
        if (!request_.is_websocket())
            return refuse({426, "this is a WebSocket server"}, Refused::request, deadline,
                          hook.headers);
        return upgrade(hook, deadline);
    }
    int status = hook.status;
    Ending ending{.refused = Refused::plain_http,
                  .log_level = LIBWEBSOCK_LOG_DEBUG,
                  .reason = "answered " + std::to_string(status) + " to plain HTTP"};
    // RFC 6455 4.2.2: "If the server does not wish to accept this connection, it MUST return ..."
    // RFC 6455 4.2.2: "If the requested service is not available, the server MUST send ..."
    if (hook.returned != 0) {
        status = hook.returned >= 400 && hook.returned <= 599 ? hook.returned : 500;
        ending = {.refused = Refused::onrequest,
                  .reason = "onrequest returned " + std::to_string(hook.returned) + ": " +
                            std::string(shortened(request_.method(), kNamedBytes)) + " " +
                            std::string(shortened(request_.path(), kNamedBytes))};
    }
    return end_with(plain_response(status,
                                   has_body ? hook.content_type : "text/plain; charset=utf-8",
                                   has_body ? hook.body : std::string(status_text(status)) + "\n",
                                   hook.headers, request_.is_head(), time_of_day()),
                    std::move(ending), deadline);
}

bool Connection::upgrade(const HookAnswer &hook, TimePoint deadline)
{
    std::string extensions;
    std::unique_ptr<SendCompression> compression = agree_on_compression(hook, extensions);
    const std::string response =
        upgrade_response(request_, hook.protocol, extensions, hook.headers, time_of_day());
    // First, so that no connection makes room once it has been told 101.
    if (!engine_.registry.advance(*this, Registry::Opening::over))
        return false;
    if (outbox_.open(response, deadline, std::move(compression)) != 0) {
        ending_ = {.by = Ending::peer_gone,
                   .reason = "the peer left before its handshake was answered"};
        return false;
    }
    upgraded_ = true;
    wants_parts_ = handle_.onpart != nullptr;
    wants_session_ = handle_.onsession != nullptr;
    if (inflation_) {
        open_inflation_.store(inflation_.get(), std::memory_order_release);
        engine_.compression.connection_begins();
    }
    buffer_.relax();
    engine_.log.write(LIBWEBSOCK_LOG_DEBUG, "%s: open, %s%s%s", peer_.c_str(), request_.path(),
                      extensions.empty() ? "" : ", ", extensions.c_str());
    return begin_callbacks();
}

bool Connection::refuse(const Refusal &refusal, Refused as, TimePoint deadline,
                        const ExtraHeaders &extra)
{
    return end_with(
        refusal_response(refusal, request_.is_head(), extra, time_of_day()),
        {.refused = as,
         .reason = "refused with " + std::to_string(refusal.status) + ": " + refusal.reason},
        deadline);
}

// Gives the last answer there will be. Always false: there is no WebSocket connection.
// RFC 6455 7.2.2: "... the server MUST simply _Close the WebSocket Connection_ ..."
bool Connection::end_with(const std::string &response, Ending ending, TimePoint deadline)
{
    ending_ = std::move(ending);
    ending_.peer_is_told = write_answer(response, deadline);
    return false;
}

bool Connection::write_answer(std::string_view answer, TimePoint deadline)
{
    iovec part{const_cast<char *>(answer.data()), answer.size()};
    if (const int error = transport_.write_all({&part, 1}, deadline); error != 0) {
        ending_.reason = std::string("write: ") + std::strerror(error);
        return false;
    }
    outbox_.count_bytes(answer.size());
    return true;
}

} // namespace websock
