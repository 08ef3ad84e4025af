#!/usr/bin/env python3
# needs: orderd, batch_probe; beside: yes
"""Databases that orderd refuses to stand on, each with a sentence that names the cure: in migrate,
in check and when a session starts."""

import json
import os
import random
import re
import subprocess
import unittest
from datetime import datetime, timezone

from support import batch, daemon, events, fake_torque, http, pg, pooler, tap, wait

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
FOUND, DATAERR, UNAVAILABLE = 1, 65, 69
LOOK_SECONDS = 25  # by then a server that is in use has been looked at again


def setUpModule():
    global cluster
    cluster = pg.Cluster()
    cluster.migrated()  # the roles


def tearDownModule():
    cluster.close()


def paid(order_id, **data):
    return events.form1("order.paid", events.Order(order_id, CREATED, random.Random(order_id)),
                        **data)


class Case(unittest.TestCase):
    def run_verb(self, *words, code=0):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("ORDERD_", "PG"))}
        done = subprocess.run([os.environ["ORDERD"], *words], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                              timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def faults(self, conninfo):
        """What check finds in the database."""
        said = json.loads(self.run_verb("check", "--online", "--json", "--database-conninfo",
                                        conninfo, code=FOUND))
        return [fault for fault in said["faults"] if "[database] conninfo" in fault]

    def is_refused(self, conninfo, sentence, admin):
        """By whoever would use it."""
        for words in ([], ["--status"], ["--dry-run"], ["--print"]):
            said = self.run_verb("migrate", "--admin-conninfo", admin, *words, code=DATAERR)
            self.assertIn(sentence, said)
        faults = self.faults(conninfo)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn(sentence, faults[0])
        with batch.Probe(conninfo) as probe:
            probe.wait_problem(sentence)
        with daemon.Daemon(conninfo, {"torque": {"business_id": "business_1"}},
                           {"api-key": "k" * 32}, verb="reconcile", ready=False) as poller:
            poller.wait_until(lambda: sentence in poller.log(), "the poller says it")
            self.assertIn(sentence, http.get(poller.admin_address, "/readyz").body.decode())


class Encoding(Case):
    def make(self, encoding):
        name = "is_" + encoding.lower()
        cluster.database("postgres").query(
            "create database %s template template0 encoding '%s' locale 'C'" % (name, encoding))
        return cluster.database(name)

    def test_a_database_of_another_encoding_is_refused(self):
        for encoding in ("SQL_ASCII", "LATIN1"):
            with self.subTest(encoding):
                database = self.make(encoding)
                self.is_refused(
                    database.conninfo(),
                    "the database's encoding is %s and has to be UTF8: make another one, as by"
                    " createdb -E UTF8 -T template0" % encoding, database.conninfo("postgres"))
                self.assertEqual(database.value(
                    "select count(*) from pg_namespace where nspname like 'torque%'"), "0")


@unittest.skipIf(pooler.missing(), pooler.missing())
class Poolers(Case):
    def setUp(self):
        self.database = cluster.migrated()

    def test_one_that_pools_transactions_or_statements_is_refused(self):
        for mode, more in (("transaction", ""), ("statement", ""),
                           ("transaction", "server_round_robin = 1\nmin_pool_size = 3"),
                           ("transaction", "default_pool_size = 1")):
            with self.subTest(mode, more=more), \
                    pooler.PgBouncer(cluster, mode, more) as bouncer:
                self.is_refused(bouncer.conninfo(self.database), "pool_mode = session",
                                bouncer.conninfo(self.database, "postgres"))

    def test_one_that_becomes_so_under_load_is_noticed(self):
        with pooler.PgBouncer(cluster, "transaction") as bouncer:
            crowd = [pg.pgwire.Session(bouncer.directory, self.database.name, "orderd", port=6432)
                     for _ in range(8)]
            try:
                for session in crowd:
                    session.send("select pg_sleep(random() / 50)")
                self.is_refused(bouncer.conninfo(self.database), "pool_mode = session",
                                bouncer.conninfo(self.database, "postgres"))
            finally:
                for session in crowd:
                    session.close()

    def test_one_that_pools_sessions_works(self):
        database = cluster.create_database()
        api = fake_torque.FakeTorque(
            fake_torque.Shop(), fake_torque.Webhooks("a secret that nobody uses", 1)).start()
        self.addCleanup(api.close)
        with pooler.PgBouncer(cluster, "session") as bouncer:
            self.run_verb("migrate", "--admin-conninfo", bouncer.conninfo(database, "postgres"))
            with daemon.Daemon(bouncer.conninfo(database), {"torque": {"base_url": api.url}},
                               {"api-key": api.api_key}, verb="run") as orderd:
                for number in range(3):
                    self.assertEqual(orderd.deliver(paid("o%d" % number)).status, 200)
                orderd.wait_until(lambda: database.value(
                    "select count(*) from torque.reconcile_window where verdict = 'verified'")
                    != "0", "it polls")
                self.assertNotIn("database_lost", orderd.log())
            self.assertEqual(database.value("select count(*) from torque.orders"), "3")

    def test_one_that_pools_sessions_and_has_no_room_for_a_witness_works(self):
        with pooler.PgBouncer(cluster, "session", "default_pool_size = 1") as bouncer, \
                batch.Probe(bouncer.conninfo(self.database)) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")


class Fsync(Case):
    def setUp(self):
        self.database = cluster.migrated()
        self.addCleanup(self.set, "on")

    def set(self, value):
        cluster.configure({"fsync": value})
        wait.until(lambda: self.database.value("show fsync") == value, 10, "fsync is " + value)

    def test_a_server_without_it_is_refused_unless_that_is_allowed(self):
        self.set("off")
        self.is_refused(self.database.conninfo(), "fsync=off", self.database.conninfo("postgres"))
        conninfo = self.database.conninfo("postgres")
        with daemon.Daemon(self.database, {"database": {"allow_unsafe_fsync": "yes"}}) as orderd:
            self.run_verb("migrate", "-c", orderd.config_file, "--admin-conninfo", conninfo)

    def test_it_is_noticed_when_it_is_turned_off_and_on_again(self):
        with daemon.Daemon(self.database, {"database": {"connections": "2"}}) as orderd, \
                batch.Probe(self.database.conninfo(), words=["unsafe"]) as allowed:
            self.assertEqual(orderd.deliver(paid("o1")).status, 200)
            self.set("off")
            orderd.wait_until(lambda: not orderd.is_ready(), "it is not ready", LOOK_SECONDS)
            self.assertIn("fsync=off", http.get(orderd.admin_address, "/readyz").body.decode())
            self.assertIn("level=warning event=database_lost", orderd.log())
            orderd.wait_until(lambda: re.search(
                "level=error event=database_unreachable .*fsync=off", orderd.log()), "it says so")
            self.assertEqual(orderd.deliver(paid("o2")).status, 503)
            self.set("on")
            orderd.wait_until(orderd.is_ready, "it is ready")
            self.assertEqual(orderd.deliver(paid("o2")).status, 200)
            self.assertEqual(allowed.wait(allowed.add(paid("o3"))), "committed applied")
            self.assertNotIn("database_lost", allowed.log())

    def test_it_is_noticed_under_load_too_and_no_fact_is_lost(self):
        with batch.Probe(self.database.conninfo(), keep_ms=60000) as probe:
            probe.wait_connected()
            self.set("off")

            def lost():
                if len(probe.ends) == probe.count:
                    probe.add(*[paid("l%d" % (probe.count + i)) for i in range(8)])
                return "database_lost" in probe.log()
            wait.until(lost, LOOK_SECONDS, "it is noticed")
            self.set("on")
            self.assertEqual(set(probe.wait_all()), {"committed applied"})


if __name__ == "__main__":
    tap.main()
