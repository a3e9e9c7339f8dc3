// call.h: a function of the program's that is to be called with a client, and what can be queued
// for that. When it is called is up to the Inbox; what timers do is in timers.h.
#pragma once

#include "base/linked_list.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <websock/websock.h>

namespace websock {

// The function with its argument, which it owns if there is something to free it with.
class ProgramFunction
{
  public:
    using Function = void (*)(libwebsock_client_state *client, void *arg);
    using FreeArg = void (*)(void *arg);

    ProgramFunction(Function fn, void *arg, FreeArg free_arg)
        : fn_(fn), arg_(arg), free_arg_(free_arg)
    {
    }
    ~ProgramFunction()
    {
        if (free_arg_)
            free_arg_(arg_);
    }
    ProgramFunction(ProgramFunction &&other) noexcept
        : fn_(other.fn_), arg_(other.arg_), free_arg_(std::exchange(other.free_arg_, nullptr))
    {
    }
    ProgramFunction &operator=(ProgramFunction &&) = delete;

    void operator()(libwebsock_client_state *client) const { fn_(client, arg_); }
    // The argument is the caller's again.
    void disown() { free_arg_ = nullptr; }

  private:
    Function fn_;
    void *arg_;
    FreeArg free_arg_;
};

// What waits to be run among a client's events. Each is run or dropped, once, on a worker.
class Call
{
  public:
    // These two may end it. run() throws what the program's function does.
    virtual void run(libwebsock_client_state *client) = 0;
    virtual void drop() noexcept = 0;

  protected:
    ~Call() = default;

  private:
    friend class CallQueue;
    friend class LinkedList<Call>;
    // Guarded by the lock of whoever has the queue that it waits in.
    bool waits_ = false;
    uint64_t behind_ = 0;
    Call *previous = nullptr;
    Call *next = nullptr;
};

// Calls that wait, first come, first served. To add one cannot fail. Owns nothing, locks nothing.
class CallQueue
{
  public:
    // behind: how many events there were before it.
    void push(Call &call, uint64_t behind)
    {
        call.behind_ = behind;
        call.waits_ = true;
        calls_.push_back(call);
    }
    Call *pop() // nullptr: there is none
    {
        Call *const call = calls_.front();
        if (call)
            (void)remove(*call);
        return call;
    }
    bool remove(Call &call) // false: it does not wait
    {
        if (!call.waits_)
            return false;
        call.waits_ = false;
        calls_.erase(call);
        return true;
    }
    size_t size() const { return calls_.size(); }
    // Of the first one; UINT64_MAX if there is none.
    uint64_t behind() const { return calls_.empty() ? UINT64_MAX : calls_.front()->behind_; }

  private:
    LinkedList<Call> calls_;
};

// A call that was posted: it deletes itself.
class PostedCall final : public Call
{
  public:
    explicit PostedCall(ProgramFunction function) : function_(std::move(function)) {}

    void run(libwebsock_client_state *client) override
    {
        const std::unique_ptr<PostedCall> self(this);
        function_(client);
    }
    void drop() noexcept override { delete this; }
    void disown() { function_.disown(); }

  private:
    ProgramFunction function_;
};

} // namespace websock
