#!/usr/bin/env python3
# needs: orderd, slow_disk; beside: no
"""One connection commits while commits are quick; the second takes part when they are not."""

import os
import random
import threading
import unittest
from datetime import datetime, timedelta, timezone

from support import daemon, events, http, pg, sign, tap

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
SENDERS = 8
NEWS = 40  # of each sender
TIMES_MAX = 5


class Senders:
    """Each brings its news of an order one after the other. orders: how many they share."""

    def __init__(self, database, orders, settings=None):
        self.orders = [events.Order("o%d" % n, CREATED, random.Random(n)) for n in range(orders)]
        self.statuses = []
        database.query("""
            create table public.by (name text);
            grant insert on public.by to torque_owner;
            create function public.note() returns trigger language plpgsql as $$
            begin
                insert into public.by values (current_setting('application_name'));
                return new;
            end $$;
            create trigger note before insert on torque.order_events
            for each row execute function public.note()""")
        with daemon.Daemon(database, settings) as orderd:
            threads = [threading.Thread(target=self.deliver, args=(orderd, n))
                       for n in range(SENDERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.retried = orderd.metrics()["orderd_batches_retried_total"]
        names = [row[0] for row in database.query("select name from public.by")]
        self.share = sum(name.endswith(" 2/2") for name in names) / len(names)
        print("# %d of %d facts by the second connection" % (self.share * len(names), len(names)))

    def deliver(self, orderd, number):
        order = self.orders[number % len(self.orders)]
        with orderd.connect() as connection:
            for turn in range(NEWS):
                body = events.form1("order.paid", order, CREATED + timedelta(seconds=turn),
                                    sender=number)
                self.statuses.append(connection.request(
                    "POST", http.PATH, body, sign.torque(body, orderd.secret)).status)


class Connections(unittest.TestCase):
    def senders(self, cluster, orders, settings=None):
        senders = Senders(cluster.migrated(), orders, settings)
        self.assertEqual(senders.statuses, [200] * SENDERS * NEWS)
        return senders

    def cluster(self, *settings, **options):
        cluster = pg.Cluster(*settings, **options)
        self.addCleanup(cluster.close)
        return cluster

    def test_a_commit_that_waits_for_no_disk_is_waited_for(self):
        # Once in some times at the least: a machine with other work stands still as a disk does.
        cluster = self.cluster({"fsync": "off"})
        settings = {"database": {"allow_unsafe_fsync": "yes"}}
        self.assertTrue(any(self.senders(cluster, SENDERS, settings).share < 0.25
                            for _ in range(TIMES_MAX)))

    def test_what_waits_for_a_slow_disk_goes_by_the_second_connection(self):
        cluster = self.cluster(preload=os.environ["SLOW_DISK"])
        self.assertGreater(self.senders(cluster, SENDERS).share, 0.25)

    def test_an_order_is_never_busy_for_its_own_sake(self):
        # Each order has two senders.
        senders = self.senders(self.cluster(preload=os.environ["SLOW_DISK"]), SENDERS // 2)
        self.assertGreater(senders.share, 0)
        self.assertEqual(senders.retried, 0)


if __name__ == "__main__":
    tap.main()
