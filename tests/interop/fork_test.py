#!/usr/bin/python3 -B
# Processes that fork before they serve, or while they do. The programs are in
# tests/support/fork_server.c.

import errno
import os
import signal
import socket
import struct
import unittest

from deadline import DEADLINE
from demo_server import BUILD
from program import Program
from raw_socket import CLOSE, FIN, TEXT, UPGRADE, frame, request


class ForkServer(Program):
    def __init__(self, how, exit_code=0):
        super().__init__([BUILD / "tests" / "fork_server", how], exit_code)

    def __enter__(self):
        super().__enter__()
        self.port = int(self.wait_for_line("stdout", r"127\.0\.0\.1: (\d+)")[1])
        return self

    def child(self):
        return int(self.wait_for_line("stdout", r"^child (\d+)$")[1])

    def status_of(self, child):
        return int(self.wait_for_line("stdout", rf"^ended {child} (\d+)$")[1])


class Case(unittest.TestCase):
    def setUp(self):
        self.connections = []

    def connect(self):
        connection = self.enterContext(
            socket.create_connection(("127.0.0.1", self.server.port), DEADLINE))
        connection.sendall(request("/", headers=UPGRADE))
        stream = self.enterContext(connection.makefile("rb"))
        while stream.readline() != b"\r\n":
            pass
        self.connections.append(connection)
        return connection, stream

    def leave(self, staying=()):
        """Closes all clients but those staying: a stopping server would wait for their Close."""
        for connection in set(self.connections) - set(staying):
            connection.shutdown(socket.SHUT_RDWR)
            self.connections.remove(connection)

    def read_frame(self, stream):
        first_byte, length = stream.read(2)
        return first_byte, stream.read(length)

    def ask(self, client, text=b"who?"):
        connection, stream = client
        connection.sendall(frame(TEXT, text))
        return int(self.read_frame(stream)[1])


class WhileServingTest(Case):
    def setUp(self):
        super().setUp()
        self.server = self.enterContext(ForkServer("callback"))
        forking, _ = self.connect()
        forking.sendall(frame(TEXT, b"fork"))
        self.child = self.server.child()

    def test_sigterm_ends_a_child_and_not_the_server(self):
        os.kill(self.child, signal.SIGTERM)
        self.assertEqual(self.server.status_of(self.child), signal.SIGTERM)
        self.assertEqual(self.ask(self.connect()), self.server.process.pid)

    def test_a_child_cannot_use_the_context(self):
        for function in ("stop", "wait", "bind", "reload", "send_all", "publish", "stats",
                         "port", "bind_socket"):
            line = self.server.wait_for_line("stdout", rf"^{function} (\d+)$")
            self.assertEqual(int(line[1]), errno.EPERM, function)
        self.assertEqual(self.ask(self.connect()), self.server.process.pid)
        os.kill(self.child, signal.SIGKILL)


class BeforeServingTest(Case):
    def test_children_share_the_socket_and_each_is_stopped_alone(self):
        self.server = self.enterContext(ForkServer("before"))
        first = self.server.child()
        second = int(self.server.wait_for_line("stdout", rf"^child (?!{first}$)(\d+)$")[1])
        clients = {}
        while len(clients) < 2:  # until both have accepted one
            client = self.connect()
            clients.setdefault(self.ask(client), client)
        self.assertEqual(set(clients), {first, second})
        self.leave(staying=[connection for connection, _ in clients.values()])

        os.kill(first, signal.SIGTERM)
        connection, stream = clients[first]
        first_byte, close = self.read_frame(stream)
        self.assertEqual((first_byte, struct.unpack("!H", close[:2])[0]), (FIN | CLOSE, 1001))
        connection.sendall(frame(CLOSE, close[:2]))
        self.connections.remove(connection)
        self.assertEqual(self.server.status_of(first), 0)
        self.assertEqual(self.ask(clients[second]), second)
        self.assertEqual(self.ask(self.connect()), second)

        self.leave()
        os.kill(second, signal.SIGTERM)
        self.assertEqual(self.server.status_of(second), 0)
        self.assertEqual(self.server.process.wait(DEADLINE), 0)


if __name__ == "__main__":
    unittest.main()
