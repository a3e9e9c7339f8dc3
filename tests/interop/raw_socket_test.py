#!/usr/bin/python3 -B
# The demo server byte by byte: what no WebSocket client sends, and what plain HTTP clients do;
# all of it again over TLS.

import socket
import ssl
import struct
import unittest

from over_tls import over_tls
from raw_socket import (BINARY, CLOSE, FIN, PING, PONG, RSV1, RSV2, RSV3, TEXT, UPGRADE, Case,
                        Frame, frame, request)


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

    def test_another_protocol_version_gets_426_and_the_supported_version(self):
        answer = self.refusal(**{"Sec-WebSocket-Version": "8"})
        self.assertEqual(answer.status, 426)
        self.assertEqual(answer.headers["sec-websocket-version"], "13")

    def test_a_key_that_is_not_16_bytes_in_base64_gets_400(self):
        for key in ("", "short", "dGhlIHNhbXBsZSBub25jZQ", "!" * 24):
            with self.subTest(key=key):
                self.assertEqual(self.refusal(**{"Sec-WebSocket-Key": key}).status, 400)

    def test_headers_that_are_too_large_get_431(self):
        self.assertEqual(self.refusal(Cookie="c" * 20_000).status, 431)

    def test_a_request_that_is_not_http_gets_400(self):
        self.assertEqual(self.ask(b"\x00\x01\x02\x03\r\n\r\n").status, 400)

    def test_a_refused_client_can_read_the_whole_answer_although_it_sent_more(self):
        refused = request("/no-such-endpoint", headers=UPGRADE)
        answer = self.ask(refused + frame(BINARY, bytes(32_768)))
        self.assertEqual(answer.status, 404)
        self.assertEqual(len(answer.body), int(answer.headers["content-length"]))


class PlainPortTest(Case):
    def test_a_tls_client_on_the_plain_port_gets_400(self):
        hello = ssl.MemoryBIO()
        tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello,
                                                    server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        self.assertEqual(self.ask(hello.read()).status, 400)


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

    def test_frames_right_after_the_request_are_answered(self):
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

    def test_frames_after_a_close_are_not_answered(self):
        connection = self.upgrade()
        connection.sendall(frame(CLOSE, b"\x03\xe8") + frame(TEXT, b"too late"))
        self.assertEqual(self.read_frame(connection), Frame(FIN | CLOSE, b"\x03\xe8"))
        self.assertEqual(self.read_to_end(connection), b"")


# Sending one byte makes a TLS record of one byte.
over_tls(globals(), PlainHttpTest, RefusedHandshakeTest, HandshakeTest, FramingTest, CloseTest)

if __name__ == "__main__":
    unittest.main()
