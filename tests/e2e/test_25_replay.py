#!/usr/bin/env python3
# needs: orderd; beside: yes
"""What is kept can be read again, by another reader or other rules, and says first what differs."""

import json
import random
from datetime import datetime, timedelta, timezone
from subprocess import PIPE, run

from support import case, daemon, events, tap

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
USAGE, DATAERR, TEMPFAIL, NOPERM = 64, 65, 75, 77
# What orders are made of, but for when they changed.
ROWS = """
select o.order_id, to_jsonb(o) - array['last_changed_at', 'rules_version'],
    (select jsonb_agg(i order by i.line) from torque.order_items i where i.order_id = o.order_id)
from torque.orders o order by 1"""
FACTS = """
select e.order_id, e.event_key, to_jsonb(e) from torque.order_events e order by 1, 2"""
# What an older reader might have made of the totals.
OTHER_READER = """
update torque.order_events set total = total + 1, currency = null, faults = '{currency}'
where order_id = '%s'"""


class Replay(case.WithDatabase):
    def setUp(self):
        super().setUp()
        self.orderd = daemon.Daemon(self.database)
        self.addCleanup(self.orderd.close)
        rng = random.Random(1)
        self.orders = [events.Order("order_%d" % n, CREATED, rng) for n in range(5)]
        for order in self.orders:
            for event in ("order.created", "order.paid"):
                self.orderd.deliver(events.form1(event, order))

    def replay(self, *words, code=0, user="postgres"):
        done = run([daemon.program(), "replay", "-c", self.orderd.config_file,
                    "--admin-conninfo", self.database.conninfo(user), *words],
                   text=True, stdout=PIPE, stderr=PIPE, timeout=60, check=False,
                   env=self.orderd.environment())
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def state(self):
        return self.database.query(ROWS), self.database.query(FACTS)

    def read_otherwise(self, order):
        """The order as a reader would have left it that read its total and currency otherwise."""
        self.database.query(OTHER_READER % order.id)
        self.database.query("select torque_internal.refold('%s')" % order.id)

    def test_what_was_read_by_this_reader_says_the_same_again(self):
        before = self.state()
        out, err = self.replay("--all")
        self.assertEqual(out, "")
        self.assertIn("10 facts read again, 0 of them say something else", err)
        self.assertEqual(self.state(), before)

    def test_a_dry_run_says_what_would_differ_and_keeps_nothing(self):
        order = self.orders[2]
        self.read_otherwise(order)
        before = self.state()
        out, err = self.replay("--all", "--dry-run")
        self.assertEqual(sorted(out.splitlines()), [
            "order_2 currency: - -> " + order.currency,
            "order_2 total: %s -> %s" % (order.total + 1, order.total)])
        self.assertIn("10 facts read again, 2 of them say something else; 2 columns of orders "
                      "differ; nothing was kept", err)
        self.assertEqual(self.state(), before)

    def test_then_the_facts_and_the_order_are_what_they_should_have_been(self):
        before = self.state()
        self.read_otherwise(self.orders[2])
        self.assertNotEqual(self.state()[0], before[0])
        out, _ = self.replay("--order", "order_2", "--json")
        self.assertEqual(
            sorted((line["order"], line["column"]) for line in map(json.loads, out.splitlines())),
            [("order_2", "currency"), ("order_2", "total")])
        self.assertEqual(self.state(), before)

    def test_one_order_alone_is_read_when_one_is_named(self):
        self.read_otherwise(self.orders[2])
        before = self.state()
        self.assertIn("2 facts read again, 0 of them", self.replay("--order", "order_1")[1])
        self.assertEqual(self.state(), before)

    def test_since_names_the_orders_that_heard_of_something_then(self):
        self.database.query("update torque.order_events set received_at = '2020-01-01'"
                            " where order_id <> 'order_3'")
        self.assertIn("2 facts read again", self.replay("--since", "2020-01-02")[1])
        self.assertIn("10 facts read again", self.replay("--since", "2019-12-31")[1])

    def test_without_its_payload_a_fact_says_what_it_said(self):
        self.database.query("update torque.order_events set payload = null")
        before = self.state()
        _, err = self.replay("--all")
        self.assertIn("10 facts have no payload any more", err)
        self.assertEqual(self.state(), before)

    def test_a_fact_that_cannot_be_read_any_more_says_what_it_said(self):
        before = self.database.query(ROWS)
        self.database.query("update torque.order_events set payload = case event_type"
                            " when 'order.paid' then '[]' else"
                            " replace(payload::text, 'order_0', 'order_9')::json end"
                            " where order_id = 'order_0'")
        _, err = self.replay("--all")
        self.assertRegex(err, "order_0: the fact [0-9a-f]{16} cannot be read any more .another")
        self.assertRegex(err, "order_0: the fact [0-9a-f]{16} cannot be read any more .no_envel")
        self.assertIn("8 facts read again, 0 of them", err)
        self.assertIn("2 facts cannot be read any more", err)
        self.assertEqual(self.database.query(ROWS), before)

    def test_rules_that_were_edited_are_those_of_today(self):
        self.orderd.deliver(events.form1("order.paid", self.orders[0], status="paid_at_last",
                                         at=CREATED + timedelta(hours=1)))
        self.database.query("insert into torque.status_alias values ('paid_at_last', 'completed')")
        out, _ = self.replay("--order", "order_0")
        self.assertIn("order_0 status: processing -> completed\n", out)
        self.assertIn("order_0 raw_status: paid_at_last -> -\n", out)

    def test_an_order_that_another_session_has_keeps_nobody_waiting(self):
        self.read_otherwise(self.orders[2])
        with self.database.session() as other:
            other.query("begin")
            other.query("select from torque.orders where order_id = 'order_2' for update")
            _, err = self.replay("--all", code=TEMPFAIL)
            self.assertIn("another session has 1 orders; try again", err)
            other.query("rollback")
        self.assertIn("2 of them say something else", self.replay("--all")[1])

    def test_more_than_a_page_of_facts_is_read_to_the_end(self):
        rng = random.Random(2)
        with self.orderd.connect() as connection:
            for n in range(300):
                body = events.form1("order.created", events.Order("more_%d" % n, CREATED, rng))
                connection.request(body=body, headers=self.orderd.signed(body))
        self.assertIn("310 facts read again, 0 of them", self.replay("--all")[1])

    def test_it_is_for_who_may_read_everything(self):
        self.database.query("do $$ begin create role keeper login in role torque_operator;"
                            " exception when duplicate_object then null; end $$")
        self.assertIn("10 facts read again", self.replay("--all", user="keeper")[1])
        self.assertIn("permission denied", self.replay("--all", code=NOPERM, user="orderd")[1])

    def test_what_is_to_be_read_is_said(self):
        for words in ((), ("--all", "--quarantined"), ("--all", "--since", "2020-01-01")):
            self.assertIn("one of --order, --since, --all and --quarantined",
                          self.replay(*words, code=USAGE)[1])


