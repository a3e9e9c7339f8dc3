// server.cpp: see server.h.
#include "tests/support/server.h"

#include "certificates.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

namespace test {

namespace {

Scene &scene_of(const libwebsock_context *context)
{
    return *static_cast<Scene *>(context->user_data);
}

size_t length_of(const libwebsock_message &msg) { return static_cast<size_t>(msg.payload_len); }

int on_open(libwebsock_client_state *client)
{
    Scene &scene = scene_of(client->ctx);
    if (scene.behaviour.keep_handles) {
        std::lock_guard lock(scene.mutex);
        scene.handles.push_back(libwebsock_retain(client));
        scene.opened.notify_all();
    }
    scene.events.add(client, {.kind = Kind::open});
    if (scene.behaviour.onopen)
        scene.behaviour.onopen(scene, client);
    return 0;
}

int on_message(libwebsock_client_state *client, libwebsock_message *msg)
{
    Scene &scene = scene_of(client->ctx);
    scene.events.add(client, {.kind = Kind::message,
                              .text = std::string(msg->payload, length_of(*msg)),
                              .opcode = msg->opcode,
                              .terminated = msg->payload[msg->payload_len] == '\0',
                              .len = msg->payload_len});
    if (scene.behaviour.onmessage)
        scene.behaviour.onmessage(scene, client, msg);
    return 0;
}

int on_close(libwebsock_client_state *client)
{
    Scene &scene = scene_of(client->ctx);
    if (scene.behaviour.onclose)
        scene.behaviour.onclose(scene, client);
    scene.events.add(client, {.kind = Kind::close,
                              .text = client->close_info->reason,
                              .code = client->close_info->code});
    return 0;
}

int on_frame_too_large(libwebsock_client_state *client, libwebsock_frame *frame)
{
    Scene &scene = scene_of(client->ctx);
    scene.events.add(client, {.kind = Kind::too_large,
                              .opcode = frame->opcode,
                              .fin = frame->fin == 1,
                              .terminated = frame->payload == nullptr,
                              .len = frame->payload_len});
    if (scene.behaviour.onframetoolarge)
        scene.behaviour.onframetoolarge(scene, client, frame);
    return 0;
}

int on_pong(libwebsock_client_state *client)
{
    Scene &scene = scene_of(client->ctx);
    scene.events.add(client, {.kind = Kind::pong});
    if (scene.behaviour.onpong)
        scene.behaviour.onpong(scene, client);
    return 0;
}

int on_control(libwebsock_client_state *client, libwebsock_frame *frame)
{
    Scene &scene = scene_of(client->ctx);
    scene.events.add(client,
                     {.kind = Kind::control,
                      .text = std::string(frame->payload, static_cast<size_t>(frame->payload_len)),
                      .opcode = frame->opcode,
                      .fin = frame->fin == 1,
                      .len = frame->payload_len});
    if (scene.behaviour.oncontrol)
        scene.behaviour.oncontrol(scene, client, frame);
    return 0;
}

int on_request(libwebsock_client_state *client, const libwebsock_request *request)
{
    Scene &scene = scene_of(client->ctx);
    scene.events.add(client, {.kind = Kind::request, .text = request->path});
    return scene.behaviour.onrequest(scene, client, request);
}

int on_part(libwebsock_client_state *client, libwebsock_part *part)
{
    Scene &scene = scene_of(client->ctx);
    scene.behaviour.onpart(scene, client, part);
    return 0;
}

int on_session(libwebsock_client_state *client)
{
    Scene &scene = scene_of(client->ctx);
    scene.behaviour.onsession(scene, client);
    return 0;
}

void on_log(libwebsock_context *context, int level, const char *text)
{
    scene_of(context).log.add(level, text);
}

// The scenes of servers that left a callback running, which may still use its scene.
std::vector<std::unique_ptr<Scene>> &abandoned()
{
    static std::vector<std::unique_ptr<Scene>> scenes;
    return scenes;
}

} // namespace

bool eventually(const std::function<bool()> &condition)
{
    Clock::time_point deadline = Clock::now() + kDeadline;
    while (!condition()) {
        if (Clock::now() > deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1)); // then it looks again
    }
    return true;
}

void Gate::open()
{
    std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
}

bool Gate::wait()
{
    std::unique_lock lock(mutex_);
    return opened_.wait_until(lock, Clock::now() + kDeadline, [this] { return open_; });
}

bool Barrier::arrive_and_wait()
{
    std::unique_lock lock(mutex_);
    if (--missing_ == 0)
        complete_.notify_all();
    return complete_.wait_until(lock, Clock::now() + kDeadline, [this] { return missing_ == 0; });
}

void Recorder::add(const libwebsock_client_state *client, Event event)
{
    std::lock_guard lock(mutex_);
    // A handle may have the address of an earlier one. A client's first event is its request, or
    // its open if there was no request.
    bool follows_request = event.kind == Kind::open && numbers_.count(client) != 0 &&
                           of_kind_.count(Kind::request) != 0;
    if (event.kind == Kind::request || (event.kind == Kind::open && !follows_request))
        numbers_[client] = ++clients_;
    auto number = numbers_.find(client);
    event.client = number == numbers_.end() ? 0 : number->second;
    event.thread = std::this_thread::get_id();
    if (event.kind == Kind::close)
        numbers_.erase(client);
    of_kind_[event.kind].push_back(events_.size());
    events_.push_back(std::move(event));
    added_.notify_all();
}

