# WebSocket byte by byte, for what no WebSocket client would do: requests, frames and a test
# case that connects to the demo server over plain sockets or TLS.

import collections
import socket
import struct
import unittest

import certificates
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
    """connect() and its users speak TLS of tls_version, or plain TCP if that is None."""

    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        self.server = self.enterContext(DemoServer(certificate=certificate))

    def connect(self):
        connection = self.connect_tcp()
        return self.secure(connection, self.tls_version) if self.tls_version else connection

    def connect_tcp(self):
        address = (self.server.host, self.server.port)
        return self.enterContext(socket.create_connection(address, DEADLINE))

    def secure(self, connection, version):
        return self.enterContext(certificates.client_context(version).wrap_socket(
            connection, server_hostname="localhost", suppress_ragged_eofs=False))

    def read(self, connection, count):
        data = b""
        while len(data) < count:
            data += (piece := connection.recv(count - len(data)))
            self.assertTrue(piece, f"the connection ended after {data!r}")
        return data

    def read_to_end(self, connection):
        """Fails with an OSError unless the end is orderly: on a reset or, with TLS, on an
        end without close_notify."""
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

    def upgrade(self, path="/echo", behind=b"", connection=None, headers=UPGRADE):
        connection = connection or self.connect()
        connection.sendall(request(path, headers=headers) + behind)
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
