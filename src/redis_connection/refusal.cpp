// refusal.cpp: see refusal.h.
#include "redis_connection/refusal.h"

#include <array>
#include <cerrno>

namespace websock::redis {

namespace {

// Errors begin with their code. Before Redis 7, one from within a script stands in the middle:
// "ERR Error running script (...): @user_script: 12: -OOM command not allowed ...".
bool has_code(std::string_view error, std::string_view code)
{
    if (error.starts_with(code))
        return error.size() == code.size() || error[code.size()] == ' ';
    for (size_t at = error.find(code); at != std::string_view::npos;
         at = error.find(code, at + 1)) {
        const size_t end = at + code.size();
        if (at > 0 && error[at - 1] == '-' && end < error.size() && error[end] == ' ')
            return true;
    }
    return false;
}

template<size_t n>
bool has_one_of(std::string_view error, const std::array<std::string_view, n> &codes)
{
    for (const std::string_view code : codes) {
        if (has_code(error, code))
            return true;
    }
    return false;
}

constexpr std::array<std::string_view, 8> kForNow{
    "OOM", "MISCONF", "LOADING", "BUSY", "TRYAGAIN", "NOREPLICAS", "CLUSTERDOWN", "UNKILLABLE"};
constexpr std::array<std::string_view, 5> kReconnect{"READONLY", "MASTERDOWN", "NOAUTH",
                                                     "UNBLOCKED", "WRONGPASS"};

bool contains(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

} // namespace

Refusal refusal_in(std::string_view error)
{
    if (has_code(error, "NOSCRIPT"))
        return Refusal::no_script;
    if (has_one_of(error, kForNow) || contains(error, "max number of clients"))
        return Refusal::for_now;
    if (has_one_of(error, kReconnect))
        return Refusal::reconnect;
    const bool forbidden =
        has_code(error, "NOPERM") || contains(error, "The user executing the script can't");
    return forbidden ? Refusal::permission : Refusal::for_good;
}

int errno_of(std::string_view error)
{
    // Servers before Redis 6 have no code for a wrong password, or for one they do not want.
    if (has_code(error, "NOAUTH") || has_code(error, "WRONGPASS") ||
        contains(error, "invalid password") || contains(error, "AUTH"))
        return EACCES;
    switch (refusal_in(error)) {
    case Refusal::permission:
        return EACCES;
    case Refusal::for_now:
    case Refusal::reconnect:
    case Refusal::no_script:
        return EAGAIN;
    case Refusal::for_good:
        break;
    }
    return EPROTO;
}

} // namespace websock::redis
