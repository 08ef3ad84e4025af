"""Senders that keep delivering through anything, and remember what they were told.

    load = Load(lambda: orderd.address, orderd.secret)
    ...                                 # faults
    load.stop()
    load.faults(database)               # sentences: lost, double, phantom, wrong

Each sender has its own orders, three events each, and offers an event again until it was answered
200, as a webhook's sender does.
"""

import hashlib
import random
import threading
import time
from datetime import datetime, timedelta, timezone

from . import events, http, sign

STEPS = ["order.created", "order.paid", "order.completed"]


class Sent:
    """One event and what became of it."""

    def __init__(self, order, body, status):
        self.order_id = order.id
        self.lines = len(order.items)
        self.body = body
        self.status = status
        self.key = hashlib.sha256(body).hexdigest()
        self.attempts = 0
        self.acknowledged = 0


class Load:
    """address: a function, as a restarted receiver has another; None while there is none."""

    def __init__(self, address, secret, senders=8, prefix="order_", repeat=0.1):
        self._address = address
        self._secret = secret
        self._stop = threading.Event()
        self._repeat = repeat  # how often an acknowledged event is delivered once more
        self.sent = []
        self.answers = []  # (status, seconds) of each answer, in the order in which they came
        self._threads = [threading.Thread(target=self._run, args=("%s%d_" % (prefix, number),))
                         for number in range(senders)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """What is under way is brought to its answer first."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self):
        return sum(sent.acknowledged > 0 for sent in list(self.sent))

    def _run(self, prefix):
        rng = random.Random(prefix)
        connection, number = None, 0
        while not self._stop.is_set():
            number += 1
            created = datetime.now(timezone.utc)
            order = events.Order("%s%d" % (prefix, number), created, rng)
            for step, event in enumerate(STEPS):
                body = events.form1(event, order, created + timedelta(seconds=step))
                sent = Sent(order, body, events.STATUS[event])
                self.sent.append(sent)
                times = 2 if rng.random() < self._repeat else 1
                while sent.acknowledged < times and not self._stop.is_set():
                    connection = self._offer(sent, connection)
        if connection:
            connection.close()

    def _offer(self, sent, connection):
        """The connection to go on with, or None."""
        address = self._address()
        if not address:
            time.sleep(0.005)
            return None
        started = time.monotonic()
        try:
            connection = connection or http.Connection(address, 10)
            sent.attempts += 1
            answer = connection.request("POST", http.PATH, sent.body,
                                        sign.torque(sent.body, self._secret))
        except TimeoutError:
            self.answers.append((None, time.monotonic() - started))
            connection.close()
            return None
        except OSError:
            if connection:
                connection.close()
            time.sleep(0.005)
            return None
        self.answers.append((answer.status, time.monotonic() - started))
        if answer.status == 200:
            sent.acknowledged += 1
        else:
            time.sleep(0.02)  # Retry-After says a second, for a network's sake
        if answer.headers.get("connection", "").lower() == "close":
            connection.close()
            return None
        return connection

    def faults(self, database):
        """Sentences about what is lost, double, a phantom or wrong; none is what is wanted."""
        rows = {key: (order_id, int(count)) for order_id, key, count in database.query(
            "select order_id, encode(event_key, 'hex'), deliveries from torque.order_events")}
        orders = {order_id: (status, int(lines)) for order_id, status, lines in database.query(
            "select order_id, status, (select count(*) from torque.order_items i"
            " where i.order_id = o.order_id) from torque.orders o")}
        found, expected, known = [], {}, set()
        for sent in self.sent:
            known.add(sent.key)
            what = "%s %s" % (sent.order_id, sent.status)
            order_id, count = rows.get(sent.key, (None, 0))
            # More than the sender knows of is no fault: orderd offers what it is unsure of again.
            if count < sent.acknowledged or sent.acknowledged and order_id != sent.order_id:
                found.append("lost: %s was answered 200 %d times, and counts %d" % (
                    what, sent.acknowledged, count))
            if count:
                expected[sent.order_id] = (sent.status, sent.lines)  # the last that is there
        found += ["phantom: %s" % rows[key][0] for key in rows if key not in known]
        for order_id in orders.keys() | expected.keys():
            is_, should_be = orders.get(order_id), expected.get(order_id)
            if is_ and should_be and is_[1] != should_be[1]:
                found.append("double: %s has %d lines of %d" % (order_id, is_[1], should_be[1]))
            elif is_ != should_be:
                found.append("wrong: %s is %s, should be %s" % (order_id, is_, should_be))
        return found
