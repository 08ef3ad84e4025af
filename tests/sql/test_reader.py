#!/usr/bin/env python3
# needs: reader_probe; beside: yes
"""PostgreSQL reads what the reader of orderd reads: the same texts, values, and columns of a fact.

Over the corpora of the fuzz targets, all bad inputs, and changed copies of them, by a seed that
each run chooses and prints. The reader says what it reads by tests/e2e/reader_probe.c.
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import pg, scale, tap

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "e2e"))

import bad_inputs

CORPORA = [str(TESTS / "fuzz/corpus" / name) for name in ("json", "event", "api_answer")]
SIZE_MAX = 8192  # of an input: PostgreSQL looks for each of its values from the top

TABLES = """
create table told_text (n bigint primary key, hex text, is_read boolean, is_deep boolean,
    is_unstorable boolean);
create table told_value (n bigint, path text, kind text, hex text, whole bigint, scale bigint);
create table told_column (n bigint, name text, hex text);

create function words(hex text) returns text language sql immutable as $$
    select convert_from(decode(hex, 'hex'), 'UTF8')
$$;
create function as_json(hex text) returns json language plpgsql immutable as $$
begin
    return words(hex)::json;
exception when others then
    return null;
end $$;
create function as_jsonb(hex text) returns jsonb language plpgsql immutable as $$
begin
    return words(hex)::jsonb;
exception when others then
    return null;
end $$;
create function steps(path text) returns text[] language sql immutable as $$
    select coalesce(array_agg(words(substr(s, 2)) order by i), '{}')
    from unnest(string_to_array(path, ',')) with ordinality as u(s, i)
$$;
-- A name twice in an object, or one that is no text.
create function has_odd_names(doc json) returns boolean language plpgsql immutable as $$
begin
    return (
        with recursive node(v) as (
            select doc
            union all
            select inner_node.v
            from node
            cross join lateral (
                select value from json_each(case when json_typeof(v) = 'object' then v end)
                union all
                select value
                from json_array_elements(case when json_typeof(v) = 'array' then v end)
            ) as inner_node(v)
        )
        select coalesce(bool_or((select count(*) <> count(distinct key) from json_each(v))), false)
        from node
        where json_typeof(v) = 'object'
    );
exception when others then
    return true;
end $$;
"""

VIEWS = """
create table doc as
select t.*, as_json(hex) as j, as_jsonb(hex) as b from told_text t;
create index on doc (n);
analyze doc;
create view col as
select n, jsonb_object_agg(name, words(hex)) as c from told_column group by n;
create view fact as
select c.n, c.c, (c.c ->> 'faults')::text[] as faults,
    case when f.is_second then d.j #> '{data,order}' else d.j -> 'data' end as o, f.is_second, d.j
