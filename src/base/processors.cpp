// processors.cpp: see processors.h, cgroups(7), and the kernel's documents cgroup-v2 and
// sched-bwc.
#include "base/processors.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <new>
#include <sched.h>
#include <sstream>
#include <unistd.h>

namespace websock {

namespace {

size_t whole_processors(long long quota_us, long long period_us)
{
    if (quota_us <= 0 || period_us <= 0)
        return SIZE_MAX; // "max", -1, or there is no such file
    return static_cast<size_t>((quota_us + period_us - 1) / period_us);
}

// cpu.max is "QUOTA PERIOD", or "max PERIOD".
size_t quota_v2(const std::string &directory)
{
    long long quota = 0;
    long long period = 0;
    std::ifstream(directory + "/cpu.max") >> quota >> period;
    return whole_processors(quota, period);
}

size_t quota_v1(const std::string &directory)
{
    long long quota = 0;
    long long period = 0;
    std::ifstream(directory + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(directory + "/cpu.cfs_period_us") >> period;
    return whole_processors(quota, period);
}

// In a container, the path may be the host's while the mount begins further down. So directories
// that are not there are skipped, and the mount's own root always counts.
size_t smallest_on_the_way(const std::string &mount, std::string path,
                           size_t (*quota_of)(const std::string &))
{
    size_t smallest = quota_of(mount);
    while (path.size() > 1) {
        smallest = std::min(smallest, quota_of(mount + path));
        path.erase(path.rfind('/'));
    }
    return smallest;
}

bool list_has(const std::string &controllers, const char *wanted)
{
    std::istringstream list(controllers);
    for (std::string name; std::getline(list, name, ',');) {
        if (name == wanted)
            return true;
    }
    return false;
}

size_t allowed_processors()
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return static_cast<size_t>(CPU_COUNT(&allowed));
    const long online = sysconf(_SC_NPROCESSORS_ONLN); // there are more than fit into a cpu_set_t
    return online > 0 ? static_cast<size_t>(online) : 1;
}

} // namespace

size_t cgroup_processors(const std::string &membership, const std::string &mount)
{
    size_t smallest = SIZE_MAX;
    std::ifstream lines(membership);
    for (std::string line; std::getline(lines, line);) { // "4:cpu,cpuacct:/path", "0::/path"
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == line.npos || second == line.npos || line[second + 1] != '/')
            continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string path = line.substr(second + 1);
        if (controllers.empty())
            smallest = std::min({smallest, smallest_on_the_way(mount, path, quota_v2),
                                 smallest_on_the_way(mount + "/unified", path, quota_v2)});
        else if (list_has(controllers, "cpu"))
            smallest = std::min({smallest, smallest_on_the_way(mount + "/cpu", path, quota_v1),
                                 smallest_on_the_way(mount + "/" + controllers, path, quota_v1)});
    }
    return smallest;
}

size_t processors()
{
    size_t quota = SIZE_MAX;
    try {
        quota = cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup");
    } catch (const std::bad_alloc &) {
        // Too many workers are better than none.
    }
    return std::max<size_t>(1, std::min(allowed_processors(), quota));
}

} // namespace websock
