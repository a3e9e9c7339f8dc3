// broadcast.cpp: see broadcast.h.
#include "server/broadcast.h"

#include "base/processors.h"
#include "connection/engine.h"

#include <algorithm>
#include <utility>

namespace websock {

namespace {

// Clients. It takes about a millisecond to send to them: less is not worth a worker.
constexpr size_t kSlice = 256;

int send_to(std::span<const Ref<Connection>> clients, const Ref<Message> &message)
{
    int error = 0;
    for (const Ref<Connection> &client : clients) {
        if (client->queue_or_close(message) == ENOMEM)
            error = ENOMEM; // the others get it all the same
    }
    return error;
}

} // namespace

int Broadcast::send(Engine &engine, const Ref<Message> &message)
{
    Clients clients = engine.registry.snapshot();
    if (clients.size() <= kSlice)
        return send_to(clients, message);
    const size_t slices = (clients.size() + kSlice - 1) / kSlice;
    const auto broadcast = Ref<Broadcast>::adopt(new Broadcast(std::move(clients), message));
    for (size_t helpers = std::min(slices, processors()) - 1; helpers > 0; --helpers)
        engine.dispatcher.post(*broadcast);
    broadcast->serve(nullptr);
    return broadcast->wait_until_done();
}

void Broadcast::run(Progress &progress, std::vector<uint8_t> &) noexcept { serve(&progress); }

void Broadcast::serve(Progress *progress) noexcept
{
    for (;;) {
        const std::span<const Ref<Connection>> clients = begin_slice();
        if (clients.empty())
            return;
        if (progress)
            progress->begin_event();
        end_slice(send_to(clients, message_));
    }
}

// Empty: there is none left.
std::span<const Ref<Connection>> Broadcast::begin_slice()
{
    Lock lock(mutex_);
    const size_t count = std::min(kSlice, clients_.size() - begun_);
    if (count == 0)
        return {};
    ++under_way_;
    return std::span(clients_).subspan(std::exchange(begun_, begun_ + count), count);
}

void Broadcast::end_slice(int error)
{
    Lock lock(mutex_);
    if (error != 0)
        error_ = error;
    if (--under_way_ == 0)
        done_.broadcast();
}

// For the caller, which has left no slice. A run that begins later finds nothing to do, and is not
// to keep the clients.
int Broadcast::wait_until_done()
{
    Clients clients; // released without the lock
    Lock lock(mutex_);
    while (under_way_ > 0)
        done_.wait(mutex_);
    clients.swap(clients_);
    begun_ = 0;
    return error_;
}

void Broadcast::release() noexcept
{
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
        delete this;
}

} // namespace websock
