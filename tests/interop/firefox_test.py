#!/usr/bin/python3 -B
# The demo server's compression as Firefox sees it, which offers less than Chromium does. A page of
# the test's own does it, and posts what it saw; no driver program is needed.

import http.server
import json
import os
import pathlib
import queue
import shutil
import tempfile
import threading
import unittest

from deadline import DEADLINE
from demo_server import DemoServer
from echo_lengths import echo_lengths
from program import Program

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
# Nothing is asked, updated or told to anybody: what is not on this machine would go through a proxy
# that does not exist.
PREFERENCES = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1",
    "app.normandy.enabled": False,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "",
}
PAGE = "<!doctype html><title>echo</title><script>%s.then((seen) => fetch('/seen', {method: 'POST'," \
       "body: JSON.stringify(seen)}))</script>"


class Firefox(Program):
    """The browser's process, with a profile of its own, which shows the page."""

    def __init__(self, url):
        self.profile = tempfile.TemporaryDirectory(prefix="websock-firefox-",
                                                   ignore_cleanup_errors=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});"
                 for name, value in PREFERENCES.items()]
        pathlib.Path(self.profile.name, "user.js").write_text("\n".join(lines))
        directories = ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
        environment = {**os.environ, **dict.fromkeys(directories, self.profile.name)}
        super().__init__([FIREFOX, "--headless", "--no-remote", "--profile", self.profile.name, url],
                         exit_code=None, env=environment)

    def __exit__(self, *error):
        with self.profile:
            super().__exit__(*error)


class FirefoxTest(unittest.TestCase):
    def setUp(self):
        self.seen = queue.Queue()
        self.page = b""
        test = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(test.page)

            def do_POST(self):
                test.seen.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(b"")

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{server.server_port}"

    def test_compression_is_negotiated_and_messages_up_to_1_mib_come_back(self):
        demo = self.enterContext(DemoServer("--origin", self.origin))
        self.page = (PAGE % echo_lengths(demo.url("/echo"))).encode()
        self.enterContext(Firefox(self.origin + "/"))
        extensions, different, count, *code = self.seen.get(timeout=DEADLINE)
        self.assertEqual(extensions, "permessage-deflate")
        self.assertEqual((different, code), ([], []))
        self.assertGreater(count, 80)


if __name__ == "__main__":
    unittest.main()
