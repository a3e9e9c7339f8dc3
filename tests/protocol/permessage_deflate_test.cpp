// permessage_deflate_test.cpp: which offers of permessage-deflate are accepted, and how they are
// answered. The offers are headers of requests, as clients send them.
#include "protocol/permessage_deflate.h"

#include "protocol/handshake.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

using namespace websock;

namespace {

const CompressionWish kDefault;
const CompressionWish kLargest{.client_window_bits = 15};
const CompressionWish kNoHistory{.keeps_history = false};

std::optional<CompressionParameters> negotiate(const std::string &offers,
                                               const CompressionWish &wish = kDefault)
{
    Request request;
    REQUIRE(request
                .parse("GET / HTTP/1.1\r\n"
                       "Host: a\r\n"
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Extensions: " +
                       offers + "\r\n\r\n")
                .status == 0);
    return negotiate_compression(request.extension_offers(), wish);
}

// "": all were declined.
std::string answer_to(const std::string &offers, const CompressionWish &wish = kDefault)
{
    const std::optional<CompressionParameters> agreed = negotiate(offers, wish);
    return agreed ? compression_answer(*agreed) : "";
}

// The answer to an offer with these parameters, of which the name of the extension is left out.
std::string parameters_for(const std::string &parameters, const CompressionWish &wish = kDefault)
{
    const std::string name = "permessage-deflate";
    const std::string answer = answer_to(name + "; " + parameters, wish);
    if (answer.empty())
        return "declined";
    REQUIRE(answer.starts_with(name));
    return answer == name ? "" : answer.substr(name.size() + 2);
}

} // namespace

TEST_SUITE_BEGIN("no transport");

// RFC 6455 5.8: "The endpoints of a connection MUST negotiate the use of any extensions during ..."
// RFC 6455 9.1: "Any extension-token used MUST be a registered token (see Section 11.4)."
// RFC 7692 5: "To accept the use of an offered PMCE, a server MUST include the extension name ..."
TEST_CASE("an offer without parameters is accepted without parameters")
{
    CHECK(answer_to("permessage-deflate") == "permessage-deflate");
    CHECK(negotiate("permessage-deflate") == CompressionParameters{});
}

TEST_CASE("nothing is accepted where nothing is offered, or other extensions are")
{
    for (const char *offers :
         {"", ",", "x-webkit-deflate-frame", "permessage-deflat", "permessage-deflate2",
          "permessage-bzip2", "bbf-usp-protocol; eid=\"os::002604-X\"", "Permessage-Deflate"}) {
        CAPTURE(offers);
        CHECK(answer_to(offers) == "");
    }
}

// RFC 7692 5: "... constraints on the server's behavior that must be satisfied if the server ..."
// RFC 7692 7.1.2.1: "This parameter has a decimal integer value ... MUST conform to ..."
// RFC 7692 7.1.2.1: "The "server_max_window_bits" extension parameter ... MUST conform ..."
TEST_CASE("the server's window is as large as offered, and in the answer only if in the offer")
{
    for (int bits = 8; bits <= 15; ++bits) {
        const std::string parameter = "server_max_window_bits=" + std::to_string(bits);
        CHECK(parameters_for(parameter) == parameter);
        const auto agreed = negotiate("permessage-deflate; " + parameter);
        REQUIRE(agreed);
        CHECK(agreed->server_window_bits == bits);
        CHECK(agreed->client_window_bits == 15);
    }
}

