// query_test.cpp: what a program reads out of a request: parameters of its query, cookies, and all
// header lines. What is decoded, and how, is in protocol/url_encoded_test.cpp and cookie_test.cpp.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>

using namespace test;

namespace {

using Request = const libwebsock_request *;
using Getter = int (*)(Request, const char *, char *, size_t);

// The value, or the error in words that no value has.
std::string get(Getter getter, Request request, const char *name, size_t size = 64)
{
    std::array<char, 64> out;
    out.fill('#');
    const int error = error_of(getter(request, name, out.data(), size));
    if (error == 0)
        return out.data();
    const std::string left = out[0] == '\0' ? "" : ", and something is in out";
    return "errno " + std::to_string(error) + left;
}

std::string failed(int error) { return "errno " + std::to_string(error); }

// What onrequest is to look at: it stores what it has found.
using Look = std::function<std::string(Request)>;
std::string seen_in(const std::string &target, const std::string &headers, const Look &look)
{
    std::string seen;
    Server server({.onrequest = [&](Scene &, auto *, Request request) {
        seen = look(request);
        return 0;
    }});
    Client::open(server.port(), target, headers);
    return seen;
}

struct Line {
    std::string name, value;
};

int add_line(void *lines, const char *name, const char *value)
{
    static_cast<std::vector<Line> *>(lines)->push_back({name, value});
    return 0;
}

} // namespace

TEST_CASE("a parameter of the query is decoded as forms are")
{
    const auto parameter = [](const char *name) {
        return [name](Request request) { return get(libwebsock_query_parameter, request, name); };
    };
    const std::string target =
        "/chat?room=caf%C3%A9+no.%201&user%5Bname%5D=x&flag&room=2&pct=5%&z=";
    CHECK(seen_in(target, "", parameter("room")) == "caf\xc3\xa9 no. 1");
    CHECK(seen_in(target, "", parameter("user[name]")) == "x");
    CHECK(seen_in(target, "", parameter("flag")) == "");
    CHECK(seen_in(target, "", parameter("pct")) == "5%");
    CHECK(seen_in(target, "", parameter("z")) == "");
    CHECK(seen_in(target, "", parameter("Room")) == failed(ENOENT));
    CHECK(seen_in("/chat", "", parameter("room")) == failed(ENOENT));
    CHECK(seen_in("/chat?a=%00", "", parameter("a")) == failed(EINVAL));
}

TEST_CASE("a cookie is found in any Cookie header, without its quotes and decoded")
{
    const auto cookie = [](const char *name) {
        return [name](Request request) { return get(libwebsock_cookie, request, name); };
    };
    const std::string headers = "Cookie: id=\"a+b%20c\"; theme=dark\r\n"
                                "X-Cookie: id=other\r\n"
                                "cookie: late=1, id=2;lang=en; theme=light\r\n";
    CHECK(seen_in("/", headers, cookie("id")) == "a+b c");
    CHECK(seen_in("/", headers, cookie("theme")) == "dark");
    CHECK(seen_in("/", headers, cookie("late")) == "1, id=2");
    CHECK(seen_in("/", headers, cookie("lang")) == "en");
    CHECK(seen_in("/", headers, cookie("Theme")) == failed(ENOENT));
    CHECK(seen_in("/", "", cookie("id")) == failed(ENOENT));
    CHECK(seen_in("/", "Cookie: a=%00\r\n", cookie("a")) == failed(EINVAL));
}

TEST_CASE("a value that does not fit is ERANGE, a null argument EINVAL, and out is then empty")
{
    std::atomic<int> wrong = 0;
    (void)seen_in("/?a=12345", "Cookie: a=12345\r\n", [&](Request request) {
        for (const Getter getter : {libwebsock_query_parameter, libwebsock_cookie}) {
            wrong += get(getter, request, "a", 6) != "12345";
            wrong += get(getter, request, "a", 5) != failed(ERANGE);
            wrong += get(getter, request, "a", 1) != failed(ERANGE);
            wrong += get(getter, request, "a", 0) != failed(EINVAL) + ", and something is in out";
            wrong += get(getter, request, nullptr) != failed(EINVAL);
            wrong += get(getter, nullptr, "a") != failed(EINVAL);
            wrong += error_of(getter(request, "a", nullptr, 10)) != EINVAL;
        }
        return "";
    });
    CHECK(wrong == 0);
}

TEST_CASE("every header line is seen, in its order, with its name as it was sent")
{
    std::vector<Line> lines;
    (void)seen_in("/", "X-One:  spaced out \t\r\nx-MANY: a\r\nCookie: c=d\r\nX-Many: b, c\r\n",
                  [&](Request request) {
                      return libwebsock_each_header(request, add_line, &lines) == 0 ? "" : "failed";
                  });
    std::string all;
    for (const Line &line : lines)
        if (line.name.starts_with("X-") || line.name.starts_with("x-") || line.name == "Cookie")
            all += line.name + "=" + line.value + "|";
    CHECK(all == "X-One=spaced out|x-MANY=a|Cookie=c=d|X-Many=b, c|");
    CHECK(lines.front().name == "Host");
}

TEST_CASE("a walk of the headers ends when its function says so, and returns what that says")
{
    std::atomic<int> wrong = 0;
    (void)seen_in("/", "", [&](Request request) {
        int calls = 0;
        const auto stop = [](void *count, const char *, const char *) {
            return ++*static_cast<int *>(count) == 2 ? 42 : 0;
        };
        wrong += libwebsock_each_header(request, stop, &calls) != 42;
        wrong += calls != 2;
        wrong += error_of(libwebsock_each_header(request, nullptr, &calls)) != EINVAL;
        wrong += error_of(libwebsock_each_header(nullptr, stop, &calls)) != EINVAL;
        return "";
    });
    CHECK(wrong == 0);
}

TEST_CASE("the request can be read by any thread that has a handle, when the client has gone")
{
    Server server({.keep_handles = true});
    {
        Client client = Client::open(server.port(), "/?name=value", "Cookie: a=b\r\n");
    }
    server.events().wait(Kind::close);
    Request request = libwebsock_client_request(server.handle());
    std::string parameter, cookie;
    std::vector<Line> lines;
    std::thread other([&] {
        parameter = get(libwebsock_query_parameter, request, "name");
        cookie = get(libwebsock_cookie, request, "a");
        (void)libwebsock_each_header(request, add_line, &lines);
    });
    other.join();
    CHECK(parameter == "value");
    CHECK(cookie == "b");
    CHECK(lines.size() > 4);
}
