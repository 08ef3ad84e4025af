-- Of a list the rows that differ from the orders here are taken, and what no webhook had told is
-- noted. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- Facts of a poll go in as those of webhooks do. A receiver that has one of the orders is done with
-- it in milliseconds; what is still taken after some tenths of a second is told to the caller,
-- since webhooks of the others wait for us.
create function torque_internal.take_patiently(facts torque_internal.fact[])
returns text[]
language plpgsql
as $$
declare
    outcomes text[] := array_fill('busy'::text, array[cardinality(facts)]);
    places integer[];
    again text[];
    rest torque_internal.fact[];
begin
    for attempt in 1..20 loop
        places := array(
            select u.n::integer
            from unnest(outcomes) with ordinality as u(outcome, n)
            where u.outcome = 'busy'
            order by u.n
        );
        exit when cardinality(places) = 0;
        if attempt > 1 then
            perform pg_sleep(0.01);
        end if;
        rest := array(
            select facts[u.place] from unnest(places) with ordinality as u(place, n) order by u.n
        );
        begin
            again := torque_internal.take_facts(rest);
            -- What would object at the commit is to object here, where it is caught.
            set constraints all immediate;
        exception
            when others then
                again := torque_internal.take_each(rest);
        end;
        for n in 1..cardinality(places) loop
            outcomes[places[n]] := again[n];
        end loop;
    end loop;
    return outcomes;
end
$$;

-- The fields in which rows of a list differ from the orders here. A difference that a lookup has
-- looked into and left is not told again; one in status, which may come and go, thrice. Planning it
-- takes longer than a short list, and for a short list it would be planned anew each time.
create function torque_internal.differences(listed torque_internal.fact[])
returns table (
    order_id text,
    fields text[],
    was text[],
    api_says text[],
    is_new boolean,
    place bigint
)
language plpgsql
stable
set plan_cache_mode = force_generic_plan
as $$
declare
    repeats_max constant integer := 3;
begin
    return query
    with known as materialized (
        select distinct on (r.order_id)
            r.order_id,
            r.event_key,
            r.claimed_status as status,
            t.words ->> r.claimed_status as known_status,
            r.created_at,
            r.total,
            r.currency,
            r.item_count,
            r.customer_email as email,
            r.ordinality as place
        from unnest(listed) with ordinality as r
        cross join torque_internal.rules t
        where r.order_id is not null
        order by
            r.order_id,
            r.ordinality
    ), compared as (
        select
            r.order_id,
            r.event_key,
            r.place,
            o.order_id is null as is_new,
            array_remove(
                array[
                    case when o.order_id is null then 'order' end,
                    case
                        when o.order_id is null or r.status is null then null
                        when r.known_status is null and r.status is distinct from o.raw_status
                            or r.known_status is not null
                                and (r.known_status <> o.status or o.raw_status is not null)
                            then 'status'
                    end,
                    case when r.total <> o.total then 'total' end,
                    case when r.currency <> o.currency then 'currency' end,
                    case when r.item_count <> o.item_count then 'item_count' end,
                    case when r.email <> o.customer_email then 'email' end,
                    case
                        when o.created_at is null
                            or abs(extract(epoch from r.created_at - o.created_at)) > 1
                            or r.total is not null and o.total is null
                            then 'detail'
                    end
                ],
                null
            ) as fields,
            array[
                null, o.status, o.total::text, o.currency, o.item_count::text, null, null
            ] as was,
            array[
                r.status, r.status, r.total::text, r.currency, r.item_count::text, null, null
            ] as api_says,
            o.last_confirmed_at,
            o.newest_as_of
        from known r
        -- One search each, however many orders there are.
        left join lateral (
            select
                t.order_id, t.status, t.raw_status, t.total, t.currency, t.item_count,
                t.customer_email, t.created_at, t.last_confirmed_at, t.newest_as_of
            from torque.orders t
            where t.order_id = r.order_id
            offset 0
        ) as o
            on true
        where r.order_id not like 'orderd-test.%'
    )
    select
        c.order_id,
        c.fields,
        c.was,
        c.api_says,
        c.is_new,
        c.place
    from compared c
    where cardinality(c.fields) > 0
        and not (
            coalesce(c.newest_as_of <= c.last_confirmed_at, false)
            and exists (
                select
                from torque.order_events e
                where e.order_id = c.order_id
                    and e.event_key = c.event_key
                    and e.received_at <= c.last_confirmed_at
                    and (
                        'status' <> all (c.fields)
                        -- A page that is read again tells it again, and no lookup comes between.
                        or e.deliveries >= repeats_max
                            and repeats_max <= (
                                select sum(n.deliveries)
                                from torque.order_events n
                                where n.order_id = c.order_id
                                    and n.source = 'lookup'
                                    and n.occurred_at >= e.received_at
                            )
                    )
                    and not exists (
                        select
                        from torque.order_events n
                        where n.order_id = c.order_id
                            and n.source = 'list'
                            and n.occurred_at > e.occurred_at
                    )
            )
        );
end
$$;

