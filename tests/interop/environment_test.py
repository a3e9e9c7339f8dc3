#!/usr/bin/python3 -B
# Difficult environments for a server: standard descriptors that are closed, full, or read by
# nobody; names with several addresses; a system that refuses accept(2).

import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import platform
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import certificates
from deadline import DEADLINE
from demo_server import BUILD
from program import Program
from raw_socket import TEXT, UPGRADE, frame, request

SERVER = BUILD / "tests" / "default_server"
ECHO = BUILD / "demo" / "echo"
DEMO = BUILD / "demo" / "websock-demo"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return result


class Case(unittest.TestCase):
    def start(self, command, **options):
        process = subprocess.Popen([str(word) for word in command], **options)
        self.addCleanup(self.kill, process)
        return process

    def kill(self, process):
        process.kill()
        process.wait()

    def stop(self, process, code=0):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(DEADLINE), code)

    def connect(self, port, host="127.0.0.1"):
        return self.enterContext(socket.create_connection((host, port), DEADLINE))

    def try_to_connect(self, port):
        try:
            return self.connect(port)
        except ConnectionRefusedError:
            return None

    def read_head(self, connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = connection.recv(1)
            self.assertTrue(piece, head)
            head += piece
        return head

    def upgrade(self, port, path="/echo"):
        connection = self.connect(port)
        connection.sendall(request(path, headers=UPGRADE))
        self.assertIn(b" 101 ", self.read_head(connection))
        return connection

    def send_bad_request(self, port):
        """Makes a line of the log; the process must survive it."""
        connection = self.connect(port)
        connection.sendall(b"nonsense\r\n\r\n")
        self.assertIn(b" 400 ", self.read_head(connection))

    def expect_echo(self, connection):
        connection.sendall(frame(TEXT, b"hello"))
        self.assertEqual(connection.recv(7, socket.MSG_WAITALL), b"\x81\x05hello")


class DeadReaderTest(Case):
    def run_without_readers(self, command, echoes):
        out_reader, out = os.pipe()
        err_reader, err = os.pipe()
        process = self.start(command, stdout=out, stderr=err)
        os.close(out)
        os.close(err)
        port = int(os.read(out_reader, 200).rstrip(b"/\n").split(b":")[-1])
        os.close(out_reader)
        os.close(err_reader)
        for _ in range(3):
            self.send_bad_request(port)
            client = self.upgrade(port)
            if echoes:
                self.expect_echo(client)
            else:
                client.sendall(frame(TEXT, b"printed"))
            client.close()
        self.stop(process)

    def test_the_default_callbacks_do_not_end_the_process(self):
        self.run_without_readers([SERVER], echoes=False)

    def test_the_echo_demo_goes_on(self):
        self.run_without_readers([ECHO, "0"], echoes=True)

    def test_websock_demo_goes_on(self):
        self.run_without_readers([DEMO, "--port", "0"], echoes=True)


class ClosedDescriptorsTest(Case):
    def run_without(self, descriptors, command, port):
        def close():
            for fd in descriptors:
                os.close(fd)

        process = self.start(command, preexec_fn=close)
        until(lambda: process.poll() is not None or self.try_to_connect(port), "it listens")
        self.assertIsNone(process.poll())
        clients = [self.upgrade(port) for _ in range(5)]
        self.send_bad_request(port)
        used = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}
        self.assertEqual(used & set(descriptors), set())
        self.expect_echo(clients[-1])
        for client in clients:
            client.close()
        self.stop(process)

    def test_the_library_opens_no_standard_descriptor(self):
        for descriptors in [(0, 1, 2), (1,), (1, 2), (0, 2)]:
            with self.subTest(closed=descriptors):
                port = free_port()
                self.run_without(descriptors, [ECHO, port], port)

    def test_websock_demo_serves_without_any(self):
        port = free_port()
        self.run_without((0, 1, 2), [DEMO, "--port", port], port)

    def test_websock_demo_serves_tls_without_any(self):
        port = free_port()
        certificate = certificates.server()
        process = self.start([DEMO, "--port", port, "--key", certificate.key, "--cert",
                              certificate.chain], preexec_fn=lambda: os.closerange(0, 3))
        connection = until(lambda: self.try_to_connect(port), "it listens")
        client = self.enterContext(certificates.client_context().wrap_socket(
            connection, server_hostname="localhost"))
        client.sendall(request("/echo", headers=UPGRADE))
        self.assertIn(b" 101 ", self.read_head(client))
        self.assertEqual({int(name) for name in os.listdir(f"/proc/{process.pid}/fd")} & {0, 1, 2},
                         set())
        client.close()
        self.stop(process)


