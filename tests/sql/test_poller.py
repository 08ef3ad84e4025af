#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Each rule of the poller by itself, from both sides of its bounds, in a time of its own."""

import json
import re
import sys
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import walks
from support import facts, pg, tap
from support.fake_torque import stamp
from test_reconcile_time import ingest
from walks import literal

START = 1_700_000_000.0
SQL = Path(__file__).resolve().parents[2] / "sql" / "poller"
MINUTE, HOUR, DAY = 60, 3600, 86_400
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# An order that is here and agrees with the lists, but for what is said.
KNOWN = """
insert into torque.orders (
    order_id, status, created_at, has_details, is_open, held_facts, first_seen_at,
    last_changed_at, newest_as_of, rules_version
)
select %s, %s, %s, true, %s, 0, %s, %s, %s, r.version from torque_internal.rules r
"""


def time(seconds):
    return "null" if seconds is None else "%s::timestamptz" % literal(stamp(START + seconds))


def rows(*orders):
    """The answer of list-orders with these (id, seconds, status) and no others."""
    listed = [{"id": order_id, "status": status, "createdAt": stamp(START + at)}
              for order_id, at, status in orders]
    return {"success": True, "orders": listed,
            "pagination": {"total": len(listed), "limit": 100, "offset": 0, "hasMore": False}}


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster(SETTINGS)
        cls.addClassCleanup(cls.cluster.close)
        cls.database = cls.cluster.migrated()

    def setUp(self):
        self.session = self.database.session(seconds=30)
        self.addCleanup(self.session.close)
        self.session.query("begin")  # and never committed

    def value(self, sql):
        return self.session.value("select " + sql)

    def known(self, order_id, created, status="completed", first_seen=None, newest=None):
        first_seen = created if first_seen is None else first_seen
        self.session.query(KNOWN % (
            literal(order_id), literal(status), time(created), status == "pending",
            time(first_seen), time(first_seen), time(first_seen if newest is None else newest)))
        if status == "pending":
            self.session.query("insert into torque_internal.open_order values (%s)"
                               % literal(order_id))

    def window(self, since=-DAY, until=0, kind="audit", status=None, parent=None, opened=0, **more):
        """A window that is open, or as it is said to be; its number."""
        columns = {"kind": literal(kind), "status": literal(status), "opened_at": time(opened),
                   "created_from": time(since), "created_to": time(until), **more}
        number = self.value("nextval(pg_get_serial_sequence('torque.reconcile_window',"
                            " 'window_id'))")
        root = parent and self.column("root_id", parent) or number
        self.session.query(
            "insert into torque.reconcile_window (window_id, root_id, parent_id, %s)"
            " overriding system value values (%s, %s, %s, %s)" % (
                ", ".join(columns), number, root, parent or "null",
                ", ".join(map(str, columns.values()))))
        return number

    def column(self, name, window):
        return self.session.value("select %s from torque.reconcile_window where window_id = %s" % (
            name, window))

    def of_window(self, window, call):
        """A function of a window w and the poller p."""
        return self.session.value(
            "select %s from torque.reconcile_window w, torque_internal.poller p"
            " where w.window_id = %s" % (call, window))

    def ask(self, window=None, order_id=None, at=0, offset=0, limit=100):
        """A call that is under way."""
        return self.session.value(
            "insert into torque_internal.api_call (priority, purpose, claimed_at, window_id,"
            " order_id, page_limit, page_offset, asked_from, asked_to) values ('audit', '%s', %s,"
            " %s, %s, %d, %d, %s, %s) returning call_id" % (
                "list" if window else "lookup", time(at), window or "null", literal(order_id),
                limit, offset, time(-10 * DAY), time(DAY)))

    def page(self, window, answer, at=0, offset=0):
        return self.session.value("select torque.reconcile_page(%s, %s, %s, null, null, null, %s)"
                                  % (self.ask(window, at=at, offset=offset), time(at), time(at + 1),
                                     facts.page(json.dumps(answer))))

    def failed(self, kind, at=0, status=None, **what):
        return self.session.value(
            "select torque.reconcile_failed(%s, %s, %s, %s, %s, null, null, null, 'x')" % (
                self.ask(at=at, **what), time(at), time(at), literal(kind), status or "null"))

    def lookup(self, order_id, due=0, wanted=None, priority="verify", tries=0):
        self.session.query(
            "insert into torque_internal.lookup (order_id, priority, due_at, wanted_at, tries)"
            " values (%s, %s, %s, %s, %d)" % (literal(order_id), literal(priority), time(due),
                                              time(due if wanted is None else wanted), tries))

    def due(self, order_id):
        """Seconds at which it is looked up next; None when it is not."""
        due = self.session.query("select extract(epoch from due_at) from torque_internal.lookup"
                                 " where order_id = %s" % literal(order_id))
        return float(due[0][0]) - START if due else None


