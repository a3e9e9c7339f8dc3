// listener.h: the listening sockets of one bind, one for each address, and the thread that
// accepts on them. The Context decides what becomes of an accepted socket (Context::admit).
#pragma once

#include "base/clock.h"
#include "base/fd.h"
#include "base/thread.h"

#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace websock {

class TlsIdentity;

// Answers a connection for which there is no room. Takes no memory from the heap.
void send_no_room(int fd);

class Listener
{
  public:
    // Takes an accepted socket over, or returns it to be turned away.
    using Admit = std::function<UniqueFd(UniqueFd, const sockaddr_storage &)>;
    // These must not throw. TurnedAway: a connection was refused for want of a descriptor.
    using TurnedAway = std::function<void()>;
    using Warn = std::function<void(const char *)>;

    // At least one socket. tls: nullptr for plain. If it throws std::bad_alloc, the sockets
    // are still the caller's.
    Listener(std::vector<UniqueFd> &&sockets, std::shared_ptr<TlsIdentity> tls);

    // stop_fd becomes readable, for good, when accepting is to end. 0 or an errno value.
    int start(int stop_fd, Admit admit, TurnedAway turned_away, Warn warn);
    // After stop_fd has become readable.
    void join();

    int fd() const { return sockets_.front().get(); }
    const std::shared_ptr<TlsIdentity> &tls() const { return tls_; }
    std::vector<UniqueFd> give_back() { return std::move(sockets_); } // if it was not started

  private:
    // A socket that has been sent its answer and is read to its end: closing it with unread
    // bytes would reset the connection, and the answer would be lost.
    struct Parting {
        UniqueFd socket;
        TimePoint deadline;
    };

    void accept_loop() noexcept;
    void accept_all(int listening);
    bool survive(int error, int listening);
    bool turn_away_with_reserve(int listening);
    void turn_away(UniqueFd socket);
    void refuse(UniqueFd socket);
    void answer_no_room(int fd) const;
    void see_off(short revents, Parting &parting);

    std::vector<UniqueFd> sockets_;
    const std::shared_ptr<TlsIdentity> tls_;
    int stop_fd_ = -1; // set before the thread starts; the context's
    Admit admit_;
    TurnedAway turned_away_;
    Warn warn_;
    Thread thread_;
    bool started_ = false;
    // The accept thread's alone:
    UniqueFd reserve_; // given up to accept, and turn away, when there are no descriptors left
    std::vector<Parting> parting_;
    std::vector<pollfd> entries_;            // room for all, from the beginning
    TimePoint resume_at_ = TimePoint::min(); // nothing is accepted before
    bool failing_ = false;                   // said once for each time
    int failures_ = 0; // of connections, since one was accepted or none waited
};

} // namespace websock
