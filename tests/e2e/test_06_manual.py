#!/usr/bin/env python3
# needs: orderd; beside: yes
"""The manual says what the code does, all of it, and nothing else."""

import glob
import json
import os
import re
import subprocess
import tempfile
import unittest

from support import tap, tools

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ("orderd.8", "orderd.conf.5")
# LEVEL, "word", or LEVEL, condition ? "word" : "other",
LOG_WORD = re.compile(
    r'[^,;"]+,(?:[^,;"]*\?)?\s*"([a-z0-9_]+)"(?:\s*:\s*"([a-z0-9_]+)")?\s*,')


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def sources():
    return {name: read(name) for name in sorted(
        os.path.relpath(path, ROOT) for path in
        glob.glob(os.path.join(ROOT, "daemon", "**", "*.c"), recursive=True))}


def orderd(*words):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("ORDERD_")}
    return subprocess.run([tap.program(), *words], stdout=subprocess.PIPE, check=True, timeout=60,
                          env=environment).stdout.decode()


def part(page, heading):
    """The lines between a .Sh or .Ss and the next heading of its rank."""
    rank = heading.split()[0]
    ends = r"^\.Sh " if rank == ".Sh" else r"^\.S[hs] "
    found = re.search(r"^%s\n(.*?)(?=%s|\Z)" % (re.escape(heading), ends), page,
                      re.MULTILINE | re.DOTALL)
    return found.group(1) if found else None


def compare(test, what, code, manual):
    test.assertTrue(code, "nothing found in the code: the test reads it wrongly")
    test.assertEqual(sorted(set(code) - set(manual)), [], what + ": in the code, not in the manual")
    test.assertEqual(sorted(set(manual) - set(code)), [], what + ": in the manual, not in the code")


