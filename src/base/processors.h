// processors.h: how many processors this process may use. What it uses them for is not here.
#pragma once

#include <cstddef>
#include <string>

namespace websock {

// Those it may run on, or, if that is fewer, as many as its time in a cgroup is worth; at
// least 1.
size_t processors();

// What the CPU quotas of cgroups allow, rounded up: the smallest on the way from a process's
// own cgroup to the root, version 1 and 2. SIZE_MAX: there is no quota. membership is a file
// like /proc/self/cgroup, mount is where the hierarchies are: /sys/fs/cgroup.
size_t cgroup_processors(const std::string &membership, const std::string &mount);

} // namespace websock
