"""Random histories of orders, realistic and hostile, replayable from a seed.

A history is a list of deliveries of one order: facts, some more than once, each time received at
another moment. Each has its body and, beside it, what the body tells as the columns of SQL: what is
made here is known here. Nothing here knows what the row should be.
"""

import hashlib
import json
import random
from datetime import timedelta, timezone
from decimal import Decimal

from support import facts

from model import EPOCH, POLLED, SECOND, Fact

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
STATUSES = ("pending", "processing", "completed", "cancelled", "refunded")
TYPES = {
    "pending": "order.created",
    "processing": "order.paid",
    "completed": "order.completed",
    "cancelled": "order.cancelled",
    "refunded": "order.refunded",
}
JOURNEYS = (
    ("pending", "processing", "completed"),
    ("pending", "processing", "completed"),
    ("pending", "cancelled"),
    ("pending", "cancelled", "refunded"),
    ("pending", "processing", "completed", "refunded"),
    ("pending", "processing", "cancelled", "refunded"),
    ("pending", "completed"),
    ("pending", "processing", "refunded"),
    ("pending",),
)
UNKNOWN_WORDS = (
    "shipped", "on_hold", "", " completed", "paid!", "\u91d1", "refund\U0001f4b8",
)
UNKNOWN_TYPES = ("order.shipped", "customer.updated", "order.CREATED", "x'; drop table orders;--")
GRID = (0, 0, 0, SECOND, SECOND, 2 * SECOND, 5 * SECOND, 6 * SECOND, 1, 60 * SECOND, 61 * SECOND)
AROUND = (
    -6 * SECOND, -5 * SECOND - 1, -5 * SECOND, -5 * SECOND, -5 * SECOND + 1, -SECOND, -1,
    0, 0, 0, 1, SECOND, 5 * SECOND, HOUR, -HOUR,
)
LATENESS = (0, 0, 1, SECOND // 3, SECOND, 2 * SECOND, MINUTE, HOUR, 26 * HOUR)
EARLINESS = (SECOND, 59 * SECOND, MINUTE, MINUTE + 1, 61 * SECOND, 62 * SECOND, 65 * SECOND, HOUR)
AMOUNTS = (
    "29.99", "100.10", "59.98", "0.123456789012345678", "12345678901234567890.5", "0", "0.00",
    "-0", "1e2", "2.50e1", "5E-1", "99999999999999999999", "1099", "29.990",
    "99999999999999999999.999999999999999999", "-1", "-0.01", "0.1234567890123456789",
    "123456789012345678901", "1e20",
)
# As sent, and the digits of it; None: it cannot be used.
ODD_AMOUNTS = (
    ("1e400", None), ("1e-400", None), ("1e131071", None), ('"59.98"', "59.98"), ("true", None),
    ("[]", None), ("{}", None), ('"5."', None), ("1e30", None), ("1e-31", None),
    ("12345678901234567890123456789.123456789012", None), ('""', None),
)
ODD_QUANTITIES = (
    ("0", "0"), ("-1", "-1"), ("1.5", "1.5"), ("1000000001", None), ('"2"', "2"), ("true", None),
    ("2.0", "2.0"), ("1e1", "1e1"),
)
ODD_CURRENCIES = (
    ('"usd"', "USD"), ('"US"', None), ('"USDXYZ"', None),
    ('"\U0001f4b0\U0001f4b0\U0001f4b0"', None), ("7", None), ('""', None), ('"Eur"', "EUR"),
)
DAY_2024 = 1_704_067_200 * SECOND  # 1 January 2024
ODD_STAMPS = (
    ('"2016-12-31T23:59:60Z"', 1_483_228_800 * SECOND),
    ('"2016-12-30T23:59:60Z"', None),
    ('"2017-01-01T00:59:60.25+01:00"', 1_483_228_800_250_000),
    ('"2024-02-30T00:00:00Z"', None),
    ('"2024-02-29T12:00:00-00:00"', DAY_2024 + (59 * 24 + 12) * HOUR),
    ('"2023-02-29T00:00:00Z"', None),
    ('"2024-01-01T24:00:00Z"', None),
    ('"1999-12-31T23:59:59Z"', None),
    ('"1999-12-31T23:59:59-05:00"', 946_702_799 * SECOND),
    ('"2101-01-01T00:00:00Z"', None),
    ('"2024-01-01T00:00:00"', DAY_2024),
    ('"2024-01-01T00:00:00+0100"', DAY_2024 - HOUR),
    ('"2024-01-01T00:00:00+25:00"', None),
    ('"now"', None),
    ('"infinity"', None),
    ('""', None),
    ("1704067200", DAY_2024),
    ("1704067200123", DAY_2024 + 123_000),
    ("null", None),
    ("{}", None),
    ('"20240-01-01T00:00:00Z"', None),
)
# A zone, a unit, or that a text is meant as a number.
ASSUMED = {
    '"59.98"', '"2"', '"2024-01-01T00:00:00"', '"2024-01-01T00:00:00+0100"', "1704067200",
    "1704067200123",
}
FIELDS = [name for name, _ in facts.DETAILS] + ["customer"]
FIELDS += ["items." + name for name in facts.LINE]
NAMES = (
    "Ada", "Jos\u00e9", "\u5f20\u4f1f", "O'Brien", 'quo"te', "back\\slash", "\u202eRTL", "",
    "Tab\there",
)
PRODUCTS = ("prod_1", "prod_2", "sku-\u00e4", "P'3")


def is_whole(number):
    return number is not None and Decimal(number) >= 0 and Decimal(number) % 1 == 0


class Teller:
    """Tells one history: the choices are the seed's, the seed is the history's own."""

    def __init__(self, seed, order_id, rules):
        self.random = random.Random(seed)
        self.order_id = order_id
        self.aliases = sorted(rules.alias)
        self.start = self.pick((1_704_067_200, 1_735_689_600)) * SECOND  # 2024 and 2025
        self.start += int(self.random.random() * 300 * 24 * HOUR)
        if self.chance(0.5):
            self.start -= self.start % SECOND
        self.event_ids = []

    def pick(self, choices):
        return choices[int(self.random.random() * len(choices))]

    def chance(self, share):
        return self.random.random() < share

    # --- whole histories --------------------------------------------------------------------

    def history(self):
        kind = self.random.random()
        if kind < 0.35:
            facts = self.journey()
        elif kind < 0.65:
            facts = self.scatter(GRID, self.start, lookup=0.12)
        else:
            facts = self.scatter(AROUND, self.start, lookup=0.04)
            facts.append(self.polled("lookup", self.pick(STATUSES), self.start))
            if self.chance(0.2):
                facts.append(self.polled("lookup", self.word()[1], self.start + self.pick(AROUND)))
        return [again for fact in facts for again in self.repeated(fact)]

    def journey(self):
        """What a shop sees: a path through the states, some of it lost, some of it polled."""
        facts = []
        time = self.start
        for status in self.pick(JOURNEYS):
            if not self.chance(0.15):
                word = self.pick((status, status, None, "paid" if status == "processing" else None))
                facts.append(self.webhook(TYPES[status], word, time))
            if self.chance(0.1):
                facts.append(self.polled("list", status, time + self.pick(LATENESS)))
            if self.chance(0.1):
                facts.append(self.polled("lookup", status, time + self.pick(LATENESS)))
            time += self.pick((SECOND, 40 * SECOND, 10 * MINUTE, 5 * HOUR))
            time += self.random.randrange(SECOND)
        if self.chance(0.1) or not facts:
            facts.append(self.webhook("payment.failed", None, time))
        return facts

    def scatter(self, offsets, around, lookup):
        """Anything at all, in a few places of time, so that much of it meets."""
        facts = []
        for _ in range(self.pick((1, 2, 2, 3, 3, 4, 5))):
            time = around + self.pick(offsets)
            kind = self.random.random()
            event_type, word = self.word()
            if kind < lookup:
                facts.append(self.polled("lookup", word, time))
            elif kind < 0.28:
                facts.append(self.polled("list", word, time))
            elif kind < 0.43:
                facts.append(self.polled("operator", word, time))
            else:
                facts.append(self.webhook(event_type, word, time))
        return facts

    def word(self):
        """An event's name and the status word with it."""
        status = self.pick(STATUSES)
        kind = self.random.random()
        if kind < 0.45:
            return TYPES[status], status
        if kind < 0.60:
            return TYPES[status], None
        if kind < 0.72:
            return TYPES[self.pick(STATUSES)], status
        if kind < 0.80:
            return TYPES[status], self.pick(self.aliases)
        if kind < 0.86:
            return self.pick((TYPES[status], "order.shipped")), self.pick(UNKNOWN_WORDS)
        if kind < 0.91:
            return "payment.failed", self.pick((None, None, status))
        if kind < 0.95:
            return self.pick(UNKNOWN_TYPES), None
        return self.pick(UNKNOWN_TYPES), status

    # --- facts ------------------------------------------------------------------------------

    def webhook(self, event_type, word, time):
        self.told = {}
        make = self.form_2 if self.chance(0.12) else self.form_1
        body, event_id, occurred_at = make(event_type, self.spelled(word), time)
        # The event of its making dates an order that does not say.
        if event_type == "order.created" and occurred_at is not None:
            self.told.setdefault("created_at", occurred_at)
        received_at = time + self.pick(LATENESS)
        if self.chance(0.2):
            received_at = time - self.pick(EARLINESS)
        return Fact(
            "webhook", self.order_id, hashlib.sha256(body.encode()).digest(), event_id, event_type,
            word, occurred_at, received_at, body, self.told,
        )

    def spelled(self, word):
        """Status words are compared in lower case, and some are sent in another."""
        if word in STATUSES and self.chance(0.05):
            return self.pick((word.upper(), word.capitalize()))
        return word

    def form_1(self, event_type, word, time):
        members = ['"event":' + json.dumps(event_type)]
        occurred_at = time
        if self.chance(0.06):
            occurred_at = None
            members += self.pick(((), ('"timestamp":null',)))
        else:
            members.append('"timestamp":' + self.stamp(time))
        members.append('"data":{"orderId":"%s"%s}' % (self.order_id, self.details(word)))
        return "{" + ",".join(members) + "}", None, occurred_at

    def form_2(self, event_type, word, time):
        if not self.event_ids or not self.chance(0.3):
            self.event_ids.append("evt_%08x" % self.random.getrandbits(32))
        event_id = self.pick(self.event_ids)
        order = '{"id":"%s"' % self.order_id
        if word is not None:
            order += ',"status":' + json.dumps(word)
        if self.chance(0.4):
            order += ',"amount":' + self.amount("total") + ',"currency":"EUR"'
            self.told["currency"] = "EUR"
        if self.chance(0.4):
            order += ',"customer":' + self.person()
        if self.chance(0.1):
            order += ',"payment":' + self.payment()
        body = '{"id":"%s","type":%s,"data":{"order":%s}},"created":%d}' % (
            event_id, json.dumps(event_type), order, time // SECOND,
        )
        return body, event_id, time - time % SECOND

    def polled(self, source, word, time):
        self.told = {}
        order = '{"id":"%s"%s' % (self.order_id, self.details(self.spelled(word), source))
        if source != "list" and self.chance(0.6 if source == "lookup" else 0.2):
            order += ',"updatedAt":' + self.told_stamp(
                "updated_at", time - self.pick(EARLINESS + (-HOUR, -1, 0)))
        if source == "operator" and self.chance(0.7):
            order += ',"cancelledAt":' + self.told_stamp(
                "cancelled_at", time - self.pick((0, 1, SECOND, -SECOND)))
        order += "}"
        key = hashlib.sha256((source + ":" + order).encode()).digest()
        received_at = time + self.pick((1, SECOND // 20, SECOND, 3 * SECOND))
        return Fact(
            source, self.order_id, key, None, None, word, time, received_at, order, self.told
        )

    def repeated(self, fact):
        """The fact, and perhaps the same again: redelivered, or polled at another time."""
        yield fact
        if not self.chance(0.25):
            return
        for _ in range(self.pick((1, 1, 1, 2, 3))):
            shift = self.pick(LATENESS + EARLINESS) * self.pick((1, 1, -1))
            again = fact._replace(received_at=fact.received_at + shift)
            if fact.source in POLLED:
                again = again._replace(occurred_at=fact.occurred_at + shift)
            yield again

    # --- what a fact carries: as JSON, and in self.told ---------------------------------------

    def tell(self, column, sent, value):
        """What was sent; the column says it, or that it cannot be used."""
        if value is not None:
            self.told[column] = value
        elif sent != "null":
            self.note("faults", column)
        if sent in ASSUMED:
            self.note("assumed", column)
        return sent

    def note(self, kind, name):
        """As the daemon does: each once, in the order of the columns."""
        self.told[kind] = sorted({name, *self.told.get(kind, ())}, key=FIELDS.index)

    def details(self, word, source="webhook"):
        is_list = source == "list"
        parts = []
        if word is not None:
            parts.append('"status":' + json.dumps(word))
        elif self.chance(0.3):
            parts.append('"status":null')
        if self.chance(0.35):
            session = "session_%d" % self.pick((1, 2))
            parts.append('"sessionId":' + self.tell("session_id", json.dumps(session), session))
        if self.chance(0.2):
            business = "business_123"
            parts.append('"businessId":' + self.tell("business_id", json.dumps(business), business))
        if self.chance(0.25):
            parts.append('"createdAt":' + self.told_stamp(
                "created_at", self.start - self.pick(LATENESS)))
        if source == "webhook" and self.chance(0.1):
            parts.append('"updatedAt":' + self.told_stamp(
                "updated_at", self.start + self.pick(LATENESS)))
        if self.chance(0.35):
            parts.append('"customerData":' + self.customer())
        if self.chance(0.35):
            parts.append('"cart":' + self.cart(is_list))
        if not is_list and self.chance(0.25):
            parts.append('"payment":' + self.payment())
        if self.chance(0.05):
            reason = self.pick(NAMES)
            parts.append('"cancellationReason":' + self.tell(
                "cancellation_reason", json.dumps(reason), reason))
        if self.chance(0.6):
            parts.append('"metadata":{"n":%d}' % self.random.getrandbits(40))
        return "".join("," + part for part in parts)

    def customer(self):
        if self.chance(0.04):
            odd = self.pick(('"someone"', "[]", "null", "{}", '{"email":null,"address":"here"}'))
            if odd[0] != "{" and odd != "null":
                self.note("faults", "customer")
            elif len(odd) > 4:
                self.note("faults", "customer_address")
            return odd
        person = self.person()[:-1]
        if self.chance(0.2):
            address = '{"city":%s,"country":"US"}' % json.dumps(self.pick(NAMES))
            person += ',"address":' + self.tell("customer_address", address, address)
        return person + ',"preferences":{"newsletter":true}}'

    def person(self):
        email = "u%d@example.com" % self.pick((1, 2, 3))
        fields = ['"email":' + self.tell("customer_email", json.dumps(email), email)]
        for name, column in (("firstName", "customer_first_name"),
                             ("lastName", "customer_last_name"), ("phone", "customer_phone")):
            if self.chance(0.5):
                value = self.pick(NAMES)
                fields.append('"%s":%s' % (name, self.tell(column, json.dumps(value), value)))
            elif self.chance(0.05):
                sent, value = self.pick(
                    (("null", None), ("5", "5"), ("{}", None), ("true", None), ("[]", None)))
                fields.append('"%s":%s' % (name, self.tell(column, sent, value)))
        return "{" + ",".join(fields) + "}"

    def cart(self, is_list):
        fields = []
        if self.chance(0.7):
            fields.append('"total":' + self.amount("total"))
        if self.chance(0.7):
            value = self.pick(("USD", "EUR", "USDC", "USDCE"))
            sent = json.dumps(value)
            if self.chance(0.02):
                sent, value = self.pick(ODD_CURRENCIES + (("null", None),))
            fields.append('"currency":' + self.tell("currency", sent, value))
        if is_list or self.chance(0.1):
            count = self.pick((1, 2, 7))
            fields.append('"itemCount":' + self.tell("item_count", str(count), count))
        if not is_list and self.chance(0.5):
            fields.append('"subtotal":' + self.amount("subtotal"))
        if not is_list and self.chance(0.1):
            fields.append('"shipping":' + self.amount("shipping"))
        if not is_list and self.chance(0.1):
            sent, digits = self.number()
            if sent == "[]":
                digits = "0"  # a list of no discounts
            fields.append('"discounts":' + self.tell("discounts", sent, digits))
        if not is_list and self.chance(0.5):
            fields.append('"items":' + self.items())
        return "{" + ",".join(fields) + "}"

    def items(self):
        if self.chance(0.03):
            odd = self.pick(("null", '["null"]', "[1]", '[{"productId":"prod_1"},1]', "5"))
            return self.tell("items", odd, None)
        count = 0 if self.chance(0.02) else self.pick((1, 1, 2, 3))
        lines = [self.line() for _ in range(count)]
        self.told["items"] = [told for _, told in lines]
        pieces = [told.get("quantity") for _, told in lines]
        # The count is told, or is the sum of what can be summed up.
        if "item_count" not in self.told and all(is_whole(number) for number in pieces):
            self.told["item_count"] = sum(int(Decimal(number)) for number in pieces)
        return "[" + ",".join(sent for sent, _ in lines) + "]"

    def line(self):
        """A line as sent, and what of it can be used: strings and metadata as JSON."""
        product = json.dumps(self.pick(PRODUCTS))
        told = {"product_id": product}
        quantity = number = self.pick(("1", "2", "3", "1000000000"))
        if self.chance(0.02):
            quantity, number = self.pick(ODD_QUANTITIES)
        line = '{"productId":%s,"quantity":%s' % (product, quantity)
        self.tell_line(told, "quantity", quantity, number)
        for name, share in (("price", 0.9), ("total", 0.5)):
            if self.chance(share):
                sent, digits = self.number()
                line += ',"%s":%s' % (name, sent)
                self.tell_line(told, name, sent, digits)
        if self.chance(0.2):
            told["variant"], told["metadata"] = '"L"', '{"sku":"a-1","tags":["x"]}'
            line += ',"variant":"L","metadata":{"sku":"a-1","tags":["x"]}'
        return line + "}", told

    def tell_line(self, told, name, sent, value):
        if value is None:
            self.note("faults", "items." + name)
        else:
            told[name] = value
        if sent in ASSUMED:
            self.note("assumed", "items." + name)

    def payment(self):
        fields = ['"method":' + self.tell("payment_method", '"crypto"', "crypto"),
                  '"amount":' + self.amount("payment_amount")]
        if self.chance(0.6):
            transaction = "tx_%d" % self.pick((1, 2, 3))
            fields.append('"transactionId":' + self.tell(
                "payment_transaction_id", json.dumps(transaction), transaction))
        if self.chance(0.6):
            status = self.pick(("pending", "confirmed", "failed"))
            fields.append('"status":' + self.tell("payment_status", json.dumps(status), status))
        return "{" + ",".join(fields) + "}"

    def amount(self, column):
        return self.tell(column, *self.number())

    def number(self):
        """An amount as sent, and its digits, None when it cannot be used."""
        if self.chance(0.01):
            return self.pick(ODD_AMOUNTS)
        number = self.pick(AMOUNTS)
        return number, number

    def told_stamp(self, column, time):
        """A time inside an order."""
        if self.chance(0.08):
            return self.tell(column, *self.pick(ODD_STAMPS))
        return self.tell(column, self.stamp(time), time)

    def stamp(self, time):
        """RFC 3339 in one of its spellings."""
        moment = EPOCH + timedelta(microseconds=time)
        kind = self.random.random()
        if kind < 0.1:
            east = timezone(timedelta(minutes=self.pick((60, -480, 330, -150))))
            return '"' + moment.astimezone(east).isoformat() + '"'
        spelled = moment.replace(tzinfo=None).isoformat()
        if kind < 0.2 and moment.microsecond:
            spelled += "999"  # nanoseconds are cut, not rounded
        return '"' + spelled + 'Z"'


def history(seed, index, rules, start=None):
    """The deliveries of order number index under this seed."""
    order_id = "%s-%d" % ("orderd-test.cv" if index % 211 == 0 else "cv", index)
    teller = Teller("%s/%d" % (seed, index), order_id, rules)
    if start is not None:
        teller.start = start
    return teller.history()


def batches(chooser, histories):
    """All deliveries in any order, cut into batches of 1 to 256 facts that mix many orders.

    Neighbourhoods of different sizes are shuffled, so that one batch may hold one order many times
    or hundreds of orders once each.
    """
    left = list(histories)
    chooser.shuffle(left)
    while left:
        size = chooser.choice((2, 20, 200, 1000))
        near, left = left[:size], left[size:]
        deliveries = [delivery for one in near for delivery in one]
        chooser.shuffle(deliveries)
        while deliveries:
            size = chooser.choice((1, 2, 3, 8, 64, 64, 128, 256, 256))
            batch, deliveries = deliveries[:size], deliveries[size:]
            yield [d for d in batch if d.source == "webhook"]
            yield [d for d in batch if d.source != "webhook"]
