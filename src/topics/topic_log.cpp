// topic_log.cpp: see topic_log.h.
#include "topics/topic_log.h"

#include <algorithm>
#include <new>
#include <utility>

namespace websock {

namespace {

constexpr size_t kIndexCost = 56; // about, of an entry in one of the indexes
constexpr size_t kMostGaps = 16;  // beside as many as there are messages

} // namespace

size_t TopicLog::cost(const Message &message)
{
    const size_t indexes = (message.id().empty() ? 0u : 1u) + (message.key().empty() ? 0u : 1u);
    return message.cost() + sizeof(Entry) + indexes * kIndexCost;
}

// Makes room for a name. Whether it was not there. Throws std::bad_alloc.
bool TopicLog::insert(Index &index, std::string_view name)
{
    return !name.empty() && index.try_emplace(name, 0).second;
}

// Has a name that is there point to offset, and be the view that is given: the one it had is
// into a message that may leave. Where it pointed, if it did.
std::optional<uint64_t> TopicLog::point(Index &index, std::string_view name,
                                        uint64_t offset) noexcept
{
    if (name.empty())
        return {};
    auto node = index.extract(name);
    const uint64_t before = std::exchange(node.mapped(), offset);
    node.key() = name;
    index.insert(std::move(node));
    return before == 0 ? std::nullopt : std::optional(before);
}

void TopicLog::forget(Index &index, std::string_view name, uint64_t offset) noexcept
{
    if (name.empty())
        return;
    const auto found = index.find(name);
    if (found != index.end() && found->second == offset)
        index.erase(found);
}

bool TopicLog::append(Ref<Message> message, const Limits &limits, int64_t now_ms)
{
    // What can fail comes first, and is undone if the next step does.
    const Message &added = *message;
    entries_.push_back({end_, now_ms, std::move(message)});
    bool new_id = false;
    try {
        new_id = insert(by_id_, added.id());
        insert(by_key_, added.key());
    } catch (const std::bad_alloc &) {
        if (new_id)
            by_id_.erase(added.id());
        entries_.pop_back();
        throw;
    }
    const uint64_t offset = end_++;
    ++messages_;
    bytes_ += cost(added);
    (void)point(by_id_, added.id(), offset);
    const std::optional<uint64_t> replaced = point(by_key_, added.key(), offset);
    if (replaced)
        replace(*replaced);
    while (messages_ > 1 && (messages_ > limits.messages || bytes_ > limits.bytes))
        evict_oldest();
    expire(limits, now_ms);
    return replaced.has_value();
}

void TopicLog::expire(const Limits &limits, int64_t now_ms) noexcept
{
    while (limits.age_ms > 0 && !empty() && now_ms - entries_.front().published_ms > limits.age_ms)
        evict_oldest();
}

void TopicLog::evict_oldest() noexcept
{
    if (empty())
        return;
    note_missing({entries_.front().offset, entries_.front().offset});
    take_out(entries_.front());
    drop_gaps();
}

void TopicLog::replace(uint64_t offset) noexcept
{
    take_out(entries_[position(offset)]);
    drop_gaps();
}

void TopicLog::take_out(Entry &entry) noexcept
{
    const Ref<Message> message = std::move(entry.message);
    --messages_;
    bytes_ -= cost(*message);
    forget(by_id_, message->id(), entry.offset);
    forget(by_key_, message->key(), entry.offset);
}

void TopicLog::drop_gaps() noexcept
{
    while (!entries_.empty() && !entries_.front().message)
        entries_.pop_front();
    // Now and then, so that each message pays for its own gap.
    if (entries_.size() > 2 * messages_ + kMostGaps)
        std::erase_if(entries_, [](const Entry &entry) { return !entry.message; });
}

void TopicLog::lose(uint64_t count) noexcept
{
    if (count == 0)
        return;
    note_missing({end_, end_ + count - 1});
    end_ += count;
}

// What is evicted may come before what was never here.
void TopicLog::note_missing(Run run) noexcept
{
    const auto end = runs_.begin() + static_cast<ptrdiff_t>(run_count_);
    const auto at =
        std::find_if(runs_.begin(), end, [&](const Run &other) { return other.first > run.first; });
    if (at != runs_.begin() && at[-1].last + 1 >= run.first) {
        at[-1].last = std::max(at[-1].last, run.last);
        return;
    }
    if (at != end && run.last + 1 == at->first) {
        at->first = run.first;
        return;
    }
    if (run_count_ < kMostRuns) {
        std::move_backward(at, end, end + 1);
        *at = run;
        ++run_count_;
        return;
    }
    // The two oldest become one, with the gap between them.
    const auto second = runs_.begin() + 1;
    if (at <= second) {
        runs_.front() = {std::min(runs_.front().first, run.first),
                         std::max(runs_.front().last, run.last)};
        return;
    }
    second->first = runs_.front().first;
    std::move(second, at, runs_.begin());
    at[-1] = run;
}

uint64_t TopicLog::missed(uint64_t cursor) const
{
    uint64_t until = end_;
    for (size_t i = position(cursor); i < entries_.size(); ++i) {
        if (entries_[i].message) {
            until = entries_[i].offset;
            break;
        }
    }
    uint64_t count = 0;
    for (const Run &run : std::span(runs_).first(run_count_)) {
        const uint64_t first = std::max(run.first, cursor);
        const uint64_t last = std::min(run.last + 1, until);
        count += last > first ? last - first : 0;
    }
    return count;
}

// Between these two offsets. A run may have messages in it: it may have been two.
bool TopicLog::is_any_missing(uint64_t from, uint64_t to) const
{
    for (size_t i = run_count_; i > 0 && runs_[i - 1].last > from; --i) {
        if (std::max(runs_[i - 1].first, from + 1) < to)
            return true;
    }
    return false;
}

// Of the first entry at or behind an offset.
size_t TopicLog::position(uint64_t offset) const
{
    if (entries_.empty() || offset < entries_.front().offset)
        return 0;
    const uint64_t without_gaps = offset - entries_.front().offset;
    if (without_gaps < entries_.size() && entries_[without_gaps].offset == offset)
        return without_gaps;
    const auto found =
        std::lower_bound(entries_.begin(), entries_.end(), offset,
                         [](const Entry &entry, uint64_t at) { return entry.offset < at; });
    return static_cast<size_t>(found - entries_.begin());
}

uint64_t TopicLog::before_last(size_t count) const
{
    uint64_t cursor = end_;
    for (size_t i = entries_.size(); i > 0 && count > 0; --i) {
        const Entry &entry = entries_[i - 1];
        if (!entry.message)
            continue;
        if (is_any_missing(entry.offset, cursor))
            break;
        cursor = entry.offset;
        --count;
    }
    return cursor;
}

std::optional<uint64_t> TopicLog::behind(std::string_view id) const
{
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || is_any_missing(found->second, end_))
        return {};
    return found->second + 1;
}

} // namespace websock
