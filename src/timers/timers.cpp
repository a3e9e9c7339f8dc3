// timers.cpp: see timers.h.
#include "timers/timers.h"

#include <cerrno>
#include <memory>
#include <new>
#include <utility>

namespace websock {

namespace {

constexpr std::chrono::milliseconds kRetry{10}; // of an owner that could not take a call

} // namespace

Timers::Timer::Timer(Timers &of, const Spec &spec, ProgramFunction &program_function)
    : timers(of), owner(spec.owner), every(spec.every_ms), function(std::move(program_function)),
      due(in_ms(spec.first_ms))
{
}

Timers::Remains::~Remains()
{
    while (Timer *const timer = timers.front()) {
        timers.erase(*timer);
        delete timer;
    }
}

Timers::~Timers() { stop(); }

int Timers::start()
{
    {
        Lock lock(mutex_);
        stopped_ = false; // an earlier start may have failed
    }
    const auto entry = [](void *self) { static_cast<Timers *>(self)->serve(); };
    const int error = thread_.start({.name = "ws-timers"}, entry, this);
    started_ = error == 0;
    return error;
}

void Timers::stop()
{
    Remains remains;
    Lock lock(mutex_);
    stopped_ = true;
    wake_.signal();
    if (std::exchange(started_, false)) {
        lock.unlock();
        thread_.join();
        lock.lock();
    }
    while (Timer *const timer = program_timers_.front())
        end(*timer, remains);
}

int Timers::add(const Spec &spec, ProgramFunction &function, uint64_t &number)
{
    std::unique_ptr<Timer> timer(new (std::nothrow) Timer(*this, spec, function));
    if (!timer)
        return ENOMEM;
    int error = 0;
    try {
        Lock lock(mutex_);
        if (stopped_)
            error = ESHUTDOWN;
        else if (spec.owner && spec.owner->is_over_)
            error = ENOTCONN;
        if (error == 0) {
            number = give_number(*timer);
            wait_for(*timer.release());
        }
    } catch (const std::bad_alloc &) {
        error = ENOMEM;
    }
    if (error != 0)
        timer->function.disown();
    return error;
}

int Timers::cancel(uint64_t number)
{
    Remains remains;
    Lock lock(mutex_);
    Timer *const timer = find(number);
    if (!timer)
        return ENOENT;
    end(*timer, remains);
    return 0;
}

void Timers::forget(Owner &owner)
{
    Remains remains;
    Lock lock(mutex_);
    owner.is_over_ = true;
    while (Timer *const timer = owner.timers_.front())
        end(*timer, remains);
}

bool Timers::forget_if_none(Owner &owner)
{
    Lock lock(mutex_);
    if (!owner.timers_.empty())
        return false;
    owner.is_over_ = true;
    return true;
}

// From here on it can be found, and is in its owner's list. Throws std::bad_alloc, and nothing has
// happened.
uint64_t Timers::give_number(Timer &timer)
{
    const size_t in_use = slots_.size() - free_slots_.size();
    heap_.reserve(in_use + 1);
    if (free_slots_.empty()) {
        if (slots_.size() == slots_.capacity())
            slots_.reserve(2 * slots_.capacity() + 1);
        free_slots_.reserve(slots_.capacity());
        slots_.emplace_back();
        free_slots_.push_back(static_cast<uint32_t>(slots_.size() - 1));
    }
    timer.slot = free_slots_.back();
    free_slots_.pop_back();
    Slot &slot = slots_[timer.slot];
    slot.timer = &timer;
    list_of(timer).push_back(timer);
    return (uint64_t{slot.generation} << 32) | timer.slot;
}

Timers::Timer *Timers::find(uint64_t number)
{
    const size_t slot = number & UINT32_MAX;
    const bool is_one = slot < slots_.size() && slots_[slot].generation == number >> 32;
    return is_one ? slots_[slot].timer : nullptr;
}

// Its number means nothing from here on. It was in its owner's list.
void Timers::end(Timer &timer)
{
    Slot &slot = slots_[timer.slot];
    slot.timer = nullptr;
    slot.generation = slot.generation == UINT32_MAX ? 1 : slot.generation + 1;
    free_slots_.push_back(timer.slot);
    list_of(timer).erase(timer);
    timer.is_over = true;
}

// The same; whoever runs it, or is about to, deletes it, or else it remains.
void Timers::end(Timer &timer, Remains &remains)
{
    end(timer);
    if (timer.is_handed_over && !withdraw(timer))
        return;
    take_from_heap(timer);
    remains.timers.push_back(timer);
}

bool Timers::withdraw(Timer &timer)
{
    return timer.owner ? timer.owner->withdraw(timer) : program_calls_.withdraw(timer);
}

void Timers::wait_for(Timer &timer)
{
    push(timer, timer.due);
    if (timer.due < wakes_at_)
        wake_.signal();
}

void Timers::push(Timer &timer, TimePoint due)
{
    heap_.push(timer, due);
    timer.is_in_heap = true;
}

void Timers::take_from_heap(Timer &timer)
{
    if (std::exchange(timer.is_in_heap, false))
        heap_.remove(timer);
}

void Timers::serve()
{
    Lock lock(mutex_);
    while (!stopped_) {
        const TimePoint due = heap_.front_due();
        if (due <= Clock::now()) {
            hand_over_first();
            continue;
        }
        wakes_at_ = due;
        wake_.wait_until(mutex_, due);
        wakes_at_ = TimePoint::min(); // it is awake, and will look
    }
}

// Lets go of the lock meanwhile.
void Timers::hand_over_first()
{
    Timer &timer = *static_cast<Timer *>(heap_.front());
    take_from_heap(timer);
    timer.is_handed_over = true;
    Owner *const owner = timer.owner;
    if (owner)
        owner->retain();
    mutex_.unlock();
    auto took = Owner::Took::yes;
    if (owner) {
        took = owner->take(timer);
        owner->release();
    } else {
        program_calls_.post(timer);
    }
    mutex_.lock();
    if (took == Owner::Took::yes)
        return;
    if (timer.is_over) { // by now; a worker is to free it
        program_calls_.post(timer);
        return;
    }
    timer.is_handed_over = false;
    if (took == Owner::Took::not_yet)
        push(timer, Clock::now() + kRetry);
}

void Timers::run(Timer &timer, libwebsock_client_state *client)
{
    struct Turn {
        ~Turn() { timer.timers.end_turn(timer); }
        Timer &timer;
    };
    const Turn turn{timer};
    if (begin_turn(timer))
        timer.function(client);
}

// False: it was cancelled.
bool Timers::begin_turn(Timer &timer)
{
    Lock lock(mutex_);
    if (timer.is_over)
        return false;
    if (timer.every.count() == 0)
        end(timer);
    return true;
}

void Timers::end_turn(Timer &timer) noexcept
{
    Lock lock(mutex_);
    timer.is_handed_over = false;
    if (!timer.is_over && timer.every.count() == 0) // its only turn was dropped
        end(timer);
    if (timer.is_over) {
        lock.unlock();
        delete &timer;
        return;
    }
    // Turns that were missed are left out, and the rest stay where they would have been.
    const TimePoint now = Clock::now();
    timer.due += timer.every;
    if (timer.due <= now)
        timer.due += ((now - timer.due) / timer.every + 1) * timer.every;
    wait_for(timer);
}

} // namespace websock
