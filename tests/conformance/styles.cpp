// styles.cpp: see styles.h.
#include "styles.h"

#include "base/utf8.h"
#include "cases.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string_view>

namespace conformance {

namespace {

Style style_of_environment()
{
    const char *const name = std::getenv("TEST_STYLE");
    const std::string_view wanted = name != nullptr ? name : "callbacks";
    if (wanted == "callbacks")
        return Style::callbacks;
    if (wanted == "session")
        return Style::session;
    if (wanted == "parts")
        return Style::parts;
    throw std::runtime_error("TEST_STYLE is " + std::string(wanted));
}

void close_as_told(libwebsock_client_state *client, const char *code_and_reason)
{
    char *reason = nullptr;
    const unsigned long code = std::strtoul(code_and_reason, &reason, 10);
    libwebsock_close_with_reason(client, static_cast<unsigned short>(code),
                                 *reason == ' ' ? reason + 1 : reason);
    (void)libwebsock_send_text(client, "too late");
}

void break_off(libwebsock_client_state *client)
{
    (void)libwebsock_send_fragment(client, kBrokenOff, std::strlen(kBrokenOff), WS_OPCODE_TEXT);
    (void)libwebsock_close(client);
    (void)libwebsock_send_fragment(client, "last", 4, WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
}

void answer(test::Scene &scene, libwebsock_client_state *client, libwebsock_message *msg)
{
    const std::string_view text(msg->payload);
    if (text.starts_with(kCloseCommand))
        close_as_told(client, msg->payload + std::strlen(kCloseCommand));
    else if (text == kBreakOffCommand)
        break_off(client);
    else
        test::echo(scene, client, msg);
}

// As the server records what onmessage gets.
void record(test::Scene &scene, libwebsock_client_state *client, const libwebsock_message &msg)
{
    scene.events.add(client,
                     {.kind = test::Kind::message,
                      .text = std::string(msg.payload, static_cast<size_t>(msg.payload_len)),
                      .opcode = msg.opcode,
                      .terminated = msg.payload[msg.payload_len] == '\0',
                      .len = msg.payload_len});
}

void receive_and_answer(test::Scene &scene, libwebsock_client_state *client)
{
    libwebsock_message msg{};
    while (libwebsock_receive(client, &msg, -1) == 1) {
        record(scene, client, msg);
        scene.behaviour.onmessage(scene, client, &msg);
    }
}

// A message of which parts have come: in client->data.
struct Unfinished {
    std::string payload = {};
    size_t echoed = 0; // bytes
    bool has_begun = false;
    websock::Utf8Validator utf8 = {};
};

bool may_be_command(const std::string &text)
{
    for (const std::string_view command : {kCloseCommand, kBreakOffCommand}) {
        const size_t len = std::min(command.size(), text.size());
        if (command.substr(0, len) == std::string_view(text).substr(0, len))
            return true;
    }
    return false;
}

void add(Unfinished &unfinished, const libwebsock_part &part)
{
    if (part.offset != unfinished.payload.size() || (part.len == 0 && part.fin == 0))
        throw std::runtime_error("a part that does not follow the one before it");
    const std::string_view bytes(part.payload, part.len);
    unfinished.payload += bytes;
    if (part.opcode == WS_OPCODE_TEXT &&
        !unfinished.utf8.feed({reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()}))
        throw std::runtime_error("a part that is not UTF-8");
}

void echo_what_has_come(libwebsock_client_state *client, Unfinished &unfinished,
                        const libwebsock_part &part)
{
    const int flags = static_cast<int>(unfinished.has_begun ? WS_OPCODE_CONTINUE : part.opcode) |
                      (part.fin != 0 ? WS_FRAGMENT_FIN : 0);
    (void)libwebsock_send_fragment(client, unfinished.payload.data() + unfinished.echoed,
                                   unfinished.payload.size() - unfinished.echoed, flags);
    unfinished.has_begun = true;
    unfinished.echoed = unfinished.payload.size();
}

// What it throws closes the connection with 1011.
void answer_part(test::Scene &scene, libwebsock_client_state *client, libwebsock_part *part)
{
    if (client->data == nullptr)
        client->data = new Unfinished;
    auto &unfinished = *static_cast<Unfinished *>(client->data);
    add(unfinished, *part);
    // Nothing may be sent of what turns out to be a command.
    const bool waits = part->opcode == WS_OPCODE_TEXT && may_be_command(unfinished.payload);
    if (part->fin == 0)
        return waits ? void() : echo_what_has_come(client, unfinished, *part);
    const std::unique_ptr<Unfinished> at_end(&unfinished);
    client->data = nullptr;
    libwebsock_message msg{part->opcode, unfinished.payload.size(), unfinished.payload.data()};
    record(scene, client, msg);
    if (waits)
        scene.behaviour.onmessage(scene, client, &msg);
    else
        echo_what_has_come(client, unfinished, *part);
}

void forget(test::Scene &, libwebsock_client_state *client)
{
    delete static_cast<Unfinished *>(client->data);
    client->data = nullptr;
}

} // namespace

Style style()
{
    static const Style chosen = style_of_environment();
    return chosen;
}

test::Behaviour behaviour_of_cases()
{
    return in_style({.settings =
                         [](libwebsock_context *context) {
                             context->max_message_payload = kMaxMessage;
                             context->compression = 1;
                             context->compression_window_bits = 12;
                         },
                     .onmessage = answer,
                     .max_frame_payload = kMaxFrame});
}

test::Behaviour in_style(test::Behaviour behaviour)
{
    if (style() == Style::session)
        behaviour.onsession = receive_and_answer;
    if (style() == Style::parts) {
        behaviour.onpart = answer_part;
        behaviour.onclose = forget;
    }
    return behaviour;
}

} // namespace conformance
