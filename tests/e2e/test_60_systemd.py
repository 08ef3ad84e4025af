#!/usr/bin/env python3
# needs: orderd; beside: no; slow: yes
"""The installed units under a real systemd, in a container with a PostgreSQL of its own."""

import os
import random
import re
import subprocess
import threading
import time
import unittest
from datetime import datetime, timezone

from support import events, http, nspawn, pg, scale, sign, tap, units, wait

ADDRESS = "127.0.0.1:8480"
ADMIN = "127.0.0.1:8481"
REQUESTS = scale.count("restart_requests")
RESTARTS = 8
SENDERS = 4
WORST_MS = 300  # reported; the guard is five times as much
EXPOSURE_MAX = 15  # tenths
DATA = "/var/lib/orderd-test-postgresql"
UNIT = "/usr/local/lib/systemd/system/orderd-receive.service"
POLLER_UNIT = "/usr/local/lib/systemd/system/orderd-reconcile.service"
POLLER_EXPOSURE_MAX = 11
POLLER_ADMIN = "127.0.0.1:8482"
SECRET = "/etc/orderd/credentials/webhook-secret"
API_KEY = "/etc/orderd/credentials/api-key"


def install(upper):
    build = os.path.dirname(os.path.dirname(os.path.abspath(tap.program())))
    subprocess.run(["meson", "install", "-C", build, "--destdir", upper, "--no-rebuild", "--quiet"],
                   check=True, stdout=subprocess.DEVNULL)


def deliver(order_id, connection=None):
    """(status or None when refused or cut, seconds it took)"""
    order = events.Order(order_id, datetime.now(timezone.utc), random.Random(order_id))
    body = events.form1("order.created", order)
    started = time.monotonic()
    try:
        status = http.post(ADDRESS, body, sign.torque(body)).status
    except OSError:
        status = None
    return status, time.monotonic() - started


class Load:
    """REQUESTS deliveries by SENDERS threads, each on a connection of its own."""

    def __init__(self, box, count=REQUESTS):
        self._numbers = iter(range(count))
        self._lock = threading.Lock()
        self.answers = []
        self._threads = [box.thread(self._send) for _ in range(SENDERS)]

    def _send(self):
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            self.answers.append(deliver("order_load%d" % number))

    def join(self):
        for thread in self._threads:
            thread.join()

    def running(self):
        return any(thread.is_alive() for thread in self._threads)


