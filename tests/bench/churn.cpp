// churn.cpp: whole sessions, several at a time, from one thread: connect, opening handshake,
// one echo, closing handshake, end. Without WebSocket (--raw): connect, one echo, end. With
// TLS its handshake comes first; --until ends a session after it or after the opening
// handshake. The client closes first. Prints one line of JSON.
#include "exchange.h"
#include "meter.h"

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <sys/epoll.h>
#include <vector>

namespace bench {
namespace {

constexpr int64_t kStallNs = 10'000'000'000;

struct Session {
    enum Step { connecting, securing, opening, echoing, closing, ended };
    Stream stream;
    Step step = connecting;
    size_t number = 0; // which variant it sends
    int64_t began_at = 0;
    std::string received; // in this step
};

class Churn
{
  public:
    explicit Churn(const Settings &settings)
        : settings_(settings), exchange_(settings), sessions_(settings.connections),
          epoll_(epoll_create1(EPOLL_CLOEXEC))
    {
        if (settings.tls)
            tls_.emplace(settings);
        if (settings.resumed)
            get_ticket();
    }

    void run();

  private:
    void get_ticket();
    void begin(Session &session);
    void serve_once();
    void go_on(Session &session, uint32_t events);
    void secure(Session &session);
    void open(Session &session);
    void receive_all(Session &session);
    void receive(Session &session);
    bool finish_step(Session &session);
    void say(Session &session, std::string_view bytes, Session::Step next);
    void finish(Session &session);
    void end(Session &session);

    const Settings &settings_;
    const Exchange exchange_;
    Histogram durations_;
    std::optional<TlsClient> tls_;
    std::vector<Session> sessions_;
    int epoll_;
    size_t begun_ = 0;
    int64_t last_end_at_ = now_ns();
};

void Churn::run()
{
    for (Session &session : sessions_)
        begin(session);
    const CpuMeter::Figures figures = measure(
        settings_, [&] { serve_once(); }, [&] { durations_.clear(); });
    const auto count = static_cast<double>(durations_.total());
    if (count == 0)
        give_up("no session in the measured time");
    std::printf("{\"sessions\": %.0f, \"seconds\": %.4f, \"per_second\": %.1f, ", count,
                figures.seconds, count / figures.seconds);
    print_latencies(durations_);
    std::printf(", ");
    print_costs(figures, count);
    std::printf("}\n");
}

// Taken from a session that is not measured.
void Churn::get_ticket()
{
    Stream stream = connect_and_secure(settings_, &*tls_);
    stream.end();
    char bytes[1024];
    while (stream.receive(bytes) > 0)
        continue;
    if (!tls_->resume())
        give_up("the server gives no tickets");
}

void Churn::begin(Session &session)
{
    session = {.stream = Stream(begin_connect(settings_.port), tls_ ? &*tls_ : nullptr),
               .step = Session::connecting,
               .number = begun_++,
               .began_at = now_ns(),
               .received = {}};
    epoll_event event{.events = EPOLLOUT, .data = {.ptr = &session}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, session.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
}

void Churn::serve_once()
{
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, 256, 100);
    for (int i = 0; i < count; ++i)
        go_on(*static_cast<Session *>(events[i].data.ptr), events[i].events);
    if (now_ns() - last_end_at_ > kStallNs)
        give_up("no session has ended for ten seconds");
}

void Churn::go_on(Session &session, uint32_t events)
{
    if (session.step == Session::securing)
        return secure(session);
    if (session.step != Session::connecting)
        return receive_all(session);
    if (events & (EPOLLERR | EPOLLHUP))
        give_up("cannot connect");
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &session}};
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, session.stream.fd(), &event) != 0)
        give_up("epoll_ctl");
    session.step = Session::securing;
    secure(session);
}

void Churn::secure(Session &session)
{
    if (!session.stream.secure())
        return;
    if (settings_.until == Until::secured)
        finish(session);
    else
        open(session);
    // Tickets may already have arrived.
    if (session.stream.has_more())
        receive_all(session);
}

void Churn::receive_all(Session &session)
{
    do
        receive(session);
    while (session.stream.has_more());
}

void Churn::open(Session &session)
{
    if (settings_.raw)
        say(session, exchange_.request(session.number), Session::echoing);
    else
        say(session, kHandshake, Session::opening);
}

void Churn::receive(Session &session)
{
    char bytes[4096];
    const ssize_t n = session.stream.receive(bytes);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n == 0 && session.step == Session::ended)
        return end(session);
    if (n <= 0 || session.step == Session::ended)
        give_up("a session ended wrongly");
    session.received.append(bytes, static_cast<size_t>(n));
    if (finish_step(session))
        session.received.clear();
}

// False: more is to come.
bool Churn::finish_step(Session &session)
{
    const std::string &received = session.received;
    if (session.step == Session::opening) {
        if (received.find("\r\n\r\n") == received.npos)
            return false;
        if (!accepts_upgrade(received))
            give_up("handshake: refused");
        if (settings_.until == Until::opened)
            finish(session);
        else
            say(session, exchange_.request(session.number), Session::echoing);
        return true;
    }
    const std::string_view expected =
        session.step == Session::echoing ? exchange_.answer(session.number) : kCloseAnswer;
    if (!expected.starts_with(received))
        give_up("wrong bytes came back");
    if (received.size() < expected.size())
        return false;
    if (session.step == Session::closing) {
        session.step = Session::ended;
    } else if (settings_.raw) {
        finish(session);
    } else {
        say(session, kCloseRequest, Session::closing);
    }
    return true;
}

void Churn::say(Session &session, std::string_view bytes, Session::Step next)
{
    session.step = next;
    if (!session.stream.send_all(bytes))
        give_up("cannot send");
}

// The server then ends too.
void Churn::finish(Session &session)
{
    session.step = Session::ended;
    session.stream.end();
}

void Churn::end(Session &session)
{
    last_end_at_ = now_ns();
    durations_.add(last_end_at_ - session.began_at);
    session.stream.close();
    begin(session);
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv);
    if (settings.payload > 4096)
        bench::give_up("churn is for payloads up to 4096 bytes");
    bench::Churn(settings).run();
    return 0;
}
