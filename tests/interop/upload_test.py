#!/usr/bin/python3 -B
# Bodies of plain HTTP requests as Python's http.client and urllib send them, with a length and in
# chunks, to tests/support/stream_server.c, which sends them back.

import http.client
import tempfile
import unittest
import urllib.request

import certificates
from deadline import DEADLINE
from demo_server import StreamServer
from over_tls import TLS_1_3, over_tls

BODY = bytes(range(256)) * 4000


class UploadTest(unittest.TestCase):
    tls_version = None

    def setUp(self):
        certificate = certificates.server() if self.tls_version else None
        file = self.enterContext(tempfile.NamedTemporaryFile())
        self.server = self.enterContext(StreamServer(file.name, certificate=certificate))
        self.context = certificates.client_context(self.tls_version) if self.tls_version else None

    def answer_to(self, **request):
        if self.context:
            connection = http.client.HTTPSConnection(self.server.host, self.server.port,
                                                     timeout=DEADLINE, context=self.context)
        else:
            connection = http.client.HTTPConnection(self.server.host, self.server.port,
                                                    timeout=DEADLINE)
        self.addCleanup(connection.close)
        connection.request("POST", "/upload", **request)
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.will_close)
        return answer.read()

    def test_a_body_with_a_length_comes_back(self):
        for body in (b"hello", b"", BODY):
            self.assertEqual(self.answer_to(body=body), body)

    def test_a_body_in_chunks_comes_back(self):
        pieces = [BODY[at:at + 5000] for at in range(0, len(BODY), 5000)]
        self.assertEqual(self.answer_to(body=iter(pieces), encode_chunked=True,
                                        headers={"Transfer-Encoding": "chunked"}), BODY)

    def test_a_form_comes_back_as_it_was_sent(self):
        request = urllib.request.Request(self.server.origin + "/upload",
                                         data=b"name=J%C3%BCrgen&x=1+2")
        with urllib.request.urlopen(request, timeout=DEADLINE, context=self.context) as answer:
            self.assertEqual(answer.read(), b"name=J%C3%BCrgen&x=1+2")
            self.assertRegex(answer.headers["Date"], r"^\w{3}, \d\d \w{3} \d{4} .* GMT$")


over_tls(globals(), UploadTest, versions=(TLS_1_3,))

if __name__ == "__main__":
    unittest.main()
