#!/usr/bin/env python3
# needs: orderd; beside: no
"""What comes in over HTTP, from many senders at once, ends in the rows that the model says.

Histories are told in any order, with repetitions, by senders that race each other; lists, lookups
and answers to cancellations come in through SQL at the same time and at times find an order locked.
"""

import random
import subprocess
import sys
import threading
import time
import unittest
from collections import Counter, deque
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "convergence"))

import generate
import harness
import model
from support import daemon, pg, scale, tap

HISTORIES = scale.count("http_histories")
CONTROL = 300  # histories told to a false rule
SENDERS = 10
TRIES_MAX = 50  # of one delivery that is answered 503
SECONDS_MAX = 120
FAR = 2_051_222_400 * model.SECOND  # 2035: such a time is cut to a minute after its receipt


def told(seed, count, rules):
    """Histories, a tenth of them dated ahead."""
    return [
        generate.history(seed, index, rules, start=FAR if index % 10 == 0 else None)
        for index in range(count)
    ]


class Senders:
    """Threads that take deliveries from one queue, each over a connection of its own."""

    def __init__(self, orderd, deliveries):
        self.left = deque(deliveries)
        self.outcomes = Counter()
        self.faults = []
        self._orderd = orderd
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(SENDERS)]

    def start(self):
        for thread in self._threads:
            thread.start()

    def join(self):
        for thread in self._threads:
            thread.join(SECONDS_MAX)
            assert not thread.is_alive(), "a sender waits for ever"

    def _run(self):
        try:
            with self._orderd.connect() as connection:
                while True:
                    try:
                        fact = self.left.popleft()
                    except IndexError:
                        return
                    outcome = self._deliver(connection, fact.payload.encode())
                    with self._lock:
                        self.outcomes[outcome] += 1
        except Exception as error:  # told to the test, which fails by it
            with self._lock:
                self.faults.append(repr(error))

    def _deliver(self, connection, body):
        headers = self._orderd.signed(body)
        for _ in range(TRIES_MAX):
            answer = connection.request(body=body, headers=headers)
            if answer.status != 503:
                break
            time.sleep(0.1)  # what a sender does with a 503: it comes again later
        if answer.status != 200:
            raise AssertionError(repr(answer))
        return answer.outcome


def run(cluster, seed, count, false_rule=""):
    """Tell count histories to a new orderd on a new database; what came of it."""
    database = cluster.migrated()
    psql = harness.Psql(pg.program("psql"), database.conninfo("postgres"))
    rules = harness.read_rules(psql)
    if false_rule:
        psql(false_rule)
    histories = told(seed, count, rules)
    near = generate.batches(random.Random(seed), histories)
    deliveries = [fact for batch in near for fact in batch]
    webhooks = [fact for fact in deliveries if fact.source == "webhook"]
    polled = [fact for fact in deliveries if fact.source != "webhook"]
    pages = [polled[i : i + 20] for i in range(0, len(polled), 20)]

    started = time.monotonic()
    with daemon.Daemon(database, {"log": {"level": "info"}}) as orderd:
        senders = Senders(orderd, webhooks)
        senders.start()
        polled_outcomes = psql(harness.offer_script(pages) + harness.OUTCOMES)
        senders.join()
    result = Result(histories, rules, senders, dict(harness.pairs(polled_outcomes)))
    result.seconds = time.monotonic() - started
    result.compare(psql)
    result.database = database
    return result


class Result:
    def __init__(self, histories, rules, senders, polled):
        self.histories, self.rules = histories, rules
        self.outcomes, self.faults = senders.outcomes, senders.faults
        self.polled = polled  # outcome -> count, as texts
        self.webhooks = sum(1 for h in histories for d in h if d.source == "webhook")
        self.differences = []

    def compare(self, psql):
        """orderd alone knows when it received a webhook, and so when an undated one happened."""
        output = psql(harness.READ_ALL)
        rows, facts, received = harness.read_all(output)
        for history in self.histories:
            order_id = history[0].order_id
            history = [
                fact._replace(received_at=received.get((order_id, fact.key.hex()), 0))
                if fact.source == "webhook"
                else fact
                for fact in history
            ]
            expected = harness.expected_row(model.row(history, self.rules))
            found = rows.pop(order_id, None)
            if found != expected:
                self.differences.append((order_id, harness.changes(expected, found)))
            elif facts.pop(order_id, None) != harness.facts_digest(history):
                self.differences.append((order_id, "kept facts, counts or times differ"))
        self.differences += [(order_id, "a row of no known order") for order_id in rows]


class ConvergenceOverHttp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = scale.seed()
        cls.cluster = pg.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def test_two_thousand_histories_end_in_the_rows_of_the_model(self):
        result = run(self.cluster, self.seed, HISTORIES)
        print("# seed %s: %d webhooks by %d senders in %.1f s"
              % (self.seed, result.webhooks, SENDERS, result.seconds))
        print("# webhooks %s; polled %s" % (dict(result.outcomes), result.polled))
        self.assertEqual(result.faults, [])
        self.assertEqual(sum(result.outcomes.values()), result.webhooks)
        self.assertEqual(result.differences[:3], [])
        # The polled ones were told in columns: the reader makes the same of their payloads.
        said = subprocess.run(
            [daemon.program(), "replay", "--all", "--dry-run",
             "--admin-conninfo", result.database.conninfo("postgres")],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
        self.assertRegex(said, "^orderd: [0-9]{4,} facts read again, 0 of them")

    def test_the_rule_that_the_newest_time_wins_is_found_out(self):
        result = run(self.cluster, self.seed, CONTROL, harness.NEWEST_TIME_WINS)
        self.assertEqual(result.faults, [])
        wrong = sum(1 for _, how in result.differences if "status:" in how)
        print("# %d of %d orders in a wrong status" % (wrong, CONTROL))
        self.assertGreater(wrong, CONTROL // 50)


if __name__ == "__main__":
    tap.main()
