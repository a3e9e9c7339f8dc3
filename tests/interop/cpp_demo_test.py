#!/usr/bin/python3 -B
# The small servers in demo/cpp/, which use websock.hpp: each does what its first lines say.

import asyncio
import unittest

import websockets

from deadline import within
from demo_server import CppDemo


class CppDemoTest(unittest.IsolatedAsyncioTestCase):
    def start(self, name):
        self.server = self.enterContext(CppDemo(name))

    async def connect(self, path="/"):
        client = await within(websockets.connect(self.server.url(path)))
        self.addAsyncCleanup(client.close)
        return client

    async def say(self, client, text):
        await within(client.send(text))
        return await within(client.recv())

    async def test_echo_sends_text_and_binary_data_back(self):
        self.start("echo")
        client = await self.connect()
        for message in ("text", b"binary", "", "x" * 100000):
            self.assertEqual(await self.say(client, message), message)

    async def test_sigterm_ends_it_with_0_while_clients_are_connected(self):
        self.start("echo")
        client = await self.connect()
        stopped = asyncio.get_running_loop().run_in_executor(None, self.server.stop)
        await within(client.wait_closed())
        self.assertEqual(await within(stopped), 0)

    async def test_a_port_that_is_taken_ends_it_with_1_and_the_reason(self):
        self.start("echo")
        await self.connect()
        second = CppDemo("echo", str(self.server.port), exit_code=1)
        with self.assertRaises(AssertionError) as caught, second:
            pass
        self.assertIn("echo: listen: Address already in use", str(caught.exception))

    async def test_session_calculates(self):
        self.start("session")
        client = await self.connect()
        self.assertTrue((await within(client.recv())).startswith("Hello."))
        self.assertEqual(await self.say(client, "+"), "A number?")
        self.assertTrue((await self.say(client, "x")).startswith("That is no number."))
        self.assertTrue((await self.say(client, "3")).startswith("That makes 3"))
        self.assertEqual(await self.say(client, "-"), "A number?")
        self.assertTrue((await self.say(client, "1.5")).startswith("That makes 1.5"))
        await within(client.send("end"))
        await within(client.wait_closed())
        self.assertEqual(client.close_code, 1000)

    async def test_a_room_has_members_with_names_and_a_history(self):
        self.start("room")
        ada = await self.connect("/tea")
        self.assertEqual(await within(ada.recv()), "What is your name?")
        self.assertEqual(await self.say(ada, "Ada"), "Ada: is here")
        self.assertEqual(await self.say(ada, "hello"), "Ada: hello")
        bob = await self.connect("/tea")
        self.assertEqual(await within(bob.recv()), "What is your name?")
        self.assertEqual(await self.say(bob, "Bob"), "Ada: is here")
        self.assertEqual(await within(bob.recv()), "Ada: hello")
        self.assertEqual(await within(bob.recv()), "Bob: is here")
        await within(ada.close())
        self.assertEqual(await within(bob.recv()), "Ada: has left")

    async def test_prices_come_one_after_the_other(self):
        self.start("prices")
        client = await self.connect()
        names = [(await within(client.recv())).split()[0] for _ in range(8)]
        self.assertEqual(set(names), {"ACME", "EXAMPLE"})


if __name__ == "__main__":
    unittest.main()
