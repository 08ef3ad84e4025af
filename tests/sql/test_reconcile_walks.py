#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Sweeps of list-orders see every order and never say they have when they have not.

A shop in this process, with the manners and faults that a real API may have, is walked through by
the SQL that plans and judges; its answers are handed over as the daemon would. Every walk is one
transaction that is rolled back, so that thousands fit into a minute.

How many there are, and which: support/scale.py.
"""

import json
import math
import random
import sys
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import pg, pgwire, scale, tap, workers
from support.fake_torque import CONTENT_FAULTS, Shop

PERCENT = scale.count("walks")
SEED = scale.seed()
FAULT_WALKS = 2_000 * PERCENT // 100
DRIFT_WALKS = 600 * PERCENT // 100
NOW = 1_700_000_000.0
DAY = 86_400.0
STATUSES = ("pending", "processing", "completed", "cancelled", "refunded")
FAULTS = tuple(f for f in CONTENT_FAULTS if f != "wrong_order") + tuple(walks.TRANSPORT)
MANNERS = [(sort, dates, offset)
           for sort in ("newest", "oldest", "shuffled")
           for dates in ("inclusive", "exclusive", "second", "day", "ignored")
           for offset in ("honoured", "ignored")]
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
            "max_wal_size": "2GB", "autovacuum_naptime": "5s"}  # fmt: skip
UNHURRIED = {"requests_per_minute": 10**6}


def busy_hour(moment):
    """Of the orders of the busiest hour, how many there are at this one: nights and weekends."""
    hours = moment % DAY / 3600
    quiet = 0.6 if moment // DAY % 7 in (2, 3) else 1.0
    return quiet * (0.1 + 0.9 * max(0.0, math.sin((hours - 6) / 12 * math.pi)))


def history(rng, count, days, clumps=0):
    """Times of creation, the newest NOW at most; with clumps of them within one second."""
    times = []
    while len(times) < count:
        moment = NOW - rng.random() * days * DAY
        if rng.random() < busy_hour(moment):
            times.append(round(moment, 3))
    for clump in range(clumps):
        at = int(rng.choice(times))
        times += [at + rng.randrange(1000) / 1000 for _ in range(rng.randrange(5, 25))]
    return times


def fill(shop, rng, times, prefix="order"):
    for number, at in enumerate(times):
        shop.add("%s_%06d" % (prefix, number), at, rng.choice(STATUSES),
                 total="%d.%02d" % (rng.randrange(1, 500), rng.randrange(100)))
    return shop


class Judge:
    """Looks at each certificate when it is given."""

    def __init__(self, poller, session, shop):
        self.poller, self.session, self.shop = poller, session, shop
        self.false, self.certificates, self.looked = [], 0, 0
        self.visible = {}  # order -> since when it is listed; absent: always
        self.judged = set()

    def look(self):
        if self.looked == len(self.poller.calls):
            return
        self.looked = len(self.poller.calls)
        if self.poller.calls[-1][3] != "verified":
            return
        newest = "verified_at = (select max(verified_at) from torque.reconcile_window)"
        for since, until, status, as_of, _, number in walks.verified(self.session, newest):
            if number in self.judged:
                continue
            self.judged.add(number)
            self.certificates += 1
            should = [o["id"] for o in self.shop.orders.values()
                      if since <= o["created"] < until and status in (None, o["status"])
                      and self.visible.get(o["id"], 0) <= as_of]
            here = {row[0] for row in self.session.query(
                "select order_id from torque.orders where order_id in ('',%s)" % ",".join(
                    map(walks.literal, should)))} if should else ()
            lost = [order_id for order_id in should if order_id not in here]
            if lost:
                self.false.append((number, since, until, lost))


class Tally:
    """What many walks have shown, with the first few of their failures."""

    def __init__(self):
        self.counts = Counter()
        self.failures = []

    def __getitem__(self, name):
        return self.counts[name]

    def __setitem__(self, name, value):
        self.counts[name] = value

    def join(self, other):
        self.counts.update(other.counts)
        self.failures += other.failures
        return self


def to_its_end(poller, job, judge, calls_max=3_000):
    """Goes on with a backfill until it is over; its state."""
    looked_from = len(poller.calls)

    def over():
        if len(poller.calls) > looked_from:
            judge.look()
        return poller.is_idle and poller.job_state(job) != "running"

    ended = poller.run_until(over, calls_max)
    return poller.job_state(job) if ended else "endless"


def walk(poller, session, shop, since, until, calls_max=3_000, judge=None):
    """A backfill to its end; (its state, its judge)."""
    judge = judge or Judge(poller, session, shop)
    return to_its_end(poller, poller.begin(since, until), judge, calls_max), judge


def lost_of(session, shop):
    """Orders that are not here as the shop has them."""
    here = walks.table_rows(session)
    return [i for i, row in walks.shop_rows(shop).items() if here.get(i) != row]


def fault_share(work):
    """Every fault at every request of the walks of some histories."""
    address, seed, wanted = work
    rng = random.Random(seed)
    tally = Tally()
    with pgwire.Session(*address, seconds=120) as session:
        while tally["walks"] < wanted:
            sort = rng.choice(("newest", "oldest", "shuffled"))
            dates = rng.choice(("inclusive", "exclusive", "second"))
            shop = fill(Shop(sort=sort, dates=dates), rng,
                        history(rng, rng.randrange(12, 30), 5,
                                clumps=sort != "shuffled" and rng.randrange(2)))
            session.query("begin")
            # A fortnight later: nobody asks for details of orders so old.
            poller = walks.Poller(session, shop, NOW + 14 * DAY, page_size=10, **UNHURRIED).quiet()
            poller.wait_min = 5
            job = poller.begin(NOW - 5 * DAY, NOW + 1)
            while (tally["walks"] < wanted
                   and faulty_walks(session, shop, poller, job, tally, (seed, sort, dates))):
                place = len(poller.calls)
                poller.run_until(lambda: len(poller.calls) > place)
            session.query("rollback")
    return tally


def faulty_walks(session, shop, poller, job, tally, label):
    """From where the walk is, on to its end with each fault at its next request; False when it has
    none any more."""
    place = len(poller.calls)
    for fault in FAULTS:
        session.query("savepoint place")
        walker = poller.copy()
        walker.fault = lambda plan, number: fault if number == place else None
        judge = Judge(walker, session, shop)
        state = to_its_end(walker, job, judge)
        lost = lost_of(session, shop)
        session.query("rollback to savepoint place; release savepoint place")
        if len(walker.calls) == place:
            return False
        tally["walks"] += 1
        tally["calls"] += len(walker.calls)
        tally["certificates"] += judge.certificates
        tally["missed"] += len(lost)
        tally["false"] += len(judge.false)
        if lost or judge.false or state != "done":
            tally["unfinished"] += state != "done"
            tally.failures.append((label, fault, place, state, lost[:3], judge.false[:1],
                                   [c[3] for c in walker.calls]))
    return True


class MovingShop(Shop):
    """While it is walked through, orders appear late, go away and change."""

    def __init__(self, rng, **manners):
        super().__init__(**manners)
        self.rng = rng
        self.late = []  # orders that are there, and not listed yet
        self.changes = 0

    def drift(self, judge, now):
        if self.changes == 0:
            return
        self.changes -= 1
        kind = self.rng.choice(("arrive", "arrive", "leave", "flip", "flip"))
        if kind == "arrive" and self.late:
            order = self.late.pop()
            self.orders[order["id"]] = order
            judge.visible[order["id"]] = now
        elif kind == "leave" and len(self.orders) > 5:
            del self.orders[self.rng.choice(list(self.orders))]
        elif kind == "flip":
            order = self.rng.choice(list(self.orders.values()))
            self.move(order["id"], self.rng.choice(STATUSES), now)


def drifting_shop(rng, sort, dates, offset, clumps):
    shop = MovingShop(rng, sort=sort, dates=dates, offset=offset)
    fill(shop, rng, history(rng, rng.randrange(12, 40), 5, clumps=clumps))
    ids = list(shop.orders)
    shop.late = [shop.orders.pop(order_id) for order_id in rng.sample(ids, len(ids) // 6)]
    shop.changes = rng.randrange(4, 25)
    return shop


def drift_share(work):
    address, seed, wanted = work
    rng = random.Random(seed)
    tally = Tally()
    with pgwire.Session(*address, seconds=120) as session:
        for number in range(wanted):
            manners = MANNERS[number % len(MANNERS)]
            drifting_walk(session, rng, manners, tally, (seed, number))
    return tally


def drifting_walk(session, rng, manners, tally, label):
    """Walks while the shop moves, then again when it stands still: complete, or it says not."""
    clumps = rng.randrange(2)
    shop = drifting_shop(rng, *manners, clumps)
    session.query("begin")
    poller = walks.Poller(session, shop, NOW + 14 * DAY, page_size=10, **UNHURRIED).quiet()
    poller.wait_min = 5
    judge = Judge(poller, session, shop)
    poller.before = lambda now: shop.drift(judge, now)
    state, _ = walk(poller, session, shop, NOW - 5 * DAY, NOW + 1, judge=judge)
    shop.changes = 0
    again, judge = walk(poller, session, shop, NOW - 5 * DAY, NOW + 1, judge=judge)
    settled = poller.run_until(poller.has_looked, 1_000)
    lost = lost_of(session, shop)
    alarms = walks.alarms(session)
    session.query("rollback")
    tally["walks"] += 1
    tally["calls"] += len(poller.calls)
    tally["certificates"] += judge.certificates
    tally["complete"] += again == "done"
    tally["false"] += len(judge.false)
    # Pages that cannot be turned, or that are shuffled each time, prove nothing.
    sort, dates, offset = manners
    simple = (sort != "shuffled" and offset == "honoured"
              or not clumps and dates not in ("day", "ignored"))
    said_so = again == "incomplete" and "incomplete:backfill" in alarms
    right = not lost if again == "done" else said_so and not simple
    if judge.false or not settled or not right:
        tally.failures.append((label, manners, clumps, settled, state, again, lost[:3],
                               judge.false[:1], [c[3] for c in poller.calls]))


def plain_walk(rng):
    """What everybody writes first; the number of orders it has missed without a word."""
    shop = drifting_shop(rng, "newest", "inclusive", "honoured", 0)
    judge = Judge(None, None, shop)
    always = set(shop.orders)
    seen, offset, more = set(), 0, True
    while more:
        page = json.loads(shop.list({"limit": "10", "offset": str(offset)})[1])
        seen |= {row["id"] for row in page["orders"]}
        offset += 10
        more = page["pagination"]["hasMore"]
        shop.drift(judge, NOW)
        always &= set(shop.orders)
    return len(always - seen)


def in_shares(cluster, work, total):
    """Runs the share in a few processes, each with a database of its own."""
    shares = [((cluster.directory, cluster.migrated().name), "%s/%d" % (SEED, n),
               total // workers.COUNT + 1) for n in range(workers.COUNT)]
    tally = Tally()
    for part in workers.each(work, shares):
        tally.join(part)
    return tally


class Walks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print("# seed %s" % SEED, flush=True)
        cls.cluster = pg.Cluster(SETTINGS)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def compare(self, count, first, second):
        rng = random.Random("%s/%d" % (SEED, count))
        shop = fill(Shop(), rng, history(rng, count, 90))
        fewest = math.ceil(count / 100)
        with self.cluster.migrated().session(seconds=120) as session:
            poller = walks.Poller(session, shop, NOW, **UNHURRIED).quiet()
            for times, most in (("first", first), ("second", second)):
                poller.calls.clear()
                state, judge = walk(poller, session, shop, NOW - 90 * DAY, NOW + 1, 5 * fewest + 99)
                print("# %d orders, %s walk: %d lists, %.2f times the fewest possible" % (
                    count, times, poller.lists(), poller.lists() / fewest), flush=True)
                self.assertEqual(state, "done")
                self.assertFalse(judge.false)
                self.assertFalse(lost_of(session, shop))
                self.assertLessEqual(poller.lists(), most * fewest)

    def test_1500_orders_in_all_statuses_are_here_without_a_webhook(self):
        self.compare(1_500, 1.4, 1.3)

    def test_20000_orders_in_all_statuses_are_here_without_a_webhook(self):
        self.compare(20_000, 1.15, 1.1)

    def test_no_fault_at_any_request_hides_an_order_or_verifies_falsely(self):
        tally = in_shares(self.cluster, fault_share, FAULT_WALKS)
        print("# %d walks, %d calls, %d certificates" % (
            tally["walks"], tally["calls"], tally["certificates"]), flush=True)
        self.assertFalse(tally.failures, "\n".join(map(str, tally.failures[:5])))
        self.assertGreaterEqual(tally["walks"], FAULT_WALKS)

    def test_an_api_of_any_manners_that_changes_meanwhile_is_read_whole_or_called_incomplete(self):
        tally = in_shares(self.cluster, drift_share, DRIFT_WALKS)
        print("# %d walks, %d ended complete, %d calls, %d certificates" % (
            tally["walks"], tally["complete"], tally["calls"], tally["certificates"]), flush=True)
        self.assertFalse(tally.failures, "\n".join(map(str, tally.failures[:5])))
        self.assertGreaterEqual(tally["walks"], DRIFT_WALKS)

    def test_a_plain_walk_by_limit_and_offset_fails_where_these_do_not(self):
        rng = random.Random(SEED)
        missed = [plain_walk(rng) for _ in range(200)]
        print("# of 200 plain walks %d missed orders" % sum(map(bool, missed)), flush=True)
        self.assertGreater(sum(missed), 0)


if __name__ == "__main__":
    tap.main()
