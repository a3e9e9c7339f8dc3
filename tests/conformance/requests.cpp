// requests.cpp: see requests.h.
#include "requests.h"

#include "exchange.h"
#include "protocol/handshake.h"
#include "styles.h"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>

namespace conformance {

namespace {

constexpr size_t kMaxHandshake = 16384; // the default of max_handshake_bytes

int answer_request(test::Scene &, libwebsock_client_state *client,
                   const libwebsock_request *request)
{
    const std::string_view path(request->path);
    if (path == "/chat" && request->is_websocket &&
        libwebsock_accept_protocol(client, "chat.v2") == -1)
        (void)libwebsock_accept_protocol(client, "chat.v1");
    return path == "/forbidden" ? 403 : path == "/missing" ? 404 : 0;
}

// The status the library's parser arrives at: 101 for a valid upgrade, 426 for plain HTTP.
int parsed_status(const std::string &bytes, const Cuts &cuts)
{
    websock::HeaderScanner scanner(kMaxHandshake);
    auto result = websock::HeaderScanner::Result::need_more;
    for (size_t i = 0; i <= cuts.size(); i++) {
        const size_t end = i < cuts.size() ? cuts[i] : bytes.size();
        result = scanner.scan(std::string_view(bytes).substr(0, end));
    }
    if (result == websock::HeaderScanner::Result::need_more)
        return 0;
    if (result == websock::HeaderScanner::Result::refused)
        return scanner.refusal().status;
    websock::Request request;
    const websock::Refusal refusal = request.parse(bytes.substr(0, scanner.length()));
    return refusal.status != 0 ? refusal.status : request.is_websocket() ? 101 : 426;
}

void replay(const Request &wanted)
{
    const int wanted_status = wanted.is_valid ? 101 : std::stoi(wanted.status);
    for (const Cuts &cuts : deliveries(wanted.bytes.size(), {.cuts = 300, .bytewise = 10000}))
        if (const int status = parsed_status(wanted.bytes, cuts); status != wanted_status)
            throw std::runtime_error("parser: " + name_of(cuts) + ": " + std::to_string(status));
}

std::string accepted(const Request &wanted, const std::string &date)
{
    std::string head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: " +
                       wanted.accept + "\r\n";
    for (const std::string &line : wanted.lines)
        head += line;
    return head + "Date: " + date + "\r\n\r\n";
}

// The whole 101, to the byte, so that no line can be there twice.
// RFC 6455 4.2.2: "... MUST reply with a valid HTTP response indicating the following."
// RFC 6455 11.3.2: "... |Sec-WebSocket-Extensions| header field MUST NOT appear more than once ..."
// RFC 6455 11.3.3: "The |Sec-WebSocket-Accept| header MUST NOT appear more than once ..."
// RFC 6455 11.3.4: "... |Sec-WebSocket-Protocol| header field MUST NOT appear more than once ..."
void check_head(const Request &wanted, const test::HttpAnswer &answer)
{
    const std::string date = answer.header("Date"); // RFC 9110 5.6.7: of 29 characters
    if (date.size() != 29 || !date.ends_with(" GMT"))
        throw std::runtime_error("no Date in " + answer.head);
    if (answer.status == 101 && wanted.status.starts_with("101")) {
        if (answer.head != accepted(wanted, date))
            throw std::runtime_error("another 101: " + answer.head);
        return;
    }
    if (!answer.head.starts_with("HTTP/1.1 " + wanted.status + "\r\n"))
        throw std::runtime_error("answered " + answer.head);
    for (const std::string &line : wanted.lines)
        if (answer.head.find("\r\n" + line) == std::string::npos)
            throw std::runtime_error("no " + line + " in " + answer.head);
    const std::string connection = answer.header("Connection");
    if (connection != (answer.status == 426 ? "Upgrade, close" : "close"))
        throw std::runtime_error("Connection: " + connection);
    if (!answer.header("Sec-WebSocket-Accept").empty())
        throw std::runtime_error("a refusal that accepts");
}

void try_request(test::Server &server, const Request &wanted, const Cuts &cuts)
{
    // RFC 6455 4.2.2: "... all further communication ... MUST run through the encrypted tunnel ..."
    test::Client client(server.port(), {.tls = {.verify = false}});
    send_in_pieces(server, client, wanted.bytes, cuts, [&] { return client.has_input(); });
    const bool is_head = wanted.bytes.starts_with("HEAD ");
    const test::HttpAnswer answer = client.receive_http(!is_head);
    check_head(wanted, answer);
    if (answer.status == 101) {
        client.send_text("Hello");
        if (client.receive_text() != "Hello")
            throw std::runtime_error("no echo behind the 101");
        client.send_close(1000);
        if (client.receive_close().code != 1000)
            throw std::runtime_error("no Close");
    } else if (!is_head && answer.header("Content-Length") != std::to_string(answer.body.size())) {
        throw std::runtime_error("Content-Length: " + answer.header("Content-Length"));
    }
    // RFC 6455 7.2.2: "... the server MUST simply _Close the WebSocket Connection_ ..."
    client.expect_eof();
}

} // namespace

void try_requests(const std::vector<Request> &requests, bool compression)
{
    const Thoroughness thoroughness =
        in_this_style({.cuts = test::over_tls() ? 4u : 40u, .bytewise = 300});
    const test::Behaviour behaviour = in_style({.settings =
                                                    [=](libwebsock_context *context) {
                                                        context->compression = compression;
                                                        context->compression_window_bits = 12;
                                                    },
                                                .onmessage = test::echo,
                                                .onrequest = answer_request});
    std::vector<std::unique_ptr<test::Server>> servers(kLanes);
    std::vector<size_t> tried(kLanes);
    for (auto &server : servers)
        server = std::make_unique<test::Server>(behaviour);
    auto work = [&](size_t lane, size_t index) {
        const Request &wanted = requests[index];
        replay(wanted);
        for (const Cuts &cuts : deliveries(wanted.bytes.size(), thoroughness)) {
            tried[lane]++;
            try {
                try_request(*servers[lane], wanted, cuts);
            } catch (const std::exception &error) {
                throw std::runtime_error(error.what() + (" (" + name_of(cuts) + ")"));
            }
        }
    };
    auto describe = [&](size_t index) {
        return requests[index].section + ": " + requests[index].sentence;
    };
    in_lanes(requests.size(), work, describe);
    MESSAGE(requests.size() << " cases, " << tried[0] + tried[1] << " deliveries");
}

} // namespace conformance
