#!/usr/bin/env python3
# beside: yes; slow: yes; waits: yes
"""The README's Install, line by line as it stands there, on a Debian that has nothing installed."""

import os
import random
import re
import shutil
import tempfile
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path

from support import debian, events, http, nspawn, sign, tap, wait

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "127.0.0.1:8480"
ADMIN = "127.0.0.1:8481"
SECONDS_MAX = 900  # of a line: apt and the archive
TREE = "cd orderd && "
API_KEY = "an-api-key-of-nobody-0123456789"


def section(title):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split("\n## %s\n" % title, 1)[1].split("\n## ", 1)[0]


def commands(title):
    """The lines of the blocks of that section, those that end in a backslash with the next."""
    block = "".join(re.findall(r"^    (.*\n)", section(title), re.MULTILINE))
    return block.replace("\\\n", "").splitlines()


@unittest.skipIf(debian.impossible(), debian.impossible())
class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.mkdtemp(prefix="orderd-debian-")
        cls.addClassCleanup(shutil.rmtree, scratch)
        os.chmod(scratch, 0o755)
        started = time.monotonic()
        cls.debian = debian.Root(os.path.join(scratch, "root"))
        print("# debootstrap: %.0f s" % (time.monotonic() - started), flush=True)

    def setUp(self):
        self.box = nspawn.Container(root=self.debian.path, masked=debian.MASKED)
        self.addCleanup(self.box.close)
        home = self.debian.home(self.box)
        tree = home + "/orderd"
        shutil.copytree(ROOT, tree, symlinks=True, ignore=shutil.ignore_patterns(
            ".git", "build*", "__pycache__"))
        for name, content in (("my-webhook-secret", sign.SECRET), ("my-api-key", API_KEY)):
            with open(os.path.join(tree, name), "w", encoding="ascii") as secret:
                secret.write(content)
        owner = os.stat(home)
        for path in [tree] + [str(path) for path in Path(tree).rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid)

    def line(self, text):
        """Only what fetches packages sees the world outside."""
        started = time.monotonic()
        outside = "apt-get" in text or "quickstart" in text
        said = self.debian.run(self.box, TREE + text, seconds=SECONDS_MAX, outside=outside).stdout
        print("# %.0f s: %s" % (time.monotonic() - started, text), flush=True)
        return said

    def install(self):
        for text in commands("Install"):
            self.line(text)

    def sql(self, query):
        return self.box.run("psql", "-X", "-A", "-t", "-q", "-c", query, "orderd",
                            user="postgres").stdout.strip()

    def deliver(self, order_id):
        order = events.Order(order_id, datetime.now(timezone.utc), random.Random(order_id))
        body = events.form1("order.paid", order)
        return self.box.call(lambda: http.post(ADDRESS, body, sign.torque(body)))

    def check_services(self):
        for unit in ("orderd-receive.socket", "orderd-receive.service", "orderd-reconcile.service"):
            self.assertEqual(self.box.run("systemctl", "is-active", unit).stdout, "active\n")
            self.assertEqual(self.box.run("systemctl", "is-enabled", unit).stdout, "enabled\n")
        wait.until(lambda: self.box.call(lambda: http.get(ADMIN, "/readyz")).status == 200, 20,
                   "the receiver is ready")
        answer = self.deliver("order_first")
        self.assertEqual((answer.status, answer.outcome), (200, "applied"))
        self.assertEqual(self.sql("select order_id, status from torque.orders"),
                         "order_first|processing")

    def test_its_block_ends_in_services_that_store_what_is_delivered(self):
        self.install()
        self.assertEqual(self.sql("select event_type, outcome from torque.order_events"),
                         "order.paid|recorded")
        self.check_services()
        self.check_libraries()
        built = self.debian.run(self.box, "find orderd/build/tests -type f").stdout
        self.assertEqual(built, "", "an install builds nothing of the tests")

    def check_libraries(self):
        """What orderd needs to run, the C library aside, is what the README says."""
        needed = re.findall(r"NEEDED.*\[(.+)\]",
                            self.box.run("readelf", "-d", "/usr/bin/orderd").stdout)
        owners = self.box.run("dpkg", "-S", *["*/" + name for name in needed
                                              if name != "libc.so.6"]).stdout
        packages = {line.split(":")[0] for line in owners.splitlines()}
        told = re.search(r"At run time it needs `([^`]+)`", " ".join(section("Install").split()))
        self.assertEqual(packages, set(told.group(1).split()))

    def test_it_works_where_the_quickstart_was_before(self):
        self.line("tests/quickstart")
        self.assertIn("online", self.box.run("pg_lsclusters").stdout)
        self.install()
        self.check_services()


if __name__ == "__main__":
    tap.main()
