#!/usr/bin/env python3
# needs: orderd; beside: yes
"""One database, one shop: another one's poller and verbs are refused until the database is theirs.
"""

import os
import subprocess
import time

from support import case, daemon, fake_torque, tap

REFUSED = "this database is that of another shop"
CURE = "orderd migrate --adopt"
SOON = 30
CONFIG = 78


class OneShop(case.WithDatabase):
    def api(self):
        shop = fake_torque.Shop()
        for number in range(3):
            shop.add("order_%d" % number, time.time() - 60 * number, "pending")
        webhooks = fake_torque.Webhooks("a secret that nobody uses", 1)
        api = fake_torque.FakeTorque(shop, webhooks, per_minute=100000).start()
        self.addCleanup(api.close)
        return api

    def start(self, api, verb="reconcile", ready=True, **torque):
        settings = {
            "torque": dict({"base_url": api.url, "requests_per_minute": 6000, "floor": 0},
                           **torque),
            "reconcile": {"sweep_every": "1s", "open_every": "1s"},
        }
        secrets = {"api-key": api.api_key}
        orderd = daemon.Daemon(self.database, settings, secrets, verb=verb, ready=ready)
        self.addCleanup(orderd.close)
        return orderd

    def shop(self):
        return self.database.query("select base_url, business_id from torque_internal.shop")

    def verb(self, orderd, *words, code=0):
        """The verb with the daemon's own configuration."""
        done = subprocess.run(
            [tap.program(), words[0], "-c", orderd.config_file, *words[1:]], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
            env=dict(os.environ, CREDENTIALS_DIRECTORY=orderd.credentials))
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def adopt(self, orderd):
        return self.verb(orderd, "migrate", "--adopt", "--admin-conninfo",
                         self.database.conninfo("postgres"))

    def polls(self, orderd, api):
        asked = len(api.log)
        orderd.wait_until(lambda: len(api.log) > asked, "the API is asked", SOON)

    def test_another_api_is_refused_until_the_database_is_adopted(self):
        ours, other = self.api(), self.api()
        first = self.start(ours)
        self.polls(first, ours)
        self.assertEqual([[ours.url, None]], self.shop())
        second = self.start(other, ready=False)
        said = second.says("shop_differs")
        self.assertIn(REFUSED, said)
        self.assertIn(ours.url, said)
        self.assertIn(CURE, said)
        self.assertEqual([], other.log)
        self.adopt(second)
        self.assertEqual([[other.url, None]], self.shop())
        second.says("reconcile_standby")
        first.reload()
        self.assertIn(other.url, first.says("shop_differs"))
        asked = len(ours.log)
        first.terminate()
        self.polls(second, other)
        self.assertEqual(asked, len(ours.log))

    def test_another_business_is_refused_and_a_first_one_is_written_down(self):
        api = self.api()
        nameless = self.start(api)
        self.polls(nameless, api)
        nameless.terminate()
        named = self.start(api, business_id="business_1")
        self.polls(named, api)
        named.terminate()
        self.assertEqual([[api.url, "business_1"]], self.shop())
        asked = len(api.log)
        other = self.start(api, business_id="business_2", ready=False)
        self.assertIn("%s, business_1" % api.url, other.says("shop_differs"))
        self.assertEqual(asked, len(api.log))
        other.terminate()
        self.polls(self.start(api), api)

    def test_the_receiver_beside_it_goes_on(self):
        ours, other = self.api(), self.api()
        first = self.start(ours)
        self.polls(first, ours)
        both = self.start(other, verb="run")
        both.says("shop_differs")
        self.assertEqual(200, both.deliver(
            b'{"event":"order.paid","data":{"orderId":"o1","status":"paid"}}').status)

    def test_check_and_the_verbs_refuse_too_and_make_it_nobodys(self):
        ours, other = self.api(), self.api()
        orderd = self.start(ours)
        orderd.terminate()
        self.database.query("truncate torque_internal.shop")
        self.verb(orderd, "check", "--online")
        self.verb(orderd, "list")
        self.assertEqual([], self.shop())
        self.adopt(orderd)
        self.verb(orderd, "check", "--online")
        orderd.change({"torque": {"base_url": other.url}})
        said = self.verb(orderd, "check", "--online", code=1)
        self.assertIn(REFUSED, said)
        self.assertIn(CURE, said)
        self.assertIn(REFUSED, self.verb(orderd, "list", code=CONFIG))
        self.assertIn(REFUSED, self.verb(orderd, "sync", "order_1", code=CONFIG))
        self.assertEqual([], other.log)

    def test_adopting_is_for_a_run(self):
        orderd = self.start(self.api())
        for word in ("--status", "--print", "--dry-run"):
            self.assertIn("--adopt goes with none", self.verb(
                orderd, "migrate", "--adopt", word, code=64))


if __name__ == "__main__":
    tap.main()
