// sized.h: structs of the user's that begin with their size, so that later versions can add
// fields.
#pragma once

#include <cstddef>
#include <cstring>

namespace websock {

// Copies what is given into out, whose other fields become 0, as all do for nullptr. least: the
// size of the first version. False: the size is that of no version.
template<class Struct> bool copy_sized(const Struct *given, size_t least, Struct &out)
{
    out = {};
    if (!given)
        return true;
    if (given->size < least || given->size > sizeof out)
        return false;
    std::memcpy(&out, given, given->size);
    return true;
}

} // namespace websock
