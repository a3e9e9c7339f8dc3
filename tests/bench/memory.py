# memory.py: the memory an idle connection takes, and what a server gives back when all have
# gone. The clients are idle.cpp. A client's own memory is not counted; the kernel's memory for
# its end of the connection is.

import contextlib
import subprocess
import time

from servers import client_command, start

CLIENT_CONNECTIONS = 5000  # per idle client process: well below its limit of files
SETTLE_SECONDS = 1.5  # until the kernel's per-processor counters of memory are up to date
GIVE_BACK_SECONDS = 45  # time a server has to give memory back
QUIET_SECONDS = 14  # spare threads leave after ten, then the heap is trimmed
KINDS = ("sum", "process", "stacks", "slab", "tables", "available")


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


@contextlib.contextmanager
def warmed_up(server, args):
    """Makes the server allocate what it has only once, and starts the clients, before
    anything is counted."""
    with start(server, args) as running:
        warm = start_idle(args.build, running, 8)
        try:
            warm.stdout.readline()
            yield running
        finally:
            end(warm)


def end(client):
    client.stdin.close()
    client.wait(60)


@contextlib.contextmanager
def connected(running, server, count, args):
    """Opens this many connections, each after one echo."""
    clients = []
    try:
        for begun in range(0, count, CLIENT_CONNECTIONS):
            clients.append(start_idle(args.build, running, min(count - begun, CLIENT_CONNECTIONS)))
        for client in clients:
            if not client.stdout.readline().startswith("open "):
                raise RuntimeError(f"{server.name}: {count} connections: a client failed")
        yield
    finally:
        for client in clients:
            end(client)


def measure_idle(server, count, args):
    """KiB per connection for each kind of memory."""
    with warmed_up(server, args) as running:
        before = memory(running.pid)
        with connected(running, server, count, args):
            after = memory(running.pid)
    return {key: (after[key] - before[key]) / count for key in after}


def wait_until_given_back(pid):
    """Waits until the process's memory stops falling; returns the seconds until it last fell."""
    began = time.monotonic()
    least, fell_at = rollup(pid)["process"], began
    while time.monotonic() < min(fell_at + QUIET_SECONDS, began + GIVE_BACK_SECONDS):
        time.sleep(0.25)
        now = rollup(pid)["process"]
        if now < least * 0.99:
            least, fell_at = now, time.monotonic()
    return fell_at - began


def measure_given_back(server, count, args):
    """KiB of the server's own (Private) memory before, with and after this many connections.
    kept_of_system: how much larger "sum", the kernel's part included, is after than before."""
    with warmed_up(server, args) as running:
        before = memory(running.pid)
        with connected(running, server, count, args):
            between = memory(running.pid)
        seconds = wait_until_given_back(running.pid)
        after = memory(running.pid)
    return {"before": before["process"], "with": between["process"], "after": after["process"],
            "after_by_before": after["process"] / before["process"],
            "kept": after["process"] - before["process"],
            "kept_of_system": after["sum"] - before["sum"], "seconds": seconds}
