# session.py: one WebSocket of a well-behaved client, using Python's websockets: counted, and
# with a deadline for everything.

import asyncio
import contextlib
import socket

import websockets

from wire import DEADLINE, demand


class Session:
    def __init__(self, client, tally):
        self._client = client
        self._tally = tally

    async def send(self, message, deadline=DEADLINE):
        await asyncio.wait_for(self._client.send(message), deadline)
        self._tally.message(message)

    async def receive(self):
        message = await asyncio.wait_for(self._client.recv(), DEADLINE)
        self._tally.message(message)
        return message

    async def exchange(self, message):
        """For the endpoint that sends everything back."""
        await self.send(message)
        demand(await self.receive() == message, "another message came back")

    async def ping(self):
        await asyncio.wait_for(await self._client.ping(), DEADLINE)

    async def send_fragments(self, pieces, between):
        async def parts():
            for piece in pieces:
                yield piece
                await between()

        await asyncio.wait_for(self._client.send(parts()), DEADLINE)
        self._tally.message("".join(pieces))

    async def close(self):
        await asyncio.wait_for(self._client.close(), DEADLINE)

    @property
    def close_code(self):
        return self._client.close_code


@contextlib.asynccontextmanager
async def session(demo, tally, path, slow=False):
    """slow: reads from the network only what it is about to look at."""
    connection = socket.socket()
    connection.setblocking(False)
    options = {}
    if slow:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        options = {"max_queue": 1, "read_limit": 1 << 12, "write_limit": 1 << 12}
    context = demo.context()
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", demo.port))
        client = await websockets.connect(
            f"{'wss' if context else 'ws'}://localhost:{demo.port}{path}", sock=connection,
            ssl=context, server_hostname="localhost" if context else None, compression=None,
            max_size=None, ping_interval=None, open_timeout=DEADLINE, close_timeout=DEADLINE,
            **options)
    except BaseException:
        connection.close()
        raise
    try:
        yield Session(client, tally)
    finally:
        if not client.closed:
            client.transport.abort()
