// heap_trimmer.h: gives memory back to the system when many connections have gone. By itself,
// glibc's malloc keeps whatever is free below the last block in use (measured: 38 of 76 MiB
// after 5,000 connections had closed).
#pragma once

#include "dispatch/dispatcher.h"

namespace websock {

class HeapTrimmer final : public Runnable
{
  public:
    explicit HeapTrimmer(Dispatcher &dispatcher) : dispatcher_(dispatcher) {}

    // So many bytes were freed at once, a buffer for example. When they add up to much, trims.
    void gave_up(size_t bytes);

    // Trims in a second, but at most every ten seconds, and once more when the threads that are
    // no longer needed have left. Any thread, while the dispatcher runs.
    void trim_soon();

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void expired() noexcept override;
    // It lives as long as the dispatcher.
    void retain() noexcept override {}
    void release() noexcept override {}
    const char *name() const noexcept override { return "malloc_trim"; }

  private:
    Dispatcher &dispatcher_;
    std::atomic<TimePoint> not_before_{TimePoint::min()};
    std::atomic<bool> trim_once_more_{false};
    std::atomic<bool> posted_{false}; // a run() will come
    std::atomic<size_t> given_up_{0}; // bytes, since they last added up to much
};

} // namespace websock