class FullPipeTest(Case):
    """Nobody reads the pipe, and the kernel's buffer is full."""

    def start_with(self, stream, endpoint):
        """stream is "stdout" or "stderr", endpoint what it is connected to."""
        out_reader, out = os.pipe()
        process = self.start([SERVER], **{"stdout": out, stream: endpoint})
        os.close(out)
        return process, out_reader

    def fill(self, writer):
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)  # the server shares this flag

    def test_a_full_stderr_holds_up_nothing_and_the_lost_lines_are_counted(self):
        for make in (os.pipe, self.socket_pair):
            with self.subTest(make=make.__name__):
                reader, writer = make()
                process, out_reader = self.start_with("stderr", writer)
                port = int(os.read(out_reader, 20))
                os.set_blocking(reader, False)
                lost = until(lambda: self.find_loss(reader, writer, port), "lines are lost")
                self.assertGreater(int(lost[1]), 0)
                self.upgrade(port).close()
                self.stop(process)
                for fd in (reader, writer, out_reader):
                    os.close(fd)

    def find_loss(self, reader, writer, port):
        """Causes more lines than the server will wait to write, then reads. The server may
        not have finished; then the line about lost lines is not there yet."""
        self.fill(writer)
        for _ in range(50):
            self.send_too_large(port)
        text = b""
        while True:
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                break
        self.send_too_large(port)
        return re.search(rb"(?m)(?:^|x)libwebsock: warning: (\d+) lines? w\w+ lost$",
                         text + self.next_line(reader))

    def send_too_large(self, port):
        """Makes the default callback print a line, whatever the log prints."""
        client = self.upgrade(port)
        client.sendall(b"\x82\xff" + struct.pack("!Q", 1 << 40))
        with contextlib.suppress(ConnectionResetError):
            while client.recv(100):
                pass
        client.close()

    def next_line(self, reader):
        text = b""

        def ended():
            nonlocal text
            try:
                text += os.read(reader, 65536)
            except BlockingIOError:
                pass
            return b"is too large, closing\n" in text
        until(ended, "the line of the last client")
        return text

    def socket_pair(self):
        return [end.detach() for end in socket.socketpair()]

    def test_a_full_stdout_holds_up_neither_messages_nor_the_end(self):
        for make in (os.pipe, self.socket_pair, os.openpty):  # the last one: a terminal
            with self.subTest(make=make.__name__):
                reader, writer = make()
                process = self.start([SERVER], stdout=writer)
                port = int(os.read(reader, 20))
                self.fill(writer)
                client = self.upgrade(port)
                for _ in range(100):
                    client.sendall(frame(TEXT, b"x" * 1000))
                # onclose runs after the messages; then the client is gone.
                client.close()
                self.stop(process)
                self.assertTrue(os.get_blocking(writer))  # the library does not change the flag
                os.close(reader)
                os.close(writer)


