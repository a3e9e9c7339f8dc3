// mask_test.cpp: unmasking compared with the plain loop of RFC 6455 5.3, in memory
// between pages that must not be touched.
#include "protocol/frame.h"

#include "tests/support/guarded.h"

#include <doctest/doctest.h>

#include <string>

using namespace websock;

namespace {

constexpr uint8_t kKey[4] = {0x37, 0xfa, 0x21, 0x3d};

std::string pattern(size_t len)
{
    std::string bytes(len, '\0');
    for (size_t i = 0; i < len; ++i) {
        bytes[i] = static_cast<char>(i * 151 + 43);
    }
    return bytes;
}

std::string reference(std::string bytes, size_t phase)
{
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<char>(bytes[i] ^ kKey[(phase + i) % 4]);
    }
    return bytes;
}

// Unmasks len bytes over themselves, moved to the left by shift. The memory begins at
// the first byte written (at_beginning) or ends at the last byte read (at_end).
bool agrees(size_t len, size_t phase, size_t shift, Guarded::Edge edge)
{
    const std::string masked = pattern(len);
    Guarded memory(std::string(shift, '#') + masked, edge);
    unmask(memory.data(), memory.data() + shift, len, kKey, phase);
    const bool rest_is_left =
        memory.text().substr(len) == (std::string(shift, '#') + masked).substr(len);
    return memory.text().substr(0, len) == reference(masked, phase) && rest_is_left;
}

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE("unmask agrees with the plain loop at every length, phase and overlap")
{
    for (size_t len = 0; len <= 200; ++len) {
        for (size_t phase = 0; phase < 4; ++phase) {
            for (size_t shift : {0u, 1u, 4u, 7u}) {
                const bool good = agrees(len, phase, shift, Guarded::at_end) &&
                                  agrees(len, phase, shift, Guarded::at_beginning);
                if (!good) {
                    FAIL_CHECK("len ", len, ", phase ", phase, ", moved by ", shift);
                }
            }
        }
    }
}

TEST_CASE("unmask keeps to its bounds between two separate buffers")
{
    for (size_t len = 0; len <= 100; ++len) {
        for (Guarded::Edge edge : {Guarded::at_end, Guarded::at_beginning}) {
            Guarded source(pattern(len), edge);
            Guarded target(len, edge);
            unmask(target.data(), source.data(), len, kKey, 3);
            if (target.text() != reference(pattern(len), 3) || source.text() != pattern(len)) {
                FAIL_CHECK("len ", len);
            }
        }
    }
}

TEST_CASE("unmask in two calls continues the key where the first one left off")
{
    const std::string masked = pattern(67);
    for (size_t cut = 0; cut <= masked.size(); ++cut) {
        Guarded memory(masked);
        unmask(memory.data(), memory.data(), cut, kKey, 0);
        unmask(memory.data() + cut, memory.data() + cut, masked.size() - cut, kKey, cut);
        if (memory.text() != reference(masked, 0)) {
            FAIL_CHECK("cut at ", cut);
        }
    }
}

TEST_SUITE_END();
