#!/usr/bin/python3 -B
# What is the demo server's own and not the library's: its command line, the files it has
# inside, and the bounds of what anybody may make it do.

import json
import pathlib
import signal
import socket
import struct
import subprocess
import unittest

from deadline import DEADLINE
from demo_server import BUILD, DemoServer
from over_tls import TLS_1_3, over_tls
from raw_socket import BINARY, CLOSE, FIN, TEXT, UPGRADE, Case, frame, request

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
                (["--max-file", "0"], "not a number of bytes: 0"),
                (["--send-timeout", "0"], "not a number of seconds from 1 to 3600: 0"),
                (["--send-timeout=soon"], "not a number of seconds from 1 to 3600: soon"),
                (["--origin", "other.org"], "not an origin like https://example.org: other.org"),
                (["--origin=https://example.org"] * 33, "too many origins: https://example.org"),
                (["--cert", "file"], "option missing: --key, for --cert"),
                (["--key=file"], "option missing: --cert, for --key"),
                (["--node", "a/b"], "not 1 to 32 letters, digits, hyphens and underscores: a/b"),
                (["--node", "x" * 33], "x" * 33),
                (["--node="], "not 1 to 32 letters"),
                (["--redis=127.0.0.1:6379"], "option missing: --node, for --redis"),  # without --node
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

    def test_a_node_whose_redis_is_away_does_not_start(self):
        run = self.run_with("--node=a", "--redis=unix:/nonexistent/socket", "--port=0")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("unix:/nonexistent/socket", run.stderr)


class FilesTest(Case):
    def test_sources_are_served_as_they_are(self):
        for path, file in (("/README.md", "README.md"), ("/websock.h", "websock/websock.h"),
                           ("/server.c", "demo/server.c"), ("/block.c", "demo/block.c"),
                           ("/slow.c", "demo/slow.c"), ("/chat.c", "demo/chat.c"),
                           ("/people.c", "demo/people.c"), ("/cluster.c", "demo/cluster.c"),
                           ("/prices.c", "demo/prices.c"), ("/transfer.c", "demo/transfer.c")):
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


