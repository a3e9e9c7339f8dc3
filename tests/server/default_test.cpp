// default_test.cpp: the default callbacks, which print. default_server runs as a separate
// process, and the tests read its output.
#include "tests/support/certificates.h"
#include "tests/support/client.h"

#include <websock/websock.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <poll.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char **environ;

using namespace test;

namespace {

struct Output {
    int fd = -1;
    std::string text;

    void read_to_end() { read_lines(std::numeric_limits<ptrdiff_t>::max()); }

    // Reads until the text has this many lines or the output ends; throws at the deadline.
    void read_lines(ptrdiff_t count)
    {
        Clock::time_point deadline = Clock::now() + kDeadline;
        while (std::count(text.begin(), text.end(), '\n') < count) {
            auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
            pollfd entry{fd, POLLIN, 0};
            if (left.count() <= 0 || ::poll(&entry, 1, static_cast<int>(left.count())) == 0)
                fail("default_server prints too little, or does not end: " + text);
            char buffer[4096];
            ssize_t n = ::read(fd, buffer, sizeof buffer);
            if (n == 0)
                return;
            if (n > 0)
                text.append(buffer, static_cast<size_t>(n));
        }
    }

    std::vector<std::string> lines() const
    {
        std::vector<std::string> lines;
        for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
            lines.push_back(text.substr(at, end - at));
        return lines;
    }
};

// The path of default_server, which is in the directory of this program.
std::string server_path()
{
    char self[4096];
    ssize_t len = ::readlink("/proc/self/exe", self, sizeof self);
    REQUIRE(len > 0);
    std::string path(self, static_cast<size_t>(len));
    return path.substr(0, path.rfind('/')) + "/default_server";
}

class Process
{
  public:
    Output out, err;

    Process()
    {
        int out_pipe[2], err_pipe[2];
        REQUIRE(::pipe2(out_pipe, O_CLOEXEC) == 0);
        REQUIRE(::pipe2(err_pipe, O_CLOEXEC) == 0);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, out_pipe[1], STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions, err_pipe[1], STDERR_FILENO);
        std::string path = server_path();
        std::vector<std::string> words{path};
        if (over_tls())
            words.insert(words.end(),
                         {default_certificate().key_file, default_certificate().cert_file});
        std::vector<char *> arguments;
        for (std::string &word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        int error =
            ::posix_spawn(&pid_, path.c_str(), &actions, nullptr, arguments.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(out_pipe[1]);
        ::close(err_pipe[1]);
        out.fd = out_pipe[0];
        err.fd = err_pipe[0];
        CAPTURE(path);
        REQUIRE(error == 0);
        out.read_lines(1);
        port_ = std::stoi(out.text);
        out.text.clear();
    }

    ~Process()
    {
        if (pid_ > 0) { // only after a test has failed
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
        ::close(out.fd);
        ::close(err.fd);
    }

    int port() const { return port_; }

    // Ends it with SIGTERM and reads the rest of its output. Returns its exit status.
    int finish()
    {
        ::kill(pid_, SIGTERM);
        out.read_to_end();
        err.read_to_end();
        int status = -1;
        while (::waitpid(pid_, &status, 0) == -1 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

  private:
    pid_t pid_ = -1;
    int port_ = 0;
};

bool contains(const std::string &line, const std::string &words)
{
    return line.find(words) != std::string::npos;
}

} // namespace

TEST_CASE("by default a line is printed for connect, message and disconnect")
{
    Process server;
    Client client = Client::open(server.port());
    std::string address = client.address();
    server.out.read_lines(1);
    client.send_text("one\ntwo\t\x1b[2J \"caf\xc3\xa9\"");
    client.send_binary(std::string("\0\xff", 2));
    client.send_text(std::string(300, 'x'));
    client.send_text("");
    server.out.read_lines(5);
    client.send_close(WS_CLOSE_NORMAL,
                      "bye\ndisconnect fd 7, forged: 1000\x1b[2J\xc2\x9b\xe2\x80\xae");
    client.drain();
    server.out.read_lines(6); // as they happen, without waiting for the end
    CHECK(server.finish() == 0);
    CHECK(server.err.text == "");

    std::vector<std::string> lines = server.out.lines();
    REQUIRE(lines.size() == 6);
    for (const std::string &line : lines) {
        CAPTURE(line);
        CHECK(contains(line, address));
        auto printable = [](char c) { return static_cast<unsigned char>(c) >= ' '; };
        CHECK(std::all_of(line.begin(), line.end(), printable));
        for (const char *acting : {"\x7f", "\xc2\x9b", "\xe2\x80\xae", "\xff"})
            CHECK_FALSE(contains(line, acting));
    }
    CHECK(contains(lines[0], "connect"));
    CHECK(contains(lines[1], "\"one\\ntwo\\t\\x1b[2J \\\"caf\xc3\xa9\\\"\""));
    CHECK(contains(lines[2], "\"\\x00\\xff\""));
    CHECK(contains(lines[3], std::string(256, 'x')));
    CHECK_FALSE(contains(lines[3], std::string(257, 'x')));
    CHECK(contains(lines[5], "disconnect"));
    CHECK(contains(lines[5], ": 1000 bye\\ndisconnect fd 7, forged: 1000\\x1b[2J\\u009b\\u202e"));
}

TEST_CASE(
    "by default a frame too large prints an error line and closes the socket, without a Close")
{
    Process server;
    Client client = Client::open(server.port());
    client.send_raw(encode_header(true, WS_OPCODE_TEXT, 1001));
    client.receive_end(); // an orderly end or a reset, but nothing before it
    CHECK(server.finish() == 0);
    CHECK(contains(server.out.text + server.err.text, "1001"));
    CHECK(contains(server.out.text, "disconnect"));
}

TEST_CASE("by default the log goes to stderr")
{
    Process server;
    Client client(server.port());
    client.send_raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(client.receive_http().status == 426);
    client.drain();
    server.err.read_lines(1);
    CHECK(contains(server.err.text, client.address()));
    CHECK(server.finish() == 0);
    CHECK(server.out.text == "");
}
