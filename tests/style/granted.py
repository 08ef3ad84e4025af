#!/usr/bin/env python3
# beside: yes
"""What the daemon calls in schema torque is what migrations grant to its role: no less, no more."""

import re
import sys
import unittest

from support import tap
from tree import ROOT

sys.path.insert(0, str(ROOT / "sql"))

import embed  # noqa: E402 (it stands beside what it embeds)

# Called by a verb that connects as somebody who may more.
AS_OPERATOR = {"replay_next", "replay_read", "replay_write", "replay_bodies", "replay_take"}


def literals(text):
    """The string literals of C, those that stand beside each other joined."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    runs = re.findall(r'"(?:[^"\\\n]|\\.)*"(?:[\s\\]*"(?:[^"\\\n]|\\.)*")*', code)
    return ["".join(re.findall(r'"((?:[^"\\\n]|\\.)*)"', run)) for run in runs]


def called(text):
    return {name for literal in literals(text) for name in re.findall(r"torque\.(\w+)\(", literal)}


def granted(text):
    return {re.match(r"torque\.(\w+)", function).group(1) for function in embed.granted(text)}


class Granted(unittest.TestCase):
    def test_each_function_that_is_called_is_granted_and_each_that_is_granted_is_called(self):
        in_c = set().union(*(called(path.read_text(encoding="utf-8"))
                             for path in (ROOT / "daemon").glob("*/*.c")))
        in_sql = granted("\n".join(path.read_text(encoding="utf-8")
                                   for path in (ROOT / "sql").rglob("*grants.sql")))
        self.assertEqual(sorted(in_c - AS_OPERATOR), sorted(in_sql))


class PlantedFaults(unittest.TestCase):
    def test_a_call_is_found_in_a_literal_and_nowhere_else(self):
        self.assertEqual(called('/* "torque.a()" */ f("select torque."\n\t"b($1)"); torque.c();'),
                         {"b"})

    def test_only_what_is_granted_to_the_role_counts(self):
        self.assertEqual(embed.granted(
            "grant execute\n    on function\n        torque.a(\n            text[], bytea\n"
            "        ),\n        torque.b()\n    to orderd, torque_operator;\n"
            "-- grant execute on function torque.c() to orderd;\n"
            "grant execute on function torque.d() to torque_operator;\n"),
            {"torque.a", "torque.b"})


if __name__ == "__main__":
    tap.main()
