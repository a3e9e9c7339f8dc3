#!/usr/bin/python3 -B
# What is the demo server's own and not the library's: its command line, the files it has
# inside, and the bounds of what anybody may make it do.

import json
import pathlib
import struct
import subprocess
import unittest

from deadline import DEADLINE
from demo_server import BUILD
from over_tls import TLS_1_3, over_tls
from raw_socket import CLOSE, FIN, TEXT, UPGRADE, Case, frame, request

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRY_AGAIN_LATER = 1013


class OptionsTest(unittest.TestCase):
    def run_with(self, *options):
        return subprocess.run([BUILD / "demo" / "websock-demo", *options], text=True,
                              timeout=DEADLINE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_help_goes_to_stdout(self):
        for option in ("--help", "-h"):
            with self.subTest(option=option):
                run = self.run_with(option)
                self.assertEqual((run.returncode, run.stderr), (0, ""))
                self.assertIn("--max-frame BYTES", run.stdout)

    def test_what_is_wrong_is_named_on_stderr(self):
        for options, named in (
                (["--nonsense"], "--nonsense"),
                (["--port"], "port"),
                (["--help=yes"], "help"),
                (["-x"], "x"),
                (["8080"], "not an option: 8080"),
                (["--max-frame", "many"], "not a number of bytes: many"),
                (["--max-frame=-1"], "not a number of bytes: -1"),
                (["--max-frame", "0"], "not a number of bytes: 0"),
                (["--send-timeout", "0"], "not a number of seconds from 1 to 3600: 0"),
                (["--send-timeout=soon"], "not a number of seconds from 1 to 3600: soon"),
                (["--origin", "other.org"], "not an origin like https://example.org: other.org"),
                (["--origin=https://example.org"] * 33, "too many origins: https://example.org"),
                (["--cert", "file"], "option missing: --key, for --cert"),
                (["--key=file"], "option missing: --cert, for --key"),
                (["--chain", "file"], "option missing: --cert and --key, for --chain")):
            with self.subTest(options=options):
                run = self.run_with(*options)
                self.assertEqual((run.returncode, run.stdout), (2, ""))
                self.assertIn(named, run.stderr.splitlines()[0])
                self.assertIn("usage: websock-demo", run.stderr)

    def test_a_port_that_is_none_is_no_matter_of_the_command_line(self):
        for options in (["--port", "no-such-service"], ["--port=no-such-service"]):
            with self.subTest(options=options):
                self.assertEqual(self.run_with(*options).returncode, 1)


class FilesTest(Case):
    def test_sources_are_served_as_they_are(self):
        for path, file in (("/README.md", "README.md"), ("/websock.h", "websock/websock.h"),
                           ("/server.c", "demo/server.c"), ("/block.c", "demo/block.c"),
                           ("/slow.c", "demo/slow.c")):
            with self.subTest(path=path):
                answer = self.ask(request(path))
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
                self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
                self.assertEqual(answer.body, (ROOT / file).read_bytes())

    def test_the_manual_is_plain_text(self):
        answer = self.ask(request("/libwebsock.7"))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertIn(b"libwebsock", answer.body)
        self.assertNotIn(b"\b", answer.body)

    def test_no_other_file_is_served(self):
        for path in ("/demo/server.c", "/../README.md", "/routes.c", "/etc/passwd"):
            with self.subTest(path=path):
                self.assertEqual(self.ask(request(path)).status, 404)


class BoundsTest(Case):
    def close_code(self, close):
        self.assertEqual(close.first_byte, FIN | CLOSE)
        return struct.unpack("!H", close.payload[:2])[0]

    def figures(self):
        """The next line of /stats."""
        return json.loads(self.read_frame(self.upgrade("/stats")).payload)

    def block(self):
        connection = self.upgrade("/block")
        connection.sendall(frame(TEXT, b"block"))
        return connection

    def test_256_callbacks_are_blocked_at_once_and_the_next_one_is_refused(self):
        connections = [self.upgrade("/block") for _ in range(256)]
        late = self.upgrade("/block")
        for connection in connections:
            connection.sendall(frame(TEXT, b"block"))
        for connection in connections:
            self.assertEqual(self.read_frame(connection).payload, b"blocked")
        late.sendall(frame(TEXT, b"block"))
        close = self.read_frame(late)
        self.assertEqual(self.close_code(close), TRY_AGAIN_LATER)
        self.assertEqual(close.payload[2:], b"256 callbacks are blocked already")
        self.assertEqual(self.figures()["blocked"], 256)
        for connection in connections:
            self.assertEqual(self.read_frame(connection).payload, b"done")
        self.assertEqual(self.read_frame(self.block()).payload, b"blocked")

    def test_a_connection_blocks_once(self):
        connection = self.upgrade("/block")
        connection.sendall(frame(TEXT, b"block") * 20)
        answers = [self.read_frame(connection) for _ in range(3)]
        self.assertEqual([answer.payload for answer in answers[:2]], [b"blocked", b"done"])
        self.assertEqual(self.close_code(answers[2]), 1000)

    def test_8_slow_readers_are_there_at_once_and_the_next_one_is_refused(self):
        ids = []
        for _ in range(8):
            greeting = self.read_frame(connection := self.upgrade("/slow"))
            ids.append(json.loads(greeting.payload)["id"])
        self.assertEqual(len(set(ids)), 8)
        self.assertEqual({reader["id"] for reader in self.figures()["slow_readers"]}, set(ids))
        close = self.read_frame(self.upgrade("/slow"))
        self.assertEqual(self.close_code(close), TRY_AGAIN_LATER)
        self.assertEqual(close.payload[2:], b"8 slow readers are here already")

        connection.close()  # the place is free when the server has noticed
        while self.read_frame(connection := self.upgrade("/slow")).first_byte == FIN | CLOSE:
            connection.close()

    def test_who_reads_gets_everything(self):
        connection = self.upgrade("/slow")
        greeting = json.loads(self.read_frame(connection).payload)
        self.assertEqual(greeting["bytes"], 64 << 20)
        got = 0
        while (part := self.read_frame(connection)).first_byte != FIN | CLOSE:
            got += len(part.payload)
        self.assertEqual((got, self.close_code(part)), (64 << 20, 1000))
        self.assertEqual(self.figures()["slow_readers"], [])


class StopTest(Case):
    def test_what_is_blocked_does_not_keep_the_server_from_ending_well(self):
        connection = self.upgrade("/block")
        connection.sendall(frame(TEXT, b"block") * 20)
        self.assertEqual(self.read_frame(connection).payload, b"blocked")
        self.read_frame(self.upgrade("/slow"))
        self.assertEqual(self.server.stop(), 0)


over_tls(globals(), BoundsTest, StopTest, versions=[TLS_1_3])

if __name__ == "__main__":
    unittest.main()
