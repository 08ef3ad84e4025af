#!/usr/bin/env python3
"""The poller's budget is kept in any 60 s, changes are found in time, webhooks are not overtaken.

Hours of a busy shop are lived through in simulated time: every call is in the shop's own log.

ORDERD_TEST_HOURS: how many. ORDERD_TEST_SEED: which; printed, and the same replays all.
"""

import hashlib
import heapq
import json
import os
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import pg, tap
from support.fake_torque import RollingMinute, Shop, stamp
from walks import literal

HOURS = float(os.environ.get("ORDERD_TEST_HOURS", "1.5"))
INTERLEAVINGS = int(os.environ.get("ORDERD_TEST_INTERLEAVINGS", "10000"))
SEED = os.environ.get("ORDERD_TEST_SEED") or "%x" % random.SystemRandom().getrandbits(32)
START = 1_700_000_000.0
ORDERS_PER_DAY = 10_000
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
MOVES = {"pending": ("processing", "completed", "cancelled", "refunded"),
         "processing": ("completed", "cancelled", "refunded"),
         "completed": ("refunded", "cancelled"),
         "cancelled": ("refunded",)}  # fmt: skip
EVENT = {"pending": "order.created", "processing": "order.paid", "completed": "order.completed",
         "cancelled": "order.cancelled", "refunded": "order.refunded"}  # fmt: skip


def ingest(facts):
    """The statement that takes in webhooks: (order, status, occurred, received) each."""
    bodies = ['{"event":"%s","timestamp":"%s","data":{"orderId":"%s","status":"%s"}}' % (
        EVENT[status], stamp(at), order_id, status) for order_id, status, at, _ in facts]
    row = ",".join("(%s,'\\x%s'::bytea,null,%s,%s,%s::timestamptz,%s::timestamptz,%s::json)" % (
        literal(order_id), hashlib.sha256(body.encode()).hexdigest(), literal(EVENT[status]),
        literal(status), literal(stamp(at)), literal(stamp(received)), literal(body))
        for (order_id, status, at, received), body in zip(facts, bodies))
    names = "order_id, key, event_id, event_type, status, occurred, received, body"
    return "select torque.ingest(%s) from (values %s) as f(%s)" % (
        ", ".join("array_agg(%s%s)" % (name, "::text" if name == "event_id" else "")
                  for name in names.split(", ")), row, names)


class BusyShop(Shop):
    """Lives by itself: orders are made, paid, completed, given up and, rarely, refunded."""

    def __init__(self, rng, lost):
        super().__init__()
        self.rng, self.lost = rng, lost
        self.events = [(START, 0, None, None)]
        self.number = 0
        self.webhooks = []  # (received, order, status, occurred)
        self.unfound = {}  # order -> (status, since): what no webhook will tell

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
        self.log, self.found_after = [], {"pending": [], "open": [], "refunded": []}
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
        facts = [(order_id, self.expected[order_id], at, max(at, asked) + 0.01)
                 for order_id, at in self.changes.items()]
        if facts:
            self.session.query(ingest(facts))

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

    def test_the_budget_is_kept_in_any_minute_and_every_change_is_found_in_time(self):
        sim = Simulation(self.cluster.migrated(), random.Random(SEED))
        for _ in range(6):
            sim.run(HOURS * 600)
            sim.restart()
        minutes = HOURS * 60
        mean = len(sim.log) / minutes
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

    def test_a_poll_never_overwrites_a_webhook_that_came_between_its_start_and_its_answer(self):
        rng = random.Random(SEED)
        wrong, done, batch = [], 0, 0
        self.stale = self.lookups = 0
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
