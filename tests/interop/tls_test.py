#!/usr/bin/python3 -B
# TLS itself, as openssl s_client and Python's ssl see it: what is negotiated, who is let in,
# and how connections begin, end and break. What is sent inside TLS is up to the other tests,
# which run over it too.

import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import certificates
import raw_socket
from deadline import DEADLINE
from demo_server import DemoServer, TlsServer
from over_tls import TLS_1_2, TLS_1_3, over_tls
from program import Program
from raw_socket import CLOSE, FIN, TEXT, UPGRADE, Frame, frame, request

CLOSE_1000 = frame(CLOSE, b"\x03\xe8")
VERSIONS = {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}


class Case(raw_socket.Case):
    tls_version = TLS_1_3

    def setUp(self):
        self.server = self.start()

    def start(self):
        return self.enterContext(TlsServer(*self.options()))

    def options(self):
        return []

    def s_client_command(self, *options):
        return ["openssl", "s_client", "-connect", f"{self.server.host}:{self.server.port}",
                "-verify_return_error", "-CAfile", certificates.root().cert, *options]

    def s_client(self, *options, sent=request("/")):
        """Sends the request and reads until the server ends the connection."""
        return subprocess.run(self.s_client_command("-ign_eof", *options), input=sent,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE)

    def accepted(self, *options, **more):
        run = self.s_client(*options, **more)
        self.assertEqual(run.returncode, 0, run.stdout)
        return run.stdout.decode(errors="replace")

    def refused(self, alert, *options):
        run = self.s_client(*options)
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn(alert, run.stdout)

    def opened(self, *options):
        """Opens a WebSocket connection and closes it."""
        output = self.accepted(*options, sent=request("/", headers=UPGRADE) + CLOSE_1000)
        self.assertIn("HTTP/1.1 101 Switching Protocols", output)
        return output

    def resumption(self, option, between=lambda: None):
        """What s_client prints for a second connection that offers the session of a first."""
        with tempfile.TemporaryDirectory(prefix="websock-session-") as directory:
            session = pathlib.Path(directory, "session.pem")
            self.assertRegex(self.accepted(option, "-sess_out", session), "(?m)^New, ")
            self.assertTrue(session.exists(), "no session was offered")
            between()
            return self.accepted(option, "-sess_in", session,
                                 sent=request("/echo", headers=UPGRADE) + CLOSE_1000)


