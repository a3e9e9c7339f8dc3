// newcomer.cpp: a new client every 50 ms while others attack: newcomer PORT plain|tls.
// Connects, makes the handshakes, has 20 bytes echoed and leaves, from a line on stdin until
// stdin ends. Then it prints as JSON how long that took and how often it failed: it was turned
// away, or had no echo within ten seconds.
#include "frames.h"
#include "opening.h"

#include "tests/bench/meter.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace {

using namespace bench;

constexpr int64_t kEvery = 50'000'000;
constexpr int64_t kPatience = 10'000'000'000;
constexpr std::string_view kQuestion{"\x81\x94\0\0\0\0abcdefghijklmnopqrst", 26};

bool over()
{
    pollfd ready{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    return poll(&ready, 1, 0) != 0;
}

class Visit
{
  public:
    Visit(uint16_t port, TlsClient *tls) : opening_(port, tls) {}

    enum class Outcome { served, turned_away, broken_off };
    Outcome make()
    {
        while (now_ns() - began_ < kPatience) {
            if (over())
                return Outcome::broken_off;
            if (!opening_.wait(10) || !go_on())
                return Outcome::turned_away;
            if (is_served_)
                return Outcome::served;
        }
        return Outcome::turned_away;
    }
    int64_t took() const { return now_ns() - began_; }

  private:
    // False if the connection has ended.
    bool go_on()
    {
        if (has_asked_)
            return listen();
        const siege::Progress progress = opening_.go_on();
        if (progress != siege::Progress::done)
            return progress != siege::Progress::ended;
        has_asked_ = true;
        take(opening_.rest());
        return opening_.link().send(kQuestion) == kQuestion.size();
    }

    bool listen()
    {
        char bytes[4096];
        const std::optional<size_t> n = opening_.link().receive(bytes);
        if (n)
            take({bytes, *n});
        return n.has_value();
    }

    void take(std::string_view received)
    {
        frames_.feed(received, [&](unsigned opcode, std::string_view payload) {
            is_served_ |= opcode == 1 && payload == kQuestion.substr(6);
        });
    }

    const int64_t began_ = now_ns();
    siege::Opening opening_;
    bool has_asked_ = false;
    bool is_served_ = false;
    siege::Frames frames_;
};

void wait_for_line()
{
    char line[16];
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
        give_up("stdin ended");
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        give_up("usage: newcomer PORT plain|tls");
    const auto port = static_cast<uint16_t>(std::atoi(argv[1]));
    std::optional<TlsClient> tls;
    if (std::string_view(argv[2]) == "tls")
        tls.emplace(Settings{});
    wait_for_line();
    int64_t worst = 0;
    size_t count = 0;
    size_t turned_away = 0;
    while (!over()) {
        Visit visit(port, tls ? &*tls : nullptr);
        const Visit::Outcome outcome = visit.make();
        worst = std::max(worst, visit.took()); // also of one that was not finished
        count += outcome == Visit::Outcome::served;
        turned_away += outcome == Visit::Outcome::turned_away;
        const timespec pause{.tv_sec = 0, .tv_nsec = kEvery};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, nullptr);
    }
    std::printf("{\"count\": %zu, \"turned_away\": %zu, \"worst_ms\": %.3f}\n", count, turned_away,
                static_cast<double>(worst) / 1e6);
    return 0;
}
