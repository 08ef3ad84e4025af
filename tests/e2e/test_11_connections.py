#!/usr/bin/env python3
# needs: server_probe; beside: no
"""What becomes of connections: deadlines, peers that leave, limits, memory, TLS, and the drain."""

import os
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest
import warnings

from support import http, probe, tap, wait

HEAD = b"POST /echo HTTP/1.1\r\nHost: a.test\r\n"
MANY = 10000


def request(path=b"/echo", body=b"hello"):
    return (b"POST %s HTTP/1.1\r\nHost: a.test\r\nContent-Length: %d\r\n\r\n" % (path, len(body))
            + body)


def reset(connection):
    """Leave with an RST."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(connection, data, every, seconds):
    """Send a byte at a time until something comes back. Seconds from the first byte to that."""
    start = time.monotonic()
    connection.socket.settimeout(every)
    for byte in data:
        if time.monotonic() - start > seconds:
            raise AssertionError("nothing came back in %g s" % seconds)
        connection.socket.sendall(bytes([byte]))
        try:
            if connection.socket.recv(1, socket.MSG_PEEK):
                return time.monotonic() - start
        except TimeoutError:
            pass
    raise AssertionError("everything was taken")


class Deadlines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # That of an idle connection is the longest: none of the others may be it by mistake.
        cls.probe = probe.Probe(head_ms=400, body_ms=800, first_ms=1500, idle_ms=2500,
                                answer_ms=500)

    @classmethod
    def tearDownClass(cls):
        cls.probe.close()

    def test_dripped_headers_are_cut_in_total(self):
        with self.probe.connect() as connection:
            took = drip(connection, HEAD + b"x: " + b"a" * 1000, 0.03, 5)
            self.assertEqual(connection.answer().status, 408)
            self.assertTrue(0.39 < took < 2, took)
            self.assertTrue(connection.closed())
        self.assertTrue(self.probe.is_well())

    def test_a_dripped_body_is_cut_in_total(self):
        with self.probe.connect() as connection:
            connection.send(HEAD + b"Content-Length: 1000\r\n\r\n")
            took = drip(connection, b"a" * 1000, 0.05, 5)
            self.assertEqual(connection.answer().status, 408)
            self.assertTrue(0.79 < took < 2.4, took)
            self.assertTrue(connection.closed())

    def test_a_stalled_request_is_cut_without_another_byte(self):
        for sent in (b"P", HEAD, HEAD + b"Content-Length: 9\r\n\r\nhalf",
                     HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"):
            with self.subTest(sent), self.probe.connect() as connection:
                connection.send(sent)
                self.assertEqual(connection.answer(5).status, 408)

    def test_a_connection_that_sleeps_is_closed_without_a_word(self):
        with self.probe.connect() as never, self.probe.connect() as once:
            once.send(request())
            self.assertEqual(once.answer().status, 200)
            self.assertTrue(never.closed())
            self.assertTrue(once.closed())

    def test_a_second_request_has_deadlines_of_its_own(self):
        with self.probe.connect() as connection:
            for _ in range(4):
                connection.send(request(body=b"1"))
                self.assertEqual(connection.answer().status, 200)
                time.sleep(0.3)  # the sum passes every deadline, no part does
            connection.send(HEAD)
            self.assertEqual(connection.answer(5).status, 408)

    def test_a_held_request_is_answered_503_in_time_and_the_connection_stays(self):
        with self.probe.connect() as connection:
            start = time.monotonic()
            connection.send(request(b"/hold") + request(b"/echo", b"behind"))
            answer = connection.answer()
            took = time.monotonic() - start
            self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
            self.assertTrue(0.49 < took < 2, took)
            self.assertEqual(connection.answer().body, probe.echoed(b"POST", b"/echo", b"behind"))

    def test_the_owner_is_told_of_each_request_that_was_taken_from_it(self):
        with probe.Probe(answer_ms=200) as own:
            for _ in range(3):
                self.assertEqual(http.post(own.address, b"", path="/hold").status, 503)
            own.terminate()
            own.wait()
            self.assertEqual(own.gone, 3)


class Leaving(unittest.TestCase):
    """The deadline of an answer is long here: what is seen is not its doing."""

    def test_a_peer_that_resets_while_it_is_held_is_noticed(self):
        with probe.Probe() as own:
            before = own.descriptors()
            connections = [own.connect() for _ in range(20)]
            for connection in connections:
                connection.send(request(b"/hold"))
            wait.until(lambda: own.descriptors() == before + 20, 2, "20 connections are open")
            for connection in connections:
                reset(connection)
            wait.until(lambda: own.descriptors() <= before, 2, "all are closed before 2.5 s")
            self.assertTrue(own.is_well())
            own.terminate()
            own.wait()
            self.assertEqual(own.gone, 20)

    def test_a_peer_that_ends_only_its_side_reads_its_answer(self):
        with probe.Probe() as own:
            for path in (b"/later", b"/echo", b"/hold"):
                with self.subTest(path), own.connect() as connection:
                    connection.send(request(path))
                    connection.socket.shutdown(socket.SHUT_WR)
                    self.assertEqual(connection.answer().status, 503 if path == b"/hold" else 200)
                    self.assertTrue(connection.closed())

    def test_a_peer_that_closes_while_it_is_held_is_harmless(self):
        with probe.Probe(answer_ms=300) as own:
            before = own.descriptors()
            for path in (b"/later", b"/hold") * 20:
                with own.connect() as connection:
                    connection.send(request(path))
            wait.until(lambda: own.descriptors() <= before, 5, "all are closed")
            self.assertTrue(own.is_well())

    def test_bytes_behind_a_held_request_are_read_up_to_a_bound_only(self):
        with probe.Probe() as own:
            connections = [own.connect() for _ in range(20)]
            before = own.rss_kib()
            for connection in connections:
                connection.send(request(b"/hold"))
                connection.socket.setblocking(False)
                try:
                    while True:
                        connection.socket.send(b"x" * 65536)
                except BlockingIOError:
                    pass  # the kernel is full, and nobody takes it away
            self.assertLess(own.rss_kib() - before, 20 * 64)
            for connection in connections:
                reset(connection)
            self.assertTrue(own.is_well())

    def test_a_reset_at_any_byte_is_harmless(self):
        whole = request(b"/later") + request(b"/echo")
        with probe.Probe() as own:
            before = own.descriptors()
            for end in range(len(whole)):
                with own.connect() as connection:
                    connection.send(whole[:end])
                    reset(connection)
            self.assertTrue(own.is_well())
            wait.until(lambda: own.descriptors() <= before, 5, "all are closed")

    def test_a_request_cut_by_the_end_of_its_side_is_refused(self):
        whole = request()
        with probe.Probe() as own:
            for end in range(1, len(whole)):
                with self.subTest(end):
                    reply = http.raw(own.address, whole[:end], half_close=True)
                    self.assertTrue(reply.startswith(b"HTTP/1.1 400 "), (end, reply))


class Limits(unittest.TestCase):
    def test_without_descriptors_it_waits_and_does_not_spin(self):
        with probe.Probe(descriptors=40) as own:
            connections = [own.connect() for _ in range(60)]
            wait.until(lambda: "accept_paused" in own.log(), 5, "accepting pauses")
            before = own.cpu_seconds()
            time.sleep(1)  # of which it uses little
            self.assertLess(own.cpu_seconds() - before, 0.2)
            self.assertEqual(own.log().count("accept_paused"), 1)
            for connection in connections[:30]:
                connection.close()
            for connection in connections[30:]:
                connection.send(request())
                self.assertEqual(connection.answer().status, 200)
                connection.close()
            self.assertTrue(own.is_well())

    def test_connections_above_the_maximum_wait_for_one_to_close(self):
        with probe.Probe(connections=5) as own:
            connections = [own.connect() for _ in range(6)]
            for connection in connections[:5]:
                connection.send(request()[:-1])
            connections[5].send(request())
            with self.assertRaises(TimeoutError):
                connections[5].answer(0.3)
            connections[0].close()
            self.assertEqual(connections[5].answer().status, 200)
            for connection in connections[1:5]:
                connection.send(request()[-1:])
                self.assertEqual(connection.answer().status, 200)
            for connection in connections:
                connection.close()

    def test_the_bodies_of_all_connections_together_have_a_bound(self):
        half = request(body=b"x" * 200000)[:100000]
        with probe.Probe(body=1000000, bodies=250000) as own:
            begun = [own.connect() for _ in range(3)]
            for connection in begun[:2]:
                connection.send(half)
            with own.connect() as other:  # small ones pass while there is room
                other.send(request())
                self.assertEqual(other.answer().status, 200)
            begun[2].send(half)
            refused = []

            def one_was_refused():
                for connection in begun:
                    try:
                        refused.append(connection.answer(0.05))
                    except TimeoutError:
                        pass
                return refused
            wait.until(one_was_refused, 5, "a 503")
            self.assertEqual([(answer.status, answer.headers["retry-after"])
                              for answer in refused], [(503, "1")])
            for connection in begun:
                connection.close()
            wait.until(lambda: own.is_well(), 5, "room again")

    def test_an_address_that_is_none_is_refused_with_a_sentence(self):
        for address in ("127.0.0.1", "localhost:80", "127.0.0.1:", ":80", "::1:80", "[::1]",
                        "[::1:80", "127.0.0.1:http", "300.0.0.1:80", "", "a" * 100 + ":80"):
            with self.subTest(address):
                own = probe.Probe(address=address)
                self.assertEqual(own.wait(), 1)
                self.assertIn("is no address to listen on", own.said)

    def test_an_address_that_is_taken_is_refused_with_a_sentence(self):
        with probe.Probe() as own:
            other = probe.Probe(address=own.address)
            self.assertEqual(other.wait(), 1)
            self.assertIn("cannot listen on %s: Address already in use" % own.address, other.said)

    def test_it_listens_on_IPv6(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        with probe.Probe(address="[::1]:0") as own:
            self.assertRegex(own.address, r"^\[::1\]:\d+$")
            self.assertTrue(own.is_well())

    def test_a_listening_socket_is_taken_over_blocking_as_it_is(self):
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
            with http.Connection(listening.getsockname()) as early:
                early.send(request())
                os.set_inheritable(listening.fileno(), True)
                with probe.Probe(listen_fd=listening.fileno(),
                                 pass_fds=[listening.fileno()]) as own:
                    self.assertEqual(own.address, "127.0.0.1:%d" % listening.getsockname()[1])
                    self.assertEqual(early.answer().status, 200)
                    self.assertTrue(own.is_well())

    def test_a_descriptor_that_does_not_listen_is_refused(self):
        with socket.socket() as idle:
            own = probe.Probe(listen_fd=idle.fileno(), pass_fds=[idle.fileno()])
            self.assertEqual(own.wait(), 1)
            self.assertIn("is not a listening socket", own.said)


class Many(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < MANY + 100:
            raise unittest.SkipTest("%d descriptors are needed, %d allowed" % (MANY + 100, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def setUp(self):
        if os.environ.get("B_SANITIZE", "none") != "none":
            self.skipTest("a sanitizer's memory is not ours")

    def connect_many(self, own):
        connections = []
        for _ in range(MANY):
            connections.append(own.connect())
        wait.until(lambda: own.descriptors() > MANY, 30, "all are accepted")
        return connections

    def test_ten_thousand_idle_connections_cost_at_most_24_MB(self):
        with probe.Probe(descriptors=MANY + 50) as own:
            connections = self.connect_many(own)
            fresh = own.rss_kib()
            for connection in connections:
                connection.send(request())
            for connection in connections:
                self.assertEqual(connection.answer().status, 200)
            used = own.rss_kib()
            before = own.cpu_seconds()
            time.sleep(1)  # of which it uses little
            print("# 10,000 idle connections: RssAnon %d KiB, %d KiB after a request each; "
                  "%.2f s CPU in 1 s" % (fresh, used, own.cpu_seconds() - before))
            self.assertLessEqual(used, 24 * 1024)
            self.assertLess(own.cpu_seconds() - before, 0.1)
            self.assertTrue(own.is_well())
            for connection in connections:
                connection.close()
            wait.until(lambda: own.descriptors() < 50, 30, "all are closed")

    def test_ten_thousand_begun_requests_cost_at_most_64_MB_and_disturb_nobody(self):
        with probe.Probe(descriptors=MANY + 50) as own:
            connections = self.connect_many(own)
            for connection in connections:
                connection.send(HEAD + b"x: ")
            slowest = 0
            for _ in range(100):
                start = time.monotonic()
                self.assertTrue(own.is_well())
                slowest = max(slowest, time.monotonic() - start)
            memory = own.rss_kib()
            print("# 10,000 begun requests: RssAnon %d KiB; a good request beside them took "
                  "at most %.1f ms" % (memory, slowest * 1000))
            self.assertLessEqual(memory, 64 * 1024)
            for connection in connections:
                connection.close()


class TLS(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("no openssl to make certificates with")
        cls.directory = tempfile.mkdtemp(prefix="orderd-tls-")
        cls.certificate = os.path.join(cls.directory, "certificate.pem")
        cls.key = os.path.join(cls.directory, "key.pem")
        cls.make("one.test")
        cls.probe = probe.Probe(certificate=cls.certificate, key=cls.key, handshake_ms=500)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.probe.close()
        finally:
            shutil.rmtree(cls.directory)

    @classmethod
    def make(cls, name, *more):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=DNS:" + name, "-keyout", cls.key, "-out",
                        cls.certificate, *more], check=True, capture_output=True)

    def context(self):
        return ssl.create_default_context(cafile=self.certificate)

    def connect(self, name="one.test", context=None):
        return self.probe.connect(tls=context or self.context(), server_name=name)

    def reload(self):
        self.probe.process.send_signal(signal.SIGHUP)
        return self.probe.process.stdout.readline().strip()

    def test_requests_are_answered_over_TLS(self):
        with self.connect() as connection:
            connection.send(request() + request(b"/later", b"two")
                            + request(b"/echo", b"x" * 90000))
            self.assertEqual(connection.answer().body, probe.echoed(b"POST", b"/echo", b"hello"))
            self.assertEqual(connection.answer().body, probe.echoed(b"POST", b"/later", b"two"))
            self.assertEqual(connection.answer().body,
                             probe.echoed(b"POST", b"/echo", b"x" * 90000))

    def test_a_large_answer_is_whole_and_ends_with_a_goodbye(self):
        context = self.context()
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        with self.connect(context=context) as connection:
            connection.send(request(b"/large").replace(b"Host", b"Connection: close\r\nHost"))
            answer = connection.answer()
            self.assertEqual((answer.status, len(answer.body)), (200, 1048576))
            self.assertTrue(connection.closed())  # an SSLError if it had been cut

    def test_a_body_dripped_in_small_records_is_read(self):
        with self.connect() as connection:
            for byte in request():
                connection.send(bytes([byte]))
            self.assertEqual(connection.answer().status, 200)

    def test_TLS_1_2_and_1_3_are_spoken_and_1_1_is_not(self):
        for version, spoken in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True),
                                (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1, False)):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(self.certificate)
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
            with self.subTest(version):
                if spoken:
                    with self.connect(context=context) as connection:
                        connection.send(request())
                        self.assertEqual(connection.answer().status, 200)
                else:
                    # Its own refusal, sent as an alert, not one of this side.
                    with self.assertRaisesRegex(ssl.SSLError, "ALERT_PROTOCOL_VERSION"):
                        self.connect(context=context)

    def test_plain_bytes_on_the_TLS_port_are_refused(self):
        reply = http.raw(self.probe.address, request(), half_close=True)
        self.assertNotIn(b"HTTP/1.1 200", reply)
        with self.connect() as connection:
            connection.send(request())
            self.assertEqual(connection.answer().status, 200)

    def test_a_handshake_that_does_not_come_is_cut(self):
        for sent in (b"", b"\x16\x03\x01"):
            with self.subTest(sent), self.probe.connect() as connection:
                connection.send(sent)
                start = time.monotonic()
                self.assertTrue(connection.closed())
                self.assertLess(time.monotonic() - start, 3)

    def test_a_refusal_reaches_a_peer_that_sends_on(self):
        with self.connect() as connection:
            connection.send(HEAD + b"Content-Length: 10000000\r\n\r\n" + b"x" * 300000)
            self.assertEqual(connection.answer().status, 413)

    def test_a_peer_that_leaves_while_it_is_held_is_harmless(self):
        before = self.probe.descriptors()
        for path in (b"/hold", b"/later") * 10:
            with self.connect() as connection:
                connection.send(request(path))
                reset(connection)
            with self.connect() as connection:
                connection.send(request(path))
        wait.until(lambda: self.probe.descriptors() <= before, 5, "all are closed")

    def test_a_new_certificate_is_taken_without_disturbing_old_connections(self):
        with self.connect() as old:
            self.make("two.test")
            self.assertEqual(self.reload(), "reloaded")
            with self.connect("two.test") as new:
                new.send(request())
                self.assertEqual(new.answer().status, 200)
            old.send(request())
            self.assertEqual(old.answer().status, 200)
        self.make("one.test")
        self.assertEqual(self.reload(), "reloaded")

    def test_a_certificate_that_cannot_be_used_changes_nothing(self):
        with open(self.certificate, encoding="ascii") as file:
            good = file.read()
        context = self.context()
        try:
            for bad in ("", "rubbish", good.replace("A", "B")):
                with self.subTest(bad[:10]):
                    with open(self.certificate, "w", encoding="ascii") as file:
                        file.write(bad)
                    self.assertRegex(self.reload(), "^refused cannot use the certificate")
                    with self.connect(context=context) as connection:
                        connection.send(request())
                        self.assertEqual(connection.answer().status, 200)
        finally:
            with open(self.certificate, "w", encoding="ascii") as file:
                file.write(good)

    def test_a_key_of_another_certificate_is_refused(self):
        with tempfile.TemporaryDirectory() as other:
            key = os.path.join(other, "key.pem")
            subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-out", key], check=True,
                           capture_output=True)
            own = probe.Probe(certificate=self.certificate, key=key)
            self.assertEqual(own.wait(), 1)
            self.assertIn("refused cannot use the key", own.said)

    def test_a_key_with_a_password_is_refused_without_asking(self):
        with tempfile.TemporaryDirectory() as other:
            key = os.path.join(other, "key.pem")
            subprocess.run(["openssl", "ec", "-in", self.key, "-aes128", "-passout", "pass:word",
                            "-out", key], check=True, capture_output=True)
            own = probe.Probe(certificate=self.certificate, key=key)
            self.assertEqual(own.wait(), 1)
            self.assertIn("refused cannot use the key", own.said)


class Drain(unittest.TestCase):
    def test_what_is_in_flight_is_answered_and_the_rest_is_closed(self):
        with probe.Probe(later_ms=1000) as own:
            before = own.descriptors()
            idle = own.connect()
            held = [own.connect() for _ in range(200)]
            for connection in held:
                connection.send(request(b"/later"))
            wait.until(lambda: own.descriptors() == before + 201, 5, "all are accepted")
            own.terminate()
            for connection in held:
                answer = connection.answer()
                self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
                connection.close()
            self.assertTrue(idle.closed())
            idle.close()
            self.assertEqual(own.wait(), 0)
            self.assertEqual(own.gone, 0)

    def test_nobody_new_is_let_in(self):
        with probe.Probe() as own, own.connect() as connection:
            connection.send(request(b"/hold"))
            wait.until(lambda: own.descriptors() > 0, 1, "it runs")
            own.terminate()
            def refused():
                try:
                    own.connect().close()
                    return False
                except ConnectionRefusedError:
                    return True
            wait.until(refused, 2, "new connections are refused")
            self.assertEqual(connection.answer().status, 503)

    def test_a_request_on_its_way_to_a_sleeping_connection_is_answered(self):
        with probe.Probe() as own, own.connect() as connection, own.connect() as other:
            connection.send(request())
            self.assertEqual(connection.answer().status, 200)
            own.terminate()
            wait.until(lambda: not self.lets_in(own), 2, "it drains")
            connection.send(request())
            answer = connection.answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))
            self.assertTrue(other.closed())

    @staticmethod
    def lets_in(own):
        try:
            own.connect().close()
            return True
        except OSError:
            return False

    def test_a_begun_request_is_read_to_its_end(self):
        with probe.Probe() as own, own.connect() as connection:
            connection.send(HEAD + b"Content-Length: 5\r\n\r\nhe")
            wait.until(lambda: self.lets_in(own), 1, "it runs")
            own.terminate()
            wait.until(lambda: not self.lets_in(own), 2, "it drains")
            connection.send(b"llo")
            answer = connection.answer()
            self.assertEqual((answer.status, answer.headers["connection"]), (200, "close"))

    def test_a_request_that_never_ends_does_not_hold_it_up(self):
        with probe.Probe() as own, own.connect() as connection:
            connection.send(HEAD)
            wait.until(lambda: self.lets_in(own), 1, "it runs")
            start = time.monotonic()
            own.terminate()
            self.assertEqual(connection.answer(9).status, 503)
            connection.close()
            self.assertEqual(own.wait(), 0)
            self.assertLess(time.monotonic() - start, 9)

    def test_a_peer_that_does_not_close_does_not_hold_it_up(self):
        with probe.Probe(linger_ms=300) as own, own.connect() as connection:
            connection.send(b"BAD\x01")
            self.assertEqual(connection.answer().status, 400)
            start = time.monotonic()
            own.terminate()
            self.assertEqual(own.wait(), 0)
            self.assertLess(time.monotonic() - start, 3)


if __name__ == "__main__":
    tap.main()