class ChatTest(Case):
    def say(self, connection, text):
        connection.sendall(frame(TEXT, text.encode()))

    def heard(self, connection, count):
        """The next (id, text) that have been said, without what the server says itself."""
        heard = []
        while len(heard) < count:
            got = self.read_frame(connection)
            self.assertEqual(got.first_byte, FIN | TEXT, got)
            if not got.payload.startswith(b"{"):
                heard.append(tuple(got.payload.decode().split(" ", 1)))
        return heard

    def texts(self, connection, count):
        return [text for _, text in self.heard(connection, count)]

    def wait_for_people(self, connection, count):
        while json.loads(self.read_frame(connection).payload) != {"type": "people", "count": count}:
            pass

    def close_code(self, connection):
        while (got := self.read_frame(connection)).first_byte != FIN | CLOSE:
            pass
        return struct.unpack("!H", got.payload[:2])[0]

    def test_a_message_comes_as_it_was_sent_behind_an_id_of_its_own(self):
        connection = self.upgrade("/chat")
        sent = ["grüße 🦆", "", "two\nlines\0", '{"type":"people","count":99}', "x" * 4096]
        for text in sent:
            self.say(connection, text)
        heard = self.heard(connection, len(sent))
        self.assertEqual([text for _, text in heard], sent)
        self.assertEqual(len({id for id, _ in heard}), len(sent))

    def test_binary_and_long_messages_end_the_connection(self):
        for message, code in ((frame(BINARY, b"x"), 1003), (frame(TEXT, b"x" * 4097), 1009)):
            with self.subTest(code=code):
                connection = self.upgrade("/chat")
                connection.sendall(message)
                self.assertEqual(self.close_code(connection), code)

    def test_all_are_told_how_many_there_are(self):
        first = self.upgrade("/chat")
        self.wait_for_people(first, 1)
        second, third = self.upgrade("/chat"), self.upgrade("/chat")
        for connection in (first, second, third):
            self.wait_for_people(connection, 3)
        second.sendall(frame(CLOSE, struct.pack("!H", 1000)))
        self.wait_for_people(first, 2)
        third.close()
        self.wait_for_people(first, 1)

    def test_a_newcomer_gets_the_last_20_messages_and_then_the_new_ones(self):
        alice = self.upgrade("/chat")
        for i in range(25):
            self.say(alice, f"message {i}")
        said = self.heard(alice, 25)
        bob = self.upgrade("/chat")
        self.assertEqual(self.heard(bob, 20), said[5:])
        self.say(alice, "one more")
        self.assertEqual(self.texts(bob, 1), ["one more"])

    def test_who_comes_back_gets_what_was_said_meanwhile_once_and_all_of_it(self):
        alice, bob = self.upgrade("/chat"), self.upgrade("/chat")
        for i in range(5):
            self.say(alice, f"message {i}")
        last_id, text = self.heard(bob, 3)[-1]  # two more are on their way, and lost with it
        self.assertEqual(text, "message 2")
        bob.close()
        for i in range(5, 105):
            self.say(alice, f"message {i}")
        self.heard(alice, 105)
        bob = self.upgrade(f"/chat?after={last_id}")
        self.say(alice, "welcome back")
        self.assertEqual(self.texts(bob, 103),
                         [f"message {i}" for i in range(3, 105)] + ["welcome back"])

    def test_who_has_been_away_too_long_is_told_and_gets_the_last_messages(self):
        alice = self.upgrade("/chat")
        for i in range(1020):
            self.say(alice, f"message {i}")
        said = self.heard(alice, 1020)
        for after in (said[0][0], "no-such-id", "x" * 1000, ""):
            with self.subTest(after=after):
                bob = self.upgrade(f"/chat?after={after}")
                self.assertEqual(self.read_frame(bob).payload, b'{"type":"gap"}')
                self.assertEqual(self.heard(bob, 20), said[-20:])

    def test_what_is_said_in_one_room_is_not_heard_in_another(self):
        lobby, chess = self.upgrade("/chat"), self.upgrade("/chat/chess_4-2")
        self.wait_for_people(lobby, 1)
        self.wait_for_people(chess, 1)
        self.say(chess, "check")
        self.assertEqual(self.texts(chess, 1), ["check"])
        self.say(lobby, "hello")
        self.assertEqual(self.texts(lobby, 1), ["hello"])
        self.assertEqual(self.texts(self.upgrade("/chat/lobby"), 1), ["hello"])

    def test_other_names_are_no_rooms(self):
        for path in ("/chat/", "/chat/a%20b", "/chat/a/b", "/chats", "/chat/" + 65 * "x"):
            with self.subTest(path=path):
                self.assertEqual(self.ask(request(path, headers=UPGRADE)).status, 404)
        self.upgrade("/chat/" + 64 * "x")


class NodeTest(Case):
    """A node of a cluster, but without the others: cluster_test.py has them."""

    def setUp(self):
        self.server = self.enterContext(DemoServer("--node", "a"))

    def end(self, query="", origin=None, method="POST"):
        host = f"{self.server.host}:{self.server.port}"
        headers = {"Host": host, "Origin": origin or self.server.origin, "Content-Length": "0"}
        return request(f"/node/end{query}", method, headers)

    def test_it_says_its_name(self):
        self.assertEqual(json.loads(self.ask(request("/node")).body), {"node": "a"})

    def test_the_chat_begins_with_its_name_which_is_in_ids_and_counts_too(self):
        connection = self.upgrade("/chat")
        self.assertEqual(json.loads(self.read_frame(connection).payload),
                         {"type": "node", "node": "a"})
        self.assertEqual(json.loads(self.read_frame(connection).payload),
                         {"type": "people", "node": "a", "count": 1})
        connection.sendall(frame(TEXT, b"hello"))
        while (said := self.read_frame(connection).payload).startswith(b"{"):
            pass  # the count, again
        self.assertRegex(said, rb"^a-\d+ hello$")

    def test_the_count_comes_again_although_nobody_comes_or_goes(self):
        connection = self.upgrade("/chat")
        self.read_frame(connection)
        for _ in range(2):
            self.assertEqual(json.loads(self.read_frame(connection).payload),
                             {"type": "people", "node": "a", "count": 1})

    def test_it_ends_as_by_a_crash_when_it_is_told_to(self):
        self.server.exit_code = -signal.SIGKILL
        self.assertEqual(self.ask(self.end(method="GET")).status, 405)
        self.assertEqual(self.ask(self.end(origin="https://other.example")).status, 403)
        self.assertEqual(self.ask(self.end("?node=b")).status, 409)
        self.assertEqual(self.ask(request("/health")).status, 200)
        connection = self.connect()
        connection.sendall(self.end("?node=a"))
        try:
            self.assertEqual(self.read_to_end(connection), b"")
        except OSError:
            pass  # a crash is not orderly
        self.assertEqual(self.server.process.wait(DEADLINE), -signal.SIGKILL)


