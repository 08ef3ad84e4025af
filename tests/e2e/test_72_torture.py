#!/usr/bin/env python3
# needs: orderd, failing_calls; beside: no
"""Each allocation and each call that can fail fails once, on every way a delivery goes: what comes
is 200, 503 or the end of the connection, and the database has what was answered 200, no more."""

import json
import mmap
import os
import random
import shutil
import ssl
import struct
import subprocess
import tempfile
import time
import unittest
from datetime import datetime, timezone

from support import (case, certificate, daemon, events, fake_torque, http, scale, sign, tap,
                     tools, wait)

# In the order of enum call in failing_calls.c.
CALLS = ("none", "allocation", "accept4", "readv", "recv", "sendmsg", "send",
         "epoll_ctl", "getpeername", "SHA256", "EVP_MAC_fetch", "EVP_MAC_CTX_new",
         "EVP_MAC_init", "EVP_MAC_update", "EVP_MAC_final", "SSL_new", "SSL_read", "SSL_write",
         "PQsendQueryPrepared", "PQsendPrepare", "PQpipelineSync", "PQflush", "PQconsumeInput",
         "PQgetResult")
SHARE = scale.count("torture") / 100  # of all n
ENDS = {200, 503, None}
MUST = {name for name in CALLS if name.startswith(("SHA256", "EVP_"))}  # end in 503
TLS_CALLS = ("SSL_new", "SSL_read", "SSL_write")
WAYS = ("new_order", "duplicate", "big_body", "chunked", "unusable", "forged", "metrics", "reload",
        "new_session")
ROW = 3  # failures that the reserve has to stand


class Calls:
    """What failing_calls.c is told, and tells."""

    def __init__(self, directory):
        self.file = os.path.join(directory, "calls")
        with open(self.file, "wb") as file:
            file.write(bytes(40))
        with open(self.file, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 40)

    def arm(self, call, fatal=0, row=1):
        self._map[0:40] = struct.pack("=5q", 0, fatal, row, 0, 0)
        self._map[0:8] = struct.pack("=q", CALLS.index(call))

    def disarm(self):
        """(how many calls there were, how many failed)"""
        self._map[0:8] = struct.pack("=q", 0)
        return struct.unpack("=2q", self._map[24:40])