@unittest.skipIf(nspawn.impossible(), nspawn.impossible())
class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.box = nspawn.Container(install)
        cls.addClassCleanup(cls.box.close)
        box = cls.box
        box.run("systemd-sysusers")
        box.write(SECRET, sign.SECRET, 0o600)
        box.run("install", "-d", "-o", "postgres", "-g", "postgres", DATA, "/run/postgresql")
        box.run(pg.bindir() + "/initdb", "-D", DATA, "-A", "peer", "--no-sync",
                "--locale=C.UTF-8", "-E", "UTF8", user="postgres")
        box.run("systemd-run", "--unit=postgresql-test", "--uid=postgres",
                "--property=KillSignal=SIGINT", pg.bindir() + "/postgres", "-D", DATA,
                "-c", "listen_addresses=", "-c", "unix_socket_directories=/run/postgresql")
        wait.until(lambda: box.run(pg.bindir() + "/pg_isready", "-q", check=False).returncode == 0,
                   30, "PostgreSQL takes connections")
        box.run("createdb", "orderd", user="postgres")
        box.run("/usr/local/bin/orderd", "migrate", user="postgres")
        box.run("systemctl", "daemon-reload")
        box.run("systemctl", "start", "orderd-receive.socket")
        box.run("systemctl", "start", "--no-block", "orderd-receive.service")
        cls.wait_ready()

    @classmethod
    def show(cls, name, unit="orderd-receive.service"):
        return cls.box.run("systemctl", "show", "-P", name, unit).stdout.strip()

    @classmethod
    def journal(cls):
        return cls.box.run("journalctl", "-b", "-u", "orderd-receive.service", "-o", "cat").stdout

    @classmethod
    def wait_ready(cls, seconds=20):
        def ready():
            try:
                return cls.box.call(lambda: http.get(ADMIN, "/readyz").status) == 200
            except OSError:
                return False
        wait.until(ready, seconds, lambda: "the service is ready\n" + cls.journal()[-3000:])

    def sql(self, query):
        return self.box.run("psql", "-X", "-A", "-t", "-q", "-c", query, "orderd",
                            user="postgres").stdout.strip()

    def one(self, order_id):
        return self.box.call(lambda: deliver(order_id))[0]

    def drop_in(self, name, text):
        path = "/run/systemd/system/orderd-receive.service.d/%s.conf" % name
        self.box.write(path, text)
        self.box.run("systemctl", "daemon-reload")
        self.addCleanup(self.box.run, "systemctl", "daemon-reload")
        self.addCleanup(self.box.run, "rm", path)

    def test_the_unit_files_are_in_order(self):
        self.box.run("systemd-analyze", "verify", "--man=no", UNIT, POLLER_UNIT)

    def assert_understood(self, unit):
        shown = self.box.run("systemctl", "show", "--all", unit).stdout
        self.assertEqual(units.misunderstood(unit, shown), [])
        return shown

    def test_every_line_is_in_force(self):
        self.assert_understood("orderd-receive.socket")
        shown = self.assert_understood("orderd-receive.service")
        calls = re.search(r"^SystemCallFilter=(.*)", shown, re.MULTILINE).group(1).split()
        refused = {"chown", "chroot", "mount", "ptrace", "reboot", "sethostname", "setrlimit"}
        self.assertEqual(refused & set(calls), set())

    def test_both_are_enabled_by_the_service(self):
        self.addCleanup(self.box.run, "systemctl", "disable", "orderd-receive.service")
        self.box.run("systemctl", "enable", "orderd-receive.service")
        wanted = "/etc/systemd/system/%s.target.wants/%s"
        self.box.run("test", "-L", wanted % ("multi-user", "orderd-receive.service"))
        self.box.run("test", "-L", wanted % ("sockets", "orderd-receive.socket"))

    def test_the_user_can_neither_log_in_nor_own_a_home(self):
        entry = self.box.run("getent", "passwd", "orderd").stdout.strip().split(":")
        self.assertEqual(entry[4:], ["Torque Checkout orders", "/", "/usr/sbin/nologin"])

    def test_the_sandbox_leaves_an_exposure_of_1_5_at_most(self):
        said = self.box.run("systemd-analyze", "security", "--offline=true", "--no-pager",
                            "--threshold=%d" % EXPOSURE_MAX, UNIT).stdout
        print("# " + said.strip().splitlines()[-1])
        bare = self.box.run("systemd-analyze", "security", "--offline=true", "--no-pager",
                            "--threshold=%d" % EXPOSURE_MAX,
                            "/lib/systemd/system/dbus.service", check=False)
        self.assertNotEqual(bare.returncode, 0, "an unprotected service passes too")

    def test_the_pollers_sandbox_leaves_an_exposure_of_1_1_at_most(self):
        said = self.box.run("systemd-analyze", "security", "--offline=true", "--no-pager",
                            "--threshold=%d" % POLLER_EXPOSURE_MAX, POLLER_UNIT).stdout
        print("# " + said.strip().splitlines()[-1])

    def test_the_poller_is_a_service_of_its_own(self):
        unit = "orderd-reconcile.service"
        self.box.write(API_KEY, "an API key would be as long".replace(" ", "-"), 0o600)
        self.addCleanup(self.box.run, "systemctl", "stop", unit)
        self.box.run("systemctl", "start", unit)

        def ready():
            try:
                return self.box.call(lambda: http.get(POLLER_ADMIN, "/readyz").status) == 200
            except OSError:
                return False
        wait.until(ready, 20, lambda: "the poller is ready\n" + self.box.run(
            "journalctl", "-b", "-u", unit, "-o", "cat").stdout[-3000:])
        wait.until(lambda: self.show("StatusText", unit).startswith("ready; "), 20,
                   lambda: "its status says so: " + self.show("StatusText", unit))
        self.assert_understood(unit)
        pid = self.show("MainPID", unit)
        given = self.box.run("find", "/run/credentials/" + unit, "-type", "f").stdout.split()
        self.assertEqual(given, ["/run/credentials/%s/api-key" % unit])
        self.assertRegex(self.box.run("cat", "/proc/%s/status" % pid).stdout, r"CapBnd:\s+0+\n")
        self.box.run("systemctl", "reload", unit)
        self.assertEqual(self.show("MainPID", unit), pid)

    def test_it_runs_as_its_own_user_without_capabilities(self):
        pid = self.show("MainPID")
        status = self.box.run("cat", "/proc/%s/status" % pid).stdout
        user = self.box.run("id", "-u", "orderd").stdout.strip()
        self.assertRegex(status, r"Uid:\s+%s\s+%s\s" % (user, user))
        self.assertRegex(status, r"CapBnd:\s+0+\n")
        self.assertRegex(status, r"NoNewPrivs:\s+1\n")

    def test_a_delivery_becomes_a_row_over_peer_authentication(self):
        self.assertEqual(self.one("order_peer"), 200)
        self.assertEqual(self.sql("select status from torque.orders"
                                  " where order_id = 'order_peer'"), "pending")
        self.assertEqual(self.sql("select distinct usename from pg_stat_activity"
                                  " where application_name like 'orderd receive%'"), "orderd")

    def test_the_status_line_says_how_it_is(self):
        wait.until(lambda: "ready" in self.show("StatusText"), 10, "STATUS= says ready")

    def test_5_000_requests_through_eight_restarts_are_all_answered_200(self):
        load = Load(self.box)
        restarts = 0
        while restarts < RESTARTS:
            enough = (restarts + 1) * REQUESTS // (RESTARTS + 2)
            wait.until(lambda: len(load.answers) >= enough, 120, "%d answers" % enough)
            self.assertTrue(load.running())
            self.box.run("systemctl", "restart", "orderd-receive.service")
            restarts += 1
        load.join()
        worst_ms = 1000 * max(seconds for _, seconds in load.answers)
        print("# %d restarts, worst wait %.0f ms (aim: %d)" % (restarts, worst_ms, WORST_MS))
        odd = [status for status, _ in load.answers if status != 200]
        self.assertEqual((restarts, len(load.answers), odd), (RESTARTS, REQUESTS, []))
        self.assertEqual(self.sql("select count(*), sum(deliveries) from torque.order_events"
                                  " where order_id like 'order\\_load%'"),
                         "%d|%d" % (REQUESTS, REQUESTS))
        self.assertLess(worst_ms, 5 * WORST_MS)

    def test_without_the_socket_unit_a_restart_would_have_refused_some(self):
        """negative control: with socket and service stopped a delivery is refused"""
        self.box.run("systemctl", "stop", "orderd-receive.socket",
                     "orderd-receive.service")
        self.addCleanup(self.wait_ready)
        self.addCleanup(self.box.run, "systemctl", "start", "orderd-receive.socket",
                        "orderd-receive.service")
        self.assertIsNone(self.one("order_refused"))

    def test_a_connection_starts_the_stopped_service(self):
        self.box.run("systemctl", "stop", "orderd-receive.service")
        self.assertEqual(self.one("order_started"), 200)

    def test_reload_takes_a_new_setting_and_keeps_the_process(self):
        self.wait_ready()
        pid = self.show("MainPID")
        self.box.write("/etc/orderd/orderd.conf", "[webhook]\nheader = X-Other-Signature\n")
        self.addCleanup(self.wait_ready)
        self.addCleanup(self.box.run, "systemctl", "restart", "orderd-receive.service")
        self.addCleanup(self.box.run, "rm", "/etc/orderd/orderd.conf")
        self.box.run("systemctl", "reload", "orderd-receive.service")
        wait.until(lambda: self.one("order_old_header") == 401, 10, "the old header is refused")
        self.assertEqual(self.show("MainPID"), pid)
        self.assertEqual(self.show("ActiveState"), "active")

    def test_a_process_that_hangs_is_restarted_by_the_watchdog(self):
        self.drop_in("watchdog", "[Service]\nWatchdogSec=1s\n")
        self.box.run("systemctl", "restart", "orderd-receive.service")
        self.wait_ready()
        pid = self.show("MainPID")
        # Longer than the watchdog: one that reports lives on.
        wait.stays(lambda: self.show("MainPID") == pid, 2, "the same process", 0.2)
        self.box.run("kill", "-STOP", pid)
        wait.until(lambda: self.show("MainPID") not in (pid, "0"), 20, "another process is there")
        self.wait_ready()
        self.assertIn("watchdog", self.box.run(
            "journalctl", "-b", "-u", "orderd-receive.service", "-o", "cat",
            "_PID=1").stdout.lower())

    def test_a_killed_process_comes_back(self):
        self.wait_ready()
        pid = self.show("MainPID")
        self.box.run("kill", "-KILL", pid)
        self.assertEqual(self.one("order_after_kill"), 200)
        self.assertNotEqual(self.show("MainPID"), pid)

    def test_a_missing_credential_stops_the_service_but_not_the_socket(self):
        self.box.run("mv", SECRET, SECRET + ".away")
        self.box.run("systemctl", "restart", "orderd-receive.service", check=False)
        wait.until(lambda: self.show("ExecMainStatus") == "243", 10, "it ends with 243/CREDENTIALS")
        self.assertEqual(self.show("ActiveState", "orderd-receive.socket"), "active")
        answers = []
        waiting = self.box.thread(lambda: answers.append(deliver("order_waiting")))
        self.box.run("mv", SECRET + ".away", SECRET)
        waiting.join()
        self.assertEqual(answers[0][0], 200, self.journal()[-2000:])

    def test_the_journal_has_levels_and_no_secret(self):
        journal = self.journal()
        self.assertIn("listening", journal)
        self.assertNotIn(sign.SECRET, journal)
        self.assertNotRegex(journal, r"<[3-7]>")
        self.assertNotRegex(journal, r"customer\d+@example")


if __name__ == "__main__":
    tap.main()
