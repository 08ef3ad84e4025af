#!/usr/bin/env python3
# needs: orderd; beside: yes; waits: yes
"""Every endpoint of the API by the command line, its errors, and what hostile answers do."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from support import case, certificate, fake_torque, tap, tools, wait

KEY = "test-api-key-0123456789abcdef"
SECRET = "webhook-secret-0123456789abcdef"
HOOK = "https://shop.example/webhooks/torque"
CART = {"cart": {"items": [{"productId": "prod_1", "quantity": 2, "price": 29.99}]},
        "customerData": {"email": "customer@example.com", "firstName": "John", "lastName": "Doe"}}


class Odd(fake_torque.FakeTorque):
    """Gives the answers it is told to give, before the shop is asked."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.answers = []
        self.bodies = []
        self.clock_ahead = 0  # seconds
        self.RequestHandlerClass = OddHandler


class OddHandler(fake_torque.Handler):
    def date_time_string(self, timestamp=None):
        return super().date_time_string((timestamp or time.time()) + self.server.clock_ahead)

    def api(self, method, parts, raw):
        self.server.bodies.append(raw)
        super().api(method, parts, raw)

    def route(self, method, parts, raw, now, fault):
        if self.server.answers:
            return self.server.answers.pop(0)
        return super().route(method, parts, raw, now, fault)


class Case(case.WithDatabase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.webhooks = fake_torque.Webhooks(SECRET, 1)

    def setUp(self):
        super().setUp()
        self.directory = tempfile.mkdtemp(prefix="orderd-api-")
        self.addCleanup(shutil.rmtree, self.directory)
        os.mkdir(self.path("credentials"), 0o700)
        self.write("credentials/api-key", KEY)
        self.write("credentials/webhook-secret", SECRET)
        self.shop = fake_torque.Shop()
        self.api = Odd(self.shop, self.webhooks, KEY, per_minute=1000).start()
        self.addCleanup(self.api.server_close)
        self.addCleanup(self.api.shutdown)
        self.config()

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as out:
            out.write(content)
        return self.path(name)

    def config(self, **torque):
        settings = {"base_url": self.api.url, "business_id": "business_123",
                    "requests_per_minute": "1000"}
        settings.update(torque)
        form = "[listen]\npublic_url = %s\n[database]\nconninfo = %s\n[torque]\n%s"
        self.write("orderd.conf", form % (
            HOOK, self.database.conninfo(),
            "".join("%s = %s\n" % item for item in settings.items() if item[1] is not None)))

    def environment(self):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("ORDERD_", "PG"))}
        return dict(kept, CREDENTIALS_DIRECTORY=self.path("credentials"))

    def command(self, *words):
        return [tap.program(), words[0], "-c", self.path("orderd.conf"), *words[1:]]

    def orderd(self, *words, code=0, stdin=""):
        """(stdout, stderr)"""
        done = subprocess.run(self.command(*words), input=stdin.encode(), env=self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, "%s\n%s%s" % (" ".join(words), out, err))
        for text in (out, err):
            self.assertEqual(re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text), [])
        return out, err

    def json(self, *words, code=0, stdin=""):
        return json.loads(self.orderd(*words, "--json", code=code, stdin=stdin)[0])

    def fill(self, count, status="pending", every=60):
        now = time.time()
        for number in range(count):
            self.shop.add("order_%05d" % number, now - number * every, status)

    def targets(self):
        return [entry["target"] for entry in self.api.log]

    def order(self, order_id):
        rows = self.database.query(
            "select status, total from torque.orders where order_id = '%s'" % order_id)
        return tuple(rows[0]) if rows else None


