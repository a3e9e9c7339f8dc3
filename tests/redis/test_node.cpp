// test_node.cpp: see test_node.h. It defines the two functions of the library that the engine
// calls.
#include "test_node.h"

#include "base/utf8.h"
#include "until.h"

#include <algorithm>
#include <cerrno>

using websock::Lock;

namespace test {

TestNode::TestNode(std::vector<std::string> servers, libwebsock_redis_options given)
{
    std::vector<const char *> texts;
    for (const std::string &server : servers)
        texts.push_back(server.c_str());
    given.size = sizeof given;
    given.servers = texts.data();
    given.server_count = texts.size();
    if (given.command_timeout_ms == 0)
        given.command_timeout_ms = 500;
    options.size = sizeof options;
    context_.user_data = this;
    if (libwebsock_use_redis(&context_, &given) == -1) {
        use_error_ = errno;
        return;
    }
    use_error_ = table_.start(table_.data, &context_);
    runs_ = use_error_ == 0;
}

TestNode::~TestNode()
{
    stop();
    if (table_.data)
        table_.free_data(table_.data);
}

void TestNode::stop()
{
    if (runs_)
        table_.stop(table_.data);
    runs_ = false;
}

int TestNode::use(const libwebsock_backplane &table)
{
    table_ = table;
    return 0;
}

int TestNode::publish(const std::string &topic, const std::string &text, const std::string &key,
                      unsigned long long publisher, int flags)
{
    libwebsock_publication publication{};
    publication.size = sizeof publication;
    publication.topic = topic.c_str();
    publication.payload = text.data();
    publication.payload_len = text.size();
    publication.key = key.empty() ? nullptr : key.c_str();
    publication.flags = flags;
    return table_.publish(table_.data, &publication, &options, publisher);
}

int TestNode::follow(const std::string &topic)
{
    const unsigned long long following = ++follows_;
    {
        const Lock lock(mutex_);
        topics_[topic] = Topic();
        topics_[topic].followed = true;
        topics_[topic].following = following;
    }
    return table_.follow(table_.data, topic.c_str(), &options, following);
}

bool TestNode::load(const std::string &name)
{
    return follow(name) == 0 && until([&] { return topic(name).began; });
}

void TestNode::unfollow(const std::string &topic)
{
    {
        const Lock lock(mutex_);
        topics_[topic].followed = false;
    }
    table_.unfollow(table_.data, topic.c_str());
}

TestNode::Topic TestNode::topic(const std::string &name)
{
    const Lock lock(mutex_);
    return topics_[name];
}

bool TestNode::received(const std::string &name, size_t count)
{
    return until([&] {
        const Lock lock(mutex_);
        return topics_[name].texts.size() >= count;
    });
}

libwebsock_redis_statistics TestNode::stats()
{
    libwebsock_redis_statistics all{};
    all.size = sizeof all;
    (void)libwebsock_redis_stats(&context_, &all);
    return all;
}

std::string TestNode::log()
{
    const Lock lock(mutex_);
    return log_;
}

void TestNode::hold_deliveries(bool held)
{
    const Lock lock(mutex_);
    held_ = held;
    released_.broadcast();
}

void TestNode::write_log(const char *text)
{
    const Lock lock(mutex_);
    log_ += std::string(text) + "\n";
}

int TestNode::deliver(const libwebsock_delivery &what, unsigned long long *next)
{
    const Lock lock(mutex_);
    while (held_)
        released_.wait(mutex_);
    Topic &topic = topics_[what.topic];
    if (!topic.followed || topic.following != what.following)
        return ENOENT;
    if (what.epoch != topic.epoch) {
        topic.epochs += topic.epoch == 0 ? 0 : 1;
        topic.any = topic.epoch == 0;
        topic.epoch = what.epoch;
        topic.next = 1;
    }
    *next = topic.next;
    const unsigned long long follows = what.follows != 0 ? what.follows : what.offset - 1;
    if (what.publication && what.offset < topic.next)
        return 0;
    if (what.publication && what.publication->opcode == WS_OPCODE_TEXT &&
        !websock::is_valid_utf8({static_cast<const uint8_t *>(what.publication->payload),
                                 what.publication->payload_len}))
        return EILSEQ;
    if (what.publication && !topic.any && follows >= topic.next)
        return ERANGE;
    if (what.publication) {
        topic.texts.emplace_back(static_cast<const char *>(what.publication->payload),
                                 what.publication->payload_len);
        topic.publishers.push_back(what.publisher);
        topic.flags.push_back(what.publication->flags);
    } else {
        topic.lost += topic.began && what.offset >= topic.next ? what.offset + 1 - topic.next : 0;
        topic.began = true;
    }
    topic.any = false;
    topic.next = std::max(topic.next, what.offset + 1);
    *next = topic.next;
    return 0;
}

} // namespace test

extern "C" {

int libwebsock_use_backplane(libwebsock_context *ctx, const libwebsock_backplane *backplane)
{
    return test::TestNode::of(ctx).use(*backplane);
}

int libwebsock_deliver(libwebsock_context *ctx, const libwebsock_delivery *delivery,
                       unsigned long long *next)
{
    errno = test::TestNode::of(ctx).deliver(*delivery, next);
    return errno == 0 ? 0 : -1;
}

int libwebsock_log(libwebsock_context *ctx, int, const char *text)
{
    if (ctx->user_data) // otherwise it is no node's
        test::TestNode::of(ctx).write_log(text);
    return 0;
}

} // extern "C"
