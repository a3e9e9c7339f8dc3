// thread.h: threads, locks and deadlines on POSIX threads. std::thread cannot be
// given a stack size and throws where a full system makes us expect a failure;
// std::mutex carries no annotations for clang's -Wthread-safety, which checks our
// locking.
#pragma once

#include <chrono>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

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
#define RELEASE(...) WEBSOCK_TSA(release_capability(__VA_ARGS__))

namespace websock {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

inline constexpr TimePoint kNever = TimePoint::max();

inline TimePoint in_ms(int ms) { return Clock::now() + std::chrono::milliseconds(ms); }

// Milliseconds until deadline, rounded up, as poll(2) takes them: 0 when it has
// passed, -1 for kNever.
int ms_until(TimePoint deadline);

// Milliseconds of the monotonic clock as it was at the last tick: a few of them late, but
// for next to no time.
int64_t coarse_ms();

class CAPABILITY("mutex") Mutex
{
  public:
    Mutex() = default;
    ~Mutex() { pthread_mutex_destroy(&mutex_); }
    Mutex(const Mutex &) = delete;
    Mutex &operator=(const Mutex &) = delete;

    void lock() ACQUIRE() { pthread_mutex_lock(&mutex_); }
    void unlock() RELEASE() { pthread_mutex_unlock(&mutex_); }

  private:
    friend class Cond;
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

// Holds a Mutex for a scope; may let go of it and take it again in between.
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

struct ThreadOptions {
    const char *name;               // shown by ps and gdb; at most 15 characters
    size_t stack_bytes = 0;         // 0: the system's default
    const sigset_t *mask = nullptr; // signals to block, read by the thread when it begins;
                                    // nullptr: all but those it raises itself, by a fault
    bool batch = false;             // see use_batch_scheduling()
};

// A joinable thread. Whoever has started it with start() joins it, or, with launch(),
// whoever the thread itself has told that it is about to end.
class Thread
{
  public:
    Thread() = default;
    Thread(const Thread &) = delete;
    Thread &operator=(const Thread &) = delete;

    // Runs entry(argument) in a new thread. 0, or an errno value (EAGAIN). The object must
    // live until join() has returned.
    int start(const ThreadOptions &options, void (*entry)(void *), void *argument);
    // By the thread that has called start(), or one that knows it to have returned.
    void join() { pthread_join(id_, nullptr); }

    // The same, but the thread may have ended, been joined, and have had this object deleted
    // before launch() returns: from then on nothing here is touched.
    int launch(const ThreadOptions &options, void (*entry)(void *), void *argument);
    // By a thread that the launched one has told, through a lock, that it is about to end.
    void join_launched() { pthread_join(self_, nullptr); }

  private:
    int create(const ThreadOptions &options, void (*entry)(void *), void *argument, pthread_t &id);
    static void *trampoline(void *self);

    pthread_t id_{};   // written by start(), once the thread is there
    pthread_t self_{}; // the same, written by the new thread alone
    void (*entry_)(void *) = nullptr;
    void *argument_ = nullptr;
    const char *name_ = nullptr;
    const sigset_t *mask_ = nullptr;
    bool batch_ = false;
};

// Gives the memory back that the calling thread's stack has used further down than now.
[[gnu::noinline]] void release_unused_stack();

// The calling thread, as these functions of the monitor's take it.
struct ThreadId {
    pid_t number = 0; // 0: none
    clockid_t cpu_clock{};
};
ThreadId current_thread();

// What another thread of this process does: it runs, or would if it had a processor; or it
// sleeps, in a system call or for a lock. unknown: the system does not tell, for want of
// /proc or of a descriptor.
enum class ThreadState { runs, sleeps, unknown };
ThreadState state_of(const ThreadId &thread);

// How long a thread of this process has computed; needs neither. 0 when it has ended.
std::chrono::nanoseconds cpu_time_of(const ThreadId &thread);

// How often the calling thread has gone to sleep: for a lock, for time, for input.
long sleeps_so_far();

// What of a stack of so many bytes is left when a thread on it begins: less than all, since
// the C library's and the program's thread-local data are in there. 0, or an errno value:
// EINVAL where no thread can have so small a stack, EAGAIN.
int room_on_stack(size_t stack_bytes, size_t &room);

// Lets the calling thread finish its work before the thread it has woken runs, unless an
// administrator has chosen another policy than the usual one. Measured (closed-loop echo, one
// core): 23 us of CPU per message without, 17 with, since readers that are not preempted fill
// the run queue in bulk. A hint: there is no failure worth telling.
void use_batch_scheduling();

} // namespace websock
