// beast_sync.cpp: Boost.Beast in the benchmark, synchronous: a thread per connection, which
// reads, answers and waits. Its command line is ../work.h's. Serves until SIGTERM, whose
// default action is to end it.
#include "tests/bench/work.h"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

bench_work work;

// Beast's defaults: level 8, memory level 4, windows of 15 bits, all messages. It ends each with a
// full flush, so it keeps its window and never refers to an earlier message.
websocket::permessage_deflate compression()
{
    websocket::permessage_deflate options;
    options.server_enable = work.compression;
    if (work.compression_level > 0)
        options.compLevel = work.compression_level;
    return options;
}

// A client that others send to as well.
struct Session {
    explicit Session(tcp::socket socket) : stream(std::move(socket)) {}

    void write(const beast::flat_buffer &message, bool text, beast::error_code &error)
    {
        const std::lock_guard lock(write_mutex);
        stream.text(text);
        stream.write(message.data(), error);
    }

    websocket::stream<tcp::socket> stream;
    std::mutex write_mutex;
};

// Senders hold it shared, so that no receiver disappears meanwhile.
std::shared_mutex clients_mutex;
std::set<Session *> clients;

class Membership
{
  public:
    explicit Membership(Session &session) : session_(session)
    {
        const std::lock_guard lock(clients_mutex);
        clients.insert(&session_);
    }
    ~Membership()
    {
        const std::lock_guard lock(clients_mutex);
        clients.erase(&session_);
    }
    Membership(const Membership &) = delete;
    Membership &operator=(const Membership &) = delete;

  private:
    Session &session_;
};

void fan_out(const beast::flat_buffer &message, bool text)
{
    const std::shared_lock lock(clients_mutex);
    for (Session *client : clients) {
        beast::error_code ignored; // its own thread sees it too
        client->write(message, text, ignored);
    }
}

void serve_fan_out(Session &session)
{
    const Membership membership(session);
    beast::error_code error;
    beast::flat_buffer message;
    for (;;) {
        session.stream.read(message, error);
        if (error)
            return;
        fan_out(message, session.stream.got_text());
        message.clear();
    }
}

void serve_echo(websocket::stream<tcp::socket> &stream)
{
    beast::error_code error;
    beast::flat_buffer message;
    for (;;) {
        stream.read(message, error);
        if (error)
            return;
        block_thread(work.block_ms);
        stream.text(stream.got_text());
        stream.write(message.data(), error);
        if (error)
            return;
        message.clear();
    }
}

void serve(tcp::socket socket)
{
    beast::error_code error;
    socket.set_option(tcp::no_delay(true), error);
    Session session(std::move(socket));
    session.stream.read_message_max(MOST_MESSAGE_BYTES);
    session.stream.auto_fragment(false); // a message is one frame, whatever its size; not if
                                         // compressed
    session.stream.set_option(compression());
    session.stream.accept(error);
    if (error)
        return;
    if (work.fanout)
        serve_fan_out(session);
    else
        serve_echo(session.stream);
}

} // namespace

int main(int argc, char **argv)
{
    work = parse_work(argc, argv);
    raise_file_limit();
    asio::io_context context(1);
    tcp::acceptor acceptor(context);
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    acceptor.listen(LISTEN_BACKLOG);
    say_port(acceptor.local_endpoint().port());
    for (;;) {
        beast::error_code error;
        tcp::socket socket = acceptor.accept(error);
        if (!error)
            std::thread(serve, std::move(socket)).detach();
    }
}