Event Recorder::wait(Kind kind, size_t nth)
{
    std::unique_lock lock(mutex_);
    const std::vector<size_t> &indices = of_kind_[kind];
    if (!added_.wait_until(lock, Clock::now() + kDeadline, [&] { return indices.size() >= nth; }))
        throw std::runtime_error("no callback number " + std::to_string(nth) + " of kind " +
                                 std::to_string(static_cast<int>(kind)) + " before the deadline");
    return events_[indices[nth - 1]];
}

std::vector<Event> Recorder::all()
{
    std::lock_guard lock(mutex_);
    return events_;
}

std::vector<Event> Recorder::all(Kind kind)
{
    std::lock_guard lock(mutex_);
    std::vector<Event> events;
    for (size_t index : of_kind_[kind])
        events.push_back(events_[index]);
    return events;
}

size_t Recorder::count(Kind kind)
{
    std::lock_guard lock(mutex_);
    return of_kind_[kind].size();
}

void Log::add(int level, const char *text)
{
    std::lock_guard lock(mutex_);
    lines_.push_back({level, text});
    added_.notify_all();
}

std::vector<LogLine> Log::lines()
{
    std::lock_guard lock(mutex_);
    return lines_;
}

bool Log::has(int level, const std::vector<std::string> &words)
{
    auto matches = [&](const LogLine &line) {
        for (const std::string &word : words)
            if (line.text.find(word) == std::string::npos)
                return false;
        return level == kAnyLevel || line.level == level;
    };
    std::unique_lock lock(mutex_);
    return added_.wait_until(lock, Clock::now() + kDeadline,
                             [&] { return std::any_of(lines_.begin(), lines_.end(), matches); });
}

int bind_to(libwebsock_context *context, const char *host, const char *port, Transport transport)
{
    if (transport == Transport::plain)
        return libwebsock_bind(context, host, port);
    const CertificateFiles &files = default_certificate();
    return libwebsock_bind_ssl(context, host, port, files.key_file.c_str(),
                               files.cert_file.c_str());
}

void echo(Scene &, libwebsock_client_state *client, libwebsock_message *msg)
{
    if (msg->opcode == WS_OPCODE_TEXT)
        libwebsock_send_text_with_length(client, msg->payload, length_of(*msg));
    else
        libwebsock_send_binary(client, msg->payload, length_of(*msg));
}

Scene::~Scene()
{
    for (libwebsock_client_state *handle : handles)
        libwebsock_release(handle);
}

Server::Server(Behaviour behaviour) : scene_(std::make_unique<Scene>())
{
    scene_->behaviour = std::move(behaviour);
    const Behaviour &wanted = scene_->behaviour;
    context_ = libwebsock_init(nullptr, nullptr, wanted.max_frame_payload);
    if (context_ == nullptr)
        throw std::runtime_error("libwebsock_init failed");
    context_->user_data = scene_.get();
    context_->onopen = on_open;
    context_->onmessage = on_message;
    context_->onclose = on_close;
    context_->onframetoolarge = on_frame_too_large;
    context_->onpong = on_pong;
    context_->control_callback = on_control;
    context_->onrequest = wanted.onrequest ? on_request : nullptr;
    context_->onpart = wanted.onpart ? on_part : nullptr;
    context_->onsession = wanted.onsession ? on_session : nullptr;
    context_->onlog = on_log;
    context_->handle_signals = 0; // Ctrl-C ends the tests, not a server
    context_->drain_timeout_ms = 20000;
    if (wanted.settings)
        wanted.settings(context_);
    if (wanted.bind)
        REQUIRE(bind_to(context_, "127.0.0.1", "0", wanted.transport) == 0);
    if (wanted.start)
        start();
}

void Server::start()
{
    wait_thread_ = std::thread([this] { wait_error_ = error_of(libwebsock_wait(context_)); });
    wait_thread_id_ = wait_thread_.get_id();
}

int Server::join()
{
    if (wait_thread_.joinable())
        wait_thread_.join();
    looked_at_error_ = true;
    return wait_error_;
}

int Server::stop_and_join()
{
    libwebsock_stop(context_);
    return join();
}

void Server::free()
{
    if (context_ == nullptr)
        return;
    scene_->gate.open();
    libwebsock_stop(context_);
    if (wait_thread_.joinable())
        wait_thread_.join();
    if (!looked_at_error_)
        CHECK(wait_error_ == 0);
    libwebsock_free(context_);
    context_ = nullptr;
}

Server::~Server()
{
    free();
    if (wait_error_ == ETIMEDOUT)
        abandoned().push_back(std::move(scene_));
}

libwebsock_statistics Server::stats() const
{
    libwebsock_statistics stats{};
    stats.size = sizeof stats;
    CHECK(libwebsock_stats(context_, &stats) == 0);
    return stats;
}

libwebsock_client_state *Server::handle(size_t nth)
{
    std::unique_lock lock(scene_->mutex);
    auto there = [&] { return scene_->handles.size() >= nth; };
    if (!scene_->opened.wait_until(lock, Clock::now() + kDeadline, there))
        throw std::runtime_error("client " + std::to_string(nth) + " has not come");
    return scene_->handles[nth - 1];
}

} // namespace test
