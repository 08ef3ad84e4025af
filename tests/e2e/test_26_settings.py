#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Whatever a role or a database has set, the same deliveries and polls end in the same rows."""

import random
import re
import unittest
from datetime import datetime, timezone

from support import daemon, events, facts, fake_torque, pg, pgwire, scale, tap, wait

CREATED = datetime(2024, 1, 15, 10, tzinfo=timezone.utc)
KINDS = ("order.created", "order.paid", "payment.failed", "order.completed", "order.cancelled",
         "order.refunded", "order.unheard")
ORDERS = 5  # of the shop, which polling finds
# Milliseconds: enough to say hello in, not to wait, to rest or to migrate in.
SHORT = {"statement_timeout": "100", "idle_session_timeout": "100", "transaction_timeout": "100",
         "idle_in_transaction_session_timeout": "1", "lock_timeout": "1"}
# Texts have no bounds that would say what is odd.
TEXTS = {
    "DateStyle": ("German, DMY", "SQL, MDY"), "TimeZone": ("Pacific/Apia", "<+1337>-13:37"),
    "search_path": ("evil, public", "evil, pg_catalog", ""), "client_encoding": ("LATIN1",),
    "timezone_abbreviations": ("India", "Australia"), "application_name": ("",),
    "default_tablespace": ("nowhere",), "temp_tablespaces": ("nowhere",),
    "default_table_access_method": ("odd",), "default_text_search_config": ("simple",),
    "lc_messages": ("C",), "lc_monetary": ("C",), "lc_numeric": ("C",), "lc_time": ("C",),
    "restrict_nonsystem_relation_kind": ("view", "view, foreign-table"),
    "createrole_self_grant": ("set, inherit",), "backtrace_functions": ("errfinish",),
    "plpgsql.extra_errors": ("all",), "plpgsql.extra_warnings": ("all",),
    "plpgsql.variable_conflict": ("use_variable", "use_column"),
    "plpgsql.check_asserts": ("off",),
}
# With these a session could not say as much as that.
IMPOSSIBLE = {
    "max_stack_depth": "PostgreSQL's own functions do not fit into the least",
    "log_min_messages": "the server's log would be all that it does",
    "debug_discard_caches": "exists for PostgreSQL's own tests",
}
# What each session sets for itself; synchronous_commit is another test's.
OURS = {
    "search_path": "pg_catalog, pg_temp", "statement_timeout": "1500", "idle_session_timeout": "0",
    "lock_timeout": "300", "idle_in_transaction_session_timeout": "5000",
    "transaction_timeout": "0", "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off", "default_transaction_deferrable": "off",
    "client_min_messages": "warning", "exit_on_error": "off", "row_security": "on",
    "restrict_nonsystem_relation_kind": "", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres",
    "TimeZone": "UTC", "timezone_abbreviations": "Default", "extra_float_digits": "1",
    "bytea_output": "hex", "xmloption": "content", "xmlbinary": "base64", "lc_monetary": "C",
    "lc_numeric": "C", "lc_time": "C", "default_text_search_config": "pg_catalog.simple",
    "array_nulls": "on", "transform_null_equals": "off", "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding", "quote_all_identifiers": "off",
    "gin_fuzzy_search_limit": "0", "plpgsql.extra_errors": "none",
    "plpgsql.extra_warnings": "none", "plpgsql.check_asserts": "on", "jit": "off",
    "plan_cache_mode": "auto", "check_function_bodies": "on", "default_tablespace": "",
    "temp_tablespaces": "", "default_table_access_method": "heap", "createrole_self_grant": "",
}
# Names that are found first, and mean harm.
EVIL = """
create schema evil;
create function evil.set_config(text, text, boolean) returns text language plpgsql
    as 'begin raise ''evil''; end';
create function evil.pg_backend_pid() returns integer language plpgsql
    as 'begin raise ''evil''; end';
create function evil.current_setting(text) returns text language plpgsql
    as 'begin raise ''evil''; end';
create access method odd type table handler heap_tableam_handler;
"""
ROWS = """
select order_id, status, raw_status, created_at,
    case when order_id not like 'polled%' then status_at end, currency, total, item_count,
    customer_email, payment_amount, held_facts
from torque.orders order by 1;
"""
FACTS = """
select e.order_id, e.source, e.event_type, e.occurred_at, e.faults, e.assumed, e.total, e.items,
    e.deliveries
from torque.order_events e where e.source = 'webhook' order by 1, 2, 3;
"""


def setUpModule():
    global cluster, settings
    cluster = pg.Cluster()
    cluster.migrated()  # the roles
    settings = odd_settings()


def tearDownModule():
    cluster.close()


def odd_values(name, kind, least, most, words, boot):
    if name in SHORT:
        return [SHORT[name]]
    if kind == "bool":
        return ["off" if boot == "on" else "on"]
    if kind == "enum":
        return [word for word in re.findall(r"[^{},\"]+", words) if word != boot]
    if kind in ("integer", "real"):
        return [value for value in (least, most) if value != boot]
    return list(TEXTS.get(name, ()))


def odd_settings():
    """[(name, [value...])...] of what a role can have, and this server takes for a database."""
    found = cluster.database("postgres").query(
        "select name, vartype, min_val, max_val, enumvals, boot_val from pg_settings"
        " where context in ('user', 'superuser') and name !~ '^transaction_(iso|read|def)'"
        " order by name")
    named = {row[0] for row in found}
    found += [[name, "string", None, None, None, None] for name in TEXTS
              if name not in named and "." in name]
    return [(row[0], odd_values(*row)) for row in found if row[0] not in IMPOSSIBLE]


