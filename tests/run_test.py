#!/usr/bin/python3 -B
# The test runner, tested with fake suites.

import os
import pathlib
import select
import shlex
import subprocess
import sys
import tempfile
import unittest

RUNNER = pathlib.Path(__file__).with_name("run.py")
DEADLINE = 30  # seconds; reached only by a failure

DOCTEST = "[doctest] test cases:  {} |  {} passed | {} failed | {} skipped"
UNITTEST_OK = "Ran 3 tests in 0.010s\n\nOK"


def suite(kind, output="", end="exit 0"):
    script = f"cat <<'END'\n{output}\nEND\n{end}"
    return f"pretended:{kind}:sh -c {shlex.quote(script)}"


class RunnerTest(unittest.TestCase):
    def run_suites(self, *arguments):
        return subprocess.run([sys.executable, "-B", RUNNER, *arguments], text=True,
                              capture_output=True, timeout=DEADLINE)

    def assert_ends(self, run, last_line, code):
        self.assertEqual(run.stdout.splitlines()[-1], last_line, run.stdout + run.stderr)
        self.assertEqual(run.returncode, code)


class CountTest(RunnerTest):
    def test_doctest_s_test_cases_are_counted(self):
        run = self.run_suites(suite("doctest", DOCTEST.format(12, 12, 0, 0)))
        self.assert_ends(run, "12 passed, 0 failed", 0)

    def test_a_failed_doctest_case_fails_the_run(self):
        run = self.run_suites(suite("doctest", DOCTEST.format(12, 10, 2, 0), "exit 1"))
        self.assert_ends(run, "10 passed, 2 failed", 1)

    def test_unittest_s_tests_are_counted(self):
        run = self.run_suites(suite("unittest", UNITTEST_OK))
        self.assert_ends(run, "3 passed, 0 failed", 0)

    def test_failures_and_errors_of_unittest_are_added_up(self):
        output = "Ran 7 tests in 1.000s\n\nFAILED (failures=2, errors=1)"
        run = self.run_suites(suite("unittest", output, "exit 1"))
        self.assert_ends(run, "4 passed, 3 failed", 1)

    def test_an_error_before_any_test_is_a_failure(self):
        output = "Ran 0 tests in 0.000s\n\nFAILED (errors=1)"
        run = self.run_suites(suite("unittest", output, "exit 1"))
        self.assert_ends(run, "0 passed, 1 failed", 1)

    def test_a_skipped_test_counts_as_failed(self):
        run = self.run_suites(suite("unittest", "Ran 3 tests in 0.010s\n\nOK (skipped=1)"))
        self.assert_ends(run, "2 passed, 1 failed", 1)
        run = self.run_suites(suite("doctest", DOCTEST.format(2, 2, 0, 1)))
        self.assert_ends(run, "2 passed, 1 failed", 1)

    def test_a_command_is_one_test(self):
        self.assert_ends(self.run_suites(suite("command")), "1 passed, 0 failed", 0)
        self.assert_ends(self.run_suites(suite("command", end="exit 3")), "0 passed, 1 failed", 1)

    def test_the_counts_of_all_suites_are_added_up(self):
        run = self.run_suites(suite("doctest", DOCTEST.format(12, 12, 0, 0)),
                              suite("command", end="exit 1"), suite("unittest", UNITTEST_OK))
        self.assert_ends(run, "15 passed, 1 failed", 1)

    def test_a_real_unittest_file_is_understood(self):
        with tempfile.NamedTemporaryFile("w", suffix="_test.py") as file:
            file.write("import unittest\n"
                       "class T(unittest.TestCase):\n"
                       "    def test_good(self): pass\n"
                       "    def test_bad(self): self.fail('on purpose')\n"
                       "    @unittest.skip('lazy')\n"
                       "    def test_skipped(self): pass\n"
                       "unittest.main()\n")
            file.flush()
            run = self.run_suites(f"real:unittest:{sys.executable} -B {file.name} -v")
        self.assert_ends(run, "1 passed, 2 failed", 1)


class TroubleTest(RunnerTest):
    def test_a_suite_without_tests_is_a_failure(self):
        run = self.run_suites(suite("doctest", DOCTEST.format(0, 0, 0, 0)))
        self.assert_ends(run, "0 passed, 1 failed", 1)
        run = self.run_suites(suite("unittest", "Ran 0 tests in 0.000s\n\nOK"))
        self.assert_ends(run, "0 passed, 1 failed", 1)

    def test_output_without_a_summary_is_a_failure(self):
        run = self.run_suites(suite("doctest", "all fine, trust me"))
        self.assert_ends(run, "0 passed, 1 failed", 1)

    def test_a_command_that_does_not_exist_is_a_failure(self):
        run = self.run_suites("missing:command:/no/such/program")
        self.assert_ends(run, "0 passed, 1 failed", 1)

    def test_a_crash_after_a_good_summary_is_a_failure(self):
        for end in ("kill -SEGV $$", "exit 66"):
            run = self.run_suites(suite("doctest", DOCTEST.format(5, 5, 0, 0), end))
            self.assert_ends(run, "5 passed, 1 failed", 1)
        self.assertIn("exit code 66", run.stdout)

    def test_a_suite_that_takes_too_long_is_killed_with_its_children(self):
        with tempfile.TemporaryDirectory() as directory:
            fifo = os.path.join(directory, "fifo")
            os.mkfifo(fifo)
            # At end of file as soon as no process of the suite has it open.
            reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
            self.addCleanup(os.close, reader)
            hang = f"{sys.executable} -c 'import signal; signal.pause()'"
            end = f"exec 9>{fifo}; echo started >&9; {hang} & {hang}"
            run = self.run_suites("--time-limit", "1", suite("command", end=end))
            self.assert_ends(run, "0 passed, 1 failed", 1)
            self.assertEqual(os.read(reader, 100), b"started\n")
            self.assertTrue(select.select([reader], [], [], DEADLINE)[0], "a child still runs")
            self.assertEqual(os.read(reader, 100), b"")

    def test_suites_after_a_failing_one_still_run(self):
        run = self.run_suites("missing:command:/no/such/program", suite("command"))
        self.assert_ends(run, "1 passed, 1 failed", 1)


class OutputTest(RunnerTest):
    def test_a_passing_suite_is_one_line(self):
        run = self.run_suites(suite("unittest", "chatter\n" + UNITTEST_OK))
        self.assertEqual(len(run.stdout.splitlines()), 2)
        self.assertRegex(run.stdout, r"pretended +3 passed +0 failed +\d+\.\d s")

    def test_a_failing_suite_shows_the_last_200_lines_of_its_output(self):
        run = self.run_suites(suite("command", end="seq -f 'line %g' 300; exit 1"))
        shown = run.stdout.splitlines()
        self.assertIn("line 300", shown)
        self.assertIn("line 101", shown)
        self.assertNotIn("line 100", shown)

    def test_a_suite_that_cannot_be_parsed_is_a_usage_error(self):
        for arguments in ([], ["name"], ["name:nokind:true"], ["name:command: "]):
            with self.subTest(arguments=arguments):
                run = self.run_suites(*arguments)
                self.assertEqual(run.returncode, 2)
                self.assertIn("usage", run.stderr)


if __name__ == "__main__":
    unittest.main()
