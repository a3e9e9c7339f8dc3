// semaphore.h: a semaphore on the monotonic clock: one thread waits until another has posted. What
// they tell each other is elsewhere, under a lock (see lock.h).
#pragma once

#include "base/clock.h"

#include <semaphore.h>

namespace websock {

// May be destroyed as soon as a wait for the last post has returned, even if post() has not.
class Semaphore
{
  public:
    Semaphore() { sem_init(&semaphore_, 0, 0); }
    ~Semaphore() { sem_destroy(&semaphore_); }
    Semaphore(const Semaphore &) = delete;
    Semaphore &operator=(const Semaphore &) = delete;

    void post() { sem_post(&semaphore_); }
    // Takes one post, and waits for it.
    void wait();
    // False once deadline has passed, and no post was taken.
    bool wait_until(TimePoint deadline);

  private:
    sem_t semaphore_;
};

} // namespace websock
