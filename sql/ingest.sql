-- How facts come in: the doors, and the general way behind them. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

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

-- Facts from columns: of each its n-th element. Numbers are as they were sent; faults and assumed
-- are arrays in the form of a text.
create function torque_internal.facts(
    order_id text[], event_key bytea[], source text[], event_id text[], event_type text[],
    claimed_status text[], occurred_at timestamptz[], received_at timestamptz[], payload json[],
    business_id text[], session_id text[], created_at timestamptz[], updated_at timestamptz[],
    cancelled_at timestamptz[], cancellation_reason text[], customer_email text[],
    customer_first_name text[], customer_last_name text[], customer_phone text[],
    customer_address json[], currency text[], subtotal numeric[], discounts numeric[],
    shipping numeric[], total numeric[], item_count bigint[], items json[], items_hash bigint[],
    payment_method text[], payment_transaction_id text[], payment_amount numeric[],
    payment_status text[], faults text[], assumed text[]
)
returns torque_internal.fact[]
language plpgsql
stable
as $$
#variable_conflict use_column
begin
    return array(
        select
            row(
                u.order_id,
                coalesce(
                    u.event_key,
                    sha256(convert_to(u.source || ':' || u.payload::text, 'UTF8'))
                ),
                u.source, u.event_id, u.event_type, u.claimed_status, u.occurred_at, u.received_at,
                u.payload, u.business_id, u.session_id, u.created_at, u.updated_at, u.cancelled_at,
                u.cancellation_reason, u.customer_email, u.customer_first_name,
                u.customer_last_name, u.customer_phone, u.customer_address, u.currency, u.subtotal,
                u.discounts, u.shipping, u.total, u.item_count, u.items, u.items_hash,
                u.payment_method, u.payment_transaction_id, u.payment_amount, u.payment_status,
                u.faults::text[], u.assumed::text[]
            )::torque_internal.fact
        from unnest(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34
        ) as u(
            order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
            received_at, payload, business_id, session_id, created_at, updated_at, cancelled_at,
            cancellation_reason, customer_email, customer_first_name, customer_last_name,
            customer_phone, customer_address, currency, subtotal, discounts, shipping, total,
            item_count, items, items_hash, payment_method, payment_transaction_id, payment_amount,
            payment_status, faults, assumed
        )
    );
end
$$;

-- The general way: takes facts of one order, of any source, by a new fold of it. Each is kept once,
-- with its outcome.
create function torque_internal.take_order(
    facts torque_internal.fact[],
    out outcomes text[],
    out has_changed boolean
)
language plpgsql
as $$
declare
    facts_max constant integer := 10000;
    of_order constant text := facts[1].order_id;
    is_test constant boolean := starts_with(of_order, 'orderd-test.');
    fact torque_internal.fact;
    known record;
    is_stale boolean := false;
    news torque_internal.fact[] := '{}';
    keys bytea[] := '{}';
    places integer[] := '{}';
    times integer[] := '{}';
    place integer;
    said record;
    folded torque_internal.refolded;
    verdicts text[] := '{}';
    reasons text[] := '{}';
