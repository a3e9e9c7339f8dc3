// fragment_cases.cpp: RFC 6455 5.4, messages in fragments, and control frames between them.
// Text cut inside a character is in utf8_cases.cpp.
#include "exchange.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace conformance;

namespace {

std::string name_of_opcode(unsigned opcode) { return opcode == kText ? "text" : "binary"; }

Frame echo_of(unsigned opcode, std::string_view payload)
{
    return opcode == kText ? server::text(payload) : server::binary(payload);
}

// The payload as a message in fragments of size bytes; the last one may be shorter.
std::string in_fragments(unsigned opcode, const std::string &payload, size_t size)
{
    std::string out = client::fragment(opcode, payload.substr(0, size));
    size_t at = size;
    for (; at + size < payload.size(); at += size)
        out += client::more(payload.substr(at, size));
    return out + client::last(payload.substr(std::min(at, payload.size())));
}

} // namespace

// RFC 6455 5.4: "Message fragments MUST be delivered to the recipient in the order sent ..."
// RFC 6455 5.4: "Clients and servers MUST support receiving both fragmented and unfragmented ..."
// RFC 6455 6.2: "Subsequent data frames MUST be interpreted as belonging to a new ... message."
TEST_CASE("5.4: fragments make one message, whatever their sizes")
{
    std::vector<Case> cases;
    for (unsigned opcode : {kText, kBinary}) {
        const std::string name = name_of_opcode(opcode) + ", ";
        const auto add = [&](const std::string &shape, const std::string &in,
                             std::string_view payload) {
            cases.push_back(echoes("5.4", name + shape, in, {echo_of(opcode, payload)}));
        };
        using namespace client;
        add("two fragments", fragment(opcode, "Hel") + last("lo"), "Hello");
        add("three fragments", fragment(opcode, "a") + more("b") + last("c"), "abc");
        add("two empty ones", fragment(opcode, "") + last(""), "");
        add("three empty ones", fragment(opcode, "") + more("") + last(""), "");
        add("only the first is not empty", fragment(opcode, "all") + more("") + last(""), "all");
        add("only the middle is not empty", fragment(opcode, "") + more("all") + last(""), "all");
        add("only the last is not empty", fragment(opcode, "") + more("") + last("all"), "all");
        add("empty ones between",
            fragment(opcode, "a") + more("") + more("b") + more("") + last("c"), "abc");
        add("a hundred of one byte", in_fragments(opcode, std::string(100, '*'), 1),
            std::string(100, '*'));
        add("of 125, 126 and 127 bytes",
            fragment(opcode, std::string(125, 'a')) + more(std::string(126, 'b')) +
                last(std::string(127, 'c')),
            std::string(125, 'a') + std::string(126, 'b') + std::string(127, 'c'));
        add("of 65535 and 65536 bytes",
            fragment(opcode, std::string(65535, 'a')) + last(std::string(65536, 'b')),
            std::string(65535, 'a') + std::string(65536, 'b'));
    }
    cases.push_back(echoes("5.4", "two messages, one behind the other",
                           client::fragment(kText, "1") + client::last("2") +
                               client::fragment(kBinary, "3") + client::last("4"),
                           {server::text("12"), server::binary("34")}));
    cases.push_back(echoes("5.4", "messages with and without fragments in turn",
                           client::text("0") + client::fragment(kText, "1") + client::last("2") +
                               client::binary("3"),
                           {server::text("0"), server::text("12"), server::binary("3")}));
    try_cases(cases, {.cuts = 150, .bytewise = 1000});
}

