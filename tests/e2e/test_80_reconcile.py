#!/usr/bin/env python3
# needs: orderd; beside: no
"""The table equals the API even when no webhook ever came, and the receiver notices none of it."""

import collections
import json
import os
import random
import re
import time
from datetime import datetime, timezone

from support import case, daemon, events, fake_torque, http, tap, wait

STATUSES = ("pending", "processing", "completed", "cancelled", "refunded")
DAY = 86400
SOON = 20  # seconds; a busy machine
ANSWER = 1.0  # seconds for a delivery, beside what the API does

# Whole answers of another kind than asked for, and such as are never whole.
HOSTILE = ("huge", "endless_head", "html", "wrong_type", "not_json", "cut_json", "cut_head",
           "reset", "redirect", "500", "503")


def orders_of(shop):
    return {order["id"]: (order["status"], float(order["total"]), order["currency"])
            for order in shop.orders.values()}


def orders_in(database):
    rows = database.query("select order_id, status, total, currency from torque.orders")
    return {row[0]: (row[1], float(row[2]), row[3]) for row in rows}


class WithShop(case.WithDatabase):
    """An API, and orderd to poll it."""

    def setUp(self):
        super().setUp()
        self.shop = fake_torque.Shop()
        self.api = self.start_api(self.shop)

    def start_api(self, shop, per_minute=100000):
        webhooks = fake_torque.Webhooks("a secret that nobody uses", 1)
        api = fake_torque.FakeTorque(shop, webhooks, per_minute=per_minute).start()
        self.addCleanup(api.close)
        return api

    def fill(self, count, days=30, statuses=STATUSES):
        now, rng = time.time(), random.Random(count)
        for number in range(count):
            self.shop.add("order_%05d" % number, now - days * DAY * (count - number) / count,
                          statuses[number % len(statuses)],
                          total="%d.%02d" % (rng.randrange(1000), rng.randrange(100)))

    def start(self, verb="reconcile", ready=True, webhook_secret=None, **torque):
        settings = {
            "torque": dict({"base_url": self.api.url, "requests_per_minute": 6000, "floor": 0},
                           **torque),
            "reconcile": {"sweep_every": "1s", "open_every": "1s"},
        }
        secrets = {"api-key": self.api.api_key}
        if verb == "reconcile":  # it has no use for one
            secrets["webhook-secret"] = webhook_secret
        orderd = daemon.Daemon(self.database, settings, secrets, verb=verb, ready=ready)
        self.addCleanup(orderd.close)
        return orderd

    def wait_equal(self, orderd, seconds=SOON):
        expected = orders_of(self.shop)
        orderd.wait_until(lambda: orders_in(self.database) == expected, "the table equals the API",
                          seconds)

    def calls(self, part="/checkout/"):
        return [entry for entry in self.api.log if part in entry["target"]]

    def deliver(self, orderd, order_id):
        """A webhook, held to its deadline whatever the poller meets meanwhile."""
        order = events.Order(order_id, datetime.now(timezone.utc), random.Random(order_id))
        began = time.monotonic()
        answer = orderd.deliver(events.form1("order.paid", order))
        self.assertEqual((answer.status, answer.outcome), (200, "applied"))
        self.assertLess(time.monotonic() - began, ANSWER, "a delivery waits for the poller")


