#!/usr/bin/env python3
# needs: orderd; beside: yes
"""The schema and the rights are those that were reviewed: schema.expected, rights.expected.

A change on purpose is accepted by running this file with --accept, and reviewed as a difference
of those files.
"""

import difflib
import sys
import unittest
from pathlib import Path

from support import pg, tap

HERE = Path(__file__).resolve().parent
REVIEWED = [("schema.sql", "schema.expected"), ("granted.sql", "rights.expected")]


def lines(database, query):
    return database.psql("-At", "-f", str(HERE / query)).splitlines()


class Reviewed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster()
        cls.database = cls.cluster.migrated()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def differences(self, database, query, expected):
        return list(difflib.unified_diff(
            (HERE / expected).read_text().splitlines(), lines(database, query),
            expected, "the database", lineterm="", n=1))

    def test_the_schema_is_the_one_that_was_reviewed(self):
        self.assertEqual([], self.differences(self.database, *REVIEWED[0]))

    def test_every_right_of_every_role_is_one_that_was_reviewed(self):
        self.assertEqual([], self.differences(self.database, *REVIEWED[1]))

    def test_a_second_migration_changes_neither(self):
        self.database.migrate()
        for query, expected in REVIEWED:
            self.assertEqual([], self.differences(self.database, query, expected))

    def test_planted_a_column_and_a_right_too_many_are_found(self):
        planted = self.cluster.migrated()
        planted.query("alter table torque.orders add column planted text;"
                      "grant select (order_id) on torque.orders to orderd;"
                      "grant execute on function"
                      " torque_internal.refold(text, torque_internal.fact[]) to public")
        found = self.differences(planted, *REVIEWED[0])
        self.assertIn("+    planted text", found)
        found = self.differences(planted, *REVIEWED[1])
        self.assertIn("+orderd: select on column torque.orders.order_id", found)
        self.assertIn("+public: execute on function"
                      " torque_internal.refold(text,torque_internal.fact[])", found)


def accept():
    with pg.Cluster() as cluster:
        database = cluster.migrated()
        for query, expected in REVIEWED:
            (HERE / expected).write_text("".join(line + "\n" for line in lines(database, query)))


if __name__ == "__main__":
    if sys.argv[1:] == ["--accept"]:
        accept()
    else:
        tap.main()
