#!/usr/bin/env python3
# beside: yes
"""What can be counted of the house style: lines, functions, files, words, names at the top."""

import re
import unittest

from support import tap
from tree import ROOT, c_files, files, ours

COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 80
FILE_LINES_MAX = 650
TEST_LINES_MAX = 800
TAB = 8

TOP_LEVEL = re.compile(r"daemon|sql|systemd|tests|meson\.build|README\.md|LICENSE|\..*")
# Each is a bug waiting, or a question put to the kernel where only base/clock.c may.
FORBIDDEN = [
    (r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|atoi|atol|atoll|strtok)\s*\(", ()),
    (r"\b(clock_gettime|gettimeofday|time)\s*\(", ("daemon/base/clock.c",)),
    (r"\b(XXX|TODO|FIXME|HACK)\b", ()),
]
PATTERN_ESCAPE = re.compile(r"\\[dDsSwWmMyYAZ.+*?()|^$%_\[\]{}]")
MACHINE = re.compile(r"(^|[^A-Za-z0-9_.$}])/(work|farm|home|Users)/")


def functions(text):
    """(first line, number of lines) of each function body: braces in the first column."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start:
            yield start, number - start - 1
            start = None


def without_tables(text):
    """Tables that clang-format is told to leave alone may be as wide as their longest row."""
    blank = lambda found: re.sub(r"[^\n]", "", found.group(0))
    return re.sub(r"/\* clang-format off \*/.*?/\* clang-format on \*/", blank, text,
                  flags=re.DOTALL)


def width(line):
    return len(line.expandtabs(TAB))


def over_limits(name, text):
    """The sentences that say what of this C file is too long."""
    found = []
    lines = text.splitlines()
    if len(lines) > (TEST_LINES_MAX if name.startswith("tests/") else FILE_LINES_MAX):
        found.append("%s: %d lines" % (name, len(lines)))
    found += ["%s:%d: %d columns" % (name, number, width(line))
              for number, line in enumerate(without_tables(text).splitlines(), 1)
              if width(line) > COLUMNS_MAX]
    found += ["%s:%d: a function of %d lines" % (name, start, size)
              for start, size in functions(text) if size > FUNCTION_LINES_MAX]
    return found


def opens_with_a_sentence(text):
    """A comment that says what this file is, before anything else."""
    return re.match(r"/\* \S(?:[^*]|\*(?!/))*\.\s*\*/\n", text) is not None


def without_comments(text):
    blank = lambda found: re.sub(r"[^\n]", " ", found.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"', blank, text, flags=re.DOTALL)


def forbidden_words(name, text):
    code = without_comments(text)
    found = []
    for pattern, allowed in FORBIDDEN:
        if name in allowed:
            continue
        where = text if "XXX" in pattern else code
        found += ["%s:%d: %s" % (name, where.count("\n", 0, word.start()) + 1, word.group(0))
                  for word in re.finditer(pattern, where)]
    return found


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def misnamed(name, text):
    """The functions of this header that do not begin with the name of their module."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    module = name.rsplit("/", 1)[-1].removesuffix(".h")
    called = re.findall(r"^(?!typedef\b)\w[\w *]*?\b(\w+)\(", code, re.MULTILINE)
    return ["%s: %s()" % (name, function) for function in called
            if function != module and not function.startswith(module + "_")]


def backslashes(name, text):
    """Where this SQL has one in a pattern: what it means there may be a setting."""
    return ["%s:%d" % (name, number) for number, line in enumerate(text.splitlines(), 1)
            if PATTERN_ESCAPE.search(re.sub(r"\be'(\\.|[^'\\])*'", "", line))]


class Limits(unittest.TestCase):
    def none(self, faults):
        self.assertFalse(faults, "\n".join(faults))

    def test_lines_functions_and_files_of_C_keep_to_their_limits(self):
        self.none([fault for path in c_files() for fault in over_limits(str(path), read(path))])

    def test_lines_of_SQL_Python_and_meson_keep_to_100_columns(self):
        self.none(["%s:%d" % (path, number)
                   for path in ours() if path.suffix in (".sql", ".py", ".build")
                   for number, line in enumerate(read(path).splitlines(), 1)
                   if width(line) > COLUMNS_MAX])

    def test_SQL_does_not_depend_on_what_a_backslash_means(self):
        """no regular expression of SQL has a backslash"""
        self.none([fault for path in ours() if path.parts[0] == "sql" and path.suffix == ".sql"
                   for fault in backslashes(str(path), read(path))])

    def test_no_function_is_called_that_the_house_forbids(self):
        daemon = [path for path in c_files() if str(path).startswith("daemon/")]
        self.none([fault for path in daemon for fault in forbidden_words(str(path), read(path))])

    def test_each_header_begins_with_its_name_and_is_included_once(self):
        for path in c_files():
            if path.suffix == ".h":
                with self.subTest(str(path)):
                    self.assertTrue(read(path).startswith("/* %s - " % path.name))
                    self.assertIn("#pragma once\n", read(path))

    def test_each_source_of_the_daemon_opens_with_a_sentence(self):
        self.none([str(path) for path in c_files() if path.suffix == ".c"
                   and str(path).startswith("daemon/")
                   and not str(path).startswith("daemon/order/")
                   and not opens_with_a_sentence(read(path))])

    def test_each_function_of_a_header_begins_with_the_name_of_its_module(self):
        self.none([fault for path in c_files() if path.suffix == ".h"
                   and str(path).startswith("daemon/")
                   for fault in misnamed(str(path), read(path))])

    def test_no_path_of_one_machine(self):
        found = []
        for path in ours():
            for number, line in enumerate((ROOT / path).read_bytes().splitlines(), 1):
                if MACHINE.search(line.decode("utf-8", "replace")):
                    found.append("%s:%d" % (path, number))
        self.none(found)

    def test_nothing_unexpected_stands_at_the_top(self):
        tops = {path.parts[0] for path in files()}
        self.none([top for top in sorted(tops) if not TOP_LEVEL.fullmatch(top)])


class PlantedFaults(unittest.TestCase):
    def test_a_long_line_function_and_file_are_found(self):
        self.assertTrue(over_limits("x.c", "\t" * 12 + "12345\n"))
        self.assertFalse(over_limits("x.c", "\t" * 12 + "1234\n"))
        self.assertTrue(over_limits("x.c", "int f(void)\n{\n" + "\n" * 81 + "}\n"))
        self.assertFalse(over_limits("x.c", "int f(void)\n{\n" + "\n" * 80 + "}\n"))
        self.assertTrue(over_limits("daemon/x.c", "\n" * 651))
        self.assertFalse(over_limits("daemon/x.c", "\n" * 650))
        self.assertTrue(over_limits("tests/x.c", "\n" * 801))

    def test_a_source_that_does_not_say_what_it_is_is_found(self):
        self.assertTrue(opens_with_a_sentence('/* A list.\n *\n * Of a * b. */\n#include "x.h"\n'))
        for text in ('#include "x.h"\n/* A list. */\n', "/* a -> b */\n/* A list. */\n", "/* */\n",
                     "\n/* A list. */\n"):
            self.assertFalse(opens_with_a_sentence(text), text)

    def test_a_function_without_the_name_of_its_module_is_found(self):
        self.assertTrue(misnamed("daemon/x/port.h", "/* a */\nbool nearest(int a);\n"))
        self.assertTrue(misnamed("daemon/x/port.h", "static inline int ports(int a)\n"))
        self.assertFalse(misnamed("daemon/x/port.h", "bool port_open(int a);\nvoid port(int a);\n"))

    def test_a_backslash_that_may_mean_something_else_is_found(self):
        self.assertTrue(backslashes("x.sql", r"where a ~ '^\d+$'"))
        self.assertTrue(backslashes("x.sql", r"where a ~ e'\n' and b like '50\%'"))
        self.assertFalse(backslashes("x.sql", r"select e'a\'b\n' || '%'"))

    def test_a_forbidden_call_is_found_but_not_in_a_comment_or_a_string(self):
        self.assertTrue(forbidden_words("daemon/x.c", "n = atoi(text);"))
        self.assertTrue(forbidden_words("daemon/x.c", "time(NULL);"))
        self.assertFalse(forbidden_words("daemon/base/clock.c", "clock_gettime(a, b);"))
        self.assertFalse(forbidden_words("daemon/x.c", '/* atoi(x) */ puts("atoi(x)");'))


if __name__ == "__main__":
    tap.main()
