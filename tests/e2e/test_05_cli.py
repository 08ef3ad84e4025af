#!/usr/bin/env python3
# needs: orderd; beside: yes
"""The command line: every verb that needs no database, its answers, its faults, its exit codes."""

import base64
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest

from support import daemon, fake_torque, http, pg, sign, tap, tools, wait

SECRET = sign.SECRET
BODY = b'{"event":"order.paid", "data":{"total":29.99}}'
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="orderd-cli-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        self.credential("webhook-secret", SECRET)
        self.credential("api-key", "an-api-key-for-these-tests")

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content, mode=0o600):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return path

    def credential(self, name, content):
        os.makedirs(self.path("credentials"), mode=0o700, exist_ok=True)
        return self.write("credentials/" + name, content)

    def config(self, text):
        return self.write("orderd.conf", text)

    def orderd(self, *words, code=0, environment=None, stdin=b"", config=True):
        """Run it; (stdout, stderr). With config -c names the file that config() wrote."""
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("ORDERD_", "CREDENTIALS_"))}
        kept["CREDENTIALS_DIRECTORY"] = self.path("credentials")
        kept.update(environment or {})
        words = list(words)
        if config and os.path.exists(self.path("orderd.conf")):
            words[1:1] = ["-c", self.path("orderd.conf")]
        done = subprocess.run([tap.program()] + words, input=stdin, env=kept, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, "%s\n%s%s" % (" ".join(words), out, err))
        return out, err