class NoNodeTest(Case):
    def test_it_is_no_node_without_a_name(self):
        for line in (request("/node"), request("/node/end")):
            self.assertEqual(self.ask(line).status, 404)
        self.assertEqual(self.ask(request("/node/end", "POST")).status, 405)


class PricesTest(Case):
    ALL = [f"X{i:03}" for i in range(500)]

    def want(self, connection, names):
        connection.sendall(frame(TEXT, " ".join(names).encode()))

    def update(self, connection):
        """Name and number of the next one."""
        update = json.loads(self.read_frame(connection).payload)
        self.assertEqual(list(update), ["name", "number", "price", "ms"])
        return update["name"], update["number"]

    def read_until(self, connection, number):
        """Until every instrument that it wants has come so far: how many updates that took."""
        count, behind = 0, set(self.ALL)
        while behind:
            name, got = self.update(connection)
            count += 1
            if got >= number:
                behind.discard(name)
        return count

    def close_reason(self, connection):
        while (got := self.read_frame(connection)).first_byte != FIN | CLOSE:
            pass
        return struct.unpack("!H", got.payload[:2])[0], got.payload[2:].decode()

    def test_a_client_gets_the_instruments_that_it_wants_and_may_change_its_mind(self):
        connection = self.upgrade("/prices")
        self.want(connection, ["X017", "X499", "X017"])
        self.assertEqual({self.update(connection)[0] for _ in range(8)}, {"X017", "X499"})
        self.want(connection, ["X400"])
        while self.update(connection)[0] != "X400":
            pass
        self.assertEqual({self.update(connection)[0] for _ in range(5)}, {"X400"})

    def test_who_does_not_read_gets_the_newest_only_and_others_get_all(self):
        slow = self.connect_tcp()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        slow = self.secure(slow, self.tls_version) if self.tls_version else slow
        slow = self.upgrade("/prices", connection=slow)
        fast = self.upgrade("/prices")
        self.want(slow, self.ALL)
        self.want(fast, ["X000"])
        _, first = self.update(fast)
        self.read_until(slow, first + 1)
        got, last = 0, first
        while last < first + 20:
            _, last = self.update(fast)
            got += 1
        self.assertGreater(got, 15)  # a machine that is very busy may miss a turn
        self.assertLess(self.read_until(slow, last), 500 * 20 * 3 / 4)

    def test_it_rests_while_nobody_has_subscribed(self):
        connection = self.upgrade("/prices")
        self.want(connection, ["X000"])
        _, before = self.update(connection)
        self.want(connection, [])
        clock = self.upgrade("/stats")
        for _ in range(3):  # at once, and then one a second
            self.read_frame(clock)
        self.want(connection, ["X001"])  # begins with the newest one that there is
        while (update := self.update(connection))[0] != "X001":
            pass
        self.assertLess(update[1] - before, 8)

    def test_what_is_no_instrument_ends_the_connection(self):
        for name in ("X500", "X-01", "X1", "X0000", "Y000", "é", "x" * 300):
            with self.subTest(name=name):
                connection = self.upgrade("/prices")
                self.want(connection, ["X000", name])
                self.assertEqual(self.close_reason(connection)[0], 1008)

    def test_an_instrument_has_32_readers_at_most(self):
        connections = [self.upgrade("/prices") for _ in range(33)]
        for connection in connections[:32]:
            self.want(connection, ["X000"])
            self.update(connection)
        self.want(connections[32], ["X000"])
        self.assertEqual(self.close_reason(connections[32]),
                         (1008, "no such instrument, or it has enough readers"))


class StopTest(Case):
    def test_what_is_blocked_does_not_keep_the_server_from_ending_well(self):
        connection = self.upgrade("/block")
        connection.sendall(frame(TEXT, b"block") * 20)
        self.assertEqual(self.read_frame(connection).payload, b"blocked")
        self.read_frame(self.upgrade("/slow"))
        self.assertEqual(self.server.stop(), 0)


over_tls(globals(), BoundsTest, ChatTest, StopTest, versions=[TLS_1_3])

if __name__ == "__main__":
    unittest.main()
