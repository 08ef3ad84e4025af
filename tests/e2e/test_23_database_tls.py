#!/usr/bin/env python3
# needs: orderd, batch_probe; beside: yes
"""A PostgreSQL on another host: facts cross the network in TLS, to the server that is meant."""

import os
import random
import tempfile
import unittest
from datetime import datetime, timezone

from support import batch, certificate, events, pg, tap

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
# A loopback address of its own, so that the port may be the one that everybody expects.
ADDRESS = "127.%d.%d.%d" % (random.randint(1, 254), random.randint(1, 254), random.randint(2, 254))


def paid(order_id, **data):
    return events.form1("order.paid", events.Order(order_id, CREATED, random.Random(order_id)),
                        **data)


class DatabaseTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="orderd-test-")
        cls.addClassCleanup(cls.scratch.cleanup)
        authority = certificate.Authority(os.path.join(cls.scratch.name, "ours"))
        other = certificate.Authority(os.path.join(cls.scratch.name, "other"))
        cls.trusted, cls.distrusted = authority.certificate, other.certificate
        cls.cluster = pg.Cluster(start=False)
        cls.addClassCleanup(cls.cluster.close)
        chain, key = authority.issue("DNS:db.shop.test")
        for name, source in (("server.crt", chain), ("server.key", key)):
            path = os.path.join(cls.cluster.data, name)
            with open(source, "rb") as words, open(path, "wb") as file:
                file.write(words.read())
            owner = os.stat(cls.cluster.data)
            os.chown(path, owner.st_uid, owner.st_gid)
            os.chmod(path, 0o600)
        with open(os.path.join(cls.cluster.data, "pg_hba.conf"), "w", encoding="ascii") as hba:
            hba.write("local all all trust\nhostssl all all 127.0.0.0/8 trust\n")
        cls.cluster.configure({"ssl": "on", "listen_addresses": "'%s'" % ADDRESS})
        cls.cluster.start()

    def setUp(self):
        self.database = self.cluster.migrated()

    def conninfo(self, host="db.shop.test", authority=None, sslmode="verify-full"):
        return "host=%s hostaddr=%s dbname=%s user=orderd sslmode=%s sslrootcert=%s" % (
            host, ADDRESS, self.database.name, sslmode, authority or self.trusted)

    def test_a_fact_is_committed_through_tls(self):
        with batch.Probe(self.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.assertEqual(self.database.query(
                "select distinct s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid)"
                " where a.application_name like 'batch_probe%'"), [["t"]])

    def test_bodies_larger_than_any_buffer_cross_in_both_directions(self):
        with batch.Probe(self.conninfo()) as probe:
            bodies = [paid("o%d" % number, cancellationReason="x" * 900_000)
                      for number in range(8)]
            probe.add(*bodies)
            self.assertEqual(set(probe.wait_all()), {"committed applied"})
            self.assertEqual(self.database.value(
                "select count(*) from torque.order_events where length(payload::text) > 900000"),
                "8")

    def test_a_server_that_is_not_the_one_meant_gets_nothing(self):
        for conninfo, problem in (
                (self.conninfo(host="other.shop.test"), "does not match host name"),
                (self.conninfo(authority=self.distrusted), "certificate verify failed"),
                (self.conninfo(sslmode="disable"), "no encryption")):
            with batch.Probe(conninfo, keep_ms=800) as probe:
                probe.wait_problem(problem)
                self.assertEqual(probe.wait(probe.add(paid("o1"))), "lost")
        self.assertEqual(self.database.value("select count(*) from torque.order_events"), "0")

    def test_a_connection_that_is_cut_is_made_good(self):
        with batch.Probe(self.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.database.query("select pg_terminate_backend(pid) from pg_stat_activity"
                                " where application_name like 'batch_probe%'")
            self.assertEqual(probe.wait(probe.add(paid("o2"))), "committed applied")


if __name__ == "__main__":
    tap.main()
