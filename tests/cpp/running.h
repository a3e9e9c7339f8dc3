// running.h: a websock::Server in a thread, for the tests of websock.hpp, and what its callbacks
// tell the test. Only that header and the tests' client are used here, nothing of src/. No tests.
#pragma once

#include "tests/support/certificates.h"
#include "tests/support/client.h"

#include <websock/websock.hpp>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace test {

// For std::string and the like, whose bytes are sent as binary.
inline websock::Bytes bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string text_of(websock::Bytes bytes)
{
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

inline void listen_on_loopback(websock::Server &server)
{
    if (!over_tls())
        return server.listen("127.0.0.1", 0);
    const CertificateFiles &files = default_certificate();
    server.listen("127.0.0.1", 0, {.key = files.key_file, .certificate = files.bundle_file});
}

// Listens, with TLS or without, and serves until it is destroyed.
class Running
{
  public:
    explicit Running(websock::Server &server) : server_(server)
    {
        listen_on_loopback(server);
        thread_ = std::thread([this] { error_ = server_.try_run(); });
    }
    ~Running() { (void)stop(); }
    Running(const Running &) = delete;
    Running &operator=(const Running &) = delete;

    // What run() has failed with.
    std::error_code stop()
    {
        server_.stop();
        if (thread_.joinable())
            thread_.join();
        return error_;
    }

    Client connect(std::string_view target = "/", std::string_view headers = "")
    {
        return Client::open(server_.port(), target, headers);
    }

  private:
    websock::Server &server_;
    std::error_code error_;
    std::thread thread_;
};

// Something that a callback tells, once.
template<typename Value> class Told
{
  public:
    void tell(Value value) { promise_.set_value(std::move(value)); }
    Value get()
    {
        if (future_.wait_for(kDeadline) != std::future_status::ready)
            fail("nobody has told it");
        return future_.get();
    }

  private:
    std::promise<Value> promise_;
    std::future<Value> future_ = promise_.get_future();
};

// The lines of a server's log.
class Lines
{
  public:
    explicit Lines(websock::Server &server)
    {
        server.on_log([this](websock::LogLevel, std::string_view line) {
            const std::lock_guard lock(mutex_);
            lines_.emplace_back(line);
            added_.notify_all();
        });
    }

    // Waits for one that has this in it.
    bool has(std::string_view words)
    {
        std::unique_lock lock(mutex_);
        return added_.wait_for(lock, kDeadline, [&] {
            return std::any_of(lines_.begin(), lines_.end(), [&](const std::string &line) {
                return line.find(words) != std::string::npos;
            });
        });
    }

  private:
    std::mutex mutex_;
    std::condition_variable added_;
    std::vector<std::string> lines_;
};

// The code that a function threw as std::system_error; 0 if it threw nothing.
template<typename Function> int thrown_by(Function &&function)
try {
    function();
    return 0;
} catch (const std::system_error &error) {
    return error.code().category() == std::generic_category() ? error.code().value() : -1;
}

// The client closes, and waits for the answer and the end.
inline void close_and_wait(Client &client, unsigned code = WS_CLOSE_NORMAL)
{
    client.send_close(code);
    (void)client.receive_close();
    client.expect_eof();
}

} // namespace test