class Link(Case):
    def test_a_link_prints_its_url_session_and_expiry(self):
        out, err = self.orderd("link", "-", stdin=json.dumps(CART))
        self.assertRegex(out, r"^checkoutUrl: https://checkout\.torque\.fi/session/order_000001\n"
                              r"sessionId: session_order_000001\nexpiresAt: 2\S+Z\n$")
        self.assertEqual(err, "")
        self.assertEqual(self.targets(), ["/v1/checkout/generate-link"])

    def test_when_the_session_expires_is_kept_for_the_poller(self):
        out, _ = self.orderd("link", "-", stdin=json.dumps(CART))
        kept = self.database.query(
            "select session_id, expires_at = '%s' from torque_internal.checkout_session"
            % out.split("expiresAt: ")[1].strip())
        self.assertEqual(kept, [["session_order_000001", "t"]])

    def test_an_answer_without_an_expiry_is_a_link_too(self):
        self.api.answers = [(200, '{"success":true,"checkoutUrl":"https://x/","expiresAt":"1h"}')]
        out, err = self.orderd("link", "-", stdin=json.dumps(CART))
        self.assertIn("checkoutUrl: https://x/\n", out)
        self.assertEqual(err, "")

    def test_a_link_is_printed_whatever_becomes_of_the_note(self):
        self.database.query("alter table torque_internal.checkout_session rename to elsewhere")
        out, err = self.orderd("link", "-", stdin=json.dumps(CART))
        self.assertIn("checkoutUrl: https://checkout.torque.fi/session/order_000001\n", out)
        self.assertIn("the link is good all the same", err)

    def test_json_is_the_answer_of_the_API(self):
        answer = self.json("link", self.write("cart.json", json.dumps(CART)))
        self.assertEqual(answer["success"], True)
        self.assertEqual(answer["cartSummary"]["total"], 59.98)

    def sent(self, cart):
        self.orderd("link", "-", stdin=cart if isinstance(cart, str) else json.dumps(cart))
        return self.api.bodies[-1].decode()

    def test_the_business_and_the_webhook_are_put_in(self):
        for options in (None, {}, {"expiresIn": 60}, {"customFields": {"webhookUrl": "x"}}):
            cart = dict(CART) if options is None else dict(CART, options=options)
            sent = json.loads(self.sent(cart))
            self.assertEqual(sent["businessId"], "business_123")
            self.assertEqual(sent["options"], dict(options or {}, webhookUrl=HOOK))
            self.assertEqual({name: sent[name] for name in CART}, CART)

    def test_what_the_cart_says_itself_is_left_alone(self):
        cart = dict(CART, businessId="business_9", options={"webhookUrl": "https://x.example/"})
        text = json.dumps(cart)
        _, err = self.orderd("link", "-", stdin=text)
        self.assertEqual(self.api.bodies[-1].decode(), text)
        self.assertIn("quarantined", err)

    def test_amounts_are_sent_with_their_digits(self):
        text = ' \n{ "cart":{"items":[{"productId":"p","quantity":1,"price":0.10}], ' \
            '"discounts":[{"amount":1e-30}]}, "options" : { } } \n'
        sent = self.sent(text)
        self.assertIn('"price":0.10}', sent)
        self.assertIn("1e-30", sent)
        self.assertEqual(json.loads(sent)["options"]["webhookUrl"], HOOK)

    def test_without_a_public_url_it_warns(self):
        _, err = self.orderd("link", "-", "--listen-public-url", "", stdin=json.dumps(CART))
        self.assertIn("no webhookUrl", err)

    def test_what_is_no_cart_is_refused_before_anything_is_asked(self):
        self.config(business_id=None)
        for cart, said in (("{", "not JSON"), ("[]", "an object"), ("{}", "businessId"),
                           ('{"businessId":"b","options":[]}', "options is not an object"),
                           ('{"businessId":"b","businessId":"c"}', "not JSON")):
            self.assertIn(said, self.orderd("link", "-", code=65, stdin=cart)[1])
        self.orderd("link", self.path("no-such-file"), code=65)
        self.assertEqual(self.api.log, [])

    def test_a_refusal_is_one_line_with_field_code_and_request(self):
        _, err = self.orderd("link", "-", code=65, stdin='{"cart":{"items":[]}}')
        self.assertEqual(err, "orderd: Invalid cart data: cart.items: At least one item is "
                              "required (HTTP 400, CHECKOUT_001, request req_1)\n")


