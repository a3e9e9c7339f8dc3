// topic_log.cpp: fuzz target: a topic's log against a list that keeps every message there ever was
// and looks through all of it.
//
// Input: the limits, then steps: what is done, and a byte or two that say with what.
#include "target.h"

#include "topics/topic_log.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

using namespace websock;
using namespace fuzz;

namespace {

enum class Fate : uint8_t { here, replaced, left };

struct Kept {
    std::string text;
    std::string id;
    std::string key;
    int64_t since = 0;
    size_t cost = 0;
    Fate fate = Fate::here;
};

// The offset of a message is its place in all, and one.
struct Model {
    std::vector<Kept> all;

    size_t messages() const
    {
        return static_cast<size_t>(std::count_if(
            all.begin(), all.end(), [](const Kept &kept) { return kept.fate == Fate::here; }));
    }
    size_t bytes() const
    {
        size_t sum = 0;
        for (const Kept &kept : all)
            sum += kept.fate == Fate::here ? kept.cost : 0;
        return sum;
    }
    Kept *oldest()
    {
        for (Kept &kept : all) {
            if (kept.fate == Fate::here)
                return &kept;
        }
        return nullptr;
    }
    void evict_oldest()
    {
        if (Kept *const kept = oldest())
            kept->fate = Fate::left;
    }
    void expire(const TopicLog::Limits &limits, int64_t now)
    {
        while (limits.age_ms > 0 && oldest() && now - oldest()->since > limits.age_ms)
            evict_oldest();
    }
    // Whether another one was replaced.
    bool append(Kept added, const TopicLog::Limits &limits, int64_t now)
    {
        bool replaced = false;
        for (Kept &kept : all) {
            if (kept.fate == Fate::here && !added.key.empty() && kept.key == added.key) {
                kept.fate = Fate::replaced;
                replaced = true;
            }
        }
        all.push_back(std::move(added));
        while (messages() > 1 && (messages() > limits.messages || bytes() > limits.bytes))
            evict_oldest();
        expire(limits, now);
        return replaced;
    }
    uint64_t before_last(size_t count) const
    {
        uint64_t cursor = all.size() + 1;
        for (size_t i = all.size(); i > 0 && count > 0; --i) {
            if (all[i - 1].fate != Fate::here)
                continue;
            cursor = i;
            --count;
        }
        return cursor;
    }
    std::optional<uint64_t> behind(const std::string &id) const
    {
        for (size_t i = all.size(); i > 0; --i) {
            if (all[i - 1].id == id)
                return all[i - 1].fate == Fate::here ? std::optional<uint64_t>(i + 1)
                                                     : std::nullopt;
        }
        return {};
    }
};

std::string text_of(const Message &message) { return fuzz::text_of(Bytes(message.payload())); }

void check_reading(const TopicLog &log, const Model &model, uint64_t cursor, size_t most)
{
    struct Item {
        uint64_t offset;
        Ref<Message> message;
    };
    std::vector<Item> items;
    log.read(cursor, [&](uint64_t offset, const Ref<Message> &message) {
        items.push_back({offset, message});
        return items.size() < most;
    });
    const size_t count = items.size();
    size_t found = 0;
    for (uint64_t at = cursor; at <= model.all.size() && found < most; ++at) {
        const Kept &kept = model.all[at - 1];
        if (kept.fate != Fate::here)
            continue;
        require(found < count, "a message is missing");
        require(items[found].offset == at, "a message has another offset");
        require(text_of(*items[found].message) == kept.text, "a message has another text");
        require(items[found].message->id() == kept.id, "a message has another id");
        ++found;
    }
    require(found == count, "a message comes that should not");
}

// All that left without a newer one counts; of the replaced, at most those between.
void check_missed(const TopicLog &log, const Model &model, uint64_t cursor)
{
    uint64_t left = 0;
    uint64_t last = 0;
    for (uint64_t at = cursor; at <= model.all.size(); ++at) {
        if (model.all[at - 1].fate == Fate::left) {
            ++left;
            last = at;
        }
    }
    const uint64_t missed = log.missed(cursor);
    require(missed >= left, "fewer are missed than have left");
    require((missed == 0) == (left == 0), "some are missed where none has left");
    require(left == 0 || missed <= last + 1 - cursor, "more are missed than there were");
}

void check(const TopicLog &log, const Model &model, uint64_t cursor, size_t count)
{
    require(log.end() == model.all.size() + 1, "the end is elsewhere");
    require(log.messages() == model.messages(), "another number of messages");
    require(log.empty() == (model.messages() == 0), "it is empty, or not");
    require(log.bytes() == model.bytes(), "another number of bytes");
    require(log.before_last(count) == model.before_last(count), "the last begin elsewhere");
    check_reading(log, model, cursor, count % 8 + 1);
    check_missed(log, model, cursor);
    const std::string id = std::to_string(count % 5);
    // Of several with one id the newest counts, but a log forgets one that has gone.
    require(log.behind(id) == model.behind(id), "behind an id is elsewhere");
}

} // namespace

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input(data, size);
    const TopicLog::Limits limits{.messages = size_t{1} + input.byte() % 32,
                                  .bytes = size_t{200} + 50 * size_t{input.byte()},
                                  .age_ms = input.byte() % 16};
    TopicLog log;
    Model model;
    int64_t now = 0;
    while (!input.rest().empty()) {
        const uint8_t step = input.byte();
        const uint8_t with = input.byte();
        switch (step % 8) {
        case 0:
            now += with % 8;
            log.expire(limits, now);
            model.expire(limits, now);
            break;
        case 1:
            log.evict_oldest();
            model.evict_oldest();
            break;
        default: {
            Kept added{.text = std::string(with, 't') + std::to_string(model.all.size()),
                       .id = step & 0x10 ? std::to_string(with % 5) : "",
                       .key = step & 0x20 ? std::to_string(with / 5 % 5) : "",
                       .since = now};
            const Ref<Message> message =
                Message::make({Opcode::text, bytes_of(added.text), added.id, added.key, 0});
            TopicLog alone;
            (void)alone.append(message, {.messages = 1, .bytes = 0, .age_ms = 0}, 0);
            added.cost = alone.bytes();
            const bool replaced = log.append(message, limits, now);
            require(replaced == model.append(added, limits, now), "one was replaced, or not");
            break;
        }
        }
        check(log, model, 1 + with % log.end(), step / 8u + with);
    }
    return 0;
}
