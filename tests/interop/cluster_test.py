#!/usr/bin/python3 -B
# The demo as a cluster: demo/cluster.sh with its Redis server, three nodes and nginx, as
# `make run-cluster` starts it. Nodes and servers are killed, and the chat goes on.

import asyncio
import http.client
import json
import os
import pathlib
import signal
import socket
import unittest

import websockets

import certificates
import picture
from chromium import Chromium, DevTools
from deadline import DEADLINE, within
from demo_server import BUILD
from program import Program

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "demo" / "cluster.sh"
NODES = {"a", "b", "c"}
SAID = "[...document.querySelectorAll('#chat-log .say')].map((line) => line.innerText)"
NODE = "document.querySelector('#node-state')?.textContent.match(/to node (\\w+) of/)?.[1]"


def processes():
    """pid -> (parent's pid, name) of all that have not ended."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = after.split()[:2]
        if state not in "ZX":
            found[int(stat.parent.name)] = int(parent), before.partition("(")[2]
    return found


class Cluster(Program):
    """Leaves no process and no directory, or the test has failed."""

    def __init__(self):
        # nginx inherits listening sockets through the environment, so the port is free.
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        # A session of its own, so that it can be sent a Ctrl-C; SIGINT may be ignored here.
        super().__init__(["env", "--default-signal=INT", "sh", SCRIPT, BUILD, self.port],
                         pass_fds=[self.listener.fileno()], start_new_session=True,
                         env={**os.environ, "NGINX": f"{self.listener.fileno()};"})

    def __enter__(self):
        super().__enter__()
        line = self.wait_for_line("stdout", r"^cluster.sh: open (http://\S+)/ \(logs: (/.+)/")
        self.listener.close()
        self.origin, self.directory = line[1], pathlib.Path(line[2])
        self.members = self.children()
        return self

    def __exit__(self, *error):
        last = {**self.members, **self.children()}
        super().__exit__(*error)
        now = processes()
        left = {pid: name for pid, name in last.items() if pid in now and now[pid][1] == name}
        assert not left, f"not ended: {left}"
        assert not self.directory.exists(), self.directory

    def children(self):
        """pid -> name of what the script has started, itself among them."""
        there = processes()
        found = {self.process.pid: there.get(self.process.pid, (0, ""))[1]}
        for _ in range(4):  # generations
            found.update({pid: name for pid, (parent, name) in there.items() if parent in found})
        return found

    def pid_of(self, name):
        return next(pid for pid, other in self.children().items() if other == name)

    def ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, headers={"Origin": self.origin})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end_node(self, name):
        assert self.ask("POST", f"/node/end?node={name}")[0] == 204


class Member:
    """Somebody in the room, through the front. heard is what was said, as (id, text)."""

    def __init__(self, cluster, room="/chat/test"):
        self.url = f"ws://127.0.0.1:{cluster.port}{room}"
        self.heard = []
        self.people = {}  # node: count

    async def enter(self, node=None):
        """With a node: its, and not that of another one. Goes on behind what was heard."""
        after = f"?after={self.heard[-1][0]}" if self.heard else ""
        for _ in range(20):
            self.socket = await within(websockets.connect(self.url + after))
            self.node = json.loads(await within(self.socket.recv()))["node"]
            if node in (None, self.node):
                return self
            await within(self.socket.close())
        raise AssertionError(f"node {node} is not there")

    async def say(self, text):
        await within(self.socket.send(text))

    async def hear_one(self):
        """Something that has been said, or a count of people."""
        message = await within(self.socket.recv())
        if not message.startswith("{"):
            self.heard.append(tuple(message.split(" ", 1)))
            return
        message = json.loads(message)
        assert message["type"] == "people", message  # no gap
        self.people[message["node"]] = message["count"]

    async def hear(self, text):
        while text not in self.texts():
            await self.hear_one()

    def texts(self):
        return [text for _, text in self.heard]

    async def talk(self, name, enough):
        """Says the next thing whenever the last one has come back, until enough() is true."""
        count = 0
        while not enough():
            await self.say(f"{name} {count}")
            await self.hear(f"{name} {count}")
            count += 1
        await self.say(f"{name} goes")


class ClusterTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster())

    async def asyncSetUp(self):
        # unittest turns on asyncio's debug mode, which is slow.
        asyncio.get_running_loop().set_debug(False)

    async def enter(self, node=None):
        member = await Member(self.cluster).enter(node)
        self.addAsyncCleanup(member.socket.close)
        return member

    async def test_all_nodes_hear_one_order_and_a_node_that_ends_leaves_no_gap(self):
        alice, bob, carol = [await self.enter(node) for node in "abc"]

        async def listen():
            try:
                while True:
                    await alice.hear_one()
                    if len(alice.heard) == 50:
                        await asyncio.to_thread(self.cluster.end_node, "a")
            except websockets.ConnectionClosed:
                self.addAsyncCleanup((await alice.enter()).socket.close)
            self.assertIn(alice.node, "bc")
            self.assertGreaterEqual(len(alice.heard), 50)
            alice.seen_elsewhere = len(alice.heard) + 50
            for name in ("bob", "carol"):
                await alice.hear(f"{name} goes")

        alice.seen_elsewhere = float("inf")
        talkers = {"bob": bob, "carol": carol}
        await asyncio.gather(listen(), *(
            member.talk(name, lambda: len(alice.heard) > alice.seen_elsewhere)
            for name, member in talkers.items()))
        for member in talkers.values():
            for name in talkers:
                await member.hear(f"{name} goes")
        self.assertEqual(alice.heard, bob.heard)
        self.assertEqual(alice.heard, carol.heard)
        self.assertEqual(len({id for id, _ in alice.heard}), len(alice.heard))
        for name in talkers:
            said = [text for text in alice.texts() if text.startswith(name)]
            self.assertEqual(said, [*(f"{name} {i}" for i in range(len(said) - 1)),
                                    f"{name} goes"])

    async def test_a_node_that_has_ended_is_there_again_and_its_people_are_counted_elsewhere(self):
        alice, bob = await self.enter("a"), await self.enter("b")
        while (alice.people.get("a"), alice.people.get("b")) != (1, 1):
            await alice.hear_one()
        await asyncio.to_thread(self.cluster.end_node, "b")
        with self.assertRaises(websockets.ConnectionClosed):
            while True:
                await bob.hear_one()
        self.addAsyncCleanup((await bob.enter("a")).socket.close)
        while alice.people["a"] != 2:
            await alice.hear_one()
        found = set()
        while found != NODES:
            _, answer = await asyncio.to_thread(self.cluster.ask, "GET", "/node")
            found.add(json.loads(answer)["node"])
        self.addAsyncCleanup((await bob.enter("b")).socket.close)
        alice.people = {}
        while alice.people.get("b") != 1:
            await alice.hear_one()

    async def test_the_chat_goes_on_when_redis_has_died_and_is_back(self):
        alice, bob = await self.enter("a"), await self.enter("b")
        await alice.say("before")
        await bob.hear("before")
        os.kill(self.cluster.pid_of("redis-server"), signal.SIGKILL)
        await alice.say("meanwhile")
        for member in (alice, bob):
            await member.hear("meanwhile")
            self.assertEqual(member.texts(), ["before", "meanwhile"])
        carol = await self.enter("c")
        await carol.hear("meanwhile")
        self.assertEqual(carol.heard, alice.heard)

    async def test_ctrl_c_ends_everything(self):
        await self.enter()
        os.killpg(self.cluster.process.pid, signal.SIGINT)
        self.cluster.asked_to_stop = True  # the rest is up to Cluster

    async def test_the_page_ends_its_node_and_goes_on_with_another_one(self):
        chromium = self.enterContext(Chromium(certificates.public_key_hash(certificates.server())))
        devtools = await self.enterAsyncContext(DevTools(chromium.devtools_url))
        page = await devtools.open_page(f"{self.cluster.origin}/#test")
        await page.until(f"{NODE} !== undefined")
        node = await page.value(NODE)
        alice = await self.enter(min(NODES - {node}))
        await picture.say(page, "Bob", "before")
        await page.until("document.querySelector('#chat-people')?.textContent === '2 here'")
        while not alice.heard:
            await alice.hear_one()
        await page.click("#node-end")
        await page.until("document.querySelector('#chat-status').dataset.state !== 'open'")
        for i in range(25):  # more than a newcomer would get
            await alice.say(json.dumps({"type": "say", "name": "Alice", "text": f"meanwhile {i}"}))
        await page.until(f"{SAID}.length === 26")
        await page.until(f"![undefined, '{node}'].includes({NODE})")
        self.assertEqual([said.split("\n")[-1] for said in await page.value(SAID)],
                         ["before", *(f"meanwhile {i}" for i in range(25))])
        await page.until("document.querySelector('#chat-people')?.textContent === '2 here'")


if __name__ == "__main__":
    unittest.main()
