// fragments_test.cpp: messages that are sent in fragments, while other threads send to the same
// client, and while it reads slowly. What send_fragment refuses is in send_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

constexpr size_t kLen = 10'000;

void send_in_fragments(libwebsock_client_state *client)
{
    const std::string text(kLen, 'f');
    libwebsock_send_fragment(client, text.data(), text.size() / 2, WS_OPCODE_TEXT);
    libwebsock_send_fragment(client, text.data(), text.size() / 2,
                             WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
}

// Throws if a frame comes where RFC 6455 5.4 does not allow it.
std::string receive_message(Client &client)
{
    Frame frame = client.receive_frame();
    if (frame.opcode == WS_OPCODE_CONTINUE)
        throw std::runtime_error("a continuation without a message");
    std::string message = frame.payload;
    while (!frame.fin) {
        frame = client.receive_frame();
        if (frame.opcode != WS_OPCODE_CONTINUE)
            throw std::runtime_error("another message between fragments");
        message += frame.payload;
    }
    return message;
}

} // namespace

// RFC 6455 5.4: "The fragments of one message MUST NOT be interleaved ..."
TEST_CASE("messages of other threads never get between fragments, however slowly a client reads")
{
    for (const char *const extensions : {"", "permessage-deflate"}) {
        CAPTURE(extensions);
        Server server(
            {.settings =
                 [](libwebsock_context *context) {
                     context->compression = 1;
                     context->send_buffer_bytes = 4096;
                 },
             .onmessage = [](Scene &, auto *client, auto *) { send_in_fragments(client); },
             .keep_handles = true});
        Client client(server.port(), {.receive_buffer = 4096, .extensions = extensions});
        client.handshake();
        libwebsock_client_state *const handle = server.handle();
        std::atomic<bool> stop{false};
        std::vector<std::thread> senders;
        for (const char name : {'a', 'b'})
            senders.emplace_back([&, name] {
                const std::string text(kLen, name);
                while (!stop)
                    libwebsock_send_text(handle, text.c_str());
            });
        constexpr size_t kAsked = 200;
        size_t asked = 0;
        for (size_t in_fragments = 0; in_fragments < kAsked;) {
            for (; asked < kAsked && asked < in_fragments + 10; ++asked)
                client.send_text("?");
            const std::string message = receive_message(client);
            CHECK(message.size() == kLen);
            CHECK((message == std::string(kLen, message[0])));
            in_fragments += message[0] == 'f';
        }
        stop = true;
        client.reset();
        for (std::thread &sender : senders)
            sender.join();
    }
}
