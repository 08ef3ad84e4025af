#!/usr/bin/env python3
"""What the second connection to the database is worth: one, two, and another build with two.

    connections.py LOAD SLOW_DISK [SECONDS [ROUNDS [OTHER_ORDERD]]]

On the disk that is there; on one whose flushes take 5 ms longer; and with a synchronous standby 10
ms away, there and back. Without NOTIFY, with which PostgreSQL lets one commit through at a time.
Rounds in turn, the medians count; the last line is JSON, with the ratios of the rates to that of
one connection.
"""

import contextlib
import json
import os
import sys
import tempfile

from rounds import SETTINGS, deliver, summary
from support import daemon, netbox, pg

CLIENTS = (8, 64, 256)
EVENTS_PER_SECOND_MAX = {8: 9000, 64: 20000, 256: 25000}
STANDBY_SECONDS = 0.005  # one way
WARM_UP_SECONDS = 2


@contextlib.contextmanager
def disk(_slow_disk):
    with pg.Cluster(SETTINGS) as cluster:
        yield cluster


@contextlib.contextmanager
def slow_disk(library):
    with pg.Cluster(SETTINGS, preload=library) as cluster:
        yield cluster


@contextlib.contextmanager
def standby(_slow_disk):
    with pg.Cluster(SETTINGS) as cluster, tempfile.TemporaryDirectory() as far:
        os.chmod(far, 0o755)
        with netbox.Netbox("%s/.s.PGSQL.5432" % cluster.directory, far + "/.s.PGSQL.5432") as box:
            with cluster.standby(host=far):
                box.delay(STANDBY_SECONDS)
                yield cluster


def start(cluster, other):
    """{variant: a receiver with a database of its own}"""
    variants = {"one": (None, 1), "two": (None, 2)}
    if other:
        variants["other"] = (other, 2)
    receivers = {}
    for name, (program, connections) in variants.items():
        database = cluster.create_database()
        database.migrate(program)
        receivers[name] = daemon.Daemon(database, {
            "log": {"level": "info"}, "database": {"connections": connections, "notify": "no"}},
            orderd=program)
    return receivers


def counted(orderd):
    metrics = orderd.metrics()
    return [metrics[name] for name in ("orderd_batch_facts_sum", "orderd_batch_facts_count",
                                       "orderd_batches_retried_total")]


class Bench:
    def __init__(self, load, receivers, seconds):
        self.load, self.receivers, self.seconds, self.count = load, receivers, seconds, 0

    def measure(self, name, clients, seconds):
        self.count += 1
        orderd, before = self.receivers[name], counted(self.receivers[name])
        said = deliver(self.load, orderd, clients, seconds,
                       int(EVENTS_PER_SECOND_MAX[clients] * seconds), "c%d" % self.count)
        facts, batches, again = [b - a for a, b in zip(before, counted(orderd))]
        return dict({figure: said[figure] for figure in ("rate", "p50_ms", "p99_ms")},
                    facts_a_batch=facts / batches, retried=again)

    def compare(self, clients, rounds):
        seen = {name: [] for name in self.receivers}
        for name in self.receivers:
            self.measure(name, clients, WARM_UP_SECONDS)
        for _ in range(rounds):
            for name in self.receivers:
                seen[name].append(self.measure(name, clients, self.seconds))
        result = {name: summary(figures) for name, figures in seen.items()}
        return dict(result, clients=clients, ratio={
            name: round(result[name]["rate"] / result["one"]["rate"], 2) for name in result})


def main(load, library, seconds=3, rounds=3, other=None):
    results = []
    for world in (disk, slow_disk, standby):
        with world(library) as cluster, contextlib.ExitStack() as ends:
            receivers = start(cluster, other)
            for orderd in receivers.values():
                ends.callback(orderd.close)
            bench = Bench(load, receivers, float(seconds))
            for clients in CLIENTS:
                results.append(dict(bench.compare(clients, int(rounds)), world=world.__name__))
                print("# %s" % json.dumps(results[-1]), flush=True)
    print(json.dumps({"bench": "connections", "seconds": float(seconds), "rounds": int(rounds),
                      "results": results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
