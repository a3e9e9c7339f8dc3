#!/usr/bin/python3 -B
# Runs the benchmark: every server in turn, round by round (A B A B), so that what else
# the machine does meets all of them alike; a fresh process each time; server on one
# processor, client on another. Prints a table of medians and writes bench.json. Figures
# are to be read as ratios to the floor of the same run, never on their own.
# Started by `make bench`; builds nothing.

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import time

CLIENT_CPU, SERVER_CPU = 0, 1
TIME_LIMIT = 200  # seconds that one client may take
CLIENT_CONNECTIONS = 5000  # of one idle client process: well below its limit of files
SETTLE_SECONDS = 1.5  # until the kernel's per-processor counters of memory are up to date

# What a Server is given is (request bytes, answer bytes, milliseconds to block); another
# WebSocket server is one more line here.
Server = collections.namedtuple("Server", "name raw command")
SERVERS = [
    Server("thread floor", True,
           lambda d, q, a, ms: [f"{d}/thread_floor", str(q), str(a), str(ms)]),
    Server("libwebsock", False, lambda d, q, a, ms: [f"{d}/echo_server", str(ms)]),
]
FLOOR = SERVERS[0].name

# rounds and seconds: (full, quick). shown: the column that is compared, and whether more
# of it is better.
Case = collections.namedtuple(
    "Case", "name program connections payload depth blocks_ms rounds seconds shown more")
CASES = [
    Case("echo 20 B, 64 connections", "load", 64, 20, 1, 0, (5, 3), (3, 2), "server_us", False),
    Case("echo 20 B, 1000 connections", "load", 1000, 20, 1, 0, (3, 3), (3, 2), "server_us", False),
    Case("echo 20 B, 16 x 32 deep", "load", 16, 20, 32, 0, (3, 3), (3, 1.5), "per_second", True),
    Case("echo 64 KiB, 16 connections", "load", 16, 65536, 1, 0, (3, 3), (3, 1.5),
         "per_second", True),
    Case("echo 1 MiB, 4 connections", "load", 4, 1048576, 1, 0, (3, 3), (3, 1.5),
         "per_second", True),
    Case("callbacks block 1 ms, 200 conn.", "load", 200, 20, 1, 1, (3, 3), (3, 1.5),
         "per_second", True),
    Case("sessions, 16 at a time", "churn", 16, 20, 1, 0, (3, 3), (3, 1.5), "per_second", True),
]
IDLE_COUNTS = (1000, 10000)

NOTES = """\
server us: CPU time of the server's process (user and system) per message or session.
sessions: connect, opening handshake, echo, closing handshake; the floor's have no handshakes.
callbacks block: the floor's threads block as long, all at once: that is the ideal.
idle: KiB per connection, after one echo each, with both ends of each connection on this
machine. "process" is the server's own Private memory; stacks, slab, tables: KernelStack, Slab
and PageTables of the whole system; "sum" of these four. "available" is what MemAvailable lost,
everything included, also what other programs took meanwhile."""


def frame_sizes(payload):
    """Bytes of a client's frame and of a server's (RFC 6455 5.2)."""
    answer = payload + (2 if payload <= 125 else 4 if payload <= 0xFFFF else 10)
    return answer + 4, answer


class Running:
    """A server process, from its "port N" on."""

    def __init__(self, server, build, payload, blocks_ms, nice):
        self.raw = server.raw
        command = server.command(build, *frame_sizes(payload), blocks_ms)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=lambda: settle_in(SERVER_CPU, nice))
        words = self.process.stdout.readline().split()
        if len(words) != 2 or words[0] != "port":
            raise RuntimeError(f"{command[0]} did not say its port")
        self.port = words[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            print("  (a server did not end within 30 s of SIGTERM)", file=sys.stderr)


def settle_in(cpu, nice):
    os.sched_setaffinity(0, {cpu})
    if not nice:
        return
    os.nice(nice)
    # Where sessions are scheduled as groups, nice alone counts only within ours.
    try:
        os.setsid()
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write(str(nice))
    except OSError:
        pass


def client_command(build, program, running, *options):
    return [f"{build}/{program}", "--port", running.port,
            "--server-pid", str(running.process.pid), *map(str, options),
            *(["--raw"] if running.raw else [])]


def measure(case, server, seconds, args):
    with Running(server, args.build, case.payload, case.blocks_ms, args.nice) as running:
        command = client_command(args.build, case.program, running, "--connections",
                                 case.connections, "--payload", case.payload, "--depth",
                                 case.depth, "--seconds", seconds)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIME_LIMIT,
                              preexec_fn=lambda: settle_in(CLIENT_CPU, args.nice), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}, {case.name}: the client failed")
    return json.loads(done.stdout)


def summary(samples):
    """Medians of every figure, and how far from it the samples are spread."""
    result = {}
    for key in samples[0]:
        values = [sample[key] for sample in samples]
        middle = statistics.median(values)
        spread = (max(values) - min(values)) / middle / 2 if middle else 0
        result[key] = {"median": middle, "spread": round(spread, 3), "samples": values}
    return result


