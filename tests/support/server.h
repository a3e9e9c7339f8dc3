// server.h: a libwebsock server in a thread, for the tests. It records every callback and log
// line, and does what the test's Behaviour says besides. Its destructor stops, joins, checks and
// frees it. No test cases.
#pragma once

#include "client.h"

#include <websock/websock.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace test {

// 0 if the call returned 0, errno if it returned -1, -1 if it did neither.
inline int error_of(int result) { return result == 0 ? 0 : result == -1 ? errno : -1; }

// Whether the condition comes true before the deadline. For what no callback announces.
bool eventually(const std::function<bool()> &condition);

// A handshake_timeout_ms that is short enough for a test to wait for, and long enough for the
// other clients' handshakes on a busy machine.
inline int short_handshake_ms() { return over_tls() ? 1500 : 300; }

// Holds a callback until the test opens it.
class Gate
{
  public:
    void open();
    bool wait(); // false: not opened before the deadline

  private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;
};

// Lets nobody pass until count threads have arrived.
class Barrier
{
  public:
    explicit Barrier(size_t count) : missing_(count) {}
    bool arrive_and_wait(); // false: some did not arrive before the deadline

  private:
    std::mutex mutex_;
    std::condition_variable complete_;
    size_t missing_;
};

enum class Kind { request, open, message, close, too_large, pong, control };

// One callback, with its arguments as it began.
struct Event {
    Kind kind = Kind::open;
    int client = 0;              // 1 for the first one that had an event, and so on
    std::string text = {};       // payload; close: the reason; request: the path
    unsigned opcode = 0;         // message, too_large, control
    bool fin = false;            // too_large, control
    bool terminated = false;     // message: a NUL follows it. too_large: payload is NULL
    unsigned long long len = 0;  // message, too_large, control
    unsigned code = 0;           // close
    std::thread::id thread = {}; // it ran on
};

class Recorder
{
  public:
    void add(const libwebsock_client_state *client, Event event);

    // Waits for the nth event of a kind, from 1, and returns it. Throws if it does not come
    // before the deadline.
    Event wait(Kind kind, size_t nth = 1);

    std::vector<Event> all();
    std::vector<Event> all(Kind kind);
    size_t count(Kind kind);

  private:
    std::mutex mutex_;
    std::condition_variable added_;
    std::vector<Event> events_;
    std::map<Kind, std::vector<size_t>> of_kind_; // indices of events_
    std::map<const libwebsock_client_state *, int> numbers_;
    int clients_ = 0;
};

constexpr int kAnyLevel = -1;

struct LogLine {
    int level;
    std::string text;
};

class Log
{
  public:
    void add(int level, const char *text);
    std::vector<LogLine> lines();

    // Whether a line of this level that has all these words comes before the deadline.
    bool has(int level, const std::vector<std::string> &words);

  private:
    std::mutex mutex_;
    std::condition_variable added_;
    std::vector<LogLine> lines_;
};

struct Scene;

// What a test wants its server to do, apart from recording.
struct Behaviour {
    using OnClient = std::function<void(Scene &, libwebsock_client_state *)>;
    using OnFrame = std::function<void(Scene &, libwebsock_client_state *, libwebsock_frame *)>;

    std::function<void(libwebsock_context *)> settings = {};
    OnClient onopen = {};
    std::function<void(Scene &, libwebsock_client_state *, libwebsock_message *)> onmessage = {};
    OnClient onclose = {};
    OnClient onpong = {};
    OnFrame oncontrol = {};
    OnFrame onframetoolarge = {};
    // If it is unset, the server has no onrequest.
    std::function<int(Scene &, libwebsock_client_state *, const libwebsock_request *)> onrequest =
        {};
    size_t max_frame_payload = 0;
    bool keep_handles = false;                 // retain every client in onopen, for Server::handle
    bool bind = true;                          // 127.0.0.1, any port
    bool start = true;                         // run libwebsock_wait
    Transport transport = default_transport(); // to bind with
    // If these are unset, the server has none.
    std::function<void(Scene &, libwebsock_client_state *, libwebsock_part *)> onpart = {};
    OnClient onsession = {};
};

// libwebsock_bind, or, with TLS, libwebsock_bind_ssl with default_certificate().
int bind_to(libwebsock_context *context, const char *host, const char *port,
            Transport transport = default_transport());

// An onmessage that sends the same message back.
void echo(Scene &scene, libwebsock_client_state *client, libwebsock_message *msg);

// What callbacks can use.
struct Scene {
    Behaviour behaviour;
    Recorder events;
    Log log;
    Gate gate; // opened by the server's destructor at the latest

    std::mutex mutex;
    std::condition_variable opened;
    std::deque<libwebsock_client_state *> handles; // retained, in the order of onopen

    Scene() = default;
    ~Scene();
};

class Server
{
  public:
    explicit Server(Behaviour behaviour = {});
    ~Server();
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    void start();

    // Joins the thread of libwebsock_wait, which something else makes return. Returns 0, or the
    // errno it failed with; the destructor then no longer checks it.
    int join();
    int stop_and_join();

    // Stops, joins and frees the server. Only retained handles are left.
    void free();

    // Gives the context to the caller, who has to free it.
    libwebsock_context *release_context() { return std::exchange(context_, nullptr); }

    libwebsock_context *context() const { return context_; }
    int port() const { return libwebsock_port(context_); }
    std::thread::id thread() const { return wait_thread_id_; }
    libwebsock_statistics stats() const;

    // The nth client to have had onopen, from 1; with keep_handles.
    libwebsock_client_state *handle(size_t nth = 1);

    Scene &scene() { return *scene_; }
    Recorder &events() { return scene_->events; }
    Log &log() { return scene_->log; }
    Gate &gate() { return scene_->gate; }

  private:
    std::unique_ptr<Scene> scene_;
    libwebsock_context *context_ = nullptr;
    std::thread wait_thread_;
    std::thread::id wait_thread_id_;
    int wait_error_ = 0;
    bool looked_at_error_ = false;
};

} // namespace test
