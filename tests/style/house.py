#!/usr/bin/env python3
# beside: yes
"""The house of the tests itself: each is run, says how, and what it needs can be had."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from support import plan, scale, tally, tap, tools, wait, workers
from tree import ROOT, ours

MESON = (ROOT / "tests/meson.build").read_text(encoding="utf-8")


def runs(path):
    """Whether the file is a test of its own."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return "select no_plan();" in text if path.suffix == ".sql" else (
        'if __name__ == "__main__":' in text and path.parts[1] not in ("bench", "support"))


def tests():
    return [path for path in ours() if path.parts[0] == "tests" and path.suffix in (".py", ".sql")
            and path.name != "pgtap.py" and runs(path)]


def c_tests():
    return [path for path in ours() if re.fullmatch(r"tests/(unit|fuzz)/\w+_(test|fuzz)\.c",
                                                    str(path))]


class House(unittest.TestCase):
    def test_every_script_that_is_a_test_is_run(self):
        named = re.findall(r"^    '([\w/]+\.(?:py|sql))',$", MESON, re.MULTILINE)
        self.assertEqual(sorted("tests/" + name for name in named), sorted(map(str, tests())))

    def test_every_test_in_C_is_run(self):
        for path in c_tests():
            text = (ROOT / path.parent / "meson.build").read_text(encoding="utf-8")
            self.assertIn("\n    '%s',\n" % path.stem.rsplit("_", 1)[0], text)

    def test_each_says_in_its_second_line_how_it_is_run(self):
        for path in tests():
            self.assertTrue(plan.plan(ROOT / path), path)

    def test_what_is_not_understood_there_is_refused(self):
        for line in ("# needs: orderd", "# beside: perhaps", "# needs: ordered; beside: yes",
                     "# beside: yes; fast: yes", '"""Nothing of it."""'):
            with self.assertRaises(SystemExit, msg=line):
                plan.read(line, "# ")

    def test_a_test_that_runs_a_program_names_it(self):
        for path in tests():
            text = (ROOT / path).read_text(encoding="utf-8")
            for program in plan.PROGRAMS[1:]:
                if program.upper() in text:
                    self.assertIn(program, plan.plan(ROOT / path)["needs"], path)

    def test_what_only_tests_need_is_what_they_ask_for(self):
        packages = (ROOT / "tests/packages").read_text().split("# tests only")[1].split()
        # What every Debian has is asked for, too.
        always = {"bash", "bsdutils", "build-essential", "mount", "util-linux"}
        self.assertEqual(set(packages), set(tools.PACKAGES.values()) - always)

    def test_every_count_of_the_scale_is_used(self):
        text = "".join((ROOT / path).read_text() for path in tests())
        self.assertEqual(set(re.findall(r'scale\.count\("(\w+)"\)', text)), set(scale.COUNTS))

    def test_a_plain_build_builds_nothing_of_the_tests(self):
        for path in ours():
            if path.name == "meson.build" and path.parts[0] == "tests":
                text = (ROOT / path).read_text(encoding="utf-8")
                built = re.findall(r"\b(executable|custom_target|shared_module)\(", text)
                self.assertEqual(len(built), text.count("build_by_default: false"), path)


class Packages(unittest.TestCase):
    """tests/support/packages.sh, with an apt-get that installs nothing."""

    def install(self, code):
        """(exit code, what was said)"""
        with tempfile.TemporaryDirectory() as scratch:
            for name, script in (("dpkg-query", "echo not-installed"), ("sudo", '"$@"'),
                                 ("apt-get", "echo '(Reading database'; exit %d" % code)):
                program = Path(scratch) / name
                program.write_text("#!/bin/sh\n%s\n" % script, encoding="ascii")
                program.chmod(0o755)
            done = subprocess.run(
                ["sh", "-c", '. "$root/tests/support/packages.sh"; need_packages quickstart'],
                env={"PATH": scratch + ":/usr/bin:/bin", "root": str(ROOT), "TMPDIR": scratch},
                text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout

    def test_what_is_missing_is_named_and_what_apt_says_is_not_shown(self):
        code, said = self.install(0)
        self.assertEqual(code, 0)
        self.assertRegex(said, r"^\S+: installing by apt: build-essential .* postgresql \n$")

    def test_what_apt_says_is_shown_when_it_fails(self):
        code, said = self.install(100)
        self.assertNotEqual(code, 0)
        self.assertIn("(Reading database", said)


class Tally(unittest.TestCase):
    def tell(self, *tests):
        """(exit code, what was printed)"""
        kept = tally.Tally()
        with tempfile.TemporaryDirectory() as scratch, \
                contextlib.redirect_stdout(io.StringIO()) as printed:
            log = os.path.join(scratch, "log.json")
            with open(log, "w", encoding="utf-8") as lines:
                for result, stdout in tests:
                    lines.write(json.dumps({"name": "t", "result": result, "stdout": stdout,
                                            "duration": 1}) + "\n")
            kept.add(log)
            code = kept.tell()
        return code, printed.getvalue()

    def test_promises_are_counted_and_what_failed_is_explained(self):
        code, said = self.tell(("OK", "ok 1 - a\nok 2 - b # SKIP no node here\n1..2\n"),
                               ("ERROR", "ok 1 - c\nnot ok 2 - d\n# because\n1..2\n"))
        self.assertEqual(code, 1)
        self.assertEqual(said.splitlines()[-1], "2 passed, 1 failed, 1 skipped")
        for words in ("skipped: t: b (no node here)", "FAILED: t: d", "not ok 2 - d\n# because\n"):
            self.assertIn(words, said)

    def test_a_crash_a_time_out_and_a_run_of_nothing_fail(self):
        for tests in ([("ERROR", "ok 1 - a\n")], [("TIMEOUT", "")], []):
            self.assertEqual(self.tell(*tests)[0], 1)

    def test_a_test_that_is_skipped_as_a_whole_says_why(self):
        code, said = self.tell(("OK", "ok 1 - a\n1..1\n"), ("SKIP", "1..0 # SKIP no pgtap here\n"))
        self.assertEqual((code, said.splitlines()[-1]), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("skipped: t (no pgtap here)", said)


def ends_when_told(number):
    return signal.getsignal(number) == signal.SIG_DFL


def die_at_7(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class Workers(unittest.TestCase):
    def test_a_process_that_is_told_to_end_needs_no_interpreter_for_it(self):
        signals = (signal.SIGTERM, signal.SIGHUP)
        self.assertNotEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)
        self.assertEqual(list(workers.each(ends_when_told, signals)), [True, True])

    def test_each_item_is_done_once(self):
        self.assertEqual(sorted(workers.each(abs, range(50))), list(range(50)))

    def test_a_process_that_dies_is_a_failure_and_nobody_waits_for_its_work(self):
        with self.assertRaises(BrokenProcessPool):
            list(workers.each(die_at_7, range(50)))


class Waits(unittest.TestCase):
    def test_a_condition_that_does_not_stay_is_noticed(self):
        left = iter((True, True, False))
        with self.assertRaises(AssertionError):
            wait.stays(lambda: next(left), 5, "it stays", 0)

    def test_a_condition_that_is_not_met_is_too_late(self):
        with self.assertRaises(wait.TooLate):
            wait.until(lambda: False, 0.01, "it comes")


if __name__ == "__main__":
    tap.main()
