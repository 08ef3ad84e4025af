#!/usr/bin/env python3
# needs: orderd; beside: no
"""Whatever is killed or hangs: what was answered 200 is there, once, and answers keep coming."""

import contextlib
import os
import random
import threading
import time
import unittest
from datetime import datetime, timezone

from support import daemon, events, http, netbox, pg, scale, sign, tap, wait
from support.load import Load

ROUNDS = scale.count("crashes")
SEED = scale.seed()
DEADLINE = 2.5
SLACK = 0.7  # two busy cores, and a sender in Python
BATCH = 64
POISONED = range(0, BATCH, scale.count("poison_step"))
QUEUE_BYTES_MAX = 16 * 1024 * 1024

# PostgreSQL answers COMMIT before the record of it is on disk: a crash loses what was acknowledged.
HASTY_COMMIT = """
create function public.hasty() returns trigger language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    return null;
end $$;
create trigger hasty after insert or update on torque.order_events
    for each statement execute function public.hasty()"""

# The database objects to some events, as it might to something that C lets pass.
POISON = """
create function public.poison() returns trigger language plpgsql as $$
begin
    raise exception 'poison' using errcode = '22023';
end $$;
create trigger poison before insert on torque.order_events
    for each row when (new.order_id like 'poison%') execute function public.poison()"""


def body_of(order_id, event="order.created", **data):
    order = events.Order(order_id, datetime.now(timezone.utc), random.Random(order_id))
    return events.form1(event, order, **data)


class Crashes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A lazy WAL writer gives the negative control something to lose.
        cls.cluster = pg.Cluster({"wal_writer_delay": "10s", "wal_writer_flush_after": "64MB"})
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        self.database = self.cluster.migrated()
        self.orderd = daemon.Daemon(self.database, {"log": {"level": "info"}})
        self.addCleanup(self.orderd.close)
        self.address = self.orderd.address

    def load(self):
        load = Load(lambda: self.address, self.orderd.secret)
        self.addCleanup(load.stop)
        return load

    def more(self, load, count=100):
        """Wait until so many more events are acknowledged: it works (again)."""
        target = load.acknowledged() + count
        wait.until(lambda: load.acknowledged() >= target, 20,
                   lambda: "acknowledged\n" + self.orderd.log()[-3000:])

    def crash_orderd(self):
        self.orderd.kill9()
        self.address = None
        self.orderd.start(ready=False)
        self.address = self.orderd.address

    def crash_database(self, seconds):
        self.cluster.stop("immediate")
        time.sleep(seconds)  # how long it is away
        self.cluster.start()

    def test_20_crashes_under_load_lose_double_and_invent_nothing(self):
        rng = random.Random(SEED)
        print("# seed %s, %d crashes" % (SEED, ROUNDS))
        load = self.load()
        for number in range(ROUNDS):
            self.more(load, rng.randint(20, 200))
            kind = ("orderd", "database", "both")[number % 3]
            if kind in ("orderd", "both"):
                self.crash_orderd()
            if kind in ("database", "both"):
                # Once for longer than any answer may take.
                self.crash_database(3 if number == 1 else rng.uniform(0, 0.5))
        self.more(load)
        load.stop()
        unavailable = sum(status == 503 for status, _ in load.answers)
        slowest = max(seconds for _, seconds in load.answers)
        print("# %d events acknowledged, %d answers of 503, slowest answer %.2f s" % (
            load.acknowledged(), unavailable, slowest))
        self.assertEqual(load.faults(self.database)[:20], [])
        self.assertGreater(unavailable, 0, "the database was never missed: nothing was tested")
        self.assertEqual({status for status, _ in load.answers}, {200, 503})
        self.assertLess(slowest, DEADLINE + SLACK)

    def test_the_check_finds_what_a_hasty_commit_loses(self):
        """negative control: with asynchronous commits the same crash is found to lose events"""
        with self.database.session() as session:
            session.query(HASTY_COMMIT)
        for _ in range(5):
            load = self.load()
            self.more(load, 300)
            self.cluster.stop("immediate")
            load.stop()
            self.cluster.start()
            found = [fault for fault in load.faults(self.database) if fault.startswith("lost")]
            if found:
                print("# found: %d lost of %d" % (len(found), load.acknowledged()))
                return
        self.fail("five crashes with asynchronous commits, and nothing was found missing")


