// processors.h: how many processors this process may use. What for is not decided here.
#pragma once

#include <cstddef>
#include <string>

namespace websock {

// How many it may run on, or as many as its cgroup's CPU quota is worth if those are fewer. At
// least 1.
size_t processors();

// How many processors the CPU quotas of cgroups (version 1 and 2) are worth, rounded up: the
// smallest quota on the way from a process's own cgroup to the root counts. SIZE_MAX: there is
// none. membership is a file like /proc/self/cgroup; mount is where the hierarchies are, as a
// rule /sys/fs/cgroup.
size_t cgroup_processors(const std::string &membership, const std::string &mount);

} // namespace websock
