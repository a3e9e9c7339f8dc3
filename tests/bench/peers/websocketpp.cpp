// websocketpp.cpp: websocketpp over Boost.Asio in the benchmark: one thread, and so no locks;
// no logging. Its command line is ../work.h's. Serves until SIGTERM, whose default action
// is to end it.
#include "tests/bench/work.h"

#include <memory>
#include <set>
#include <websocketpp/concurrency/none.hpp>
#include <websocketpp/config/asio_no_tls.hpp>
#include <websocketpp/extensions/permessage_deflate/enabled.hpp>
#include <websocketpp/logger/stub.hpp>
#include <websocketpp/server.hpp>

namespace {

struct Config : websocketpp::config::asio {
    using type = Config;
    using concurrency_type = websocketpp::concurrency::none;
    using elog_type = websocketpp::log::stub;
    using alog_type = websocketpp::log::stub;

    // Level 6, memory level 4, windows of 15 bits: none of it can be set.
    struct permessage_deflate_config {
    };
    using permessage_deflate_type =
        websocketpp::extensions::permessage_deflate::enabled<permessage_deflate_config>;

    static const bool enable_multithreading = false;
    static const size_t connection_read_buffer_size = 64 * 1024; // for large messages

    struct transport_config : websocketpp::config::asio::transport_config {
        using concurrency_type = type::concurrency_type;
        using elog_type = type::elog_type;
        using alog_type = type::alog_type;
        static const bool enable_multithreading = false;
    };
    using transport_type = websocketpp::transport::asio::endpoint<transport_config>;
};

using Server = websocketpp::server<Config>;
using Message = Server::message_ptr;
using Handle = websocketpp::connection_hdl;

Server server;
bench_work work;
std::set<Server::connection_ptr> clients; // only for fan-out

// A message that already has its header is written as it is, so one serves all clients.
Message encoded(const Message &message)
{
    namespace frame = websocketpp::frame;
    const auto out = std::make_shared<Message::element_type>(nullptr, message->get_opcode(),
                                                             message->get_payload().size());
    const frame::basic_header basic(message->get_opcode(), message->get_payload().size(), true,
                                    false);
    const frame::extended_header extended(message->get_payload().size());
    out->set_header(frame::prepare_header(basic, extended));
    out->get_raw_payload().swap(message->get_raw_payload());
    out->set_prepared(true);
    return out;
}

// A send fails when the client has gone; the close handler removes it. With compression each
// connection has to encode it.
void fan_out(const Message &message)
{
    message->set_compressed(work.compression);
    const Message out = work.compression ? message : encoded(message);
    for (const Server::connection_ptr &client : clients)
        (void)client->send(out);
}

void on_message(const Handle &handle, const Message &message)
{
    if (work.fanout)
        return fan_out(message);
    block_thread(work.block_ms);
    message->set_compressed(work.compression); // otherwise as it came
    (void)server.get_con_from_hdl(handle)->send(message);
}

void set_handlers()
{
    server.set_tcp_pre_init_handler([](const Handle &handle) {
        websocketpp::lib::asio::error_code ignored;
        server.get_con_from_hdl(handle)->get_raw_socket().set_option(
            websocketpp::lib::asio::ip::tcp::no_delay(true), ignored);
    });
    server.set_message_handler(on_message);
    if (!work.fanout)
        return;
    server.set_open_handler(
        [](const Handle &handle) { clients.insert(server.get_con_from_hdl(handle)); });
    server.set_close_handler(
        [](const Handle &handle) { clients.erase(server.get_con_from_hdl(handle)); });
}

} // namespace

int main(int argc, char **argv)
{
    work = parse_work(argc, argv);
    raise_file_limit();
    namespace asio = websocketpp::lib::asio;
    server.init_asio();
    server.set_max_message_size(MOST_MESSAGE_BYTES);
    server.set_listen_backlog(LISTEN_BACKLOG);
    set_handlers();
    server.listen(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    server.start_accept();
    asio::error_code ignored;
    say_port(server.get_local_endpoint(ignored).port());
    server.run();
}
