// redis.cpp, for libwebsock_use_redis(3): the extern "C" functions, and the table of functions that
// an engine is called by. No exception gets past here.
#include "base/linked_list.h"
#include "base/lock.h"
#include "base/thread.h"
#include "redis/engine.h"
#include "redis/probe.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>
#include <websock/redis.h>

using namespace websock;
using namespace websock::redis;

namespace {

template<class F> int guarded(F f) noexcept
{
    try {
        return f();
    } catch (const std::exception &) {
        return ENOMEM;
    }
}

int result_of(int error)
{
    if (error == 0)
        return 0;
    errno = error;
    return -1;
}

Mutex engines_mutex;
LinkedList<Engine> engines GUARDED_BY(engines_mutex); // of all contexts, for their statistics

Engine &engine_of(void *data) { return *static_cast<Engine *>(data); }

int start(void *data, libwebsock_context *)
{
    return guarded([&] { return engine_of(data).start(); });
}

void stop(void *data) { engine_of(data).stop(); }

void free_data(void *data)
{
    {
        const Lock lock(engines_mutex);
        engines.erase(engine_of(data));
    }
    delete static_cast<Engine *>(data);
}

int publish(void *data, const libwebsock_publication *publication,
            const libwebsock_topic_options *options, unsigned long long publisher)
{
    return guarded([&] { return engine_of(data).publish(*publication, *options, publisher); });
}

int follow(void *data, const char *topic, const libwebsock_topic_options *options,
           unsigned long long following)
{
    return guarded([&] { return engine_of(data).follow(topic, *options, following); });
}

void unfollow(void *data, const char *topic) { engine_of(data).unfollow(topic); }

int catch_up(void *data, const char *topic, unsigned long long following)
{
    return guarded([&] { return engine_of(data).catch_up(topic, following); });
}

// Tries the servers out on a thread of its own, since hiredis may raise SIGPIPE.
class Trial
{
  public:
    explicit Trial(const Settings &settings) : settings_(settings) {}

    int run()
    {
        const ThreadOptions options{.name = "redis-probe"};
        if (const int error = thread_.start(options, entry, this); error != 0)
            return error;
        thread_.join();
        return error_;
    }
    // Which server has failed, and why.
    const std::string &server() const { return server_; }
    const std::string &why() const { return why_; }

  private:
    static void entry(void *self)
    {
        Trial &trial = *static_cast<Trial *>(self);
        trial.error_ = guarded([&] { return trial.probe_all(); });
    }

    int probe_all()
    {
        for (const Address &address : settings_.servers) {
            if (const int error = probe(settings_, address, why_); error != 0) {
                server_ = address.text;
                return error;
            }
        }
        return 0;
    }

    const Settings &settings_;
    Thread thread_;
    int error_ = 0;
    std::string server_;
    std::string why_;
};

int use_backplane(libwebsock_context &context, Settings settings)
{
    auto engine = std::make_unique<Engine>(context, std::move(settings));
    libwebsock_backplane table{};
    table.size = sizeof table;
    table.data = engine.get();
    table.start = start;
    table.stop = stop;
    table.free_data = free_data;
    table.publish = publish;
    table.follow = follow;
    table.unfollow = unfollow;
    table.catch_up = catch_up;
    {
        const Lock lock(engines_mutex);
        engines.push_back(*engine);
    }
    if (libwebsock_use_backplane(&context, &table) == 0) {
        (void)engine.release(); // free_data deletes it
        return 0;
    }
    const int error = errno;
    const Lock lock(engines_mutex);
    engines.erase(*engine);
    return error;
}

int use_redis(libwebsock_context *context, const libwebsock_redis_options *options)
{
    if (!context)
        return EINVAL;
    Log log(*context);
    Settings settings;
    if (const std::string wrong = read_settings(options, settings); !wrong.empty()) {
        log.write(LIBWEBSOCK_LOG_ERROR, "libwebsock_use_redis: %s", wrong.c_str());
        return EINVAL;
    }
    Trial trial(settings);
    if (const int error = trial.run(); error != 0) {
        log.write(LIBWEBSOCK_LOG_ERROR, "redis %s: %s", trial.server().c_str(),
                  trial.why().empty() ? std::strerror(error) : trial.why().c_str());
        return error;
    }
    const int error = use_backplane(*context, std::move(settings));
    if (error != 0)
        log.write(LIBWEBSOCK_LOG_ERROR, "libwebsock_use_redis: %s", std::strerror(error));
    return error;
}

int stats(libwebsock_context *context, libwebsock_redis_statistics *out)
{
    if (!context || !out || out->size < sizeof out->size)
        return EINVAL;
    const Lock lock(engines_mutex);
    for (Engine *engine = engines.front(); engine; engine = engine->next) {
        if (&engine->context() == context)
            return engine->stats(*out);
    }
    return ENOENT;
}

} // namespace

extern "C" {

int libwebsock_use_redis(libwebsock_context *ctx, const libwebsock_redis_options *options)
{
    return result_of(guarded([&] { return use_redis(ctx, options); }));
}

int libwebsock_redis_stats(libwebsock_context *ctx, libwebsock_redis_statistics *out)
{
    return result_of(guarded([&] { return stats(ctx, out); }));
}

} // extern "C"
