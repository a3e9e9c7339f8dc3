#!/usr/bin/python3 -B
# What a cluster of three nodes costs, all on this machine, with one redis-server: as much as they
# can publish, the latency of 10,000 messages a second, and how soon the last gap is filled when
# redis-server has come back after kill -9. cluster_reader checks that nothing is lost, doubled or
# in another order. Beside it the floor: hiredis alone, without a log. Started by
# `make bench CLUSTER=1`; builds nothing.

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

NODES = 3
PAYLOAD = 200


class Redis:
    def __init__(self, program, directory, appendonly):
        self.path = pathlib.Path(directory, "redis.sock")
        self.command = [program, "--port", "0", "--unixsocket", str(self.path), "--dir", directory,
                        "--appendonly", appendonly, "--appendfsync", "everysec", "--save", ""]
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(1000):
            if self.path.exists():
                return
            time.sleep(0.01)
        raise RuntimeError("redis-server does not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.path.unlink()

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Node:
    def __init__(self, build, number, redis, topics):
        self.process = subprocess.Popen(
            [f"{build}/cluster_node", str(number), f"unix:{redis.path}", str(topics)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self):
        self.say("stop")
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(30)


class Cluster:
    """Three nodes, and a client of each."""

    def __init__(self, build, redis, topics):
        self.nodes = [Node(build, number, redis, topics) for number in range(NODES)]
        self.reader = subprocess.Popen(
            [f"{build}/cluster_reader", *(str(node.port) for node in self.nodes)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.reader.stdout.readline() != "ready\n":
            raise RuntimeError("the nodes' clients have not subscribed")

    def end(self, published):
        """What the clients have had, once they have it all."""
        out, _ = self.reader.communicate(f"{published * NODES}\n", timeout=100)
        for node in self.nodes:
            node.end()
        if self.reader.returncode != 0:
            raise RuntimeError("messages were lost, doubled or in another order")
        return json.loads(out)


def publish(cluster, redis, rate, seconds):
    for node in cluster.nodes:
        node.say(f"go {rate / NODES}")
    before = redis.cpu_seconds()
    time.sleep(seconds)
    stopped = [node.stop() for node in cluster.nodes]
    total = {key: sum(one[key] for one in stopped) for key in stopped[0]}
    total["seconds"] = stopped[0]["seconds"]
    total["redis_cpu"] = redis.cpu_seconds() - before
    return total


def measure(build, redis, rate, topics, seconds):
    cluster = Cluster(build, redis, topics)
    sent = publish(cluster, redis, rate, seconds)
    got = cluster.end(sent["published"])
    # As fast as they can, most of the time is spent waiting to leave.
    latency = (f"; latency p50 {got['p50_us'] / 1000:.2f} ms, p99 {got['p99_us'] / 1000:.2f} ms"
               if rate else "")
    print(f"{NODES} nodes, {topics} topics, {f'{rate} per s' if rate else 'as fast as they can'}:"
          f" {sent['published'] / sent['seconds']:.0f} publications/s; CPU of a publication and its"
          f" {NODES} deliveries {sent['cpu_seconds'] / sent['published'] * 1e6:.1f} us, of Redis"
          f" {sent['redis_cpu'] / sent['published'] * 1e6:.1f} us{latency}")


def floor(build, redis, seconds):
    before = redis.cpu_seconds()
    done = subprocess.run([f"{build}/cluster_floor", str(redis.path), str(NODES), str(seconds)],
                          stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout)
    print(f"floor, hiredis alone: {figures['published'] / figures['seconds']:.0f} publications/s;"
          f" CPU {figures['cpu_seconds'] / figures['published'] * 1e6:.1f} us, of Redis"
          f" {(redis.cpu_seconds() - before) / figures['published'] * 1e6:.1f} us;"
          f" received {figures['received']} of {figures['published'] * NODES}")


def recovery(build, redis, rate):
    """How long after redis-server is back the latencies are those of before: the oldest message
    tells, since none is lost."""
    cluster = Cluster(build, redis, 10)
    for node in cluster.nodes:
        node.say(f"go {rate / NODES}")
    time.sleep(2)
    redis.kill()
    away = time.monotonic()
    time.sleep(1)
    redis.start()
    away = time.monotonic() - away
    time.sleep(6)
    sent = [node.stop() for node in cluster.nodes]
    published = sum(one["published"] for one in sent)
    got = cluster.end(published)
    refused = sum(one["refused"] for one in sent)
    print(f"kill -9 of Redis, {away:.2f} s away, at {rate} per s: the oldest message was"
          f" {got['max_us'] / 1e6:.2f} s old, {refused} publications were refused")


def main():
    parser = argparse.ArgumentParser(description="benchmark of a cluster")
    parser.add_argument("--build", default="build/bench", help="where the programs are")
    parser.add_argument("--redis-server",
                        default=shutil.which("redis-server") or "build/redis-server")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--quick", action="store_true", help="two seconds each, rougher")
    args = parser.parse_args()
    args.seconds = 2 if args.quick else args.seconds
    works = (
        ("no", lambda redis: floor(args.build, redis, args.seconds)),
        ("no", lambda redis: measure(args.build, redis, 0, 1, args.seconds)),
        ("no", lambda redis: measure(args.build, redis, 0, 10, args.seconds)),
        ("no", lambda redis: measure(args.build, redis, 10000, 10, args.seconds)),
        ("yes", lambda redis: measure(args.build, redis, 0, 10, args.seconds)),
        ("yes", lambda redis: measure(args.build, redis, 10000, 10, args.seconds)),
        ("yes", lambda redis: recovery(args.build, redis, 3000)),
    )
    for appendonly, work in works:
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
            redis = Redis(args.redis_server, directory, appendonly)
            stack.callback(lambda redis=redis: (redis.process.terminate(), redis.process.wait()))
            print(f"appendonly {appendonly:3}: ", end="", flush=True)
            work(redis)


if __name__ == "__main__":
    main()
