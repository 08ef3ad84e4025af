-- What the rules' tables mean to the rest. Replaced by every migrate where it differs.

set search_path = pg_catalog, pg_temp;

-- An edit of the rules makes every row of orders stale: each is folded anew, in the background, or
-- before it takes its next fact.
create function torque_internal.compile_rules()
returns void
language plpgsql
as $$
begin
    update torque_internal.rules as r
    set
        version = r.version + 1,
        refolded_to = '',
        refold_again = false,
        words = (
            select coalesce(jsonb_object_agg(w.word, w.status order by w.is_alias desc), '{}')
            from (
                select lower(s.status collate "C") as word, s.status, false as is_alias
                from torque.order_status s
                union all
                select lower(a.alias collate "C"), a.status, true
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

-- The status that a word names, by itself or as an alias; null: a word we do not know.
create function torque_internal.status_of(word text)
returns text
language plpgsql
stable
as $$
begin
    return (select r.words ->> word from torque_internal.rules r);
end
$$;

-- The rule, in pieces. They are put into the expressions that use them when those are planned, so
-- that no function is called; for that they must be single expressions in SQL, without settings,
-- and declared no steadier than what is in them. event: what the rules know of a webhook's event,
-- by its name; null: they do not know it, or it is no webhook.

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
as $$
    select case
        when source = 'webhook' then
            least(coalesce(occurred_at, received_at), received_at + interval '60 seconds')
        else
            occurred_at
    end
$$;

-- The status that a fact says; null: none, or a word that nobody knows.
create function torque_internal.said(words jsonb, event jsonb, claimed_status text)
returns text
language sql
immutable
as $$
    select case
        when claimed_status is not null then words ->> claimed_status
        else event ->> 'status'
    end
$$;

-- A webhook that claims no status and whose name means nothing.
create function torque_internal.is_ignored(source text, event jsonb, claimed_status text)
returns boolean
language sql
immutable
as $$
    select source = 'webhook' and claimed_status is null and event is null
$$;

-- The API is to be asked whatever the order's course: the event means that, the status contradicts
-- it, or a webhook does not say when it was.
create function torque_internal.is_doubtful(
    source text,
    event jsonb,
    said text,
    occurred_at timestamptz
)
returns boolean
language sql
immutable
as $$
    select source = 'webhook'
        and (
            occurred_at is null
            or coalesce((event -> 'asks_lookup')::boolean, false)
            or coalesce(said <> event ->> 'status', false)
        )
$$;

-- What a fact that is newer than all before it does to an order in a status; null: in none yet.
-- From nothing every move is allowed, and a move that no row of the rules names is an anomaly.
create function torque_internal.move_class(moves jsonb, status_now text, said text)
returns text
language sql
immutable
as $$
    select case
        when said is null then 'none'
        when status_now is null then 'documented'
        when said = status_now then 'same'
        else coalesce(moves -> status_now ->> said, 'anomaly')
    end
$$;

create function torque_internal.is_move(class text)
returns boolean
language sql
immutable
as $$
    select class in ('documented', 'skipped', 'plausible')
$$;

-- The API is to be asked after that.
create function torque_internal.asks_after(class text, source text)
returns boolean
language sql
immutable
as $$
    select class in ('plausible', 'anomaly')
        or source = 'list' and class in ('documented', 'skipped')
$$;

-- is_first: of the facts of its order.
create function torque_internal.outcome(class text, is_first boolean)
returns text
language sql
immutable
as $$
    select case
        when class in ('documented', 'skipped', 'plausible') or is_first then 'applied'
        when class = 'anomaly' then 'held'
        else 'recorded'
    end
$$;

create function torque_internal.reason(class text, is_first boolean, claimed_status text)
returns text
language sql
immutable
as $$
    select case
        when class in ('documented', 'skipped', 'plausible') or is_first then null
        when class = 'anomaly' then 'anomaly'
        when class = 'same' then 'same_status'
        when claimed_status is not null then 'unknown_word'
        else 'no_status'
    end
$$;

-- The first four for a fact, and the rules by which they were found.
create function torque_internal.reading(
    source text,
    event_type text,
    claimed_status text,
    occurred_at timestamptz,
    received_at timestamptz
)
returns table (
    as_of timestamptz,
    said text,
    is_ignored boolean,
    is_doubtful boolean,
    version integer,
    finals jsonb,
    moves jsonb
)
language sql
stable
as $$
    select
        torque_internal.as_of(source, occurred_at, received_at),
        r.said,
        torque_internal.is_ignored(source, r.event, claimed_status),
        torque_internal.is_doubtful(source, r.event, r.said, occurred_at),
        r.version,
        r.finals,
        r.moves
    from (
        select
            t.events -> event_type as event,
            torque_internal.said(t.words, t.events -> event_type, claimed_status) as said,
            t.version,
            t.finals,
            t.moves
        from torque_internal.rules t
        offset 0
    ) as r
$$;

do $$
begin
    if (select r.version from torque_internal.rules r) = 0 then
        perform torque_internal.compile_rules();
    end if;
end
$$;
