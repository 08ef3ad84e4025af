"""How much of what is random or repeated a run does: one switch for all of it, and its seed.

ORDERD_TEST_SCALE: quick (tests/run: minutes), all (tests/run --all and every other way to run a
test) or full (tests/run --full: hours). One count alone, to replay or to search:
ORDERD_TEST_HISTORIES=2000, say. ORDERD_TEST_SEED: which; each test prints its own, and the same
again replays it.
"""

import os
import random

SCALES = ("quick", "all", "full")
COUNTS = {
    # test_convergence, histories of an order through SQL
    "histories": (5_000, 100_000, 2_000_000),
    # test_40_convergence_http, the same over HTTP
    "http_histories": (600, 2_000, 50_000),
    # test_reconcile_walks, percent of 2,000 walks with faults and 600 of a shop that moves
    "walks": (10, 100, 2_000),
    # test_reconcile_time, simulated hours of a busy shop
    "hours": (1.5, 1.5, 48),
    # test_first_day, orders that were there before anybody polled
    "old_orders": (6_000, 20_000, 100_000),
    # test_poller_weight, orders of the larger of two tables
    "weight": (50_000, 200_000, 1_000_000),
    # test_reconcile_time, webhooks and answers in any order
    "interleavings": (2_000, 10_000, 200_000),
    # test_26_settings, those that are set by themselves
    "settings": (2, 5, 10_000),
    # test_70_chaos, crashes under load
    "crashes": (6, 20, 1_000),
    # test_70_chaos, every n-th position of a batch is poisoned
    "poison_step": (7, 1, 1),
    # test_72_torture, percent of all calls that fail, one at a time
    "torture": (5, 10, 100),
    # test_12_node, mutations of requests
    "requests": (2_000, 6_000, 1_000_000),
    # test_reader, changed copies of bodies that PostgreSQL reads again
    "bodies": (1_500, 5_000, 100_000),
    # mutants, faults planted one by one
    "mutants": (15, 15, 10_000),
    # test_60_systemd, deliveries through eight restarts
    "restart_requests": (5_000, 5_000, 50_000),
}


def count(name):
    """The count of that name, in the scale of this run."""
    given = os.environ.get("ORDERD_TEST_" + name.upper())
    if given:
        return float(given) if "." in given else int(given)
    return COUNTS[name][SCALES.index(os.environ.get("ORDERD_TEST_SCALE") or "all")]


def seed():
    """A text; print it where a run depends on it."""
    return os.environ.get("ORDERD_TEST_SEED") or "%08x" % random.SystemRandom().getrandbits(32)
