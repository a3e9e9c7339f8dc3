// attack.h: what attackers do, each kind by its name. besiege.cpp does it with many sockets at
// a time; cases.py decides who is attacked how, and by how many.
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
    std::string path = {};             // of the upgrade; "": none
    bool in_the_open = false;          // plain bytes even on a TLS port: no TLS, or forged records
    std::string once = {};             // what it sends first
    std::string again = {};            // then repeats, whole
    size_t repeats = 0;                // of again; 0: endless
    size_t bytes_at_once = 256 * 1024; // then it is the next attacker's turn
    double per_second = 0;             // of again, per attacker; 0: as fast as the socket takes it
    Reads reads = Reads::nothing;
    bool updates_keys = false;      // all the time, and asks the server to update its keys, too
    bool hangs_up = false;          // with a reset, once all is sent
    double connects_per_second = 0; // of all together; each makes room for itself by resetting
                                    // the oldest. 0: all at once, and again 200 ms after an end
};

// size is the payload of its messages where the kind does not fix it. Exits if there is no
// such attack.
Attack attack_named(std::string_view name, size_t size);

} // namespace siege