// RFC 7692 5: "... the server must use the "agreed parameters" ... to explicitly ask ..."
// RFC 7692 7.1.2.2: "If a value is specified for this parameter, the value MUST conform ..."
// RFC 7692 7.1.2.2: "The "client_max_window_bits" extension parameter ... MUST conform ..."
// RFC 7692 7.1.2.2: "... response to the offer MUST NOT include the ... parameter."
// RFC 7692 7.1.3: "... the server must not accept the offer with ..."
TEST_CASE("the client's window is the smaller one of offer and wish, and asked for only if offered")
{
    for (int wished = 8; wished <= 15; ++wished) {
        const CompressionWish wish{.client_window_bits = wished};
        CHECK(negotiate("permessage-deflate", wish)->client_window_bits == 15);
        CHECK(answer_to("permessage-deflate", wish) == "permessage-deflate");
        const auto unset = negotiate("permessage-deflate; client_max_window_bits", wish);
        REQUIRE(unset);
        CHECK(unset->client_window_bits == wished);
        for (int offered = 8; offered <= 15; ++offered) {
            const int bits = std::min(offered, wished);
            const std::string name = "client_max_window_bits=";
            CHECK(parameters_for(name + std::to_string(offered), wish) ==
                  (bits == 15 ? "" : name + std::to_string(bits)));
        }
    }
    CHECK(parameters_for("client_max_window_bits") == "client_max_window_bits=12");
    CHECK(parameters_for("client_max_window_bits", kLargest) == "");
}

TEST_CASE("a client that wants no context takeover of the server gets none")
{
    CHECK(parameters_for("server_no_context_takeover") == "server_no_context_takeover");
    const auto agreed = negotiate("permessage-deflate; server_no_context_takeover");
    REQUIRE(agreed);
    CHECK_FALSE(agreed->server_context_takeover);
    CHECK(agreed->client_context_takeover);
}

TEST_CASE("a client that promises not to take its context over is held to it")
{
    CHECK(parameters_for("client_no_context_takeover") == "client_no_context_takeover");
    const auto agreed = negotiate("permessage-deflate; client_no_context_takeover");
    REQUIRE(agreed);
    CHECK_FALSE(agreed->client_context_takeover);
    CHECK(agreed->server_context_takeover);
}

TEST_CASE("a server that keeps no history says so, unasked")
{
    CHECK(answer_to("permessage-deflate", kNoHistory) ==
          "permessage-deflate; server_no_context_takeover");
    CHECK(parameters_for("server_no_context_takeover", kNoHistory) == "server_no_context_takeover");
    CHECK_FALSE(negotiate("permessage-deflate", kNoHistory)->server_context_takeover);
}

// RFC 6455 9: "... those parameters MUST be chosen in accordance with the specification ..."
// RFC 7692 5: ""Agreed parameters" must represent how the requests and hints in the client's ..."
TEST_CASE("parameters come in any order, with white space or without, and values may be quoted")
{
    const std::string all = "server_no_context_takeover; client_no_context_takeover; "
                            "server_max_window_bits=10; client_max_window_bits=12";
    for (const char *parameters :
         {"server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
          "client_max_window_bits",
          "client_max_window_bits;server_max_window_bits=10;client_no_context_takeover;"
          "server_no_context_takeover",
          "client_max_window_bits=\"14\" ; server_max_window_bits = \"1\\0\" \t;"
          "\tclient_no_context_takeover ; server_no_context_takeover"}) {
        CAPTURE(parameters);
        CHECK(parameters_for(parameters) == all);
    }
}

// RFC 6455 9.1: "The parameters supplied with any given extension MUST be defined for that ..."
// RFC 7692 7: "A server MUST decline an extension negotiation offer for this extension if ..."
TEST_CASE("an offer with a parameter that is unknown, invalid or given twice is declined")
{
    for (const char *parameters : {
             "x",
             "x=1",
             "Server_No_Context_Takeover",
             "server_no_context_takeover=1",
             "server_no_context_takeover=\"true\"",
             "client_no_context_takeover=1",
             "server_max_window_bits",
             "server_no_context_takeover; server_no_context_takeover",
             "client_no_context_takeover; client_no_context_takeover",
             "server_max_window_bits=10; server_max_window_bits=10",
             "client_max_window_bits; client_max_window_bits",
             "client_max_window_bits; client_max_window_bits=10",
             "client_max_window_bits; x",
             "server_max_window_bits=10; max_window_bits=10",
         }) {
        CAPTURE(parameters);
        CHECK(parameters_for(parameters) == "declined");
    }
}

