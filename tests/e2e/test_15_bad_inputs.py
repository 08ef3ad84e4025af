#!/usr/bin/env python3
# needs: orderd; beside: no
"""Whatever is sent to orderd receive has the answer wanted for it, and harms nobody else.

Every row of bad_inputs.py goes to a real orderd before a real PostgreSQL. After each of them a
good delivery on a new connection is answered 200, and at the end each body that was acknowledged
is in the tables once and byte for byte, nothing that was refused is anywhere, and what was sent
stands in no log, metric or process list. (Retry-After, the last row of section G, is read by the
outbound client only: tests/unit/reply_test.c.)
"""

import base64
import hashlib
import re
import subprocess
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bad_inputs as bad
from support import daemon, events, http, pg, sign, tap

FORGER = "whsec_Rm9yZ2VkU2VjcmV0Rm9yZ2VkU2VjcmV0"
SLOW = 5.0  # seconds, for the longest answer: busy cores and disks, bodies of a mebibyte
STATES = 300  # orders nobody knows of
FREE_GROWTH_KIB = 16 * 1024

# Digests of what is kept, of facts and of unusable bodies alike, and of what it was kept under.
KEPT = """
select encode(e.event_key, 'hex'), encode(sha256(convert_to(e.payload::text, 'UTF8')), 'hex'),
    e.deliveries
from torque.order_events e
union all
select encode(q.body_key, 'hex'), encode(sha256(q.body), 'hex'), q.deliveries
from torque.quarantine q"""

# What of a row would be a leak as it stands, beside the canaries.
TELLTALES = ["DROP TABLE", "drop table", "evil.test", "169.254.169.254", "business_999",
             "session_shared", "order.paid", "v1/business", "on_hold"]


def digest(body):
    return hashlib.sha256(body).hexdigest()


def statuses(data):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def is_wanted(wanted, got):
    return got in wanted.split("|")


def spellings(word):
    """A word, and how it might stand somewhere without being recognised."""
    plain = word.encode()
    return [word, plain.hex(), base64.b64encode(plain).decode().rstrip("=")[:-1]]


def leaks(words, texts):
    """(where, word) of each word that stands in one of the texts, {where: text}."""
    return [(where, word) for word in words for one in spellings(word)
            for where, text in texts.items() if one in text]


def unprintable(log):
    return [line for line in log.splitlines() if re.search(r"[^ -~]", line)]


