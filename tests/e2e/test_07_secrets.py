#!/usr/bin/env python3
# needs: orderd; beside: no
"""A secret that was copied badly is told so, and one that was copied well is nowhere else."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from support import case, certificate, daemon, fake_torque, sign, tap, tools, wait

SECRET = "whsec_" + base64.b64encode(b"a key of some length").decode()
BODY = b'{"event":"order.paid"}'
# What is in the file, and what is said of it.
DOUBTS = (
    ("%s\r\n", "byte %d of %d is a carriage return (0x0D)", 1),
    ("%s\n\n", "byte %d of %d is a newline (0x0A)", 1),
    ("%s \n", "byte %d of %d is a space (0x20)", 1),
    ("%s\t", "byte %d of %d is a tab (0x09)", 1),
    ("\ufeff%s\n", "byte 1 of %d is a byte order mark (U+FEFF)", 3),
    ('"%s"\n', "byte 1 of %d is a quote (0x22)", 2),
    ("'%s'", "byte 1 of %d is a quote (0x27)", 2),
    ("%s\u200b", "byte %d of %d is a character that nobody sees (U+200B)", 3),
)


class WithSecrets(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="orderd-secrets-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        self.write("webhook-secret", SECRET)
        self.write("api-key", "an-api-key-for-these-tests")

    def write(self, name, content):
        path = os.path.join(self.directory, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content.encode())
        return path

    def orderd(self, *words):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("ORDERD_", "CREDENTIALS_"))}
        kept["CREDENTIALS_DIRECTORY"] = self.directory
        config = self.write("orderd.conf", "[torque]\napi_key = credential:api-key\n")
        return subprocess.run([tap.program(), words[0], "-c", config, *words[1:]], env=kept,
                              timeout=60, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              encoding="utf-8", check=False)


class Doubts(WithSecrets):
    def test_check_and_start_name_the_byte_and_never_the_secret(self):
        for name, key, verb in (("webhook-secret", "[webhook] secret", "receive"),
                                ("api-key", "[torque] api_key", "reconcile")):
            with open(os.path.join(self.directory, name), encoding="utf-8") as file:
                good = file.read()
            for written, said, more in DOUBTS:
                self.write(name, written % good)
                length = len(good) + more
                numbers = (len(good) + 1, length) if said.count("%d") == 2 else length
                expected = "%s = credential:%s: %s" % (key, name, said % numbers)
                with self.subTest(expected):
                    checked = self.orderd("check", "--json")
                    faults = json.loads(checked.stdout)["faults"]
                    self.assertEqual((checked.returncode, len(faults)), (1, 1), faults)
                    self.assertIn(expected, faults[0])
                    started = self.orderd(verb)
                    self.assertEqual(started.returncode, 78, started.stderr)
                    self.assertIn(expected, started.stderr)
                    for text in (faults[0], started.stderr, checked.stderr):
                        self.assertNotIn(good[:8], text)
            self.write(name, good)
        self.assertEqual(self.orderd("check").returncode, 0)

    def verify(self, headers, *words):
        done = self.orderd("verify", self.write("body", BODY.decode()), "--json", "--signature",
                           headers["X-Torque-Signature"], *words)
        self.assertNotIn(SECRET[:12], done.stdout + done.stderr)
        return json.loads(done.stdout), done.stderr

    def test_verify_finds_the_secret_behind_its_bad_bytes(self):
        for written, _, _ in DOUBTS:
            self.write("webhook-secret", written % SECRET)
            told, warned = self.verify(sign.torque(BODY, SECRET))
            self.assertEqual(told["verdict"], "forged")
            self.assertEqual(told["hint"], "it would match with the secret without the bytes "
                                           "that nobody sees")
            self.assertIn("warning", warned)

    def test_verify_finds_key_and_scheme_behind_bad_bytes_too(self):
        self.write("webhook-secret", '"%s"\r\n' % SECRET)
        clean = "it would match with the secret without the bytes that nobody sees"
        told, _ = self.verify(sign.torque(BODY, SECRET, kind="base64"))
        self.assertEqual(told["hint"], clean + ", and [webhook] key = base64")
        told, _ = self.verify(sign.timestamped(BODY, SECRET))
        self.assertEqual(told["hint"], clean + ", and [webhook] scheme = timestamped")
        told, _ = self.verify(sign.timestamped(BODY, SECRET, kind="base64"))
        self.assertEqual(told["hint"], clean + ", and [webhook] scheme = timestamped, and "
                                               "[webhook] key = base64")

    def test_the_settings_that_are_named_would_do(self):
        """key = auto is base64 for one scheme and text for the others: said where it has to be"""
        for kind, hint in (("base64", "[webhook] scheme = standard"),
                           ("text", "[webhook] scheme = standard, and [webhook] key = text")):
            key = SECRET.encode() if kind == "text" else base64.b64decode(SECRET[6:])
            made = sign.standard(BODY, "whsec_" + base64.b64encode(key).decode(), at=1705312800)
            told, _ = self.verify({"X-Torque-Signature": made["webhook-signature"]}, "--id",
                                  "msg_1", "--timestamp", "1705312800")
            self.assertEqual(told["hint"], "it would match with " + hint)

    def test_what_is_no_base64_can_be_asked_about(self):
        self.write("webhook-secret", "a secret that is no base64")
        told, warned = self.verify(sign.torque(BODY, "a secret that is no base64"),
                                   "--webhook-key", "base64")
        self.assertEqual(told["hint"], "it would match with [webhook] key = text")
        self.assertIn("not base64 behind whsec_", warned)

    def test_whsec_is_part_of_the_secret_of_scheme_torque(self):
        told, _ = self.verify(sign.torque(BODY, SECRET))
        self.assertEqual((told["verdict"], told["secret"]), ("genuine", "secret"))


def copies(pid, secret):
    """How often it is in the memory of the process."""
    count, sought = 0, secret.encode()
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, \
            open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            first, beyond, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if not mode.startswith("rw"):
                continue
            first, beyond = int(first, 16), int(beyond, 16)
            # A sanitizer's shadow is terabytes of nothing.
            for start in range(first, min(beyond, first + (1 << 30)), 1 << 24):
                memory.seek(start)
                try:
                    count += memory.read(min(1 << 24, beyond - start)).count(sought)
                except OSError:
                    break
    return count


class Memory(case.WithDatabase):
    def start_and_reload(self, **tls):
        """Poll, then poll with another key."""
        api = fake_torque.FakeTorque(fake_torque.Shop(), fake_torque.Webhooks("nobody's", 1),
                                     per_minute=100000, **tls.get("server", {})).start()
        self.addCleanup(api.close)
        orderd = daemon.Daemon(
            self.database,
            {"torque": dict({"base_url": api.url, "requests_per_minute": 6000, "floor": 0},
                            **tls.get("client", {})),
             "reconcile": {"sweep_every": "1s"}},
            {"webhook-secret": None, "api-key": api.api_key}, verb="reconcile")
        self.addCleanup(orderd.close)
        for key, old in ((api.api_key, None), ("another-key-of-the-same-api", api.api_key)):
            if old:
                api.api_key = key
                orderd.write_secrets({"api-key": key})
                orderd.reload()
                orderd.says("reloaded")
            seen = len(api.log)
            wait.until(lambda: len(api.log) > seen + 2, 20, "calls are made")  # noqa: B023
            self.assertTrue(api.log[-1]["authorized"])
            self.assertEqual(copies(orderd.process.pid, key), 1)
            self.assertEqual(copies(orderd.process.pid, old or "-" * 40), 0)

    def test_the_api_key_is_in_one_place_and_after_a_reload_in_none(self):
        self.start_and_reload()

    @tools.needed("openssl")
    def test_tls_makes_no_copy_of_it(self):
        directory = tempfile.mkdtemp(prefix="orderd-secrets-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory)
        authority = certificate.Authority(directory)
        chain, key = authority.issue("IP:127.0.0.1")
        self.start_and_reload(server={"certificate": chain, "key": key},
                              client={"ca_file": authority.certificate})


if __name__ == "__main__":
    tap.main()
