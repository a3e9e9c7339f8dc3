# The demo server and the other servers of demo/ as the tests run them: on a free
# port, ended by SIGTERM, which must give exit code 0. BUILD names the build
# directory, "build" if it is not set.

import os
import pathlib

import program

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")


class _Server(program.Program):
    """host and port are known inside the with statement."""

    announcement = r"(127\.0\.0\.1):(\d+)"

    def __enter__(self):
        super().__enter__()
        address = self.wait_for_line("stdout", self.announcement)
        self.host, self.port = address[1], int(address[2])
        return self

    def url(self, path, scheme="ws"):
        return f"{scheme}://{self.host}:{self.port}{path}"


class DemoServer(_Server):
    announcement = r"^websock-demo: open http://(127\.0\.0\.1):(\d+)/$"

    def __init__(self, *options):
        super().__init__([BUILD / "demo" / "websock-demo", "--port", "0", *options])


class LibeventServer(_Server):
    def __init__(self):
        super().__init__([BUILD / "demo" / "libevent"])
