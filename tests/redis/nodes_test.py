#!/usr/bin/python3 -B
"""Whole servers that share their topics by Redis, seen by their clients.

Each node is a process, build/tests/redis/node. What the backplane does by itself, and more ways in
which Redis fails, is in engine_test.cpp and failure_test.cpp.
"""
import asyncio
import contextlib
import http.client
import os
import pathlib
import signal
import sys
import unittest

import websockets

from redis_server import RedisServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "interop"))
from deadline import DEADLINE, within  # noqa: E402
from program import Program  # noqa: E402

NODE = ROOT / os.environ.get("BUILD", "build") / "tests" / "redis" / "node"


class Node(Program):
    def __init__(self, *arguments, **options):
        super().__init__([NODE, *arguments], **options)

    def __enter__(self):
        super().__enter__()
        self.port = self.wait_for_line("stdout", r"^\d+$")[0]
        return self

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", int(self.port), timeout=DEADLINE)
        connection.request("GET", "/stats")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return {name: int(number) for name, number in map(str.split, lines)}


async def until(condition):
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


class Nodes(unittest.IsolatedAsyncioTestCase):
    SETTINGS = ()

    def setUp(self):
        self.redis = self.enterContext(RedisServer(*self.SETTINGS))

    async def asyncSetUp(self):
        # unittest turns on asyncio's debug mode, which takes most of the time of such tests.
        asyncio.get_running_loop().set_debug(False)

    def start(self, count, *arguments, **options):
        return [self.enterContext(Node(*arguments, self.redis.address, **options))
                for _ in range(count)]

    async def connect(self, node, path="/news"):
        client = await within(websockets.connect(f"ws://127.0.0.1:{node.port}{path}",
                                                 max_queue=None, ping_interval=None))
        self.addAsyncCleanup(client.close)
        return client

    async def connect_subscribed(self, node, path="/news"):
        """Once it has got its own message, it gets all of the others."""
        client = await self.connect(node, path)
        mark = f"mark {id(client)}"
        await client.send(mark)
        while await within(client.recv()) != mark:
            pass
        return client

    async def receive(self, client, count):
        """The next so many messages, marks not counted."""
        texts = []
        while len(texts) < count:
            text = await within(client.recv())
            if not text.startswith("mark "):
                texts.append(text)
        return texts

    async def publish(self, client, name, count, pause=0.0):
        for i in range(count):
            await client.send(f"{name}{i}")
            if pause:
                await asyncio.sleep(pause)


class OneOrder(Nodes):
    async def test_clients_of_all_nodes_get_the_messages_of_all_in_one_order(self):
        nodes = self.start(3)
        clients = [await self.connect_subscribed(node) for node in nodes for _ in range(2)]
        await asyncio.gather(*(self.publish(client, f"{i}-", 200)
                               for i, client in enumerate(clients)))
        got = await asyncio.gather(*(self.receive(client, 1200) for client in clients))
        for texts in got:
            self.assertEqual(texts, got[0])
        self.assertEqual(sorted(got[0]), sorted(f"{i}-{n}" for i in range(6) for n in range(200)))

    async def test_a_client_goes_on_behind_its_last_message_on_another_node(self):
        first, second = self.start(2)
        client = await self.connect_subscribed(first)
        await self.publish(client, "m", 100)
        self.assertEqual((await self.receive(client, 100))[-1], "m99")
        again = await self.connect(second, "/news?after=m49")
        self.assertEqual(await self.receive(again, 50), [f"m{i}" for i in range(50, 100)])
        some = await self.connect(second, "/news?history=5")
        self.assertEqual(await self.receive(some, 5), [f"m{i}" for i in range(95, 100)])

    async def test_a_thousand_topics_come_and_go(self):
        node, = self.start(1)
        paths = [f"/topic{i}" for i in range(1000)]
        for _ in range(2):
            for chunk in (paths[i:i + 100] for i in range(0, len(paths), 100)):
                clients = await asyncio.gather(*(self.connect(node, path) for path in chunk))
                await asyncio.gather(*(client.send("x") for client in clients))
                await asyncio.gather(*(self.receive(client, 1) for client in clients))
                await asyncio.gather(*(client.close() for client in clients))
        await until(lambda: self.redis.command("PUBSUB", "CHANNELS") == b"*0\r\n")


