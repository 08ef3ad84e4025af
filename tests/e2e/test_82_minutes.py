#!/usr/bin/env python3
# needs: orderd; beside: yes; waits: yes
"""What takes the poller a minute by the clock: its budget, and an answer that never ends."""

import re
import time

import test_80_reconcile as reconcile
from support import tap, wait
from test_80_reconcile import SOON, orders_in, orders_of


def busiest_minute(log):
    """The most requests that any 60 s hold."""
    times = sorted(entry["at"] for entry in log)
    return max((sum(1 for other in times if at <= other < at + 60) for at in times), default=0)


class Minutes(reconcile.WithShop):
    def test_no_60_seconds_see_more_calls_than_configured_across_a_restart_too(self):
        self.fill(2500, days=80)
        orderd = self.start(requests_per_minute=8)
        # Half of them at once, the others at even distances, and one is left for people.
        orderd.wait_until(lambda: len(self.api.log) == 7, "the budget is used", 2 * SOON)
        wait.stays(lambda: len(self.api.log) == 7, 2, "nothing is asked beyond the budget")
        orderd.kill9()
        orderd.start()
        wait.stays(lambda: len(self.api.log) == 7, 2, "nor after a restart")
        first = self.api.log[0]["at"]
        orderd.wait_until(lambda: len(self.api.log) > 7, "polling goes on", 75)
        self.assertGreaterEqual(self.api.log[7]["at"], first + 60)
        self.assertLessEqual(busiest_minute(self.api.log), 8)

    def test_an_answer_that_drips_is_cut_and_harms_no_delivery(self):
        self.fill(20)
        self.api.fault_always = "drip"
        orderd = self.start("run")
        orderd.wait_until(lambda: self.api.log, "the API is asked", SOON)
        ends = time.monotonic() + 30
        number = 0
        while time.monotonic() < ends and not re.search("event=api_failed", orderd.log()):
            self.deliver(orderd, "order_%d" % number)
            number += 1
            time.sleep(0.2)  # while it drips
        self.assertIn("end=late", orderd.says("api_failed", 10))
        self.api.fault_always = None
        shop = orders_of(self.shop)
        orderd.wait_until(lambda: shop.items() <= orders_in(self.database).items(),
                          "the walk goes on", 60)


if __name__ == "__main__":
    tap.main()
