#!/usr/bin/python3 -B
# Runs the benchmark: every server of a case in turn, round by round (A B A B), so that what
# else the machine does meets all of them alike; a fresh process each time; server on one
# processor, client on another. Prints a table of medians and writes bench.json. Figures
# are to be read as ratios to another server's of the same run, never on their own.
# Started by `make bench`; builds nothing.

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys

from aead import aead_rate, compare_with_bound, print_bound
from memory import KINDS, measure_idle
from servers import CLIENT_CPU, HANDSHAKES, NGINX, SERVERS, client_command, nginx_program, \
    settle_in, start

TIME_LIMIT = 200  # seconds that one client may take

PLAIN = [SERVERS["thread floor"], SERVERS["libwebsock"]]
ALL = [*PLAIN, SERVERS["libwebsock TLS"]]


@dataclasses.dataclass(frozen=True)
class Case:
    """What one program does to several servers. rounds and seconds: (full, quick)."""

    name: str
    connections: int
    shown: str  # the column that is compared
    payload: int = 20
    depth: int = 1
    work: str = "echo"
    program: str = "load"
    options: tuple = ()  # the client's
    servers: list = dataclasses.field(default_factory=lambda: PLAIN)
    rounds: tuple = (3, 3)
    seconds: tuple = (3, 1.5)
    bound: bool = False  # is compared with the cipher's own rate


def handshakes(name, *options):
    return Case(name, 16, "server_us", program="churn", options=options,
                servers=list(HANDSHAKES.values()), rounds=(3, 1), seconds=(2, 1))


CASES = [
    Case("echo 20 B, 64 connections", 64, "server_us", servers=ALL, rounds=(5, 3),
         seconds=(3, 2)),
    Case("echo 20 B, 1000 connections", 1000, "server_us", seconds=(3, 2)),
    Case("echo 20 B, 16 x 32 deep", 16, "per_second", depth=32),
    Case("echo 64 KiB, 16 connections", 16, "per_second", payload=65536),
    Case("echo 1 MiB, 4 connections", 4, "per_second", payload=1048576, servers=ALL, bound=True),
    Case("callbacks block 1 ms, 200 conn.", 200, "per_second", work="block=1"),
    Case("sessions, 16 at a time", 16, "per_second", program="churn"),
    handshakes("TLS handshakes", "--until", "secured"),
    handshakes("TLS handshakes, resumed", "--until", "secured", "--resumed"),
    handshakes("TLS to the 101", "--until", "opened"),
    handshakes("TLS to the 101, resumed", "--until", "opened", "--resumed"),
]
# Connections, and those who keep them.
IDLE = [(1000, ALL), (5000, [SERVERS["libwebsock TLS"]]), (10000, PLAIN)]

NOTES = """\
ratio: to the server that is named behind it; of server us less is better.
server us: CPU time of the server's process (user and system) per message, session or handshake.
sessions: connect, opening handshake, echo, closing handshake; the floor's have no handshakes.
callbacks block: the floor's threads block as long, all at once: that is the ideal.
TLS: 1.3, OpenSSL's default cipher, an EC P-256 key; the same certificate for nginx.
TLS handshakes: connect, TLS handshake, end (resumed: from a ticket), 16 at a time; to the 101:
also the opening handshake of WebSocket, to which nginx gives an answer that is in its
configuration. Of nginx the one worker is measured. In full they cost the client more than the
server: look at server us.
idle: KiB per connection, after one echo each, with both ends of each connection on this
machine. "process" is the server's own Private memory; stacks, slab, tables: KernelStack, Slab
and PageTables of the whole system; "sum" of these four. "available" is what MemAvailable lost,
everything included, also what other programs took meanwhile."""


