// runnable.cpp: the two lists of runnable.h.
#include "dispatch/runnable.h"

namespace websock {

void RunQueue::push(Runnable &runnable, uint64_t look)
{
    if (runnable.runs_queued_++ > 0)
        return;
    runnable.queued_at_look_ = look;
    append(runnable);
}

Runnable *RunQueue::pop()
{
    Runnable *const runnable = first_;
    if (!runnable)
        return nullptr;
    first_ = runnable->next_queued_;
    if (!first_)
        last_ = nullptr;
    if (--runnable->runs_queued_ > 0)
        append(*runnable);
    return runnable;
}

void RunQueue::append(Runnable &runnable)
{
    runnable.next_queued_ = nullptr;
    (last_ ? last_->next_queued_ : first_) = &runnable;
    last_ = &runnable;
}

bool ExpiryList::add(Runnable &runnable, TimePoint when)
{
    if (runnable.expires_at_ != kNever)
        return false;
    runnable.expires_at_ = when;
    // From the end, since later calls mostly have later times.
    Runnable *before = last_;
    while (before && before->expires_at_ > when)
        before = before->previous_expiring_;
    runnable.previous_expiring_ = before;
    runnable.next_expiring_ = before ? before->next_expiring_ : first_;
    (before ? before->next_expiring_ : first_) = &runnable;
    (runnable.next_expiring_ ? runnable.next_expiring_->previous_expiring_ : last_) = &runnable;
    return true;
}

bool ExpiryList::remove(Runnable &runnable)
{
    if (runnable.expires_at_ == kNever)
        return false;
    Runnable *const before = runnable.previous_expiring_;
    Runnable *const after = runnable.next_expiring_;
    (before ? before->next_expiring_ : first_) = after;
    (after ? after->previous_expiring_ : last_) = before;
    runnable.previous_expiring_ = runnable.next_expiring_ = nullptr;
    runnable.expires_at_ = kNever;
    return true;
}

} // namespace websock