class List(Case):
    def test_a_page_is_a_table_and_tells_that_there_is_more(self):
        self.fill(30)
        out, err = self.orderd("list")
        lines = out.splitlines()
        self.assertEqual(lines[0].split(), ["ORDER", "STATUS", "CREATED", "TOTAL", "CURRENCY",
                                            "ITEMS", "E-MAIL"])
        self.assertEqual(len(lines), 21)
        self.assertEqual(lines[1].split()[:2], ["order_00000", "pending"])
        self.assertEqual(len({line.index("USD") for line in lines[1:]}), 1, "the columns are even")
        self.assertIn("20 of 30 orders", err)

    def test_every_filter_reaches_the_API_escaped(self):
        self.fill(3)
        self.shop.orders["order_00001"]["email"] = "a+b&c@example.com"
        self.shop.orders["order_00002"]["status"] = "completed"
        self.assertEqual([order["id"] for order in self.json(
            "list", "--email", "a+b&c@example.com")["orders"]], ["order_00001"])
        self.assertEqual([order["id"] for order in self.json(
            "list", "--status", "completed")["orders"]], ["order_00002"])
        self.assertEqual([order["id"] for order in self.json(
            "list", "--limit", "1", "--offset", "1")["orders"]], ["order_00001"])
        self.assertEqual(self.json("list", "--from", "2020-01-01", "--to",
                                   "2020-01-02T03:04:05+01:00")["orders"], [])
        self.assertIn("customerEmail=a%2Bb%26c%40example.com", self.targets()[0])
        self.assertIn("limit=1&offset=1", self.targets()[2])
        self.assertIn("startDate=2020-01-01T00%3A00%3A00", self.targets()[3])
        self.assertIn("endDate=2020-01-02T02%3A04%3A05", self.targets()[3])

    def test_slips_are_usage_faults_and_nothing_is_asked(self):
        for words in (("--limit", "0"), ("--limit", "101"), ("--limit", "x"), ("--offset", "-1"),
                      ("--from", "yesterday"), ("--to", "2020-02-30"), ("--all", "--limit", "3"),
                      ("--from", "2020-01-02", "--to", "2020-01-01"), ("extra",)):
            self.orderd("list", *words, code=64)
        self.assertEqual(self.api.log, [])

    def test_all_lists_every_order_once_however_the_API_lists(self):
        self.fill(730, every=37)
        for sort, dates in (("newest", "inclusive"), ("oldest", "exclusive"),
                            ("newest", "day"), ("newest", "ignored"), ("shuffled", "second")):
            self.shop.sort, self.shop.dates = sort, dates
            self.api.log.clear()
            answer = self.json("list", "--all")
            ids = [order["id"] for order in answer["orders"]]
            self.assertEqual(sorted(ids), sorted(self.shop.orders), (sort, dates))
            self.assertEqual((answer["count"], answer["complete"]), (730, True))
            self.assertLess(len(self.api.log), 40)

    def test_all_obeys_the_filters(self):
        self.fill(450)
        for number in range(0, 450, 2):
            self.shop.orders["order_%05d" % number]["status"] = "completed"
        out, err = self.orderd("list", "--all", "--status", "completed")
        self.assertEqual(len(out.splitlines()), 226)
        self.assertEqual(len(set(out.splitlines())), 226)
        self.assertIn("225 orders, all there are", err)
        half = fake_torque.stamp(self.shop.orders["order_00200"]["created"])
        self.assertEqual(self.json("list", "--all", "--from", half)["count"], 201)
        self.assertEqual(self.json("list", "--all", "--to", half)["count"], 249)

    def test_all_says_so_when_it_cannot_be_sure_and_ends(self):
        self.fill(250)
        for fault in ("total_high", "rows_missing", "rows_doubled", "has_more_always"):
            self.api.fault_always = fault
            self.api.log.clear()
            answer = self.json("list", "--all", code=1)
            self.assertEqual(answer["complete"], False)
            self.assertTrue(answer["doubt"])
            ids = [order["id"] for order in answer["orders"]]
            self.assertEqual(len(ids), len(set(ids)), fault)
            self.assertLess(len(self.api.log), 100)
        self.api.fault_always = None
        self.shop.offset, self.shop.dates = "ignored", "ignored"
        self.assertIn("not surely all", self.orderd("list", "--all", code=1)[1])

    def test_all_gets_over_a_passing_fault(self):
        self.fill(250)
        for fault in ("total_low", "rows_missing", "rows_doubled", "empty_page", "503", "reset",
                      "cut_json", "html"):
            self.api.faults = {len(self.api.log) + 2: fault}
            answer = self.json("list", "--all")
            self.assertEqual((answer["count"], answer["complete"]), (250, True), fault)


class Show(Case):
    def test_it_prints_a_line_for_each_value(self):
        self.shop.add("order_1", 1705312800, "completed", total="59.980")
        self.assertEqual(self.orderd("show", "order_1")[0].splitlines()[:3],
                         ["id: order_1", "sessionId: session_order_1", "status: completed"])
        out, _ = self.orderd("show", "order_1", "--details")
        for line in ("customerData.email: customer@example.com", "cart.total: 59.980",
                     "cart.items[0].price: 29.99", "payment.transactionId: tx_order_1"):
            self.assertIn(line + "\n", out)
        self.assertEqual(self.targets(), ["/v1/checkout/order-status/order_1",
                                          "/v1/checkout/order-status/order_1?includeDetails=true"])

    def test_json_is_the_answer_of_the_API(self):
        self.shop.add("order_1", 1705312800)
        self.assertEqual(self.json("show", "order_1")["order"]["id"], "order_1")

    def test_what_is_no_order_id_never_reaches_a_url(self):
        for verb in ("show", "cancel", "sync"):
            for order in ("a/b", "..", ".", "a b", "a?x=1", "a%2e", "a#b", "\u00e4", "a" * 129, ""):
                self.assertIn("an order id is", self.orderd(verb, order, code=64)[1])
        self.orderd("sync", "order_1", "../x", code=64)
        self.assertEqual(self.api.log, [])

    def test_what_a_terminal_would_act_on_is_spelled_out(self):
        evil = "\u001b]0;owned\u0007 \u009b31m \u202eevil \u007f"
        self.shop.add("order_1", 1705312800, first=evil, last="Gar\u00e7on")
        self.shop.orders["order_1"]["reason"] = evil
        out, _ = self.orderd("show", "order_1", "--details")
        self.assertIn(r"customerData.firstName: \u{1b}]0;owned\u{7} \u{9b}31m \u{202e}evil \u{7f}",
                      out)
        self.assertIn("Gar\u00e7on", out)
        self.api.answers = [(200, '{"success":true,"order":{"id":"order_1","\u202ex":"\u009b"}}')]
        self.assertIn(r"\u{202e}x: \u{9b}", self.orderd("show", "order_1")[0])
        self.api.answers = [
            (200, '{"success":true,\n"order":{"id":"order_1","x":"\u009b\u202e\U000e0041"}}')]
        out, _ = self.orderd("show", "order_1", "--json")
        self.assertEqual(json.loads(out)["order"]["x"], "\u009b\u202e\U000e0041")
        self.api.answers = [(400, '{"success":false,"error":"\\u001b[2J\u009b",'
                                   '"code":"\u202e"}')]
        self.assertIn(r"[2J\u{9b} (HTTP 400, \u{202e})", self.orderd("show", "order_1", code=65)[1])