class CommandLine(Case):
    def test_nothing_at_all_is_a_usage_fault(self):
        out, err = self.orderd(code=64, config=False)
        self.assertEqual(out, "")
        self.assertIn("a verb is missing", err)

    def test_a_slip_in_a_verb_is_guessed_at(self):
        _, err = self.orderd("recieve", code=64, config=False)
        self.assertIn("did you mean receive?", err)

    def test_a_slip_in_an_option_is_guessed_at(self):
        _, err = self.orderd("config", "--jsno", code=64)
        self.assertIn("did you mean --json?", err)
        _, err = self.orderd("config", "--listen-adress", "x", code=64)
        self.assertIn("did you mean --listen-address?", err)

    def test_what_is_missing_is_named(self):
        for words, said in ((("sign",), "needs FILE"), (("trigger",), "needs EVENT"),
                            (("verify", "x"), "needs --signature"),
                            (("config", "--log-level"), "--log-level needs a value"),
                            (("config", "-c"), "-c needs the name of a file")):
            _, err = self.orderd(*words, code=64, config=False)
            self.assertIn(said, err)

    def test_one_argument_too_many_is_a_usage_fault(self):
        self.assertIn("one argument too many", self.orderd("version", "now", code=64)[1])

    def test_a_switch_takes_no_value(self):
        self.assertIn("takes no value", self.orderd("config", "--json=yes", code=64)[1])

    def test_options_may_stand_before_the_verb_and_help_anywhere(self):
        self.config("[log]\nlevel = debug\n")
        out, _ = self.orderd("-c", self.path("orderd.conf"), "config", config=False)
        self.assertRegex(out, r"log\.level +debug")
        self.assertIn("Usage: orderd verify FILE", self.orderd("verify", "--help")[0])
        self.assertIn("Usage: orderd verify FILE", self.orderd("help", "verify")[0])
        self.assertIn("Usage: orderd VERB", self.orderd("--help", config=False)[0])

    def test_the_version_is_told_in_three_ways(self):
        version = self.orderd("version")[0]
        self.assertRegex(version, r"^orderd \d+\.\d+\.\d+\n$")
        self.assertEqual(self.orderd("--version", config=False)[0], version)
        told = json.loads(self.orderd("version", "--json")[0])
        self.assertEqual("orderd %s\n" % told["version"], version)

    def test_output_that_cannot_be_written_is_no_success(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([tap.program(), "version"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 75)
        self.assertIn(b"cannot be written", done.stderr)

    def test_the_installed_completion_is_what_the_program_prints(self):
        with open(os.path.join(ROOT, "daemon/completion/orderd"), encoding="utf-8") as kept:
            self.assertEqual(self.orderd("completion", "bash")[0], kept.read())

    @tools.needed("bash")
    def test_bash_completes_verbs_options_and_files(self):
        script = self.write("completion", self.orderd("completion", "bash")[0])
        self.write("body.json", "{}")

        def complete(*words):
            done = subprocess.run(
                ["bash", "-c", 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                 '_orderd; printf "%s\\n" "${COMPREPLY[@]}"', "bash", script, *words],
                stdout=subprocess.PIPE, cwd=self.directory, timeout=60, check=True)
            return done.stdout.decode().split()
        self.assertEqual(complete("orderd", "re"), ["receive", "reconcile", "replay"])
        self.assertEqual(complete("orderd", "help", "tr"), ["trigger"])
        self.assertEqual(complete("orderd", "verify", "--sig"), ["--signature"])
        self.assertEqual(complete("orderd", "receive", "--log-l"), ["--log-level"])
        self.assertEqual(complete("orderd", "sign", "bo"), ["body.json"])
        self.assertEqual(complete("orderd", "version", "--"), ["--config", "--help", "--json"])


class Configuration(Case):
    def settings(self, *words, **options):
        rows = json.loads(self.orderd("config", "--json", *words, **options)[0])
        return {"%s.%s" % (row["section"], row["key"]): row for row in rows}

    def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(self):
        self.config("[listen]\npath = /file\n[log]\nlevel = error\nformat = json\n")
        rows = self.settings("--log-level", "debug", environment={
            "ORDERD_LOG_LEVEL": "warning", "ORDERD_LISTEN_PATH": "/environment"})
        told = {name: (rows[name]["value"], rows[name]["origin"], rows[name]["from"])
                for name in ("log.level", "listen.path", "log.format", "webhook.scheme")}
        self.assertEqual(told, {
            "log.level": ("debug", "flag", "--log-level"),
            "listen.path": ("/environment", "environment", "ORDERD_LISTEN_PATH"),
            "log.format": ("json", "file", self.path("orderd.conf") + ":5"),
            "webhook.scheme": ("torque", "default", "default"),
        })

    def test_every_key_is_shown_with_its_value_and_origin(self):
        out, _ = self.orderd("config", "--listen-address", "[::1]:0")
        self.assertRegex(out, r"(?m)^listen\.address +\[::1\]:0 +--listen-address$")
        self.assertRegex(out, r"(?m)^listen\.tls_key +\(none\) +default$")
        self.assertEqual(len(out.splitlines()), len(self.settings()))

    def test_json_of_our_own_is_ascii_on_any_terminal(self):
        value = "sh\u00f6p\u009b2J\u202e"
        out, _ = self.orderd("config", "--json", "--torque-business-id", value)
        self.assertTrue(out.isascii(), out)
        row = self.settings("--torque-business-id", value)["torque.business_id"]
        self.assertEqual(row["value"], value)

    def test_the_example_is_a_configuration_and_says_the_defaults(self):
        example, _ = self.orderd("config", "--example")
        before = self.settings()
        self.config(example)
        self.assertEqual({row["origin"] for row in self.settings().values()}, {"default"})
        self.config(re.sub(r"(?m)^#([a-z_]+ =)", r"\1", example))
        after = self.settings()
        self.assertEqual({row["origin"] for row in after.values()}, {"file"})
        self.assertEqual({name: row["value"] for name, row in after.items()},
                         {name: row["value"] for name, row in before.items()})

    def test_all_faults_are_told_in_one_go_and_end_with_78(self):
        file = self.config("[listen]\nadress = x\n[webhook]\nmax_body = 1\nsecret = hunter2hunter2"
                           "\n[colours]\n")
        _, err = self.orderd("receive", "--log-level", "loud", code=78,
                             environment={"ORDERD_ADMIN_ADDRESS": "here"})
        starts = ("orderd: %s:2: [listen] adress" % file, "orderd: %s:4: [webhook] max_body" % file,
                  "orderd: %s:5: [webhook] secret" % file, "orderd: %s:6: [colours]" % file,
                  "orderd: ORDERD_ADMIN_ADDRESS: [admin] address", "orderd: --log-level: [log]")
        lines = err.splitlines()
        self.assertEqual(len(lines), len(starts), err)
        for line, start in zip(lines, starts):
            self.assertTrue(line.startswith(start), line)
        self.assertNotIn("hunter2", err)

    def test_a_named_file_has_to_be_there(self):
        _, err = self.orderd("receive", "-c", self.path("none.conf"), code=78, config=False)
        self.assertIn("none.conf: cannot be read: No such file or directory", err)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_a_file_that_may_not_be_read_ends_with_77(self):
        self.config("")
        os.chmod(self.directory, 0o755)
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", tap.program(),
             "sign", "-c", self.path("orderd.conf"), "-"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        if b"failed to execute" in done.stdout:
            self.skipTest("nobody may not run the program under test")
        self.assertEqual(done.returncode, 77, done.stdout)

    def test_secrets_do_not_come_from_flags_or_the_environment(self):
        _, err = self.orderd("config", "--webhook-secret", "hunter2", code=64)
        self.assertIn("secrets do not come from the command line", err)
        _, err = self.orderd("receive", code=78,
                             environment={"ORDERD_WEBHOOK_SECRET": "hunter2"})
        self.assertIn("secrets do not come from the environment", err)
        self.assertNotIn("hunter2", err)


class Check(Case):
    def findings(self, *words, code):
        found = json.loads(self.orderd("check", "--json", *words, code=code)[0])
        return found["faults"], found["warnings"]

    def test_what_is_in_order_is_called_so(self):
        self.config("")
        self.assertEqual(self.findings(code=0), ([], []))
        self.assertIn("everything is in order", self.orderd("check")[0])

    def test_faults_and_warnings_of_all_kinds_come_in_one_go(self):
        self.credential("short", "fifteen bytes..")
        self.credential("weak", "twenty bytes........")
        self.config("""[listen]
address = 0.0.0.0:8480
public_url = http://shop.example/hook
tls_key = /k
max_connections = 1000000
[admin]
address = 0.0.0.0:8481
[webhook]
secret = credential:short
secret_previous = credential:weak
tolerance = 1h
[log]
level = loud
""")
        os.chmod(self.path("orderd.conf"), 0o666)
        faults, warnings = self.findings(code=1)
        for told, parts in ((faults, (":13: [log] level", ":4: [listen] tls_key needs",
                                      "everybody may write it", "fewer than 16 bytes")),
                            (warnings, ("fewer than 24 bytes", ":2: [listen] address: customers'",
                                        ":7: [admin] address: anybody", "its path is not [listen]",
                                        "without TLS customers'", ":11: [webhook] tolerance",
                                        ":5: [listen] max_connections: needs"))):
            self.assertEqual(len(told), len(parts), told)
            for part in parts:
                self.assertTrue(any(part in text for text in told), "%s in %s" % (part, told))

    def test_a_secret_others_can_read_is_refused(self):
        file = self.write("secret", SECRET, 0o644)
        self.config("[webhook]\nsecret = file:%s\n" % file)
        faults, _ = self.findings(code=1)
        self.assertEqual(len(faults), 1)
        self.assertIn("open to group or others", faults[0])
        self.assertNotIn(SECRET, faults[0])
        os.chmod(file, 0o400)
        self.assertEqual(self.findings(code=0), ([], []))

    def test_an_api_key_is_needed_only_where_it_is_named(self):
        os.unlink(self.path("credentials/api-key"))
        self.config("")
        faults, warnings = self.findings(code=0)
        self.assertEqual((faults, len(warnings)), ([], 1))
        self.assertIn("only orderd receive does without", warnings[0])
        self.config("[torque]\napi_key = credential:api-key\n")
        faults, _ = self.findings(code=1)
        self.assertIn(":2: [torque] api_key = credential:api-key: cannot open", faults[0])
        for verb in ("reconcile", "run"):
            _, err = self.orderd(verb, code=78)
            self.assertIn("[torque] api_key = credential:api-key: cannot open", err)

    def test_a_key_that_no_header_carries_is_refused(self):
        self.credential("api-key", "a key with spaces in it, X-Evil: 1")
        self.config("[torque]\napi_key = credential:api-key\n")
        faults, _ = self.findings(code=1)
        self.assertIn("it holds a space or a byte that is no visible ASCII", faults[0])
        self.assertNotIn("X-Evil", faults[0])

    def test_a_file_that_holds_no_certificates_is_a_fault(self):
        self.config("[torque]\nca_file = %s\n" % self.write("ca.pem", "no PEM"))
        faults, _ = self.findings(code=1)
        self.assertEqual(len(faults), 1)
        self.assertIn(":2: [torque] ca_file: ", faults[0])

    def test_a_key_that_is_no_base64_is_refused(self):
        self.credential("webhook-secret", "whsec_this is no base64 at all")
        self.config("[webhook]\nkey = base64\n")
        self.assertIn("not base64 behind whsec_", self.findings(code=1)[0][0])

    def test_a_decoded_key_has_16_bytes_too(self):
        self.credential("webhook-secret", "whsec_" + base64.b64encode(b"fifteen bytes..").decode())
        self.config("[webhook]\nscheme = standard\n")
        self.assertIn("decodes to fewer than 16 bytes", self.findings(code=1)[0][0])

    @tools.needed("openssl")
    def test_certificate_and_key_are_looked_at(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, cwd=self.directory, timeout=60,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def make(name, days):
            """req makes no certificate that ends in the past; ca does."""
            now = time.time()
            start, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at))
                          for at in (now - 10 * 86400, now + days * 86400))
            self.write("index.txt", "")
            openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=shop.example", "-keyout", name + ".key", "-out", name + ".csr")
            openssl("ca", "-batch", "-selfsign", "-config", "ca.conf", "-keyfile", name + ".key",
                    "-in", name + ".csr", "-out", name + ".pem", "-startdate", start,
                    "-enddate", end)

        self.write("ca.conf", "[ca]\ndefault_ca = a\n"
                   "[a]\ndatabase = index.txt\nrand_serial = yes\nnew_certs_dir = .\n"
                   "default_md = sha256\npolicy = p\n[p]\ncommonName = supplied\n")
        def judge(certificate, key, code):
            self.config("[listen]\ntls_certificate = %s\ntls_key = %s\n" % (
                self.path(certificate), self.path(key)))
            return self.findings(code=code)
        make("good", 90)
        make("soon", 3)
        make("old", -1)
        self.assertEqual(judge("good.pem", "good.key", 0), ([], []))
        self.assertIn("expires at", judge("soon.pem", "soon.key", 0)[1][0])
        self.assertIn("expired at", judge("old.pem", "old.key", 1)[0][0])
        self.assertIn("mismatch", judge("good.pem", "soon.key", 1)[0][0])
        self.assertIn("none.pem", judge("none.pem", "good.key", 1)[0][0])
        self.credential("tls", open(self.path("good.key"), encoding="ascii").read())
        self.config("[listen]\ntls_certificate = %s\ntls_key = credential:tls\n" %
                    self.path("good.pem"))
        self.assertEqual(self.findings(code=0), ([], []))

    def test_a_slip_in_a_variable_is_a_warning(self):
        self.config("")
        out, _ = self.orderd("check", environment={"ORDERD_LISTEN_ADRESS": "x"})
        self.assertIn("did you mean ORDERD_LISTEN_ADDRESS?", out)

    def test_a_database_that_is_not_there_is_a_fault(self):
        self.config("[database]\nconninfo = host=%s dbname=none\n" % self.directory)
        out, err = self.orderd("check", "--online", "--json", code=1)
        faults = json.loads(out)["faults"]
        self.assertEqual((len(faults), err), (1, ""))
        self.assertIn("orderd.conf:2: [database] conninfo: ", faults[0])


