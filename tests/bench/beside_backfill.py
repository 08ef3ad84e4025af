#!/usr/bin/env python3
"""The time a webhook is answered in while a backfill runs back to back, beside that without one.

    beside_backfill.py LOAD [SECONDS [ROUNDS]]      LOAD: the built load generator

With receiver and poller in one process, and in two. Webhooks come at a steady rate, half of what
eight connections take flat out, and a latency counts from when a request was meant to be sent.
Each round has four legs, each with a database of its own: the poller idle; a backfill of other
orders than the webhooks tell of; a backfill of which every other order is one of the webhooks', at
about the same time, which is as much as the two can meet; and the poller idle again while a plain
client makes the calls of that backfill, at the same times, of the same stand-in for the API: what
the machine, which it shares, pays for the stand-in alone. Medians of the rounds count; *_cpu are
seconds a second. The last line is JSON, with the ratios of p99 to that of the first leg of the same
round.
"""

import functools
import http.client
import json
import os
import resource
import statistics
import sys
import threading
import time

from rounds import SETTINGS, deliver, medians, spread
from support import daemon, fake_torque, pg, wait

CONNECTIONS = 8  # flat out
CONNECTIONS_PACED = 64  # so many that none has to wait for the answer before
SECONDS_FLAT_OUT = 4
EVENTS_PER_SECOND_MAX = 10000
EVENTS_PER_ORDER = 3  # as load makes them
LEGS = ("idle", "others", "same", "stand_in")
POLLING = {"requests_per_minute": 10000, "floor": 0}
SPACING = 10  # seconds between two orders
ORDERS = 20000  # of a backfill: more than it walks through meanwhile
HISTORY = "20d"  # the orders to be walked through are older: only the backfill lists them
WARM_UP_SECONDS = 2