begin
    -- A repeat writes, though it tells nothing new: a commit that wrote nothing does not wait for
    -- the standby, which may not have heard of the first.
    for n in 1..cardinality(facts) loop
        fact := facts[n];
        update torque.order_events as e
        set
            deliveries = e.deliveries + 1,
            received_at = least(e.received_at, fact.received_at),
            occurred_at = case
                when e.source = 'webhook' then e.occurred_at
                else greatest(e.occurred_at, fact.occurred_at)
            end
        from torque.order_events k
        where e.order_id = of_order
            and e.event_key = fact.event_key
            and k.order_id = of_order
            and k.event_key = fact.event_key
        returning k.received_at, k.occurred_at
        into known;
        if found then
            outcomes[n] := 'duplicate';
            is_stale := is_stale
                or fact.received_at < known.received_at
                or fact.source <> 'webhook' and fact.occurred_at > known.occurred_at;
            continue;
        end if;
        place := array_position(keys, fact.event_key);
        if place is null then
            outcomes[n] := null;
            news := news || fact;
            keys := keys || fact.event_key;
            places := places || n;
            times := times || 1;
            continue;
        end if;
        outcomes[n] := 'duplicate';
        times[place] := times[place] + 1;
        news[place].received_at := least(news[place].received_at, fact.received_at);
        if fact.source <> 'webhook' then
            news[place].occurred_at := greatest(news[place].occurred_at, fact.occurred_at);
        end if;
    end loop;
    if cardinality(news) > 0 and (
        select count(*)
        from (
            select
            from torque.order_events e
            where e.order_id = of_order
            limit facts_max
        ) as e
    ) >= facts_max then
        perform torque_internal.quarantine_facts(news, 'too_many_facts');
        foreach place in array places loop
            outcomes[place] := 'quarantined';
        end loop;
        news := '{}';
    end if;

    select array_agg(r.said) as words, array_agg(r.is_ignored) as are_ignored
    into strict said
    from unnest(news) as f
    cross join lateral torque_internal.reading(
        f.source, f.event_type, f.claimed_status, f.occurred_at, f.received_at
    ) as r;
    if not is_test and (is_stale or false = any (said.are_ignored)) then
        folded := torque_internal.refold(of_order, news);
    end if;
    has_changed := coalesce(folded.has_changed, false);
    for n in 1..cardinality(news) loop
        verdicts[n] := case
            when is_test then 'recorded'
            when said.are_ignored[n] then 'ignored'
            when keys[n] = any (folded.held_keys) then 'held'
            when folded.is_new and said.words[n] is null then 'applied'
            when folded.from_status is distinct from folded.to_status
                and (keys[n] = any (folded.moved_keys) or keys[n] = folded.base_key)
                then 'applied'
            else 'recorded'
        end;
        reasons[n] := case
            when is_test then 'test'
            when verdicts[n] = 'applied' then null
            when verdicts[n] = 'ignored' then 'unknown_event'
            when verdicts[n] = 'held' then 'anomaly'
            when said.words[n] = folded.to_status then 'same_status'
            when said.words[n] is not null then 'late'
            when news[n].claimed_status is not null then 'unknown_word'
            else 'no_status'
        end;
        outcomes[places[n]] := verdicts[n];
    end loop;
    if cardinality(news) > 0 then
        perform torque_internal.keep(
            news, verdicts, array_fill(folded.from_status, array[cardinality(news)]), said.words,
            reasons, times
        );
    end if;
end
$$;

-- Takes facts that have no outcome yet, order by order.
create function torque_internal.take_by_order(
    facts torque_internal.fact[],
    inout outcomes text[],
    inout changed text[]
)
language plpgsql
as $$
declare
    o record;
    taken record;
begin
    for o in
        select
            array_agg(f.ordinality order by f.ordinality) as places
        from unnest(facts) with ordinality as f
        where outcomes[f.ordinality] is null
        group by f.order_id
    loop
        taken := torque_internal.take_order(
            array(select facts[p] from unnest(o.places) with ordinality as u(p, n) order by n)
        );
        for n in 1..cardinality(o.places) loop
            outcomes[o.places[n]] := taken.outcomes[n];
        end loop;
        if taken.has_changed then
            changed := changed || facts[o.places[1]].order_id;
        end if;
    end loop;
end
$$;

-- Takes facts of any source: one outcome each, in their order.
create function torque_internal.take_facts(facts torque_internal.fact[])
returns text[]
language plpgsql
as $$
declare
    offered record;
    locked record;
    taken record;
begin
    select
        array_agg(f.order_id) as order_ids,
        bool_and(
            coalesce(f.source = 'webhook', false)
            or f.source in ('list', 'lookup', 'operator') and f.occurred_at is not null
        ) as are_dated
    into strict offered
    from unnest(facts) as f;
    if not offered.are_dated then
        raise invalid_parameter_value using
            message = 'a fact needs its source, and a polled one the time of its request';
    end if;
    locked := torque_internal.lock_orders(offered.order_ids);
    taken := torque_internal.take_newest(facts, locked.busy, locked.several);
    if array_position(taken.outcomes, null) is not null then
        taken := torque_internal.take_by_order(facts, taken.outcomes, taken.changed);
    end if;
    if current_setting('orderd.notify', true) = 'on' then
        perform torque_internal.tell(taken.changed);
    end if;
    return coalesce(taken.outcomes, '{}');
end
$$;

-- For one fact of which it is known that it is not its order's newest.
create function torque_internal.take_slowly(fact torque_internal.fact)
returns text
language plpgsql
as $$
declare
    taken record;
begin
    if cardinality((torque_internal.lock_orders(array[fact.order_id])).busy) > 0 then
        return 'busy';
    end if;
    taken := torque_internal.take_by_order(array[fact], array[null::text], '{}');
    if current_setting('orderd.notify', true) = 'on' then
        perform torque_internal.tell(taken.changed);
    end if;
    return taken.outcomes[1];
end
$$;

-- The bodies of facts that cannot be kept.
create function torque_internal.quarantine_facts(facts torque_internal.fact[], reason text)
returns void
language sql
volatile
as $$
    select torque_internal.quarantine(
        array_agg(f.event_key),
        array_agg(reason),
        array_agg(f.received_at),
        array_agg(convert_to(f.payload::text, 'UTF8'))
    )
    from unnest(facts) as f
