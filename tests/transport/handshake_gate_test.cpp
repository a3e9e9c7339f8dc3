// handshake_gate_test.cpp: how many TLS handshakes are computed at a time, in which order, and how
// a connection leaves the queue. What a flood does to a server is in
// server/hostile_handshake_test.cpp.
#include "transport/handshake_gate.h"

#include "tests/support/certificates.h"
#include "tests/support/server.h"
#include "transport/tls_config.h"
#include "transport/transport.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <deque>
#include <optional>
#include <sys/socket.h>
#include <thread>

using namespace websock;
using test::eventually;

namespace {

using Gate = HandshakeGate;
using Step = HandshakeGate::Step;

// Deadlines are this far away: what ends in half the time was not ended by one.
constexpr std::chrono::seconds kFar{30};

TimePoint far() { return Clock::now() + kFar; }

// A connection's thread that wants a place once, and adds its name to order when it has one.
class Comer
{
  public:
    Comer(Gate &gate, std::string name, std::string &order, Step step = Step::beginning,
          TimePoint deadline = far())
        : gate_(gate), before_(gate.waiting()), thread_([=, this, &order] {
              const Gate::Place place(gate_, visitor_, step, deadline);
              if (place)
                  order += name; // no lock: there is one place
              got_in_ = bool(place);
          })
    {
    }
    ~Comer() { join(); }
    Comer(const Comer &) = delete;
    Comer &operator=(const Comer &) = delete;

    // Waits until this one is in the queue, so that the next one comes behind it.
    bool waits() const
    {
        return eventually([&] { return gate_.waiting() == before_ + 1; });
    }
    void turn_away() { gate_.turn_away(visitor_); }
    bool gets_in()
    {
        join();
        return got_in_;
    }

  private:
    void join()
    {
        if (thread_.joinable())
            thread_.join();
    }

    Gate &gate_;
    const size_t before_;
    Gate::Visitor visitor_;
    std::atomic<bool> got_in_ = false;
    std::thread thread_;
};

// As many as may wait: nobody is let in while they all do.
class Crowd
{
  public:
    explicit Crowd(Gate &gate) : place_(std::in_place, gate, holder_, Step::beginning, far())
    {
        for (size_t i = 0; i < Gate::kMostWaiting; ++i) {
            CHECK(gate.let_in());
            comers_.emplace_back(gate, "", order_);
            REQUIRE(comers_.back().waits());
        }
    }
    ~Crowd() { place_.reset(); }
    Crowd(const Crowd &) = delete;
    Crowd &operator=(const Crowd &) = delete;

    void one_leaves()
    {
        comers_.front().turn_away();
        comers_.pop_front();
    }

  private:
    std::string order_;
    Gate::Visitor holder_;
    std::deque<Comer> comers_;
    std::optional<Gate::Place> place_;
};

bool has_room(Gate &gate)
{
    Gate::Visitor visitor;
    return bool(Gate::Place(gate, visitor, Step::beginning, Clock::now()));
}

// A client's first message.
std::string client_hello()
{
    const OwnedSslCtx context(SSL_CTX_new(TLS_client_method()));
    const OwnedSsl ssl(SSL_new(context.get()));
    BIO *const output = BIO_new(BIO_s_mem()); // the SSL frees both
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), output);
    (void)SSL_connect(ssl.get());
    char *bytes = nullptr;
    const long len = BIO_get_mem_data(output, &bytes);
    REQUIRE(len > 0);
    return {bytes, static_cast<size_t>(len)};
}

// The server's side of a connection whose client has said hello.
class Server
{
  public:
    explicit Server(Gate &gate)
    {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        UniqueFd socket(fds[0]);
        client_ = UniqueFd(fds[1]);
        const std::string hello = client_hello();
        REQUIRE(::send(client_.get(), hello.data(), hello.size(), 0) ==
                static_cast<ssize_t>(hello.size()));
        const test::CertificateFiles &files = test::default_certificate();
        TlsOptions options;
        options.files = {
            .key = files.key_file, .certificate = files.cert_file, .chain = files.chain_file};
        TlsConfig::Loaded loaded = TlsConfig::load(options);
        REQUIRE(loaded.error == 0);
        transport_ = make_tls_transport(socket, std::move(loaded.config), gate);
    }

