#!/usr/bin/env python3
# needs: orderd, batch_probe; beside: yes; slow: yes
"""orderd migrate on a database that has other objects than this program's: what differs is replaced
beside readers and receivers, what is no more goes, and what is not ours stays.

Which differences are tried together, and in which round: support/scale.py.
"""

import json
import random
import subprocess
import threading
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path

from support import batch, events, pg, pgwire, scale, tap, wait

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
SQL = Path(__file__).resolve().parents[1] / "sql"
TEMPFAIL, FOUND = 75, 1
SEED = scale.seed()
MADE = ("insert into torque_internal.made (kind, name, sha256, definition)"
        " values ('%s', '%s', sha256('x'), 'x');")

# What an older or a meddled-with set of objects may be like, a name and how it comes to be so.
DIFFERENCES = {
    "a type has fewer attributes":
        "alter type torque_internal.fact drop attribute assumed cascade",
    "a type is gone, and what used it": "drop type torque_internal.page cascade",
    "a body is another":
        "create or replace function torque_internal.is_move(class text) returns boolean"
        " language sql immutable as 'select false'",
    "a result is another":
        "drop function torque_internal.outcome(text, boolean);"
        "create function torque_internal.outcome(class text, is_first boolean) returns integer"
        " language sql immutable as 'select 1'",
    "names of arguments are others":
        "drop function torque_internal.status_of(text);"
        "create function torque_internal.status_of(of_word text) returns text"
        " language sql stable as 'select null::text'",
    "arguments are others":
        "drop function torque.refold_some(integer);"
        "create function torque.refold_some(text) returns text language sql as 'select $1';"
        + MADE % ("function", "torque.refold_some(text)"),
    "settings are others": "alter function torque.take_many reset all",
    "a volatility is another": "alter function torque_internal.facts volatile",
    "a view has other columns":
        "drop view torque.unknown_statuses;"
        "create view torque.unknown_statuses as select 1 as word, 2 as others",
    "a view has fewer columns":
        "drop view torque.suspect_orders;"
        "create view torque.suspect_orders as select ''::text collate \"C\" as order_id",
    "a view is gone": "drop view torque.drift_open",
    "a trigger is gone": "drop trigger rules_changed on torque.status_move",
    "a trigger is for other events":
        "create or replace trigger rules_changed after delete on torque.status_alias"
        " for each statement execute function torque_internal.rules_changed()",
    "there is a function more":
        "create function torque_internal.old(torque_internal.order_row) returns text"
        " language sql as 'select null::text';"
        "create function torque.old() returns text language sql as 'select null::text';"
        + MADE % ("function", "torque.old()"),
    "there is a view more, of a function more":
        "create function torque_internal.older() returns text language sql as 'select null::text';"
        "create view torque.older as select torque_internal.older() as older;"
        + MADE % ("view", "torque.older"),
    "there is a type more, and an aggregate":
        "create type torque_internal.old as (a text);"
        "create function torque_internal.add(torque_internal.old, text)"
        " returns torque_internal.old language sql as 'select $1';"
        "create aggregate torque_internal.sum(text)"
        " (sfunc = torque_internal.add, stype = torque_internal.old)",
    "there is a trigger more":
        "create trigger old after delete on torque.status_alias"
        " for each statement execute function torque_internal.rules_changed();"
        + MADE % ("trigger", "old on torque.status_alias"),
    "a grant is missing": "revoke execute on function torque.take from orderd;"
        "revoke select (total) on torque.orders from torque_analyst",
    "a view is stale": "update torque_internal.made set sha256 = sha256('x')"
        " where name in ('torque.unknown_statuses', 'torque.refold_some(integer)')",
    "what compares is gone": "drop function torque_internal.definition(text, text)",
}
EVERYTHING = """
select kind || ' ' || name || ' ' || encode(sha256, 'hex') || definition from torque_internal.made
union all
select d.description from pg_description d
where d.objoid in (select oid from pg_proc where pronamespace = 'torque'::regnamespace
    union all select oid from pg_class where relnamespace = 'torque'::regnamespace)
order by 1
"""


def setUpModule():
    global cluster
    cluster = pg.Cluster({"deadlock_timeout": "'60s'"})
    cluster.database("postgres").query("create role metabase login")


