// callback_scope.h: whose callbacks the calling thread runs. It matters to sends: a callback's
// worker has more to do than to wait for one peer. What they leave is in outbox_callbacks.cpp.
#pragma once

#include <utility>

namespace websock {

class Outbox;

// The calling thread's.
struct RunningCallback {
    const Outbox *outbox = nullptr; // whose callbacks it runs
    bool has_left_frame = false;    // of the present callback, to the Flusher

    // Without the model, a library loaded by dlopen(3) allocates it at first use, and glibc ends
    // the process where it cannot.
    [[gnu::tls_model("initial-exec")]] static thread_local constinit RunningCallback current;
};

// While one of these lives, its thread runs callbacks of this client.
class CallbackScope
{
  public:
    explicit CallbackScope(const Outbox &outbox) { RunningCallback::current = {&outbox, false}; }
    ~CallbackScope() { RunningCallback::current = {}; }
    CallbackScope(const CallbackScope &) = delete;
    CallbackScope &operator=(const CallbackScope &) = delete;

    void begin_event() { RunningCallback::current.has_left_frame = false; }
};

// While one of these lives, its thread waits for the peer even if it runs callbacks of it: for what
// has many frames, of which the Flusher would keep max_queued_bytes in memory.
class WaitingScope
{
  public:
    WaitingScope() : saved_(std::exchange(RunningCallback::current, {})) {}
    ~WaitingScope() { RunningCallback::current = saved_; }
    WaitingScope(const WaitingScope &) = delete;
    WaitingScope &operator=(const WaitingScope &) = delete;

  private:
    const RunningCallback saved_;
};

} // namespace websock
