"""The reference model: what the row of an order should be, written from the text of the rules.

It knows nothing of the SQL, shares no code with it, and is meant to be read. The row is a function
of the set of facts: sort them once, walk them once. Times are whole microseconds since 1970.
"""

import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import NamedTuple, Optional

SECOND = 1_000_000
FUTURE_MAX = 60 * SECOND  # a webhook is never later than its receipt by more
BEFORE_BASE = 5 * SECOND  # clocks differ: a fact so shortly before a lookup may still be news
ASK_DELAY = SECOND
POLLED = ("list", "lookup", "operator")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Rules(NamedTuple):
    """The tables a merchant may edit."""

    rank: dict  # status -> 1..
    final: frozenset  # statuses that close an order
    alias: dict  # word -> status
    event: dict  # event type -> (status or None, asks for a lookup)
    move: dict  # (from, to) -> documented | skipped | plausible | anomaly


class Fact(NamedTuple):
    """One delivery, one list row, one answer."""

    source: str  # webhook | list | lookup | operator
    order_id: str
    key: bytes
    event_id: Optional[str]
    event_type: Optional[str]
    claimed: Optional[str]  # the status word as it was sent
    occurred_at: Optional[int]  # polled: the start of the request
    received_at: int
    payload: str
    told: dict = {}  # what the payload says, by columns of order_events; times in microseconds


# --- from deliveries to the set -----------------------------------------------------------------


def merge(deliveries):
    """Repeats are one fact: received when first received, polled when last polled."""
    facts = {}
    for new in deliveries:
        old = facts.get(new.key)
        if old is not None:
            occurred_at = new.occurred_at
            if new.source in POLLED:
                occurred_at = max(old.occurred_at, new.occurred_at)
            new = new._replace(
                received_at=min(old.received_at, new.received_at), occurred_at=occurred_at
            )
        facts[new.key] = new
    return list(facts.values())


def is_ignored(fact, rules):
    """A webhook that tells no status and whose name means nothing to us."""
    return fact.source == "webhook" and fact.claimed is None and fact.event_type not in rules.event


# --- one fact, as the fold sees it --------------------------------------------------------------


class Told:
    """What one fact says."""

    def __init__(self, fact, rules):
        self.fact = fact
        self.source = fact.source
        self.as_of = as_of(fact)
        self.named, self.asks_lookup = rules.event.get(fact.event_type, (None, False))
        self.status = self.unknown = None
        if fact.claimed is None:
            self.status = self.named
        elif fact.claimed in rules.rank:
            self.status = fact.claimed
        elif fact.claimed in rules.alias:
            self.status = rules.alias[fact.claimed]
        else:
            self.unknown = fact.claimed
        self.contradicts = (
            fact.claimed is not None
            and None not in (self.status, self.named)
            and self.status != self.named
        )
        self.has_no_time = fact.source == "webhook" and fact.occurred_at is None
        self.place = (self.as_of, rules.rank.get(self.status, 0), fact.key)  # in the fold

    def status_time(self):
        if self.source in ("webhook", "list"):
            return self.as_of
        stamp = self.fact.told.get("cancelled_at" if self.source == "operator" else "updated_at")
        return self.as_of if stamp is None else min(stamp, self.as_of)


def as_of(fact):
    if fact.source in POLLED:
        return fact.occurred_at
    claimed = fact.received_at if fact.occurred_at is None else fact.occurred_at
    return min(claimed, fact.received_at + FUTURE_MAX)


# --- the row ------------------------------------------------------------------------------------


def row(deliveries, rules, cells=None):
    """The row of torque.orders for these deliveries of one order, or None when there is none.

    cells, a set, gains what was tried: (from, to, source, where).
    """
    if deliveries[0].order_id.startswith("orderd-test."):
        return None
    told = [Told(fact, rules) for fact in merge(deliveries) if not is_ignored(fact, rules)]
    told.sort(key=lambda t: t.place)
    if not told:
        return None
    result = fold_status(told, rules, cells)
    result.update(describe(told))
    result["first_seen_at"] = min(t.fact.received_at for t in told)
    result["newest_as_of"] = told[-1].as_of
    lookups = [t.as_of for t in told if t.source == "lookup"]
    result["last_confirmed_at"] = lookups[-1] if lookups else None
    result["has_details"] = result["items"] is not None
    result["is_open"] = result["status"] not in rules.final
    return result


