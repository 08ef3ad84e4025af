#!/usr/bin/env python3
# needs: orderd; beside: yes
"""What the poller makes of refusals, disappearances, requests of people, and of its own death."""

import json
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import pg, pgwire, tap, wait
from support.fake_torque import RollingMinute, Shop, seconds_of, stamp
from walks import literal

START = 1_700_000_000.0
DAY = 86_400.0
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
UNHURRIED = {"requests_per_minute": 10**6}


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster(SETTINGS)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def setUp(self):
        self.database = self.cluster.migrated()
        self.session = self.database.session(seconds=30)
        self.addCleanup(lambda: self.session.close())
        self.shop = Shop()

    def poller(self, **settings):
        return walks.Poller(self.session, self.shop, START, **settings)

    def fill(self, count, days=5.0, status="completed"):
        for number in range(count):
            self.shop.add("order_%04d" % number,
                          round(START - (number + 1) * days * DAY / (count + 1), 3), status)

    def status(self, order_id):
        return self.session.value(
            "select status from torque.orders where order_id = %s" % literal(order_id))

    def until_idle(self, poller, calls_max=500):
        self.assertTrue(poller.run_until(lambda: poller.is_idle, calls_max))

    def test_the_first_sweep_brings_the_whole_history_and_the_next_one_writes_nothing(self):
        self.fill(150)
        poller = self.poller(requests_per_minute=10**6)
        self.until_idle(poller)
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))
        before = self.session.query("select count(*), sum(deliveries) from torque.order_events")
        poller.run(3600)
        after = self.session.query("select count(*), sum(deliveries) from torque.order_events")
        self.assertEqual(before, after)
        self.assertEqual(self.session.query("select * from torque.drift"), [])
        self.assertEqual([call for call in poller.calls if call[1] == "details"], [])

    def test_a_second_poller_stands_by_and_takes_over(self):
        poller = self.poller()
        poller.step()
        with self.database.session() as other:
            plan = other.query("select action, wait_ms from torque.reconcile_next()")[0]
            self.assertEqual(plan, ["standby", "5000"])
            self.session.close()
            self.session = other
            second = walks.Poller(other, self.shop, START + 60)
            self.assertTrue(second.run_until(lambda: second.calls, 20))

    def test_a_walk_whose_poller_dies_at_a_page_is_resumed_there(self):
        self.fill(400)
        poller = self.poller(page_size=10, **UNHURRIED).quiet()
        job = poller.begin(START - 5 * DAY, START)
        whole = 0
        while poller.job_state(job) == "running" and whole < 2_000:
            whole += 1
            poller.step()
            if whole % 7 == 0:
                poller.session.close()
                self.session = poller.session = self.database.session(seconds=30)
                poller.set(page_size=10, **UNHURRIED)
        self.assertEqual(poller.job_state(job), "done")
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))
        self.assertLess(poller.lists(), 90)

    def test_401_stops_polling_says_so_and_is_tried_again_carefully(self):
        poller = self.poller()
        poller.fault = lambda plan, number: "401"
        poller.run(3600)
        self.assertLess(len(poller.calls), 8)
        self.assertIn("unauthorized:", walks.alarms(self.session))
        poller.fault = lambda plan, number: None
        poller.run(3600)
        self.assertNotIn("unauthorized:", walks.alarms(self.session))

    def test_no_list_where_there_were_many_orders_is_a_doubt_not_success(self):
        self.fill(60)
        poller = self.poller(**UNHURRIED).quiet()
        poller.begin(START - 6 * DAY, START)
        poller.run(120)
        poller.fault = lambda plan, number: "empty_page" if plan.action == "list" else None
        job = poller.begin(START - 6 * DAY, START)
        poller.run(120)
        self.assertNotEqual(poller.job_state(job), "done")
        self.assertIn("incomplete:backfill", walks.alarms(self.session))
        self.assertEqual(self.session.value(
            "select distinct problem from torque.incomplete_windows"), "absent")
        poller.fault = lambda plan, number: None
        poller.run(7200)
        self.assertEqual(poller.job_state(job), "done")
        self.assertEqual(walks.alarms(self.session), ["blind:"])  # it sweeps no tail

    def test_a_lie_that_never_changes_ends_in_incomplete_and_never_in_a_certificate(self):
        self.fill(45)
        for fault in ("total_low", "total_high", "rows_missing", "rows_doubled", "no_pagination",
                      "order_without_id", "endless", "has_more_always", "string_total"):
            with self.subTest(fault):
                self.session = self.cluster.migrated().session(seconds=30)
                poller = self.poller(page_size=10, **UNHURRIED).quiet()
                poller.fault = lambda plan, number: fault
                if fault == "endless":
                    poller.list = self.endless
                job = poller.begin(START - 6 * DAY, START)
                ended = poller.run_until(
                    lambda: poller.is_idle and poller.job_state(job) != "running", 1_500)
                self.assertTrue(ended)
                true = walks.table_rows(self.session) == walks.shop_rows(self.shop)
                state = poller.job_state(job)
                self.assertTrue(state == "done" and true
                                or "incomplete:backfill" in walks.alarms(self.session))
                # Without a total there is no proof, and all the orders.
                self.assertTrue(true or fault != "no_pagination")
                harmless = fault in ("has_more_always", "string_total")
                self.assertEqual(state == "done", harmless)
                self.session.close()

    def dense(self, count):
        """So many orders of one second, and some before and after it."""
        self.fill(50)
        for number in range(count):
            self.shop.add("dense_%04d" % number, START - 2 * DAY + number % 1000 / 1000,
                          random.Random(number).choice(("completed", "cancelled", "refunded")))

    def are_here(self):
        return self.session.value("select count(*) from torque.orders") == str(
            len(self.shop.orders))

    def test_orders_of_one_second_are_all_here_within_the_hour(self):
        for count in (400, 700, 5200):
            for backfill in (False, True):
                with self.subTest((count, backfill)):
                    self.session = self.cluster.migrated().session(seconds=30)
                    self.shop = Shop()
                    self.dense(count)
                    poller = self.poller(requests_per_minute=30)
                    if backfill:
                        job = poller.quiet().begin(START - 6 * DAY, START)
                    self.assertTrue(poller.run_until(self.are_here, 1_800))
                    print("# %d in one second: %d lists, %d s" % (
                        count, poller.lists(), poller.now - START), flush=True)
                    self.assertLess(poller.now, START + 3600)
                    if backfill:
                        self.assertTrue(poller.run_until(
                            lambda: poller.job_state(job) != "running", 500))
                        self.assertEqual(poller.job_state(job), "done")
                        self.assertLess(poller.now, START + 3600)
                    self.assertEqual(walks.alarms(self.session), [])
                    self.session.close()

    def test_an_order_that_lists_show_hours_later_is_found_within_the_hour(self):
        self.fill(500, days=0.9)
        poller = self.poller()
        poller.run(3.1 * 3600)
        self.shop.add("order_late", START - 600, "completed")
        asked, shown = len(poller.calls), poller.now
        self.assertTrue(poller.run_until(self.are_here, 2_000))
        self.assertLess(poller.now, shown + 3700)
        audits = sum(priority == "audit" for _, priority, _, _ in poller.calls[asked:])
        print("# found after %d s, %d calls for it" % (poller.now - shown, audits), flush=True)
        self.assertLess(audits, 20)

    def test_a_page_too_heavy_for_anybody_is_read_in_smaller_ones(self):
        self.fill(150)
        poller = self.poller(**UNHURRIED).quiet()
        poller.fault = lambda plan, number: "cut" if int(plan.page_limit or 1) > 12 else None
        job = poller.begin(START - 6 * DAY, START)
        self.assertTrue(poller.run_until(lambda: poller.job_state(job) != "running", 500))
        self.assertEqual(poller.job_state(job), "done")
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))
        self.assertEqual(walks.alarms(self.session), [])

    def without(self, member, odd):
        """Lists whose rows of such orders lack a member."""
        def listed(query, fault):
            status, page = self.shop.list(query, fault)
            page = json.loads(page)
            for row in page["orders"]:
                if odd(row["id"]):
                    del row[member]
            return status, json.dumps(page)
        return listed

    def walked(self, odd, member):
        self.session = self.cluster.migrated().session(seconds=30)
        poller = self.poller(**UNHURRIED).quiet()
        poller.list = self.without(member, odd)
        job = poller.begin(START - 6 * DAY, START)
        self.assertTrue(poller.run_until(
            lambda: poller.is_idle and poller.job_state(job) != "running", 500))
        self.assertEqual(poller.job_state(job), "incomplete")
        self.assertEqual(
            sorted(walks.alarms(self.session)),
            ["incomplete:backfill"] + ["unusable:backfill"] * (member == "id"))
        return poller

    def test_orders_that_nobody_says_when_they_were_made_are_all_here_and_never_certified(self):
        self.fill(230)
        poller = self.walked(lambda order_id: True, "createdAt")
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))
        self.assertEqual(walks.verified(self.session), [])
        self.assertIn("no_created_at", self.session.value(
            "select detail from torque.reconcile_alarm"))
        self.assertLess(poller.lists(), 20)
        self.session.close()

    def test_an_odd_row_keeps_the_certificate_from_its_neighbourhood_alone(self):
        self.fill(450)
        for member, problem in (("createdAt", "no_created_at"), ("id", "row_without_id")):
            with self.subTest(member):
                self.walked(lambda order_id: order_id == "order_0400", member)
                here = walks.table_rows(self.session)
                rest = {i: row for i, row in walks.shop_rows(self.shop).items()
                        if i != "order_0400"}
                self.assertLessEqual(rest.items(), here.items())
                self.assertIn(problem + " (row ", self.session.value(
                    "select detail from torque.reconcile_alarm where alarm = 'incomplete'"))
                certified = sum(int(inside) for inside, in self.session.query(
                    "select inside from torque.reconcile_window where verdict = 'verified'"))
                self.assertGreater(certified, 250)
                self.session.close()

    def test_a_total_of_the_page_alone_is_no_proof_when_the_page_is_full(self):
        self.fill(45)

        def counts_its_page(query, fault):
            page = json.loads(self.shop.list(query, fault)[1])
            page["pagination"].update(total=len(page["orders"]), hasMore=False)
            return 200, json.dumps(page)

        poller = self.poller(page_size=10, **UNHURRIED).quiet()
        poller.list = counts_its_page
        job = poller.begin(START - 6 * DAY, START)
        self.assertTrue(poller.run_until(lambda: poller.job_state(job) != "running"))
        self.assertEqual(poller.job_state(job), "done")
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))

    def test_an_order_of_today_is_found_where_the_end_is_the_beginning_of_a_day(self):
        self.shop.add("order_of_the_past", START - 3 * DAY, "completed")
        self.shop.until = lambda created, end: created < end // DAY * DAY
        poller = self.poller()
        poller.run(600)
        self.shop.add("order_of_today", poller.now, "completed")
        poller.run(600)
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))

    def test_an_order_that_somebody_holds_does_not_use_up_the_budget(self):
        self.fill(30)
        poller = self.poller()
        poller.run(60)
        for order in self.shop.orders.values():
            order["status"] = "refunded"
        with self.database.session() as other:
            other.query("begin; select from torque.orders where order_id = 'order_0000' for update")
            asked = len(poller.calls)
            poller.run(60)
            self.assertIn("busy", [call[3] for call in poller.calls[asked:]])
            self.assertLess(len(poller.calls) - asked, 12)
            other.query("rollback")
        poller.run(60)
        self.assertEqual(self.status("order_0000"), "refunded")

    def test_a_clock_that_is_set_right_again_does_not_stop_polling(self):
        self.fill(5, status="pending")
        poller = self.poller()
        poller.now += 3 * 3600
        poller.fault = lambda plan, number: "429" if number == 20 else None
        self.assertTrue(poller.run_until(lambda: len(poller.calls) == 21))
        poller.now = poller.blocked_until = START + 600
        self.shop.add("order_made_then", START + 500, "pending")
        asked = len(poller.calls)
        poller.run(900)
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))
        self.assertGreater(len(poller.calls) - asked, 10)
        self.assertEqual(self.session.value(
            "select count(*) from torque.reconcile_window where as_of > %s" % poller.time()), "0")

    def endless(self, query, _):
        """Always a full page of orders, and always more of them."""
        since, until = (seconds_of(query[name]) for name in ("startDate", "endDate"))
        rows = ",".join(
            '{"id":"e_%d_%d","status":"completed","createdAt":"%s"}' % (
                int(since), number, stamp(until - (until - since) * (number + 1) / 12))
            for number in range(10))
        return 200, ('{"success":true,"orders":[%s],"pagination":{"total":1000000000,"limit":10,'
                     '"offset":%s,"hasMore":true}}' % (rows, query["offset"]))

    def test_404_twice_an_hour_apart_makes_an_order_missing_and_deletes_nothing(self):
        self.fill(3, status="pending")
        poller = self.poller()
        poller.run(120)
        del self.shop.orders["order_0001"]
        poller.run(3 * 3600)
        self.assertEqual(self.session.query("select order_id from torque.missing_order"),
                         [["order_0001"]])
        self.assertEqual(self.status("order_0001"), "pending")
        self.assertIn("missing:order_0001", walks.alarms(self.session))
        lookups = [call for call in poller.calls if call[2] == "lookup"]
        poller.run(3600)
        self.assertEqual(lookups, [call for call in poller.calls if call[2] == "lookup"])

    def test_an_order_that_lists_hide_is_looked_up_once_and_believed(self):
        self.fill(5)
        poller = self.poller(**UNHURRIED).quiet()
        poller.begin(START - 6 * DAY, START)
        poller.run(120)
        poller.list = lambda query, fault: (hidden.pop("order_0002", None),
                                            Shop.list(hiding, query, fault))[1]
        hiding = Shop()
        hidden = hiding.orders = dict(self.shop.orders)
        job = poller.begin(START - 6 * DAY, START)
        poller.run(300)
        self.assertEqual(poller.job_state(job), "done")
        self.assertEqual(sum(c[2] == "lookup" and c[1] == "verify" for c in poller.calls), 1)

    def test_resync_looks_an_order_up_before_anything_else(self):
        self.fill(2, status="pending")
        poller = self.poller()
        poller.run(60)
        self.shop.move("order_0000", "refunded", poller.now)
        # resync() itself takes the time of the wall.
        self.session.query("select torque.resync('order_0000')")
        self.session.query("update torque_internal.lookup set due_at = %s, wanted_at = %s" % (
            poller.time(), poller.time()))
        poller.run(5)
        self.assertEqual(self.status("order_0000"), "refunded")
        self.assertEqual([c[1] for c in poller.calls][-1], "operator")

    def wants(self, order_id, poller):
        self.session.query(
            "insert into torque_internal.lookup (order_id, priority, due_at, wanted_at)"
            " values (%s, 'verify', %s, %s)" % (literal(order_id), poller.time(), poller.time()))

    def link_made(self, answer):
        self.session.query("select torque.link_made(%s, %s)" % (
            literal(answer["sessionId"]), literal(answer["expiresAt"])))

    def test_an_open_order_is_looked_up_once_when_its_checkout_session_is_over(self):
        poller = self.poller().quiet()
        self.session.query(
            "update torque_internal.sweep set next_at = started_at where kind = 'silence'")
        for order_id in ("order_open", "order_done", "order_without"):
            self.shop.add(order_id, START)
            self.wants(order_id, poller)
        poller.run(10)
        for order_id in ("order_open", "order_done"):
            self.link_made({"sessionId": "session_" + order_id, "expiresAt": stamp(START + 1800)})
        poller.run(1200)
        self.shop.move("order_done", "completed", poller.now)
        self.wants("order_done", poller)
        poller.run(60)
        poller.calls.clear()
        poller.run(900)
        self.assertEqual([(priority, action) for _, priority, action, _ in poller.calls],
                         [("silence", "lookup")])
        self.assertGreater(poller.calls[0][0], START + 1800)
        self.assertLess(poller.calls[0][0], START + 1800 + 120)
        self.assertEqual(self.sessions(), ["session_order_done", "session_order_open"])
        poller.now += 8 * DAY
        poller.run(10)
        self.assertEqual(self.sessions(), [])

    def sessions(self):
        return [row[0] for row in self.session.query(
            "select session_id from torque_internal.checkout_session order by 1")]

    def test_a_sweep_since_then_tells_as_much_as_the_lookup(self):
        self.shop.add("order_open", START - 3600)
        poller = self.poller().quiet()
        self.wants("order_open", poller)
        self.session.query(
            "update torque_internal.sweep set next_at = started_at"
            " where (kind, status) in (('silence', ''), ('open', 'pending'))")
        poller.run(1200)
        silent = [call for call in poller.calls if call[1] == "silence"]
        sweep = self.session.value("select extract(epoch from max(as_of)) from"
                                   " torque.reconcile_window where verdict = 'verified'")
        self.link_made({"sessionId": "session_order_open", "expiresAt": stamp(float(sweep) - 60)})
        poller.run(120)
        self.assertEqual([call for call in poller.calls if call[1] == "silence"], silent)
        poller.calls.clear()
        self.assertTrue(poller.run_until(lambda: poller.calls, 100))
        self.link_made({"sessionId": "session_order_open", "expiresAt": stamp(poller.now - 20)})
        poller.run(100)
        self.assertEqual([call[1] for call in poller.calls], ["open", "silence"])

    def test_an_answer_that_does_not_say_when_a_session_is_over_is_no_fault(self):
        for answer in ({"sessionId": None, "expiresAt": None},
                       {"sessionId": "s", "expiresAt": None},
                       {"sessionId": None, "expiresAt": stamp(START)},
                       {"sessionId": "s", "expiresAt": "infinity"}):
            self.link_made(answer)
        self.assertEqual(self.sessions(), [])
        self.link_made({"sessionId": "s", "expiresAt": stamp(START)})
        self.link_made({"sessionId": "s", "expiresAt": stamp(START + 1)})
        self.assertEqual(self.sessions(), ["s"])

    def test_webhooks_silent_is_raised_when_polls_keep_finding_what_webhooks_should_tell(self):
        self.fill(40, status="pending")
        poller = self.poller()
        poller.run(600)
        for number in range(12):
            self.shop.move("order_%04d" % number, "processing", poller.now)
            poller.run(240)
        poller.run(1200)
        self.assertIn("webhooks_silent:", walks.alarms(self.session))
        self.assertEqual(self.session.value(
            "select count(*) from torque.drift where is_settled and field = 'status'"), "12")
        self.assertEqual(self.session.query("select * from torque.drift_open"), [])
        coverage = self.session.query("select sum(by_webhook) from torque.webhook_coverage")
        self.assertEqual(coverage, [["0"]])
        poller.run(3 * 3600)
        self.assertNotIn("webhooks_silent:", walks.alarms(self.session))

    def test_a_backfill_is_cancelled_and_resumed_and_brings_details_when_asked_to(self):
        self.fill(200)
        poller = self.poller(page_size=10, **UNHURRIED).quiet()
        job = poller.begin(START - 6 * DAY, START, details=True)
        for _ in range(8):
            poller.step()
        self.assertEqual(self.session.value("select torque.backfill_cancel(%s)" % job), "t")
        walked = len(poller.calls)
        poller.run(60)
        self.assertEqual(len([c for c in poller.calls if c[1] == "backfill"]),
                         len([c for c in poller.calls[:walked] if c[1] == "backfill"]))
        self.assertEqual(self.session.value("select torque.backfill_resume(%s)" % job), "t")
        self.assertTrue(poller.run_until(lambda: poller.job_state(job) == "done", 2_000))
        self.assertEqual(self.session.value(
            "select count(*) from torque.orders where has_details"), "200")
        progress = self.session.query(
            "select orders, orders_expected, state from torque.backfill_progress")
        self.assertEqual(progress, [["200", "200", "done"]])

    def test_a_backfill_from_any_time_to_any_time_ends_verified(self):
        self.fill(30)
        poller = self.poller(**UNHURRIED).quiet()
        for dates in ("exact", "day"):
            self.shop.dates = "inclusive" if dates == "exact" else "day"
            for since, until in (("0001-01-01Z", "now"), ("-infinity", "infinity"),
                                 ("1999-12-31Z", "2000-01-03Z"), ("2023-01-01Z", "9999-01-01Z")):
                with self.subTest((dates, since, until)):
                    self.assertEqual(self.backfill(poller, since, until), "done")
        self.assertEqual(walks.table_rows(self.session), walks.shop_rows(self.shop))

    def backfill(self, poller, since, until):
        job = self.session.value("select torque.backfill_start(%s, %s, false, %s)" % (
            literal(since), poller.time() if until == "now" else literal(until), poller.time()))
        self.assertTrue(poller.run_until(lambda: poller.job_state(job) != "running", 300))
        return poller.job_state(job)

    def test_a_backfill_of_no_time_is_refused(self):
        for since, until in (("'2024-01-02'", "'2024-01-01'"), ("'2024-01-01'", "'2024-01-01'"),
                             ("'1990-01-01'", "'1999-01-01'"), ("'2101-01-01'", "'2102-01-01'"),
                             ("null", "now()"), ("now()", "null")):
            with self.subTest((since, until)), self.assertRaises(pgwire.DatabaseError) as refused:
                self.session.query("select torque.backfill_start(%s, %s)" % (since, until))
            self.assertEqual(refused.exception.sqlstate, "22023")
            self.assertIn("no time to walk through", refused.exception.message)

    def test_a_backfill_asked_for_again_while_it_runs_is_the_same_job(self):
        start = "select torque.backfill_start('1990-01-01Z', '2024-02-01Z'%s)"
        self.session.query("begin")
        first = self.session.value(start % "")
        with self.database.session() as other:
            other.send(start % ", false")
            waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            wait.until(lambda: self.database.value(waits) == "1", 20, "it waits")
            self.session.query("commit")
            self.assertEqual(other.receive(), [[first]])
        self.assertNotEqual(self.session.value(start % ", true"), first)
        self.session.query("select torque.backfill_cancel(%s)" % first)
        self.assertNotEqual(self.session.value(start % ""), first)

    def test_a_claim_waits_for_another_session_and_counts_its_calls(self):
        self.poller(requests_per_minute=1)
        self.session.query("begin; select torque.claim_call('verify', 'test')")
        with self.database.session() as other:
            other.query("set lock_timeout = '1ms'; set orderd.requests_per_minute = 1")
            other.send("select call_id, wait_ms > 0 from torque.claim_call('operator', 'test')")
            waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
            wait.until(lambda: self.database.value(waits) == "1", 20, "it waits")
            self.session.query("commit")
            self.assertEqual(other.receive(), [[None, "t"]])

    def test_under_pressure_the_whole_budget_is_used_and_never_more_across_restarts(self):
        self.fill(250, status="pending")
        rng = random.Random(4)
        poller = self.poller(requests_per_minute=30, floor=0)
        poller.run(600)
        self.session.query(
            "insert into torque_internal.lookup (order_id, priority, due_at, wanted_at)"
            " select order_id, 'operator', %s, %s from torque.orders"
            " on conflict (order_id) do update set priority = 'operator', due_at = excluded.due_at"
            % (poller.time(), poller.time()))
        api, asked, refused = RollingMinute(30), [], []

        def arrives(now):
            asked.append(now)
            if not api.admit(now)[0]:
                refused.append(now)
            return None, None

        poller.rate = arrives
        poller.fault = lambda plan, number: "died" if rng.random() < 0.05 else None
        for _ in range(10):
            poller.run(45)
            poller.session.close()
            self.session = poller.session = self.database.session(seconds=30)
            poller.set(requests_per_minute=30, floor=0, page_size=100)
        most = max(sum(at <= t < at + 60 for t in asked) for at in asked)
        self.assertEqual(refused, [])
        self.assertGreaterEqual(most, 29)
        self.assertLessEqual(most, 30)


if __name__ == "__main__":
    tap.main()
