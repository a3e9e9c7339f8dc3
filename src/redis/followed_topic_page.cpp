// followed_topic_page.cpp: the answer of a fetch is read, and handed over.
#include "redis/followed_topic.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace websock::redis {

namespace {

constexpr int kRefusedMs = 5000;
constexpr size_t kMostPastEpochs = 16;

std::string_view text_of(const redisReply *reply)
{
    const bool is_text = reply && reply->type == REDIS_REPLY_STRING;
    return is_text ? std::string_view(reply->str, reply->len) : std::string_view();
}

bool read_number(const redisReply *reply, uint64_t &number)
{
    const std::optional<uint64_t> read = read_decimal(text_of(reply));
    number = read.value_or(0);
    return read.has_value();
}

} // namespace

struct FollowedTopic::Page {
    uint64_t epoch = 0;
    uint64_t end = 0;     // the newest offset there is
    uint64_t trimmed = 0; // the highest offset that has left because of the limits
    bool more = false;    // behind the entries
    struct Entry {
        uint64_t offset;
        std::string_view packed;
    };
    std::vector<Entry> entries;
};

bool FollowedTopic::read_page(const redisReply *reply, Page &page)
{
    constexpr size_t kHead = 4;
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements < kHead ||
        reply->elements % 2 != 0)
        return false;
    redisReply *const *const element = reply->element;
    const std::optional<uint64_t> epoch = read_epoch(text_of(element[0]));
    if (!epoch || !read_number(element[1], page.end) || !read_number(element[2], page.trimmed))
        return false;
    page.epoch = *epoch;
    page.more = element[3]->type == REDIS_REPLY_INTEGER && element[3]->integer == 1;
    for (size_t i = kHead; i < reply->elements; i += 2) {
        const std::optional<uint64_t> offset = read_entry_id(text_of(element[i]));
        if (!offset)
            return false;
        page.entries.push_back({*offset, text_of(element[i + 1])});
    }
    return true;
}

void FollowedTopic::answered(TopicHost &host, const redisReply *reply)
{
    const bool only_refreshed = !std::exchange(fetching_, false);
    refreshing_ = false;
    fail(kRefusedMs); // unless all of this succeeds
    Page page;
    if (!read_page(reply, page)) {
        if (reply)
            host.ignore(name_);
        return;
    }
    failed_ = false;
    refresh_later();
    if (only_refreshed) {
        if (page.epoch != epoch_ || std::exchange(again_, false))
            fetch(host);
        return;
    }
    const bool was_loaded = loaded_;
    const uint64_t before = delivered_;
    const bool complete = hand_over(host, page);
    if (was_loaded && delivered_ != before)
        host.counters().gaps_filled.fetch_add(1, std::memory_order_relaxed);
    if (gone_ || failed_)
        return;
    if (!complete || page.more || std::exchange(again_, false))
        return fetch(host);
    replay(host);
}

// Of two messages with one offset the second counts: see script.cpp.
bool FollowedTopic::is_replaced(const Page &page, size_t i)
{
    return i + 1 < page.entries.size() && page.entries[i + 1].offset == page.entries[i].offset;
}

// True: the page has been handed over to its end.
bool FollowedTopic::hand_over(TopicHost &host, const Page &page)
{
    const bool is_new_epoch = page.epoch != epoch_;
    if (is_new_epoch)
        begin_epoch(host, page.epoch);
    if (page.trimmed > last_ && loaded_ && !skip_to(host, page.trimmed))
        return false;
    for (size_t i = 0; i < page.entries.size(); ++i) {
        const Page::Entry &entry = page.entries[i];
        if (entry.offset > last_ && !is_replaced(page, i) &&
            !hand_over_entry(host, entry.offset, entry.packed))
            return false;
    }
    if (page.more)
        return true;
    const bool catches_up = wants_end_ && !again_;
    const bool ends = !loaded_ || is_new_epoch || catches_up || page.end > last_;
    if (ends && !skip_to(host, std::max(page.end, last_)))
        return false;
    loaded_ = true;
    wants_end_ = wants_end_ && !catches_up;
    return true;
}

// The log was lost, or is read for the first time.
void FollowedTopic::begin_epoch(TopicHost &host, uint64_t epoch)
{
    if (epoch_ != 0) {
        const std::string ended = epoch_text(epoch_);
        past_ += ended;
        if (past_.size() > kMostPastEpochs * ended.size())
            past_.erase(0, ended.size());
        host.counters().lost_logs.fetch_add(1, std::memory_order_relaxed);
    }
    epoch_ = epoch;
    last_ = 0;
    has_origin_ = false;
}

bool FollowedTopic::hand_over_entry(TopicHost &host, uint64_t offset, std::string_view packed)
{
    // Between the two, all were replaced by their keys. But "0" is no message that one could
    // follow.
    if (loaded_ && last_ == 0 && offset > 1 && !skip_to(host, offset - 1))
        return false;
    const uint64_t follows = offset == last_ + 1 ? 0 : last_;
    switch (hand_over(host, offset, follows, packed)) {
    case Outcome::done:
        return true;
    case Outcome::failed:
        return false;
    case Outcome::foreign:
        break;
    }
    return !loaded_ || skip_to(host, offset);
}

} // namespace websock::redis
