// lane_test.cpp: a lane's queue and its workers, without threads. Who is woken when is in
// dispatcher_test.cpp.
#include "dispatch/lane.h"

#include "dispatch/dispatcher.h"

#include <doctest/doctest.h>

#include <memory>

using namespace websock;

namespace {

class Nothing final : public Runnable
{
  public:
    void run(Progress &, std::vector<uint8_t> &) noexcept override {}
    void retain() noexcept override {}
    void release() noexcept override {}
    const char *name() const noexcept override { return "nothing"; }
};

// Two lanes with workers that have no threads.
struct Lanes {
    Dispatcher dispatcher;
    std::atomic<Clock::rep> now{1};
    std::atomic<size_t> idle{0};
    Lane lane{0, idle};
    Lane other{1, idle};

    Worker &add()
    {
        Lock lock(lane.mutex);
        lane.add(std::make_unique<Worker>(dispatcher, lane, now));
        return lane.worker(lane.active() - 1);
    }
};

} // namespace

TEST_SUITE_BEGIN("no transport");

TEST_CASE_FIXTURE(Lanes, "a lane says since when its first runnable has been waiting")
{
    Nothing a, b;
    Lock lock(lane.mutex);
    CHECK(lane.waiting_since() == Lane::kNothing);
    lane.push(a, 7);
    lane.push(b, 9);
    CHECK(lane.waiting_since() == 7);
    CHECK(lane.runs_queued() == 2);
    CHECK(lane.pop(lane) == &a);
    CHECK(lane.waiting_since() == 9);
    CHECK(lane.pop(lane) == &b);
    CHECK(lane.waiting_since() == Lane::kNothing);
    CHECK(lane.pop(lane) == nullptr);
    CHECK(lane.runs_queued() == 0);
}

TEST_CASE_FIXTURE(Lanes, "a runnable settles once, and moves to the lane that takes it")
{
    Nothing a;
    CHECK(Lane::home_of(a) == nullptr);
    Lane::settle(a, lane);
    Lane::settle(a, other);
    CHECK(Lane::home_of(a) == &lane);
    Lock lock(lane.mutex);
    lane.push(a, 1);
    CHECK(lane.pop(other) == &a);
    CHECK(Lane::home_of(a) == &other);
}

TEST_CASE_FIXTURE(Lanes, "a runnable that still waits in a lane does not move")
{
    Nothing a;
    Lane::settle(a, lane);
    Lock lock(lane.mutex);
    lane.push(a, 1);
    lane.push(a, 1);
    CHECK(lane.pop(other) == &a);
    CHECK(Lane::home_of(a) == &lane);
    CHECK(lane.pop(other) == &a);
    CHECK(Lane::home_of(a) == &other);
}

TEST_CASE_FIXTURE(Lanes, "a lane is idle while a worker is parked and one more may be awake")
{
    Worker &first = add();
    CHECK_FALSE(lane.is_idle());
    Worker &second = add();
    Lock lock(lane.mutex);
    lane.park(first);
    CHECK_FALSE(lane.is_idle()); // one is awake, which is enough
    lane.park(second);
    CHECK(lane.is_idle());
    CHECK(idle == 1);
    CHECK(lane.wake_one(&other) == &second); // the last to park
    CHECK(second.woken);
    CHECK(second.to_help == &other);
    CHECK_FALSE(lane.is_idle());
    CHECK(idle == 0);
    lane.note_stuck(1); // that one sleeps in a callback
    CHECK(lane.is_idle());
    CHECK(lane.wake_one(nullptr) == &first);
    CHECK(lane.wake_one(nullptr) == nullptr);
    CHECK_FALSE(lane.is_idle());
    CHECK(idle == 0);
}

TEST_CASE_FIXTURE(Lanes, "how many may be awake rises at once, and sinks slowly")
{
    for (int i = 0; i < 20; ++i)
        (void)add();
    Lock lock(lane.mutex);
    lane.note_stuck(19);
    CHECK_FALSE(lane.wants_one_awake()); // twenty are
    lane.park(lane.worker(0));
    CHECK(lane.wants_one_awake());
    lane.note_stuck(0);
    CHECK_FALSE(lane.wants_one_awake()); // eighteen are enough by now
    lane.park(lane.worker(0));
    CHECK_FALSE(lane.wants_one_awake());
    lane.park(lane.worker(0));
    CHECK(lane.wants_one_awake());
}

TEST_CASE_FIXTURE(Lanes, "a worker's run is on time until it is told to be late")
{
    Nothing a, b;
    Worker &first = add();
    Worker &second = add();
    Lock lock(lane.mutex);
    lane.begin_run(first, a, 3);
    lane.begin_run(second, b, 4);
    CHECK(lane.oldest_on_time() == &first);
    lane.leave_on_time(first);
    CHECK(lane.oldest_on_time() == &second);
    CHECK(lane.late_runs() == 1);
    lane.end_run(first);
    lane.end_run(second);
    CHECK(lane.late_runs() == 0);
    CHECK(lane.oldest_on_time() == nullptr);
    CHECK(first.run_number != second.run_number);
}

TEST_CASE_FIXTURE(Lanes, "a worker that is removed leaves the others in their places")
{
    Worker &first = add();
    Worker &second = add();
    Worker &third = add();
    Lock lock(lane.mutex);
    lane.park(third);
    const std::unique_ptr<Worker> removed = lane.remove(first);
    CHECK(removed.get() == &first);
    CHECK(lane.workers() == 2);
    CHECK(lane.active() == 1);
    CHECK(&lane.worker(0) == &second);
    CHECK(lane.wake_one(nullptr) == &third);
}

TEST_SUITE_END();
