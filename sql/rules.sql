-- What the rules' tables mean to the rest. Replaced whole by every migrate, before the other named
-- files.

set search_path = pg_catalog, pg_temp;

-- The machine room is emptied of everything but its tables, and furnished anew by the files that
-- follow. Nothing outside may depend on what is in it.
do $$
declare
    statement text;
begin
    for statement in
        select format('drop type torque_internal.%I cascade', c.relname)
        from pg_catalog.pg_class c
        where c.relnamespace = 'torque_internal'::regnamespace
            and c.relkind = 'c'
    loop
        execute statement;
    end loop;
    for statement in
        select format('drop routine if exists %s cascade', p.oid::regprocedure)
        from pg_catalog.pg_proc p
        where p.pronamespace = 'torque_internal'::regnamespace
    loop
        execute statement;
    end loop;
end
$$;

-- An edit of the rules makes every row of orders stale: the next fact of an order folds it anew.
create function torque_internal.compile_rules()
returns void
language plpgsql
as $$
begin
    update torque_internal.rules as r
    set
        version = r.version + 1,
        words = (
            select coalesce(jsonb_object_agg(w.word, w.status order by w.is_alias desc), '{}')
            from (
                select s.status as word, s.status, false as is_alias
                from torque.order_status s
                union all
                select a.alias, a.status, true
                from torque.status_alias a
            ) as w
        ),
        finals = (
            select coalesce(jsonb_object_agg(s.status, s.is_final), '{}')
            from torque.order_status s
        ),
        events = (
            select coalesce(
                jsonb_object_agg(
                    e.event_type,
                    jsonb_build_object('status', e.status, 'asks_lookup', e.asks_lookup)
                ),
                '{}'
            )
            from torque.event_status e
        ),
        moves = (
            select coalesce(jsonb_object_agg(m.from_status, m.classes), '{}')
            from (
                select
                    m.from_status,
                    jsonb_object_agg(m.to_status, m.class) as classes
                from torque.status_move m
                group by m.from_status
            ) as m
        );
end
$$;

-- The rules are in force with the transaction that edits them.
create function torque_internal.rules_changed()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform torque_internal.compile_rules();
    return null;
end
$$;

create trigger rules_changed
    after insert or update or delete or truncate
    on torque.order_status
    for each statement
    execute function torque_internal.rules_changed();
create trigger rules_changed
    after insert or update or delete or truncate
    on torque.status_alias
    for each statement
    execute function torque_internal.rules_changed();
create trigger rules_changed
    after insert or update or delete or truncate
    on torque.status_move
    for each statement
    execute function torque_internal.rules_changed();
create trigger rules_changed
    after insert or update or delete or truncate
    on torque.event_status
    for each statement
    execute function torque_internal.rules_changed();

-- When what a fact says was so. A webhook's own time counts, but never as later than a minute
-- after its receipt: one that is dated ahead must not freeze its order. A poll tells of the
-- instant its request was sent.
create function torque_internal.as_of(
    source text,
    occurred_at timestamptz,
    received_at timestamptz
)
returns timestamptz
language sql
stable
parallel safe
as $$
    select case
        when source = 'webhook' then
            least(coalesce(occurred_at, received_at), received_at + interval '60 seconds')
        else
            occurred_at
    end
$$;

-- The status that a word names, by itself or as an alias; null: a word we do not know.
create function torque_internal.status_of(word text)
returns text
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select s.status
            from torque.order_status s
            where s.status = word
        ),
        (
            select a.status
            from torque.status_alias a
            where a.alias = word
        )
    );
end
$$;

-- What a newer claim does to an order. From nothing every move is allowed, and a move that no
-- row names is an anomaly.
create function torque_internal.move_class(status_now text, status_claimed text)
returns text
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    if status_now is null then
        return 'documented';
    elsif status_now = status_claimed then
        return 'same';
    end if;
    return coalesce(
        (
            select m.class
            from torque.status_move m
            where m.from_status = status_now
                and m.to_status = status_claimed
        ),
        'anomaly'
    );
end
$$;

do $$
begin
    if (select r.version from torque_internal.rules r) = 0 then
        perform torque_internal.compile_rules();
    end if;
end
$$;
