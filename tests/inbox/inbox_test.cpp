// inbox_test.cpp: which events of a connection may run at a time, and how often it is
// posted for them. That it all comes about is in thread_test.cpp.
#include "inbox/inbox.h"

#include <doctest/doctest.h>

#include <array>

using websock::Call;
using websock::Chunk;
using websock::Event;
using websock::Inbox;
using websock::kNever;
using websock::Ref;

namespace {

constexpr size_t kPlenty = 1 << 20;

Inbox::Put put(Inbox &inbox, size_t count, Event::Kind kind = Event::message)
{
    std::vector<Event> events;
    for (size_t i = 0; i < count; i++)
        events.push_back({.kind = kind, .chunk = nullptr});
    return inbox.put(events, kNever);
}

Inbox::Taken take(Inbox &inbox)
{
    Inbox::Batch into;
    return inbox.take(into);
}

} // namespace

TEST_CASE("in order, an inbox gives out all that waits, to one worker at a time")
{
    Inbox inbox(kPlenty, 0);
    CHECK(put(inbox, 3) == Inbox::Put::schedule);
    CHECK(put(inbox, 3) == Inbox::Put::done);
    const Inbox::Taken first = take(inbox);
    CHECK(first.count == 6);
    CHECK(first.posts == 0);
    CHECK(put(inbox, 1) == Inbox::Put::done);
    CHECK(inbox.finished(first));
    CHECK(take(inbox).count == 1);
}

TEST_CASE("in order, an inbox gives out large messages a few at a time, so that others get turns")
{
    Inbox inbox(kPlenty, 0);
    std::array<uint8_t, 6 * 1024> payload{};
    std::vector<Event> events;
    for (size_t i = 0; i < 7; i++)
        events.push_back({.kind = Event::message,
                          .payload_len = payload.size(),
                          .payload = payload.data(),
                          .chunk = nullptr});
    CHECK(inbox.put(events, kNever) == Inbox::Put::schedule);
    for (const size_t count : {3u, 3u, 1u}) {
        const Inbox::Taken taken = take(inbox);
        CHECK(taken.count == count);
        CHECK(inbox.finished(taken) == (count == 3));
    }
}

TEST_CASE("what runs keeps the chunk that it shares with events which are discarded meanwhile")
{
    Inbox inbox(kPlenty, 0);
    constexpr size_t kLen = 16 * 1024; // which is taken alone
    const Ref<Chunk> chunk = Chunk::make(2 * kLen);
    std::vector<Event> events(
        2,
        {.kind = Event::message, .payload_len = kLen, .payload = chunk->data(), .chunk = nullptr});
    events[1].chunk = chunk; // for both
    inbox.put(events, kNever);
    events.clear();
    {
        Inbox::Batch running;
        CHECK(inbox.take(running).count == 1);
        inbox.discard();
        CHECK_FALSE(chunk->unique());
    }
    CHECK(chunk->unique());
}

TEST_CASE("a paused inbox has nothing posted until it goes on")
{
    Inbox inbox(kPlenty, 16);
    CHECK(put(inbox, 3) == Inbox::Put::schedule);
    inbox.pause();
    CHECK(put(inbox, 1) == Inbox::Put::done);
    CHECK_FALSE(inbox.put_closed());
    CHECK(inbox.go_on());
    CHECK_FALSE(inbox.go_on()); // it is posted
    CHECK(take(inbox).posts == 3);
}

TEST_CASE("with concurrent events, one post for a message brings those for all that may run now")
{
    Inbox inbox(kPlenty, 16);
    CHECK(put(inbox, 20) == Inbox::Put::schedule);
    const Inbox::Taken first = take(inbox);
    CHECK(first.count == 1);
    CHECK(first.posts == 15);
    for (int i = 0; i < 15; i++) {
        const Inbox::Taken next = take(inbox);
        CHECK(next.count == 1);
        CHECK(next.posts == 0);
    }
    CHECK(put(inbox, 1) == Inbox::Put::done);
    for (int i = 0; i < 5; i++) {
        CHECK(inbox.finished(first));
        CHECK(take(inbox).count == 1);
    }
    CHECK_FALSE(inbox.finished(first));
}