TEST_CASE("windows are numbers from 8 to 15 without leading zeros or signs")
{
    for (const char *bits : {"0",
                             "1",
                             "7",
                             "16",
                             "08",
                             "010",
                             "015",
                             "+10",
                             "-10",
                             "0x0a",
                             "1e1",
                             "10.",
                             "10.0",
                             "ten",
                             "4294967304",
                             "18446744073709551624",
                             "99999999999999999999999",
                             "-8",
                             "\"08\"",
                             "\"7\"",
                             "\" 10\"",
                             "\"10 \"",
                             "\"\"",
                             "",
                             "\"10"}) {
        CAPTURE(bits);
        for (const char *name : {"server_max_window_bits=", "client_max_window_bits="})
            CHECK(parameters_for(std::string(name) + bits) == "declined");
    }
}

// RFC 7692 5: "The element MUST represent a PMCE that is fully supported by the server."
TEST_CASE("the first acceptable offer counts, whatever is wrong with those before it")
{
    const std::string good = "permessage-deflate; server_max_window_bits=9";
    for (const char *before :
         {"permessage-deflate; x", "permessage-deflate; server_max_window_bits",
          "permessage-deflate; client_max_window_bits=16", "permessage-deflate;",
          "permessage-deflate; server_max_window_bits=", "x-webkit-deflate-frame",
          "permessage-bzip2", "x; y=\"a, b\"", ""}) {
        CAPTURE(before);
        CHECK(answer_to(std::string(before) + ", " + good) == good);
        CHECK(answer_to(good + ", " + before) == good);
    }
    CHECK(answer_to(good + ", permessage-deflate") == good);
    CHECK(answer_to("permessage-deflate\r\nSec-WebSocket-Extensions: " + good) ==
          "permessage-deflate");
}

TEST_CASE("the offers of clients in use are answered as those clients expect")
{
    const std::string bare = "permessage-deflate";
    const std::string window = bare + "; client_max_window_bits=12";
    // Chrome, Edge, ws for node, Python's websockets, .NET (DangerousDeflateOptions)
    CHECK(answer_to("permessage-deflate; client_max_window_bits") == window);
    CHECK(answer_to("permessage-deflate; client_max_window_bits", kLargest) == bare);
    CHECK(answer_to("permessage-deflate; client_max_window_bits", kNoHistory) ==
          "permessage-deflate; server_no_context_takeover; client_max_window_bits=12");
    // Firefox, OkHttp, Safari since 15, coder/websocket for Go
    CHECK(answer_to("permessage-deflate") == bare);
    // Safari before 15
    CHECK(answer_to("x-webkit-deflate-frame") == "");
    CHECK(answer_to("x-webkit-deflate-frame, permessage-deflate; client_max_window_bits") ==
          window);
    // Gorilla for Go, which fails if the answer lacks one of the two; and the other Go library
    // if told to
    const std::string neither = bare + "; server_no_context_takeover; client_no_context_takeover";
    CHECK(answer_to(neither) == neither);
    CHECK(answer_to("permessage-deflate; client_no_context_takeover; server_no_context_takeover") ==
          neither);
    // .NET with all its options; without an answer to its own window it fails
    CHECK(answer_to("permessage-deflate; client_max_window_bits=9; client_no_context_takeover; "
                    "server_max_window_bits=10; server_no_context_takeover",
                    kLargest) == neither + "; server_max_window_bits=10; client_max_window_bits=9");
    // The example of RFC 7692 7.1.3, with a fallback
    CHECK(answer_to("permessage-deflate; client_max_window_bits; server_max_window_bits=10, "
                    "permessage-deflate; client_max_window_bits") ==
          "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12");
}
