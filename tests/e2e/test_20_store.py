#!/usr/bin/env python3
# needs: orderd, batch_probe; beside: no
"""From a fact to its commit: connections, deadlines, objections of the database."""

import contextlib
import random
import re
import unittest
from datetime import datetime, timezone

from support import batch, events, facts, netbox, pg, tap, wait

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
RAISE = """
create function public.object() returns trigger language plpgsql as $$
begin
    if new.order_id like 'poison%%' then
        raise exception 'poison' using errcode = '%s';
    end if;
    return new;
end $$;
create %s trigger object %s on torque.order_events %s for each row execute function public.object();
"""


def paid(order_id, **data):
    return events.form1("order.paid", events.Order(order_id, CREATED, random.Random(order_id)),
                        **data)


def setUpModule():
    global cluster
    cluster = pg.Cluster()


def tearDownModule():
    cluster.close()


def raise_on_poison(database, sqlstate, deferred=False):
    how = (("constraint", "after insert", "deferrable initially deferred") if deferred
           else ("", "before insert", ""))
    database.query(RAISE % ((sqlstate,) + how))


class Committed(unittest.TestCase):
    def setUp(self):
        self.database = cluster.migrated()

    def test_a_fact_is_committed_and_its_order_is_there(self):
        with batch.Probe(self.database.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.assertEqual(self.database.query("select order_id, status from torque.orders"),
                             [["o1", "processing"]])
            self.assertEqual(probe.finish(), 0)

    def test_the_same_body_again_is_a_duplicate_and_is_written(self):
        with batch.Probe(self.database.conninfo()) as probe:
            probe.add(paid("o1"), paid("o1"))
            self.assertEqual(sorted(probe.wait_all()), ["committed applied", "committed duplicate"])
            self.assertEqual(self.database.value("select deliveries from torque.order_events"), "2")

    def test_what_is_unusable_goes_to_quarantine_byte_for_byte(self):
        body = b'{"event": "order.paid", "data": \xff}'
        with batch.Probe(self.database.conninfo()) as probe:
            probe.add(body, paid("o1"), body)
            self.assertEqual(probe.wait_all(), ["committed quarantined", "committed applied",
                                                "committed quarantined"])
        self.assertEqual(self.database.query("select body, deliveries from torque.quarantine"),
                         [["\\x" + body.hex(), "2"]])

    def test_facts_that_come_before_the_connection_are_sent_when_it_is_there(self):
        with batch.Probe(self.database.conninfo(), connections=2) as probe:
            probe.add(*[paid("o%d" % i) for i in range(100)])
            self.assertEqual(probe.wait_all(), ["committed applied"] * 100)

    def test_bodies_larger_than_any_socket_buffer(self):
        with batch.Probe(self.database.conninfo(), keep_ms=10000) as probe:
            for i in range(5):
                probe.add(paid("big%d" % i, padding="x" * 1800000))
            self.assertEqual(probe.wait_all(), ["committed applied"] * 5)
        self.assertEqual(self.database.value(
            "select count(*) from torque.order_events where length(payload::text) > 1800000"), "5")

    def settings_of_a_session(self, role, words=()):
        """Those under which a fact is taken in when the role has settings of its own."""
        for name, value in role.items():
            self.database.query("alter role orderd set %s = %s" % (name, value))
        try:
            with batch.Probe(self.database.conninfo(), words=words) as probe:
                self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
        finally:
            self.database.query("alter role orderd reset all")
        return dict(self.database.query("delete from public.seen returning name, setting"))

    def test_sessions_are_set_up_whatever_the_role_says(self):
        self.database.query("""
            create table public.seen (name text, setting text);
            grant all on public.seen to torque_owner;
            """ + facts.TAKE + """language sql security definer as $$
                insert into public.seen select s.name, s.setting from pg_catalog.pg_settings s
                union all select 'orderd.notify', current_setting('orderd.notify', true);
                select 'applied'::text $$;""")
        seen = self.settings_of_a_session(
            {"synchronous_commit": "off", "client_min_messages": "error",
             "default_transaction_isolation": "serializable"}, ["notify"])
        for name, setting in {
                "synchronous_commit": "on", "client_min_messages": "warning", "jit": "off",
                "default_transaction_isolation": "read committed", "lock_timeout": "300",
                "statement_timeout": "1500", "idle_in_transaction_session_timeout": "5000",
                "search_path": "pg_catalog, pg_temp", "client_encoding": "UTF8",
                "orderd.notify": "on",
                "application_name": "batch_probe 1/1"}.items():
            self.assertEqual(seen[name].strip('"'), setting, name)
        # A commit that waits for more than ours goes on waiting for it, none waits for less.
        for role, setting in (("remote_apply", "remote_apply"), ("remote_write", "on"),
                              ("local", "on")):
            self.assertEqual(self.settings_of_a_session(
                {"synchronous_commit": role})["synchronous_commit"], setting, role)

    def test_orders_that_change_are_notified_where_that_is_wanted(self):
        for order, words, expected in (
                ("o1", ["notify"], [("torque_orders", "o1")]), ("o2", [], [])):
            with self.database.session() as listener:
                listener.query("listen torque_orders")
                with batch.Probe(self.database.conninfo(), words=words) as probe:
                    self.assertEqual(probe.wait(probe.add(paid(order))), "committed applied")
                listener.query("select 1")
                self.assertEqual(listener.notifications, expected)


class Objections(unittest.TestCase):
    def setUp(self):
        self.database = cluster.migrated()

    def test_poison_at_any_position_of_64_costs_the_others_nothing(self):
        raise_on_poison(self.database, "23514")
        with batch.Probe(self.database.conninfo(), keep_ms=60000) as probe:
            probe.wait_connected()
            for position in range(64):
                first = probe.count + 1
                last = probe.add(*[paid("poison%d" % position if i == position
                                        else "o%d_%d" % (position, i)) for i in range(64)])
                probe.wait_until(lambda: all(n in probe.ends for n in range(first, last + 1)),
                                 "64 facts end")
                for i in range(64):
                    self.assertEqual(probe.ends[first + i], "committed " + (
                        "quarantined" if i == position else "applied"))
        self.assertEqual(self.database.query(
            "select reason, count(*) from torque.quarantine group by 1"),
            [["database_23514", "64"]])
        self.assertEqual(self.database.value("select count(*) from torque.orders"), str(63 * 64))

    def test_whatever_is_raised_for_one_order_sends_that_one_to_quarantine(self):
        # Of every class of codes, but for those that are believed.
        codes = ("08006", "0A000", "0Z000", "21000", "22023", "23502", "25006", "26000", "2F005",
                 "38000", "3D000", "3F000", "42703", "42501", "44000", "54000", "55000", "57P01",
                 "72000", "F0000", "HV000", "P0001", "P0004", "XX000", "ABC12")
        self.database.query(
            RAISE % ("' || split_part(new.order_id, '_', 2) || '", "", "before insert", ""))
        with batch.Probe(self.database.conninfo(), keep_ms=60000) as probe:
            probe.wait_connected()
            for code in codes:
                probe.add(*[paid("poison_%s_%d" % (code, i) if i == 3 else "%s_%d" % (code, i))
                            for i in range(8)])
            self.assertEqual(probe.wait_all(), (
                ["committed applied"] * 3 + ["committed quarantined"]
                + ["committed applied"] * 4) * len(codes))
            # Also where no other fact shows that the database takes any.
            for code in codes:
                self.assertEqual(probe.wait(probe.add(paid("poison_%s_alone" % code))),
                                 "committed quarantined", code)
            self.assertNotIn("database_lost", probe.log())
            self.assertNotIn("poison", probe.log())
        self.assertEqual(
            sorted(self.database.query("select reason, convert_from(body, 'UTF8')"
                                       " from torque.quarantine")),
            sorted(["database_" + code, paid("poison_%s_%s" % (code, of)).decode()]
                   for code in codes for of in ("3", "alone")))
        self.assertEqual(self.database.value("select count(*) from torque.orders"),
                         str(7 * len(codes)))

    def test_what_is_raised_for_every_order_is_no_facts_fault(self):
        self.database.query((RAISE % ("P0001", "", "before insert", "")).replace(
            "like 'poison%'", "is not null"))
        with batch.Probe(self.database.conninfo(), keep_ms=60000) as probe:
            probe.wait_connected()
            probe.add(*[paid("o%d" % i) for i in range(8)])
            self.assertEqual(probe.wait_all(), ["lost"] * 8)
            self.database.query("drop trigger object on torque.order_events")
            probe.add(*[paid("o%d" % i) for i in range(8)])
            self.assertEqual(probe.wait_all()[8:], ["committed applied"] * 8)
        self.assertEqual(self.database.value("select count(*) from torque.quarantine"), "0")

    def test_what_passes_is_believed_of_a_trigger_too_and_the_others_are_committed(self):
        with contextlib.ExitStack() as stack:
            probes = {}
            for sqlstate in ("40001", "55P03", "53100", "58030", "57014"):
                database = cluster.migrated()
                raise_on_poison(database, sqlstate)
                probes[sqlstate] = stack.enter_context(
                    batch.Probe(database.conninfo(), keep_ms=3000))
            for probe in probes.values():
                probe.wait_connected()
                probe.add(*[paid("poison" if i == 17 else "o%d" % i) for i in range(64)])
            for sqlstate, probe in probes.items():
                self.assertEqual(probe.wait_all(), ["committed applied"] * 17 + ["lost"]
                                 + ["committed applied"] * 46, sqlstate)
                self.assertIn("sqlstate=" + sqlstate, probe.log())
                self.assertNotIn("database_lost", probe.log(), sqlstate)

    def test_a_session_that_lost_its_statements_is_given_up_and_no_fact_with_it(self):
        self.database.query("""
            create function public.forget() returns trigger language plpgsql as
            'begin execute ''deallocate all''; return new; end';
            create trigger forget before insert on torque.order_events for each row
            when (new.order_id = 'forgetful') execute function public.forget()""")
        with batch.Probe(self.database.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("forgetful"))), "committed applied")
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.assertIn("database_lost", probe.log())

    def test_a_function_of_another_type_is_called_by_a_new_session(self):
        with batch.Probe(self.database.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.database.query("""
                begin;
                create schema before;
                alter function torque.take set schema before;
                """ + facts.TAKE.replace("returns text", "returns varchar")
                + "language sql security definer as 'select before.take(%s)::varchar';"
                % ", ".join("$%d" % (n + 1) for n in range(len(facts.COLUMNS) - 1))
                + """
                commit""")
            self.assertEqual(probe.wait(probe.add(paid("o2"))), "committed applied")
            self.assertIn("database_lost", probe.log())

    def test_words_that_a_function_raises_are_in_no_log_under_any_code(self):
        for sqlstate in ("23514", "P0001", "42703", "40001", "0A000", "25006"):
            database = cluster.migrated()
            raise_on_poison(database, sqlstate)
            with batch.Probe(database.conninfo(), keep_ms=300) as probe:
                probe.wait_connected()
                number = probe.add(paid("poison"))
                self.assertIn(probe.wait(number), ("lost", "committed quarantined"))
                self.assertIn(sqlstate, probe.log())
                self.assertNotIn("poison", probe.log() + probe.state()[1], sqlstate)

    def test_an_objection_that_comes_with_the_commit_itself(self):
        raise_on_poison(self.database, "23514", deferred=True)
        with batch.Probe(self.database.conninfo(), keep_ms=60000) as probe:
            probe.wait_connected()
            probe.add(*[paid("poison" if i == 40 else "o%d" % i) for i in range(64)])
            self.assertEqual(probe.wait_all().count("committed applied"), 63)
            self.assertEqual(probe.ends[41], "committed quarantined")
        self.assertEqual(self.database.value("select count(*) from torque.orders"), "63")
        self.assertEqual(
            self.database.query("select reason, convert_from(body, 'UTF8') from torque.quarantine"),
            [["database_23514", paid("poison").decode()]])

    def test_an_operators_error_is_no_facts_fault(self):
        self.database.query("revoke execute on all functions in schema torque from orderd;"
                            "grant execute on function torque.schema_state() to orderd")
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_connected()
            number = probe.add(paid("o1"), b"unusable")
            self.assertEqual(probe.wait_all(), ["lost", "lost"])
            self.assertLess(probe.seconds_taken(number), 1)
            self.assertIn("level=error event=database_refuses", probe.log())
            self.assertEqual(self.database.value("select count(*) from torque.quarantine"), "0")
            self.database.query("grant execute on all functions in schema torque to orderd")
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")

    def test_an_order_that_somebody_holds_is_deferred_alone(self):
        with batch.Probe(self.database.conninfo()) as probe, self.database.session() as holder:
            self.assertEqual(probe.wait(probe.add(paid("held"))), "committed applied")
            holder.query("begin; select from torque.orders for update")
            held = probe.add(paid("held", cancellationReason="x"))
            free = probe.add(*[paid("o%d" % i) for i in range(20)])
            for number in range(held + 1, free + 1):
                self.assertEqual(probe.wait(number), "committed applied")
                self.assertLess(probe.seconds_taken(number), 1)
            self.assertNotIn(held, probe.ends)
            holder.query("commit")
            self.assertEqual(probe.wait(held), "committed recorded")

    def test_a_locked_table_is_waited_for_inside_the_deadline_only(self):
        with batch.Probe(self.database.conninfo(), keep_ms=1500) as probe:
            probe.wait_connected()
            with self.database.session() as holder:
                holder.query("begin; lock table torque.orders")
                number = probe.add(paid("o1"))
                self.assertEqual(probe.wait(number), "lost")
                self.assertLess(probe.seconds_taken(number), 2.5)
                again = probe.add(paid("o1"))
                wait.until(lambda: cluster.log().count("lock timeout") > 2, 10, "it has waited")
                holder.query("commit")
                self.assertIn("committed", probe.wait(again))


class Servers(unittest.TestCase):
    """Which server is trusted with facts, and what is said of the others."""

    def setUp(self):
        self.database = cluster.migrated()

    def test_no_schema(self):
        with batch.Probe(cluster.create_database().conninfo()) as probe:
            probe.wait_problem("run orderd migrate")

    def test_an_older_schema_is_waited_for(self):
        self.database.query("update torque_internal.migration set name = '0000_older.sql'"
                            " where name = '0002_reconcile.sql'")
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_problem("the schema is at version 1, this orderd needs 2: run orderd")
            self.assertIn("database_unreachable", probe.log())
            self.database.query("update torque_internal.migration set name = '0002_reconcile.sql'"
                                " where name = '0000_older.sql'")
            probe.wait_connected()

    def test_a_newer_schema_is_too_much_for_us(self):
        self.database.query("insert into torque_internal.migration (name, sha256, version)"
                            " values ('0999_x.sql', sha256('x'), 'x')")
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_problem("this orderd is too old")

    def test_other_functions_of_the_same_version_will_do_but_are_told(self):
        self.database.query("update torque_internal.migration set sha256 = sha256('x')"
                            " where name = 'ingest.sql'")
        with batch.Probe(self.database.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.assertIn("schema_differs", probe.log())

    def test_a_standby_is_passed_over_in_any_order(self):
        with cluster.standby(synchronous=False) as standby:
            for hosts in (standby.directory, cluster.directory), (cluster.directory,
                                                                  standby.directory):
                conninfo = "host=%s,%s dbname=%s user=orderd" % (hosts + (self.database.name,))
                with batch.Probe(conninfo) as probe:
                    self.assertIn("committed", probe.wait(probe.add(paid("o1"))))
            with batch.Probe("host=%s dbname=%s user=orderd target_session_attrs=any" % (
                    standby.directory, self.database.name)) as probe:
                probe.wait_problem("standby")

    def test_a_host_that_is_away_is_passed_over(self):
        conninfo = "host=/nowhere,%s dbname=%s user=orderd" % (cluster.directory,
                                                               self.database.name)
        with batch.Probe(conninfo) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
            self.assertLess(probe.seconds_taken(1), 1.5)

    def test_a_host_that_says_nothing_is_passed_over(self):
        with netbox.Netbox("%s/.s.PGSQL.5432" % cluster.directory) as hole:
            hole.black_hole()
            host, port = hole.address.split(":")
            conninfo = "host=%s,%s port=%s,5432 dbname=%s user=orderd" % (
                host, cluster.directory, port, self.database.name)
            with batch.Probe(conninfo) as probe:
                self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
                self.assertLess(probe.seconds_taken(1), 2.5)

    def test_a_name_is_looked_up_and_a_connection_over_tcp_works(self):
        with netbox.Netbox("%s/.s.PGSQL.5432" % cluster.directory) as box:
            conninfo = "host=localhost port=%s dbname=%s user=orderd sslmode=disable" % (
                box.address.split(":")[1], self.database.name)
            with batch.Probe(conninfo) as probe:
                self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")

    def test_each_connection_says_under_its_name_that_it_comes_goes_and_is_not_to_be_had(self):
        with batch.Probe(self.database.conninfo(), connections=2) as probe:
            names = ["batch_probe 1/2", "batch_probe 2/2"]
            for name in names:
                line = 'level=info event=database_connected connection="%s"\n' % name
                probe.wait_until(lambda: line in probe.log(), "it says that it is connected")
            self.database.query("alter role orderd connection limit 0;"
                                "select pg_terminate_backend(pid) from pg_stat_activity"
                                " where application_name like 'batch_probe%'")
            try:
                for name in names:
                    lost = ('level=warning event=database_lost connection="%s" error="terminating'
                            ' connection due to administrator command"\n' % name)
                    probe.wait_until(lambda: lost in probe.log(), "it says that it is lost")
                    line = 'level=error event=database_unreachable connection="%s" error=' % name
                    probe.wait_until(lambda: line in probe.log(), "it says that there is none")
                probe.wait_problem("too many connections")
                refused = "too many connections for role"
                tried = cluster.log().count(refused)
                wait.until(lambda: cluster.log().count(refused) > tried + 6, 20, "it tries again")
                for name in names:
                    reasons = re.findall('event=database_unreachable connection="%s" (error=.*)'
                                         % name, probe.log())
                    self.assertNotIn(True, map(str.__eq__, reasons, reasons[1:]),
                                     "each says why once, not with each attempt")
            finally:
                self.database.query("alter role orderd connection limit -1")
            probe.wait_connected()

    def test_conninfo_that_cannot_be_read_is_told_without_its_password(self):
        with batch.Probe("host=/tmp password='hush") as probe:
            probe.wait_problem("conninfo cannot be read")
            self.assertNotIn("hush", probe.log())

    def test_no_connections_left(self):
        with batch.Probe(self.database.conninfo(), keep_ms=800) as probe:
            probe.wait_connected()
            self.database.query("alter role orderd connection limit 0;"
                                "select pg_terminate_backend(pid) from pg_stat_activity"
                                " where application_name like 'batch_probe%'")
            try:
                probe.wait_problem("too many connections")
                self.assertEqual(probe.wait(probe.add(paid("o1"))), "lost")
            finally:
                self.database.query("alter role orderd connection limit -1")
            probe.wait_connected(seconds=2)
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")

    def test_a_server_whose_transactions_are_read_only_by_default_takes_facts(self):
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_connected()
            cluster.configure({"default_transaction_read_only": "on"})
            try:
                wait.until(lambda: self.database.value("show transaction_read_only") == "on", 10,
                           "they are")
                self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")
                with batch.Probe(self.database.conninfo()) as other:
                    self.assertEqual(other.wait(other.add(paid("o2"))), "committed applied")
            finally:
                cluster.configure({"default_transaction_read_only": "off"})


if __name__ == "__main__":
    tap.main()