def log_words(texts):
    """The words of all log_event() calls, and the calls whose word is not written there."""
    words, unclear = set(), []
    for name, text in texts.items():
        if name.endswith("base/log.c"):
            continue
        for call in re.finditer(r"\blog_event\(", text):
            literal = LOG_WORD.match(text[call.end():])
            if literal:
                words.update(word for word in literal.groups() if word)
            else:
                unclear.append("%s:%d" % (name, text.count("\n", 0, call.start()) + 1))
    return words, unclear


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.orderd8 = read("daemon/man/orderd.8")
        cls.conf5 = read("daemon/man/orderd.conf.5")
        cls.verbs = re.search(r"verbs='([^']+)'", orderd("completion", "bash")).group(1).split()
        assert len(cls.verbs) > 1, cls.verbs

    @tools.needed("mandoc")
    def test_both_pages_are_clean_mdoc(self):
        for page in PAGES:
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "style",
                                   os.path.join(ROOT, "daemon/man", page)],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
            # Which other pages are installed is no matter of these.
            lines = [line for line in done.stdout.decode().splitlines()
                     if "referenced manual not found" not in line and "mandoc.db" not in line]
            self.assertEqual(lines, [])

    @tools.needed("mandoc")
    def test_a_fault_in_a_page_is_found(self):
        with tempfile.NamedTemporaryFile("w", suffix=".8") as page:
            page.write(self.orderd8.replace(".El\n", "", 1))
            page.flush()
            done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page.name],
                                  stdout=subprocess.PIPE, timeout=60)
        self.assertNotEqual(done.returncode, 0)

    def test_every_verb_has_its_part(self):
        described = re.findall(r"^\.Ss ([a-z]+)", part(self.orderd8, ".Sh VERBS"), re.MULTILINE)
        compare(self, "verbs", self.verbs, described)
        listed = re.findall(r"^  ([a-z]+) ", orderd("help"), re.MULTILINE)
        compare(self, "verbs of help", self.verbs, listed)

    def test_every_option_of_every_verb_is_described_with_its_argument(self):
        verbs = part(self.orderd8, ".Sh VERBS")
        for verb in self.verbs:
            heading = re.search(r"^\.Ss %s\b.*$" % verb, verbs, re.MULTILINE).group(0)
            code = re.findall(r"^  (--[a-z-]+(?: [A-Z-]+)?)(?:  | [a-z])",
                              orderd("help", verb), re.MULTILINE)
            manual = ["-" + flag + (" " + argument.upper() if argument else "")
                      for flag, argument in re.findall(r"^\.It Fl (-[a-z-]+)(?: Ar ([a-z]+))?$",
                                                       part(verbs, heading), re.MULTILINE)]
            self.assertEqual(sorted(code), sorted(manual), verb)

    def test_the_completion_has_every_option_and_every_key(self):
        cases = dict(re.findall(r"^\t([a-z]+)\) options\+='([^']*)' ;;$",
                                orderd("completion", "bash"), re.MULTILINE))
        compare(self, "completed verbs", self.verbs, cases)
        rows = json.loads(orderd("config", "--json"))
        keys = [("%s-%s" % (row["section"], row["key"])).replace("_", "-") for row in rows
                if not row["key"].startswith("secret") and row["key"] != "api_key"]
        for verb in self.verbs:
            text = orderd("help", verb)
            code = re.findall(r"^  --([a-z-]+)", text, re.MULTILINE)
            if "--SECTION-KEY" in text:
                code += keys
            self.assertEqual(sorted(code), sorted(word[2:] for word in cases[verb].split()), verb)

    def test_every_key_is_described_with_its_default_and_what_applies_it(self):
        with tempfile.TemporaryDirectory() as directory:
            empty = os.path.join(directory, "orderd.conf")
            with open(empty, "w", encoding="ascii"):
                pass
            rows = json.loads(orderd("config", "--json", "-c", empty))
        code = ["%s.%s|%s|%s" % (row["section"], row["key"], row["value"] or "-",
                                 "reload" if row["reload"] else "restart") for row in rows]
        table = re.findall(r"^\.It Ic ([a-z_.]+) Ta (?:Li )?(.+) Ta (reload|restart)$",
                           part(self.conf5, ".Sh KEYS"), re.MULTILINE)
        compare(self, "keys", code, ["|".join(row) for row in table])
        for section in {row["section"] for row in rows}:
            described = re.findall(r"^\.It Ic ([a-z_]+)$",
                                   part(self.conf5, ".Ss Section " + section), re.MULTILINE)
            compare(self, section, [row["key"] for row in rows if row["section"] == section],
                    described)

    def test_every_choice_is_described(self):
        choices = re.findall(r"\.words = \{([^}]*)\}", read("daemon/settings/config_rules.c"))
        words = re.findall(r'"([a-z0-9]+)"', " ".join(choices))
        self.assertTrue(words)
        described = re.findall(r"^\.Li ([a-z0-9]+)\b", self.conf5, re.MULTILINE)
        self.assertEqual(sorted(set(words) - set(described)), [])

    def test_every_metric_is_described(self):
        code = re.findall(r'"(orderd_[a-z_]+)"', read("daemon/base/metrics.c"))
        manual = re.findall(r"^\.It Li (orderd_[a-z_]+)$", part(self.orderd8, ".Sh METRICS"),
                            re.MULTILINE)
        compare(self, "metrics", code, manual)

    def test_every_word_of_the_log_is_described(self):
        words, unclear = log_words(sources())
        self.assertEqual(unclear, [], "the word of an event is written where it is logged")
        manual = re.findall(r"^\.It Li ([a-z0-9_]+)", part(self.orderd8, ".Sh LOG"), re.MULTILINE)
        compare(self, "log", words, manual)

    def test_a_planted_log_word_is_found(self):
        words, unclear = log_words({"x.c": 'log_event(LOG_INFO,\n\t"planted", NULL);\n'
                                           "log_event(LOG_INFO, word, NULL);\n"
                                           'log_event(LOG_INFO, a ? "yes" : "no", NULL);'})
        self.assertEqual((words, unclear), ({"planted", "yes", "no"}, ["x.c:3"]))

    def test_every_reason_of_the_quarantine_is_described(self):
        names = re.search(r"reason_names\[REASON_COUNT\] = \{(.*?)\};",
                          read("daemon/order/event.c"), re.DOTALL).group(1)
        code = re.findall(r'= "([a-z_]+)"', names)
        code += re.findall(
            r"\b(?:why :=|then|worse\(\w+,) '(bad_\w+|amount_is_text|too_many_facts)'",
            read("sql", "ingest.sql") + read("sql", "details.sql"))
        code += re.findall(r"'(database_)' \|\| sqlstate", read("sql", "ingest.sql"))
        terms = re.findall(r"^\.It Li (.+)$", part(self.orderd8, ".Sh QUARANTINE"), re.MULTILINE)
        manual = [word for term in terms for word in re.findall(r"[a-z_]+", term.split(" Ns ")[0])]
        compare(self, "reasons", code, manual)

    def test_every_exit_code_is_described(self):
        numbers = {"EX_OK": 0, "EX_USAGE": 64, "EX_DATAERR": 65, "EX_UNAVAILABLE": 69,
                   "EX_SOFTWARE": 70, "EX_TEMPFAIL": 75, "EX_NOPERM": 77, "EX_CONFIG": 78,
                   "VERB_FOUND": 1}
        used = set(re.findall(r"\b(EX_[A-Z]+|VERB_FOUND)\b", "".join(
            text for name, text in sources().items()
            if name.startswith(("daemon/command/", "daemon/settings/")))))
        self.assertEqual(sorted(used - set(numbers)), [], "not a code of the manual")
        manual = re.findall(r"^\.It (\d+)$", part(self.orderd8, ".Sh EXIT STATUS"), re.MULTILINE)
        compare(self, "exit codes", [str(numbers[name]) for name in used], manual)

    def test_every_signal_is_described(self):
        code = re.findall(r"\b(SIG(?:HUP|TERM|INT|USR1|USR2|QUIT))\b",
                          read("daemon/command/service.c"))
        manual = re.findall(r"\b(SIG[A-Z]+[12]?)\b", part(self.orderd8, ".Ss Signals"))
        compare(self, "signals", code, manual)


if __name__ == "__main__":
    tap.main()
