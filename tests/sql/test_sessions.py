#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Several sessions at the same orders, and what facts leave behind on the server."""

import itertools
import time
from datetime import datetime, timedelta, timezone

from support import case, facts, pgwire, tap, wait

EPOCH = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
# A build that does nothing on a repeat. A trigger would not do: it locks the row, which is a write.
NO_UPDATES = """
do $$
declare
    text constant text := pg_get_functiondef(oid) from pg_proc where proname = 'take_order';
    planted constant text := replace(
        text, 'and k.event_key = fact.event_key',
        'and k.event_key = fact.event_key and false');
    answers constant text := replace(
        planted, 'if found then', 'if found or exists (select from torque.order_events e'
        ' where e.order_id = of_order and e.event_key = fact.event_key) then');
begin
    assert planted <> text and answers <> planted;
    execute answers;
end
$$
"""


def fact(order, event, at):
    """A webhook that tells no more than its event, so many seconds after EPOCH."""
    def moment(seconds):
        return str(EPOCH + timedelta(seconds=seconds))

    return facts.webhook(order, event, moment(at), moment(at + 1))


def take(session, *told, door=None):
    """As the daemon does: up to three one by one, more by arrays; door: take_many or take_each."""
    webhooks = [fact(*one) for one in told]
    if door is None and len(webhooks) <= 3:
        statement = "array[%s]" % ", ".join(
            "torque.take(%s)" % facts.scalars(webhook) for webhook in webhooks)
    else:
        statement = "torque.%s(%s)" % (door or "take_many", facts.arrays(webhooks))
    return session.value("select array_to_string(%s, ' ')" % statement).split(" ")


def interleavings(first, second):
    """Every merge of two lists that keeps the order of each."""
    count = len(first) + len(second)
    for places in itertools.combinations(range(count), len(first)):
        one, two = iter(first), iter(second)
        yield [("one", next(one)) if place in places else ("two", next(two))
               for place in range(count)]


class Base(case.WithDatabase):
    def session(self, user="orderd"):
        session = self.database.session(user)
        self.addCleanup(session.close)
        return session


class TwoSessions(Base):
    """The statements that writers make, one by one, so that they can be interleaved. take() cannot
    be looked into: its one statement is a step."""

    LOCK = "select array_to_string((torque_internal.lock_orders(array['%s'])).busy, ',')"
    TAKE = {
        "take": "select torque.take(%(scalars)s)",
        "many": "select (torque_internal.take_newest(torque_internal.facts(%(arrays)s),"
                " '{%(busy)s}', '{}')).outcomes[1]",
        "fold": "select case when '%(busy)s' <> '' then 'busy' else (torque_internal.take_by_order("
                "torque_internal.facts(%(arrays)s), array[null::text], '{}')).outcomes[1] end",
    }

    def setUp(self):
        super().setUp()
        self.sessions = {"one": self.session("postgres"), "two": self.session("postgres")}
        for session in self.sessions.values():
            session.query("set lock_timeout = '50ms'; set enable_seqscan = off; set jit = off;"
                          "set plan_cache_mode = force_generic_plan")

    @staticmethod
    def steps(way):
        return ["begin", "take", "commit"] if way == "take" else ["begin", "lock", "take", "commit"]

    def play(self, order, merged, ways, locks):
        """One interleaving. The outcomes by session, failed where it was a failure."""
        told = {"one": (order, "order.created", 0), "two": (order, "order.paid", 10)}
        busy = {"one": "", "two": ""}
        outcomes = {}
        for name, step in merged:
            session, webhook = self.sessions[name], fact(*told[name])
            try:
                if step == "lock" and locks:
                    busy[name] = session.value(self.LOCK % order)
                elif step == "take":
                    outcomes[name] = session.value(self.TAKE[ways[name]] % {
                        "scalars": facts.scalars(webhook), "arrays": facts.arrays([webhook]),
                        "busy": busy[name]})
                elif step in ("begin", "commit"):
                    session.query(step)
            except pgwire.DatabaseError:
                outcomes[name] = "failed"
                session.query("rollback; begin")
        for name, outcome in outcomes.items():
            if outcome in ("busy", None):
                take(self.sessions[name], told[name])
        return outcomes

    def course(self, order):
        return self.sessions["one"].query(
            "select status, pending_at is not null, processing_at is not null,"
            " (select array_to_string(array_agg(deliveries order by event_type), ' ')"
            "  from torque.order_events e where e.order_id = o.order_id)"
            " from torque.orders o where order_id = '%s'" % order)

    def faults(self, one, two, deliveries="1 1", prepare=None, locks=True):
        """The first interleaving that fails, or does not end in the row of both facts."""
        found = []
        for number, merged in enumerate(interleavings(self.steps(one), self.steps(two))):
            order = "%s.%s.%d" % (one, two, number)
            if prepare:
                prepare(order)
            outcomes = self.play(order, merged, {"one": one, "two": two}, locks)
            course = self.course(order)
            if "failed" in outcomes.values() or course != [["processing", "t", "t", deliveries]]:
                found.append("%s: %s, %s" % (merged, outcomes, course))
                break
        return found

    def told(self, order):
        # The fact of session one is then a repeat, which is for the general way.
        take(self.sessions["one"], (order, "order.created", 0))

    def test_every_interleaving_on_one_new_order_ends_in_its_row(self):
        for one, two in itertools.product(self.TAKE, repeat=2):
            with self.subTest("%s beside %s" % (one, two)):
                self.assertEqual([], self.faults(one, two))

    def test_every_interleaving_on_one_known_order_ends_in_its_row(self):
        for one, two in itertools.product(self.TAKE, repeat=2):
            with self.subTest("%s beside %s" % (one, two)):
                self.assertEqual([], self.faults(one, two, "2 1", self.told))

    def test_planted_without_the_locks_it_does_not(self):
        self.assertTrue(self.faults("many", "many", locks=False))
        self.assertTrue(self.faults("fold", "fold", locks=False))
        self.database.query(
            "do $$ begin execute replace(pg_get_functiondef('torque.take'::regproc),"
            " 'pg_try_advisory_xact_lock(', 'not isfinite(now()) or (0 <> '); end $$")
        self.assertTrue(self.faults("take", "take"))


