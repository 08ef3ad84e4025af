#!/usr/bin/env python3
# needs: orderd; beside: yes
"""The proxies of the manual, configured as it says: what comes through them, and how often they
connect."""

import itertools
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import unittest
from datetime import datetime, timezone

from support import certificate, daemon, events, http, pg, tap, tools, wait

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRIED_SECONDS = 20  # until it listens; also under valgrind
MANY = 30
MAX_BODY = 1 << 20
NUMBERS = itertools.count()


def example(name):
    """The block of that proxy in the manual, unquoted."""
    with open(os.path.join(ROOT, "daemon/man/orderd.8"), encoding="utf-8") as page:
        text = page.read().split(".Sh BEHIND A PROXY\n")[1].split("\n.Sh ")[0]
    found = re.search(r"^\.Ss %s\n\.Bd -literal\n(.*?)^\.Ed$" % name, text,
                      re.MULTILINE | re.DOTALL).group(1)
    assert "\\" not in found and "\n." not in found, "what roff would change is not copied as it is"
    return found


def put(text, *changes):
    """What of an example belongs to a host is this test's; each stands in it once."""
    for old, new in changes:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Proxy:
    """What is asked of each; the subclasses say how one is started."""

    @classmethod
    def setUpClass(cls):
        if tools.missing(cls.name, "openssl"):
            raise unittest.SkipTest(tools.missing(cls.name, "openssl"))
        cls.directory = tempfile.mkdtemp(prefix="orderd-proxy-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        os.chmod(cls.directory, 0o755)  # a worker may be another user
        authority = certificate.Authority(cls.directory + "/ca")
        cls.chain, cls.key = authority.issue("DNS:shop.example")
        cls.tls = ssl.create_default_context(cafile=authority.certificate)
        cluster = pg.Cluster()
        cls.addClassCleanup(cluster.close)
        cls.orderd = daemon.Daemon(
            cluster.migrated(), {"listen": {"address": "127.0.0.1:%d" % free_port()}})
        cls.addClassCleanup(cls.orderd.close)
        cls.port = free_port()
        cls.start()

    @classmethod
    def file(cls, name, text):
        path = os.path.join(cls.directory, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    @classmethod
    def run_proxy(cls, *arguments):
        """It ends with this test, whatever its own ways of ending are."""
        log = open(os.path.join(cls.directory, "log"), "wb")
        cls.addClassCleanup(log.close)
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", tools.path(cls.name), *arguments], stdout=log,
            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": cls.directory, "XDG_DATA_HOME": cls.directory,
                 "XDG_CONFIG_HOME": cls.directory})

        def end():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        cls.addClassCleanup(end)

        def listens():
            with open(log.name, encoding="utf-8", errors="replace") as said:
                assert process.poll() is None, said.read()[-2000:]
            try:
                socket.create_connection(("127.0.0.1", cls.port)).close()
            except ConnectionRefusedError:
                return False
            return True
        wait.until(listens, TRIED_SECONDS, "%s listens" % cls.name)

    def connect(self):
        return http.Connection(("127.0.0.1", self.port), tls=self.tls, server_name="shop.example")

    def body(self):
        order = events.Order("order_%d" % next(NUMBERS), datetime.now(timezone.utc),
                             random.Random(0))
        return events.form1("order.paid", order)

    def ask(self, connection, body=b"{}", path=http.PATH, headers=None):
        return connection.request(path=path, body=body,
                                  headers={"Host": "shop.example", **(headers or {})})

    def deliver(self, connection, body=None):
        body = self.body() if body is None else body
        return self.ask(connection, body, headers=self.orderd.signed(body))

    def connects(self):
        return self.orderd.metrics()["orderd_connections_accepted_total"]

    def test_answers_come_through_as_they_are(self):
        with self.connect() as connection:
            self.assertEqual(self.deliver(connection).outcome, "applied")
            answer = self.ask(connection)
            self.assertEqual((answer.status, answer.json()["code"]), (401, "ORDERD_401"))
        with self.connect() as connection:
            answer = self.ask(connection, path="/elsewhere")
            self.assertEqual((answer.status, answer.json()["code"]), (404, "ORDERD_404"))

    def test_a_body_of_the_longest_comes_through_and_a_longer_one_is_refused(self):
        whole = self.body()
        longest = whole + b" " * (MAX_BODY - len(whole))
        with self.connect() as connection:
            self.assertEqual(self.deliver(connection, longest).outcome, "applied")
        with self.connect() as connection:
            self.assertEqual(self.deliver(connection, longest + b" ").status, 413)

    def test_a_chunked_body_comes_through(self):
        body = self.body()
        fields = dict(self.orderd.signed(body), **{"Transfer-Encoding": "chunked"})
        fields = "".join("%s: %s\r\n" % field for field in fields.items())
        with self.connect() as connection:
            connection.send(b"POST %s HTTP/1.1\r\nHost: shop.example\r\n%s\r\n" % (
                http.PATH.encode(), fields.encode()))
            for start in range(0, len(body), 100):
                piece = body[start:start + 100]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
            self.assertEqual(connection.answer().outcome, "applied")

    def test_its_connections_to_the_receiver_are_kept(self):
        before = self.connects()
        for _ in range(MANY):
            with self.connect() as connection:
                self.assertEqual(self.deliver(connection).outcome, "applied")
        self.assertLess(self.connects() - before, MANY / 2)  # those of /metrics among them

    def test_deliveries_come_through_after_a_restart(self):
        for end in (self.orderd.terminate, self.orderd.kill9):
            with self.subTest(end.__name__), self.connect() as connection:
                self.assertEqual(self.deliver(connection).outcome, "applied")
                end()
                self.orderd.start()
                self.assertEqual(self.deliver(connection).outcome, "applied")


