# One program under test as a child process: its output is collected, a line of it can be
# waited for, SIGTERM ends it. Which programs, the modules that use this one decide.

import re
import signal
import subprocess
import sys
import threading

from deadline import DEADLINE


class Program:
    """A context manager. exit_code is the code the program must exit with after SIGTERM,
    None for any."""

    def __init__(self, command, exit_code=0, **popen_options):
        self.command = [str(word) for word in command]
        self.exit_code = exit_code
        self.popen_options = popen_options
        self.lines = {"stdout": [], "stderr": []}
        self._open_streams = 2
        self._changed = threading.Condition()  # guards the two above

    def __enter__(self):
        options = {"stdin": subprocess.DEVNULL, **self.popen_options}
        self.asked_to_stop = False
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, errors="replace",
                                        **options)
        self._readers = [threading.Thread(target=self._collect, args=(name,), daemon=True)
                         for name in self.lines]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, kind, error, traceback):
        code = self.stop()
        # unittest --buffer shows this with a failed test and otherwise drops it.
        for line in self.lines["stderr"]:
            print(f"{self.command[0]}: {line}", file=sys.stderr)
        if error is None and self.exit_code is not None:
            assert code == self.exit_code, f"{self.command[0]} ended with {code}: {self.log()}"

    def wait_for_line(self, stream, pattern):
        """The match of pattern in the first line of this stream that matches."""

        def find():
            matches = (re.search(pattern, line) for line in self.lines[stream])
            return next((match for match in matches if match), None)

        with self._changed:
            self._changed.wait_for(lambda: find() or self._open_streams == 0, DEADLINE)
            match = find()
        if match is None:
            self.stop()
            raise AssertionError(f"{self.command[0]} printed no {pattern!r}: {self.log()}")
        return match

    def ask_to_stop(self):
        """Sends SIGTERM if the program is running. Only once: a second one could come after
        the program has restored the signal's disposition, just before its exit."""
        if not self.asked_to_stop and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.asked_to_stop = True

    def stop(self):
        """Asks it to stop. Returns the exit code."""
        self.ask_to_stop()
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.command[0]} outlived SIGTERM: {self.log()}") from None
        finally:
            for reader in self._readers:
                reader.join(DEADLINE)
        return code

    def log(self):
        with self._changed:
            return "\n".join(self.lines["stdout"] + self.lines["stderr"]) or "(no output)"

    def _collect(self, name):
        with getattr(self.process, name) as stream:
            for line in stream:
                with self._changed:
                    self.lines[name].append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open_streams -= 1
            self._changed.notify_all()
