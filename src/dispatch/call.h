// call.h: a function of the program's that is to be called with a client, and what can be queued
// for that. When it is called is up to the Inbox; what timers do is in timers.h.
#pragma once

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
    // Guarded by the lock of the Inbox that it waits in.
    Call *next_ = nullptr;
    uint64_t behind_ = 0;
};

// Calls that wait, first come, first served. To add one cannot fail. Owns nothing, locks nothing.
class CallQueue
{
  public:
    // behind: how many events there were before it.
    void push(Call &call, uint64_t behind)
    {
        call.next_ = nullptr;
        call.behind_ = behind;
        (last_ ? last_->next_ : first_) = &call;
        last_ = &call;
        ++size_;
    }
    Call &pop() // there is one
    {
        Call &call = *first_;
        first_ = call.next_;
        last_ = first_ ? last_ : nullptr;
        --size_;
        return call;
    }
    size_t size() const { return size_; }
    // Of the first one; UINT64_MAX if there is none.
    uint64_t behind() const { return first_ ? first_->behind_ : UINT64_MAX; }

  private:
    Call *first_ = nullptr;
    Call *last_ = nullptr;
    size_t size_ = 0;
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
