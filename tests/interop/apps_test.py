#!/usr/bin/python3 -B
# The applications in demo/apps and demo/python, by Python's "websockets" as their clients have
# them. What the library does under each is tested elsewhere. Under sanitizers, check.sh runs
# the classes that measure no memory.

import asyncio
import contextlib
import itertools
import json
import os
import pathlib
import random
import socket
import struct
import sys
import tempfile
import unittest

import websockets

from deadline import DEADLINE, within
from demo_server import BUILD, _Server

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20
SLOW = {"max_queue": 1, "read_limit": 1024, "close_timeout": 0.5}  # reads when it is told to
INSTRUMENTS = ["EURUSD", "GBPUSD", "USDJPY", "USDCHF", "XAUUSD", "XAGUSD"]


class App(_Server):
    announcement = r"^\w+: ws://(127\.0\.0\.1):(\d+)/$"

    def __enter__(self):
        """Once it serves: before, SIGTERM would kill it."""
        super().__enter__()
        with socket.create_connection((self.host, self.port), DEADLINE) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 4")
        return self

    def peak_memory(self):
        """In bytes, since the start."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines()
                    if line.startswith("VmHWM:"))

    def sockets(self):
        """How many it has, the one that listens included."""
        with contextlib.suppress(FileNotFoundError):  # one was closed just now
            return len([descriptor for descriptor in
                        pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir()
                        if os.readlink(descriptor).startswith("socket:")])


class AppCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)

    def start(self, name, *options):
        return self.enterContext(App([BUILD / "demo" / name, *options]))

    async def connect(self, server, path="/", **options):
        options = {"compression": None, "max_size": None, **options}
        client = await within(websockets.connect(server.url(path), **options))
        self.addAsyncCleanup(self.leave, client)
        return client

    async def leave(self, client):
        with contextlib.suppress(websockets.ConnectionClosed):
            await within(client.close())

    async def status_of_refusal(self, server, path, **options):
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await self.connect(server, path, **options)
        return refused.exception.status_code

    async def end_of(self, client):
        """Code and reason of the server's Close, whatever comes before."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await within(client.recv())
        return client.close_code, client.close_reason

    async def until(self, is_so):
        """Waits for what no event tells of."""
        async def look():
            while not is_so():
                await asyncio.sleep(0.01)
        await within(look())


