// stack_test.cpp: the threads' stack sizes, which the system and the program's thread-local
// data influence, their signal masks and their scheduling policies.
#include "dispatch/thread_cache.h"

#include "tests/support/server.h"
#include "tests/support/thread_creation.h"

#include <cstdlib>
#include <doctest/doctest.h>

#include <dirent.h>
#include <fstream>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace test;

namespace {

constexpr size_t kKiB = 1024;

// The least size that the error names when a server is refused for this setting; 0 if it
// serves.
size_t least_said(const char *name, size_t libwebsock_context::*setting, size_t bytes)
{
    Server server({.settings =
                       [=](auto *context) {
                           context->connection_stack_bytes = 1024 * kKiB;
                           context->*setting = bytes;
                       },
                   .onmessage = echo,
                   .start = false});
    server.start();
    Client client(server.port(), {.tls = {.may_be_refused = true}});
    if (eventually([&] { return server.stats().workers > 0 || !server.log().lines().empty(); }) &&
        server.stats().workers > 0) {
        client.handshake();
        client.send_text("served?");
        CHECK(client.receive_text() == "served?");
        return 0;
    }
    CHECK(server.join() == EINVAL);
    const std::string line = server.log().lines().front().text;
    const size_t number = line.rfind(' ');
    CHECK(line.find(std::string("the setting ") + name + " is out of range: at least ") == 0);
    return std::stoul(line.substr(number + 1));
}

// Checks that a stack of 64 KiB is refused by name, and that the least size named serves.
[[maybe_unused]] void check_least(const char *name, size_t libwebsock_context::*setting)
{
    const size_t least = least_said(name, setting, 64 * kKiB);
    CHECK(least > 64 * kKiB);
    CHECK(least < 1024 * kKiB);
    CHECK(least_said(name, setting, least) == 0);
}

// Runs a test case of this program in another process, with this variable as its environment.
[[maybe_unused]] int run_again(const char *test_case, const char *variable)
{
    const std::string filter = std::string("-tc=") + test_case;
    const char *arguments[] = {"unit", "-m", filter.c_str(), nullptr};
    const char *environment[] = {variable, nullptr};
    pid_t child = -1;
    REQUIRE(::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr,
                          const_cast<char **>(arguments), const_cast<char **>(environment)) == 0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

// The signals that a thread of this process blocks: bit n - 1 is signal n.
unsigned long long blocked_by(int thread)
{
    std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
    for (std::string word; status >> word;) {
        if (word == "SigBlk:" && status >> word)
            return std::stoull(word, nullptr, 16);
    }
    return 0;
}

std::vector<int> threads_named(const std::string &name)
{
    std::vector<int> threads;
    DIR *entries = ::opendir("/proc/self/task");
    REQUIRE(entries != nullptr);
    while (const dirent *entry = ::readdir(entries)) {
        std::ifstream file(std::string("/proc/self/task/") + entry->d_name + "/comm");
        std::string found;
        if (file >> found && found == name)
            threads.push_back(std::atoi(entry->d_name));
    }
    ::closedir(entries);
    return threads;
}

// The policy of a thread started by a thread with the given policy.
int policy_of_a_thread_made_under(int policy, bool batch)
{
    int found = -1;
    std::thread maker([&] {
        const sched_param parameters{};
        REQUIRE(::sched_setscheduler(0, policy, &parameters) == 0);
        websock::Thread thread;
        const auto look = [](void *into) { *static_cast<int *>(into) = ::sched_getscheduler(0); };
        REQUIRE(thread.start({.name = "test-policy", .batch = batch}, look, &found) == 0);
        thread.join();
    });
    maker.join();
    return found;
}

} // namespace

TEST_CASE(
    "a thread's faults reach the program's handler, the library's threads take no other signals")
{
    Server server({.onmessage = echo});
    Client client = Client::open(server.port());
    server.events().wait(Kind::open);
    for (const char *name :
         {"ws-accept", "ws-connection", "ws-monitor", "ws-maker", "ws-flusher"}) {
        CAPTURE(name);
        std::vector<int> threads; // that have run long enough to have a name
        CHECK(eventually([&] {
            threads = threads_named(name);
            return !threads.empty();
        }));
        for (const int thread : threads) {
            const unsigned long long blocked = blocked_by(thread);
            for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
                CHECK((blocked >> (fault - 1) & 1) == 0);
            for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE})
                CHECK((blocked >> (signal - 1) & 1) == 1);
        }
    }
}

TEST_CASE("callbacks have a stack of worker_stack_bytes")
{
    constexpr size_t kBytes = 24 * 1024 * kKiB; // more than the system's default
    size_t found = 0;
    Server server({.settings = [](auto *context) { context->worker_stack_bytes = kBytes; },
                   .onmessage =
                       [&](Scene &scene, auto *client, auto *msg) {
                           pthread_attr_t attributes;
                           ::pthread_getattr_np(::pthread_self(), &attributes);
                           ::pthread_attr_getstacksize(&attributes, &found);
                           ::pthread_attr_destroy(&attributes);
                           echo(scene, client, msg);
                       }});
    Client client = Client::open(server.port());
    client.send_text("how large?");
    client.receive_text();
    CHECK(found >= kBytes - 64 * kKiB); // the rest is a guard page and the like
}

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a stack too small for this system is refused by name, with the least size that will do")
{
    CHECK(least_said("connection_stack_bytes", &libwebsock_context::connection_stack_bytes, 1024) >=
          64 * kKiB);
    CHECK(least_said("worker_stack_bytes", &libwebsock_context::worker_stack_bytes, 0) >=
          64 * kKiB);
    CHECK(least_said("worker_stack_bytes", &libwebsock_context::worker_stack_bytes, 128 * kKiB) ==
          0);
}

#if defined(__GLIBC__) && defined(THREAD_CREATION_CAN_BE_HELD) // a sanitizer enlarges stacks
TEST_CASE("the program's thread-local data counts towards the least size of a stack")
{
    // Runs again in its own process, where the data fills most of a small stack.
    if (std::getenv("GLIBC_TUNABLES") == nullptr) {
        CHECK(run_again("the program's thread-local data counts towards the least size of a stack",
                        "GLIBC_TUNABLES=glibc.rtld.optional_static_tls=98304") == 0);
        return;
    }
    check_least("connection_stack_bytes", &libwebsock_context::connection_stack_bytes);
    check_least("worker_stack_bytes", &libwebsock_context::worker_stack_bytes);
}
#endif

TEST_CASE("a policy chosen by an administrator is kept")
{
    CHECK(policy_of_a_thread_made_under(SCHED_IDLE, true) == SCHED_IDLE);
    CHECK(policy_of_a_thread_made_under(SCHED_OTHER, true) == SCHED_BATCH);
    CHECK(policy_of_a_thread_made_under(SCHED_OTHER, false) == SCHED_OTHER);
}

TEST_SUITE_END();
