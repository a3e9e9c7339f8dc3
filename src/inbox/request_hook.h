// request_hook.h: what passes between a connection's thread, which has read a request and waits,
// and the worker that runs onrequest and fills in the answer.
#pragma once

#include "base/lock.h"
#include "protocol/handshake.h"

#include <string>
#include <string_view>

namespace websock {

// What onrequest has asked for.
struct HookAnswer {
    int returned = 0;     // by onrequest; 0: no refusal
    std::string protocol; // of the upgrade; "" is none
    ExtraHeaders headers;
    bool refuses_compression = false;
    int status = 0; // given to libwebsock_respond; 0: it was not called
    std::string content_type;
    std::string body;
};

class RequestHook
{
  public:
    // On the worker, around the callback.
    void begin() EXCLUDES(mutex_);
    void finish(int returned) EXCLUDES(mutex_);

    // On the connection's thread. False: there is no answer by deadline, or abandon() was called.
    bool wait(HookAnswer &answer, TimePoint deadline) EXCLUDES(mutex_);

    // Ends the waiting, now and later. Any thread.
    void abandon() EXCLUDES(mutex_);

    // For the API: an errno value, EPERM while onrequest is not running. They throw
    // std::bad_alloc.
    int accept_protocol(const Request &request, std::string_view name) EXCLUDES(mutex_);
    int add_header(std::string_view name, std::string_view value) EXCLUDES(mutex_);
    int refuse_compression() EXCLUDES(mutex_);
    int respond(int status, std::string_view content_type, std::string_view body) EXCLUDES(mutex_);

  private:
    enum class Phase { waiting, running, finished };

    Mutex mutex_;
    Cond changed_;
    Phase phase_ GUARDED_BY(mutex_) = Phase::waiting;
    bool abandoned_ GUARDED_BY(mutex_) = false;
    HookAnswer answer_ GUARDED_BY(mutex_);
};

} // namespace websock