class ChatTest(AppCase):
    async def join(self, name, room="lobby", **options):
        """When it has heard of itself, it is there."""
        client = await self.connect(self.server, f"/{room}?name={name}", **options)
        heard = []
        while f"+{name}" not in heard:
            heard.append(await within(client.recv()))
        return client, heard

    async def heard_until(self, client, last):
        heard = []
        while last not in heard:
            heard.append(await within(client.recv()))
        return heard

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.server = self.start("chat", "0")

    async def test_a_name_is_a_parameter_or_a_cookie_and_without_one_it_is_401(self):
        await self.join("ann")
        bob = await self.connect(self.server, "/lobby", extra_headers={"Cookie": 'a=b; name="bob"'})
        await self.heard_until(bob, "+bob")
        for path in ("/lobby", "/lobby?name=", "/lobby?name=a%20b", "/lobby?name=a%00",
                     "/lobby?name=" + "x" * 33, "/lobby?nom=ann"):
            with self.subTest(path=path):
                self.assertEqual(await self.status_of_refusal(self.server, path), 401)

    async def test_a_path_that_is_no_room_and_a_page_of_another_site_are_403(self):
        for path in ("/?name=ann", "/a/b?name=ann", "/..?name=ann"):
            with self.subTest(path=path):
                self.assertEqual(await self.status_of_refusal(self.server, path), 403)
        self.assertEqual(await self.status_of_refusal(self.server, "/lobby?name=ann",
                                                      origin="https://example.org"), 403)
        await self.join("ann", origin=self.server.origin)

    async def test_a_name_that_is_taken_is_409_until_its_owner_has_left(self):
        ann, _ = await self.join("ann")
        bob, _ = await self.join("bob")
        self.assertEqual(await self.status_of_refusal(self.server, "/lobby?name=bob"), 409)
        await self.join("bob", room="elsewhere")
        await within(bob.close())
        await self.heard_until(ann, "-bob")
        await self.join("bob")

    async def test_of_many_who_come_at_once_with_one_name_one_gets_in(self):
        async def come():
            try:
                await self.join("ann")
                return 1
            except (websockets.InvalidStatusCode, websockets.ConnectionClosed):
                return 0
        self.assertEqual(sum(await asyncio.gather(*(come() for _ in range(20)))), 1)

    async def test_who_comes_hears_who_is_there_and_is_heard_of_when_coming_and_going(self):
        ann, heard = await self.join("ann")
        self.assertEqual(heard, ["+ann"])
        bob, heard = await self.join("bob")
        self.assertEqual(heard, ["+ann", "+bob"])
        self.assertEqual(await within(ann.recv()), "+bob")
        bob.transport.abort()
        self.assertEqual(await within(ann.recv()), "-bob")
        _, heard = await self.join("cid")
        self.assertEqual(heard, ["+ann", "-bob", "+cid"])

    async def test_what_is_said_is_heard_in_its_room_with_the_name_before_it(self):
        (ann, _), (bob, _) = await self.join("ann"), await self.join("bob", room="elsewhere")
        await within(bob.send("not for ann"))
        self.assertEqual(await within(bob.recv()), "bob: not for ann")
        await within(ann.send("héllo %s\n"))
        self.assertEqual(await within(ann.recv()), "ann: héllo %s\n")

    async def test_a_newcomer_gets_the_last_50_messages_in_their_order(self):
        ann, _ = await self.join("ann")
        for i in range(60):
            await within(ann.send(str(i)))
        await self.heard_until(ann, "ann: 59")
        bob, heard = await self.join("bob")
        heard += [] if "ann: 59" in heard else await self.heard_until(bob, "ann: 59")
        self.assertEqual([text for text in heard if ":" in text],
                         [f"ann: {i}" for i in range(10, 60)])

    async def test_who_says_nothing_is_closed_although_it_answers_pings(self):
        self.server = self.start("chat", "0", "1")
        ann, _ = await self.join("ann", ping_interval=0.1)
        self.assertEqual(await self.end_of(ann), (1008, "silent too long"))

    async def test_what_is_too_long_or_no_text_ends_the_connection(self):
        ann, _ = await self.join("ann")
        await within(ann.send("x" * 4000))
        self.assertEqual(await within(ann.recv()), "ann: " + "x" * 4000)
        await within(ann.send("x" * 4001))
        self.assertEqual((await self.end_of(ann))[0], 1009)
        bob, _ = await self.join("bob")
        await within(bob.send(b"bytes"))
        self.assertEqual((await self.end_of(bob))[0], 1003)


