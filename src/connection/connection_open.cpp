// connection_open.cpp: a connection's thread until there is a WebSocket connection: the
// request, the hook, the answer; all under one deadline from accept to 101. See
// connection.h.
#include "connection/connection.h"

#include "base/escape.h"
#include "connection/engine.h"

#include <cstring>

namespace websock {

namespace {

// A load balancer that looks for life, or a connection that a browser has made to have it:
// nothing that a line should be spent on.
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
    const Refusal refusal = request_.parse(as_text(buffer_.unread()).substr(0, scanner.length()));
    buffer_.consume(scanner.length());
    public_request_ = {.method = request_.method(),
                       .path = request_.path(),
                       .query = request_.query(),
                       .is_websocket = request_.is_websocket(),
                       .priv = &request_};
    if (refusal.status != 0)
        return refuse(refusal, Refused::request, deadline);
    HookAnswer answer;
    if (engine_.settings.onrequest && !ask_hook(answer, deadline))
        return false;
    return answer_request(answer, deadline);
}

// False: it makes room for another connection. Whoever is with the program need not.
bool Connection::advance(Registry::Opening to) { return engine_.registry.advance(*this, to); }

// The TLS handshake, if there is one.
bool Connection::secure(TimePoint deadline)
{
    Transport::Opening opening =
        transport_.open(deadline, [this] { (void)advance(Registry::Opening::peer); });
    switch (opening.result) {
    case Transport::Opening::ready:
        break;
    case Transport::Opening::plaintext:
        return refuse({400, "this port speaks TLS: use https:// or wss://"}, Refused::tls,
                      deadline);
    case Transport::Opening::refused:
        polite_ = true;
        [[fallthrough]];
    case Transport::Opening::gone:
        end_reason_ = "TLS handshake: " + opening.why;
        if (!opening.silent || opening.late)
            refused_ = Refused::tls;
        if (opening.silent)
            end_level_ = kSilent;
        return false;
    }
    tls_ = std::move(opening.tls);
    if (tls_)
        public_tls_ = {.version = tls_->version,
                       .cipher = tls_->cipher,
                       .server_name = tls_->server_name.c_str(),
                       .client_subject = tls_->client_subject.c_str(),
                       .resumed = tls_->resumed};
    return !tls_ || advance(Registry::Opening::peer);
}

bool Connection::read_request(HeaderScanner &scanner, TimePoint deadline)
{
    for (;;) {
        const HeaderScanner::Result result = scanner.scan(as_text(buffer_.unread()));
        if (result == HeaderScanner::Result::complete)
            return true;
        if (result == HeaderScanner::Result::refused)
            return refuse(scanner.refusal(), Refused::request, deadline);
        const int left_ms = ms_until(deadline);
        const Read read = left_ms > 0 ? receive(0, left_ms) : Read::timed_out;
        if (read != Read::bytes && scanner.length() == 0)
            end_level_ = kSilent;
        if (read == Read::timed_out)
            return refuse({408, "no complete request in time"}, Refused::late, deadline);
        if (read == Read::ended)
            return false;
    }
}

// Has a worker run onrequest, and waits for what it says.
bool Connection::ask_hook(HookAnswer &answer, TimePoint deadline)
{
    if (!advance(Registry::Opening::program) ||
        !queue({.kind = Event::request, .chunk = nullptr}) || !hand_over())
        return false;
    const bool answered = hook_.wait(deadline);
    (void)advance(Registry::Opening::peer); // which is to read the answer
    if (!answered)
        return refuse({503, "onrequest did not answer in time"}, Refused::late, deadline);
    answer = hook_.take();
    return true;
}

bool Connection::answer_request(const HookAnswer &hook, TimePoint deadline)
{
    const bool head_only = request_.is_head();
    if (hook.verdict != 0) {
        const bool valid = hook.verdict >= 400 && hook.verdict <= 599;
        const int status = valid ? hook.verdict : 500;
        end_reason_ = "onrequest returned " + std::to_string(hook.verdict) + ": ";
        end_reason_.append(shortened(request_.method(), kNamedBytes)).append(" ");
        end_reason_.append(shortened(request_.path(), kNamedBytes));
        const bool has_body = hook.status != 0;
        return end_with(
            plain_response(status, has_body ? hook.content_type : "text/plain; charset=utf-8",
                           has_body ? hook.body : std::string(status_text(status)) + "\n",
                           hook.headers, head_only),
            Refused::onrequest, deadline);
    }
    if (hook.status != 0) {
        end_reason_ = "answered " + std::to_string(hook.status) + " to plain HTTP";
        end_level_ = LIBWEBSOCK_LOG_DEBUG;
        return end_with(
            plain_response(hook.status, hook.content_type, hook.body, hook.headers, head_only),
            Refused::plain_http, deadline);
    }
    if (!request_.is_websocket())
        return refuse({426, "this is a WebSocket server"}, Refused::request, deadline,
                      hook.headers);
    return upgrade(upgrade_response(request_, hook.protocol, hook.headers), deadline);
}

bool Connection::upgrade(const std::string &response, TimePoint deadline)
{
    // First, so that nobody who has been told 101 is made to go.
    if (!advance(Registry::Opening::over))
        return false;
    if (outbox_.open(response, deadline) != 0) {
        end_reason_ = "it was gone before its handshake was answered";
        return false;
    }
    upgraded_ = true;
    buffer_.relax();
    engine_.log.write(LIBWEBSOCK_LOG_DEBUG, "%s: open, %s", peer_.c_str(), request_.path());
    return queue({.kind = Event::open, .chunk = nullptr}) && hand_over();
}

bool Connection::refuse(const Refusal &refusal, Refused as, TimePoint deadline,
                        const ExtraHeaders &extra)
{
    end_reason_ = "refused with " + std::to_string(refusal.status) + ": " + refusal.reason;
    return end_with(refusal_response(refusal, request_.is_head(), extra), as, deadline);
}

// Gives the last answer there will be. Always false: there is no WebSocket connection.
bool Connection::end_with(const std::string &response, Refused as, TimePoint deadline)
{
    refused_ = as;
    polite_ = write(response, deadline);
    return false;
}

bool Connection::write(const std::string &response, TimePoint deadline)
{
    iovec part{const_cast<char *>(response.data()), response.size()};
    const int error = transport_.write_all({&part, 1}, deadline);
    if (error != 0) {
        end_reason_ = std::string("write: ") + std::strerror(error);
        return false;
    }
    outbox_.count_bytes(response.size());
    return true;
}

} // namespace websock
