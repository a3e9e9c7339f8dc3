# A redis-server of a test's own, on a Unix socket in a directory of its own.

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"
# In the PATH, or made available by tests/deps.sh.
REDIS = shutil.which("redis-server", path=f"{os.environ['PATH']}:{BUILD}")
DEADLINE = 30


class RedisServer:
    """A context manager. settings: more lines of its configuration."""

    def __init__(self, *settings):
        self.settings = settings

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="websock-redis-")
        self.path = pathlib.Path(self.directory.name)
        self.socket = self.path / "socket"
        self.address = f"unix:{self.socket}"
        self.start()
        return self

    def __exit__(self, *error):
        with self.directory:
            self.kill()

    def start(self):
        lines = ["port 0", f"unixsocket {self.socket}", 'save ""', "appendonly yes",
                 "appendfsync always", f"dir {self.path}", f"logfile {self.path}/log",
                 *self.settings]
        (self.path / "redis.conf").write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen([REDIS, self.path / "redis.conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + DEADLINE
        while not self.answers():
            assert time.monotonic() < deadline, (self.path / "log").read_text()
            time.sleep(0.01)

    def answers(self):
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def command(self, *words):
        """The beginning of the reply, in the protocol's bytes."""
        parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part)
                                                     for part in parts)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(self.socket))
            connection.sendall(request)
            return connection.recv(65536)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def forget_data(self):
        shutil.rmtree(self.path / "appendonlydir")
