#!/usr/bin/env python3
# needs: orderd; beside: yes
"""A database that is dumped and restored where nothing of orderd's is: the README's Backup and
restore, line by line as it stands there, and what stands in its way."""

import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import daemon, fake_torque, pg, tap

ROOT = Path(__file__).resolve().parents[2]
NOPERM, FOUND = 77, 1
SOON = 30
BODY = b'{"event":"order.%s","data":{"orderId":"%s","status":"%s","businessId":"b"}}'


def commands(title):
    """The lines of the README's block under a title."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## %s\n" % title, 1)[1]
    return re.findall(r"^    (.*)$", section.split("\n## ", 1)[0], re.MULTILINE)


class Restore(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.old = pg.Cluster()
        cls.addClassCleanup(cls.old.close)
        with cls.old.database("postgres").session() as session:
            session.query("create database orderd template template0 encoding 'UTF8'")
        cls.source = cls.old.database("orderd")
        cls.source.migrate()
        cls.source.query("alter table torque.orders add column shipped boolean not null"
                         " default false;"
                         "create view torque.shipped as select order_id from torque.orders"
                         " where shipped")
        shop = fake_torque.Shop()
        for number in range(5):
            shop.add("polled_%d" % number, time.time() - 60 * number, "pending")
        cls.api = fake_torque.FakeTorque(
            shop, fake_torque.Webhooks("a secret that nobody uses", 1), per_minute=100000).start()
        cls.addClassCleanup(cls.api.close)
        cls.serve(cls.source, "before")
        cls.source.query("update torque.orders set shipped = true where order_id = 'polled_1'")

    @classmethod
    def serve(cls, database, order_id):
        """A service that receives an order, and polls."""
        settings = {"torque": {"base_url": cls.api.url, "requests_per_minute": 6000, "floor": 0},
                    "reconcile": {"sweep_every": "1s", "open_every": "1s"}}
        with daemon.Daemon(database, settings, {"api-key": cls.api.api_key}, verb="run") as orderd:
            asked = len(cls.api.log)
            assert orderd.deliver(BODY % (b"paid", order_id.encode(), b"paid")).status == 200
            orderd.wait_until(
                lambda: len(cls.api.log) > asked and database.value(
                    "select count(*) from torque.orders where order_id ~ '^polled_'") == "5",
                "the API is asked", SOON)

    def setUp(self):
        self.new = pg.Cluster()
        self.addCleanup(self.new.close)
        self.restored = self.new.database("orderd")
        folder = tempfile.TemporaryDirectory(prefix="orderd-restore-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        os.symlink(tap.program(), os.path.join(self.folder, "orderd"))

    def run_line(self, line, cluster, user="postgres", code=0):
        done = subprocess.run(
            ["bash", "-ec", line], text=True, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, env={
                "PATH": "%s:%s:%s" % (self.folder, pg.bindir(), os.environ["PATH"]),
                "PGHOST": cluster.directory, "PGUSER": user,
                "ORDERD_DATABASE_CONNINFO": "host=%s dbname=orderd" % cluster.directory})
        self.assertEqual(done.returncode, code, "%s: %s" % (line, done.stdout))
        return done.stdout

    def restore(self, user="postgres"):
        """All of the README's lines but the last."""
        dump, *lines, migrate = commands("Backup and restore")
        self.run_line(dump, self.old)
        for line in lines:
            self.run_line(line, self.new, user)
        return migrate

    def judge(self):
        """It is the same orders, for the service and for those who read."""
        rows = ("select order_id, status, shipped from torque.orders"
                " where order_id <> 'after' order by order_id")
        kept = self.source.query(rows)
        self.assertEqual(6, len(kept))
        self.assertEqual(kept, self.restored.query(rows))
        self.assertIn("up to date", self.run_line("orderd migrate --status", self.new))
        self.serve(self.restored, "after")
        self.restored.query("create role ann login in role torque_reader")
        self.assertEqual("processing", self.restored.value(
            "select status from torque.orders where order_id = 'after'", "ann"))
        self.assertEqual("t", self.restored.value(
            "select shipped from torque.orders where order_id = 'polled_1'", "ann"))

    def test_the_readmes_lines_end_in_a_database_that_serves(self):
        migrate = self.restore()
        said = self.run_line("orderd migrate --status", self.new, code=FOUND)
        for word in ("no role torque_owner, orderd", "belong to postgres and not to torque_owner"):
            self.assertIn(word, said)
        self.run_line(migrate, self.new)
        self.judge()

    def test_a_dump_with_owners_and_rights_restored_without_the_roles_does_too(self):
        self.run_line("pg_dump orderd > orderd.sql", self.old)
        self.run_line("createdb -T template0 -E UTF8 orderd; psql -X -q -d orderd -f orderd.sql",
                      self.new)
        self.run_line("orderd migrate --status", self.new, code=FOUND)
        self.run_line("orderd migrate", self.new)
        self.judge()

    def test_one_that_is_restored_where_the_roles_are_has_its_grants_too(self):
        self.new.create_database().migrate()
        self.source.query("create role metabase login; grant usage on schema torque to metabase;"
                          "grant select on torque.orders to metabase")
        self.addCleanup(self.source.query, "drop owned by metabase; drop role metabase")
        self.new.database("postgres").query("create role metabase login")
        self.run_line("pg_dump -Fc orderd > orderd.dump", self.old)
        self.run_line("createdb -T template0 -E UTF8 orderd; pg_restore -d orderd orderd.dump",
                      self.new)
        self.assertIn("up to date", self.run_line("orderd migrate --status", self.new))
        self.run_line("orderd migrate", self.new)
        self.judge()
        self.restored.value("select count(*) from torque.orders", "metabase")

    def test_who_may_not_make_roles_is_told_the_statements_and_may_go_on_after_them(self):
        self.new.database("postgres").query("create role admin login createdb")
        migrate = self.restore("admin")
        said = self.run_line(migrate, self.new, "admin", code=NOPERM)
        statements = re.search(r"create role .*;", said)
        self.assertTrue(statements, said)
        self.restored.query(statements.group(0))
        self.run_line(migrate, self.new, "admin")
        self.judge()

    def test_who_may_not_give_away_is_told_whose_it_is(self):
        self.new.database("postgres").query("create role admin login createdb;"
                                            "create role other login createrole")
        migrate = self.restore("admin")
        self.restored.query("grant create on database orderd to other with grant option")
        said = self.run_line(migrate, self.new, "other", code=NOPERM)
        self.assertIn("belong to admin and not to torque_owner", said)
        self.assertIn("--admin-conninfo 'dbname=orderd user=admin'", said)


if __name__ == "__main__":
    tap.main()
