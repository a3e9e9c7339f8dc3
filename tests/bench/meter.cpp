// meter.cpp: see meter.h.
#include "meter.h"

#include <cstdio>

namespace bench {

void print_latencies(const Histogram &latencies)
{
    std::printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
                latencies.quantile(0.5), latencies.quantile(0.99), latencies.quantile(0.999),
                latencies.quantile(1));
}

void print_costs(const CpuMeter::Figures &figures, double count)
{
    std::printf("\"server_us\": %.3f, \"server_cores\": %.3f, \"client_cores\": %.3f",
                figures.server_seconds * 1e6 / count, figures.server_seconds / figures.seconds,
                figures.client_seconds / figures.seconds);
}

} // namespace bench
