// until.h: waits for a condition that another thread or process brings about.
#pragma once

#include <chrono>
#include <thread>

namespace test {

// False: it has not come true in time, which is generous.
template<class Condition> bool until(Condition condition)
{
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() >= deadline)
            return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

} // namespace test