class SignAndVerify(Case):
    def setUp(self):
        super().setUp()
        self.body = self.write("body.json", BODY)

    def verify(self, signature, *words, body=None, code=1):
        out, _ = self.orderd("verify", body or self.body, "--signature", signature, "--json",
                             *words, code=code)
        return json.loads(out)

    def test_signatures_are_those_of_a_sender(self):
        for scheme, options in (("torque", {}), ("timestamped", {"at": 1705312800}),
                                ("standard", {"at": 1705312800, "message_id": "msg_7"})):
            out, _ = self.orderd("sign", self.body, "--webhook-scheme", scheme, "--id", "msg_7",
                                 "--at", "2024-01-15T10:00:00Z")
            expected = sign.headers(scheme, BODY, **options)
            self.assertEqual(out, "".join("%s: %s\n" % item for item in expected.items()))

    def test_standard_input_is_a_body_too(self):
        for body in (BODY, BODY * 10000):  # more than a pipe gives at a time
            out, _ = self.orderd("sign", "-", stdin=body)
            self.assertEqual(out, self.orderd("sign", self.write("same.json", body))[0])

    def test_a_body_of_16_mib_is_taken_and_one_byte_more_is_not(self):
        longest = b" " * (16 << 20)
        self.orderd("sign", self.write("longest.json", longest))
        _, err = self.orderd("sign", self.write("longer.json", longest + b" "), code=65)
        self.assertIn("longer than any body", err)

    def test_what_is_genuine_is_called_so_in_every_form(self):
        for form in ("hex", "HEX", "prefixed", "base64"):
            value = sign.torque(BODY, form=form)["X-Torque-Signature"]
            self.assertEqual(self.verify(value, code=0)["verdict"], "genuine")

    def test_the_secret_that_matched_is_named(self):
        self.credential("old", "an older secret, long enough")
        self.config("[webhook]\nsecret_previous = credential:old\n")
        value = sign.torque(BODY, "an older secret, long enough")["X-Torque-Signature"]
        self.assertEqual(self.verify(value, code=0)["secret"], "secret_previous")

    def test_a_failure_has_its_reason_and_the_reading_that_would_match(self):
        right = sign.torque(BODY)["X-Torque-Signature"]
        url_safe = right_base64 = ""
        for number in range(100):  # one with a character that base64url writes otherwise
            body = BODY + b" " * number
            right_base64 = sign.torque(body, form="base64")["X-Torque-Signature"]
            url_safe = right_base64.replace("+", "-").replace("/", "_").rstrip("=")
            if url_safe != right_base64.rstrip("="):
                break
        other = self.write("other.json", body)
        newline = self.write("newline.json", BODY + b"\n")
        crlf = self.write("crlf.json", b'{\r\n"a": 1}')
        pretty = self.write("pretty.json", json.dumps(json.loads(BODY), indent=2))
        compact = json.dumps(json.loads(BODY), separators=(",", ":")).encode()
        decoded = sign.torque(BODY, kind="base64")["X-Torque-Signature"]
        for told, verdict, hint in (
                (self.verify(""), "absent", None),
                (self.verify("zz"), "malformed", "no other reading"),
                (self.verify("0" * 64), "forged", "no other reading"),
                (self.verify(url_safe, body=other), "malformed", "standard base64"),
                (self.verify('"%s"' % right), "malformed", "without quotes"),
                (self.verify("X-Torque-Signature: " + right), "malformed", "name of the header"),
                (self.verify(right, body=newline), "forged", "without the newline"),
                (self.verify(sign.torque(BODY + b"\n")["X-Torque-Signature"]), "forged",
                 "with a newline"),
                (self.verify(sign.torque(b'{\n"a": 1}')["X-Torque-Signature"], body=crlf),
                 "forged", "with LF line ends"),
                (self.verify(sign.torque(compact)["X-Torque-Signature"], body=pretty), "forged",
                 "compact JSON"),
                (self.verify(decoded), "forged", "[webhook] key = base64"),
                (self.verify(sign.timestamped(BODY)["X-Torque-Signature"]), "malformed",
                 "[webhook] scheme = timestamped")):
            self.assertEqual(told["verdict"], verdict, told)
            if hint:
                self.assertIn(hint, told["hint"])
            else:
                self.assertIsNone(told["hint"])

    def test_a_signature_grows_stale(self):
        value = sign.timestamped(BODY, at=1705312800)["X-Torque-Signature"]
        words = ("--webhook-scheme", "timestamped")
        self.assertEqual(self.verify(value, *words)["verdict"], "stale")
        for at, verdict in (("10:05:00", "genuine"), ("10:05:01", "stale"), ("09:54:59", "stale")):
            told = self.verify(value, *words, "--at", "2024-01-15T%sZ" % at,
                               code=0 if verdict == "genuine" else 1)
            self.assertEqual(told["verdict"], verdict, at)

    def test_the_scheme_standard_needs_its_other_headers(self):
        made = sign.standard(BODY, at=1705312800)
        words = ["verify", self.body, "--webhook-scheme", "standard", "--signature",
                 made["webhook-signature"]]
        self.assertIn("--id", self.orderd(*words, code=64)[1])
        self.orderd(*words, "--id", "msg_1", "--timestamp", "1705312800", "--at",
                    "2024-01-15T10:00:00Z")

    def test_a_body_that_cannot_be_read_ends_with_65(self):
        self.assertIn("No such file", self.orderd("sign", self.path("none"), code=65)[1])
        self.assertIn("Is a directory", self.orderd("sign", self.directory, code=65)[1])

    def test_words_that_would_break_a_header_are_refused(self):
        self.orderd("sign", self.body, "--id", "a\nb", code=64)
        self.orderd("sign", self.body, "--at", "yesterday", code=64)

    def test_a_date_is_a_time_as_it_is_everywhere(self):
        words = ("sign", self.body, "--webhook-scheme", "timestamped", "--at")
        midnight = sign.timestamped(BODY, at=1705276800)["X-Torque-Signature"]
        for at in ("2024-01-15", "2024-01-15T00:00:00Z"):
            self.assertEqual(self.orderd(*words, at)[0], "X-Torque-Signature: %s\n" % midnight)
        self.verify(midnight, "--webhook-scheme", "timestamped", "--at", "2024-01-15", code=0)
        for verb in (words[:-1], ("verify", self.body, "--signature", midnight)):
            _, err = self.orderd(*verb, "--at", "2024-01-32", code=64)
            self.assertIn("--at takes a time as 2026-03-01T12:00:00Z, or a date", err)

    def test_a_number_out_of_its_range_is_told_the_range(self):
        for count in ("0", "100001", "1e3"):
            _, err = self.orderd("trigger", "order.paid", "--count", count, code=64)
            self.assertIn("--count takes a number from 1 to 100000", err)

    def test_without_its_secret_nothing_is_signed(self):
        os.unlink(self.path("credentials/webhook-secret"))
        out, err = self.orderd("sign", self.body, code=78)
        self.assertEqual(out, "")
        self.assertIn("[webhook] secret = credential:webhook-secret: cannot open", err)


