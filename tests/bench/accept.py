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
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from support import daemon, http, pg

HERE = Path(__file__).resolve().parent
CLIENTS = (64, 1)
WARM_UP_SECONDS = 3
EVENTS_PER_SECOND_MAX = {64: 30000, 1: 6000}
# Recycled WAL instead of new files in the middle of a round; the same for both.
SETTINGS = {"min_wal_size": "2GB", "max_wal_size": "8GB", "max_connections": "100"}


def run(command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=300, **options)
    if done.returncode:
        raise SystemExit("%s: exit code %d\n%s%s" % (
            command[0], done.returncode, done.stdout, done.stderr))
    return done.stdout


class Bench:
    def __init__(self, load, cluster, orderd):
        self.load = load
        self.orderd = orderd
        self.yardstick = cluster.create_database()
        self.yardstick.psql("-f", str(HERE / "one-event-schema.sql"))
        self.salt = 0

    def accept(self, clients, seconds):
        self.salt += 1
        said = json.loads(run([
            self.load, self.orderd.address.rsplit(":", 1)[1], http.PATH, self.orderd.secret,
            str(clients), str(seconds), str(int(EVENTS_PER_SECOND_MAX[clients] * seconds)),
            "b%d" % self.salt]))
        if said["exhausted"]:
            raise SystemExit("more events a second than were prepared: raise the maximum")
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


def medians(rounds):
    return {name: round(statistics.median(r[name] for r in rounds), 3) for name in rounds[0]}


def spread(rounds):
    """Of the rates, in percent of the median."""
    rates = [r["rate"] for r in rounds]
    return round(100 * (max(rates) - min(rates)) / statistics.median(rates))


def compare(bench, clients, seconds, rounds):
    bench.accept(clients, WARM_UP_SECONDS)
    bench.pgbench(clients, WARM_UP_SECONDS)
    orderd, pgbench = [], []
    for _ in range(rounds):
        orderd.append(bench.accept(clients, seconds))
        pgbench.append(bench.pgbench(clients, seconds))
        print("# %d: orderd %s pgbench %s" % (clients, orderd[-1], pgbench[-1]), flush=True)
    ours, theirs = medians(orderd), medians(pgbench)
    return {"clients": clients, "orderd": dict(ours, spread_percent=spread(orderd)),
            "pgbench": dict(theirs, spread_percent=spread(pgbench)),
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
