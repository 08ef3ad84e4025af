#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Any order, repetition and batching of the same facts ends in the row that the model says.

Random histories go through torque.take(), take_many() and take_each(); every row is compared with
the reference model, then folded anew from its facts and compared with itself. Two false rules, the
last to arrive wins and the newest time wins, must be found out by the same comparison.

How many there are, and which: support/scale.py.
"""

import random
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate
import harness
import model
from support import pg, scale, tap, workers

SHARE = 2_500  # histories per psql session
COVERED_FROM = 100_000  # as many histories meet every cell, whatever the seed
CONTROL = 1_000  # histories shown to a false rule
SHOWN = 3  # differences printed
# Nothing here is about durability, and the disk is not to be waited for.
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
            "max_wal_size": "2GB", "autovacuum_naptime": "5s"}


class Share:
    """What one share of the histories has shown."""

    def __init__(self):
        self.histories = self.deliveries = self.facts = 0
        self.batches = 0
        self.differences = []
        self.cells = set()
        self.outcomes = Counter()
        self.statuses = Counter()

    def add(self, other):
        for name, value in vars(other).items():
            if isinstance(value, set):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


def run_share(work):
    """Generate, offer, read back, compare: orders first to first + count - 1."""
    psql, rules, seed, first, count, refold = work
    share = Share()
    histories = [generate.history(seed, first + i, rules) for i in range(count)]
    batches = [b for b in generate.batches(random.Random("%s/%d" % (seed, first)), histories) if b]
    script = harness.offer_script(batches) + harness.read_script(refold)
    rows, facts, outcomes, refolded = harness.read_answer(psql(script))
    for deliveries in histories:
        order_id = deliveries[0].order_id
        expected = harness.expected_row(model.row(deliveries, rules, share.cells))
        found = rows.pop(order_id, None)
        share.statuses[expected["status"] if expected else None] += 1
        if found != expected:
            share.differences.append((order_id, "row", harness.changes(expected, found)))
        elif facts.pop(order_id, None) != harness.facts_digest(deliveries):
            share.differences.append((order_id, "facts", "kept facts, counts or times differ"))
        share.facts += len({d.key for d in deliveries})
        share.deliveries += len(deliveries)
    share.differences += [(order_id, "row", "of no known order") for order_id in rows]
    share.differences += [(order_id, "refold", "folded anew it differs") for order_id in refolded]
    share.outcomes.update(outcomes)
    share.histories, share.batches = count, len(batches)
    return share


def run_all(psql, rules, seed, histories, refold=True):
    total = Share()
    work = [
        (psql, rules, seed, first, min(SHARE, histories - first), refold)
        for first in range(0, histories, SHARE)
    ]
    for share in workers.each(run_share, work):
        total.add(share)
    return total


class Convergence(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = scale.seed()
        cls.histories = scale.count("histories")
        cls.cluster = pg.Cluster(SETTINGS)
        cls.addClassCleanup(cls.cluster.close)
        cls.psql = cls.database()
        cls.rules = harness.read_rules(cls.psql)
        started = time.monotonic()
        cls.total = run_all(cls.psql, cls.rules, cls.seed, cls.histories)
        cls.report(time.monotonic() - started)

    @classmethod
    def database(cls):
        database = cls.cluster.migrated()
        return harness.Psql(pg.program("psql"), database.conninfo("postgres"))

    @classmethod
    def report(cls, seconds):
        total = cls.total
        print("# seed %s" % cls.seed)
        print("# %d histories, %d facts, %d deliveries in %d batches, %d cells, %.0f s, %.0f/s"
              % (total.histories, total.facts, total.deliveries, total.batches, len(total.cells),
                 seconds, total.deliveries / seconds))
        for counts in (total.outcomes, total.statuses):
            print("# " + ", ".join("%s %d" % item for item in counts.most_common()), flush=True)

    def show(self, differences):
        for order_id, what, how in differences[:SHOWN]:
            print("# seed %s, %s, %s: %s" % (self.seed, order_id, what, how))
            index = int(order_id.rsplit("-", 1)[1])
            for fact in generate.history(self.seed, index, self.rules):
                print("#   %r" % (fact,))

    def test_every_row_is_what_the_model_says(self):
        wrong = [d for d in self.total.differences if d[1] == "row"]
        self.show(wrong)
        self.assertEqual(len(wrong), 0)

    def test_every_fact_is_kept_once_and_counted(self):
        wrong = [d for d in self.total.differences if d[1] == "facts"]
        self.show(wrong)
        self.assertEqual(len(wrong), 0)
        self.assertEqual(sum(self.total.outcomes.values()), self.total.deliveries)

    def test_folding_anew_from_the_facts_changes_no_row(self):
        wrong = [d for d in self.total.differences if d[1] == "refold"]
        self.show(wrong)
        self.assertEqual(len(wrong), 0)

    def test_every_cell_of_the_table_is_met_from_every_source_in_every_tie(self):
        wanted = set(model.all_cells(self.rules))
        self.assertEqual(self.total.cells - wanted, set())
        missing = wanted - self.total.cells
        print("# %d of %d cells" % (len(wanted) - len(missing), len(wanted)))
        if self.histories >= COVERED_FROM:
            self.assertEqual(missing, set())

    def test_every_outcome_is_met(self):
        known = {"applied", "duplicate", "recorded", "held", "ignored"}
        self.assertEqual(set(self.total.outcomes) - {"busy"}, known)

    def test_the_rule_that_the_last_to_arrive_wins_is_found_out(self):
        self.assert_found_out(harness.LAST_TO_ARRIVE_WINS)

    def test_the_rule_that_the_newest_time_wins_is_found_out(self):
        self.assert_found_out(harness.NEWEST_TIME_WINS)

    def assert_found_out(self, false_rule):
        psql = self.database()
        psql(false_rule)
        share = run_share((psql, self.rules, self.seed, 0, CONTROL, False))
        wrong = sum(1 for d in share.differences if "status:" in d[2])
        print("# %d of %d orders in a wrong status" % (wrong, share.histories))
        self.assertGreater(wrong, CONTROL // 50)


if __name__ == "__main__":
    tap.main()
