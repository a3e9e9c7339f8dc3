#!/usr/bin/python3 -B
# The demo server byte by byte: what no WebSocket client sends, and what plain
# HTTP clients do.

import collections
import socket
import ssl
import struct
import unittest

from deadline import DEADLINE
from demo_server import DemoServer

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10

Response = collections.namedtuple("Response", "status headers body")
Frame = collections.namedtuple("Frame", "first_byte payload")

UPGRADE = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(target, method="GET", headers=None):
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {"Host": "127.0.0.1"}).items()]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode, payload=b"", fin=FIN, reserved=0, mask=b"\x37\xfa\x21\x3d"):
    length = len(payload)
    if length < 126:
        extended = b""
    elif length < 65536:
        length, extended = 126, struct.pack("!H", length)
    else:
        length, extended = 127, struct.pack("!Q", length)
    if mask:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    mask_bit = 0x80 if mask else 0
    return bytes([fin | reserved | opcode, mask_bit | length]) + extended + mask + payload


class Case(unittest.TestCase):
    def setUp(self):
        self.demo = self.enterContext(DemoServer())

    def connect(self):
        address = (self.demo.host, self.demo.port)
        return self.enterContext(socket.create_connection(address, DEADLINE))

    def read(self, connection, count):
        data = b""
        while len(data) < count:
            data += (piece := connection.recv(count - len(data)))
            self.assertTrue(piece, f"the connection ended after {data!r}")
        return data

    def read_to_end(self, connection):
        """Fails with ConnectionResetError when the end is not an orderly one."""
        return b"".join(iter(lambda: connection.recv(65536), b""))

    def response(self, data):
        head, blank, body = data.partition(b"\r\n\r\n")
        self.assertTrue(blank, data)
        status_line, *fields = head.decode("latin-1").split("\r\n")
        self.assertRegex(status_line, r"^HTTP/1\.1 \d{3} ")
        headers = {name.lower(): value.strip() for name, _, value in
                   (field.partition(":") for field in fields)}
        return Response(int(status_line.split()[1]), headers, body)

    def ask(self, data):
        connection = self.connect()
        connection.sendall(data)
        return self.response(self.read_to_end(connection))

    def upgrade(self, path="/echo", behind=b""):
        connection = self.connect()
        connection.sendall(request(path, headers=UPGRADE) + behind)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(connection, 1)
        self.assertEqual(self.response(head).status, 101)
        return connection

    def read_frame(self, connection):
        first_byte, length = self.read(connection, 2)
        self.assertLess(length, 128, "a server's frames are not masked")
        if length == 126:
            length, = struct.unpack("!H", self.read(connection, 2))
        elif length == 127:
            length, = struct.unpack("!Q", self.read(connection, 8))
        return Frame(first_byte, self.read(connection, length))

    def close_code_after(self, data):
        connection = self.upgrade()
        connection.sendall(data)
        close = self.read_frame(connection)
        self.assertEqual(close.first_byte, FIN | CLOSE)
        self.assertEqual(self.read_to_end(connection), b"")
        return struct.unpack("!H", close.payload[:2])[0]


class PlainHttpTest(Case):
    def test_the_page_is_html(self):
        page = self.ask(request("/"))
        self.assertEqual(page.status, 200)
        self.assertRegex(page.headers["content-type"], "^text/html")
        self.assertEqual(len(page.body), int(page.headers["content-length"]))
        self.assertIn(b"<html", page.body)

    def test_head_has_the_page_s_headers_and_no_body(self):
        page, head = self.ask(request("/")), self.ask(request("/", method="HEAD"))
        self.assertEqual(head.status, 200)
        self.assertEqual(head.headers["content-length"], page.headers["content-length"])
        self.assertEqual(head.body, b"")

    def test_health_answers_200(self):
        self.assertEqual(self.ask(request("/health")).status, 200)

    def test_an_unknown_path_answers_404(self):
        self.assertEqual(self.ask(request("/no-such-page")).status, 404)

    def test_plain_http_on_the_echo_endpoint_is_told_to_upgrade(self):
        answer = self.ask(request("/echo"))
        self.assertEqual(answer.status, 426)
        self.assertEqual(answer.headers["sec-websocket-version"], "13")
        self.assertEqual(answer.headers["upgrade"].lower(), "websocket")

    def test_a_request_may_come_byte_by_byte(self):
        connection = self.connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request("/health"):
            connection.sendall(bytes([byte]))
        self.assertEqual(self.response(self.read_to_end(connection)).status, 200)


