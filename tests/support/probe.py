"""A running server_probe (tests/e2e/server_probe.c): http/server with a trivial owner."""

import os
import re
import resource
import signal
import subprocess
import tempfile

from . import http

PATH = "/echo"
STOP_SECONDS = 20


def fnv1a(data):
    total = 2166136261
    for byte in data:
        total = ((total ^ byte) * 16777619) & 0xffffffff
    return total


def echoed(method, path, body):
    """What /echo answers with."""
    return b"%s %s %d %d\n" % (method, path, len(body), fnv1a(body))


class Probe:
    """options: the names of server_probe.c, e.g. head_ms=300. descriptors: its RLIMIT_NOFILE."""

    def __init__(self, descriptors=None, pass_fds=(), **options):
        command = [os.environ["SERVER_PROBE"]]
        command += ["%s=%s" % option for option in options.items()]
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log,
            text=True, pass_fds=pass_fds)
        if descriptors:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        self.said = self.process.stdout.readline().strip()
        self.address = self.said.replace("listening ", "")
        self.gone = None
        self._told = False

    def log(self):
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def connect(self, seconds=10, tls=None, server_name=None):
        return http.Connection(self.address, seconds, tls, server_name)

    def is_well(self):
        """A good request on a new connection is answered 200."""
        with self.connect() as connection:
            return connection.request("POST", PATH, b"good").body == echoed(
                b"POST", b"/echo", b"good")

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def cpu_seconds(self):
        with open("/proc/%d/stat" % self.process.pid, encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as status:
            return int(re.search(r"^RssAnon:\s+(\d+)", status.read(), re.MULTILINE).group(1))

    def terminate(self):
        """Once: at its end it listens to no signal any more."""
        if not self._told:
            self._told = True
            self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds=STOP_SECONDS):
        rest, _ = self.process.communicate(timeout=seconds)
        found = re.search(r"^gone (\d+)$", rest or "", re.MULTILINE)
        self.gone = int(found.group(1)) if found else None
        return self.process.returncode

    def close(self):
        """End it; anything but a clean end is an AssertionError."""
        try:
            if self.process.returncode is None:
                self.terminate()
                self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("it does not end on TERM:\n" + self.log()[-4000:]) from None
        log = self.log()
        for mark in ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "Assertion"):
            assert mark not in log, log[-8000:]
        assert self.process.returncode == 0, "exit code %d\n%s" % (
            self.process.returncode, log[-4000:])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        elif self.process.returncode is None:
            self.process.kill()
            self.process.communicate()