class VersionTest(Case):
    def test_tls_1_2_and_1_3_open_a_websocket_connection(self):
        for option, version in VERSIONS.items():
            with self.subTest(version=version):
                self.opened(option)
                self.server.wait_for_line("stdout", f"^open {version} ")

    def test_plain_http_over_tls_is_told_to_upgrade(self):
        for option in VERSIONS:
            with self.subTest(option=option):
                self.assertIn("HTTP/1.1 426 ", self.accepted(option))

    def test_tls_1_1_is_refused(self):
        # OpenSSL's own client disables it unless told otherwise.
        self.refused(b"alert protocol version", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
        self.server.wait_for_line("stderr", "TLS handshake: .*unsupported protocol")


class MinVersionTest(Case):
    def options(self):
        return ["--min-version", "1.3"]

    def test_tls_1_2_is_refused_if_1_3_is_the_minimum(self):
        self.refused(b"alert protocol version", "-tls1_2")
        self.opened("-tls1_3")


class AlpnTest(Case):
    def test_http_1_1_is_chosen_among_the_protocols_offered(self):
        for offer in ("http/1.1", "h2,http/1.1", "http/1.1,h2"):
            with self.subTest(offer=offer):
                self.assertIn("ALPN protocol: http/1.1", self.opened("-alpn", offer))

    def test_an_offer_without_http_1_1_is_refused(self):
        for offer in ("h2", "h2,http/1.0"):
            with self.subTest(offer=offer):
                self.refused(b"alert no application protocol", "-alpn", offer)

    def test_an_offer_is_not_required(self):
        self.assertIn("No ALPN negotiated", self.opened())


class ResumptionTest(Case):
    def test_a_session_is_resumed(self):
        for option, version in VERSIONS.items():
            with self.subTest(version=version):
                self.assertRegex(self.resumption(option), f"(?m)^Reused, {version}")
                self.server.wait_for_line("stdout", f"^open {version} resumed=1 ")

    def test_another_server_does_not_resume_it(self):
        for option in VERSIONS:
            with self.subTest(option=option):
                self.assertRegex(self.resumption(option, between=self.setUp), "(?m)^New, ")


class RenegotiationTest(Case):
    def start(self):
        return self.enterContext(DemoServer(certificate=certificates.server()))

    def renegotiation(self):
        """The reason OpenSSL gives for the failure."""
        # On /stats the server sends unasked, and so its alert leaves too.
        client = Program(self.s_client_command("-tls1_2"), exit_code=None, stdin=subprocess.PIPE)
        with client, client.process.stdin as typed:
            typed.write(request("/stats", headers=UPGRADE).decode())
            typed.flush()
            client.wait_for_line("stdout", "^HTTP/1.1 101 ")
            typed.write("R\n")
            typed.flush()
            return client.wait_for_line("stderr", "no renegotiation|unexpected record")[0]

    def test_a_client_that_renegotiates_is_told_no_and_others_go_on(self):
        # If a message of the server's crosses the client's request, the client fails with
        # another error.
        self.assertIn("no renegotiation", (self.renegotiation() for _ in range(20)))
        self.assertEqual(self.ask(request("/health")).status, 200)



class CertificateTest(Case):
    """The server's certificate: its chain, and which one (SNI)."""

    CHAT, WILDCARD = "chat.example.org", "*.rooms.example.org"

    def options(self):
        hosts = []
        for host in (self.CHAT, self.WILDCARD):
            certificate = certificates.server(host)
            hosts += ["--host", host, certificate.key, certificate.chain]
        return hosts

    def assert_certificate(self, subject, *options):
        self.assertRegex(self.opened(*options), rf"(?m)^subject=CN = {re.escape(subject)}, ")

    def test_the_intermediate_certificates_are_sent_along(self):
        for host in ("localhost", self.CHAT):
            with self.subTest(host=host):
                output = self.opened("-servername", host, "-verify_hostname", host)
                self.assertIn("1 s:CN = Test Intermediate", output)
                self.assertIn("Verify return code: 0 (ok)", output)

    def test_a_client_that_knows_another_root_does_not_trust_it(self):
        run = self.s_client("-CAfile", certificates.client_authority().cert)
        self.assertEqual(run.returncode, 1, run.stdout)
        self.server.wait_for_line("stderr", "TLS handshake: .*alert unknown ca")

    def test_a_client_gets_the_certificate_of_the_host_it_asks_for(self):
        for name in (self.CHAT, self.CHAT.upper()):
            with self.subTest(name=name):
                self.assert_certificate(self.CHAT, "-servername", name, "-verify_hostname", name)
                self.server.wait_for_line("stdout", f" server_name={name} ")

    def test_an_asterisk_stands_for_exactly_one_label(self):
        name = "blue.rooms.example.org"
        self.assert_certificate(self.WILDCARD, "-servername", name, "-verify_hostname", name)
        for name in ("very.blue.rooms.example.org", "rooms.example.org"):
            with self.subTest(name=name):
                self.assert_certificate("localhost", "-servername", name)

    def test_a_client_that_asks_for_no_host_or_an_unknown_one_gets_the_default(self):
        for options in (["-noservername"], ["-servername", "elsewhere.example"]):
            with self.subTest(options=options):
                self.assert_certificate("localhost", *options, "-verify_hostname", "localhost")


class ClientCertificateCase(Case):
    demanded = 0

    def options(self):
        return ["--client-ca", certificates.client_authority().cert,
                "--client-certificate-demanded", self.demanded]

    def showing(self, certificate):
        return ["-cert", certificate.cert, "-key", certificate.key]

    def assert_reported(self, version, subject):
        self.server.wait_for_line("stdout", f"^open {version} .* client_subject={subject}$")


class OptionalClientCertificateTest(ClientCertificateCase):
    def test_a_certificate_of_the_named_authority_is_reported(self):
        for option, version in VERSIONS.items():
            with self.subTest(version=version):
                self.opened(option, *self.showing(certificates.client("alice")))
                self.assert_reported(version, "O=Example,CN=alice")

    def test_a_certificate_of_another_authority_is_refused(self):
        for option in VERSIONS:
            with self.subTest(option=option):
                self.refused(b"alert unknown ca", option, *self.showing(certificates.stranger()))
        self.server.wait_for_line("stderr", "TLS handshake: .*certificate verify failed")

    def test_a_client_cannot_use_a_server_s_certificate(self):
        certificate = certificates.make("bob", certificates.SERVER, certificates.client_authority())
        self.refused(b"alert unsupported certificate", *self.showing(certificate))

    def test_a_client_without_one_is_let_in(self):
        for option, version in VERSIONS.items():
            with self.subTest(version=version):
                self.opened(option)
                self.assert_reported(version, "")

    def test_no_session_is_offered_since_a_resumed_one_is_not_verified_again(self):
        for option in VERSIONS:
            with self.subTest(option=option):
                output = self.opened(option, *self.showing(certificates.client("alice")))
                self.assertNotIn("TLS session ticket", output)
                self.assertNotRegex(output, r"Session-ID: \w")


class DemandedClientCertificateTest(ClientCertificateCase):
    demanded = 1

    def test_a_certificate_of_the_named_authority_is_reported(self):
        for option, version in VERSIONS.items():
            with self.subTest(version=version):
                self.opened(option, *self.showing(certificates.client("alice")))
                self.assert_reported(version, "O=Example,CN=alice")

    def test_a_client_without_one_is_refused(self):
        alerts = {"-tls1_2": b"alert handshake failure", "-tls1_3": b"alert certificate required"}
        for option, alert in alerts.items():
            with self.subTest(option=option):
                self.refused(alert, option)
        self.server.wait_for_line("stderr", "TLS handshake: .*did not return a certificate")


class NoHandshakeTest(Case):
    """Clients that send no TLS, or only part of a handshake."""

    HANDSHAKE_TIMEOUT_MS = 2000

    def options(self):
        return ["--handshake-timeout-ms", self.HANDSHAKE_TIMEOUT_MS]

    def sent(self, data):
        connection = self.connect_tcp()
        connection.sendall(data)
        return connection

    def hello(self):
        context, outgoing = certificates.client_context(), ssl.MemoryBIO()
        tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        return outgoing.read()

    def assert_echoes(self, connection):
        connection.sendall(frame(TEXT, b"still here"))
        self.assertEqual(self.read_frame(connection), Frame(FIN | TEXT, b"still here"))

    def test_plain_http_is_told_in_plain_http_that_this_port_speaks_tls(self):
        for target in (request("/"), request("/echo", headers=UPGRADE)):
            with self.subTest(target=target):
                answer = self.response(self.read_to_end(self.sent(target)))
                self.assertEqual(answer.status, 400)
                self.assertIn(b"TLS", answer.body)

    def test_garbage_ends_its_connection_and_no_other(self):
        other = self.upgrade()
        for garbage in (bytes(200), b"\xff" * 200, b"\x16\x03\x01\xff\xff" + bytes(200),
                        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", self.hello() + bytes(20_000)):
            with self.subTest(garbage=garbage[:9]):
                connection = self.sent(garbage)
                with contextlib.suppress(ConnectionResetError):
                    self.read_to_end(connection)
                self.assert_echoes(other)

    def test_a_handshake_not_complete_in_time_is_dropped_and_others_go_on(self):
        other, hello = self.upgrade(), self.hello()
        silent = [self.connect_tcp(), self.sent(hello[:1]), self.sent(hello[:-1]), self.sent(hello)]
        no_request = self.connect()
        waiting_since = time.monotonic()
        while silent:
            self.assertLess(time.monotonic(), waiting_since + DEADLINE)
            self.assert_echoes(other)
            for connection in select.select(silent, [], [], 0.01)[0]:
                with contextlib.suppress(ConnectionResetError):
                    if connection.recv(65536):  # the server's half of the handshake
                        continue
                silent.remove(connection)
        self.assertEqual(self.response(self.read_to_end(no_request)).status, 408)
        self.server.wait_for_line("stderr", "TLS handshake: not complete in time")


class EndTest(Case):
    def test_both_sides_send_close_notify_after_the_closing_handshake(self):
        connection = self.upgrade()
        connection.sendall(CLOSE_1000)
        self.assertEqual(self.read_frame(connection), Frame(FIN | CLOSE, b"\x03\xe8"))
        connection.unwrap()  # sends close_notify, and fails without one from the server
        self.server.wait_for_line("stdout", "^close 1000 ")

    def test_a_server_that_stops_sends_close_notify_too(self):
        connection = self.upgrade()
        self.server.ask_to_stop()
        self.assertEqual(self.read_frame(connection).payload[:2], b"\x03\xe9")
        connection.sendall(frame(CLOSE, b"\x03\xe9"))
        self.assertEqual(self.read_to_end(connection), b"")
        self.server.wait_for_line("stdout", "^close 1001 ")

    def test_close_notify_without_a_close_frame_is_1006(self):
        connection = self.upgrade()
        connection.unwrap()
        self.server.wait_for_line("stdout", "^close 1006 the peer closed without a Close frame$")

    def test_a_tcp_end_without_close_notify_is_1006_and_cut_off(self):
        for part in (b"", b"\x17\x03\x03", b"\x17\x03\x03\x00\x20" + bytes(31)):
            with self.subTest(part=part):
                self.setUp()
                connection = self.upgrade()
                self.send_past_tls(connection, part)
                connection.shutdown(socket.SHUT_WR)
                self.server.wait_for_line("stdout", "^close 1006 the TLS stream was cut off$")

    def test_a_forged_record_is_1006_and_ends_the_connection(self):
        connection = self.upgrade()
        self.send_past_tls(connection, b"\x17\x03\x03\x00\x20" + bytes(32))
        self.server.wait_for_line("stdout", "^close 1006 TLS: ")
        with self.assertRaisesRegex(OSError, "BAD_RECORD_MAC|reset"):
            self.read_to_end(connection)

    def send_past_tls(self, connection, data):
        with socket.socket(fileno=os.dup(connection.fileno())) as tcp:
            tcp.sendall(data)


class ReloadTest(Case):
    """The demo server reads its certificate again on SIGHUP."""

    def start(self):
        directory = self.enterContext(tempfile.TemporaryDirectory(prefix="websock-reload-"))
        self.files = certificates.Certificate(
            *(pathlib.Path(directory, field) for field in certificates.Certificate._fields))
        self.install(certificates.server())
        return self.enterContext(DemoServer(certificate=self.files))

    def install(self, certificate):
        for source, target in zip(certificate, self.files):
            shutil.copyfile(source, target)

    def reload(self, expected_line):
        self.server.process.send_signal(signal.SIGHUP)
        self.server.wait_for_line("stderr", expected_line)

    def serial_number(self, connection):
        return connection.getpeercert()["serialNumber"]

    def test_new_connections_get_the_new_certificate_and_old_ones_go_on(self):
        old = self.upgrade()
        self.install(certificates.server("localhost"))
        self.reload("certificates were read again")
        self.assertNotEqual(self.serial_number(self.upgrade()), self.serial_number(old))
        old.sendall(frame(TEXT, b"still here"))
        self.assertEqual(self.read_frame(old), Frame(FIN | TEXT, b"still here"))

    def test_sessions_from_before_are_not_resumed(self):
        output = self.resumption("-tls1_3", between=lambda: self.reload("read again"))
        self.assertRegex(output, "(?m)^New, ")

    def test_a_bad_file_changes_nothing(self):
        old = self.upgrade()
        self.files.key.write_text("no key")
        self.reload(re.escape(str(self.files.key)))
        self.assertEqual(self.serial_number(self.upgrade()), self.serial_number(old))


over_tls(globals(), EndTest, versions=[TLS_1_2])


if __name__ == "__main__":
    unittest.main()
