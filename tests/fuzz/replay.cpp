// replay.cpp: runs a fuzz target, without libFuzzer, once for each file in the given
// directories, so that inputs which once broke something, or reach far, are tried again.
#include "target.h"

#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace {

int replay(const std::set<std::filesystem::path> &files)
{
    for (const std::filesystem::path &path : files) {
        std::ifstream file(path, std::ios::binary);
        const std::string bytes(std::istreambuf_iterator<char>(file), {});
        if (!file.is_open() || file.bad()) {
            std::fprintf(stderr, "cannot read %s\n", path.c_str());
            return 1;
        }
        // Before it runs, so that the last line names an input that broke something.
        std::printf("%s\n", path.c_str());
        std::fflush(stdout);
        fuzz::Exact exact(fuzz::bytes_of(bytes));
        LLVMFuzzerTestOneInput(exact.data(), exact.size());
    }
    std::printf("%zu inputs\n", files.size());
    return files.empty() ? 1 : 0; // a missing corpus proves nothing
}

} // namespace

int main(int argc, char **argv)
try {
    std::set<std::filesystem::path> files; // sorted, so that runs are alike
    for (int i = 1; i < argc; ++i) {
        for (const auto &entry : std::filesystem::directory_iterator(argv[i]))
            files.insert(entry.path());
    }
    return replay(files);
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
