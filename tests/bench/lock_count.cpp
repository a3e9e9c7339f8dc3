// lock_count.cpp: counts what a program does with its mutexes: how often each is taken, from
// where, by how many threads, and how long it is held. Linked into a server with ld's --wrap,
// which leads its calls of pthread_mutex_lock and the like here; see bench.mk. Prints one line of
// JSON when the program ends. What it means for a message is up to locks.py.
//
// Every thread counts for itself, so that counting makes nobody wait. Only one reading of the
// clock lies within the time a mutex is held, and what that takes is subtracted.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <link.h>
#include <map>
#include <pthread.h>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

extern "C" {
int __real_pthread_mutex_lock(pthread_mutex_t *);
int __real_pthread_mutex_trylock(pthread_mutex_t *);
int __real_pthread_mutex_unlock(pthread_mutex_t *);
int __real_pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *);
int __real_pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *, const timespec *);
int __real_pthread_cond_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t, const timespec *);
}

namespace {

constexpr size_t kMostHeld = 16;   // by one thread at a time; further ones are not counted
constexpr size_t kMostLocks = 8;   // named in the report
constexpr size_t kMostCallers = 8; // of each

int64_t now_ns()
{
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Place {
    const void *mutex;
    const void *caller;
    bool operator==(const Place &) const = default;
};

struct PlaceHash {
    size_t operator()(const Place &place) const
    {
        const auto bits = [](const void *pointer) { return reinterpret_cast<size_t>(pointer); };
        return bits(place.mutex) / 8 * 31 + bits(place.caller);
    }
};

struct Use {
    uint64_t taken = 0;
    int64_t held_ns = 0;
    void add(const Use &other)
    {
        taken += other.taken;
        held_ns += other.held_ns;
    }
};

// One thread's. It stays when the thread has ended, for the report.
struct Ledger {
    struct Held {
        const void *mutex;
        Use *use;
        int64_t since;
    };
    std::unordered_map<Place, Use, PlaceHash> uses; // which stay where they are
    std::array<Held, kMostHeld> held;
    size_t held_count = 0;
    Ledger *next = nullptr;

    // From before to after the wait for the mutex: the search for the use does not count.
    Use &use_of(const void *mutex, const void *caller) { return uses[{mutex, caller}]; }
    void took(const void *mutex, Use &use)
    {
        ++use.taken;
        if (held_count < kMostHeld)
            held[held_count++] = {mutex, &use, now_ns()};
    }
    void gave_back(const void *mutex, int64_t when)
    {
        for (size_t i = held_count; i-- > 0;) {
            if (held[i].mutex != mutex)
                continue;
            held[i].use->held_ns += when - held[i].since;
            std::move(held.begin() + static_cast<ptrdiff_t>(i) + 1,
                      held.begin() + static_cast<ptrdiff_t>(held_count),
                      held.begin() + static_cast<ptrdiff_t>(i));
            --held_count;
            return;
        }
    }
};

std::atomic<Ledger *> ledgers{nullptr};
thread_local Ledger *own_ledger = nullptr;

Ledger &ledger()
{
    if (!own_ledger) {
        own_ledger = new Ledger;
        own_ledger->next = ledgers.load();
        while (!ledgers.compare_exchange_weak(own_ledger->next, own_ledger))
            continue;
    }
    return *own_ledger;
}

// A wait gives the mutex back and takes it again.
template<class Wait> int wait(pthread_mutex_t *mutex, const void *caller, const Wait &really_wait)
{
    Ledger &own = ledger();
    Use &use = own.use_of(mutex, caller);
    own.gave_back(mutex, now_ns());
    const int result = really_wait();
    own.took(mutex, use);
    return result;
}

// One mutex, or several together.
struct Lock {
    Use all;
    std::map<const void *, Use> by_caller;
    size_t threads = 0;

    void add(const void *caller, const Use &use)
    {
        all.add(use);
        by_caller[caller].add(use);
    }
    void add(const Lock &other)
    {
        for (const auto &[caller, use] : other.by_caller)
            add(caller, use);
        threads = std::max(threads, other.threads);
    }
};

// What one reading of the clock takes: the least of many, since a thread may be interrupted.
int64_t clock_ns()
{
    int64_t least = INT64_MAX;
    for (int round = 0; round < 100; ++round) {
        const int64_t began = now_ns();
        for (int i = 0; i < 99; ++i)
            (void)now_ns();
        least = std::min(least, (now_ns() - began) / 100);
    }
    return least;
}

// Addresses in the program's file, for addr2line; a call ends where it returns to.
size_t in_file(const void *caller)
{
    size_t moved_by = 0;
    dl_iterate_phdr(
        [](dl_phdr_info *info, size_t, void *into) {
            *static_cast<size_t *>(into) = info->dlpi_addr;
            return 1; // the first is the program
        },
        &moved_by);
    return reinterpret_cast<size_t>(caller) - moved_by - 1;
}

double held(const Use &use, int64_t reading_ns)
{
    return static_cast<double>(
        std::max<int64_t>(0, use.held_ns - reading_ns * static_cast<int64_t>(use.taken)));
}

void print_use(const char *name, const Use &use, int64_t reading_ns)
{
    std::printf("\"%s\": {\"taken\": %llu, \"held_ns\": %.0f}", name,
                static_cast<unsigned long long>(use.taken), held(use, reading_ns));
}

void print_lock(const Lock &lock, int64_t reading_ns)
{
    std::vector<std::pair<const void *, Use>> callers(lock.by_caller.begin(), lock.by_caller.end());
    std::ranges::sort(callers, std::greater(), [](const auto &one) { return one.second.taken; });
    callers.resize(std::min(callers.size(), kMostCallers));
    std::printf("{\"threads\": %zu, ", lock.threads);
    print_use("use", lock.all, reading_ns);
    std::printf(", \"callers\": [");
    for (size_t i = 0; i < callers.size(); ++i) {
        std::printf("%s{\"address\": \"%#zx\", ", i > 0 ? ", " : "", in_file(callers[i].first));
        print_use("use", callers[i].second, reading_ns);
        std::printf("}");
    }
    std::printf("]}");
}

struct Counted {
    std::unordered_map<const void *, Lock> locks;
    size_t threads = 0;
};

Counted add_up()
{
    Counted counted;
    for (const Ledger *one = ledgers; one; one = one->next, ++counted.threads) {
        std::set<const void *> taken;
        for (const auto &[place, use] : one->uses) {
            Lock &lock = counted.locks[place.mutex];
            lock.add(place.caller, use);
            lock.threads += taken.insert(place.mutex).second;
        }
    }
    return counted;
}

// Those that more than half of the threads have taken are "shared".
[[gnu::destructor]] void report()
{
    const Counted counted = add_up();
    Lock shared;
    Lock others;
    std::vector<const Lock *> most_taken; // of the shared ones
    for (const auto &[mutex, lock] : counted.locks) {
        const bool by_most = lock.threads > counted.threads / 2;
        (by_most ? shared : others).add(lock);
        if (by_most)
            most_taken.push_back(&lock);
    }
    std::ranges::sort(most_taken, std::greater(), [](const Lock *one) { return one->all.taken; });
    most_taken.resize(std::min(most_taken.size(), kMostLocks));

    const int64_t reading_ns = clock_ns();
    std::printf("{\"threads\": %zu, \"shared\": ", counted.threads);
    print_lock(shared, reading_ns);
    std::printf(", \"others\": ");
    print_lock(others, reading_ns);
    std::printf(", \"locks\": [");
    for (size_t i = 0; i < most_taken.size(); ++i) {
        std::printf("%s", i > 0 ? ", " : "");
        print_lock(*most_taken[i], reading_ns);
    }
    std::printf("]}\n");
    std::fflush(stdout);
}

} // namespace

extern "C" {

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    Ledger &own = ledger();
    Use &use = own.use_of(mutex, __builtin_return_address(0));
    const int result = __real_pthread_mutex_lock(mutex);
    if (result == 0)
        own.took(mutex, use);
    return result;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    Ledger &own = ledger();
    Use &use = own.use_of(mutex, __builtin_return_address(0));
    const int result = __real_pthread_mutex_trylock(mutex);
    if (result == 0)
        own.took(mutex, use);
    return result;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    const int64_t when = now_ns();
    const int result = __real_pthread_mutex_unlock(mutex);
    ledger().gave_back(mutex, when);
    return result;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return wait(mutex, __builtin_return_address(0),
                [&] { return __real_pthread_cond_wait(cond, mutex); });
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const timespec *until)
{
    return wait(mutex, __builtin_return_address(0),
                [&] { return __real_pthread_cond_timedwait(cond, mutex, until); });
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                  const timespec *until)
{
    return wait(mutex, __builtin_return_address(0),
                [&] { return __real_pthread_cond_clockwait(cond, mutex, clock, until); });
}
}
