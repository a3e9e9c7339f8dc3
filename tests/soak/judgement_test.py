#!/usr/bin/python3 -B
# What the soak counts as growth, and what not, tried on made-up series.

import random
import unittest

from judgement import MIN_SAMPLES, growth, leftovers, quarters, trend

MINUTES_30 = 1800  # samples


def noisy(level, spread, count=MINUTES_30):
    dice = random.Random(6455)
    return [level + dice.uniform(-spread, spread) for _ in range(count)]


def rising(level, to, count=MINUTES_30):
    return [level + (to - level) * i / count for i in range(count)]


class GrowthTest(unittest.TestCase):
    def assert_grows(self, kind, series):
        self.assertTrue(trend(kind, series).grows)

    def assert_stays(self, kind, series):
        self.assertFalse(trend(kind, series).grows)

    def test_what_is_flat_does_not_grow(self):
        self.assert_stays("memory", [40000] * MINUTES_30)
        self.assert_stays("descriptors", [60] * MINUTES_30)
        self.assert_stays("threads", [70] * MINUTES_30)

    def test_noise_around_a_level_is_no_growth(self):
        self.assert_stays("memory", noisy(40000, 15000))
        self.assert_stays("descriptors", noisy(60, 20))
        self.assert_stays("threads", noisy(70, 25))

    def test_what_falls_does_not_grow(self):
        self.assert_stays("memory", rising(60000, to=40000))

    def test_filling_up_in_the_first_quarter_is_no_growth(self):
        quarter = MINUTES_30 // 4
        self.assert_stays("memory", rising(5000, 40000, quarter) + [40000] * 3 * quarter)

    def test_a_few_peaks_late_in_the_run_are_no_growth(self):
        series = [40000] * MINUTES_30
        for i in range(MINUTES_30 - 200, MINUTES_30):
            series[i] = 90000
        self.assert_stays("memory", series)

    def test_a_steady_leak_grows(self):
        self.assert_grows("memory", rising(40000, to=50000))
        self.assert_grows("descriptors", rising(60, to=90))
        self.assert_grows("threads", rising(70, to=170))

    def test_a_leak_below_noise_of_its_own_size_grows(self):
        leak = rising(0, to=8000)
        self.assert_grows("memory", [a + b for a, b in zip(noisy(40000, 8000), leak)])

    def test_a_step_after_the_second_quarter_grows(self):
        half = MINUTES_30 // 2
        self.assert_grows("memory", [40000] * half + [44000] * half)

    def test_a_step_within_the_tolerance_does_not_grow(self):
        half = MINUTES_30 // 2
        self.assert_stays("memory", [40000] * half + [42512] * half)
        self.assert_grows("memory", [40000] * half + [42513] * half)
        self.assert_stays("descriptors", [60] * half + [67] * half)
        self.assert_grows("descriptors", [60] * half + [68] * half)

    def test_a_run_that_is_too_short_to_judge_is_an_error(self):
        with self.assertRaises(ValueError):
            trend("memory", [1] * (MIN_SAMPLES - 1))
        self.assert_stays("memory", [1] * MIN_SAMPLES)

    def test_quarters_are_equally_long_and_the_last_ends_with_the_run(self):
        for count in range(MIN_SAMPLES, 200):
            second, last = quarters(count)
            self.assertEqual(last[1], count)
            self.assertEqual(last[1] - last[0], count // 4)
            self.assertLessEqual(abs((second[1] - second[0]) - count // 4), 1)

    def test_each_kind_that_grows_is_a_sentence_with_its_figures(self):
        half = MINUTES_30 // 2
        said = growth("plain", {"memory": [40000] * half + [50000] * half,
                                "descriptors": [60] * MINUTES_30,
                                "threads": [70] * half + [100] * half})
        self.assertEqual(said, [
            "plain: memory grows from 40000 to 50000 KiB; at most 42512 would have done",
            "plain: threads grows from 70 to 100; at most 92 would have done"])


class LeftoversTest(unittest.TestCase):
    IDLE = {"memory": 9000, "descriptors": 8, "threads": 5}

    def test_as_many_as_before_or_fewer_are_no_leftovers(self):
        self.assertEqual(leftovers("plain", self.IDLE, self.IDLE), [])
        self.assertEqual(leftovers("plain", self.IDLE, {**self.IDLE, "threads": 4}), [])

    def test_one_descriptor_or_thread_more_is_a_leftover(self):
        self.assertEqual(leftovers("TLS", self.IDLE, {**self.IDLE, "descriptors": 9}),
                         ["TLS: 9 descriptors are left, of 8 before the first client"])
        self.assertEqual(leftovers("TLS", self.IDLE, {**self.IDLE, "threads": 6}),
                         ["TLS: 6 threads are left, of 5 before the first client"])

    def test_memory_may_stay_with_the_allocator(self):
        self.assertEqual(leftovers("plain", self.IDLE, {**self.IDLE, "memory": 60000}), [])


if __name__ == "__main__":
    unittest.main()
