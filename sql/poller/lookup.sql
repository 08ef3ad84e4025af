-- Which orders are to be looked up one by one, and what a lookup settles. Replaced whole by every
-- migrate.

set search_path = pg_catalog, pg_temp;

-- Of two pieces of work the one with the lower rank comes first.
create function torque_internal.rank_of(priority text)
returns integer
language sql
immutable
as $$
    select array_position(
        array['operator', 'verify', 'tail', 'open', 'silence', 'details', 'audit', 'backfill'],
        priority
    )
$$;

-- When what was tried in vain so many times before is tried again.
create function torque_internal.due_again(
    at timestamptz,
    tries integer,
    at_first interval,
    at_most interval
)
returns timestamptz
language sql
immutable
as $$
    select at + least(at_first * 2 ^ least(greatest(tries, 0), 20), at_most)
$$;

-- Puts an order among those to be looked up.
create function torque_internal.want_lookup(
    of_order text,
    for_priority text,
    due timestamptz,
    at timestamptz
)
returns void
language plpgsql
as $$
begin
    insert into torque_internal.lookup as l (order_id, priority, due_at, wanted_at)
    values (of_order, for_priority, due, at)
    on conflict (order_id) do update
    set
        priority = case
            when torque_internal.rank_of(excluded.priority) < torque_internal.rank_of(l.priority)
                then excluded.priority
            else l.priority
        end,
        -- What was tried in vain keeps its distance, unless somebody asks.
        due_at = case
            when excluded.priority = 'operator' or l.tries = 0
                then least(l.due_at, excluded.due_at)
            else l.due_at
        end,
        wanted_at = excluded.wanted_at;
end
$$;

-- Orders that the API knows are not missing.
create function torque_internal.found_again(ids text[], at timestamptz)
returns void
language plpgsql
as $$
begin
    delete from torque.missing_order m
    where m.order_id = any (ids);
    if found then
        update torque_internal.alarm as a
        set cleared_at = at
        where a.alarm = 'missing'
            and a.subject = any (ids)
            and a.cleared_at is null;
    end if;
end
$$;

-- What an answer about one order settles.
create function torque_internal.looked_up(
    of_order text,
    asked timestamptz,
    at timestamptz
)
returns void
language plpgsql
as $$
declare
    o torque.orders;
begin
    select t.*
    into o
    from torque.orders t
    where t.order_id = of_order;
    update torque.drift as d
    set
        repaired_at = at,
        repaired_by = 'lookup'
    where d.order_id = of_order
        and d.repaired_at is null
        and d.api_says is not distinct from case d.field
            when 'order' then o.status
            when 'status' then o.status
            when 'total' then o.total::text
            when 'currency' then o.currency
            when 'item_count' then o.item_count::text
        end;
    update torque_internal.unlisted as u
    set explained_at = at
    where u.order_id = of_order
        and u.absent_since <= asked;
    perform torque_internal.found_again(array[of_order], at);
    perform torque_internal.clear_alarm('unusable', of_order, at);
    delete from torque_internal.lookup l
    where l.order_id = of_order
        and l.wanted_at <= asked
        and o.verify_after is null;
    update torque_internal.lookup as l
    set
        tries = l.tries + 1,
        priority = 'verify',
        not_found_at = null,
        due_at = torque_internal.due_again(
            at, l.tries, interval '1 minute', interval '1 day'
        )
    where l.order_id = of_order;
end
$$;
