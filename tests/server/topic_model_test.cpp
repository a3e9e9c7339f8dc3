// topic_model_test.cpp: clients, publishers and resets at random, over real sockets, half of them
// compressed, held against what is promised of topics: one order, which onpublished reports; each
// message once; no gap but those that were announced; nothing behind an unsubscribe; the newest of
// each key.
//
// TEST_TOPIC_MODEL=<seed>: another seed, and many rounds.
#include "tests/server/topic_calls.h"
#include "tests/support/hostile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace test;

namespace {

using Random = std::mt19937;

size_t below(Random &random, size_t n) { return random() % n; }

// keep: all is kept. close and skip: few are, and what becomes of who is behind. last: all messages
// have one of five keys.
const std::vector<std::string> kTopics{"keep", "close", "skip", "last"};
constexpr size_t kFew = 20;
constexpr size_t kClients = 6;
constexpr size_t kPublishers = 3;
// Of half of the clients.
const std::vector<const char *> kOffers{
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate",
    "permessage-deflate; server_no_context_takeover",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10",
};
constexpr size_t kAnswerPadding = 200;
constexpr const char *kEnd = "|end|0"; // behind the topic: the last message there is

struct World {
    std::mutex mutex;
    std::map<std::string, std::vector<std::string>> logs; // as onpublished has told
    std::map<std::string, unsigned long long> told;       // by onmissed, of a path
    std::vector<std::string> errors;
    std::atomic<bool> stop{false};
    std::atomic<size_t> received{0}; // publications, by all clients

    void fail(const std::string &what)
    {
        const std::lock_guard lock(mutex);
        errors.push_back(what);
    }
};
World *world = nullptr; // while a round lasts

// "topic|publisher|number|padding": all but the padding is its name, and its id. The padding is
// such that it shows whose history a compressed message was taken for.
std::string padding_of(const std::string &name, size_t len)
{
    std::string out;
    while (out.size() < len)
        out += name;
    out.resize(len);
    return out;
}

std::string name_of(const std::string &text)
{
    size_t at = 0;
    for (int bars = 0; at < text.size() && (text[at] != '|' || ++bars < 3); ++at) {
    }
    return text.substr(0, at);
}

std::string topic_of(const std::string &name) { return name.substr(0, name.find('|')); }

std::string publisher_of(const std::string &name)
{
    const size_t begin = name.find('|') + 1;
    return name.substr(begin, name.rfind('|') - begin);
}

size_t number_of(const std::string &name) { return std::stoul(name.substr(name.rfind('|') + 1)); }

std::string key_of(const std::string &name)
{
    if (topic_of(name) != "last")
        return "";
    return publisher_of(name) == "end" ? "end" : std::to_string(number_of(name) % 5);
}

// On a machine that has much else to do, onpublished may be too far behind for a while: ENOBUFS.
int publish_named(libwebsock_context *context, const std::string &name, size_t padding,
                  libwebsock_client_state *publisher = nullptr)
{
    const What what{.topic = topic_of(name),
                    .text = name + "|" + padding_of(name, padding),
                    .id = name,
                    .key = key_of(name),
                    .publisher = publisher};
    int error = 0;
    while ((error = error_of(publish(context, what))) == ENOBUFS)
        std::this_thread::yield();
    return error;
}

// "+topic history no_echo after_id", "-topic", "p name", "s". The answer begins with "!". It is
// long enough to be compressed.
void obey(Scene &, libwebsock_client_state *client, libwebsock_message *msg)
{
    const std::string text(msg->payload);
    std::vector<std::string> words{""};
    for (const char c : text.substr(1)) {
        if (c == ' ')
            words.emplace_back();
        else
            words.back() += c;
    }
    int error = 0;
    if (text[0] == '+')
        error = error_of(subscribe(
            client, words[0],
            {.history = std::stoul(words[1]), .after_id = words[3], .no_echo = words[2] == "1"}));
    else if (text[0] == '-')
        error = error_of(libwebsock_unsubscribe(client, words[0].c_str()));
    else if (text[0] == 'p' && (error = publish_named(client->ctx, words[0], 10, client)) != 0)
        world->fail("a callback could not publish: " + std::to_string(error));
    std::string answer = std::string("!") + text[0] + words[0] + " " + std::to_string(error);
    answer += " " + padding_of(answer, kAnswerPadding);
    if (text[0] != 'p')
        libwebsock_queue_text(client, answer.data(), answer.size());
}

void set_up(libwebsock_context *context)
{
    context->send_buffer_bytes = 4096;
    context->compression = 1;
    context->onpublished = [](libwebsock_context *, const libwebsock_publication *what) {
        const std::lock_guard lock(world->mutex);
        world->logs[what->topic].emplace_back(what->id);
    };
    context->onmissed = [](libwebsock_client_state *client, const char *topic,
                           unsigned long long messages) {
        const std::lock_guard lock(world->mutex);
        world->told[libwebsock_client_request(client)->path] += messages;
        if (std::string(topic) != "skip")
            world->errors.push_back(std::string("onmissed of ") + topic);
        return 0;
    };
    CHECK(configure(context, "", {.messages = 1'000'000, .bytes = 32 << 20}) == 0);
    CHECK(configure(context, "close", {.messages = 5 * kFew}) == 0);
    CHECK(configure(context, "skip", {.messages = kFew, .when_behind = LIBWEBSOCK_BEHIND_SKIP}) ==
          0);
}

// What one subscription was asked to be, and what came of it.
struct Span {
    std::string topic;
    std::string path;
    size_t history = 0;
    std::string after_id = {};
    bool no_echo = false;
    size_t least_end = 0; // messages in the log before it began, and when it had
    size_t most_end = SIZE_MAX;
    bool confirmed = false;
    bool complete = false; // it has got the end
    std::vector<std::string> got = {};
};

size_t messages_so_far(libwebsock_context *context, const std::string &topic)
{
    libwebsock_topic_statistics stats{};
    stats.size = sizeof stats;
    return libwebsock_topic_stats(context, topic.c_str(), &stats) == 0 ? stats.offset : 0;
}

class Actor
{
  public:
    Actor(Server &server, size_t number, unsigned seed)
        : server_(server), number_(number), random_(seed)
    {
    }

