#!/usr/bin/env python3
# needs: orderd; beside: yes
"""What the poller reads and keeps does not grow with what the table weighs.

Each step is a transaction whose reads are counted by the server: with ten times the orders, and as
many of them open, no step reads more. A year of book-keeping leaves no more than a week does.

How many there are: support/scale.py.
"""

import json
import sys
import time
import unittest
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import pg, scale, tap
from support.fake_torque import Shop, seconds_of, stamp
from test_reconcile_time import plant
from walks import literal

ORDERS = scale.count("weight")
OPEN = ORDERS * 3 // 100 if ORDERS >= 1_000_000 else 600
START = 1_700_000_000.0
STEP = 8.64  # seconds between two orders: 10,000 a day
DAY = 86_400
# Parameters of a growth that is none: what the planner or a page more or less makes of it.
ROOM = 1.25, 600
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
            "max_wal_size": "2GB", "autovacuum": "off"}  # fmt: skip
ORDERS_OF = """
insert into torque.orders (
    order_id, status, created_at, has_details, is_open, held_facts, first_seen_at,
    last_changed_at, newest_as_of, last_confirmed_at, rules_version
)
select
    'o_' || lpad(n::text, 8, '0'), case when n < {open} then 'pending' else 'completed' end, t.at,
    true, n < {open}, 0, t.at, t.at, t.at, t.at, r.version
from generate_series(0, {count} - 1) as n
cross join lateral (select {start}::timestamptz - (n + 1) * interval '{step} seconds' as at) as t
cross join torque_internal.rules r;
insert into torque_internal.open_order (order_id)
select o.order_id from torque.orders o where o.is_open;
update torque_internal.poller set sweeps_known_to = {start}, polls_since = {start};
analyze;
"""
READ = ("select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)"
        " from pg_stat_xact_all_tables where schemaname like 'torque%'")


class EvenShop:
    """Orders at even distances, none of which is kept anywhere: the newest OPEN are pending."""

    def __init__(self, count):
        self.count = count

    def row(self, number):
        return {"id": "o_%08d" % number, "createdAt": stamp(START - (number + 1) * STEP),
                "status": "pending" if number < OPEN else "completed"}

    def list(self, query, fault):
        since, until = (seconds_of(query[name]) for name in ("startDate", "endDate"))
        first = max(0, int((START - until) / STEP - 1 + 0.999999))
        last = min(self.count - 1, int((START - since) / STEP - 1))
        status = query.get("status")
        if status == "pending":
            last = min(last, OPEN - 1)
        elif status == "completed":
            first = max(first, OPEN)
        elif status:
            last = first - 1
        offset, limit = int(query["offset"]), int(query["limit"])
        total = max(0, last - first + 1)
        numbers = range(first + offset, min(last + 1, first + offset + limit))
        return 200, json.dumps({
            "success": True, "orders": [self.row(number) for number in numbers],
            "pagination": {"total": total, "limit": limit, "offset": offset,
                           "hasMore": offset + len(numbers) < total}})

    def show(self, order_id, details):
        return 200, json.dumps({"success": True, "order": self.row(int(order_id[2:]))})


class Counted:
    """A session each of whose steps is a transaction with its reads counted."""

    def __init__(self, session):
        self.session, self.value = session, session.value
        self.reads, self.took = defaultdict(int), defaultdict(list)
        self.of = ""

    def query(self, sql):
        name = next((name for name in ("reconcile_next", "reconcile_page", "reconcile_lookup")
                     if name in sql), None)
        if name is None:
            return self.session.query(sql)
        self.session.query("begin")
        before = int(self.session.value(READ))
        began = time.monotonic()
        rows = self.session.query(sql)
        self.took[name].append(1000 * (time.monotonic() - began))
        read = int(self.session.value(READ)) - before
        self.session.query("commit")
        if name == "reconcile_next" and rows[0][0] in ("list", "lookup"):
            self.of = "%s %s" % (rows[0][10], rows[0][7] or "")
        key = name if name == "reconcile_next" else "%s of %s" % (name, self.of.strip())
        self.reads[key] = max(self.reads[key], read)
        return rows


