#!/usr/bin/python3 -B
# The demo server behind nginx, with the configuration in nginx.conf; and again behind an nginx
# that speaks TLS with its clients.

import asyncio
import http.client
import os
import pathlib
import shutil
import socket
import tempfile
import unittest

import websockets

import certificates
from deadline import DEADLINE, within
from demo_server import DemoServer
from over_tls import TLS_1_2, over_tls
from program import Program

TEMPLATE = pathlib.Path(__file__).with_name("nginx.conf")
# On Debian outside users' PATH; or taken out of its package, see deps.sh.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin:"
                     f"{pathlib.Path(__file__).resolve().parents[2] / 'build'}")


class Nginx(Program):
    """nginx in front of the server, with all its files in a directory of its own. With a
    certificate it speaks TLS."""

    def __init__(self, server, certificate=None):
        self.server = server
        self.tls = (f" ssl; ssl_certificate {certificate.chain};"
                    f" ssl_certificate_key {certificate.key}") if certificate else ""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="websock-nginx-")
        os.chmod(self.directory.name, 0o711)  # so that workers of a root nginx can enter
        # nginx inherits listening sockets through the environment, so the port is free, and
        # open before nginx starts.
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        values = {"@PREFIX@": self.directory.name, "@PORT@": str(self.port),
                  "@SERVER@": self.server, "@TLS@": self.tls}
        configuration = TEMPLATE.read_text()
        for placeholder, value in values.items():
            configuration = configuration.replace(placeholder, value)
        file = pathlib.Path(self.directory.name, "nginx.conf")
        file.write_text(configuration)
        super().__init__([NGINX, "-p", self.directory.name, "-e", "stderr", "-c", file],
                         pass_fds=[listener.fileno()],
                         env={**os.environ, "NGINX": f"{listener.fileno()};"})
        super().__enter__()
        listener.close()
        return self

    def __exit__(self, *error):
        with self.directory:
            super().__exit__(*error)


class NginxTest(unittest.IsolatedAsyncioTestCase):
    tls_version = None

    def setUp(self):
        demo = self.enterContext(DemoServer())
        certificate = certificates.server() if self.tls_version else None
        self.nginx = self.enterContext(Nginx(f"{demo.host}:{demo.port}", certificate))
        self.address = f"127.0.0.1:{self.nginx.port}"
        self.context = certificates.client_context(self.tls_version) if certificate else None

    async def connect(self, path):
        # A browser's Origin is the proxy's address, which the server must accept as its own.
        s = "s" if self.context else ""
        client = await within(websockets.connect(
            f"ws{s}://{self.address}{path}", origin=f"http{s}://{self.address}", ssl=self.context))
        self.addAsyncCleanup(client.close)
        return client

    async def echo(self, client, message):
        await within(client.send(message))
        return await within(client.recv())

    def get(self, path):
        if self.context:
            connection = http.client.HTTPSConnection(self.address, timeout=DEADLINE,
                                                     context=self.context)
        else:
            connection = http.client.HTTPConnection(self.address, timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    async def test_the_page_and_the_health_check_come_through(self):
        status, page = self.get("/")
        self.assertEqual(status, 200)
        self.assertIn(b"<html", page)
        self.assertEqual(self.get("/health")[0], 200)

    async def test_text_and_binary_messages_come_back(self):
        client = await self.connect("/echo")
        self.assertEqual(await self.echo(client, "grüße"), "grüße")
        self.assertEqual(await self.echo(client, bytes(range(256))), bytes(range(256)))

    async def test_compression_is_negotiated_through_it(self):
        client = await self.connect("/echo")
        self.assertEqual([extension.name for extension in client.extensions],
                         ["permessage-deflate"])
        prices = "price 1.0234; " * 1000
        for message in (prices, prices[100:], "", prices.encode()):
            self.assertTrue(await self.echo(client, message) == message)

    async def test_1_mib_comes_back(self):
        client = await self.connect("/echo")
        data = bytes(range(256)) * 4096
        self.assertTrue(await self.echo(client, data) == data)

    async def test_the_closing_handshake_passes_through(self):
        client = await self.connect("/echo")
        await within(client.close(4000, "done"))
        self.assertEqual(client.close_code, 4000)

    async def test_100_clients_at_once_each_get_their_own_message(self):
        clients = await asyncio.gather(*(self.connect("/echo") for _ in range(100)))
        messages = [f"client {i}" for i in range(100)]
        received = await asyncio.gather(*map(self.echo, clients, messages))
        self.assertEqual(received, messages)

    async def test_what_one_says_in_the_chat_reaches_the_other(self):
        alice, bob = await self.connect("/chat"), await self.connect("/chat")
        await within(self.heard(bob, '"people"'))  # sent on entering, after the handshake
        await within(alice.send("hello from alice"))
        await within(self.heard(bob, "hello from alice"))

    async def heard(self, client, text):
        while text not in await client.recv():
            pass


# The version that nginx 1.22 speaks by default.
over_tls(globals(), NginxTest, versions=[TLS_1_2])


if __name__ == "__main__":
    unittest.main()
