// subscribe.cpp, for libwebsock_subscribe(3): what a client gets of topics.
#include "api/checked.h"
#include "api/sized.h"
#include "server/context.h"
#include "topics/subscriber.h"

#include <memory>
#include <websock/websock.h>

using namespace websock;

namespace {

int subscribe(libwebsock_client_state *client, const char *topic,
              const libwebsock_subscription *given)
{
    libwebsock_subscription how{};
    if (!client || !topic || !Topics::is_name(topic) || !copy_sized(given, sizeof how, how))
        return EINVAL;
    Connection &connection = *Connection::of(client);
    // The context is there as long as the connection is open, which is when this is called.
    const auto make = [&]() -> std::unique_ptr<Source> {
        return std::make_unique<Subscriber>(connection, Context::of(client->ctx)->topics());
    };
    Subscriber *const subscriber = Subscriber::of(connection, make);
    if (!subscriber)
        return ENOTCONN;
    const Subscriber::Wish wish{.start = {.history = how.history, .after_id = how.after_id},
                                .no_echo = how.no_echo != 0};
    return subscriber->subscribe(topic, wish);
}

int unsubscribe(libwebsock_client_state *client, const char *topic)
{
    if (!client || (topic && !Topics::is_name(topic)))
        return EINVAL;
    Subscriber *const subscriber = Subscriber::of(*Connection::of(client));
    if (topic)
        return subscriber && subscriber->unsubscribe(topic) ? 0 : ENOENT;
    if (subscriber)
        subscriber->unsubscribe_all();
    return 0;
}

} // namespace

extern "C" {

int libwebsock_subscribe(libwebsock_client_state *client, const char *topic,
                         const libwebsock_subscription *subscription)
{
    return checked([&] { return subscribe(client, topic, subscription); });
}

int libwebsock_unsubscribe(libwebsock_client_state *client, const char *topic)
{
    return checked([&] { return unsubscribe(client, topic); });
}

} // extern "C"
