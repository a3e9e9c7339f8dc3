# locks.py: what a message costs in mutexes: how often they are taken for it and how long they are
# held, all of them together and one by one. The server is echo_server with lock_count.cpp, which
# counts; load.cpp counts the messages.

import json
import os
import subprocess

from cases import LOCKS, LOCKS_COUNTED
from servers import SERVERS, client_command, processors_of, settle_in, start
from turns import rounds_of

TIME_LIMIT = 60  # seconds that the client may take
LEAST_TAKEN = 0.05  # times a message: what is taken less is not shown
LOCK_FILES = ("lock.h", "lock.cpp")


def run_locks(args, failures):
    """Figures by the case's name."""
    cases = [case for case in LOCKS if args.only in case.name and rounds_of(case, args)]
    if cases:
        print(flush=True)
        row("locks, per message", "threads", "taken", "held ns", "taken in (held ns)")
    return {case.name: failures.attempt(case.name, run_case, case, args) for case in cases}


def run_case(case, args):
    counted = per_message(*measure(case, args))
    for lock in (counted["shared"], counted["others"], *counted["locks"]):
        name_callers(lock, f"{args.build}/echo_server_locks")
    print_locks(case, counted)
    return counted


def measure(case, args):
    """What the server counted, and the messages. There is no warm-up, so that both have all of
    them; making the connections counts, too."""
    processors = processors_of(case)
    with start(SERVERS[LOCKS_COUNTED], args, case.payload, case.work, processors) as running:
        command = client_command(args.build, case.program, running, "--connections",
                                 case.connections, "--payload", case.payload, "--depth",
                                 case.depth, "--seconds", case.seconds[args.quick], "--warmup", 0)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=TIME_LIMIT,
                              preexec_fn=lambda: settle_in(processors.client, args.nice),
                              check=False)
    if done.returncode != 0:
        raise RuntimeError("the client failed")
    return json.loads(running.process.stdout.read()), json.loads(done.stdout)["messages"]


def per_message(counted, messages):
    if isinstance(counted, list):
        return [per_message(one, messages) for one in counted]
    if not isinstance(counted, dict):
        return counted
    return {key: value / messages if key in ("taken", "held_ns") else per_message(value, messages)
            for key, value in counted.items()}


def name_callers(lock, program):
    """Says of each caller in which function of ours it is, if addr2line is there to tell."""
    for caller in lock["callers"]:
        caller["function"] = function_at(caller["address"], program)


def function_at(address, program):
    try:
        done = subprocess.run(["addr2line", "-ifC", "-e", program, address], text=True, check=True,
                              stdout=subprocess.PIPE)
    except (OSError, subprocess.SubprocessError):
        return address
    lines = done.stdout.splitlines()
    named = list(zip(lines[::2], lines[1::2]))  # from the inside out, where it was inlined
    for function, place in named:
        if os.path.basename(place.rpartition(":")[0]) not in LOCK_FILES:
            return function.partition("(")[0].removeprefix("websock::")
    return "a wait" if named else address


def row(case, threads, taken, held_ns, where=""):
    print("{:<32} {:>8} {:>6} {:>8}  {}".format(
        case, threads, taken, held_ns, where).rstrip(), flush=True)


def print_locks(case, counted):
    shared, others = counted["shared"], counted["others"]
    row(f"{case.name}: all", counted["threads"],
        *shown(sum(lock["use"][key] for lock in (shared, others)) for key in ("taken", "held_ns")))
    print_lock(case, "others", others)
    print_lock(case, "shared", shared)
    often = [lock for lock in counted["locks"] if lock["use"]["taken"] >= LEAST_TAKEN]
    for lock in often if len(often) > 1 else ():
        print_lock(case, "one shared", lock)


def print_lock(case, what, lock):
    row(f"{case.name}: {what}", lock["threads"], *shown(lock["use"].values()), callers_of(lock))


def shown(use):
    taken, held_ns = use
    return f"{taken:.2f}", f"{held_ns:.0f}"


def callers_of(lock):
    """By function; one may take it at several places."""
    found = {}
    for caller in lock["callers"]:
        taken, held_ns = found.get(caller["function"], (0, 0))
        found[caller["function"]] = (taken + caller["use"]["taken"],
                                     held_ns + caller["use"]["held_ns"])
    return ", ".join(f"{name} {taken:.2f} ({held_ns:.0f})"
                     for name, (taken, held_ns) in found.items() if taken >= LEAST_TAKEN)
