# machine.py: records where, with what commit and when a benchmark was run, for bench.json, and
# raises the limits it needs.

import datetime
import os
import platform
import resource
import subprocess
import sys


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def commit(root):
    """None outside a clone or without git."""
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=root, text=True,
                              capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def describe(root):
    return {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "kernel": platform.release(), "cpu": cpu_model(), "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
            "commit": commit(root), "command": ["tests/bench/run.py", *sys.argv[1:]],
            "loadavg_before": os.getloadavg()}


def allow_files():
    """Raises this process's limit of open files to the hard limit; the servers inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
