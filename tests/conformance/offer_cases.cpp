// offer_cases.cpp: RFC 7692 5 and 7.1: what clients offer, and the 101 to the byte. A bad offer is
// declined, alone, and never refuses the handshake. Handshakes without compression are in
// handshake_cases.cpp.
#include "cases.h"
#include "requests.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace conformance;

namespace {

const std::string kName = "Sec-WebSocket-Extensions: ";
const std::string kGood = "permessage-deflate; server_max_window_bits=11";

Request offer(const std::string &lines, const std::string &answer)
{
    Request request;
    request.section = "7.1";
    request.sentence = lines;
    request.bytes = test::upgrade_request("/", lines + "\r\n");
    if (!answer.empty())
        request.lines = {kName + answer + "\r\n"};
    return request;
}

// As the whole value of one header.
Request of(const std::string &value, const std::string &answer)
{
    return offer(kName + value, answer);
}

const std::vector<std::string> kBadBits = {
    "7", "16",  "0",   "08",   "015", "1",      "150",   "-9",  "+9",  "9x",
    "x", "0x9", "9.0", "\"\"", "\"8", "\" 9\"", "\"7\"", "256", "9 9", "4294967305"};

} // namespace

// RFC 7692 5: "To accept the use of an offered PMCE, a server MUST include the extension name ..."
// RFC 7692 7.1.2.2: "... response to the offer MUST NOT include the ... parameter."
TEST_CASE("7.1: what an offer asks for is in the answer")
{
    std::vector<Request> all = {
        of("permessage-deflate", "permessage-deflate"),
        of("permessage-deflate; client_max_window_bits",
           "permessage-deflate; client_max_window_bits=12"),
        of("permessage-deflate; server_no_context_takeover",
           "permessage-deflate; server_no_context_takeover"),
        of("permessage-deflate; client_no_context_takeover",
           "permessage-deflate; client_no_context_takeover"),
        of("permessage-deflate;client_no_context_takeover;client_max_window_bits=15;"
           "server_max_window_bits=9;server_no_context_takeover",
           "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
           "server_max_window_bits=9; client_max_window_bits=12"),
        of("  permessage-deflate\t;  server_max_window_bits = 10 ", kGood.substr(0, 43) + "10"),
    };
    for (int bits = 8; bits <= 15; bits++) {
        const std::string size = std::to_string(bits);
        const std::string server = "permessage-deflate; server_max_window_bits=";
        const std::string client = "permessage-deflate; client_max_window_bits=";
        all.push_back(of(server + size, server + size));
        all.push_back(of(server + "\"" + size + "\"", server + size));
        all.push_back(of(client + size, client + std::to_string(std::min(bits, 12))));
        all.push_back(of(client + "\"" + size + "\"", client + std::to_string(std::min(bits, 12))));
    }
    try_requests(all, true);
}

// RFC 7692 7: "A server MUST decline an extension negotiation offer for this extension if ..."
// RFC 7692 5: "A server declining all offered PMCEs MUST NOT include any element ..."
TEST_CASE("7.1: a bad offer is declined, and the handshake goes on without compression")
{
    std::vector<std::string> bad = {
        "permessage-deflate; unknown",
        "permessage-deflate; unknown=1",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=10; client_max_window_bits=12",
        "permessage-deflate; Server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; unknown",
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "permessage-deflate-frame",
    };
    std::vector<Request> all;
    for (const std::string &bits : kBadBits)
        for (const char *name : {"server_max_window_bits=", "client_max_window_bits="})
            all.push_back(of(std::string("permessage-deflate; ") + name + bits, ""));
    for (const char *bits : {"7", "16", "08", ""})
        bad.push_back(std::string("permessage-deflate; server_max_window_bits=\"") + bits + "\"");
    for (const std::string &one : bad) {
        all.push_back(of(one, ""));
        all.push_back(of(one + ", " + kGood, kGood));
        all.push_back(of(kGood + ", " + one, kGood));
        all.push_back(of("foo; bar=1, " + one + ", " + kGood + ", permessage-deflate", kGood));
    }
    try_requests(all, true);
}

TEST_CASE("7.1: offers may be in several lines; what has no grammar asks for nothing")
{
    std::vector<Request> all = {
        offer(kName + "foo\r\n" + kName + kGood, kGood),
        offer(kName + kGood + "\r\n" + kName + "permessage-deflate", kGood),
        offer(kName + "permessage-deflate; unknown\r\n" + kName + kGood, kGood),
        offer("sec-websocket-extensions: " + kGood, kGood),
        of(kGood + ", permessage-deflate", kGood),
        of("permessage-deflate, " + kGood, "permessage-deflate"),
        of("," + kGood + ",,", kGood),
        of("foo; x=\"a\", " + kGood, kGood),
    };
    for (const char *broken :
         {"permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; a=",
          "permessage-deflate foo", "permessage-deflate; server_max_window_bits=\"9",
          "\"permessage-deflate\"", ";permessage-deflate", "permessage-deflate/1", ""})
        all.push_back(of(broken, ""));
    try_requests(all, true);
}
