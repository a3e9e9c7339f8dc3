// cases.cpp: the functions of cases.h.
#include "cases.h"

#include <utility>

namespace conformance {

namespace {

void append_number(std::string &out, uint64_t value, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift & 0xff));
}

int shortest(uint64_t len) { return len < 126 ? 0 : len < 65536 ? 2 : 8; }

// The messages among these frames: an echo has the same ones.
std::vector<Message> messages_of(const std::vector<Frame> &out)
{
    std::vector<Message> messages;
    for (const Frame &frame : out)
        if (frame.opcode == kText || frame.opcode == kBinary)
            messages.push_back({frame.opcode, frame.payload});
    return messages;
}

} // namespace

namespace client {

std::string frame(const Any &any)
{
    const uint64_t len = any.announced.value_or(any.payload.size());
    const int length_bytes = any.length_bytes == -1 ? shortest(len) : any.length_bytes;
    const uint64_t code = length_bytes == 0 ? len : length_bytes == 2 ? 126 : 127;
    std::string out;
    append_number(out, (any.fin ? 0x80u : 0u) | any.rsv << 4 | any.opcode, 1);
    append_number(out, (any.masked ? 0x80u : 0u) | code, 1);
    append_number(out, len, length_bytes);
    if (!any.masked)
        return out.append(any.payload);
    std::string key;
    append_number(key, any.key, 4);
    out.append(key);
    for (size_t i = 0; i < any.payload.size(); i++)
        out.push_back(static_cast<char>(any.payload[i] ^ key[i % 4]));
    return out;
}

std::string text(std::string_view payload) { return frame({.payload = std::string(payload)}); }

std::string binary(std::string_view payload)
{
    return frame({.opcode = kBinary, .payload = std::string(payload)});
}

std::string fragment(unsigned opcode, std::string_view payload)
{
    return frame({.fin = false, .opcode = opcode, .payload = std::string(payload)});
}

std::string more(std::string_view payload) { return fragment(kContinuation, payload); }

std::string last(std::string_view payload)
{
    return frame({.opcode = kContinuation, .payload = std::string(payload)});
}

std::string ping(std::string_view payload)
{
    return frame({.opcode = kPing, .payload = std::string(payload)});
}

std::string pong(std::string_view payload)
{
    return frame({.opcode = kPong, .payload = std::string(payload)});
}

std::string close() { return close_with(""); }

std::string close(unsigned code, std::string_view reason)
{
    return close_with(test::close_payload(code, reason));
}

std::string close_with(std::string_view payload)
{
    return frame({.opcode = kClose, .payload = std::string(payload)});
}

} // namespace client

namespace server {

Frame text(std::string_view payload) { return {true, kText, std::string(payload)}; }

Frame binary(std::string_view payload) { return {true, kBinary, std::string(payload)}; }

Frame pong(std::string_view payload) { return {true, kPong, std::string(payload)}; }

Frame close() { return {true, kClose, ""}; }

Frame close(unsigned code, std::string_view reason)
{
    return {true, kClose, test::close_payload(code, reason)};
}

} // namespace server

Case echoes(std::string section, std::string sentence, std::string in, std::vector<Frame> out)
{
    std::vector<Message> messages = messages_of(out);
    return {.section = std::move(section),
            .sentence = std::move(sentence),
            .steps = {{std::move(in), std::move(out)}},
            .messages = std::move(messages)};
}

Case fails(std::string section, std::string sentence, std::string in, unsigned code,
           size_t known_after)
{
    return fails_behind(std::move(section), std::move(sentence), "", {}, in, code, known_after);
}

Case fails_behind(std::string section, std::string sentence, std::string before,
                  std::vector<Frame> out, const std::string &in, unsigned code, size_t known_after)
{
    std::vector<Message> messages = messages_of(out);
    const size_t known = before.size() + (known_after == 0 ? in.size() : known_after);
    return {.section = std::move(section),
            .sentence = std::move(sentence),
            .steps = {{before + in, std::move(out)}},
            .ending = {Ending::failed, code},
            .messages = std::move(messages),
            .known_after = known};
}

Case closes(std::string section, std::string sentence, std::string in, std::vector<Frame> out,
            unsigned code, std::string reason)
{
    std::vector<Message> messages = messages_of(out);
    return {.section = std::move(section),
            .sentence = std::move(sentence),
            .steps = {{std::move(in), std::move(out)}},
            .ending = {Ending::closed, code, std::move(reason)},
            .messages = std::move(messages)};
}

Case waits(std::string section, std::string sentence, std::string in, std::vector<Frame> out)
{
    Case wanted = echoes(std::move(section), std::move(sentence), std::move(in), std::move(out));
    wanted.ending = {Ending::left};
    return wanted;
}

std::vector<Case> offering(const std::string &extensions, std::vector<Case> cases)
{
    for (Case &one : cases)
        one.extensions = extensions;
    return cases;
}

std::string repeated(std::string_view part, size_t times)
{
    std::string out;
    out.reserve(part.size() * times);
    for (size_t i = 0; i < times; i++)
        out.append(part);
    return out;
}

std::string hex(std::string_view bytes)
{
    constexpr const char *kDigits = "0123456789abcdef";
    std::string out;
    for (char byte : bytes) {
        const auto value = static_cast<unsigned char>(byte);
        if (!out.empty())
            out.push_back(' ');
        out.push_back(kDigits[value >> 4]);
        out.push_back(kDigits[value & 0xf]);
    }
    return out;
}

} // namespace conformance
