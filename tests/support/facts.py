"""Facts as the columns in which the daemon hands them to SQL.

    facts.COLUMNS                   # [(name, type)], in the order of torque.take_many()
    facts.take("o1", event_type="order.paid", ...)      # select torque.take(...)
    facts.arrays([{...}, {...}])    # the arguments of torque.take_many()

A fact is a dictionary of columns: texts, numbers as their digits, times as anything that PostgreSQL
reads; items a list of lines, each a dictionary of JSON texts. What is left out is null.
"""

import hashlib
import json
import re

FRAME = [
    ("order_id", "text"), ("event_key", "bytea"), ("source", "text"), ("event_id", "text"),
    ("event_type", "text"), ("claimed_status", "text"), ("occurred_at", "timestamptz"),
    ("received_at", "timestamptz"), ("payload", "json"),
]
DETAILS = [
    ("business_id", "text"), ("session_id", "text"), ("created_at", "timestamptz"),
    ("updated_at", "timestamptz"), ("cancelled_at", "timestamptz"),
    ("cancellation_reason", "text"), ("customer_email", "text"), ("customer_first_name", "text"),
    ("customer_last_name", "text"), ("customer_phone", "text"), ("customer_address", "json"),
    ("currency", "text"), ("subtotal", "numeric"), ("discounts", "numeric"),
    ("shipping", "numeric"), ("total", "numeric"), ("item_count", "bigint"), ("items", "json"),
    ("items_hash", "bigint"), ("payment_method", "text"), ("payment_transaction_id", "text"),
    ("payment_amount", "numeric"), ("payment_status", "text"), ("faults", "text[]"),
    ("assumed", "text[]"),
]
COLUMNS = FRAME + DETAILS
LINE = ("product_id", "variant", "quantity", "price", "total", "metadata")
# The head of another torque.take(), for what a test wants it to do.
TAKE = "create or replace function torque.take(%s) returns text " % ", ".join(
    "%s %s" % column for column in COLUMNS if column[0] != "source")


def canonical(lines):
    """The lines of a cart as JSON, as the daemon writes them."""
    return "[" + ",".join(
        "{" + ",".join('"%s":%s' % (name, line[name]) for name in LINE if name in line) + "}"
        for line in lines) + "]"


def items_hash(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def with_items(fact):
    """items as JSON, and their hash."""
    if fact.get("items") is None:
        return fact
    text = fact["items"] if isinstance(fact["items"], str) else canonical(fact["items"])
    return dict(fact, items=text, items_hash=items_hash(text))


POLLED = [("order_id", "text"), ("claimed_status", "text"), ("payload", "json")] + DETAILS


class Digits(str):
    """A number of JSON, as sent."""


def polled(text):
    """An answer of the API, with the digits of its numbers."""
    return json.loads(text, parse_int=Digits, parse_float=Digits)


def order(said):
    """An order of the API as a fact, as far as the fake API's orders go; order_id: None when it has
    none."""
    customer, cart, payment = (said.get(name) or {} for name in ("customerData", "cart", "payment"))
    lines = cart.get("items")
    order_id = said.get("id")
    if not re.fullmatch("[A-Za-z0-9_.:-]{1,128}", str(order_id)):
        order_id = None
    return with_items({
        "order_id": order_id, "claimed_status": said.get("status"),
        "payload": json.dumps(said), "session_id": said.get("sessionId"),
        "created_at": said.get("createdAt"), "updated_at": said.get("updatedAt"),
        "cancellation_reason": said.get("cancellationReason"),
        "customer_email": customer.get("email"), "customer_first_name": customer.get("firstName"),
        "customer_last_name": customer.get("lastName"), "currency": cart.get("currency"),
        "subtotal": cart.get("subtotal"), "total": cart.get("total"),
        "item_count": cart.get("itemCount") or (
            lines and sum(int(line["quantity"]) for line in lines)),
        "items": None if lines is None else [
            {"product_id": json.dumps(line["productId"]), "quantity": line["quantity"],
             "price": line["price"], "total": line["total"]} for line in lines],
        "payment_method": payment.get("method"),
        "payment_transaction_id": payment.get("transactionId"),
        "payment_amount": payment.get("amount"), "payment_status": payment.get("status"),
    })


def page(text):
    """The arguments of torque.reconcile_page() that an answer of list-orders becomes."""
    said = polled(text)
    frame = said.get("pagination") or {}
    total, limit = (
        value if re.fullmatch("[0-9]{1,15}", value or "") else None
        for value in (frame.get("total"), frame.get("limit")))
    more = frame.get("hasMore")
    return "%s, %s, %s, %s" % (
        literal(total), "null" if more is None else more, literal(limit),
        arrays([order(row) for row in said["orders"]], POLLED))


def answer(text):
    """Those of torque.reconcile_lookup()."""
    return arrays([order(polled(text)["order"])], POLLED)


def words(names):
    return "{" + ",".join(names) + "}" if names else None


def literal(value):
    return "null" if value is None else "'%s'" % str(value).replace("'", "''")


def text_of(fact, name, kind):
    value = fact.get(name)
    if kind == "bytea" and value is not None:
        return "\\x" + value.hex()
    return words(value) if kind == "text[]" else value


def arrays(facts, columns=COLUMNS):
    """The facts as arrays, one a column, separated by commas."""
    facts = [with_items(fact) for fact in facts]
    result = []
    for name, kind in columns:
        values = [text_of(fact, name, kind) for fact in facts]
        # As the daemon does: nothing but nulls is a null.
        result.append("%s::%s[]" % (
            "null" if all(value is None for value in values)
            else "array[%s]" % ", ".join(literal(value) for value in values),
            "text" if kind == "text[]" else kind))
    return ", ".join(result)


def scalars(fact):
    """One webhook as the arguments of torque.take()."""
    fact = with_items(fact)
    return ", ".join("%s::%s" % (literal(text_of(fact, name, kind)), kind)
                     for name, kind in COLUMNS if name != "source")


def webhook(order_id, event_type, occurred_at, received_at, **told):
    """A webhook of an order; its key is of all that it says."""
    fact = dict(told, order_id=order_id, source="webhook", event_type=event_type,
                occurred_at=occurred_at, received_at=received_at)
    body = '{"event": "%s", "of": "%s"}' % (
        event_type, hashlib.sha256(repr(sorted(fact.items())).encode()).hexdigest())
    fact.setdefault("payload", body)
    fact.setdefault("event_key", hashlib.sha256(fact["payload"].encode()).digest())
    return fact
