#!/usr/bin/env python3
# needs: orderd, batch_probe; beside: yes
"""orderd migrate: from nothing to the schema, again and again, and never over what it does not
know."""

import json
import os
import random
import subprocess
import threading
import unittest
from datetime import datetime, timezone

from support import batch, events, pg, tap, wait

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
UNAVAILABLE, SOFTWARE, TEMPFAIL, NOPERM, DATAERR, FOUND = 69, 70, 75, 77, 65, 1


def setUpModule():
    global cluster
    cluster = pg.Cluster()


def tearDownModule():
    cluster.close()


def start(*words, **more):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("ORDERD_", "PG"))}
    return subprocess.Popen([os.environ["ORDERD"], "migrate", *words], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment, **more)


class Migrate(unittest.TestCase):
    def setUp(self):
        self.database = cluster.create_database()

    def run_verb(self, *words, code=0, user="postgres"):
        process = start("--admin-conninfo", self.database.conninfo(user), *words)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, out + err)
        return out + err

    def history(self):
        return dict(self.database.query(
            "select name, encode(sha256, 'hex') from torque_internal.migration"))

    def test_nothing_becomes_the_schema_and_status_says_so(self):
        self.assertIn("there is no schema", self.run_verb("--status", code=FOUND))
        self.assertIn("version 2, from 0", self.run_verb())
        self.assertIn("up to date", self.run_verb("--status"))
        state = json.loads(self.run_verb("--status", "--json"))
        self.assertEqual((state["installed"], state["version"], state["needed"],
                          state["functions_differ"]), (True, 2, 2, False))

    def test_the_daemons_own_role_can_ask_for_the_status(self):
        self.run_verb()
        process = start("--status", "--database-conninfo", self.database.conninfo())
        self.assertIn("up to date", process.communicate(timeout=60)[0])
        self.assertEqual(process.returncode, 0)

    def test_what_it_says_of_itself_is_what_the_database_says(self):
        self.run_verb()
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_connected()
            self.assertNotIn("schema_differs", probe.log())

    def test_again_it_runs_nothing(self):
        self.run_verb()
        rows = ("select xmin, name from torque_internal.migration"
                " union all select xmin, name from torque_internal.made"
                " union all select xmin, oid::text from pg_proc"
                " union all select xmin, oid::text from pg_class order by 2")
        before = self.database.query(rows)
        plan = self.run_verb("--dry-run").split()
        self.assertEqual({"nothing"}, set(plan[::2]))
        self.run_verb()
        self.assertEqual(before, self.database.query(rows))

    def test_a_dry_run_runs_nothing(self):
        self.assertIn("run 0001_orders.sql", self.run_verb("--dry-run"))
        self.assertEqual(self.database.value(
            "select count(*) from pg_namespace where nspname like 'torque%'"), "0")

    def test_what_it_prints_does_the_same_in_psql(self):
        self.database.psql("-f", "-", user="postgres", stdin=self.run_verb("--print"))
        self.assertIn("up to date", self.run_verb("--status"))
        printed = self.history()
        self.database = cluster.create_database()
        self.run_verb()
        self.assertEqual(printed, self.history())

    def test_functions_of_another_program_are_told_and_replaced(self):
        self.run_verb()
        right = self.history()
        self.database.query("update torque_internal.migration set sha256 = sha256('x')"
                            " where name = 'ingest.sql';"
                            "insert into torque_internal.migration (name, sha256, version)"
                            " values ('gone.sql', sha256('x'), 'x')")
        self.assertIn("those of another orderd", self.run_verb("--status", code=FOUND))
        self.run_verb()
        self.assertEqual(self.history(), right)

    def test_a_changed_history_is_refused_and_nothing_is_done(self):
        self.run_verb()
        self.database.query("update torque_internal.migration set sha256 = sha256('x')"
                            " where name in ('0001_orders.sql', 'ingest.sql')")
        before = self.history()
        self.assertIn("0001_orders.sql: the database ran another file", self.run_verb(code=DATAERR))
        self.database.query("insert into torque_internal.migration (name, sha256, version)"
                            " values ('0003_sessions.sql', sha256('x'), 'x')")
        self.assertIn("of a version that was never released: give orderd a new one",
                      self.run_verb(code=DATAERR))
        self.database.query("delete from torque_internal.migration where name like '0003%'")
        self.assertEqual(self.history(), before)
        self.run_verb("--status", code=DATAERR)
        self.run_verb("--dry-run", code=DATAERR)
        self.assertNotIn("create table", self.run_verb("--print", code=DATAERR))

    def test_a_newer_database_is_refused(self):
        self.run_verb()
        self.database.query("insert into torque_internal.migration (name, sha256, version)"
                            " values ('0999_future.sql', sha256('x'), 'x')")
        self.assertIn("install a newer one", self.run_verb(code=DATAERR))
        self.assertIn("newer than this orderd", self.run_verb("--status", code=DATAERR))

    def test_a_file_that_fails_takes_everything_back(self):
        self.database.query("create schema torque")
        self.assertIn("0001_orders.sql: schema", self.run_verb(code=SOFTWARE))
        self.assertEqual(self.database.query(
            "select nspname from pg_namespace where nspname like 'torque%'"), [["torque"]])
        self.database.query("drop schema torque")
        self.run_verb()

    def test_what_others_built_on_the_tables_stays(self):
        self.run_verb()
        self.database.query("create view public.mine as select order_id from torque.orders")
        self.run_verb()
        self.assertEqual(self.database.value("select count(*) from public.mine"), "0")

    def test_two_at_a_time_are_one_after_the_other(self):
        both = [start("--admin-conninfo", self.database.conninfo("postgres")) for _ in range(4)]
        for process in both:
            _, err = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, TEMPFAIL), err)
        self.assertIn(0, [process.returncode for process in both])
        self.assertIn("up to date", self.run_verb("--status"))

    def test_a_migration_that_does_not_end_is_not_waited_for(self):
        self.run_verb()
        with self.database.session() as holder:
            holder.query("begin; select pg_advisory_xact_lock(122537101324900)")
            self.assertIn("another migration is running", self.run_verb(code=TEMPFAIL))

    def test_who_may_not_is_told(self):
        cluster.database("postgres").query("create role nobody_special login")
        self.addCleanup(cluster.database("postgres").query, "drop role nobody_special")
        self.run_verb(code=NOPERM, user="nobody_special")
        self.run_verb()
        self.assertIn("--admin-conninfo", self.run_verb(
            "--dry-run", code=NOPERM, user="orderd"))
        self.run_verb(code=NOPERM, user="orderd")

    def test_the_login_that_it_makes_gets_in_and_nobody_elses_rights_change(self):
        name = self.database.name
        acl = "select datacl from pg_database where datname = '%s'" % name
        self.database.query("create role other_shop login")
        self.addCleanup(cluster.database("postgres").query, "drop role other_shop")
        self.addCleanup(self.database.query, "revoke all on database %s from other_shop" % name)
        self.database.query("revoke connect, temporary on database %(name)s from public;"
                            "grant connect on database %(name)s to other_shop" % {"name": name})
        self.run_verb()
        self.assertEqual("0", self.database.value(
            "select count(*) from pg_database d cross join aclexplode(d.datacl) a"
            " where d.datname = '%s' and a.grantee = 0" % name))
        self.assertEqual("1", self.database.value("select 1", "orderd"))
        self.assertEqual("1", self.database.value("select 1", "other_shop"))
        before = self.database.value(acl)
        self.run_verb()
        self.assertEqual(before, self.database.value(acl))

    def test_a_database_that_is_away(self):
        process = start("--admin-conninfo", "host=/nowhere")
        self.assertIn("/nowhere", process.communicate(timeout=60)[1])
        self.assertEqual(process.returncode, UNAVAILABLE)

    def test_without_admin_conninfo_it_is_the_user_who_runs_it(self):
        process = start("--database-conninfo", self.database.conninfo("orderd"))
        _, err = process.communicate(timeout=60)
        name = subprocess.run(["id", "-un"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()
        self.assertEqual(process.returncode, UNAVAILABLE, err)
        self.assertIn('role "%s" does not exist' % name, err)

    def test_options_that_contradict_each_other(self):
        self.run_verb("--status", "--print", code=64)
        self.run_verb("--json", "--print", code=64)

    def test_migrating_under_load_costs_no_fact(self):
        self.run_verb()
        stop = threading.Event()
        with batch.Probe(self.database.conninfo(), connections=2, keep_ms=20000) as probe:
            probe.wait_connected()

            def load():
                number = 0
                while not stop.is_set():
                    orders = [events.Order("o%d_%d" % (number, i), CREATED, random.Random(i))
                              for i in range(16)]
                    probe.add(*[events.form1("order.paid", order) for order in orders])
                    number += 1
                    wait.until(lambda: probe.count - len(probe.ends) < 200 or stop.is_set(), 30,
                               "facts end")

            thread = threading.Thread(target=load)
            thread.start()
            try:
                for _ in range(5):
                    self.run_verb()
            finally:
                stop.set()
                thread.join()
            ends = probe.wait_all()
            committed = sum(end.startswith("committed") for end in ends)
            self.assertGreater(committed, 200)
            self.assertEqual(self.database.value("select count(*) from torque.order_events"),
                             str(committed))
            self.assertEqual(len(ends), committed, probe.log()[-3000:])


if __name__ == "__main__":
    tap.main()