def fold_status(told, rules, cells):
    base = None
    for t in told:
        if t.source == "lookup" and t.status:
            base = t
    if base is None:
        older, after = [], told
    else:
        older = [t for t in told if t.as_of <= base.as_of and t is not base]
        after = [t for t in told if t.as_of > base.as_of]

    current = None
    at = {status: None for status in rules.rank}
    asks = []
    held = 0
    raw = None

    # Facts that are not after the base move nothing; they may know an earlier time.
    for t in older:
        if t.status:
            at[t.status] = least(at[t.status], t.status_time())
            near = t.as_of >= base.as_of - BEFORE_BASE
            if near and judge(base.status, t.status, rules) in ("moved", "moved in doubt"):
                asks.append(t)
    if base is not None:
        current = base.status
        at[current] = least(at[current], base.status_time())

    shared = shared_ids(told)
    for t in after:
        asking = (
            t.asks_lookup or t.contradicts or t.has_no_time or t.fact.event_id in shared
        )
        if t.unknown is not None:
            raw = t.unknown
        if t.status:
            raw = None
            verdict = judge(current, t.status, rules)
            if verdict == "held":
                held += 1
            if verdict in ("moved", "moved in doubt"):
                current = t.status
                at[current] = t.status_time()
            asking = (
                asking
                or verdict in ("held", "moved in doubt")
                or (verdict == "moved" and t.source == "list")
            )
        if asking:
            asks.append(t)

    times = [max(t.fact.received_at, t.as_of) + ASK_DELAY for t in asks]
    times = [time for time in times if base is None or time > base.as_of]
    if cells is not None:
        note_cells(cells, told, base, rules)
    result = {status + "_at": at[status] for status in rules.rank}
    result.update(
        status=current or "unknown",
        status_at=at[current] if current else None,
        raw_status=raw,
        held_facts=held,
        verify_after=max(times) if times else None,
    )
    return result


def judge(current, to, rules):
    if current is None:
        return "moved"
    if current == to:
        return "recorded"
    kind = rules.move.get((current, to), "anomaly")
    return {"documented": "moved", "skipped": "moved", "plausible": "moved in doubt"}.get(
        kind, "held"
    )


def shared_ids(told):
    seen, shared = set(), set()
    for t in told:
        if t.fact.event_id is not None:
            (shared if t.fact.event_id in seen else seen).add(t.fact.event_id)
    return shared


def least(one, other):
    return other if one is None else min(one, other)


# --- what an order is, besides its status -------------------------------------------------------


def describe(told):
    """Each field by itself: the last fact that carries it; list rows are older than all others."""
    result = dict.fromkeys(FIELDS)
    for t in sorted(told, key=lambda t: (t.source != "list", t.place)):
        for field, value in carried(t).items():
            if value is not None:
                result[field] = value
    return result


FIELDS = (
    "business_id session_id created_at updated_at cancellation_reason customer_email"
    " customer_first_name customer_last_name customer_phone customer_address currency subtotal"
    " discounts shipping total item_count payment_method payment_transaction_id payment_amount"
    " payment_status items"
).split()
AMOUNTS = "subtotal discounts shipping total payment_amount".split()


def carried(t):
    result = {name: t.fact.told.get(name) for name in FIELDS}
    for name in AMOUNTS:
        result[name] = money(result[name])
    if result["customer_address"] is not None:
        result["customer_address"] = json.loads(result["customer_address"])
    if result["items"] is not None:
        result["items"] = [line_of(line) for line in result["items"]]
    return result


def line_of(line):
    """[product, quantity, price, total, variant, metadata]"""
    product, variant, metadata = (
        json.loads(line[name]) if name in line else None
        for name in ("product_id", "variant", "metadata")
    )
    quantity, price, total = (money(line.get(name)) for name in ("quantity", "price", "total"))
    return [product, quantity, price, total, variant, metadata]


def money(digits):
    """A JSON number as PostgreSQL writes it, no digit lost."""
    if digits is None:
        return None
    number = Decimal(digits)
    if not number:
        number = number.copy_abs()
    return format(number, "f")


# --- what has been tried ------------------------------------------------------------------------


def note_cells(cells, told, base, rules):
    """Every known status is a try of a cell of the table: from where, to what, by whom, when."""
    times = [t.as_of for t in told]
    current = None
    for t in told:
        if not t.status:
            continue
        if base is not None and t.as_of <= base.as_of and t is not base:
            if t.as_of == base.as_of:
                where = "same time as base"
            else:
                near = t.as_of >= base.as_of - BEFORE_BASE
                where = "just before base" if near else "before base"
            cells.add((base.status, t.status, t.source, where))
            continue
        tied = times.count(t.as_of) > 1
        if t is base:
            cells.add((current_before(told, base, rules), t.status, "lookup", tied_word(tied)))
            current = t.status
            continue
        cells.add((current, t.status, t.source, tied_word(tied)))
        if judge(current, t.status, rules) != "held":
            current = t.status


def tied_word(tied):
    return "tied" if tied else "alone"


def current_before(told, base, rules):
    """The status the order would have had without this lookup."""
    before = [t for t in told if t.place < base.place]
    return fold_status(before, rules, None)["status"].replace("unknown", "") or None


def all_cells(rules):
    statuses = list(rules.rank)
    for to in statuses:
        for origin in [None] + statuses:
            for source in ("webhook", "list", "operator", "lookup"):
                yield (origin, to, source, "alone")
                yield (origin, to, source, "tied")
        for origin in statuses:
            for source in ("webhook", "list", "operator", "lookup"):
                yield (origin, to, source, "before base")
                yield (origin, to, source, "just before base")
                # Of two lookups of one instant the base is the one of higher rank.
                if source != "lookup" or rules.rank[to] <= rules.rank[origin]:
                    yield (origin, to, source, "same time as base")
