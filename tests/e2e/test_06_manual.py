#!/usr/bin/env python3
# needs: orderd; beside: yes
"""The manual says what the code does, all of it, and nothing else."""

import glob
import json
import math
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
KIB, MIB, SECOND = 1024, 1024 * 1024, 1000
# A sentence of a page, and the constants of the code whose values stand in it, each in a unit.
LIMITS = (
    ("orderd.8", ".It the first byte Ta %d s Ta", ("SERVER_FIRST_MS", SECOND)),
    ("orderd.8", ".It a TLS handshake, from the connection Ta %d s Ta",
     ("SERVER_HANDSHAKE_MS", SECOND)),
    ("orderd.8", ".It headers, from their first byte Ta %d s Ta", ("SERVER_HEAD_MS", SECOND)),
    ("orderd.8", ".It the body, from the end of the headers Ta %d s Ta",
     ("SERVER_BODY_MS", SECOND)),
    ("orderd.8", ".It between two requests Ta %d s Ta", ("SERVER_IDLE_MS", SECOND)),
    ("orderd.8", ".It TLS handshakes under way Ta %d Ta", ("SERVER_HANDSHAKES_MAX", 1)),
    ("orderd.8", ".It the target Ta %d KiB Ta 414", ("HTTP_TARGET_MAX", KIB)),
    ("orderd.8", ".It the header section Ta %d KiB Ta 431", ("HTTP_HEAD_MAX", KIB)),
    ("orderd.8", ".It header fields Ta %d Ta 431", ("HTTP_FIELDS_MAX", 1)),
    ("orderd.8", ".It the trailer section Ta %d KiB Ta 431", ("HTTP_TRAILER_MAX", KIB)),
    ("orderd.8", ".It bodies of all connections Ta %d MiB Ta 503", ("SERVER_BODIES_MAX", MIB)),
    ("orderd.8", ".It deliveries that wait for their commit Ta %d, %d MiB Ta 503",
     ("BATCH_QUEUE_FACTS_MAX", 1), ("BATCH_QUEUE_BYTES_MAX", MIB)),
    ("orderd.8", "no new call to the API, at most %d s.", ("SERVICE_DRAIN_MS", SECOND)),
    ("orderd.8", "other than 1 to %d of letters", ("FACT_ORDER_ID_MAX", 1)),
    ("orderd.8", "More than %d arrays and objects within each other", ("JSON_DEPTH_MAX", 1)),
    ("orderd.8", "A call takes %d s at most, an answer is %d MiB with %d KiB of headers",
     ("TORQUE_CALL_MS", SECOND), ("CLIENT_BODY_MAX", MIB), ("CLIENT_HEAD_MAX", KIB)),
    ("orderd.8", "So many, from 1 to %d; else %d.",
     ("API_TARGET_PAGE_MAX", 1), ("LIST_LIMIT", 1)),
    ("orderd.8", "one after the other, from 1 to %d.", ("TRIGGER_COUNT_MAX", 1)),
    ("orderd.8", "Look up to %d orders up", ("VERB_ARGUMENTS_MAX", 1)),
    ("orderd.8", " %d s apart are a warning", ("CHECK_CLOCK_S", 1)),
    ("orderd.conf.5", "UTF-8 of at most %d KiB.", ("CONFIG_BYTES_MAX", KIB)),
    ("orderd.conf.5", "of fewer than %d bytes is refused, one of fewer than %d is warned",
     ("SECRET_MIN", 1), ("SECRET_ADVISED", 1)),
)
CODE = re.compile(r"\b(EX_[A-Z]+|VERB_FOUND)\b")
# Any verb may end with these, and EXIT STATUS alone says when.
EVERY_VERB = {"EX_OK", "EX_USAGE", "EX_SOFTWARE", "EX_CONFIG"}


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as file:
        return file.read()


def sources():
    return {name: read(name) for name in sorted(
        os.path.relpath(path, ROOT) for path in
        glob.glob(os.path.join(ROOT, "daemon", "**", "*.[ch]"), recursive=True))}


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
        if name.endswith(("base/log.c", "base/log.h")):
            words.update(re.findall(r'make_line\(&line, LOG_\w+, "(\w+)"', text))
            continue
        for call in re.finditer(r"\blog_event\(", text):
            literal = LOG_WORD.match(text[call.end():])
            if literal:
                words.update(word for word in literal.groups() if word)
            else:
                unclear.append("%s:%d" % (name, text.count("\n", 0, call.start()) + 1))
    return words, unclear


