#!/usr/bin/python3 -B
# The soak: two demo servers, one with TLS, under a mixed population for as long as asked,
# sampled once a second. Fails when a client did not get what it must, or when the servers'
# memory, descriptors or threads grow (judgement.py). Leaves soak.json, soak.png and the
# servers' logs in BUILD/soak. Started by `make soak`; builds nothing.

import argparse
import asyncio
import contextlib
import json
import pathlib
import sys
import time

from chart import draw
from demo import Demo
from judgement import TOLERANCES, growth, leftovers, trend
from population import Population
from session import session
from tally import Tally

SAMPLE_SECONDS = 1
MIN_SECONDS = 20
ROOM_BYTES = 4 << 20  # the demo's chat keeps this much at most
CHAT_BYTES = 4096  # largest message
SETTLE_SECONDS = 60  # time for a server to release descriptors and threads
REPORT_SECONDS = 60


async def warm_up(demo):
    """Fills the chat's history, which would look like a leak later."""
    tally = Tally()
    async with session(demo, tally, "/chat") as client:
        text = "x" * CHAT_BYTES
        for _ in range(ROOM_BYTES // CHAT_BYTES):
            await client.send(text)
            while not (await client.receive()).endswith(text):
                pass
        await client.close()


async def settled(demos, idle):
    """Each demo's figures as soon as nothing is left over, or when time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        figures = {demo.name: demo.figures() for demo in demos}
        left = [leftovers(name, idle[name], now) for name, now in figures.items()]
        if not any(left) or time.monotonic() >= deadline:
            return figures
        await asyncio.sleep(0.2)


async def own_figures(demo):
    """What the demo reports with one client, this one."""
    async with session(demo, Tally(), "/stats") as client:
        figures = json.loads(await client.receive())
        await client.close()
    return figures


class ServerEnded(Exception):
    """What then remains is its log."""


class Samples:
    """Takes a sample every second: the demos' figures and what their clients counted."""

    def __init__(self, demos, tally):
        self._demos = demos
        self._tally = tally
        self._begin = time.monotonic()
        self.rows = []

    def take(self):
        self.rows.append({
            "seconds": round(time.monotonic() - self._begin, 2),
            "messages": self._tally.messages, "connections": self._tally.connections,
            "errors": self._tally.errors,
            **{demo.name: demo.figures() for demo in self._demos}})

    async def follow(self, seconds):
        told = self._begin
        self.take()
        while time.monotonic() < self._begin + seconds:
            await asyncio.sleep(SAMPLE_SECONDS)
            for demo in self._demos:
                if not demo.runs:
                    raise ServerEnded(f"{demo.name}: the server ended by itself after "
                                      f"{time.monotonic() - self._begin:.0f} s: see its log")
            self.take()
            if time.monotonic() - told >= REPORT_SECONDS:
                told = time.monotonic()
                self._tell()

    def series(self, demo):
        return {kind: [row[demo.name][kind] for row in self.rows] for kind in TOLERANCES}

    def _tell(self):
        now = self.rows[-1]
        print(f"{now['seconds']:.0f} s: {now['messages']} messages, {now['connections']} "
              f"connections, {now['errors']} errors", *(
                  f"; {demo.name} {now[demo.name]['memory']} KiB, "
                  f"{now[demo.name]['descriptors']} descriptors, "
                  f"{now[demo.name]['threads']} threads" for demo in self._demos),
              sep="", flush=True)


async def soak(demos, seconds):
    """What is written to soak.json, except the verdict."""
    for demo in demos:
        await warm_up(demo)
    idle = {demo.name: demo.figures() for demo in demos}
    tally = Tally()
    samples = Samples(demos, tally)
    population = Population(demos, tally)
    await samples.follow(seconds)
    await population.leave()
    report = {"seconds": samples.rows[-1]["seconds"], "clients": {
        "messages": tally.messages, "bytes": tally.bytes, "connections": tally.connections,
        "errors": tally.errors, "first_errors": tally.kept_errors,
        "done": dict(sorted(tally.done.items()))}}
    servers = {}
    after = await settled(demos, idle)
    for demo in demos:
        servers[demo.name] = {
            "idle": idle[demo.name], "after": after[demo.name],
            "trends": {kind: trend(kind, series)._asdict()
                       for kind, series in samples.series(demo).items()},
            "own_figures": await own_figures(demo)}
    return {**report, "servers": servers, "samples": samples.rows}, samples


def complaints(report, samples, demos):
    """Everything that is wrong, once the demos have ended."""
    found = []
    if report["clients"]["errors"]:
        found.append(f"{report['clients']['errors']} errors, of which the first is "
                     f"{report['clients']['first_errors'][0]}")
    for demo in demos:
        server = report["servers"][demo.name]
        found += growth(demo.name, samples.series(demo))
        found += leftovers(demo.name, server["idle"], server["after"])
        connections = server["own_figures"]["connections"]
        if connections != 1:
            found.append(f"{demo.name}: counts {connections} clients instead of one, the last")
        if demo.exit_code != 0:
            found.append(f"{demo.name}: ended with {demo.exit_code}")
        count, first = demo.log_lines("error")
        if count:
            found.append(f"{demo.name}: logged {count} errors, of which the first is {first}")
    return found


def print_report(report):
    clients = report["clients"]
    print(f"{report['seconds']:.0f} s, {clients['messages']} messages, "
          f"{clients['bytes'] >> 20} MiB, {clients['connections']} connections, "
          f"{clients['errors']} errors")
    print(f"{'server':<8}{'':<13}{'idle':>8}{'second quarter':>16}{'last quarter':>14}"
          f"{'limit':>9}{'after':>8}")
    for name, server in report["servers"].items():
        for kind, found in server["trends"].items():
            print(f"{name:<8}{kind:<13}{server['idle'][kind]:>8}{found['second']:>16.0f}"
                  f"{found['last']:>14.0f}{found['limit']:>9.0f}{server['after'][kind]:>8}")


def parse_arguments():
    parser = argparse.ArgumentParser(description="long run of the demo server")
    parser.add_argument("--build", default="build", help="where demo/websock-demo is")
    parser.add_argument("--seconds", type=int, default=60, help="how long clients come and go")
    args = parser.parse_args()
    if args.seconds < MIN_SECONDS:
        parser.error(f"at least {MIN_SECONDS} seconds, or there is nothing to compare")
    return args


def main():
    args = parse_arguments()
    directory = pathlib.Path(args.build, "soak")
    directory.mkdir(parents=True, exist_ok=True)
    program = pathlib.Path(args.build, "demo", "websock-demo")
    demos = [Demo("plain", program, directory), Demo("TLS", program, directory, tls=True)]
    with contextlib.ExitStack() as stack:
        for demo in demos:
            stack.enter_context(demo)
        try:
            report, samples = asyncio.run(soak(demos, args.seconds))
        except ServerEnded as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
    report["complaints"] = complaints(report, samples, demos)
    report["tolerances"] = {kind: tolerance._asdict() for kind, tolerance in TOLERANCES.items()}
    (directory / "soak.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    draw(report, directory / "soak.png")
    print_report(report)
    print(f"drawn in {directory / 'soak.png'}; figures in {directory / 'soak.json'}")
    for complaint in report["complaints"]:
        print(f"soak: {complaint}", file=sys.stderr)
    if not report["complaints"]:
        print("soak: passed")
    return 1 if report["complaints"] else 0


if __name__ == "__main__":
    sys.exit(main())
