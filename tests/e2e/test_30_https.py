#!/usr/bin/env python3
# needs: client_probe; beside: yes
"""The outbound client: whom it trusts, what it takes for an answer, and how long it waits."""

import ctypes
import fcntl
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from support import certificate, tap

PROBE = os.environ["CLIENT_PROBE"]
INSIDE = "HTTPS_TEST_INSIDE"  # set in the namespace where names are looked up
SECRET = "Bearer secret-of-the-test"
PATIENCE = 30  # seconds; also under valgrind
# What OpenSSL's own defaults would refuse is left to us.
LENIENT = """
openssl_conf = init
[init]
ssl_conf = modules
[modules]
system_default = lenient
[lenient]
MinProtocol = TLSv1
CipherString = DEFAULT@SECLEVEL=0
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Runs script(connection, number) for each connection, one after the other, in a thread."""

    def __init__(self, script, tls=None, address="127.0.0.1", port=0):
        self.seen = b""  # what clients said, decrypted
        self.requests = 0
        self.connections = 0
        self.handshakes = 0
        self.closing = False
        self._script = script
        self._tls = tls
        self._listener = socket.create_server((address, port), backlog=16)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while not self.closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(PATIENCE)
            try:
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                    self.handshakes += 1
                self._script(Connection(self, connection), self.connections)
            except OSError:
                pass  # the client may leave whenever it likes
            finally:
                connection.close()

    def close(self):
        self.closing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._thread.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Connection:
    def __init__(self, server, connection):
        self.server = server
        self.socket = connection
        self._rest = b""

    def _more(self):
        got = self.socket.recv(65536)
        self.server.seen += got
        self._rest += got
        return got

    def request(self):
        """Head and body of the next request; None when the client has gone."""
        while b"\r\n\r\n" not in self._rest:
            if not self._more():
                return None
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self._rest) < length:
            if not self._more():
                return None
        body, self._rest = self._rest[:length], self._rest[length:]
        self.server.requests += 1
        return head, body

    def send(self, data):
        self.socket.sendall(data)

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_for_end(self):
        while self._more():
            pass


def answers(*data, then=None):
    """Each request gets the next of data; then(connection) comes behind the last."""
    def script(connection, _):
        for piece in data:
            if connection.request() is None:
                return
            connection.send(piece)
        if then:
            then(connection)
    return script


def keeps(connection, _):
    while connection.request():
        connection.send(OK)


def linger(connection):
    connection.wait_for_end()


def probe(url, ca="-", environment=None, **options):
    """The lines the probe prints, as objects."""
    words = [PROBE, url, ca]
    for name, value in options.items():
        for each in value if isinstance(value, list) else [value]:
            words += [name, str(each)]
    done = subprocess.run(words, timeout=PATIENCE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(os.environ, **(environment or {})))
    if done.returncode != 0:
        raise AssertionError("probe: %s %s" % (done.returncode, done.stderr.decode()))
    return [json.loads(line) for line in done.stdout.splitlines()]


def plain(server, prefix=""):
    return "http://127.0.0.1:%d%s" % (server.port, prefix)