class Site:
    """An orderd with a database of its own, and the book of what it has acknowledged."""

    def __init__(self, cluster, scheme):
        self.scheme = scheme
        self.database = cluster.migrated()
        self.orderd = daemon.Daemon(self.database, {
            "torque": {"business_id": events.BUSINESS}, "webhook": {"scheme": scheme}})
        self.address = self.orderd.address
        self.session = self.database.session()
        self.acknowledged = Counter()
        self.refused = set()
        self.signatures = set()
        self.refusals = Counter()  # shapes of the answers 401
        self.slowest = 0.0
        self.good_ids = bad.Ids("good_" + scheme)

    def close(self):
        self.session.close()
        self.orderd.close()

    def send(self, body, lines):
        """POST body under exactly these header lines; the answer."""
        started = time.monotonic()
        self.signatures.update(word for line in lines if not line.startswith("webhook-id")
                               for word in re.findall(r"[^\s,=:]{40,}", line))
        data = bad.head("POST", http.PATH, "Content-Length: %d" % len(body), "Connection: close",
                        *lines) + body
        with http.Connection(self.address) as connection:
            connection.send(data)
            answer = connection.answer()
        self.slowest = max(self.slowest, time.monotonic() - started)
        self._write_down(body, answer)
        return answer

    def _write_down(self, body, answer):
        if answer.status == 200:
            self.acknowledged[digest(body)] += 1
            return
        self.refused.add(digest(body))
        if answer.status == 401:
            said = {name: value for name, value in answer.json().items()
                    if name not in ("timestamp", "requestId")}
            self.refusals[repr((sorted(answer.headers), sorted(answer.json()), said))] += 1

    def signed(self, body):
        return bad.lines(self.orderd.signed(body))

    def word(self, body, answer):
        """The outcome, the reason of a quarantined body, or the status."""
        if answer.status != 200:
            return str(answer.status)
        if answer.outcome != "quarantined":
            return answer.outcome + self.oddities(body)
        return self.session.value("select reason from torque.quarantine where body_key = '\\x%s'"
                                  % digest(body))

    def oddities(self, body):
        """", unknown total" for a fact whose total could not be used, ", assumed total" for one
        that was read with an assumption."""
        return "".join(self.session.value(
            "select concat(', unknown ' || array_to_string(faults, ' '),"
            " ', assumed ' || array_to_string(assumed, ' ')) from torque.order_events"
            " where event_key = '\\x%s'" % digest(body)) or "")

    def faults(self, rows):
        """Send each row, and a good delivery after it; what went wrong."""
        found = []
        for row in rows:
            found += self.row_faults(*row) + self.good_faults(row[0])
        return found

    def row_faults(self, name, body, lines, wanted):
        """lines: the header lines of the signature; None: the right ones."""
        try:
            answer = self.send(body, self.signed(body) if lines is None else lines)
            got = self.word(body, answer)
        except (OSError, ValueError) as error:
            got = repr(error)
        if is_wanted(wanted, got if "," in wanted else got.split(",")[0]):
            return []
        return ["%s: wanted %s, got %s" % (name, wanted, got)]

    def good_faults(self, name):
        body = bad.told(order_id=self.good_ids())
        answer = self.send(body, self.signed(body))
        if (answer.status, answer.outcome) == (200, "applied"):
            return []
        return ["after %s: a good delivery was answered %r" % (name, answer)]

    def forged(self, body):
        return bad.lines(sign.headers(self.scheme, body, FORGER))

    def kept_faults(self):
        """Where the tables and the book differ."""
        rows = self.session.query(KEPT)
        kept = Counter()
        for key, content, deliveries in rows:
            kept[content] += int(deliveries)
        once = Counter(content for _, content, _ in rows)
        found = ["kept under another key: " + key for key, content, _ in rows if key != content]
        found += ["kept %d times: %s" % (n, content) for content, n in once.items() if n != 1]
        found += ["acknowledged and gone: " + one for one in self.acknowledged - kept]
        found += ["kept and never acknowledged: " + one for one in kept - self.acknowledged]
        return found

    def dump(self):
        """All that the database holds, as text."""
        done = subprocess.run(
            [pg.program("pg_dump"), "-a", "-d", self.database.conninfo("postgres")],
            stdout=subprocess.PIPE, check=True, timeout=60)
        return done.stdout.decode()

    def texts(self):
        """Everything anybody may read who may not read the tables."""
        metrics = http.get(self.orderd.admin_address, "/metrics").body.decode()
        queries = self.session.query("select query from pg_stat_activity where usename = 'orderd'")
        found = {"log": self.orderd.log(), "metrics": metrics,
                 "queries": "\n".join(row[0] for row in queries)}
        for name in ("cmdline", "environ", "comm"):
            path = Path("/proc/%d/%s" % (self.orderd.process.pid, name))
            found[name] = path.read_bytes().decode("latin-1")
        return found

    def words(self):
        """What may stand in none of them."""
        secret = self.orderd.secret
        key = sign.key_bytes(secret, "base64")
        return (bad.CANARIES + TELLTALES + sorted(self.signatures)
                + [secret, secret[len("whsec_"):], key.hex(), key.decode("latin-1"), FORGER])


def signed_rows(section):
    return [(name, body, None, wanted) for name, body, wanted in bad.BODIES
            if name.startswith(section)]


