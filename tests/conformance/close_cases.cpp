// close_cases.cpp: RFC 6455 1.4, 5.5.1 and 7: Close frames, their codes and reasons, and what
// comes after them, from either side; and that nothing is read after an error.
#include "exchange.h"
#include "styles.h"

#include <doctest/doctest.h>

using namespace conformance;

namespace {

// 7.4.1, 7.4.2, and 1012 to 1014 of the registry that 11.7 has set up.
bool may_be_sent(unsigned code)
{
    switch (code) {
    case 1000: // normal
    case 1001: // going away
    case 1002: // protocol error
    case 1003: // unacceptable type
    case 1007: // not consistent with the type
    case 1008: // policy
    case 1009: // too big
    case 1010: // extension missing
    case 1011: // unexpected condition
    case 1012: // service restart
    case 1013: // try again later
    case 1014: // bad gateway
        return true;
    default:
        return code >= 3000 && code <= 4999;
    }
}

Case case_of_code(unsigned code, const std::string &reason = "")
{
    const std::string name = "code " + std::to_string(code) + " \"" + reason + "\"";
    const std::string in = client::close(code, reason);
    return may_be_sent(code) ? closes("7.4", name, in, {server::close(code)}, code, reason)
                             : fails("7.4", name, in, 1002);
}

std::string repeated_text(size_t len)
{
    std::string out;
    for (size_t i = 0; i < len; i++)
        out.push_back(static_cast<char>('a' + i % 26));
    return out;
}

} // namespace

TEST_CASE("7.4: a Close with any code from 0 to 5000 or 65535 is echoed, or fails with 1002")
{
    std::vector<Case> cases;
    for (unsigned code = 0; code <= 5000; code++)
        cases.push_back(case_of_code(code));
    cases.push_back(case_of_code(65535));
    // Sent whole only. The decoder gets them cut in every way, and the codes at which
    // something changes are sent in pieces in the next case.
    try_cases(cases, {.cuts = 0, .bytewise = 0});
}

TEST_CASE("7.4: the codes at which something changes, with and without a reason")
{
    std::vector<Case> cases;
    for (unsigned code :
         Numbers{0,    1,    3,    999,  1000, 1001, 1002,   1003,   1004,   1005,   1006, 1007,
                 1008, 1009, 1010, 1011, 1012, 1013, 1014,   1015,   1016,   1100,   1999, 2000,
                 2999, 3000, 3999, 4000, 4999, 5000, 0x7fff, 0x8000, 0xe803, 0xfffe, 65535})
        for (const char *reason : {"", "why"})
            cases.push_back(case_of_code(code, reason));
    try_cases(cases);
}

// RFC 6455 5.5.1: "... the first two bytes of the body MUST be a 2-byte unsigned integer ..."
TEST_CASE("5.5.1: a Close with a payload of every length")
{
    std::vector<Case> cases = {
        closes("5.5.1", "empty: echoed so, reported as 1005", client::close(), {server::close()},
               1005),
        fails("5.5.1", "half a code", client::close_with("\x03"), 1002),
    };
    for (size_t len = 2; len <= 125; len++)
        cases.push_back(closes("5.5.1", std::to_string(len) + " bytes",
                               client::close(1000, repeated_text(len - 2)), {server::close(1000)},
                               1000, repeated_text(len - 2)));
    cases.push_back(fails("5.5", "126 bytes", client::close(1000, repeated_text(124)), 1002, 2));
    const bool tls = test::over_tls();
    try_cases(cases, {.cuts = tls ? 6u : 24u, .bytewise = tls ? 0u : 300u});
}