    std::vector<Span> spans; // all there were

    // At least so many steps, and on until all clients together have received as much: publishers
    // may be slow. The deadline is for a server that sends too little.
    void act(size_t steps)
    {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        connect();
        for (size_t i = 0; i < steps || world->received <= steps; ++i) {
            if (i >= steps && std::chrono::steady_clock::now() > deadline)
                return;
            step();
        }
    }

    // All that was asked for has been answered, and nothing more is asked for.
    void settle()
    {
        say("s");
        synced_ = false;
        while (!synced_)
            take_frame();
    }

    void read_to_the_end()
    {
        const auto all = [&] {
            for (const auto &[topic, place] : current_)
                if (!spans[place].complete)
                    return false;
            return true;
        };
        while (!all())
            take_frame();
    }

  private:
    void connect()
    {
        current_.clear();
        asked_.clear();
        synced_ = true; // whoever comes anew has asked for nothing
        path_ = "/" + std::to_string(number_) + "-" + std::to_string(++connects_);
        const char *const offer = random_() % 2 ? kOffers[below(random_, kOffers.size())] : "";
        // Half of them have little room for what they do not read.
        client_.emplace(server_.port(), Client::Options{.receive_buffer = random_() % 2 ? 4096 : 0,
                                                        .extensions = offer});
        client_->handshake(path_);
        compresses_ = *offer != '\0';
    }

    void say(const std::string &text)
    {
        if (compresses_ && random_() % 2)
            client_->send_compressed(WS_OPCODE_TEXT, text);
        else
            client_->send_text(text);
    }

