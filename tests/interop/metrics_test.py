#!/usr/bin/python3 -B
# /metrics of the demo server: well-formed as Prometheus' promtool judges it, complete, and its
# figures change by exactly what was done, over plain TCP and TLS. The library's tests check
# the meaning of the figures in full.

import operator
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import time
import unittest
import zlib

import raw_socket
from deadline import DEADLINE
from over_tls import over_tls
from raw_socket import BINARY, CLOSE, FIN, PING, RSV1, TEXT, UPGRADE, frame, request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "websock" / "websock.h"
PROMTOOL = shutil.which("promtool", path=f"{ROOT / 'build'}:{os.environ['PATH']}")  # see deps.sh

SCRAPE = request("/metrics")
ACCEPTED = "websock_connections_accepted_total"
OPEN = "websock_connections_open"
RECEIVED = "websock_received_bytes_total"
SENT = "websock_sent_bytes_total"

REASONS = {"refused_no_room": "no_room", "refused_tls": "tls", "refused_late": "late",
           "refused_request": "request", "refused_by_onrequest": "onrequest",
           "refused_plain_http": "plain_http", "refused_gone": "gone",
           "refused_for_newer": "for_newer"}


def refused(reason):
    return f'websock_connections_refused_total{{reason="{reason}"}}'


def closed(code):
    return f'websock_connections_closed_total{{code="{code}"}}'


# The sample for each field of libwebsock_statistics. connections_refused is the sum of the
# reasons, and closed is an array.
SAMPLES = {
    "connections_open": [OPEN],
    "connections_accepted": [ACCEPTED],
    "connections_refused": [],
    "messages_in": ["websock_messages_received_total"],
    "messages_out": ["websock_messages_sent_total"],
    "bytes_in": [RECEIVED],
    "bytes_out": [SENT],
    "events_queued": ["websock_events_queued"],
    "workers": ["websock_workers"],
    "workers_busy": ["websock_workers_busy"],
    "longest_callback_ms": ["websock_longest_callback_seconds"],
    **{field: [refused(reason)] for field, reason in REASONS.items()},
    "closed": [closed(code) for code in [*range(1000, 1016), "other"]],
    "send_timeouts": ["websock_send_timeouts_total"],
    "topics": ["websock_topics"],
    "topic_bytes": ["websock_topic_bytes"],
    "publications": ["websock_topic_publications_total"],
    "deliveries": ["websock_topic_deliveries_total"],
    "replaced": ["websock_topic_replaced_total"],
    "missed": ["websock_topic_missed_total"],
    "closed_behind": ["websock_topic_closed_behind_total"],
    "blocked_writers": ["websock_blocked_writers"],
    "connections_compressed": ["websock_connections_compressed"],
    "deflated_messages": ["websock_deflated_messages_total"],
    "deflated_bytes_before": ["websock_deflated_bytes_before_total"],
    "deflated_bytes_after": ["websock_deflated_bytes_after_total"],
    "uncompressed_messages": ["websock_uncompressed_messages_total"],
    "deflations": ["websock_deflations_total"],
    "deflate_microseconds": ["websock_deflate_seconds_total"],
    "inflated_messages": ["websock_inflated_messages_total"],
    "inflated_bytes_before": ["websock_inflated_bytes_before_total"],
    "inflated_bytes_after": ["websock_inflated_bytes_after_total"],
    "inflate_microseconds": ["websock_inflate_seconds_total"],
    "compression_states": ["websock_compression_states"],
    "compression_state_bytes": ["websock_compression_state_bytes"],
}


def fields_of_the_header():
    text = HEADER.read_text(encoding="utf-8")
    body = re.search(r"typedef struct libwebsock_statistics \{(.*?)\}", text, re.S)[1]
    return re.findall(r"unsigned long long (\w+)", body)


