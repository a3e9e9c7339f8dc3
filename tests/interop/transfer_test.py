#!/usr/bin/python3 -B
# /transfer of the demo server, byte by byte: files that are sent in one message and come back, and
# the bounds of what anybody may make it store. With a browser it is in chromium_test.py.

import json
import os
import pathlib
import random
import struct
import tempfile
import unittest

import certificates
from demo_server import DemoServer
from over_tls import TLS_1_3, over_tls
from raw_socket import BINARY, CLOSE, FIN, TEXT, Case, frame

MOST = 3 << 20
PIECE = 1 << 20
CONTINUATION = 0x0


class TransferTest(Case):
    def setUp(self):
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        server = DemoServer("--max-file", str(MOST),
                            certificate=certificates.server() if self.tls_version else None)
        server.popen_options = {"env": {**os.environ, "TMPDIR": self.directory}}
        self.server = self.enterContext(server)

    def message(self, connection):
        """The next one: its opcode and its bytes."""
        first = got = self.read_frame(connection)
        payload = got.payload
        while not got.first_byte & FIN:
            got = self.read_frame(connection)
            self.assertEqual(got.first_byte & 0xF, CONTINUATION)
            payload += got.payload
        return first.first_byte & 0xF, payload

    def reports(self, connection):
        """How much was stored, until it is complete."""
        while True:
            opcode, payload = self.message(connection)
            self.assertEqual(opcode, TEXT, payload)
            report = json.loads(payload)
            yield report["stored"]
            if report["complete"]:
                return

    def back(self, connection):
        """The messages that come back."""
        connection.sendall(frame(TEXT, b"back"))
        pieces = []
        while (got := self.message(connection))[0] == BINARY:
            pieces.append(got[1])
        self.assertEqual(got, (TEXT, b'{"sent":true}'))
        return pieces

    def close_of(self, connection):
        """Code and reason, whatever comes before."""
        while (got := self.message(connection))[0] != CLOSE:
            pass
        return struct.unpack("!H", got[1][:2])[0], got[1][2:].decode()

    def store(self, data):
        connection = self.upgrade("/transfer")
        connection.sendall(frame(BINARY, data))
        self.assertEqual(list(self.reports(connection))[-1], len(data))
        return connection

    def test_a_message_in_fragments_comes_back_in_messages_of_1_mib(self):
        data = random.Random(1).randbytes(2 * PIECE + 4711)
        connection = self.upgrade("/transfer")
        connection.sendall(frame(BINARY, data[:1000], fin=0) + frame(CONTINUATION, b"", fin=0) +
                           frame(CONTINUATION, data[1000:PIECE], fin=0) +
                           frame(CONTINUATION, data[PIECE:]))
        stored = list(self.reports(connection))
        self.assertEqual(stored, sorted(stored))
        self.assertGreater(len(stored), 4)
        self.assertEqual(stored[-1], len(data))
        pieces = self.back(connection)
        self.assertEqual([len(piece) for piece in pieces], [PIECE, PIECE, 4711])
        self.assertEqual(b"".join(pieces), data)

    def test_the_last_complete_message_is_what_comes_back(self):
        connection = self.upgrade("/transfer")
        self.assertEqual(self.back(connection), [])
        for data in (b"a longer one", b"", b"short"):
            connection.sendall(frame(BINARY, data))
            self.assertEqual(list(self.reports(connection)), [len(data)])
            self.assertEqual(self.back(connection), [data] if data else [])
            self.assertEqual(self.back(connection), [data] if data else [])

    def test_a_file_that_is_too_large_is_refused_wherever_that_shows(self):
        self.store(bytes(MOST)).close()
        for sent in (frame(BINARY, bytes(MOST + 1)),
                     frame(BINARY, bytes(MOST), fin=0) + frame(CONTINUATION, b"x", fin=0)):
            connection = self.upgrade("/transfer")
            connection.sendall(sent)
            self.assertEqual(self.close_of(connection), (1009, f"a file may have {MOST} bytes"))

    def test_4_files_are_there_at_once_and_the_next_one_is_refused(self):
        connections = [self.store(b"x") for _ in range(4)]
        late = self.upgrade("/transfer")
        self.assertEqual(self.close_of(late), (1013, "4 files are here already"))
        connections[0].close()  # the place is free when the server has noticed
        while True:
            connection = self.upgrade("/transfer")
            connection.sendall(frame(BINARY, b"y"))
            if self.message(connection)[0] == TEXT:
                break
            connection.close()

    def test_no_file_has_a_name_that_could_outlive_the_server(self):
        connection = self.upgrade("/transfer")
        connection.sendall(frame(BINARY, bytes(PIECE), fin=0))
        stored = 0
        while stored < PIECE:
            stored = json.loads(self.message(connection)[1])["stored"]
        self.assertEqual(os.listdir(self.directory), [])
        files = [os.readlink(link) for link in
                 pathlib.Path(f"/proc/{self.server.process.pid}/fd").iterdir()]
        self.assertEqual(len([file for file in files if file.startswith(self.directory)]), 1)

    def test_without_a_directory_for_it_the_client_is_told_and_the_place_is_free(self):
        os.rmdir(self.directory)
        for _ in range(6):
            self.assertEqual(self.close_of(self.upgrade("/transfer")),
                             (1011, "there is no room for a file"))
        os.mkdir(self.directory)
        self.store(b"x")

    def test_a_command_that_is_none_ends_the_connection(self):
        connection = self.upgrade("/transfer")
        connection.sendall(frame(TEXT, b"backwards", fin=0))
        self.assertEqual(self.close_of(connection), (1008, "unknown command"))


over_tls(globals(), TransferTest, versions=[TLS_1_3])


if __name__ == "__main__":
    unittest.main()