class Cancel(Case):
    def test_a_pending_order_is_cancelled_and_the_database_knows(self):
        self.shop.add("order_1", time.time())
        out, err = self.orderd("cancel", "order_1", "--reason", 'late "again"', "--refund")
        self.assertIn('status: cancelled\n', out)
        self.assertIn('cancellationReason: late "again"\n', out)
        self.assertEqual(err, "")
        self.assertEqual(json.loads(self.api.bodies[0]),
                         {"reason": 'late "again"', "refundCustomer": True})
        self.assertEqual(self.order("order_1")[0], "cancelled")

    def cancel_while_held(self, committed):
        """The stderr of a cancel of an order that another session holds, for longer than a
        transaction of webhooks or pages would; committed: not for ever."""
        self.shop.add("order_1", time.time())
        self.orderd("sync", "order_1")
        with self.database.session() as holder:
            holder.query("begin; select from torque.orders for update")
            process = subprocess.Popen(self.command("cancel", "order_1"), env=self.environment(),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            waits = ("select count(*) from pg_stat_activity where query like '%order_cancelled%'"
                     " and state = 'active' and clock_timestamp() - query_start > '1 s'"
                     " and pid <> pg_backend_pid()")
            wait.until(lambda: self.database.value(waits) == "1", 20, "it tries again and again")
            if committed:
                holder.query("commit")
            _, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        return err.decode()

    def test_an_order_that_another_session_holds_for_a_moment_is_taken_in_all_the_same(self):
        self.assertEqual(self.cancel_while_held(committed=True), "")
        self.assertEqual(self.order("order_1")[0], "cancelled")

    def test_an_order_that_is_not_let_go_is_told(self):
        self.assertEqual(self.cancel_while_held(committed=False),
                         "orderd: order_1 is cancelled all the same; the webhook or the poller will"
                         " tell the database\n")
        self.assertEqual(self.order("order_1")[0], "pending")

    def test_the_time_of_a_cancellation_is_by_the_clock_of_the_API(self):
        self.shop.add("order_1", time.time())
        self.api.clock_ahead = 200
        self.orderd("cancel", "order_1")
        self.assertEqual(self.database.query(
            "select source, occurred_at - received_at between '150 s' and '250 s'"
            " from torque.order_events"), [["operator", "t"]])

    def test_nothing_is_refunded_unless_it_is_said(self):
        self.shop.add("order_1", time.time())
        self.assertEqual(self.json("cancel", "order_1")["order"]["status"], "cancelled")
        self.assertEqual(json.loads(self.api.bodies[0]), {"refundCustomer": False})

    def test_why_it_cannot_be_cancelled_is_explained(self):
        self.shop.add("order_1", time.time(), "completed")
        _, err = self.orderd("cancel", "order_1", code=65)
        self.assertIn("only pending orders can be cancelled (HTTP 409, CHECKOUT_009", err)
        self.assertIn("order_1 was not cancelled: only a pending order can be, and this one is "
                      "completed\n", err)
        self.api.answers = [(400, '{"error":{"code":"BAD","message":"not pending","details":{}}}')]
        self.assertIn("this one is completed", self.orderd("cancel", "order_1", code=65)[1])
        self.shop.orders["order_1"]["status"] = "cancelled"
        self.assertIn("is cancelled already", self.orderd("cancel", "order_1", code=65)[1])

    def test_another_refusal_is_not_explained_away(self):
        self.shop.add("order_1", time.time())
        self.api.answers = [(400, '{"error":{"code":"BAD","message":"no reason","details":{}}}')]
        _, err = self.orderd("cancel", "order_1", code=65)
        self.assertEqual(err, "orderd: no reason (HTTP 400, BAD)\n")
        self.orderd("cancel", "nobody", code=65)


class Sync(Case):
    def test_orders_are_looked_up_and_applied(self):
        self.shop.add("order_1", 1705312800, "completed")
        self.shop.add("order_2", 1705312800, "pending")
        out, err = self.orderd("sync", "order_1", "nobody", "order_2", code=65)
        self.assertEqual(out, "order_1 completed applied\nnobody - not_found\n"
                              "order_2 pending applied\n")
        self.assertIn("CHECKOUT_404", err)
        self.assertEqual(self.order("order_1"), ("completed", "59.98"))
        self.assertEqual(self.order("order_2")[0], "pending")
        self.assertIsNone(self.order("nobody"))

    def test_the_same_again_agrees(self):
        self.shop.add("order_1", 1705312800, "completed")
        self.assertEqual(self.json("sync", "order_1"),
                         {"order": "order_1", "status": "completed", "outcome": "applied"})
        self.assertEqual(self.json("sync", "order_1")["outcome"], "agreed")

    def test_what_no_webhook_told_is_drift_and_a_lookup_that_waits_is_settled(self):
        self.shop.add("order_1", 1705312800)
        self.orderd("sync", "order_1")
        self.database.query("select torque.resync('order_1'), torque.resync('nobody')")
        self.shop.move("order_1", "completed", 1705312900)
        self.orderd("sync", "order_1")
        self.orderd("sync", "nobody", code=65)
        self.assertEqual(self.database.query(
            "select order_id, field, was, api_says, repaired_by from torque.drift"),
            [["order_1", "status", "pending", "completed", "lookup"]])
        self.assertEqual(self.database.query(
            "select order_id, tries, not_found_at is not null from torque_internal.lookup"),
            [["nobody", "1", "t"]])

    def test_the_facts_time_is_by_the_clock_of_the_API(self):
        self.shop.add("order_1", 1705312800)
        self.api.clock_ahead = 200
        self.orderd("sync", "order_1")
        self.assertEqual(self.database.value(
            "select occurred_at - received_at between '150 s' and '250 s'"
            " from torque.order_events"), "t")

    def test_an_order_that_another_session_writes_is_left_to_it(self):
        self.shop.add("order_1", 1705312800)
        self.orderd("sync", "order_1")
        with self.database.session() as other:
            other.query("begin; select from torque.orders for update")
            out, err = self.orderd("sync", "order_1", code=75)
        self.assertEqual(out, "order_1 pending busy\n")
        self.assertIn("try again", err)

    def test_an_answer_that_cannot_be_used_is_quarantined(self):
        self.database.query("alter table torque.orders add constraint planted_check"
                            " check (status <> 'pending')")
        self.api.answers = [(200, '{"success":true,"order":{"id":"order_1","status":"pending"}}')]
        out, err = self.orderd("sync", "order_1", code=65)
        self.assertEqual(out, "order_1 pending quarantined\n")
        self.assertIn("torque.quarantine says why", err)

    def test_a_status_that_is_no_word_is_as_if_absent(self):
        self.api.answers = [(200, '{"success":true,"order":{"id":"order_1","status":7}}')]
        out, _ = self.orderd("sync", "order_1")
        self.assertEqual(out, "order_1 7 applied\n")
        self.assertEqual(self.database.query(
            "select status, (select faults from torque.order_events) from torque.orders"),
            [["unknown", "{status}"]])

    def test_an_answer_that_the_database_refuses_is_told_and_its_call_is_over(self):
        self.database.query(
            "create function public.refuse() returns trigger language plpgsql as"
            " 'begin raise exception ''refused'' using errcode = ''22000''; end';"
            "create trigger refuse before delete on torque_internal.lookup"
            " for each row execute function public.refuse()")
        self.database.query("select torque.resync('order_1')")
        self.shop.add("order_1", 1705312800)
        self.assertEqual(self.orderd("sync", "order_1", code=65), ("", "orderd: refused\n"))
        self.assertEqual(self.database.query(
            "select c.outcome, c.answered_at is null, l.tries"
            " from torque_internal.api_call c cross join torque_internal.lookup l"),
            [["malformed", "f", "1"]])

    def test_a_404_of_a_proxy_makes_no_order_missing(self):
        self.database.query("select torque.resync('order_1')")
        self.api.answers = [(404, "<html>not here</html>")]
        out, _ = self.orderd("sync", "order_1", code=69)
        self.assertEqual(out, "order_1 - malformed\n")
        self.assertEqual(self.database.query(
            "select tries, not_found_at from torque_internal.lookup"), [["1", None]])

    def test_a_key_that_is_refused_ends_it(self):
        self.api.api_key = "another"
        out, _ = self.orderd("sync", "order_1", "order_2", code=77)
        self.assertEqual(out, "order_1 - unauthorized\n")
        self.assertEqual(len(self.api.log), 1)


class Check(Case):
    def setUp(self):
        super().setUp()
        self.database.query(
            "grant connect on database %(name)s to orderd;"
            "revoke connect, temporary on database %(name)s from public" % vars(self.database))

    def check(self, code=0):
        found = self.json("check", "--online", code=code)
        return found["faults"], found["warnings"]

    def blames(self, setting, *words):
        """The one fault that is found, about that setting."""
        faults, _ = self.check(code=1)
        self.assertEqual(len(faults), 1, faults)
        self.assertIn("[torque] %s: " % setting, faults[0])
        for word in words:
            self.assertIn(word, faults[0])

    def test_a_database_that_is_open_to_everybody_is_a_warning_with_its_cure(self):
        name = self.database.name
        for right in ("connect", "temporary", "connect, temporary"):
            self.database.query("grant %s on database %s to public" % (right, name))
            faults, (warning,) = self.check()
            self.assertEqual(faults, [])
            cure = "revoke %s on database %s from public" % (right, name)
            self.assertTrue(warning.endswith("run there: " + cure), warning)
            self.database.query(cure)
            self.assertEqual(self.check(), ([], []))

    def test_what_is_in_order_is_found_by_one_call_of_the_budget(self):
        self.fill(3)
        self.assertEqual(self.check(), ([], []))
        self.assertEqual(self.orderd("check", "--online")[0], "everything is in order\n")
        self.assertEqual(self.targets(), ["/v1/checkout/orders?limit=1&offset=0"] * 2)
        self.assertEqual(self.database.query(
            "select priority, purpose, http_status, answered_at is not null"
            " from torque_internal.api_call"), [["operator", "check", "200", "t"]] * 2)

    def test_without_online_nobody_is_asked(self):
        self.orderd("check")
        self.assertEqual(self.targets(), [])

    def test_a_key_that_the_api_refuses(self):
        for status in ("401", "403"):
            self.api.fault_always = status
            self.blames("api_key", "the API refuses the key", "HTTP " + status)

    def test_an_api_that_cannot_be_reached(self):
        self.config(base_url="http://127.0.0.1:9/v1")
        self.blames("base_url", "cannot be reached")
        self.config(base_url="https://no-such-host.invalid/v1")
        self.blames("base_url", "cannot be reached")

    def test_an_api_that_says_nothing(self):
        self.api.fault_always = "silence"
        self.blames("base_url", "cannot be reached")

    def test_a_certificate_of_another_host_or_authority(self):
        authority = certificate.Authority(self.path("authority"))
        for names, ca_file in (("DNS:other.test", authority.certificate), ("IP:127.0.0.1", None)):
            api = fake_torque.FakeTorque(self.shop, self.webhooks, KEY, 1000, 0, "/v1",
                                         *authority.issue(names)).start()
            self.addCleanup(api.close)
            self.config(base_url=api.url, ca_file=ca_file)
            self.blames("base_url", "cannot be trusted")
            self.assertEqual(api.log, [])

    def test_what_is_at_the_url_is_not_the_api(self):
        for fault, words in (("html", "does not answer as it should"), ("500", "HTTP 500"),
                             ("redirect", "HTTP 302")):
            self.api.fault_always = fault
            self.blames("base_url", words)
        self.api.fault_always = None
        self.config(base_url=self.api.url + "/nowhere")
        self.blames("base_url", "no orders to list", "HTTP 404")

    def test_a_url_that_nobody_may_call_is_a_fault_without_a_call(self):
        self.config(base_url="http://192.0.2.1/v1")
        faults = self.check(code=1)[0]
        self.assertEqual(len(faults), 1)
        self.assertIn("[torque] base_url: ", faults[0])

    def test_no_call_left_is_a_warning(self):
        self.api.fault_always = "429"
        self.assertIn("no call left", self.check()[1][0])

    def test_two_clocks_that_differ(self):
        for ahead, side in ((-60, "ahead of"), (60, "behind")):
            self.api.clock_ahead = ahead
            faults, warnings = self.check()
            self.assertEqual((faults, len(warnings)), ([], 1))
            self.assertRegex(warnings[0], r"clock of this host is (59|60) s %s the API's" % side)
            self.api.clock_ahead = ahead * 10
            faults, _ = self.check(code=1)
            self.assertRegex(faults[0], r"clock of this host is (599|600) s " + side)
        for ahead in (-4, 4):
            self.api.clock_ahead = ahead
            self.assertEqual(self.check(), ([], []))

    def test_where_there_is_no_key_the_api_is_not_asked(self):
        os.unlink(self.path("credentials/api-key"))
        faults, warnings = self.check()
        self.assertEqual((faults, len(warnings)), ([], 1))
        self.assertEqual(self.targets(), [])

    def test_what_a_terminal_would_act_on_is_spelled_out(self):
        self.api.answers = [(500, '{"error":"a\\u202eb"}')] * 2
        self.assertIn("\\u{202e}", self.orderd("check", "--online", code=1)[0])
        self.check(code=1)


class Ends(Case):
    """What is wrong, in one line, and as an exit code."""

    def setUp(self):
        super().setUp()
        self.shop.add("order_1", 1705312800)

    def fails(self, code, said):
        _, err = self.orderd("show", "order_1", code=code)
        self.assertRegex(err, said)
        self.assertEqual(err.count("\n"), 1, err)

    def test_both_shapes_of_errors_are_read(self):
        self.api.answers = [
            (400, '{"success":false,"error":"Bad","code":"C1",'
                  '"details":{"field":"f","message":"m"},"requestId":"r9"}'),
            (422, '{"error":{"code":"C2","message":"Worse",'
                  '"details":{"field":"g","message":"n"}}}')]
        self.fails(65, r"^orderd: Bad: f: m \(HTTP 400, C1, request r9\)$")
        self.fails(65, r"^orderd: Worse: g: n \(HTTP 422, C2\)$")
        for body in ('{"error":7}', "[]", "no JSON", "", '{"error":{}}'):
            self.api.answers = [(400, body)]
            self.fails(69, r"^orderd: .*HTTP 400")

    def test_what_a_proxy_refuses_is_not_the_word_of_the_api(self):
        for status in (400, 401, 403, 404, 409):
            for body in ("<html>not here</html>", '{"status":%d,"error":"No"}' % status):
                self.api.answers = [(status, body)]
                self.fails(69, r"^orderd: HTTP %d with " % status)
        self.assertEqual(self.database.query(
            "select stopped_until, refusals from torque_internal.poller"), [[None, "0"]])

    def test_a_database_that_forbids_it_is_77(self):
        self.database.query("revoke execute on function torque.claim_call from orderd")
        self.fails(77, "^orderd: permission denied for function claim_call$")
        self.assertEqual(self.api.log, [])

    def test_statuses_have_their_exit_codes(self):
        for fault, code in (("401", 77), ("403", 77), ("500", 75), ("503", 75),
                            ("other_error_shape", 75), ("redirect", 69), ("html", 69),
                            ("not_json", 69), ("wrong_type", 69), ("reset", 69),
                            ("cut_json", 69), ("cut_head", 69), ("wrong_order", 69)):
            self.shop.add("order_2", 1705312800)
            self.api.fault_always = fault
            self.fails(code, r"^orderd: ")

    def test_a_429_means_later_and_the_next_call_waits(self):
        self.api.faults = {0: "429"}
        self.fails(75, r"Rate limit exceeded \(HTTP 429, RATE_LIMIT")
        started = time.monotonic()
        self.orderd("show", "order_1")
        self.assertGreater(time.monotonic() - started, 1)

    def test_hostile_bodies_end_soon_and_badly(self):
        for fault in ("huge", "endless_head"):
            self.api.fault_always = fault
            started = time.monotonic()
            self.fails(69, r"^orderd: ")
            self.assertLess(time.monotonic() - started, 20)

    def test_hostile_answers_are_not_believed(self):
        for body in ('{"success":true,"order":{"id":"order_2"}}', '{"success":true}', "{}",
                     '{"success":true,"order":{"id":"order_1","id":"order_2"}}',
                     '{"success":"true","order":{"id":"order_1"}}', "[" * 10000,
                     '{"success":true,"order":' + '{"a":' * 3000 + "1" + "}" * 3001):
            self.api.answers = [(200, body)]
            self.fails(69, r"^orderd: ")
        for body in ('{"success":true,"orders":{}}', '{"orders":[],"pagination":{"total":0}}'):
            self.api.answers = [(200, body)]
            self.orderd("list", code=69)
        self.api.answers = 3 * [(200, '{"success":true,"orders":[{"id":"a/b"}],'
                                      '"pagination":{"total":1,"hasMore":false}}')]
        self.assertEqual(self.json("list", "--all", code=1)["complete"], False)

    def test_an_api_or_a_database_that_is_away_is_69(self):
        self.config(base_url="http://127.0.0.1:1/v1")
        self.fails(69, r"^orderd: ")
        self.config()
        self.write("orderd.conf",
                   "[database]\nconninfo = host=%s dbname=nowhere\n" % self.directory)
        self.fails(69, r"^orderd: ")
        self.assertEqual(self.api.log, [], "no call without the budget")

    def test_a_key_that_is_missing_is_78(self):
        os.unlink(self.path("credentials/api-key"))
        self.assertIn("api_key", self.orderd("show", "order_1", code=78)[1])

    def test_the_key_goes_with_every_call_and_nowhere_else(self):
        for words in (("show", "order_1"), ("list",), ("cancel", "order_1"), ("sync", "order_1")):
            out, err = self.orderd(*words)
            self.assertNotIn(KEY, out + err)
        self.assertTrue(all(entry["authorized"] for entry in self.api.log))
        self.assertFalse(any(KEY in entry["target"] for entry in self.api.log))

    def test_calls_are_counted_in_the_budget(self):
        self.config(requests_per_minute="3")
        for _ in range(3):
            self.orderd("show", "order_1")
        process = subprocess.Popen(self.command("show", "order_1"), env=self.environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn("for a place in the API's budget", process.stderr.readline())
        self.assertEqual(len(self.api.log), 3)


class Backfill(Case):
    def setUp(self):
        """The poller itself looks after the last hour only: what is older is the backfill's."""
        super().setUp()
        with open(self.path("orderd.conf"), "a", encoding="utf-8") as config:
            config.write("[reconcile]\nhistory = 1h\n")

    def state(self, job):
        return self.database.value("select state from torque.backfill where job_id = %d" % job)

    def same(self):
        rows = dict(self.database.query("select order_id, status from torque.orders"))
        return rows == {name: order["status"] for name, order in self.shop.orders.items()}

    def test_it_walks_the_history_and_ends(self):
        self.fill(250, "completed", 3600)
        result = self.json("backfill")
        self.assertEqual((result["state"], result["orders"]), ("done", 250))
        self.assertTrue(self.same())
        self.orderd("backfill", "--job", result["job"], code=65)
        self.orderd("backfill", "--job", "99", code=65)

    def start(self, *words):
        process = subprocess.Popen(self.command("backfill", *words), env=self.environment(),
                                   text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

        def end():
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.addCleanup(end)
        return process

    def test_a_signal_leaves_it_to_be_gone_on_with(self):
        self.fill(350, "completed", 3600)
        self.api.fault_always = "503"
        process = self.start()
        self.assertIn("job 1", process.stderr.readline())
        wait.until(lambda: self.api.log, 30, "it has asked")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=40)
        self.assertEqual(process.returncode, 75, err)
        self.assertIn("go on with: orderd backfill --job 1", err)
        self.assertEqual(self.state(1), "cancelled")
        self.api.fault_always = None
        self.assertEqual(self.json("backfill", "--job", "1")["state"], "done")
        self.assertTrue(self.same())

    def test_a_kill_loses_nothing_either(self):
        self.fill(350, "completed", 3600)
        process = self.start()
        self.assertIn("job 1", process.stderr.readline())
        wait.until(lambda: len(self.api.log) > 2, 60, "it walks")
        process.kill()
        process.wait(10)
        self.assertEqual(self.json("backfill", "--job", "1")["orders"], 350)
        self.assertTrue(self.same())

    def test_details_are_fetched_when_they_are_asked_for(self):
        self.fill(20, "completed", 3600)
        self.assertEqual(self.json("backfill", "--details")["state"], "done")
        self.assertEqual(self.database.value(
            "select count(*) from torque.orders where has_details"), "20")

    def test_a_key_that_is_refused_is_77(self):
        self.api.api_key = "another"
        _, err = self.orderd("backfill", code=77)
        self.assertIn("the API refuses the key", err)

    def test_a_database_that_forbids_the_job_is_77(self):
        self.database.query("revoke execute on function torque.backfill_start from orderd")
        _, err = self.orderd("backfill", code=77)
        self.assertRegex(err, "^orderd: permission denied for function backfill_start\n$")

    def test_a_database_that_is_away_is_69_in_one_line(self):
        self.write("orderd.conf", "[database]\nconninfo = host=%s dbname=nowhere\n"
                                  "[torque]\nbase_url = %s\n" % (self.directory, self.api.url))
        _, err = self.orderd("backfill", code=69)
        self.assertRegex(err, r"^orderd: [^\n]+\n$")

    def test_slips_are_usage_faults(self):
        for words in (("--from", "x"), ("--job", "0"), ("--job", "1", "--from", "2020-01-01"),
                      ("--from", "2020-01-02", "--to", "2020-01-01")):
            self.orderd("backfill", *words, code=64)

    def test_it_says_from_the_first_page_on_how_far_it_is_and_what_it_waits_for(self):
        self.fill(350, "completed", 3600)
        self.config(requests_per_minute="2")
        process = self.start()
        said = ""
        while "waits for" not in said:
            said = process.stderr.readline()
            self.assertTrue(said, "it has ended")
        self.assertRegex(said, r"^orderd: 1 pages, [1-9]\d* of 350 orders, 0 repaired, "
                               r"\d+ calls/min, \d+ orders/min, about \d+ (s|min) left; "
                               r"waits for a place: 1 calls of this minute are made\n$")

    @tools.needed("script")
    def test_on_a_terminal_there_is_a_bar(self):
        self.fill(150, "completed", 3600)
        done = subprocess.run(
            ["script", "-qec", " ".join(self.command("backfill")), "/dev/null"],
            env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout.decode(), r"\r\[[#.]{24}\] \d+ pages, \d+ of \d+ orders, "
                                               r"\d+ repaired, \d+ calls/min")


if __name__ == "__main__":
    tap.main()