    Transport &transport() { return *transport_; }
    bool has_answered()
    {
        char byte = 0;
        return ::recv(client_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    }

  private:
    UniqueFd client_;
    std::unique_ptr<Transport> transport_;
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("no more are in the gate at a time than there are places, however often they come")
{
    constexpr int kPlaces = 3;
    Gate gate(kPlaces);
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4 * kPlaces; ++i)
        threads.emplace_back([&] {
            Gate::Visitor visitor;
            for (int step = 0; step < 200; ++step) {
                const Gate::Place place(gate, visitor, step % 2 ? Step::answered : Step::beginning,
                                        far());
                const int now = ++inside;
                for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
                }
                std::this_thread::yield();
                --inside;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    CHECK(most <= kPlaces);
    CHECK(gate.waiting() == 0);
    std::array<Gate::Visitor, kPlaces> visitors;
    const Gate::Place one(gate, visitors[0], Step::beginning, far());
    const Gate::Place two(gate, visitors[1], Step::beginning, far());
    CHECK(has_room(gate)); // no place was lost
}

TEST_CASE("first come, first served, and those who were answered do not wait for all beginners")
{
    Gate gate(1);
    std::string order;
    Gate::Visitor holder;
    std::optional<Gate::Place> place(std::in_place, gate, holder, Step::beginning, far());
    Comer a(gate, "a", order);
    REQUIRE(a.waits());
    Comer b(gate, "b", order);
    REQUIRE(b.waits());
    Comer c(gate, "c", order);
    REQUIRE(c.waits());
    Comer y(gate, "y", order, Step::answered);
    REQUIRE(y.waits());
    Comer z(gate, "z", order, Step::answered);
    REQUIRE(z.waits());
    place.reset();
    for (Comer *comer : {&a, &b, &c, &y, &z})
        CHECK(comer->gets_in());
    CHECK(order == "yazbc"); // nor do beginners wait for all who were answered
}

TEST_CASE("a connection leaves the queue at its deadline, or when it is cut off")
{
    Gate gate(1);
    std::string order;
    Gate::Visitor holder;
    std::optional<Gate::Place> place(std::in_place, gate, holder, Step::beginning, far());
    Comer late(gate, "late", order, Step::beginning, in_ms(10));
    CHECK_FALSE(late.gets_in());
    Comer cut_off(gate, "cut off", order);
    REQUIRE(cut_off.waits());
    Comer patient(gate, "patient", order);
    REQUIRE(patient.waits());
    const TimePoint soon = Clock::now() + kFar / 2;
    cut_off.turn_away();
    CHECK_FALSE(cut_off.gets_in());
    CHECK(Clock::now() < soon);
    CHECK(gate.waiting() == 1);
    place.reset();
    CHECK(patient.gets_in());
    CHECK(order == "patient");

    gate.turn_away(holder);
    const Gate::Place again(gate, holder, Step::answered, far());
    CHECK_FALSE(bool(again));
}

TEST_CASE("a place that was given to a connection just as it was cut off is not lost")
{
    Gate gate(1);
    std::string order;
    for (int i = 0; i < 100; ++i) {
        Gate::Visitor holder;
        std::optional<Gate::Place> place(std::in_place, gate, holder, Step::beginning, far());
        Comer comer(gate, "", order);
        REQUIRE(comer.waits());
        place.reset();
        comer.turn_away();
        (void)comer.gets_in();
        REQUIRE(has_room(gate));
    }
}

TEST_CASE("nobody is let in while a crowd waits, and newcomers are refused if it stays")
{
    Gate gate(1, std::chrono::milliseconds(100));
    Crowd crowd(gate);
    CHECK_FALSE(gate.let_in());
    CHECK_FALSE(gate.let_in());
    crowd.one_leaves();
    CHECK(gate.let_in());
}

TEST_CASE("a newcomer is let in when somebody leaves the crowd")
{
    Gate gate(1, kFar);
    Crowd crowd(gate);
    std::atomic<bool> returned = false;
    bool let_in = false;
    std::thread thread([&] {
        let_in = gate.let_in();
        returned = true;
    });
    CHECK_FALSE(returned);
    const TimePoint soon = Clock::now() + kFar / 2;
    crowd.one_leaves();
    thread.join();
    CHECK(let_in);
    CHECK(Clock::now() < soon);
}

TEST_CASE("a server that stops keeps no newcomer waiting")
{
    Gate gate(1, kFar);
    Crowd crowd(gate);
    std::thread thread([&] { CHECK_FALSE(gate.let_in()); });
    const TimePoint soon = Clock::now() + kFar / 2;
    gate.stop_holding_back();
    thread.join();
    CHECK_FALSE(gate.let_in());
    CHECK(Clock::now() < soon);
}

TEST_CASE("a TLS handshake computes only while it has a place, and gives it back to wait")
{
    Gate gate(1);
    Gate::Visitor holder;
    std::optional<Gate::Place> place(std::in_place, gate, holder, Step::beginning, far());
    Server server(gate);
    Transport::Opening opening;
    int progressed = 0;
    std::thread thread([&] { opening = server.transport().open(far(), [&] { ++progressed; }); });
    CHECK(eventually([&] { return gate.waiting() == 1; }));
    CHECK_FALSE(server.has_answered());
    place.reset();
    CHECK(eventually([&] { return server.has_answered(); }));
    CHECK(eventually([&] { return has_room(gate); })); // while it waits for its client
    server.transport().shut();
    thread.join();
    CHECK(opening.result == Transport::Opening::gone);
    CHECK(progressed == 1);
}

TEST_CASE("a TLS connection that is shut leaves the queue at once")
{
    Gate gate(0);
    Server server(gate);
    Transport::Opening opening;
    const TimePoint soon = Clock::now() + kFar / 2;
    std::thread thread([&] { opening = server.transport().open(far(), [] {}); });
    CHECK(eventually([&] { return gate.waiting() == 1; }));
    server.transport().shut();
    thread.join();
    CHECK(Clock::now() < soon);
    CHECK(opening.result == Transport::Opening::gone);
    CHECK_FALSE(server.has_answered());
}

TEST_CASE("a TLS handshake that gets no turn ends at its deadline")
{
    Gate gate(0);
    Server server(gate);
    const Transport::Opening opening = server.transport().open(in_ms(20), [] {});
    CHECK(opening.result == Transport::Opening::gone);
    CHECK(opening.why == "not complete in time");
}

TEST_SUITE_END();
