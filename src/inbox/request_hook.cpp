// request_hook.cpp: see request_hook.h.
#include "inbox/request_hook.h"

#include <cerrno>
#include <utility>

namespace websock {

void RequestHook::begin()
{
    Lock lock(mutex_);
    phase_ = Phase::running;
}

void RequestHook::finish(int returned)
{
    Lock lock(mutex_);
    phase_ = Phase::finished;
    answer_.returned = returned;
    changed_.signal();
}

bool RequestHook::wait(HookAnswer &answer, TimePoint deadline)
{
    Lock lock(mutex_);
    bool in_time = true;
    while (phase_ != Phase::finished && !abandoned_ && in_time)
        in_time = changed_.wait_until(mutex_, deadline);
    if (phase_ != Phase::finished)
        return false;
    answer = std::move(answer_); // which nobody changes any more
    return true;
}

void RequestHook::abandon()
{
    Lock lock(mutex_);
    abandoned_ = true;
    changed_.signal();
}

int RequestHook::accept_protocol(const Request &request, std::string_view name)
{
    Lock lock(mutex_);
    if (phase_ != Phase::running)
        return EPERM;
    if (!request.is_websocket() || !request.offers_protocol(name))
        return EINVAL;
    answer_.protocol = name;
    return 0;
}

int RequestHook::add_header(std::string_view name, std::string_view value)
{
    Lock lock(mutex_);
    if (phase_ != Phase::running)
        return EPERM;
    if (!is_header_token(name) || !is_header_value(value) || is_reserved_header(name))
        return EINVAL;
    answer_.headers.emplace_back(name, value);
    return 0;
}

int RequestHook::refuse_compression()
{
    Lock lock(mutex_);
    if (phase_ != Phase::running)
        return EPERM;
    answer_.refuses_compression = true;
    return 0;
}

int RequestHook::respond(int status, std::string_view content_type, std::string_view body)
{
    Lock lock(mutex_);
    if (phase_ != Phase::running)
        return EPERM;
    if (status < 200 || status > 599 || !is_header_value(content_type))
        return EINVAL;
    std::string type_copy(content_type);
    std::string body_copy(body);
    answer_.status = status;
    answer_.content_type = std::move(type_copy);
    answer_.body = std::move(body_copy);
    return 0;
}

} // namespace websock
