# memory.py: what an idle connection takes. The clients are idle.cpp's; a client's own
# memory is not counted, but the kernel's for its end of the connection is.

import subprocess
import time

from servers import client_command, start

CLIENT_CONNECTIONS = 5000  # of one idle client process: well below its limit of files
SETTLE_SECONDS = 1.5  # until the kernel's per-processor counters of memory are up to date
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


def measure_idle(server, count, args):
    """KiB per connection, of each kind."""
    with start(server, args) as running:
        # The first connections make the server allocate what it has only one of, and the
        # clients are there before they count.
        warm = start_idle(args.build, running, 8)
        warm.stdout.readline()
        before = memory(running.pid)
        clients = []
        try:
            left = count
            while left > 0:
                clients.append(start_idle(args.build, running, min(left, CLIENT_CONNECTIONS)))
                left -= CLIENT_CONNECTIONS
            for client in clients:
                if not client.stdout.readline().startswith("open "):
                    raise RuntimeError(f"{server.name}: {count} connections: a client failed")
            after = memory(running.pid)
        finally:
            for client in [warm, *clients]:
                client.stdin.close()
                client.wait(60)
    return {key: (after[key] - before[key]) / count for key in after}