def measure(case, server, seconds, args):
    with start(server, args, case.payload, case.work) as running:
        command = client_command(args.build, case.program, running, "--connections",
                                 case.connections, "--payload", case.payload, "--depth",
                                 case.depth, "--seconds", seconds, *case.options)
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
    """By server's name; and where that is asked for, the comparison with the cipher's rate."""
    seconds = case.seconds[args.quick]
    samples = {server.name: [] for server in case.servers}
    suite, rates = "", []
    for _ in range(args.rounds or case.rounds[args.quick]):
        for server in case.servers:
            sample = measure(case, server, seconds, args)
            suite = sample.pop("cipher", "") or suite
            samples[server.name].append(sample)
        if case.bound:
            rates.append(aead_rate(suite, args.nice))
    results = {name: summary(all_of) for name, all_of in samples.items()}
    for server in case.servers:
        # Round by round, so that a slow moment of the machine counts on both sides.
        pairs = zip(*(results[name][case.shown]["samples"]
                      for name in (server.name, server.against)))
        ratios = [a / b for a, b in pairs]
        results[server.name]["ratio"] = {"to": server.against, "samples": ratios,
                                         "median": statistics.median(ratios)}
    bound = rates and compare_with_bound(case.payload, results, suite, statistics.median(rates))
    return results, bound


def run_idle(servers, count, args):
    samples = {server.name: [] for server in servers}
    for _ in range(args.rounds or (1 if args.quick else 3)):
        for server in servers:
            samples[server.name].append(measure_idle(server, count, args))
    return {name: summary(all_of) for name, all_of in samples.items()}


LABELS = {"per_second": "rate", "server_us": "us"}


def row(*cells):
    print("{:<32} {:<14} {:>8} {:>6} {:>9} {:>7} {:>7} {:>9} {:>6} {}".format(*cells).rstrip(),
          flush=True)


def print_case(case, results):
    for name, result in results.items():
        shown, ratio = result[case.shown], result["ratio"]
        row(case.name, name, f"{result['per_second']['median']:.0f}", f"{shown['spread']:.0%}",
            f"{result['server_us']['median']:.2f}", f"{result['p50_us']['median']:.0f}",
            f"{result['p99_us']['median']:.0f}",
            f"{result['server_cores']['median']:.2f}/{result['client_cores']['median']:.2f}",
            *(("1", "") if name == ratio["to"] else
              (f"{ratio['median']:.2f}", f"{LABELS[case.shown]} of {ratio['to']}")))


def print_idle(count, results):
    for name, result in results.items():
        kinds = ", ".join(f"{kind} {result[kind]['median']:.1f}" for kind in KINDS)
        print(f"idle, {count:<6} {name:<14} KiB: {kinds}"
              f" (sum \u00b1{result['sum']['spread']:.0%})", flush=True)


def run_cases(args):
    row("case", "server", "per s", "\u00b1", "server us", "p50 us", "p99 us", "cores s/c", "ratio",
        "")
    report = {}
    for case in CASES:
        if args.only not in case.name:
            continue
        if NGINX in case.servers and not nginx_program():
            print(f"{case.name}: left out, for nginx is not installed")
            continue
        results, bound = run_case(case, args)
        report[case.name] = {"compared": case.shown, "servers": results, "bound": bound}
        print_case(case, results)
        if bound:
            print_bound(bound)
    return report


def run_idle_counts(args):
    report = {}
    for count, servers in IDLE:
        if args.only in f"idle, {count}":
            report[str(count)] = run_idle(servers, count, args)
            print_idle(count, report[str(count)])
    return report


def parse_arguments():
    parser = argparse.ArgumentParser(description="benchmark of libwebsock against a floor")
    parser.add_argument("--quick", action="store_true", help="three minutes, rougher")
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
    report = {"loadavg_before": os.getloadavg()}
    print(f"load average before: {report['loadavg_before'][0]:.2f}"
          " (other work on the machine makes figures noisy; compare ratios)\n")
    report["cases"] = run_cases(args)
    print()
    report["idle"] = run_idle_counts(args)
    report["loadavg_after"] = os.getloadavg()
    print(f"\n{NOTES}\nload average after: {report['loadavg_after'][0]:.2f}")
    with open(f"{args.build}/bench.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
