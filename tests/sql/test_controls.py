#!/usr/bin/env python3
# needs: orderd; beside: yes
"""A test that cannot fail is a defect: each pgTAP file must find the faults planted for it."""

import unittest

import pgtap
from support import pg, tap, tools

SUPPRESS = """
create function public.suppress() returns trigger language plpgsql
    as 'begin new.deliveries := old.deliveries; return new; end';
create trigger suppress before update on torque.%s
    for each row execute function public.suppress();
"""

# A time taken at its word, however far ahead.
NO_CLAMP = """
create or replace function torque_internal.as_of(
    source text, occurred_at timestamptz, received_at timestamptz)
returns timestamptz language sql stable as 'select coalesce(occurred_at, received_at)';
"""

# Of one instant the lower rank comes last.
NO_RANK = "update torque.order_status set rank = 10 - rank"

ROUNDED = """
create function public.rounded() returns trigger language plpgsql
    as 'begin new.total := round(new.total, 2); return new; end';
create trigger rounded before insert or update on torque.orders
    for each row execute function public.rounded();
"""


class Planted(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.template = cls.cluster.migrated()
        if tools.pgtap_missing(cls.template):
            raise unittest.SkipTest(tools.pgtap_missing(cls.template))
        pgtap.prepare(cls.template)

    def finds(self, name, fault):
        database = self.cluster.create_database(self.template.name)
        database.query(fault)
        self.assertIn("\nnot ok ", "\n" + pgtap.run(database, name))

    def test_an_anomaly_that_is_let_through(self):
        self.finds("rules.sql", "update torque.status_move set class = 'plausible'"
                                " where class = 'anomaly'")

    def test_a_time_ahead_that_counts(self):
        self.finds("rules.sql", NO_CLAMP)

    def test_ranks_upside_down(self):
        self.finds("rules.sql", NO_RANK)

    def test_money_that_is_rounded(self):
        self.finds("values.sql", ROUNDED)

    def test_repeats_that_are_not_counted(self):
        self.finds("ingest.sql", SUPPRESS % "quarantine")
        self.finds("ingest.sql", SUPPRESS % "order_events")

    def test_a_column_without_a_comment(self):
        self.finds("comments.sql", "comment on column torque.orders.total is null")

    def test_a_table_without_a_comment(self):
        self.finds("comments.sql", "create table torque.planted ()")

    def test_a_function_without_a_comment(self):
        self.finds("comments.sql", "create function torque.planted() returns integer language sql"
                                   " as 'select 1'; ")

    def test_a_right_too_many(self):
        self.finds("rights.sql", "grant select on torque.orders to orderd")
        self.finds("rights.sql", "grant select on torque.orders to torque_analyst")
        self.finds("rights.sql", "grant execute on function torque.schema_state() to public")

    def test_a_right_too_few(self):
        self.finds("rights.sql", "revoke all on torque.orders from torque_reader")


if __name__ == "__main__":
    tap.main()
