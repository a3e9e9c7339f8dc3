// end.h: who was the first to end a connection, and the Close frame that was sent.
#pragma once

#include <cstdint>
#include <string>

namespace websock {

enum class By : uint8_t { nobody, peer, program, library };

struct End {
    By by = By::nobody;   // as far as the sending side knows
    uint16_t code = 0;    // 0: none was sent
    std::string reason{}; // of the frame
};

} // namespace websock
