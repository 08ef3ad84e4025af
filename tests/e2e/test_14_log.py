#!/usr/bin/env python3
# needs: orderd; beside: no
"""Whoever reads the log may stop: deliveries go on, and the gap is told."""

import fcntl
import os
import random
import re
import signal
import socket
import subprocess
import time
from datetime import datetime, timezone

from support import case, daemon, events, http, tap, wait

F_SETPIPE_SZ = 1031
FLOOD = 1500  # lines; the journal's socket takes some 275
ANSWER = 2.5  # seconds


class NoReader(case.WithDatabase):
    def start(self, ends):
        """orderd with its log going through [1], read by a process at [0] that can be stopped."""
        self.orderd = daemon.Daemon(self.database, start=False)
        self.addCleanup(self.orderd.close)
        self.copied = os.path.join(self.orderd.directory, "copied")
        with open(self.copied, "wb") as copied:
            self.reader = self.process(["cat"], stdin=ends[0], stdout=copied)
        self.process([tap.program(), "receive", "-c", self.orderd.config_file], stderr=ends[1],
                     env=self.orderd.environment())
        for end in ends:
            os.close(end)
        self.address, self.admin = self.says(
            r"event=listening address=(\S+) path=\S+ admin=(\S+)\n").groups()
        wait.until(lambda: http.get(self.admin, "/readyz").status == 200, 20, "it is ready")

    def process(self, command, **options):
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], **options)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        process.wait(20)

    def says(self, pattern):
        def found():
            with open(self.copied, encoding="utf-8") as copied:
                return re.search(pattern, copied.read())
        return wait.until(found, 20, "the log says " + pattern)

    def dropped(self):
        text = http.get(self.admin, "/metrics").body.decode()
        return int(re.search(r"^orderd_log_lines_dropped_total (\d+)$", text, re.M).group(1))

    def check(self, ends):
        self.start(ends)
        self.assertEqual(self.dropped(), 0)
        self.reader.send_signal(signal.SIGSTOP)
        with http.Connection(self.address, 10) as connection:
            for _ in range(FLOOD):
                self.assertEqual(connection.request("GET", "/nowhere").status, 404)
        began = time.monotonic()
        order = events.Order("order_unread", datetime.now(timezone.utc), random.Random(1))
        body = events.form1("order.paid", order)
        answer = http.post(self.address, body, self.orderd.signed(body))
        self.assertEqual((answer.status, answer.outcome), (200, "applied"))
        self.assertEqual(http.get(self.admin, "/livez").status, 200)
        self.assertLess(time.monotonic() - began, ANSWER)
        dropped = self.dropped()
        self.assertGreater(dropped, 0)
        self.assertFalse(re.search("lines_dropped", self.text()))
        self.reader.send_signal(signal.SIGCONT)

        def told():
            http.get(self.address, "/nowhere")
            return re.search(r"level=warning event=lines_dropped count=(\d+)\n", self.text())
        self.assertGreaterEqual(int(wait.until(told, 20, "the gap is told").group(1)), dropped)
        for line in self.text().splitlines():
            self.assertRegex(line, r"^time=\S+ level=\w+ event=\w+")
        self.assertGreaterEqual(len(self.text().splitlines()) + self.dropped(), FLOOD)

    def text(self):
        with open(self.copied, encoding="utf-8") as copied:
            return copied.read()

    def test_a_stopped_reader_of_a_pipe_stops_nothing(self):
        ends = os.pipe()
        fcntl.fcntl(ends[0], F_SETPIPE_SZ, 4096 * 2)
        self.check(ends)

    def test_a_stopped_journal_stops_nothing(self):
        self.check([end.detach() for end in socket.socketpair(socket.AF_UNIX)])

    def test_closed_standard_descriptors_belong_to_nothing_else(self):
        orderd = daemon.Daemon(self.database, start=False)
        self.addCleanup(orderd.close)
        closed = self.process(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", tap.program(), "receive", "-c",
             orderd.config_file], env=orderd.environment())

        def listens():
            return any("socket:" in os.readlink("/proc/%d/fd/%s" % (closed.pid, fd))
                       for fd in os.listdir("/proc/%d/fd" % closed.pid))
        wait.until(listens, 20, "it has begun")
        for fd in range(3):
            self.assertEqual(os.readlink("/proc/%d/fd/%d" % (closed.pid, fd)), "/dev/null")


class Refused(case.WithDatabase):
    def refuse(self, orderd, forwarded):
        """A forged delivery; its own requestId, and what the log says of it. One line a second is
        told, of which this one is to be one."""
        def told():
            with http.Connection(orderd.address, 10) as connection:
                answer = connection.request(body=b"{}", headers=dict(
                    {"X-Torque-Signature": "00" * 32}, **forwarded))
                name = "%s:%d" % connection.socket.getsockname()
            found = re.search(r"event=delivery_refused .* request=%s .*\n"
                              % answer.json()["requestId"], orderd.log())
            return found and (name, found.group(0))
        return wait.until(told, 20, "a line is due")

    def test_the_line_tells_peer_and_request_and_believes_trusted_proxies_only(self):
        orderd = daemon.Daemon(self.database)
        self.addCleanup(orderd.close)
        forged = {"X-Forwarded-For": "203.0.113.5, 198.51.100.7"}
        name, line = self.refuse(orderd, forged)
        self.assertIn("signature=forged peer=%s " % name, line)
        self.assertNotIn("client", line)
        orderd.change({"listen": {"trusted_proxy": "10.0.0.0/8 127.0.0.0/8"}})
        orderd.reload()
        orderd.says("reloaded")
        name, line = self.refuse(orderd, forged)
        self.assertIn("peer=%s " % name, line)
        self.assertIn(" client=198.51.100.7\n", line)
        self.assertNotIn("203.0.113.5", orderd.log())


if __name__ == "__main__":
    tap.main()
