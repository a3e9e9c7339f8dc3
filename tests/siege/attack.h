// attack.h: what attackers do, each kind by its name. How that is done to many sockets at a
// time is besiege.cpp's; who is attacked how by how many is cases.py's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace siege {

enum class Reads {
    nothing,
    slowly,     // kSlowBytes a second
    everything, // at once
};
inline constexpr size_t kSlowBytes = 4096;

struct Attack {
    std::string path = {};             // of the upgrade; "": it makes none
    bool in_the_open = false;          // even of a TLS port: its bytes are no TLS, or forged
    std::string once = {};             // what it sends first
    std::string again = {};            // and then over and over, whole
    size_t repeats = 0;                // of that; 0: endless
    size_t bytes_at_once = 256 * 1024; // before the next attacker's turn
    double per_second = 0; // of that, for one attacker; 0: as fast as the socket takes it
    Reads reads = Reads::nothing;
    bool updates_keys = false;      // all the time, and wants the server's to be updated as well
    bool hangs_up = false;          // with a reset, when all has been sent
    double connects_per_second = 0; // of all together; each makes room for itself by resetting
                                    // the oldest. 0: all at once, and again 200 ms after an end
};

// size is the payload of its messages where a kind does not say. Exits when there is no
// such attack.
Attack attack_named(std::string_view name, size_t size);

} // namespace siege
