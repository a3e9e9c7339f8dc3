// hostile.h: what the tests of hostile clients, exhaustion and faults share: a client that must
// be served all the while, crowds of clients, and whether the process is at rest. No test cases.
#pragma once

#include "tests/support/server.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

// A sanitizer needs several times the memory and the time.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TEST_SANITIZED 1
#endif
#endif

namespace test {

#ifdef TEST_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// The number that a test is about, or what a sanitizer has time for.
inline constexpr size_t scaled(size_t full, size_t sanitized)
{
    return kSanitized ? sanitized : full;
}

// The same for connections, but no more than there are descriptors for: both ends of each are in
// this process.
size_t crowd(size_t full, size_t sanitized);

// A client of an echo server that asks once a millisecond, and must be answered.
class Bystander
{
  public:
    explicit Bystander(int port);
    ~Bystander();
    Bystander(const Bystander &) = delete;
    Bystander &operator=(const Bystander &) = delete;

    // Whether what it asks from now on is answered before the deadline.
    bool is_served();

  private:
    void ask();

    Client client_;
    std::atomic<bool> leaving_ = false;
    std::atomic<bool> failed_ = false;
    std::atomic<size_t> answers_ = 0;
    std::thread thread_;
};

// Clients that have connected, and done the TLS handshake unless their transport is plain.
std::vector<Client> connect_many(size_t count, int port, const Client::Options &options = {});
// The same, and they have done the opening handshake.
std::vector<Client> open_many(size_t count, int port, const Client::Options &options = {});

// Sends bytes if the connection is still open. False: it has ended, or something has come.
bool send_if_open(Client &client, std::string_view bytes);

// A client that waits to be told that there is no room for it, and says nothing itself. Its
// socket is made early, while there is a descriptor for it, and needs none later.
class LateComer
{
  public:
    LateComer();
    ~LateComer();
    LateComer(const LateComer &) = delete;
    LateComer &operator=(const LateComer &) = delete;

    void connect(int port);
    // Whether it is told that and nothing else: a 503 that says when to come again, or with TLS
    // an alert.
    bool is_turned_away();
    int release() { return std::exchange(fd_, -1); } // for Client::over

  private:
    int fd_;
};

// Whether this process uses next to no processor time for half a second. A thread that spins
// uses much more than that, even on a busy machine.
bool is_at_rest();

} // namespace test