class RefusedHandshakeTest(Case):
    def refusal(self, **changes):
        return self.ask(request("/echo", headers={**UPGRADE, **changes}))

    def test_another_protocol_version_gets_426_and_the_version_that_is_spoken(self):
        answer = self.refusal(**{"Sec-WebSocket-Version": "8"})
        self.assertEqual(answer.status, 426)
        self.assertEqual(answer.headers["sec-websocket-version"], "13")

    def test_a_key_that_is_not_16_bytes_in_base64_gets_400(self):
        for key in ("", "short", "dGhlIHNhbXBsZSBub25jZQ", "!" * 24):
            with self.subTest(key=key):
                self.assertEqual(self.refusal(**{"Sec-WebSocket-Key": key}).status, 400)

    def test_headers_that_are_too_large_get_431(self):
        self.assertEqual(self.refusal(Cookie="c" * 20_000).status, 431)

    def test_what_is_no_http_gets_400(self):
        self.assertEqual(self.ask(b"\x00\x01\x02\x03\r\n\r\n").status, 400)

    def test_a_tls_client_on_the_plain_port_gets_400(self):
        hello = ssl.MemoryBIO()
        tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello,
                                                    server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        self.assertEqual(self.ask(hello.read()).status, 400)

    def test_a_refused_client_can_read_the_whole_answer_although_it_sent_more(self):
        refused = request("/no-such-endpoint", headers=UPGRADE)
        answer = self.ask(refused + frame(BINARY, bytes(32_768)))
        self.assertEqual(answer.status, 404)
        self.assertEqual(len(answer.body), int(answer.headers["content-length"]))


class HandshakeTest(Case):
    def test_the_accept_key_is_the_one_of_rfc_6455(self):
        connection = self.connect()
        connection.sendall(request("/echo", headers=UPGRADE) + frame(CLOSE))
        answer = self.response(self.read_to_end(connection))
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(answer.headers["upgrade"].lower(), "websocket")
        self.assertEqual(answer.headers["connection"].lower(), "upgrade")
        self.assertNotIn("sec-websocket-extensions", answer.headers)

    def test_frames_right_behind_the_request_are_answered(self):
        connection = self.upgrade(behind=frame(TEXT, b"early") + frame(PING, b"bird"))
        answers = {self.read_frame(connection), self.read_frame(connection)}
        self.assertEqual(answers, {Frame(FIN | TEXT, b"early"), Frame(FIN | PONG, b"bird")})

    def test_a_client_that_leaves_during_the_handshake_harms_nobody(self):
        for part in (b"", b"GET", request("/echo", headers=UPGRADE)[:-2]):
            self.connect().sendall(part)
        self.assertEqual(self.ask(request("/health")).status, 200)


class FramingTest(Case):
    def test_an_unmasked_frame_is_a_protocol_error(self):
        self.assertEqual(self.close_code_after(frame(TEXT, b"bare", mask=b"")), 1002)

    def test_each_reserved_bit_is_a_protocol_error(self):
        for bit in (RSV1, RSV2, RSV3):
            with self.subTest(bit=bit):
                self.assertEqual(self.close_code_after(frame(TEXT, b"x", reserved=bit)), 1002)

    def test_each_reserved_opcode_is_a_protocol_error(self):
        for opcode in (0x3, 0x7, 0xB, 0xF):
            with self.subTest(opcode=opcode):
                self.assertEqual(self.close_code_after(frame(opcode)), 1002)

    def test_a_fragmented_ping_is_a_protocol_error(self):
        self.assertEqual(self.close_code_after(frame(PING, fin=0)), 1002)

    def test_a_ping_of_126_bytes_is_a_protocol_error(self):
        self.assertEqual(self.close_code_after(frame(PING, b"p" * 126)), 1002)

    def test_a_continuation_of_nothing_is_a_protocol_error(self):
        self.assertEqual(self.close_code_after(frame(0x0, b"what?")), 1002)

    def test_text_that_is_not_utf_8_gets_1007(self):
        for data in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"cut \xf0\x9f"):
            with self.subTest(data=data):
                self.assertEqual(self.close_code_after(frame(TEXT, data)), 1007)

    def test_invalid_utf_8_is_noticed_before_its_message_is_complete(self):
        self.assertEqual(self.close_code_after(frame(TEXT, b"\xff", fin=0)), 1007)

    def test_frames_may_come_byte_by_byte(self):
        connection = self.upgrade()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(TEXT, b"s" * 200):
            connection.sendall(bytes([byte]))
        self.assertEqual(self.read_frame(connection), Frame(FIN | TEXT, b"s" * 200))


class CloseTest(Case):
    def test_a_close_without_a_code_is_answered_without_one(self):
        connection = self.upgrade()
        connection.sendall(frame(CLOSE))
        self.assertEqual(self.read_frame(connection), Frame(FIN | CLOSE, b""))
        self.assertEqual(self.read_to_end(connection), b"")

    def test_a_close_code_that_may_not_be_sent_is_a_protocol_error(self):
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000):
            with self.subTest(code=code):
                payload = struct.pack("!H", code)
                self.assertEqual(self.close_code_after(frame(CLOSE, payload)), 1002)

    def test_a_close_of_one_byte_is_a_protocol_error(self):
        self.assertEqual(self.close_code_after(frame(CLOSE, b"\x03")), 1002)

    def test_a_reason_that_is_not_utf_8_is_not_accepted(self):
        self.assertEqual(self.close_code_after(frame(CLOSE, b"\x03\xe8\xff")), 1007)

    def test_what_comes_behind_a_close_is_not_answered(self):
        connection = self.upgrade()
        connection.sendall(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"too late"))
        self.assertEqual(self.read_frame(connection), Frame(FIN | CLOSE, b"\x03\xe8"))
        self.assertEqual(self.read_to_end(connection), b"")


if __name__ == "__main__":
    unittest.main()
