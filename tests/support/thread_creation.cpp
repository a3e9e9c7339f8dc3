// thread_creation.cpp: see thread_creation.h.
#include "thread_creation.h"

#include <atomic>
#include <dlfcn.h>
#include <memory>
#include <utility>

namespace {

struct Instead {
    std::function<int(const pthread_t *, const test::ThreadCreation::Create &)> function;
    pthread_t owner;
};

// Shared, since a thread may still be in it when the test lets go of it.
std::atomic<std::shared_ptr<const Instead>> instead;

} // namespace

namespace test {

ThreadCreation::ThreadCreation(std::function<int(const pthread_t *, const Create &)> function)
{
    instead = std::make_shared<const Instead>(Instead{std::move(function), ::pthread_self()});
}

ThreadCreation::~ThreadCreation() { instead.store({}); }

} // namespace test

#ifdef THREAD_CREATION_CAN_BE_HELD

extern "C" int pthread_create(pthread_t *id, const pthread_attr_t *attributes,
                              void *(*entry)(void *), void *argument)
{
    using Function = decltype(&::pthread_create);
    static const auto system = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "pthread_create"));
    const std::shared_ptr<const Instead> now = instead;
    if (!now || ::pthread_equal(now->owner, ::pthread_self()))
        return system(id, attributes, entry, argument);
    pthread_t made{};
    const int error = now->function(id, [&] { return system(&made, attributes, entry, argument); });
    *id = made;
    return error;
}

#endif
