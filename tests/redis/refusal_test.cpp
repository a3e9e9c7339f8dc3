// refusal_test.cpp: which error replies are worth another try.
#include "redis_connection/refusal.h"

#include <doctest/doctest.h>

#include <cerrno>

using namespace websock::redis;

TEST_CASE("a server that is full, busy or loading is asked again")
{
    for (const char *error : {"OOM command not allowed when used memory > 'maxmemory'.",
                              "MISCONF Errors writing to the AOF file", "LOADING Redis is loading",
                              "BUSY Redis is busy running a script.", "OOM",
                              "ERR Error running script (call to f_1): @user_script:1: "
                              "@user_script: 1: -OOM command not allowed"})
        CHECK(refusal_in(error) == Refusal::for_now);
}

TEST_CASE("a server that has become a replica is connected to again")
{
    CHECK(refusal_in("READONLY You can't write against a read only replica.") ==
          Refusal::reconnect);
    CHECK(refusal_in("NOAUTH Authentication required.") == Refusal::reconnect);
}

TEST_CASE("other errors stay")
{
    CHECK(refusal_in("NOSCRIPT No matching script.") == Refusal::no_script);
    CHECK(refusal_in("NOPERM this user has no permissions") == Refusal::permission);
    CHECK(refusal_in("ERR The user executing the script can't run this command or subcommand") ==
          Refusal::permission);
    CHECK(refusal_in("WRONGTYPE Operation against a key") == Refusal::for_good);
    CHECK(refusal_in("ERR value is -OOMetry of") == Refusal::for_good);
    CHECK(refusal_in("") == Refusal::for_good);
}

TEST_CASE("an error while a server is tried out becomes an errno value")
{
    CHECK(errno_of("WRONGPASS invalid username-password pair or user is disabled.") == EACCES);
    CHECK(errno_of("NOAUTH Authentication required.") == EACCES);
    CHECK(errno_of("ERR AUTH <password> called without any password configured") == EACCES);
    CHECK(errno_of("ERR invalid password") == EACCES);
    CHECK(errno_of("NOPERM this user has no permissions to access a key") == EACCES);
    CHECK(errno_of("ERR DB index is out of range") == EPROTO);
    CHECK(errno_of("READONLY You can't write against a read only replica.") == EAGAIN);
    CHECK(errno_of("OOM command not allowed") == EAGAIN);
}