-- Notes that polling has found what no webhook had told.
create function torque_internal.note_drift(
    of_order text,
    field text,
    found_by text,
    of_window bigint,
    was text,
    api_says text,
    at timestamptz,
    is_repaired boolean
)
returns void
language plpgsql
as $$
begin
    insert into torque.drift (
        order_id, found_at, field, found_by, window_id, was, api_says, last_webhook_at,
        repaired_at, repaired_by
    )
    select
        of_order, at, $2, $3, of_window, $5, $6,
        (
            select max(e.received_at)
            from torque.order_events e
            where e.order_id = of_order
                and e.source = 'webhook'
        ),
        case when is_repaired then at end,
        case when is_repaired then $3 end
    -- Found already, and not yet repaired.
    where not exists (
        select
        from torque.drift d
        where d.order_id = of_order
            and d.field = $2
            and d.repaired_at is null
    )
    on conflict do nothing;
end
$$;

-- A row of a list that differs from the order here.
create type torque_internal.difference as (
    order_id text,
    fields text[],
    was text[],
    api_says text[],
    is_new boolean,
    place bigint
);

-- What still differs when the rows are in is looked up. Orders that were there before anybody
-- polled are no webhook's omission, and their details are for those who ask for them.
create function torque_internal.take_rows(
    listed torque_internal.fact[],
    w torque.reconcile_window,
    as_of timestamptz,
    answered timestamptz
)
returns integer
language plpgsql
as $$
declare
    names constant text[] := array['order', 'status', 'total', 'currency', 'item_count', 'email'];
    polls_since constant timestamptz := (select p.polls_since from torque_internal.poller p);
    found torque_internal.difference[];
    outcomes text[];
    is_taken boolean;
    still jsonb;
    d torque_internal.difference;
    o torque.orders;
    place integer;
    field text;
begin
    select array_agg(
        row(f.order_id, f.fields, f.was, f.api_says, f.is_new, f.place)::torque_internal.difference
        order by f.order_id
    )
    into found
    from torque_internal.differences(listed) as f;
    if found is null then
        return 0;
    end if;
    outcomes := torque_internal.take_patiently(
        array(select listed[u.place] from unnest(found) with ordinality as u order by u.ordinality)
    );
    select coalesce(jsonb_object_agg(f.order_id, to_jsonb(f.fields)), '{}')
    into still
    from torque_internal.differences(
        array(
            select r
            from unnest(listed) as r
            where r.order_id in (select f.order_id from unnest(found) as f)
        )
    ) as f;

    for n in 1..cardinality(found) loop
        continue when outcomes[n] = 'busy';
        d := found[n];
        is_taken := outcomes[n] <> 'quarantined';
        if is_taken then
            perform torque_internal.clear_alarm('unusable', d.order_id, answered);
        else
            perform torque_internal.raise_alarm(
                'unusable', d.order_id, format('what a list tells of it is %s', outcomes[n]),
                answered
            );
        end if;
        select t.*
        into o
        from torque.orders t
        where t.order_id = d.order_id;
        foreach field in array d.fields loop
            place := array_position(names, field);
            continue when place is null
                or field = 'status' and is_taken and outcomes[n] <> 'applied'
                or field = 'order' and (o.created_at >= polls_since) is not true;
            perform torque_internal.note_drift(
                d.order_id, field, 'list', w.window_id, d.was[place], d.api_says[place], answered,
                (still -> d.order_id ? field) is not true
            );
        end loop;
        if still ? d.order_id or not d.is_new and o.verify_after is not null then
            perform torque_internal.want_lookup(
                d.order_id, 'verify', coalesce(o.verify_after, answered), answered
            );
        elsif d.is_new and o.created_at >= polls_since then
            perform torque_internal.want_lookup(d.order_id, 'details', answered, answered);
        end if;
    end loop;
    return (
        select count(*)
        from unnest(outcomes) as u
        where u = 'busy'
    );
end
$$;

-- How many webhooks an hour have come of late.
create function torque_internal.webhooks_per_hour(p torque_internal.poller, at timestamptz)
returns double precision
language sql
stable
as $$
    select coalesce(
        p.webhooks_per_hour
            * exp(-extract(epoch from greatest(at - p.webhooks_at, '0'))::double precision / 3600),
        0
    )
$$;

-- A webhook that told the same within lookback was only slower than the poll.
create function torque_internal.settle_drift(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    lookback constant interval := torque_internal.seconds('lookback');
    untold bigint;
begin
    delete from torque.drift d
    where not d.is_settled
        and d.found_at <= at - lookback
        and d.field in ('order', 'status')
        and exists (
            select
            from torque.order_events e
            left join torque.event_status s
                on s.event_type = e.event_type
            where e.order_id = d.order_id
                and e.source = 'webhook'
                and e.received_at between d.found_at - lookback and d.found_at + lookback
                and coalesce(torque_internal.status_of(e.claimed_status), s.status) = d.api_says
        );
    update torque.drift as d
    set is_settled = true
    where not d.is_settled
        and d.found_at <= at - lookback;
    select count(*)
    into untold
    from torque.drift d
    where d.is_settled
        and d.found_at > at - lookback - interval '1 hour'
        and d.field in ('order', 'status');
    if untold >= 5 and untold > 0.2 * torque_internal.webhooks_per_hour(p, at) then
        perform torque_internal.raise_lasting(
            'webhooks_silent', '',
            format('polling found %s changes within an hour that no webhook told', untold), at
        );
    elsif untold < 3 then
        perform torque_internal.clear_alarm('webhooks_silent', '', at);
    end if;
end
$$;