def parse(text):
    """The samples: {'name{label="value"}': number}."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pairs = [line.rsplit(" ", 1) for line in lines]
    samples = {name: float(value) for name, value in pairs}
    assert len(samples) == len(lines), "a sample appears twice"
    return samples


class Case(raw_socket.Case):
    def scrape(self):
        response = self.ask(SCRAPE)
        self.assertEqual(response.status, 200)
        return parse(response.body.decode())

    def scrape_until(self, name, value, reached=operator.eq):
        """The first scrape in which the sample has this value: the server may count an event
        a moment after the client sees it."""
        end = time.monotonic() + DEADLINE
        while not reached((samples := self.scrape())[name], value):
            self.assertLess(time.monotonic(), end, f"{name} is {samples[name]}, and not {value}")
        return samples

    def counts_one(self, name, act):
        before = self.scrape()[name]
        act()
        self.scrape_until(name, before + 1)

    def close(self, connection, code):
        connection.sendall(frame(CLOSE, struct.pack("!H", code)))
        self.assertEqual(self.read_frame(connection).first_byte, FIN | CLOSE)
        self.read_to_end(connection)
        connection.close()  # or the server waits a second for that


class FormatTest(Case):
    def test_promtool_finds_no_problem(self):
        self.assertIsNotNone(PROMTOOL, "there is no promtool: run tests/deps.sh check")
        check = subprocess.run([PROMTOOL, "check", "metrics"], input=self.ask(SCRAPE).body,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE)
        self.assertEqual((check.returncode, check.stdout), (0, b""))

    def test_the_content_type_is_the_format_s(self):
        response = self.ask(SCRAPE)
        self.assertEqual(response.headers["content-type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(response.headers["cache-control"], "no-store")

    def test_every_sample_has_its_help_and_type(self):
        text = self.ask(SCRAPE).body.decode()
        for sample in parse(text):
            name = sample.partition("{")[0]
            kind = "counter" if name.endswith("_total") else "gauge"
            with self.subTest(sample=sample):
                self.assertRegex(text, rf"(?m)^# HELP {name} [A-Z].*\.$")
                self.assertRegex(text, rf"(?m)^# TYPE {name} {kind}$")

    def test_every_field_of_the_statistics_is_there_and_nothing_else(self):
        self.assertEqual(sorted(fields_of_the_header()), sorted(SAMPLES))
        self.assertEqual(sorted(self.scrape()), sorted(sum(SAMPLES.values(), [])))

    def test_head_has_no_body_and_other_methods_are_refused(self):
        head = self.ask(request("/metrics", method="HEAD"))
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(self.ask(request("/metrics", method="DELETE")).status, 405)

    def test_it_is_no_websocket_endpoint(self):
        self.assertEqual(self.ask(request("/metrics", headers=UPGRADE)).status, 404)


class FiguresTest(Case):
    def test_a_new_server_has_counted_only_the_scrape(self):
        samples = self.scrape()
        busy = {ACCEPTED: 1, RECEIVED: len(SCRAPE), "websock_workers_busy": 1}
        self.assertGreaterEqual(samples.pop("websock_workers"), 1)
        self.assertLess(samples.pop("websock_longest_callback_seconds"), DEADLINE)
        self.assertEqual({name: value for name, value in samples.items() if value}, busy)

    def test_a_scrape_is_plain_http_as_a_health_check_is(self):
        self.ask(request("/health"))
        self.scrape()
        self.scrape_until(refused("plain_http"), 2, operator.ge)

    def test_clients_are_open_until_they_are_closed(self):
        first, second = self.upgrade(), self.upgrade()
        self.scrape_until(OPEN, 2)
        self.close(first, 1000)
        self.scrape_until(OPEN, 1)
        self.close(second, 1000)
        self.assertEqual(self.scrape_until(OPEN, 0)[closed(1000)], 2)

    def test_messages_are_counted_and_control_frames_are_not(self):
        connection = self.upgrade()
        for data in (frame(TEXT, b"one"), frame(BINARY, b"two"),
                     frame(TEXT, b"thr", fin=0) + frame(PING) + frame(0, b"ee")):
            connection.sendall(data)
        answers = [self.read_frame(connection) for _ in range(4)]
        self.assertEqual(sum(answer.payload in (b"one", b"two", b"three") for answer in answers), 3)
        self.read_frame(self.upgrade("/chat"))  # the chat first reports how many people there are
        samples = self.scrape_until("websock_messages_sent_total", 4)
        self.assertEqual(samples["websock_messages_received_total"], 3)

    def test_messages_that_come_or_leave_compressed_are_counted(self):
        offer = {**UPGRADE, "Sec-WebSocket-Extensions": "permessage-deflate"}
        connection = self.upgrade(headers=offer)
        deflater = zlib.compressobj(wbits=-15)
        payload = deflater.compress(bytes(1000)) + deflater.flush(zlib.Z_SYNC_FLUSH)[:-4]
        connection.sendall(frame(BINARY, payload, reserved=RSV1))
        answer = self.read_frame(connection)
        self.assertEqual(answer.first_byte, FIN | RSV1 | BINARY)
        samples = self.scrape_until("websock_inflated_messages_total", 1)
        expected = {"websock_connections_compressed": 1,
                    "websock_inflated_bytes_before_total": len(payload),
                    "websock_inflated_bytes_after_total": 1000,
                    "websock_deflated_messages_total": 1,
                    "websock_deflated_bytes_before_total": 1000,
                    "websock_deflated_bytes_after_total": len(answer.payload),
                    "websock_uncompressed_messages_total": 0,
                    "websock_deflations_total": 1}
        self.assertEqual({name: samples[name] for name in expected}, expected)
        self.close(connection, 1000)
        self.scrape_until("websock_connections_compressed", 0)

    def test_what_leaves_as_it_is_to_a_client_with_compression_is_counted(self):
        offer = {**UPGRADE, "Sec-WebSocket-Extensions": "permessage-deflate"}
        connection = self.upgrade(headers=offer)
        connection.sendall(frame(TEXT, b"short"))
        self.assertEqual(self.read_frame(connection).first_byte, FIN | TEXT)
        samples = self.scrape_until("websock_uncompressed_messages_total", 1)
        self.assertEqual(samples["websock_deflated_messages_total"], 0)
        self.assertEqual(samples["websock_deflations_total"], 0)

    def test_every_byte_is_counted_without_the_overhead_of_tls(self):
        upgrade, message = request("/echo", headers=UPGRADE), frame(BINARY, bytes(1000))
        connection = self.connect()
        connection.sendall(upgrade + message)
        answer = self.read(connection, 1)
        while not answer.endswith(frame(BINARY, bytes(1000), mask=b"")):
            answer += self.read(connection, 1)

        # The server counts a write after it returns; the client may have read the data by
        # then.
        received, sent, seen = len(upgrade + message), len(answer), None
        end = time.monotonic() + DEADLINE
        while seen != (received, sent) and time.monotonic() < end:
            scrape = self.ask_raw(SCRAPE)
            samples = parse(self.response(scrape).body.decode())
            received += len(SCRAPE)
            if (seen := (samples[RECEIVED], samples[SENT])) != (received, sent):
                sent += len(scrape)
        self.assertEqual(seen, (received, sent))

    def ask_raw(self, data):
        connection = self.connect()
        connection.sendall(data)
        return self.read_to_end(connection)

    def test_closes_are_counted_by_code(self):
        for code, label in ((1000, 1000), (1001, 1001), (1011, 1011), (3000, "other"),
                            (4999, "other")):
            with self.subTest(code=code):
                self.counts_one(closed(label), lambda: self.close(self.upgrade(), code))

    def test_a_reset_is_counted_as_1006(self):
        def reset():
            connection = self.upgrade()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        self.counts_one(closed(1006), reset)

    def test_a_client_that_breaks_the_protocol_is_counted_as_1006(self):
        self.counts_one(closed(1006), lambda: self.close_code_after(frame(TEXT, mask=b"")))

    def test_refusals_are_counted_by_reason(self):
        statuses = [self.ask(data).status for data in (
            b"nonsense\r\n\r\n", request("/echo"),
            request("/nowhere"), request("/nowhere", headers=UPGRADE), request("/", method="PUT"))]
        self.assertEqual(statuses, [400, 426, 404, 404, 405])
        self.scrape_until(refused("request"), 2)
        samples = self.scrape_until(refused("onrequest"), 3)
        self.assertEqual({reason for reason in REASONS.values() if samples[refused(reason)]},
                         {"request", "onrequest", "plain_http"})

    def test_a_client_that_leaves_before_it_has_asked_is_counted_as_gone(self):
        def leave():
            connection = self.connect()
            connection.sendall(b"GET / HTTP/1.1\r\n")
            connection.close()

        self.counts_one(refused("gone"), leave)


class FailedTlsTest(Case):
    """Not run over plain TCP, which has no handshake to fail."""

    def test_a_failed_tls_handshake_is_counted(self):
        def plain_http():
            connection = self.connect_tcp()
            connection.sendall(request("/"))
            self.assertEqual(self.response(self.read_to_end(connection)).status, 400)

        def nonsense():
            connection = self.connect_tcp()
            connection.sendall(b"\x16\x03\x01\x00\x04hihi")
            self.read_to_end(connection)

        for act in (plain_http, nonsense):
            with self.subTest(act=act.__name__):
                self.counts_one(refused("tls"), act)


over_tls(globals(), FiguresTest, FailedTlsTest)
del FailedTlsTest

if __name__ == "__main__":
    unittest.main()
