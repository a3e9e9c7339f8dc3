// stale.cpp: one client that reads --rate bytes a second of the prices of echo_server.c: how old
// each price is when it has been read. Its own receive buffer is small, as if the bytes waited on
// a slow line and not here. Prints one line of JSON: ages, and how many prices came.
#include "exchange.h"
#include "meter.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace bench {
namespace {

constexpr int kReceiveBuffer = 4096;
constexpr int64_t kSliceNs = 10'000'000;
constexpr size_t kHeaderBytes = 2;
constexpr size_t kPayloadBytes = 40; // of each price: its key, a space and the time
constexpr size_t kTimeAt = 4;

class Reader
{
  public:
    explicit Reader(const Settings &settings)
        : stream_(connect_and_open(settings, nullptr, 0, kReceiveBuffer)),
          slice_bytes_(static_cast<size_t>(settings.rate * kSliceNs / 1e9)), due_at_(now_ns())
    {
        if (slice_bytes_ < kHeaderBytes)
            give_up("so low a rate is none");
        if (!stream_.send_all(Exchange(settings).request(0))) // it asks for the prices
            give_up("cannot send");
    }

    void read_slice();
    Histogram &ages() { return ages_; }

  private:
    void take_prices();

    Stream stream_;
    const size_t slice_bytes_;
    int64_t due_at_;
    std::string received_;
    Histogram ages_;
};

void Reader::read_slice()
{
    due_at_ += kSliceNs;
    const timespec due{.tv_sec = static_cast<time_t>(due_at_ / 1'000'000'000),
                       .tv_nsec = static_cast<long>(due_at_ % 1'000'000'000)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
    std::string bytes(slice_bytes_, '\0');
    const ssize_t n = stream_.receive(bytes);
    if (n <= 0)
        give_up("the server has closed the connection");
    received_.append(bytes, 0, static_cast<size_t>(n));
    take_prices();
}

void Reader::take_prices()
{
    size_t done = 0;
    for (; received_.size() - done >= kHeaderBytes + kPayloadBytes;
         done += kHeaderBytes + kPayloadBytes) {
        if (static_cast<unsigned char>(received_[done + 1]) != kPayloadBytes)
            give_up("something else than a price has come");
        const char *const time = received_.c_str() + done + kHeaderBytes + kTimeAt;
        ages_.add(now_ns() - std::strtoll(time, nullptr, 10));
    }
    received_.erase(0, done);
}

} // namespace
} // namespace bench

int main(int argc, char **argv)
{
    const bench::Settings settings = bench::parse_settings(argc, argv, {.rate = 20000});
    bench::Reader reader(settings);
    const bench::CpuMeter::Figures figures = bench::measure(
        settings, [&] { reader.read_slice(); }, [&] { reader.ages().clear(); });
    const auto prices = static_cast<double>(reader.ages().total());
    if (prices == 0)
        bench::give_up("no price has come");
    std::printf("{\"messages\": %.0f, \"seconds\": %.4f, \"per_second\": %.1f, ", prices,
                figures.seconds, prices / figures.seconds);
    bench::print_latencies(reader.ages());
    std::printf(", ");
    bench::print_costs(figures, prices);
    std::printf("}\n");
    return 0;
}