class Unsure(unittest.TestCase):
    """The database hangs, or its word does not come through: no 200 from hope."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.database = cls.cluster.migrated()

    def answer(self, orderd, body):
        started = time.monotonic()
        answer = orderd.deliver(body)
        self.assertLess(time.monotonic() - started, DEADLINE + SLACK)
        return answer

    def count(self, order_id):
        return int(self.database.value("select count(*) from torque.order_events"
                                       " where order_id = '%s'" % order_id))

    def recovers(self, orderd, body):
        """The same event, again, is answered 200 before long."""
        return wait.until(lambda: (lambda a: a if a.status == 200 else None)(orderd.deliver(body)),
                          10, "answered 200 again")

    def test_a_stalled_server_gets_503_within_the_deadline_and_200_afterwards(self):
        body = body_of("order_stalled")
        with daemon.Daemon(self.database) as orderd:
            self.assertEqual(self.answer(orderd, body_of("order_before")).status, 200)
            self.cluster.pause()
            try:
                answers = []
                threads = [threading.Thread(target=lambda: answers.append(
                    self.answer(orderd, body).status)) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            finally:
                self.cluster.resume()
            self.assertEqual(answers, [503] * 4)
            self.recovers(orderd, body)
            self.assertEqual(self.count("order_stalled"), 1)

    def test_a_full_queue_sheds_at_once_what_it_cannot_keep(self):
        large = {"cancellationReason": "x" * 1_000_000}
        with daemon.Daemon(self.database) as orderd:
            self.assertEqual(self.answer(orderd, body_of("order_before_3")).status, 200)
            self.cluster.pause()
            try:
                with contextlib.ExitStack() as connections:
                    for number in range(QUEUE_BYTES_MAX // 1_000_000):
                        body = body_of("order_large_%d" % number, **large)
                        connection = connections.enter_context(orderd.connect())
                        connection.send(http.request_bytes(
                            "POST", http.PATH, body, sign.torque(body, orderd.secret)))
                    wait.until(lambda: orderd.metrics()["orderd_facts_queued"] == number + 1, 2,
                               "the queue is full")
                    started = time.monotonic()
                    body = body_of("order_shed", **large)
                    answer = orderd.deliver(body)
                    self.assertLess(time.monotonic() - started, 1)
                    self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
            finally:
                self.cluster.resume()
            self.assertEqual(orderd.metrics()["orderd_queue_refused_total"], 1)
            self.recovers(orderd, body)
            self.assertEqual(self.count("order_shed"), 1)

    def test_a_commit_whose_confirmation_is_lost_is_not_answered_200(self):
        body = body_of("order_unconfirmed")
        directory = os.path.join(self.cluster.directory, "box")
        os.mkdir(directory)
        with netbox.Netbox(self.cluster.directory + "/.s.PGSQL.5432",
                           directory + "/.s.PGSQL.5432") as box:
            conninfo = "host=%s dbname=%s user=orderd" % (directory, self.database.name)
            with daemon.Daemon(conninfo) as orderd:
                self.assertEqual(self.answer(orderd, body_of("order_before_2")).status, 200)
                box.black_hole("in")
                self.assertEqual(self.answer(orderd, body).status, 503)
                self.assertEqual(self.count("order_unconfirmed"), 1, "it was committed, unheard")
                box.heal()
                self.assertEqual(self.recovers(orderd, body).outcome, "duplicate")
                self.assertEqual(self.count("order_unconfirmed"), 1)

    def test_an_unsure_network_loses_nothing(self):
        rng = random.Random(SEED)
        directory = os.path.join(self.cluster.directory, "box2")
        os.mkdir(directory)
        database = self.cluster.migrated()
        with netbox.Netbox(self.cluster.directory + "/.s.PGSQL.5432",
                           directory + "/.s.PGSQL.5432") as box:
            conninfo = "host=%s dbname=%s user=orderd" % (directory, database.name)
            with daemon.Daemon(conninfo, {"log": {"level": "info"}}) as orderd:
                address = orderd.address
                load = Load(lambda: address, orderd.secret)
                self.addCleanup(load.stop)
                for fault in (box.cut, box.tiny_segments, box.refuse, box.black_hole,
                              lambda: box.throttle(20000),
                              lambda: box.cut_after(rng.randint(1, 9999)),
                              lambda: box.cut_answers_after(rng.randint(1, 999))) * 2:
                    target = load.acknowledged() + 50
                    wait.until(lambda: load.acknowledged() >= target, 20, "acknowledged")
                    fault()
                    time.sleep(0.3)  # how long the network is like that
                    box.heal()
                load.stop()
            self.assertEqual(load.faults(database)[:20], [])
            self.assertEqual({status for status, _ in load.answers} - {200, 503}, set())


class Standby(unittest.TestCase):
    def test_a_commit_that_the_standby_never_confirmed_is_not_answered_200(self):
        with pg.Cluster() as primary:
            database = primary.migrated()
            standby = primary.standby()
            self.addCleanup(standby.close)
            with daemon.Daemon(database) as orderd:
                self.assertEqual(orderd.deliver(body_of("order_both")).status, 200)
                standby.stop()
                for number, function in enumerate(["cancel", "terminate"] * 2):
                    self.interrupt(database, orderd, "order_alone_%d" % number, function)
                standby.start()
                for number in range(4):
                    wait.until(lambda: orderd.deliver(
                        body_of_kept("order_alone_%d" % number)).status == 200, 15, "200 again")
                primary.stop("immediate")
                standby.promote()
                self.assertEqual(standby.database(database.name).value(
                    "select count(*) from torque.order_events"), "5")

    def interrupt(self, database, orderd, order_id, function):
        """End the wait for the standby by force: PostgreSQL warns, and reports success."""
        answers = []
        sender = threading.Thread(
            target=lambda: answers.append(orderd.deliver(body_of_kept(order_id)).status))
        sender.start()
        with database.session() as session:
            hit = 0
            while sender.is_alive():
                hit += int(session.value(
                    "select count(pg_%s_backend(pid)) from pg_stat_activity"
                    " where wait_event = 'SyncRep'" % function))
                sender.join(0.05)
        self.assertEqual(answers, [503])
        self.assertGreater(hit, 0, "nothing waited for the standby: nothing was tested")


KEPT = {}


def body_of_kept(order_id):
    """The same bytes each time."""
    if order_id not in KEPT:
        KEPT[order_id] = body_of(order_id)
    return KEPT[order_id]


class Poison(unittest.TestCase):
    def test_a_poison_event_at_any_position_of_a_batch_costs_the_other_63_nothing(self):
        with pg.Cluster() as cluster:
            database = cluster.migrated()
            with database.session() as session:
                session.query(POISON)
            settings = {"database": {"connections": 1}, "log": {"level": "info"}}
            with daemon.Daemon(database, settings) as orderd:
                self.connections = [orderd.connect() for _ in range(BATCH)]
                for position in POISONED:
                    self.one_batch(cluster, orderd, {position})
                for count in (2, 3):
                    self.one_batch(cluster, orderd, set(random.Random(count).sample(
                        range(BATCH), count)))
                for connection in self.connections:
                    connection.close()
                isolated = orderd.metrics()["orderd_batches_isolated_total"]
            batches = len(POISONED) + 2
            self.assertEqual(isolated, batches)
            good = database.query("select count(*) from torque.order_events"
                                  " where order_id like 'good%' group by recorded_xid")
            self.assertEqual(sorted(good, key=str),
                             [["61"], ["62"]] + [["63"]] * len(POISONED),
                             "each batch was one transaction")
            self.assertEqual(database.value("select count(*) from torque.orders"
                                            " where order_id like 'good%'"),
                             str(batches * BATCH - len(POISONED) - 5))
            self.assertEqual(database.query(
                "select reason, count(*) from torque.quarantine group by reason"),
                [["database_22023", str(len(POISONED) + 5)]])

    def one_batch(self, cluster, orderd, poisoned):
        """A first event keeps the stopped database busy; meanwhile 64 gather."""
        prefix = "_%s_" % "_".join(map(str, sorted(poisoned)))
        first = orderd.connect()
        cluster.pause()
        try:
            self.send(orderd, first, "first%s" % prefix)
            self.queued(orderd, 1)
            for position, connection in enumerate(self.connections):
                name = "poison" if position in poisoned else "good"
                self.send(orderd, connection, "%s%s%d" % (name, prefix, position))
                self.queued(orderd, position + 2)
        finally:
            cluster.resume()
        self.assertEqual(first.answer().status, 200)
        first.close()
        answers = [connection.answer() for connection in self.connections]
        self.assertEqual([a.status for a in answers], [200] * BATCH, "nobody is asked to retry")
        self.assertEqual({n for n, a in enumerate(answers) if a.outcome == "quarantined"}, poisoned)

    def send(self, orderd, connection, order_id):
        body = body_of(order_id)
        connection.send(http.request_bytes(body=body, headers=orderd.signed(body)))

    def queued(self, orderd, count):
        wait.until(lambda: orderd.metrics()["orderd_facts_queued"] >= count, 2, "queued", 0.001)


if __name__ == "__main__":
    tap.main()
