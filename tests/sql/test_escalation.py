#!/usr/bin/env python3
# needs: orderd; beside: yes
"""Nobody who may call a function gets to run code of his own as its owner.

A search path of '' looks into pg_temp before pg_catalog for types and tables: a domain of the name
timestamptz, made by the caller in his own session, has a CHECK that the owner then runs. The attack
is made in a new session each time, since plpgsql looks types up once a session.
"""

import unittest

from support import pg, pgwire, tap

# Type names that can be shadowed: integer, boolean and their like are words of the grammar.
SHADOWED = ("text", "timestamptz", "json", "jsonb", "bytea", "int4", "int8", "bool", "float8",
            "name", "numeric")
ROLES = ("orderd", "torque_operator", "torque_reader", "torque_analyst")

# A warning is heard even when the call fails after it.
EVIL = """
create function pg_temp.evil(pg_catalog.text) returns pg_catalog.bool language plpgsql as
    $$begin raise warning 'evil ran as %%', current_user; return true; end$$;
create domain pg_temp."%(type)s" as pg_catalog."%(type)s"
    check (pg_temp.evil(value::pg_catalog.text));
"""

# What a function is called with, by the name of its parameter or by its type.
BY_NAME = {
    "source": "array['list']",
    "purpose": "'operator'",
    "kind": "'list'",
}
BY_TYPE = {
    "text": "'esc.1'",
    "text[]": "array['esc.1']",
    "bytea": r"'\x00'",
    "bytea[]": "array[sha256('1')]",
    "timestamp with time zone": "'2026-03-01 12:00:00+00'",
    "timestamp with time zone[]": "array['2026-03-01 12:00:00+00'::pg_catalog.timestamptz]",
    "json": """'{"success": true, "orders": [{"orderId": "esc.1", "status": "pending",
               "createdAt": "2026-03-01T12:00:00Z"}], "pagination": {"total": 1}}'""",
    "json[]": """array['{"event": "order.created",
                   "data": {"orderId": "esc.1"}}'::pg_catalog.json]""",
    "boolean": "false",
    "bigint": "1",
    "integer": "200",
}

CALLABLE = """
select p.pronamespace::regnamespace::text || '.' || p.proname,
    coalesce(array_to_string(p.proargnames[:p.pronargs], ','), ''),
    array_to_string(array(select format_type(t, null) from unnest(p.proargtypes) as t), ',')
from pg_proc p
where p.pronamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
    and p.prokind = 'f'
    and has_schema_privilege('%(role)s', p.pronamespace, 'usage')
    and has_function_privilege('%(role)s', p.oid, 'execute')
order by 1
"""
PLAIN = {"timestamp with time zone": "timestamptz", "boolean": "bool", "bigint": "int8",
         "integer": "int4"}


def qualified(of_type):
    base = of_type.removesuffix("[]")
    return "pg_catalog." + PLAIN.get(base, base) + ("[]" if of_type.endswith("[]") else "")


def call(function, names, types):
    """select function(value, ...): one value for each parameter, by its name or its type."""
    values = []
    for name, of_type in zip(names.split(","), types.split(",")) if types else ():
        value = BY_TYPE.get(of_type, "null")
        if name in BY_NAME and BY_NAME[name].startswith("array") == of_type.endswith("[]"):
            value = BY_NAME[name]
        values.append("%s::%s" % (value, qualified(of_type)))
    return "select %s(%s)" % (function, ", ".join(values))


def runs_as(database, role, shadowed, statement):
    """Who else than role ran a check on the shadowed type during this call; "" = nobody."""
    with database.session() as session:
        session.query("set session authorization %s" % role)
        session.query(EVIL % {"type": shadowed})
        session.query("set search_path = ''")
        try:
            session.query(statement)
        except pgwire.DatabaseError:
            pass
        heard = {notice.split()[-1] for notice in session.notices if "evil ran as" in notice}
    return " ".join(sorted(heard - {role}))


class Escalation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster({"fsync": "off"})
        cls.database = cls.cluster.migrated()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.close()

    def fallen(self, role, database=None):
        database = database or self.database
        with database.session() as session:
            functions = session.query(CALLABLE % {"role": role})
        return len(functions), [
            "%s called by %s runs a check on %s as %s" % (function[0], role, shadowed, ran_as)
            for function in functions for shadowed in SHADOWED
            for ran_as in [runs_as(database, role, shadowed, call(*function))] if ran_as]

    def test_no_shadowed_type_runs_code_of_the_caller_as_the_owner(self):
        tried = 0
        for role in ROLES:
            with self.subTest(role):
                count, fallen = self.fallen(role)
                tried += count
                self.assertFalse(fallen, "\n".join(fallen))
        self.assertGreater(tried, 15)

    def test_every_path_that_a_function_sets_ends_in_pg_temp(self):
        with self.database.session() as session:
            self.assertEqual(session.query("""
                select p.oid::regprocedure
                from pg_proc p
                where p.pronamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
                    and (p.prosecdef
                        or array_to_string(p.proconfig, ',') like '%search_path%'
                        or has_function_privilege('orderd', p.oid, 'execute')
                        or has_function_privilege('torque_operator', p.oid, 'execute'))
                    and not 'search_path=pg_catalog, pg_temp' = any (coalesce(p.proconfig, '{}'))
                """), [])

    def test_a_path_that_looks_into_pg_temp_first_is_found(self):
        database = self.cluster.migrated()
        with database.session() as session:
            session.query("alter function torque.reconcile_next set search_path = ''")
        self.assertTrue(self.fallen("orderd", database)[1])


if __name__ == "__main__":
    tap.main()
