#!/usr/bin/python3 -B
# table_test.py: what counts as a miss in the siege, and how much the manual grants attackers.

import unittest

from cases import CASES, DEFAULT, KIB, MIB, PLAIN, STRICT, TLS, Case, bound, told
from table import Result


def result(worst_ms=1.0, lost=False, kib_each=10.0, turned_away=0):
    return Result(case="", settings=DEFAULT, transport=PLAIN, count=1, seconds=1,
                  kib_each=kib_each, bound_kib=100.0, threads=1,
                  honest={"worst_ms": worst_ms, "lost": lost}, server={}, attackers={},
                  newcomer={"turned_away": turned_away})


class JudgementTest(unittest.TestCase):
    def test_what_is_within_the_goal_misses_nothing(self):
        self.assertEqual(result(worst_ms=99.9, kib_each=100.0).misses(), {})

    def test_a_late_echo_is_a_miss(self):
        self.assertEqual(result(worst_ms=150).misses(), {"echo": 1.5})
        self.assertFalse(result(worst_ms=150).is_far())

    def test_an_echo_a_second_late_is_far_from_the_goal(self):
        self.assertTrue(result(worst_ms=1001).is_far())

    def test_an_honest_client_that_is_dropped_is_far_from_the_goal(self):
        self.assertTrue(result(lost=True).is_far())

    def test_memory_beyond_the_bound_is_a_miss_and_much_more_is_far(self):
        self.assertEqual(result(kib_each=200).misses(), {"memory": 2})
        self.assertFalse(result(kib_each=200).is_far())
        self.assertTrue(result(kib_each=401).is_far())

    def test_a_newcomer_that_is_turned_away_is_a_miss(self):
        self.assertIn("newcomers", result(turned_away=1).misses())


class BoundTest(unittest.TestCase):
    def test_every_case_has_a_bound_in_all_its_runs(self):
        for case in CASES:
            for settings, transport in case.runs:
                with self.subTest(case.name):
                    self.assertGreater(bound(case, settings, transport), 0)

    def test_what_waits_is_granted_once_for_each_direction(self):
        one, both = (Case("", "", (1000, 1000), holds) for holds in (("in",), ("in", "out")))
        more = bound(both, DEFAULT, PLAIN) - bound(one, DEFAULT, PLAIN)
        self.assertEqual(more, 1.25 * 4 * MIB)

    def test_strict_settings_grant_less_and_tls_more(self):
        case = Case("", "", (1000, 1000), ("in", "frame"), size=MIB)
        self.assertLess(bound(case, STRICT, PLAIN), 200 * KIB)
        self.assertGreater(bound(case, STRICT, TLS), bound(case, STRICT, PLAIN))

    def test_a_message_to_all_leaves_who_reads_room_for_four(self):
        large = next(case for case in CASES if case.name == "deaf, large ones to all")
        self.assertEqual(told(large, DEFAULT)["broadcast_bytes"], 64 * KIB)
        self.assertEqual(told(large, STRICT)["broadcast_bytes"], 16 * KIB)
        self.assertEqual(told(large, STRICT)["broadcast_count"], 4)


if __name__ == "__main__":
    unittest.main()
