#!/usr/bin/python3 -B
# The demo server as Python's "websockets" sees it (10.4, as in Debian 12).

import asyncio
import contextlib
import unittest

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

import certificates
from deadline import within
from demo_server import DemoServer
from over_tls import TLS_1_3, over_tls

MIB = 1 << 20
PRICES = "".join(f'{{"bid":1.{i * 7919 % 10007},"n":{i}}}' for i in range(1000))


class Case(unittest.IsolatedAsyncioTestCase):
    options = ()
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.demo = self.enterContext(DemoServer(*self.options, certificate=certificate))

    async def asyncSetUp(self):
        # unittest turns on asyncio's debug mode, far too slow for 10,000 messages.
        asyncio.get_running_loop().set_debug(False)

    async def connect(self, path="/echo", **options):
        if self.tls_version:
            options["ssl"] = certificates.client_context(self.tls_version)
        client = await within(websockets.connect(self.demo.url(path), max_size=None, **options))
        self.addAsyncCleanup(client.close)
        return client

    async def echo(self, client, message):
        await within(client.send(message))
        return await within(client.recv())

    async def refusal(self, path="/echo", **options):
        with self.assertRaises(websockets.InvalidStatusCode) as refused:
            await self.connect(path, **options)
        return refused.exception.status_code


