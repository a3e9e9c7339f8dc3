#!/usr/bin/python3 -B
# Large messages as other programs send and get them: Python's "websockets" and Node's "ws" (driven
# by node_streams.js) stream fragments and send one huge frame to tests/support/stream_server.c,
# which has sessions and onpart, and get a file from it. What takes long is tried by one of them over
# TLS, and by the other without. Small messages are in python_websockets_test.py and node_ws_test.py.

import asyncio
import hashlib
import json
import pathlib
import subprocess
import tempfile
import unittest

import websockets

import certificates
from deadline import DEADLINE, within
from demo_server import StreamServer
from over_tls import TLS_1_3

MIB = 1 << 20
HUGE = 64 * MIB
STYLES = ("session", "session-parts", "parts")
NODE = pathlib.Path(__file__).with_name("node_streams.js")
PRICES = "price 1.0234 €, price 1.0235 €; " * 30_000

directory = tempfile.TemporaryDirectory()
FILE = pathlib.Path(directory.name) / "large"


def setUpModule():
    """A file that can be compressed, but of which no MiB is like another."""
    line = b"".join(b"%d," % (i * 7919 % 10007) for i in range(MIB // 4))[:MIB]
    FILE.write_bytes(b"".join(line[i:] + line[:i] for i in range(HUGE // MIB)))


def tearDownModule():
    directory.cleanup()


class PythonCase(unittest.IsolatedAsyncioTestCase):
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.server = self.enterContext(StreamServer(FILE, certificate=certificate))

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)

    async def connect(self, style, **options):
        if self.tls_version:
            options["ssl"] = certificates.client_context(self.tls_version)
        client = await within(
            websockets.connect(self.server.url(f"/{style}"), max_size=None, **options))
        self.addAsyncCleanup(client.close)
        return client


class PythonTest(PythonCase):
    async def check_fragments(self, compression):
        """A thousand, with an empty one behind each."""
        data = PRICES.encode()
        size = len(data) // 1000

        async def fragments():
            for at in range(0, len(data), size):
                yield data[at:at + size]
                yield b""

        for style in STYLES:
            with self.subTest(style=style):
                client = await self.connect(style, compression=compression)
                self.assertEqual(len(client.extensions), 1 if compression else 0)
                _, received = await within(
                    asyncio.gather(client.send(fragments()), client.recv()))
                self.assertTrue(received == data)
                await within(client.send("behind it"))
                self.assertEqual(await within(client.recv()), "behind it")

    async def test_a_stream_of_fragments_comes_back(self):
        await self.check_fragments(None)

    async def test_a_stream_of_compressed_fragments_comes_back(self):
        await self.check_fragments("deflate")

    async def test_text_cut_inside_characters_comes_back(self):
        data = PRICES[:1000].encode()
        for style in STYLES:
            with self.subTest(style=style):
                client = await self.connect(style, compression=None)
                for at in range(len(data)):
                    opcode = 0x1 if at == 0 else 0x0
                    await within(client.write_frame(at + 1 == len(data), opcode, data[at:at + 1]))
                self.assertEqual(await within(client.recv()), data.decode())

    async def test_one_frame_of_64_mib_comes_back(self):
        data = FILE.read_bytes()
        for style in STYLES:
            with self.subTest(style=style):
                client = await self.connect(style, compression=None)
                _, received = await within(asyncio.gather(client.send(data), client.recv()))
                self.assertTrue(received == data)


class PythonFileTest(PythonCase):
    tls_version = TLS_1_3

    async def test_a_file_of_64_mib_comes_as_one_message_over_tls(self):
        client = await self.connect("file", compression=None)
        await within(client.send("the file, please"))
        self.assertTrue(await within(client.recv()) == FILE.read_bytes())
        await within(await within(client.ping(b"still there?")))


class NodeCase(unittest.TestCase):
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.server = self.enterContext(StreamServer(FILE, certificate=certificate))
        self.authorities = [certificates.root().cert] if self.tls_version else []

    def seen(self, scenario):
        run = subprocess.run(["node", NODE, self.server.url("/"), scenario, *self.authorities],
                             text=True, stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=DEADLINE)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)


class NodeTest(NodeCase):
    def test_a_stream_of_fragments_comes_back_compressed_or_not(self):
        for scenario, extension in (("fragments", ""),
                                    ("fragments compressed", "permessage-deflate")):
            with self.subTest(scenario=scenario):
                wanted = {"same": True, "isBinary": False, "compression": extension,
                          "next": "behind it"}
                self.assertEqual(self.seen(scenario), {style: wanted for style in STYLES})

    def test_a_file_of_64_mib_comes_as_one_message_compressed_or_not(self):
        wanted = {"length": HUGE, "hash": hashlib.sha256(FILE.read_bytes()).hexdigest()}
        for scenario in ("file", "file compressed"):
            with self.subTest(scenario=scenario):
                self.assertEqual(self.seen(scenario), wanted)


class NodeFrameTest(NodeCase):
    tls_version = TLS_1_3

    def test_one_frame_of_64_mib_comes_back_over_tls(self):
        self.assertEqual(self.seen("hugeFrame"),
                         {style: {"same": True, "isBinary": True} for style in STYLES})


if __name__ == "__main__":
    unittest.main()