class Locks(Base):
    def test_an_order_that_another_session_is_at_is_deferred_alone_and_at_once(self):
        one, two = self.session(), self.session()
        one.query("begin")
        self.assertEqual(["applied"], take(one, ("a", "order.created", 0)))
        started = time.monotonic()
        self.assertEqual(["applied", "busy", "applied"], take(
            two, ("b", "order.created", 0), ("a", "order.paid", 10), ("c", "order.created", 0)))
        self.assertLess(time.monotonic() - started, 1)
        one.query("commit")
        self.assertEqual(["applied"], take(two, ("a", "order.paid", 10)))

    def test_a_row_that_a_third_party_has_locked_is_deferred_alone(self):
        one, other = self.session(), self.session("postgres")
        take(one, ("a", "order.created", 0))
        other.query("begin; select * from torque.orders where order_id = 'a' for update")
        self.assertEqual(["busy", "applied", "busy"], take(
            one, ("a", "order.paid", 10), ("b", "order.created", 0), ("a", "order.created", 0)))
        polled = dict(fact("a", "order.paid", 9), source="lookup", event_type=None,
                      claimed_status="paid", event_key=None)
        self.assertEqual("busy", one.value(
            "select (torque.take_many(%s))[1]" % facts.arrays([polled])))
        self.assertEqual(["busy"], take(one, ("a", "order.paid", 10), door="take_many"))
        self.assertEqual(["busy"], take(one, ("a", "order.paid", 10), door="take_each"))
        self.assertEqual("1", self.database.value(
            "select count(*) from torque.order_events where order_id = 'a'"))
        other.query("rollback")
        self.assertEqual(["applied"], take(one, ("a", "order.paid", 10)))

    def test_orders_locked_in_the_other_order_are_no_deadlock(self):
        one, two = self.session(), self.session()
        one.query("begin")
        two.query("begin")
        take(one, ("a", "order.created", 0), ("b", "order.created", 0))
        self.assertEqual(["busy", "applied", "busy"], take(
            two, ("b", "order.paid", 9), ("c", "order.paid", 9), ("a", "order.paid", 9)))
        self.assertEqual(["busy"], take(one, ("c", "order.created", 0)))


class Repeats(Base):
    def wrote(self, database):
        """Whether the delivery of a known fact leaves a new version of its row."""
        with database.session("orderd") as session:
            take(session, ("a", "order.created", 0))
            before = database.value("select xmin || ' ' || deliveries from torque.order_events")
            self.assertEqual(["duplicate"], take(session, ("a", "order.created", 0)))
            after = database.value("select xmin || ' ' || deliveries from torque.order_events")
        return before.split()[0] != after.split()[0] and after.split()[1] == "2"

    def test_a_repeat_writes_so_that_its_commit_waits_for_the_standby(self):
        self.assertTrue(self.wrote(self.database))

    def test_planted_a_repeat_that_writes_nothing_is_found(self):
        self.database.query(NO_UPDATES)
        self.assertFalse(self.wrote(self.database))

    def test_with_the_standby_away_a_repeat_is_not_answered(self):
        bare = self.cluster.migrated()
        bare.query(NO_UPDATES)
        # An order without a row: the lock of one would be a write already.
        told = ("orderd-test.a", "order.created", 0)
        with self.database.session("orderd") as one, bare.session("orderd") as two:
            take(one, told)
            take(two, told)
            with self.cluster.standby() as standby:
                standby.pause()
                statement = "select torque.take(%s)" % facts.scalars(fact(*told))
                one.send(statement)
                two.send(statement)
                self.assertEqual([["duplicate"]], two.receive(), "the planted fault answers")
                with self.assertRaises(OSError):
                    one.receive(0.5)
                standby.resume()
                self.assertEqual([["duplicate"]], one.receive(10))
                self.cluster.configure({"synchronous_standby_names": "''"})


