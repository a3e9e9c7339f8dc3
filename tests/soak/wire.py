# wire.py: a connection to the demo without a WebSocket library, for the clients that break
# off, break rules or stay silent. visits.py and residents.py say who does what.

import asyncio
import contextlib
import re
import socket
import struct

DEADLINE = 30  # seconds; reached only by a failure
TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8
FIN = 0x80

UPGRADE = (b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


class Failed(Exception):
    """The server did not do what it must."""


def demand(condition, what):
    if not condition:
        raise Failed(what)


def frame(opcode, payload=b"", announced=None, masked=True):
    """A client's final frame with key 0. announced: a length other than the payload's."""
    length = len(payload) if announced is None else announced
    if length < 126:
        header = struct.pack("!BB", FIN | opcode, length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", FIN | opcode, 126, length)
    else:
        header = struct.pack("!BBQ", FIN | opcode, 127, length)
    if not masked:
        return header + payload
    return bytes([header[0], header[1] | 0x80]) + header[2:] + bytes(4) + payload


class Wire:
    """TCP, or TLS over it."""

    def __init__(self, reader, writer):
        self._reader = reader
        self._writer = writer

    async def send(self, data):
        self._writer.write(data)
        await asyncio.wait_for(self._writer.drain(), DEADLINE)

    async def read(self, count):
        return await asyncio.wait_for(self._reader.readexactly(count), DEADLINE)

    async def read_to_end(self):
        """Everything up to the end of the connection, which may be a reset."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := await asyncio.wait_for(self._reader.read(65536), DEADLINE):
                data += piece
        return data

    async def status(self):
        """The status of an HTTP answer that ends with the connection."""
        answer = await self.read_to_end()
        line = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
        demand(line, f"no HTTP answer but {answer[:60]!r}")
        return int(line[1])

    async def upgrade(self):
        await self.send(UPGRADE)
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), DEADLINE)
        demand(head.startswith(b"HTTP/1.1 101 "), f"no 101 but {head[:60]!r}")

    async def echo(self, payload):
        await self.send(frame(BINARY, payload))
        sent_back = frame(BINARY, payload, masked=False)
        demand(await self.read(len(sent_back)) == sent_back, "another message came back")

    async def close_code(self):
        """The code of the Close frame that must come next."""
        first, length = await self.read(2)
        demand(first == FIN | CLOSE and length >= 2, "no Close frame with a code")
        return struct.unpack("!H", (await self.read(length))[:2])[0]

    def end_sending(self):
        """Closes the sending half over TCP; TLS has no half, so the whole connection."""
        if self._writer.can_write_eof():
            self._writer.write_eof()
        else:
            self._writer.close()

    def reset(self):
        """The server's next read or write fails with ECONNRESET."""
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                         struct.pack("ii", 1, 0))
        self.vanish()

    def vanish(self):
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(demo, tls=True):
    """tls: False connects without TLS even if the demo has it."""
    context = demo.context() if tls else None
    wire = Wire(*await asyncio.wait_for(asyncio.open_connection(
        "127.0.0.1", demo.port, ssl=context,
        server_hostname="localhost" if context else None), DEADLINE))
    try:
        yield wire
    finally:
        wire.vanish()


@contextlib.asynccontextmanager
async def upgraded(demo):
    async with connected(demo) as wire:
        await wire.upgrade()
        yield wire
