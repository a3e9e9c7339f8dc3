// link.cpp: see link.h. hiredis gets a connected socket that does not block, so that no wait is
// hidden in it.
#include "redis_connection/link.h"

#include "redis_connection/connect.h"
#include "redis_connection/refusal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <hiredis/sds.h>
#include <poll.h>
#include <vector>

namespace websock::redis {

int Link::fail(int error, std::string_view what)
{
    why_ = what;
    close();
    return error;
}

int Link::fail_as_hiredis()
{
    const int error = errno;
    const int kind = context_->err;
    const std::string text = context_->errstr;
    switch (kind) {
    case REDIS_ERR_EOF:
        return fail(ECONNRESET, "the server has closed the connection");
    case REDIS_ERR_PROTOCOL:
        return fail(EPROTO, "this is not the Redis protocol: " + text);
    case REDIS_ERR_OOM:
        return fail(ENOMEM, "no memory");
    case REDIS_ERR_IO:
        return fail(error != 0 ? error : EIO, text);
    default:
        return fail(EIO, text);
    }
}

int Link::open(const StopSignal &stop)
{
    close();
    unsent_ = false;
    if (const int error = connect(stop); error != 0)
        return error;
    return sign_in(stop);
}

int Link::connect(const StopSignal &stop)
{
    UniqueFd fd;
    if (const int error = connect_to(address_, settings_.connect_timeout_ms, stop, fd, why_);
        error != 0)
        return error;
    context_.reset(redisConnectFd(fd.get()));
    if (!context_)
        return fail(ENOMEM, "no memory");
    (void)fd.release(); // it is the context's now
    context_->flags &= ~REDIS_BLOCK;
    return 0;
}

int Link::sign_in(const StopSignal &stop)
{
    std::vector<std::string_view> auth{"AUTH"};
    if (!settings_.username.empty())
        auth.push_back(settings_.username);
    auth.push_back(settings_.password);
    if (!settings_.password.empty()) {
        if (const int error = command(auth, stop); error != 0)
            return error;
    }
    const std::string database = std::to_string(settings_.database);
    if (settings_.database != 0) {
        const std::array<std::string_view, 2> select{"SELECT", database};
        if (const int error = command(select, stop); error != 0)
            return error;
    }
    return command(std::array<std::string_view, 1>{"PING"}, stop);
}

// One of those that open a connection: any error reply ends it.
int Link::command(std::span<const std::string_view> arguments, const StopSignal &stop)
{
    if (const int error = append(arguments); error != 0)
        return error;
    Reply reply;
    if (const int error = exchange(reply, stop); error != 0)
        return error;
    if (reply->type != REDIS_REPLY_ERROR)
        return 0;
    return refuse(text_of(*reply));
}

int Link::refuse(std::string_view error) { return fail(errno_of(error), error); }

int Link::append(std::span<const std::string_view> arguments)
{
    constexpr size_t kMost = 20; // arguments
    std::array<const char *, kMost> texts;
    std::array<size_t, kMost> lengths;
    if (arguments.size() > kMost)
        return fail(EINVAL, "too many arguments");
    for (size_t i = 0; i < arguments.size(); ++i) {
        texts[i] = arguments[i].data() ? arguments[i].data() : "";
        lengths[i] = arguments[i].size();
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(arguments.size()), texts.data(),
                               lengths.data()) != REDIS_OK)
        return fail_as_hiredis();
    unsent_ = true;
    return 0;
}

int Link::send()
{
    int done = 0;
    const size_t before = sdslen(context_->obuf);
    errno = 0;
    if (redisBufferWrite(context_.get(), &done) != REDIS_OK)
        return fail_as_hiredis();
    unsent_ = done == 0;
    moved_ = sdslen(context_->obuf) < before;
    return 0;
}

int Link::receive(Reply &reply)
{
    void *raw = nullptr;
    moved_ = false;
    if (redisGetReplyFromReader(context_.get(), &raw) != REDIS_OK)
        return fail_as_hiredis();
    if (!raw) {
        errno = 0;
        const size_t before = context_->reader->len;
        if (redisBufferRead(context_.get()) != REDIS_OK)
            return fail_as_hiredis();
        moved_ = context_->reader->len > before;
        if (redisGetReplyFromReader(context_.get(), &raw) != REDIS_OK)
            return fail_as_hiredis();
    }
    reply.reset(static_cast<redisReply *>(raw));
    return 0;
}

int Link::exchange(Reply &reply, const StopSignal &stop)
{
    TimePoint deadline = in_ms(settings_.command_timeout_ms);
    for (;;) {
        const bool sends = unsent_;
        if (const int error = sends ? send() : 0; error != 0)
            return error;
        const bool has_sent = sends && moved_;
        if (const int error = receive(reply); error != 0)
            return error;
        if (reply)
            return 0;
        if (has_sent || moved_) { // a part of it
            deadline = in_ms(settings_.command_timeout_ms);
            continue;
        }
        if (const int error = wait(stop, deadline); error != 0)
            return error;
    }
}

// Until the socket can be read from, or written to if that is wanted. That a stop is raised cuts
// the deadline short, but what is under way may still come to its end.
int Link::wait(const StopSignal &stop, TimePoint deadline)
{
    const short events = static_cast<short>(unsent_ ? POLLIN | POLLOUT : POLLIN);
    for (;;) {
        const bool raised = stop.raised();
        const TimePoint until = std::min(deadline, stop.deadline());
        std::array<pollfd, 2> fds{pollfd{fd(), events, 0}, pollfd{stop.fd(), POLLIN, 0}};
        const int n = ::poll(fds.data(), raised ? 1 : 2, ms_until(until));
        if (n < 0 && errno != EINTR)
            return fail(errno, std::strerror(errno));
        if (n > 0 && fds[0].revents != 0)
            return 0;
        if (Clock::now() < until)
            continue;
        if (until < deadline)
            return fail(ECANCELED, "the server is stopping");
        return fail(ETIMEDOUT, "the server does not answer");
    }
}

} // namespace websock::redis
