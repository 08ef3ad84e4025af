#!/usr/bin/env python3
# needs: server_probe, orderd; beside: no
"""Peers that say nothing, or begin and do not go on: what they cost, and who goes first."""

import os
import resource
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest

from support import daemon, http, pg, probe, tap, wait

HEAD = b"POST /echo HTTP/1.1\r\nHost: a.test\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nhi"
HOLD = WHOLE.replace(b"/echo", b"/hold")
SANITIZED = os.environ.get("B_SANITIZE", "none") != "none"
PROMPT = 1.0  # seconds in which a good peer is served, whatever the others do
BEGUN = 2000
GRACE = 0.1


def allow_descriptors(count):
    """For this process, which plays the peers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        raise unittest.SkipTest("%d descriptors are needed, %d allowed" % (count, hard))
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def is_open(connection):
    """Nobody hung up on this peer. What was said to it is gone."""
    connection.socket.setblocking(False)
    try:
        while connection.socket.recv(65536):
            pass
        return False
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def serve(peer, seconds=PROMPT):
    """Seconds until a new peer, that connect() makes, has its 200."""
    start = time.monotonic()
    with peer() as connection:
        connection.send(WHOLE)
        assert connection.answer(10).status == 200
    took = time.monotonic() - start
    assert took < seconds, took
    return took


def close(connections):
    for connection in connections:
        connection.close()


class FullHouse(unittest.TestCase):
    def silent(self, own, count):
        connections = [own.connect() for _ in range(count)]
        self.addCleanup(close, connections)
        return connections

    def test_a_house_full_of_silent_peers_lets_a_request_in(self):
        with probe.Probe(connections=50) as own:
            silent = self.silent(own, 50)
            serve(own.connect)
            self.assertEqual([is_open(each) for each in silent], [False] + [True] * 49)

    def test_silent_peers_that_come_again_keep_nobody_out(self):
        with probe.Probe(connections=50) as own:
            silent = self.silent(own, 60)
            for _ in range(5):
                serve(own.connect)
                gone = [each for each in silent if not is_open(each)]
                self.assertTrue(gone)
                silent = [each for each in silent if each not in gone]
                silent += self.silent(own, len(gone))

    def test_who_has_been_silent_longest_goes_first(self):
        with probe.Probe(connections=3) as own:
            peers = self.silent(own, 3)
            for each in (0, 1, 2, 0):
                peers[each].send(WHOLE)
                self.assertEqual(peers[each].answer().status, 200)
            serve(own.connect)
            self.assertEqual([is_open(each) for each in peers], [True, False, True])

    def test_a_peer_that_does_not_take_its_answers_goes_too(self):
        with probe.Probe(connections=2) as own:
            peers = self.silent(own, 2)
            for each in peers:
                each.send(WHOLE.replace(b"/echo", b"/large") * 16)
            serve(own.connect, 5)

    def test_who_is_inside_a_request_stays(self):
        begun = (b"P", HEAD, HEAD + b"Content-Length: 2\r\n\r\n", HOLD)
        with probe.Probe(connections=len(begun)) as own:
            peers = self.silent(own, len(begun))
            for peer, data in zip(peers, begun):
                peer.send(data)
            time.sleep(3 * GRACE)  # long enough for one that is silent to go
            with own.connect() as late:
                late.send(WHOLE)
                with self.assertRaises(TimeoutError):
                    late.answer(5 * GRACE)
                self.assertEqual([is_open(each) for each in peers], [True] * len(begun))
                for peer, data in zip(peers[:3], begun):
                    peer.send(WHOLE[len(data):] if WHOLE.startswith(data) else b"hi")
                    self.assertEqual(peer.answer().status, 200)
                self.assertEqual(late.answer().status, 200)
                self.assertEqual(peers[3].answer().status, 503)

    def test_newcomers_do_not_push_each_other_out(self):
        with probe.Probe(connections=4, later_ms=30) as own:
            for _ in range(5):
                crowd = self.silent(own, 60)
                for each in crowd:
                    each.send(WHOLE.replace(b"/echo", b"/later"))
                for each in crowd:
                    self.assertEqual(each.answer().status, 200)
                    each.close()

    def test_the_first_byte_has_less_time_than_the_next_request(self):
        with probe.Probe(first_ms=300, idle_ms=2500) as own:
            with own.connect() as never, own.connect() as once:
                once.send(WHOLE)
                self.assertEqual(once.answer().status, 200)
                start = time.monotonic()
                self.assertTrue(never.closed())
                self.assertTrue(0.2 < time.monotonic() - start < 2)
                self.assertTrue(is_open(once))
                once.socket.setblocking(True)
                self.assertTrue(once.closed())
                self.assertGreater(time.monotonic() - start, 2)


class Handshakes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("no openssl to make certificates with")
        directory = tempfile.TemporaryDirectory(prefix="orderd-peers-")
        cls.addClassCleanup(directory.cleanup)
        cls.files = {name: os.path.join(directory.name, name) for name in ("certificate", "key")}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=one.test", "-addext", "subjectAltName=DNS:one.test",
                        "-keyout", cls.files["key"], "-out", cls.files["certificate"]],
                       check=True, capture_output=True)
        cls.context = ssl.create_default_context(cafile=cls.files["certificate"])
        hello = ssl.MemoryBIO()
        try:
            cls.context.wrap_bio(ssl.MemoryBIO(), hello,
                                 server_hostname="one.test").do_handshake()
        except ssl.SSLWantReadError:
            cls.hello = hello.read()

    def probe(self, **options):
        return probe.Probe(**self.files, **options)

    def begin(self, own, count):
        connections = []
        self.addCleanup(close, connections)
        for _ in range(count):
            connections.append(own.connect())
            connections[-1].send(self.hello)
        return connections

    def good(self, own):
        return lambda: own.connect(tls=self.context, server_name="one.test")

    def test_begun_handshakes_have_a_bound_in_number_memory_and_time(self):
        allow_descriptors(BEGUN + 100)
        with self.probe(descriptors=BEGUN + 100) as own:
            serve(self.good(own))
            before = own.rss_kib()
            begun = self.begin(own, BEGUN)
            took = serve(self.good(own), 2 * PROMPT if SANITIZED else PROMPT)
            most = own.rss_kib()
            wait.until(lambda: sum(map(is_open, begun)) <= 256, 20, "the oldest have gone")
            most = max(most, own.rss_kib())
            close(begun)
            wait.until(lambda: own.descriptors() < 50, 20, "all are closed")
            after = own.rss_kib()
            print("# %d begun handshakes: RssAnon %d KiB before, at most %d, %d behind them; a "
                  "good one took %.0f ms" % (BEGUN, before, most, after, took * 1000))
            if not SANITIZED:
                self.assertLess(most - before, 20 * 1024)
                self.assertLess(after - before, 8 * 1024)
            self.assertIn("reason=tls_handshakes_full", own.log())

    def test_the_longest_begun_handshake_goes_first_and_a_done_one_never(self):
        with self.probe(handshakes=3) as own, self.good(own)() as done:
            begun = []
            for count in range(1, 5):
                begun += self.begin(own, 1)
                self.assertTrue(begun[-1].socket.recv(1), "the server said its part")
            wait.until(lambda: not is_open(begun[0]), 5, "the first has gone")
            self.assertEqual([is_open(each) for each in begun], [False, True, True, True])
            done.send(WHOLE)
            self.assertEqual(done.answer().status, 200)
            close(begun)

    def test_silent_and_slow_handshakes_are_cut_in_total(self):
        with self.probe(handshake_ms=500) as own:
            peers = [own.connect() for _ in range(3)]
            start = time.monotonic()
            peers[1].send(self.hello[:1])
            left = [len(self.hello)]

            def drip():
                if left[0] and is_open(peers[2]):
                    peers[2].send(self.hello[-left[0]:][:1])
                    left[0] -= 1
                return not any(map(is_open, peers))
            wait.until(drip, 5, "all are cut")
            self.assertTrue(0.4 < time.monotonic() - start < 3)
            self.assertEqual(own.log().count("reason=tls_handshake_late"), 3, own.log())
            close(peers)

    def test_the_first_byte_behind_a_handshake_has_its_time(self):
        with self.probe(first_ms=400, idle_ms=20000) as own, self.good(own)() as peer:
            start = time.monotonic()
            self.assertTrue(peer.closed())
            self.assertTrue(0.3 < time.monotonic() - start < 5)

    def test_a_full_house_of_them_lets_a_request_in(self):
        for what in (b"", self.hello):
            with self.subTest(what[:1]), self.probe(connections=30) as own:
                peers = [own.connect() for _ in range(30)]
                for each in peers:
                    each.send(what)
                serve(self.good(own), 2 * PROMPT)
                close(peers)

    def test_they_do_not_hold_up_a_drain(self):
        with self.probe() as own:
            peers = [own.connect()] + self.begin(own, 20)
            serve(self.good(own))
            start = time.monotonic()
            own.terminate()
            self.assertTrue(peers[0].closed())
            self.assertLess(time.monotonic() - start, 3)
            self.assertEqual(own.wait(9), 0)
            close(peers)


class Orderd(unittest.TestCase):
    def hog(self, address, count):
        connections = [http.Connection(address) for _ in range(count)]
        self.addCleanup(close, connections)
        return connections

    def livez(self, orderd):
        start = time.monotonic()
        self.assertEqual(http.get(orderd.admin_address, "/livez").status, 200)
        self.assertLess(time.monotonic() - start, PROMPT)

    def test_a_delivery_comes_through_a_house_full_of_silent_peers(self):
        with pg.Cluster() as cluster, daemon.Daemon(
                cluster.migrated(), {"listen": {"max_connections": "64"}}) as orderd:
            for _ in range(3):
                self.hog(orderd.address, 64)
                start = time.monotonic()
                body = b'{"event":"order.paid","data":{"orderId":"order_%d"}}' % time.time_ns()
                self.assertEqual(orderd.deliver(body).status, 200)
                self.assertLess(time.monotonic() - start, PROMPT)
            self.assertGreater(orderd.metrics()["orderd_connections_evicted_total"], 2)

    def test_the_admin_listener_answers_beside_silent_peers(self):
        with daemon.Daemon("host=/nowhere", ready=False) as orderd:
            self.hog(orderd.admin_address, 100)
            for _ in range(3):
                self.livez(orderd)

    def test_a_process_with_few_descriptors_serves_fewer_connections(self):
        with daemon.Daemon("host=/nowhere", ready=False,
                           wrapper=["prlimit", "--nofile=256:256"]) as orderd:
            self.assertIn("connections=128", orderd.says("descriptors_short"))
            self.hog(orderd.address, 300)
            self.hog(orderd.admin_address, 100)
            for _ in range(3):
                self.livez(orderd)
            self.assertIn("HTTP/1.1 401", http.raw(orderd.address, http.request_bytes(
                body=b"{}", headers={"Connection": "close"})).decode())
            self.assertNotIn("accept_paused", orderd.log())


if __name__ == "__main__":
    tap.main()
