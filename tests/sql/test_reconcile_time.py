#!/usr/bin/env python3
# needs: orderd; beside: yes
"""The poller's budget is kept in any 60 s, changes are found in time, webhooks are not overtaken.

Hours of a busy shop are lived through in simulated time: every call is in the shop's own log.

How many there are, and which: support/scale.py.
"""

import heapq
import random
import sys
import unittest
from bisect import bisect_left, bisect_right
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import facts, pg, scale, tap
from support.fake_torque import RollingMinute, Shop, seconds_of, stamp
from walks import literal

HOURS = scale.count("hours")
INTERLEAVINGS = scale.count("interleavings")
SEED = scale.seed()
START = 1_700_000_000.0
ORDERS_PER_DAY = 10_000
HISTORY_DAYS = 2
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
MOVES = {"pending": ("processing", "completed", "cancelled", "refunded"),
         "processing": ("completed", "cancelled", "refunded"),
         "completed": ("refunded", "cancelled"),
         "cancelled": ("refunded",)}  # fmt: skip
EVENT = {"pending": "order.created", "processing": "order.paid", "completed": "order.completed",
         "cancelled": "order.cancelled", "refunded": "order.refunded"}  # fmt: skip


# Orders that an audit reads in a day: those of a fortnight, and a seventh of the rest of history.
AUDITED_PER_DAY = ORDERS_PER_DAY * (14 + (90 - 14) / 7)
# The orders of the shop's history, which agree with its lists.
KNOWN = """
insert into torque.orders (
    order_id, status, created_at, total, currency, item_count, customer_email, has_details, is_open,
    held_facts, first_seen_at, last_changed_at, newest_as_of, rules_version
)
select
    h.order_id, 'completed', h.created_at, 59.98, 'USD', 2, 'customer@example.com', true, false, 0,
    h.created_at, h.created_at, h.created_at, r.version
from unnest(array[%s], array[%s]::timestamptz[]) as h(order_id, created_at)
cross join torque_internal.rules r;
update torque_internal.poller
set sweeps_known_to = %s;
"""


def plant(database, function, sound, faulty):
    """Puts a fault into a function: what the tests here must notice."""
    text = database.value("select pg_get_functiondef(%s::regproc)" % literal(function))
    if text.count(sound) != 1:
        raise AssertionError("%s has no %s" % (function, sound))
    database.query(text.replace(sound, faulty))


def ingest(webhooks):
    """The statement that takes in webhooks: (order, status, occurred, received) each."""
    return "select torque.take_many(%s)" % facts.arrays([
        facts.webhook(order_id, EVENT[status], stamp(at), stamp(received), claimed_status=status)
        for order_id, status, at, received in webhooks])


