// program_calls.cpp: see program_calls.h.
#include "timers/program_calls.h"

#include <exception>

namespace websock {

void ProgramCalls::post(Call &call)
{
    {
        Lock lock(mutex_);
        waiting_.push(call, 0);
    }
    dispatcher_.post(*this);
}

bool ProgramCalls::withdraw(Call &call)
{
    Lock lock(mutex_);
    return waiting_.remove(call);
}

void ProgramCalls::run(Progress &progress, std::vector<uint8_t> &) noexcept
{
    Call *call = nullptr;
    {
        Lock lock(mutex_);
        call = waiting_.pop();
    }
    if (!call)
        return; // it was withdrawn
    progress.begin_event();
    try {
        call->run(nullptr);
    } catch (const std::exception &exception) {
        log_.write(LIBWEBSOCK_LOG_ERROR, "a timer threw an exception: %s", exception.what());
    } catch (...) {
        log_.write(LIBWEBSOCK_LOG_ERROR, "%s", "a timer threw what is not a std::exception");
    }
}

} // namespace websock