from col c
join (select n, j from doc where is_read and not is_unstorable offset 0) as d using (n)
cross join lateral (
    select case when (d.j ->> 'type' is null) = (d.j ->> 'event' is null)
        then d.j #>> '{data,orderId}' is null else d.j ->> 'type' is not null end as is_second
) as f;
"""

# Each is to find nothing.
PROMISES = {
    "what is read is JSON to PostgreSQL": "select n from doc where is_read and j is null",
    "what is refused is none, or too deep, or has odd names": """
        select n from doc
        where not is_read and j is not null and not is_deep and not has_odd_names(j)""",
    "what is storable is storable": """
        select n from doc where is_read and is_unstorable = (b is not null)""",
    "every value is told": """
        select n from doc d
        where is_read and not is_unstorable
            and (select count(*) from jsonb_path_query(b, 'strict $.**'))
                <> (select count(*) from told_value v where v.n = d.n)""",
    "a value is of the same kind and the same text": """
        select v.n from told_value v
            join (select * from doc where b is not null offset 0) as d using (n)
        where json_typeof(j #> steps(path)) is distinct from kind
            or v.hex is not null and kind <> 'null' and (
                -- Space around a number that is all of a text counts as its text.
                case when path = '' and kind <> 'string'
                    then btrim(j #>> '{}', e' \\t\\r\\n') else j #>> steps(path) end
                    is distinct from words(v.hex)
                or case
                    when kind <> 'number' then (b #>> steps(path)) is distinct from words(v.hex)
                end
            )""",
    "a number is the same number, and as large as it is measured": """
        select n from (
            select v.n, whole, v.scale, words(v.hex)::numeric as x, (b #> steps(path))::numeric as y
            from told_value v
            join (select * from doc where b is not null offset 0) as d using (n)
            where kind = 'number' and abs(whole) < 1000 and v.scale < 1000
        ) as u
        where x <> y or scale(x) <> u.scale or case
            when x <> 0 then abs(x) >= ('1e' || whole)::numeric
                or abs(x) < ('1e' || (whole - 1))::numeric
        end""",
    "an id is what stands in its place": """
        select n from fact
        where c ->> 'order_id' is distinct from
            o ->> case when is_second then 'id' else 'orderId' end""",
    "a word is what stands in its place": """
        select n from fact
        where left(c ->> 'event_type', 63) is distinct from case
                when 'event_type' <> all (faults)
                then left(j ->> case when is_second then 'type' else 'event' end, 63) end
            or left(c ->> 'status', 63) is distinct from case
                when 'status' = any (faults) then null
                when o ->> 'status' ~ '^[A-Za-z_-]*$' then lower(left(o ->> 'status', 63))
                else left(o ->> 'status', 63) end""",
    "a text or an amount is what stands in its place": """
        select f.n from fact f
        cross join (values
            ('session_id', '{sessionId}'), ('cancellation_reason', '{cancellationReason}'),
            ('payment_method', '{payment,method}'), ('payment_status', '{payment,status}'),
            ('payment_transaction_id', '{payment,transactionId}'),
            ('payment_amount', '{payment,amount}'), ('subtotal', '{cart,subtotal}'),
            ('customer_first_name', '{customerData,firstName}'),
            ('customer_email', '{customerData,email}'), ('total', '{cart,total}'),
            ('customer_address', '{customerData,address}')
        ) as p(name, path)
        where name <> all (faults)
            and case when is_second then o #>> path::text[] is not null else true end
            and c ->> name is distinct from case
                when json_typeof(o -> (path::text[])[1]) = 'object'
                    or array_length(path::text[], 1) = 1
                then o #>> path::text[] end""",
    "the second form's names stand in": """
        select f.n from fact f
        where is_second and (
            o #>> '{cart,total}' is null and 'total' <> all (faults)
                and c ->> 'total' is distinct from o ->> 'amount'
            or o #>> '{customerData,phone}' is null and 'customer_phone' <> all (faults)
                and json_typeof(o -> 'customer') = 'object'
                and c ->> 'customer_phone' is distinct from o #>> '{customer,phone}')""",
    "a currency is in capitals": """
        select n from fact
        where 'currency' <> all (faults) and json_typeof(o -> 'cart') = 'object'
            and o #>> '{cart,currency}' is not null
            and c ->> 'currency' is distinct from upper(o #>> '{cart,currency}')""",
    "lines are those of the cart": """
        select f.n from fact f
        cross join lateral json_array_elements((c ->> 'items')::json)
            with ordinality as l(line, i)
        cross join (values ('product_id', 'productId'), ('variant', 'variant'),
            ('quantity', 'quantity'), ('price', 'price'), ('total', 'total'),
            ('metadata', 'metadata')) as p(name, sent)
        where line ->> name is distinct from case
            when 'items.' || name <> all (faults) or line ->> name is not null
            then o #> array['cart', 'items', (i - 1)::text] ->> sent end""",
    "and as many": """
        select n from fact
        where 'items' <> all (faults) and json_typeof(o -> 'cart') = 'object'
            and json_array_length((c ->> 'items')::json) is distinct from
                case when json_typeof(o #> '{cart,items}') = 'array'
                then json_array_length(o #> '{cart,items}') end""",
    "a time is what PostgreSQL reads": """
        select n from fact
        where o ->> 'updatedAt' ~ '^20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{8,15}[Zz]?$'
            and to_timestamp((c ->> 'updated_at')::numeric / 1000000)
                is distinct from case when 'updated_at' <> all (faults)
                then date_trunc('microseconds', (o ->> 'updatedAt')::timestamptz) end""",
}


class Reading(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = pg.Cluster({"fsync": "off"})
        cls.addClassCleanup(cls.cluster.close)
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        for number, (_, body, _) in enumerate(bad_inputs.BODIES):
            if len(body) <= SIZE_MAX:
                (Path(cls.scratch.name) / ("%04d" % number)).write_bytes(body)

    def told(self, count, *directories):
        """A database with what the reader says of its inputs."""
        done = subprocess.run(
            [os.environ["READER_PROBE"], str(count), *directories], capture_output=True,
            env=dict(os.environ, ORDERD_TEST_SEED=scale.seed()), timeout=300, check=True)
        lines = done.stdout.decode().splitlines()
        print("\n".join("# " + line for line in lines if not line[1:2] == "\t"))
        database = self.cluster.create_database()
        script = [TABLES]
        for letter, table in (("D", "told_text"), ("V", "told_value"), ("F", "told_column")):
            rows = [line[2:] for line in lines if line.startswith(letter + "\t")]
            script += ["copy %s from stdin;" % table] + rows + ["\\."]
        script.append(VIEWS)
        database.psql("-q", "-v", "ON_ERROR_STOP=1", stdin="\n".join(script))
        print("# %s texts, %s values, %s facts" % tuple(database.psql("-At", "-F", " ", "-c",
              "select (select count(*) from doc), (select count(*) from told_value),"
              " (select count(*) from fact)").split()))
        return database

    def broken(self, database):
        found = []
        for promise, query in PROMISES.items():
            rows = database.psql("-At", "-c", query).split()
            if rows:
                text = database.psql("-At", "-c", "select hex from doc where n = " + rows[0])
                print("# %d: %s: %r" % (len(rows), promise, bytes.fromhex(text.strip())))
                found.append(promise)
        return found

    def test_the_corpora_and_all_bad_inputs(self):
        database = self.told(0, *CORPORA, self.scratch.name)
        self.assertEqual(self.broken(database), [])

    def test_changed_copies_of_them(self):
        database = self.told(scale.count("bodies"), *CORPORA, self.scratch.name)
        self.assertEqual(self.broken(database), [])

    def test_planted_differences_are_found(self):
        database = self.told(0, CORPORA[1])
        one = "ctid = (select min(ctid) from %s where %s)"
        for promise, plant in {
            "what is read is JSON to PostgreSQL":
                "update doc set is_read = true where " + one % ("doc", "j is null"),
            "what is refused is none, or too deep, or has odd names":
                "update doc set is_read = false where " + one % ("doc", "b is not null"),
            "what is storable is storable":
                "update doc set is_unstorable = true where " + one % ("doc", "b is not null"),
            "every value is told":
                "delete from told_value where " + one % ("told_value", "kind = 'string'"),
            "a value is of the same kind and the same text":
                "update told_value set hex = hex || '78' where "
                + one % ("told_value", "kind = 'string'"),
            "a number is the same number, and as large as it is measured":
                "update told_value set scale = scale + 1 where "
                + one % ("told_value", "kind = 'number'"),
            "a text or an amount is what stands in its place":
                "update told_column set hex = hex || '30' where "
                + one % ("told_column", "name = 'total'"),
        }.items():
            with self.subTest(promise):
                found = database.psql("-At", stdin="begin;\n%s;\n%s;\nrollback;" % (
                    plant, PROMISES[promise]))
                self.assertTrue(found.split())


if __name__ == "__main__":
    tap.main()