TEST_CASE("with concurrent events, what is no message waits for all before it, and all behind "
          "it wait for that")
{
    Inbox inbox(kPlenty, 4);
    put(inbox, 2);
    put(inbox, 1, Event::control);
    put(inbox, 2);
    const Inbox::Taken one = take(inbox);
    CHECK(one.posts == 1);
    const Inbox::Taken two = take(inbox);
    CHECK(two.count == 1);
    CHECK(two.posts == 0);
    CHECK_FALSE(inbox.finished(one));
    CHECK(inbox.finished(two));
    const Inbox::Taken control = take(inbox);
    CHECK(control.count == 1);
    CHECK(control.posts == 0);
    CHECK(inbox.finished(control));
    CHECK(take(inbox).posts == 1);
}

TEST_CASE("an inbox is idle until something is put in, and again when all has run")
{
    Inbox inbox(kPlenty, 4);
    CHECK(inbox.idle());
    put(inbox, 2);
    CHECK_FALSE(inbox.idle());
    const Inbox::Taken one = take(inbox);
    const Inbox::Taken two = take(inbox);
    CHECK_FALSE(inbox.idle());
    inbox.finished(two);
    CHECK_FALSE(inbox.idle());
    inbox.finished(one);
    CHECK(inbox.idle());
}

TEST_CASE("an inbox counts a chunk whole, once for all events that hold it, until the last is done")
{
    constexpr size_t kLimit = 10'000;
    for (size_t concurrent : {size_t{0}, size_t{4}}) {
        CAPTURE(concurrent);
        Inbox inbox(kLimit, concurrent);
        // Whether there was no room for it within this time; then it is put in all the same.
        const auto put_waits = [&](const Ref<Chunk> &chunk, std::chrono::milliseconds patience) {
            std::vector<Event> events;
            events.push_back({.kind = Event::message, .chunk = chunk});
            const websock::TimePoint deadline = websock::Clock::now() + patience;
            inbox.put(events, deadline);
            return websock::Clock::now() >= deadline;
        };
        const std::chrono::seconds long_enough(20);
        const Ref<Chunk> shared = Chunk::make(kLimit / 2);
        for (int i = 0; i < 5; i++)
            CHECK_FALSE(put_waits(shared, long_enough));
        CHECK_FALSE(put_waits(Chunk::make(kLimit / 2), long_enough));
        CHECK(put_waits(nullptr, std::chrono::milliseconds(1)));
        for (size_t posts = 1; posts > 0; posts--) {
            Inbox::Taken taken = take(inbox);
            posts += taken.posts + inbox.finished(taken);
        }
        CHECK(inbox.idle());
        CHECK_FALSE(put_waits(shared, long_enough));
        CHECK_FALSE(put_waits(shared, long_enough));
    }
}

