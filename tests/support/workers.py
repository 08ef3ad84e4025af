"""A few processes that share the work of a test.

    for result in workers.each(function, items):
        ...

No multiprocessing.Pool: it waits for ever for what a worker had when it died. Here that is a
BrokenProcessPool, and no worker is sent a signal at the end.
"""

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed

COUNT = 2


def _begin():
    # A handler in Python runs when the interpreter comes by, which one that has just begun to wait
    # for work never does: told to end at that moment, it would not.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def each(function, items):
    """function(item) of every item, in the order in which they are ready."""
    pool = ProcessPoolExecutor(COUNT, multiprocessing.get_context("fork"), _begin)
    try:
        for done in as_completed([pool.submit(function, item) for item in items]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)
