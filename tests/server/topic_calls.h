// topic_calls.h: the calls of topics as tests make them. No test cases.
#pragma once

#include <websock/websock.h>

#include <cerrno>
#include <string>

namespace test {

struct How {
    size_t history = 0;
    std::string after_id = {}; // "": none
    bool no_echo = false;
};

inline int subscribe(libwebsock_client_state *client, const std::string &topic, const How &how = {})
{
    libwebsock_subscription subscription{};
    subscription.size = sizeof subscription;
    subscription.history = how.history;
    subscription.after_id = how.after_id.empty() ? nullptr : how.after_id.c_str();
    subscription.no_echo = how.no_echo;
    return libwebsock_subscribe(client, topic.c_str(), &subscription);
}

struct What {
    std::string topic = "room";
    std::string text;
    std::string id = {};
    std::string key = {};
    libwebsock_client_state *publisher = nullptr;
};

inline int publish(libwebsock_context *context, const What &what)
{
    libwebsock_publication publication{};
    publication.size = sizeof publication;
    publication.topic = what.topic.c_str();
    publication.payload = what.text.data();
    publication.payload_len = what.text.size();
    publication.id = what.id.empty() ? nullptr : what.id.c_str();
    publication.key = what.key.empty() ? nullptr : what.key.c_str();
    publication.publisher = what.publisher;
    return libwebsock_publish(context, &publication);
}

struct Keeps {
    size_t messages = 0;
    size_t bytes = 0;
    int ms = 0;
    int when_behind = LIBWEBSOCK_BEHIND_CLOSE;
};

inline int configure(libwebsock_context *context, const std::string &prefix, const Keeps &keeps)
{
    libwebsock_topic_options options{};
    options.size = sizeof options;
    options.history_messages = keeps.messages;
    options.history_bytes = keeps.bytes;
    options.history_ms = keeps.ms;
    options.when_behind = keeps.when_behind;
    return libwebsock_configure_topics(context, prefix.c_str(), &options);
}

} // namespace test
