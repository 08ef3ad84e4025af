#!/usr/bin/env python3
# needs: orderd, batch_probe; beside: no
"""Committed means durable: whatever the database does, nothing is called committed that is not."""

import random
import time
import unittest
from datetime import datetime, timezone

from support import batch, case, events, netbox, pg, tap, wait

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
NOBODY = {"synchronous_standby_names": "'nobody'"}
ANYBODY = {"synchronous_standby_names": "''"}


def paid(order_id, **data):
    return events.form1("order.paid", events.Order(order_id, CREATED, random.Random(order_id)),
                        **data)


class Stalled(case.WithDatabase):
    """The server takes a transaction and does not say how it ended."""

    def test_nothing_is_committed_by_a_server_that_stands_still(self):
        with batch.Probe(self.database.conninfo(), connections=2) as probe:
            probe.wait_connected()
            self.cluster.pause()
            try:
                probe.add(*[paid("o%d" % i) for i in range(50)])
                self.assertEqual(set(probe.wait_all()), {"lost"})
                # What one connection gives up is taken by the other, until that gives it up too.
                self.assertGreaterEqual(probe.seconds_taken(50), 2.4)
                self.assertLess(probe.seconds_taken(50), 5)
            finally:
                self.cluster.resume()
            number = probe.add(paid("o1"))
            self.assertIn("committed", probe.wait(number))
            self.assertLess(probe.seconds_taken(number), 1.5)

    def test_a_short_stop_loses_nothing(self):
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_connected()
            self.cluster.pause()
            try:
                number = probe.add(paid("o1"))
                wait.stays(lambda: number not in probe.ends, 0.5, "it is not committed")
            finally:
                self.cluster.resume()
            self.assertEqual(probe.wait(number), "committed applied")

    def test_nothing_is_committed_while_the_answer_is_on_its_way(self):
        """A commit that nobody heard of is no commit; the same facts again are duplicates."""
        with netbox.Netbox("%s/.s.PGSQL.5432" % self.cluster.directory) as box:
            conninfo = "host=127.0.0.1 port=%s dbname=%s user=orderd sslmode=disable" % (
                box.address.split(":")[1], self.database.name)
            with batch.Probe(conninfo) as probe:
                self.assertEqual(probe.wait(probe.add(paid("o0"))), "committed applied")
                box.black_hole()
                probe.add(*[paid("o%d" % i) for i in range(1, 20)])
                self.assertEqual(set(probe.wait_all()[1:]), {"lost"})
                box.heal()
                probe.add(paid("o20"))
                self.assertIn("committed", probe.wait(21))
                self.assertLess(probe.seconds_taken(21), 1.5)

    def test_a_connection_cut_anywhere_in_the_answers_is_made_good(self):
        with netbox.Netbox("%s/.s.PGSQL.5432" % self.cluster.directory) as box:
            conninfo = "host=127.0.0.1 port=%s dbname=%s user=orderd sslmode=disable" % (
                box.address.split(":")[1], self.database.name)
            with batch.Probe(conninfo, keep_ms=20000) as probe:
                for count in range(1, 1500, 61):
                    box.cut()
                    box.cut_answers_after(count)
                    number = probe.add(*[paid("c%d_%d" % (count, i)) for i in range(3)])
                    wait.until(lambda: box.accepted > 1, 10, "it has tried")
                    box.heal()
                    for i in range(3):
                        self.assertIn("committed", probe.wait(number - i))
        self.assertEqual(self.database.value("select count(*) from torque.orders"),
                         str(3 * len(range(1, 1500, 61))))

    def test_a_byte_at_a_time(self):
        with netbox.Netbox("%s/.s.PGSQL.5432" % self.cluster.directory) as box:
            box.tiny_segments()
            conninfo = "host=127.0.0.1 port=%s dbname=%s user=orderd sslmode=disable" % (
                box.address.split(":")[1], self.database.name)
            with batch.Probe(conninfo, keep_ms=20000) as probe:
                probe.add(*[paid("o%d" % i) for i in range(3)])
                self.assertEqual(probe.wait_all(), ["committed applied"] * 3)


