#!/usr/bin/env python3
# beside: yes
"""Each planted fault of the table still fits its file and names a test that there is."""

import json
import sys
import unittest
from pathlib import Path

from support import tap
from tree import ROOT

sys.path.insert(0, str(ROOT / "tests/mutants"))
import table

# The tests of the build directory that is tested.
TESTS = {test["name"]: test for test in json.loads(
    (Path(tap.program()).parents[1] / "meson-info/intro-tests.json").read_text(encoding="utf-8"))}

ROW = """# Why.
%s: %s
%s"""


def row(file="LICENSE", test="layers", hunk=("-MIT License", "+The MIT License")):
    return table.read_row("x.rows:1", (ROW % (file, test, "\n".join(hunk))).split("\n"))


class Rows(unittest.TestCase):
    def test_every_row_fits_its_file_and_names_a_test(self):
        found = table.misfits(table.read_rows(), TESTS)
        self.assertFalse(found, "\n".join(found))

    def test_there_are_80_rows_and_no_two_are_the_same(self):
        rows = table.read_rows()
        self.assertGreaterEqual(len(rows), 80)
        self.assertEqual(len({(row.file, row.hunk, row.test) for row in rows}), len(rows))
        self.assertEqual(len({row.title for row in rows}), len(rows))


class Planting(unittest.TestCase):
    def test_a_line_is_replaced_where_it_stands_as_far_in_as_it_was(self):
        self.assertEqual(row(hunk=("-b();", "+c();")).planted("{\n\ta();\n\tb();\n}\n"),
                         "{\n\ta();\n\tc();\n}\n")

    def test_a_line_beside_it_tells_one_place_from_the_other(self):
        twice = "x\n\tb\n\ty\n\tb\n"
        self.assertEqual(row(hunk=(" y", "-b")).planted(twice), "x\n\tb\n\ty\n")
        with self.assertRaises(table.Misfit):
            row(hunk=("-b", "+c")).planted(twice)

    def test_a_row_that_fits_no_more_is_found(self):
        def said(*words, **options):
            return table.misfits([row(*words, **options)], TESTS)

        self.assertEqual(said(), [])
        self.assertIn("stands 0 times", said(hunk=("-no such line", "+x"))[0])
        self.assertIn("no such file", said(file="no/such/file")[0].lower())
        self.assertIn("there is no test", said(test="no such test")[0])
        self.assertEqual(said(test="layers Layers"), [])
        self.assertIn("there is no Nobody", said(test="layers Nobody")[0])
        self.assertIn("there is no Layers.x", said(test="layers Layers.x")[0])

    def test_a_block_that_is_no_row_is_refused(self):
        for lines in (["FILE: test", "-a"], ["# Why.", "file", "-a"], ["# Why.", "f: t", " a"],
                      ["# Why.", "f: t", "+a"], ["# Why.", "f: t", "a"]):
            with self.subTest(lines), self.assertRaises(table.Misfit):
                table.read_row("x.rows:1", lines)
        self.assertIsNone(table.read_row("x.rows:1", ["# The rows of a room."]))


if __name__ == "__main__":
    tap.main()
