#!/usr/bin/env python3
"""Durable webhooks per second beside pgbench's plain transactions, on the same cluster.

    accept.py LOAD [SECONDS [ROUNDS]]       LOAD: the built load generator

After a warm-up, rounds of pgbench and of orderd in turn; the medians count. pgbench runs
one-event.sql, prepared: one event of the size of one with a cart of one line, and its order, in one
transaction; at several numbers of clients, of which its best counts, by its own rate without the
time to connect. The last line is JSON: ratios orderd / pgbench, that of the rates to pgbench at its
best, those of the times to pgbench with as many clients.
"""

import glob
import json
import os
import re
import sys
import tempfile
from pathlib import Path

from rounds import SETTINGS, deliver, run, summary
from support import daemon, pg

HERE = Path(__file__).resolve().parent
PGBENCH_CLIENTS = (1, 8, 16, 64)
CLIENTS = (1, 8, 64, 256)
LINES = (1, 4)
WARM_UP_SECONDS = 2
EVENTS_PER_SECOND_MAX = {1: 6000, 8: 15000, 64: 30000, 256: 30000}
TPS = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)$", re.MULTILINE)


class Bench:
    def __init__(self, load, cluster, orderd):
        self.load = load
        self.orderd = orderd
        self.yardstick = cluster.create_database()
        self.yardstick.psql("-f", str(HERE / "one-event-schema.sql"))
        self.salt = 0

    def accept(self, clients, lines, seconds):
        self.salt += 1
        said = deliver(self.load, self.orderd, clients, seconds,
                       int(EVENTS_PER_SECOND_MAX[clients] * seconds), "b%d" % self.salt, lines)
        return {name: said[name] for name in ("rate", "p50_ms", "p99_ms")}

    def pgbench(self, clients, seconds):
        self.salt += 1
        with tempfile.TemporaryDirectory(prefix="orderd-bench-") as logs:
            said = run([
                os.path.join(pg.bindir(), "pgbench"), "-n", "-M", "prepared", "-c", str(clients),
                "-j", str(min(2, clients)), "-T", str(max(1, int(seconds))),
                "-D", "salt=%d" % self.salt, "-D", "i=0", "-f", str(HERE / "one-event.sql"), "-l",
                "--log-prefix=t", self.yardstick.conninfo("postgres")], cwd=logs)
            times = []
            for log in glob.glob(logs + "/t.*"):
                with open(log, encoding="ascii") as lines:
                    times += [int(line.split()[2]) for line in lines]
        times.sort()
        return {"rate": float(TPS.search(said).group(1)), "p50_ms": times[len(times) // 2] / 1000,
                "p99_ms": times[len(times) * 99 // 100] / 1000}


def measure(bench, seconds, rounds):
    """({clients: rounds of pgbench}, {(clients, lines): rounds of orderd})"""
    theirs = {clients: [] for clients in PGBENCH_CLIENTS}
    ours = {(clients, lines): [] for lines in LINES for clients in CLIENTS}
    bench.pgbench(8, WARM_UP_SECONDS)
    for lines in LINES:
        bench.accept(64, lines, WARM_UP_SECONDS)
    for _ in range(rounds):
        for clients, figures in theirs.items():
            figures.append(bench.pgbench(clients, seconds))
            print("# pgbench %d: %s" % (clients, figures[-1]), flush=True)
        for (clients, lines), figures in ours.items():
            figures.append(bench.accept(clients, lines, seconds))
            print("# orderd %d, lines %d: %s" % (clients, lines, figures[-1]), flush=True)
    return theirs, ours


def compare(theirs, ours):
    pgbench = {clients: summary(figures) for clients, figures in theirs.items()}
    best = max(pgbench, key=lambda clients: pgbench[clients]["rate"])
    results = []
    for (clients, lines), figures in ours.items():
        orderd = summary(figures)
        ratio = {"rate": orderd["rate"] / pgbench[best]["rate"]}
        for name in ("p50_ms", "p99_ms"):
            if clients in pgbench:
                ratio[name] = orderd[name] / pgbench[clients][name]
        results.append({"clients": clients, "lines": lines, "orderd": orderd,
                        "ratio": {name: round(value, 2) for name, value in ratio.items()}})
    return {"pgbench": pgbench, "pgbench_best": best, "results": results}


def main(load, seconds=3, rounds=3):
    with pg.Cluster(SETTINGS) as cluster:
        with daemon.Daemon(cluster.migrated(), {"log": {"level": "info"}}) as orderd:
            theirs, ours = measure(Bench(load, cluster, orderd), float(seconds), int(rounds))
    print(json.dumps({"bench": "accept", "seconds": float(seconds), "rounds": int(rounds),
                      **compare(theirs, ours)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
