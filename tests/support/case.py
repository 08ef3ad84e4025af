"""A test with a cluster for its class and a database of its own."""

import unittest

from . import pg


class WithDatabase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        self.database = self.cluster.migrated()
