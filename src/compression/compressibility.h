// compressibility.h: whether it is worth the time to deflate a message. What is sent after all is
// not decided here.
#pragma once

#include <cstdint>
#include <span>

namespace websock {

// True: a look at a part of the bytes says that they are random, encrypted or compressed already.
// Takes well under a microsecond, however many they are.
bool looks_incompressible(std::span<const uint8_t> bytes);

} // namespace websock
