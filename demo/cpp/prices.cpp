// prices.cpp: a ticker: a timer publishes prices, and each replaces the one before it, so that who
// reads slowly gets the latest ones. Who comes later begins with those.
//
//     prices [port]      default 1234, 0 for any free one
#include <websock/websock.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <random>
#include <string>

using namespace std::chrono_literals;

int main(int argc, char **argv)
try {
    websock::Server server;
    server.configure_topics("prices", {.when_behind = websock::WhenBehind::skip});
    server.on_open([](const websock::Client &client) {
        client.subscribe("prices", {.history = websock::all_history});
    });
    std::map<std::string, int> prices{{"ACME", 100}, {"EXAMPLE", 200}};
    server.every(100ms, [&, random = std::mt19937(1)]() mutable {
        for (auto &[name, price] : prices) {
            price += static_cast<int>(random() % 3) - 1;
            server.publish(
                {.topic = "prices", .text = name + " " + std::to_string(price), .key = name});
        }
    });
    server.listen("127.0.0.1", argc > 1 ? argv[1] : "1234");
    std::printf("prices: ws://127.0.0.1:%d/\n", server.port());
    (void)std::fflush(stdout);
    server.run();
} catch (const std::exception &error) {
    std::fprintf(stderr, "prices: %s\n", error.what());
    return 1;
}
