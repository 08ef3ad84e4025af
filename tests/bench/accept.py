#!/usr/bin/env python3
"""Durable webhooks per second beside pgbench's plain transactions, on the same cluster.

    accept.py LOAD [SECONDS [ROUNDS]]       LOAD: the built load generator

At 64 connections and at one: after a warm-up, rounds of orderd and of pgbench in turn; the medians
count. pgbench runs one-event.sql, prepared: one event of the same size and its order, in one
transaction. The last line is JSON, with ratios orderd / pgbench.
"""

import glob
import json
import os
import sys
import tempfile
from pathlib import Path

from rounds import SETTINGS, deliver, medians, run, spread
from support import daemon, pg

HERE = Path(__file__).resolve().parent
CLIENTS = (64, 1)
WARM_UP_SECONDS = 3
EVENTS_PER_SECOND_MAX = {64: 30000, 1: 6000}


class Bench:
    def __init__(self, load, cluster, orderd):
        self.load = load
        self.orderd = orderd
        self.yardstick = cluster.create_database()
        self.yardstick.psql("-f", str(HERE / "one-event-schema.sql"))
        self.salt = 0

    def accept(self, clients, seconds):
        self.salt += 1
        said = deliver(self.load, self.orderd, clients, seconds,
                       int(EVENTS_PER_SECOND_MAX[clients] * seconds), "b%d" % self.salt)
        return {name: said[name] for name in ("rate", "p50_ms", "p99_ms")}

    def pgbench(self, clients, seconds):
        self.salt += 1
        with tempfile.TemporaryDirectory(prefix="orderd-bench-") as logs:
            run([os.path.join(pg.bindir(), "pgbench"), "-n", "-M", "prepared", "-c", str(clients),
                 "-j", str(min(2, clients)), "-T", str(int(seconds)), "-D", "salt=%d" % self.salt,
                 "-D", "i=0", "-f", str(HERE / "one-event.sql"), "-l", "--log-prefix=t",
                 self.yardstick.conninfo("postgres")], cwd=logs)
            times = []
            for log in glob.glob(logs + "/t.*"):
                with open(log, encoding="ascii") as lines:
                    times += [int(line.split()[2]) for line in lines]
        times.sort()
        return {"rate": len(times) / seconds, "p50_ms": times[len(times) // 2] / 1000,
                "p99_ms": times[len(times) * 99 // 100] / 1000}


def compare(bench, clients, seconds, rounds):
    bench.accept(clients, WARM_UP_SECONDS)
    bench.pgbench(clients, WARM_UP_SECONDS)
    orderd, pgbench = [], []
    for _ in range(rounds):
        orderd.append(bench.accept(clients, seconds))
        pgbench.append(bench.pgbench(clients, seconds))
        print("# %d: orderd %s pgbench %s" % (clients, orderd[-1], pgbench[-1]), flush=True)
    ours, theirs = medians(orderd), medians(pgbench)
    return {"clients": clients, "orderd": dict(ours, spread_percent=spread(orderd, "rate")),
            "pgbench": dict(theirs, spread_percent=spread(pgbench, "rate")),
            "ratio": {name: round(ours[name] / theirs[name], 2) for name in ours}}


def main(load, seconds=8, rounds=3):
    with pg.Cluster(SETTINGS) as cluster:
        with daemon.Daemon(cluster.migrated(), {"log": {"level": "info"}}) as orderd:
            bench = Bench(load, cluster, orderd)
            results = [compare(bench, clients, float(seconds), int(rounds)) for clients in CLIENTS]
    print(json.dumps({"bench": "accept", "seconds": float(seconds), "rounds": int(rounds),
                      "results": results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
