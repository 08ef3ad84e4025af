"""Wait for a condition, with a deadline."""

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
