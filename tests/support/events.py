"""Deliveries as Torque makes them: both envelopes, for orders that look like a shop's.

    day = events.day(seed=1)                # [Delivery], in the order in which they are sent
    body = events.form1("order.paid", order)
"""

import json
import random
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

BUSINESS = "business_123"
STATUS = {"order.created": "pending", "order.paid": "processing", "order.completed": "completed",
          "order.cancelled": "cancelled", "order.refunded": "refunded"}
FIRST = ["Aino", "José", "Łukasz", "Mei", "Olumide", "Sofía", "Ümit", "Zoë"]
LAST = ["Björk", "García", "Nowak", "O'Neill", "Okafor", "Tanaka", "Virtanen", "Yılmaz"]
PRODUCTS = [("prod_tee", "29.99"), ("prod_mug", "12.50"), ("prod_cap", "19.90"),
            ("prod_bag", "49.99"), ("prod_pin", "0.99")]


class Order:
    """What a shop knows of one order; created is a datetime in UTC."""

    def __init__(self, order_id, created, rng, business=BUSINESS):
        self.id = order_id
        self.created = created
        self.business = business
        self.session = "session_%012x" % rng.getrandbits(48)
        self.first, self.last = rng.choice(FIRST), rng.choice(LAST)
        self.email = "customer%d@example.com" % rng.randrange(10 ** 6)
        self.items = [(name, rng.randint(1, 3), Decimal(price))
                      for name, price in rng.sample(PRODUCTS, rng.randint(1, 3))]
        self.currency = rng.choice(["EUR", "EUR", "EUR", "USD", "GBP"])
        self.transaction = "tx_%016x" % rng.getrandbits(64)

    @property
    def total(self):
        return sum(quantity * price for _, quantity, price in self.items)

    def customer(self):
        return {"email": self.email, "firstName": self.first, "lastName": self.last}

    def cart(self):
        return {"items": [{"productId": name, "quantity": quantity, "price": price,
                           "total": quantity * price}
                          for name, quantity, price in self.items],
                "subtotal": self.total, "total": self.total,
                "currency": self.currency}

    def payment(self):
        return {"method": "crypto", "transactionId": self.transaction,
                "amount": self.total, "status": "confirmed"}


def encode(value):
    """JSON as a sender writes it. A Decimal keeps its digits: 0.10 stays 0.10."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"),
                      default=lambda amount: "\1%s\1" % amount)
    return re.sub(r'"\\u0001([^"]*)\\u0001"', r"\1", text).encode()


def stamp(at):
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def form1(event, order, at=None, **data):
    """The envelope without an event id. data: further members of data, or others for its own;
    None leaves one out."""
    at = at or order.created
    members = {"orderId": order.id, "sessionId": order.session, "businessId": order.business,
               "createdAt": stamp(order.created), "updatedAt": stamp(at),
               "customerData": order.customer(), "cart": order.cart()}
    if event in STATUS:
        members["status"] = STATUS[event]
    if event in ("order.paid", "order.completed"):
        members["payment"] = order.payment()
    members.update(data)
    members = {name: value for name, value in members.items() if value is not None}
    return encode({"event": event, "timestamp": stamp(at), "data": members})


def form2(event, order, at=None, event_id=None, **members):
    """The envelope with an event id; "paid" is its word for processing."""
    at = at or order.created
    body = {"id": order.id, "amount": order.total, "currency": order.currency,
            "customer": order.customer()}
    if event in STATUS:
        body["status"] = "paid" if event == "order.paid" else STATUS[event]
    body.update(members)
    body = {name: value for name, value in body.items() if value is not None}
    return encode({"id": event_id or "evt_%s_%s" % (order.id, event.split(".")[1]), "type": event,
                   "created": int(at.timestamp()), "data": {"order": body}})


class Delivery:
    """kind: new, duplicate, late, held, ignored, quarantined or forged."""

    def __init__(self, body, kind="new", order_id=None):
        self.body = body
        self.kind = kind
        self.order_id = order_id


WAYS = [
    # (weight, events of the order, status in which it ends)
    (5, ["order.created", "order.paid", "order.completed"], "completed"),
    (3, ["order.created", "order.paid"], "processing"),
    (2, ["order.created"], "pending"),
    (2, ["order.created", "order.cancelled"], "cancelled"),
    (2, ["order.created", "order.paid", "order.completed", "order.refunded"], "refunded"),
    (1, ["order.created", "payment.failed"], "pending"),
    (1, ["order.created", "order.cancelled", "order.refunded"], "refunded"),
]


def day(seed=1, orders=120, until=None, prefix="order_"):
    """(deliveries, expected): a day of a shop that ends at until, and the status of each order.

    About a tenth of the deliveries come twice, a tenth far too late, neighbours swap places; there
    are an event type nobody documented, a body that is no JSON, and one with a wrong signature.
    """
    deliveries, ends = day_of_orders(seed, orders, until, prefix)
    return deliveries, {order.id: status for order, status, _ in ends}


def day_of_orders(seed=1, orders=120, until=None, prefix="order_"):
    """As day(), with [(Order, status in which it ends, when)] instead of the statuses."""
    rng = random.Random(seed)
    until = until or datetime.now(timezone.utc)
    start = until - timedelta(hours=24)
    timed, ends = [], []
    for number in range(orders):
        order = Order("%s%04d" % (prefix, number), start + timedelta(
            seconds=rng.uniform(0, 20 * 3600)), rng)
        # Every way is gone at least once.
        way = WAYS[number] if number < len(WAYS) else rng.choices(WAYS, [w[0] for w in WAYS])[0]
        form = form2 if number % 3 == 2 else form1
        at = order.created
        for event in way[1]:
            timed.append((at, Delivery(form(event, order, at), "new", order.id)))
            last, at = at, at + timedelta(seconds=rng.uniform(20, 2400))
        ends.append((order, way[2], last))
    return _as_the_network_delivers(timed, rng, start), ends


def _as_the_network_delivers(timed, rng, start):
    arrivals = []
    for at, delivery in timed:
        arrives = at + timedelta(seconds=rng.uniform(0, 2))
        if rng.random() < 0.1:
            delivery.kind = "late"
            arrives += timedelta(hours=rng.uniform(1, 3))
        arrivals.append((arrives, delivery))
        if rng.random() < 0.1:
            arrivals.append((arrives + timedelta(seconds=rng.uniform(1, 600)),
                             Delivery(delivery.body, "duplicate", delivery.order_id)))
    stranger = Order("order_stranger", start, rng)
    arrivals.append((start, Delivery(form1("cart.viewed", stranger, status=None), "ignored")))
    arrivals.append((start, Delivery(b'{"event":"order.paid","data":{"orderId":', "quarantined")))
    arrivals.append((start, Delivery(form1("order.refunded", stranger), "forged")))
    arrivals.sort(key=lambda arrival: arrival[0])
    return [delivery for _, delivery in arrivals]
