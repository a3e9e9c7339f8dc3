#!/usr/bin/python3 -B
# The demo that accepts with libevent and hands its connections to libwebsock.

import asyncio
import unittest

import websockets

from deadline import within
from demo_server import LibeventServer


class LibeventTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.server = self.enterContext(LibeventServer())

    async def connect(self):
        client = await within(websockets.connect(self.server.url("/")))
        self.addAsyncCleanup(client.close)
        return client

    async def test_50_clients_each_get_their_own_message_back(self):
        clients = await asyncio.gather(*(self.connect() for _ in range(50)))
        messages = [f"client {i}" for i in range(50)]
        await asyncio.gather(*(client.send(message)
                               for client, message in zip(clients, messages)))
        received = await within(asyncio.gather(*(client.recv() for client in clients)))
        self.assertEqual(received, messages)

    async def test_a_client_may_close_and_another_come(self):
        for _ in range(3):
            client = await self.connect()
            await within(client.close())
            self.assertEqual(client.close_code, 1000)

    async def test_sigterm_ends_it_with_0_while_clients_are_connected(self):
        client = await self.connect()
        stopped = asyncio.get_running_loop().run_in_executor(None, self.server.stop)
        await within(client.wait_closed())
        self.assertEqual(await within(stopped), 0)


if __name__ == "__main__":
    unittest.main()
