#!/usr/bin/env python3
"""orderd beside receivers in Node: a handler on Fastify and pg, and stripe-sync-engine.

    peers.py LOAD [SECONDS [ROUNDS]]        LOAD: the built load generator

The packages come from npm, into a directory that is gone afterwards; without node or a registry the
benchmark says SKIP. Each has a database of its own on the same cluster, and news of about the same
size: carts of one line, and charges. Rounds in turn, the medians count; the last line is JSON, with
ratios orderd / peer.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rounds import SECONDS_MAX, SETTINGS, deliver, summary
from support import daemon, pg, sign

HERE = Path(__file__).resolve().parent
PACKAGES = ("fastify@5", "pg@8", "@supabase/stripe-sync-engine@0.48", "stripe@23")
CLIENTS = (1, 8, 64)
EVENTS_PER_SECOND_MAX = {1: 6000, 8: 15000, 64: 30000}
WARM_UP_SECONDS = 2
SENDERS = {"orderd": "torque", "fastify": "torque", "stripe": "stripe"}


def install(directory):
    """Why the packages cannot be had, or ""."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            return "no %s here" % program
    shutil.copy(HERE / "peers.js", directory)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES],
        cwd=directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=SECONDS_MAX, check=False)
    return done.stdout.strip().splitlines()[-1] if done.returncode else ""


class Peer:
    """A receiver in Node, as daemon.Daemon is one."""

    def __init__(self, directory, kind, database):
        self.secret = sign.SECRET
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "node", "peers.js", kind,
             database.cluster.directory, database.name],
            cwd=directory, stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, SECRET=self.secret, NODE_ENV="production"))
        self.address = "127.0.0.1:" + self.process.stdout.readline().strip()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def start(cluster, directory, ends):
    receivers = {"orderd": daemon.Daemon(cluster.migrated(), {"log": {"level": "info"}})}
    for kind in ("fastify", "stripe"):
        database = cluster.create_database()
        if kind == "fastify":
            database.psql("-f", str(HERE / "one-event-schema.sql"))
        receivers[kind] = Peer(directory, kind, database)
    for receiver in receivers.values():
        ends.callback(receiver.close)
    return receivers


class Bench:
    def __init__(self, load, receivers, seconds):
        self.load, self.receivers, self.seconds, self.count = load, receivers, seconds, 0

    def measure(self, name, clients, seconds):
        self.count += 1
        said = deliver(self.load, self.receivers[name], clients, seconds,
                       int(EVENTS_PER_SECOND_MAX[clients] * seconds), "p%d" % self.count,
                       sender=SENDERS[name])
        return {figure: said[figure] for figure in ("rate", "p50_ms", "p99_ms")}

    def compare(self, clients, rounds):
        seen = {name: [] for name in self.receivers}
        for name in self.receivers:
            self.measure(name, clients, WARM_UP_SECONDS)
        for _ in range(rounds):
            for name, figures in seen.items():
                figures.append(self.measure(name, clients, self.seconds))
        result = {name: summary(figures) for name, figures in seen.items()}
        return dict(result, clients=clients, ratio={
            name: {figure: round(result["orderd"][figure] / result[name][figure], 2)
                   for figure in ("rate", "p50_ms", "p99_ms")}
            for name in result if name != "orderd"})


def main(load, seconds=3, rounds=3):
    results = []
    with tempfile.TemporaryDirectory(prefix="orderd-peers-") as directory:
        missing = install(directory)
        if missing:
            print("SKIP: " + missing)
            return
        with pg.Cluster(SETTINGS) as cluster, contextlib.ExitStack() as ends:
            bench = Bench(load, start(cluster, directory, ends), float(seconds))
            for clients in CLIENTS:
                results.append(bench.compare(clients, int(rounds)))
                print("# %s" % json.dumps(results[-1]), flush=True)
    print(json.dumps({"bench": "peers", "seconds": float(seconds), "rounds": int(rounds),
                      "results": results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
