#!/usr/bin/python3 -B
# Runs test suites of different kinds, adds up their counts and ends with the line "N passed, N
# failed". check.sh lists the suites.

import argparse
import collections
import concurrent.futures
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

TIME_LIMIT = 300  # seconds a suite may take
TAIL = 200  # lines of a failing suite's output that are shown

Suite = collections.namedtuple("Suite", "name kind command")
Counts = collections.namedtuple("Counts", "passed failed")


def count_doctest(output):
    """Skipped tests count as failed, here and below: nothing may be skipped."""
    summaries = re.findall(
        r"^\[doctest\] test cases: +(\d+) \| +(\d+) passed \| +(\d+) failed(?: \| +(\d+) skipped)?",
        output, re.MULTILINE)
    if not summaries:
        return None
    _, passed, failed, skipped = summaries[-1]
    return Counts(int(passed), int(failed) + int(skipped or 0))


def count_unittest(output):
    summaries = re.findall(r"^Ran (\d+) tests? in .*\n\n(OK|FAILED)(?: \((.*)\))?$",
                           output, re.MULTILINE)
    if not summaries:
        return None
    ran, _, details = summaries[-1]
    bad = sum(map(int, re.findall(r"=(\d+)", details)))
    return Counts(max(int(ran) - bad, 0), bad)


def count_command(_output):
    return Counts(1, 0)  # unless its exit code says otherwise


KINDS = {"doctest": count_doctest, "unittest": count_unittest, "command": count_command,
         "build": count_command}


def parse_suite(text):
    name, _, rest = text.partition(":")
    kind, _, command = rest.partition(":")
    if not name or kind not in KINDS or not command.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:KIND:COMMAND")
    return Suite(name, kind, shlex.split(command))


running = set()  # processes; each suite's thread adds and removes its own


def end_with_suites(*_):
    """Stops the running suites when the runner itself is told to stop."""
    for process in list(running):
        kill_group(process)
    os._exit(1)


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def execute(command, time_limit):
    """Returns the output, and what was wrong with the end in words ("" for nothing)."""
    with tempfile.TemporaryFile() as output:
        try:
            # Output goes to a file: a pipe would stay open as long as any process that the
            # suite left behind.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            return "", f"cannot be run: {error}"
        running.add(process)
        trouble = ""
        try:
            status = process.wait(time_limit)
            if status < 0:
                trouble = f"killed by {signal.Signals(-status).name}"
            elif status > 0:
                trouble = f"exit code {status}"
        except subprocess.TimeoutExpired:
            trouble = f"took longer than {time_limit:g} seconds"
        finally:
            kill_group(process)
            process.wait()
            running.discard(process)
        output.seek(0)
        return output.read().decode(errors="replace"), trouble


def judge(suite, output, trouble):
    """Returns the counts, and the reason for a failure in words ("" for none)."""
    counts = KINDS[suite.kind](output)
    if trouble and KINDS[suite.kind] is count_command:
        return Counts(0, 1), trouble
    if counts is None:
        return Counts(0, 1), trouble or f"no {suite.kind} summary in the output"
    if counts.failed:
        return counts, trouble or "failed or skipped tests"
    if trouble:
        return Counts(counts.passed, 1), trouble
    if not counts.passed:
        return Counts(0, 1), "ran no test"
    return counts, ""


def run_suite(suite, time_limit):
    started = time.monotonic()
    output, trouble = execute(suite.command, time_limit)
    counts, reason = judge(suite, output, trouble)
    seconds = time.monotonic() - started
    lines = [f"{'FAIL' if reason else 'ok':4}  {suite.name:34} {counts.passed:5} passed "
             f"{counts.failed:5} failed {seconds:7.1f} s"]
    if reason:
        lines += [f"--- {suite.name}: {reason}; {shlex.join(suite.command)}",
                  *output.splitlines()[-TAIL:], f"--- end of {suite.name}"]
    print("\n".join(lines) + "\n", end="", flush=True)  # in one write, so that lines do not mix
    return counts


def run_suites(suites, jobs, time_limit):
    """Runs each build alone: it keeps all processors busy. The rest run jobs at a time."""
    results = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for alone, group in itertools.groupby(suites, lambda suite: suite.kind == "build"):
            run = lambda suite: run_suite(suite, time_limit)
            results += map(run, group) if alone else pool.map(run, list(group))
    return results


def main():
    parser = argparse.ArgumentParser(
        description="Runs test suites, adds up their counts, exits with 1 if a test failed.")
    parser.add_argument("suites", nargs="+", type=parse_suite, metavar="NAME:KIND:COMMAND",
                        help="KIND: " + ", ".join(KINDS))
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, metavar="SECONDS",
                        help="for each suite (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N",
                        help="test suites that run at the same time (default: %(default)s)")
    arguments = parser.parse_args()
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, end_with_suites)
    results = run_suites(arguments.suites, arguments.jobs, arguments.time_limit)
    passed = sum(counts.passed for counts in results)
    failed = sum(counts.failed for counts in results)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
