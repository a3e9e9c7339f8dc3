// dispatcher_test.cpp: how many workers there are, and what the monitor does in time. What a
// server's clients notice of it is in flow_test.cpp and stop_test.cpp.
#include "dispatch/dispatcher.h"

#include "base/processors.h"
#include "tests/support/limit.h"
#include "tests/support/server.h"
#include "tests/support/thread_creation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <deque>
#include <optional>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace websock;
using test::eventually;
using test::Gate;

namespace {

constexpr size_t kStack = 256 * 1024;
constexpr size_t kJobs = 128; // of a Loop

// Runs a function, once for each post.
class Job final : public Runnable
{
  public:
    explicit Job(std::function<void()> work, std::function<void()> on_late = {})
        : work_(std::move(work)), on_late_(std::move(on_late))
    {
    }
    void run(Progress &progress, std::vector<uint8_t> &) noexcept override
    {
        progress.begin_event();
        work_();
    }
    void late() noexcept override
    {
        if (on_late_)
            on_late_();
    }
    void retain() noexcept override {}
    void release() noexcept override {}
    const char *name() const noexcept override { return "job"; }

  private:
    const std::function<void()> work_;
    const std::function<void()> on_late_;
};

int start(Dispatcher &dispatcher, size_t max_workers = 0, size_t stack_bytes = kStack,
          std::chrono::milliseconds idle_timeout = std::chrono::seconds(10), size_t lanes = 0)
{
    Dispatcher::Options options{.processors = lanes,
                                .max_workers = max_workers,
                                .stack_bytes = stack_bytes,
                                .mask = {},
                                .warn = [](const char *) {},
                                .idle_timeout = idle_timeout};
    sigemptyset(&options.mask);
    return dispatcher.start(std::move(options));
}

// Jobs that wait at a gate, each on its own worker.
class Waiting
{
  public:
    Waiting(Dispatcher &dispatcher, size_t count)
    {
        for (size_t i = 0; i < count; ++i)
            dispatcher.post(jobs_.emplace_back([this] {
                ++here_;
                gate_.wait();
            }));
    }
    size_t here() const { return here_; }
    void let_go() { gate_.open(); }

  private:
    Gate gate_;
    std::atomic<size_t> here_{0};
    std::deque<Job> jobs_;
};

// Jobs that are posted again each time they have run, until there were total runs. So do clients
// that send the next message when they have the answer to the last.
class Loop
{
  public:
    Loop(Dispatcher &dispatcher, size_t jobs, size_t total, void (*work)())
        : dispatcher_(dispatcher), left_(static_cast<long>(total)), running_(jobs)
    {
        for (size_t i = 0; i < jobs; ++i) {
            jobs_.emplace_back([this, work, i] {
                work();
                most_ = std::max(most_.load(), dispatcher_.figures().workers);
                if (--left_ > 0)
                    dispatcher_.post(jobs_[i]);
                else
                    --running_;
            });
        }
        for (Job &job : jobs_)
            dispatcher.post(job);
    }
    void end() { left_ = 0; }
    bool has_ended() const { return running_ == 0; }
    size_t most_workers() const { return most_; }

