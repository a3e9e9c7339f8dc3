// deflate_fanout.cpp: fanout.cpp's work with compression, or without for comparison: each message
// of the sender must reach --connections receivers and the sender itself before the next is sent
// (--depth: so many under way). Prints one line of JSON: deliveries, what one cost the server's
// process, how long after its sending the last receiver had it, and what came over the wire.
// First a few messages are sent until everybody has one: a server may answer the handshake before
// it counts the client among the receivers. From then on the sender inflates and compares. A
// receiver whose frames are the sender's, byte for byte, has the same messages, and need not
// inflate 500 times on the one processor that the client has.
#include "deflate_peers.h"
#include "exchange.h"
#include "meter.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace bench {
namespace {

struct Member : DeflatePeer {
    bool joined = false; // has received something
};

class FanOut
{
  public:
    explicit FanOut(const Settings &settings)
        : settings_(settings), peers_(settings), members_(settings.connections + 1),
          sender_(members_.front()), under_way_(settings.depth)
    {
        for (Member &member : members_)
            peers_.open(member, 0);
    }

    void run();

  private:
    struct Message {
        int64_t sent_at = 0;
        size_t delivered = 0; // to so many
        bool known = false;   // the sender has it, so the next two are set
        bool compressed = false;
        std::string payload;
    };
    struct Unchecked { // came before the sender's own
        size_t number;
        bool compressed;
        std::string payload;
    };

    void join_all();
    void receive_while_joining(Member &member);
    bool everybody_is_up_to_date() const;
    void send_more();
    void serve_once();
    void receive(Member &member);
    void receive_own(bool compressed, std::string_view payload);
    void receive_other(Member &member, bool compressed, std::string_view payload);
    void compare(size_t number, bool compressed, std::string_view payload);
    void deliver(size_t number);
    void report(const CpuMeter::Figures &figures) const;

    static Member &member_of(const epoll_event &event)
    {
        return static_cast<Member &>(*static_cast<DeflatePeer *>(event.data.ptr));
    }
    Message &message(size_t number) { return under_way_[number % settings_.depth]; }

    const Settings &settings_;
    DeflatePeers peers_;
    Histogram latencies_;
    uint64_t deliveries_ = 0;
    std::vector<Member> members_;
    Member &sender_;
    std::vector<Message> under_way_; // by number modulo depth
    std::vector<Unchecked> unchecked_;
    size_t offered_ = 0;  // messages before this one have been offered to the socket
    size_t finished_ = 0; // messages before this one have reached everybody
};

void FanOut::run()
{
    join_all();
    send_more();
    report(measure(
        settings_, [&] { serve_once(); },
        [&] {
            latencies_.clear();
            peers_.clear_figures();
            deliveries_ = 0;
        }));
}

void FanOut::join_all()
{
    const auto joined = [](const Member &member) { return member.joined; };
    while (!std::all_of(members_.begin(), members_.end(), joined)) {
        peers_.send(sender_, sender_.sent + 1);
        do {
            for (const epoll_event &event : peers_.wait())
                receive_while_joining(member_of(event));
        } while (!everybody_is_up_to_date());
    }
    offered_ = finished_ = sender_.sent;
}

void FanOut::receive_while_joining(Member &member)
{
    peers_.receive(member, [&](bool compressed, std::string_view payload) {
        const std::string_view text = peers_.text_of(member, compressed, payload);
        if (!member.joined)
            member.received = sender_.sent - 1; // or one that was sent before
        while (!member.joined && member.received > 0 &&
               peers_.texts().text(member.received) != text)
            --member.received;
        if (member.received >= sender_.sent || peers_.texts().text(member.received) != text)
            give_up("a wrong message came back");
        member.joined = true;
        ++member.received;
    });
}

// Those who have joined, that is.
bool FanOut::everybody_is_up_to_date() const
{
    return std::all_of(members_.begin(), members_.end(), [&](const Member &member) {
        return !member.joined || member.received == sender_.sent;
    });
}

void FanOut::send_more()
{
    const size_t end = finished_ + settings_.depth;
    const int64_t now = now_ns();
    for (; offered_ < end; ++offered_) {
        message(offered_).sent_at = now;
        message(offered_).delivered = 0;
        message(offered_).known = false;
    }
    peers_.send(sender_, end);
}

void FanOut::serve_once()
{
    const auto events = peers_.wait();
    receive(sender_); // first, so that few have to wait for it
    for (const epoll_event &event : events) {
        Member &member = member_of(event);
        if (&member != &sender_)
            receive(member);
    }
    if (sender_.sent < finished_ + settings_.depth)
        send_more();
}

void FanOut::receive(Member &member)
{
    peers_.receive(member, [&](bool compressed, std::string_view payload) {
        if (member.received >= sender_.sent)
            give_up("a message has come that was not sent");
        if (&member == &sender_)
            receive_own(compressed, payload);
        else
            receive_other(member, compressed, payload);
    });
}

void FanOut::receive_own(bool compressed, std::string_view payload)
{
    const size_t number = sender_.received;
    peers_.check(sender_, compressed, payload);
    message(number).known = true;
    message(number).compressed = compressed;
    message(number).payload = payload;
    deliver(number);
    std::erase_if(unchecked_, [&](const Unchecked &other) {
        if (other.number != number)
            return false;
        compare(number, other.compressed, other.payload);
        return true;
    });
}

void FanOut::receive_other(Member &member, bool compressed, std::string_view payload)
{
    const size_t number = member.received++;
    peers_.count(member, compressed, peers_.texts().text(number).size());
    if (message(number).known)
        compare(number, compressed, payload);
    else
        unchecked_.push_back({number, compressed, std::string(payload)});
}

void FanOut::compare(size_t number, bool compressed, std::string_view payload)
{
    if (message(number).compressed != compressed || message(number).payload != payload)
        give_up("a receiver's frame is not the sender's: wrong, or compressed otherwise, which"
                " is not looked into");
    deliver(number);
}

// TCP keeps the order, so messages are finished in theirs.
void FanOut::deliver(size_t number)
{
    ++deliveries_;
    if (++message(number).delivered < members_.size())
        return;
    latencies_.add(peers_.last_receipt_at() - message(number).sent_at);
    finished_ = number + 1;
}

void FanOut::report(const CpuMeter::Figures &figures) const
{
    if (latencies_.total() == 0)
        give_up("no message has reached everybody in the measured time");
    const auto deliveries = static_cast<double>(deliveries_);
    std::printf("{\"messages\": %.0f, \"receivers\": %zu, \"seconds\": %.4f, "
                "\"per_second\": %.1f, ",
                static_cast<double>(latencies_.total()), members_.size(), figures.seconds,
                deliveries / figures.seconds);
    print_latencies(latencies_);
    std::printf(", ");
    print_costs(figures, deliveries);
    std::printf(", ");
    peers_.print_figures();
    std::printf("}\n");
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv, {.connections = 500});
    bench::allow_files(settings.connections + 1);
    bench::FanOut(settings).run();
    return 0;
}
