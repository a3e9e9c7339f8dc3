// listener.cpp: see listener.h.
#include "listener.h"

#include "socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <poll.h>

namespace websock {

namespace {

constexpr size_t kMostParting = 64; // more of them are closed as they are
constexpr int kPartingMs = 2000;
constexpr int kAcceptsInARow = 64;
constexpr int kPauseMs = 100; // when the system has nothing left to accept with

// RFC 8446 6: an alert can be sent before there is any encryption. Fatal, internal_error.
constexpr std::string_view kTlsNoRoom("\x15\x03\x03\x00\x02\x02\x50", 7);

UniqueFd open_reserve() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

} // namespace

std::string_view Listener::no_room() const { return tls_ ? kTlsNoRoom : kNoRoom; }

int Listener::start(Admit admit, TurnedAway turned_away, Warn warn)
{
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
    // Poll and a non-blocking accept, and no shutdown(2) to end it: the socket may be
    // shared with other processes, which want to go on accepting.
    for (;;) {
        std::array<pollfd, 2 + kMostParting> entries;
        const TimePoint now = Clock::now();
        const bool paused = now < resume_at_;
        entries[0] = {.fd = stop_fd_, .events = POLLIN, .revents = 0};
        entries[1] = {.fd = paused ? -1 : socket_.get(), .events = POLLIN, .revents = 0};
        TimePoint wake_at = paused ? resume_at_ : kNever;
        size_t count = 2;
        for (const Parting &parting : parting_) {
            entries[count++] = {.fd = parting.socket.get(), .events = POLLIN, .revents = 0};
            wake_at = std::min(wake_at, parting.deadline);
        }
        if (poll(entries.data(), count, ms_until(wake_at)) < 0)
            continue; // EINTR; or ENOMEM, and then again
        if (entries[0].revents != 0)
            return;
        for (size_t i = 2; i < count; ++i)
            see_off(entries[i].revents, parting_[i - 2]);
        std::erase_if(parting_, [](const Parting &parting) { return !parting.socket; });
        if (entries[1].revents != 0)
            accept_all();
    }
}

void Listener::accept_all()
{
    // Not for ever, however many come: there is a stop to be looked for, too.
    for (int i = 0; i < kAcceptsInARow; ++i) {
        UniqueFd socket;
        sockaddr_storage peer{};
        const int error = accept_from(socket_.get(), socket, peer);
        if (error == 0) {
            short_of_fds_ = false;
            if (!reserve_) // somebody else was faster when it was last given up
                reserve_ = open_reserve();
            turn_away(admit_(std::move(socket), peer));
        } else if (!survive(error)) {
            return;
        }
    }
}

// True: accepting may go on at once.
bool Listener::survive(int error)
{
    if (error == EAGAIN)
        return false;
    // Errors of the connection that was accepted, as accept(2) says: the next may do.
    static constexpr std::array kOfTheConnection{ECONNABORTED, EPROTO,      ENETDOWN,
                                                 ENOPROTOOPT,  EHOSTDOWN,   ENONET,
                                                 EHOSTUNREACH, ENETUNREACH, EPERM};
    if (std::find(kOfTheConnection.begin(), kOfTheConnection.end(), error) !=
        kOfTheConnection.end())
        return true;
    if (!std::exchange(short_of_fds_, true)) {
        char text[128];
        (void)std::snprintf(text, sizeof text, "accept: %s; connections are turned away",
                            std::strerror(error));
        warn_(text);
    }
    if ((error == EMFILE || error == ENFILE) && reserve_ && turn_away_with_reserve())
        return true;
    resume_at_ = in_ms(kPauseMs);
    return false;
}

// True: the reserve is there again.
bool Listener::turn_away_with_reserve()
{
    reserve_.reset();
    UniqueFd socket;
    sockaddr_storage peer{};
    const bool accepted = accept_from(socket_.get(), socket, peer) == 0;
    if (accepted) {
        send_best_effort(socket.get(), no_room());
        turned_away_();
    }
    socket.reset();
    reserve_ = open_reserve();
    return accepted && reserve_;
}

void Listener::turn_away(UniqueFd socket)
{
    if (!socket)
        return;
    send_best_effort(socket.get(), no_room());
    (void)shutdown(socket.get(), SHUT_WR);
    try {
        if (parting_.size() < kMostParting)
            parting_.push_back({std::move(socket), in_ms(kPartingMs)});
    } catch (const std::bad_alloc &) {
        // It is closed as it is.
    }
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
