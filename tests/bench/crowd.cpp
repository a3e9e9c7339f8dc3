// crowd.cpp: very many connections that all echo, in turn and with one message in flight each,
// at a total --rate of messages a second. Latency counts from the moment a message was due, so
// a server that cannot keep up shows it. A connection that breaks or brings wrong bytes is
// counted as an error and left out. Prints one line of JSON.
#include "meter.h"
#include "peers.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace bench {
namespace {

constexpr int64_t kMostWaitNs = 100'000'000;
constexpr size_t kBurst = 64; // messages sent before looking at answers

struct Member : Peer {
    int64_t due_at = 0; // of the message in flight
    bool up = true;

    bool in_flight() const { return to_receive.message < to_send.message || blocked; }
};

class Crowd
{
  public:
    explicit Crowd(const Settings &settings)
        : settings_(settings), peers_(settings), interval_ns_(1e9 / settings.rate),
          members_(settings.connections), up_(settings.connections)
    {
        for (size_t i = 0; i < members_.size(); ++i) {
            peers_.open(members_[i], i);
            members_[i].to_send.message = members_[i].to_receive.message = i;
        }
    }

    void run();

  private:
    void serve_once();
    int64_t due_at() const;
    void send_what_is_due();
    bool send_next();
    void go_on(Member &member, uint32_t events);
    void drop(Member &member);
    void report(const CpuMeter::Figures &figures) const;

    const Settings &settings_;
    Peers peers_;
    const double interval_ns_;
    std::vector<Member> members_;
    Histogram latencies_;
    size_t up_;
    uint64_t errors_ = 0;
    size_t turn_ = 0; // whose turn it is
    uint64_t sent_ = 0;
    int64_t began_at_ = 0;
};

void Crowd::run()
{
    began_at_ = now_ns();
    report(measure(
        settings_, [&] { serve_once(); }, [&] { latencies_.clear(); }));
}

int64_t Crowd::due_at() const
{
    return began_at_ + static_cast<int64_t>(static_cast<double>(sent_) * interval_ns_);
}

void Crowd::serve_once()
{
    send_what_is_due();
    const int64_t wait_ns = std::clamp<int64_t>(due_at() - now_ns(), 0, kMostWaitNs);
    const bool waits_for_turn = members_[turn_].in_flight();
    for (const epoll_event &event : peers_.wait(waits_for_turn ? kMostWaitNs : wait_ns, true))
        go_on(static_cast<Member &>(*static_cast<Peer *>(event.data.ptr)), event.events);
}

void Crowd::send_what_is_due()
{
    for (size_t i = 0; i < kBurst && due_at() <= now_ns(); ++i)
        if (!send_next())
            return;
}

// False: the one whose turn it is still waits for an answer, so all must wait.
bool Crowd::send_next()
{
    if (up_ == 0)
        give_up("no connection is left");
    while (!members_[turn_].up)
        turn_ = (turn_ + 1) % members_.size();
    Member &member = members_[turn_];
    if (member.in_flight())
        return false;
    member.due_at = due_at();
    ++sent_;
    turn_ = (turn_ + 1) % members_.size();
    if (!peers_.send(member, member.to_send.message + 1))
        drop(member);
    return true;
}

void Crowd::go_on(Member &member, uint32_t events)
{
    if (!member.up)
        return;
    if (member.blocked && !peers_.send(member, member.to_send.message + 1))
        return drop(member);
    if (!(events & ~static_cast<uint32_t>(EPOLLOUT)))
        return;
    do {
        const size_t before = member.to_receive.message;
        const Peers::Received received = peers_.receive(member);
        if (received == Peers::Received::end || received == Peers::Received::wrong ||
            member.to_receive.message > member.to_send.message)
            return drop(member);
        if (member.to_receive.message > before)
            latencies_.add(peers_.last_receipt_at() - member.due_at);
    } while (member.stream.has_more());
}

void Crowd::drop(Member &member)
{
    ++errors_;
    --up_;
    member.up = false;
    member.to_receive.message = member.to_send.message;
    member.blocked = false;
    member.stream.close(); // also takes it out of the epoll
}

void Crowd::report(const CpuMeter::Figures &figures) const
{
    const auto messages = static_cast<double>(latencies_.total());
    if (messages == 0)
        give_up("no message in the measured time");
    std::printf("{\"messages\": %.0f, \"connections\": %zu, \"errors\": %llu, \"rate\": %.0f, "
                "\"seconds\": %.4f, \"per_second\": %.1f, ",
                messages, up_, static_cast<unsigned long long>(errors_), settings_.rate,
                figures.seconds, messages / figures.seconds);
    print_latencies(latencies_);
    std::printf(", ");
    print_costs(figures, messages);
    std::printf("}\n");
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv, {.connections = 10000});
    if (settings.payload > 4096)
        bench::give_up("crowd is for payloads up to 4096 bytes");
    bench::allow_files(settings.connections);
    bench::Crowd(settings).run();
    return 0;
}