class StandbyAbsent(unittest.TestCase):
    """The synchronous standby is away: a commit waits, and when somebody ends the waiting it comes
    with a WARNING and looks like a success."""

    def setUp(self):
        self.cluster = pg.Cluster()
        self.addCleanup(self.cluster.close)
        self.database = self.cluster.migrated()

    def waiting(self, session):
        return session.query("select pid from pg_stat_activity where wait_event = 'SyncRep'"
                             " and application_name like 'batch_probe%'")

    def end_waits(self, how, count):
        with self.database.session() as session, \
                batch.Probe(self.database.conninfo(), keep_ms=60000) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o0"))), "committed applied")
            self.cluster.configure(NOBODY)
            wait.until(lambda: session.value("show synchronous_standby_names") == "nobody", 10,
                       "commits wait")
            probe.add(*[paid("o%d" % i) for i in range(1, 9)])
            for _ in range(count):
                pids = wait.until(lambda: self.waiting(session), 10, "a commit waits")
                session.query("set synchronous_commit = local; select %s(%s)" % (how, pids[0][0]))
                wait.until(lambda: pids[0] not in self.waiting(session), 10, "it waits no more")
            self.assertEqual(len(probe.ends), 1, probe.ends)
            self.assertIn("event=commit_unsure", probe.log())
            self.cluster.configure(ANYBODY)
            self.assertEqual(set(probe.wait_all()[1:]), {"committed duplicate"})
            return probe.log()

    def test_a_client_that_does_not_listen_to_warnings_would_be_deceived(self):
        self.database.query("create table public.t (n int)")
        self.cluster.configure(NOBODY)
        with self.database.session() as session, self.database.session() as other:
            wait.until(lambda: other.value("show synchronous_standby_names") == "nobody", 10,
                       "commits wait")
            pid = session.value("select pg_backend_pid()")
            session.send("insert into public.t values (1)")
            wait.until(lambda: other.query("select from pg_stat_activity where pid = %s"
                                           " and wait_event = 'SyncRep'" % pid), 10, "it waits")
            other.query("select pg_cancel_backend(%s)" % pid)
            session.receive()  # and no error
            self.assertIn("canceling wait", session.notices[0])

    def test_a_cancelled_wait_is_no_commit(self):
        log = self.end_waits("pg_cancel_backend", 20)
        self.assertIn("canceling wait for synchronous replication", log)
        self.assertGreaterEqual(log.count("event=commit_unsure"), 20)

    def test_nor_when_warnings_were_switched_off_for_the_role(self):
        self.database.query("alter role orderd set client_min_messages = error")
        self.end_waits("pg_cancel_backend", 3)

    def test_a_terminated_wait_is_no_commit(self):
        self.end_waits("pg_terminate_backend", 5)

    def test_a_wait_that_nobody_ends_is_no_commit(self):
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_connected()
            self.cluster.configure(NOBODY)
            wait.until(lambda: self.database.value("show synchronous_standby_names") == "nobody",
                       10, "commits wait")
            number = probe.add(paid("o1"))
            self.assertEqual(probe.wait(number), "lost")
            self.assertLess(probe.seconds_taken(number), 3.5)
            again = probe.add(paid("o1"))
            wait.stays(lambda: again not in probe.ends, 0.2, "it waits")
            self.cluster.configure(ANYBODY)
            self.assertEqual(probe.wait(again), "committed duplicate")

    def test_a_warning_that_a_function_raises_is_no_reason_for_doubt(self):
        self.database.query("""
            create function public.warn() returns trigger language plpgsql as $$
            begin raise warning 'all is well'; return new; end $$;
            create trigger warn before insert on torque.order_events
            for each row execute function public.warn()""")
        with batch.Probe(self.database.conninfo()) as probe:
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")


def differences(sent, committed, there):
    """there: {order: (status, facts)}. What is lost, phantom, double or wrong, as sentences."""
    return (["lost: " + name for name in committed if name not in there]
            + ["phantom: " + name for name in there if name not in sent]
            + ["not once, or wrong: %s %s" % item for item in there.items()
               if item[1] != ("processing", "1")])