def tls_context(chain, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


class Trust(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="orderd-https-", dir="/tmp")
        cls.authority = certificate.Authority(cls.directory + "/ca")
        cls.stranger = certificate.Authority(cls.directory + "/stranger")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def ask(self, context, host="localhost", ca=None, **options):
        self.server = Server(keeps, context)
        with self.server:
            return probe("https://%s:%d" % (host, self.server.port),
                         ca or self.authority.certificate,
                         field="Authorization=" + SECRET, **options)[0]

    def refused(self, context, reason, **options):
        answer = self.ask(context, **options)
        self.assertEqual(answer["end"], "untrusted", answer)
        self.assertIn(reason, answer["problem"])
        self.assertEqual(self.server.connections, 1, "the client came")
        self.assertNotIn(b"Authorization", self.server.seen)
        self.assertEqual(self.server.seen, b"", "not a byte of the request has left")

    def issued(self, *arguments, **options):
        return tls_context(*self.authority.issue(*arguments, **options))

    def test_a_good_certificate_is_trusted_and_the_request_arrives(self):
        answer = self.ask(self.issued("DNS:localhost"))
        self.assertEqual((answer["end"], answer["status"], answer["body"]),
                         ("answered", 200, "ok"), answer)
        self.assertIn(b"Authorization: " + SECRET.encode(), self.server.seen)

    def test_the_name_is_sent_to_the_server(self):
        names = []
        context = self.issued("DNS:localhost")
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        self.ask(context)
        self.assertEqual(names, ["localhost"])

    def test_an_address_in_the_certificate_is_trusted_for_that_address(self):
        answer = self.ask(self.issued("IP:127.0.0.1"), host="127.0.0.1")
        self.assertEqual(answer["end"], "answered", answer)

    def test_an_expired_certificate_is_refused(self):
        self.refused(self.issued("DNS:localhost", days=(-10, -1)), "expired")

    def test_a_certificate_that_is_not_yet_valid_is_refused(self):
        self.refused(self.issued("DNS:localhost", days=(1, 10)), "not yet valid")

    def test_a_certificate_for_another_host_is_refused(self):
        self.refused(self.issued("DNS:localhost.test,DNS:other.test"), "mismatch")

    def test_a_name_is_refused_where_an_address_was_asked_for(self):
        self.refused(self.issued("DNS:localhost,DNS:127.0.0.1"), "mismatch", host="127.0.0.1")

    def test_an_address_is_refused_where_a_name_was_asked_for(self):
        self.refused(self.issued("IP:127.0.0.1"), "mismatch")

    def test_a_common_name_alone_is_refused(self):
        self.refused(self.issued(""), "mismatch")

    def test_a_self_signed_certificate_is_refused(self):
        chain, key = certificate.self_signed(self.directory + "/self", "DNS:localhost")
        self.refused(tls_context(chain, key), "self-signed")

    def test_a_certificate_of_an_unknown_authority_is_refused(self):
        self.refused(tls_context(*self.stranger.issue("DNS:localhost")), "issuer")

    def test_an_authority_of_the_system_is_not_one_of_ours(self):
        self.refused(self.issued("DNS:localhost"), "issuer", ca="-")

    def test_TLS_1_1_is_refused_although_the_system_would_allow_it(self):
        context = self.issued("DNS:localhost")
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        lenient = os.path.join(self.directory, "lenient.cnf")
        with open(lenient, "w", encoding="ascii") as file:
            file.write(LENIENT)
        with Server(keeps, context) as server:
            other = subprocess.run(
                ["openssl", "s_client", "-connect", "127.0.0.1:%d" % server.port],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=PATIENCE, env=dict(os.environ, OPENSSL_CONF=lenient))
            self.assertEqual(server.handshakes, 1, other.stdout.decode())
        self.refused(context, "protocol version", environment={"OPENSSL_CONF": lenient})

    def test_TLS_1_2_is_trusted(self):
        context = self.issued("DNS:localhost")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.assertEqual(self.ask(context)["end"], "answered")

    def test_a_server_without_TLS_is_refused(self):
        def speak(connection, _):
            connection._more()
            connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        with Server(speak) as server:
            answer = probe("https://localhost:%d" % server.port, self.authority.certificate,
                           field="Authorization=" + SECRET)[0]
            self.assertEqual(answer["end"], "untrusted", answer)
            self.assertNotIn(b"Authorization", server.seen)

    def test_a_server_that_hangs_up_in_the_handshake_is_not_distrusted(self):
        with Server(lambda connection, _: connection._more()) as server:
            answer = probe("https://127.0.0.1:%d" % server.port, self.authority.certificate)[0]
        self.assertEqual(answer["end"], "unreachable", answer)

    def test_a_handshake_that_never_ends_is_late(self):
        with Server(lambda connection, _: connection.wait_for_end()) as server:
            answer = probe("https://127.0.0.1:%d" % server.port, self.authority.certificate,
                           deadline=300)[0]
        self.assertEqual(answer["end"], "late", answer)

    def test_a_connection_is_kept_and_used_again(self):
        with Server(keeps, self.issued("DNS:localhost")) as server:
            lines = probe("https://localhost:%d" % server.port, self.authority.certificate,
                          count=4)
            self.assertEqual([line["end"] for line in lines], ["answered"] * 4, lines)
            self.assertEqual((server.handshakes, server.requests), (1, 4))

    def test_a_body_cut_without_close_notify_is_broken(self):
        def script(connection, _):
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
            # Past TLS: the descriptor is closed without a word.
            os.close(connection.socket.detach())
        self.cut(script)

    def test_a_body_cut_with_close_notify_is_broken(self):
        def script(connection, _):
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
            connection.socket.unwrap()
        self.cut(script)

    def test_a_body_that_ends_with_the_connection_counts_where_the_peer_ends_it(self):
        for version in (b"1.0", b"1.1"):
            def script(connection, _):
                connection.request()
                connection.send(b"HTTP/%s 200 OK\r\nRetry-After: 9\r\n\r\nall of it" % version)
                connection.socket.unwrap()
            with Server(script, self.issued("DNS:localhost")) as server:
                lines = probe("https://localhost:%d" % server.port, self.authority.certificate,
                              count=2)
            self.assertEqual([(line["end"], line["status"], line["body"], line["retry_after"])
                              for line in lines], [("answered", 200, "all of it", "9")] * 2)

    def test_one_that_is_cut_counts_not_but_its_head(self):
        def script(connection, _):
            connection.request()
            connection.send(b"HTTP/1.1 429 Slow\r\nRetry-After: 9\r\n\r\nall of it, who knows")
            os.close(connection.socket.detach())
        self.assertEqual(self.cut(script)["retry_after"], "9")

    def cut(self, script):
        with Server(script, self.issued("DNS:localhost")) as server:
            answer = probe("https://localhost:%d" % server.port, self.authority.certificate)[0]
        self.assertEqual((answer["end"], answer["length"]), ("broken", 0), answer)
        self.assertGreaterEqual(answer["status"], 200)
        return answer

    def test_a_client_may_be_freed_in_the_middle(self):
        context = self.issued("DNS:localhost")
        silent = lambda connection, _: connection.wait_for_end()
        for name, script, tls in [("handshake", silent, None), ("answer", silent, context)]:
            with self.subTest(name), Server(script, tls) as server:
                line, = probe("https://localhost:%d" % server.port, self.authority.certificate,
                              abandon=200)
                self.assertEqual(line["end"], "abandoned")

    def test_a_file_of_authorities_that_cannot_be_read_is_a_problem(self):
        line, = probe("https://localhost", "/nonexistent/ca.pem")
        self.assertEqual(line["end"], "refused")
        self.assertIn("/nonexistent/ca.pem", line["problem"])


class Answers(unittest.TestCase):
    def one(self, script, **options):
        with Server(script) as server:
            self.lines = probe(plain(server), **options)
            self.server = server
        return self.lines[0]

    def broken(self, data, **options):
        answer = self.one(answers(data, then=linger), **options)
        self.assertEqual((answer["end"], answer["length"]), ("broken", 0), answer)
        self.assertNotEqual(answer["problem"], "")

    def test_an_answer_is_taken_as_it_is(self):
        answer = self.one(answers(b"HTTP/1.1 429 Slow Down\r\nretry-after: 7\r\n"
                                  b"Content-Length: 4\r\n\r\nwait"))
        self.assertEqual((answer["end"], answer["status"], answer["body"], answer["retry_after"],
                          answer["problem"]), ("answered", 429, "wait", "7", ""), answer)

    def test_chunks_are_put_together(self):
        answer = self.one(answers(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"))
        self.assertEqual((answer["end"], answer["body"]), ("answered", "abc0123456789"), answer)

    def test_answers_without_a_body_are_answers(self):
        for status in (204, 304):
            answer = self.one(answers(b"HTTP/1.1 %d Nothing\r\n\r\n" % status))
            self.assertEqual((answer["end"], answer["status"]), ("answered", status), answer)
        answer = self.one(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), method="HEAD")
        self.assertEqual((answer["end"], answer["status"]), ("answered", 200), answer)

    def test_a_continue_is_not_the_answer(self):
        answer = self.one(answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))
        self.assertEqual((answer["end"], answer["status"]), ("answered", 200), answer)

    def test_a_request_says_what_it_should(self):
        seen = []

        def script(connection, _):
            seen.append(connection.request())
            connection.send(OK)
        with Server(script) as server:
            probe(plain(server, "/v1/"), method="POST", target="/orders?limit=1", body="{}",
                  field=["Authorization=" + SECRET, "Content-Type=application/json"])
            head, body = seen[0]
            lines = head.split(b"\r\n")
            self.assertEqual(lines[0], b"POST /v1/orders?limit=1 HTTP/1.1")
            self.assertIn(b"Host: 127.0.0.1:%d" % server.port, lines)
            self.assertIn(b"Authorization: " + SECRET.encode(), lines)
            self.assertIn(b"Content-Type: application/json", lines)
            self.assertIn(b"Content-Length: 2", lines)
            self.assertEqual(body, b"{}")
            self.assertIn(b"Accept-Encoding: identity", lines)

    def test_an_empty_target_is_the_root(self):
        self.one(answers(OK))
        self.assertTrue(self.server.seen.startswith(b"GET / HTTP/1.1\r\n"), self.server.seen)

    def test_a_redirect_is_not_followed(self):
        with Server(keeps) as other:
            answer = self.one(answers(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/\r\n"
                                      b"Content-Length: 0\r\n\r\n" % other.port))
            self.assertEqual((answer["end"], answer["status"]), ("answered", 302), answer)
            self.assertIn(str(other.port), answer["location"])
            self.assertEqual(other.connections, 0)

    def test_proxies_of_the_environment_are_not_used(self):
        with Server(keeps) as proxy:
            url = "http://127.0.0.1:%d" % proxy.port
            answer = self.one(answers(OK), environment={
                name: url for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY")})
            self.assertEqual(answer["end"], "answered", answer)
            self.assertEqual(proxy.connections, 0)

    def test_a_body_cut_short_is_broken(self):
        for data in (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
                     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n",
                     b"HTTP/1.1 200 OK\r\nContent-Le",
                     b"HTTP/1."):
            with self.subTest(data):
                answer = self.one(answers(data))
                self.assertEqual((answer["end"], answer["length"]), ("broken", 0), answer)

    def test_an_answer_that_does_not_say_where_it_ends_is_broken(self):
        self.assertIn("hanging up", self.one(answers(b"HTTP/1.1 200 OK\r\n\r\nok"))["problem"])
        for head in (b"Content-Length: 5\r\nContent-Length: 2\r\n",
                     b"Content-Length: 2\r\nContent-Length: 2\r\n",
                     b"Content-Length: +2\r\n",
                     b"Content-Length: 0x2\r\n",
                     b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
                     b"Transfer-Encoding: gzip\r\n"):
            with self.subTest(head):
                answer = self.one(answers(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nok12345"))
                self.assertEqual((answer["end"], answer["length"]), ("broken", 0), answer)

    def test_what_is_not_HTTP_is_broken(self):
        for data in (b"220 mail.test ESMTP\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"HTTP/1.1\r\n\r\n",
                     b"HTTP/1.1 0 None\r\nContent-Length: 0\r\n\r\n",
                     b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
                     b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
                     b"HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n",
                     b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"):
            with self.subTest(data):
                answer = self.one(answers(data))
                self.assertEqual((answer["end"], answer["status"]), ("broken", 0), answer)

    def endless(self, head, piece):
        """Sends piece until the client leaves; says how many bytes it took."""
        sent = [0]

        def script(connection, _):
            connection.request()
            connection.send(head)
            try:
                while sent[0] < 200 * 1024 * 1024:
                    connection.send(piece)
                    sent[0] += len(piece)
            except OSError:
                pass
        started = time.monotonic()
        answer = self.one(script)
        self.assertEqual((answer["end"], answer["length"]), ("broken", 0), answer)
        self.assertLess(time.monotonic() - started, 20)
        return sent[0]

    def test_endless_headers_are_broken(self):
        taken = self.endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: value\r\n" * 100)
        self.assertLess(taken, 16 * 1024 * 1024)

    def test_one_endless_header_is_broken(self):
        taken = self.endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65536)
        self.assertLess(taken, 16 * 1024 * 1024)

    def test_endless_continues_are_broken(self):
        self.endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    def test_an_endless_body_of_chunks_is_broken(self):
        taken = self.endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                             b"10000\r\n" + b"x" * 65536 + b"\r\n")
        self.assertLess(taken, 32 * 1024 * 1024)

    def test_an_endless_chunk_size_is_broken(self):
        taken = self.endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                             b"1" * 65536)
        self.assertLess(taken, 32 * 1024 * 1024)

    def test_an_endless_trailer_is_broken(self):
        taken = self.endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
                             b"X-Trailer: value\r\n" * 1000)
        self.assertLess(taken, 32 * 1024 * 1024)

    def test_a_body_that_is_too_long_is_broken(self):
        self.broken(b"HTTP/1.1 200 OK\r\nContent-Length: 8388609\r\n\r\n")
        self.broken(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n")
        self.broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n")

    def test_the_longest_body_is_taken(self):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n"
        answer = self.one(answers(head + b"x" * 8388608))
        self.assertEqual((answer["end"], answer["length"]), ("answered", 8388608), answer["end"])


class Waiting(unittest.TestCase):
    def late(self, script, deadline=600):
        with Server(script) as server:
            answer, = probe(plain(server), deadline=deadline)
        self.assertEqual((answer["end"], answer["length"]), ("late", 0), answer)
        self.assertGreaterEqual(answer["ms"], deadline)
        self.assertLess(answer["ms"], deadline + 3000)

    def drip(self, data):
        def script(connection, _):
            connection.request()
            try:
                for byte in data:
                    connection.send(bytes([byte]))
                    time.sleep(0.05)  # the slowness that is tested
            except OSError:
                pass
        return script

    def test_a_silent_server_is_late(self):
        self.late(answers(then=linger))

    def test_a_byte_now_and_then_does_not_extend_the_deadline(self):
        self.late(self.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100))

    def test_nor_does_a_byte_of_the_body_now_and_then(self):
        def script(connection, _):
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            self.drip(b"x" * 99)(Replayed(connection), 0)
        self.late(script)

    def test_a_port_nobody_listens_on_is_unreachable(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        answer, = probe("http://127.0.0.1:%d" % port)
        self.assertEqual((answer["end"], answer["sent"]), ("unreachable", False), answer)

    def test_a_reset_before_the_answer_is_unreachable(self):
        def script(connection, _):
            connection.request()
            connection.reset()
        with Server(script) as server:
            answer, = probe(plain(server))
        self.assertEqual((answer["end"], answer["sent"]), ("unreachable", True), answer)

    def test_a_kept_connection_that_ends_under_a_request_is_told_from_others(self):
        def script(connection, number):
            connection.request()
            connection.send(OK)
            connection.request()
            if number > 1:
                connection.send(OK[:20])
        with Server(script) as server:
            lines = probe(plain(server), count=4)
            self.assertEqual([(line["end"], line["sent"]) for line in lines],
                             [("answered", True), ("dropped", True), ("answered", True),
                              ("broken", True)], lines)
            self.assertEqual(server.connections, 2)

    def test_a_connection_closed_between_requests_is_made_anew(self):
        with Server(answers(OK)) as server:
            lines = probe(plain(server), count=3, pause=100)
            self.assertEqual([line["end"] for line in lines], ["answered"] * 3, lines)
            self.assertEqual(server.connections, 3)

    def test_an_announced_close_is_believed(self):
        for data in (OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
                     OK.replace(b"HTTP/1.1", b"HTTP/1.0")):
            with self.subTest(data), Server(answers(data, then=linger)) as server:
                lines = probe(plain(server), count=3)
                self.assertEqual([line["end"] for line in lines], ["answered"] * 3, lines)
                self.assertEqual(server.connections, 3)

    def test_a_connection_is_kept_and_used_again(self):
        with Server(keeps) as server:
            lines = probe(plain(server), count=5)
            self.assertEqual([line["end"] for line in lines], ["answered"] * 5, lines)
            self.assertEqual((server.connections, server.requests), (1, 5))

    def test_an_answer_nobody_asked_for_is_not_taken(self):
        def script(connection, number):
            connection.request()
            forged = OK.replace(b"ok", b"no") if number == 1 else b""
            connection.send(OK + forged)
            while connection.request():
                connection.send(OK)
        with Server(script) as server:
            lines = probe(plain(server), count=2, pause=100)
            self.assertEqual([line["body"] for line in lines], ["ok", "ok"], lines)
            self.assertEqual(server.connections, 2)

    def test_nor_one_that_comes_while_the_loop_stands_still(self):
        def script(connection, number):
            connection.request()
            connection.send(OK)
            if number == 1:
                time.sleep(0.1)  # by then the client has read its answer and looks away
                connection.send(OK.replace(b"ok", b"no"))
                linger(connection)
        with Server(script) as server:
            lines = probe(plain(server), count=2, block=500)
            self.assertEqual([line["body"] for line in lines], ["ok", "ok"], lines)
            self.assertEqual(server.connections, 2)

    def test_a_close_that_comes_while_the_loop_stands_still_is_seen(self):
        with Server(answers(OK)) as server:
            lines = probe(plain(server), count=3, block=200)
            self.assertEqual([line["end"] for line in lines], ["answered"] * 3, lines)

    def test_a_late_answer_is_not_taken_for_the_next(self):
        release = threading.Event()

        def script(connection, number):
            connection.request()
            if number == 1:
                release.wait(PATIENCE)
                connection.send(OK.replace(b"ok", b"no"))
            else:
                connection.send(OK)
        with Server(script) as first:
            process = subprocess.Popen([PROBE, plain(first), "-", "deadline", "300", "count",
                                        "2"], stdout=subprocess.PIPE)
            line = json.loads(process.stdout.readline())
            release.set()
            self.assertEqual(line["end"], "late", line)
            line = json.loads(process.communicate(timeout=PATIENCE)[0])
            self.assertEqual((line["end"], line["body"]), ("answered", "ok"), line)

    def test_a_client_may_be_freed_in_the_middle(self):
        half = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"
        for name, script in [("answer", answers(then=linger)),
                             ("body", answers(half, then=linger))]:
            with self.subTest(name), Server(script) as server:
                line, = probe(plain(server), abandon=150)
                self.assertEqual(line["end"], "abandoned")


class Replayed:
    """A connection whose request was read already."""

    def __init__(self, connection):
        self.send = connection.send

    def request(self):
        return None


class Addresses(unittest.TestCase):
    def test_a_URL_that_is_no_origin_is_refused_with_a_sentence(self):
        for url in ("ftp://127.0.0.1", "127.0.0.1", "", "https://", "http://192.0.2.1/",
                    "http://localhost/", "http://example.test", "http://127.0.0.1.example.test",
                    "https://a b", "https://h/?q", "https://h/#f", "https://h:0", "https://h:x",
                    "https://h:65536", "https://h:", "https://[::1", "https://::1", "https://[h]",
                    "https://h/\r\nX: y", "https://h\u00e4st.test", "https://" + "h" * 300):
            with self.subTest(url):
                line, = probe(url)
                self.assertEqual(line["end"], "refused", line)
                self.assertNotEqual(line["problem"], "")

    def test_a_password_in_a_URL_is_refused_and_not_repeated(self):
        line, = probe("https://user:hunter2@example.test/")
        self.assertEqual(line["end"], "refused", line)
        self.assertNotIn("hunter2", line["problem"])

    def test_names_are_looked_up_without_stopping_the_loop(self):
        """names: the tests that need name servers of their own pass in a namespace"""
        command = ["unshare", "--mount", "--net"]
        if os.geteuid() != 0:
            command += ["--user", "--map-root-user"]
        if subprocess.run(command + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("no namespace can be made here")
        done = subprocess.run(command + [sys.executable, os.path.abspath(__file__), "Names"],
                              env=dict(os.environ, **{INSIDE: "1"}), timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        self.assertIn(b"\n1..", b"\n" + done.stdout)


class NameServer:
    """UDP on 127.0.0.1:53. records: name to addresses; None = no answer at all."""

    def __init__(self, records):
        self.records = records
        self.asked = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                query, peer = self._socket.recvfrom(4096)
                answer = self._answer(query)
                if answer:
                    self._socket.sendto(answer, peer)
            except OSError:
                return

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        question = query[12:at + 5]
        kind, = struct.unpack(">H", query[at + 1:at + 3])
        name = ".".join(labels)
        self.asked.append(name)
        known = self.records.get(name, [])
        if known is None:
            return None
        family, code = (socket.AF_INET, 1) if kind == 1 else (socket.AF_INET6, 28)
        fitting = [address for address in known if (":" in address) == (code == 28)]
        head = struct.pack(">2sHHHHH", query[:2], 0x8180 if known else 0x8183, 1, len(fitting), 0,
                           0)
        rows = b"".join(
            struct.pack(">HHHIH", 0xC00C, code, 1, 60, len(socket.inet_pton(family, address)))
            + socket.inet_pton(family, address) for address in fitting)
        return head + question + rows

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


def own_namespace():
    """The loopback interface up, and /etc/resolv.conf pointing at ourselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("nameserver 127.0.0.1\n")
    target = os.path.realpath("/etc/resolv.conf").encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(file.name.encode(), target, None, 4096, None) != 0:  # MS_BIND
        raise OSError(ctypes.get_errno(), "mount")


if os.environ.get(INSIDE):
    class Names(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            own_namespace()
            cls.directory = tempfile.mkdtemp(prefix="orderd-https-", dir="/tmp")
            cls.authority = certificate.Authority(cls.directory)
            cls.context = tls_context(*cls.authority.issue("DNS:shop.test"))

        @classmethod
        def tearDownClass(cls):
            shutil.rmtree(cls.directory)

        def ask(self, records, address="127.0.0.1", **options):
            with Server(keeps, self.context, address) as self.server:
                with NameServer(records) as self.names:
                    return probe("https://shop.test:%d" % self.server.port,
                                 self.authority.certificate, **options)[0]

        def test_a_name_is_found_with_a_name_server(self):
            answer = self.ask({"shop.test": ["127.0.0.1"]})
            self.assertEqual(answer["end"], "answered", answer)
            self.assertIn("shop.test", self.names.asked)

        def test_a_name_that_is_not_there_is_unreachable(self):
            answer = self.ask({})
            self.assertEqual(answer["end"], "unreachable", answer)
            self.assertIn("shop.test is not found", answer["problem"])

        def test_the_next_address_is_tried_when_one_refuses(self):
            answer = self.ask({"shop.test": ["127.0.0.2", "127.0.0.3", "127.0.0.1"]})
            self.assertEqual(answer["end"], "answered", answer)

        def test_the_next_address_is_tried_when_one_is_silent(self):
            silent = lambda connection, _: connection.wait_for_end()
            with Server(keeps, self.context) as good:
                with Server(silent, None, "127.0.0.2", good.port):
                    with NameServer({"shop.test": ["127.0.0.2", "127.0.0.1"]}):
                        answer, = probe("https://shop.test:%d" % good.port,
                                        self.authority.certificate)
            self.assertEqual(answer["end"], "answered", answer)
            self.assertLess(answer["ms"], 15000)

        def test_no_next_address_is_tried_when_one_is_not_trusted(self):
            other = tls_context(*self.authority.issue("DNS:other.test"))
            with Server(keeps, self.context) as good:
                with Server(keeps, other, "127.0.0.2", good.port):
                    with NameServer({"shop.test": ["127.0.0.2", "127.0.0.1"]}):
                        answer, = probe("https://shop.test:%d" % good.port,
                                        self.authority.certificate)
                self.assertEqual(answer["end"], "untrusted", answer)
                self.assertEqual(good.connections, 0)

        def test_a_wildcard_is_for_a_whole_label_and_not_for_a_part_of_one(self):
            # OpenSSL takes both, but below two labels neither.
            for name, end in (("*.shop.test", "answered"), ("a*.shop.test", "untrusted")):
                context = tls_context(*self.authority.issue("DNS:" + name))
                with self.subTest(name), Server(keeps, context) as server:
                    with NameServer({"api.shop.test": ["127.0.0.1"]}):
                        answer, = probe("https://api.shop.test:%d" % server.port,
                                        self.authority.certificate)
                    self.assertEqual(answer["end"], end, answer)

        def test_all_addresses_that_refuse_are_unreachable(self):
            answer = self.ask({"shop.test": ["127.0.0.2", "127.0.0.3"]})
            self.assertEqual(answer["end"], "unreachable", answer)

        def test_a_silent_name_server_does_not_stop_the_loop(self):
            answer = self.ask({"shop.test": None}, deadline=500)
            self.assertEqual(answer["end"], "late", answer)
            self.assertLess(answer["ms"], 3000)

        def test_a_dead_name_server_is_given_up(self):
            answer, = probe("https://shop.test", self.authority.certificate, deadline=20000)
            self.assertEqual(answer["end"], "unreachable", answer)

        def test_a_client_may_be_freed_while_a_name_is_looked_up(self):
            answer = self.ask({"shop.test": None}, abandon=200)
            self.assertEqual(answer["end"], "abandoned")


if __name__ == "__main__":
    tap.main()
