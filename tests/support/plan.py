#!/usr/bin/env python3
"""How each test is to be run, as its own second line says; printed for meson.build, a line a test.

    # needs: orderd, server_probe; beside: yes; slow: no; waits: no

needs: the programs it runs; their paths are in $ORDERD, $SERVER_PROBE and so on. beside: whether it
may run beside others, or holds an answer to a deadline and runs alone. slow: whether it builds or
boots something, so that a run in minutes leaves it out. waits: whether it waits for minutes by the
clock, and so is begun first. What is not said is no.
"""

import sys
from pathlib import Path

PROGRAMS = ("orderd", "server_probe", "batch_probe", "client_probe", "reader_probe",
            "slow_disk", "failing_calls")
MARKS = {".py": "# ", ".sql": "-- "}
ANSWERS = {"yes": True, "no": False}


def read(line, mark):
    """As plan(), of that line."""
    if not line.startswith(mark):
        raise SystemExit("it does not say how it is run: see %s" % __file__)
    said = dict(part.split(": ", 1) for part in line[len(mark):].split("; ") if ": " in part)
    try:
        if set(said) - {"needs", "beside", "slow", "waits"}:
            raise ValueError(sorted(said))
        programs = [word for word in said.get("needs", "").split(", ") if word]
        return {"needs": [PROGRAMS[PROGRAMS.index(word)] for word in programs],
                "beside": ANSWERS[said["beside"]], "slow": ANSWERS[said.get("slow", "no")],
                "waits": ANSWERS[said.get("waits", "no")]}
    except (KeyError, ValueError) as wrong:
        raise SystemExit("%s is not understood: see %s" % (wrong, __file__)) from wrong


def plan(path):
    """{"needs": [program...], "beside": bool, "slow": bool, "waits": bool}"""
    path = Path(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        return read(lines[1 if lines[0].startswith("#!") else 0], MARKS[path.suffix])
    except SystemExit as wrong:
        raise SystemExit("%s: %s" % (path, wrong)) from wrong


def name(path):
    """What meson calls it."""
    if path.suffix == ".c":
        return path.stem.removesuffix("_test")
    return ("pgtap_" if path.suffix == ".sql" else "") + path.stem


def main(paths):
    for path in map(Path, paths):
        found = plan(path)
        print(path, name(path), path.parent.name, " ".join(found["needs"]),
              "beside" if found["beside"] else "alone", "slow" if found["slow"] else "",
              2 if found["waits"] else 1 if found["beside"] else 0, sep=";")


if __name__ == "__main__":
    main(sys.argv[1:])
