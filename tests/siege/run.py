#!/usr/bin/python3 -B
# Runs the siege: many attackers and one honest client, a fresh server for each case. Prints what
# memory an attacker costs the server and how long the honest client has waited for an echo, and
# marks what misses the goal. Fails only for what is far from it: the rest depends on the machine.
# Started by `make siege`; builds nothing.

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time

from cases import CASES, KIB, SETTINGS, TLS, bound, size_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECONDS = (2.5, 2)  # of one attack: full, quick
GOAL_MS = 100
# Beyond these the whole has failed.
FAR_MS, FAR_MEMORY = 1000, 4
PATIENCE = 30  # seconds for what has to come soon
MOST_MEMORY = 2 << 20  # KiB; then the attack is over
LOOK_EVERY, LOOK_AT_LEAST_EVERY = 0.1, 0.5

NOTES = """\
KiB each: private memory of the server's process (smaps_rollup) at the peak, less what it was
before the attackers came, for each of them; at the end where the case says "after". bound: what
libwebsock_limits(7) grants them. ended: connections of theirs that the server ended; they come
back. thr.: threads of the server at the peak. worst, p99: of the honest client's echoes of 20
bytes, one every 2 ms; those that had not come in the end count with their age, so an echo that
never comes shows as the length of the case. to all: the longest libwebsock_send_all in
ms, and how many a second there were. new: the worst of those who come anew every 50 ms, from
connect to their first echo.
!: misses the goal: an echo within 100 ms, memory within the bound, no newcomer turned away."""


@dataclasses.dataclass
class Result:
    seconds: float
    kib_each: float
    bound_kib: float
    threads: int
    honest: dict
    server: dict
    attackers: dict
    newcomer: dict = None