    void step()
    {
        const size_t what = below(random_, 100);
        const std::string &topic = kTopics[below(random_, kTopics.size())];
        if (what < 60) {
            for (size_t left = below(random_, 100); left > 0 && client_->has_input(); --left)
                take_frame();
        } else if (what < 75) {
            if (topic != "close" || below(random_, 4) == 0) // it ends the others, too
                ask_for(topic);
        } else if (what < 82) {
            give_up(topic);
        } else if (what < 98) {
            say("p" + topic + "|c" + path_.substr(1) + "|" + std::to_string(published_++));
        } else if (what < 99) {
            client_->reset();
            connect();
        } else {
            std::this_thread::yield();
        }
    }

    void ask_for(const std::string &topic)
    {
        if (asked_.contains(topic) || current_.contains(topic))
            return;
        Span span{.topic = topic, .path = path_};
        span.history = below(random_, 3) == 0 ? below(random_, 40) : 0;
        span.no_echo = topic != "skip" && below(random_, 3) == 0;
        if (topic == "keep" && !names_.empty() && below(random_, 3) == 0)
            span.after_id = names_[below(random_, names_.size())];
        span.least_end = messages_so_far(server_.context(), topic);
        say("+" + topic + " " + std::to_string(span.history) + " " + (span.no_echo ? "1 " : "0 ") +
            span.after_id);
        asked_[topic] = '+';
        current_[topic] = spans.size();
        spans.push_back(span);
    }

    // Not what may skip: onmissed need not tell of what was missed just before.
    void give_up(const std::string &topic)
    {
        if (asked_.contains(topic) || !current_.contains(topic) || topic == "skip")
            return;
        say("-" + topic);
        asked_[topic] = '-';
    }

    void take_frame()
    {
        const Frame frame = client_->receive_frame();
        if (frame.opcode == WS_OPCODE_CLOSE)
            return take_close(frame);
        if (frame.payload[0] == '!')
            return take_answer(frame.payload);
        const std::string name = name_of(frame.payload);
        const size_t padding =
            frame.payload.size() - std::min(frame.payload.size(), name.size() + 1);
        if (frame.payload != name + "|" + padding_of(name, padding))
            return world->fail(path_ + ": it came, but not as it was published: " + name);
        const auto found = current_.find(topic_of(name));
        if (found == current_.end())
            return world->fail(path_ + ": not subscribed, but it came: " + name);
        Span &span = spans[found->second];
        if (span.complete)
            world->fail(path_ + ": behind the end came " + name);
        span.got.push_back(name);
        ++world->received;
        span.complete = publisher_of(name) == "end";
        if (span.topic == "keep")
            names_.push_back(name);
    }

    void take_answer(const std::string &answer)
    {
        const std::string said = answer.substr(0, answer.size() - kAnswerPadding - 1);
        if (answer != said + " " + padding_of(said, kAnswerPadding))
            return world->fail(path_ + ": another answer: " + answer);
        if (answer[1] == 's') {
            synced_ = true;
            return;
        }
        const size_t space = answer.find(' ');
        const std::string topic = answer.substr(2, space - 2);
        const int error = std::stoi(answer.substr(space));
        Span &span = spans[current_[topic]];
        asked_.erase(topic);
        span.most_end = std::min(span.most_end, messages_so_far(server_.context(), topic));
        span.confirmed = span.confirmed || error == 0;
        if (answer[1] == '-' || error != 0)
            current_.erase(topic);
        if (error != 0 && (error != ENOENT || span.after_id.empty() || !span.got.empty()))
            world->fail(path_ + ": " + answer);
    }

    void take_close(const Frame &frame)
    {
        const bool is_behind = frame.payload.substr(0, 2) == "\x03\xf5"; // 1013
        if (!is_behind || !current_.contains("close"))
            world->fail(path_ + ": closed");
        client_->reset();
        connect();
    }

