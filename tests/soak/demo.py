# demo.py: the demo server as the soak runs it, plain or over TLS: its process, the kernel's
# figures for it, and its certificates. population.py has its clients.

import itertools
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import certificates

STOP_SECONDS = 30

# glibc gives threads up to eight arenas per processor, by chance, and memory freed in an arena
# stays resident. For an hour that looks like a leak, and would hide one. So there is one
# arena, and blocks that are large or at its end go back to the system when freed.
TUNABLES = ":".join(["glibc.malloc.arena_max=1", "glibc.malloc.mmap_threshold=131072",
                     "glibc.malloc.trim_threshold=131072"])


class Demo:
    """A context manager. Everything the demo prints on stderr is in directory/NAME.log."""

    def __init__(self, name, program, directory, tls=False):
        self.name = name
        self.tls = tls
        self.exit_code = None
        self._program = program
        self._files = directory
        self._log = directory / f"{name}.log"
        self._contexts = itertools.repeat(None)
        if tls:
            self._make_certificates()

    def __enter__(self):
        files = ["--key", self._files / "now.key", "--cert", self._files / "now.crt"]
        with open(self._log, "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [self._program, "--port", "0", *(files if self.tls else [])],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env={"GLIBC_TUNABLES": TUNABLES, **os.environ})
        announced = re.search(r":(\d+)/$", self._process.stdout.readline())
        if not announced:
            self.stop()
            raise RuntimeError(f"{self._program} did not start: see {self._log}")
        self.port = int(announced[1])
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Sends SIGTERM if the demo is running."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self.exit_code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self.exit_code = f"nothing within {STOP_SECONDS} s of SIGTERM"

    @property
    def runs(self):
        return self._process.poll() is None

    def figures(self):
        """The process's current figures. Memory is resident memory, in KiB."""
        directory = pathlib.Path("/proc", str(self._process.pid))
        status = dict(line.split(":", 1) for line in
                      (directory / "status").read_text(encoding="ascii").splitlines())
        return {"memory": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]),
                "descriptors": len(os.listdir(directory / "fd"))}

    def log_lines(self, level):
        """The number of log lines of this level, and the first one."""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            lines = [line.strip() for line in log if line.startswith(f"libwebsock: {level}: ")]
        return len(lines), lines[0] if lines else ""

    def context(self):
        """The client's side of TLS, 1.3 and 1.2 in turn; None for plain."""
        return next(self._contexts)

    def reload(self):
        """Installs the other certificate and sends the signal to read it."""
        self._use(next(self._pairs))
        self._process.send_signal(signal.SIGHUP)

    def _make_certificates(self):
        self._pairs = itertools.cycle((certificates.server(), certificates.server("localhost")))
        self._use(next(self._pairs))
        self._contexts = itertools.cycle([
            certificates.client_context(version)
            for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2)])

    def _use(self, pair):
        shutil.copy(pair.key, self._files / "now.key")
        shutil.copy(pair.chain, self._files / "now.crt")
