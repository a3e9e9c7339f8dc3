// announcer.cpp: see announcer.h.
#include "topics/announcer.h"

#include "connection/engine.h"

#include <utility>

namespace websock {

void Announcer::attach()
{
    Lock lock(mutex_);
    attached_ = true;
    if (!waiting_.empty() && !std::exchange(posted_, true))
        engine_.dispatcher.post(*this);
}

void Announcer::detach()
{
    (void)drop_untold();
    Lock lock(mutex_);
    attached_ = false;
}

void Announcer::wait_for_room()
{
    if (!is_full())
        return;
    Lock lock(mutex_);
    while (is_full() && !waiting_stopped_)
        room_.wait(mutex_);
}

void Announcer::stop_waiting()
{
    Lock lock(mutex_);
    waiting_stopped_ = true;
    room_.broadcast();
}

bool Announcer::drop_untold()
{
    Entries dropped; // freed without the lock
    Lock lock(mutex_);
    dropped.swap(waiting_);
    waiting_bytes_ = 0;
    room_.broadcast();
    return !dropped.empty();
}

bool Announcer::is_wanted() const
{
    return (attached_ ? engine_.settings : engine_.context).onpublished != nullptr;
}

Announcer::Entries Announcer::prepare(const Ref<Topic> &topic, const Ref<Message> &message)
{
    {
        Lock lock(mutex_);
        if (!is_wanted())
            return {};
    }
    Entries one;
    one.push_back({topic, message});
    return one;
}

void Announcer::add(Entries &one) noexcept
{
    if (one.empty())
        return;
    Lock lock(mutex_);
    waiting_bytes_ += one.front().message->cost();
    waiting_.splice(waiting_.end(), one);
    if (attached_ && !std::exchange(posted_, true))
        engine_.dispatcher.post(*this);
}

void Announcer::run(Progress &progress, std::vector<uint8_t> &) noexcept
{
    for (size_t i = 0; i < kInARow; ++i) {
        progress.begin_event();
        if (!tell_one())
            return;
    }
    engine_.dispatcher.post(*this);
}

// False: there was none, and it is not posted any more.
bool Announcer::tell_one()
{
    Entries one;
    {
        Lock lock(mutex_);
        if (waiting_.empty()) {
            posted_ = false;
            return false;
        }
        one.splice(one.end(), waiting_, waiting_.begin());
        waiting_bytes_ -= one.front().message->cost();
        room_.broadcast();
    }
    const Entry &entry = one.front();
    const Message &message = *entry.message;
    const libwebsock_publication publication{
        .size = sizeof publication,
        .topic = entry.topic->name().c_str(),
        .opcode = static_cast<unsigned>(message.opcode()),
        .payload = message.payload().data(),
        .payload_len = message.payload().size(),
        .id = message.id().empty() ? nullptr : message.id().data(),
        .key = message.key().empty() ? nullptr : message.key().data(),
        .publisher = nullptr,
        .flags = message.must_stay_uncompressed() ? LIBWEBSOCK_UNCOMPRESSED : 0};
    try {
        if (engine_.settings.onpublished) // it may have been taken away before the server ran
            engine_.settings.onpublished(&engine_.context, &publication);
    } catch (...) {
        engine_.log.write(LIBWEBSOCK_LOG_ERROR, "onpublished threw an exception");
    }
    return true;
}

} // namespace websock