class Settings(unittest.TestCase):
    def set_all(self, database, chosen, whose):
        """Those that the server takes."""
        taken = {}
        with cluster.database("postgres").session() as session:
            for name, value in chosen.items():
                try:
                    session.query("alter %s set %s = %s" % (
                        whose, name, value if name == "search_path" and value
                        else pgwire.literal(value)))
                    taken[name] = value
                except pgwire.DatabaseError:
                    pass
        return taken

    def run_all(self, chosen, whose="database"):
        """What is in the database in the end, migrated and filled under these settings."""
        database = cluster.create_database()
        database.query(EVIL)
        whose = "database " + database.name if whose == "database" else whose
        taken = self.set_all(database, chosen, whose)
        try:
            database.migrate()
            self.fill(database)
        finally:
            cluster.database("postgres").query("alter %s reset all" % whose)
        return taken, [database.query(query) for query in (ROWS, FACTS)] + [database.query(
            "select reason, encode(body, 'escape') from torque.quarantine")]

    def fill(self, database):
        shop = fake_torque.Shop()
        for number in range(ORDERS):
            shop.add("polled_%d" % number, CREATED.timestamp() + number, "completed",
                     total="12.3%d" % number)
        api = fake_torque.FakeTorque(
            shop, fake_torque.Webhooks("a secret that nobody uses", 1), per_minute=100000).start()
        self.addCleanup(api.close)
        with daemon.Daemon(database, {
                "torque": {"base_url": api.url, "requests_per_minute": "6000", "floor": "0"},
                "reconcile": {"history": "3000d"}}, {"api-key": api.api_key}, verb="run") as orderd:
            for kind in KINDS:
                order = events.Order(kind.replace(".", "_"), CREATED, random.Random(kind))
                for name in dict.fromkeys(("order.created", kind)):
                    self.assertEqual(orderd.deliver(events.form1(name, order)).status, 200, kind)
            late = events.Order("late", CREATED, random.Random(1))
            for name in ("order.completed", "order.paid", "order.created", "order.created"):
                self.assertEqual(orderd.deliver(events.form1(name, late)).status, 200, name)
            self.assertEqual(orderd.deliver(b'{"event": "order.paid", "data": \xff}').status, 200)
            wait.until(lambda: self.polled(database), 30,
                       lambda: "the shop's orders are here\n" + orderd.log()[-3000:])

    @staticmethod
    def polled(database):
        """Read as the session of somebody who has none of these settings."""
        return database.psql("-At", "-c", (
            "set search_path = pg_catalog; set statement_timeout = 0;"
            "select count(*) from torque.orders where order_id like 'polled%' and total is not"
            " null")).strip() == str(ORDERS)

    def compare(self, chosen, whose="database"):
        taken, rows = self.run_all(chosen, whose)
        for was, became in zip(self.plain, rows):
            self.assertEqual(was, became, taken)
        return taken

    @classmethod
    def setUpClass(cls):
        cls.plain = cls("test_all_at_once").run_all({})[1]

    def test_all_at_once(self):
        """each setting that a database can have, at its oddest, all at once"""
        taken = set()
        for turn in range(max(len(values) for _, values in settings)):
            chosen = {name: values[turn] for name, values in settings if turn < len(values)}
            taken |= set(self.compare(chosen))
        odd = {name for name, values in settings if values}
        print("# %d settings" % len(taken))
        self.assertGreater(len(taken), len(odd) * 9 // 10, odd - taken)

    def test_each_session_sets_for_itself_what_it_depends_on(self):
        database = cluster.migrated()
        database.query(EVIL + """
            create table public.seen (name text, setting text);
            grant insert on public.seen to torque_owner;
            """ + facts.TAKE + """language sql security definer as $$
                insert into public.seen
                select s.name, s.setting from pg_catalog.pg_settings s
                where (select count(*) from public.seen) = 0;
                select 'applied'::text $$;
            grant select on public.seen to torque_owner""")
        odd = self.set_all(database, {name: values[0] for name, values in settings if values},
                           "role orderd")
        try:
            with daemon.Daemon(database) as orderd:
                order = events.Order("o1", CREATED, random.Random(1))
                self.assertEqual(orderd.deliver(events.form1("order.paid", order)).status, 200)
        finally:
            database.query("alter role orderd reset all")
        seen = dict(database.query("select name, setting from public.seen"))
        self.assertGreater(len(set(OURS) & set(odd)), 30, odd)
        self.assertEqual({name: seen[name].replace('"', '') for name in OURS if name in seen},
                         {name: value for name, value in OURS.items() if name in seen})

    def test_of_a_role_they_are_the_same(self):
        self.compare({name: values[0] for name, values in settings if values}, "role orderd")

    def test_one_by_one(self):
        """each by itself, at all its oddest, and what is done with it is as without"""
        each = [(name, value) for name, values in settings for value in values]
        for name, value in random.Random(scale.seed()).sample(
                each, min(len(each), scale.count("settings"))):
            with self.subTest(name, value=value):
                self.compare({name: value})


if __name__ == "__main__":
    tap.main()
