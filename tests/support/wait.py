"""Wait for a condition, with a deadline; or see that one stays."""

import time


class TooLate(AssertionError):
    pass


def until(condition, seconds, what, every=0.01):
    """The first true value of condition(), or TooLate after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TooLate("not within %g s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(every)


def stays(condition, seconds, what, every=0.05):
    """That nothing happens is what is tested: condition() holds all the time, for so long."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if not condition():
            raise AssertionError("not for %g s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(every)