class Quarantine(case.WithDatabase):
    """Bodies that this reader has no use for, and another one has."""

    def setUp(self):
        super().setUp()
        self.orderd = daemon.Daemon(self.database, {"torque": {"business_id": "business_other"}})
        self.addCleanup(self.orderd.close)
        order = events.Order("order_1", CREATED, random.Random(1))
        self.body = events.form1("order.paid", order)
        for body in (self.body, self.body, b"nonsense"):
            self.assertEqual(self.orderd.deliver(body).outcome, "quarantined")
        self.orderd.change({"torque": {"business_id": events.BUSINESS}})

    replay = Replay.replay

    def bodies(self):
        return self.database.value("select count(*) from torque.quarantine")

    def test_what_can_be_read_now_is_taken_in_and_leaves_the_quarantine(self):
        out, err = self.replay("--quarantined")
        self.assertRegex(out, "^order_1 [0-9a-f]{16}: applied\n$")
        self.assertIn("1 bodies can be read now, 1 are taken in; 1 cannot", err)
        self.assertEqual(
            self.database.query("select o.status, e.deliveries from torque.orders o"
                                " join torque.order_events e using (order_id)"),
            [["processing", "2"]])
        self.assertEqual(self.bodies(), "1")
        self.orderd.reload()
        self.orderd.says("reloaded")
        self.assertEqual(self.orderd.deliver(self.body).outcome, "duplicate")

    def test_a_dry_run_says_so_and_takes_nothing(self):
        out, _ = self.replay("--quarantined", "--dry-run", "--json")
        self.assertEqual(json.loads(out)["outcome"], "applied")
        self.assertEqual(self.bodies(), "2")
        self.assertEqual(self.database.query("select from torque.order_events"), [])

    def test_an_answer_of_the_api_is_no_webhook(self):
        self.database.query("update torque.quarantine set body_key = sha256(body_key)")
        self.assertEqual(self.replay("--quarantined")[0], "")
        self.assertEqual(self.bodies(), "2")


if __name__ == "__main__":
    tap.main()
