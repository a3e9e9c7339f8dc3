// fragments.h: the message that is being sent in fragments, if there is one, and what its next
// fragment must be. It locks nothing: the outbox's lock guards it.
#pragma once

#include "base/utf8.h"
#include "outbox/departing.h"

#include <cerrno>

namespace websock {

struct Fragments {
    bool under_way = false; // between the fragments of a message
    bool text = false;
    bool compressed = false; // under way, and all of it is compressed
    Utf8Validator utf8;

    // RFC 6455 5.4: the fragments of one message follow each other. 0, or EINVAL or EILSEQ with
    // nothing changed.
    int advance(const Departing &out)
    {
        if (out.continues() != under_way)
            return EINVAL;
        Fragments next = *this;
        if (!out.continues()) {
            next.text = out.opcode() == Opcode::text;
            next.utf8.reset();
            next.compressed = out.is_compressed();
        }
        if (next.text && (!next.utf8.feed(out.plain()) || (out.fin() && !next.utf8.complete())))
            return EILSEQ;
        next.under_way = !out.fin();
        next.compressed = next.compressed && next.under_way;
        *this = next;
        return 0;
    }
};

} // namespace websock
