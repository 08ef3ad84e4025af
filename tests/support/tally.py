"""Count the promises in logs of meson test: tally.py BROKEN LOG.json...

What failed and what was skipped is named; the last line is "N passed, N failed, N skipped". BROKEN
is how many failures there were outside those logs. Exit code 1 when there was any.
"""

import json
import re
import sys

LINE = re.compile(r"^\s*(not )?ok\b(?:\s+\d+)?\s*-?\s*(.*?)(?:\s+#\s*(skip)\b\s*(.*))?$",
                  re.IGNORECASE | re.MULTILINE)


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
        skipped.append(name)
    if result == "OK" and not lines:
        passed = 1
    return passed, failed, skipped


def main(broken, *logs):
    passed, failed, skipped = 0, [], []
    for log in logs:
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                counted = count(json.loads(line))
                passed += counted[0]
                failed += counted[1]
                skipped += counted[2]
    for text in skipped:
        print("skipped: " + text)
    for text in failed:
        print("FAILED: " + text)
    bad = len(failed) + int(broken)
    print("%d passed, %d failed, %d skipped" % (passed, bad, len(skipped)))
    return 1 if bad or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
