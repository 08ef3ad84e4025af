"""A running batch_probe (tests/e2e/batch_probe.c): flow/batch with no HTTP before it.

    with batch.Probe(database.conninfo()) as probe:
        probe.wait_connected()
        number = probe.add(events.form1("order.paid", order))
        probe.wait(number)                      # "committed applied"
"""

import os
import re
import subprocess
import tempfile
import threading
import time

from . import wait

STOP_SECONDS = 20
END = re.compile(r"(\d+) (committed \w+|lost|full)$")


class Probe:
    """keep_ms: how long a fact is offered again."""

    def __init__(self, conninfo, connections=1, keep_ms=2500, words=(), environment=None):
        command = [os.environ["BATCH_PROBE"], conninfo, str(connections), str(keep_ms), *words]
        inherited = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL"] + command, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log,
            env=dict(inherited, **(environment or {})))
        self.ends = {}  # number: what became of it
        self.ended_at = {}  # number: time.monotonic()
        self.added_at = {}
        self.count = 0
        self.faults = []
        self._states = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            line = line.decode("utf-8", "replace").rstrip("\n")
            end = END.match(line)
            if end:
                number = int(end.group(1))
                if number in self.ends:
                    self.faults.append("ended twice: " + line)
                self.ended_at[number] = time.monotonic()
                self.ends[number] = end.group(2)
            else:
                self._states.append(line)

    def add(self, *bodies):
        """One write. The number of the last body."""
        now = time.monotonic()
        for number in range(self.count + 1, self.count + 1 + len(bodies)):
            self.added_at[number] = now
        self.count += len(bodies)
        self.process.stdin.write(b"".join(body + b"\n" for body in bodies))
        self.process.stdin.flush()
        return self.count

    def state(self):
        """(connected, problem)"""
        self._states.clear()
        self.process.stdin.write(b"?\n")
        self.process.stdin.flush()
        wait.until(lambda: self._states, 10, "the probe says its state")
        found = re.match(r"state connected=(\d) waiting=\d+ problem=(.*)$", self._states[0])
        return found.group(1) == "1", found.group(2)

    def wait_connected(self, seconds=10):
        self.wait_until(lambda: self.state()[0], "it is connected", seconds)

    def wait_problem(self, words, seconds=10):
        self.wait_until(lambda: words in self.state()[1], "its problem is: " + words, seconds)

    def wait_until(self, condition, what, seconds=10):
        return wait.until(condition, seconds,
                          lambda: "%s\n%s\n%s" % (what, self.ends, self.log()[-3000:]))

    def wait(self, number, seconds=10):
        """What became of the fact."""
        return self.wait_until(lambda: self.ends.get(number), "fact %d ends" % number, seconds)

    def wait_all(self, seconds=20):
        self.wait_until(lambda: len(self.ends) >= self.count, "all facts end", seconds)
        return [self.ends[number] for number in range(1, self.count + 1)]

    def seconds_taken(self, number):
        return self.ended_at[number] - self.added_at[number]

    def log(self):
        return os.pread(self._log.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def finish(self):
        """No more facts; its exit code."""
        self.process.stdin.close()
        code = self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(STOP_SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        """Where nothing went wrong it has to end well, too: a sanitizer speaks at the end."""
        try:
            if kind is None and len(self.ends) == self.count:
                code = self.process.poll() if self.process.stdin.closed else self.finish()
                assert code == 0, "exit code %s\n%s" % (code, self.log()[-3000:])
                assert not self.faults, self.faults
        finally:
            self.close()
