#!/usr/bin/env python3
# beside: yes
"""Each header compiles alone, with nothing but daemon/ in the path; and C is formatted."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from support import tap, tools
from tree import ROOT, c_files

CC = os.environ.get("CC", "cc").split()
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]


def compiles_alone(header, include):
    """What the compiler says; "" = it is content."""
    with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
        source.write('#include "%s"\n#include "%s"\nextern int nothing;\n' % (header, header))
        source.flush()
        return subprocess.run(CC + FLAGS + ["-I", str(include), source.name], text=True,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              timeout=60).stderr


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path:
            said = subprocess.check_output([path, "--version"], text=True)
            if re.search(r"version 14\.", said):
                return path
    return None


def misformatted(tool, paths):
    style = "--style=file:%s" % (ROOT / ".clang-format")
    done = subprocess.run([tool, "--dry-run", style] + [str(path) for path in paths],
                          cwd=ROOT, text=True, stderr=subprocess.PIPE, timeout=120)
    return re.findall(r"^(\S+?:\d+):\d+: (?:warning|error): code should be clang-formatted",
                      done.stderr, re.MULTILINE)


class Headers(unittest.TestCase):
    def test_each_header_compiles_alone_and_twice(self):
        headers = [path for path in c_files()
                   if path.suffix == ".h" and str(path).startswith("daemon/")]
        self.assertTrue(headers)
        for header in headers:
            with self.subTest(str(header)):
                name = str(header.relative_to("daemon"))
                self.assertEqual(compiles_alone(name, ROOT / "daemon"), "")

    def test_a_header_that_needs_another_is_found(self):
        with tempfile.TemporaryDirectory() as scratch:
            with open(scratch + "/needy.h", "w", encoding="ascii") as needy:
                needy.write("size_t f(void);\n")
            self.assertIn("size_t", compiles_alone("needy.h", scratch))

    @unittest.skipUnless(clang_format(), tools.absent("clang-format-14"))
    def test_C_is_as_clang_format_14_writes_it(self):
        found = misformatted(clang_format(), c_files())
        self.assertFalse(found, "\n".join(found))

    @unittest.skipUnless(clang_format(), tools.absent("clang-format-14"))
    def test_a_file_that_is_not_formatted_is_found(self):
        with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
            source.write("int  f( void ){return 1;}\n")
            source.flush()
            self.assertTrue(misformatted(clang_format(), [source.name]))


if __name__ == "__main__":
    tap.main()
