#!/usr/bin/env python3
"""Instructions of a PostgreSQL backend for a fact, in user mode: a price that noise does not touch.

    instructions.py BATCH_PROBE

Counted by callgrind while batch_probe brings orders of three facts, one fact or 64 in a
transaction: what the second of two runs takes more, by its facts more. The last line is JSON, in
thousands; null where transactions were too slow for their deadline.
"""

import json
import re
import shutil
import sys
from pathlib import Path

from rounds import run
from support import pg, tools, wait

FACTS = (576, 1152)  # whole orders, and the first so many that all plans are made
KEEP_MS = 100000
# Facts of a transaction, lines of a cart, words of batch_probe.
CASES = ((1, 1, ()), (64, 1, ()), (1, 4, ()), (64, 4, ()), (1, 1, ("notify",)),
         (64, 1, ("notify",)))
SETTINGS = {"autovacuum": "off", "fsync": "off", "log_connections": "on",
            "log_line_prefix": "'%p '"}
BEGUN = re.compile(r"^(\d+) .*authorized: .*application_name=batch_probe 1/1", re.MULTILINE)
TIMEOUT = "canceling statement due to statement timeout"
TIMEOUTS_MAX = 2  # while plans are made
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


def total(cluster, pid):
    """What callgrind counted, once that process has ended."""
    path = Path(cluster.directory) / ("callgrind.%s" % pid)
    return int(wait.until(lambda: path.exists() and TOTAL.search(path.read_text("utf-8")), 60,
                          "callgrind has counted").group(1))


def instructions(database, probe, facts, window, lines, words):
    """Of the backends that have brought them: one, unless its first transaction took too long.
    None: on this machine all do."""
    before = len(database.cluster.log())
    run([probe, database.conninfo(), "1", str(KEEP_MS), *words, "unsafe", "load", str(facts),
         str(window), str(lines)])
    log = database.cluster.log()[before:]
    if log.count(TIMEOUT) > TIMEOUTS_MAX:
        return None
    return sum(total(database.cluster, pid) for pid in BEGUN.findall(log))


def measure(cluster, probe):
    """Yields a result for each case."""
    databases = {(case, facts): cluster.migrated() for case in CASES for facts in FACTS}
    cluster.stop()
    cluster.start(["valgrind", "--tool=callgrind", "--callgrind-out-file=callgrind.%p"])
    for case in CASES:
        few, more = [instructions(databases[case, facts], probe, facts, *case) for facts in FACTS]
        thousands = few and more and round((more - few) / (FACTS[1] - FACTS[0]) / 1000)
        yield {"batch": case[0], "lines": case[1], "notify": bool(case[2]), "k": thousands}


def main(probe):
    if not shutil.which("valgrind"):
        print("SKIP: " + tools.absent("valgrind"))
        return
    results = []
    with pg.Cluster(SETTINGS) as cluster:
        for result in measure(cluster, probe):
            results.append(result)
            print("# %s" % result, flush=True)
    print(json.dumps({"bench": "instructions", "results": results}))


if __name__ == "__main__":
    main(*sys.argv[1:])
