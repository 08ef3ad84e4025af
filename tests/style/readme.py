#!/usr/bin/env python3
# beside: yes
"""What README.md says can be checked: its commands, its files, and the tests behind its promises.

A promise names its test as (`tests/e2e/test_x.py`: the promise), in the words of that file.
"""

import os
import re
import unittest

from support import run, tap
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


def block(title):
    """The indented lines of that section; what stands between fences is a query or a picture."""
    section = README.split("\n## %s\n" % title, 1)[1].split("\n## ", 1)[0]
    section = re.sub(r"^```.*?^```$", "", section, flags=re.DOTALL | re.MULTILINE)
    return "".join(re.findall(r"^    (.*\n)", section, re.MULTILINE))


class Readme(unittest.TestCase):
    def test_its_two_commands_are_there_and_run_as_they_stand(self):
        self.assertEqual(block("See it work").split(), list(COMMANDS))
        for command in COMMANDS:
            self.assertTrue(os.access(ROOT / command, os.X_OK), command)

    def test_every_command_of_its_blocks_is_run(self):
        """CI runs the second command; tests run the first, and Install as it stands there"""
        self.assertRegex((ROOT / ".ci/run").read_text(), r'/\.\./tests/run" --all\n')
        self.assertIn("tests/quickstart", (ROOT / "tests/e2e/test_50_quickstart.py").read_text())
        self.assertIn('commands("Install")', (ROOT / "tests/e2e/test_61_install.py").read_text())
        self.assertIn('commands("Backup and restore")',
                      (ROOT / "tests/e2e/test_26_restore.py").read_text())
        with_blocks = [title for title in re.findall(r"^## (.*)$", README, re.MULTILINE)
                       if block(title)]
        # What stands under Configure is a file.
        self.assertEqual(with_blocks, ["See it work", "Install", "Configure", "Backup and restore"])

    def test_the_forms_of_the_second_command_are_those_of_the_program(self):
        named = re.findall(r"`tests/run ([^`]+)`", README)
        flags = [word for word in named if word.startswith("-")]
        usage = re.findall(r"^#\ttests/run (--\w+)", (ROOT / "tests/run").read_text(), re.MULTILINE)
        self.assertEqual(flags, usage)
        self.assertIn("one suite of style, unit, fuzz, sql, e2e and slow", " ".join(README.split()))
        self.assertEqual(run.SUITES, ("style", "unit", "fuzz", "sql", "e2e", "slow"))

    def test_Install_and_the_quickstart_need_the_same_packages(self):
        line = block("Install").replace("\\\n", " ").splitlines()[0]
        packages = (ROOT / "tests/packages").read_text().split("# tests only")[0]
        self.assertEqual(line.split("--no-install-recommends")[1].split(),
                         [name for name in packages.splitlines() if name and name[0] != "#"])

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