class Crashes(unittest.TestCase):
    """Under load; checked as sets: what was committed is there, once, and nothing else."""

    def setUp(self):
        self.cluster = pg.Cluster()
        self.addCleanup(self.cluster.close)
        self.database = self.cluster.migrated()
        self.sent = {}

    def send(self, probe, count=64):
        names = ["o%d" % (len(self.sent) + i) for i in range(count)]
        first = probe.count + 1
        self.sent.update(zip(range(first, first + count), names))
        probe.add(*[paid(name) for name in names])

    def under_load(self, fault, rounds, connections=2):
        with batch.Probe(self.database.conninfo(), connections=connections) as probe:
            probe.wait_connected()
            for number in range(rounds):
                before = len(probe.ends)
                for _ in range(8):
                    self.send(probe)
                probe.wait_until(lambda: len(probe.ends) > before, "some have ended")
                fault(number)
                self.send(probe)
                probe.wait_all()
                slowest = max(probe.seconds_taken(n) for n in probe.ends)
                self.assertLess(slowest, 3.5)
                probe.wait_connected()
            ends = dict(probe.ends)
        there = {row[0]: tuple(row[1:]) for row in self.database.query(
            "select o.order_id, o.status, count(*) from torque.orders o"
            " join torque.order_events e using (order_id) group by 1, 2")}
        committed = [self.sent[n] for n, end in ends.items() if end.startswith("committed")]
        self.assertGreater(len(committed), 64 * rounds)
        self.assertEqual(differences(set(self.sent.values()), committed, there), [])

    def test_the_check_finds_what_is_lost_phantom_double_or_wrong(self):
        right = ("processing", "1")
        self.assertEqual(differences({"a", "b"}, ["a"], {"a": right, "b": right}), [])
        self.assertTrue(differences({"a"}, ["a"], {}))
        self.assertTrue(differences(set(), [], {"a": right}))
        self.assertTrue(differences({"a"}, ["a"], {"a": ("processing", "2")}))
        self.assertTrue(differences({"a"}, ["a"], {"a": ("pending", "1")}))

    def test_kill_9_of_the_postmaster(self):
        def kill(_):
            self.cluster.kill9()
            self.cluster.start()
        self.under_load(kill, 3)

    def test_immediate_stop(self):
        def stop(_):
            self.cluster.stop("immediate")
            self.cluster.start()
        self.under_load(stop, 3)

    def test_terminated_backends(self):
        def terminate(_):
            self.database.query("select pg_terminate_backend(pid) from pg_stat_activity"
                                " where application_name like 'batch_probe%'")
        self.under_load(terminate, 10)

    def test_a_restart_that_is_quick_loses_no_fact_at_all(self):
        with batch.Probe(self.database.conninfo(), keep_ms=30000) as probe:
            probe.wait_connected()
            for _ in range(3):
                self.send(probe)
                self.cluster.restart()
            self.assertEqual({end.split()[0] for end in probe.wait_all()}, {"committed"})

    def test_an_idle_connection_that_the_server_ends_is_noticed_and_replaced(self):
        with batch.Probe(self.database.conninfo()) as probe:
            probe.wait_connected()
            for number in range(10):
                self.database.query("select pg_terminate_backend(pid) from pg_stat_activity"
                                    " where application_name like 'batch_probe%'")
                probe.wait_until(lambda: probe.log().count("database_lost") > number, "it is lost")
                probe.wait_connected()
            self.assertEqual(probe.log().count(
                "terminating connection due to administrator command"), 10)
            self.assertEqual(probe.wait(probe.add(paid("o1"))), "committed applied")


class Failover(unittest.TestCase):
    def test_what_was_committed_is_on_the_standby_that_takes_over(self):
        with pg.Cluster() as primary:
            database = primary.migrated()
            with primary.standby() as standby:
                conninfo = "host=%s,%s dbname=%s user=orderd" % (
                    primary.directory, standby.directory, database.name)
                with batch.Probe(conninfo, connections=2) as probe:
                    probe.wait_connected()
                    probe.add(*[paid("o%d" % i) for i in range(2000)])
                    probe.wait_until(lambda: len(probe.ends) > 200, "some have ended")
                    primary.stop("immediate")
                    standby.promote()
                    promoted = time.monotonic()
                    probe.wait_all()
                    self.assertIn("committed", probe.wait(probe.add(paid("after"))))
                    self.assertLess(probe.ended_at[2001] - promoted, 3)
                    committed = {"o%d" % (n - 1) for n, end in probe.ends.items()
                                 if end.startswith("committed") and n <= 2000}
                with standby.database(database.name).session() as session:
                    there = {row[0] for row in session.query("select order_id from torque.orders")}
                self.assertEqual(committed - there, set())


if __name__ == "__main__":
    tap.main()