class BusyShop(Shop):
    """Lives by itself: orders are made, paid, completed, given up and, rarely, refunded."""

    def __init__(self, rng, lost):
        super().__init__()
        self.rng, self.lost = rng, lost
        self.events = [(START, 0, None, None)]
        self.number = 0
        self.made, self.in_order = [], []  # times and orders, as they were made
        self.webhooks = []  # (received, order, status, occurred)
        self.unfound = {}  # order -> (status, since): what no webhook will tell

    def add(self, order_id, created, status="pending"):
        self.made.append(created)
        self.in_order.append(super().add(order_id, created, status))

    def rows(self, query):
        """Newest first, without a look at what is out of the span."""
        first = bisect_left(self.made, seconds_of(query["startDate"]))
        last = bisect_right(self.made, seconds_of(query["endDate"]))
        return [order for order in reversed(self.in_order[first:last])
                if query.get("status") in (None, order["status"])]

    def has_a_past(self, session):
        """Orders of some days, known and done with."""
        count = HISTORY_DAYS * ORDERS_PER_DAY
        for number in range(count):
            at = round(START - (count - number) / ORDERS_PER_DAY * 86_400, 3)
            self.add("past_%06d" % number, at, "completed")
        session.query(KNOWN % (
            ",".join(literal(order["id"]) for order in self.in_order),
            ",".join(literal(stamp(at)) for at in self.made), literal(stamp(START))))

    def live(self, now):
        while self.events and self.events[0][0] <= now:
            at, _, order_id, status = heapq.heappop(self.events)
            if order_id is None:
                self.make(at)
            else:
                self.change(order_id, status, at)

    def at(self, when, order_id, status):
        self.number += 1
        heapq.heappush(self.events, (round(when, 3), self.number, order_id, status))

    def make(self, at):
        rng = self.rng
        self.at(at + rng.expovariate(ORDERS_PER_DAY / 86_400), None, None)
        order_id = "order_%06d" % self.number
        self.add(order_id, at)
        self.tell(order_id, "pending", at)
        if rng.random() < 0.7:
            paid = at + rng.expovariate(1 / 300)
            self.at(paid, order_id, "processing")
            done = paid + rng.expovariate(1 / 3600)
            self.at(done, order_id, "completed")
            if rng.random() < 0.02:
                self.at(done + rng.expovariate(1 / 1200), order_id, "refunded")
        else:
            self.at(at + 3600, order_id, "cancelled")

    def change(self, order_id, status, at):
        self.move(order_id, status, at)
        self.tell(order_id, status, at)

    def tell(self, order_id, status, at):
        self.unfound.pop(order_id, None)
        if status == "refunded" or self.rng.random() < self.lost:
            self.unfound[order_id] = (status, at)
        else:
            heapq.heappush(self.webhooks, (at + self.rng.uniform(0.2, 3), order_id, status, at))


class Simulation:
    """The poller at work on a shop, and what the API saw of it."""

    def __init__(self, database, rng, lost=0.05, fault_rate=0.01):
        self.database, self.rng = database, rng
        self.shop = BusyShop(rng, lost)
        self.api = RollingMinute(100)
        self.log, self.calls = [], []
        self.found_after = {"pending": [], "open": [], "refunded": []}
        self.broken = []  # promises
        self.fault_rate = fault_rate
        self.blocked_until = self.floor_until = 0.0
        self.looked_at = START
        self.start(START)

    def start(self, now):
        """A process begins; the one before it, if any, was killed."""
        self.session = self.database.session(seconds=60)
        self.poller = walks.Poller(self.session, self.shop, now)
        self.poller.before = self.live
        self.poller.fault = self.fault
        self.poller.calls = self.calls
        self.poller.rate = self.arrives

    def live(self, now):
        shop = self.shop
        shop.live(now)
        told = []
        while shop.webhooks and shop.webhooks[0][0] <= now:
            received, order_id, status, at = heapq.heappop(shop.webhooks)
            told.append((order_id, status, at, received))
        for fact in told:
            self.session.query(ingest([fact]))
        if shop.unfound and now >= self.looked_at + 10:
            self.looked_at = now
            self.look(now)

    def look(self, now):
        here = dict(self.session.query(
            "select order_id, status from torque.orders where order_id in (%s)" % ",".join(
                map(literal, self.shop.unfound))))
        for order_id, (status, since) in list(self.shop.unfound.items()):
            if here.get(order_id) == status:
                del self.shop.unfound[order_id]
                kind = status if status in self.found_after else "open"
                self.found_after[kind].append(now - since)

    def arrives(self, now):
        """A request at the API; the merchant's own calls come between."""
        for _ in range(self.rng.choice((0, 0, 0, 1, 4))):
            self.api.admit(now)
        if now < self.blocked_until or now < self.floor_until:
            self.broken.append("asked at %.3f, not before %.3f" % (
                now, max(self.blocked_until, self.floor_until)))
        self.log.append(now)
        _, remaining, reset_at = self.api.admit(now)
        if remaining < 20:
            self.floor_until = reset_at
        return remaining, reset_at

    def fault(self, plan, number):
        if self.rng.random() >= self.fault_rate:
            return None
        return self.rng.choice([f for f in walks.TRANSPORT if f not in (
            "401", "403", "400", "404", "late")])

    def run(self, seconds, until=None):
        end = self.poller.now + seconds
        while self.poller.now < end:
            self.poller.step()
            self.blocked_until = max(self.blocked_until, self.poller.blocked_until)

    def audit(self):
        """The daily and the weekly one are due."""
        self.session.query("update torque_internal.sweep set next_at = %s where kind in"
                           " ('audit_near', 'audit_far')" % self.poller.time())

    def restart(self):
        now = self.poller.now
        self.session.close()
        self.start(now + 0.2)

    def most_in_a_minute(self):
        return max(sum(at <= t < at + 60 for t in self.log[i:i + 200])
                   for i, at in enumerate(self.log))