class MessageTest(Case):
    async def test_a_text_comes_back_as_text(self):
        client = await self.connect()
        self.assertEqual(await self.echo(client, "hello"), "hello")

    async def test_a_binary_message_comes_back_as_binary(self):
        client = await self.connect()
        every_byte = bytes(range(256))
        self.assertEqual(await self.echo(client, every_byte), every_byte)

    async def test_empty_messages_come_back_empty_and_of_their_kind(self):
        client = await self.connect()
        self.assertEqual(await self.echo(client, ""), "")
        self.assertEqual(await self.echo(client, b""), b"")

    async def test_text_in_many_scripts_comes_back_unchanged(self):
        client = await self.connect()
        text = "naïve Ünïcödé, русский, 日本語, 🦆\U0010ffff, and a NUL: \0."
        self.assertEqual(await self.echo(client, text), text)

    async def test_messages_around_each_length_encoding_come_back(self):
        client = await self.connect()
        for length in (1, 125, 126, 127, 65535, 65536, 65537):
            with self.subTest(length=length):
                message = bytes(i % 251 for i in range(length))
                self.assertEqual(await self.echo(client, message), message)

    async def test_16_mib_of_text_come_back(self):
        client = await self.connect()
        text = "é" * (8 * MIB)
        self.assertTrue(await self.echo(client, text) == text)

    async def test_16_mib_of_binary_data_come_back(self):
        client = await self.connect()
        data = bytes(range(256)) * (MIB // 16)
        self.assertTrue(await self.echo(client, data) == data)

    async def test_a_fragmented_message_comes_back_whole(self):
        client = await self.connect()

        async def fragments():
            for part in ("frag", "", "men", "ted"):
                yield part

        self.assertEqual(await self.echo(client, fragments()), "fragmented")

    async def test_a_character_may_be_cut_between_two_fragments(self):
        client = await self.connect()
        duck = "🦆".encode()
        await within(client.write_frame(False, 0x1, duck[:1]))
        await within(client.write_frame(True, 0x0, duck[1:]))
        self.assertEqual(await within(client.recv()), "🦆")

    async def test_10_000_pipelined_messages_come_back_in_order(self):
        client = await self.connect()

        async def send():
            for i in range(10_000):
                await client.send(str(i))

        async def receive():
            return [await client.recv() for _ in range(10_000)]

        _, received = await within(asyncio.gather(send(), receive()))
        self.assertEqual(received, [str(i) for i in range(10_000)])

    async def test_200_clients_at_once_each_get_their_own_message(self):
        clients = await asyncio.gather(*(self.connect() for _ in range(200)))
        messages = [f"client {i}" for i in range(200)]
        received = await asyncio.gather(*map(self.echo, clients, messages))
        self.assertEqual(received, messages)


class PingTest(Case):
    async def test_a_ping_is_answered_with_its_own_payload(self):
        client = await self.connect()
        # websockets resolves this only on a Pong with the same payload.
        await within(await within(client.ping(b"are you there?")))

    async def test_an_empty_ping_and_one_of_125_bytes_are_answered(self):
        client = await self.connect()
        await within(await within(client.ping(b"")))
        await within(await within(client.ping(b"p" * 125)))

    async def test_a_ping_between_two_fragments_is_answered_before_the_message(self):
        client = await self.connect()
        await within(client.write_frame(False, 0x1, b"one "))
        await within(await within(client.ping(b"between")))
        await within(client.write_frame(True, 0x0, b"two"))
        self.assertEqual(await within(client.recv()), "one two")

    async def test_an_unsolicited_pong_is_ignored(self):
        client = await self.connect()
        await within(client.pong(b"nobody asked"))
        self.assertEqual(await self.echo(client, "still here"), "still here")


class CloseTest(Case):
    async def test_a_close_code_comes_back_in_the_closing_handshake(self):
        for code in (1000, 1001, 3000, 4999):
            with self.subTest(code=code):
                client = await self.connect()
                await within(client.close(code, "because"))
                self.assertEqual(client.close_code, code)

    async def test_a_close_without_a_reason_is_answered(self):
        client = await self.connect()
        await within(client.close(1000))
        self.assertEqual((client.close_code, client.close_reason), (1000, ""))

    async def test_every_client_gets_1001_when_the_server_is_stopped(self):
        clients = await asyncio.gather(*(self.connect() for _ in range(20)))
        stopped = asyncio.get_running_loop().run_in_executor(None, self.demo.stop)
        await within(asyncio.gather(*(client.wait_closed() for client in clients)))
        self.assertEqual({client.close_code for client in clients}, {1001})
        self.assertEqual(await within(stopped), 0)


class CompressionTest(Case):
    """Every test above is with compression, too: websockets offers it."""

    async def agree(self, **parameters):
        offer = ClientPerMessageDeflateFactory(**parameters)
        client = await self.connect(compression=None, extensions=[offer])
        self.assertEqual(len(client.extensions), 1)
        return client, client.extensions[0]

    async def echo_some(self, client):
        for message in (PRICES, PRICES, "", "short", PRICES[::-1], bytes(100_000), PRICES):
            self.assertTrue(await self.echo(client, message) == message)

    async def test_every_window_of_either_side(self):
        for bits in range(8, 16):
            with self.subTest(bits=bits):
                client, agreed = await self.agree(server_max_window_bits=bits)
                self.assertEqual(agreed.remote_max_window_bits, bits)
                await self.echo_some(client)
        for bits in range(9, 16):  # Python's zlib has none of 8
            with self.subTest(client_bits=bits):
                client, agreed = await self.agree(client_max_window_bits=bits)
                self.assertLessEqual(agreed.local_max_window_bits, bits)
                await self.echo_some(client)

    async def test_without_context_takeover_of_either_side(self):
        for server, client in ((True, False), (False, True), (True, True)):
            with self.subTest(server=server, client=client):
                connection, agreed = await self.agree(server_no_context_takeover=server,
                                                      client_no_context_takeover=client)
                self.assertEqual((agreed.remote_no_context_takeover,
                                  agreed.local_no_context_takeover), (server, client))
                await self.echo_some(connection)

    async def test_fragments_make_one_compressed_message(self):
        client = await self.connect()

        async def fragments():
            for at in range(0, len(PRICES), 1000):
                yield PRICES[at:at + 1000]
            yield ""

        for _ in range(3):
            self.assertEqual(await self.echo(client, fragments()), PRICES)
            self.assertEqual(await self.echo(client, PRICES), PRICES)

    async def test_what_inflates_to_more_than_the_limit_ends_the_connection_with_1009(self):
        client = await self.connect()
        self.assertTrue(await self.echo(client, bytes(16 * MIB)) == bytes(16 * MIB))
        await within(client.send(bytes(16 * MIB + 1)))
        await within(client.wait_closed())
        self.assertEqual(client.close_code, 1009)

    async def test_what_is_said_in_the_chat_reaches_everybody_compressed_or_not(self):
        people = [await self.connect("/chat"), await self.connect("/chat", compression=None),
                  await self.connect("/chat")]
        for text in ("first " + PRICES[:1500], "second " + PRICES[:1500]):
            await within(people[0].send(text))
            for client in people:
                while text not in await within(client.recv()):
                    pass


class UncompressedTest(Case):
    options = ("--no-compression",)

    async def test_compression_that_is_turned_off_is_not_negotiated(self):
        client = await self.connect()
        self.assertIn("permessage-deflate", client.request_headers["Sec-WebSocket-Extensions"])
        self.assertEqual(client.extensions, [])
        self.assertEqual(await self.echo(client, PRICES), PRICES)


class HandshakeTest(Case):
    async def test_a_known_subprotocol_is_chosen(self):
        client = await self.connect(subprotocols=["other", "echo"])
        self.assertEqual(client.subprotocol, "echo")

    async def test_no_subprotocol_is_chosen_when_none_is_known(self):
        client = await self.connect(subprotocols=["other"])
        self.assertIsNone(client.subprotocol)

    async def test_compression_is_negotiated_where_it_is_offered(self):
        client = await self.connect()
        self.assertEqual([extension.name for extension in client.extensions],
                         ["permessage-deflate"])
        client = await self.connect(compression=None)
        self.assertEqual(client.extensions, [])
        self.assertEqual(await self.echo(client, PRICES), PRICES)

    async def test_the_page_s_own_origin_is_let_in(self):
        client = await self.connect(origin=self.demo.origin)
        self.assertEqual(await self.echo(client, "hello"), "hello")

    async def test_another_host_s_origin_is_refused_with_403(self):
        self.assertEqual(await self.refusal(origin="http://elsewhere.example"), 403)

    async def test_an_unknown_path_is_refused_with_404(self):
        self.assertEqual(await self.refusal("/no-such-endpoint"), 404)


class AllowedOriginTest(Case):
    options = ("--origin", "https://app.example")

    async def test_the_origin_named_on_the_command_line_is_let_in(self):
        client = await self.connect(origin="https://app.example")
        self.assertEqual(await self.echo(client, "hello"), "hello")

    async def test_other_origins_are_still_refused(self):
        self.assertEqual(await self.refusal(origin="https://elsewhere.example"), 403)


class TlsOriginTest(Case):
    tls_version = TLS_1_3

    async def test_a_page_of_the_same_host_that_came_without_tls_is_refused_with_403(self):
        self.assertEqual(
            await self.refusal(origin=self.demo.origin.replace("https:", "http:")), 403)


class FrameLimitTest(Case):
    """Compressed, frames are short."""

    options = ("--max-frame", "1024")

    async def connect(self):
        return await super().connect(compression=None)

    async def test_a_frame_as_large_as_allowed_comes_back(self):
        client = await self.connect()
        self.assertEqual(await self.echo(client, "x" * 1024), "x" * 1024)

    async def test_a_larger_frame_ends_the_connection_with_1009(self):
        client = await self.connect()
        await within(client.send("x" * 1025))
        await within(client.wait_closed())
        self.assertEqual(client.close_code, 1009)

    async def test_a_much_larger_frame_ends_it_with_1009_before_it_was_read(self):
        client = await self.connect()
        with contextlib.suppress(websockets.ConnectionClosed):  # it may come while we send
            await within(client.send(bytes(4 * MIB)))
        await within(client.wait_closed())
        self.assertEqual(client.close_code, 1009)

    async def test_a_larger_message_in_allowed_fragments_comes_back(self):
        client = await self.connect()

        async def fragments():
            for _ in range(4):
                yield "x" * 1024

        self.assertEqual(await self.echo(client, fragments()), "x" * 4096)


over_tls(globals(), MessageTest, PingTest, CloseTest)
over_tls(globals(), HandshakeTest, CompressionTest, versions=[TLS_1_3])


if __name__ == "__main__":
    unittest.main()
