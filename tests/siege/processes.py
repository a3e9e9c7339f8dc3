# processes.py: the running programs of a siege: server, honest client, newcomer and attackers,
# and the server's memory and threads. cases.py says what they do.

import contextlib
import json
import os
import pathlib
import subprocess
import time

from cases import TLS, size_of, told

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST_MEMORY = 2 << 20  # KiB; at this much the attack ends
LOOK_EVERY, LOOK_AT_LEAST_EVERY = 0.1, 0.5  # seconds


class Program:
    """A program that reads orders, prints a line of JSON and ends with its stdin."""

    def __init__(self, *command, stderr=None, nice=0):
        self.name = pathlib.Path(command[0]).name
        # In a session of its own the scheduler treats it as one program, however many threads
        # it has.
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=stderr, start_new_session=True, preexec_fn=lambda: os.nice(nice))

    def expect(self, word):
        line = self.process.stdout.readline().split()
        if not line or line[0] != word:
            raise RuntimeError(f"{self.name} did not print {word}")
        return line[1:]

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def report(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        for line in self.process.stdout:
            if line.startswith("{"):  # the rest is from callbacks that print
                return json.loads(line)
        raise RuntimeError(f"{self.name} has failed")

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


class Siege:
    """Starts the programs of one run; they end with the stack."""

    def __init__(self, case, settings, transport, build, stack):
        self.case, self.settings, self.transport = case, settings, transport
        self.build = build
        self.stack = stack

    def start(self, program, *arguments, **options):
        started = Program(f"{self.build}/{program}", *arguments, **options)
        self.stack.callback(started.end)
        return started

    def start_server(self):
        """The server and its port."""
        arguments = [f"{name}={value}" for name, value in told(self.case, self.settings).items()]
        if self.transport == TLS:
            arguments += self.certificate()
        stderr = None if self.case.log == "none" else self.log_pipe()
        server = self.start("server", *arguments, stderr=stderr)
        return server, server.expect("port")[0]

    def start_attackers(self, port, nice):
        count = self.case.count[self.transport == TLS]
        arguments = [port, count]
        if self.case.program == "besiege":
            arguments = [port, self.transport, self.case.attack, count,
                         size_of(self.case, self.settings)]
        return self.start(self.case.program, *arguments, nice=nice)

    def certificate(self):
        directory = pathlib.Path(self.build).resolve()
        key, cert = directory / "siege.key", directory / "siege.crt"
        subprocess.run(["sh", ROOT / "demo" / "certificate.sh", key, cert], check=True)
        return f"key={key}", f"cert={cert}"

    def log_pipe(self):
        """The write end of a pipe that is not read, or has no reader."""
        reader, writer = os.pipe()
        self.stack.callback(os.close, writer)
        if self.case.log == "nobody is there":
            os.close(reader)
        else:
            self.stack.callback(os.close, reader)
        return writer


def memory_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        next(file)
        figures = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return figures["Private_Clean"] + figures["Private_Dirty"]


def thread_count(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


class Watch:
    """Watches what the server uses."""

    def __init__(self, pid):
        self.pid = pid
        self.before = self.peak = self.last = memory_kib(pid)
        self.threads = thread_count(pid)

    def look(self):
        try:
            self.last = memory_kib(self.pid)
            self.threads = max(self.threads, thread_count(self.pid))
        except (OSError, StopIteration) as error:
            raise RuntimeError("the server has died") from error
        self.peak = max(self.peak, self.last)

    def look_for(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.last < MOST_MEMORY:
            began = time.monotonic()
            self.look()
            # Reading the figures may hold up a large process.
            took = time.monotonic() - began
            time.sleep(min(max(LOOK_EVERY, 10 * took), LOOK_AT_LEAST_EVERY))
