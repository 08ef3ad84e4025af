#!/usr/bin/env python3
# needs: server_probe; beside: no
"""Bad HTTP over real sockets: every row of the lists of framing (A) and of request line and
headers (B), each sent whole and in pieces. Nothing hidden in a request is ever answered as one of
its own, and after each case a good request on a new connection is answered 200."""

import random
import re
import socket
import time
import unittest

from support import http, probe, tap

POST = b"POST /echo HTTP/1.1\r\nHost: a.test\r\n"
GET = b"GET /echo HTTP/1.1\r\n"
HOST = b"Host: a.test\r\n"
END = b"\r\n\r\n"
GOOD = POST + b"Content-Length: 5" + END + b"hello"
LENGTH = POST + b"Content-Length: "
CODING = POST + b"Transfer-Encoding: "
CHUNKED = CODING + b"chunked" + END
LAST = b"0" + END
HIDDEN = b"POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 6\r\n\r\nhidden"
BODY_MAX = 1048576
SECONDS = 10


def body_of(head, body):
    return head + b"Content-Length: %d" % len(body) + END + body


# What is sent, and the statuses wanted: one for each request, several where more than one will do.
A = [
    ("CL +5", LENGTH + b"+5" + END + b"hello", "400"),
    ("CL -0", LENGTH + b"-0" + END, "400"),
    ("CL -5", LENGTH + b"-5" + END + b"hello", "400"),
    ("CL 0x5", LENGTH + b"0x5" + END + b"hello", "400"),
    ("CL 5_0", LENGTH + b"5_0" + END + b"hello", "400"),
    ("CL `5, 5`", LENGTH + b"5, 5" + END + b"hello", "400"),
    ("CL `5,6`", LENGTH + b"5,6" + END + b"hello", "400"),
    ("CL empty", LENGTH + END + b"hello", "400"),
    ("CL 2^63", LENGTH + b"9223372036854775808" + END + b"hello", "400|413"),
    ("CL 2^64+5", LENGTH + b"18446744073709551621" + END + b"hello", "400|413"),
    ("CL `5;a`", LENGTH + b"5;a" + END + b"hello", "400"),
    ("CL an Arabic 5", LENGTH + "\u0665".encode() + END + b"hello", "400"),
    ("CL with NUL", LENGTH + b"5\0" + END + b"hello", "400"),
    ("two equal CL", LENGTH + b"5\r\nContent-Length: 5" + END + b"hello", "400"),
    ("CL 5 and 6", LENGTH + b"5\r\nContent-Length: 6" + END + b"hello!", "400"),
    ("neither CL nor TE", POST + b"\r\n" + HIDDEN, "411"),
    ("CL + TE", LENGTH + b"5\r\nTransfer-Encoding: chunked" + END + LAST + HIDDEN, "400"),
    ("TE then CL", CODING + b"chunked\r\nContent-Length: 5" + END + LAST + HIDDEN, "400"),
    ("TE xchunked + CL", CODING + b"xchunked\r\nContent-Length: 5" + END + LAST, "501|400"),
    ("TE `chunked, identity`", CODING + b"chunked, identity" + END + LAST, "501|400"),
    ("TE `gzip, chunked`", CODING + b"gzip, chunked" + END + LAST, "501"),
    ("TE with a space before the colon", POST + b"Transfer-Encoding : chunked" + END + LAST, "400"),
    ("TE with VT", CODING + b"\x0bchunked" + END + LAST, "400"),
    ("TE with FF", CODING + b"\x0cchunked" + END + LAST, "400"),
    ("TE quoted", CODING + b'"chunked"' + END + LAST, "501|400"),
    ("TE `chunked,`", CODING + b"chunked," + END + LAST, "400"),
    ("TE twice", CODING + b"chunked\r\nTransfer-Encoding: chunked" + END + LAST, "400"),
    ("TE chunked CR", CODING + b"chunked\r" + END + LAST, "400"),
    ("TE chunked NUL", CODING + b"chunked\0" + END + LAST, "400"),
    ("TE folded", CODING + b"\r\n chunked" + END + LAST, "400"),
    ("TE in HTTP/1.0", b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked" + END + LAST, "400"),
    ("TE CHUNKED", CODING + b"CHUNKED" + END + b"5\r\nhello\r\n" + LAST, "200"),
    ("chunk 0x5", CHUNKED + b"0x5\r\nhello\r\n" + LAST, "400"),
    ("chunk +5", CHUNKED + b"+5\r\nhello\r\n" + LAST, "400"),
    ("chunk ` 5`", CHUNKED + b" 5\r\nhello\r\n" + LAST, "400"),
    ("chunk `5 junk`", CHUNKED + b"5 junk\r\nhello\r\n" + LAST, "400"),
    ("chunk `5;`", CHUNKED + b"5;\r\nhello\r\n" + LAST, "400"),
    ("chunk ext 64 KiB", CHUNKED + b"5;" + b"e" * 65536 + b"\r\nhello\r\n" + LAST, "400"),
    ("chunk ext with CR", CHUNKED + b"5;a\rb\r\nhello\r\n" + LAST, "400"),
    ("chunk ext with LF", CHUNKED + b"5;a\nb\r\nhello\r\n" + LAST, "400"),
    ("chunk lines with LF", CHUNKED + b"5\nhello\n0\n\n", "400"),
    ("chunk data then XX", CHUNKED + b"5\r\nhelloXX" + LAST, "400"),
    ("chunk -1", CHUNKED + b"-1\r\nhello\r\n" + LAST, "400"),
    ("chunk 2^64", CHUNKED + b"10000000000000000\r\nhello", "400"),
    ("chunk FFFFFFFFFFFFFFFE", CHUNKED + b"FFFFFFFFFFFFFFFE\r\nhello", "400"),
    ("empty size lines", CHUNKED + b"\r\n\r\n5\r\nhello\r\n" + LAST, "400"),
    ("last chunk missing", CHUNKED + b"5\r\nhello\r\n", "400|408"),
    ("signature in the trailer", CHUNKED + b"5\r\nhello\r\n0\r\nX-Torque-Signature: 00" + END,
     "200"),
    ("CL, TE, Host in the trailer", CHUNKED + b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n"
     b"Transfer-Encoding: chunked\r\nHost: b" + END, "200|400"),
    ("trailer 1 MiB", CHUNKED + b"0\r\nx: " + b"a" * 1048576 + END, "431"),
    ("valid then invalid", GOOD + b"BAD\x01" + END, "200 400"),
    ("bytes behind a last request", POST + b"Connection: close\r\nContent-Length: 5" + END
     + b"hello" + HIDDEN, "200"),
]

B = [
    ("bare LF line ends", b"POST /echo HTTP/1.1\nHost: a\nContent-Length: 0\n\n", "400"),
    ("CR only", b"POST /echo HTTP/1.1\rHost: a\rContent-Length: 0\r\r", "400"),
    ("SP before the first header", b"POST /echo HTTP/1.1\r\n Host: a\r\nContent-Length: 0" + END,
     "400"),
    ("header without colon", POST + b"abc" + END, "400"),
    ("empty name", POST + b": v" + END, "400"),
    ("name with NUL", POST + b"a\0b: v" + END, "400"),
    ("name with CTL", POST + b"a\x01b: v" + END, "400"),
    ("name with DEL", POST + b"a\x7fb: v" + END, "400"),
    ("name with space", POST + b"a b: v" + END, "400"),
    ("name with tab", POST + b"a\tb: v" + END, "400"),
    ("name with (", POST + b"a(b: v" + END, "400"),
    ("name with non-ASCII", POST + b"a\xe9b: v" + END, "400"),
    ("value with NUL", POST + b"a: \0" + END, "400"),
    ("value with bare CR", POST + b"a: b\rc" + END, "400"),
    ("obs-text in a value", body_of(POST + b"a: canary\x80\xff\r\n", b"hello"), "200"),
    ("no Host", b"POST /echo HTTP/1.1\r\nContent-Length: 0" + END, "400"),
    ("two Hosts", POST + b"Host: b\r\nContent-Length: 0" + END, "400"),
    ("two equal Hosts", POST + HOST + b"Content-Length: 0" + END, "400"),
    ("Host `a, b`", GET + b"Host: a, b" + END, "400"),
    ("Host with path", GET + b"Host: a/b" + END, "400"),
    ("Host empty", GET + b"Host:" + END, "400"),
    ("HTTP/0.9", b"GET /echo\r\n", "400"),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505|400"),
    ("HTTP/1.2", body_of(b"POST /echo HTTP/1.2\r\n" + HOST, b"hello"), "505|200"),
    ("HTTP/4294967297.1", b"GET /echo HTTP/4294967297.1\r\n" + HOST + b"\r\n", "400"),
    ("http/1.1", b"GET /echo http/1.1\r\n" + HOST + b"\r\n", "400"),
    ("HTTP/01.1", b"GET /echo HTTP/01.1\r\n" + HOST + b"\r\n", "400"),
    ("HTTP /1.1", b"GET /echo HTTP /1.1\r\n" + HOST + b"\r\n", "400"),
    ("two spaces in the request line", b"GET  /echo HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    ("tab in the target", b"GET /e\tcho HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    ("space in the target", b"GET /e cho HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    ("absolute-form of another host", b"POST http://evil.test/echo HTTP/1.1\r\n" + HOST
     + b"Content-Length: 0" + END, "404|400"),
    ("absolute-form of this host", body_of(b"POST http://a.test/echo HTTP/1.1\r\n" + HOST,
                                           b"hello"), "200"),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", "405"),
    ("TRACE", b"TRACE /echo HTTP/1.1\r\n" + HOST + b"\r\n", "405"),
    ("CONNECT", b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", "405"),
    ("PUT", b"PUT /echo HTTP/1.1\r\n" + HOST + b"\r\n", "405"),
    ("DELETE", b"DELETE /echo HTTP/1.1\r\n" + HOST + b"\r\n", "405"),
    ("PATCH", b"PATCH /echo HTTP/1.1\r\n" + HOST + b"\r\n", "405"),
    ("post", b"post /echo HTTP/1.1\r\n" + HOST + b"\r\n", "405|501"),
    ("4 KiB method", b"M" * 4096 + b" /echo HTTP/1.1\r\n" + HOST + b"\r\n", "400"),
    ("20 KiB target", b"GET /" + b"a" * 20480 + b" HTTP/1.1\r\n" + HOST + b"\r\n", "414"),
    ("16 KiB + 1 headers", POST + b"x: " + b"a" * (16385 - len(POST) - 3 - 4) + END, "431"),
    ("65 headers", POST + b"a: b\r\n" * 64 + b"\r\n", "431"),
    ("one 20 KiB header", POST + b"x: " + b"a" * 20480 + END, "431"),
    ("GET with CL body + second request", body_of(GET + HOST, HIDDEN), "405"),
    ("HEAD with CL body + hidden GET", body_of(b"HEAD /echo HTTP/1.1\r\n" + HOST, HIDDEN), "405"),
    ("wrong path", body_of(b"POST /other HTTP/1.1\r\n" + HOST, HIDDEN), "404"),
    ("wrong path without a body, then a good one",
     b"GET /other HTTP/1.1\r\n" + HOST + b"\r\n" + GOOD, "404 200"),
    ("body over the limit", LENGTH + b"%d" % (BODY_MAX + 1) + END, "413"),
    ("chunks over the limit", CHUNKED + b"%x\r\n" % (BODY_MAX + 1), "413"),
    ("busy, with a body", body_of(b"POST /busy HTTP/1.1\r\n" + HOST, HIDDEN), "503"),
]


def statuses(data):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def wanted(expected, got):
    alternatives = [set(map(int, one.split("|"))) for one in expected.split()]
    return len(got) == len(alternatives) and all(
        status in allowed for status, allowed in zip(got, alternatives))


def send_in_pieces(address, data, sizes):
    """Everything that comes back. The other side may refuse before all has been sent."""
    with http.Connection(address, SECONDS) as connection:
        try:
            at = 0
            for size in sizes:
                connection.send(data[at:at + size])
                at += size
            connection.socket.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return connection.rest()


def in_bytes(data):
    # A long row is cut where it begins and ends; what is between is one letter over and over.
    if len(data) <= 600:
        return [1] * len(data)
    return [1] * 300 + [len(data) - 600] + [1] * 300


class Framing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.probe = probe.Probe(body=BODY_MAX)
        cls.seed = random.randrange(1 << 32)
        cls.random = random.Random(cls.seed)

    @classmethod
    def tearDownClass(cls):
        cls.probe.close()

    def pieces(self, data):
        sizes = []
        while sum(sizes) < len(data):
            sizes.append(self.random.choice((1, 2, 3, 7, 50, 1000, 100000)))
        return sizes

    def check(self, name, data, expected, sizes):
        reply = send_in_pieces(self.probe.address, data, sizes)
        got = statuses(reply)
        self.assertTrue(wanted(expected, got), "%s: %s, not %s; seed %d; %r" % (
            name, got, expected, self.seed, reply[:300]))
        self.assertNotIn(probe.echoed(b"POST", b"/echo", b"hidden"), reply, name)
        self.assertTrue(self.probe.is_well(), name)

    def check_all(self, rows, cut):
        for name, data, expected in rows:
            with self.subTest(name):
                self.check(name, data, expected, cut(data))

    def test_every_row_of_framing_is_answered_as_listed(self):
        self.check_all(A, lambda data: [len(data)])

    def test_every_row_of_framing_is_answered_alike_byte_by_byte(self):
        self.check_all(A, in_bytes)

    def test_every_row_of_framing_is_answered_alike_in_random_pieces(self):
        self.check_all(A, self.pieces)

    def test_every_row_of_request_line_and_headers_is_answered_as_listed(self):
        self.check_all(B, lambda data: [len(data)])

    def test_every_row_of_request_line_and_headers_is_answered_alike_byte_by_byte(self):
        self.check_all(B, in_bytes)

    def test_every_row_of_request_line_and_headers_is_answered_alike_in_random_pieces(self):
        self.check_all(B, self.pieces)

    def test_a_refusal_ends_the_connection_without_waiting_for_the_peer(self):
        for name, data, expected in A + B:
            if re.search("200|405", expected.split()[-1]) or name == "last chunk missing":
                continue  # nothing ends the connection, or only the peer does
            with self.subTest(name), self.probe.connect() as connection:
                try:
                    connection.send(data)
                except (ConnectionResetError, BrokenPipeError):
                    pass
                self.assertTrue(wanted(expected, statuses(connection.rest(5))), name)

    def test_the_log_repeats_nothing_of_a_request(self):
        log = self.probe.log()
        self.assertIn("http_refused", log)
        for word in ("evil", "canary", "hidden", "hello", "xchunked", "/echo"):
            self.assertNotIn(word, log)

    def test_a_smuggled_request_would_be_noticed(self):
        reply = send_in_pieces(self.probe.address, GOOD + HIDDEN, [1 << 20])
        self.assertIn(probe.echoed(b"POST", b"/echo", b"hidden"), reply)


class Answers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.probe = probe.Probe()

    @classmethod
    def tearDownClass(cls):
        cls.probe.close()

    def test_an_error_has_the_shape_of_the_API_and_repeats_nothing(self):
        answer = http.post(self.probe.address, b"canary", path="/canary")
        self.assertEqual(answer.status, 404)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(set(answer.json()),
                         {"success", "error", "code", "timestamp", "requestId"})
        self.assertIs(answer.json()["success"], False)
        self.assertRegex(answer.json()["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
        self.assertNotIn(b"canary", answer.body)
        self.assertLessEqual(len(answer.body), 512)

    def test_each_answer_has_an_id_of_its_own(self):
        ids = {http.post(self.probe.address, b"", path="/x").json()["requestId"] for _ in range(20)}
        self.assertEqual(len(ids), 20)

    def test_405_names_the_method_that_is_taken(self):
        answer = http.get(self.probe.address, "/echo")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))

    def test_HEAD_is_answered_without_a_body(self):
        with self.probe.connect() as connection:
            first = connection.request("HEAD", "/echo")
            self.assertEqual(first.status, 405)
            self.assertGreater(int(first.headers["content-length"]), 0)
            self.assertEqual(connection.request("POST", "/echo", b"x").status, 200)

    def test_an_answer_is_dated(self):
        answer = http.post(self.probe.address, b"", path="/echo")
        sent = time.mktime(time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT"))
        self.assertLess(abs(sent - time.mktime(time.gmtime())), 60)

    def test_the_connection_stays_by_the_rules_of_its_version(self):
        for line, fields, stays in (
                (b"HTTP/1.1", b"", True), (b"HTTP/1.1", b"Connection: close\r\n", False),
                (b"HTTP/1.0", b"", False), (b"HTTP/1.0", b"Connection: keep-alive\r\n", True)):
            with self.subTest(line + fields), self.probe.connect() as connection:
                request = b"POST /echo " + line + b"\r\n" + HOST + fields
                connection.send(body_of(request, b"one"))
                answer = connection.answer()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.headers["connection"], "keep-alive" if stays else "close")
                if stays:
                    connection.send(body_of(request, b"two"))
                    self.assertEqual(connection.answer().status, 200)
                else:
                    self.assertTrue(connection.closed())

    def test_100_continue_is_sent_when_the_body_is_awaited(self):
        with self.probe.connect() as connection:
            connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 5" + END)
            self.assertEqual(connection.answer().status, 100)
            connection.send(b"hello")
            self.assertEqual(connection.answer().body, probe.echoed(b"POST", b"/echo", b"hello"))

    def test_100_continue_is_left_out_when_the_body_is_there(self):
        with self.probe.connect() as connection:
            connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 5" + END + b"hello")
            self.assertEqual(connection.answer().body, probe.echoed(b"POST", b"/echo", b"hello"))

    def test_a_body_that_is_too_large_is_refused_before_it_is_asked_for(self):
        with self.probe.connect() as connection:
            connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 10000000" + END)
            self.assertEqual(connection.answer().status, 413)
            self.assertTrue(connection.closed())

    def test_a_peer_that_sends_on_reads_the_413_and_no_reset(self):
        with self.probe.connect() as connection:
            connection.send(LENGTH + b"10000000" + END)
            for _ in range(100):
                connection.send(b"x" * 10000)
            self.assertEqual(connection.answer().status, 413)
            self.assertTrue(connection.closed())

    def test_pipelined_requests_are_answered_in_order(self):
        bodies = [b"%d" % number for number in range(200)]
        paths = [b"/later" if number % 20 == 0 else b"/echo" for number in range(200)]
        with self.probe.connect() as connection:
            connection.send(b"".join(body_of(b"POST %s HTTP/1.1\r\n" % path + HOST, body)
                                     for path, body in zip(paths, bodies)))
            for path, body in zip(paths, bodies):
                self.assertEqual(connection.answer().body, probe.echoed(b"POST", path, body))

    def test_pipelined_requests_are_all_answered_when_the_peer_ends_its_side(self):
        reply = http.raw(self.probe.address, GOOD * 3 + GOOD.replace(b"/echo", b"/later") + GOOD,
                         half_close=True)
        self.assertEqual(statuses(reply), [200] * 5)

    def test_a_peer_that_reads_nothing_is_not_read_on(self):
        one = GOOD.replace(b"/echo", b"/large")
        with self.probe.connect() as connection:
            connection.socket.settimeout(1)
            before = self.probe.rss_kib()
            try:
                for _ in range(100000):
                    connection.socket.sendall(one * 100)
            except TimeoutError:
                pass  # what it sends waits in the kernel
            self.assertLess(self.probe.rss_kib() - before, 8 * 1024)
            self.assertTrue(self.probe.is_well())


if __name__ == "__main__":
    tap.main()
