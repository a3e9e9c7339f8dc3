# The demo server and the other servers as the tests run them: on a free port, stopped by
# SIGTERM, which must give exit code 0. BUILD names the build directory; the default is
# "build".

import os
import pathlib

import certificates
import program

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")


class _Server(program.Program):
    """host and port are known inside the with statement."""

    announcement = r"(127\.0\.0\.1):(\d+)"
    tls = False

    def __enter__(self):
        super().__enter__()
        address = self.wait_for_line("stdout", self.announcement)
        self.host, self.port = address[1], int(address[2])
        return self

    @property
    def origin(self):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def url(self, path):
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}{path}"


class DemoServer(_Server):
    """With a certificate, it speaks TLS."""

    announcement = r"^websock-demo: open https?://(127\.0\.0\.1):(\d+)/$"

    def __init__(self, *options, certificate=None):
        self.tls = certificate is not None
        files = ["--key", certificate.key, "--cert", certificate.chain] if certificate else []
        super().__init__([BUILD / "demo" / "websock-demo", "--port", "0", *files, *options])


class LibeventServer(_Server):
    def __init__(self):
        super().__init__([BUILD / "demo" / "libevent"])


class CppDemo(_Server):
    """A program of demo/cpp/."""

    def __init__(self, name, port="0", **options):
        super().__init__([BUILD / "demo" / "cpp" / name, port], **options)


class TlsServer(_Server):
    """tests/support/tls_server.c, which has every TLS option and prints what was negotiated."""

    tls = True

    def __init__(self, *options, certificate=None):
        certificate = certificate or certificates.server()
        super().__init__([BUILD / "tests" / "tls_server", "--key", certificate.key,
                          "--cert", certificate.chain, *options])


class StreamServer(_Server):
    """tests/support/stream_server.c, which sends and gets large messages."""

    def __init__(self, file, certificate=None):
        self.tls = certificate is not None
        files = [certificate.key, certificate.chain] if certificate else []
        super().__init__([BUILD / "tests" / "stream_server", file, *files])
