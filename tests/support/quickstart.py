"""The part of tests/quickstart that comes after the build."""

import collections
import json
import queue
import signal
import subprocess
import sys
import threading
import time

from . import daemon, events, fake_torque, http, pg, sign, wait

SENDERS = 4
DAY_SECONDS_MAX = 60
REPAIR_SECONDS_MAX = 90
API_KEY = "quickstart-api-key-0123456789"
CHECKOUTS = 12
# As impatient as it may be: a real poller sweeps every minute, within 30 calls a minute.
POLLING = {"reconcile": {"sweep_every": "1s", "open_every": "1s", "lookback": "5s"}}

QUERIES = [
    ("Where the orders stand", """
        select status, count(*) as orders, sum(total) filter (where currency = 'EUR') as eur
        from torque.orders group by status
        order by (select rank from torque.order_status s where s.status = orders.status)"""),
    ("The newest of each status", """
        select distinct on (status) order_id, status, status_at, total, currency, customer_email
        from torque.orders order by status, status_at desc"""),
    ("How a refunded order came there", """
        select occurred_at, event_type, outcome, deliveries, payload -> 'data' ->> 'status' as says
        from torque.order_events
        where order_id = (select min(order_id) from torque.orders where status = 'refunded')
        order by occurred_at"""),
    ("What was signed and yet unusable", """
        select received_at, reason, deliveries, convert_from(body, 'UTF8') as body
        from torque.quarantine"""),
]

REPAIRS = [
    ("What no webhook told, and how it was repaired", """
        select order_id, field, was, api_says, found_by, repaired_by,
            date_trunc('milliseconds', repaired_at - found_at) as took
        from torque.drift where field in ('order', 'status') order by found_at"""),
    ("How the changes of each day were learnt", """
        select * from torque.webhook_coverage order by 1"""),
    ("The certificate: spans of createdAt, and how completely they are here", """
        select kind, verdict, count(*) as windows, sum(inside) as orders
        from torque.reconcile_window where status is null and verdict = 'verified'
        group by kind, verdict order by kind"""),
]


def say(text):
    print(text, flush=True)


class Sender(threading.Thread):
    """One connection of the shop's provider; a delivery answered 503 is sent again, for a while."""

    def __init__(self, orderd, work, answers):
        super().__init__(daemon=True)
        self._orderd, self._work, self._answers = orderd, work, answers
        self._give_up = time.monotonic() + DAY_SECONDS_MAX

    def run(self):
        with self._orderd.connect() as connection:
            while True:
                try:
                    delivery = self._work.get_nowait()
                except queue.Empty:
                    return
                secret = sign.SECRET[::-1] if delivery.kind == "forged" else self._orderd.secret
                headers = sign.torque(delivery.body, secret)
                answer = connection.request("POST", http.PATH, delivery.body, headers)
                if answer.status == 503 and time.monotonic() < self._give_up:
                    self._work.put(delivery)
                    time.sleep(float(answer.headers.get("retry-after", "1")))
                    continue
                self._answers.append((delivery.kind, answer))


