// deliveries.h: the ways in which bytes can arrive: whole, in two pieces, one by one; and
// which of them are tried. Where the pieces go is not here.
//
// A piece is a send() of its own on a socket without Nagle, over TLS a record of its own,
// and is sent only when the server has read the one before: its own count of the bytes it
// has read says so. So pieces do arrive apart. The exception is a piece after which the
// server has ended the connection, since it does not count what it then throws away.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace conformance {

// Where the bytes are cut; ascending, none at the beginning or the end. {}: whole.
using Cuts = std::vector<size_t>;

// How many deliveries of one input are tried.
struct Thoroughness {
    size_t cuts;     // in two at every offset, if there are no more than this. If there are:
                     // at half as many first ones, and as many more, evenly spread
    size_t bytewise; // byte by byte up to this length; longer ones in pieces of 997 bytes
};

std::vector<Cuts> deliveries(size_t len, const Thoroughness &thoroughness);

// "whole"; "cut at 7"; "byte by byte"
std::string name_of(const Cuts &cuts);

} // namespace conformance
