#!/usr/bin/python3 -B
# Runs the siege: many attackers and one honest client, a fresh server for each case. Prints
# how much memory an attacker costs the server and how long the honest client waited for an
# echo, and marks what misses the goal. Fails only on figures far from the goal: smaller misses
# depend on the machine. Started by `make siege`; builds nothing.

import argparse
import contextlib
import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys

from cases import CASES, KIB, SETTINGS, TLS, bound
from processes import Siege, Watch
from table import NEVER, NOTES, Result, print_heading, print_result

SECONDS = (2.5, 2)  # of one attack (full, quick)
PATIENCE = 30  # seconds for everything but the attack


def what_became_of(honest):
    """The wait it reports, or for ever if it cannot even report one."""
    try:
        return honest.report()
    except RuntimeError:
        return {"count": 0, "worst_ms": NEVER, "p99_ms": NEVER, "lost": True}


def attack(siege, seconds, args):
    """Runs one case to its end."""
    case, transport = siege.case, siege.transport
    server, port = siege.start_server()
    honest = siege.start("honest", port, transport)
    newcomer = siege.start("newcomer", port, transport) if case.newcomers else None
    honest.expect("ready")
    watch = Watch(server.process.pid)
    # The attackers stand for other machines, so they must not compete with the server for this
    # one's processors.
    attackers = siege.start_attackers(port, args.nice)
    attackers.expect("ready")
    for program in filter(None, (honest, newcomer, server, attackers)):
        program.go()
    watch.look_for(seconds)
    counted = watch.last if case.gives_back else watch.peak
    count = case.count[transport == TLS]
    return Result(case=case.name + (", after" if case.gives_back else ""),
                  settings=siege.settings, transport=transport, count=count, seconds=seconds,
                  kib_each=(counted - watch.before) / max(count, 1),
                  bound_kib=bound(case, siege.settings, transport) / KIB, threads=watch.threads,
                  honest=what_became_of(honest), newcomer=newcomer and newcomer.report(),
                  server=server.report(), attackers=attackers.report())


def out_of_time(*_):
    raise RuntimeError("it makes no progress")


class Report:
    """The results of all runs."""

    def __init__(self):
        self.results, self.far = [], []

    def add(self, case, settings, transport, args):
        seconds = case.seconds[args.quick] or SECONDS[args.quick]
        name = f"{case.name}, {settings}, {transport}"
        signal.alarm(PATIENCE + round(seconds))
        try:
            with contextlib.ExitStack() as stack:
                result = attack(Siege(case, settings, transport, args.build, stack), seconds, args)
        except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
            print(f"FAILED: {name}: {error}", flush=True)
            self.far.append(f"{name}: {error}")
            return
        finally:
            signal.alarm(0)
        print_result(result)
        self.results.append(result)
        if result.is_far():
            self.far.append(name)

    def missed(self):
        return sum(bool(result.misses()) for result in self.results)


def runs_of(case, args):
    """The settings and transports that a case is run with: one in a quick siege, otherwise
    three, or all of them on request."""
    runs = [run for run in case.runs
            if args.settings in ("", run[0]) and args.transport in ("", run[1])]
    if args.all or args.settings or args.transport:
        return runs
    return runs[:1] if args.quick else runs[:3]


def parse_arguments():
    parser = argparse.ArgumentParser(description="many attackers and one honest client")
    parser.add_argument("--quick", action="store_true", help="two minutes: one run of each case")
    parser.add_argument("--all", action="store_true", help="every case with all settings")
    parser.add_argument("--build", default="build/siege", help="where the programs are")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--settings", default="", choices=["", *SETTINGS], help="no others")
    parser.add_argument("--transport", default="", choices=["", "plain", "tls"], help="no other")
    parser.add_argument("--nice", type=int, default=5, help="niceness of the attackers")
    return parser.parse_args()


def main():
    args = parse_arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGALRM, out_of_time)
    cases = [case for case in CASES if args.only in case.name]
    if not cases:
        sys.exit("no such case; the cases are:\n" + "\n".join(case.name for case in CASES))
    print(f"load average before: {os.getloadavg()[0]:.2f}\n")
    print_heading()
    report = Report()
    for case in cases:
        for settings, transport in runs_of(case, args):
            report.add(case, settings, transport, args)
    print(f"\n{NOTES}\n\nload average after: {os.getloadavg()[0]:.2f}")
    print(f"{len(report.results)} runs, {report.missed()} miss the goal")
    with open(f"{args.build}/siege.json", "w", encoding="utf-8") as file:
        json.dump([dataclasses.asdict(result) for result in report.results], file, indent=1)
    sys.exit("\n".join(["far from the goal:", *report.far]) if report.far else 0)


if __name__ == "__main__":
    main()