TEST_CASE("1.4: what comes behind the client's Close is not looked at")
{
    using namespace client;
    const auto behind = [](const std::string &what, const std::string &in) {
        return closes("1.4", what, client::close(1000) + in, {server::close(1000)}, 1000);
    };
    const std::vector<Case> cases = {
        behind("a message", text("never")),
        behind("a ping", ping("never")),
        behind("a pong", pong("never")),
        behind("another Close", client::close(1001)),
        behind("a Close without a code", client::close()),
        behind("a Close that would fail", client::close_with("\x03")),
        behind("a reserved opcode", frame({.opcode = 0x3})),
        behind("an unmasked frame", frame({.masked = false})),
        behind("text that is none", text("\xff")),
        behind("no frame at all", "GET / HTTP/1.1\r\n\r\n"),
        behind("the beginning of a frame", text("never").substr(0, 7)),
        behind("many messages", repeated(text("never"), 20)),
    };
    try_cases(cases);
}

TEST_CASE("5.5.1: a Close between fragments ends the message with the connection")
{
    using namespace client;
    std::vector<Case> cases;
    for (unsigned opcode : {kText, kBinary}) {
        cases.push_back(closes("5.5.1", "behind a first fragment, before the last",
                               fragment(opcode, "a") + client::close(1000) + last("b"),
                               {server::close(1000)}, 1000));
        cases.push_back(
            closes("5.5.1", "behind several, with a ping",
                   fragment(opcode, "a") + more("b") + ping("p") + client::close(4000, "bored"),
                   {server::pong("p"), server::close(4000)}, 4000, "bored"));
    }
    cases.push_back(closes("5.5.1", "inside a character",
                           fragment(kText, "\xe2\x82") + client::close(), {server::close()}, 1005));
    try_cases(cases);
}

// RFC 6455 5.5.1: "... the endpoint MUST send a Close frame in response."
TEST_CASE("5.5.1: what comes before the client's Close is delivered")
{
    using namespace client;
    const std::string large(65536, '*');
    try_cases({
        closes("5.5.1", "a message", text("good") + client::close(1000),
               {server::text("good"), server::close(1000)}, 1000),
        closes("5.5.1", "three messages and a ping",
               text("1") + binary("2") + text("3") + ping("p") + client::close(1001),
               {server::text("1"), server::binary("2"), server::text("3"), server::pong("p"),
                server::close(1001)},
               1001),
    });
    try_cases({closes("5.5.1", "a large message, and a ping behind the Close",
                      text(large) + client::close(1000) + ping("never"),
                      {server::text(large), server::close(1000)}, 1000)},
              {.cuts = 12, .bytewise = 0});
}

// RFC 6455 5.5.1: "The application MUST NOT send any more data frames after sending a Close ..."
// RFC 6455 6.1: "The endpoint MUST ensure the WebSocket connection is in the OPEN state ..."
TEST_CASE("5.5.1: behind the server's Close nothing is answered but the end")
{
    using namespace client;
    const std::string command = kCloseCommand + std::string("4001 as asked");
    const auto ends = [&](const std::string &what, const std::string &in, Ending ending) {
        Case wanted;
        wanted.section = "5.5.1";
        wanted.sentence = "then the client sends " + what;
        wanted.steps = {{text(command), {server::close(4001, "as asked")}}, {in}};
        wanted.ending = ending;
        wanted.messages = {{kText, command}};
        return wanted;
    };
    const Ending echoed{Ending::closed, 4001, ""};
    const Ending broken{Ending::closed, 1006, ""};
    std::vector<Case> cases = {
        ends("a Close with the same code", client::close(4001), echoed),
        ends("a Close with the same code and reason", client::close(4001, "as asked"),
             {Ending::closed, 4001, "as asked"}),
        ends("a Close with another code", client::close(1000, "mine"),
             {Ending::closed, 1000, "mine"}),
        ends("a Close without a code", client::close(), {Ending::closed, 1005, ""}),
        ends("a message, then a Close", text("late") + client::close(4001), echoed),
        ends("a ping, then a Close", ping("late") + client::close(4001), echoed),
        ends("a pong, then a Close", pong("late") + client::close(4001), echoed),
        ends("fragments, then a Close", fragment(kText, "l") + last("ate") + client::close(4001),
             echoed),
        ends("two Closes", client::close(4001) + client::close(1000), echoed),
        ends("a reserved opcode", frame({.opcode = 0x3}), broken),
        ends("a Close with half a code", client::close_with("\x03"), broken),
        ends("text that is none", text("\xff"), broken),
    };
    for (Case &wanted : cases)
        wanted.ending.reason_is_ours = wanted.ending.code == 1006;
    try_cases(cases);
}

