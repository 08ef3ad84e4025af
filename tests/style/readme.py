#!/usr/bin/env python3
# beside: yes
"""What README.md says can be checked: its commands, its files, and the tests behind its promises.

A promise names its test as (`tests/e2e/test_x.py`: the promise), in the words of that file.
"""

import os
import re
import unittest

from support import tap
from tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("tests/quickstart", "tests/run")
PROMISES = 8
NAMED = re.compile(r"`(tests/[\w/.]+)`: ([^;()]+)")


def plain(text):
    return " ".join(re.sub(r"[^A-Za-z0-9]+", " ", text).lower().split())


def names_the_promise(path, promise):
    """Whether that file has a test of that name; underscores of Python count as spaces."""
    text = plain((ROOT / path).read_text(encoding="utf-8"))
    return plain(promise) in text


class Readme(unittest.TestCase):
    def test_its_two_commands_are_there_and_run_as_they_stand(self):
        blocks = re.findall(r"^    (\S+)", README, re.MULTILINE)
        self.assertEqual([command for command in blocks if command in COMMANDS], list(COMMANDS))
        for command in COMMANDS:
            self.assertTrue(os.access(ROOT / command, os.X_OK), command)

    def test_CI_runs_the_second_command_and_a_test_runs_the_first(self):
        self.assertIn("/../tests/run", (ROOT / ".ci/run").read_text())
        self.assertIn("tests/quickstart", (ROOT / "tests/e2e/test_50_quickstart.py").read_text())

    def test_every_file_it_names_exists(self):
        named = re.findall(r"`((?:daemon|sql|systemd|tests|\.ci|\.githooks)/[\w/.-]*)`", README)
        self.assertTrue(named)
        self.assertEqual([path for path in named if not (ROOT / path).exists()], [])

    def test_each_promise_names_a_test_that_exists(self):
        section = README.split("## Promises", 1)[1].split("\n## ", 1)[0]
        promises = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
        self.assertGreaterEqual(len(promises), PROMISES)
        for promise in promises:
            with self.subTest(promise.split("\n")[0]):
                named = NAMED.findall(" ".join(promise.split()))
                self.assertTrue(named, "it names no test")
                for path, words in named:
                    self.assertTrue(names_the_promise(path, words), "%s: %s" % (path, words))

    def test_a_promise_without_its_test_is_found(self):
        self.assertFalse(names_the_promise("tests/quickstart", "pigs have wings"))


if __name__ == "__main__":
    tap.main()
