/* clock.h: time that passes, whatever the time of day is set to. */
#ifndef DEMO_CLOCK_H
#define DEMO_CLOCK_H

#include <time.h>

/* start is of CLOCK_MONOTONIC. */
static inline double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

#endif
