// send_file_test.cpp: a file as one message: what leaves, what is between its frames, and what
// happens if it cannot be sent as a whole. Over real sockets, with TLS or without.
#include "tests/support/server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>

using namespace test;

namespace {

// An unnamed file.
class File
{
  public:
    explicit File(const std::string &content)
    {
        std::string name = "/tmp/websock-file-XXXXXX";
        fd_ = mkostemp(name.data(), O_CLOEXEC);
        REQUIRE(fd_ >= 0);
        REQUIRE(unlink(name.c_str()) == 0);
        write_at(0, content);
    }
    ~File() { close(fd_); }
    File(const File &) = delete;
    File &operator=(const File &) = delete;

    int fd() const { return fd_; }
    void write_at(off_t offset, const std::string &bytes) const
    {
        REQUIRE(pwrite(fd_, bytes.data(), bytes.size(), offset) ==
                static_cast<ssize_t>(bytes.size()));
    }
    void cut(off_t len) const { REQUIRE(ftruncate(fd_, len) == 0); }

  private:
    int fd_;
};

std::string some_bytes(size_t len)
{
    std::string bytes(len, '\0');
    unsigned state = 1;
    for (char &byte : bytes) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
    }
    return bytes;
}

// A message, its frames put together; pongs between them are counted.
struct Received {
    std::string payload = {};
    bool fin = false;
    unsigned opcode = 0;
    size_t frames = 0;
    size_t pongs = 0;
    size_t longest = 0;
};

void receive_frame(Client &client, Received &message)
{
    const Frame frame = client.receive_frame();
    if (frame.opcode == WS_OPCODE_PONG) {
        ++message.pongs;
        return;
    }
    if (message.frames++ == 0)
        message.opcode = frame.opcode;
    else
        REQUIRE(frame.opcode == WS_OPCODE_CONTINUE);
    message.longest = std::max(message.longest, frame.payload.size());
    message.payload += frame.payload;
    message.fin = frame.fin;
}

Received receive_message(Client &client)
{
    Received message;
    while (!message.fin)
        receive_frame(client, message);
    return message;
}

// So that a sender has to wait for a client that does not read.
constexpr size_t kLong = 2'000'000;
void keep_little_in_the_system(libwebsock_context *context) { context->send_buffer_bytes = 16'384; }

int send(libwebsock_client_state *client, const File &file, unsigned long long offset,
         unsigned long long len, unsigned opcode = WS_OPCODE_BINARY)
{
    return libwebsock_send_file(client, opcode, file.fd(), offset, len);
}

} // namespace

