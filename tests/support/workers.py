"""A few processes that share the work of a test.

    for result in workers.each(function, items):
        ...
"""

import multiprocessing
import signal

COUNT = 2


def _begin():
    # A handler in Python runs when the interpreter comes by, which one that has just begun to wait
    # for work never does: told to end at that moment, it would not.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def each(function, items):
    """function(item) of every item, in the order in which they are ready."""
    with multiprocessing.get_context("fork").Pool(COUNT, _begin) as pool:
        yield from pool.imap_unordered(function, items)
        pool.close()
        pool.join()
