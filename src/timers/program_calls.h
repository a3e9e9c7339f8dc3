// program_calls.h: calls for the program itself, without a client: each on a worker of its own.
#pragma once

#include "base/lock.h"
#include "dispatch/dispatcher.h"
#include "dispatch/log.h"
#include "timers/call.h"

#include <vector>

namespace websock {

class ProgramCalls final : public Runnable
{
  public:
    ProgramCalls(Dispatcher &dispatcher, Log &log) : dispatcher_(dispatcher), log_(log) {}

    // While the dispatcher runs.
    void post(Call &call) EXCLUDES(mutex_);
    bool withdraw(Call &call) EXCLUDES(mutex_); // false: it has begun to run, or was not posted

    void run(Progress &progress, std::vector<uint8_t> &spare) noexcept override;
    void retain() noexcept override {} // outlives the dispatcher
    void release() noexcept override {}
    const char *name() const noexcept override { return "a timer"; }

  private:
    Dispatcher &dispatcher_;
    Log &log_;
    Mutex mutex_;
    CallQueue waiting_ GUARDED_BY(mutex_); // it is posted at least as often as there are
};

} // namespace websock