class NamesTest(Case):
    """In a mount namespace with its own hosts file."""

    HOSTS = ("127.0.0.1 two\n::1 two\n127.0.0.1 twice\n127.0.0.1 twice\n127.0.0.2 twice\n"
             "198.51.100.1 partly\n127.0.0.1 partly\n198.51.100.1 elsewhere\n")

    def setUp(self):
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        self.namespace = ["unshare", "--mount", *as_root]
        if subprocess.run([*self.namespace, "true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("mount namespaces are not allowed here")

    def serve(self, name, *options, exit_code=0):
        hosts = self.enterContext(tempfile.NamedTemporaryFile("w"))
        hosts.write(self.HOSTS)
        hosts.flush()
        script = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return Program([*self.namespace, "sh", "-c", script, hosts.name, DEMO, "--host", name,
                        *options], exit_code)

    def port_of(self, server):
        return int(server.wait_for_line("stdout", r"websock-demo: open https?://\w+:(\d+)/")[1])

    def expect_page(self, connection):
        connection.sendall(request("/health"))
        self.assertIn(b" 200 ", self.read_head(connection))

    def test_every_address_of_a_name_is_listened_on_at_one_port(self):
        for name, addresses in (("two", ("127.0.0.1", "::1")),
                                ("twice", ("127.0.0.1", "127.0.0.2"))):
            with self.subTest(name=name), self.serve(name, "--port", "0") as server:
                port = self.port_of(server)
                for address in addresses:
                    self.expect_page(self.connect(port, address))

    def test_with_tls_all_addresses_get_the_certificate_and_its_renewal(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        key, chain = (pathlib.Path(directory, name) for name in ("key", "chain"))

        def install(certificate):
            key.write_bytes(pathlib.Path(certificate.key).read_bytes())
            chain.write_bytes(pathlib.Path(certificate.chain).read_bytes())

        def serial_numbers(port):
            found = []
            for address in ("127.0.0.1", "::1"):
                client = self.enterContext(certificates.client_context().wrap_socket(
                    self.connect(port, address), server_hostname="localhost"))
                self.expect_page(client)
                found.append(client.getpeercert()["serialNumber"])
            return found

        install(certificates.server())
        with self.serve("two", "--port", "0", "--key", key, "--cert", chain) as server:
            port = self.port_of(server)
            before = serial_numbers(port)
            install(certificates.server("localhost"))
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line("stderr", "read again")
            after = serial_numbers(port)
            self.assertEqual(len({*before}), 1)
            self.assertEqual(len({*before, *after}), 2)
            self.assertEqual(after[0], after[1])

    def test_an_address_of_another_machine_is_skipped(self):
        with self.serve("partly", "--port", "0") as server:
            self.expect_page(self.connect(self.port_of(server)))

    def test_a_name_without_a_local_address_fails(self):
        with self.serve("elsewhere", "--port", "0", exit_code=1) as server:
            server.wait_for_line("stderr", "elsewhere port 0: Cannot assign requested address")
            server.process.wait(DEADLINE)

    def test_a_port_in_use_on_one_address_fails_on_all(self):
        taken = self.enterContext(socket.create_server(("127.0.0.2", 0)))
        port = taken.getsockname()[1]
        with self.serve("twice", "--port", port, exit_code=1) as server:
            server.wait_for_line("stderr", f"twice port {port}: Address already in use")
            server.process.wait(DEADLINE)


class RefusedAcceptTest(Case):
    """accept4(2) fails with EPERM, as a firewall or security module can make it."""

    ACCEPT4 = {"x86_64": 288, "aarch64": 242}

    def forbid_accept(self):
        """Makes accept4(2) fail in this process from now on, by seccomp(2)."""
        load, jump_if_equal, answer = 0x20, 0x15, 0x06
        number = self.ACCEPT4[platform.machine()]
        allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM
        code = b"".join(struct.pack("HBBI", *instruction) for instruction in (
            (load, 0, 0, 0), (jump_if_equal, 0, 1, number), (answer, 0, 0, refuse),
            (answer, 0, 0, allow)))
        program = ctypes.create_string_buffer(code)
        filter_ = struct.pack("HL", 4, ctypes.addressof(program))
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
        if prctl(no_new_privileges, 1, 0, 0, 0) or prctl(set_seccomp, filter_mode, filter_):
            raise OSError(ctypes.get_errno(), "prctl")

    def processor_time(self, pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @unittest.skipUnless(platform.machine() in ACCEPT4, "the system call's number is not known")
    def test_a_server_that_may_not_accept_says_so_and_does_not_spin(self):
        with Program([SERVER], preexec_fn=self.forbid_accept) as server:
            port = int(server.wait_for_line("stdout", r"^(\d+)$")[1])
            self.connect(port)
            server.wait_for_line("stderr", "accept: Operation not permitted; connections are waiting")
            used, begin = self.processor_time(server.process.pid), time.monotonic()
            time.sleep(0.5)  # the time over which the server's CPU use is measured
            share = ((self.processor_time(server.process.pid) - used) /
                     (time.monotonic() - begin))
            self.assertLess(share, 0.2)


class SecondSignalTest(Case):
    def test_it_cuts_the_drain_short(self):
        for stop in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=stop), Program([SERVER]) as server:
                port = int(server.wait_for_line("stdout", r"^(\d+)$")[1])
                deaf = self.upgrade(port)
                server.process.send_signal(stop)
                self.assertEqual(deaf.recv(2, socket.MSG_WAITALL)[0], 0x88)
                begin = time.monotonic()
                server.process.send_signal(stop)
                self.assertEqual(server.process.wait(DEADLINE), 0)
                server.asked_to_stop = True
                self.assertLess(time.monotonic() - begin, 3)  # the drain has 5 s
                server.wait_for_line("stdout", "^disconnect .* 1006 cut off by a second signal$")


if __name__ == "__main__":
    unittest.main()
