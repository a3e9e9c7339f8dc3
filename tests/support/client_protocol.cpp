// client_protocol.cpp: what the test client says and checks: handshakes, HTTP answers, frames;
// see client.h. Its socket is in client.cpp.
#include "client.h"

#include <websock/websock.h>

#include <cstdint>
#include <strings.h>
#include <utility>

namespace test {

namespace {

// Of a parameter of permessage-deflate, as the server answers it.
int window_bits(const std::string &answered, const std::string &name)
{
    const size_t at = answered.find(name + "=");
    return at == std::string::npos ? 15 : std::stoi(answered.substr(at + name.size() + 1));
}

} // namespace

HttpAnswer Client::handshake(std::string_view target, std::string_view headers)
{
    std::string all(headers);
    if (!extensions_.empty())
        all += "Sec-WebSocket-Extensions: " + extensions_ + "\r\n";
    send_raw(upgrade_request(target, all));
    HttpAnswer answer = receive_http();
    if (answer.status != 101)
        fail("refused: " + answer.head);
    if (answer.header("Sec-WebSocket-Accept") != kAccept)
        fail("wrong Sec-WebSocket-Accept: " + answer.head);
    if (::strcasecmp(answer.header("Upgrade").c_str(), "websocket") != 0 ||
        ::strcasecmp(answer.header("Connection").c_str(), "upgrade") != 0)
        fail("no upgrade: " + answer.head);
    take_extensions(answer.header("Sec-WebSocket-Extensions"));
    return answer;
}

void Client::take_extensions(const std::string &answered)
{
    if (!answered.starts_with("permessage-deflate"))
        return;
    inflate_.emplace(window_bits(answered, "server_max_window_bits"));
    deflate_.emplace(window_bits(answered, "client_max_window_bits"));
    inflate_each_ = answered.find("server_no_context_takeover") != std::string::npos;
    deflate_each_ = answered.find("client_no_context_takeover") != std::string::npos;
}

HttpAnswer Client::receive_http(bool has_body)
{
    Clock::time_point deadline = Clock::now() + kDeadline;
    size_t end;
    while ((end = input_.find("\r\n\r\n", position_)) == std::string::npos)
        if (!fill(deadline))
            fail("the end came before a whole HTTP answer");
    HttpAnswer answer;
    answer.head = take(end + 4 - position_, deadline);
    if (answer.head.compare(0, 9, "HTTP/1.1 ") != 0)
        fail("no HTTP answer: " + answer.head);
    answer.status = std::stoi(answer.head.substr(9, 3));
    std::string length = answer.header("Content-Length");
    if (has_body && answer.status != 101 && !length.empty())
        answer.body = take(std::stoul(length), deadline);
    return answer;
}

void Client::send_frame(bool fin, unsigned opcode, std::string_view payload, bool masked)
{
    send_raw(encode_frame(fin, opcode, payload, masked));
}

void Client::send_text(std::string_view payload) { send_frame(true, WS_OPCODE_TEXT, payload); }

void Client::send_binary(std::string_view payload) { send_frame(true, WS_OPCODE_BINARY, payload); }

void Client::send_compressed(unsigned opcode, std::string_view payload)
{
    const unsigned kReservedBit1 = 0x40;
    send_frame(true, opcode | kReservedBit1, deflate_.value().feed(payload));
    if (deflate_each_)
        deflate_->reset();
}

void Client::send_close(unsigned code, std::string_view reason)
{
    send_frame(true, WS_OPCODE_CLOSE, close_payload(code, reason));
}

Frame Client::receive_frame()
{
    Clock::time_point deadline = Clock::now() + kDeadline;
    std::string head = take(2, deadline);
    unsigned first = static_cast<unsigned char>(head[0]);
    unsigned second = static_cast<unsigned char>(head[1]);
    Frame frame{(first & 0x80) != 0, first & 0xf, {}};
    const bool compressed = (first & 0x70) == 0x40 && inflate_;
    if ((first & 0x70) != 0 && !compressed)
        fail("reserved bits are set");
    if ((second & 0x80) != 0)
        fail("the server masked a frame"); // RFC 6455 5.1
    uint64_t len = second;
    if (second == 126)
        len = parse_number(take(2, deadline));
    if (second == 127)
        len = parse_number(take(8, deadline));
    if ((second == 126 && len < 126) || (second == 127 && len < 65536))
        fail("the length is not the shortest"); // RFC 6455 5.2
    if ((frame.opcode & 0x8) != 0 && (!frame.fin || len > 125))
        fail("a control frame is fragmented or too long"); // RFC 6455 5.5
    if (len > SIZE_MAX)
        fail("the frame is longer than memory");
    frame.payload = take(static_cast<size_t>(len), deadline);
    inflate(frame, compressed);
    return frame;
}

void Client::inflate(Frame &frame, bool compressed)
{
    if ((frame.opcode & 0x8) != 0 || frame.opcode == WS_OPCODE_CONTINUE) {
        if (compressed) // RFC 7692 6.1
            fail("a frame that does not begin a message says that it is compressed");
        if (!in_compressed_ || frame.opcode != WS_OPCODE_CONTINUE)
            return;
    }
    in_compressed_ = in_compressed_ || compressed;
    if (!in_compressed_)
        return;
    frame.compressed = true;
    frame.wire_len = frame.payload.size();
    frame.payload = inflate_->feed(frame.payload, frame.fin);
    in_compressed_ = !frame.fin;
    if (frame.fin && inflate_each_)
        inflate_->reset();
}

std::string Client::receive_text()
{
    Frame frame = receive_frame();
    if (!frame.fin || frame.opcode != WS_OPCODE_TEXT)
        fail("expected a text message, got opcode " + std::to_string(frame.opcode));
    return std::move(frame.payload);
}

Close Client::receive_close()
{
    Frame frame = receive_frame();
    if (frame.opcode != WS_OPCODE_CLOSE)
        fail("expected a Close frame, got opcode " + std::to_string(frame.opcode));
    if (frame.payload.empty())
        return {WS_CLOSE_NO_CODE, ""};
    if (frame.payload.size() == 1)
        fail("a Close frame with half a code");
    return {static_cast<unsigned>(parse_number(frame.payload.substr(0, 2))),
            frame.payload.substr(2)};
}

Frame Client::receive_past_pings()
{
    for (;;) {
        Frame frame = receive_frame();
        if (frame.opcode != WS_OPCODE_PING)
            return frame;
        send_frame(true, WS_OPCODE_PONG, frame.payload);
    }
}

} // namespace test
