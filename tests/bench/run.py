#!/usr/bin/python3 -B
# Runs the benchmark: every server of a case in turn, round by round (A B A B), so that what
# else the machine does meets all of them alike; a fresh process each time; server on one
# processor, client on another, or ("unpinned") both on all of them. Prints a table of medians,
# writes bench.json and draws it.
# Figures are to be read as ratios to another server's of the same run, never on their own.
# Started by `make bench`; builds nothing.

import argparse
import json
import os
import statistics
import subprocess
import sys

import charts
from aead import aead_rate, compare_with_bound, print_bound
from bulk import run_bulk
from cases import ALL, CALLS, CASES, DISPATCH, DISPATCHING, MEMORY, MICRO, NGINX_TLS, OURS, \
    PUBLISH, PUBLISHERS, WAITING_TIMERS, WARM_UP_SECONDS
from compression import run_compression
from figures import add_ratios, summary
from locks import run_locks
from machine import allow_files, describe
from memory import measure_given_back, measure_idle
from servers import PINNED, ROOT, client_command, processors_of, settle_in, start
from table import NOTES, print_case, print_heading, print_memory
from turns import Failures, rounds_of, server_named, take_turns, those_of

TIME_LIMIT = 200  # seconds that one client may take


def measure(case, server, args):
    processors = processors_of(case)
    with start(server, args, case.payload, case.work, processors) as running:
        command = client_command(args.build, case.program, running, "--connections",
                                 case.connections, "--payload", case.payload, "--depth",
                                 case.depth, "--seconds", case.seconds[args.quick], "--warmup",
                                 WARM_UP_SECONDS[args.quick], *case.options)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIME_LIMIT,
                              preexec_fn=lambda: settle_in(processors.client, args.nice),
                              check=False)
    if done.returncode != 0:
        raise RuntimeError("the client failed")
    return json.loads(done.stdout)


def missing_servers(args):
    return [name for name in (*ALL, NGINX_TLS) if not server_named(name, args.build)]


def run_case(case, args, failures):
    servers = those_of(case.servers[args.quick], args)
    samples = take_turns(case, servers, args, failures,
                         lambda server: measure(case, server, args))
    suites = [sample.pop("cipher", "") for all_of in samples.values() for sample in all_of]
    results = {name: summary(all_of) for name, all_of in samples.items()}
    add_ratios(results, case.shown)
    print_case(case, results)
    return {"compared": case.shown, "servers": results,
            "bound": bound_of(case, results, max(suites, default=""), args)}


def bound_of(case, results, suite, args):
    """How near ours with TLS comes to the cipher's own rate; None: not asked for, or nobody can
    tell. (A suite is named where there was TLS.)"""
    if not case.bound or not suite or OURS not in results:
        return None
    rates = [aead_rate(suite, args.nice) for _ in range(rounds_of(case, args))]
    bound = compare_with_bound(case.payload, results, suite, statistics.median(rates))
    print_bound(bound)
    return bound


def run_cases(args, failures):
    print_heading()
    return {case.name: run_case(case, args, failures) for case in CASES
            if args.only in case.name and rounds_of(case, args)}


def run_memory(args, failures):
    report = {}
    for case in MEMORY:
        if args.only not in case.name or not rounds_of(case, args):
            continue
        work = measure_idle if case.kept else measure_given_back
        samples = take_turns(case, those_of(case.servers[args.quick], args), args, failures,
                             lambda server, w=work, n=case.connections: w(server, n, args))
        results = {name: summary(all_of) for name, all_of in samples.items()}
        if case.kept:
            add_ratios(results, "sum")
        print_memory(case, results)
        report[case.name] = {"kept": case.kept, "servers": results}
    return report


def run_micro(args):
    """Its table is on its stderr."""
    done = subprocess.run([f"{args.build}/micro"], stdout=subprocess.PIPE, text=True, check=True,
                          preexec_fn=lambda: settle_in(PINNED.server, args.nice))
    return json.loads(done.stdout)


