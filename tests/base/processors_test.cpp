// processors_test.cpp: how many processors a cgroup's CPU quota is worth.
#include "base/processors.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace websock;

namespace {

// A hierarchy of cgroups, as files in a directory of its own.
class Cgroups
{
  public:
    Cgroups()
    {
        char name[] = "/tmp/websock-cgroups-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        directory_ = name;
    }
    ~Cgroups() { std::filesystem::remove_all(directory_); }
    Cgroups(const Cgroups &) = delete;
    Cgroups &operator=(const Cgroups &) = delete;

    void write(const std::string &file, const std::string &text) const
    {
        const std::filesystem::path path = directory_ + "/" + file;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text << '\n';
    }
    // For a process whose /proc/self/cgroup says this.
    size_t processors(const std::string &membership) const
    {
        write("membership", membership);
        return cgroup_processors(directory_ + "/membership", directory_);
    }

  private:
    std::string directory_;
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("a CPU quota of cgroup v2 is rounded up to whole processors")
{
    const Cgroups cgroups;
    CHECK(cgroups.processors("0::/service") == SIZE_MAX);
    cgroups.write("service/cpu.max", "max 100000");
    CHECK(cgroups.processors("0::/service") == SIZE_MAX);
    cgroups.write("service/cpu.max", "200000 100000");
    CHECK(cgroups.processors("0::/service") == 2);
    cgroups.write("service/cpu.max", "200001 100000");
    CHECK(cgroups.processors("0::/service") == 3);
    cgroups.write("service/cpu.max", "1000 100000");
    CHECK(cgroups.processors("0::/service") == 1);
    CHECK(cgroups.processors("0::/another") == SIZE_MAX);
}

TEST_CASE("of nested cgroups the smallest quota counts")
{
    const Cgroups cgroups;
    cgroups.write("a/cpu.max", "150000 50000");
    cgroups.write("a/b/cpu.max", "max 100000");
    cgroups.write("a/b/c/cpu.max", "800000 100000");
    CHECK(cgroups.processors("0::/a/b/c") == 3);
    cgroups.write("cpu.max", "100000 100000"); // of a container, wherever the host has its cgroup
    CHECK(cgroups.processors("0::/docker/1234") == 1);
}

TEST_CASE("a CPU quota of cgroup v1 counts as well, and beside v2")
{
    const Cgroups cgroups;
    cgroups.write("cpu/a/cpu.cfs_quota_us", "-1");
    cgroups.write("cpu/a/cpu.cfs_period_us", "100000");
    const std::string membership = "5:memory:/a\n4:cpu,cpuacct:/a\n3:cpuset:/\n0::/a";
    CHECK(cgroups.processors(membership) == SIZE_MAX);
    cgroups.write("cpu/a/cpu.cfs_quota_us", "350000");
    CHECK(cgroups.processors(membership) == 4);
    cgroups.write("unified/a/cpu.max", "300000 100000");
    CHECK(cgroups.processors(membership) == 3);
    CHECK(cgroups.processors("4:cpuset:/a") == SIZE_MAX);
}

TEST_CASE("a process has at least one processor, and a file that lists no cgroups means no quota")
{
    CHECK(processors() >= 1);
    const Cgroups cgroups;
    CHECK(cgroups.processors("") == SIZE_MAX);
    CHECK(cgroups.processors("0::\n::\nnonsense\n0::relative") == SIZE_MAX);
    CHECK(cgroup_processors("/nowhere/at/all", "/nowhere") == SIZE_MAX);
}

TEST_SUITE_END();
