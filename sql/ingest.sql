-- How facts come in. Replaced whole by every migrate.
--
-- Locks first, then reading under a fresh snapshot: nobody else can be at the same orders. The
-- common fact takes the short way of newest.sql; what is late, repeated, odd or not alone of its
-- order in the batch is kept, and its order is folded anew.

set search_path = pg_catalog, pg_temp;

-- A hint for those who listen; fifty of the longest ids fit into a message.
create function torque_internal.tell(changed text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_notify('torque_orders', string_agg(c.order_id, ',' order by c.n))
    from (
        select
            u.order_id,
            row_number() over (order by u.order_id) - 1 as n
        from (
            select distinct u as order_id
            from unnest(changed) as u
        ) as u
    ) as c
    group by c.n / 50;
end
$$;

-- Keeps bodies that cannot be used, and counts those already kept.
create function torque_internal.quarantine(
    body_keys bytea[],
    reasons text[],
    received_ats timestamptz[],
    bodies bytea[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into torque.quarantine as q (body_key, reason, received_at, deliveries, body)
    select
        u.body_key,
        min(u.reason),
        min(u.received_at),
        count(*),
        (array_agg(u.body))[1]
    from unnest(body_keys, reasons, received_ats, bodies)
        as u(body_key, reason, received_at, body)
    group by u.body_key
    order by u.body_key
    on conflict (body_key) do update
    set
        received_at = least(q.received_at, excluded.received_at),
        deliveries = q.deliveries + excluded.deliveries;
end
$$;

create or replace function torque.ingest_unusable(
    body_key bytea[],
    reason text[],
    received_at timestamptz[],
    body bytea[]
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform torque_internal.quarantine($1, $2, $3, $4);
end
$$;
comment on function torque.ingest_unusable(bytea[], text[], timestamptz[], bytea[]) is
    'Genuine bodies that the receiver could not use go to quarantine, byte for byte.';

-- Keeps a fact, of any source, whatever its order. The outcome, or null when a new fold of the
-- order will say. is_stale: the order needs one.
create function torque_internal.keep(
    source text,
    of_order text,
    key bytea,
    event_id text,
    event_type text,
    claimed_status text,
    occurred_at timestamptz,
    received_at timestamptz,
    payload json,
    out outcome text,
    out is_stale boolean
)
language plpgsql
as $$
declare
    facts_max constant integer := 10000;
    is_test constant boolean := of_order like 'orderd-test.%';
    known record;
    why text;
begin
    -- A repeat writes, though it tells nothing new: a commit that wrote nothing does not wait for
    -- the standby, which may not have heard of the first.
    select e.received_at, e.occurred_at
    into known
    from torque.order_events e
    where e.order_id = of_order
        and e.event_key = key;
    if found then
        update torque.order_events as e
        set
            deliveries = e.deliveries + 1,
            received_at = least(e.received_at, keep.received_at),
            occurred_at = case
                when e.source = 'webhook' then e.occurred_at
                else greatest(e.occurred_at, keep.occurred_at)
            end
        where e.order_id = of_order
            and e.event_key = key;
        outcome := 'duplicate';
        is_stale := not is_test and (
            received_at < known.received_at
            or source <> 'webhook' and occurred_at > known.occurred_at
        );
        return;
    end if;

    why := (torque_internal.details(payload, source = 'webhook', null)).fault;
    if why = 'amount_is_text' and current_setting('orderd.string_amounts', true) = 'on' then
        why := null;
    end if;
    if not torque_internal.is_order_id(of_order) then
        why := 'bad_order_id';
    elsif source <> 'webhook' and json_typeof(payload -> 'status') not in ('string', 'null') then
        why := 'bad_status';
    end if;
    if why is null and (
        select count(*)
        from (
            select
            from torque.order_events e
            where e.order_id = of_order
            limit facts_max
        ) as e
    ) >= facts_max then
        why := 'too_many_facts';
    end if;
    if why is not null then
        perform torque_internal.quarantine(
            array[key],
            array[why],
            array[received_at],
            array[convert_to(payload::text, 'UTF8')]
        );
        outcome := 'quarantined';
        return;
    end if;

    if source = 'webhook' and claimed_status is null and not exists (
        select
        from torque.event_status s
        where s.event_type = keep.event_type
    ) then
        outcome := 'ignored';
        why := 'unknown_event';
    elsif is_test then
        outcome := 'recorded';
        why := 'test';
    end if;
    insert into torque.order_events (
        order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
        received_at, outcome, reason, payload
    )
    values (
        of_order, key, source, event_id, event_type, claimed_status, occurred_at,
        received_at, coalesce(outcome, 'recorded'), why, payload
    );
    is_stale := outcome is null;
end
$$;

-- What a new fold of its order made of a fact just kept.
create function torque_internal.judge(
    of_order text,
    key bytea,
    folded torque_internal.refolded
)
returns text
language plpgsql
as $$
declare
    fact record;
    verdict text;
begin
    select
        e.claimed_status,
        case
            when e.claimed_status is not null then torque_internal.status_of(e.claimed_status)
            else s.status
        end as status
    into strict fact
    from torque.order_events e
    left join torque.event_status s
        on s.event_type = e.event_type
    where e.order_id = of_order
        and e.event_key = key;
    verdict := case
        when key = any (folded.held_keys) then
            'held'
        when folded.is_new and fact.status is null then
            'applied'
        when folded.from_status is distinct from folded.to_status
            and (key = any (folded.moved_keys) or key = folded.base_key)
        then
            'applied'
        else
            'recorded'
    end;
    update torque.order_events as e
    set
        outcome = verdict,
        from_status = folded.from_status,
        to_status = fact.status,
        reason = case
            when verdict = 'applied' then null
            when verdict = 'held' then 'anomaly'
            when fact.status is null and fact.claimed_status is not null then 'unknown_word'
            when fact.status is null then 'no_status'
            when fact.status = folded.to_status then 'same_status'
            else 'late'
        end
    where e.order_id = of_order
        and e.event_key = key;
    return verdict;
end
$$;

-- Serialises the writers of orders, which may have no row yet, for the rest of the transaction.
-- Their rows are locked in a later statement, under its fresh snapshot. Nobody ever waits, so that
-- there are no deadlocks: an order that another session has is named, and left for later.
create function torque_internal.busy_orders(order_ids text[])
returns text[]
language plpgsql
as $$
declare
    of_order text;
    busy text[];
begin
    foreach of_order in array coalesce(order_ids, '{}') loop
        if not pg_try_advisory_xact_lock(hashtextextended(of_order, 8246723509)) then
            busy := busy || of_order;
        end if;
    end loop;
    return busy;
end
$$;

-- The general way, for facts of every source that have no outcome yet: keeps them one by one, then
-- folds their orders, once each.
create function torque_internal.ingest_by_fold(
    sources text[],
    order_ids text[],
    event_keys bytea[],
    event_ids text[],
    event_types text[],
    claimed_statuses text[],
    occurred_ats timestamptz[],
    received_ats timestamptz[],
    payloads json[],
    inout outcomes text[],
    out changed text[]
)
language plpgsql
as $$
declare
    of_order text;
    kept record;
    folded torque_internal.refolded;
    stale text[] := '{}';
begin
    changed := '{}';
    for n in 1..cardinality(order_ids) loop
        if outcomes[n] is null then
            kept := torque_internal.keep(
                sources[n], order_ids[n], event_keys[n], event_ids[n], event_types[n],
                claimed_statuses[n], occurred_ats[n], received_ats[n], payloads[n]
            );
            outcomes[n] := kept.outcome;
            if kept.is_stale and order_ids[n] <> all (stale) then
                stale := stale || order_ids[n];
            end if;
        end if;
    end loop;
    foreach of_order in array stale loop
        folded := torque_internal.refold(of_order);
        if folded.has_changed then
            changed := changed || of_order;
        end if;
        for n in 1..cardinality(order_ids) loop
            if order_ids[n] = of_order and outcomes[n] is null then
                outcomes[n] := torque_internal.judge(of_order, event_keys[n], folded);
            end if;
        end loop;
    end loop;
end
$$;

-- For facts that take the general way at once: locks the rows, and says busy for each fact whose
-- order another session has, by either lock.
create function torque_internal.busy_outcomes(order_ids text[], busy text[])
returns text[]
language plpgsql
as $$
begin
    return (
        with locked as materialized (
            select o.order_id
            from torque.orders o
            where o.order_id = any (order_ids)
            for no key update skip locked
        )
        select array_agg(
            case
                when u.order_id = any (busy) then 'busy'
                when l.order_id is null and o.order_id is not null then 'busy'
            end
            order by u.n
        )
        from unnest(order_ids) with ordinality as u(order_id, n)
        left join locked l
            on l.order_id = u.order_id
        left join torque.orders o
            on o.order_id = u.order_id
    );
end
$$;

create or replace function torque.ingest(
    order_id text[],
    event_key bytea[],
    event_id text[],
    event_type text[],
    claimed_status text[],
    occurred_at timestamptz[],
    received_at timestamptz[],
    payload json[]
)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    busy constant text[] := torque_internal.busy_orders($1);
    few constant integer := 3;
    outcomes text[];
    changed text[];
    news record;
    rest record;
begin
    if cardinality($1) <= few then
        news := torque_internal.ingest_few(busy, $1, $2, $3, $4, $5, $6, $7, $8);
    else
        news := torque_internal.ingest_newest(busy, $1, $2, $3, $4, $5, $6, $7, $8);
    end if;
    outcomes := news.outcomes;
    changed := news.changed;
    if array_position(outcomes, null) is not null then
        rest := torque_internal.ingest_by_fold(
            array_fill('webhook'::text, array[cardinality($1)]),
            $1, $2, $3, $4, $5, $6, $7, $8, outcomes
        );
        outcomes := rest.outcomes;
        changed := changed || rest.changed;
    end if;
    if current_setting('orderd.notify', true) = 'on' then
        perform torque_internal.tell(changed);
    end if;
    return outcomes;
end
$$;
comment on function torque.ingest(
    text[], bytea[], text[], text[], text[], timestamptz[], timestamptz[], json[]
) is
    'Takes in a batch of webhooks, one element a fact, and says of each, in the same order, what'
    ' became of it: applied, duplicate, recorded, held, ignored, quarantined, or busy, when another'
    ' session has the order and nothing was kept.';

create or replace function torque.ingest_polled(
    source text[],
    order_id text[],
    requested_at timestamptz[],
    received_at timestamptz[],
    payload json[]
)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    outcomes text[];
    changed text[];
begin
    if array_position($3, null) is not null
        or exists (
            select
            from unnest($1) as u(source)
            where u.source is null
                or u.source not in ('list', 'lookup', 'operator')
        )
    then
        raise invalid_parameter_value using
            message = 'a polled fact needs its source and the time of its request';
    end if;
    outcomes := torque_internal.busy_outcomes($2, torque_internal.busy_orders($2));
    select f.outcomes, f.changed
    into outcomes, changed
    from (
        select
            array_agg(
                sha256(convert_to(u.source || ':' || u.payload::text, 'UTF8'))
                order by u.n
            ) as event_keys,
            array_agg(u.payload ->> 'status' order by u.n) as claimed_statuses,
            array_agg(null::text) as nulls
        from unnest($1, $5) with ordinality as u(source, payload, n)
    ) as k
    cross join lateral torque_internal.ingest_by_fold(
        $1, $2, k.event_keys, k.nulls, k.nulls, k.claimed_statuses, $3, $4, $5, outcomes
    ) as f;
    if current_setting('orderd.notify', true) = 'on' then
        perform torque_internal.tell(changed);
    end if;
    return outcomes;
end
$$;
comment on function torque.ingest_polled(
    text[], text[], timestamptz[], timestamptz[], json[]
) is
    'Takes in what polls brought: bare orders of the API, with the start of their requests. One'
    ' outcome a fact, in the same order.';

-- For a batch that failed: each fact in a transaction of its own within this one.
create or replace function torque.ingest_each(
    order_id text[],
    event_key bytea[],
    event_id text[],
    event_type text[],
    claimed_status text[],
    occurred_at timestamptz[],
    received_at timestamptz[],
    payload json[]
)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    outcomes text[] := '{}';
    outcome text[];
begin
    for n in 1..coalesce(cardinality($1), 0) loop
        begin
            outcome := torque.ingest(
                $1[n:n], $2[n:n], $3[n:n], $4[n:n], $5[n:n], $6[n:n], $7[n:n], $8[n:n]
            );
        exception
            when data_exception or integrity_constraint_violation then
                perform torque_internal.quarantine(
                    $2[n:n],
                    array['database_' || sqlstate],
                    $7[n:n],
                    array[convert_to($8[n]::text, 'UTF8')]
                );
                outcome := array['quarantined'];
        end;
        outcomes := outcomes || outcome;
    end loop;
    return outcomes;
end
$$;
comment on function torque.ingest_each(
    text[], bytea[], text[], text[], text[], timestamptz[], timestamptz[], json[]
) is
    'torque.ingest(), fact by fact: one that the database objects to goes to quarantine alone.';

create or replace function torque.schema_state(
    out version integer,
    out sources text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        max(left(m.name, 4)::integer) filter (where m.name ~ '^[0-9]{4}_'),
        encode(
            sha256(convert_to(
                string_agg(
                    m.name || ' ' || encode(m.sha256, 'hex') || e'\n',
                    ''
                    order by m.name collate "C"
                ) filter (where m.name !~ '^[0-9]'),
                'UTF8'
            )),
            'hex'
        )
    from torque_internal.migration m
$$;
comment on function torque.schema_state() is
    'The newest numbered file, and SHA-256 over the lines "name sha256" of all named ones.';
