#!/usr/bin/env python3
"""embed.py HEADER SOURCE FILE...: write the SQL files, in the order given, as C (see sql.h)."""

import hashlib
import os
import re
import sys

HEADER = """\
/* sql.h - the files of sql/, in the order in which a migration runs them. Made by embed.py. */
#pragma once

#include <stddef.h>

enum { SQL_VERSION = %(version)d }; /* of the newest numbered file */

struct sql_file {
	const char *name;
	const char *text; /* ends with a NUL that len does not count */
	size_t len;
	const char *sha256; /* lower-case hex digits */
};

/* Up to a name of NULL. */
extern const struct sql_file sql_files[];

/* SHA-256 over the lines "NAME SHA256" of all files that have no number, in the order of their
 * names: what torque.schema_state() says as sources when each was brought by this program. */
extern const char sql_sources[];

/* The functions that role orderd may execute, as a text[] of regproc: no name means two. */
extern const char sql_granted[];
"""


def granted(text):
    """{"torque.take", ...}: what the statements of a text grant to role orderd."""
    found = set()
    for functions, roles in re.findall(
            r"^grant execute\s+on function(.*?)\s+to ([^;]+);", text, re.DOTALL | re.MULTILINE):
        if "orderd" in re.findall(r"\w+", roles):
            found |= set(re.findall(r"torque\.\w+", functions))
    return found


def quoted(data):
    numbers = ["%d," % byte for byte in data + b"\0"]
    return "\n".join("\t" + "".join(numbers[i:i + 24]) for i in range(0, len(numbers), 24))


def main(header, source, *paths):
    top = os.path.dirname(paths[0])
    forgotten = [name for _, _, names in os.walk(top) for name in names
                 if name.endswith(".sql") and name not in map(os.path.basename, paths)]
    if forgotten:
        sys.exit("not in the list of sql/meson.build: " + ", ".join(sorted(forgotten)))
    files = []
    for path in paths:
        with open(path, "rb") as file:
            text = file.read()
        text.decode("utf-8")
        files.append((os.path.basename(path), text, hashlib.sha256(text).hexdigest()))
    version = max([int(name[:4]) for name, _, _ in files if re.match(r"\d{4}_", name)], default=0)
    lines = sorted("%s %s\n" % (name, sha256) for name, _, sha256 in files
                   if not name[0].isdigit())
    functions = granted("".join(text.decode() for _, text, _ in files))
    if not functions:
        sys.exit("no function is granted to role orderd")
    sources = hashlib.sha256("".join(lines).encode()).hexdigest()

    with open(header, "w", encoding="utf-8") as out:
        out.write(HEADER % {"version": version})
    with open(source, "w", encoding="utf-8") as out:
        out.write('#include "sql.h"\n')
        for number, (_, text, _) in enumerate(files):
            out.write("\nstatic const unsigned char text%d[] = {\n" % number)
            out.write(quoted(text) + "\n};\n")
        out.write("\nconst struct sql_file sql_files[] = {\n")
        for number, (name, text, sha256) in enumerate(files):
            out.write('\t{ "%s", (const char *)text%d, %d,\n' % (name, number, len(text)))
            out.write('\t\t"%s" },\n' % sha256)
        out.write('\t{ NULL, NULL, 0, NULL },\n};\n\nconst char sql_sources[] = "%s";\n' % sources)
        out.write('\nconst char sql_granted[] =\n\t"{')
        out.write('"\n\t",'.join('\\"%s\\"' % function for function in sorted(functions)))
        out.write('}";\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