// RFC 6455 6.1: "If at any point the state ... changes, the endpoint MUST abort ..."
TEST_CASE("6.1: a message in fragments is broken off by the server's Close")
{
    Case wanted;
    wanted.section = "6.1";
    wanted.sentence = "the last fragment does not follow the Close";
    wanted.steps = {{client::text(kBreakOffCommand),
                     {{false, kText, kBrokenOff}, server::close(WS_CLOSE_NORMAL)}},
                    {client::close(WS_CLOSE_NORMAL)}};
    wanted.ending = {Ending::closed, WS_CLOSE_NORMAL, ""};
    wanted.messages = {{kText, kBreakOffCommand}};
    try_cases({wanted});
}

// RFC 6455 7.1.7: "An endpoint MUST NOT continue to attempt to process data ..."
TEST_CASE("7.1.7: what comes after an error is not looked at, not even a Close")
{
    using namespace client;
    const std::string reserved = frame({.opcode = 0x3});
    const std::string half_a_code = close_with("\x03");
    const std::string invalid = text("\xff");
    std::vector<Case> cases;
    for (const std::string &next : {text("never"), ping("never"), client::close(1000),
                                    client::close(), reserved, std::string("GET / HTTP/1.1\r\n")}) {
        const std::string name = ", then " + hex(next.substr(0, 2));
        cases.push_back(fails("7.1.7", "a reserved opcode" + name, reserved + next, 1002, 1));
        cases.push_back(
            fails("7.1.7", "half a code" + name, half_a_code + next, 1002, half_a_code.size()));
        cases.push_back(
            fails("7.1.7", "text that is not UTF-8" + name, invalid + next, 1007, invalid.size()));
    }
    try_cases(cases);
}

// RFC 6455 7.1.2: "... an endpoint MUST send a Close control frame, ..."
TEST_CASE("7.1.1: the server that was asked to close waits for the Close that answers its own")
{
    using namespace client;
    std::vector<Case> cases;
    for (unsigned code : Numbers{1000, 1001, 1008, 1011, 3000, 4999})
        for (const std::string &reason :
             {std::string(), std::string("Ende gut \xe2\x9c\x93"), std::string(123, 'r')}) {
            const std::string command = kCloseCommand + std::to_string(code) + " " + reason;
            Case wanted;
            wanted.section = "7.1.1";
            wanted.sentence = std::to_string(code) + " \"" + reason + "\"";
            wanted.steps = {{text(command), {server::close(code, reason)}}, {client::close(code)}};
            wanted.ending = {Ending::closed, code, ""};
            wanted.messages = {{kText, command}};
            cases.push_back(wanted);
        }
    try_cases(cases, {.cuts = 12, .bytewise = 0});
}

TEST_CASE("7.1.1: what the server sent arrives, even if the client sends behind its own Close")
{
    // More than the client's system takes before the client reads: the rest leaves as it reads.
    const std::string large(kMaxFrame, '*');
    test::Server server({.onmessage = test::echo});
    test::Client client(server.port(), {.receive_buffer = 4096});
    client.handshake();
    const auto has_read = [&](const std::string &bytes) {
        const unsigned long long before = server.stats().bytes_in;
        client.send_raw(bytes);
        return test::eventually([&] { return server.stats().bytes_in == before + bytes.size(); });
    };
    CHECK(has_read(client::text(large)));
    CHECK(test::eventually([&] { return client.has_input(); }));
    CHECK(has_read(client::close(1000)));
    server.events().wait(test::Kind::close); // the server has nothing left to do
    // A Pong is not a data frame, so it may follow a Close: 5.5.1.
    client.send_raw(client::pong("late"));
    REQUIRE(client.receive_text() == large);
    CHECK(client.receive_close().code == 1000);
    client.expect_eof();
}