// RFC 6455 5.4: "An endpoint MUST be capable of handling control frames in the middle ..."
TEST_CASE("5.4: control frames between fragments are answered before the message is complete")
{
    using namespace client;
    const std::string ping_body = "between";
    std::vector<Case> cases = {
        echoes("5.4", "a ping", fragment(kText, "Hel") + ping(ping_body) + last("lo"),
               {server::pong(ping_body), server::text("Hello")}),
        echoes("5.4", "an empty ping", fragment(kBinary, "Hel") + ping() + last("lo"),
               {server::pong(), server::binary("Hello")}),
        echoes("5.4", "a pong", fragment(kText, "Hel") + pong("x") + last("lo"),
               {server::text("Hello")}),
        echoes("5.4", "a ping of 125 bytes",
               fragment(kText, "Hel") + ping(std::string(125, 'p')) + last("lo"),
               {server::pong(std::string(125, 'p')), server::text("Hello")}),
        echoes("5.4", "a ping whose bytes would not be text",
               fragment(kText, "\xe2\x82") + ping("\xff\xfe") + last("\xac"),
               {server::pong("\xff\xfe"), server::text("\xe2\x82\xac")}),
        echoes("5.4", "pings before, between and behind",
               ping("1") + fragment(kText, "a") + ping("2") + more("b") + ping("3") + last("c") +
                   text("end"),
               {server::pong("1"), server::pong("2"), server::pong("3"), server::text("abc"),
                server::text("end")}),
        echoes("5.4", "a ping and a pong between empty fragments",
               fragment(kText, "") + ping("p") + more("") + pong("q") + last(""),
               {server::pong("p"), server::text("")}),
    };
    Case answered;
    answered.section = "5.4";
    answered.sentence = "a ping while nothing more comes of the message";
    answered.steps = {{fragment(kText, "fragment 1, ") + ping("ping 1"), {server::pong("ping 1")}},
                      {more("fragment 2, ") + ping("ping 2"), {server::pong("ping 2")}},
                      {last("fragment 3"), {server::text("fragment 1, fragment 2, fragment 3")}}};
    answered.messages = {{kText, "fragment 1, fragment 2, fragment 3"}};
    cases.push_back(answered);
    try_cases(cases);
}

TEST_CASE("5.4: a continuation frame without a message to continue fails the connection")
{
    using namespace client;
    std::vector<Case> cases;
    for (bool fin : {false, true})
        for (const char *payload : {"", "nothing to continue"}) {
            const std::string bad =
                frame({.fin = fin, .opcode = kContinuation, .payload = payload});
            const std::string name =
                std::string(fin ? "with" : "without") + " FIN, \"" + payload + "\"";
            const auto add = [&](const std::string &where, const std::string &before,
                                 const std::vector<Frame> &out) {
                cases.push_back(
                    fails_behind("5.4", name + ", " + where, before, out, bad, 1002, 1));
            };
            add("at first", "", {});
            add("behind a message", text("whole"), {server::text("whole")});
            add("behind a message of fragments", fragment(kText, "a") + last("b"),
                {server::text("ab")});
            add("behind a ping", ping("p"), {server::pong("p")});
            cases.push_back(fails_behind("5.4", name + ", before a message", "", {},
                                         bad + text("never"), 1002, 1));
        }
    try_cases(cases);
}

// RFC 6455 5.4: "The fragments of one message MUST NOT be interleaved ..."
TEST_CASE("5.4: a new message inside another fails the connection")
{
    using namespace client;
    std::vector<Case> cases;
    for (unsigned outer : {kText, kBinary})
        for (unsigned inner : {kText, kBinary})
            for (bool fin : {false, true}) {
                const std::string bad = frame({.fin = fin, .opcode = inner, .payload = "new"});
                const std::string name = name_of_opcode(inner) + (fin ? "" : " fragment") +
                                         " inside " + name_of_opcode(outer);
                cases.push_back(
                    fails_behind("5.4", name, fragment(outer, "old"), {}, bad, 1002, 1));
                cases.push_back(fails_behind("5.4", name + ", later",
                                             fragment(outer, "old") + ping("p") + more("older"),
                                             {server::pong("p")}, bad + last("end"), 1002, 1));
            }
    try_cases(cases);
}

// RFC 6455 5.4: "... must not depend on the presence of specific frame boundaries."
TEST_CASE("5.4: 65536 bytes in fragments of any size are one message")
{
    std::vector<Case> cases;
    const std::string payload(65536, '*');
    for (unsigned opcode : {kText, kBinary})
        for (size_t size : Sizes{64, 256, 1000, 1024, 1300, 4096, 16384, 32768, 65535})
            cases.push_back(
                echoes("5.4", name_of_opcode(opcode) + " in fragments of " + std::to_string(size),
                       in_fragments(opcode, payload, size), {echo_of(opcode, payload)}));
    try_cases(cases, {.cuts = 8, .bytewise = 0});
}
