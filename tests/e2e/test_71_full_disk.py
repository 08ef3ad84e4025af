#!/usr/bin/env python3
# needs: orderd; beside: no
"""A disk without room: what was answered 200 is kept, the rest is told to come again."""

import os
import shutil
import time
import unittest

from support import daemon, pg, pgwire, small_disk, tap, wait
from support.load import Load

FULL_SECONDS = 4
DEADLINE = 2.5
SLACK = 0.7  # two busy cores, and a sender in Python
REFUSALS_PER_SECOND_MAX = 20  # of each connection: PostgreSQL writes every one into its log
IMPOSSIBLE = small_disk.impossible()


@unittest.skipIf(IMPOSSIBLE, IMPOSSIBLE)
class FullDisk(unittest.TestCase):
    def begin(self, directory, mebibytes):
        """That directory of the cluster's data is on a disk of its own, and a load is running."""
        self.disk = small_disk.SmallDisk(mebibytes)
        self.addCleanup(self.disk.close)
        self.cluster = pg.Cluster({"min_wal_size": "32MB", "max_wal_size": "32MB"}, start=False)
        self.addCleanup(self.cluster.close)
        place = os.path.join(self.cluster.data, directory)
        moved = os.path.join(self.disk.path, directory)
        owner = os.stat(place)
        shutil.move(place, moved)
        os.symlink(moved, place)
        for path, _, names in os.walk(moved):
            for each in [path] + [os.path.join(path, name) for name in names]:
                os.chown(each, owner.st_uid, owner.st_gid)
        self.cluster.start()
        self.database = self.cluster.migrated()
        self.orderd = daemon.Daemon(self.database, {"log": {"level": "info"}})
        self.addCleanup(self.orderd.close)
        self.load = Load(lambda: self.orderd.address, self.orderd.secret)
        self.addCleanup(self.load.stop)
        self.more(200)

    def more(self, count):
        target = self.load.acknowledged() + count
        wait.until(lambda: self.load.acknowledged() >= target, 20,
                   lambda: "acknowledged\n" + self.orderd.log()[-3000:])

    def judge(self):
        self.load.stop()
        unavailable = sum(status == 503 for status, _ in self.load.answers)
        print("# %d acknowledged, %d answers of 503" % (self.load.acknowledged(), unavailable))
        self.assertEqual(self.load.faults(self.database)[:20], [])
        self.assertGreater(unavailable, 0, "the disk was never missed: nothing was tested")
        self.assertEqual({status for status, _ in self.load.answers}, {200, 503})
        self.assertLess(max(seconds for _, seconds in self.load.answers), DEADLINE + SLACK)

    def refusals(self):
        return self.cluster.log().count("No space left on device")

    def test_tables_that_cannot_grow_lose_nothing_and_are_not_hammered(self):
        self.begin("base", 80)
        self.disk.fill()
        wait.until(lambda: "sqlstate=53100" in self.orderd.log(), 20, "the disk is full")
        before = self.refusals()
        time.sleep(FULL_SECONDS)  # in which they are counted
        refused = self.refusals() - before
        self.disk.relieve()
        self.more(100)
        self.judge()
        print("# %d transactions refused in %d s" % (refused, FULL_SECONDS))
        # There are two connections.
        self.assertLess(refused, 2 * FULL_SECONDS * REFUSALS_PER_SECOND_MAX)

    def test_a_log_that_cannot_grow_brings_the_server_down_and_loses_nothing(self):
        self.begin("pg_wal", 72)
        self.disk.fill()
        with self.assertRaises((pgwire.DatabaseError, OSError)):
            with self.database.session() as session:
                for number in range(10):
                    session.query("create table public.t%d (n integer)" % number)
                    session.query("select pg_switch_wal()")
        wait.until(lambda: self.cluster.process.poll() is not None, 20, "the server has given up")
        self.assertIn("PANIC", self.cluster.log())
        time.sleep(FULL_SECONDS)  # how long it is away
        self.disk.relieve()
        self.cluster.start()
        self.more(100)
        self.judge()


if __name__ == "__main__":
    tap.main()
