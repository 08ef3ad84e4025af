"""Count the promises in logs of meson test, and what was built or left out beside them."""

import json
import re

LINE = re.compile(r"^\s*(not )?ok\b(?:\s+\d+)?\s*-?\s*(.*?)(?:\s+#\s*(skip)\b\s*(.*))?$",
                  re.IGNORECASE | re.MULTILINE)
WHOLE = re.compile(r"^1\.\.0\s+#\s*skip\w*\s*(.*)$", re.IGNORECASE | re.MULTILINE)
SLOWEST = 8  # are named
WHY_LINES = 60


def count(test):
    """(passed, [failed], [skipped]) of one line of the log."""
    name, result = test["name"], test["result"]
    lines = LINE.findall(test.get("stdout") or "")
    failed = ["%s: %s" % (name, text) for broken, text, skip, _ in lines if broken and not skip]
    skipped = ["%s: %s (%s)" % (name, text, why) for _, text, skip, why in lines if skip]
    passed = len(lines) - len(failed) - len(skipped)
    if result not in ("OK", "SKIP") and not failed:
        failed.append("%s: %s" % (name, result))  # a crash, a time-out
    if result == "SKIP" and not lines:
        why = WHOLE.search(test.get("stdout") or "")
        skipped.append("%s (%s)" % (name, why.group(1)) if why else name)
    if result == "OK" and not lines:
        passed = 1
    return passed, failed, skipped


def why(test):
    """What a test that failed says of it: lines of TAP that are not ok with the comments behind
    them, or the end of all that it has printed; and the end of its errors."""
    said = test.get("stdout") or ""
    found = re.findall(r"^not ok .*\n(?:#.*\n)*", said, re.MULTILINE)
    end = ((test.get("stderr") or "") if found else said + (test.get("stderr") or ""))
    return "".join(found + end.splitlines(True)[-WHY_LINES:])


class Tally:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []
        self._durations = []

    def add(self, log, verbose=False):
        """log: the path of a log of meson test, a line of JSON for each test. Why one failed is
        printed; verbose: all that was said."""
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                test = json.loads(line)
                passed, failed, skipped = count(test)
                self.passed += passed
                self.failed += failed
                self.skipped += skipped
                self._durations.append((test["duration"], test["name"]))
                if verbose:
                    print(test.get("stdout") or "", end="", flush=True)
                elif failed:
                    print("-- %s\n%s" % (test["name"], why(test)), flush=True)

    def fail(self, text):
        self.failed.append(text)

    def skip(self, text):
        self.skipped.append(text)

    def tell(self):
        """What failed and what was skipped is named; the last line is "N passed, N failed, N
        skipped". The exit code: 1 when anything failed, or nothing was there to fail."""
        for text in self.skipped:
            print("skipped: " + text)
        for text in self.failed:
            print("FAILED: " + text)
        longest = sorted(self._durations, reverse=True)[:SLOWEST]
        print("the longest: " + ", ".join(
            "%s %.0f s" % (name.split(" / ")[-1], seconds) for seconds, name in longest))
        print("%d passed, %d failed, %d skipped" % (
            self.passed, len(self.failed), len(self.skipped)))
        return 1 if self.failed or not self.passed else 0