class Answers(Rules):
    def test_the_clock_of_the_api_is_off_by_what_its_Date_proves_and_no_more(self):
        # Asked at 0, answered at 2; a Date is cut to seconds.
        for date, offset in ((0, 0), (-1, 0), (-2, -1), (2, 0), (3, 1), (301, 299), (302, 0),
                             (-300, -299), (-301, 0), (9999, 0), (-9999, 0)):
            with self.subTest(date):
                self.assertEqual(offset, float(self.value(
                    "extract(epoch from torque_internal.clock_offset("
                    "torque_internal.clock_skew(%s, %s, %s)))" % (
                        time(date), time(0), time(2)))))

    def test_404_once_is_no_proof_and_twice_within_the_hour_is_none(self):
        self.known("o", -DAY)
        self.lookup("o")
        self.assertEqual(self.failed("not_found", 0, order_id="o"), "not_found")
        self.assertEqual(self.due("o"), HOUR)
        self.assertEqual(self.failed("not_found", HOUR - 1, order_id="o"), "not_found")
        self.assertEqual(self.failed("not_found", HOUR, order_id="o"), "missing")
        self.assertIsNone(self.due("o"))

    def test_another_failure_between_two_404_begins_the_hour_anew(self):
        self.lookup("o")
        self.failed("not_found", 0, order_id="o")
        self.failed("server_error", 60, 500, order_id="o")
        self.assertEqual(self.failed("not_found", HOUR, order_id="o"), "not_found")

    def test_a_lookup_that_fails_is_repeated_ever_more_rarely_up_to_an_hour(self):
        self.lookup("o")
        for number, seconds in enumerate((30, 60, 120, 240)):
            self.failed("malformed", 1000 * number, 200, order_id="o")
            self.assertEqual(self.due("o") - 1000 * number, seconds)
        self.session.query("update torque_internal.lookup set tries = 1000")
        self.failed("malformed", 10_000, 200, order_id="o")
        self.assertEqual(self.due("o") - 10_000, HOUR)

    def test_an_operators_lookup_that_fails_waits_like_any_other(self):
        self.lookup("o", priority="operator")
        self.failed("late", order_id="o")
        self.assertEqual(self.value("priority from torque_internal.lookup"), "verify")

    def test_a_window_whose_answers_cannot_be_read_is_given_up_for_a_while(self):
        for kind in ("refused", "not_found", "malformed"):
            with self.subTest(kind):
                window = self.window()
                limit = 1 if kind == "malformed" else 100
                self.assertEqual([self.failed(kind, window=window, limit=limit) for _ in range(3)],
                                 [kind, kind, "incomplete"])
                self.assertEqual(self.column("not_before", window) is None, False)

    def test_a_page_that_is_too_heavy_is_asked_for_in_halves_down_to_one_row(self):
        window = self.window()
        limits = []
        for _ in range(8):
            limits.append(int(self.of_window(window, "torque_internal.page_size(w, p)")))
            self.failed("malformed", window=window, limit=limits[-1])
        self.assertEqual(limits, [100, 50, 25, 12, 6, 3, 1, 1])
        self.assertEqual(self.column("tries", window), "2")
        self.failed("malformed", window=window, limit=1)
        self.assertEqual(self.column("verdict", window), "incomplete")
        self.assertEqual(self.of_window(window, "torque_internal.page_size(w, p)"), "100")

    def test_a_window_that_got_no_answer_is_asked_for_again_in_5_seconds_and_not_blamed(self):
        for kind in ("server_error", "unreachable", "late"):
            with self.subTest(kind):
                window = self.window()
                self.failed(kind, window=window)
                self.assertEqual(self.column("not_before = %s" % time(5), window), "t")
                self.assertEqual(self.column("tries", window), "0")

    def test_an_answer_about_another_order_or_none_is_not_believed(self):
        for answer in ({"id": "other", "status": "refunded"}, {"status": "refunded"},
                       {"id": None, "status": "refunded"}):
            with self.subTest(answer):
                self.lookup("o")
                call = self.ask(order_id="o")
                self.assertEqual("malformed", self.session.value(
                    "select torque.reconcile_lookup(%s, %s, %s, null, null, null, %s)" % (
                        call, time(0), time(1), facts.answer(json.dumps({"order": answer})))))
                self.assertEqual(self.value("count(*) from torque.orders"), "0")
                self.session.query("delete from torque_internal.lookup")

    def test_an_answer_that_nobody_waits_for_any_more_changes_nothing(self):
        window = self.window(page_offset=50)
        self.assertEqual(self.page(window, rows(), offset=0), "superseded")
        self.assertEqual(self.column("pages", window), "0")
        closed = self.window(verdict="'agreed'")
        self.assertEqual(self.page(closed, rows()), "superseded")


