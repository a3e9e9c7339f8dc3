#!/usr/bin/python3 -B
# The demo server as Node's "ws" sees it; node_client.js drives it.

import json
import pathlib
import subprocess
import unittest

import certificates
from deadline import DEADLINE
from demo_server import DemoServer
from over_tls import TLS_1_3, over_tls

CLIENT = pathlib.Path(__file__).with_name("node_client.js")


class NodeWsTest(unittest.TestCase):
    maxDiff = None
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.demo = self.enterContext(DemoServer(certificate=certificate))
        self.authorities = [certificates.root().cert] if self.tls_version else []

    def seen(self, scenario):
        run = subprocess.run(["node", CLIENT, self.demo.url("/echo"), scenario, *self.authorities],
                             text=True, stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=DEADLINE)
        self.assertEqual(run.returncode, 0, run.stderr)
        return json.loads(run.stdout)

    def test_a_text_comes_back_as_text(self):
        self.assertEqual(self.seen("text"), {"text": "grüße 🦆", "isBinary": False})

    def test_a_binary_message_comes_back_as_binary(self):
        self.assertEqual(self.seen("binary"), {"bytes": list(range(256)), "isBinary": True})

    def test_an_empty_message_comes_back_empty(self):
        self.assertEqual(self.seen("empty"), {"length": 0, "isBinary": False})

    def test_a_fragmented_message_comes_back_whole(self):
        self.assertEqual(self.seen("fragmented"), {"text": "fragmented"})

    def test_a_ping_is_answered_with_its_own_payload(self):
        self.assertEqual(self.seen("ping"), {"pong": "are you there?"})

    def test_an_unsolicited_pong_is_ignored(self):
        self.assertEqual(self.seen("unsolicitedPong"), {"text": "still here"})

    def test_a_close_code_comes_back_in_the_closing_handshake(self):
        self.assertEqual(self.seen("closeWithCode")["code"], 3000)

    def test_a_close_without_a_code_is_answered_without_one(self):
        self.assertEqual(self.seen("closeWithoutCode"), {"code": 1005, "reason": ""})

    def test_16_mib_come_back_unchanged(self):
        self.assertEqual(self.seen("large"), {"length": 16 << 20, "same": True, "isBinary": True})

    def test_10_000_pipelined_messages_come_back_in_order(self):
        self.assertEqual(self.seen("pipelined"), {"count": 10_000, "inOrder": True})

    def test_compression_is_offered_and_not_negotiated(self):
        seen = self.seen("compression")
        self.assertIn("permessage-deflate", seen["offered"])
        self.assertEqual(seen["negotiated"], "")


over_tls(globals(), NodeWsTest, versions=[TLS_1_3])


if __name__ == "__main__":
    unittest.main()
