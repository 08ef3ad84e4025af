"""The poller without its daemon: what it asks is answered by a shop in this process, in a time of
its own, so that thousands of walks and whole days fit into seconds.

    poller = Poller(database.session(), shop, start).quiet()
    job = poller.begin(since, until)
    poller.run_until(lambda: poller.job_state(job) == "done")
"""

import copy
import json
from typing import NamedTuple

from support import facts
from support.fake_torque import stamp

# Faults of the transport, as the daemon reports them: kind, HTTP status, Retry-After.
TRANSPORT = {
    "429": ("rate_limited", 429, 2),
    "429_date": ("rate_limited", 429, 7),
    "429_bare": ("rate_limited", 429, None),
    "500": ("server_error", 500, None),
    "503": ("server_error", 503, 3),
    "401": ("unauthorized", 401, None),
    "403": ("unauthorized", 403, None),
    "400": ("refused", 400, None),
    "404": ("not_found", 404, None),
    "reset": ("unreachable", None, None),
    "late": ("late", None, None),
    "cut": ("malformed", 200, None),
    "untrusted": ("untrusted", None, None),
    "died": (None, None, None),  # the poller was killed: nobody reports anything
}


def literal(value):
    return "null" if value is None else "'%s'" % str(value).replace("'", "''")


class Plan(NamedTuple):
    action: str
    call_id: str
    wait_ms: str
    order_id: str
    details: str
    created_from: str
    created_to: str
    status: str
    page_limit: str
    page_offset: str
    priority: str
    behind_s: str
    alarms_open: str
    blind: str
    clock_ahead_s: str


class Poller:
    """fault: a function of the call (a Plan) and its number that names a fault, or None.
    between: called with the time after the request was sent and before it is answered."""

    def __init__(self, session, shop, now, latency=0.05, page_size=100, **settings):
        self.session, self.shop, self.now, self.latency = session, shop, now, latency
        self.fault = lambda plan, number: None
        self.rate = lambda now: (None, None)  # X-RateLimit-Remaining, -Reset
        self.before = self.between = lambda now: None
        self.list = lambda query, fault: shop.list(query, fault)
        self.calls = []  # (time, priority, action, verdict)
        self.is_idle = False
        self.wait_min = 0.0  # seconds; sleeping longer than asked saves plans with nothing in them
        self.blocked_until = 0.0
        self.set(page_size=page_size, **settings)

    def copy(self):
        """Goes on by itself from where this one is."""
        other = copy.copy(self)
        other.calls = list(self.calls)
        return other

    def quiet(self):
        """Only what is asked for: no sweep of its own accord."""
        self.session.query(
            "insert into torque_internal.sweep (kind, status, started_at, next_at)"
            " select k, s, %s, '2100-01-01' from (values ('tail', ''), ('open', 'pending'),"
            " ('open', 'processing'), ('open', 'cancelled'), ('open', 'refunded'),"
            " ('audit_near', ''), ('audit_far', ''), ('audit_late', ''), ('silence', ''))"
            " as f(k, s)"
            % self.time())
        return self

    def set(self, **settings):
        for name, value in settings.items():
            self.session.query("set orderd.%s = %s" % (name, literal(value)))

    def value(self, sql):
        return self.session.value(sql)

    def time(self, seconds=None):
        return literal(stamp(self.now if seconds is None else seconds))

    def step(self):
        """One plan, and its call if it is one; the verdict, or None after a wait."""
        row = self.session.query("select * from torque.reconcile_next(%s)" % self.time())[0]
        plan = Plan(*row)
        self.is_idle = plan.action not in ("list", "lookup")
        if self.is_idle:
            self.now += max(int(plan.wait_ms) / 1000, self.wait_min)
            self.before(self.now)
            return None
        fault = self.fault(plan, len(self.calls))
        asked = self.now
        self.before(asked)
        self.remaining, self.reset_at = self.rate(asked)
        status, body = self.ask(plan, fault)
        self.now += self.latency
        self.between(asked)
        if fault in TRANSPORT or status != 200:
            verdict = self.failed(plan, asked, fault, status)
        else:
            name, says = (("reconcile_page", facts.page) if plan.action == "list"
                          else ("reconcile_lookup", facts.answer))
            verdict = self.value("select torque.%s(%s, %s, %s, null, %s, %s)" % (
                name, plan.call_id, self.time(asked), self.time(), self.head(), says(body)))
        self.calls.append((asked, plan.priority, plan.action, verdict))
        self.now += 0.001
        return verdict

    def ask(self, plan, fault):
        if fault in TRANSPORT:
            return 0, ""
        if plan.action == "lookup":
            return self.shop.show(plan.order_id, plan.details == "t")
        query = {"limit": plan.page_limit, "offset": plan.page_offset,
                 "startDate": plan.created_from, "endDate": plan.created_to}
        if plan.status:
            query["status"] = plan.status
        return self.list(query, fault)

    def failed(self, plan, asked, fault, status):
        kind, status, retry_after = TRANSPORT.get(fault, ("not_found", status, None))
        if kind is None:
            return "died"
        if kind == "late":
            self.now += 30
        if retry_after or kind == "rate_limited":
            self.blocked_until = self.now + (retry_after or 60)
        return self.value("select torque.reconcile_failed(%s, %s, %s, %s, %s, %s, %s, 'x')" % (
            plan.call_id, self.time(asked), self.time(), literal(kind),
            "null" if status is None else status,
            "null" if retry_after is None else retry_after, self.head()))

    def head(self):
        return "%s, %s" % (
            "null" if self.remaining is None else self.remaining,
            "null" if self.reset_at is None else self.time(self.reset_at))

    def run(self, seconds):
        until = self.now + seconds
        while self.now < until:
            self.step()

    def run_until(self, done, calls_max=10_000):
        """Until done() holds after a step; False when that took too many of them."""
        for _ in range(calls_max):
            self.step()
            if done():
                return True
        return False

    def begin(self, since, until, details=False):
        return self.value("select torque.backfill_start(%s, %s, %s, %s)" % (
            self.time(since), self.time(until), details, self.time()))

    def job_state(self, job):
        return self.value("select state from torque.backfill where job_id = %s" % job)

    def has_looked(self):
        """Every order that asked for it has been looked up once."""
        return self.is_idle and self.value(
            "select not exists (select from torque_internal.lookup"
            " where priority = 'verify' and tries = 0)") == "t"

    def lists(self):
        return sum(action == "list" for _, _, action, _ in self.calls)


def shop_rows(shop):
    """What the shop's orders must look like here."""
    return {order["id"]: (order["status"], order["total"]) for order in shop.orders.values()}


def table_rows(session):
    return {row[0]: (row[1], row[2])
            for row in session.query("select order_id, status, total::text from torque.orders")}


def verified(session, where="true"):
    """The certificates: (from, to, status, as_of, verified_at) in seconds."""
    rows = session.query(
        "select extract(epoch from created_from), extract(epoch from created_to), status,"
        " extract(epoch from as_of), extract(epoch from verified_at), window_id"
        " from torque.reconcile_window where verdict = 'verified' and %s" % where)
    return [(float(a), float(b), status, float(c), float(d), number)
            for a, b, status, c, d, number in rows]


def alarms(session):
    return json.loads(session.value(
        "select coalesce(json_agg(alarm || ':' || subject), '[]') from torque_internal.alarm"
        " where cleared_at is null"))
