// listener.cpp: see listener.h.
#include "server/listener.h"

#include "protocol/handshake.h"
#include "transport/socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string_view>

namespace websock {

namespace {

constexpr size_t kMostParting = 64; // beyond that they are closed at once
constexpr int kPartingMs = 2000;
constexpr int kAcceptsInARow = 64;
constexpr int kFailuresInARow = 64;
constexpr int kPauseMs = 100; // when the system has run out of descriptors or memory

// RFC 8446 6: an alert can be sent before there is any encryption. Fatal, internal_error.
constexpr std::string_view kTlsNoRoom("\x15\x03\x03\x00\x02\x02\x50", 7);

UniqueFd open_reserve() { return above_stdio(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

} // namespace

void send_no_room(int fd)
{
    char answer[320];
    const int len = std::snprintf(answer, sizeof answer,
                                  "HTTP/1.1 503 Service Unavailable\r\n"
                                  "Connection: close\r\n"
                                  "Date: %s\r\n"
                                  "Retry-After: 1\r\n"
                                  "Content-Type: text/plain; charset=utf-8\r\n"
                                  "Content-Length: 26\r\n\r\n"
                                  "no room for a connection\r\n",
                                  HttpDate(time_of_day()).text);
    send_best_effort(fd, {answer, static_cast<size_t>(len)});
}

void Listener::answer_no_room(int fd) const
{
    if (tls_)
        send_best_effort(fd, kTlsNoRoom);
    else
        send_no_room(fd);
}

Listener::Listener(std::vector<UniqueFd> &&sockets, std::shared_ptr<TlsIdentity> tls)
    : tls_(std::move(tls))
{
    parting_.reserve(kMostParting);
    entries_.resize(1 + sockets.size() + kMostParting);
    sockets_ = std::move(sockets);
}

int Listener::start(int stop_fd, Admit admit, TurnedAway turned_away, Warn warn)
{
    stop_fd_ = stop_fd;
    admit_ = std::move(admit);
    turned_away_ = std::move(turned_away);
    warn_ = std::move(warn);
    reserve_ = open_reserve();
    const auto entry = [](void *self) { static_cast<Listener *>(self)->accept_loop(); };
    const int error = thread_.start({.name = "ws-accept"}, entry, this);
    started_ = error == 0;
    return error;
}

void Listener::join()
{
    if (std::exchange(started_, false))
        thread_.join();
}

void Listener::accept_loop() noexcept
{
    // poll(2) and a non-blocking accept. shutdown(2) would end it too, but for every process
    // that shares the sockets.
    const size_t listening = sockets_.size();
    for (;;) {
        const bool paused = Clock::now() < resume_at_;
        TimePoint wake_at = paused ? resume_at_ : kNever;
        size_t count = 0;
        const auto add = [&](int fd) {
            entries_[count++] = {.fd = fd, .events = POLLIN, .revents = 0};
        };
        add(stop_fd_);
        for (const UniqueFd &socket : sockets_)
            add(paused ? -1 : socket.get());
        for (const Parting &parting : parting_) {
            add(parting.socket.get());
            wake_at = std::min(wake_at, parting.deadline);
        }
        if (poll(entries_.data(), count, ms_until(wake_at)) < 0)
            continue; // EINTR or ENOMEM: try again
        if (entries_[0].revents != 0)
            return;
        for (size_t i = 0; i < parting_.size(); ++i)
            see_off(entries_[1 + listening + i].revents, parting_[i]);
        std::erase_if(parting_, [](const Parting &parting) { return !parting.socket; });
        for (size_t i = 0; i < listening; ++i) {
            if (entries_[1 + i].revents != 0)
                accept_all(sockets_[i].get());
        }
    }
}

void Listener::accept_all(int listening)
{
    // A bounded number, so that a flood cannot keep us from noticing the stop.
    for (int i = 0; i < kAcceptsInARow; ++i) {
        UniqueFd socket;
        sockaddr_storage peer{};
        const int error = accept_from(listening, socket, peer);
        if (error == 0) {
            failing_ = false;
            failures_ = 0;
            if (!reserve_) // another thread took the descriptor when we last gave it up
                reserve_ = open_reserve();
            turn_away(admit_(std::move(socket), peer));
            continue;
        }
        if (socket)
            refuse(std::move(socket));
        if (!survive(error, listening))
            return;
    }
}

// True: accepting may go on at once.
bool Listener::survive(int error, int listening)
{
    if (error == EAGAIN) {
        failures_ = 0;
        return false;
    }
    // accept(2) also reports errors of the one connection, so the next may succeed. But when a
    // security module refuses, it refuses the same connection each time, and trying again at
    // once would never end.
    static constexpr std::array kOfTheConnection{ECONNABORTED, EPROTO,      ENETDOWN,
                                                 ENOPROTOOPT,  EHOSTDOWN,   ENONET,
                                                 EHOSTUNREACH, ENETUNREACH, EPERM};
    const bool of_the_connection = std::find(kOfTheConnection.begin(), kOfTheConnection.end(),
                                             error) != kOfTheConnection.end();
    if (of_the_connection && ++failures_ < kFailuresInARow)
        return true;
    failures_ = 0;
    const bool out_of_fds = error == EMFILE || error == ENFILE;
    if (!std::exchange(failing_, true)) {
        char text[128];
        (void)std::snprintf(text, sizeof text, "accept: %s; connections %s", std::strerror(error),
                            out_of_fds ? "are refused" : "are waiting");
        warn_(text);
    }
    if (out_of_fds && reserve_ && turn_away_with_reserve(listening))
        return true;
    resume_at_ = in_ms(kPauseMs);
    return false;
}

void Listener::refuse(UniqueFd socket)
{
    answer_no_room(socket.get());
    turned_away_();
}

// True: the reserve is there again.
bool Listener::turn_away_with_reserve(int listening)
{
    reserve_.reset();
    UniqueFd socket;
    sockaddr_storage peer{};
    (void)accept_from(listening, socket, peer);
    const bool accepted = static_cast<bool>(socket);
    if (accepted)
        refuse(std::move(socket));
    reserve_ = open_reserve();
    return accepted && reserve_;
}

void Listener::turn_away(UniqueFd socket)
{
    if (!socket)
        return;
    answer_no_room(socket.get());
    (void)shutdown(socket.get(), SHUT_WR);
    if (parting_.size() < kMostParting)
        parting_.push_back({std::move(socket), in_ms(kPartingMs)});
}

void Listener::see_off(short revents, Parting &parting)
{
    std::array<char, 1024> bytes;
    const bool readable = revents != 0;
    const ssize_t n =
        readable ? recv(parting.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) : 1;
    const bool at_end = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (at_end || Clock::now() >= parting.deadline)
        parting.socket.reset();
}

} // namespace websock
