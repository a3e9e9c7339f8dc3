#!/usr/bin/python3 -B
# The demo server's memory: what connections used is given back when they are gone, although
# glibc's malloc alone would keep more than half of it.

import resource
import socket
import time
import unittest

from deadline import DEADLINE
from raw_socket import UPGRADE, Case, request



def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_"))


class MemoryTest(Case):
    @classmethod
    def setUpClass(cls):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
        cls.count = min(1600, most - 100)

    def open(self):
        connection = self.connect()
        connection.sendall(request("/echo", headers=UPGRADE))
        self.assertIn(b"101", self.read(connection, len(b"HTTP/1.1 101")))
        return connection

    def look_whether_it_lives(self):
        with socket.create_connection((self.server.host, self.server.port), DEADLINE) as probe:
            probe.sendall(request("/health"))
            self.assertEqual(self.response(self.read_to_end(probe)).status, 200)

    def test_memory_of_connections_is_given_back(self):
        self.open()  # allocates what exists only once
        before = private_kib(self.server.process.pid)
        connections = [self.open() for _ in range(self.count)]
        taken = private_kib(self.server.process.pid) - before
        self.assertGreater(taken, 8 * self.count)  # two pages of stack alone
        for connection in connections:
            connection.close()
        deadline = time.monotonic() + DEADLINE
        kept = taken
        while kept > 0.3 * taken and time.monotonic() < deadline:
            self.look_whether_it_lives()
            kept = private_kib(self.server.process.pid) - before
        self.assertLessEqual(kept, 0.3 * taken, f"of {taken} KiB, {before} before")


if __name__ == "__main__":
    unittest.main()
