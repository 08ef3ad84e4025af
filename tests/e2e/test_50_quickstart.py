#!/usr/bin/env python3
# beside: no; slow: yes
"""The README's first command does what it says, ends, and leaves nothing behind."""

import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import events, http, sign, tap, wait

ROOT = Path(__file__).resolve().parents[2]
SECONDS_MAX = 180
STATUSES = ("pending", "processing", "completed", "cancelled", "refunded")


def processes_of(directory):
    """Command lines that name directory."""
    found = []
    for command in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(command, "rb") as words:
                text = words.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue  # it has ended
        if directory in text:
            found.append(text)
    return found


def tree_names(root):
    """Every file of the tree, build directories left out."""
    return {str(path) for part in ("daemon", "sql", "systemd", "tests")
            for path in (root / part).rglob("*") if "__pycache__" not in path.parts}


class Quickstart(unittest.TestCase):
    def setUp(self):
        """Everything it makes goes to a directory of this test, and nothing may be left there."""
        self.scratch = tempfile.mkdtemp(prefix="orderd-scratch-")
        os.chmod(self.scratch, 0o1777)
        self.addCleanup(shutil.rmtree, self.scratch)
        self.addCleanup(self.nothing_is_left)

    def nothing_is_left(self):
        wait.until(lambda: not processes_of(self.scratch), 10,
                   lambda: "still running: %s" % processes_of(self.scratch))
        self.assertEqual(os.listdir(self.scratch), [])

    def start(self, *arguments):
        output = tempfile.TemporaryFile("w+")
        self.addCleanup(output.close)
        # In a session of its own, as from another terminal.
        process = subprocess.Popen(
            [str(ROOT / "tests/quickstart"), *arguments], cwd="/", text=True, stdout=output,
            stderr=output, stdin=subprocess.DEVNULL, start_new_session=True,
            env=dict(os.environ, TMPDIR=self.scratch))

        def said():
            output.seek(0)
            return output.read()

        def end():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(30)
        self.addCleanup(end)
        return process, said

    def check_output(self, text):
        for status in STATUSES:
            self.assertRegex(text, r"(?m)^ %s +\| +\d+ " % status)
        for word in ("applied", "duplicate", "recorded", "ignored", "quarantined",
                     "refused with 401"):
            self.assertRegex(text, r"\d+ %s\b" % word)
        self.assertRegex(text, r"[1-9]\d* webhooks were lost on purpose")
        self.assertRegex(text, r"(?m)^ order_\d{6} \| (order|status) +\|.*\| (list|lookup) +\|")
        self.assertRegex(text, r"by_webhook \| by_poll \| percent")
        self.assertIn("all as the shop knows them", text)

    def test_it_ends_by_itself_with_orders_in_all_five_statuses(self):
        names = tree_names(ROOT)
        started = time.monotonic()
        process, said = self.start()
        process.wait(SECONDS_MAX)
        seconds = time.monotonic() - started
        self.assertEqual(process.returncode, 0, said())
        self.check_output(said())
        self.assertEqual(tree_names(ROOT) - names, set(), "it writes into the tree")
        print("# %.0f s" % seconds)

    def test_with_stay_it_takes_webhooks_until_it_is_told_to_end(self):
        process, said = self.start("--stay")
        wait.until(lambda: "metrics " in said() or process.poll() is not None, SECONDS_MAX, said)
        self.check_output(said())
        address, path = re.search(r"webhook URL +http://([^/]+)(/\S+)", said()).groups()
        secret = re.search(r"secret +(\S+)", said()).group(1)
        count = int(re.search(r"== (\d+) orders, all as the shop knows them", said()).group(1))
        body = b'{"event":"order.created","timestamp":"2024-01-15T10:00:00Z",' \
            b'"data":{"orderId":"order_mine","businessId":"%s"}}' % events.BUSINESS.encode()
        answer = http.post(address, body, sign.torque(body, secret), path)
        self.assertEqual((answer.status, answer.outcome), (200, "applied"))
        psql = re.search(r"SQL +(\S+) '([^']+)'", said()).groups()
        counted = subprocess.run([psql[0], "-AtX", "-d", psql[1], "-c",
                                  "select count(*) from torque.orders"],
                                 text=True, stdout=subprocess.PIPE, check=True).stdout.strip()
        self.assertEqual(counted, str(count + 1))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 143)

    def test_a_wrong_flag_is_refused_before_anything_is_done(self):
        process, said = self.start("--forever")
        self.assertEqual(process.wait(10), 64)
        self.assertIn("usage", said())

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "only root can be another")
    def test_an_ordinary_user_needs_no_root_once_the_packages_are_there(self):
        with tempfile.TemporaryDirectory(prefix="orderd-tree-") as scratch:
            os.chmod(scratch, 0o755)
            tree = Path(scratch) / "tree"
            shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(
                ".git", "build*", "__pycache__"))
            subprocess.run(["chmod", "-R", "a+rX", str(tree)], check=True)
            home = Path(scratch) / "home"
            home.mkdir()
            shutil.chown(home, "nobody")
            said = subprocess.run(
                ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                 str(tree / "tests/quickstart")], cwd="/", text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS_MAX,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home),
                     "TMPDIR": self.scratch})
            self.assertEqual(said.returncode, 0, said.stdout)
            self.check_output(said.stdout)


if __name__ == "__main__":
    tap.main()
