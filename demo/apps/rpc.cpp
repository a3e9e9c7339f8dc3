// rpc.cpp: JSON-RPC 2.0, https://www.jsonrpc.org/specification, with nlohmann/json (Debian:
// nlohmann-json3-dev). Up to 16 messages of a client are worked on at a time, so a call that takes
// long holds up no other; a batch is answered when all of it is done.
//
//     build/demo/rpc [port]     default 1234
//     python3 -m websockets ws://127.0.0.1:1234/
//
// {"jsonrpc": "2.0", "id": 1, "method": "subtract", "params": [42, 23]} is a call to type; "wait"
// takes [milliseconds], and after "subscribe" a notification comes every second.
#include <websock/websock.hpp>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>

using nlohmann::json;
using websock::Client;

namespace {
constexpr const char *kTicks = "ticks"; // a topic

struct Error : std::runtime_error {
    Error(int number, const char *text) : std::runtime_error(text), code(number) {}
    int code;
};

// Returns the result, or throws an Error, or what becomes -32603. Copy and print no params that may
// be nested deeply: nlohmann would need much stack.
using Methods = std::map<std::string, json (*)(const Client &client, const json &params)>;

double number_in(const json &params, size_t position, const std::string &name)
{
    const json::json_pointer at("/" + (params.is_array() ? std::to_string(position) : name));
    if (!params.contains(at) || !params[at].is_number())
        throw Error(-32602, "Invalid params");
    return params[at].get<double>();
}

json subtract(const Client &, const json &params)
{
    const double result = number_in(params, 0, "minuend") - number_in(params, 1, "subtrahend");
    if (!std::isfinite(result))
        throw std::overflow_error("subtract");
    return result;
}

json wait(const Client &, const json &params)
{
    const double ms = number_in(params, 0, "ms");
    if (!(ms >= 0 && ms <= 3000)) // less than drain_timeout: a stop waits for it
        throw Error(-32602, "Invalid params");
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
    return ms;
}

json subscribe(const Client &client, const json &)
{
    (void)client.try_unsubscribe(kTicks); // it may have subscribed already
    client.subscribe(kTicks);
    return true;
}

json error_answer(int code, const char *text, const json &id = nullptr)
{
    return {{"jsonrpc", "2.0"}, {"error", {{"code", code}, {"message", text}}}, {"id", id}};
}

bool is_request(const json &call)
{
    if (!call.is_object() || !call.contains("jsonrpc") || !call.contains("method"))
        return false;
    const auto id = call.find("id"), params = call.find("params");
    return call["jsonrpc"] == "2.0" && call["method"].is_string() &&
           (params == call.end() || params->is_structured()) &&
           (id == call.end() || id->is_string() || id->is_number() || id->is_null());
}

// Null: there is nothing to answer.
json answer(const Methods &methods, const Client &client, const json &call)
{
    if (!is_request(call))
        return error_answer(-32600, "Invalid Request");
    static const json no_params = json::array();
    const json id = call.value("id", json());
    json reply;
    try {
        const auto method = methods.find(call["method"]);
        if (method == methods.end())
            throw Error(-32601, "Method not found");
        const json &params = call.contains("params") ? call["params"] : no_params;
        reply = {{"jsonrpc", "2.0"}, {"result", method->second(client, params)}, {"id", id}};
    } catch (const Error &error) {
        reply = error_answer(error.code, error.what(), id);
    } catch (const std::exception &) {
        reply = error_answer(-32603, "Internal error", id);
    }
    return call.contains("id") ? reply : json();
}

json answer_all(const Methods &methods, const Client &client, const json &message)
{
    if (!message.is_array())
        return message.is_discarded() ? error_answer(-32700, "Parse error")
                                      : answer(methods, client, message);
    if (message.empty() || message.size() > 100) // an answer may be longer than its call
        return error_answer(-32600, "Invalid Request");
    json answers;
    for (const json &call : message)
        if (json one = answer(methods, client, call); !one.is_null())
            answers.push_back(std::move(one));
    return answers;
}

// Nothing may be thrown through the library.
void tick(libwebsock_client_state *, void *server) noexcept
{
    char text[80];
    (void)std::snprintf(text, sizeof text, R"({"jsonrpc":"2.0","method":"tick","params":[%lld]})",
                        static_cast<long long>(std::time(nullptr)));
    (void)static_cast<websock::Server *>(server)->try_publish(kTicks, text);
}

} // namespace

int main(int argc, char **argv)
try {
    const Methods methods{{"subtract", subtract}, {"wait", wait}, {"subscribe", subscribe}};
    websock::Server server({.max_message_payload = 1 << 16, .concurrent_events = 16});
    server.on_message([&methods](const Client &client, std::string_view text) {
        const json answers = answer_all(methods, client, json::parse(text, nullptr, false));
        if (!answers.is_null())
            client.send(answers.dump());
    });
    server.listen("127.0.0.1", argc > 1 ? argv[1] : "1234");
    if (libwebsock_every(server.context(), nullptr, 1000, tick, &server) == 0)
        throw std::system_error(errno, std::generic_category(), "libwebsock_every");
    std::printf("rpc: ws://127.0.0.1:%d/\n", server.port());
    (void)std::fflush(stdout);
    server.run(); // until SIGINT or SIGTERM
} catch (const std::exception &error) {
    (void)std::fprintf(stderr, "rpc: %s\n", error.what());
    return 1;
}
