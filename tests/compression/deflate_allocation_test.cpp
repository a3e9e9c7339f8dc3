// deflate_allocation_test.cpp: each allocation of compressing and of what is kept for it fails
// once, in turn. Not for other machines: what makes allocations fail needs to be linked
// dynamically.
#include "compression/history.h"
#include "compression/message_inflater.h"
#include "tests/compression/zlib_peer.h"
#include "tests/support/failing_allocator.h"

#include <doctest/doctest.h>

#include <functional>
#include <new>
#include <string>
#include <thread>

using namespace websock;
using namespace test;

namespace {

// Whether it threw std::bad_alloc when the nth of its allocations failed. has_failed: one did.
bool throws_with_failing(size_t nth, bool &has_failed, const std::function<void()> &call)
{
    bool threw = false;
    const FailingAllocations failing(nth, Failing::one_of_chosen);
    std::thread([&] {
        choose_this_thread();
        try {
            call();
        } catch (const std::bad_alloc &) {
            threw = true;
        }
    }).join();
    has_failed = failing.have_begun();
    return threw;
}

// Whether no state is in use, nor holds memory once the idle ones are freed.
template<class Pool> bool gives_all_back(Pool &pool)
{
    pool.give_back_idle();
    pool.give_back_idle();
    return pool.figures().in_use == 0 && pool.figures().memory == 0;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a history that gets no memory stays as it is")
{
    const std::string more(500, 'x');
    const auto text_of = [](const History &history) {
        return std::string(history.bytes().begin(), history.bytes().end());
    };
    History history(1000);
    history.append(bytes_of("before"));
    bool has_failed = false;
    CHECK(throws_with_failing(1, has_failed, [&] { history.append(bytes_of(more)); }));
    CHECK(text_of(history) == "before");
    history.append(bytes_of(more));
    CHECK(text_of(history) == "before" + more);
}

TEST_CASE("each allocation of deflating may fail, and nothing is lost")
{
    const std::string plain(1000, 'x');
    bool has_failed = true;
    size_t failures = 0;
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        DeflaterPool pool(6);
        size_t deflated = 0;
        const auto deflate = [&] {
            const auto state = pool.take(15, plain.size());
            deflated = state->deflate({}, bytes_of(plain), true, 1000).size();
        };
        failures += throws_with_failing(nth, has_failed, deflate);
        deflate();
        CHECK(deflated > 0);
        CHECK(gives_all_back(pool));
    }
    CHECK(failures >= 8); // five are zlib's own
}

TEST_CASE("each allocation of inflating may fail, and nothing is lost")
{
    const std::string plain(5000, 'x');
    const Bytes payload = PeerDeflater(15, 6).deflate(bytes_of(plain));
    bool has_failed = true;
    size_t failures = 0;
    for (size_t nth = 1; has_failed; ++nth) {
        CAPTURE(nth);
        InflaterPool pool;
        size_t len = 0;
        const MessageInflater::Take take = [&](std::span<const uint8_t> text) {
            len += text.size();
            return true;
        };
        auto result = MessageInflater::Result::corrupt;
        const auto inflate = [&] {
            MessageInflater inflater(pool, 15, true, plain.size());
            result = inflater.feed(payload, true, take);
        };
        failures += throws_with_failing(nth, has_failed, inflate);
        len = 0;
        inflate();
        CHECK(result == MessageInflater::Result::ok);
        CHECK(len == plain.size());
        CHECK(gives_all_back(pool));
    }
    CHECK(failures >= 6); // two are zlib's own
}

TEST_SUITE_END();
