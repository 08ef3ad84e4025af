#!/usr/bin/env python3
"""How each test is to be run, as its own second line says; printed for meson.build, a line a test.

    # needs: orderd, server_probe; beside: yes; slow: no

needs: the programs it runs; their paths are in $ORDERD, $SERVER_PROBE and so on. beside: whether it
may run beside others, or holds an answer to a deadline and runs alone. slow: whether it builds or
boots something, so that a run in minutes leaves it out. What is not said is no.
"""

import sys
from pathlib import Path

PROGRAMS = ("orderd", "server_probe", "batch_probe", "client_probe")
MARKS = {".py": "# ", ".sql": "-- "}
ANSWERS = {"yes": True, "no": False}


def plan(path):
    """{"needs": [program...], "beside": bool, "slow": bool}"""
    path = Path(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    line = lines[1 if lines[0].startswith("#!") else 0]
    mark = MARKS[path.suffix]
    said = dict(part.split(": ", 1) for part in line[len(mark):].split("; ")
                if line.startswith(mark) and ": " in part)
    if "beside" not in said or set(said) - {"needs", "beside", "slow"}:
        raise SystemExit("%s: its second line should say how it is run: see %s" % (path, __file__))
    needs = [word for word in said.get("needs", "").split(", ") if word]
    try:
        return {"needs": [PROGRAMS[PROGRAMS.index(word)] for word in needs],
                "beside": ANSWERS[said["beside"]], "slow": ANSWERS[said.get("slow", "no")]}
    except (KeyError, ValueError) as wrong:
        raise SystemExit("%s: %s is not understood: see %s" % (path, wrong, __file__)) from wrong


def name(path):
    """What meson calls it."""
    return ("pgtap_" if path.suffix == ".sql" else "") + path.stem


def main(paths):
    for path in map(Path, paths):
        found = plan(path)
        print(path, name(path), path.parent.name, " ".join(found["needs"]),
              "beside" if found["beside"] else "alone", "slow" if found["slow"] else "",
              sep=";")


if __name__ == "__main__":
    main(sys.argv[1:])
