"""A real orderd receive, with a config and secrets of its own, on ports the kernel picks.

    with daemon.Daemon(cluster.migrated()) as orderd:
        orderd.deliver(events.form1("order.paid", order)).status

Start it from the main thread: it is killed when the thread that started it ends.
"""

import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile

from . import http, sign, wait
from .tap import program

START_SECONDS = 20  # also under valgrind
STOP_SECONDS = 20
DEFAULTS = {
    "listen": {"address": "127.0.0.1:0"},
    "admin": {"address": "127.0.0.1:0", "reconcile_address": "127.0.0.1:0"},
    "database": {"conninfo": ""},
    "torque": {},
    "webhook": {"scheme": "torque", "secret": "credential:webhook-secret"},
    "log": {"level": "debug", "format": "logfmt"},
}


class Daemon:
    """database: a pg.Database or a conninfo. settings: {"listen": {"path": "/x"}, ...}. Both kinds
    of secrets are files under credentials/: secrets = {"webhook-secret": "whsec_...", "api-key":
    "..."}; None: no such file.

    ready: wait until the database is connected, else until it listens.
    """

    def __init__(self, database, settings=None, secrets=None, orderd=None, verb="receive",
                 wrapper=(), environment=None, start=True, ready=True):
        self.directory = tempfile.mkdtemp(prefix="orderd-test-")
        self.process = None
        self._program = orderd or program()
        self._verb = verb
        self._begins = "polling" if verb == "reconcile" else "listening"
        self._wrapper = list(wrapper)
        self._environment = environment or {}
        self._settings = {name: dict(keys) for name, keys in DEFAULTS.items()}
        conninfo = database if isinstance(database, str) else database.conninfo()
        self._settings["database"]["conninfo"] = conninfo
        self.change(settings or {})
        self.secret = (secrets or {}).get("webhook-secret", sign.SECRET)
        self.write_secrets(dict({"webhook-secret": self.secret}, **(secrets or {})))
        atexit.register(self.close)
        if start:
            self.start(ready=ready)

    @property
    def config_file(self):
        return os.path.join(self.directory, "orderd.conf")

    @property
    def credentials(self):
        return os.path.join(self.directory, "credentials")

    def change(self, settings):
        """Merge settings into the config file; None takes a key away. See reload()."""
        for section, keys in settings.items():
            for key, value in keys.items():
                if value is None:
                    self._settings.setdefault(section, {}).pop(key, None)
                else:
                    self._settings.setdefault(section, {})[key] = value
        with open(self.config_file, "w", encoding="utf-8") as config:
            for section, keys in self._settings.items():
                config.write("[%s]\n" % section)
                config.writelines("%s = %s\n" % item for item in keys.items())

    def write_secrets(self, secrets):
        os.makedirs(self.credentials, mode=0o700, exist_ok=True)
        for name, secret in secrets.items():
            if secret is None:
                continue
            path = os.path.join(self.credentials, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                      encoding="utf-8") as out:
                out.write(secret)

    def environment(self):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("ORDERD_", "PG", "NOTIFY_", "LISTEN_", "WATCHDOG_"))}
        environment["CREDENTIALS_DIRECTORY"] = self.credentials
        environment.update(self._environment)
        return environment

    def start(self, ready=True, pass_fds=()):
        self._log_start = len(self.log())
        command = self._wrapper + [self._program, self._verb, "-c", self.config_file]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL"] + command, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.environment(), pass_fds=pass_fds)
        self.wait_until(lambda: self._says(self._begins), "orderd has begun")
        if ready:
            self.wait_until(self.is_ready, "orderd is ready")

    def wait_until(self, condition, what, seconds=START_SECONDS):
        """As wait.until, but an end of the process ends the waiting, and the log is shown."""
        def met():
            if self.process.poll() is not None:
                raise AssertionError("orderd ended (%d) before: %s\n%s" % (
                    self.process.returncode, what, self.log()[-4000:]))
            return condition()
        return wait.until(met, seconds, lambda: "%s\n%s" % (what, self.log()[-4000:]))

    @property
    def log_file(self):
        return os.path.join(self.directory, "log")

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def _says(self, event):
        """The line of that event since the last start, or None. A line counts when it is whole."""
        log = self.log()[self._log_start:]
        found = re.search(r"^.*\b%s\b.*\n" % event, log, re.MULTILINE)
        return found.group(0) if found else None

    def says(self, event, seconds=10):
        """Wait for the event in the log; its line."""
        return self.wait_until(lambda: self._says(event), "the log says " + event, seconds)

    def _field(self, name):
        return re.search(r'\b%s="?([^"\s]+)' % name, self._says(self._begins)).group(1)

    @property
    def address(self):
        return self._field("address")

    @property
    def admin_address(self):
        return self._field("admin")

    def is_ready(self):
        try:
            return http.get(self.admin_address, "/readyz").status == 200
        except OSError:
            return False

    def metrics(self):
        """{'orderd_deliveries_total{outcome="applied"}': 3.0, ...}"""
        text = http.get(self.admin_address, "/metrics").body.decode()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    def signed(self, body, **options):
        return sign.headers(self._settings["webhook"]["scheme"], body, self.secret, **options)

    def deliver(self, body, seconds=10, headers=None):
        """POST body, signed, on a connection of its own."""
        return http.post(self.address, body, dict(self.signed(body), **(headers or {})),
                         self._settings["listen"].get("path", http.PATH), seconds)

    def connect(self, seconds=10):
        return http.Connection(self.address, seconds)

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds=STOP_SECONDS):
        """TERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as status:
            return int(re.search(r"^RssAnon:\s+(\d+)", status.read(), re.MULTILINE).group(1))

    def close(self):
        """End it (TERM, after a while KILL). A sanitizer's or valgrind's report, or an exit code
        that is neither success nor our own kill, is an AssertionError."""
        atexit.unregister(self.close)
        if not self.process:
            shutil.rmtree(self.directory, ignore_errors=True)
            return
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
                self.terminate()
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError("orderd does not end on TERM:\n" + self.log()[-4000:]) from None
        finally:
            log = self.log()
            shutil.rmtree(self.directory, ignore_errors=True)
        for mark in ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "Assertion"):
            assert mark not in log, log[-8000:]
        assert self.process.returncode in (0, -signal.SIGKILL), "exit code %d\n%s" % (
            self.process.returncode, log[-4000:])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
            return
        try:
            self.close()
        except AssertionError as error:  # the first failure is the one to report
            print("# and then: " + str(error).replace("\n", "\n# "))
