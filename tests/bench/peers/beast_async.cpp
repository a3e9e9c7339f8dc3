// beast_async.cpp: Boost.Beast in the benchmark, asynchronous: one io_context on one thread,
// so no strands and no locks. Its command line is ../work.h's. Serves until SIGTERM, whose
// default action is to end it.
#include "tests/bench/work.h"

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <memory>
#include <set>
#include <utility>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
// With the type of its executor known, a handler is called without indirection.
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Stream = websocket::stream<Socket>;
using beast::error_code;

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

void configure(Stream &stream)
{
    error_code ignored;
    beast::get_lowest_layer(stream).set_option(tcp::no_delay(true), ignored);
    stream.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    stream.read_message_max(MOST_MESSAGE_BYTES);
    stream.auto_fragment(false); // a message is one frame, whatever its size; not if compressed
    stream.set_option(compression());
}

// Reads a message, writes it from the buffer it was read into, reads the next one.
class EchoSession : public std::enable_shared_from_this<EchoSession>
{
  public:
    explicit EchoSession(Socket socket) : stream_(std::move(socket)) {}

    void start()
    {
        configure(stream_);
        stream_.async_accept([self = shared_from_this()](error_code error) {
            if (!error)
                self->read();
        });
    }

  private:
    void read()
    {
        stream_.async_read(message_, [self = shared_from_this()](error_code error, size_t) {
            if (!error)
                self->write();
        });
    }

    void write()
    {
        block_thread(work.block_ms);
        stream_.text(stream_.got_text());
        const auto written = [self = shared_from_this()](error_code error, size_t) {
            if (error)
                return;
            self->message_.clear();
            self->read();
        };
        stream_.async_write(message_.data(), written);
    }

    Stream stream_;
    beast::flat_buffer message_;
};

// Reads on while it writes; what others send to it meanwhile waits in a queue.
class FanOutSession : public std::enable_shared_from_this<FanOutSession>
{
  public:
    explicit FanOutSession(Socket socket) : stream_(std::move(socket)) {}

    void start()
    {
        configure(stream_);
        stream_.async_accept([self = shared_from_this()](error_code error) {
            if (error)
                return;
            members.insert(self.get());
            self->read();
        });
    }
    ~FanOutSession() { members.erase(this); }
    FanOutSession(const FanOutSession &) = delete;
    FanOutSession &operator=(const FanOutSession &) = delete;

  private:
    struct Message {
        beast::flat_buffer bytes;
        bool text;
    };

    void read()
    {
        stream_.async_read(incoming_, [self = shared_from_this()](error_code error, size_t) {
            if (error)
                return;
            self->fan_out();
            self->read();
        });
    }

    void fan_out()
    {
        const auto message = std::make_shared<const Message>(
            Message{std::exchange(incoming_, {}), stream_.got_text()});
        for (FanOutSession *member : members)
            member->send(message);
    }

    void send(const std::shared_ptr<const Message> &message)
    {
        queue_.push_back(message);
        if (queue_.size() == 1)
            write();
    }

    void write()
    {
        stream_.text(queue_.front()->text);
        const auto written = [self = shared_from_this()](error_code error, size_t) {
            if (error)
                return; // the queue is not empty, so nothing more is written
            self->queue_.pop_front();
            if (!self->queue_.empty())
                self->write();
        };
        stream_.async_write(queue_.front()->bytes.data(), written);
    }

    static inline std::set<FanOutSession *> members;

    Stream stream_;
    beast::flat_buffer incoming_;
    std::deque<std::shared_ptr<const Message>> queue_;
};

template<class Session> void accept_next(Acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](error_code error, Socket socket) {
        if (!error)
            std::make_shared<Session>(std::move(socket))->start();
        accept_next<Session>(acceptor);
    });
}

} // namespace

int main(int argc, char **argv)
{
    work = parse_work(argc, argv);
    raise_file_limit();
    asio::io_context context(1);
    Acceptor acceptor(context);
    acceptor.open(tcp::v4());
    acceptor.bind({asio::ip::address_v4::loopback(), 0});
    acceptor.listen(LISTEN_BACKLOG);
    say_port(acceptor.local_endpoint().port());
    if (work.fanout)
        accept_next<FanOutSession>(acceptor);
    else
        accept_next<EchoSession>(acceptor);
    context.run();
}