class PricesTest(AppCase):
    async def price(self, client):
        return json.loads(await within(client.recv()))

    async def test_a_client_gets_what_it_has_subscribed_to_and_nothing_else(self):
        client = await self.connect(self.start("prices", "0", "1"))
        await within(client.send("subscribe EURUSD"))
        prices = [await self.price(client) for _ in range(20)]
        self.assertEqual({price["instrument"] for price in prices}, {"EURUSD"})
        numbers = [price["number"] for price in prices]
        self.assertEqual(numbers, sorted(set(numbers)))
        await within(client.send("unsubscribe EURUSD"))
        await within(client.send("subscribe GBPUSD XAUUSD GBPUSD"))
        await within(client.send("nonsense"))
        while "error" not in await self.price(client):
            pass
        after = [await self.price(client) for _ in range(20)]
        self.assertEqual({price["instrument"] for price in after}, {"GBPUSD", "XAUUSD"})

    async def test_a_subscription_begins_with_the_price_there_is(self):
        server = self.start("prices", "0", "500")
        first = await self.connect(server)
        await within(first.send("subscribe EURUSD"))

        async def has_begun_with_it():
            newest = await self.price(first)
            second = await self.connect(server)
            await within(second.send("subscribe EURUSD"))
            return await self.price(second) == newest

        async def try_it():
            while not await has_begun_with_it():  # a newer one came just then
                pass
        await within(try_it())

    async def test_what_is_no_command_is_told(self):
        client = await self.connect(self.start("prices", "0", "1000"))
        for command in ("", "subscribe", "subscribe NOSUCH", "buy EURUSD", "\n", b"subscribe \0 x"):
            with self.subTest(command=command):
                await within(client.send(command))
                self.assertEqual(await self.price(client), {"error": "no such command"})

    async def test_a_slow_client_misses_prices_but_gets_the_newest_of_each(self):
        server = self.start("prices", "0", "1")
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect((server.host, server.port))
        slow = await self.connect(server, sock=narrow, **SLOW)
        await within(slow.send("subscribe " + " ".join(INSTRUMENTS)))
        fast = await self.connect(server)
        await within(fast.send("subscribe EURUSD"))
        newest = 0
        while newest < 1000:
            newest = (await self.price(fast))["number"]
        numbers = {instrument: [] for instrument in INSTRUMENTS}
        while not all(seen and seen[-1] >= newest for seen in numbers.values()):
            price = await self.price(slow)
            numbers[price["instrument"]].append(price["number"])
        for seen in numbers.values():
            self.assertEqual(seen, sorted(set(seen)))
            self.assertLess(len([number for number in seen if number < newest]), newest // 2)


class FilesCase(AppCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.start("files", self.directory, "0")

    def files(self):
        return sorted(os.listdir(self.directory))

    async def put(self, name, data):
        client = await self.connect(self.server, f"/put?name={name}")
        await within(client.send(data))
        self.assertEqual(await within(client.recv()), "stored")
        self.assertEqual(await self.end_of(client), (1000, ""))

    async def get(self, name):
        client = await self.connect(self.server, f"/get?name={name}")
        data = await within(client.recv())
        self.assertEqual(await self.end_of(client), (1000, ""))
        return data


class FilesTest(FilesCase):
    async def test_a_file_goes_there_and_comes_back_whatever_its_length_and_fragments(self):
        data = random.Random(1).randbytes(3 * MIB + 4711)
        pieces = [data[at:at + 100_000] for at in range(0, len(data), 100_000)]
        for name, sent, wanted in (("large.bin", data, data), ("in_pieces", pieces, data),
                                   ("empty-1", b"", b""), ("large.bin", b"shorter", b"shorter")):
            with self.subTest(name=name):
                await self.put(name, sent)
                self.assertEqual((self.directory / name).read_bytes(), wanted)
                self.assertTrue(await self.get(name) == wanted)
        self.assertEqual(self.files(), ["empty-1", "in_pieces", "large.bin"])

    async def test_a_name_that_could_leave_the_directory_is_400(self):
        for name in ("", "..", "../x", "a/b", "a%2Fb", "%2Fetc%2Fpasswd", ".hidden", "%2e%2e", "a%00b",
                     "a%5Cb", "x" * 101):
            for path in ("put", "get"):
                with self.subTest(name=name, path=path):
                    self.assertEqual(
                        await self.status_of_refusal(self.server, f"/{path}?name={name}"), 400)
        self.assertEqual(await self.status_of_refusal(self.server, "/put"), 400)
        self.assertEqual(self.files(), [])

    async def test_what_is_not_there_is_404_and_a_link_is_not_followed(self):
        (self.directory / "link").symlink_to("/etc/passwd")
        for path in ("/get?name=nothing", "/get?name=link", "/delete?name=a", "/"):
            with self.subTest(path=path):
                self.assertEqual(await self.status_of_refusal(self.server, path), 404)
        os.mkfifo(self.directory / "fifo")
        (self.directory / "folder").mkdir()
        for name in ("fifo", "folder"):
            with self.subTest(name=name):
                client = await self.connect(self.server, f"/get?name={name}")
                self.assertEqual(await self.end_of(client), (1011, "cannot be read"))

    async def half_of_an_upload(self):
        client = await self.connect(self.server, "/put?name=cut")
        await within(client.write_frame(False, 0x2, bytes(MIB)))
        await self.until(lambda: any((self.directory / file).stat().st_size >= MIB - 4096
                                     for file in self.files()))
        self.assertNotIn("cut", self.files())
        return client

    async def test_an_upload_that_is_cut_off_leaves_no_file(self):
        client = await self.half_of_an_upload()
        client.transport.abort()
        await self.until(lambda: self.files() == [])

    async def test_an_upload_that_the_end_of_the_server_cuts_off_leaves_no_file(self):
        await self.half_of_an_upload()
        await asyncio.to_thread(self.server.stop)
        self.assertEqual(self.files(), [])

    async def test_a_plain_request_leaves_no_file(self):
        reader, writer = await asyncio.open_connection(self.server.host, self.server.port)
        writer.write(b"GET /put?name=plain HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b" 426 ", await within(reader.readline()))
        writer.close()
        await self.until(lambda: self.files() == [])

    async def test_text_is_refused_and_what_follows_is_dropped(self):
        client = await self.connect(self.server, "/put?name=text")
        await within(asyncio.gather(client.send("text"), client.send(b"binary")))
        self.assertEqual((await self.end_of(client))[0], 1003)
        await self.until(lambda: self.files() == [])


class RpcTest(AppCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.client = await self.connect(self.start("rpc", "0"))

    async def send(self, message):
        await within(self.client.send(message if isinstance(message, str) else json.dumps(message)))

    async def answer(self, message):
        await self.send(message)
        return json.loads(await within(self.client.recv()))

    def call(self, method, params=None, **fields):
        return {"jsonrpc": "2.0", "method": method, **fields,
                **({} if params is None else {"params": params})}

    def result(self, result, call_id):
        return {"jsonrpc": "2.0", "result": result, "id": call_id}

    def error(self, code, message, call_id=None):
        return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": call_id}

    async def test_params_are_taken_by_position_and_by_name(self):
        for params in ([42, 23], {"subtrahend": 23, "minuend": 42}):
            for call_id in (1, "one", None, 1.5):
                with self.subTest(params=params, id=call_id):
                    self.assertEqual(await self.answer(self.call("subtract", params, id=call_id)),
                                     self.result(19, call_id))

    async def test_each_error_has_its_code(self):
        invalid = self.error(-32600, "Invalid Request")
        for message, wanted in (
                ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
                 self.error(-32700, "Parse error")),
                ("", self.error(-32700, "Parse error")),
                ('[{"jsonrpc": "2.0", "method"', self.error(-32700, "Parse error")),
                ({"jsonrpc": "2.0", "method": 1, "params": "bar"}, invalid),
                ({"jsonrpc": "2.0", "method": "subtract", "params": "bar", "id": 1}, invalid),
                ({"jsonrpc": "1.0", "method": "subtract", "id": 1}, invalid),
                ({"method": "subtract", "id": 1}, invalid),
                ({"jsonrpc": "2.0", "id": 1}, invalid),
                (self.call("subtract", [1, 2], id=[1]), invalid),
                (self.call("subtract", [1, 2], id=True), invalid),
                ("1", invalid), ("null", invalid), ("[]", invalid),
                (self.call("foobar", id="1"), self.error(-32601, "Method not found", "1")),
                (self.call("subtract", [1], id=2), self.error(-32602, "Invalid params", 2)),
                (self.call("subtract", ["1", 2], id=2), self.error(-32602, "Invalid params", 2)),
                (self.call("subtract", {"minuend": 1}, id=2),
                 self.error(-32602, "Invalid params", 2)),
                (self.call("subtract", id=2), self.error(-32602, "Invalid params", 2)),
                (self.call("wait", [3001], id=2), self.error(-32602, "Invalid params", 2)),
                (self.call("subtract", [1.7e308, -1.7e308], id=3),
                 self.error(-32603, "Internal error", 3))):
            with self.subTest(message=message):
                self.assertEqual(await self.answer(message), wanted)

    async def test_a_batch_is_answered_in_one_message_without_its_notifications(self):
        invalid = self.error(-32600, "Invalid Request")
        self.assertEqual(await self.answer([
            self.call("subtract", [42, 23], id="2"), self.call("subtract", [1, 2]),
            {"foo": "boo"}, self.call("foo.get", {"name": "myself"}, id="5"), 1]),
            [self.result(19, "2"), invalid, self.error(-32601, "Method not found", "5"), invalid])
        self.assertEqual(await self.answer("[1]"), [invalid])
        self.assertEqual(await self.answer([1] * 100), [invalid] * 100)
        self.assertEqual(await self.answer([1] * 101), invalid)

    async def test_notifications_are_not_answered_not_even_if_they_fail(self):
        for message in (self.call("subtract", [1, 2]), self.call("foobar"),
                        self.call("subtract", [1]), [self.call("foobar")] * 3):
            await self.send(message)
        self.assertEqual(await self.answer(self.call("subtract", [1, 2], id="next")),
                         self.result(-1, "next"))

    async def test_a_call_that_takes_long_holds_up_no_other(self):
        await self.send(self.call("wait", {"ms": 2000}, id="long"))
        self.assertEqual(await self.answer(self.call("subtract", [1, 2], id="short")),
                         self.result(-1, "short"))
        self.assertEqual(json.loads(await within(self.client.recv())), self.result(2000, "long"))

    async def test_the_server_notifies_who_has_subscribed(self):
        for call_id in (1, 2):
            self.assertEqual(await self.answer(self.call("subscribe", id=call_id)),
                             self.result(True, call_id))
        notification = json.loads(await within(self.client.recv()))
        self.assertEqual((notification["jsonrpc"], notification["method"]), ("2.0", "tick"))
        self.assertNotIn("id", notification)
        self.assertIsInstance(notification["params"][0], int)

    async def test_nesting_however_deep_is_an_error_and_no_crash(self):
        deep = "[" * 30_000 + "]" * 30_000
        self.assertEqual(await self.answer(deep), [self.error(-32600, "Invalid Request")])
        self.assertEqual(await self.answer("[" * 65_536), self.error(-32700, "Parse error"))
        self.assertEqual(await self.answer(
            '{"jsonrpc":"2.0","id":1,"method":"subtract","params":%s}' % deep),
            self.error(-32602, "Invalid params", 1))
        self.assertEqual(await self.answer('{"jsonrpc":%s,"id":%s,"method":"subtract"}' %
                                           (deep[15_000:-15_000], deep[15_000:-15_000])),
                         self.error(-32600, "Invalid Request"))

    async def test_what_is_longer_than_64_kib_is_1009_and_binary_1003(self):
        await self.send(" " * 65_537)
        self.assertEqual((await self.end_of(self.client))[0], 1009)


class TcpServer:
    """Accepts one connection, as reader and writer. limit: bytes that it reads ahead."""

    def __init__(self, limit=1 << 16, receive_buffer=None):
        self.limit, self.receive_buffer = limit, receive_buffer
        self.accepted = asyncio.Queue()

    async def __aenter__(self):
        listener = socket.create_server(("127.0.0.1", 0))
        if self.receive_buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.port = listener.getsockname()[1]
        self.server = await asyncio.start_server(
            lambda *streams: self.accepted.put_nowait(streams), sock=listener, limit=self.limit)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        while not self.accepted.empty():
            self.accepted.get_nowait()[1].close()

    async def accept(self):
        self.reader, self.writer = await within(self.accepted.get())
        return self.reader, self.writer


class BridgeCase(AppCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.tcp = TcpServer(limit=4096, receive_buffer=16384)
        await self.enterAsyncContext(self.tcp)
        self.server = self.start("bridge", f"127.0.0.1:{self.tcp.port}", "0")

    async def pair(self, **options):
        client = await self.connect(self.server, **options)
        reader, writer = await self.tcp.accept()
        self.addCleanup(writer.close)
        return client, reader, writer

    async def received(self, client, size):
        got = bytearray()
        while len(got) < size:
            got += await within(client.recv())
        return bytes(got)

    async def send_in_pieces(self, client, data, sent=None):
        for at in range(0, len(data), 65_536):
            await client.send(data[at:at + 65_536])
            if sent is not None:
                sent[0] = at

    async def until_stuck(self, progress, seconds=0.3):
        """Until what it returns has not changed for so long. If that is too early, the test is
        only less strict."""
        before = None
        while before != (before := progress()):
            await asyncio.sleep(seconds)


DATA = random.Random(2).randbytes(10 * MIB)


class BridgeTest(BridgeCase):
    async def test_versions_of_rfb_are_exchanged_as_novnc_does_it(self):
        client, reader, writer = await self.pair(subprotocols=["binary"])
        self.assertEqual(client.subprotocol, "binary")
        writer.write(b"RFB 003.008\n")
        self.assertEqual(await within(client.recv()), b"RFB 003.008\n")
        await within(client.send(b"RFB 003.008\n"))
        self.assertEqual(await within(reader.readexactly(12)), b"RFB 003.008\n")
        writer.write(b"\x01\x01")
        self.assertEqual(await within(client.recv()), b"\x01\x01")

    async def test_a_client_that_offers_no_protocol_gets_none(self):
        client, reader, _ = await self.pair()
        self.assertIsNone(client.subprotocol)
        await within(client.send("text, too"))
        self.assertEqual(await within(reader.readexactly(9)), b"text, too")

    async def test_10_mib_go_both_ways_at_once_unchanged(self):
        client, reader, writer = await self.pair()

        async def from_tcp():
            writer.write(DATA[::-1])
            await writer.drain()
        there, back, *_ = await within(asyncio.gather(
            reader.readexactly(len(DATA)), self.received(client, len(DATA)),
            self.send_in_pieces(client, DATA), from_tcp()))
        self.assertTrue(there == DATA)
        self.assertTrue(back == DATA[::-1])

    async def test_one_message_of_10_mib_goes_through(self):
        client, reader, _ = await self.pair()
        there, _ = await within(asyncio.gather(reader.readexactly(len(DATA)), client.send(DATA)))
        self.assertTrue(there == DATA)

    async def test_each_client_has_a_connection_of_its_own(self):
        pairs = [await self.pair() for _ in range(5)]
        for number, (client, reader, writer) in enumerate(pairs):
            await within(client.send(bytes([number])))
            self.assertEqual(await within(reader.readexactly(1)), bytes([number]))
            writer.write(bytes([number]))
            self.assertEqual(await within(client.recv()), bytes([number]))

    async def test_without_the_server_it_is_502(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        server = self.start("bridge", f"127.0.0.1:{port}", "0")
        self.assertEqual(await self.status_of_refusal(server, "/"), 502)

    async def test_pages_of_another_origin_are_403(self):
        server = self.start("bridge", f"127.0.0.1:{self.tcp.port}", "0", "http://localhost:8000")
        for options in ({}, {"origin": "http://localhost:8001"}):
            self.assertEqual(await self.status_of_refusal(server, "/", **options), 403)
        await self.connect(server, origin="http://localhost:8000")

    async def test_when_the_server_ends_the_client_gets_all_and_then_1000(self):
        client, reader, writer = await self.pair()
        writer.write(DATA)
        writer.write_eof()
        self.assertTrue(await self.received(client, len(DATA)) == DATA)
        self.assertEqual(await self.end_of(client), (1000, ""))
        self.assertEqual(await within(reader.read()), b"")

    async def test_when_the_server_resets_the_client_gets_1014(self):
        client, _, writer = await self.pair()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                   struct.pack("ii", 1, 0))
        writer.transport.abort()
        self.assertEqual((await self.end_of(client))[0], 1014)

    async def test_when_the_client_closes_the_server_gets_all_and_then_the_end(self):
        client, reader, _ = await self.pair()

        async def send_and_close():
            await self.send_in_pieces(client, DATA)
            await client.close()
        there, _ = await within(asyncio.gather(reader.read(), send_and_close()))
        self.assertTrue(there == DATA)
        self.assertEqual(client.close_code, 1000)

    async def test_so_it_does_although_it_has_sent_what_the_client_has_not_read(self):
        """Unread bytes would make the end a reset, and what is on its way to the server be lost."""
        client, reader, writer = await self.pair(**SLOW)
        writer.write(DATA)
        await self.until_stuck(writer.transport.get_write_buffer_size)
        await within(client.send(DATA[:MIB]))
        await self.leave(client)
        await self.until(lambda: self.server.sockets() == 1)
        self.assertTrue(await within(reader.read()) == DATA[:MIB])

    async def test_a_client_that_is_cut_off_ends_its_connection_and_no_other(self):
        other, other_reader, _ = await self.pair()
        client, reader, writer = await self.pair()
        client.transport.abort()
        self.assertEqual(await within(reader.read()), b"")
        writer.close()
        await within(other.send(b"still there"))
        self.assertEqual(await within(other_reader.readexactly(11)), b"still there")

    async def test_it_stops_while_neither_side_reads(self):
        client, reader, writer = await self.pair(**SLOW)
        sent = [0]
        sending = asyncio.create_task(self.send_in_pieces(client, DATA * 6, sent))
        writer.write(DATA * 6)
        await self.until_stuck(lambda: sent[0])
        self.assertLess(sent[0], len(DATA) * 6)
        self.assertEqual(await asyncio.to_thread(self.server.stop), 0)
        with contextlib.suppress(websockets.ConnectionClosed):
            await within(sending)


class MemoryTest(BridgeCase, FilesCase):
    """No more than this for 60 MiB that pass through."""

    LIMIT = 12 * MIB

    async def asyncSetUp(self):
        await AppCase.asyncSetUp(self)

    async def test_a_slow_server_holds_the_client_back(self):
        await BridgeCase.asyncSetUp(self)
        client, reader, _ = await self.pair()
        before = self.server.peak_memory()
        sent = [0]
        sending = asyncio.create_task(self.send_in_pieces(client, DATA * 6, sent))
        await self.until_stuck(lambda: sent[0], 2.5)  # longer than the bridge waits in one send
        for _ in range(6):
            self.assertTrue(await within(reader.readexactly(len(DATA))) == DATA)
        await within(sending)
        self.assertLess(self.server.peak_memory() - before, self.LIMIT)

    async def test_a_slow_client_holds_the_server_back(self):
        await BridgeCase.asyncSetUp(self)
        client, _, writer = await self.pair(**SLOW)
        before = self.server.peak_memory()
        writer.write(DATA * 6)
        await self.until_stuck(writer.transport.get_write_buffer_size)
        self.assertTrue(await self.received(client, len(DATA) * 6) == DATA * 6)
        self.assertLess(self.server.peak_memory() - before, self.LIMIT)

    async def test_files_pass_in_constant_memory(self):
        await FilesCase.asyncSetUp(self)
        await self.put("small", b"x")
        before = self.server.peak_memory()
        await self.put("large", itertools.repeat(DATA, 6))
        self.assertTrue(await self.get("large") == DATA * 6)
        self.assertLess(self.server.peak_memory() - before, self.LIMIT)


class PythonTest(AppCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.server = self.enterContext(App([sys.executable, "-B", ROOT / "demo/python/echo.py", "0"]))

    async def test_text_comes_back_and_binary_is_refused(self):
        client = await self.connect(self.server)
        for text in ("hello", "", "héllo", "a\0b", "x" * 100_000, "/join", "/say topic"):
            await within(client.send(text))
            self.assertEqual(await within(client.recv()), text)
        await within(client.send(b"bytes"))
        self.assertEqual(await self.end_of(client), (1003, "text only"))

    async def test_who_has_joined_a_topic_gets_what_is_said_there(self):
        ann, bob = await self.connect(self.server), await self.connect(self.server)
        for client in (ann, bob):
            await within(client.send("/join news"))
            await within(client.send("joined"))
            self.assertEqual(await within(client.recv()), "joined")
        await within(ann.send("/say news first of all"))
        for client in (ann, bob):
            self.assertEqual(await within(client.recv()), "first of all")
        await within(bob.send("/leave news"))
        await within(bob.send("/say news second"))
        await within(bob.send("not heard"))
        self.assertEqual(await within(bob.recv()), "not heard")
        self.assertEqual(await within(ann.recv()), "second")

    async def test_what_fails_is_told_with_its_errno(self):
        client = await self.connect(self.server)
        await within(client.send("/leave nothing"))
        self.assertIn("libwebsock_unsubscribe", await within(client.recv()))


if __name__ == "__main__":
    unittest.main()
