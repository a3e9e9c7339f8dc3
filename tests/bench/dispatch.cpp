// dispatch.cpp: what the dispatcher costs by itself, without sockets: dispatch THREADS [SECONDS].
// So many threads post, each in turn to 16 runnables of its own as connections do, and as many
// lanes run them, whatever processors there are. A run computes for some 100 ns. Prints one line of
// JSON: runs per second; and per run CPU time, sleeps of threads (for a lock, or until something is
// to be done), and how many of a poster's runs there were at least, as a share of the average.
// With more threads than processors it shows contention, not speed.
#include "dispatch/dispatcher.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <sched.h>
#include <sys/resource.h>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace websock;

constexpr size_t kRunnables = 16; // of each poster
constexpr int kMostThreads = 64;
constexpr int kWorkSteps = 100;

class Task final : public Runnable
{
  public:
    bool try_post(Dispatcher &dispatcher)
    {
        if (waits_.exchange(true, std::memory_order_acquire))
            return false;
        dispatcher.post(*this);
        return true;
    }
    void run(Progress &progress, std::vector<uint8_t> &) noexcept override
    {
        progress.begin_event();
        for (int i = 0; i < kWorkSteps; ++i)
            state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        runs_.store(runs_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        waits_.store(false, std::memory_order_release);
    }
    void retain() noexcept override {}
    void release() noexcept override {}
    const char *name() const noexcept override { return "task"; }
    uint64_t runs() const { return runs_.load(std::memory_order_relaxed); }

  private:
    std::atomic<bool> waits_{false}; // it is posted and has not run
    uint64_t state_ = 1;             // its run's alone
    std::atomic<uint64_t> runs_{0};  // written by its run
};

struct alignas(64) Poster {
    std::array<Task, kRunnables> tasks;

    void post_until(const std::atomic<bool> &ends, Dispatcher &dispatcher)
    {
        while (!ends.load(std::memory_order_relaxed)) {
            size_t posted = 0;
            for (Task &task : tasks)
                posted += task.try_post(dispatcher);
            if (posted == 0)
                sched_yield(); // as a thread that waits for bytes
        }
    }
    uint64_t runs() const
    {
        uint64_t sum = 0;
        for (const Task &task : tasks)
            sum += task.runs();
        return sum;
    }
};

double seconds_of(clockid_t clock)
{
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

long sleeps()
{
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

void measure(Dispatcher &dispatcher, size_t threads, double seconds)
{
    std::deque<Poster> posters(threads);
    std::vector<std::thread> posting;
    std::atomic<bool> ends{false};
    const double began = seconds_of(CLOCK_MONOTONIC);
    const double cpu_began = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    const long slept = sleeps();
    posting.reserve(threads);
    for (Poster &poster : posters)
        posting.emplace_back([&] { poster.post_until(ends, dispatcher); });
    const timespec duration{
        .tv_sec = static_cast<time_t>(seconds),
        .tv_nsec =
            static_cast<long>((seconds - static_cast<double>(static_cast<time_t>(seconds))) * 1e9)};
    nanosleep(&duration, nullptr);
    ends = true;
    for (std::thread &thread : posting)
        thread.join();
    (void)dispatcher.stop(kNever); // once all has run
    const double passed = seconds_of(CLOCK_MONOTONIC) - began;
    const double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu_began;
    double runs = 0;
    double least = static_cast<double>(UINT64_MAX);
    for (const Poster &poster : posters) {
        const auto of_one = static_cast<double>(poster.runs());
        runs += of_one;
        least = std::min(least, of_one);
    }
    std::printf("{\"threads\": %zu, \"per_second\": %.0f, \"cpu_ns\": %.0f, \"sleeps\": %.3f, "
                "\"least_served\": %.2f}\n",
                threads, runs / passed, cpu / runs * 1e9,
                static_cast<double>(sleeps() - slept) / runs,
                least * static_cast<double>(threads) / runs);
}

} // namespace

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
    const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 1;
    if (threads < 1 || threads > kMostThreads || seconds <= 0) {
        std::fprintf(stderr, "usage: %s THREADS [SECONDS]\n", argv[0]);
        return 2;
    }
    Dispatcher dispatcher;
    Dispatcher::Options options{
        .processors = static_cast<size_t>(threads),
        .max_workers = 0,
        .stack_bytes = 256 * 1024,
        .mask = {},
        .warn = [](const char *text) { std::fprintf(stderr, "%s\n", text); }};
    sigemptyset(&options.mask);
    if (dispatcher.start(std::move(options)) != 0) {
        std::perror("starting the dispatcher");
        return 1;
    }
    measure(dispatcher, static_cast<size_t>(threads), seconds);
    return 0;
}
