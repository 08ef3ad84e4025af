#!/usr/bin/env python3
# beside: yes
"""The model itself, on histories small enough to be worked out by hand."""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import model

S = model.SECOND
RULES = model.Rules(
    rank={"pending": 1, "processing": 2, "completed": 3, "cancelled": 4, "refunded": 5},
    final=frozenset(("completed", "cancelled", "refunded")),
    alias={"paid": "processing"},
    event={
        "order.created": ("pending", False),
        "order.paid": ("processing", False),
        "order.completed": ("completed", False),
        "payment.failed": (None, True),
    },
    move={
        ("pending", "processing"): "documented",
        ("processing", "completed"): "documented",
        ("pending", "cancelled"): "documented",
        ("pending", "completed"): "skipped",
        ("completed", "cancelled"): "plausible",
        ("completed", "refunded"): "plausible",
    },
)


def hook(word, time, event_type="order.other", received_at=None, event_id=None, **told):
    key = hashlib.sha256(repr((word, time, event_type, event_id, told)).encode()).digest()
    if received_at is None:
        received_at = time
    return model.Fact(
        "webhook", "o-1", key, event_id, event_type, word, time, received_at, "{}", told
    )


def poll(source, word, time, **told):
    key = hashlib.sha256((source + repr(told) + str(word)).encode()).digest()
    return model.Fact(source, "o-1", key, None, None, word, time, time + 1, "{}", told)