def constants(texts):
    """Those that are written as a number, or as a product of numbers."""
    found = {}
    for text in texts:
        for name, product in re.findall(r"\b([A-Z][A-Z0-9_]+) =\s*(\d+(?: \* \d+)*)\s*[,}/]", text):
            found[name] = math.prod(int(number) for number in product.split(" * "))
    return found


def wrong_limits(pages, values):
    """The sentences, as the code would have them, that no page says."""
    told = [(page, sentence % tuple(values[name] / unit for name, unit in names))
            for page, sentence, *names in LIMITS]
    return [sentence for page, sentence in told if sentence not in pages[page].replace("\n", " ")]


def bounds(text):
    return re.findall(r"\b(?:from \S+ to \S*[^\s,.;:]|at most \d+ bytes)", text.replace("\n", " "))


def bounds_of_the_code(example):
    """{(section, key): its bounds} as orderd config --example tells them."""
    told, section, said = {}, "", ""
    for line in example.splitlines():
        section = line[1:-1] if line.startswith("[") else section
        said = line if line.startswith("# Value: ") else said
        if re.match(r"#[a-z_]+ =", line):
            told[section, line[1:].split(" =")[0]] = bounds(said)
    return told


def bounds_of_the_manual(page, keys):
    told = {}
    for section, key in keys:
        text = re.search(r"^\.It Ic %s\n(.*?)(?=^\.(?:It|El)|\Z)" % key,
                         part(page, ".Ss Section " + section), re.MULTILINE | re.DOTALL)
        told[section, key] = bounds(text.group(1) if text else "")
    return told


def number(code, texts):
    found = re.search(r"\bVERB_FOUND = (\d+),", texts["daemon/command/verb.h"])
    return getattr(os, code) if code != "VERB_FOUND" else int(found.group(1))


def exits_of_the_code(verbs, texts):
    """{verb: the numbers that its own file ends with}; without those of every verb."""
    return {verb: {number(code, texts) for code in
                   set(CODE.findall(texts["daemon/command/%s.c" % verb])) - EVERY_VERB}
            for verb in verbs if "daemon/command/%s.c" % verb in texts}


def exits_of_the_manual(verbs, page):
    told = {}
    for verb in verbs:
        text = re.search(r"^\.Ss %s\b(.*?)(?=^\.Ss |\Z)" % verb, part(page, ".Sh VERBS"),
                         re.MULTILINE | re.DOTALL).group(1).replace("\n", " ")
        told[verb] = {int(code) for found in re.findall(r"xits (\d+)|, (\d+) when", text)
                      for code in found if code}
    return told


def exits_of_calls(text, texts):
    """{how a call to the API ended: the number that the verb then ends with}"""
    body = re.search(r"^static int exit_code\(enum torque_end end\)\n\{(.*?)^\}", text,
                     re.MULTILINE | re.DOTALL).group(1)
    ends, waiting = {}, []
    for end, code in re.findall(r"case TORQUE_(\w+):|return (EX_\w+);", body):
        if end:
            waiting.append(end)
        else:
            ends.update(dict.fromkeys(waiting, number(code, texts)))
            waiting = []
    return ends


# What EXIT STATUS says of calls to the API.
CALLS = (("GOOD", "All is well"), ("RATE_LIMITED", "wait (429)"), ("SERVER_ERROR", "fails (5xx)"),
         ("UNAUTHORIZED", "the API refuses the key"), ("REFUSED", "a request that it refuses"),
         ("NOT_FOUND", "an order that the API does not know"),
         ("UNREACHABLE", "the API is unreachable"))


def exits_told_of_calls(page):
    items = re.findall(r"^\.It (\d+)\n(.*?)(?=^\.It|^\.El)", part(page, ".Sh EXIT STATUS"),
                       re.MULTILINE | re.DOTALL)
    return {end: [int(code) for code, text in items if words in text.replace("\n", " ")]
            for end, words in CALLS}


