// broadcast.h: one message on its way to all clients. The caller and as many workers as there are
// processors give it to one slice of the clients after another. None of them waits for a client.
#pragma once

#include "base/lock.h"
#include "base/ref.h"
#include "connection/connection.h"
#include "dispatch/runnable.h"
#include "protocol/message.h"

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

namespace websock {

struct Engine;

class Broadcast final : public Runnable
{
  public:
    // Every client has it, or has been closed, when this returns: what is sent to a client then
    // comes behind it. 0, or ENOMEM: some have not got it. Throws std::bad_alloc with nothing sent.
    static int send(Engine &engine, const Ref<Message> &message);

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void retain() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept override;
    const char *name() const noexcept override { return "a message for all"; }

  private:
    using Clients = std::vector<Ref<Connection>>;

    Broadcast(Clients clients, const Ref<Message> &message)
        : clients_(std::move(clients)), message_(message)
    {
    }

    void serve(Progress *progress) noexcept; // nullptr: the caller
    std::span<const Ref<Connection>> begin_slice() EXCLUDES(mutex_);
    void end_slice(int error) EXCLUDES(mutex_);
    int wait_until_done() EXCLUDES(mutex_);

    std::atomic<size_t> references_{1}; // the caller's, each posted run's
    Mutex mutex_;
    Cond done_;                          // no slice is left, and none is under way
    Clients clients_ GUARDED_BY(mutex_); // not changed while a slice is under way
    const Ref<Message> message_;
    size_t begun_ GUARDED_BY(mutex_) = 0; // clients before this one are in a slice
    unsigned under_way_ GUARDED_BY(mutex_) = 0;
    int error_ GUARDED_BY(mutex_) = 0;
};

} // namespace websock
