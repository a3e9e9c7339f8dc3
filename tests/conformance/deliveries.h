// deliveries.h: the ways in which bytes can arrive: whole, in two pieces, byte by byte; and
// which of them are tried. Sending the pieces is in exchange.h.
//
// A piece is one send() on a socket without Nagle, and over TLS one record. It is sent only
// when the server has read the piece before, by the server's own count. So pieces do arrive
// apart. The exception is a piece after which the server has ended the connection, since it
// does not count what it then throws away.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace conformance {

// The offsets at which the bytes are cut: ascending, none at the beginning or the end. {}: whole.
using Cuts = std::vector<size_t>;

// Which deliveries of one input are tried.
struct Thoroughness {
    size_t cuts;     // in two at every offset; if there are more offsets than this, at this
                     // many: half of them the first ones, the others evenly spread
    size_t bytewise; // byte by byte up to this length; longer input in pieces of 997 bytes
};

std::vector<Cuts> deliveries(size_t len, const Thoroughness &thoroughness);

// "whole"; "cut at 7"; "byte by byte"
std::string name_of(const Cuts &cuts);

} // namespace conformance