class Change:
    """Orders that change around a call: the answer shows each as it was at some moment of the call,
    and its webhook arrives before the answer does."""

    def __init__(self, session, rng, poller, shop):
        self.session, self.rng, self.poller, self.shop = session, rng, poller, shop
        self.expected, self.stale = {}, 0
        self.ask = poller.ask
        poller.ask = self.answer
        poller.between = self.tell
        self.changes = {}

    def during_next_call(self, order_ids):
        now, calls = self.poller.now, len(self.poller.calls)
        for order_id in order_ids:
            moves = MOVES.get(self.shop.orders[order_id]["status"])
            if moves:
                self.expected[order_id] = self.rng.choice(moves)
                self.changes[order_id] = round(now + self.rng.uniform(-1, 2), 3)
        while len(self.poller.calls) == calls:
            self.poller.step()
        for order_id, at in self.changes.items():
            self.shop.move(order_id, self.expected[order_id], at)
        self.changes = {}
        self.poller.now += 10

    def answer(self, plan, fault):
        for order_id, at in self.changes.items():
            if at <= self.poller.now + self.rng.uniform(0, 2):
                self.shop.move(order_id, self.expected[order_id], at)
            else:
                self.stale += 1
        return self.ask(plan, fault)

    def tell(self, asked):
        webhooks = [(order_id, self.expected[order_id], at, max(at, asked) + 0.01)
                 for order_id, at in self.changes.items()]
        if webhooks:
            self.session.query(ingest(webhooks))

    def wrong(self):
        here = walks.table_rows(self.session)
        return [(order_id, here.get(order_id), status)
                for order_id, status in self.expected.items() if here[order_id][0] != status]


