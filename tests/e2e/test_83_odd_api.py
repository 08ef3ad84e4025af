#!/usr/bin/env python3
# needs: orderd; beside: yes
"""What an API that is not quite as documented costs: what is odd, and nothing beside it."""

import json
import time

import test_81_api_cli as api_cli
from support import fake_torque, tap
from test_80_reconcile import SOON, WithShop

DEEP = "[" * 70 + "]" * 70
# Rows in the place of a good one, and the words that name them.
ODD_ROWS = (('{"id":"a","x":%s}' % DEEP, "too_deep"), ('{"id":"a","id":"b"}', "bad_json"),
            ('{"id":"a","x":01}', "bad_json"), ('{"id":"a","x":"\udcff"}', "bad_json"),
            ("null", "no_object"), ('"text"', "no_object"), ("[1]", "no_object"),
            ('{"id":"a/b"}', "bad_order_id"), ('{"id":1.5}', "bad_order_id"),
            ('{"status":"pending"}', "no_order_id"))


class Pages(WithShop):
    def mend(self, change):
        """Pages as change(body, query) makes them of good ones."""
        good = self.shop.list

        def listed(query, fault=None):
            status, body = good(query, fault)
            return status, change(body, query).encode(errors="surrogateescape")
        self.shop.list = listed
        return good

    def verified(self):
        return int(self.database.value(
            "select count(*) from torque.reconcile_window where verdict = 'verified'"))

    def reload_database(self):
        self.database = self.cluster.migrated()
        self.shop = fake_torque.Shop()
        self.api = self.start_api(self.shop)
        self.fill(20)

    def test_an_odd_row_costs_itself_alone_and_is_named_by_its_place(self):
        for odd, why in ODD_ROWS:
            with self.subTest(odd[:30]):
                self.reload_database()
                good = self.mend(lambda body, query: body.replace(
                    '"orders":[', '"orders":[%s,' % odd).replace(",]", "]"))
                orderd = self.start()
                self.wait_equal(orderd)
                orderd.wait_until(lambda: self.alarm(), "an alarm is raised", SOON)
                self.assertIn(": row 1 (%s)" % why, self.alarm())
                self.assertEqual(self.verified(), 0)
                self.assertNotIn("event=reconcile_refused", orderd.log())
                self.shop.list = good
                self.database.query("update torque.reconcile_window set not_before = null")
                orderd.wait_until(lambda: self.verified() and not self.alarm(), "all is well", SOON)
                self.assertEqual(orderd.terminate(), 0)

    def alarm(self):
        return self.database.value(
            "select detail from torque.alarm_subjects where alarm = 'unusable'"
            " and subject = 'tail'")

    def test_rows_are_taken_though_nothing_around_them_proves_that_they_are_all(self):
        def without(name):
            def change(body, _):
                page = json.loads(body)
                page.pop(name)
                return json.dumps(page)
            return change

        def pagination(**values):
            def change(body, _):
                page = json.loads(body)
                page["pagination"].update(values)
                return json.dumps(page)
            return change
        for change in (without("pagination"), without("success"), pagination(total="20"),
                       pagination(total=None), pagination(total=-1), pagination(total=2.5),
                       lambda body, _: body.replace('"success":true', '"success":false'),
                       lambda body, _: body.replace('"success":true', '"success":"true"')):
            self.reload_database()
            self.mend(change)
            orderd = self.start()
            self.wait_equal(orderd)
            orderd.wait_until(lambda: self.database.value(
                "select count(*) from torque.reconcile_window where problem = 'no_total'") != "0",
                "it says what is missing", SOON)
            self.assertEqual(self.verified(), 0)
            self.assertEqual(orderd.terminate(), 0)

    def test_whole_numbers_are_ids(self):
        now = time.time()
        for number in (7, 10**18, 9999999999999999999):
            self.shop.add(str(number), now - 3600)
        self.mend(lambda body, _: body.replace('"id":"', '"id":')
                  .replace('","status"', ',"status"'))
        good = self.shop.show
        self.shop.show = lambda order_id, details=False: (
            lambda status, body: (status, body.replace('"id":"%s"' % order_id,
                                                       '"id":%s' % order_id)))(
            *good(order_id, details))
        orderd = self.start()
        self.wait_equal(orderd)
        orderd.wait_until(self.verified, "the windows are verified", SOON)
        self.database.query("select torque.resync('7')")
        orderd.wait_until(lambda: self.database.value(
            "select has_details from torque.orders where order_id = '7'") == "t",
            "one is looked up", SOON)
        self.assertNotIn("api_failed", orderd.log())

    def test_a_mark_before_it_and_another_kind_of_json_are_read(self):
        self.fill(20)
        self.mend(lambda body, _: "\ufeff" + body)
        reply = fake_torque.Handler.reply

        def odd(handler, status, body, extra=None, content_type=None):
            reply(handler, status, body, extra, "application/vnd.api+json; charset=utf-8")
        self.addCleanup(setattr, fake_torque.Handler, "reply", reply)
        fake_torque.Handler.reply = odd
        orderd = self.start()
        self.wait_equal(orderd)
        orderd.wait_until(self.verified, "the windows are verified", SOON)