def tearDownModule():
    cluster.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.database = cluster.migrated()

    def start(self, *words):
        return subprocess.Popen(
            [tap.program(), "migrate", "--admin-conninfo", self.database.conninfo("postgres"),
             *words], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    def age(self, *names):
        for name in names:
            self.database.query("set role torque_owner;" + DIFFERENCES[name])

    def migrate(self, *words, code=0):
        process = self.start(*words)
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, out)
        return out

    def catalogue(self, database):
        return {name: database.psql("-At", *how).splitlines() for name, how in {
            "schema": ("-f", str(SQL / "schema.sql")), "rights": ("-f", str(SQL / "granted.sql")),
            "made": ("-c", EVERYTHING)}.items()}

    def reader(self, *statements):
        session = self.database.session()
        self.addCleanup(session.close)
        session.query("begin isolation level repeatable read")
        for statement in statements:
            session.query(statement)
        return session


class Upgrade(Case):
    def setUp(self):
        super().setUp()
        self.fresh = self.catalogue(cluster.migrated())

    def judge(self, *names):
        self.age(*names)
        self.assertIn("up to date", self.migrate("--status", code=FOUND).replace(
            "those of another orderd", "up to date").replace("are missing", "up to date"))
        self.migrate()
        for part, is_so in self.catalogue(self.database).items():
            self.assertEqual(self.fresh[part], is_so, "%s: %s" % (part, names))
        self.assertIn("up to date", self.migrate("--status"))

    def test_each_difference_ends_in_what_is_installed_afresh(self):
        for name in DIFFERENCES:
            with self.subTest(name):
                self.database = cluster.migrated()
                self.judge(name)

    def test_any_of_them_together_do(self):
        rng = random.Random(SEED)
        for number in range(3):
            names = rng.sample(sorted(DIFFERENCES), rng.randrange(2, len(DIFFERENCES)))
            if "a type is gone, and what used it" in names:
                # What is gone is not meddled with.
                names = [name for name in names if "gone" in name or "more" in name]
            with self.subTest("seed %s, round %d: %s" % (SEED, number, names)):
                self.database = cluster.migrated()
                self.judge(*names)

    def test_what_it_prints_does_the_same_in_psql(self):
        for name in ("a body is another", "a type has fewer attributes", "a view has other columns",
                     "arguments are others"):
            self.database = cluster.migrated()
            self.age(name)
            self.database.psql("-f", "-", stdin=self.migrate("--print"))
            self.assertEqual(self.fresh, self.catalogue(self.database), name)

    def test_status_and_a_dry_run_name_what_differs(self):
        self.age("a body is another", "there is a function more", "a view is gone")
        wanted = ["replace function torque_internal.is_move(text)",
                  "run view torque.drift_open",
                  "drop function torque.old()",
                  "drop function torque_internal.old(torque_internal.order_row)"]
        for words, code in ((("--status",), FOUND), (("--dry-run",), 0)):
            said = self.migrate(*words, code=code).splitlines()
            self.assertEqual(wanted, [line for line in said if line in wanted])
        found = json.loads(self.migrate("--status", "--json", code=FOUND))
        self.assertFalse(found["complete"])
        self.assertEqual(sorted(wanted), sorted(
            "%(action)s %(kind)s %(name)s" % row for row in found["objects"]))


class NotOurs(Case):
    def rights(self):
        return self.database.query(
            "select g.statement from torque_internal.grants() as g order by 1")

    def test_what_others_have_granted_stays_whatever_is_replaced(self):
        self.database.query(
            "grant usage on schema torque to metabase;"
            "grant select on torque.orders, torque.unknown_statuses, torque.suspect_orders"
            " to metabase;"
            "grant select (word) on torque.unknown_statuses to metabase with grant option;"
            "grant execute on function torque.refold_some to metabase;"
            "grant select (customer_email) on torque.orders to torque_analyst;"
            "grant execute on function torque.schema_state to public")
        before = self.rights()
        for name in ("a body is another", "a grant is missing", "a view is stale"):
            self.age(name)
            self.migrate()
            self.assertEqual(before, self.rights(), name)
        # A view that is to have other columns is dropped: what was granted on it comes again.
        self.database.query(
            "create or replace view torque.unknown_statuses as select ''::text as word,"
            " 1::bigint as facts, 1::bigint as orders, now() as first_received_at,"
            " now() as last_received_at, 1 as more")
        self.migrate()
        self.assertEqual(before, self.rights())

    def test_what_others_have_in_our_schema_stays(self):
        self.database.query(
            "create view torque.mine as select order_id from torque.orders;"
            "create function torque.mine() returns trigger language plpgsql as"
            " 'begin return new; end';"
            "create trigger mine before insert on torque.orders for each row"
            " execute function torque.mine()")
        self.age("a type has fewer attributes")
        self.migrate()
        self.assertEqual("1 1 1", self.database.value(
            "select concat_ws(' ', (select count(*) from pg_class where relname = 'mine'),"
            " (select count(*) from pg_proc where proname = 'mine'),"
            " (select count(*) from pg_trigger where tgname = 'mine'))"))

    def test_a_view_of_theirs_upon_one_that_has_to_go_is_told_and_stays(self):
        self.age("a view has other columns")
        self.database.query("create view public.theirs as select others"
                            " from torque.unknown_statuses")
        said = self.migrate(code=70)
        self.assertIn("torque.unknown_statuses: cannot drop view", said)
        self.assertEqual("2", self.database.value("select others from public.theirs"))
        self.database.query("drop view public.theirs")
        self.migrate()