def run_publish(args):
    results = []
    for threads, topics in PUBLISHERS[args.quick]:
        done = subprocess.run([f"{args.build}/publish", str(threads), str(topics)], text=True,
                              stdout=subprocess.PIPE, check=True, timeout=TIME_LIMIT)
        results.append(json.loads(done.stdout))
        print(f"publish, {threads} threads, {topics} topics: "
              f"{results[-1]['per_second']:,.0f} per s, CPU {results[-1]['cpu_ns']:.0f} ns each",
              flush=True)
    return results


def run_dispatch(args):
    results = []
    for threads in DISPATCHING[args.quick]:
        done = subprocess.run([f"{args.build}/dispatch", str(threads)], text=True,
                              stdout=subprocess.PIPE, check=True, timeout=TIME_LIMIT)
        results.append(json.loads(done.stdout))
        print(f"the dispatcher alone, {threads} threads post, as many lanes: "
              f"{results[-1]['per_second']:,.0f} runs per s, CPU {results[-1]['cpu_ns']:.0f} ns and"
              f" {results[-1]['sleeps']:.3f} sleeps each", flush=True)
    return results


def run_calls(args):
    results = []
    for waiting in WAITING_TIMERS[args.quick]:
        done = subprocess.run([f"{args.build}/calls", str(waiting)], text=True,
                              stdout=subprocess.PIPE, check=True, timeout=TIME_LIMIT)
        results.append(json.loads(done.stdout))
        print(f"{waiting:,} timers wait: " + ", ".join(
            f"{call} {results[-1][call]['thread_ns']} ns" for call in ("post", "after", "cancel"))
            + f" of the caller's CPU; a post with its run {results[-1]['post']['process_ns']} ns",
            flush=True)
    return results


def parse_arguments():
    parser = argparse.ArgumentParser(description="benchmark of libwebsock, floors and others")
    parser.add_argument("--quick", action="store_true", help="three minutes, rougher")
    parser.add_argument("--build", default="build/bench", help="where the programs are")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--servers", nargs="+", metavar="NAME", help="no others")
    parser.add_argument("--rounds", type=int, help="instead of each case's own number")
    parser.add_argument("--nice", type=int, default=0,
                        help="for server and client, where others use the machine too")
    return parser.parse_args()


def main():
    args = parse_arguments()
    if os.cpu_count() < 2:
        sys.exit("needs two processors: one for the server, one for the client")
    allow_files()
    failures = Failures()
    report = {**describe(ROOT), "missing": missing_servers(args)}
    print(f"load average before: {report['loadavg_before'][0]:.2f}"
          " (other work on the machine makes figures noisy; compare ratios)")
    if report["missing"]:
        print(f"left out, not on this machine: {', '.join(report['missing'])}")
    print()
    report["cases"] = run_cases(args, failures)
    print()
    report["memory"] = run_memory(args, failures)
    report["locks"] = run_locks(args, failures)
    report["bulk"] = run_bulk(args, failures)
    report["compression"] = run_compression(args, failures)
    if args.only in PUBLISH:
        print(flush=True)
        report["publish"] = failures.attempt(PUBLISH, run_publish, args)
    if args.only in DISPATCH:
        print(flush=True)
        report["dispatch"] = failures.attempt(DISPATCH, run_dispatch, args)
    if args.only in CALLS:
        print(flush=True)
        report["calls"] = failures.attempt(CALLS, run_calls, args)
    if args.only in MICRO:
        print(flush=True)
        report["micro"] = failures.attempt(MICRO, run_micro, args)
    report["loadavg_after"] = os.getloadavg()
    report["failures"] = failures.lines
    print(f"\n{NOTES}\nload average after: {report['loadavg_after'][0]:.2f}")
    with open(f"{args.build}/bench.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    charts.draw_all(report, args.build)
    sys.exit("\n".join(["failed:", *failures.lines]) if failures.lines else 0)


if __name__ == "__main__":
    main()
