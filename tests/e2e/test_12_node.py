#!/usr/bin/env python3
# needs: server_probe; beside: yes
"""Our reader of HTTP against node's, on the same bytes: the lists of bad and good requests, and
mutations of them. Two readers that both take a stream must see the same requests in it, or one can
be smuggled past the other: no such difference is forgiven. We may take less than node, as we are
stricter; what we take and node refuses is explained by the rules of may_take(), but for one
mutation in a thousand, printed.

How many there are, and which: support/scale.py."""

import json
import os
import random
import re
import subprocess
import unittest

import test_10_framing as framing
from support import http, probe, scale, tap, tools

CASES = scale.count("requests")
SECONDS = 10
SMALL = 3000  # bytes; larger rows are about limits, which differ by design
# What a request to HEAD was taken for is not in its answer.
ROWS = [(name, data) for name, data, _ in framing.A + framing.B
        if len(data) <= SMALL and not data.startswith(b"HEAD ")]

GOOD = [
    framing.GOOD,
    framing.GOOD + framing.HIDDEN,
    framing.CHUNKED + b"5\r\nhello\r\n" + framing.LAST + framing.HIDDEN,
    framing.CHUNKED + b"5;a=b\r\nhello\r\n3\r\nxyz\r\n0\r\nx: y\r\n\r\n" + framing.HIDDEN,
    b"POST /a?b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc"
    + framing.HIDDEN,
    b"PUT /x HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 0\r\nx:\r\ny: z\t\r\n\r\n"
    + framing.HIDDEN,
    b"GET /x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n" + framing.HIDDEN,
    b"POST http://a.test/x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nab"
    + framing.HIDDEN,
]
TOKENS = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"\0", b"\x0b", b"0", b"5", b"a",
          b"+5", b"0x5", b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
          b"Transfer-Encoding: x\r\n", b"Host: b\r\n", b"Connection: close\r\n", b"\r\n\r\n",
          b"0\r\n\r\n", b"HTTP/1.0", b"HTTP/1.1", b"\xff", b'"', b"\\", b"GET / HTTP/1.1\r\n",
          b"Connection: upgrade\r\nUpgrade: x\r\n", b"Expect: 100-continue\r\n"]


def requests_in(reply):
    """What server_probe took: its echoes up to its first refusal."""
    requests = []
    while True:
        reply = re.sub(rb"\AHTTP/1\.1 100 Continue\r\n\r\n", b"", reply)
        head, _, rest = reply.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            return requests
        size = int(re.search(rb"\r\nContent-Length: (\d+)", head).group(1))
        method, path, length, total = rest[:size].decode("latin-1").split(" ")
        requests.append([method, path, int(length), int(total)])
        reply = rest[size:]


class Node:
    def __init__(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_http.js")
        self.process = subprocess.Popen(["node", script], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        port, self.methods = json.loads(self.process.stdout.readline())
        self.address = "127.0.0.1:%d" % port

    def requests_in(self, data):
        http.raw(self.address, data, SECONDS, half_close=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class Differential(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if tools.missing("node"):
            raise unittest.SkipTest(tools.missing("node"))
        cls.probe = probe.Probe(any=1)
        cls.node = Node()
        cls.unexplained = []
        cls.seed = scale.seed()
        print("# seed %s" % cls.seed)

    @classmethod
    def tearDownClass(cls):
        cls.node.close()
        cls.probe.close()

    def may_take(self, request, data):
        """What node refuses and we take by our own rules."""
        if request[0] not in self.node.methods or request[0] == "CONNECT":
            return True  # a method is any token; which are served is said by 405
        # The white space around a value may be tabs (RFC 9110 5.6.3); node knows spaces only. We
        # read a trailer's fields and drop them; node refuses those of framing there. An upgrade is
        # an offer that we do not take up; node may end the connection.
        return bool(re.search(rb"^(content-length|transfer-encoding|connection):[^\r]*\t"
                              rb"|^upgrade:"
                              rb"|\n0+\r\n.*^(content-length|transfer-encoding|host):", data,
                              re.IGNORECASE | re.DOTALL | re.MULTILINE))

    def compare(self, data):
        ours = requests_in(http.raw(self.probe.address, data, SECONDS, half_close=True))
        theirs = self.node.requests_in(data)
        for number, request in enumerate(ours):
            if number >= len(theirs):
                if not self.may_take(request, data):
                    self.unexplained.append("we take %s of %r" % (request, data))
                break
            self.assertEqual(request, theirs[number], "seed %s: %r" % (self.seed, data))
        return ours, theirs

    def mutate(self, source, data):
        for _ in range(source.choice((1, 1, 1, 2, 3))):
            at = source.randrange(len(data) + 1)
            kind = source.randrange(5)
            if kind == 0:
                data = data[:at] + source.choice(TOKENS) + data[at:]
            elif kind == 1:
                data = data[:at] + data[at + source.randrange(1, 9):]
            elif kind == 2:
                data = data[:at] + bytes([source.randrange(256)]) + data[at + 1:]
            elif kind == 3:
                ends = [found.start() for found in re.finditer(b"\r\n", data)] or [at]
                end = source.choice(ends)
                data = data[:end] + source.choice(TOKENS) + data[end:]
            else:
                token = source.choice(TOKENS)
                data = data[:at] + token + data[at + len(token):]
        return data

    def test_well_formed_requests_are_seen_alike(self):
        for data in GOOD:
            with self.subTest(data[:60]):
                ours, theirs = self.compare(data)
                self.assertEqual(ours, theirs)
                self.assertTrue(ours)

    def test_what_both_take_of_the_listed_requests_is_the_same(self):
        for name, data in ROWS:
            with self.subTest(name):
                self.compare(data)
                self.assertFalse(self.unexplained)

    def test_what_both_take_of_mutated_requests_is_the_same(self):
        source = random.Random(self.seed)
        corpus = GOOD * 5 + [data for _, data in ROWS]
        both = less = more = 0
        for _ in range(CASES):
            ours, theirs = self.compare(self.mutate(source, source.choice(corpus)))
            both += bool(ours and theirs)
            less += len(ours) < len(theirs)
            more += len(ours) > len(theirs)
        print("# %d mutations: both took something of %d, we less of %d, more of %d" % (
            CASES, both, less, more))
        for sentence in self.unexplained:
            print("# " + sentence)
        self.assertGreater(both, CASES // 10)
        self.assertLessEqual(len(self.unexplained), CASES // 1000)

    def test_a_difference_would_be_noticed(self):
        with self.assertRaises(AssertionError):
            data = framing.GOOD + framing.HIDDEN
            ours = requests_in(http.raw(self.probe.address, data, SECONDS, half_close=True))
            self.assertEqual(ours, self.node.requests_in(framing.GOOD + framing.GOOD))


if __name__ == "__main__":
    tap.main()
