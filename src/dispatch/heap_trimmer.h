// heap_trimmer.h: gives memory back to the system when many connections have gone. glibc's
// malloc by itself keeps what is free below the last block in use (measured: 38 of 76 MiB
// after 5,000 connections had closed).
#pragma once

#include "dispatch/dispatcher.h"

namespace websock {

class HeapTrimmer final : public Runnable
{
  public:
    explicit HeapTrimmer(Dispatcher &dispatcher) : dispatcher_(dispatcher) {}

    // So much was given up at once, as buffers are. When that has come to much, trims soon.
    void gave_up(size_t bytes);

    // Trims in a second, or when ten have passed since the last time, and once more when the
    // threads have left that are not needed any more. Any thread, while the dispatcher runs.
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
    std::atomic<bool> once_more_{false};
    std::atomic<bool> posted_{false}; // and not run yet
    std::atomic<size_t> given_up_{0}; // bytes, since trim_soon() was last called for them
};

} // namespace websock
