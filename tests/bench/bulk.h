/* bulk.h: what the client, the servers and the floor of large messages have in common, in C and
 * C++: the bytes, and the file that they are in. A message's byte at an offset depends on nothing
 * but the offset, so each place can check what it gets without having all of it. */
#ifndef BENCH_BULK_H
#define BENCH_BULK_H

#include <stddef.h>

enum { BULK_PERIOD = 251 /* a prime: no buffer's size hides that bytes are lost or doubled */ };

static inline unsigned char bulk_byte(unsigned long long offset)
{
    return (unsigned char)(offset % BULK_PERIOD);
}

/* Looks at both ends only: the price of a check is not to be measured. */
static inline int bulk_is_right(const char *bytes, size_t len, unsigned long long offset)
{
    return len == 0 || ((unsigned char)bytes[0] == bulk_byte(offset) &&
                        (unsigned char)bytes[len - 1] == bulk_byte(offset + len - 1));
}

#endif