class Poison(Base):
    def test_one_fact_that_the_database_objects_to_costs_the_others_nothing(self):
        self.database.query("alter table torque.orders add constraint planted"
                            " check (order_id !~ '^poison')")
        session = self.session()
        for place in range(64):
            told = [("%s.%d.%d" % ("poison" if n == place else "well", place, n),
                     "order.paid", n) for n in range(64)]
            with self.assertRaises(pgwire.DatabaseError) as refused:
                take(session, *told)
            self.assertEqual("23514", refused.exception.sqlstate)
            outcomes = take(session, *told, door="take_each")
            self.assertEqual(["quarantined" if n == place else "applied" for n in range(64)],
                             outcomes)
        self.assertEqual(str(64 * 63), self.database.value("select count(*) from torque.orders"))
        self.assertEqual("64", self.database.value(
            "select count(*) from torque.quarantine where reason = 'database_23514'"))


class Told(Base):
    def test_orders_that_changed_are_notified_by_their_ids(self):
        listener, session = self.session("postgres"), self.session()
        listener.query("listen torque_orders")
        take(session, ("silent", "order.created", 0))
        session.query("set orderd.notify = 'on'")
        take(session, *[("o%d" % n, "order.created", 0) for n in range(60)])
        take(session, ("o1", "order.created", 0))
        take(session, ("o1", "order.paid", 10), ("o1", "order.completed", 20))
        wait.until(lambda: listener.query("select 1") and len(listener.notifications) >= 3, 5,
                   "three notifications")
        self.assertEqual({"torque_orders"}, {channel for channel, _ in listener.notifications})
        told = [payload.split(",") for _, payload in listener.notifications]
        self.assertEqual([50, 10, 1], [len(ids) for ids in told])
        self.assertEqual({"o%d" % n for n in range(60)}, set(told[0] + told[1]))
        self.assertEqual(["o1"], told[2])


class Shape(Base):
    """What the server's own counters say of the statements."""

    def day(self, database, orders=300, batch=20):
        """Half of the orders by arrays, half one by one."""
        with database.session("orderd") as session:
            for first in range(0, orders, batch):
                for at, event in enumerate(["order.created", "order.paid", "order.completed"]):
                    told = [("o%d" % n, event, at * 10) for n in range(first, first + batch)]
                    if first % 40:
                        take(session, *told)
                    else:
                        for one in told:
                            take(session, one)

    def counter(self, database, column, table):
        def read():
            return int(database.value(
                "select coalesce(%s, 0) from pg_stat_user_tables where schemaname = 'torque'"
                " and relname = '%s'" % (column, table)))

        wait.until(lambda: int(database.value(
            "select n_tup_ins from pg_stat_user_tables where schemaname = 'torque'"
            " and relname = 'order_events'")) >= 900, 10, "the counters have arrived")
        return read()

    def hot_share(self, database):
        self.day(database)
        updates = self.counter(database, "n_tup_upd", "orders")
        self.assertEqual(600, updates)
        return self.counter(database, "n_tup_hot_upd", "orders") / updates

    def test_updates_of_orders_stay_within_their_page(self):
        share = self.hot_share(self.database)
        print("# %.0f %% of the updates of orders were HOT" % (100 * share))
        self.assertGreater(share, 0.9)

    def test_planted_an_index_on_what_every_event_changes_is_found(self):
        self.database.query("create index on torque.orders (newest_as_of)")
        self.assertLess(self.hot_share(self.database), 0.1)

    def scans(self, database):
        """Walks through a whole table, from plans made when all tables were empty."""
        database.query("vacuum analyze")
        before = {table: self.counter_now(database, table) for table in ("orders", "order_events")}
        self.day(database)
        self.counter(database, "seq_scan", "orders")
        return sum(self.counter_now(database, table) - before[table]
                   for table in ("orders", "order_events"))

    def counter_now(self, database, table):
        return int(database.value(
            "select seq_scan from pg_stat_user_tables where schemaname = 'torque'"
            " and relname = '%s'" % table))

    def test_no_statement_walks_through_a_table_though_it_was_planned_on_an_empty_one(self):
        self.assertEqual(0, self.scans(self.database))

    def test_planted_a_function_without_its_settings_is_found(self):
        self.database.query("alter function torque.take reset enable_seqscan;"
                            "alter function torque.take_many reset enable_seqscan")
        self.assertGreater(self.scans(self.database), 0)


if __name__ == "__main__":
    tap.main()