class Receiving(Case):
    """The receiver with no database: what does not need one."""

    def start(self, deadline="200ms", **options):
        orderd = daemon.Daemon("host=%s dbname=none" % self.directory, ready=False, start=False,
                               **options)
        orderd.change({"webhook": {"answer_deadline": deadline}})
        orderd.start(ready=False)
        self.addCleanup(orderd.close)
        return orderd

    def test_an_address_in_use_is_told_and_ends_with_75(self):
        orderd = self.start()
        self.config("[listen]\naddress = %s\n[admin]\naddress =\n" % orderd.address)
        _, err = self.orderd("receive", code=75)
        self.assertIn("listen_failed", err)

    def test_a_reload_applies_path_and_secret(self):
        orderd = self.start()
        self.assertEqual(orderd.deliver(BODY).status, 503)
        other = "another secret, long enough"
        orderd.write_secrets({"webhook-secret": other})
        orderd.change({"listen": {"path": "/other"}})
        orderd.reload()
        orderd.says("reloaded")
        self.assertEqual(orderd.deliver(BODY).status, 401)
        orderd.secret = other
        self.assertEqual(orderd.deliver(BODY).status, 503)
        self.assertEqual(orderd.metrics()["orderd_reloads_total"], 1)

    def test_a_faulty_reload_changes_nothing_and_says_every_fault(self):
        orderd = self.start()
        orderd.change({"listen": {"path": "other", "adress": "x"}, "log": {"level": "loud"}})
        orderd.reload()
        orderd.says("reload_refused")
        wait.until(lambda: orderd.log().count("config_fault") == 3, 10, orderd.log)
        orderd.change({"listen": {"path": None, "adress": None}, "log": {"level": "debug"}})
        self.assertEqual(orderd.deliver(BODY).status, 503)
        self.assertEqual(orderd.metrics()["orderd_reloads_refused_total"], 1)
        orderd.write_secrets({"webhook-secret": "short"})
        orderd.reload()
        wait.until(lambda: orderd.metrics()["orderd_reloads_refused_total"] == 2, 10, orderd.log)
        self.assertEqual(orderd.deliver(BODY).status, 503)

    def test_a_reload_names_the_keys_that_need_a_restart(self):
        orderd = self.start()
        orderd.change({"listen": {"max_connections": "77"}, "database": {"connections": "3"}})
        orderd.reload()
        orderd.says("reloaded")
        for key in ("[listen] max_connections", "[database] connections"):
            wait.until(lambda: key + " changed; that needs a restart" in orderd.log(), 10,
                       orderd.log)

    def test_term_ends_it_with_0_and_so_does_int(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            orderd = self.start()
            orderd.signal(number)
            self.assertEqual(orderd.process.wait(10), 0)
            self.assertIn("stopped", orderd.log())

    def held(self, orderd):
        """A connection with a genuine delivery that waits for its commit."""
        connection = orderd.connect()
        connection.send(http.request_bytes(body=BODY, headers=orderd.signed(BODY)))
        wait.until(lambda: orderd.metrics()["orderd_facts_queued"] == 1, 2, "it waits", 0.005)
        return connection

    def test_term_answers_what_is_under_way(self):
        orderd = self.start(deadline="1s")
        with self.held(orderd) as connection:
            orderd.signal(signal.SIGTERM)
            self.assertEqual(connection.answer().status, 503)
            self.assertEqual(orderd.process.wait(10), 0)

    def test_a_second_term_leaves_at_once(self):
        orderd = self.start(deadline="2500ms")
        with self.held(orderd):
            start = time.monotonic()
            orderd.signal(signal.SIGTERM)
            orderd.says("stopping")
            orderd.signal(signal.SIGTERM)
            self.assertEqual(orderd.process.wait(10), 0)
            self.assertLess(time.monotonic() - start, 2.0)
        self.assertRegex(orderd.log(), "drain_cut waiting=1")

    def test_trigger_finds_the_receiver_and_prints_its_answer(self):
        orderd = self.start()
        self.config("[listen]\naddress = %s\n" % orderd.address)
        out, _ = self.orderd("trigger", "order.paid", "--count", "2", "--json", code=75)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([row["status"] for row in rows], [503, 503])
        self.assertEqual(len({row["order"] for row in rows}), 2)
        for row in rows:
            self.assertRegex(row["order"], r"^orderd-test\.[0-9a-f]{12}$")
        self.config("[listen]\naddress = %s\npath = /other\n" % orderd.address)
        self.assertIn("404", self.orderd("trigger", "order.paid", code=1)[0])

    @tools.needed("openssl")
    def test_a_reload_takes_a_new_certificate_and_refuses_a_broken_one(self):
        def renew():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
                            "-keyout", self.path("tls.key"), "-out", self.path("tls.pem")],
                           check=True, stderr=subprocess.DEVNULL, timeout=60)

        def shown(orderd):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with http.Connection(orderd.address, tls=context) as connection:
                return connection.socket.getpeercert(binary_form=True)

        def trigger(orderd, code):
            return self.orderd("trigger", "order.paid", "--ca-file", self.path("tls.pem"),
                               "--to", "https://%s/webhooks/torque" % orderd.address, code=code)
        renew()
        orderd = self.start(settings={"listen": {"tls_certificate": self.path("tls.pem"),
                                                 "tls_key": self.path("tls.key")}})
        self.assertIn("503", trigger(orderd, 75)[0])
        first = shown(orderd)
        renew()
        trigger(orderd, 69)  # the old certificate is shown, the new one is trusted
        orderd.reload()
        orderd.says("reloaded")
        self.assertNotEqual(shown(orderd), first)
        self.assertIn("503", trigger(orderd, 75)[0])
        second = shown(orderd)
        self.write("tls.pem", "no certificate")
        orderd.reload()
        orderd.says("reload_refused")
        self.assertEqual(shown(orderd), second)

    def test_trigger_refuses_what_it_cannot_send(self):
        self.config("[listen]\naddress = 127.0.0.1:0\n")
        for words in (("order.payed",), ("order.paid", "--count", "0"),
                      ("order.paid", "--order", "a b"), ("order.paid",),
                      ("order.paid", "--to", "http://shop.example/hook")):
            self.orderd("trigger", *words, code=64)
        self.assertIn("did you mean order.paid?", self.orderd("trigger", "order.payed", code=64)[1])

    def test_trigger_without_a_receiver_ends_with_69(self):
        orderd = self.start()
        url = "http://%s/webhooks/torque" % orderd.address
        orderd.close()
        self.config("")
        self.orderd("trigger", "order.paid", "--to", url, code=69)


