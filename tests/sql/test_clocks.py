#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Clocks that are wrong or are set: no order is frozen, no place is free early, and it is told."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from support import facts, tap
from test_poller import Rules, time

AHEAD = (6 * 60, 3 * 3600)  # seconds that the clock of the host is ahead


class Ahead(Rules):
    def looked_up(self, status, at, date, total="59.98"):
        """What an answer that was asked for at that second by our clock is taken for."""
        answer = {"success": True, "order": {"id": "o", "status": status, "cart": {
            "total": float(total), "currency": "USD"}}}
        return self.session.value(
            "select torque.reconcile_lookup(%s, %s, %s, %s, null, null, %s)" % (
                self.ask(order_id="o", at=at), time(at), time(at + 1),
                "null" if date is None else time(date), facts.answer(json.dumps(answer))))

    def order(self):
        return self.session.query("select status from torque.orders where order_id = 'o'")[0][0]

    def test_a_lookup_while_the_host_is_ahead_freezes_no_order(self):
        for ahead in AHEAD:
            with self.subTest(ahead):
                self.assertEqual(self.looked_up("processing", ahead, 0), "applied")
                self.assertEqual(self.looked_up("completed", 60, 60), "applied")
                self.assertEqual(self.order(), "completed")
                self.assertEqual(self.looked_up("refunded", 90 + ahead, 90), "applied")
                self.session.query("rollback; begin")

    def test_an_answer_is_no_newer_than_its_date_or_else_the_clock_of_the_database(self):
        for date, asked, so in ((0, 0, 0), (0, 360, 1), (0, 10800, 1), (200, 0, 199),
                                (None, 0, 0), (9999, 0, 0)):
            self.assertEqual(so, float(self.value(
                "extract(epoch from torque_internal.as_of(torque_internal.clock_skew(%s, %s, %s),"
                " %s)) - %s" % (time(date), time(asked), time(asked + 1), time(asked),
                                "extract(epoch from %s)" % time(0)))), (date, asked))
        for date in ("null", "clock_timestamp() + interval '2 hours'"):
            self.assertEqual(self.value(
                "torque_internal.as_of(torque_internal.clock_skew(%s, asked, asked), asked)"
                " <= clock_timestamp() from (select clock_timestamp() + interval '1 hour' as asked)"
                " as a" % date), "t")

    def test_a_lookup_agrees_only_when_the_order_is_as_it_says(self):
        self.assertEqual(self.looked_up("processing", 0, 0), "applied")
        self.assertEqual(self.looked_up("processing", 10, 10), "agreed")
        self.assertEqual(self.looked_up("completed", 100, 100), "applied")
        self.assertEqual(self.looked_up("processing", 50, 50), "older")
        self.assertEqual(self.looked_up("completed", 51, 51, total="60.00"), "older")
        self.assertEqual(self.looked_up("completed", 52, 52), "agreed")
        self.assertEqual(self.looked_up("on-hold", 200, 200), "agreed")
        self.assertEqual(self.looked_up("on-hold", 210, 210), "agreed")
        self.assertEqual(self.looked_up("shipped", 190, 190), "older")

    def test_two_clocks_that_are_a_minute_apart_are_an_alarm_until_they_are_not(self):
        for number, (ahead, said) in enumerate((
                (60, None), (61, "61 s ahead of"), (-61, "61 s behind"), (60, None),
                (-3600, "3600 s behind"), (0, None))):
            self.session.query("select torque_internal.judge_clock('API', interval '%d s', %s)" % (
                ahead, time(400 * number)))
            found = self.session.query("select detail from torque.alarm_subjects"
                                       " where alarm = 'clock'")
            self.assertEqual(found, [["the clock of this host is %s that of the API" % said]]
                             if said else [])

    def test_the_poller_compares_its_clock_with_the_databases(self):
        for offset, found in (("0", []), ("90 s", [["database"]]), ("-90 s", [["database"]])):
            with self.subTest(offset):
                ahead = self.session.value(
                    "select clock_ahead_s from torque.reconcile_next("
                    "clock_timestamp() + interval '%s', 1)" % offset)
                self.assertAlmostEqual(int(ahead), int(offset.split()[0]), delta=5)
                self.assertEqual(self.session.query(
                    "select subject from torque.alarm_subjects where alarm = 'clock'"), found)
                self.session.query("rollback; begin")


class Steps(Rules):
    """A place is free again 60 s after its call by a clock that nobody sets."""

    def setUp(self):
        super().setUp()
        self.session.query("set orderd.requests_per_minute = 1")

    def claim(self, at, uptime):
        call, wait_ms = self.session.query(
            "select call_id, wait_ms from torque.claim_call('operator', 'test', null, %s, %s)" % (
                time(at), "null" if uptime is None else int(uptime * 1000)))[0]
        self.wait_ms = int(wait_ms)
        return call

    def end(self, call, at, status=200, retry=None):
        self.session.query("select torque.call_ended(%s, %s, %d, null, null, %s)" % (
            call, time(at), status, retry or "null"))

    def test_a_clock_that_is_set_ahead_frees_no_place_early(self):
        self.end(self.claim(0, 1000), 1)
        self.assertIsNone(self.claim(3600 + 11, 1011))
        self.assertEqual(self.wait_ms, 50_000)
        self.assertIsNone(self.claim(3600 + 60.9, 1060.9))
        self.assertIsNotNone(self.claim(3600 + 61, 1061))

    def test_nor_does_one_that_is_set_while_a_call_is_under_way(self):
        call = self.claim(0, 1000)
        self.end(call, 20)
        self.assertIsNone(self.claim(3600 + 79, 1079))
        self.assertIsNotNone(self.claim(3600 + 80, 1080))

    def test_what_the_api_asked_for_in_waiting_is_waited_for(self):
        self.end(self.claim(0, 1000), 0, 429, 200)
        self.assertIsNone(self.claim(3600 + 199, 1199))
        self.assertEqual(self.wait_ms, 1000)
        self.assertIsNotNone(self.claim(3600 + 200, 1200))

    def test_a_clock_that_is_set_often_frees_none_either(self):
        self.end(self.claim(0, 1000), 0)
        for number in range(1, 60):
            self.assertIsNone(self.claim(number * 7, 1000 + number), number)
        self.assertIsNotNone(self.claim(60 * 7, 1060))

    def test_a_clock_that_runs_evenly_moves_nothing(self):
        self.end(self.claim(0, 1000), 0)
        for number in range(1, 60):
            self.assertIsNone(self.claim(number * 1.001, 1000 + number))
        self.assertEqual(self.session.value(
            "select extract(epoch from answered_at - %s)::integer from torque_internal.api_call"
            % time(0)), "0")
        self.assertIsNotNone(self.claim(60.06, 1060))

    def test_a_host_that_was_started_anew_or_another_one_waits_no_longer_than_a_minute(self):
        for uptime in (5, 1005, 2000, None):
            with self.subTest(uptime):
                self.end(self.claim(0, 1000), 0)
                if self.claim(100, uptime) is None:
                    self.assertLessEqual(self.wait_ms, 60_000)
                self.session.query("rollback; begin")

    def test_a_clock_that_is_set_back_is_no_step_ahead_when_it_is_set_right(self):
        self.end(self.claim(0, 1000), 0)
        self.assertIsNone(self.claim(-3590, 1010))
        self.assertIsNone(self.claim(20, 1020))


if __name__ == "__main__":
    tap.main()
