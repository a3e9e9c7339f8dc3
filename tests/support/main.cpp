// main.cpp: the test program. The environment variable TEST_TRANSPORT says what its servers and
// clients speak: plain (also if it is unset) or tls. The first line it prints says so, too.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "stream.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <set>

namespace {

// The tests of this suite do the same in every run: they have no connections, or choose what
// their connections speak. In a run over TLS they are removed, so that they are neither counted
// twice nor reported as skipped.
constexpr const char *kNoTransport = "no transport";

void forget_tests_without_transport()
{
    std::erase_if(doctest::detail::getRegisteredTests(), [](const auto &test) {
        return std::strcmp(test.m_test_suite, kNoTransport) == 0;
    });
}

} // namespace

int main(int argc, char **argv)
try {
    std::printf("[transport] %s\n", test::over_tls() ? "tls" : "plain");
    std::fflush(stdout);
    if (test::over_tls())
        forget_tests_without_transport();
    return doctest::Context(argc, argv).run();
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
}