class Program:
    """One of the siege's processes: lines in, JSON out. It ends with stdin."""

    def __init__(self, *command, stderr=None, nice=0):
        self.name = pathlib.Path(command[0]).name
        # In a session of its own the scheduler treats it like one, however many threads it has.
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=stderr, start_new_session=True, preexec_fn=lambda: os.nice(nice))

    def expect(self, word):
        line = self.process.stdout.readline().split()
        if not line or line[0] != word:
            raise RuntimeError(f"{self.name} did not say {word}")
        return line[1:]

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def report(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has failed")
        return json.loads(line)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        next(file)
        figures = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return figures["Private_Clean"] + figures["Private_Dirty"]


def thread_count(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


class Watch:
    """What the server uses, looked at again and again."""

    def __init__(self, pid):
        self.pid = pid
        self.before = self.peak = self.last = memory_kib(pid)
        self.threads = thread_count(pid)

    def look(self):
        """Returns how long that took, and perhaps held up a large process."""
        began = time.monotonic()
        self.last = memory_kib(self.pid)
        self.peak = max(self.peak, self.last)
        self.threads = max(self.threads, thread_count(self.pid))
        return time.monotonic() - began

    def look_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.last < MOST_MEMORY:
            took = self.look()
            time.sleep(min(max(LOOK_EVERY, 10 * took), LOOK_AT_LEAST_EVERY))


def certificate(build):
    key, cert = (str(pathlib.Path(build).resolve() / f"siege.{end}") for end in ("key", "crt"))
    subprocess.run(["sh", ROOT / "demo" / "certificate.sh", key, cert], check=True)
    return f"key={key}", f"cert={cert}"


def attackers_command(case, settings, transport, port, build):
    count = case.count[transport == TLS]
    if case.program != "besiege":
        return f"{build}/{case.program}", port, count
    return (f"{build}/besiege", port, transport, case.attack, count, size_of(case, settings))


class Siege:
    """The processes of one run; they end with it."""

    def __init__(self, stack, build):
        self.stack = stack
        self.build = build

    def start(self, *command, **options):
        program = Program(*command, **options)
        self.stack.callback(program.end)
        return program

    def start_server(self, case, settings, transport):
        told = {**SETTINGS[settings], **dict(case.server)}
        arguments = [f"{name}={value}" for name, value in told.items()]
        if transport == TLS:
            arguments += certificate(self.build)
        stderr = None
        if not case.log_is_read:
            reader, stderr = os.pipe()
            self.stack.callback(os.close, reader)
            self.stack.callback(os.close, stderr)
        server = self.start(f"{self.build}/server", *arguments, stderr=stderr)
        return server, server.expect("port")[0]


def lost(program):
    """What to say of an honest client that could not even tell how long it waited."""
    try:
        return program.report()
    except RuntimeError:
        return {"count": 0, "worst_ms": float("inf"), "p99_ms": float("inf"), "lost": True}


def run_case(case, settings, transport, args):
    with contextlib.ExitStack() as stack:
        siege = Siege(stack, args.build)
        server, port = siege.start_server(case, settings, transport)
        honest = siege.start(f"{args.build}/honest", port, transport)
        newcomer = case.newcomers and siege.start(f"{args.build}/newcomer", port, transport)
        honest.expect("ready")
        watch = Watch(server.process.pid)
        # They are to be other machines, so they do not compete with the server for this one's.
        attackers = siege.start(*attackers_command(case, settings, transport, port, args.build),
                                nice=args.nice)
        attackers.expect("ready")
        for program in filter(None, (honest, newcomer, server, attackers)):
            program.go()
        seconds = case.seconds[args.quick] or SECONDS[args.quick]
        watch.look_for(seconds)
        result = Result(seconds=seconds, kib_each=0, bound_kib=bound(case, settings, transport) / KIB,
                        threads=watch.threads, honest=lost(honest),
                        newcomer=newcomer.report() if newcomer else None,
                        server=server.report(), attackers=attackers.report())
    counted = watch.last if case.gives_back else watch.peak
    result.kib_each = (counted - watch.before) / max(case.count[transport == TLS], 1)
    return result


def row(*cells):
    print("{:<29} {:<10} {:<5} {:>5} {:>6} {:>9} {:>6} {:>6} {:>9} {:>7} {:>11} {:>7}  {}".format(
        *cells).rstrip(), flush=True)


def print_heading():
    row("case", "settings", "", "count", "ended", "KiB each ", "bound", "thr.", "worst ms ", "p99 ms",
        "to all", "new ms ", "misses")


def mark(text, misses):
    return f"{text}{'!' if misses else ' '}"


def misses_of(result):
    """What misses the goal, and by how many times."""
    times = {"echo": result.honest["worst_ms"] / GOAL_MS, "memory": result.kib_each / result.bound_kib}
    if result.honest["lost"]:
        times["echo"] = float("inf")
    if result.newcomer and result.newcomer["turned_away"]:
        times["newcomers"] = float("inf")
    return {what: by for what, by in times.items() if by > 1}


def print_result(case, settings, transport, result):
    misses = misses_of(result)
    newcomer = ""
    if result.newcomer:
        newcomer = mark(f"{result.newcomer['worst_ms']:.0f}", "newcomers" in misses)
    sent = result.server["sent"]
    to_all = f"{result.server['send_all_ms']:.0f}, {sent / result.seconds / 1000:.1f}k" if sent else ""
    notes = [f"{what} {by:.1f}x" for what, by in misses.items() if by != float("inf")]
    if result.honest["lost"]:
        notes.append("the honest client was dropped")
    if result.newcomer and result.newcomer["turned_away"]:
        notes.append(f"{result.newcomer['turned_away']} newcomers turned away")
    row(case.name + (", after" if case.gives_back else ""), settings, transport,
        case.count[transport == TLS], result.attackers["ended"], mark(f"{result.kib_each:.1f}", "memory" in misses),
        f"{result.bound_kib:.0f}", result.threads,
        mark(f"{result.honest['worst_ms']:.1f}", "echo" in misses),
        f"{result.honest['p99_ms']:.1f}", to_all, newcomer, ", ".join(notes))


def is_far(result):
    misses = misses_of(result)
    return misses.get("echo", 0) > FAR_MS / GOAL_MS or misses.get("memory", 0) > FAR_MEMORY


def runs_of(case, args):
    """The settings and transports of a case: one when it must be quick, else three, and all
    for who has time."""
    runs = [run for run in case.runs
            if args.settings in ("", run[0]) and args.transport in ("", run[1])]
    if args.all or args.settings or args.transport:
        return runs
    return runs[:1] if args.quick else runs[:3]


def parse_arguments():
    parser = argparse.ArgumentParser(description="many attackers and one honest client")
    parser.add_argument("--quick", action="store_true", help="two minutes: fewer and shorter")
    parser.add_argument("--all", action="store_true", help="every case with all settings")
    parser.add_argument("--build", default="build/siege", help="where the programs are")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--settings", default="", choices=["", *SETTINGS], help="no others")
    parser.add_argument("--transport", default="", choices=["", "plain", "tls"], help="no other")
    parser.add_argument("--nice", type=int, default=5, help="of the attackers")
    return parser.parse_args()


def out_of_time(*_):
    raise RuntimeError("it does not get on")


class Report:
    """What came of all runs."""

    def __init__(self):
        self.runs, self.far = [], []
        self.missed = 0

    def add(self, case, settings, transport, args):
        name = f"{case.name}, {settings}, {transport}"
        signal.alarm(PATIENCE + max(case.seconds))
        try:
            result = run_case(case, settings, transport, args)
        except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
            print(f"FAILED: {name}: {error}", flush=True)
            self.far.append(f"{name}: {error}")
            return
        finally:
            signal.alarm(0)
        print_result(case, settings, transport, result)
        self.runs.append({"case": case.name, "settings": settings, "transport": transport,
                          "count": case.count[transport == TLS], **dataclasses.asdict(result)})
        self.missed += bool(misses_of(result))
        if is_far(result):
            self.far.append(name)


def main():
    args = parse_arguments()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGALRM, out_of_time)
    cases = [case for case in CASES if args.only in case.name]
    if not cases:
        sys.exit("there is no such case; they are:\n" + "\n".join(case.name for case in CASES))
    print(f"load average before: {os.getloadavg()[0]:.2f}\n")
    print_heading()
    report = Report()
    for case in cases:
        for settings, transport in runs_of(case, args):
            report.add(case, settings, transport, args)
    print(f"\n{NOTES}\n\nload average after: {os.getloadavg()[0]:.2f}")
    print(f"{len(report.runs)} runs, {report.missed} miss the goal")
    with open(f"{args.build}/siege.json", "w", encoding="utf-8") as file:
        json.dump(report.runs, file, indent=1)
    sys.exit("\n".join(["far from it:", *report.far]) if report.far else 0)


if __name__ == "__main__":
    main()
