"""The reference model: what the row of an order should be, written from the text of the rules.

It knows nothing of the SQL, shares no code with it, and is meant to be read. The row is a function
of the set of facts: sort them once, walk them once. Times are whole microseconds since 1970.
"""

import json
import re
from datetime import datetime, timedelta, timezone
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
        document = json.loads(fact.payload, parse_float=Decimal, parse_int=Decimal)
        self.fact = fact
        self.source = fact.source
        self.order = order_in(document, fact.source)
        self.is_refused = not amounts_usable(self.order)
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
        self.place = (self.as_of, rules.rank.get(self.status, 0), fact.key)  # in the fold

    def status_time(self):
        if self.source in ("webhook", "list"):
            return self.as_of
        field = "cancelledAt" if self.source == "operator" else "updatedAt"
        stamp = instant(self.order.get(field))
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
    told = sorted((t for t in told if not t.is_refused), key=lambda t: t.place)
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
        asking = t.asks_lookup or t.contradicts or t.fact.event_id in shared
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
    " total item_count payment_method payment_transaction_id payment_amount payment_status items"
).split()


def carried(t):
    order = t.order
    customer, cart = part(order, "customerData"), part(order, "cart")
    payment, short = part(order, "payment"), part(order, "customer")
    items = lines_of(cart)
    created_at = instant(order.get("createdAt"))
    if created_at is None and t.fact.event_type == "order.created":
        created_at = t.fact.occurred_at
    total = cart.get("total")
    if total is None and t.source == "webhook":
        total = order.get("amount")
    count = cart.get("itemCount")
    if count is None and items is not None:
        count = sum(line[1] for line in items if line[1] is not None)
    return {
        "business_id": text(order.get("businessId")),
        "session_id": text(order.get("sessionId")),
        "created_at": created_at,
        "updated_at": instant(order.get("updatedAt")),
        "cancellation_reason": text(order.get("cancellationReason")),
        "customer_email": first(text(customer.get("email")), text(short.get("email"))),
        "customer_first_name": first(text(customer.get("firstName")), text(short.get("firstName"))),
        "customer_last_name": first(text(customer.get("lastName")), text(short.get("lastName"))),
        "customer_phone": first(text(customer.get("phone")), text(short.get("phone"))),
        "customer_address": dict_or_none(customer.get("address")),
        "currency": first(text(cart.get("currency")), text(order.get("currency"))),
        "subtotal": money(cart.get("subtotal")),
        "total": money(total),
        "item_count": None if count is None else int(count),
        "payment_method": text(payment.get("method")),
        "payment_transaction_id": text(payment.get("transactionId")),
        "payment_amount": money(payment.get("amount")),
        "payment_status": text(payment.get("status")),
        "items": items,
    }


def order_in(document, source):
    """Where the order lies in the document: form 2, form 1, or the bare order of a poll."""
    if source in POLLED:
        return document
    data = document["data"]
    return data["order"] if isinstance(data.get("order"), dict) else data


def part(order, name):
    value = order.get(name)
    return value if isinstance(value, dict) else {}


def text(value):
    """Any scalar serves as text, as it is written in JSON."""
    if value is None or isinstance(value, (dict, list)):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def dict_or_none(value):
    return value if isinstance(value, dict) else None


def first(*values):
    return next((value for value in values if value is not None), None)


def lines_of(cart):
    """[product, quantity, price, total, variant, metadata] of each line; None: no list carried."""
    items = items_in(cart)
    if items is None:
        return None
    return [
        [
            text(item.get("productId")),
            int(item["quantity"]) if "quantity" in item else None,
            money(item.get("price")),
            money(item.get("total")),
            text(item.get("variant")),
            dict_or_none(item.get("metadata")),
        ]
        for item in items
    ]


def items_in(cart):
    """The lines as sent; a list that holds anything but objects is none."""
    items = cart.get("items")
    if isinstance(items, list) and all(isinstance(item, dict) for item in items):
        return items
    return None


# --- values -------------------------------------------------------------------------------------


def amounts_usable(order):
    """Money, quantities and currencies; what we cannot read exactly we do not read at all."""
    cart, payment = part(order, "cart"), part(order, "payment")
    items = items_in(cart) or []
    amounts = [cart[name] for name in ("subtotal", "total") if name in cart]
    amounts += [owner["amount"] for owner in (order, payment) if "amount" in owner]
    amounts += [item[name] for item in items for name in ("price", "total") if name in item]
    counts = [item["quantity"] for item in items if "quantity" in item]
    currencies = [owner.get("currency") for owner in (order, cart)]
    return (
        all(money(amount) is not None for amount in amounts)
        and all(is_count(count, 1) for count in counts)
        and ("itemCount" not in cart or is_count(cart["itemCount"], 0))
        and all(re.fullmatch("[A-Z]{3,5}", text(c) or "{") for c in currencies if c is not None)
    )


def money(number):
    """The amount digit for digit, or None: at most 20 digits before the point and 18 after it."""
    if not isinstance(number, Decimal) or number < 0:
        return None
    _, digits, exponent = number.as_tuple()
    if -exponent > 18 or (number and len(digits) + exponent > 20):
        return None
    if exponent > 0:
        return str(int(number))
    return format(number.copy_abs(), "f")


def is_count(number, smallest):
    return (
        isinstance(number, Decimal)
        and number == number.to_integral_value()
        and smallest <= number <= 10**9
    )


RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:[0-5]\d):([0-5]\d|60)(?:\.(\d+))?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))",
    re.ASCII,
)


def instant(stamp):
    """Microseconds since 1970, or None for what is no RFC 3339 time of the years 2000 to 2100."""
    match = RFC_3339.fullmatch(stamp) if isinstance(stamp, str) else None
    if not match:
        return None
    day, minutes, seconds, fraction, sign, hours_off, minutes_off = match.groups()
    try:
        time = datetime.fromisoformat(day + "T" + minutes + ":00+00:00")
    except ValueError:
        return None
    offset = timedelta(hours=int(hours_off or 0), minutes=int(minutes_off or 0))
    time -= offset if sign == "+" else -offset
    if seconds == "60" and (time + timedelta(minutes=1)).strftime("%d%H%M") != "010000":
        return None  # only the last minute of a month has such a second
    time += timedelta(seconds=int(seconds))
    if not 2000 <= time.year <= 2100:
        return None
    return (time - EPOCH) // timedelta(microseconds=1) + int((fraction or "0").ljust(6, "0")[:6])


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