    Server &server_;
    const size_t number_;
    Random random_;
    std::optional<Client> client_;
    std::string path_;
    int connects_ = 0;
    size_t published_ = 0;
    bool synced_ = true;
    bool compresses_ = false;
    std::map<std::string, size_t> current_; // topics, and the places of their spans
    std::map<std::string, char> asked_;     // and not answered yet
    std::vector<std::string> names_;        // that came of "keep"
};

// A topic's log, and where each message is in it.
struct Order {
    std::vector<std::string> names;
    std::map<std::string, size_t> places;
    std::vector<size_t> newer; // where the next message with the same key is
};

Order order_of(const std::vector<std::string> &log)
{
    Order order{.names = log, .places = {}, .newer = std::vector<size_t>(log.size(), SIZE_MAX)};
    std::map<std::string, size_t> numbers; // the next one of each publisher
    std::map<std::string, size_t> keys;
    for (size_t i = 0; i < log.size(); ++i) {
        if (!order.places.emplace(log[i], i).second)
            world->fail("twice in the log: " + log[i]);
        size_t &least = numbers[publisher_of(log[i])];
        if (number_of(log[i]) < least)
            world->fail("not in its publisher's order: " + log[i]);
        least = number_of(log[i]) + 1;
        const auto [found, is_new] = keys.emplace(key_of(log[i]), i);
        if (!is_new)
            order.newer[std::exchange(found->second, i)] = i;
    }
    return order;
}

bool is_own(const Span &span, const std::string &name)
{
    return span.no_echo && publisher_of(name) == "c" + span.path.substr(1);
}

bool may_be_left_out(const Span &span, const Order &order, size_t at)
{
    return is_own(span, order.names[at]) || span.topic == "skip" ||
           (span.topic == "last" && order.newer[at] != SIZE_MAX);
}

void judge(const Span &span, const Order &order, std::map<std::string, unsigned long long> &gaps)
{
    const std::string who = span.path + " in " + span.topic + ": ";
    size_t next = 0; // where it goes on
    for (const std::string &name : span.got) {
        const auto found = order.places.find(name);
        if (found == order.places.end())
            return world->fail(who + "never published: " + name);
        const size_t at = found->second;
        const bool is_first = &name == &span.got.front();
        if (!is_first && at < next)
            return world->fail(who + "twice, or in another order: " + name);
        if (!is_first) {
            for (size_t i = next; i < at; ++i) {
                if (!may_be_left_out(span, order, i))
                    return world->fail(who + "a gap before " + name);
            }
            if (span.topic == "skip")
                gaps[span.path] += at - next;
        }
        // It may begin at any end that the log had while it began.
        if (is_first && span.topic == "keep") {
            const auto start = [&](size_t end) {
                if (!span.after_id.empty())
                    return order.places.at(span.after_id) + 1;
                return end - std::min(end, span.history);
            };
            if (at < start(span.least_end))
                return world->fail(who + "more than the history: " + name);
            for (size_t i = start(std::min(span.most_end, order.names.size())); i < at; ++i) {
                if (!may_be_left_out(span, order, i))
                    return world->fail(who + "less than the history: " + name);
            }
        }
        next = at + 1;
    }
}

// Those that were accepted and have not had all their events.
unsigned long long connections_left(const Server &server)
{
    const libwebsock_statistics stats = server.stats();
    unsigned long long left = stats.connections_accepted - stats.connections_refused;
    for (const unsigned long long of_code : stats.closed)
        left -= of_code;
    return left;
}

void play(unsigned seed, size_t steps)
{
    World here;
    world = &here;
    Server server({.settings = set_up, .onmessage = obey});
    std::vector<std::thread> publishers;
    for (size_t p = 0; p < kPublishers; ++p)
        publishers.emplace_back([&, p] {
            Random random(seed + 100 + static_cast<unsigned>(p));
            for (size_t i = 0; !here.stop && i < 20 * steps; ++i) {
                const std::string &topic = kTopics[below(random, kTopics.size())];
                const std::string name = topic + "|" + std::to_string(p) + "|" + std::to_string(i);
                const size_t padding = below(random, below(random, 100) == 0 ? 100'000 : 1000);
                if (const int error = publish_named(server.context(), name, padding); error != 0)
                    here.fail("could not publish: " + std::to_string(error));
                if (below(random, 8) == 0) // let clients read, now and then
                    std::this_thread::yield();
            }
        });
    std::vector<std::unique_ptr<Actor>> actors;
    std::vector<std::thread> threads;
    Barrier settled(kClients + 1);
    Barrier ended(kClients + 1);
    for (size_t i = 0; i < kClients; ++i)
        actors.push_back(std::make_unique<Actor>(server, i, seed + static_cast<unsigned>(i)));
    for (size_t i = 0; i < kClients; ++i)
        threads.emplace_back([&, i] {
            try {
                actors[i]->act(steps);
            } catch (const std::exception &error) {
                here.fail(std::string("acting: ") + error.what());
            }
            try {
                actors[i]->settle();
            } catch (const std::exception &error) {
                here.fail(std::string("settling: ") + error.what());
            }
            settled.arrive_and_wait();
            ended.arrive_and_wait();
            try {
                actors[i]->read_to_the_end();
            } catch (const std::exception &error) {
                here.fail(std::string("reading to the end: ") + error.what());
            }
        });
    CHECK(settled.arrive_and_wait());
    here.stop = true;
    for (std::thread &publisher : publishers)
        publisher.join();
    // What those that were reset have sent may still be running, and publishes.
    CHECK(eventually([&] { return connections_left(server) == kClients; }));
    for (const std::string &topic : kTopics)
        CHECK(publish_named(server.context(), topic + kEnd, 0) == 0);
    CHECK(ended.arrive_and_wait());
    for (std::thread &thread : threads)
        thread.join();
    const unsigned long long publications = server.stats().publications;
    CHECK(eventually([&] {
        const std::lock_guard lock(here.mutex);
        size_t told = 0;
        for (const auto &[topic, log] : here.logs)
            told += log.size();
        return told == publications;
    }));

    std::map<std::string, unsigned long long> gaps;
    std::map<std::string, Order> orders;
    for (const std::string &topic : kTopics)
        orders[topic] = order_of(here.logs[topic]);
    size_t received = 0;
    size_t completed = 0;
    for (const std::unique_ptr<Actor> &actor : actors) {
        for (const Span &span : actor->spans) {
            judge(span, orders[span.topic], gaps);
            received += span.got.size();
            completed += span.complete;
            if (!span.complete || span.topic != "skip")
                continue;
            CHECK(eventually([&] {
                const std::lock_guard lock(here.mutex);
                return here.told[span.path] >= gaps[span.path];
            }));
            const std::lock_guard lock(here.mutex);
            // What was missed before the first message that came is not seen as a gap.
            if (here.told[span.path] < gaps[span.path])
                here.errors.push_back(span.path + ": onmissed has told of too few");
        }
    }
    CAPTURE(seed);
    for (const std::string &error : here.errors)
        FAIL_CHECK(error);
    CHECK(received > steps);
    MESSAGE(received, " received, ", completed, " complete, ", publications, " published, ",
            server.stats().missed, " missed, ", server.stats().replaced, " replaced, ",
            server.stats().closed_behind, " closed");
    actors.clear(); // so that their connections end before the server does
}

} // namespace

TEST_CASE("topics keep their promises, whatever clients and publishers do")
{
    const char *const wish = std::getenv("TEST_TOPIC_MODEL");
    const unsigned seed = wish ? static_cast<unsigned>(std::strtoul(wish, nullptr, 10)) : 1;
    const size_t rounds = wish ? 100 : scaled(3, 1);
    for (unsigned round = 0; round < rounds; ++round)
        play(seed * 1000 + round * 10, 6000);
}
