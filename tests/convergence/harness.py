"""Offers generated facts to the SQL of orderd, reads the rows back and compares them.

Everything a worker does for its share of the orders is one psql script: load the deliveries, offer
them batch by batch inside the server, print what became of them.
"""

import hashlib
import json
import subprocess
from datetime import timedelta
from typing import NamedTuple

from support import facts

from model import EPOCH, Rules, merge

SECONDS_MAX = 300  # of one script

RULES_QUERY = """
select json_build_object(
    'rank', (select json_object_agg(status, rank) from torque.order_status),
    'final', (select json_agg(status) from torque.order_status where is_final),
    'alias', (select json_object_agg(alias, status) from torque.status_alias),
    'event', (select json_object_agg(event_type, json_build_array(status, asks_lookup))
              from torque.event_status),
    'move', (select json_agg(json_build_array(from_status, to_status, class))
             from torque.status_move));
"""

LOAD = """
create temporary table offered (
    batch integer, place integer, %s);
create temporary table answered (outcome text, facts bigint);
copy offered from stdin;
""" % ", ".join("%s %s" % column for column in facts.COLUMNS)

# A fact answered busy was not kept and is offered again, as the daemon does. Facts take the ways in
# that the daemon chooses: up to three webhooks one by one, more of them and polled ones by arrays;
# some batches that of those that failed, fact by fact.
OFFER = """
create index on offered (batch);
analyze offered;
do $$
declare
    last integer := (select max(batch) from offered);
    enough constant integer := 2 * last + 100;
    next integer := 1;
    outcomes text[];
    busy integer;
begin
    while next <= last loop
        select case
            when bool_and(f.source = 'webhook') and count(*) <= 3 then
                null
            when next %% 16 = 0 then
                torque.take_each(%(arrays)s)
            else
                torque.take_many(%(arrays)s)
        end
        into outcomes
        from (select * from offered o where o.batch = next order by o.place) f;
        if outcomes is null then
            outcomes := array(
                select torque.take(%(scalars)s)
                from (select * from offered o where o.batch = next order by o.place offset 0) f
            );
        end if;
        insert into answered
        select coalesce(said, 'nothing'), count(*)
        from unnest(outcomes) said
        group by said;
        busy := (select count(*) from unnest(outcomes) said where said = 'busy');
        if busy > 0 then
            last := last + 1;
            if last > enough then
                raise exception 'busy for ever';
            end if;
            update offered o
            set batch = last
            where o.batch = next
                and outcomes[(select count(*) from offered p
                              where p.batch = next and p.place <= o.place)] = 'busy';
        end if;
        commit;
        next := next + 1;
    end loop;
end $$;
""" % {
    "arrays": ", ".join("array_agg(f.%s%s)" % (name, "::text" if kind == "text[]" else "")
                        for name, kind in facts.COLUMNS),
    "scalars": ", ".join("f." + name for name, _ in facts.COLUMNS if name != "source"),
}

TIMES = (
    "status_at created_at updated_at pending_at processing_at completed_at cancelled_at"
    " refunded_at verify_after first_seen_at last_confirmed_at newest_as_of"
).split()
PLAIN = (
    "status raw_status business_id session_id cancellation_reason customer_email"
    " customer_first_name customer_last_name customer_phone customer_address currency item_count"
    " payment_method payment_transaction_id payment_status has_details is_open held_facts"
).split()
AMOUNTS = "subtotal discounts shipping total payment_amount".split()
COLUMNS = TIMES + PLAIN + AMOUNTS
OFFERED = "where o.order_id in (select order_id from offered)"


def microseconds(expression):
    return "(extract(epoch from %s) * 1000000)::bigint" % expression


def rows_query(which=""):
    columns = [microseconds("o." + name) for name in TIMES]
    columns += ["o." + name for name in PLAIN]
    columns += ["o." + name + "::text" for name in AMOUNTS]
    return f"""
copy (
select o.order_id, json_build_array(
    {", ".join(columns)},
    (select json_agg(json_build_array(
         i.product_id, i.quantity::text, i.price::text, i.total::text, i.variant, i.metadata
     ) order by i.line)
     from torque.order_items i
     where i.order_id = o.order_id))
from torque.orders o
{which}
) to stdout;
"""


def facts_query(which=""):
    """The facts that were kept: each once, counted, first receipt, last poll."""
    return f"""
copy (
select o.order_id, md5(string_agg(
    concat_ws(' ', encode(o.event_key, 'hex'), o.source, o.deliveries,
        coalesce({microseconds("o.occurred_at")}, 0), {microseconds("o.received_at")}),
    ',' order by o.event_key))
from torque.order_events o
{which}
group by o.order_id
) to stdout;
"""


# A row that its facts alone would make differently changes here, in last_changed_at at least.
REFOLD = f"""
create temporary table seen as
select o.*::text as was, o.order_id
from torque.orders o
{OFFERED};
set jit = off;
do $$
begin
    perform torque_internal.refold(s.order_id) from seen s;
end $$;
copy (
select s.order_id
from seen s
left join torque.orders o on o.order_id = s.order_id
where o.*::text is distinct from s.was
) to stdout;
"""

RECEIVED = f"""
copy (
select e.order_id, encode(e.event_key, 'hex') || ' ' || {microseconds("e.received_at")}
from torque.order_events e
) to stdout;
"""

OUTCOMES = "copy (select outcome, sum(facts) from answered group by outcome) to stdout;\n"
MARK = "---- next part"


