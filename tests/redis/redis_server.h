// redis_server.h: a redis-server of a test's own, on a Unix socket in a directory of its own.
#pragma once

#include <hiredis/hiredis.h>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

namespace test {

class RedisServer
{
  public:
    // Starts it, with more lines of its configuration.
    explicit RedisServer(std::vector<std::string> settings = {});
    ~RedisServer();
    RedisServer(const RedisServer &) = delete;
    RedisServer &operator=(const RedisServer &) = delete;

    const std::string &socket() const { return socket_; }
    std::string address() const { return "unix:" + socket_; }

    void start(); // after kill()
    void kill();  // as kill -9
    void freeze();
    void thaw();
    // While it does not run.
    void forget_data();
    void save_data();
    void return_to_saved_data();
    // The end of a transaction that it was writing when it was killed.
    void leave_half_a_transaction(const std::vector<std::vector<std::string>> &commands);
    // Its files must not grow any more, as if the disk were full.
    void fill_disk(bool full);

    // Runs a command, and returns its reply as text: "" for nil, lines for an array.
    std::string command(const std::vector<std::string> &words);

    // Of a topic's log: e, its epoch; o, its newest offset; n, how many messages it has.
    std::string state(const std::string &topic, const std::string &field);
    void set_offset(const std::string &topic, int offset);

  private:
    void signal(int number);
    bool answers();

    std::vector<std::string> settings_;
    std::string directory_;
    std::string socket_;
    pid_t pid_ = 0; // 0: it does not run
};

} // namespace test
