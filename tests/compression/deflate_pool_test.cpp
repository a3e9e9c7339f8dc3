// deflate_pool_test.cpp: how many states of zlib there are, which one a message gets, and what
// happens when there is no memory for one.
#include "base/processors.h"
#include "compression/deflate_pool.h"
#include "tests/compression/zlib_peer.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace websock;
using namespace test;

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a state that was given back is the next one to be taken")
{
    DeflaterPool pool(6);
    auto first = pool.take(15, 100);
    auto second = pool.take(15, 100);
    CHECK(first.get() != second.get());
    const Deflater *const older = first.get();
    const Deflater *const newer = second.get();
    first.reset();
    second.reset();
    first = pool.take(15, 100);
    second = pool.take(15, 100);
    CHECK(first.get() == newer);
    CHECK(second.get() == older);
}

TEST_CASE(
    "a small message gets a small state, and no message a larger window than the receiver has")
{
    DeflaterPool pool(6);
    CHECK(pool.take(15, 4096)->window_bits == 12);
    CHECK(pool.take(15, 4097)->window_bits == 14);
    CHECK(pool.take(13, 1 << 20)->window_bits == 13);
    for (int bits = 8; bits <= 15; ++bits) {
        for (const size_t bytes : {0u, 100u, 5000u, 1u << 20})
            CHECK(pool.take(bits, bytes)->window_bits <= bits);
    }
    CHECK(DeflaterPool(6, 16384).take(15, 1 << 20)->window_bits == 14);
    CHECK(DeflaterPool(6, 16385).take(15, 1 << 20)->window_bits == 15);
    InflaterPool inflaters;
    for (int bits = 8; bits <= 15; ++bits)
        CHECK(inflaters.take(bits)->window_bits == bits);
}

TEST_CASE("any number of states can be in use, but only some for each processor stay idle")
{
    InflaterPool pool;
    const size_t most = 2 * processors();
    std::vector<InflaterPool::Lease> leases;
    for (size_t i = 0; i < most + 5; ++i)
        leases.push_back(pool.take(12));
    CHECK(pool.figures().in_use == most + 5);
    CHECK(pool.figures().idle == 0);
    const size_t memory = pool.figures().memory;
    CHECK(memory > (most + 5) * Inflater::kStride);
    leases.clear();
    CHECK(pool.figures().in_use == 0);
    CHECK(pool.figures().idle == most);
    CHECK(pool.figures().memory == memory / (most + 5) * most);
    CHECK(pool.figures().peak_memory == memory);
}

TEST_CASE("states that nobody has used since the call before last are freed")
{
    DeflaterPool pool(6);
    {
        const auto one = pool.take(15, 100);
        const auto other = pool.take(15, 100);
        const auto large = pool.take(15, 10000);
    }
    pool.give_back_idle();
    CHECK(pool.figures().idle == 3);
    pool.take(15, 100).reset(); // the same one each time
    pool.give_back_idle();
    CHECK(pool.figures().idle == 1);
    pool.take(15, 100).reset();
    pool.give_back_idle();
    CHECK(pool.figures().idle == 1);
    pool.give_back_idle();
    CHECK(pool.figures().idle == 0);
    CHECK(pool.figures().memory == 0);
    CHECK(pool.take(15, 100)->deflate({}, bytes_of("abc"), true, 100).size() > 0);
}

TEST_CASE("a state that is given back keeps no room for large messages")
{
    DeflaterPool pool(6);
    pool.take(15, 1 << 20).reset();
    const size_t before = pool.figures().memory;
    const std::string plain(size_t{1} << 20, 'x');
    const auto deflate = [&](size_t most) {
        const auto state = pool.take(15, plain.size());
        CHECK(!state->deflate({}, bytes_of(plain), true, most).empty());
        CHECK(pool.figures().memory >= before + most);
    };
    deflate(plain.size());
    CHECK(pool.figures().memory == before);
    deflate(65536); // but for ordinary ones
    CHECK(pool.figures().memory > before);
}

TEST_CASE("threads take and give back states of one pool at a time")
{
    DeflaterPool pool(1);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            const std::string plain(static_cast<size_t>(100 + 3000 * i),
                                    static_cast<char>('a' + i));
            PeerInflater peer(15);
            for (int n = 0; n < 200; ++n) {
                const auto state = pool.take(15, plain.size());
                const auto sent = state->deflate({}, bytes_of(plain), true, 1000);
                const auto read = peer.inflate(sent, plain.size());
                wrong += !read || std::string(read->begin(), read->end()) != plain;
                pool.give_back_idle();
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    CHECK(wrong == 0);
    CHECK(pool.figures().in_use == 0);
}

TEST_SUITE_END();