class Manual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.orderd8 = read("daemon/man/orderd.8")
        cls.conf5 = read("daemon/man/orderd.conf.5")
        cls.texts = sources()
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

    def test_every_bound_of_a_key_is_the_one_that_is_kept(self):
        code = bounds_of_the_code(orderd("config", "--example"))
        self.assertIn(["from 1 to 16"], code.values())
        self.assertEqual(bounds_of_the_manual(self.conf5, code), code)
        planted = self.conf5.replace("from 1s to 7d", "from 1s to 8d")
        self.assertNotEqual(bounds_of_the_manual(planted, code), code)
        planted = self.conf5.replace("from 0 to 10000", "of any size")
        self.assertNotEqual(bounds_of_the_manual(planted, code), code)

    def test_every_limit_that_is_told_is_the_one_that_is_kept(self):
        values = constants(self.texts.values())
        pages = {"orderd.8": self.orderd8, "orderd.conf.5": self.conf5}
        self.assertEqual(wrong_limits(pages, values), [])
        for _, _, *names in LIMITS:
            for name, unit in names:
                self.assertEqual(len(wrong_limits(pages, {**values, name: values[name] + unit})), 1)

    def test_every_row_of_the_limits_is_a_setting_or_compared_with_the_code(self):
        table = part(self.orderd8, ".Ss Connection and size limits")
        rows = re.findall(r"^\.It (?!Em)(.+) Ta (.+) Ta .+$", table, re.MULTILINE)
        self.assertGreater(len(rows), 10)
        compared = [sentence for _, sentence, *_ in LIMITS]
        for what, limit in rows:
            self.assertTrue(re.fullmatch(r"Ic [a-z]+\.[a-z_]+", limit) or any(
                sentence.startswith(".It %s Ta " % what) for sentence in compared), what)

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
        words, unclear = log_words(self.texts)
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
        code += re.findall(r"quarantine_facts\([^;']*'([a-z_]+)'", read("sql", "ingest.sql"))
        terms = re.findall(r"^\.It Li (.+)$", part(self.orderd8, ".Sh QUARANTINE"), re.MULTILINE)
        manual = [word for term in terms for word in re.findall(r"[a-z_]+", term.split(" Ns ")[0])]
        compare(self, "reasons", code, manual)

    def test_every_exit_code_is_described(self):
        used = {code for name, text in self.texts.items() for code in CODE.findall(text)
                if name.endswith(".c") and name.startswith(("daemon/command/", "daemon/settings/"))}
        manual = re.findall(r"^\.It (\d+)$", part(self.orderd8, ".Sh EXIT STATUS"), re.MULTILINE)
        compare(self, "exit codes", [str(number(code, self.texts)) for code in used], manual)

    def test_every_verb_says_which_exit_codes_are_its_own(self):
        code = exits_of_the_code(self.verbs, self.texts)
        self.assertEqual(exits_of_the_manual(code, self.orderd8), code)
        planted = self.orderd8.replace("75 when it is 503", "69 when it is 503")
        self.assertNotEqual(exits_of_the_manual(code, planted), code)
        name = "daemon/command/backfill.c"
        planted = self.texts[name].replace("EX_NOPERM", "EX_UNAVAILABLE")
        self.assertNotEqual(exits_of_the_code(self.verbs, {**self.texts, name: planted}), code)

    def test_a_call_that_failed_ends_with_the_code_that_says_so(self):
        name = "daemon/command/api_session.c"
        ends = exits_of_calls(self.texts[name], self.texts)
        told = exits_told_of_calls(self.orderd8)
        self.assertEqual(told, {end: [ends[end]] for end, _ in CALLS})
        planted = self.texts[name].replace("return EX_TEMPFAIL;", "return EX_UNAVAILABLE;")
        self.assertNotEqual(exits_of_calls(planted, self.texts), ends)
        planted = self.orderd8.replace(", or the API refuses the key", "")
        self.assertNotEqual(exits_told_of_calls(planted), told)

    def test_every_signal_is_described(self):
        code = re.findall(r"\b(SIG(?:HUP|TERM|INT|USR1|USR2|QUIT))\b",
                          read("daemon/command/service.c"))
        manual = re.findall(r"\b(SIG[A-Z]+[12]?)\b", part(self.orderd8, ".Ss Signals"))
        compare(self, "signals", code, manual)


if __name__ == "__main__":
    tap.main()
