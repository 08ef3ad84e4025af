#!/usr/bin/env python3
# needs: orderd; beside: no
"""What nobody signed goes nowhere; what is secret or personal shows nowhere but in the table."""

import random
import unittest
from datetime import datetime, timezone

from support import daemon, events, http, pg, sign, tap

SECRET = "whsec_canary-of-the-secret-0123456789"
PREVIOUS = "whsec_canary-of-the-previous-0123456789"
PERSONAL = ["canary-mail@example.com", "Canaryfirst", "Canarylast", "+358canaryphone"]
TABLES = "select count(*) from torque.order_events", "select count(*) from torque.quarantine"


def order(order_id):
    made = events.Order(order_id, datetime.now(timezone.utc), random.Random(order_id))
    made.email, made.first, made.last = PERSONAL[:3]
    made.customer = lambda: dict(events.Order.customer(made), phone=PERSONAL[3])
    return made


class Secrecy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cluster = pg.Cluster()
        cls.addClassCleanup(cluster.close)
        cls.database = cluster.migrated()
        cls.orderd = daemon.Daemon(
            cls.database,
            {"log": {"level": "debug"}, "webhook": {"secret_previous": "credential:previous"}},
            {"webhook-secret": SECRET, "previous": PREVIOUS})
        cls.addClassCleanup(cls.orderd.close)

    def rows(self):
        return [int(self.database.value(table)) for table in TABLES]

    def test_nothing_unsigned_is_stored_and_all_of_it_gets_one_answer(self):
        body = events.form1("order.created", order("order_unsigned"))
        before = self.rows()
        refusals = set()
        for headers in ({}, {"X-Torque-Signature": ""}, {"X-Torque-Signature": "00" * 32},
                        sign.torque(body, "whsec_of-somebody-else-altogether"),
                        sign.torque(body + b" ", SECRET),
                        sign.torque(body, SECRET, header="X-Other-Signature")):
            for sent in (body, b"{" * 5000, b"\xff\xfe", b""):
                answer = http.post(self.orderd.address, sent, headers)
                said = answer.json()
                refusals.add((answer.status, said["error"], said["code"]))
        self.assertEqual(len(refusals), 1, refusals)
        self.assertEqual(refusals.pop()[0], 401)
        self.assertEqual(self.rows(), before)
        self.assertEqual(self.database.value("select count(*) from torque.orders"), "0")

    def test_secrets_and_personal_data_show_in_no_log_metric_answer_or_process_list(self):
        answers, signatures = [], []
        shown = order("order_shown")
        bodies = [events.form1("order.created", shown), events.form2("order.paid", shown),
                  events.form1("order.created", shown),  # a duplicate
                  b'{"event":"' + PERSONAL[0].encode() + b'","data":{}}',  # for the quarantine
                  events.form1("order.paid", shown, status=PERSONAL[1]),  # an unknown word
                  events.form1(PERSONAL[2], shown, status=None)]  # an unknown event
        for secret in (SECRET, PREVIOUS, "whsec_of-somebody-else-altogether"):
            for body in bodies:
                headers = sign.torque(body, secret)
                signatures.append(headers["X-Torque-Signature"])
                answers.append(http.post(self.orderd.address, body, headers))
        self.assertEqual({answer.status for answer in answers}, {200, 401})
        process = "/proc/%d/" % self.orderd.process.pid
        places = {"the log": self.orderd.log(),
                  "the metrics": http.get(self.orderd.admin_address, "/metrics").body.decode(),
                  "an answer": "".join(answer.body.decode() for answer in answers)}
        for name in ("cmdline", "environ"):
            with open(process + name, encoding="utf-8", errors="replace") as text:
                places["its " + name] = text.read()
        places["a query that is shown"] = str(
            self.database.query("select query from pg_stat_activity"))
        for place, text in places.items():
            for canary in PERSONAL + [SECRET, PREVIOUS] + signatures:
                self.assertNotIn(canary, text, place)

    def test_the_canaries_were_there_to_be_found(self):
        """negative control: the table, where they belong, has them"""
        row = str(self.database.query("select * from torque.orders"))
        for canary in PERSONAL:
            self.assertIn(canary, row)


if __name__ == "__main__":
    tap.main()