class BadInputs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.sites = {}
        for scheme in ("torque", "timestamped", "standard"):
            cls.sites[scheme] = Site(cls.cluster, scheme)
            cls.addClassCleanup(cls.sites[scheme].close)
        cls.site = cls.sites["torque"]

    def check(self, rows, site=None):
        rows = list(rows)
        self.assertTrue(rows)
        self.assertEqual((site or self.site).faults(rows), [])

    def test_nothing_unsigned_is_parsed_or_stored(self):
        site = Site(self.cluster, "torque")
        self.addCleanup(site.close)
        found = []
        for name, body, _ in bad.BODIES:
            found += site.row_faults("unsigned " + name, body, [], "401")
            found += site.row_faults("forged " + name, body, site.forged(body), "401")
            found += site.good_faults(name)
        self.assertEqual(found, [])
        self.assertEqual(len(site.refusals), 1, site.refusals)
        self.assertEqual(site.kept_faults(), [])
        dump, metrics = site.dump(), site.orderd.metrics()
        self.assertIn("good_torque_0001", dump)
        self.assertEqual(leaks(["bad_0", "order_case", "DROP TABLE"], {"database": dump}), [])
        counts = {outcome: metrics.get('orderd_deliveries_total{outcome="%s"}' % outcome)
                  for outcome in ("applied", "quarantined", "unsigned")}
        self.assertEqual(counts, {"applied": site.good_ids.count, "quarantined": 0,
                                  "unsigned": 2 * len(bad.BODIES)})

    def test_c_signatures_of_the_scheme_torque(self):
        self.check(bad.torque_rows(self.site.orderd.secret))

    def test_c_signatures_with_a_time(self):
        site = self.sites["timestamped"]
        self.check(bad.timestamped_rows(site.orderd.secret, int(time.time())), site)

    def test_c_signatures_of_standard_webhooks(self):
        site = self.sites["standard"]
        self.check(bad.standard_rows(site.orderd.secret, int(time.time())), site)

    def test_d_syntax_and_encoding(self):
        self.check(signed_rows("D"))

    def test_e_numbers_money_status_types(self):
        self.check(signed_rows("E"))

    def test_f_identifiers(self):
        self.check(signed_rows("F"))

    def test_g_time(self):
        self.check(signed_rows("G"))

    def test_a_and_b_requests_that_are_no_delivery(self):
        found = []
        for name, data, status, allow in bad.requests(self.site.orderd.secret):
            reply = http.raw(self.address, data, half_close=True)
            allows = re.findall(r"(?i)^allow: *(.*?)\r$", reply.decode("latin-1"), re.MULTILINE)
            if statuses(reply) != [status] or allows != ([allow] if allow else []):
                found.append("%s: wanted %d, got %r" % (name, status, reply[:300]))
            found += self.site.good_faults(name)
        self.assertEqual(found, [])

    @property
    def address(self):
        return self.site.address

    def take(self, body):
        answer = self.site.send(body, self.site.signed(body))
        self.assertEqual(answer.status, 200, answer)
        return answer.outcome

    def one(self, sql, *words):
        return self.site.session.query(sql % tuple(words))[0]

    def test_money_comes_out_digit_for_digit(self):
        for form in (bad.told, bad.told2):
            for amount in bad.AMOUNTS:
                order_id = bad.ids()
                number = bad.Raw(amount)
                members = ({"amount": number} if form is bad.told2 else
                           {"cart": {"total": number, "currency": "EUR"}, "payment": None})
                self.assertEqual(self.take(form(order_id=order_id, **members)), "applied")
                self.assertEqual(self.one("select total::text from torque.orders"
                                          " where order_id = '%s'", order_id), [amount])

    def test_what_is_odd_is_taken_and_told(self):
        suspicion = "select suspicion from torque.suspect_orders where order_id = '%s'"
        item = {"productId": "prod_pin", "quantity": 2, "price": bad.Raw("0.99")}
        cart = {"items": [item], "total": bad.Raw("1.99"), "currency": "EUR"}
        self.take(bad.told(order_id="odd_total", cart=cart, payment=None))
        self.assertEqual(self.one(suspicion, "odd_total"), ["total"])
        for order_id in ("odd_session_1", "odd_session_2"):
            self.take(bad.told(order_id=order_id, sessionId="session_of_two"))
            self.assertTrue(self.site.session.query(suspicion % order_id)
                            == ([["session"]] if order_id.endswith("2") else []))
        for order_id, word in (("odd_word", "On Hold"), ("odd_empty", ""),
                               ("odd_case", " Completed")):
            self.take(bad.told(order_id=order_id, status=word))
            self.assertEqual(self.one("select status, raw_status from torque.orders"
                                      " where order_id = '%s'", order_id), ["unknown", word])
        self.take(bad.told(order_id="odd_status_null", status=None))
        self.assertEqual(self.one("select status, raw_status from torque.orders"
                                  " where order_id = 'odd_status_null'"), ["processing", None])

    def test_odd_values_are_shown_and_counted_each_by_its_field(self):
        def counted():
            return {name: count for name, count in self.site.orderd.metrics().items()
                    if name.startswith("orderd_odd_values_total")}
        before = counted()
        cart = {"items": [{"productId": "p", "quantity": 1, "price": "0.99"}],
                "total": [], "currency": "EUR"}
        self.take(bad.told(order_id="odd_seen", cart=cart, payment=None,
                           createdAt="2024-06-01 10:00:00"))
        wanted = [("created_at", "assumed"), ("items.price", "assumed"), ("total", "fault")]
        self.assertEqual(self.site.session.query(
            "select field, kind from torque.odd_values"
            " where order_id = 'odd_seen' and received_at > now() - interval '1 hour'"
            " order by field"), [list(row) for row in wanted])
        grown = {name for name, count in counted().items() if count == before.get(name, 0) + 1}
        self.assertEqual(grown, {'orderd_odd_values_total{field="%s",kind="%s"}' % row
                                 for row in wanted})

    def test_an_order_of_a_thousand_lines_is_taken_as_long_as_its_body_may_be(self):
        lines = [{"productId": "prod_%d" % n, "variant": "of many", "quantity": 1,
                  "price": bad.Raw("0.10"), "total": bad.Raw("0.10"),
                  "metadata": {"name": "A line of a long order", "sku": "sku-%d" % n,
                               "color": "red", "size": "M", "image": "https://shop.example/%d" % n}}
                 for n in range(1000)]
        for order_id, count in (("many_1000", 1), ("many_4000", 4)):
            body = bad.told(order_id=order_id, payment=None, cart={
                "items": lines * count, "total": bad.Raw("100"), "currency": "EUR"})
            self.assertLess(len(body), bad.BODY_MAX)
            self.assertEqual(self.take(body), "applied")
            self.assertEqual(self.one("select count(*), sum(total) from torque.order_items"
                                      " where order_id = '%s'", order_id),
                             [str(1000 * count), "%d.00" % (100 * count)])

    def test_what_is_at_the_edge_is_read_as_it_is_meant(self):
        total = "select total = 0 from torque.orders where order_id = '%s'"
        self.take(bad.told(order_id="edge_zero", payment=None, cart={"total": bad.Raw("-0")}))
        self.assertEqual(self.one(total, "edge_zero"), ["t"])
        for order_id, stamp, meant in [
            ("edge_leap", "2016-12-31T23:59:60Z", "2017-01-01 00:00:00+00"),
            ("edge_cut", "2024-06-01T10:00:00.123456999Z", "2024-06-01 10:00:00.123456+00"),
            ("edge_zone", "2024-06-01T23:30:00-05:30", "2024-06-02 05:00:00+00"),
            ("edge_first", "2000-01-01T00:00:00Z", "2000-01-01 00:00:00+00"),
        ]:
            self.take(bad.envelope(lambda body: (body.update(timestamp=stamp),
                                                 body["data"].update(orderId=order_id))))
            self.assertEqual(self.one("select occurred_at from torque.order_events"
                                      " where order_id = '%s'", order_id), [meant])
        for order_id in ("edge_Case", "edge_case"):
            self.take(bad.told(order_id=order_id))
        self.assertEqual(self.one("select count(*) from torque.orders"
                                  " where lower(order_id) = 'edge_case'"), ["2"])

    def test_orders_nobody_knows_of_cost_a_row_each_and_no_memory(self):
        before = self.site.orderd.rss_kib()
        rows = int(self.site.session.value("select count(*) from torque.orders"))
        with self.site.orderd.connect() as connection:
            for _ in range(STATES):
                body = bad.told()
                answer = connection.request(body=body, headers=self.site.orderd.signed(body))
                self.site._write_down(body, answer)
                self.assertEqual(answer.outcome, "applied")
        self.assertEqual(int(self.site.session.value("select count(*) from torque.orders")),
                         rows + STATES)
        self.assertLess(self.site.orderd.rss_kib() - before, FREE_GROWTH_KIB)

    def test_what_was_acknowledged_is_kept_once_and_byte_for_byte_and_nothing_else(self):
        for site in self.sites.values():
            self.assertGreater(len(site.acknowledged), 10)
            self.assertEqual(site.kept_faults(), [])
            self.assertEqual(site.refused & set(site.acknowledged), set())
            self.assertLessEqual(len(site.refusals), 1, site.refusals)
            self.assertLess(site.slowest, SLOW)

    def test_no_personal_data_or_secret_in_any_log_metric_or_process_list(self):
        for site in self.sites.values():
            self.assertGreater(len(site.signatures), 10)
            self.assertIn("http_refused", self.site.orderd.log(), "the log tells of refusals")
            texts = dict(site.texts(), postgres=self.cluster.log())
            self.assertEqual(leaks(site.words(), texts), [])
            self.assertEqual(unprintable(site.orderd.log()), [])
            # All of them were sent, and the search finds them where they belong.
            kept = leaks(bad.CANARIES, {"tables": site.dump()})
            self.assertEqual({word for _, word in kept}, set(bad.CANARIES))

    def test_a_wrong_expectation_is_noticed(self):
        rows = [("a good one", bad.told(), None, "bad_json"),
                ("an empty one", b"", None, "applied"),
                ("an unsigned one", bad.told(), [], "applied"),
                ("another reason", b"{}", None, "bad_json"),
                ("a right one", bad.told(), None, "applied")]
        found = self.site.faults(rows)
        self.assertEqual([fault.split(":")[0] for fault in found], [row[0] for row in rows[:4]])

    def test_a_planted_canary_is_noticed(self):
        texts = self.site.texts()
        for where in texts:
            for word in bad.CANARIES + [self.site.orderd.secret, min(self.site.signatures)]:
                for one in spellings(word):
                    planted = dict(texts, **{where: texts[where] + one})
                    self.assertIn((where, word), leaks([word], planted))
        self.assertEqual(len(unprintable("level=info\nx=\u202e\ny=\x1b[0m\n")), 2)

    def test_what_is_missing_or_too_many_or_changed_is_noticed(self):
        session = self.site.session
        for change, noticed in [
            ("delete from torque.order_events where order_id = 'good_torque_0001'", "gone"),
            ("insert into torque.quarantine select sha256('x'), 'x', now(), 1, 'x'", "never"),
            ("update torque.quarantine set body = body || 'x' where body <> ''", "another key"),
            ("insert into torque.order_events (order_id, event_key, source, received_at, outcome,"
             " payload) select 'twice', event_key, source, received_at, outcome, payload"
             " from torque.order_events limit 1", "times"),
        ]:
            session.query("begin")
            session.query(change)
            found = self.site.kept_faults()
            session.query("rollback")
            self.assertTrue(any(noticed in fault for fault in found), (change, found[:3]))


if __name__ == "__main__":
    tap.main()
