// meter.h: what the benchmark's clients measure with, latencies and CPU time, and how they
// print it.
#pragma once

#include "settings.h"

#include <array>
#include <bit>
#include <cstdint>
#include <ctime>

namespace bench {

inline int64_t nanoseconds(clockid_t clock)
{
    timespec now{};
    if (clock_gettime(clock, &now) != 0)
        give_up("the server has ended");
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

inline int64_t now_ns() { return nanoseconds(CLOCK_MONOTONIC); }

// CPU time, user and system, of all threads of a process, including those that have ended:
// utime and stime of /proc/PID/stat, but in nanoseconds.
class CpuMeter
{
  public:
    explicit CpuMeter(pid_t process)
    {
        if (process != 0 && clock_getcpuclockid(process, &server_) != 0)
            give_up("no such server process");
        counts_server_ = process != 0;
    }

    void start()
    {
        started_ = now_ns();
        server_before_ = server_ns();
        client_before_ = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    }

    struct Figures {
        double seconds;
        double server_seconds; // of CPU; 0 without a server process
        double client_seconds;
    };
    Figures stop() const
    {
        const auto seconds = [](int64_t ns) { return static_cast<double>(ns) / 1e9; };
        return {seconds(now_ns() - started_), seconds(server_ns() - server_before_),
                seconds(nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - client_before_)};
    }

  private:
    int64_t server_ns() const { return counts_server_ ? nanoseconds(server_) : 0; }

    bool counts_server_ = false;
    clockid_t server_{};
    int64_t started_ = 0;
    int64_t server_before_ = 0;
    int64_t client_before_ = 0;
};

// Latencies in buckets that are at most 1/32 of their value wide.
class Histogram
{
  public:
    void add(int64_t ns)
    {
        ++counts_[bucket(static_cast<uint64_t>(ns))];
        ++total_;
    }
    void clear() { *this = Histogram(); }
    uint64_t total() const { return total_; }

    // In microseconds: at least this fraction of all latencies is no larger.
    double quantile(double fraction) const
    {
        const auto wanted = static_cast<uint64_t>(fraction * static_cast<double>(total_));
        uint64_t seen = 0;
        for (size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > 0 && seen >= wanted)
                return static_cast<double>(upper_end(i)) / 1000;
        }
        return 0;
    }

  private:
    static constexpr unsigned kSteps = 32; // a power of two

    static size_t bucket(uint64_t ns)
    {
        if (ns < kSteps)
            return ns;
        const auto shift = static_cast<unsigned>(std::bit_width(ns) - std::bit_width(kSteps));
        return shift * kSteps + (ns >> shift);
    }
    static uint64_t upper_end(size_t bucket)
    {
        if (bucket < 2 * kSteps)
            return bucket;
        const size_t shift = bucket / kSteps - 1;
        return ((bucket % kSteps + kSteps + 1) << shift) - 1;
    }

    std::array<uint64_t, 64 * kSteps> counts_{};
    uint64_t total_ = 0;
};

// Warms up, calls begin, then measures; calls step repeatedly to do the work.
template<class Step, class Begin>
CpuMeter::Figures measure(const Settings &settings, const Step &step, const Begin &begin)
{
    const auto ns = [](double seconds) { return static_cast<int64_t>(seconds * 1e9); };
    const int64_t warm_at = now_ns() + ns(settings.warmup_seconds);
    while (now_ns() < warm_at)
        step();
    begin();
    CpuMeter cpu(settings.server);
    cpu.start();
    const int64_t end_at = now_ns() + ns(settings.seconds);
    while (now_ns() < end_at)
        step();
    return cpu.stop();
}

// Members of the clients' JSON: the latencies, and the cost per message.
void print_latencies(const Histogram &latencies);
void print_costs(const CpuMeter::Figures &figures, double count);

} // namespace bench