TEST_CASE("with concurrent events, a chunk counts until the last of them to finish has")
{
    constexpr size_t kLimit = 10'000;
    Inbox inbox(kLimit, 4);
    std::vector<Event> events;
    const Ref<Chunk> chunk = Chunk::make(kLimit);
    for (int i = 0; i < 2; i++)
        events.push_back({.kind = Event::message, .chunk = chunk});
    inbox.put(events, kNever);
    const Inbox::Taken one = take(inbox);
    const Inbox::Taken two = take(inbox);
    inbox.finished(two);
    events.push_back({.kind = Event::message, .chunk = nullptr});
    const websock::TimePoint deadline = websock::in_ms(1);
    inbox.put(events, deadline);
    CHECK(websock::Clock::now() >= deadline);
    inbox.finished(one);
    events.push_back({.kind = Event::message, .chunk = nullptr});
    inbox.put(events, websock::in_ms(20'000));
    CHECK(websock::Clock::now() < deadline + std::chrono::seconds(20));
}

TEST_CASE("the open event is taken alone, since its callback may change how the others run")
{
    Inbox inbox(kPlenty, 0);
    std::vector<Event> events(1, {.kind = Event::open, .chunk = nullptr});
    events.push_back({.kind = Event::message, .chunk = nullptr});
    events.push_back({.kind = Event::message, .chunk = nullptr});
    inbox.put(events, kNever);
    const Inbox::Taken open = take(inbox);
    CHECK(open.count == 1);
    inbox.limit_running(2);
    CHECK_FALSE(inbox.is_concurrent()); // while it runs
    CHECK(inbox.finished(open));
    CHECK(inbox.is_concurrent());
    const Inbox::Taken message = take(inbox);
    CHECK(message.count == 1);
    CHECK(message.posts == 1);
}

namespace {

// A call that does nothing.
struct NotedCall final : Call {
    void run(libwebsock_client_state *) override {}
    void drop() noexcept override {}
};

Event::Kind take_kind(Inbox &inbox)
{
    Inbox::Batch into;
    const Inbox::Taken taken = inbox.take(into);
    CHECK(taken.count == 1);
    (void)inbox.finished(taken);
    return into[0].kind;
}

} // namespace

TEST_CASE("a call is taken behind the events that were there before it, and before later ones")
{
    Inbox inbox(kPlenty, 0);
    NotedCall call;
    CHECK(inbox.put_call(call, 1) == Inbox::PutCall::early);
    CHECK(put(inbox, 1, Event::open) == Inbox::Put::schedule);
    CHECK(put(inbox, 1) == Inbox::Put::done);
    CHECK(inbox.put_call(call, 1) == Inbox::PutCall::done);
    NotedCall another;
    CHECK(inbox.put_call(another, 1) == Inbox::PutCall::full);
    CHECK(put(inbox, 1) == Inbox::Put::done);
    for (const Event::Kind kind : {Event::open, Event::message, Event::call, Event::message})
        CHECK(take_kind(inbox) == kind);
}

TEST_CASE("a call behind events that are discarded is taken all the same, before the last event")
{
    Inbox inbox(kPlenty, 0);
    NotedCall call, late;
    put(inbox, 1, Event::open);
    CHECK(take_kind(inbox) == Event::open);
    put(inbox, 5);
    CHECK(inbox.put_call(call, 1) == Inbox::PutCall::done);
    inbox.discard();
    (void)inbox.put_closed();
    CHECK(inbox.put_call(late, 1) == Inbox::PutCall::late);
    CHECK(take_kind(inbox) == Event::call);
    CHECK(take_kind(inbox) == Event::closed);
}

TEST_CASE("a call that is withdrawn is not taken, and nobody waits for it")
{
    Inbox inbox(kPlenty, 0);
    NotedCall call;
    put(inbox, 1, Event::open);
    CHECK(take_kind(inbox) == Event::open);
    CHECK(inbox.put_call(call, 1) == Inbox::PutCall::schedule);
    CHECK(inbox.withdraw_call(call));
    CHECK_FALSE(inbox.withdraw_call(call));
    inbox.wait_until_run(kNever);
    CHECK(take(inbox).count == 0);
}

TEST_CASE("an open event that is left out counts as run")
{
    Inbox inbox(kPlenty, 0);
    NotedCall call;
    CHECK(inbox.put_call(call, 1) == Inbox::PutCall::early);
    CHECK(inbox.skip_open());
    CHECK(inbox.idle());
    CHECK(inbox.put_call(call, 1) == Inbox::PutCall::schedule);
    CHECK(take(inbox).count == 1);
}

TEST_CASE("an open event is not left out while something else is to run, or runs")
{
    Inbox inbox(kPlenty, 0);
    put(inbox, 1, Event::request);
    CHECK_FALSE(inbox.skip_open());
    const Inbox::Taken request = take(inbox);
    CHECK_FALSE(inbox.skip_open());
    CHECK_FALSE(inbox.finished(request));
    CHECK(inbox.skip_open());
}

TEST_CASE("the last event is taken at once, unless something is to run before it")
{
    Inbox inbox(kPlenty, 0);
    CHECK(inbox.skip_open());
    CHECK(inbox.put_closed());
    CHECK_FALSE(inbox.put_notice()); // it is posted already
    CHECK_FALSE(inbox.take_closed());
    CHECK(inbox.finished(take(inbox)));
    CHECK(inbox.take_closed());
    CHECK_FALSE(inbox.put_notice()); // nothing runs any more
}