T0 = 1_700_000_000 * S  # a moment of 2023
CASES = (
    (
        "an order takes its path whatever arrives first",
        [hook("completed", 30 * S), hook("pending", 10 * S), hook("paid", 20 * S)],
        {"status": "completed", "status_at": 30 * S, "processing_at": 20 * S, "held_facts": 0},
    ),
    (
        "of one instant the higher rank is the later",
        [hook("processing", 10 * S), hook("pending", 10 * S)],
        {"status": "processing", "pending_at": 10 * S, "verify_after": None},
    ),
    (
        "an anomaly is held and asks",
        [hook("completed", 10 * S), hook("pending", 20 * S)],
        {"status": "completed", "held_facts": 1, "pending_at": None, "verify_after": 21 * S},
    ),
    (
        "a plausible move is made and asks",
        [hook("completed", 10 * S), hook("cancelled", 20 * S)],
        {"status": "cancelled", "held_facts": 0, "verify_after": 21 * S},
    ),
    (
        "a lookup is believed, even backwards",
        [hook("completed", 10 * S), poll("lookup", "pending", 20 * S)],
        {"status": "pending", "completed_at": 10 * S, "verify_after": None, "is_open": True},
    ),
    (
        "what is older than the lookup moves nothing, and may know an earlier time",
        [poll("lookup", "completed", 50 * S), hook("completed", 10 * S), hook("pending", 5 * S)],
        {"status": "completed", "status_at": 10 * S, "pending_at": 5 * S, "held_facts": 0},
    ),
    (
        "news shortly before the lookup asks again",
        [poll("lookup", "processing", 50 * S), hook("completed", 45 * S, received_at=60 * S)],
        {"status": "processing", "verify_after": 61 * S},
    ),
    (
        "news longer before the lookup does not",
        [poll("lookup", "processing", 50 * S), hook("completed", 45 * S - 1, received_at=60 * S)],
        {"status": "processing", "verify_after": None},
    ),
    (
        "an anomaly shortly before the lookup does not",
        [poll("lookup", "completed", 50 * S), hook("pending", 49 * S, received_at=60 * S)],
        {"status": "completed", "verify_after": None},
    ),
    (
        "a time ahead of its receipt counts as a minute after it",
        [hook("pending", 900 * S, received_at=10 * S), hook("completed", 80 * S)],
        {"status": "completed", "pending_at": 70 * S, "newest_as_of": 80 * S},
    ),
    (
        "the first receipt of a repeated fact is the one that counts",
        [hook("pending", 900 * S, received_at=r) for r in (30 * S, 10 * S, 20 * S)],
        {"status_at": 70 * S, "first_seen_at": 10 * S},
    ),
    (
        "no time: the time of receipt",
        [hook("pending", None, received_at=10 * S)],
        {"status_at": 10 * S, "created_at": None, "verify_after": 11 * S},
    ),
    (
        "an answer polled twice is as new as the later request",
        [
            poll("lookup", "pending", 10 * S),
            poll("lookup", "pending", 40 * S),
            hook("paid", 20 * S),
        ],
        {"status": "pending", "newest_as_of": 40 * S, "last_confirmed_at": 40 * S},
    ),
    (
        "an unknown word shows while it is the newest",
        [hook("pending", 10 * S), hook("shipped", 20 * S)],
        {"status": "pending", "raw_status": "shipped", "verify_after": None},
    ),
    (
        "and no longer, be the newer fact a held one",
        [hook("completed", 10 * S), hook("shipped", 20 * S), hook("pending", 30 * S)],
        {"status": "completed", "raw_status": None},
    ),
    (
        "an order of unknown words alone is unknown",
        [hook("shipped", 20 * S, "order.paid")],
        {"status": "unknown", "status_at": None, "raw_status": "shipped", "is_open": True},
    ),
    (
        "a failed payment asks and moves nothing",
        [hook("pending", 10 * S), hook(None, 20 * S, "payment.failed")],
        {"status": "pending", "verify_after": 21 * S},
    ),
    (
        "a word that contradicts the event's name counts, and asks",
        [hook("completed", 10 * S, "order.paid")],
        {"status": "completed", "verify_after": 11 * S},
    ),
    (
        "two bodies with one event id ask",
        [hook("pending", 10 * S, event_id="e"), hook("processing", 20 * S, event_id="e")],
        {"status": "processing", "verify_after": 21 * S},
    ),
    (
        "a list row that moves the order asks; one that does not is silent",
        [poll("list", "pending", 10 * S), poll("list", "pending", 20 * S, session_id="s")],
        {"status": "pending", "status_at": 10 * S, "verify_after": 11 * S + 1},
    ),
    (
        "a lookup's updatedAt dates the status, but never after the request",
        [poll("lookup", "pending", T0, updated_at=T0 - 10 * S)],
        {"status_at": T0 - 10 * S, "newest_as_of": T0},
    ),
    (
        "a list row never overwrites what a detailed fact told",
        [
            hook("pending", 10 * S, total="29.90", currency="USD"),
            poll("list", "pending", 20 * S, total="31", currency="EUR", item_count=2),
        ],
        {"total": "29.90", "currency": "USD", "item_count": 2, "has_details": False},
    ),
    (
        "an amount that cannot be read is unknown, and its fact counts",
        [hook("pending", 10 * S), hook("paid", 20 * S, currency="USD", faults=["total"])],
        {"status": "processing", "newest_as_of": 20 * S, "total": None, "currency": "USD"},
    ),
)
ROWLESS = (
    ("an ignored fact makes no row", [hook(None, 10 * S, "order.other")]),
    ("a test order makes no row", [hook("paid", 10 * S)._replace(order_id="orderd-test.1")]),
)


def faults():
    """(promise, what is wrong with it or "")"""
    for promise, deliveries, expected in CASES:
        row = model.row(deliveries, RULES)
        yield promise, "; ".join("%s is %r, not %r" % (name, row[name], value)
                                 for name, value in expected.items() if row[name] != value)
    for promise, deliveries in ROWLESS:
        yield promise, "" if model.row(deliveries, RULES) is None else "it has a row"


def main():
    broken = count = 0
    for promise, fault in faults():
        count += 1
        broken += bool(fault)
        print("%sok %d - %s" % ("not " if fault else "", count, promise))
        if fault:
            print("# " + fault)
    print("1..%d" % count)
    return 1 if broken or not count else 0


if __name__ == "__main__":
    sys.exit(main())