def preloaded(calls):
    return {"FAILING_CALLS_FILE": calls.file, "LD_PRELOAD": os.environ["FAILING_CALLS"],
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


class Torture(case.WithDatabase):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="orderd-torture-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        self.calls = Calls(self.directory)
        self.seed = scale.seed()
        self.random = random.Random(self.seed)
        self.sent, self.taken, self.count, self.tls = {}, {}, 0, None

    def start(self, tls=False):
        listen = {}
        if tls:
            authority = certificate.Authority(self.directory)
            chain, key = authority.issue("IP:127.0.0.1")
            listen = {"tls_certificate": chain, "tls_key": key}
            self.tls = ssl.create_default_context(cafile=authority.certificate)
        self.orderd = daemon.Daemon(
            self.database, {"listen": listen, "log": {"level": "debug"}},
            environment=preloaded(self.calls))
        self.addCleanup(self.orderd.close)

    # the ways of a delivery -------------------------------------------------------------------
    def body(self, **members):
        self.count += 1
        order = events.Order("order_torture_%06d_with_an_id_that_is_long" % self.count,
                             datetime.now(timezone.utc), random.Random(self.count))
        return order.id, events.form1("order.paid", order, **members)

    def post(self, body, order_id=None, chunked=False, headers=None):
        """The status, or None when the connection ended without one."""
        headers = dict(headers or self.orderd.signed(body))
        if chunked:
            half = len(body) // 2
            parts = b"".join(b"%x\r\n%s\r\n" % (len(part), part)
                             for part in (body[:half], body[half:], b""))
            headers.update({"Transfer-Encoding": "chunked"})
        try:
            with http.Connection(self.orderd.address, 10, self.tls) as connection:
                if chunked:
                    head = http.request_bytes(body=b"", headers=headers)
                    connection.send(head.replace(b"Content-Length: 0\r\n", b"") + parts)
                    answer = connection.answer()
                else:
                    answer = connection.request(body=body, headers=headers)
        except (OSError, ssl.SSLError):
            return None
        if answer.status == 200:
            self.taken[body] = (order_id, answer.outcome)
        return answer.status

    def new_order(self):
        order_id, body = self.body()
        return self.post(body, order_id)

    def duplicate(self):
        body = self.random.choice(list(self.taken))
        order_id, outcome = self.taken[body]
        status = self.post(body, order_id)
        self.taken[body] = (order_id, outcome)
        return status

    def big_body(self):
        order_id, body = self.body(padding="x" * 200000)
        return self.post(body, order_id)

    def chunked(self):
        order_id, body = self.body()
        return self.post(body, order_id, chunked=True)

    def unusable(self):
        self.count += 1
        return self.post(b'{"event": "order.paid", "number": %d}' % self.count)

    def forged(self):
        status = self.post(self.body()[1], headers={"X-Torque-Signature": "00" * 32})
        return 200 if status == 401 else status  # its own good end

    def metrics(self):
        try:
            status = http.get(self.orderd.admin_address, "/metrics").status
        except OSError:
            return None
        return 503 if status == 500 else status

    def reload(self):
        before = self.orderd.log().count("event=reload")
        self.orderd.reload()
        self.orderd.wait_until(lambda: self.orderd.log().count("event=reload") > before,
                               "the reload has an end")
        return self.new_order()

    def new_session(self):
        self.database.query("select pg_terminate_backend(pid) from pg_stat_activity "
                            "where application_name like 'orderd receive%'")
        return self.new_order()

    # what must hold ---------------------------------------------------------------------------
    def settle(self):
        """The database is connected again, and a delivery goes through."""
        self.orderd.wait_until(self.orderd.is_ready, "it is ready again")
        self.assertEqual(wait.until(lambda: self.new_order() == 200, 20, "it takes deliveries"),
                         True)

    def torture(self, scenario, call, row, share):
        """How many calls there are on that way."""
        way = getattr(self, scenario)
        self.assertEqual(way(), 200)  # what is made once is made now
        self.calls.arm(call)
        self.assertEqual(way(), 200)
        total, _ = self.calls.disarm()
        ends, tried = {200: 0, 503: 0, None: 0}, 0
        for fatal in range(1, total + 1):
            if fatal > 1 and self.random.random() >= share:
                continue
            what = "%s %d of %d in %s" % (call, fatal, total, scenario)
            self.calls.arm(call, fatal, row)
            status = way()
            _, failed = self.calls.disarm()
            self.assertIsNone(self.orderd.process.poll(), "it ended at %s\n%s" % (
                what, self.orderd.log()[-3000:]))
            self.assertIn(status, ENDS, what)
            if failed and call in MUST:
                self.assertEqual(status, 503, what)
            ends[status] += 1
            tried += failed > 0
            if status != 200:
                self.settle()
        print("# %s, %s: %d of %d failed, %d in a row: 200 %d times, 503 %d, closed %d" % (
            scenario, call, tried, total, row, ends[200], ends[503], ends[None]))
        return total

    def judge(self):
        self.settle()
        orders = {row[0] for row in self.database.query("select order_id from torque.orders")}
        taken = {order_id for order_id, _ in self.taken.values() if order_id}
        self.assertEqual(taken - orders, set(), "lost")
        # A delivery that was not answered 200 may be there all the same; nothing else may.
        self.assertEqual([order for order in orders
                          if not order.startswith("order_torture_")
                          or not order.endswith("_with_an_id_that_is_long")], [], "invented")
        self.assertEqual({outcome for order_id, outcome in self.taken.values() if order_id}
                         - {"applied", "duplicate"}, set())
        reasons = {row[0] for row in self.database.query(
            "select distinct reason from torque.quarantine")}
        self.assertLessEqual(reasons, {"no_data"})

    def run_all(self, call, scenarios, row=1, share=1):
        total = sum(self.torture(scenario, call, row, share) for scenario in scenarios)
        self.assertGreater(total, 0, "nobody calls " + call)
        self.judge()

    def test_no_allocation_that_fails_costs_an_acknowledged_order_or_makes_one_up(self):
        self.start()
        print("# seed %s, %d %% of all n" % (self.seed, 100 * SHARE))
        for row in (1, ROW):
            self.run_all("allocation", WAYS, row, SHARE)

    @tools.needed("openssl")
    def test_nor_any_within_tls(self):
        self.start(tls=True)
        print("# seed %s, %d %% of all n" % (self.seed, 100 * SHARE))
        for row in (1, ROW):
            self.run_all("allocation", ("new_order", "forged"), row, SHARE)
        for call in TLS_CALLS:
            self.run_all(call, ("new_order",))

    def test_nor_does_any_other_call(self):
        self.start()
        for call in CALLS[2:]:
            if call not in TLS_CALLS:
                self.run_all(call, ("new_order", "new_session"), share=4 * SHARE)


class Verb(unittest.TestCase):
    """What a verb reads with a library that reads on where memory has run out."""

    def test_a_document_is_read_whole_or_the_verb_ends(self):
        directory = tempfile.mkdtemp(prefix="orderd-torture-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        calls, chance = Calls(directory), random.Random(scale.seed())
        document = {"n%d" % n: "e" * 12 * 2 ** n for n in range(10)}
        body = os.path.join(directory, "body.json")
        with open(body, "w", encoding="utf-8") as out:
            json.dump(document, out, indent=4)
        with open(os.path.join(directory, "webhook-secret"), "w", encoding="ascii") as out:
            out.write(sign.SECRET)
        os.chmod(out.name, 0o600)
        signature, = sign.torque(json.dumps(document, separators=(",", ":")).encode()).values()

        def verify():
            done = subprocess.run(
                [daemon.program(), "verify", body, "--signature", signature],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=60,
                env=dict(os.environ, CREDENTIALS_DIRECTORY=directory, **preloaded(calls)))
            return done.returncode, done.stdout
        calls.arm("allocation")
        expected = verify()
        self.assertIn(b"JSON", expected[1])
        count, _ = calls.disarm()
        ended = 0
        own = range(max(1, count - 400), count + 1)  # the first are those of OpenSSL's start
        for n in sorted(chance.sample(own, min(len(own), max(40, int(400 * SHARE))))):
            calls.arm("allocation", n)
            found = verify()
            self.assertTrue(calls.disarm()[1], n)
            # A key that could not be made leaves a hint that asks for more, and is true.
            if found[0] != expected[0] or b"compact JSON" not in found[1]:
                self.assertNotIn(found[0], (0, 1), (n, found))
                ended += 1
        print("# %d allocations, %d tried end it" % (count, ended))
        self.assertGreater(ended, 0)


class Poller(case.WithDatabase):
    def test_the_table_equals_the_api_when_memory_is_there_again(self):
        directory = tempfile.mkdtemp(prefix="orderd-torture-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        calls, chance = Calls(directory), random.Random(scale.seed())
        shop = fake_torque.Shop()
        api = fake_torque.FakeTorque(shop, fake_torque.Webhooks("nobody's", 1),
                                     per_minute=100000).start()
        self.addCleanup(api.close)
        orderd = daemon.Daemon(
            self.database,
            {"torque": {"base_url": api.url, "requests_per_minute": 6000, "floor": 0},
             "reconcile": {"sweep_every": "1s", "open_every": "1s"}},
            {"webhook-secret": None, "api-key": api.api_key}, verb="reconcile",
            environment=preloaded(calls))
        self.addCleanup(orderd.close)
        hits, deadline = 0, time.monotonic() + 100 * SHARE
        while time.monotonic() < deadline:
            shop.add("order_%d_with_an_id_that_is_long" % len(shop.orders), time.time() - 5,
                     "pending", total="%d.00" % len(shop.orders))
            calls.arm("allocation", chance.randrange(1, 400), chance.choice((1, ROW)))
            seen = len(api.log)
            wait.until(lambda: len(api.log) > seen, 20, "it goes on polling")  # noqa: B023
            hits += calls.disarm()[1] > 0
            self.assertIsNone(orderd.process.poll(), orderd.log()[-3000:])
        print("# %d failures" % hits)
        self.assertGreater(hits, 0)

        def equal():
            return {order["id"]: order["total"] for order in shop.orders.values()} == dict(
                self.database.query("select order_id, total from torque.orders"))
        orderd.wait_until(equal, "the table equals the API", 30)


if __name__ == "__main__":
    tap.main()