class Failures(Nodes):
    async def check_nothing_is_lost(self, disturb):
        """disturb is awaited while a client of each of two nodes publishes."""
        nodes = self.start(2)
        clients = [await self.connect_subscribed(node) for node in nodes]
        publishing = asyncio.gather(*(self.publish(client, f"{i}-", 1500, 0.002)
                                      for i, client in enumerate(clients)))
        receiving = asyncio.gather(*(self.receive(client, 3000) for client in clients))
        await disturb(nodes)
        await publishing
        got = await receiving
        self.assertEqual(got[0], got[1])
        for i in range(2):
            self.assertEqual([text for text in got[0] if text.startswith(f"{i}-")],
                             [f"{i}-{n}" for n in range(1500)])
        self.assertEqual([node.stats()["unsent"] for node in nodes], [0, 0])
        return nodes

    async def test_a_server_that_is_killed_and_started_again_costs_no_message(self):
        async def disturb(nodes):
            for published in (200, 600):
                await until(lambda: nodes[0].stats()["published"] > published)
                self.redis.kill()
                await until(lambda: all(node.stats()["connected"] == 0 for node in nodes))
                self.redis.start()
                await until(lambda: all(node.stats()["connected"] == 1 for node in nodes))

        nodes = await self.check_nothing_is_lost(disturb)
        nodes[0].wait_for_line("stderr", "redis unix:.*: connection lost: ")
        nodes[0].wait_for_line("stderr", r"redis unix:.*: back after \d+ ms")

    async def test_a_server_that_hangs_for_longer_than_the_time_outs_costs_no_message(self):
        async def disturb(nodes):
            self.redis.freeze()
            await until(lambda: all(node.stats()["away_ms"] > 1000 for node in nodes))
            self.redis.thaw()

        await self.check_nothing_is_lost(disturb)

    async def test_a_node_that_was_frozen_gets_what_it_has_missed(self):
        self.redis.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64kb 64kb 1")
        first, second = self.start(2)
        client = await self.connect_subscribed(first)
        other = await self.connect_subscribed(second)
        second.process.send_signal(signal.SIGSTOP)
        padding = " " * 1000
        for i in range(2000):
            await client.send(f"{i}{padding}")
        await self.receive(client, 2000)
        second.process.send_signal(signal.SIGCONT)
        self.assertEqual(await self.receive(other, 2000), [f"{i}{padding}" for i in range(2000)])
        self.assertGreater(second.stats()["gaps_filled"], 0)

    async def test_when_a_node_is_killed_its_clients_go_on_at_another(self):
        first, = self.start(1, exit_code=None)
        second, = self.start(1)
        client = await self.connect_subscribed(first)
        other = await self.connect_subscribed(second)
        await self.publish(client, "a", 100)
        last = (await self.receive(client, 50))[-1]
        first.process.kill()
        # What that node had not sent is lost with it; what is in the log is not.
        await self.publish(other, "b", 10)
        again = await self.connect(second, f"/news?after={last}")
        texts = await self.receive(other, 10)
        while texts[-1] != "b9":
            texts += await self.receive(other, 1)
        expected = texts[texts.index(last) + 1:]
        self.assertEqual(await self.receive(again, len(expected)), expected)

    async def test_when_the_log_is_lost_subscribers_are_told(self):
        node, = self.start(1)
        client = await self.connect_subscribed(node)
        await self.publish(client, "a", 10)
        await self.receive(client, 10)
        self.redis.kill()
        self.redis.forget_data()
        self.redis.start()
        with self.assertRaises(websockets.ConnectionClosed):
            while True:
                await within(client.recv())
        self.assertEqual(client.close_code, 1013)
        again = await self.connect_subscribed(node)
        await self.publish(again, "b", 10)
        self.assertEqual(await self.receive(again, 10), [f"b{i}" for i in range(10)])

    async def test_while_the_server_is_away_a_new_topic_cannot_be_subscribed_to(self):
        node, = self.start(1)
        self.redis.kill()
        client = await self.connect(node, "/other")
        with self.assertRaises(websockets.ConnectionClosed):
            await within(client.recv())
        self.assertEqual(client.close_code, 4000)
        self.assertEqual(client.close_reason, os.strerror(11))

    async def test_a_node_stops_while_the_server_hangs(self):
        node, = self.start(1)
        client = await self.connect_subscribed(node)
        self.redis.freeze()
        await self.publish(client, "a", 10)
        await until(lambda: node.stats()["unsent"] == 10)
        self.assertEqual(node.stop(), 0)
        node.wait_for_line("stderr", "10 publications had not left")

    async def test_what_others_write_into_channels_reaches_no_client(self):
        node, = self.start(1)
        client = await self.connect_subscribed(node)
        for garbage in (b"", b"x", b"\xff" * 100000, b"0" * 31 + b"1" + b"\x01" * 100):
            self.redis.command("PUBLISH", "websock:c0:/news", garbage)
        await self.publish(client, "a", 10)
        self.assertEqual(await self.receive(client, 10), [f"a{i}" for i in range(10)])
        node.wait_for_line("stderr", "was ignored")


class SlowLine(Nodes):
    PAYLOAD = 1_000_000
    CHUNK = 8192
    PAUSE = 0.01  # behind each chunk: all of it takes longer than the time-out of 500 ms

    async def pass_on(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(self.CHUNK):
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(self.PAUSE)
        writer.close()

    async def connected(self, reader, writer):
        try:
            there = await asyncio.open_unix_connection(self.redis.socket, limit=self.CHUNK)
        except OSError:  # the test is over
            return writer.close()
        await asyncio.gather(self.pass_on(reader, there[1]), self.pass_on(there[0], writer))

    async def test_a_long_message_on_a_slow_line_is_not_taken_for_silence(self):
        path = self.redis.path / "slow"
        proxy = await asyncio.start_unix_server(self.connected, path, limit=self.CHUNK)
        self.addCleanup(proxy.close)
        node = Node(f"unix:{path}")
        await asyncio.to_thread(node.__enter__)  # the server of this loop must answer meanwhile
        self.addCleanup(node.__exit__, None, None, None)
        client = await self.connect_subscribed(node)
        text = "a" * self.PAYLOAD
        await client.send(text)
        self.assertEqual(await within(client.recv()), text)


class Password(Nodes):
    SETTINGS = ("requirepass secret",)

    async def test_a_wrong_password_is_said_at_the_start(self):
        with Program([NODE, "--password", "wrong", self.redis.address], exit_code=2) as node:
            node.wait_for_line("stdout", os.strerror(13))
            node.wait_for_line("stderr", "WRONGPASS|invalid password")
            node.process.wait(DEADLINE)

    async def test_with_the_right_one_nodes_share_their_topics(self):
        nodes = self.start(2, "--password", "secret")
        first, second = [await self.connect_subscribed(node) for node in nodes]
        await self.publish(first, "a", 3)
        self.assertEqual(await self.receive(second, 3), ["a0", "a1", "a2"])


if __name__ == "__main__":
    unittest.main()
