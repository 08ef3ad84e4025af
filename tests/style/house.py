#!/usr/bin/env python3
# beside: yes
"""The house of the tests itself: each is run, says how, and what it needs can be had."""

import re
import subprocess
import sys
import unittest

from support import plan, scale, tap, tools
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

    def test_every_count_of_the_scale_is_used_and_grows(self):
        text = "".join((ROOT / path).read_text() for path in tests())
        for name, counts in scale.COUNTS.items():
            self.assertIn('scale.count("%s")' % name, text)
        self.assertEqual(set(re.findall(r'scale\.count\("(\w+)"\)', text)), set(scale.COUNTS))

    def test_a_plain_build_builds_nothing_of_the_tests(self):
        for path in ours():
            if path.name == "meson.build" and path.parts[0] == "tests":
                text = (ROOT / path).read_text(encoding="utf-8")
                self.assertEqual(text.count("executable(") + text.count("custom_target("),
                                 text.count("build_by_default: false"), path)


if __name__ == "__main__":
    tap.main()