  private:
    Dispatcher &dispatcher_;
    std::atomic<long> left_;
    std::atomic<size_t> running_;
    std::atomic<size_t> most_{0};
    std::deque<Job> jobs_;
};

void sleep_for(long ns)
{
    const timespec time{.tv_sec = 0, .tv_nsec = ns};
    ::nanosleep(&time, nullptr);
}

void sleep_for_50_us() { sleep_for(50'000); }

void compute_for_300_us()
{
    const auto computed = [] {
        timespec used{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        return used.tv_sec * 1'000'000'000L + used.tv_nsec;
    };
    for (const long begin = computed(); computed() - begin < 300'000;) {
    }
}

// As many lanes, and no more workers than those.
int start_lanes(Dispatcher &dispatcher, size_t lanes)
{
    return start(dispatcher, lanes, kStack, std::chrono::seconds(10), lanes);
}

// How many workers jobs of this kind get, when some of them are always waiting.
size_t workers_for(void (*work)(), size_t enough)
{
    Dispatcher dispatcher;
    REQUIRE(start(dispatcher) == 0);
    Loop loop(dispatcher, kJobs, work == compute_for_300_us ? 1500 : 50'000, work);
    (void)eventually([&] { return loop.has_ended() || loop.most_workers() >= enough; });
    loop.end();
    CHECK(eventually([&] { return loop.has_ended(); }));
    CHECK(dispatcher.stop(kNever));
    return loop.most_workers();
}

size_t address_space_pages()
{
    size_t pages = 0;
    std::FILE *file = std::fopen("/proc/self/statm", "re");
    REQUIRE(file != nullptr);
    REQUIRE(std::fscanf(file, "%zu", &pages) == 1);
    std::fclose(file);
    return pages;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("callbacks that sleep for 50 us each get as many workers as they need")
{
    const size_t enough = 4 * processors();
    CHECK(workers_for(sleep_for_50_us, enough) >= enough);
}

TEST_CASE("callbacks that compute get hardly more workers than there are processors")
{
    CHECK(workers_for(compute_for_300_us, SIZE_MAX) <= 2 * processors() + 2);
}

TEST_CASE(
    "without descriptors to ask the system with, callbacks that block get more workers, and others "
    "do not")
{
    const test::Limit no_descriptors(RLIMIT_NOFILE, test::lowest_free_descriptor());
    CHECK(workers_for(compute_for_300_us, SIZE_MAX) <= 2 * processors() + 2);
    const size_t enough = 4 * processors();
    CHECK(workers_for(sleep_for_50_us, enough) >= enough);
    Dispatcher dispatcher;
    REQUIRE(start(dispatcher) == 0);
    Waiting waiting(dispatcher, enough);
    CHECK(eventually([&] { return waiting.here() == enough; }));
    waiting.let_go();
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE(
    "there are as many workers as callbacks that block, and when those are done the surplus leaves")
{
    constexpr size_t kCount = 64;
    constexpr size_t kMiB = 1 << 20;
    Dispatcher dispatcher;
    REQUIRE(start(dispatcher, 0, 16 * kMiB, std::chrono::milliseconds(50)) == 0);
    const size_t before = address_space_pages();
    Waiting waiting(dispatcher, kCount);
    CHECK(eventually([&] { return waiting.here() == kCount; }));
    CHECK(dispatcher.figures().busy == kCount);
    const size_t most = address_space_pages();
    waiting.let_go();
    CHECK(eventually([&] { return dispatcher.figures().workers == processors(); }));
    // The memory of their stacks comes back without anything else happening.
    CHECK(eventually([&] { return address_space_pages() < before + (most - before) / 2; }));
    CHECK(dispatcher.stop(kNever));
}

#ifdef THREAD_CREATION_CAN_BE_HELD

// On a busy machine there may be more workers than processors by now. Keeps the idle ones busy.
void occupy_idle_workers(Dispatcher &dispatcher, std::deque<Waiting> &with)
{
    while (dispatcher.figures().busy < dispatcher.figures().workers)
        with.emplace_back(dispatcher, 1);
}

TEST_CASE("a worker that the system has refused is made once the system has one")
{
    Dispatcher dispatcher;
    REQUIRE(start(dispatcher) == 0);
    {
        Waiting some(dispatcher, processors());
        CHECK(eventually([&] { return some.here() == processors(); }));
        std::deque<Waiting> others;
        occupy_idle_workers(dispatcher, others);
        std::atomic<bool> was_refused = false;
        std::optional<test::ThreadCreation> refused([&](auto, const auto &) {
            was_refused = true;
            return EAGAIN;
        });
        Waiting another(dispatcher, 1);
        CHECK(eventually([&] { return was_refused.load(); }));
        CHECK(another.here() == 0);
        refused.reset();
        CHECK(eventually([&] { return another.here() == 1; }));
        some.let_go();
        another.let_go();
        for (Waiting &other : others)
            other.let_go();
        CHECK(eventually([&] { return dispatcher.figures().busy == 0; }));
    }
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE("a runnable is told that it is late even while making a worker takes long")
{
    Dispatcher dispatcher;
    REQUIRE(start(dispatcher) == 0);
    Gate told;
    Gate gate;
    std::atomic<bool> creating = false;
    std::atomic<bool> was_told = false;
    Job late([&] { gate.wait(); }, [&] { told.open(); });
    Job in_need([] {});
    Waiting all(dispatcher, processors());
    CHECK(eventually([&] { return all.here() == processors(); }));
    std::deque<Waiting> others;
    occupy_idle_workers(dispatcher, others);
    const test::ThreadCreation held([&](auto, const auto &create) {
        creating = true;
        was_told = told.wait();
        return create();
    });
    dispatcher.post(in_need);
    CHECK(eventually([&] { return creating.load(); }));
    all.let_go();
    dispatcher.post(late);
    CHECK(eventually([&] { return was_told.load(); }));
    gate.open();
    for (Waiting &other : others)
        other.let_go();
    CHECK(dispatcher.stop(kNever));
}

#endif

TEST_CASE("a dispatcher that is stopped while it grows leaves no worker behind")
{
    for (int round = 0; round < 30; ++round) {
        std::deque<Job> jobs;
        Dispatcher dispatcher;
        REQUIRE(start(dispatcher) == 0);
        for (int i = 0; i < 8; ++i)
            dispatcher.post(jobs.emplace_back([] { sleep_for(3'000'000); }));
        CHECK(dispatcher.stop(kNever));
        CHECK(dispatcher.figures().workers == 0);
    }
}

TEST_CASE("each post is run once, whichever threads post and however many lanes there are")
{
    constexpr size_t kThreads = 4, kPosts = 5000;
    for (const size_t lanes : {1U, 2U, 5U}) {
        CAPTURE(lanes);
        std::array<std::atomic<size_t>, 3> runs{};
        std::deque<Job> jobs;
        for (std::atomic<size_t> &count : runs)
            jobs.emplace_back([&count] { ++count; });
        Dispatcher dispatcher;
        REQUIRE(start_lanes(dispatcher, lanes) == 0);
        {
            std::vector<std::jthread> posting;
            for (size_t i = 0; i < kThreads; ++i) {
                posting.emplace_back([&] {
                    for (size_t post = 0; post < kPosts; ++post)
                        dispatcher.post(jobs[post % jobs.size()]);
                });
            }
        }
        CHECK(dispatcher.stop(kNever));
        CHECK(runs[0] + runs[1] + runs[2] == kThreads * kPosts);
    }
}

TEST_CASE("a lane whose worker is busy is helped by the worker of an idle one")
{
    Dispatcher dispatcher;
    REQUIRE(start_lanes(dispatcher, 3) == 0);
    Waiting waiting(dispatcher, 2); // in the first two lanes
    CHECK(eventually([&] { return waiting.here() == 2; }));
    std::array<std::atomic<bool>, 6> ran{}; // two for each lane
    std::deque<Job> jobs;
    for (std::atomic<bool> &each : ran)
        dispatcher.post(jobs.emplace_back([&each] { each = true; }));
    CHECK(eventually(
        [&] { return std::ranges::all_of(ran, [](auto &each) { return each.load(); }); }));
    waiting.let_go();
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE(
    "what waits behind a callback that blocks gets its turn beside a lane that is never empty")
{
    Dispatcher dispatcher;
    REQUIRE(start_lanes(dispatcher, 2) == 0);
    Waiting waiting(dispatcher, 1); // in the first lane
    CHECK(eventually([&] { return waiting.here() == 1; }));
    Loop loop(dispatcher, 4, SIZE_MAX / 2, [] {}); // moves to the second lane
    std::atomic<bool> ran = false;
    Job first([&] { ran = true; });
    Job second([&] { ran = true; });
    for (Job *job : {&first, &second}) { // one of them is posted to the first lane
        ran = false;
        dispatcher.post(*job);
        CHECK(eventually([&] { return ran.load(); }));
    }
    loop.end();
    CHECK(eventually([&] { return loop.has_ended(); }));
    waiting.let_go();
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE("where no worker can be made, a lane whose worker is stuck is served by the others")
{
    constexpr size_t kVictims = 50;
    Dispatcher dispatcher;
    REQUIRE(start_lanes(dispatcher, 2) == 0);
    std::atomic<bool> ends = false;
    std::atomic<size_t> flooded = 0, ran = 0;
    Job flood([&] { // keeps one lane busy
        for (int i = 0; i < 3; ++i)
            compute_for_300_us();
        ++flooded;
        if (!ends)
            dispatcher.post(flood);
    });
    dispatcher.post(flood);
    CHECK(eventually([&] { return flooded > 0; }));
    std::deque<Job> victims;
    for (size_t i = 0; i < kVictims; ++i)
        victims.emplace_back([&] { ++ran; });
    Gate gate;
    std::atomic<size_t> before = 0;
    Job stuck([&] { // what it posts waits in its own lane
        before = flooded.load();
        for (Job &victim : victims)
            dispatcher.post(victim);
        gate.wait();
    });
    dispatcher.post(stuck);
    CHECK(eventually([&] { return ran == kVictims; }));
    CHECK(flooded - before < 4 * kVictims);
    ends = true;
    gate.open();
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE("what a callback posts runs in that order, whatever the other lanes do")
{
    Dispatcher dispatcher;
    REQUIRE(start_lanes(dispatcher, 2) == 0);
    Waiting stuck(dispatcher, 1); // in one of the two
    CHECK(eventually([&] { return stuck.here() == 1; }));
    std::vector<int> order; // written by the worker of the other
    std::atomic<size_t> ran = 0;
    std::deque<Job> jobs;
    for (int i = 0; i < 4; ++i) {
        jobs.emplace_back([&order, &ran, i] {
            order.push_back(i);
            ++ran;
        });
    }
    Job posting([&] {
        for (Job &job : jobs)
            dispatcher.post(job);
    });
    dispatcher.post(posting);
    CHECK(eventually([&] { return ran == jobs.size(); }));
    CHECK(order == std::vector<int>{0, 1, 2, 3});
    stuck.let_go();
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE("what is posted for the first time begins before what is posted later")
{
    for (int round = 0; round < 4; ++round) {
        Dispatcher dispatcher;
        REQUIRE(start_lanes(dispatcher, 2) == 0);
        Waiting stuck(dispatcher, 1);
        CHECK(eventually([&] { return stuck.here() == 1; }));
        std::vector<char> order; // written by the worker of the other lane
        std::atomic<size_t> ran = 0;
        const auto note = [&](char name) {
            order.push_back(name);
            ++ran;
        };
        Job old([&] { note('o'); });
        dispatcher.post(old); // it is at home in that lane from now on
        CHECK(eventually([&] { return ran == 1; }));
        Waiting busy(dispatcher, 1);
        CHECK(eventually([&] { return busy.here() == 1; }));
        Job first([&] { note('1'); });
        Job second([&] { note('2'); });
        dispatcher.post(first);
        dispatcher.post(second);
        dispatcher.post(old);
        busy.let_go();
        CHECK(eventually([&] { return ran == 4; }));
        CHECK(order == std::vector<char>{'o', '1', '2', 'o'});
        stuck.let_go();
        CHECK(dispatcher.stop(kNever));
    }
}

TEST_CASE("callbacks that block get workers in every lane")
{
    Dispatcher dispatcher;
    REQUIRE(start(dispatcher, 0, kStack, std::chrono::seconds(10), 3) == 0);
    Waiting waiting(dispatcher, 30);
    CHECK(eventually([&] { return waiting.here() == 30; }));
    waiting.let_go();
    CHECK(dispatcher.stop(kNever));
}

TEST_CASE("what a callback posts while the dispatcher stops is run before that has ended")
{
    for (int round = 0; round < 50; ++round) {
        Dispatcher dispatcher;
        REQUIRE(start_lanes(dispatcher, 3) == 0);
        std::atomic<int> ran = 0;
        std::deque<Job> jobs;
        for (int i = 0; i < 6; ++i) // to every lane
            jobs.emplace_back([&] { ++ran; });
        Job posting([&] {
            for (Job &job : jobs)
                dispatcher.post(job);
        });
        dispatcher.post(posting);
        CHECK(dispatcher.stop(kNever));
        CHECK(ran == 6);
    }
}

TEST_SUITE_END();
