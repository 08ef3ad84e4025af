"""Run the unittest classes of a file and report them in the Test Anything Protocol.

The name of a test method is its promise: test_a_late_fact_moves_nothing is reported as
"a late fact moves nothing". A first docstring line, where there is one, is used instead. How long
it took is told where that is a second or more.

    if __name__ == "__main__":
        tap.main()              # all; or the names given as arguments: Class or Class.test_method
"""

import os
import signal
import sys
import time
import traceback
import unittest

TOLD_SECONDS = 1


def _promise(test):
    if hasattr(test, "test_case"):  # a subtest
        return "%s: %s" % (_promise(test.test_case),
                           test._subDescription().replace("#", "No.").strip())
    text = test.shortDescription() if hasattr(test, "shortDescription") else None
    if not text:
        # What failed outside of a test, setUpClass say, has an id only.
        name = test.id().split(".")[-1] if hasattr(test, "_testMethodName") else test.id()
        text = name[len("test_"):].replace("_", " ") if name.startswith("test_") else name
    return " ".join(text.replace("#", "No.").split())


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0
        self._started = 0

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.monotonic() - self._started
        if seconds >= TOLD_SECONDS:
            print("# %.1f s" % seconds, flush=True)

    def _line(self, ok, text, directive=""):
        self.count += 1
        print("%sok %d - %s%s" % ("" if ok else "not ", self.count, text, directive), flush=True)

    def _broken(self, test, error):
        self._line(False, _promise(test))
        text = "".join(traceback.format_exception(*error))
        print("".join("# %s\n" % line for line in text.splitlines()), end="", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line(True, _promise(test))

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._broken(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self._broken(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._broken(subtest, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line(True, _promise(test), " # SKIP " + reason)

    def addExpectedFailure(self, test, error):
        super().addExpectedFailure(test, error)
        self._line(True, _promise(test))

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._line(False, _promise(test))


class _Loader(unittest.TestLoader):
    def getTestCaseNames(self, case):
        """In the order in which they are written: the basic ones come first."""
        names = super().getTestCaseNames(case)
        return sorted(names, key=lambda name: getattr(case, name).__code__.co_firstlineno)


def _leave(number, _frame):
    raise SystemExit(128 + number)


def main(module="__main__"):
    # So that a test which is stopped still stops what it started.
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    script, names = sys.modules[module], sys.argv[1:]
    load = _Loader()
    suite = load.loadTestsFromNames(names, script) if names else load.loadTestsFromModule(script)
    result = _Result()
    suite.run(result)
    print("1..%d" % result.count, flush=True)
    sys.stdout.flush()
    sys.exit(0 if result.wasSuccessful() and result.count else 1)


def program():
    """The orderd under test: $ORDERD, as meson sets it."""
    path = os.environ.get("ORDERD")
    if not path:
        raise SystemExit("ORDERD must name the orderd to test, as `meson test` does")
    return path
