#!/usr/bin/python3 -B
# The demo server as Node's "ws" sees it, which node_client.js drives; and as node's own WebSocket
# does, if it has one: node_websocket.js.

import json
import os
import pathlib
import subprocess
import sys
import unittest

import certificates
from deadline import DEADLINE
from demo_server import DemoServer
from over_tls import TLS_1_3, over_tls

CLIENT = pathlib.Path(__file__).with_name("node_client.js")


SCRIPT = CLIENT.with_name("node_websocket.js")
HAS_WEBSOCKET = ["--experimental-websocket"]  # for node 20 and 21; later ones ignore it


def run_node(*arguments, environment=None):
    """What it prints as JSON."""
    run = subprocess.run(["node", *arguments], text=True, stdin=subprocess.DEVNULL,
                         capture_output=True, timeout=DEADLINE,
                         env={**os.environ, **(environment or {})})
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def has_websocket():
    run = subprocess.run(["node", *HAS_WEBSOCKET, "-p", "typeof WebSocket"], text=True,
                         capture_output=True, timeout=DEADLINE)
    return run.stdout.strip() == "function"


class NodeWsTest(unittest.TestCase):
    maxDiff = None
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.demo = self.enterContext(DemoServer(certificate=certificate))
        self.authorities = [certificates.root().cert] if self.tls_version else []

    def seen(self, scenario):
        return run_node(CLIENT, self.demo.url("/echo"), scenario, *self.authorities)

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

    def test_compression_is_negotiated(self):
        seen = self.seen("compression")
        self.assertIn("permessage-deflate", seen["offered"])
        self.assertEqual(seen["negotiated"], "permessage-deflate")

    def test_messages_come_back_whatever_ws_demands_of_compression(self):
        all_seen = self.seen("compressionOptions")
        self.assertGreater(len(all_seen), 20)
        for seen in all_seen:
            with self.subTest(options=seen["options"]):
                self.assertTrue(seen["same"])
                self.assertEqual(seen["negotiated"], "permessage-deflate")


class NodeWebSocketTest(unittest.TestCase):
    """The WebSocket that node itself has, as a browser has one."""

    tls_version = None

    def test_compression_is_negotiated_and_messages_from_1_byte_to_1_mib_come_back(self):
        certificate = certificates.server() if self.tls_version else None
        demo = self.enterContext(DemoServer(certificate=certificate))
        trust = {"NODE_EXTRA_CA_CERTS": str(certificates.root().cert)} if certificate else {}
        seen = run_node(*HAS_WEBSOCKET, SCRIPT, demo.url("/echo"), environment=trust)
        self.assertEqual(seen["extensions"].split(";")[0], "permessage-deflate")
        self.assertEqual(seen["different"], [])
        self.assertGreater(seen["same"], 40)


over_tls(globals(), NodeWebSocketTest, versions=[TLS_1_3])
if not has_websocket():  # before node 20, so with Debian's
    print("node has no WebSocket of its own, which is not tried then", file=sys.stderr)
    del NodeWebSocketTest, TLSv1_3NodeWebSocketTest
over_tls(globals(), NodeWsTest, versions=[TLS_1_3])


if __name__ == "__main__":
    unittest.main()
