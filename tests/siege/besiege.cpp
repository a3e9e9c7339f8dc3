// besiege.cpp: carries out one attack with many sockets in one epoll: besiege PORT plain|tls
// ATTACK COUNT SIZE. Prints "ready" when all have tried to get in, and attacks from a line on
// stdin until stdin ends. Then it prints as JSON how many connections ended meanwhile, and
// what was sent.
#include "attack.h"
#include "link.h"

#include "tests/bench/exchange.h"
#include "tests/bench/meter.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sys/epoll.h>
#include <unistd.h>
#include <vector>

namespace siege {

namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kTick = 5'000'000;
constexpr int64_t kComesBackAfter = kSecond / 5;
constexpr int64_t kPatience = 10 * kSecond; // then it attacks with those that got in
constexpr size_t kAtOnce = 256;             // connections being made, for those that come at once
constexpr int kUpdatesAtATime = 200;
constexpr int kSmallBuffer = 4096;

enum class Phase { absent, securing, upgrading, open };

struct Attacker {
    std::unique_ptr<Link> link;
    Phase phase = Phase::absent;
    bool wants_to_write = false;
    size_t offset = 0;   // into what is being sent
    bool once = true;    // sending Attack::once, not again
    size_t repeats = 0;  // of again, so far
    int64_t due = 0;     // when it comes back, or sends again
    double may_read = 0; // bytes, of a slow reader
};

class Siege
{
  public:
    Siege(uint16_t port, bool tls, Attack attack, size_t count)
        : port_(port), attack_(std::move(attack)), attackers_(count),
          epoll_(epoll_create1(EPOLL_CLOEXEC))
    {
        if (tls && !attack_.in_the_open)
            tls_.emplace(bench::Settings{});
        (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
        request_ = "GET " + attack_.path + std::string(bench::kHandshake.substr(5));
    }

    void run()
    {
        began_ = last_tick_ = bench::now_ns();
        while (!over_) {
            handle_events();
            const int64_t now = bench::now_ns();
            if (now - last_tick_ >= kTick)
                tick(now);
        }
        std::printf("{\"connected\": %zu, \"opened\": %zu, \"ended\": %zu, \"sent_bytes\": %zu}\n",
                    connected_, opened_, ended_, sent_bytes_);
    }

  private:
    void handle_events()
    {
        epoll_event events[256];
        const int count = epoll_wait(epoll_, events, 256, 1);
        for (int i = 0; i < count; ++i)
            drive(*static_cast<Attacker *>(events[i].data.ptr), events[i].events);
    }

    void tick(int64_t now)
    {
        const double passed = static_cast<double>(now - last_tick_) / 1e9;
        last_tick_ = now;
        take_orders();
        if (attack_.connects_per_second > 0)
            connect_at_pace(passed);
        else
            connect_absent(now);
        if (attacking_)
            for (Attacker &attacker : attackers_)
                if (attacker.phase == Phase::open)
                    keep_pace(attacker, now, passed);
        if (!said_ready_ && (is_complete() || now - began_ > kPatience)) {
            said_ready_ = true;
            std::puts("ready");
            std::fflush(stdout);
        }
    }

    void take_orders()
    {
        char line[16];
        const ssize_t n = read(STDIN_FILENO, line, sizeof line);
        over_ = n == 0;
        if (n <= 0 || attacking_)
            return;
        attacking_ = true;
        for (Attacker &attacker : attackers_)
            if (attacker.phase == Phase::open)
                send(attacker);
    }

    // Each attacker has tried to get in.
    bool is_complete() const
    {
        return attack_.connects_per_second > 0 ||
               (connected_ >= attackers_.size() && under_way_ == 0);
    }

    void connect_absent(int64_t now)
    {
        for (Attacker &attacker : attackers_) {
            if (under_way_ >= kAtOnce)
                return;
            if (attacker.phase == Phase::absent && now >= attacker.due)
                connect(attacker);
        }
    }

    void connect_at_pace(double passed)
    {
        if (!attacking_)
            return;
        credit_ = std::min(credit_ + passed * attack_.connects_per_second, 1000.0);
        for (; credit_ >= 1; --credit_) {
            Attacker &oldest = attackers_[next_++ % attackers_.size()];
            leave(oldest);
            connect(oldest);
        }
    }

    void connect(Attacker &attacker)
    {
        attacker = Attacker();
        const bool is_small = attack_.reads != Reads::everything;
        attacker.link =
            std::make_unique<Link>(port_, tls_ ? &*tls_ : nullptr, is_small ? kSmallBuffer : 0);
        attacker.phase = Phase::securing;
        epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.ptr = &attacker}};
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, attacker.link->fd(), &event) != 0)
            bench::give_up("epoll_ctl");
        ++under_way_;
        ++connected_;
    }

    void drive(Attacker &attacker, uint32_t events)
    {
        if ((events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0)
            return lose(attacker);
        if (attacker.phase == Phase::securing && !secure(attacker, events))
            return;
        if (attacker.phase == Phase::upgrading && !upgrade(attacker))
            return;
        if (attacker.phase != Phase::open)
            return;
        if ((events & EPOLLIN) != 0 && attack_.reads == Reads::everything && !read_all(attacker))
            return;
        if (attacking_ && (events & EPOLLOUT) != 0)
            send(attacker);
    }

    // The next two return whether to go on now.
    bool secure(Attacker &attacker, uint32_t events)
    {
        if ((events & EPOLLOUT) == 0)
            return false; // not connected
        const Progress progress = attacker.link->secure();
        if (progress == Progress::ended)
            lose(attacker);
        if (progress != Progress::done)
            return false;
        if (attack_.path.empty()) {
            open(attacker);
            return true;
        }
        attacker.phase = Phase::upgrading;
        if (attacker.link->send(request_) != request_.size()) {
            lose(attacker);
            return false;
        }
        return true;
    }

    bool upgrade(Attacker &attacker)
    {
        char answer[512]; // the server's answer is shorter, and comes in one piece
        const std::optional<size_t> n = attacker.link->receive(answer);
        if (n == size_t{0})
            return false;
        if (!n || !std::string_view(answer, *n).starts_with("HTTP/1.1 101")) {
            lose(attacker);
            return false;
        }
        ++opened_;
        open(attacker);
        return true;
    }

    void open(Attacker &attacker)
    {
        attacker.phase = Phase::open;
        attacker.once = !attack_.once.empty();
        --under_way_;
        ++open_now_;
        // From now on only events that it may have to act on are reported.
        want_to_write(attacker, attacking_, true);
    }

    bool read_all(Attacker &attacker)
    {
        for (;;) {
            const std::optional<size_t> n = attacker.link->receive(buffer_);
            if (!n)
                lose(attacker);
            if (!n || *n == 0)
                return n.has_value();
        }
    }

    bool has_all_sent(const Attacker &attacker) const
    {
        return !attacker.once && (attack_.again.empty() ||
                                  (attack_.repeats > 0 && attacker.repeats == attack_.repeats));
    }

    void send(Attacker &attacker)
    {
        size_t left = attack_.bytes_at_once;
        while (!has_all_sent(attacker)) {
            const bool is_paced = attack_.per_second > 0 && !attacker.once;
            if (left == 0 || (is_paced && attacker.offset == 0 && bench::now_ns() < attacker.due))
                return want_to_write(attacker, !is_paced);
            const std::string_view all = attacker.once ? attack_.once : attack_.again;
            const std::optional<size_t> n = attacker.link->send(all.substr(attacker.offset, left));
            if (!n)
                return lose(attacker);
            if (*n == 0)
                return want_to_write(attacker, true);
            sent_bytes_ += *n;
            left -= *n;
            attacker.offset += *n;
            if (attacker.offset == all.size())
                step(attacker);
        }
        if (attack_.updates_keys)
            return update_keys(attacker);
        want_to_write(attacker, false);
        if (attack_.hangs_up)
            leave(attacker);
    }

    void update_keys(Attacker &attacker)
    {
        for (int i = 0; i < kUpdatesAtATime; ++i) {
            const Progress progress = attacker.link->update_keys();
            if (progress == Progress::ended)
                return lose(attacker);
            if (progress == Progress::later)
                break;
        }
        want_to_write(attacker, true);
    }

    void step(Attacker &attacker)
    {
        attacker.offset = 0;
        if (!attacker.once)
            ++attacker.repeats;
        attacker.once = false;
        if (attack_.per_second > 0)
            attacker.due = bench::now_ns() + static_cast<int64_t>(1e9 / attack_.per_second);
    }

    void keep_pace(Attacker &attacker, int64_t now, double passed)
    {
        if (attack_.reads == Reads::slowly && !read_slowly(attacker, passed))
            return;
        if (attack_.per_second > 0 && now >= attacker.due)
            send(attacker);
    }

    bool read_slowly(Attacker &attacker, double passed)
    {
        attacker.may_read = std::min(attacker.may_read + passed * kSlowBytes, 1.0 * kSlowBytes);
        const auto whole = static_cast<size_t>(attacker.may_read);
        if (whole < 64)
            return true;
        const std::optional<size_t> n = attacker.link->receive(std::span(buffer_).first(whole));
        if (!n) {
            lose(attacker);
            return false;
        }
        attacker.may_read -= static_cast<double>(*n);
        return true;
    }

    void want_to_write(Attacker &attacker, bool wanted, bool always = false)
    {
        if (attacker.wants_to_write == wanted && !always)
            return;
        attacker.wants_to_write = wanted;
        uint32_t interest = EPOLLRDHUP;
        if (wanted)
            interest |= EPOLLOUT;
        if (attack_.reads == Reads::everything)
            interest |= EPOLLIN;
        epoll_event event{.events = interest, .data = {.ptr = &attacker}};
        if (epoll_ctl(epoll_, EPOLL_CTL_MOD, attacker.link->fd(), &event) != 0)
            bench::give_up("epoll_ctl");
    }

    void lose(Attacker &attacker)
    {
        ++ended_;
        leave(attacker);
    }

    void leave(Attacker &attacker)
    {
        if (attacker.phase == Phase::absent)
            return;
        if (attacker.phase == Phase::open)
            --open_now_;
        else
            --under_way_;
        attacker.link.reset();
        attacker.phase = Phase::absent;
        attacker.due = bench::now_ns() + kComesBackAfter;
    }

    const uint16_t port_;
    const Attack attack_;
    std::string request_;
    std::optional<bench::TlsClient> tls_;
    std::vector<Attacker> attackers_;
    std::vector<char> buffer_ = std::vector<char>(256 * 1024);
    const int epoll_;

    bool attacking_ = false;
    bool said_ready_ = false;
    bool over_ = false;
    int64_t began_ = 0;
    int64_t last_tick_ = 0;
    double credit_ = 0; // connections that may be made
    size_t next_ = 0;   // next to be replaced
    size_t under_way_ = 0;
    size_t open_now_ = 0;
    size_t connected_ = 0;
    size_t opened_ = 0;
    size_t ended_ = 0;
    size_t sent_bytes_ = 0;
};

} // namespace

} // namespace siege

int main(int argc, char **argv)
{
    if (argc != 6)
        bench::give_up("usage: besiege PORT plain|tls ATTACK COUNT SIZE");
    const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
    const bool tls = std::string_view(argv[2]) == "tls";
    bench::allow_files(number(4));
    siege::Siege(static_cast<uint16_t>(number(1)), tls, siege::attack_named(argv[3], number(5)),
                 number(4))
        .run();
    return 0;
}