$$;

-- Whether the database takes facts at all: the first one of an order that nobody has is tried, and
-- taken back whatever comes of it.
create function torque_internal.takes_another()
returns boolean
language plpgsql
as $$
declare
    taken_back constant text := 'TQ000';
    fact torque_internal.fact;
begin
    fact.order_id := 'orderd-trial.' || gen_random_uuid();
    fact.event_key := sha256(convert_to(fact.order_id, 'UTF8'));
    fact.source := 'webhook';
    fact.event_type := 'order.created';
    fact.occurred_at := statement_timestamp();
    fact.received_at := statement_timestamp();
    fact.payload := '{}';
    perform torque_internal.take_facts(array[fact]);
    set constraints all immediate;
    raise exception using
        errcode = taken_back;
exception
    when assert_failure or others then
        return sqlstate = taken_back;
end
$$;

-- For facts that failed together: each in a subtransaction. What is raised for one, under whatever
-- code a trigger of the merchant's may choose, sends that one to quarantine, as long as the
-- database takes others; else nobody knows that it is about one, and it is raised for all. Codes of
-- what passes, and of what the server has run out of, are believed. Tried twice: functions may have
-- been replaced meanwhile.
create function torque_internal.take_each(facts torque_internal.fact[])
returns text[]
language plpgsql
as $$
declare
    outcomes text[] := '{}';
    codes text[] := '{}';
    doubted text;
begin
    for n in 1..cardinality(facts) loop
        for attempt in 1..2 loop
            begin
                outcomes[n] := (torque_internal.take_facts(facts[n:n]))[1];
                set constraints all immediate;
                exit;
            exception
                when transaction_rollback or lock_not_available then
                    outcomes[n] := 'busy';
                    exit;
                when insufficient_resources or system_error then
                    raise;
                when assert_failure or others then
                    outcomes[n] := null;
                    codes[n] := sqlstate;
            end;
        end loop;
        if outcomes[n] is null then
            outcomes[n] := 'quarantined';
            if codes[n] !~ '^2[23]' then
                doubted := codes[n];
            end if;
        else
            codes[n] := null;
        end if;
    end loop;
    if doubted is not null and 'applied' <> all (outcomes)
        and not torque_internal.takes_another() then
        raise exception 'no fact is taken'
            using errcode = doubted;
    end if;
    for n in 1..cardinality(facts) loop
        if codes[n] is not null then
            perform torque_internal.quarantine_facts(facts[n:n], 'database_' || codes[n]);
        end if;
    end loop;
    return outcomes;
end
$$;

create or replace function torque.take_many(
    order_id text[], event_key bytea[], source text[], event_id text[], event_type text[],
    claimed_status text[], occurred_at timestamptz[], received_at timestamptz[], payload json[],
    business_id text[], session_id text[], created_at timestamptz[], updated_at timestamptz[],
    cancelled_at timestamptz[], cancellation_reason text[], customer_email text[],
    customer_first_name text[], customer_last_name text[], customer_phone text[],
    customer_address json[], currency text[], subtotal numeric[], discounts numeric[],
    shipping numeric[], total numeric[], item_count bigint[], items json[], items_hash bigint[],
    payment_method text[], payment_transaction_id text[], payment_amount numeric[],
    payment_status text[], faults text[], assumed text[]
)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
    return torque_internal.take_facts(
        torque_internal.facts(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34
        )
    );
end
$$;
comment on function torque.take_many is
    'Takes in facts of any source, one element a fact, and says of each, in the same order, what'
    ' became of it: applied, duplicate, recorded, held, ignored, quarantined, or busy, when another'
    ' session has the order and nothing was kept.';

-- For a batch that failed.
create or replace function torque.take_each(
    order_id text[], event_key bytea[], source text[], event_id text[], event_type text[],
    claimed_status text[], occurred_at timestamptz[], received_at timestamptz[], payload json[],
    business_id text[], session_id text[], created_at timestamptz[], updated_at timestamptz[],
    cancelled_at timestamptz[], cancellation_reason text[], customer_email text[],
    customer_first_name text[], customer_last_name text[], customer_phone text[],
    customer_address json[], currency text[], subtotal numeric[], discounts numeric[],
    shipping numeric[], total numeric[], item_count bigint[], items json[], items_hash bigint[],
    payment_method text[], payment_transaction_id text[], payment_amount numeric[],
    payment_status text[], faults text[], assumed text[]
)
returns text[]
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
    return torque_internal.take_each(
        torque_internal.facts(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34
        )
    );
end
$$;
comment on function torque.take_each is
    'torque.take_many(), fact by fact: one that the database objects to, as a trigger may, goes to'
    ' quarantine alone. What it objects to in every fact is raised.';

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
