// context.h: a server as the user holds it: its listeners, its beginning and its end. What its
// connections use of it is the Engine.
#pragma once

#include "base/fd.h"
#include "connection/engine.h"
#include "server/listener.h"
#include "topics/topics.h"
#include "transport/tls_config.h"

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>
#include <websock/websock.h>

namespace websock {

class Context
{
  public:
    // Throws std::bad_alloc.
    explicit Context(size_t max_frame_payload);
    ~Context() = default;
    Context(const Context &) = delete;
    Context &operator=(const Context &) = delete;

    libwebsock_context *handle() { return &handle_; }
    static Context *of(const libwebsock_context *context)
    {
        return static_cast<Context *>(context->priv);
    }
    Engine &engine() { return engine_; }
    Topics &topics() { return topics_; }

    // Whether this is a child that was forked while the server ran. Then nothing here may be used:
    // the functions below return EPERM.
    bool in_forked_child() const noexcept;

    // The functions of the API; errno values. All may throw std::bad_alloc.
    int bind(const char *host, const char *port) EXCLUDES(mutex_);
    int bind_tls(const char *host, const char *port, const libwebsock_tls_options &options)
        EXCLUDES(mutex_);
    int reload_tls() EXCLUDES(mutex_);
    int bind_socket(int fd) EXCLUDES(mutex_);
    int port() EXCLUDES(mutex_); // -1: it listens on none
    int wait() EXCLUDES(mutex_);
    int stop() noexcept; // async-signal-safe
    int send_all(const Message::Content &content);
    int publish(std::string_view topic, const Message::Content &content);
    int configure_topics(std::string_view prefix, const Topic::Options &options);

    // Stops the server. False: a callback has not returned, or the server belongs to another
    // process; then the context must stay alive.
    bool end() EXCLUDES(mutex_);

  private:
    enum class State { fresh, running, ended };

    int begin(bool waits) EXCLUDES(mutex_);
    int start() REQUIRES(mutex_);
    int make_stop_fd() REQUIRES(mutex_);
    void wake() noexcept;
    int listen(const char *host, const char *port, std::shared_ptr<TlsIdentity> tls)
        EXCLUDES(mutex_);
    int cannot_listen(const char *host, const char *port, int error, const std::string &why);
    void log_warnings(const std::vector<std::string> &warnings);
    int exchange_certificates(std::string &why, std::vector<std::string> &warnings)
        EXCLUDES(mutex_, reload_mutex_);
    int add_listener(std::vector<UniqueFd> &sockets, std::shared_ptr<TlsIdentity> tls)
        EXCLUDES(mutex_);
    int start_listener(Listener &listener);
    int adopt_listening(int fd) EXCLUDES(mutex_);
    int adopt_connected(int fd) EXCLUDES(mutex_);
    int serve(UniqueFd &socket, const sockaddr_storage &peer, TlsIdentity *tls);
    UniqueFd admit(UniqueFd socket, const sockaddr_storage &peer,
                   const Listener &listener) noexcept;
    int accept_until_stopped() EXCLUDES(mutex_);
    // Whether a second signal has asked us not to wait any longer.
    using Hurried = std::function<bool()>;
    int drain(const Hurried &hurried) EXCLUDES(mutex_);
    bool end_connections(TimePoint deadline, const Hurried &hurried);
    bool end_workers(TimePoint deadline, const Hurried &hurried);
    void report_stuck(int ms);

    libwebsock_context handle_{};
    // Signal handlers use both. The eventfd is made when serving begins, because a child that
    // was forked before must not share it; stopped_ remembers a stop that came earlier.
    std::atomic<bool> stopped_{false};
    std::atomic<int> wake_fd_{-1};     // stop_fd_, once threads wait for it
    std::atomic<pid_t> server_pid_{0}; // the process that has the threads; 0: none has
    Engine engine_;
    Topics topics_{engine_};

    Mutex reload_mutex_; // one reload at a time, so that the last call wins
    Mutex mutex_;
    State state_ GUARDED_BY(mutex_) = State::fresh; // running: its threads have been started
    bool waiting_ GUARDED_BY(mutex_) = false;       // a thread is inside wait()
    bool accepting_ GUARDED_BY(mutex_) = false;     // the listeners have threads
    bool gave_up_ GUARDED_BY(mutex_) = false;       // a drain has timed out
    // An eventfd that stays readable once it has been written to. Made by start(), and never
    // replaced after that.
    UniqueFd stop_fd_;
    pid_t stop_fd_pid_ GUARDED_BY(mutex_) = 0; // the process that made it
    std::vector<std::unique_ptr<Listener>> listeners_ GUARDED_BY(mutex_);
};

} // namespace websock
