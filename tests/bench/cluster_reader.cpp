// cluster_reader.cpp: a client of each node of a cluster: cluster_reader PORT... Reads what
// cluster_node.c publishes until it has as many messages as a line of its stdin says, and checks
// that each client gets what each node has published in each topic, in that order, once, and that
// all clients get a topic in one order. Prints "ready" when all have subscribed, and in the end one
// line of JSON.
#include "exchange.h"
#include "meter.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <string>
#include <unordered_map>
#include <vector>

namespace bench {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr size_t kPayloadBytes = 200;
constexpr size_t kFrameBytes = kHeaderBytes + kPayloadBytes;
constexpr size_t kCheckEvery = 64; // messages of a topic
constexpr int kSilenceMs = 30'000; // then no more messages come

struct Stamp { // as in cluster_node.c
    int64_t sent_ns;
    uint32_t node;
    uint32_t topic;
    uint64_t number;
};

// What a client has had of one topic.
struct Topic {
    std::unordered_map<uint32_t, uint64_t> next; // number, by node
    size_t count = 0;
    uint64_t order = 0; // a hash of all so far
    std::vector<uint64_t> checks;
};

class Client
{
  public:
    explicit Client(uint16_t port)
        : stream_(connect_and_open({.port = port}, nullptr)), received_(1 << 18, '\0')
    {
        const std::string_view expected("\x81\x0asubscribed");
        std::string first(expected.size(), '\0');
        for (size_t done = 0; done < first.size();) {
            const ssize_t n = stream_.receive(std::span(first).subspan(done));
            if (n <= 0)
                give_up("the node does not answer");
            done += static_cast<size_t>(n);
        }
        if (first != expected)
            give_up("the node could not subscribe");
        set_blocking(stream_.fd(), false);
    }

    int fd() const { return stream_.fd(); }
    void read(Histogram &latencies);
    const std::unordered_map<uint32_t, Topic> &topics() const { return topics_; }

  private:
    void take(const Stamp &stamp);

    Stream stream_;
    std::string received_;
    size_t bytes_ = 0; // of received_
    std::unordered_map<uint32_t, Topic> topics_;
};

void Client::read(Histogram &latencies)
{
    const ssize_t n = stream_.receive(std::span(received_).subspan(bytes_));
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        give_up("a node has closed the connection");
    bytes_ += static_cast<size_t>(n);
    const int64_t now = now_ns();
    size_t done = 0;
    for (; bytes_ - done >= kFrameBytes; done += kFrameBytes) {
        const char *const frame = received_.data() + done;
        if (std::memcmp(frame, "\x82\x7e\x00\xc8", kHeaderBytes) != 0)
            give_up("something else than a message has come");
        Stamp stamp;
        std::memcpy(&stamp, frame + kHeaderBytes, sizeof stamp);
        latencies.add(now - stamp.sent_ns);
        take(stamp);
    }
    std::memmove(received_.data(), received_.data() + done, bytes_ - done);
    bytes_ -= done;
}

void Client::take(const Stamp &stamp)
{
    Topic &topic = topics_[stamp.topic];
    uint64_t &next = topic.next.try_emplace(stamp.node, stamp.number).first->second;
    if (stamp.number != next)
        give_up(stamp.number < next ? "a message has come twice" : "a message was lost");
    ++next;
    topic.order = (topic.order ^ (stamp.number * 31 + stamp.node)) * 0x100000001b3;
    if (++topic.count % kCheckEvery == 0)
        topic.checks.push_back(topic.order);
}

// As far as both have it.
void compare(const Client &one, const Client &other)
{
    for (const auto &[number, topic] : one.topics()) {
        const auto found = other.topics().find(number);
        if (found == other.topics().end())
            continue;
        const size_t both = std::min(topic.checks.size(), found->second.checks.size());
        if (!std::equal(topic.checks.begin(), topic.checks.begin() + static_cast<ptrdiff_t>(both),
                        found->second.checks.begin()))
            give_up("two nodes have a topic in two orders");
    }
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    using namespace bench;
    if (argc < 2)
        give_up("usage: cluster_reader PORT...");
    std::vector<Client> clients;
    std::vector<pollfd> polled{{.fd = 0, .events = POLLIN, .revents = 0}};
    for (int i = 1; i < argc; ++i) {
        clients.emplace_back(static_cast<uint16_t>(std::atoi(argv[i])));
        polled.push_back({.fd = clients.back().fd(), .events = POLLIN, .revents = 0});
    }
    std::printf("ready\n");
    std::fflush(stdout);
    Histogram latencies;
    size_t expected = SIZE_MAX; // in all
    while (latencies.total() < expected) {
        if (poll(polled.data(), polled.size(), kSilenceMs) <= 0)
            give_up("messages were lost");
        if (polled.front().revents != 0) {
            if (std::scanf("%zu", &expected) != 1)
                give_up("how many messages are to come?");
            polled.front().fd = -1;
        }
        for (size_t i = 0; i < clients.size(); ++i) {
            if (polled[i + 1].revents != 0)
                clients[i].read(latencies);
        }
    }
    const size_t received = latencies.total();
    for (const Client &client : clients)
        compare(clients.front(), client);
    std::printf("{\"received\": %zu, ", received);
    print_latencies(latencies);
    std::printf("}\n");
    return 0;
}