class Time(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("# seed %s" % SEED, flush=True)
        cls.cluster = pg.Cluster(SETTINGS)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def setUp(self):
        self.stale = self.lookups = 0

    def test_the_budget_is_kept_in_any_minute_and_every_change_is_found_in_time(self):
        sim = Simulation(self.cluster.migrated(), random.Random(SEED))
        sim.shop.has_a_past(sim.session)
        for part in range(6):
            sim.run(HOURS * 600)
            sim.restart()
            if part == 0:
                sim.audit()
        audits = sum(priority == "audit" for _, priority, _, _ in sim.calls)
        pages, orders = map(int, sim.session.query(
            "select sum(pages), sum(inside) filter (where verdict = 'verified')"
            " from torque.reconcile_window where kind = 'audit'")[0])
        a_day = AUDITED_PER_DAY * pages / orders
        others = (len(sim.log) - audits) / (HOURS * 60)
        mean = others + a_day / 1440
        print("# %.1f calls a minute without audits; an audit of %d orders took %d calls: %d a day"
              % (others, orders, pages, a_day), flush=True)
        self.assertGreaterEqual(orders, HISTORY_DAYS * ORDERS_PER_DAY)
        self.assertEqual(sim.session.value(
            "select count(*) from torque.reconcile_window"
            " where kind = 'audit' and parent_id is null and verified_at is not null"
            " and not is_count"), "2")
        found = {kind: max(after, default=0) for kind, after in sim.found_after.items()}
        kinds = sim.session.query(
            "select priority, count(*) from torque_internal.api_call group by 1 order by 2 desc")
        print("# %.1f calls a minute, at most %d in any; found after at most %s; %s" % (
            mean, sim.most_in_a_minute(), {k: round(v) for k, v in found.items()},
            {k: len(v) for k, v in sim.found_after.items()}), flush=True)
        print("# %s" % dict(kinds), flush=True)
        self.assertFalse(sim.broken)
        self.assertLessEqual(sim.most_in_a_minute(), 30)
        self.assertLess(mean, 15)
        self.assertLess(found["pending"], 60 + 120)
        self.assertLess(found["open"], 300 + 240)
        self.assertLess(found["refunded"], 3600 + 600)
        late = [i for i, (status, since) in sim.shop.unfound.items()
                if since < sim.poller.now - (4200 if status == "refunded" else 540)]
        self.assertFalse(late)

    def pressed(self, database):
        """The most calls in any minute when all orders are to be looked up at once."""
        sim = Simulation(database, random.Random(SEED), fault_rate=0)
        sim.run(1200)
        sim.session.query(
            "insert into torque_internal.lookup (order_id, priority, due_at, wanted_at)"
            " select order_id, 'verify', %s, %s from torque.orders on conflict (order_id) do update"
            " set priority = 'verify', due_at = excluded.due_at" % (
                sim.poller.time(), sim.poller.time()))
        sim.run(180)
        return sim.most_in_a_minute()

    def test_a_bucket_that_is_refilled_each_minute_would_be_noticed(self):
        self.assertIn(self.pressed(self.cluster.migrated()), (27, 28))
        database = self.cluster.migrated()
        plant(database, "torque_internal.call_possible_at",
              "torque_internal.free_again(c.claimed_at, c.answered_at)",
              "date_trunc('minute', c.claimed_at) + interval '1 minute'")
        self.assertGreater(self.pressed(database), 30)

    def test_a_lookup_taken_as_of_its_arrival_would_be_noticed(self):
        database = self.cluster.migrated()
        plant(database, "torque.reconcile_lookup", "clock_skew($4, $2, at), $2)",
              "clock_skew($4, $2, at), $3)")
        with database.session(seconds=60) as session:
            self.assertTrue(self.interleave(session, random.Random(SEED), "b"))

    def test_a_poll_never_overwrites_a_webhook_that_came_between_its_start_and_its_answer(self):
        rng = random.Random(SEED)
        wrong, done, batch = [], 0, 0
        with self.cluster.migrated().session(seconds=60) as session:
            while done < INTERLEAVINGS:
                session.query("begin")
                wrong += self.interleave(session, rng, "b%d" % batch)
                session.query("rollback")
                done += 120
                batch += 1
        print("# %d interleavings, %d of them in lookups, %d answers older than the webhook" % (
            done, self.lookups, self.stale), flush=True)
        self.assertFalse(wrong[:5])
        self.assertGreater(self.stale, done / 5)

    def interleave(self, session, rng, name):
        """A hundred orders change while a list of them is under way, then twenty while each is
        looked up; those that are wrong then."""
        shop = Shop()
        for number in range(100):
            shop.add("%s_%03d" % (name, number), START + number, rng.choice(list(MOVES)))
        poller = walks.Poller(session, shop, START + 20 * 86_400, latency=2.0,
                              requests_per_minute=10**6).quiet()
        session.query(ingest([(o["id"], o["status"], o["created"], o["created"] + 1)
                              for o in shop.orders.values()]))
        poller.begin(START - 10, START + 200)
        change = Change(session, rng, poller, shop)
        change.during_next_call(list(shop.orders))
        wrong = change.wrong()
        for order_id in rng.sample(list(shop.orders), 20):
            session.query(
                "insert into torque_internal.lookup (order_id, priority, due_at, wanted_at)"
                " values (%s, 'operator', %s, %s) on conflict (order_id) do update set"
                " priority = 'operator', due_at = excluded.due_at" % (
                    literal(order_id), poller.time(), poller.time()))
            change.during_next_call([order_id])
            wrong += change.wrong()
            self.lookups += 1
        self.stale += change.stale
        return wrong

if __name__ == "__main__":
    tap.main()