class WithDatabase(Case):
    """What goes the whole way, into a real database."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.api = fake_torque.FakeTorque(
            fake_torque.Shop(), fake_torque.Webhooks(SECRET, 1), "an-api-key-for-these-tests")
        cls.addClassCleanup(cls.api.start().close)

    def online(self, database, code, *words):
        self.config("[database]\nconninfo = %s\n[torque]\nbase_url = %s\n" % (
            database.conninfo(), self.api.url))
        out, err = self.orderd("check", "--online", "--json", *words, code=code)
        self.assertNotIn("event=database", err, "it is a person who reads this")
        return json.loads(out)["faults"]

    def test_a_migrated_database_is_in_order(self):
        self.assertEqual(self.online(self.cluster.migrated(), 0), [])

    def test_a_database_without_the_schema_is_a_fault(self):
        database = self.cluster.create_database()
        faults = self.online(database, 1, "--database-conninfo", database.conninfo("postgres"))
        self.assertEqual(len(faults), 1)
        self.assertIn("orderd migrate", faults[0])

    def test_a_role_without_its_rights_is_a_fault(self):
        database = self.cluster.migrated()
        database.query("revoke execute on all functions in schema torque from orderd")
        faults = self.online(database, 1)
        self.assertEqual(len(faults), 1)

    def test_each_right_that_is_missing_is_named(self):
        database = self.cluster.migrated()
        self.assertEqual(len(self.online(database, 0)), 0)
        database.query("revoke execute on function torque.link_made(text, timestamptz),"
                       " torque.reconcile_next from orderd")
        faults = self.online(database, 1)
        self.assertEqual(len(faults), 1)
        self.assertIn("may not execute torque.link_made, torque.reconcile_next;", faults[0])
        database.query("drop function torque.link_made(text, timestamptz)")
        self.assertEqual(self.online(database, 1), faults)

    def test_a_server_that_forgets_in_a_crash_is_a_fault_unless_allowed(self):
        database = self.cluster.migrated()
        self.cluster.configure({"fsync": "off"})
        self.addCleanup(self.cluster.configure, {"fsync": "on"})
        with database.session() as session:
            wait.until(lambda: session.value("show fsync") == "off", 10, "fsync is off")
        self.assertIn("fsync", self.online(database, 1)[0])
        self.assertEqual(self.online(database, 0, "--database-allow-unsafe-fsync", "yes"), [])

    def test_a_triggered_life_ends_as_a_row(self):
        database = self.cluster.migrated()
        with daemon.Daemon(database) as orderd:
            self.config("[listen]\naddress = %s\n" % orderd.address)
            for event, status in (("order.created", "pending"), ("order.paid", "processing"),
                                  ("payment.failed", "processing"),
                                  ("order.completed", "completed"),
                                  ("order.refunded", "refunded")):
                out, _ = self.orderd("trigger", event, "--order", "order_1", "--json")
                answer = json.loads(out)
                self.assertEqual((answer["status"], answer["order"]), (200, "order_1"))
                self.assertEqual(database.value(
                    "select status from torque.orders where order_id = 'order_1'"), status, event)
            self.orderd("trigger", "order.cancelled", "--order", "order_2", "--count", "3")
            self.orderd("trigger", "order.paid", "--order", "order_3", "--status", "sent_by_owl")
            self.orderd("trigger", "order.paid")
        rows = database.query("select order_id, status, raw_status from torque.orders order by 1")
        self.assertEqual([tuple(row) for row in rows], [
            ("order_1", "refunded", None), ("order_2", "cancelled", None),
            ("order_3", "unknown", "sent_by_owl")])
        self.assertEqual(database.value(
            "select count(*) from torque.order_events where order_id = 'order_2'"), "3")
        self.assertEqual(database.value("select count(*) from torque.quarantine"), "0")

    def test_trigger_speaks_every_scheme(self):
        database = self.cluster.migrated()
        for scheme in ("torque", "standard", "timestamped"):
            with daemon.Daemon(database, {"webhook": {"scheme": scheme}}) as orderd:
                self.config("[listen]\naddress = %s\n[webhook]\nscheme = %s\n" % (
                    orderd.address, scheme))
                self.orderd("trigger", "order.paid", "--count", "2")


if __name__ == "__main__":
    tap.main()
