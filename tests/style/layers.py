#!/usr/bin/env python3
# beside: yes
"""The order of sources in daemon/meson.build is the architecture; here it is enforced.

A file may include only its own header and the headers of files above it in that list. A header
without a .c file stands below everything of its directory. Each foreign library has its doors.
"""

import re
import shutil
import tempfile
import unittest
from pathlib import Path

from support import tap
from tree import ROOT

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

# Who may include a library's headers: folders, or one file.
DOORS = [
    ("libssl", r"^openssl/(ssl|err|x509v3|x509_vfy)\.h$", ("http/",)),
    ("libcrypto", r"^openssl/", ("http/", "order/signature.c")),
    ("jansson", r"^jansson\.h$", ("command/",)),
    ("libpq", r"^(libpq|postgres)", ("pg/",)),
    ("bufferevents", r"^event2/(buffer|bufferevent)[a-z_]*\.h$", ("http/",)),
    ("libevent", r"^(event2/|event\.h$|evhttp\.h$|evdns\.h$)", ("io/", "http/")),
]
# What a folder knows nothing of.
CLOSED = [
    ("order/", r"base/(clock|log|metrics)\.h$|^(sys/socket|sys/time|unistd|fcntl)\.h$",
     "order/ has no clock, no log and no I/O"),
    ("http/", r"^pg/", "http/ and pg/ know nothing of each other"),
    ("pg/", r"^http/", "http/ and pg/ know nothing of each other"),
    ("flow/", r"^settings/", "settings/ is read by command/ alone"),
]
FOREIGN = "|".join(pattern for _, pattern, _ in DOORS)


def reading_order(daemon):
    listed = re.findall(r"'([a-z_]+/[a-z_0-9]+\.c)'", (daemon / "meson.build").read_text())
    order = []
    for name in listed:
        if name not in order:
            order.append(name)
    return order


def faults(daemon):
    """["http/request.c:3: ..."] for every include that breaks a rule."""
    order = reading_order(daemon)
    place = {name: number for number, name in enumerate(order)}
    # A header without a source: just below the first file of its directory.
    for header in daemon.glob("*/*.h"):
        name = str(header.relative_to(daemon))
        source = name[:-1] + "c"
        first = [place[other] for other in order if other.startswith(name.split("/")[0] + "/")]
        if source in place:
            place[name] = place[source]
        elif first and not header.with_suffix(".c").exists():
            place[name] = min(first) - 0.5
    found = []
    for path in sorted(daemon.glob("*/*.[ch]")):
        name = str(path.relative_to(daemon))
        if name not in place:
            found.append("%s: is not in the list of daemon/meson.build" % name)
            continue
        text = path.read_text()
        for include in INCLUDE.finditer(text):
            where = "%s:%d: " % (name, text.count("\n", 0, include.start(0)) + 1)
            own, foreign = include.groups()
            problem = judge_own(name, own, place) if own else judge_foreign(name, foreign)
            if not problem:
                problem = judge_closed(name, own or foreign)
            if problem:
                found.append(where + problem)
    return found


def judge_own(name, included, place):
    if re.search(FOREIGN, included):
        return "%s is a library's: write <%s>" % (included, included)
    if included not in place:
        return None if included == "sql.h" else "there is no %s" % included
    if included == name[:-1] + "h" or place[included] < place[name]:
        return None
    if place[included] == place[name]:  # two headers below the same directory
        return None
    return "%s stands below it in daemon/meson.build" % included


def judge_foreign(name, included):
    for library, pattern, doors in DOORS:
        if not re.search(pattern, included):
            continue
        if name.endswith(".h"):
            return "a header shows %s to everyone" % library
        if any(name == door or door.endswith("/") and name.startswith(door) for door in doors):
            return None
        return "%s has its doors: %s" % (library, ", ".join(doors))
    return None


def judge_closed(name, included):
    for directory, pattern, reason in CLOSED:
        if name.startswith(directory) and re.search(pattern, included):
            return reason
    return None


class Layers(unittest.TestCase):
    def test_every_file_includes_only_what_stands_above_it(self):
        found = faults(ROOT / "daemon")
        self.assertFalse(found, "\n".join(found))

    def test_the_list_is_not_empty(self):
        self.assertGreater(len(reading_order(ROOT / "daemon")), 10)


# (what, file, a line put first in it, what must be said of it)
PLANTED = [
    ("a file that includes one below it", "base/text.c", '#include "io/loop.h"', "stands below"),
    ("a header that includes one below it", "order/fact.h", '#include "flow/batch.h"',
     "stands below"),
    ("io that includes flow", "io/loop.c", '#include "flow/batch.h"', "stands below"),
    ("libpq outside its door", "flow/batch.c", "#include <libpq-fe.h>", "libpq has its doors"),
    ("libevent outside io and http", "settings/config.c", "#include <event2/event.h>",
     "libevent has"),
    ("bufferevents in io", "io/loop.c", "#include <event2/bufferevent.h>", "bufferevents has"),
    ("libssl outside http", "order/signature.c", "#include <openssl/ssl.h>", "libssl has"),
    ("http that knows pg", "http/server.c", '#include "pg/array.h"', "stands below"),
    ("pg that knows http", "pg/store.c", '#include "http/grammar.h"', "nothing of each other"),
    ("libcrypto outside its doors", "base/text.c", "#include <openssl/evp.h>", "libcrypto has"),
    ("jansson outside its doors", "flow/intake.c", "#include <jansson.h>", "jansson has"),
    ("jansson in order", "order/event.c", "#include <jansson.h>", "jansson has"),
    ("a foreign type in a header", "io/loop.h", "#include <event2/event.h>", "a header shows"),
    ("a clock in order", "order/fact.c", '#include "base/clock.h"', "no clock"),
    ("a file that is not listed", "base/unheard_of.c", "", "is not in the list"),
]


class PlantedFaults(unittest.TestCase):
    def test_each_planted_fault_is_found(self):
        for what, name, line, said in PLANTED:
            with self.subTest(what), tempfile.TemporaryDirectory() as scratch:
                daemon = Path(scratch) / "daemon"
                shutil.copytree(ROOT / "daemon", daemon)
                path = daemon / name
                path.write_text(line + "\n" + (path.read_text() if path.exists() else ""))
                found = [fault for fault in faults(daemon) if fault.startswith(name + ":")]
                self.assertTrue(any(said in fault for fault in found), found)


if __name__ == "__main__":
    tap.main()