def run_case(case, args):
    rounds, seconds = case.rounds[args.quick], case.seconds[args.quick]
    samples = {server.name: [] for server in SERVERS}
    for _ in range(args.rounds or rounds):
        for server in SERVERS:
            samples[server.name].append(measure(case, server, seconds, args))
    results = {name: summary(all_of) for name, all_of in samples.items()}
    floor = results[FLOOR][case.shown]["samples"]
    for result in results.values():
        # Round by round, so that a slow moment of the machine counts on both sides.
        ratios = [a / b for a, b in zip(result[case.shown]["samples"], floor)]
        result["ratio"] = {"median": statistics.median(ratios), "samples": ratios}
    return results


def meminfo():
    with open("/proc/meminfo", encoding="ascii") as file:
        return {line.split(":")[0]: int(line.split()[1]) for line in file}


def rollup(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        next(file)
        figures = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return {"rss": figures["Rss"], "pss": figures["Pss"],
            "process": figures["Private_Clean"] + figures["Private_Dirty"]}


def memory(pid):
    time.sleep(SETTLE_SECONDS)
    system = meminfo()
    kinds = {"stacks": system["KernelStack"], "slab": system["Slab"],
             "tables": system["PageTables"], **rollup(pid)}
    kinds["sum"] = sum(kinds[kind] for kind in ("stacks", "slab", "tables", "process"))
    return {"available": -system["MemAvailable"], **kinds}


def start_idle(build, running, count):
    return subprocess.Popen(client_command(build, "idle", running, "--connections", count),
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure_idle(server, count, args):
    """KiB per connection, of each kind."""
    with Running(server, args.build, 20, 0, args.nice) as running:
        # The first connections make the server allocate what it has only one of, and the
        # clients are there before they count.
        warm = start_idle(args.build, running, 8)
        warm.stdout.readline()
        before = memory(running.process.pid)
        clients = []
        try:
            left = count
            while left > 0:
                clients.append(start_idle(args.build, running, min(left, CLIENT_CONNECTIONS)))
                left -= CLIENT_CONNECTIONS
            for client in clients:
                if not client.stdout.readline().startswith("open "):
                    raise RuntimeError(f"{server.name}: {count} connections: a client failed")
            after = memory(running.process.pid)
        finally:
            for client in [warm, *clients]:
                client.stdin.close()
                client.wait(60)
    return {key: (after[key] - before[key]) / count for key in after}


def run_idle(count, args):
    samples = {server.name: [] for server in SERVERS}
    for _ in range(args.rounds or (1 if args.quick else 3)):
        for server in SERVERS:
            samples[server.name].append(measure_idle(server, count, args))
    return {name: summary(all_of) for name, all_of in samples.items()}


def row(*cells):
    print("{:<32} {:<13} {:>10} {:>6} {:>9} {:>9} {:>9} {:>10} {:>7}".format(*cells), flush=True)


def print_case(case, results):
    for name, result in results.items():
        shown = result[case.shown]
        row(case.name, name, f"{result['per_second']['median']:.0f}", f"{shown['spread']:.0%}",
            f"{result['server_us']['median']:.2f}", f"{result['p50_us']['median']:.0f}",
            f"{result['p99_us']['median']:.0f}",
            f"{result['server_cores']['median']:.2f}/{result['client_cores']['median']:.2f}",
            "1" if name == FLOOR else f"{result['ratio']['median']:.2f}")


def print_idle(count, results):
    for name, result in results.items():
        kinds = ", ".join(f"{kind} {result[kind]['median']:.1f}" for kind in
                          ("sum", "process", "stacks", "slab", "tables", "available"))
        print(f"idle, {count:<6} {name:<13} KiB: {kinds}"
              f" (sum \u00b1{result['sum']['spread']:.0%})", flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description="benchmark of libwebsock against a floor")
    parser.add_argument("--quick", action="store_true", help="two minutes, rougher")
    parser.add_argument("--build", default="build/bench", help="where the programs are")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--rounds", type=int, help="instead of each case's own number")
    parser.add_argument("--nice", type=int, default=0,
                        help="for server and client, where others use the machine too")
    return parser.parse_args()


def main():
    args = parse_arguments()
    if os.cpu_count() < 2:
        sys.exit("needs two processors: one for the server, one for the client")
    report = {"loadavg_before": os.getloadavg(), "cases": {}, "idle": {}}
    print(f"load average before: {report['loadavg_before'][0]:.2f}"
          " (other work on the machine makes figures noisy; compare ratios)\n")
    row("case", "server", "per s", "\u00b1", "server us", "p50 us", "p99 us", "cores s/c", "ratio")
    for case in CASES:
        if args.only in case.name:
            results = run_case(case, args)
            report["cases"][case.name] = {"compared": case.shown, "servers": results}
            print_case(case, results)
    print()
    for count in IDLE_COUNTS:
        if args.only in f"idle, {count}":
            results = run_idle(count, args)
            report["idle"][str(count)] = results
            print_idle(count, results)
    report["loadavg_after"] = os.getloadavg()
    print(f"\n{NOTES}\nload average after: {report['loadavg_after'][0]:.2f}")
    with open(f"{args.build}/bench.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
