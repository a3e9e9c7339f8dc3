// link.h: one connection to a server: connecting, signing in, sending commands, receiving replies,
// all with deadlines. What is sent, and what a reply means, is decided elsewhere.
//
// One thread uses a link. It must block SIGPIPE, which hiredis does not.
#pragma once

#include "base/clock.h"
#include "base/fd.h"
#include "redis_connection/settings.h"
#include "redis_connection/stop_signal.h"

#include <hiredis/hiredis.h>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace websock::redis {

struct FreeReply {
    void operator()(redisReply *reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

inline std::string_view text_of(const redisReply &reply)
{
    return reply.str ? std::string_view(reply.str, reply.len) : std::string_view();
}

class Link
{
  public:
    // Both must live as long as the link.
    Link(const Settings &settings, const Address &address) : settings_(settings), address_(address)
    {
    }

    // These return 0 or an errno value; then why() says what happened, and the link is closed.
    // They end early, with ECANCELED, at the deadline of a stop that is raised.

    // Connects and signs in.
    int open(const StopSignal &stop);
    // Appends a command to what is to be sent. Nothing is sent yet. Throws std::bad_alloc.
    int append(std::span<const std::string_view> arguments);
    // Sends what there is, and waits for the next reply. ETIMEDOUT: the server was silent for
    // command_timeout_ms, and took nothing of what is to be sent either.
    int exchange(Reply &reply, const StopSignal &stop);

    // For who waits for several things. send(): what the server takes now. receive(): the next
    // reply, or none if it has not arrived yet.
    int send();
    int receive(Reply &reply);
    // Whether the last call of these two has moved bytes. A long message takes its time on a slow
    // line, and that is not silence.
    bool has_moved() const { return moved_; }
    bool has_unsent() const { return unsent_; }
    int fd() const { return context_ ? context_->fd : -1; }

    // An error reply after which the link is of no use: closes it.
    int refuse(std::string_view error);

    bool is_open() const { return context_ != nullptr; }
    void close() { context_.reset(); }
    // In words, for the log. May contain anything.
    const std::string &why() const { return why_; }

  private:
    struct FreeContext {
        void operator()(redisContext *context) const { redisFree(context); }
    };

    int connect(const StopSignal &stop);
    int sign_in(const StopSignal &stop);
    int command(std::span<const std::string_view> arguments, const StopSignal &stop);
    int fail(int error, std::string_view what);
    int fail_as_hiredis();
    int wait(const StopSignal &stop, TimePoint deadline);

    const Settings &settings_;
    const Address &address_;
    std::unique_ptr<redisContext, FreeContext> context_; // nullptr: it is closed
    bool unsent_ = false;
    bool moved_ = false;
    std::string why_;
};

} // namespace websock::redis
