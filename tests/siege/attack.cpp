// attack.cpp: see attack.h.
#include "attack.h"

#include "tests/bench/stream.h"

#include <functional>
#include <map>
#include <memory>
#include <openssl/bio.h>
#include <openssl/ssl.h>

namespace siege {

namespace {

constexpr size_t kBlock = 64 * 1024; // approximate size of what is sent repeatedly

enum Opcode { kContinue = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };
constexpr bool kFin = true;
constexpr bool kMore = false;

// RFC 6455 5.2, with a mask that changes nothing.
std::string header(bool fin, Opcode opcode, uint64_t size)
{
    std::string bytes(1, static_cast<char>((fin ? 0x80 : 0) | opcode));
    int length_bytes = 0;
    if (size <= 125) {
        bytes += static_cast<char>(0x80 | static_cast<int>(size));
    } else {
        length_bytes = size <= 0xffff ? 2 : 8;
        bytes += static_cast<char>(length_bytes == 2 ? 0xfe : 0xff);
    }
    for (int shift = 8 * (length_bytes - 1); shift >= 0; shift -= 8)
        bytes += static_cast<char>(size >> shift & 0xff);
    return bytes + std::string(4, '\0');
}

std::string frame(bool fin, Opcode opcode, size_t size)
{
    return header(fin, opcode, size) + std::string(size, 'x');
}

std::string times(size_t count, const std::string &text)
{
    std::string all;
    all.reserve(count * text.size());
    for (size_t i = 0; i < count; ++i)
        all += text;
    return all;
}

std::string block_of(const std::string &text) { return times(kBlock / text.size() + 1, text); }

std::string half_request() { return "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: web"; }

std::string many_headers(size_t count)
{
    return "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + times(count, "X: y\r\n") + "\r\n";
}

// One ClientHello with OpenSSL's defaults.
std::string client_hello()
{
    const std::unique_ptr<SSL_CTX, bench::FreedBy<SSL_CTX_free>> context(
        SSL_CTX_new(TLS_client_method()));
    const bench::OwnedSsl ssl(SSL_new(context.get()));
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
    SSL_set_connect_state(ssl.get());
    (void)SSL_do_handshake(ssl.get());
    char *bytes = nullptr;
    const long size = BIO_get_mem_data(out, &bytes);
    return {bytes, static_cast<size_t>(size)};
}

// Sends what could pile up while a callback blocks for a second.
Attack behind_a_callback(const std::string &again)
{
    return {.path = "/block?1000000",
            .once = frame(kFin, kText, 1),
            .again = again,
            .reads = Reads::everything};
}

using Make = std::function<Attack(size_t size)>;

const std::map<std::string_view, Make> kAttacks = {
    // Clients that should read what is sent to all.
    {"deaf", [](size_t) { return Attack{.path = "/sink"}; }},
    {"chat",
     [](size_t size) {
         return Attack{.path = "/chat", .again = frame(kFin, kText, size), .per_second = 50};
     }},
    {"slow", [](size_t) { return Attack{.path = "/sink", .reads = Reads::slowly}; }},
    {"fragments", [](size_t) { return Attack{.path = "/fragments", .reads = Reads::everything}; }},
    {"deaf fragments", [](size_t) { return Attack{.path = "/fragments"}; }},

    // Clients that provoke answers.
    {"pings",
     [](size_t) { return Attack{.path = "/sink", .again = block_of(frame(kFin, kPing, 125))}; }},
    {"key updates", [](size_t) { return Attack{.path = "/sink", .updates_keys = true}; }},
    {"unread echoes",
     [](size_t size) {
         return Attack{.path = "/echo", .again = block_of(frame(kFin, kText, size))};
     }},
    {"slow echoes",
     [](size_t size) {
         return Attack{
             .path = "/echo", .again = block_of(frame(kFin, kText, size)), .reads = Reads::slowly};
     }},

    // Events that wait behind a callback.
    {"empty controls",
     [](size_t) {
         return behind_a_callback(block_of(frame(kFin, kPing, 0) + frame(kFin, kPong, 0)));
     }},
    {"full controls",
     [](size_t) {
         return behind_a_callback(block_of(frame(kFin, kPing, 125) + frame(kFin, kPong, 125)));
     }},
    {"empty fragments",
     [](size_t) {
         // One tiny message among 65,535 empty fragments.
         Attack attack = behind_a_callback(times(65535, frame(kMore, kContinue, 0)) +
                                           frame(kMore, kContinue, 1));
         attack.once += frame(kMore, kText, 1);
         return attack;
     }},
    // One tiny message per receive buffer, which it may keep from being freed.
    {"sparse messages",
     [](size_t) {
         return behind_a_callback(frame(kFin, kText, 1) + frame(kMore, kText, 0) +
                                  times(43000, frame(kMore, kContinue, 0)) +
                                  frame(kFin, kContinue, 0));
     }},
    {"sparse messages and pongs",
     [](size_t) {
         return behind_a_callback(frame(kFin, kText, 1) + times(2000, frame(kFin, kPong, 125)));
     }},
    {"tiny messages", [](size_t) { return behind_a_callback(block_of(frame(kFin, kText, 1))); }},
    {"tiny fragments",
     [](size_t) {
         return behind_a_callback(block_of(frame(kMore, kText, 1) +
                                           times(100, frame(kMore, kContinue, 1)) +
                                           frame(kFin, kContinue, 1)));
     }},

    // Callbacks that block: a burst by each attacker, or a message a second, all the time.
    {"burst",
     [](size_t) {
         return Attack{.path = "/block?2000000", .once = times(4000, frame(kFin, kText, 1))};
     }},
    {"blocked",
     [](size_t) {
         return Attack{.path = "/block?100000", .again = frame(kFin, kText, 1), .per_second = 1};
     }},
    {"blocked shortly",
     [](size_t) {
         return Attack{.path = "/block?100", .again = block_of(frame(kFin, kText, 20))};
     }},

    // Openings.
    {"idle", [](size_t) { return Attack{.in_the_open = true}; }},
    {"half requests", [](size_t) { return Attack{.once = half_request()}; }},
    {"hellos",
     [](size_t) {
         return Attack{.in_the_open = true, .once = client_hello(), .connects_per_second = 4000};
     }},
    {"sessions",
     [](size_t) { return Attack{.path = "/echo", .hangs_up = true, .connects_per_second = 2000}; }},
    {"connects", [](size_t) { return Attack{.in_the_open = true, .connects_per_second = 8000}; }},
    {"malformed",
     [](size_t) {
         return Attack{
             .once = "no HTTP\r\n\r\n", .reads = Reads::everything, .connects_per_second = 4000};
     }},
    {"headers", [](size_t) { return Attack{.once = many_headers(100000)}; }},

    // Bursts that are cheap to send.
    {"million messages",
     [](size_t) {
         return Attack{
             .path = "/sink", .again = times(10000, frame(kFin, kText, 1)), .repeats = 100};
     }},
    {"ten million empty fragments",
     [](size_t) {
         return Attack{.path = "/sink",
                       .once = frame(kMore, kText, 1),
                       .again = times(10000, frame(kMore, kContinue, 0)),
                       .repeats = 1000};
     }},

    {"large messages",
     [](size_t size) { return Attack{.path = "/sink", .again = frame(kFin, kText, size)}; }},

    {"single bytes",
     [](size_t size) {
         return Attack{
             .path = "/sink", .again = block_of(frame(kFin, kText, size)), .bytes_at_once = 1};
     }},

    // Announced data that does not come.
    {"announced",
     [](size_t size) { return Attack{.path = "/sink", .once = header(kFin, kBinary, size)}; }},
    {"trickle",
     [](size_t size) {
         return Attack{
             .path = "/sink", .once = header(kFin, kBinary, size), .again = "x", .per_second = 10};
     }},
    {"too much announced",
     [](size_t) {
         return Attack{.path = "/sink", .once = header(kFin, kBinary, uint64_t{1} << 62)};
     }},
    {"gathered",
     [](size_t size) {
         // A message that is never finished, however long it gets.
         return Attack{.path = "/sink",
                       .once = frame(kMore, kBinary, 1024),
                       .again = frame(kMore, kContinue, 1024),
                       .repeats = size / 1024 - 1};
     }},

    // Ends.
    {"close unanswered",
     [](size_t) { return Attack{.path = "/close", .once = frame(kFin, kText, 1)}; }},
    {"close and deaf",
     [](size_t) {
         return Attack{.path = "/echo",
                       .once = times(2000, frame(kFin, kText, 1000)) + frame(kFin, kClose, 0)};
     }},
    {"resets",
     [](size_t) {
         return Attack{.path = "/echo",
                       .once = times(100, frame(kFin, kText, 100)),
                       .hangs_up = true,
                       .connects_per_second = 1000};
     }},

    {"crowd",
     [](size_t size) {
         return Attack{.path = "/echo", .once = frame(kFin, kText, size), .hangs_up = true};
     }},

    // Memory that is no longer needed.
    {"heartbeats",
     [](size_t size) {
         return Attack{.path = "/sink",
                       .once = frame(kFin, kBinary, size),
                       .again = frame(kFin, kText, 1),
                       .per_second = 1,
                       .reads = Reads::everything};
     }},
};

} // namespace

Attack attack_named(std::string_view name, size_t size)
{
    const auto found = kAttacks.find(name);
    if (found == kAttacks.end())
        bench::give_up("no such attack");
    return found->second(size);
}

} // namespace siege
