#!/usr/bin/env python3
"""embed.py HEADER SOURCE FILE...: write the SQL files, in the order given, as C (see sql.h)."""

import hashlib
import json
import os
import re
import sys

HEADER = """\
/* sql.h - the files of sql/, in the order in which a migration runs them. Made by embed.py. */
#pragma once

#include <stdbool.h>

enum { SQL_OBJECTS_COUNT = %(objects)d };
enum { SQL_VERSION = %(version)d }; /* of the newest numbered file */

enum sql_kind {
	SQL_ROLES,    /* roles.sql, the first */
	SQL_NUMBERED, /* run once */
	SQL_OBJECTS,  /* makes objects, each of which is replaced where it differs */
	SQL_GRANTS,   /* of grants, after all objects */
};

struct sql_file {
	const char *name;
	enum sql_kind kind;
	const char *text;   /* ends with a NUL */
	const char *sha256; /* lower-case hex digits */
};

/* What a file of SQL_OBJECTS makes. */
struct sql_object {
	const char *kind; /* type, function, aggregate, trigger, view; do, which makes nothing */
	const char *name; /* as PostgreSQL writes it, with types of arguments, or the table */
	const char *text; /* the statement, with its comments */
	bool is_first;    /* of a file that all others are made by */
};

/* Up to a name of NULL. */
extern const struct sql_file sql_files[];

/* Up to a kind of NULL. */
extern const struct sql_object sql_objects[];

/* The same as JSON, without those that make nothing, as the functions of objects.sql take it. */
extern const char *const sql_objects_json;

/* The tables that the numbered files make, as a text[]. */
extern const char sql_tables[];

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


# As PostgreSQL writes the types that are written in another way here.
TYPES = {"timestamptz": "timestamp with time zone", "int": None, "bool": None, "float8": None}
STATEMENT = re.compile(
    r"create (or replace )?(?P<kind>function|aggregate) (?P<called>[\w.]+)\("
    r"|create (?P<type>type) (?P<typed>[\w.]+) as \("
    r"|create (or replace )?(?P<view>view) (?P<viewed>[\w.]+) as\b"
    r"|create (or replace )?(?P<trigger>trigger) (?P<fired>\w+)\s.*?\son (?P<table>[\w.]+)\s"
    r"|(?P<do>do|update) |(?P<comment>comment) on |(?P<path>set search_path) = ", re.DOTALL)


def statements(text):
    """The statements of a file, without the comments before them."""
    pattern = r"(?:--[^\n]*\n|\s+)|((?:\$\$.*?\$\$|'(?:[^']|'')*'|--[^\n]*|[^;])+;)"
    return [found for found in re.findall(pattern, text, re.DOTALL) if found]


def type_name(written):
    plain = written.rstrip("[]")
    known = TYPES.get(plain, plain)
    if known is None:
        sys.exit("a type's other name: " + written)
    return known + written[len(plain):]


def signature(text):
    """The types of the arguments that begin text, up to their closing parenthesis."""
    found, depth, words = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0 or character == "," and depth == 0:
            found.append(" ".join(words.split()))
            words = ""
            if depth < 0:
                break
        else:
            words += character
    types = []
    for argument in filter(None, found):
        argument = re.sub(r"^in(out)? ", "", argument)
        if not argument.startswith("out "):
            argument = re.split(r" default | = ", argument)[0]
            types.append(type_name(argument.split(" ", 1)[-1]))
    return ",".join(types)


def objects(name, text):
    """[kind, name, text] of each object that a file makes; its comments go with it."""
    made = []
    for statement in statements(text):
        found = STATEMENT.match(statement)
        if not found:
            sys.exit("%s: not known to make an object: %s" % (name, statement[:60]))
        statement = re.sub(r"^create (?=(function|aggregate|trigger|view) )",
                           "create or replace ", statement)
        found = STATEMENT.match(statement)
        word = {kind: value for kind, value in found.groupdict().items() if value}
        if "comment" in word:
            made[-1][2] += "\n" + statement
        elif "kind" in word:
            made.append([word["kind"], "%s(%s)" % (word["called"], signature(
                statement[found.end():])), statement])
        elif "type" in word:
            made.append(["type", word["typed"], statement])
        elif "view" in word:
            made.append(["view", word["viewed"], statement])
        elif "trigger" in word:
            made.append(["trigger", "%s on %s" % (word["fired"], word["table"]), statement])
        elif "do" in word:
            made.append(["do", name, statement])
    return made


def write_texts(out, name, texts):
    """As bytes: compilers need not take longer literals than 4095 characters."""
    for number, text in enumerate(texts):
        out.write("\nstatic const unsigned char %s%d[] = {\n%s\n};\n" % (
            name, number, quoted(text)))


def literal(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def kind_of(name):
    if name[0].isdigit():
        return "SQL_NUMBERED"
    return {"roles.sql": "SQL_ROLES"}.get(
        name, "SQL_GRANTS" if name.endswith("grants.sql") else "SQL_OBJECTS")


def write_objects(out, files):
    made = [one + [name == "objects.sql"] for name, text, _ in files
            if kind_of(name) == "SQL_OBJECTS" for one in objects(name, text.decode())]
    names = [(kind, name) for kind, name, _, _ in made if kind != "do"]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        sys.exit("made twice: %s" % twice)
    write_texts(out, "object", [text.encode() for _, _, text, _ in made])
    out.write("\nconst struct sql_object sql_objects[] = {\n")
    for number, (kind, name, _, is_first) in enumerate(made):
        out.write("\t{ %s, %s, (const char *)object%d, %s },\n" % (
            literal(kind), literal(name), number, "true" if is_first else "false"))
    out.write("\t{ NULL, NULL, NULL, false },\n};\n")
    rows = [{"kind": kind, "name": name, "sha256": hashlib.sha256(text.encode()).hexdigest()}
            for kind, name, text, _ in made if kind != "do"]
    write_texts(out, "objects_json", [json.dumps(rows, indent=0).encode()])
    out.write("\nconst char *const sql_objects_json = (const char *)objects_json0;\n")
    tables = re.findall(r"^create table ([\w.]+) \(", "".join(
        text.decode() for name, text, _ in files if kind_of(name) == "SQL_NUMBERED"), re.MULTILINE)
    out.write("\nconst char sql_tables[] =\n\t\"{%s}\";\n" % ',"\n\t"'.join(tables))
    return len(made)


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

    with open(source, "w", encoding="utf-8") as out:
        out.write('#include "sql.h"\n\n#include <stddef.h>\n')
        write_texts(out, "text", [text for _, text, _ in files])
        out.write("\nconst struct sql_file sql_files[] = {\n")
        for number, (name, text, sha256) in enumerate(files):
            out.write('\t{ "%s", %s, (const char *)text%d,\n' % (name, kind_of(name), number))
            out.write('\t\t"%s" },\n' % sha256)
        out.write('\t{ NULL, SQL_ROLES, NULL, NULL },\n};\n')
        count = write_objects(out, files)
        out.write('\nconst char sql_sources[] = "%s";\n' % sources)
        out.write('\nconst char sql_granted[] =\n\t"{')
        out.write('"\n\t",'.join('\\"%s\\"' % function for function in sorted(functions)))
        out.write('}";\n')
    with open(header, "w", encoding="utf-8") as out:
        out.write(HEADER % {"version": version, "objects": count})


if __name__ == "__main__":
    main(*sys.argv[1:])