class Beside(Case):
    def load(self, meanwhile):
        """What meanwhile() gives, while facts are taken; all of them are, and in time."""
        stop = threading.Event()
        with batch.Probe(self.database.conninfo(), connections=2, keep_ms=2500) as probe:
            probe.wait_connected()

            def run():
                number = 0
                while not stop.is_set():
                    orders = [events.Order("o%d_%d" % (number, i), CREATED, random.Random(i))
                              for i in range(8)]
                    probe.add(*[events.form1("order.paid", order) for order in orders])
                    number += 1
                    wait.until(lambda: probe.count - len(probe.ends) < 40 or stop.is_set(), 30,
                               "facts end")

            thread = threading.Thread(target=run)
            thread.start()
            try:
                result = meanwhile()
            finally:
                stop.set()
                thread.join()
            ends = probe.wait_all()
            failed = [end for end in ends if not end.startswith("committed")]
            self.assertEqual([], failed, probe.log()[-3000:])
            self.assertGreater(len(ends), 50)
        return result

    def test_functions_are_replaced_beside_a_reader_and_a_receiver(self):
        reader = self.reader("select count(*) from torque.orders",
                             "select count(*) from torque.suspect_orders",
                             "select count(*) from torque.order_status")

        def meanwhile():
            self.database.query("set role torque_owner; update torque_internal.made"
                                " set sha256 = sha256('x') where kind = 'type'")
            self.migrate()
            for name in ("a body is another", "settings are others", "a volatility is another",
                         "there is a function more", "a trigger is for other events"):
                if name != "a body is another":
                    self.age(name)
                self.database.query("update torque_internal.made set sha256 = sha256('x')"
                                    " where kind in ('function', 'aggregate', 'trigger')")
                self.migrate()

        self.load(meanwhile)
        reader.query("commit")
        self.assertIn("up to date", self.migrate("--status"))

    def test_a_view_waits_for_its_reader_and_nothing_else_does(self):
        reader = self.reader("select count(*) from torque.orders",
                             "select count(*) from torque.suspect_orders")
        self.database.query("update torque_internal.made set sha256 = sha256('x')")
        began = time.monotonic()
        said = self.load(lambda: self.migrate(code=TEMPFAIL))
        self.assertLess(time.monotonic() - began, 60)
        self.assertIn("of postgres holds torque.suspect_orders", said)
        self.assertIn("pg_terminate_backend(%s)" % reader.value("select pg_backend_pid()"), said)
        differs = [line for line in self.migrate("--status", code=FOUND).splitlines()[1:]]
        self.assertIn("replace view torque.suspect_orders", differs)
        self.assertEqual([], [line for line in differs if " view " not in line])
        reader.query("commit")
        self.migrate()
        self.assertIn("up to date", self.migrate("--status"))

    def test_a_reader_that_ends_in_time_is_waited_for(self):
        reader = self.reader("select count(*) from torque.suspect_orders")
        self.database.query("update torque_internal.made set sha256 = sha256('x')"
                            " where name = 'torque.suspect_orders'")
        process = self.start()
        wait.until(lambda: self.database.value(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") != "0", 30,
            "it waits")
        reader.query("commit")
        out, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, out)

    def test_what_takes_a_table_is_given_up_as_a_whole(self):
        self.database.query("alter table torque_internal.migration owner to postgres;"
                            "alter table torque.orders owner to postgres")
        reader = self.reader("select count(*) from torque.orders")
        said = self.migrate(code=TEMPFAIL)
        self.assertIn("nothing is done; session ", said)
        self.assertIn("holds torque.orders", said)
        # In between others get at the table: it is not waited for at a stretch.
        process = self.start()
        other = self.database.session()
        self.addCleanup(other.close)
        other.query("set lock_timeout = '2s'")
        for _ in range(20):
            try:
                other.query("select count(*) from torque.orders")
            except pgwire.DatabaseError as error:
                self.fail(str(error))
        reader.query("commit")
        self.assertEqual(0, process.wait(60), process.stdout.read())
        process.stdout.close()
        self.assertEqual("0", self.database.value(
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname in ('torque', 'torque_internal')"
            " and c.relowner <> 'torque_owner'::regrole"))


if __name__ == "__main__":
    tap.main()
