// opening.cpp: see opening.h.
#include "opening.h"

#include "tests/bench/exchange.h"

#include <poll.h>

namespace siege {

bool Opening::wait(int milliseconds)
{
    const short wanted = stage_ == Stage::connecting ? POLLOUT : POLLIN;
    pollfd ready{.fd = link_.fd(), .events = wanted, .revents = 0};
    has_come_ = poll(&ready, 1, milliseconds) == 1;
    return (ready.revents & POLLERR) == 0;
}

Progress Opening::go_on()
{
    if (!has_come_)
        return Progress::later;
    if (stage_ == Stage::connecting)
        stage_ = Stage::securing;
    if (stage_ == Stage::securing) {
        const Progress progress = link_.secure();
        if (progress != Progress::done)
            return progress;
        stage_ = Stage::upgrading;
        if (link_.send(bench::kHandshake) != bench::kHandshake.size())
            return Progress::ended;
    }
    return stage_ == Stage::upgrading ? upgrade() : Progress::done;
}

Progress Opening::upgrade()
{
    char bytes[4096];
    const std::optional<size_t> n = link_.receive(bytes);
    if (!n)
        return Progress::ended;
    answer_.append(bytes, *n);
    const size_t end = answer_.find("\r\n\r\n");
    if (end == answer_.npos)
        return Progress::later;
    rest_ = answer_.substr(end + 4);
    stage_ = Stage::open;
    return bench::accepts_upgrade(answer_.substr(0, end + 4)) ? Progress::done : Progress::ended;
}

} // namespace siege
