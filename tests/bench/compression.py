# compression.py: measures permessage-deflate: every server in turn with each of its levels, and
# plain, all by the same client; then the memory of connections that have been used and are idle.
# The cases are cases.py's; the rest of the benchmark is run.py's.

import contextlib
import json
import subprocess
import time

from cases import COMPRESSION, OWN_LEVEL
from figures import summary
from memory import rollup
from servers import PINNED, client_command, settle_in, start
from table import print_compression, print_compression_heading
from turns import rounds_of, server_named, take_turns

TIME_LIMIT = 200  # seconds that one client may take
WARM_CONNECTIONS = 8
WARM_UP_SECONDS = (0.5, 0.3)
IDLE_SECONDS = 2.5  # in which a server may free what it needs only while it compresses


def variant(server, level):
    """The server, told to compress or not."""
    if level is None:
        return server._replace(name=f"{server.name}, plain")
    shown, _, history = str(level or OWN_LEVEL[server.name]).partition("/")
    if history:
        shown += f", {int(history) // 1024} KiB"

    def command(*arguments):
        return ["env", f"BENCH_COMPRESSION={level}", *server.command(*arguments)]
    return server._replace(name=f"{server.name}, level {shown}", command=command,
                           options=[*server.options, "--compressed"])


def plain_name(name):
    return f"{name.rpartition(', ')[0]}, plain"


def variants(case, args):
    for name, level in case.servers[args.quick]:
        server = server_named(name, args.build)
        if server and (not args.servers or name in args.servers):
            yield variant(server, level)


def client(case, running, args, connections, *options):
    command = client_command(args.build, case.program, running, "--message", case.message,
                             "--connections", connections, *options)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            preexec_fn=lambda: settle_in(PINNED.client, args.nice))


def end(process):
    """Its line of figures, if nobody has read it."""
    line, _ = process.communicate(timeout=TIME_LIMIT)
    if process.returncode != 0:
        raise RuntimeError("the client failed")
    return line


def measure(case, server, args):
    with start(server, args, work=case.work) as running:
        sample = json.loads(end(client(case, running, args, case.connections, "--seconds",
                                       case.seconds[args.quick], "--warmup",
                                       WARM_UP_SECONDS[args.quick])))
    del sample["answer"]
    return sample


@contextlib.contextmanager
def used_and_idle(case, running, args, count):
    holder = client(case, running, args, count, "--hold")
    try:
        if not holder.stdout.readline().startswith("open "):
            raise RuntimeError("the client failed")
        yield
    finally:
        end(holder)


def resident(pid):
    time.sleep(IDLE_SECONDS)
    return rollup(pid)["rss"]


def measure_memory(case, server, args):
    """KiB of the server for each idle connection that has had more than a window. The first few
    make it allocate what it has only once."""
    with start(server, args, work=case.work) as running:
        with used_and_idle(case, running, args, WARM_CONNECTIONS):
            before = resident(running.pid)
            with used_and_idle(case, running, args, case.idle_connections):
                after = resident(running.pid)
    return {"kib": (after - before) / case.idle_connections}


def by_plain(results, name, figure):
    """Ratios to the same server's without compression, round by round."""
    plain = results.get(plain_name(name))
    if not plain:
        return None
    pairs = zip(results[name][figure]["samples"], plain[figure]["samples"])
    return summary([{figure: one / other} for one, other in pairs if other]).get(figure)


def run_case(case, args, failures):
    servers = list(variants(case, args))
    samples = take_turns(case, servers, args, failures, lambda one: measure(case, one, args))
    results = {name: summary(all_of) for name, all_of in samples.items()}
    for name, result in results.items():
        result["by_plain"] = {figure: by_plain(results, name, figure)
                              for figure in ("server_us", "per_second")}
    for server in servers:
        if server.name in results and case.idle_connections:
            sample = failures.attempt(f"{case.name}, idle, {server.name}", measure_memory, case,
                                      server, args)
            if sample:
                results[server.name].update(summary([sample]))
    print_compression(case, results)
    return {"work": case.work, "servers": results}


def run_compression(args, failures):
    """Figures by the case's name."""
    cases = [case for case in COMPRESSION if args.only in case.name and rounds_of(case, args)]
    if cases:
        print(flush=True)
        print_compression_heading()
    return {case.name: run_case(case, args, failures) for case in cases}
