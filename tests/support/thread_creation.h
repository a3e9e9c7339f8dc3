// thread_creation.h: lets a test intervene when threads are made: it may hold them up, refuse
// them, or store their ids late, as some C libraries do. No test cases.
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

// While it lives, a pthread_create by any thread but the test's calls instead. create() does what
// pthread_create would have done, but does not store the thread's id; that is done when instead
// has returned. id says where. Only one may live at a time.
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
