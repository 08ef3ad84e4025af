#!/usr/bin/env python3
"""Run a pgTAP file against a new database with orderd's schema, and hand its TAP through."""

import sys
from pathlib import Path

from support import pg, tools

HERE = Path(__file__).resolve().parent
# Each promise stays a line of its own, whatever a test selects on its way.
SETTINGS = ["-At", "-v", "ON_ERROR_ROLLBACK=off", "--pset", "pager=off"]


def prepare(database):
    path = tools.pgtap_file()
    database.psql("-v", "is_file=%d" % bool(path), "-v", "pgtap=" + path,
                  "-f", str(HERE / "helpers.sql"))


def run(database, name):
    """The TAP of one file."""
    script = "set search_path = tap, pg_catalog;\n\\set QUIET on\n" + (HERE / name).read_text()
    said = database.psql(*SETTINGS, "-f", "-", stdin=script)
    words = ("ok ", "not ok ", "#", "1..")
    return "".join(line + "\n" for line in said.splitlines() if line.startswith(words))


def main():
    with pg.Cluster() as cluster:
        database = cluster.migrated()
        if tools.pgtap_missing(database):
            print("1..0 # SKIP " + tools.pgtap_missing(database))
            return
        prepare(database)
        text = run(database, sys.argv[1])
    print(text, end="")
    sys.exit("not ok" in text or "ok" not in text)


if __name__ == "__main__":
    main()