class Reconcile(WithShop):
    # the table ------------------------------------------------------------------------------
    def test_orders_appear_without_any_webhook(self):
        self.fill(250)
        orderd = self.start("run")
        self.wait_equal(orderd)
        self.assertTrue(all(entry["authorized"] for entry in self.api.log))
        self.assertEqual(orderd.metrics()['orderd_api_calls_total{end="unauthorized"}'], 0)
        self.assertGreaterEqual(orderd.metrics()['orderd_api_calls_total{end="good"}'], 3)
        self.deliver(orderd, "order_of_a_webhook")
        self.assertEqual(orderd.terminate(), 0)

    def test_the_poller_alone_needs_neither_listener_nor_webhook_secret(self):
        self.fill(20)
        orderd = self.start("reconcile")
        self.assertFalse(os.path.exists(os.path.join(orderd.credentials, "webhook-secret")))
        self.wait_equal(orderd)
        self.assertNotIn("event=listening", orderd.log())
        self.assertEqual(http.get(orderd.admin_address, "/livez").status, 200)
        self.assertEqual(orderd.terminate(), 0)

    def test_an_order_that_no_webhook_told_of_is_repaired_and_written_down(self):
        self.fill(60)
        orderd = self.start()
        self.wait_equal(orderd)
        order = self.shop.orders["order_00055"]  # pending
        with self.api.lock:
            self.shop.move(order["id"], "processing", time.time())
            self.shop.add("order_missed", time.time(), "processing")
        self.wait_equal(orderd)

        def drifted():
            return self.database.query(
                "select order_id, field, was, api_says from torque.drift"
                " where repaired_at is not null and order_id in ('order_00055', 'order_missed')")
        orderd.wait_until(lambda: len(drifted()) >= 2, "both repairs are rows", SOON)
        rows = {(row[0], row[1]): (row[2], row[3]) for row in drifted()}
        self.assertEqual(rows["order_00055", "status"], ("pending", "processing"))
        self.assertIn(("order_missed", "order"), rows)

    def test_a_slow_answer_does_not_overwrite_a_newer_webhook(self):
        self.fill(5, statuses=("pending",))
        orderd = self.start("run")
        self.wait_equal(orderd)
        before = len(self.calls("order-status/order_00003"))
        self.api.fault_of["order-status/order_00003"] = "slow"
        self.database.query("select torque.resync('order_00003')")
        orderd.wait_until(lambda: len(self.calls("order-status/order_00003")) > before,
                          "the lookup is under way", SOON)
        order = events.Order("order_00003", datetime.now(timezone.utc), random.Random(3))
        now = datetime.now(timezone.utc)
        with self.api.lock:
            self.shop.move("order_00003", "processing", now.timestamp())
        self.assertEqual(orderd.deliver(events.form1("order.paid", order, now)).status, 200)
        orderd.wait_until(lambda: "status" in self.calls("order-status/order_00003")[before],
                          "the answer came", SOON)
        orderd.wait_until(lambda: self.database.value(
            "select count(*) from torque_internal.api_call where answered_at is null") == "0",
            "the answer is taken in", SOON)
        self.assertEqual(self.database.value(
            "select status from torque.orders where order_id = 'order_00003'"), "processing")

    # the API's patience ---------------------------------------------------------------------
    def test_retry_after_is_never_undercut(self):
        for number, fault in enumerate(("429", "429_date")):
            with self.subTest(fault):
                self.database = self.cluster.migrated()
                self.fill(250)
                seen = len(self.api.log)
                self.api.faults = {seen + 1: fault}
                orderd = self.start()
                orderd.wait_until(lambda: len(self.api.log) > seen + 2, "polling goes on", SOON)
                refused, following = self.api.log[seen + 1]["at"], self.api.log[seen + 2]["at"]
                # A date has whole seconds: two seconds are at least one.
                self.assertGreaterEqual(following - refused, 2 - number)
                self.assertEqual(orderd.metrics()['orderd_api_calls_total{end="rate_limited"}'], 1)
                self.wait_equal(orderd)
                self.assertEqual(orderd.terminate(), 0)

    def test_retry_after_holds_although_the_clock_of_the_database_is_ahead(self):
        self.database.query("""
            set allow_system_table_mods = on;
            create or replace function pg_catalog.clock_timestamp() returns timestamptz
            language sql volatile as $$ select statement_timestamp() + interval '10 minutes' $$""")
        self.fill(20)
        self.api.faults = {1: "slow_429"}
        orderd = self.start()
        orderd.wait_until(lambda: len(self.api.log) > 2, "polling goes on", 2 * SOON)
        answered = self.api.log[1]["at"] + self.api.slow_seconds
        self.assertGreaterEqual(self.api.log[2]["at"] - answered, 5)

    def test_retry_after_holds_although_the_database_was_away_when_it_came(self):
        self.fill(250)
        self.api.faults = {2: "slow_429"}
        orderd = self.start()
        orderd.wait_until(lambda: len(self.api.log) == 3, "the call is under way", SOON)
        self.cluster.stop("immediate")
        orderd.says("api_failed")
        self.assertNotIn("event=database_connected", orderd.log().split("event=api_failed")[1])
        self.cluster.start()
        orderd.wait_until(lambda: len(self.api.log) > 3, "polling goes on", 2 * SOON)
        answered = self.api.log[2]["at"] + self.api.slow_seconds
        self.assertGreaterEqual(self.api.log[3]["at"] - answered, 5)
        self.wait_equal(orderd)

    def test_a_refusal_that_is_not_the_apis_own_stops_nothing(self):
        self.fill(20)
        listed, self.shop.list = self.shop.list, lambda query, fault: (401, "who are you")
        orderd = self.start()
        orderd.says("api_failed")
        self.shop.list = listed
        self.wait_equal(orderd)

    def test_a_refused_key_stops_polling_says_so_and_harms_no_delivery(self):
        self.fill(20)
        self.api.fault_always = "401"
        orderd = self.start("run")
        line = orderd.says("reconcile_stopped")
        self.assertIn("HTTP 401", line)
        self.assertEqual(orderd.metrics()["orderd_reconcile_stopped"], 1)
        wait.stays(lambda: len(self.api.log) == 1, 3, "it asks no more once it was refused")
        self.deliver(orderd, "order_of_a_webhook")
        self.assertEqual(http.get(orderd.admin_address, "/readyz").status, 200)
        orderd.kill9()
        orderd.start()
        orderd.says("reconcile_stopped")
        wait.stays(lambda: len(self.api.log) == 1, 1, "a restart remembers that it was refused")
        orderd.kill9()
        self.api.fault_always, self.api.api_key = None, "another-key-which-is-the-right-one"
        orderd.write_secrets({"api-key": self.api.api_key})
        orderd.start()
        orderd.wait_until(lambda: len(orders_in(self.database)) == 21,
                          "a restart with another key polls at once", SOON)

    def test_a_corrected_key_is_tried_at_once_but_a_reload_alone_tries_nothing(self):
        self.fill(20)
        orderd = self.start("run")
        self.wait_equal(orderd)
        self.api.api_key = "a-key-that-orderd-has-not-been-given"
        orderd.says("reconcile_stopped", 2 * SOON)
        self.shop.add("order_of_meanwhile", time.time())
        orderd.write_secrets({"api-key": self.api.api_key})
        orderd.reload()
        orderd.wait_until(lambda: "event=reconcile_resumed" in orderd.log(), "it polls again", SOON)
        self.wait_equal(orderd, 2 * SOON)
        self.assertEqual(self.database.value(
            "select count(*) from torque.reconcile_alarm"
            " where alarm = 'unauthorized' and cleared_at is null"), "0")

        self.api.fault_always = "403"
        orderd.wait_until(lambda: orderd.metrics()["orderd_reconcile_stopped"] == 1,
                          "it has stopped again", 2 * SOON)
        asked = len(self.api.log)
        orderd.reload()
        orderd.wait_until(lambda: orderd.metrics()["orderd_reloads_total"] == 2, "reloaded", SOON)
        wait.stays(lambda: len(self.api.log) == asked, 2, "the same key is not tried again")

    def test_a_reload_changes_the_budget_and_the_schedule(self):
        self.fill(2500)
        orderd = self.start("run", requests_per_minute=2)  # of which one is a person's
        orderd.wait_until(lambda: len(self.api.log) == 1, "the budget is used", SOON)
        wait.stays(lambda: len(self.api.log) == 1, 1, "no more calls than one")
        orderd.change({"torque": {"requests_per_minute": 120}})
        orderd.reload()
        orderd.wait_until(lambda: len(self.api.log) >= 3, "more calls", SOON)
        orderd.change({"torque": {"requests_per_minute": 6000}, "reconcile": {"history": "10d"}})
        orderd.reload()
        since = time.time() - 11 * DAY

        def new_enough(orders):
            return {order_id for order_id in orders
                    if self.shop.orders[order_id]["created"] > since}
        wanted = new_enough(self.shop.orders)
        orderd.wait_until(lambda: wanted <= set(orders_in(self.database)), "the newest are here",
                          2 * SOON)
        self.assertNotIn("needs a restart", orderd.log())

    # the database objects -----------------------------------------------------------------------
    def poison(self, sqlstate, trigger):
        """A trigger of the merchant's that raises for one order."""
        self.database.query("""
            create function public.object() returns trigger language plpgsql as $$
            begin
                raise exception 'poison' using errcode = '%s';
            end $$;
            create %s for each row when (new.order_id = 'order_00007')
                execute function public.object()""" % (sqlstate, trigger))

    def alarms(self):
        return self.database.query("select alarm, subject from torque.alarm_subjects"
                                   " order by 1, 2")

    def check_poison(self, orderd):
        """The others are here, and nothing claims that all are."""
        expected = orders_of(self.shop)
        del expected["order_00007"]
        orderd.wait_until(lambda: orders_in(self.database) == expected, "the others are here", SOON)
        orderd.wait_until(lambda: ["incomplete", "backfill"] in self.alarms(), "it is told", SOON)
        self.assertIn(["unusable", "order_00007"], self.alarms())
        self.assertEqual(self.database.query(
            "select verdict, problem from torque.reconcile_window where kind = 'backfill'"),
            [["incomplete", "not_taken"]])
        self.deliver(orderd, "order_of_a_webhook")

    def test_an_order_that_the_database_refuses_costs_the_others_nothing_and_is_told(self):
        self.fill(30)
        self.poison("P0001", "trigger object before insert or update on torque.orders")
        orderd = self.start("run")
        self.check_poison(orderd)
        self.assertNotIn("poison", orderd.log())
        self.assertEqual(self.database.query("select distinct reason from torque.quarantine"),
                         [["database_P0001"]])
        self.database.query(
            "drop trigger object on torque.orders; select torque.resync('order_00007')")
        orderd.wait_until(lambda: "order_00007" in orders_in(self.database), "it is here", SOON)
        self.assertNotIn(["unusable", "order_00007"], self.alarms())
        self.database.query("update torque.reconcile_window set not_before = null")
        orderd.wait_until(lambda: not self.alarms(), "all is well", SOON)

    def test_an_edit_of_the_rules_reaches_all_orders_and_what_fails_there_stops_nobody(self):
        self.fill(30, statuses=("parked",))
        orderd = self.start()
        orderd.wait_until(lambda: self.database.value("select count(*) from torque.orders"
                                                      " where raw_status = 'parked'") == "30",
                          "all orders are unknown", SOON)
        self.database.query("create function public.no() returns trigger language plpgsql as"
                            " $$ begin raise 'no' using errcode = 'XX000'; end $$;"
                            "create trigger no before insert or update on torque.orders"
                            " for each row when (new.status = 'pending')"
                            " execute function public.no();"
                            "insert into torque.status_alias values ('parked', 'pending')")
        orderd.says("refold_refused", SOON)
        self.shop.add("order_more", time.time(), "completed")
        orderd.wait_until(lambda: "order_more" in orders_in(self.database), "polling goes on", SOON)
        self.database.query("drop trigger no on torque.orders")
        orderd.wait_until(lambda: self.database.value("select count(*) from torque.orders"
                                                      " where status = 'pending'") == "30",
                          "all orders are folded anew", SOON)

    def test_what_the_database_objects_to_in_data_is_kept_in_the_quarantine(self):
        self.fill(30)
        self.poison("23514", "constraint trigger object after insert on torque.order_events"
                             " deferrable initially deferred")
        self.check_poison(self.start("run"))
        self.assertEqual(self.database.query(
            "select distinct reason, convert_from(body, 'UTF8')::json ->> 'id'"
            " from torque.quarantine"), [["database_23514", "order_00007"]])

    def test_a_database_that_takes_nothing_is_asked_ever_less_often_and_says_so(self):
        self.fill(30)
        self.poison("42703", "trigger object before insert on torque.order_events")
        self.database.query("create trigger others before insert on torque.order_events"
                            " for each row execute function public.object()")
        orderd = self.start("run")
        self.assertIn("sqlstate=42703", orderd.says("reconcile_refused"))
        wait.stays(lambda: orderd.log().count("event=reconcile_refused") < 6, 3,
                   "it is asked ever less often")
        self.assertEqual(orders_in(self.database), {})
        self.database.query("drop trigger object on torque.order_events;"
                            "drop trigger others on torque.order_events")
        self.wait_equal(orderd)

    def test_an_api_whose_limit_is_no_more_than_the_floor_is_polled_all_the_same(self):
        self.api = self.start_api(self.shop, per_minute=20)
        orderd = self.start(floor=20)
        orderd.wait_until(lambda: len(self.api.log) >= 10, "it polls", SOON)
        wait.stays(lambda: len(self.api.log) <= 17, 3, "a fifth is left to others")

    # sight ------------------------------------------------------------------------------------
    def not_ready(self, orderd):
        answer = http.get(orderd.admin_address, "/readyz")
        return answer.body.decode() if answer.status == 503 else ""

    def test_an_address_that_is_not_the_apis_is_told_and_the_poller_is_not_ready(self):
        error = fake_torque.Shop.error("No such endpoint", "NOT_FOUND")
        self.shop.list = lambda query, fault: (404, error)
        orderd = self.start()
        orderd.wait_until(lambda: "is torque.base_url right?" in self.not_ready(orderd),
                          "it says that it does not poll", SOON)
        self.assertIn("status=404", orderd.says("api_failed"))
        self.assertIn("refused: HTTP 404 to a list", orderd.says("reconcile_blind"))
        orderd.wait_until(lambda: orderd.metrics()["orderd_alarms_open"] >= 1, "measured", SOON)
        del self.shop.list
        orderd.says("reconcile_sees", 2 * SOON)
        self.assertEqual(http.get(orderd.admin_address, "/readyz").status, 200)

    def test_a_poller_that_sees_nothing_for_long_is_not_ready_and_a_receiver_beside_it_is(self):
        orderd = self.start("run")
        orderd.wait_until(lambda: self.database.value(
            "select polls_since is not null from torque_internal.poller") == "t", "it polls", SOON)
        self.api.fault_always = "500"
        self.database.query("delete from torque.reconcile_window;"
                            "update torque_internal.poller set polls_since = now() - interval '2d'")
        self.assertIn("error=\"blind: ", orderd.says("reconcile_blind"))
        self.assertGreater(orderd.metrics()["orderd_reconcile_behind_seconds"], 86400)
        self.assertEqual(http.get(orderd.admin_address, "/readyz").status, 200)
        self.assertEqual(orderd.terminate(), 0)
        alone = self.start()
        alone.wait_until(lambda: "blind: the newest orders" in self.not_ready(alone),
                         "it says that it is blind", SOON)
        self.api.fault_always = None
        alone.says("reconcile_sees", 2 * SOON)

    def test_an_order_that_the_api_does_not_know_is_no_failure_of_polling(self):
        orderd = self.start()
        orderd.wait_until(lambda: len(self.api.log) > 1, "it polls", SOON)
        self.database.query("select torque.resync('order_unknown')")
        orderd.wait_until(lambda: self.calls("order-status/order_unknown"), "it is asked", SOON)
        self.assertEqual(http.get(orderd.admin_address, "/readyz").status, 200)
        wait.stays(lambda: "event=api_failed" not in orderd.log(), 1, "nothing has failed")

    # deaths -----------------------------------------------------------------------------------
    def test_a_walk_that_is_killed_is_continued(self):
        self.fill(1500)
        orderd = self.start()
        orderd.wait_until(lambda: len(self.calls("orders?")) >= 8, "the walk is under way", SOON)
        orderd.kill9()
        before = [entry["target"] for entry in self.calls("orders?")]
        orderd.start()
        self.wait_equal(orderd, 60)
        after = [entry["target"] for entry in self.calls("orders?")][len(before):]
        # The call that was under way is made again, and the newest orders change all the time.
        repeated = [target for target in before if target in after]
        self.assertLessEqual(len(repeated), 1, repeated)
        walk = self.database.value(
            "select count(*) from torque.reconcile_window"
            " where kind = 'backfill' and verdict = 'open'")
        self.assertEqual(int(walk), 0)

    def test_one_polls_and_another_takes_over(self):
        self.fill(50)
        first = self.start()
        first.says("reconcile_active")
        second = self.start()
        second.says("reconcile_standby")
        self.assertEqual(second.metrics()["orderd_reconcile_standby"], 1)
        self.assertEqual(http.get(second.admin_address, "/readyz").status, 200)
        self.wait_equal(first)
        self.assertEqual(second.metrics()['orderd_api_calls_total{end="good"}'], 0)
        first.kill9()
        second.says("reconcile_active", SOON)
        with self.api.lock:
            self.shop.add("order_later", time.time())
        self.wait_equal(second)
        self.assertEqual(second.metrics()["orderd_reconcile_standby"], 0)

    def test_a_stop_waits_for_the_call_that_is_under_way(self):
        self.fill(20)
        self.api.fault_always = "slow"
        orderd = self.start()
        orderd.wait_until(lambda: self.api.log, "a call is under way", SOON)
        self.assertEqual(orderd.terminate(), 0)
        self.assertNotIn("drain_cut", orderd.log())
        unanswered = self.database.value(
            "select count(*) from torque_internal.api_call where answered_at is null")
        self.assertEqual(int(unanswered), 0)

    def test_a_reload_changes_the_api(self):
        self.fill(20)
        orderd = self.start("run")
        self.wait_equal(orderd)
        other = self.start_api(self.shop)
        self.database.query("update torque_internal.shop set base_url = '%s'" % other.url)
        orderd.change({"torque": {"base_url": other.url}})
        orderd.reload()
        orderd.says("reloaded")
        orderd.wait_until(lambda: len(other.log) > 1, "the other API is asked", SOON)
        asked = len(self.api.log)
        orderd.wait_until(lambda: len(other.log) > 3, "it is asked again", SOON)
        self.assertEqual(len(self.api.log), asked)
        orderd.change({"torque": {"base_url": "http://192.0.2.1/v1"}})
        orderd.reload()
        self.assertIn("loopback", orderd.says("config_fault"))

    # hostile answers --------------------------------------------------------------------------
    def test_an_answer_that_is_none_verifies_nothing_and_harms_no_delivery(self):
        for fault in HOSTILE:
            with self.subTest(fault):
                self.database = self.cluster.migrated()
                self.shop = fake_torque.Shop()
                self.api = self.start_api(self.shop)
                self.fill(20)
                self.api.fault_always = fault
                orderd = self.start("run")
                rss = orderd.rss_kib()
                orderd.wait_until(lambda: self.api.log, "the API is asked", SOON)
                self.deliver(orderd, "order_of_a_webhook")
                orderd.says("api_failed")
                self.assertEqual(list(orders_in(self.database)), ["order_of_a_webhook"])
                self.assertEqual(int(self.database.value(
                    "select count(*) from torque.reconcile_window where verdict = 'verified'")), 0)
                self.assertLess(orderd.rss_kib() - rss, 32 * 1024)
                self.assertEqual(orderd.terminate(), 0)

    def test_an_answer_about_another_order_changes_nothing(self):
        self.fill(5, statuses=("pending", "completed"))
        orderd = self.start("run")
        self.wait_equal(orderd)
        before = orders_in(self.database)
        self.api.fault_of["order-status/order_00002"] = "wrong_order"
        self.database.query("select torque.resync('order_00002')")
        self.assertIn("end=malformed", orderd.says("api_failed", SOON))
        self.assertEqual(orders_in(self.database), before)

    def test_a_name_that_is_no_text_costs_no_order_of_its_page(self):
        self.fill(20)
        self.shop.orders["order_00007"]["first"] = "cut in a face \ud83d"  # as json.dumps writes it
        self.shop.orders["order_00008"]["first"] = "a\0b"
        orderd = self.start()
        self.wait_equal(orderd)
        self.assertEqual(self.alarms(), [])
        self.assertEqual(self.database.query(
            "select order_id, customer_first_name, customer_last_name, field, kind"
            " from torque.orders join torque.odd_values using (order_id) order by 1"),
            [["order_%05d" % number, None, "Doe", "customer_first_name", "fault"]
             for number in (7, 8)])

    def test_odd_values_of_a_list_cost_no_order_are_told_and_leave_the_window_verified(self):
        moments = ("2026-01-02 03:04:05", "2026-01-02T03:04:05+0000", 1767323045, 1767323045000)
        rows = [('{"id":"order_total","status":"PENDING","createdAt":"%s","cart":{"itemCount":1,'
                 '"total":null,"currency":"usd"}}', 'null', 'USD'),
                ('{"id":"order_text","status":"Completed","createdAt":"%s","cart":{"itemCount":-1,'
                 '"total":"5.00","currency":null}}', '5.00', None),
                ('{"id":"order_minus","status":"pending","createdAt":"%s","cart":{"itemCount":1,'
                 '"total":-5,"currency":"E"}}', '-5', None)]
        recent = time.time() - 3600
        texts = {}
        for number, (text, _, _) in enumerate(rows):
            order = self.shop.add(json.loads(text.replace("%s", "x"))["id"], recent + number)
            texts[order["id"]] = text.replace("%s", fake_torque.stamp(order["created"])[:-1])
        for number, moment in enumerate(moments):
            order = self.shop.add("order_at_%d" % number, recent + 10 + number)
            texts[order["id"]] = '{"id":"%s","status":"pending","createdAt":%s}' % (
                order["id"], json.dumps(moment))
        self.shop.row = lambda order: texts[order["id"]]
        orderd = self.start()
        orderd.wait_until(lambda: int(self.database.value(
            "select count(*) from torque.orders")) == len(texts), "all are here", SOON)
        self.assertEqual(self.database.query(
            "select order_id, status, total::text, currency from torque.orders"
            " where order_id !~ 'at' order by 1"),
            [["order_minus", "pending", "-5", None], ["order_text", "completed", "5.00", None],
             ["order_total", "pending", None, "USD"]])
        self.assertEqual(self.database.query(
            "select order_id, string_agg(kind || ' ' || field, ', ' order by kind, field)"
            " from torque.odd_values where order_id !~ 'at' group by 1 order by 1"),
            [["order_minus", "assumed created_at, fault currency"],
             ["order_text", "assumed created_at, assumed total, fault item_count"],
             ["order_total", "assumed created_at"]])
        self.assertEqual(self.database.query(
            "select distinct created_at at time zone 'UTC', (select string_agg(kind || field, '')"
            " from torque.odd_values v where v.order_id = o.order_id) from torque.orders o"
            " where order_id ~ 'at'"), [["2026-01-02 03:04:05", "assumedcreated_at"]])
        counted = orderd.metrics()
        self.assertGreaterEqual(
            counted['orderd_odd_values_total{field="currency",kind="fault"}'], 1)
        self.assertGreaterEqual(
            counted['orderd_odd_values_total{field="created_at",kind="assumed"}'], 7)
        orderd.wait_until(lambda: int(self.database.value(
            "select count(*) from torque.reconcile_window where verdict = 'verified'")),
            "a window is verified", SOON)

    def test_an_error_that_quotes_the_key_or_a_customer_brings_neither_into_the_log(self):
        self.fill(5)
        canary = "canary-mail@example.com"
        self.shop.list = lambda query, fault: (400, fake_torque.Shop.error(
            "the key '%s' may not list %s" % (self.api.api_key, canary), "AUTH_002", "x",
            "y" * 180 + " " + self.api.api_key))
        orderd = self.start()
        line = orderd.says("api_failed")
        self.assertIn("may not list", line)
        orderd.wait_until(lambda: self.alarms(), "an alarm is raised", SOON)
        told = orderd.log() + str(self.database.query("select * from torque.reconcile_alarm"))
        for secret in (self.api.api_key[:12], canary):
            self.assertNotIn(secret, told)

    def test_after_a_hostile_answer_the_walk_is_completed(self):
        self.fill(150)
        self.api.faults = {0: "cut_json", 2: "html", 3: "reset"}
        orderd = self.start()
        self.wait_equal(orderd, 60)
        ends = collections.Counter(re.findall(r"event=api_failed end=(\w+)", orderd.log()))
        self.assertEqual(ends, {"malformed": 2})
        self.assertEqual(orderd.metrics()['orderd_api_calls_total{end="dropped"}'], 1)

    def test_a_kept_connection_that_ends_costs_a_call_and_no_patience(self):
        self.fill(20)
        orderd = self.start()
        self.wait_equal(orderd)
        for _ in range(3):
            asked = len(self.api.log)
            self.api.faults = {asked: "reset"}
            orderd.wait_until(lambda: len(self.api.log) > asked + 3, "it asks again", SOON)
            dropped, again = self.api.log[asked], self.api.log[asked + 1:asked + 4]
            self.assertIn(dropped["target"], [entry["target"] for entry in again])
        self.assertNotIn("api_failed", orderd.log())
        self.assertEqual(self.database.query(
            "select failures, (select count(*) from torque_internal.api_call"
            " where outcome = 'dropped') from torque_internal.poller"), [["0", "3"]])


if __name__ == "__main__":
    tap.main()