class Psql(NamedTuple):
    """Runs a script in one session; may be handed to a worker process."""

    program: str
    conninfo: str

    def __call__(self, script):
        command = [self.program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo]
        done = subprocess.run(
            command, input=script.encode(), capture_output=True, timeout=SECONDS_MAX
        )
        if done.returncode:
            raise RuntimeError("psql: " + done.stderr.decode(errors="replace"))
        return done.stdout.decode()


def read_rules(psql):
    tables = json.loads(psql("\\pset tuples_only on\n\\pset format unaligned\n" + RULES_QUERY))
    return Rules(
        rank=tables["rank"],
        final=frozenset(tables["final"]),
        alias=tables["alias"],
        event={name: (status, asks) for name, (status, asks) in tables["event"].items()},
        move={(origin, to): kind for origin, to, kind in tables["move"]},
    )


# --- into the server ----------------------------------------------------------------------------


def offer_script(batches):
    lines = [LOAD]
    number = 0
    for batch in batches:
        if not batch:
            continue
        number += 1
        for place, fact in enumerate(batch, 1):
            lines.append(copy_line(number, place, fact))
    lines.append("\\.\n" + OFFER)
    return "".join(lines)


def copy_line(batch, place, fact):
    told = dict(
        fact.told, order_id=fact.order_id, event_key=fact.key, source=fact.source,
        event_id=fact.event_id, event_type=fact.event_type, claimed_status=fact.claimed,
        occurred_at=fact.occurred_at, received_at=fact.received_at, payload=fact.payload,
    )
    told = facts.with_items(told)
    columns = [str(batch), str(place)]
    for name, kind in facts.COLUMNS:
        value = facts.text_of(told, name, kind)
        columns.append(stamp(value) if kind == "timestamptz" else escaped(value))
    return "\t".join(columns) + "\n"


def escaped(value):
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def stamp(time):
    if time is None:
        return "\\N"
    return str(EPOCH + timedelta(microseconds=time))


# --- and back -----------------------------------------------------------------------------------


def script(*parts):
    return "".join("\\echo '" + MARK + "'\n" + part for part in parts)


def read_script(refold):
    """What became of the deliveries that were offered in this session."""
    return script(rows_query(OFFERED), facts_query(OFFERED), OUTCOMES, REFOLD if refold else "")


READ_ALL = script(rows_query(), facts_query(), RECEIVED)


def read_answer(output):
    """Rows by order, digests of the kept facts by order, number of facts by outcome, and the
    orders whose row changed when it was folded anew from its facts."""
    _, rows, kept, outcomes, refolded = output.split(MARK + "\n")
    return (
        {order: read_row(text) for order, text in pairs(rows)},
        dict(pairs(kept)),
        {outcome: int(count) for outcome, count in pairs(outcomes)},
        refolded.splitlines(),
    )


def read_all(output):
    """Rows by order, digests of the kept facts by order, and receipt by (order, key)."""
    _, rows, kept, received = output.split(MARK + "\n")
    times = {}
    for order_id, rest in pairs(received):
        key, time = rest.split(" ")
        times[order_id, key] = int(time)
    return {order: read_row(text) for order, text in pairs(rows)}, dict(pairs(kept)), times


def pairs(part):
    for line in part.splitlines():
        one, other = line.split("\t")
        yield one, other


def read_row(text):
    values = json.loads(text.replace("\\\\", "\\"))
    result = dict(zip(COLUMNS, values))
    result["items"] = values[-1]
    return result


def expected_row(row):
    """The model's row in the columns that the server was asked for."""
    if row is None:
        return None
    result = {name: row[name] for name in COLUMNS}
    result["items"] = row["items"] or None
    return result


def facts_digest(deliveries):
    """What torque.order_events should hold, in the words of FACTS."""
    lines = []
    for fact in merge(deliveries):
        count = sum(1 for d in deliveries if d.key == fact.key)
        lines.append(
            "%s %s %d %d %d"
            % (fact.key.hex(), fact.source, count, fact.occurred_at or 0, fact.received_at)
        )
    return hashlib.md5(",".join(sorted(lines)).encode()).hexdigest() if lines else None


def changes(expected, found):
    if expected is None or found is None:
        return "expected %r, found %r" % (expected, found)
    return ", ".join(
        "%s: expected %r, found %r" % (name, expected[name], found[name])
        for name in expected
        if expected[name] != found[name]
    )


# --- false rules, to be found out ---------------------------------------------------------------


def replace_in(function, old, new):
    """SQL that changes one function in one place, and fails when the place is not there."""
    return """
do $do$
declare
    was constant text := pg_get_functiondef('{function}'::regprocedure);
    becomes constant text := replace(was, $${old}$$, $${new}$$);
begin
    if becomes = was then
        raise exception 'nothing to replace in {function}';
    end if;
    execute becomes;
end $do$;
""".format(function=function, old=old, new=new)


# The facts in the order in which they were recorded, instead of their own times'.
LAST_TO_ARRIVE_WINS = """
alter table torque.order_events add test_arrival bigserial;
""" + replace_in(
    "torque_internal.refold(text,torque_internal.fact[])",
    "order by (f.fact).as_of, f.rank, (f.fact).event_key",
    "order by (select e.test_arrival from torque.order_events e"
    " where e.order_id = of_order and e.event_key = (f.fact).event_key)",
)

# The newest time is believed whatever it says: no move is an anomaly.
NEWEST_TIME_WINS = "update torque.status_move set class = 'documented';\n"