TEST_CASE("a file arrives as one message, in frames of 64 KiB")
{
    const std::string content = some_bytes(1'000'000);
    const File file(content);
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    std::thread sender([&] { CHECK(send(handle, file, 0, content.size()) == 0); });
    const Received message = receive_message(client);
    sender.join();
    CHECK((message.payload == content));
    CHECK(message.opcode == WS_OPCODE_BINARY);
    CHECK(message.frames == 16);
    CHECK(message.longest == 65'536);
    CHECK(lseek(file.fd(), 0, SEEK_CUR) == 0);
}

TEST_CASE("some of a file can be sent, and nothing of it")
{
    const std::string content = some_bytes(200'000);
    const File file(content);
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    for (const auto &[offset, len] :
         {std::pair<size_t, size_t>{0, 0}, {200'000, 0}, {5, 1}, {100'000, 65'536}, {1, 65'537}}) {
        CHECK(send(handle, file, offset, len) == 0);
        CHECK((receive_message(client).payload == content.substr(offset, len)));
    }
}

TEST_CASE("a callback sends a file to its own client, whatever its length")
{
    const std::string content = some_bytes(3'000'000);
    const File file(content);
    Server server(
        {.onmessage = [&](Scene &, libwebsock_client_state *client, libwebsock_message *) {
            CHECK(send(client, file, 0, content.size()) == 0);
            libwebsock_send_text(client, "that was it");
        }});
    Client client = Client::open(server.port());
    client.send_text("the file, please");
    CHECK((receive_message(client).payload == content));
    CHECK(client.receive_text() == "that was it");
}

TEST_CASE("a file is compressed for clients that accept that, unless the caller says no")
{
    const std::string content(500'000, 'a');
    const File file(content);
    Server server({.settings = [](libwebsock_context *context) { context->compression = 1; },
                   .keep_handles = true});
    Client client(server.port(), {.extensions = "permessage-deflate"});
    client.handshake();
    for (const unsigned flags : {0U, static_cast<unsigned>(LIBWEBSOCK_UNCOMPRESSED)}) {
        const uint64_t before = client.bytes_received();
        std::thread sender([&] {
            CHECK(send(server.handle(), file, 0, content.size(), WS_OPCODE_TEXT | flags) == 0);
        });
        CHECK((receive_message(client).payload == content));
        sender.join();
        CHECK((client.bytes_received() - before > content.size()) == (flags != 0));
    }
}

TEST_CASE("what cannot be sent is refused with an error, and the connection is left alone")
{
    const File file("0123456789");
    const File not_text(std::string("abc\xff", 4));
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    CHECK(error_of(send(handle, file, 0, 11)) == ERANGE);
    CHECK(error_of(send(handle, file, 11, 0)) == ERANGE);
    CHECK(error_of(send(handle, file, ~0ULL, 1)) == ERANGE);
    CHECK(error_of(send(handle, file, 1, ~0ULL)) == ERANGE);
    CHECK(error_of(libwebsock_send_file(handle, WS_OPCODE_BINARY, -1, 0, 1)) == EBADF);
    CHECK(error_of(send(handle, not_text, 0, 4, WS_OPCODE_TEXT)) == EILSEQ);
    CHECK(error_of(send(handle, file, 0, 1, WS_OPCODE_PING)) == EINVAL);
    CHECK(error_of(send(handle, file, 0, 1, 0)) == EINVAL);
    CHECK(error_of(send(nullptr, file, 0, 1)) == EINVAL);
    const int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(error_of(libwebsock_send_file(handle, WS_OPCODE_BINARY, directory, 0, 1)) == EISDIR);
    close(directory);
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(error_of(libwebsock_send_file(handle, WS_OPCODE_BINARY, ends[0], 0, 1)) == ESPIPE);
    close(ends[0]);
    close(ends[1]);
    libwebsock_send_text(handle, "still here");
    CHECK(client.receive_text() == "still here");
}

TEST_CASE("a file cannot begin inside a message in fragments")
{
    const File file(some_bytes(100'000));
    Server server({.keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    libwebsock_send_fragment(handle, "a", 1, WS_OPCODE_TEXT);
    CHECK(error_of(send(handle, file, 0, 100'000)) == EBUSY);
    libwebsock_send_fragment(handle, "b", 1, WS_OPCODE_CONTINUE | WS_FRAGMENT_FIN);
    CHECK(receive_message(client).payload == "ab");
}

TEST_CASE("pongs go between the frames of a file, and messages behind it")
{
    const std::string content = some_bytes(kLong);
    const File file(content);
    Server server({.settings = keep_little_in_the_system,
                   .oncontrol = [](auto &, auto *, auto *) {},
                   .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    std::thread sender([&] { CHECK(send(handle, file, 0, content.size()) == 0); });
    Received message;
    receive_frame(client, message); // most of the rest has no room in the system
    client.send_frame(true, WS_OPCODE_PING, "?");
    (void)server.events().wait(Kind::control); // it has been answered
    CHECK(libwebsock_queue_text(handle, "behind it", 9) == 0);
    while (!message.fin)
        receive_frame(client, message);
    CHECK((message.payload == content));
    CHECK(message.pongs == 1);
    CHECK(client.receive_text() == "behind it");
    sender.join();
}

TEST_CASE("a file that cannot be sent to its end closes the connection with 1011")
{
    const std::string content(kLong, 'x');
    const File file(content);
    Server server({.settings = keep_little_in_the_system, .keep_handles = true});
    Client client = Client::open(server.port());
    libwebsock_client_state *const handle = server.handle();
    std::atomic<int> error{0};
    std::thread sender(
        [&] { error = error_of(send(handle, file, 0, content.size(), WS_OPCODE_TEXT)); });
    CHECK(!client.receive_frame().fin);
    SUBCASE("because it becomes shorter")
    {
        file.cut(0);
        while (client.receive_past_pings().opcode != WS_OPCODE_CLOSE) {
        }
        sender.join();
        CHECK(error == EIO);
    }
    SUBCASE("because its end is no text")
    {
        file.write_at(kLong - 10, "\xff");
        while (client.receive_past_pings().opcode != WS_OPCODE_CLOSE) {
        }
        sender.join();
        CHECK(error == EILSEQ);
    }
    client.send_close(WS_CLOSE_UNEXPECTED_ERROR);
    client.expect_eof();
    (void)server.events().wait(Kind::close);
}

TEST_CASE("a client that leaves ends the call, and one that does not read does at the time-out")
{
    const File file(some_bytes(kLong));
    Server server({.settings =
                       [](libwebsock_context *context) {
                           keep_little_in_the_system(context);
                           context->send_timeout_ms = 200;
                       },
                   .keep_handles = true});
    Client leaves = Client::open(server.port());
    std::thread sender(
        [&] { CHECK(error_of(send(server.handle(1), file, 0, kLong)) == ENOTCONN); });
    CHECK(!leaves.receive_frame().fin);
    leaves.reset();
    sender.join();
    Client deaf = Client::open(server.port());
    CHECK(error_of(send(server.handle(2), file, 0, kLong)) == ETIMEDOUT);
}