class CountedPoller(walks.Poller):
    def value(self, sql):
        return self.session.query(sql)[0][0]


class Weight(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster(SETTINGS)
        cls.addClassCleanup(cls.cluster.close)

    def filled(self, count):
        database = self.cluster.migrated()
        with database.session(seconds=600) as session:
            session.query(ORDERS_OF.format(
                open=OPEN, count=count, step=STEP, start=literal(stamp(START))))
        return database

    def polled(self, database, count):
        """The most rows that any step of a kind has read while all kinds have had their calls."""
        with database.session(seconds=120) as session:
            counted = Counted(session)
            poller = CountedPoller(counted, EvenShop(count), START + 30, requests_per_minute=75,
                                   history=3650 * DAY, open_every=20)
            session.query(
                "insert into torque_internal.sweep (kind, status, started_at, next_at)"
                " values ('audit_near', '', %s, %s)" % (poller.time(), poller.time()))
            session.query(
                "insert into torque_internal.lookup (order_id, priority, due_at, wanted_at)"
                " select o.order_id, 'verify', %s, %s from torque.orders o where o.is_open"
                " order by o.created_at limit 100" % (poller.time(), poller.time()))
            poller.run(60)
            # History is read before it is read again.
            session.query("select torque.backfill_start(%s, %s, true, %s)" % (
                literal(stamp(START - 3650 * DAY)), poller.time(), poller.time()))
            poller.run(40)
        return counted

    def grown(self, small, large):
        """What reads more of the larger table."""
        factor, more = ROOM
        return {key: (small.reads.get(key, 0), read) for key, read in large.reads.items()
                if key in small.reads and read > factor * small.reads[key] + more}

    def test_no_step_reads_more_of_a_table_that_weighs_ten_times_as_much(self):
        small = self.polled(self.filled(ORDERS // 10), ORDERS // 10)
        database = self.filled(ORDERS)
        large = self.polled(database, ORDERS)
        for name in ("reconcile_next", "reconcile_page"):
            took = sorted(large.took[name])
            print("# %s of %d orders, %d open: %.1f ms, p95 %.1f ms" % (
                name, ORDERS, OPEN, took[len(took) // 2], took[len(took) * 95 // 100]), flush=True)
        print("# most rows read: %s" % dict(large.reads), flush=True)
        self.assertEqual({}, self.grown(small, large))
        for kind in ("tail", "open pending", "backfill", "audit"):
            self.assertIn("reconcile_page of " + kind, large.reads)
        self.assertIn("reconcile_lookup of verify", large.reads)

        plant(database, "torque_internal.plan_verify", "from torque_internal.open_order n",
              "from torque.orders n")
        with database.session() as session:
            session.query("delete from torque_internal.lookup; set enable_seqscan = off")
            session.query("begin")
            session.query("select torque.reconcile_next(%s)" % literal(stamp(START + 7200)))
            self.assertGreater(int(session.value(READ)), ORDERS, "a plan that reads every order")


class Books(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster(SETTINGS)
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        self.session = self.cluster.migrated().session(seconds=60)
        self.addCleanup(self.session.close)

    def plan(self, at):
        self.session.query("set orderd.planned_at = ''; select torque_internal.plan_work(%s)"
                           % literal(stamp(at)))

    def live(self, days, since):
        """Each day all that is due is planned and verified, and calls are made."""
        for turn in range(4 * since, 4 * (since + days)):  # one audit begins when one has ended
            day, at = turn // 4, START + turn // 4 * DAY + turn % 4 * 60
            self.plan(at)
            self.session.query(
                "select torque_internal.settle(w, 'verified', 0, 0, 0, {at}, {at})"
                " from torque.reconcile_window w where w.verdict = 'open';"
                "insert into torque_internal.api_call (priority, purpose, claimed_at, answered_at)"
                " values ('tail', 'list', {at}, {at});"
                "select torque_internal.raise_alarm('unusable', 'o{day}', 'x', {at});"
                "select torque_internal.clear_alarm('unusable', 'o{day}', {at})".format(
                    at=literal(stamp(at)), day=day))

    def kept(self):
        return [int(n) for n in self.session.query(
            "select (select count(*) from torque.reconcile_window),"
            " (select count(*) from torque_internal.api_call),"
            " (select count(*) from torque_internal.alarm)")[0]]

    def test_a_years_books_are_no_longer_than_a_months(self):
        self.live(30, 0)
        windows, calls, alarms = self.kept()
        days = 30 * (scale.count("weight") // 50_000)
        self.live(days, 30)
        later = self.kept()
        print("# windows, calls, alarms: %s after 30 days, %s after %d" % (
            (windows, calls, alarms), later, 30 + days), flush=True)
        # Of history that is audited no more the last certificate stays: one a week.
        self.assertLessEqual(later[0], windows + days // 7 + 2)
        self.assertLessEqual(later[1], calls + 1)
        self.assertLessEqual(later[2], alarms + 1)
        self.assertLess(windows, 60)

    def test_a_verified_walk_is_one_window_an_hour_later_and_says_as_much(self):
        self.plan(START)
        root = self.session.value(
            "select window_id from torque.reconcile_window where kind = 'backfill'")
        self.session.query(
            "insert into torque.reconcile_window (root_id, parent_id, kind, job_id, created_from,"
            " created_to, opened_at, verdict, expected, seen, inside, pages, as_of, verified_at)"
            " select w.window_id, w.window_id, w.kind, w.job_id, w.created_from, w.created_to,"
            " w.opened_at, 'verified', 3, 3, 2, 1, w.opened_at, w.opened_at"
            " from torque.reconcile_window w, generate_series(1, 450) where w.window_id = {0};"
            "update torque.reconcile_window set verdict = 'split', expected = 899, inside = 900,"
            " pages = 1, as_of = opened_at, verified_at = opened_at"
            " where window_id = {0}".format(root))
        windows = "select verdict, expected, seen, inside, pages from torque.reconcile_window" \
                  " where kind = 'backfill'"
        progress = "select orders, pages from torque.backfill_progress"
        self.assertEqual(self.session.query(progress), [["900", "451"]])
        self.plan(START + 3599)
        self.assertEqual(len(self.session.query(windows)), 451)
        for at in range(3600, 3630, 6):
            self.plan(START + at)
            self.assertEqual(self.session.value("select pages from torque.backfill_progress"),
                             "451")
        self.assertEqual(self.session.query(windows), [["verified", "900", "900", "900", "451"]])
        self.assertEqual(self.session.query(progress), [["900", "451"]])

    def written(self):
        """Transactions that have written anything, so far."""
        return int(self.session.value("select pg_snapshot_xmax(pg_current_snapshot())::text"))

    def test_a_poller_at_rest_writes_nothing_without_a_call_and_twice_at_most_with_one(self):
        shop = Shop()
        for number in range(120):
            shop.add("order_%03d" % number, START - (number + 1) * 3600, "completed")
        poller = walks.Poller(self.session, shop, START)
        poller.run(3600)  # its history is here then
        before, calls, rounds = self.written(), len(poller.calls), 0
        while poller.now < START + 2 * 3600:
            written, made = self.written(), len(poller.calls)
            poller.step()
            rounds += 1
            # Once an hour old book-keeping is thrown away.
            if len(poller.calls) == made:
                self.assertLessEqual(self.written() - written, 0)
        calls = len(poller.calls) - calls
        print("# at rest: %d rounds, %d calls, %d transactions that write" % (
            rounds, calls, self.written() - before), flush=True)
        self.assertGreater(rounds, calls + 30)
        self.assertLessEqual(self.written() - before, 2 * calls)


if __name__ == "__main__":
    tap.main()
