// thread_creation.h: what becomes of threads that are about to be made: a test may hold them
// up, or refuse them, or have their ids stored late, as some C libraries do. No test cases.
#pragma once

#include <functional>

#include <pthread.h>

// A sanitizer has its own pthread_create, which must not be bypassed.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define THREAD_CREATION_CAN_BE_HELD
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#undef THREAD_CREATION_CAN_BE_HELD
#endif
#endif

namespace test {

// While it lives, pthread_create by other threads than the test's becomes a call of instead;
// create() does what it would have done, but for storing the id, which comes when instead
// has returned. id is where. One at a time.
class ThreadCreation
{
  public:
    using Create = std::function<int()>;
    explicit ThreadCreation(std::function<int(const pthread_t *id, const Create &create)> instead);
    ~ThreadCreation();
    ThreadCreation(const ThreadCreation &) = delete;
    ThreadCreation &operator=(const ThreadCreation &) = delete;
};

} // namespace test
