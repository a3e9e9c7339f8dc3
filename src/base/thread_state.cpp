// thread_state.cpp: see thread_state.h.
#include "base/thread_state.h"

#include "base/fd.h"

#include <cstdio>
#include <fcntl.h>
#include <pthread.h>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>

namespace websock {

ThreadId current_thread()
{
    ThreadId self{.number = gettid()};
    (void)pthread_getcpuclockid(pthread_self(), &self.cpu_clock); // made of the thread's number
    return self;
}

ThreadState state_of(const ThreadId &thread)
{
    char path[48];
    (void)std::snprintf(path, sizeof path, "/proc/self/task/%d/stat",
                        static_cast<int>(thread.number));
    const UniqueFd file = above_stdio(open(path, O_RDONLY | O_CLOEXEC));
    char text[64]; // "1234 (ws-worker) S ...", proc(5)
    const ssize_t n = file ? read(file.get(), text, sizeof text) : -1;
    const std::string_view stat(text, n > 0 ? static_cast<size_t>(n) : 0);
    const size_t name_end = stat.rfind(") ");
    if (name_end == stat.npos)
        return ThreadState::unknown;
    return stat.substr(name_end + 2).starts_with('R') ? ThreadState::runs : ThreadState::sleeps;
}

std::chrono::nanoseconds cpu_time_of(const ThreadId &thread)
{
    timespec used{};
    (void)clock_gettime(thread.cpu_clock, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

long sleeps_so_far()
{
    rusage used{};
    (void)getrusage(RUSAGE_THREAD, &used);
    return used.ru_nvcsw;
}

} // namespace websock