class Nginx(Proxy, unittest.TestCase):
    name = "nginx"

    @classmethod
    def start(cls):
        block = put(example("nginx"), ("127.0.0.1:8480", cls.orderd.address),
                    ("listen 443 ssl", "listen 127.0.0.1:%d ssl" % cls.port),
                    ("/etc/ssl/shop.example.pem", cls.chain),
                    ("/etc/ssl/private/shop.example.key", cls.key))
        places = "".join("%s_temp_path %s/%s;\n" % (kind, cls.directory, kind)
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        cls.run_proxy("-p", cls.directory, "-e", "stderr", "-c", cls.file(
            "nginx.conf", "daemon off;\npid %s/nginx.pid;\nevents {}\nhttp {\naccess_log off;\n"
            "%s%s}\n" % (cls.directory, places, block)))


class Haproxy(Proxy, unittest.TestCase):
    name = "haproxy"

    @classmethod
    def start(cls):
        with open(cls.chain, encoding="ascii") as chain, open(cls.key, encoding="ascii") as key:
            both = cls.file("both.pem", chain.read() + key.read())
        cls.run_proxy("-db", "-f", cls.file("haproxy.cfg", put(
            example("haproxy"), ("127.0.0.1:8480", cls.orderd.address),
            (":443", "127.0.0.1:%d" % cls.port), ("/etc/haproxy/shop.example.pem", both))))


class Caddy(Proxy, unittest.TestCase):
    name = "caddy"

    @classmethod
    def start(cls):
        # Its certificates are not of an authority that could be asked from here.
        block = put(example("Caddy"), ("127.0.0.1:8480", cls.orderd.address), (
            "shop.example {", "shop.example:%d {\n    bind 127.0.0.1\n    tls %s %s" % (
                cls.port, cls.chain, cls.key)))
        cls.run_proxy("run", "--adapter", "caddyfile", "--config", cls.file(
            "Caddyfile", "{\n    admin off\n    auto_https disable_redirects\n}\n" + block))


if __name__ == "__main__":
    tap.main()
