# turns.py: how servers take turns in a case, round by round (A B A B), so that what else the
# machine does meets all of them alike; and what becomes of one that fails. Which cases there are
# is cases.py's.

import functools
import subprocess

from cases import NGINX_TLS
from servers import NGINX, SERVERS


@functools.cache
def server_named(name, build):
    """None: this machine does not have it."""
    server = NGINX if name == NGINX_TLS else SERVERS[name]
    return server if server.is_there(build) else None


class Failures:
    """What did not work. The rest goes on, and the whole is a failure in the end."""

    def __init__(self):
        self.lines = []

    def attempt(self, what, work, *arguments):
        """None: it has failed."""
        try:
            return work(*arguments)
        except (RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
            self.lines.append(f"{what}: {error}")
            print(f"FAILED: {self.lines[-1]}", flush=True)
            return None


def those_of(names, args):
    """The servers that are there and wanted."""
    servers = [server_named(name, args.build) for name in names
               if not args.servers or name in args.servers]
    return [server for server in servers if server]


def rounds_of(case, args):
    return case.rounds[args.quick] and (args.rounds or case.rounds[args.quick])


def take_turns(case, servers, args, failures, work):
    """Samples by server's name, of those with which every round worked."""
    samples = {server.name: [] for server in servers}
    for _ in range(rounds_of(case, args)):
        for server in servers:
            if server.name not in samples:
                continue
            sample = failures.attempt(f"{case.name}, {server.name}", work, server)
            if sample is None:
                del samples[server.name]
            else:
                samples[server.name].append(sample)
    return samples