class History(fake_torque.Shop):
    """Orders, one each SPACING seconds, which cost next to nothing to tell of."""

    def __init__(self, end):
        super().__init__()
        self.end, self.count, self.name = end, ORDERS, str

    @property
    def begin(self):
        return self.end - self.count * SPACING

    def created(self, number):
        return self.begin + number * SPACING

    def order_of(self, number):
        name = self.name(number)
        return {"id": "order_" + name, "sessionId": "session_" + name, "status": "completed",
                "created": self.created(number), "updated": self.created(number) + 60,
                "total": "59.98", "currency": "USD", "reason": None, "tx": "tx_" + name,
                "items": [{"productId": "prod_1", "quantity": 2, "price": "29.99",
                           "total": "59.98"}],
                "email": "customer%d@example.com" % number, "first": "John", "last": "Doe"}

    def list(self, query, fault=None):
        first, beyond = 0, self.count
        if query.get("status", "completed") != "completed":
            beyond = 0
        if query.get("startDate"):
            after = fake_torque.seconds_of(query["startDate"]) - self.begin
            first = max(first, int(-(-after // SPACING)))
        if query.get("endDate"):
            before = fake_torque.seconds_of(query["endDate"]) - self.begin
            beyond = min(beyond, int(before // SPACING) + 1)
        limit, offset = int(query.get("limit", 20)), int(query.get("offset", 0))
        total = max(0, beyond - first)
        newest = beyond - 1 - offset
        rows = [self.row(self.order_of(number))
                for number in range(newest, max(first - 1, newest - limit), -1)]
        return 200, ('{"success":true,"orders":[%s],"pagination":{"total":%d,"limit":%d,'
                     '"offset":%d,"hasMore":%s}}' % (
                         ",".join(rows), total, limit, offset,
                         "true" if offset + len(rows) < total else "false"))

    def show(self, order_id, details=False):
        order = self.order_of(0)
        order.update(id=order_id, email="customer@example.com")
        return 200, '{"success":true,"order":%s}' % self.order(order, details)


def cpu_seconds(pids):
    """Of processes that are there."""
    ticks = 0
    for pid in pids:
        try:
            with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, load, cluster, seconds, one_process, rate):
        """rate: 0 = flat out."""
        self.load = load
        self.cluster = cluster
        self.seconds = seconds
        self.database = cluster.migrated()
        self.shop = History(time.time() - 30 * 86400)
        self.api = fake_torque.FakeTorque(
            self.shop, fake_torque.Webhooks("a secret that nobody uses", 1),
            per_minute=10**9).start()
        self.daemons = self.start(one_process)
        self.rate = rate
        self.salt = 0

    def start(self, one_process):
        settings = {"torque": dict(POLLING, base_url=self.api.url), "log": {"level": "info"},
                    "reconcile": {"sweep_every": "5s", "open_every": "1h", "history": HISTORY}}
        secrets = {"api-key": self.api.api_key}
        verbs = ("run",) if one_process else ("receive", "reconcile")
        return [daemon.Daemon(self.database, settings, secrets, verb=verb) for verb in verbs]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for orderd in self.daemons:
            orderd.close()
        self.api.close()

    def events(self, seconds):
        return int(seconds * (self.rate or EVENTS_PER_SECOND_MAX)) + 10 * CONNECTIONS_PACED

    @property
    def connections(self):
        return CONNECTIONS_PACED if self.rate else CONNECTIONS

    def deliver(self, seconds):
        """What load says of one run of it."""
        return deliver(self.load, self.daemons[0], self.connections, seconds, self.events(seconds),
                       self.salt_name, rate=self.rate)

    @property
    def salt_name(self):
        return "b%d" % self.salt

    def flat_out(self):
        self.deliver(WARM_UP_SECONDS)
        self.salt += 1
        return self.deliver(SECONDS_FLAT_OUT)["rate"]

    def name_orders(self, same):
        """same: every other order is one of the webhooks', in about the order of their coming."""
        share = self.events(self.seconds) // CONNECTIONS_PACED // EVENTS_PER_ORDER
        salt = self.salt_name

        def name(number):
            turn, connection = divmod((self.shop.count - 1 - number) // 2, CONNECTIONS_PACED)
            if not same or number % 2 or turn >= share:
                return "old_%s_%d" % (salt, number)
            return "%s_%d" % (salt, connection * share + turn)
        self.shop.name = name

    def calls(self):
        return [entry for entry in list(self.api.log) if "/checkout/" in entry["target"]]

    def begin_backfill(self):
        seen = len(self.api.log)
        job = self.database.value(
            "select torque.backfill_start(to_timestamp(%f), to_timestamp(%f))" % (
                self.shop.begin, self.shop.end))
        wait.until(lambda: len(self.api.log) > seen + 10, 60, "the backfill is under way")
        return job

    def end_backfill(self, job):
        state = self.database.value(
            "select state from torque.backfill where job_id = %s" % job)
        if state != "running":
            raise SystemExit("the backfill was %s before the round ended: raise ORDERS" % state)
        self.database.query("select torque.backfill_cancel(%s)" % job)

    def replay(self, calls, stopped):
        """The calls of a backfill, each as long after the first one as then."""
        host = self.api.url.split("/")[2]
        client = http.client.HTTPConnection(host)
        began = time.time()
        for call in calls:
            time.sleep(max(0, began + call["at"] - calls[0]["at"] - time.time()))
            if stopped.is_set():
                break
            client.request("GET", call["target"], headers={
                "Authorization": "Bearer " + self.api.api_key})
            client.getresponse().read()
        client.close()

    def cpu(self):
        load = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"orderd": cpu_seconds([orderd.process.pid for orderd in self.daemons]),
                "postgres": cpu_seconds(self.cluster.pids()), "stand_in": time.process_time(),
                "load": load.ru_utime + load.ru_stime}

    def measure(self):
        before, orders_before = self.cpu(), self.orders()
        seen, began = len(self.calls()), time.time()
        said = self.deliver(self.seconds)
        took = time.time() - began
        after = self.cpu()
        calls = self.calls()[seen:]
        return calls, dict(
            {name: said[name] for name in ("rate", "p50_ms", "p99_ms", "max_ms")},
            calls_per_second=len(calls) / took,
            listed_per_second=(self.orders() - orders_before) / took,
            **{name + "_cpu": (after[name] - before[name]) / took for name in after})

    def orders(self):
        """That came by a list."""
        return int(self.database.value(
            "select count(*) from torque.order_events where source = 'list'"))

    def leg(self, name, calls):
        """calls: those of the leg before."""
        self.deliver(WARM_UP_SECONDS)
        self.salt += 1
        self.name_orders(name == "same")
        if name in ("others", "same"):
            job = self.begin_backfill()
            calls, figures = self.measure()
            self.end_backfill(job)
        elif name == "stand_in":
            stopped = threading.Event()
            client = threading.Thread(target=self.replay, args=(calls, stopped))
            client.start()
            _, figures = self.measure()
            stopped.set()
            client.join()
        else:
            _, figures = self.measure()
        return calls, figures


def ratio(rounds, idle):
    """Of each round to the idle leg of the same round, since a disk that others use as well is not
    the same a minute later."""
    ratios = [r["p99_ms"] / i["p99_ms"] for r, i in zip(rounds, idle)]
    return {"median": round(statistics.median(ratios), 2), "least": round(min(ratios), 2),
            "most": round(max(ratios), 2)}


def compare(begin, rounds):
    seen = {leg: [] for leg in LEGS}
    for _ in range(rounds):
        calls = []
        for leg in LEGS:
            with begin() as bench:
                calls, figures = bench.leg(leg, calls)
            seen[leg].append(figures)
            print("# %s %s" % (leg, {name: round(figures[name], 3) for name in figures}),
                  flush=True)
    results = {leg: dict(medians(seen[leg]), spread_percent=spread(seen[leg], "p99_ms"))
               for leg in LEGS}
    return {"legs": results,
            "p99_ratio": {leg: ratio(seen[leg], seen["idle"]) for leg in LEGS[1:]}}


def main(load, seconds=5, rounds=5):
    results = []
    with pg.Cluster(SETTINGS) as cluster:
        with Bench(load, cluster, float(seconds), True, 0) as bench:
            rate = round(bench.flat_out() / 2)
        for one_process in (True, False):
            begin = functools.partial(Bench, load, cluster, float(seconds), one_process, rate)
            results.append(dict(processes=1 if one_process else 2, **compare(begin, int(rounds))))
    print(json.dumps({"bench": "beside_backfill", "seconds": float(seconds), "rounds": int(rounds),
                      "rate_wanted": rate, "results": results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
