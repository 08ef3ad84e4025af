#!/usr/bin/env python3
# beside: yes; slow: yes; waits: yes
"""Plants faults one by one in a copy of the tree and sees whether the tests notice.

    tests/mutants/run [--seed SEED] [--count N]     N rows by chance: see tests/support/scale.py
    tests/mutants/run --all
    tests/mutants/run ROW...                        those with ROW in file and sentence
    tests/mutants/run --file FILE                   those of one file

Of each row its own test alone is run; how rows look is told in table.py. The end is 1 when a fault
survived, when a row fits its file no more, or when its test fails without the fault. --keep DIR
keeps copy and build there for the next time. The output is in the Test Anything Protocol.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import table

sys.path[:0] = [str(table.ROOT / "tests"), str(table.ROOT / "tests" / "style")]
import tree
from support import scale

# What a test takes without the fault may be this much longer with it, and then it is stuck.
SECONDS, TIMES = 20, 4
SETUP = ["meson", "setup", "build", "-Dbuildtype=debugoptimized", "-Dwerror=false"]
# The same run every time, and a short one: a row names a test that needs no luck.
ENVIRONMENT = {
    "ORDERD_TEST_SEED": "5eed",
    "ORDERD_TEST_HISTORIES": "2000",
    "ORDERD_TEST_WALKS": "5",
    "ORDERD_TEST_INTERLEAVINGS": "600",
    "MALLOC_PERTURB_": "107",  # as meson does: what was freed is not what it was
    "CCACHE_NOHASHDIR": "1",  # copies lie in directories of many names
}


class Copy:
    """The tree once more, and its build directory."""

    def __init__(self, directory):
        self.root = Path(directory) / "tree"
        self.build = self.root / "build"
        self._fill()
        self._must(["ninja", "-C", "build", "build.ninja"] if self.build.exists() else SETUP)
        introduced = self.build / "meson-info"
        self.tests = {test["name"]: test
                      for test in json.loads((introduced / "intro-tests.json").read_text())}
        self.targets = {target["id"]: [os.path.relpath(name, self.build)
                                       for name in target["filename"]]
                        for target in json.loads((introduced / "intro-targets.json").read_text())}

    def _fill(self):
        """Only what differs is written, so that a kept build stays fresh."""
        wanted = tree.files()
        for path in set(tree.files(self.root)) - set(wanted):
            (self.root / path).unlink()
        for path in wanted:
            source, target = table.ROOT / path, self.root / path
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)

    def _must(self, command):
        done = subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit("%s failed:\n%s" % (" ".join(command), done.stdout[-4000:]))

    def made(self, tests):
        """Builds what these tests run; None, or what the compiler said."""
        if not tests:
            targets = ["daemon/orderd"]
        else:
            targets = {name for test in tests for target in self.tests[test]["depends"]
                       for name in self.targets[target]}
        if not targets:
            return None
        done = subprocess.run(["ninja", "-C", self.build, *sorted(targets)], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout if done.returncode else None

    def run(self, test, names, seconds_max=None):
        """(passed, the line that says why not); passed is None when it was skipped."""
        entry = self.tests[test]
        seconds_max = seconds_max or entry["timeout"]
        process = subprocess.Popen(
            entry["cmd"] + list(names), cwd=entry["workdir"] or self.build, text=True,
            env=dict(os.environ, **entry["env"]), stdin=subprocess.DEVNULL, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        stuck = threading.Event()
        guard = threading.Timer(seconds_max, lambda: (stuck.set(), end_group(process)))
        guard.start()
        try:
            lines = []
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                if line.startswith("not ok"):
                    return False, lines[-1]  # the rest does not matter
            process.wait()
        finally:
            guard.cancel()
            end_group(process)
        if stuck.is_set():
            return False, "not over after %d s" % seconds_max
        return judge(process.returncode, lines, entry["protocol"] == "tap")

    def planted(self, row):
        """A cleanup: the file is as it was when it is left."""
        return Planted(self.root / row.file, row)


class Planted:
    def __init__(self, path, row):
        self.path, self.row = path, row

    def __enter__(self):
        self.text = self.path.read_text(encoding="utf-8")
        self.path.write_text(self.row.planted(self.text), encoding="utf-8")

    def __exit__(self, *_):
        self.path.write_text(self.text, encoding="utf-8")


def end_group(process):
    """A test that is stopped stops what it started; then none of it is left."""
    for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, None)):
        try:
            if process.poll() is None:
                os.killpg(process.pid, number)
                process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass


def judge(code, lines, is_tap):
    if code:
        return False, "killed by signal %d" % -code if code < 0 else "exit code %d" % code
    if is_tap and all("# SKIP" in line for line in lines if line.startswith("ok ")):
        return None, next((line for line in lines if "# SKIP" in line), "no promise")
    return True, ""


class Report:
    def __init__(self, count):
        self.count, self.number, self.failed = count, 0, 0
        print("1..%d" % count, flush=True)

    def say(self, ok, verdict, row, detail="", skip=None):
        self.number += 1
        self.failed += not ok
        print("%sok %d - %s: %s%s" % ("" if ok else "not ", self.number, verdict,
                                      row.title.replace("#", "No."),
                                      " # SKIP " + skip if skip else ""))
        for line in detail.splitlines()[-20:]:
            print("#     " + line)
        sys.stdout.flush()


def try_row(copy, row, unplanted, report):
    started = time.monotonic()
    passed, said, seconds = unplanted.get((row.test, row.names), (True, "", 0))
    if row.test == "survives":
        return report.say(True, "survives", row)
    if passed is None:
        return report.say(True, "not tried", row, skip=said.split("# SKIP ")[-1])
    if not passed:
        return report.say(False, "%s fails without a fault" % row.test, row, said)
    try:
        with copy.planted(row):
            refused = copy.made([] if row.test == "compiler" else [row.test])
            if refused is None and row.test != "compiler":
                passed, said = copy.run(row.test, row.names, SECONDS + TIMES * seconds)
    except (table.Misfit, OSError) as error:
        return report.say(False, str(error), row)
    took = "%.1f s" % (time.monotonic() - started)
    if (refused is not None) != (row.test == "compiler"):
        verdict = "does not compile" if refused is not None else "SURVIVED the compiler"
        return report.say(False, verdict, row, refused or "")
    if passed and row.test != "compiler":
        return report.say(False, "SURVIVED, %s" % took, row, "%s passes" % row.test)
    return report.say(True, "caught, %s" % took, row, said)


def passes_unplanted(copy, rows):
    """{(test, names): (passed, the line that says why not, seconds)}"""
    found = {}
    refused = copy.made([row.test for row in rows if row.test in copy.tests] or None)
    if refused:
        sys.exit("the copy does not build:\n" + refused[-4000:])
    for row in rows:
        key = row.test, row.names
        if row.test in table.WITHOUT_TEST or key in found:
            continue
        if row.test not in copy.tests:
            found[key] = False, "there is no such test", 0
            continue
        started = time.monotonic()
        found[key] = *copy.run(*key), time.monotonic() - started
    return found


def chosen(options, rows):
    if options.rows or options.file:
        return [row for row in rows
                if row.file == options.file or any(part in row.title for part in options.rows)]
    if options.all:
        return rows
    print("# seed %s" % options.seed)
    return random.Random(options.seed).sample(rows, min(options.count, len(rows)))


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--seed", default=scale.seed())
    parser.add_argument("--count", type=int, default=scale.count("mutants"))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--file")
    parser.add_argument("--keep")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    rows = chosen(options, table.read_rows())
    if not rows:
        sys.exit("no such row")
    # Faults of one file beside each other: what is restored is built with the next.
    rows.sort(key=lambda row: (row.test, row.file))
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory(prefix="orderd-mutants-") as scratch:
        os.chmod(scratch, 0o755)  # PostgreSQL's account reads it too
        copy = Copy(options.keep or scratch)
        os.environ.setdefault("ORDERD_TEST_CLUSTER", os.path.join(scratch, "cluster"))
        report = Report(len(rows))
        unplanted = passes_unplanted(copy, rows)
        for row in rows:
            try_row(copy, row, unplanted, report)
    survivors = sum(row.test == "survives" for row in rows)
    print("# %d passed, %d failed; %d of those passed are known to survive" % (
        report.number - report.failed, report.failed, survivors))
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
