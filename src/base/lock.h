// lock.h: mutexes and condition variables with annotations, so that clang's -Wthread-safety can
// check our locking. std::mutex has none.
#pragma once

#include "base/clock.h"

#include <pthread.h>

#if defined(__clang__)
#define WEBSOCK_TSA(x) __attribute__((x))
#else
#define WEBSOCK_TSA(x)
#endif
#define CAPABILITY(x) WEBSOCK_TSA(capability(x))
#define SCOPED_CAPABILITY WEBSOCK_TSA(scoped_lockable)
#define GUARDED_BY(x) WEBSOCK_TSA(guarded_by(x))
#define REQUIRES(...) WEBSOCK_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) WEBSOCK_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRE(...) WEBSOCK_TSA(acquire_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) WEBSOCK_TSA(try_acquire_capability(__VA_ARGS__))
#define RELEASE(...) WEBSOCK_TSA(release_capability(__VA_ARGS__))

namespace websock {

class CAPABILITY("mutex") Mutex
{
  public:
    Mutex() = default;
    ~Mutex() { pthread_mutex_destroy(&mutex_); }
    Mutex(const Mutex &) = delete;
    Mutex &operator=(const Mutex &) = delete;

    void lock() ACQUIRE() { pthread_mutex_lock(&mutex_); }
    bool try_lock() TRY_ACQUIRE(true) { return pthread_mutex_trylock(&mutex_) == 0; }
    void unlock() RELEASE() { pthread_mutex_unlock(&mutex_); }

  private:
    friend class Cond;
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

// Holds a Mutex for a scope. It may be unlocked and locked again in between.
class SCOPED_CAPABILITY Lock
{
  public:
    explicit Lock(Mutex &mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~Lock() RELEASE()
    {
        if (held_)
            mutex_.unlock();
    }
    Lock(const Lock &) = delete;
    Lock &operator=(const Lock &) = delete;

    void unlock() RELEASE()
    {
        mutex_.unlock();
        held_ = false;
    }
    void lock() ACQUIRE()
    {
        mutex_.lock();
        held_ = true;
    }

  private:
    Mutex &mutex_;
    bool held_ = true;
};

// A condition variable on the monotonic clock. Waits may wake spuriously.
class Cond
{
  public:
    Cond();
    ~Cond() { pthread_cond_destroy(&cond_); }
    Cond(const Cond &) = delete;
    Cond &operator=(const Cond &) = delete;

    void wait(Mutex &mutex) REQUIRES(mutex) { pthread_cond_wait(&cond_, &mutex.mutex_); }
    // False once deadline has passed.
    bool wait_until(Mutex &mutex, TimePoint deadline) REQUIRES(mutex);
    void signal() { pthread_cond_signal(&cond_); }
    void broadcast() { pthread_cond_broadcast(&cond_); }

  private:
    pthread_cond_t cond_;
};

} // namespace websock