class Lost(api_cli.Case):
    """A cancel whose answer does not come."""

    def cancel(self, fault, code):
        self.shop.add("order_1", time.time())
        self.orderd("sync", "order_1")
        self.api.fault_of["/cancel"] = fault
        out, err = self.orderd("cancel", "order_1", code=code)
        self.assertIn("order_1 may have been cancelled all the same; it is looked up\n", err)
        self.assertEqual(len([target for target in self.targets() if "/cancel" in target]), 1)
        return out, err

    def lookups(self):
        return self.database.query("select order_id, priority from torque_internal.lookup")

    def test_one_that_was_done_is_found_out(self):
        out, err = self.cancel("lost", 0)
        self.assertIn("order_1 is cancelled\n", err)
        self.assertIn("status: cancelled\n", out)
        self.assertEqual(self.order("order_1")[0], "cancelled")
        self.assertEqual(self.lookups(), [])

    def test_one_that_was_not_done_is_looked_up_again_by_the_poller(self):
        for fault, code in (("reset", 69), ("503", 75), ("html", 69), ("cut_json", 69)):
            with self.subTest(fault):
                self.database = self.cluster.migrated()
                self.config()
                self.api.log.clear()
                out, err = self.cancel(fault, code)
                self.assertEqual(out, "")
                self.assertIn("order_1 is pending\n", err)
                self.assertIn("the poller looks order_1 up again\n", err)
                self.assertEqual(self.lookups(), [["order_1", "operator"]])

    def test_one_that_nobody_can_look_up_is_left_to_the_poller(self):
        self.shop.add("order_1", time.time())
        self.api.fault_always = "reset"
        _, err = self.orderd("cancel", "order_1", code=69)
        self.assertIn("the poller looks order_1 up again\n", err)
        self.assertEqual(self.lookups(), [["order_1", "operator"]])

    def test_one_that_was_refused_or_never_sent_is_not_in_doubt(self):
        self.shop.add("order_1", time.time())
        for fault, code in (("401", 77), ("403", 77)):
            self.api.fault_of["/cancel"] = fault
            self.assertNotIn("may have been", self.orderd("cancel", "order_1", code=code)[1])
        self.config(base_url="http://127.0.0.1:1/v1")
        self.assertNotIn("may have been", self.orderd("cancel", "order_1", code=69)[1])
        self.assertEqual(self.lookups(), [])

    def test_a_person_whose_key_is_refused_does_not_stop_the_service(self):
        self.write("credentials/api-key", "a-key-that-nobody-knows")
        for verb in ("show", "sync", "cancel"):
            self.orderd(verb, "order_1", code=77)
        self.assertEqual(self.database.query(
            "select stopped_until, refusals from torque_internal.poller"), [[None, "0"]])


class Clocks(api_cli.Case):
    def test_sync_agrees_only_with_what_the_order_is(self):
        self.shop.add("order_1", time.time())
        self.api.clock_ahead = 200
        self.orderd("sync", "order_1")
        self.api.clock_ahead = 0
        self.shop.move("order_1", "completed", time.time())
        out, err = self.orderd("sync", "order_1", code=75)
        self.assertEqual(out, "order_1 completed older\n")
        self.assertIn("order_1: something newer than the answer is known", err)
        self.assertEqual(self.order("order_1")[0], "pending")

    def test_check_compares_the_clock_of_the_database(self):
        for ahead, words in (("10 minutes", "600 s behind"), ("-10 minutes", "600 s ahead of")):
            self.database.query("""
                set allow_system_table_mods = on;
                create or replace function pg_catalog.clock_timestamp() returns timestamptz
                language sql volatile as $$ select statement_timestamp() + interval '%s' $$
                """ % ahead)
            self.assertTrue([said for said in self.json("check", "--online")["warnings"]
                             if "the clock of this host is %s the database's" % words in said])


if __name__ == "__main__":
    tap.main()
