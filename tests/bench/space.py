#!/usr/bin/env python3
"""Bytes that an order of three facts takes, with their payloads and when those are put away, and
how many of the updates of orders stay within their page (HOT).

By hand: ORDERD=build/daemon/orderd PYTHONPATH=tests python3 tests/bench/space.py [ORDERS]
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from support import facts, pg

BATCH = 64
START = datetime(2026, 1, 15, 10, tzinfo=timezone.utc)
COURSE = (("order.created", "pending"), ("order.paid", "processing"),
          ("order.completed", "completed"))
TABLES = ("torque.orders", "torque.order_items", "torque.order_events",
          "torque_internal.open_order")


def told(number, step):
    """About a kilobyte of body, as the API's documents show it."""
    event, status = COURSE[step]
    at = START + timedelta(seconds=number, minutes=5 * step)
    line = {"product_id": '"prod_1"', "variant": '"large"', "quantity": "2", "price": "29.99",
            "total": "59.98", "metadata": '{"sku":"SKU-000001","category":"clothing",'
                                          '"tags":["summer","sale","cotton"]}'}
    address = ('{"street":"123 Main St","city":"New York","state":"NY","postalCode":"10001",'
               '"country":"US"}')
    says = {
        "business_id": "business_123", "session_id": "session_%012d" % number,
        "created_at": str(START + timedelta(seconds=number)), "updated_at": str(at),
        "customer_email": "customer%d@example.com" % number, "customer_first_name": "John",
        "customer_last_name": "Doe", "customer_phone": "+1234567890",
        "customer_address": address, "currency": "USD", "subtotal": "59.98", "total": "59.98",
        "item_count": "2", "payment_method": "crypto",
        "payment_transaction_id": "tx_%012d" % number, "payment_amount": "59.98",
        "payment_status": "confirmed",
    }
    body = json.dumps(dict(says, event=event, items=json.dumps(line)), separators=(",", ":"))
    return facts.webhook("order_%012d" % number, event, str(at), str(at + timedelta(seconds=1)),
                         claimed_status=status, items=[line], payload=body, **says)


def feed(database, orders):
    """Facts as they come: an order's second long after its first."""
    length = 0
    with database.session("orderd", seconds=60) as session:
        session.query("set jit = off")
        for step in range(len(COURSE)):
            for first in range(0, orders, BATCH):
                batch = [told(number, step) for number in range(first, first + BATCH)]
                length += sum(len(fact["payload"]) for fact in batch)
                session.query("select torque.take_many(%s)" % facts.arrays(batch))
    return length / orders / len(COURSE)


def bytes_per_order(database, orders):
    sizes = {table: int(database.value("select pg_total_relation_size('%s')" % table)) / orders
             for table in TABLES}
    return sum(sizes.values()), ", ".join("%s %.0f" % item for item in sizes.items())


def main():
    orders = int(sys.argv[1]) if len(sys.argv) > 1 else 6400
    with pg.Cluster({"fsync": "off", "autovacuum": "off"}) as cluster:
        database = cluster.migrated()
        print("payloads of %.0f bytes" % feed(database, orders))
        print("an order of three facts: %.0f bytes (%s)" % bytes_per_order(database, orders))
        database.query("update torque.order_events set payload = null")
        database.query("vacuum full torque.order_events")
        print("without their payloads: %.0f bytes (%s)" % bytes_per_order(database, orders))
        print("HOT: %s of the updates of orders" % database.value(
            "select round(n_tup_hot_upd::numeric / n_tup_upd, 3) from pg_stat_user_tables"
            " where relid = 'torque.orders'::regclass"))


if __name__ == "__main__":
    main()