class Verdicts(Rules):
    def absent(self, window, ids=(), as_of=0):
        return self.of_window(window, "array_to_string(torque_internal.absent_orders(w,"
                              " array[%s]::text[], %s), ' ')" % (
                                  ",".join(map(literal, ids)), time(as_of)))

    def test_orders_that_are_known_and_not_listed_are_absent_the_newest_first(self):
        for order_id, created in (("a", -300), ("b", -200), ("c", -DAY), ("at_end", 0),
                                  ("before", -DAY - 1)):
            self.known(order_id, created)
        window = self.window()
        self.assertEqual(self.absent(window, as_of=HOUR), "b a c")
        self.assertEqual(self.absent(window, ["a", "b"], HOUR), "c")

    def test_a_list_may_lag_a_minute_behind_a_new_order(self):
        self.known("o", -300, first_seen=-60)
        window = self.window()
        self.assertEqual(self.absent(window, as_of=0), "")
        self.assertEqual(self.absent(window, as_of=1), "o")

    def test_a_list_of_one_status_may_lag_5_seconds_behind_a_change(self):
        self.known("o", -DAY, "pending", newest=-5)
        self.known("p", -DAY, "completed", newest=-500)
        window = self.window(status="pending")
        self.assertEqual(self.absent(window, as_of=0), "")
        self.assertEqual(self.absent(window, as_of=1), "o")

    def test_orders_that_are_missing_or_explained_are_not_waited_for(self):
        for order_id in ("missing", "explained", "unlisted"):
            self.known(order_id, -DAY)
        self.session.query(
            "insert into torque.missing_order values ('missing', now());"
            " insert into torque_internal.unlisted values ('explained', now(), now()),"
            " ('unlisted', now(), null)")
        self.assertEqual(self.absent(self.window(), as_of=HOUR), "unlisted")

    def test_an_order_that_was_listed_and_is_not_here_keeps_the_certificate_out(self):
        window = self.window()
        complete = "torque_internal.complete(w, array['o'], 1, 1, %s, %s)" % (time(0), time(1))
        self.assertEqual(self.of_window(window, complete), "not_taken")
        self.known("o", -5)
        self.assertEqual(self.of_window(window, complete), "verified")

    def contradicted(self, window):
        return self.of_window(window, "torque_internal.contradict(w, 'x', %s)" % time(0))

    def test_three_contradictions_make_a_window_incomplete_and_raise_an_alarm(self):
        window = self.window()
        for number in range(2):
            self.assertEqual(self.contradicted(window), "x")
            self.assertEqual(self.column("verdict", window), "open")
            self.assertEqual(walks.alarms(self.session), [])
        self.assertEqual(self.contradicted(window), "incomplete")
        self.assertEqual(self.column("verdict", window), "incomplete")
        self.assertEqual(walks.alarms(self.session), ["incomplete:audit"])

    def test_an_incomplete_window_is_asked_for_ever_more_rarely_up_to_an_hour(self):
        window = self.window()
        waits = []
        for _ in range(9):
            self.contradicted(window)
            waits.append(self.column("extract(epoch from not_before - %s)::integer" % time(0),
                                     window))
        self.assertEqual(waits, [None, None, "300", "600", "1200", "2400", "3600", "3600", "3600"])

    def test_more_than_20_absent_orders_are_a_list_that_was_cut(self):
        for count, verdict in ((20, "absent"), (21, "incomplete")):
            with self.subTest(count):
                self.session.query("savepoint here")
                for number in range(count):
                    self.known("o%d" % number, -DAY)
                window = self.window(tries=2)
                self.assertEqual(verdict, self.of_window(
                    window, "torque_internal.complete(w, '{}', 0, 0, %s, %s)" % (
                        time(HOUR), time(HOUR))))
                self.assertEqual(self.value("count(*) from torque_internal.lookup"), "20")
                self.session.query("rollback to here")

    def settle(self, window, as_of, expected=0):
        self.assertEqual("verified", self.of_window(
            window, "torque_internal.settle(w, 'verified', %d, %d, %d, %s, %s)" % (
                expected, expected, expected, time(as_of), time(as_of + 1))))

    def test_a_divided_window_is_verified_with_its_last_part_as_of_the_oldest(self):
        whole = self.window(verdict="'split'", expected=2)
        self.known("a", -100)
        self.known("b", -DAY + 100)
        first = self.window(-DAY, -1000, parent=whole)
        second = self.window(-1000, 0, parent=whole)
        self.settle(second, 50, 1)
        self.assertIsNone(self.column("verified_at", whole))
        for verdict in ("incomplete", "split"):  # closed for now, and no certificate
            self.session.query("update torque.reconcile_window set verdict = %s"
                               " where window_id = %s" % (literal(verdict), first))
            self.settle(second, 50, 1)
            self.assertIsNone(self.column("verified_at", whole))
        self.settle(first, 90, 1)
        self.assertEqual(self.column("as_of = %s" % time(50), whole), "t")
        self.assertEqual(self.column("inside", whole), "2")

    def test_parts_that_miss_an_order_of_the_whole_are_divided_anew(self):
        self.known("a", -100)
        self.known("beside", 2)
        for expected, verdict in ((2, "split"), (3, "open parts_missing")):
            with self.subTest(expected):
                whole = self.window(opened=DAY, verdict="'split'", expected=expected)
                part = self.window(opened=DAY, parent=whole)
                self.settle(part, 0, 1)
                self.assertEqual(self.column("concat_ws(' ', verdict, problem)", whole), verdict)

    def test_a_newer_certificate_of_the_same_status_takes_the_place_of_what_it_covers(self):
        kept = {
            "longer": self.window(-DAY - 1, 0, opened=-5),
            "of a status": self.window(-500, 0, opened=-5, status="pending"),
            "later": self.window(-500, 0, opened=5),
        }
        gone = self.window(-500, 0, opened=-5), self.window(-DAY, 0, opened=0)
        whole = self.window(-DAY, 0, opened=0)
        self.settle(whole, 10)
        for name, window in kept.items():
            self.assertEqual(self.column("verdict", window), "open", name)
        for window in gone:
            self.assertEqual(self.value("count(*) from torque.reconcile_window where window_id = "
                                        + window), "0")

    def test_a_count_is_enough_where_nothing_more_is_asked_and_takes_no_certificates_place(self):
        certificate = self.window(-500, 0, opened=-5)
        for total, word in ((101, "split"), (100, "agreed")):
            answer = rows(*(("o%d" % n, -DAY // 2 - n, "completed") for n in range(100)))
            answer["pagination"].update(total=total, hasMore=total > 100)
            self.assertEqual(self.page(self.window(is_count=True, opened=DAY), answer), word)
        self.assertEqual(self.column("verdict", certificate), "open")

    def test_an_alarm_of_windows_is_over_when_no_such_window_is_left(self):
        bad = self.window(-DAY, -500, verdict="'incomplete'")
        self.session.query("select torque_internal.raise_alarm('incomplete', 'audit', 'x', now())")
        self.settle(self.window(-400, 0), 0)
        self.assertEqual(walks.alarms(self.session), ["incomplete:audit"])
        self.session.query("update torque.reconcile_window set verdict = 'open' where window_id = "
                           + bad)
        self.settle(self.window(-300, 0), 0)
        self.assertEqual(walks.alarms(self.session), [])

    def test_an_answer_that_contradicts_itself_proves_nothing(self):
        one, other = ("a", -100, "completed"), ("b", -200, "completed")
        for word, listed, pagination in (
                ("verified", [one, other], {}), ("rows_missing", [one], {"total": 2}),
                ("total_too_low", [one, other], {"total": 1}), ("row_twice", [one, one], {}),
                ("row_without_id", [one, (None, -200, "completed")], {}),
                ("row_without_id", [one, ("no id", -200, "completed")], {}),
                ("no_total", [one], {"total": None}), ("no_total", [one], {"total": "many"}),
                ("has_more", [one], {"hasMore": True})):
            with self.subTest((word, listed, pagination)):
                self.session.query("savepoint here")
                answer = rows(*listed)
                answer["pagination"].update(pagination)
                window = self.window()
                self.assertEqual(self.page(window, answer), word)
                self.assertEqual(self.column("verdict = 'open'", window),
                                 "f" if word == "verified" else "t")
                self.session.query("rollback to here")

    def test_a_status_that_the_filter_should_have_kept_out_proves_nothing(self):
        window = self.window(status="pending")
        self.assertEqual(self.page(window, rows(("o", -100, "completed"))), "other_status")
        self.assertEqual(self.column("verdict", window), "open")

    def test_a_status_that_nobody_knows_is_no_proof_that_the_filter_is_ignored(self):
        window = self.window(status="pending")
        listed = ("o", -100, "pending"), ("p", -200, "on_hold"), ("q", -300, "created")
        self.assertEqual(self.page(window, rows(*listed)), "verified")

    def test_pages_that_share_no_row_are_read_again_from_where_they_met(self):
        window = self.window(page_offset=100, expected=300, pages=1,
                             seam="array['a', 'b']", problem="'x'")
        answer = rows(*(("o%d" % n, -n, "completed") for n in range(100)))
        answer["pagination"].update(total=300, hasMore=True)
        self.assertEqual(self.page(window, answer, offset=100), "seam")
        self.assertEqual(self.column("page_offset", window), "50")

    def test_every_word_for_what_is_wrong_is_explained_at_its_column(self):
        told = self.value(
            "col_description('torque.reconcile_window'::regclass, attnum) from pg_attribute"
            " where attrelid = 'torque.reconcile_window'::regclass and attname = 'problem'")
        source = "".join((SQL / name).read_text() for name in ("judge.sql", "verdict.sql"))
        words = set(re.findall(r"(?:then|contradict\(w,) '([a-z_]+)'", source)) - {"incomplete"}
        self.assertGreater(len(words), 15)
        self.assertEqual([word for word in sorted(words) if word not in told], [])

    def test_dates_that_are_off_by_hours_are_those_of_whole_days_and_by_days_of_none(self):
        for hours, learnt in ((14, "coarse_dates_at"), (14 * 24, "dates_ignored_at")):
            with self.subTest(hours):
                self.session.query("savepoint here")
                window = self.window()
                answer = rows(("o", -10 * DAY - hours * HOUR, "completed"))
                self.assertEqual(self.page(window, answer), "out_of_span")
                self.assertEqual(self.page(window, answer), "manners")
                self.assertEqual("t", self.value(
                    "%s is not null from torque_internal.poller" % learnt))
                self.session.query("rollback to here")

    def test_a_total_that_changes_from_page_to_page_proves_nothing(self):
        for total, word in ((300, "paged"), (301, "total_changed"), (None, "total_changed")):
            with self.subTest(total):
                window = self.window(page_offset=98, expected=300, pages=1, seam="array['o1']")
                answer = rows(*(("o%d" % n, -n, "completed") for n in range(100)))
                answer["pagination"].update(total=total, hasMore=True)
                self.assertEqual(self.page(window, answer, offset=98), word)

    def test_twice_a_date_out_of_the_span_is_a_habit_and_once_is_none(self):
        window = self.window()
        self.assertEqual(self.page(window, rows(("o", -30 * DAY, "completed"))), "out_of_span")
        self.assertEqual(self.value("dates_ignored_at is null from torque_internal.poller"), "t")
        self.assertEqual(self.page(window, rows(("o", -30 * DAY, "completed"))), "manners")
        self.assertEqual(self.value("dates_ignored_at is null from torque_internal.poller"), "f")


class Pages(Rules):
    def asked(self, window):
        since, until = (float(self.of_window(
            window, "extract(epoch from torque_internal.asked_%s(w, p))" % name)) - START
            for name in ("from", "to"))
        return round(since, 6), round(until, 6)

    def test_a_window_is_asked_for_from_2_seconds_before_it_to_2_after_it(self):
        window = self.window(-1000.5, -500.25)
        self.assertEqual(self.asked(window), (-1003, -498.000001))

    def test_what_reaches_up_to_now_is_asked_for_as_far_as_tomorrow_once(self):
        tomorrow = (START // DAY + 1.5) * DAY - START
        for until, pages, opened, end in ((0, 0, 0, tomorrow), (0, 1, 0, 2.999999),
                                          (0, 0, 300, tomorrow), (0, 0, 301, 2.999999)):
            with self.subTest((until, pages, opened)):
                window = self.window(-1000, until, opened=opened, pages=pages)
                self.assertAlmostEqual(self.asked(window)[1], end, 5)

    def test_an_order_on_the_edge_of_two_windows_is_inside_the_later_one(self):
        window = self.window(-1000, -500)
        self.page(window, rows(("at_end", -500, "completed"), ("at_begin", -1000, "completed")))
        self.assertEqual(self.column("inside", window), "1")


class Alarms(Rules):
    def alarm(self, what, about, at=0):
        self.session.query("select torque_internal.raise_alarm(%s, %s, 'about ' || %s, %s)" % (
            literal(what), literal(about), literal(about), time(at)))

    def told(self):
        return self.session.query(
            "select alarm, subjects, example, detail, cleared_at is null"
            " from torque.reconcile_alarm order by alarm")

    def clear(self, order_id, at):
        self.session.query("select torque_internal.clear_alarm('unusable', %s, %s)" % (
            literal(order_id), time(at)))

    def test_however_many_orders_an_alarm_is_about_it_is_one_with_a_count_and_an_example(self):
        for number in range(30):
            self.alarm("unusable", "o%d" % number, number)
        self.alarm("missing", "gone")
        self.assertEqual(self.told(), [["missing", "1", "gone", "about gone", "t"],
                                       ["unusable", "30", "o29", "about o29", "t"]])
        self.assertEqual(self.value("count(*) from torque.alarm_subjects"), "31")

    def test_an_alarm_is_over_with_the_last_order_it_is_about_and_forgotten_in_a_week(self):
        self.alarm("unusable", "a")
        self.alarm("unusable", "b", 1)
        self.clear("b", 10)
        self.assertEqual(self.told(), [["unusable", "1", "a", "about a", "t"]])
        self.clear("a", 20)
        self.assertEqual(self.told(), [["unusable", "0", "a", "about a", "f"]])
        self.session.query("select torque_internal.tidy(%s)" % time(7 * DAY + 20))
        self.assertEqual(len(self.told()), 1)
        self.session.query("select torque_internal.tidy(%s)" % time(7 * DAY + 21))
        self.assertEqual(self.told(), [])


class Sight(Rules):
    def plan(self, at):
        self.session.query("set orderd.planned_at = ''; select torque_internal.plan_work(%s)"
                           % time(at))

    def alarms(self, at):
        self.plan(at)
        return walks.alarms(self.session)

    def blind(self):
        return self.value("torque_internal.blind_because()")

    def swept(self, at):
        self.session.query(
            "update torque.reconcile_window set verdict = 'verified', expected = 0, seen = 0,"
            " as_of = %s, verified_at = %s where kind = 'tail' and verdict = 'open'" % (
                time(at), time(at)))

    def test_it_is_blind_when_no_tail_was_verified_for_ten_times_sweep_every(self):
        self.session.query("set orderd.sweep_every = 60")
        self.assertEqual(self.alarms(0), [])
        self.assertEqual(self.alarms(600), [])
        self.assertIsNone(self.blind())
        self.assertEqual(self.alarms(601), ["blind:"])
        self.assertIn("blind: the newest orders have not been verified since 20", self.blind())
        self.swept(602)  # as far as it was begun
        self.assertEqual(self.alarms(603), ["blind:"])
        self.swept(604)
        self.assertEqual(self.alarms(605), [])
        self.assertIsNone(self.blind())
        self.assertEqual(self.alarms(603 + 600), [])
        self.assertEqual(self.alarms(603 + 601), ["blind:"])

    def test_what_is_walked_in_the_past_does_not_make_it_see(self):
        self.plan(0)
        self.window(-DAY, -HOUR, opened=900, verdict="'verified'", expected=0, seen=0,
                    as_of=time(900), verified_at=time(900))
        self.assertEqual(self.alarms(900), ["blind:"])

    def test_an_alarm_that_lasts_is_counted_every_few_minutes_and_not_at_each_look(self):
        self.plan(0)
        for at in (700, 705, 999, 1001, 1300):
            self.plan(at)
        self.assertEqual(self.value("times from torque.reconcile_alarm"), "2")

    def failed_calls(self, number, at):
        for _ in range(number):
            self.failed("server_error", at, 503, order_id="o")

    def test_three_failures_and_no_answer_for_5_minutes_are_an_api_that_is_unreachable(self):
        self.session.query("set orderd.sweep_every = 3600")
        answered = self.ask(order_id="o", at=0)
        self.session.query("select torque.call_ended(%s, %s, 200, null, null, null)" % (
            answered, time(1)))
        self.failed_calls(2, 10)
        self.assertEqual(self.alarms(400), [])
        self.failed_calls(1, 20)
        self.assertEqual(self.alarms(299), [])
        self.assertEqual(self.alarms(300), ["unreachable:"])
        self.assertIn("unreachable: 3 calls", self.blind())
        answered = self.ask(order_id="o", at=310)
        self.session.query("select torque.call_ended(%s, %s, 404, null, null, null)" % (
            answered, time(311)))
        self.assertEqual(self.alarms(312), [])

    def left(self, remaining, at):
        self.session.query("select torque.call_ended(%s, %s, 200, %d, %s, null)" % (
            self.ask(order_id="o", at=at), time(at), remaining, time(at + 30)))

    def test_a_floor_that_stops_it_for_10_minutes_is_an_alarm(self):
        self.session.query("set orderd.sweep_every = 3600")
        self.left(19, 0)
        self.assertEqual(self.alarms(599), [])
        self.left(3, 599)
        self.assertEqual(self.alarms(600), ["floor:"])
        self.assertIn("floor: since ", self.blind())
        self.left(20, 601)
        self.assertEqual(self.alarms(602), [])

    def test_a_list_that_the_api_does_not_have_is_told_at_once(self):
        self.failed("not_found", window=self.window())
        self.assertEqual(self.blind(), "refused: x")


class Work(Rules):
    def want(self, priority, due, at=0):
        self.session.query("select torque_internal.want_lookup('o', %s, %s, %s)" % (
            literal(priority), time(due), time(at)))

    def test_the_more_urgent_wish_counts_and_the_earlier_time(self):
        self.want("details", 100)
        self.want("verify", 200)
        self.assertEqual(self.due("o"), 100)
        self.want("backfill", 50)
        self.assertEqual(self.due("o"), 50)
        self.assertEqual(self.value("priority from torque_internal.lookup"), "verify")

    def test_what_was_tried_in_vain_keeps_its_distance_unless_somebody_asks(self):
        self.lookup("o", due=1000, tries=1)
        self.want("verify", 10)
        self.assertEqual(self.due("o"), 1000)
        self.want("operator", 10)
        self.assertEqual(self.due("o"), 10)

    def looked_up(self, asked, at):
        self.session.query("select torque_internal.looked_up('o', %s, %s)" % (
            time(asked), time(at)))

    def test_only_an_answer_asked_for_later_than_the_wish_will_do(self):
        self.known("o", -DAY)
        self.lookup("o", due=0, wanted=10)
        self.looked_up(9, 20)
        self.assertIsNotNone(self.due("o"))
        self.looked_up(10, 20)
        self.assertIsNone(self.due("o"))

    def test_a_lookup_that_settles_nothing_is_repeated_ever_more_rarely_up_to_a_day(self):
        self.known("o", -DAY, "pending")
        self.session.query("update torque.orders set verify_after = now()")
        self.lookup("o")
        for number, minutes in enumerate((1, 2, 4, 8)):
            self.looked_up(1000 * number, 1000 * number)
            self.assertEqual(self.due("o") - 1000 * number, 60 * minutes)
        self.session.query("update torque_internal.lookup set tries = 1000")
        self.looked_up(5000, 5000)
        self.assertEqual(self.due("o") - 5000, DAY)

    def next_priority(self, at=0):
        return self.value("torque_internal.next_priority(p, %s) from torque_internal.poller p"
                          % time(at))

    def called(self, priority, count=1, at=0):
        self.session.query(
            "insert into torque_internal.api_call (priority, purpose, claimed_at)"
            " select %s, 'test', %s from generate_series(1, %d)" % (
                literal(priority), time(at), count))

    def work_of_all(self):
        for kind in ("tail", "open", "audit", "backfill"):
            self.window(kind=kind)
        for number, priority in enumerate(("verify", "silence", "details", "backfill")):
            self.lookup("o%d" % number, due=-number, priority=priority)

    def test_when_all_want_more_than_there_is_each_share_has_its_weight_of_the_calls(self):
        self.work_of_all()
        had = Counter()
        for _ in range(280):
            priority = self.next_priority()
            had[priority] += 1
            self.called(priority)
        self.assertEqual(had, {"details": 110, "tail": 60, "open": 40, "backfill": 70})

    def test_what_one_share_leaves_the_others_have(self):
        self.window(kind="backfill")
        self.called("backfill", 1000)
        self.assertEqual(self.next_priority(), "backfill")
        self.window(kind="tail")
        self.called("tail", 1000, at=-91)
        self.assertEqual(self.next_priority(), "tail")
        self.called("tail", 1000, at=-89)
        self.assertEqual(self.next_priority(), "backfill")

    def test_people_come_first(self):
        self.work_of_all()
        self.lookup("o", priority="operator")
        self.called("operator", 1000)
        self.assertEqual(self.next_priority(), "operator")

    def test_of_lookups_that_are_due_the_oldest_comes_first_whoever_wants_it(self):
        for order_id, due, priority in (("a", -5, "details"), ("b", -9, "silence"),
                                        ("c", -7, "verify"), ("d", 1, "verify")):
            self.lookup(order_id, due=due, priority=priority)
        for order_id in ("b", "c", "a", None):
            self.assertEqual(order_id, self.value(
                "order_id from torque_internal.due_lookup(array['verify', 'silence', 'details'],"
                " %s)" % time(0)))
            self.session.query("delete from torque_internal.lookup where order_id = %s"
                               % literal(order_id))

    def test_history_is_read_before_it_is_read_again_and_both_before_its_details(self):
        self.work_of_all()
        for kind in ("verify", "silence", "details"):
            self.session.query("delete from torque_internal.lookup where priority = '%s'" % kind)
        for kind in ("tail", "open"):
            self.session.query("delete from torque.reconcile_window where kind = '%s'" % kind)
        for expected in ("backfill", "audit"):
            self.assertEqual(self.next_priority(), expected)
            self.session.query("delete from torque.reconcile_window where kind = '%s'" % expected)
        self.assertEqual(self.next_priority(), "backfill lookup")

    def next_window(self, at=0):
        return self.value("w.window_id from torque_internal.due_window('audit', %s) w" % time(at))

    def test_a_window_that_has_to_wait_is_not_asked_for_before(self):
        window = self.window(not_before=time(10), pages=1)
        self.assertIsNone(self.next_window(9.999))
        self.assertEqual(self.next_window(10), window)

    def test_a_window_that_has_failed_is_asked_for_after_all_older_ones(self):
        failed = self.window(-100, 0, verdict="'incomplete'", not_before=time(0))
        older = self.window(-300, -200)
        self.assertEqual(self.next_window(), older)
        self.session.query("delete from torque.reconcile_window where window_id = " + older)
        self.assertEqual(self.next_window(), failed)

    def plan(self, at):
        self.session.query("select torque_internal.plan_work(%s)" % time(at))

    def test_the_next_tail_begins_at_an_order_that_is_older_than_lookback(self):
        self.session.query("set orderd.lookback = 900")
        for order_id, created in (("new", -800), ("at", -900), ("old", -5000)):
            self.known(order_id, created)
        self.session.query("update torque_internal.poller set sweeps_known_to = %s" % time(0))
        self.plan(60)
        self.assertEqual(self.value("created_from = %s from torque.reconcile_window"
                                    " where kind = 'tail'" % time(-900)), "t")

    def test_a_first_tail_reaches_back_by_lookback_and_the_history_is_a_job_of_its_own(self):
        self.session.query("set orderd.history = 864000; set orderd.lookback = 900")
        self.plan(0)
        self.assertEqual(
            self.session.query(
                "select kind, extract(epoch from created_from - %s)::integer,"
                " extract(epoch from created_to - %s)::integer from torque.reconcile_window"
                " order by kind" % (time(0), time(0))),
            [["backfill", str(-10 * DAY), "-900"], ["tail", "-900", "0"]])
        self.assertEqual(self.session.query(
            "select state, is_first_run, details from torque.backfill"),
            [["running", "t", "f"]])

    def watermark(self):
        return float(self.value("extract(epoch from watermark) from torque.stat_reconcile")) - START

    def test_the_watermark_waits_for_the_history(self):
        self.session.query("set orderd.history = 864000; set orderd.lookback = 900")
        self.plan(0)
        self.session.query("update torque.reconcile_window set verified_at = %s, as_of = %s,"
                           " expected = 0, seen = 0, verdict = 'verified' where kind = 'tail'" % (
                               time(1), time(1)))
        self.assertEqual(self.watermark(), -10 * DAY)
        self.session.query("update torque.reconcile_window set verified_at = %s, as_of = %s,"
                           " expected = 0, seen = 0, verdict = 'verified'" % (time(1), time(1)))
        self.assertEqual(self.watermark(), 0)

    def test_a_larger_job_that_runs_already_is_the_first_runs_history(self):
        self.session.query("set orderd.history = 864000; set orderd.lookback = 900")
        self.session.query("select torque.backfill_start(%s, %s, true, %s)" % (
            time(-20 * DAY), time(0), time(0)))
        self.plan(0)
        self.assertEqual(self.session.query("select is_first_run, details from torque.backfill"),
                         [["t", "t"]])

    def test_a_larger_job_takes_the_first_runs_history_over_with_all_that_is_walked(self):
        self.session.query("set orderd.history = 864000; set orderd.lookback = 900")
        self.plan(0)
        walked = self.window(-5 * DAY, -4 * DAY, kind="backfill", verdict="'split'", job_id="("
                             "select job_id from torque.backfill)")
        self.session.query("update torque.reconcile_window set root_id = r.window_id,"
                           " parent_id = r.window_id from torque.reconcile_window r"
                           " where reconcile_window.window_id = %s and r.kind = 'backfill'"
                           " and r.window_id <> %s" % (walked, walked))
        job = self.session.value("select torque.backfill_start(%s, %s, false, %s)" % (
            time(-20 * DAY), time(0), time(10)))
        self.assertEqual(self.session.query(
            "select job_id, is_first_run from torque.backfill"), [[job, "t"]])
        windows = self.session.query(
            "select verdict, extract(epoch from created_from - %s)::integer / 86400,"
            " (select p.created_from from torque.reconcile_window p"
            " where p.window_id = w.parent_id) = %s"
            " from torque.reconcile_window w where job_id = %s order by window_id" % (
                time(0), time(-20 * DAY), job))
        self.assertEqual(windows, [["open", "-10", "t"], ["split", "-5", "f"],
                                   ["split", "-20", None], ["open", "-20", "t"],
                                   ["open", "0", "t"]])
        self.assertEqual("1", self.value(
            "count(distinct root_id) from torque.reconcile_window where job_id = " + job))

    def tail_after(self):
        self.plan(0)
        return float(self.value("extract(epoch from next_at - started_at)"
                                " from torque_internal.sweep where kind = 'tail'"))

    def test_while_webhooks_are_silent_the_tail_is_swept_twice_as_often(self):
        self.assertEqual(self.tail_after(), 60)
        self.session.query("rollback; begin")
        self.session.query("select torque_internal.raise_alarm('webhooks_silent', '', 'x', now())")
        self.assertEqual(self.tail_after(), 30)

    def planned_at(self):
        return float(self.value("current_setting('orderd.planned_at')"))

    def test_it_is_planned_every_5_seconds_and_at_once_when_the_clock_was_set_back(self):
        for at, planned in ((0, 0), (4.9, 0), (5, 5), (3, 3)):
            self.plan(at)
            self.assertAlmostEqual(self.planned_at(), START + planned, 3)

    def test_a_clock_that_was_set_back_leaves_nothing_due_for_long(self):
        self.window(not_before=time(2 * DAY), verdict="'incomplete'")
        self.lookup("o", due=2 * DAY)
        self.session.query("update torque_internal.poller set planned_at = %s, blocked_until = %s"
                           % (time(60), time(2 * DAY)))
        self.plan(0)
        self.assertEqual(self.due("o"), 0)
        self.assertEqual(self.value("not_before = %s from torque.reconcile_window"
                                    " where verdict = 'incomplete'" % time(0)), "t")
        self.assertEqual(self.value("blocked_until = %s from torque_internal.poller"
                                    % time(300)), "t")

    def drift(self, found, number=0, field="status"):
        self.session.query(
            "insert into torque.drift (order_id, found_at, field, found_by, api_says)"
            " values ('o%d', %s, %s, 'list', 'refunded')" % (number, time(found), literal(field)))

    def settled(self, at):
        self.session.query("select torque_internal.settle_drift(p, %s)"
                           " from torque_internal.poller p" % time(at))
        return self.value("count(*) from torque.drift where is_settled")

    def test_a_change_that_no_webhook_told_within_lookback_is_drift(self):
        self.session.query("set orderd.lookback = 900")
        self.drift(0)
        self.assertEqual(self.settled(899), "0")
        self.assertEqual(self.settled(900), "1")

    def test_a_change_that_a_webhook_told_within_lookback_was_only_slower(self):
        self.session.query("set orderd.lookback = 900")
        for number, received in enumerate((900, 901, -900, -901)):
            self.drift(0, number)
            self.session.query(ingest([
                ("o%d" % number, "refunded", START + received, START + received)]))
        self.assertEqual(self.settled(899), "0")
        self.assertEqual(self.value("count(*) from torque.drift"), "4")
        self.assertEqual(self.settled(900), "2")
        self.assertEqual(self.value("string_agg(order_id, ' ' order by 1) from torque.drift"),
                         "o1 o3")

    def test_five_untold_changes_within_an_hour_are_an_alarm_and_two_end_it(self):
        self.session.query("set orderd.lookback = 900")
        for number in range(4):
            self.drift(0, number)
        self.settled(1000)
        self.assertEqual(walks.alarms(self.session), [])
        self.drift(0, 5, "total")
        self.settled(1000)
        self.assertEqual(walks.alarms(self.session), [])
        self.drift(0, 6)
        self.settled(1000)
        self.assertEqual(walks.alarms(self.session), ["webhooks_silent:"])
        self.settled(900 + HOUR - 1)
        self.assertEqual(walks.alarms(self.session), ["webhooks_silent:"])
        self.settled(900 + HOUR)
        self.assertEqual(walks.alarms(self.session), [])


if __name__ == "__main__":
    tap.main()
