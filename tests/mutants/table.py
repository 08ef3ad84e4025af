"""The planted faults: what stands in *.rows, and how one is put into its file.

    # Why the line matters, in a sentence.
    FILE: TEST [NAME...]
    -the line as it is, which stands in the file once
    +the line as a tired engineer would write it
     a line beside it that stays, where the others alone stand there more than once

Rows end with an empty line; how far a line is indented does not count. TEST is a name of `meson
test --list`, NAME a class or a method of its file when that part of it is enough. In its place:

    compiler    the fault does not compile
    survives    no test notices at a price worth paying; the sentence says why that is borne
"""

import re
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROW_LINES_MAX = 8
HEAD = re.compile(r"^(\S+): (\S.*)$")
WITHOUT_TEST = ("compiler", "survives")


class Misfit(Exception):
    """The row cannot be planted; says why."""


class Row(NamedTuple):
    where: str  # of the row itself, room.rows:12
    why: str
    file: str
    test: str
    names: tuple
    hunk: tuple  # (mark, line), mark being "-", "+" or " "

    @property
    def title(self):
        return "%s: %s" % (self.file, self.why)

    def planted(self, text):
        """The file's text with the fault in it; Misfit when there is no one place for it."""
        lines = text.split("\n")
        old = [line for mark, line in self.hunk if mark != "+"]
        new = [line for mark, line in self.hunk if mark != "-"]
        bare = [line.strip() for line in lines]
        places = [n for n in range(len(lines)) if bare[n:n + len(old)] == old]
        if len(places) != 1:
            raise Misfit("%s: stands %d times in %s" % (self.where, len(places), self.file))
        start = places[0]
        indent = lines[start][:len(lines[start]) - len(lines[start].lstrip())]
        return "\n".join(lines[:start] + [indent + line for line in new]
                         + lines[start + len(old):])


def read_row(where, lines):
    """One block of lines; None when it is nothing but comments."""
    why = " ".join(line[1:].strip() for line in lines if line.startswith("#"))
    rest = [line for line in lines if not line.startswith("#")]
    if not rest:
        return None
    head = HEAD.match(rest[0])
    if not head or not why:
        raise Misfit("%s: not a row" % where)
    test, *names = head.group(2).split()
    hunk = tuple((line[0], line[1:].strip()) for line in rest[1:])
    marks = {mark for mark, _ in hunk}
    if not marks & {"-", "+"} or not marks & {"-", " "} or marks - {"-", "+", " "}:
        raise Misfit("%s: it changes nothing, or is nowhere" % where)
    if len(lines) > ROW_LINES_MAX:
        raise Misfit("%s: more than %d lines" % (where, ROW_LINES_MAX))
    return Row(where, why, head.group(1), test, tuple(names), hunk)


def read_rows(directory=HERE):
    rows = []
    for path in sorted(directory.glob("*.rows")):
        block, first = [], 0
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n") + [""], 1):
            if line.strip():
                first = first if block else number
                block.append(line)
            elif block:
                row = read_row("%s:%d" % (path.name, first), block)
                rows += [row] if row else []
                block = []
    return rows


def misfits(rows, tests, root=ROOT):
    """Sentences about the rows that fit no file, and those whose test is none of tests: the
    members of meson-info/intro-tests.json by their names."""
    found = []
    for row in rows:
        try:
            row.planted((root / row.file).read_text(encoding="utf-8"))
        except (Misfit, OSError) as error:
            found.append(str(error))
        if row.test in WITHOUT_TEST:
            continue
        if row.test not in tests:
            found.append("%s: there is no test %s" % (row.where, row.test))
        else:
            found += ["%s: there is no %s in %s" % (row.where, name, row.test)
                      for name in row.names if not has_case(tests[row.test], name)]
    return found


def has_case(test, name):
    """Class or Class.test_method of the test's file."""
    script = [word for word in test["cmd"] if word.endswith(".py")][-1:]
    text = Path(script[0]).read_text(encoding="utf-8") if script else ""
    parts = re.split(r"^class (\w+)\b", text, flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2]))
    owner, _, method = name.partition(".")
    return owner in bodies and (not method or "    def %s(" % method in text)