def deliver(orderd, deliveries):
    """[(kind, Answer)]"""
    work, answers = queue.Queue(), []
    for delivery in deliveries:
        work.put(delivery)
    senders = [Sender(orderd, work, answers) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return answers


def surprises(deliveries, answers, database, expected):
    """Sentences; none when everything is as the shop knows it."""
    found = []
    wanted = {"forged": (401, None), "quarantined": (200, "quarantined"),
              "ignored": (200, "ignored")}
    for kind, answer in answers:
        outcome = answer.outcome if answer.status == 200 else None
        if (kind in wanted and (answer.status, outcome) != wanted[kind]) or (
                kind not in wanted and answer.status != 200):
            found.append("a %s delivery was answered %r" % (kind, answer))
    if len(answers) != len(deliveries):
        found.append("%d deliveries, %d answers" % (len(deliveries), len(answers)))
    return found + differences(database, expected)


def differences(database, expected):
    """Sentences; none when the table has these orders in these statuses, and no others."""
    rows = dict(database.query("select order_id, status from torque.orders"))
    found = ["%s is %s, the shop says %s" % (order, rows.get(order), status)
             for order, status in expected.items() if rows.get(order) != status]
    return found + ["%s is no order of the shop" % order for order in rows if order not in expected]


def tally(answers):
    words = collections.Counter(
        answer.outcome if answer.status == 200 else "refused with %d" % answer.status
        for _, answer in answers)
    return ", ".join("%d %s" % (count, word) for word, count in words.most_common())


class Provider:
    """The API, and the shop behind it that takes payments."""

    def __init__(self):
        self.shop = fake_torque.Shop()
        self.webhooks = fake_torque.Webhooks(sign.SECRET, 1)
        self.api = fake_torque.FakeTorque(self.shop, self.webhooks, API_KEY, 1000).start()

    def remember(self, ends):
        """The orders of the day, as they stand."""
        for order, status, at in ends:
            kept = self.shop.add(
                order.id, order.created.timestamp(), status, str(order.total), order.currency,
                [{"productId": name, "quantity": quantity, "price": str(price),
                  "total": str(quantity * price)} for name, quantity, price in order.items],
                order.email, order.first, order.last)
            kept.update(updated=at.timestamp(), sessionId=order.session, tx=order.transaction)

    def statuses(self):
        return {name: order["status"] for name, order in self.shop.orders.items()}

    def move(self, order_id, *moves):
        for move in moves:
            self.ask("orders/%s/%s" % (order_id, move))

    def lose_webhooks(self, lose):
        wait.until(self.webhooks.idle, 30, "the webhooks before are delivered")
        self.ask("knobs", {"drop": 1 if lose else 0})

    def ask(self, path, request=None):
        answer = http.post(self.api.url.split("/")[2], json.dumps(request or {}).encode(), {},
                           "/__fake/" + path)
        assert answer.status == 200, (path, answer)


def command(orderd, *words, stdin=""):
    """The output of a verb with the daemon's own configuration."""
    done = subprocess.run([daemon.program(), words[0], "-c", orderd.config_file, *words[1:]],
                          input=stdin, text=True, env=orderd.environment(), timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise AssertionError("orderd %s (%d): %s" % (words[0], done.returncode, done.stderr))
    return done.stdout


def check_out(orderd, number):
    """A checkout made with orderd link; its order's id."""
    cart = {"cart": {"items": [{"productId": "prod_%d" % number, "quantity": 1 + number % 3,
                                "price": 9.95 + number}], "currency": "EUR"},
            "customerData": {"email": "customer%d@example.com" % number, "firstName": "Aino",
                             "lastName": "Virtanen"}}
    url = "http://%s%s" % (orderd.address, http.PATH)
    answer = json.loads(command(orderd, "link", "-", "--json", "--listen-public-url", url,
                                stdin=json.dumps(cart)))
    return answer["checkoutUrl"].rsplit("/", 1)[1]


def shop_with_losses(orderd, provider):
    """Customers check out and pay; of every second one the webhooks are lost. How many were."""
    lives = [("pay",), ("pay", "complete"), ("pay", "complete", "refund"), ()]
    for number in range(CHECKOUTS):
        provider.lose_webhooks(number % 2 == 1)
        order_id = check_out(orderd, number)
        provider.move(order_id, *lives[number // 2 % len(lives)])
    provider.lose_webhooks(False)
    command(orderd, "cancel", check_out(orderd, CHECKOUTS), "--reason", "a change of mind")
    wait.until(provider.webhooks.idle, 30, "the last webhooks are delivered")
    return provider.webhooks.counts["dropped"]


def show(database, queries):
    for title, sql in queries:
        say("\n== %s" % title)
        print(database.psql("-P", "pager=off", "-c", sql), end="", flush=True)


def confess(found, orderd):
    print("\n".join(["WRONG: " + sentence for sentence in found[:10]]
                    + orderd.log().splitlines()[-10:]), file=sys.stderr)
    say("== %d differences" % len(found))


def stay(orderd, database, provider):
    say("\n== staying up until Ctrl-C")
    say("webhook URL   http://%s%s" % (orderd.address, http.PATH))
    say("secret        %s   (X-Torque-Signature: HMAC-SHA-256 of the body, in hex)" % orderd.secret)
    say("an event      CREDENTIALS_DIRECTORY=%s %s trigger order.paid --order order_mine"
        " --to http://%s%s" % (orderd.credentials, daemon.program(), orderd.address, http.PATH))
    say("the API       CREDENTIALS_DIRECTORY=%s %s list -c %s" % (
        orderd.credentials, daemon.program(), orderd.config_file))
    say("its own door  curl -d '{}' http://%s/__fake/orders/ID/pay  (complete, cancel, refund)" % (
        provider.api.url.split("/")[2]))
    say("SQL           %s '%s'" % (pg.program("psql"), database.conninfo("postgres")))
    say("metrics       http://%s/metrics" % orderd.admin_address)
    while True:
        signal.pause()


def receive_a_day(database, ends, deliveries):
    """The first half: what webhooks alone do. What was found wrong."""
    settings = {"log": {"level": "info"}, "torque": {"business_id": events.BUSINESS}}
    with daemon.Daemon(database, settings) as orderd:
        say("== orderd receive, on http://%s%s" % (orderd.address, http.PATH))
        say("== a day of a shop: %d deliveries about %d orders" % (len(deliveries), len(ends)))
        answers = deliver(orderd, deliveries)
        say(tally(answers))
        show(database, QUERIES)
        found = surprises(deliveries, answers, database,
                          {order.id: status for order, status, _ in ends})
        if found:
            confess(found, orderd)
    return found


def lose_and_repair(orderd, database, provider):
    """The second half: webhooks are lost, and polling finds what they would have told."""
    lost = shop_with_losses(orderd, provider)
    say("== %d checkouts made with orderd link; %d webhooks were lost on purpose" % (
        CHECKOUTS + 1, lost))
    started = time.monotonic()

    def repaired():
        return not differences(database, provider.statuses())
    try:
        wait.until(repaired, REPAIR_SECONDS_MAX, "polling repairs what was lost", 0.1)
    except wait.TooLate:
        pass  # what differs is told below
    found = differences(database, provider.statuses())
    if not lost:
        found.append("no webhook was lost: nothing was shown")
    drift = int(database.value("select count(*) from torque.drift where repaired_at is not null"))
    if not drift:
        found.append("nothing was repaired: nothing was shown")
    say("== repaired by polling within %.1f s" % (time.monotonic() - started))
    show(database, REPAIRS)
    if found:
        confess(found, orderd)
    return found


def main():
    started = time.monotonic()
    say("== a private PostgreSQL, on a unix socket")
    with pg.Cluster() as cluster:
        database = cluster.create_database()
        say("== orderd migrate")
        print(database.migrate(), end="", flush=True)
        deliveries, ends = events.day_of_orders()
        if receive_a_day(database, ends, deliveries):
            return 1
        provider = Provider()
        provider.remember(ends)
        settings = dict(POLLING, log={"level": "info"}, torque={
            "business_id": events.BUSINESS, "base_url": provider.api.url,
            "requests_per_minute": "800", "api_key": "credential:api-key"})
        with daemon.Daemon(database, settings, {"api-key": API_KEY}, verb="run") as orderd:
            say("\n== orderd run, with a Checkout API on %s" % provider.api.url)
            if lose_and_repair(orderd, database, provider):
                return 1
            say("== %d orders, all as the shop knows them (%.1f s after the build)" % (
                len(provider.statuses()), time.monotonic() - started))
            if "--stay" in sys.argv[1:]:
                stay(orderd, database, provider)
    return 0


def leave(number, _frame):
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    sys.exit(main())
