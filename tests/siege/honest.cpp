// honest.cpp: the client that wants service while others attack: honest PORT plain|tls. Sends
// 20 bytes of text every 2 ms, whether or not the earlier echoes have come. Prints "ready"
// after the first echoes, measures from a line on stdin until stdin ends, and prints as JSON
// how long the echoes took, including those that have not come yet.
#include "frames.h"
#include "opening.h"

#include "tests/bench/meter.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <poll.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

constexpr int64_t kEvery = 2'000'000;
constexpr size_t kFirst = 50;
constexpr int kSetupMs = 10000;
constexpr int64_t kHasCome = -1;
constexpr size_t kMostUnderWay = 10000;

using namespace bench;

class Honest
{
  public:
    Honest(uint16_t port, TlsClient *tls) : opening_(port, tls), link_(opening_.link()) {}

    void run()
    {
        open();
        int64_t due = now_ns();
        while (!over_ && !lost_) {
            wait_until(due);
            receive();
            if (now_ns() < due)
                continue;
            send();
            due = std::max(due + kEvery, now_ns() + kEvery / 2); // does not catch up
        }
        for (const int64_t sent_at : under_way_)
            if (sent_at != kHasCome)
                add(now_ns() - sent_at);
        std::printf("{\"count\": %llu, \"worst_ms\": %.3f, \"p99_ms\": %.3f, \"lost\": %s}\n",
                    static_cast<unsigned long long>(latencies_.total()),
                    static_cast<double>(worst_) / 1e6,
                    std::min(latencies_.quantile(0.99) / 1e3, static_cast<double>(worst_) / 1e6),
                    lost_ ? "true" : "false");
    }

  private:
    void open()
    {
        for (;;) {
            const siege::Progress progress =
                opening_.wait(kSetupMs) ? opening_.go_on() : siege::Progress::ended;
            if (progress == siege::Progress::ended)
                give_up("honest: no connection");
            if (progress == siege::Progress::done)
                break;
        }
        take(opening_.rest());
    }

    void wait_until(int64_t due)
    {
        pollfd ready[] = {{.fd = link_.fd(), .events = POLLIN, .revents = 0},
                          {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
        const auto wait_ns = static_cast<long>(std::max<int64_t>(due - now_ns(), 0));
        const timespec limit{.tv_sec = 0, .tv_nsec = wait_ns}; // at most the honest pace
        (void)ppoll(ready, 2, &limit, nullptr);
        if (ready[1].revents != 0)
            take_order();
    }

    void take_order()
    {
        char line[16];
        over_ = read(STDIN_FILENO, line, sizeof line) <= 0;
        if (over_)
            return;
        latencies_.clear();
        worst_ = 0;
    }

    void send()
    {
        if (under_way_.size() >= kMostUnderWay || !unsent_.empty())
            return retry();
        // FIN and text, 20 bytes, with a mask that changes nothing.
        char frame[32];
        const int size =
            std::snprintf(frame, sizeof frame, "\x81\x94%c%c%c%c%020zu", 0, 0, 0, 0, sent_++);
        under_way_.push_back(now_ns());
        unsent_.assign(frame, static_cast<size_t>(size));
        retry();
    }

    void retry()
    {
        if (unsent_.empty())
            return;
        const std::optional<size_t> n = link_.send(unsent_);
        unsent_.erase(0, n.value_or(0));
        lost_ |= !n;
    }

    void receive()
    {
        for (;;) {
            const std::optional<size_t> n = link_.receive(buffer_);
            lost_ |= !n;
            if (!n || *n == 0)
                return;
            take({buffer_.data(), *n});
        }
    }

    void take(std::string_view bytes)
    {
        frames_.feed(bytes, [&](unsigned opcode, std::string_view payload) {
            if (opcode == 1)
                take_echo(payload);
        });
    }

    // With concurrent_events they may come in any order.
    void take_echo(std::string_view payload)
    {
        size_t number = 0;
        const char *end = payload.data() + payload.size();
        if (std::from_chars(payload.data(), end, number).ptr != end)
            give_up("another echo");
        const size_t place = number - oldest_;
        if (place >= under_way_.size() || under_way_[place] == kHasCome)
            give_up("an echo of something not in flight");
        add(now_ns() - std::exchange(under_way_[place], kHasCome));
        for (; !under_way_.empty() && under_way_.front() == kHasCome; ++oldest_)
            under_way_.pop_front();
        if (++received_ == kFirst) {
            std::puts("ready");
            std::fflush(stdout);
        }
    }

    void add(int64_t took)
    {
        latencies_.add(took);
        worst_ = std::max(worst_, took);
    }

    siege::Opening opening_;
    siege::Link &link_;
    siege::Frames frames_;
    std::deque<int64_t> under_way_; // when each was sent, oldest first; or kHasCome
    size_t oldest_ = 0;             // number of the oldest
    std::string unsent_;            // the rest of the last message
    size_t sent_ = 0;
    size_t received_ = 0;
    Histogram latencies_;
    int64_t worst_ = 0;
    bool over_ = false;
    bool lost_ = false;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
};

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        give_up("usage: honest PORT plain|tls");
    Settings settings;
    settings.port = static_cast<uint16_t>(std::atoi(argv[1]));
    settings.tls = std::string_view(argv[2]) == "tls";
    std::optional<TlsClient> tls;
    if (settings.tls)
        tls.emplace(settings);
    Honest(settings.port, tls ? &*tls : nullptr).run();
    return 0;
}
