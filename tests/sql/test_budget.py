#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Who may call the API, and when: each bound of the budget from both sides, in simulated time."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import pg, tap
from support.fake_torque import Shop, stamp
from walks import literal

START = 1_700_000_000.0
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
EVERYBODY = ("verify", "tail", "open", "silence", "details", "audit", "backfill")


def time(seconds):
    return "null" if seconds is None else literal(stamp(START + seconds))


class Budget(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster(SETTINGS)
        cls.addClassCleanup(cls.cluster.close)
        cls.database = cls.cluster.migrated()

    def setUp(self):
        self.session = self.database.session(seconds=30)
        self.addCleanup(self.session.close)
        self.session.query("begin")  # and never committed: each test has the budget for itself
        self.allow(10)

    def allow(self, calls):
        self.session.query("set orderd.requests_per_minute = %d" % calls)

    def claim(self, at, priority="verify"):
        """The call that may be made at that second; None when it may not."""
        call, self.wait_ms = self.session.query(
            "select call_id, wait_ms from torque.claim_call(%s, 'test', null, %s)" % (
                literal(priority), time(at)))[0]
        self.wait_ms = int(self.wait_ms)
        self.assertEqual(self.wait_ms > 0, call is None)
        return call

    def wait(self, at, priority="verify"):
        """Seconds until a call may be made that may not be made now."""
        self.assertIsNone(self.claim(at, priority))
        return self.wait_ms / 1000

    def end(self, call, at, status=200, remaining=None, reset=None, retry=None):
        self.session.query("select torque.call_ended(%s, %s, %s, %s, %s, %s)" % (
            call, time(at), *("null" if v is None else v for v in (status, remaining)),
            time(reset), "null" if retry is None else retry))

    def ended(self, at, status=200, priority="operator", **head):
        self.end(self.claim(at, priority), at, status, **head)

    def test_a_place_is_free_again_60_seconds_after_the_end_of_its_call(self):
        self.allow(2)
        first, second = self.claim(0, "operator"), self.claim(1, "operator")
        self.end(first, 5)
        self.end(second, 20)
        self.assertEqual(self.wait(25, "operator"), 40)
        self.assertEqual(self.wait(64.999, "operator"), 0.001)
        self.assertIsNotNone(self.claim(65, "operator"))
        self.assertEqual(self.wait(65, "operator"), 15)

    def test_a_call_without_an_end_is_as_long_as_one_may_take(self):
        self.allow(1)
        self.claim(0)
        self.assertEqual(self.wait(89.999), 0.001)
        self.assertIsNotNone(self.claim(90))
        self.session.query("set orderd.call_ms = 150000")
        self.assertEqual(self.wait(100), 200)

    def test_a_call_whose_connection_was_dropped_has_a_place_and_does_no_harm(self):
        self.allow(2)
        self.ended(0, status=500)
        self.session.query("update torque_internal.poller set backing_off_until = null")
        self.assertEqual(self.session.query("select torque.call_dropped(%s, %s)" % (
            self.claim(1, "operator"), time(2))), [["dropped"]])
        self.assertEqual(self.wait(3, "operator"), 57)
        self.assertEqual(self.session.query(
            "select failures, backing_off_until from torque_internal.poller"), [["1", None]])

    def test_a_call_ends_once_and_never_before_it_began(self):
        self.allow(1)
        call = self.claim(10)
        self.end(call, 5)
        self.end(call, 30, status=429)
        self.assertEqual(self.wait(40), 30)

    def test_people_find_a_place_at_any_time_since_a_fifteenth_of_all_is_theirs(self):
        for allowed, background in ((30, 28), (90, 84), (14, 13), (2, 1), (1, 1)):
            with self.subTest(allowed):
                self.session.query("savepoint here")
                self.allow(allowed)
                self.session.query(
                    "insert into torque_internal.api_call (priority, purpose, claimed_at)"
                    " select 'tail', 'test', %s from generate_series(1, %d)" % (
                        time(0), background - 1))
                self.assertIsNotNone(self.claim(60 if allowed > 2 else 0, "tail"))
                for priority in EVERYBODY:
                    self.assertEqual(self.wait(80, priority), 10, priority)
                for _ in range(allowed - background):
                    self.assertIsNotNone(self.claim(80, "operator"))
                self.assertEqual(self.wait(80, "operator"), 10)
                self.session.query("rollback to here")

    def test_beyond_half_of_the_places_the_pollers_calls_come_at_even_distances(self):
        for _ in range(5):
            self.assertIsNotNone(self.claim(0, "tail"))
        for second in (0, 6, 12):
            self.assertEqual(self.wait(second, "backfill"), 6)
            self.assertIsNotNone(self.claim(second, "operator"))
            self.session.query("delete from torque_internal.api_call where priority = 'operator'")
            self.assertIsNotNone(self.claim(second + 6, "backfill"))

    def test_a_backfill_has_all_that_nobody_else_wants(self):
        calls = sum(self.claim(second, "backfill") is not None for second in range(60))
        self.assertEqual(calls, 9)

    def test_a_wait_is_an_hour_at_most(self):
        for number in range(8):
            self.ended(100_000 * number, 401, "tail")
        self.assertEqual(self.wait(700_001), 3599)
        self.session.query("update torque_internal.poller set stopped_until = %s" % time(10**7))
        self.assertEqual(self.wait(700_001), 3600)

    # The floor.

    def test_what_is_left_below_the_floor_is_the_merchants_until_the_reset(self):
        self.ended(0, remaining=19, reset=45)
        for priority in EVERYBODY:
            self.assertEqual(self.wait(1, priority), 44, priority)
        self.assertIsNotNone(self.claim(1, "operator"))
        self.assertIsNotNone(self.claim(45))

    def test_at_the_floor_or_without_a_word_there_is_no_wait(self):
        self.ended(0, remaining=20, reset=45)
        self.assertIsNotNone(self.claim(1))
        self.ended(2)
        self.assertIsNotNone(self.claim(3))

    def test_the_floor_is_the_configured_one(self):
        self.session.query("set orderd.floor = 5")
        self.ended(0, remaining=5, reset=45)
        self.assertIsNotNone(self.claim(1))
        self.ended(2, remaining=4, reset=45)
        self.assertEqual(self.wait(3), 42)

    def told(self, limit):
        self.session.query("select torque.rate_limit_told(%d)" % limit)

    def test_of_a_small_limit_a_fifth_is_the_floor(self):
        self.told(20)
        self.ended(0, remaining=4, reset=45)
        self.assertIsNotNone(self.claim(1))
        self.ended(2, remaining=3, reset=45)
        self.assertEqual(self.wait(3), 42)
        self.told(1000)
        self.ended(4, remaining=19, reset=45)
        self.assertEqual(self.wait(5), 40)

    def test_a_limit_that_is_told_first_ends_the_wait_for_another_floor(self):
        self.ended(0, remaining=19, reset=45)
        self.assertEqual(self.wait(1), 44)
        self.told(20)
        self.assertIsNotNone(self.claim(1))
        self.ended(2, remaining=3, reset=45)
        self.told(20)
        self.assertEqual(self.wait(3), 42)

    def test_a_floor_without_a_reset_is_for_a_minute(self):
        self.ended(0, remaining=0)
        self.assertEqual(self.wait(1), 59)

    def test_the_floor_stands_until_an_answer_says_that_more_is_left(self):
        self.ended(0, remaining=3, reset=100)
        self.ended(1, status=500)
        self.assertEqual(self.wait(40), 60)
        self.ended(50, remaining=20, reset=100)
        self.assertIsNotNone(self.claim(51))

    def test_the_poller_itself_obeys_the_floor(self):
        poller = walks.Poller(self.session, Shop(), START)
        poller.rate = lambda now: (19, START + 50)
        poller.run_until(lambda: poller.calls, 20)
        poller.run_until(lambda: len(poller.calls) == 2, 50)
        self.assertGreaterEqual(poller.calls[1][0], START + 50 - 0.001)

    # Refusals.

    def test_a_retry_after_is_waited_for_whoever_calls_and_whatever_the_status(self):
        for number, status in enumerate((429, 503, 500, 502, None)):
            now = 1000 * number
            self.ended(now, "null" if status is None else status, retry=300)
            for priority in EVERYBODY + ("operator",):
                self.assertEqual(self.wait(now + 1, priority), 299, (status, priority))
            self.assertIsNotNone(self.claim(now + 300, "operator"))

    def test_a_429_that_says_nothing_is_for_a_minute_and_another_failure_for_none(self):
        self.ended(0, 429)
        self.assertEqual(self.wait(1, "operator"), 59)
        self.ended(100, 503)
        self.assertIsNotNone(self.claim(100, "operator"))

    def test_a_shorter_retry_after_does_not_cut_a_longer_one_short(self):
        for number, status in enumerate((429, 503)):
            now = 1000 * number
            one, other = self.claim(now, "operator"), self.claim(now, "operator")
            self.end(one, now + 1, 429, retry=200)
            self.end(other, now + 2, status, retry=3)
            self.assertEqual(self.wait(now + 10, "operator"), 191)
            self.assertIsNotNone(self.claim(now + 201, "operator"))

    def test_a_good_answer_of_a_call_that_was_under_way_undercuts_nothing(self):
        one, other = self.claim(0), self.claim(0)
        self.end(one, 1, 429, retry=100)
        self.end(other, 2, 200)
        self.assertEqual(self.wait(10), 91)

    def test_a_429_halves_the_calls_of_a_minute_and_each_minute_gives_one_back(self):
        self.allow(8)
        self.ended(0, 429, retry=1)
        for second in (100, 100, 100, 100, 100):  # 4, and one for the minute that has passed
            self.ended(second)
        self.assertEqual(self.wait(101), 59)
        for second in (400,) * 8:
            self.ended(second)
        self.assertEqual(self.wait(401), 59)

    def test_however_many_429_one_call_a_minute_is_left(self):
        for number in range(5):
            self.ended(70 * number, 429, retry=1)
        self.assertIsNotNone(self.claim(340))

    def test_failures_keep_everybody_away_but_operators_ever_longer(self):
        longest = 0
        for number in range(12):
            self.ended(1000 * number, 500)
            self.assertIsNotNone(self.claim(1000 * number, "operator"))
            self.session.query("update torque_internal.api_call set answered_at = claimed_at")
            if self.claim(1000 * number) is None:
                self.assertLessEqual(self.wait_ms, 1000 * min(2 ** (number + 1), 300))
                longest = max(longest, self.wait_ms)
        self.assertGreater(longest, 20_000)
        self.ended(20_000)
        self.assertIsNotNone(self.claim(20_000))
        self.assertEqual(self.session.value("select failures from torque_internal.poller"), "0")

    def test_a_refused_key_stops_everybody_but_operators_ever_longer_up_to_an_hour(self):
        for number, minutes in enumerate((5, 10, 20, 40, 60, 60)):
            self.ended(10_000 * number, 401 if number % 2 else 403, "tail")
            self.assertEqual(self.wait(10_000 * number), 60 * minutes)
        self.assertIn("unauthorized:", walks.alarms(self.session))
        self.ended(60_000, priority="tail")
        self.assertIsNotNone(self.claim(60_001))
        self.assertNotIn("unauthorized:", walks.alarms(self.session))
        self.ended(60_002, 401, "tail")
        self.assertEqual(self.wait(60_002), 300)

    def test_the_key_of_a_person_says_nothing_of_the_pollers(self):
        self.ended(0, 401)
        self.ended(1, 403)
        self.assertIsNotNone(self.claim(2))
        self.assertNotIn("unauthorized:", walks.alarms(self.session))
        self.ended(3, 401, "tail")
        self.ended(4)
        self.assertEqual(self.wait(5), 298)
        self.assertIn("unauthorized:", walks.alarms(self.session))

    def test_who_tells_its_key_has_the_pollers_lock_before_its_row(self):
        self.session.query("begin")
        self.session.query("select torque.access_is('one')")
        with self.database.session() as other:
            self.assertEqual(other.value("select pg_try_advisory_xact_lock("
                                         "hashtext('orderd poller'), 2)"), "f")
        self.session.query("commit")

    def test_another_key_is_tried_at_once(self):
        tell = "select torque.access_is(%s)"
        self.session.query(tell % "'one'")
        self.ended(0, 401, "tail")
        self.session.query(tell % "'one'")
        self.assertEqual(self.wait(1), 299)
        self.session.query(tell % "'other'")
        self.assertIsNotNone(self.claim(1))
        self.assertNotIn("unauthorized:", walks.alarms(self.session))
        self.ended(2, 401, "tail")
        self.assertEqual(self.wait(2), 300)

    # Book-keeping.

    def tidied(self, at):
        """Planning throws old book-keeping away."""
        self.session.query("update torque_internal.poller set tidied_at = %s, planned_at = %s" % (
            time(at - 7200), time(at - 60)))
        self.session.query("set orderd.planned_at = ''")
        self.session.query("select torque_internal.plan_work(%s)" % time(at))
        self.assertEqual(self.session.value("select extract(epoch from tidied_at)::integer"
                                            " from torque_internal.poller"), str(int(START + at)))

    def test_calls_of_the_last_minute_are_not_tidied_away_and_those_of_yesterday_are(self):
        self.allow(1)
        self.ended(-90_000)
        self.ended(0)
        self.tidied(1)
        self.assertEqual(self.wait(2), 58)
        self.assertEqual(self.session.value("select count(*) from torque_internal.api_call"), "1")

    def test_manners_are_believed_for_a_day(self):
        learnt = ("coarse_dates_at", "dates_ignored_at", "offset_ignored_at", "status_ignored_at",
                  "page_cap_at")
        known = "select concat_ws(' ', %s, page_cap) from torque_internal.poller" % ", ".join(
            "%s is not null" % name for name in learnt[:4])
        self.session.query("update torque_internal.poller set page_cap = 50, %s" % ", ".join(
            "%s = %s" % (name, time(0)) for name in learnt))
        self.tidied(86_399)
        self.assertEqual(self.session.value(known), "t t t t 50")
        self.tidied(86_401)
        self.assertEqual(self.session.value(known), "f f f f")


if __name__ == "__main__":
    tap.main()
