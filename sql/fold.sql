-- The one rule by which facts add up to an order. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- A fact: where it came from, and what it says, read by the receiver; null: nothing, or nothing
-- that can be used. Everywhere below a fact is one of these, whichever way it came.
create type torque_internal.fact as (
    order_id text, event_key bytea, source text, event_id text, event_type text,
    claimed_status text, occurred_at timestamptz, received_at timestamptz, payload json,
    business_id text, session_id text, created_at timestamptz, updated_at timestamptz,
    cancelled_at timestamptz, cancellation_reason text, customer_email text,
    customer_first_name text, customer_last_name text, customer_phone text, customer_address json,
    currency text, subtotal numeric, discounts numeric, shipping numeric, total numeric,
    item_count bigint, items json, items_hash bigint, payment_method text,
    payment_transaction_id text, payment_amount numeric, payment_status text, faults text[],
    assumed text[]
);

-- A row of torque.orders, by the columns that are ours: merchants may add others.
create type torque_internal.order_row as (
    order_id text, business_id text, session_id text, status text, status_at timestamptz,
    raw_status text, created_at timestamptz, updated_at timestamptz, pending_at timestamptz,
    processing_at timestamptz, completed_at timestamptz, cancelled_at timestamptz,
    refunded_at timestamptz, cancellation_reason text, customer_email text,
    customer_first_name text, customer_last_name text, customer_phone text, customer_address json,
    currency text, subtotal numeric, discounts numeric, shipping numeric, total numeric,
    item_count bigint, payment_method text, payment_transaction_id text, payment_amount numeric,
    payment_status text, has_details boolean, is_open boolean, held_facts integer,
    verify_after timestamptz, first_seen_at timestamptz, last_changed_at timestamptz,
    last_confirmed_at timestamptz, newest_as_of timestamptz, items_hash bigint,
    rules_version integer
);

-- The value each field was last given. The order of the facts is the caller's.
create function torque_internal.lay_over(
    known torque_internal.fact,
    newer torque_internal.fact
)
returns torque_internal.fact
language plpgsql
immutable
as $$
begin
    known.business_id := coalesce(newer.business_id, known.business_id);
    known.session_id := coalesce(newer.session_id, known.session_id);
    known.created_at := coalesce(newer.created_at, known.created_at);
    known.updated_at := coalesce(newer.updated_at, known.updated_at);
    known.cancellation_reason := coalesce(newer.cancellation_reason, known.cancellation_reason);
    known.customer_email := coalesce(newer.customer_email, known.customer_email);
    known.customer_first_name := coalesce(newer.customer_first_name, known.customer_first_name);
    known.customer_last_name := coalesce(newer.customer_last_name, known.customer_last_name);
    known.customer_phone := coalesce(newer.customer_phone, known.customer_phone);
    known.customer_address := coalesce(newer.customer_address, known.customer_address);
    known.currency := coalesce(newer.currency, known.currency);
    known.subtotal := coalesce(newer.subtotal, known.subtotal);
    known.discounts := coalesce(newer.discounts, known.discounts);
    known.shipping := coalesce(newer.shipping, known.shipping);
    known.total := coalesce(newer.total, known.total);
    known.item_count := coalesce(newer.item_count, known.item_count);
    if newer.items_hash is not null then
        known.items := newer.items;
        known.items_hash := newer.items_hash;
    end if;
    known.payment_method := coalesce(newer.payment_method, known.payment_method);
    known.payment_transaction_id
        := coalesce(newer.payment_transaction_id, known.payment_transaction_id);
    known.payment_amount := coalesce(newer.payment_amount, known.payment_amount);
    known.payment_status := coalesce(newer.payment_status, known.payment_status);
    return known;
end
$$;

-- What several facts tell of an order, the last one first.
create aggregate torque_internal.overlaid(torque_internal.fact) (
    sfunc = torque_internal.lay_over,
    stype = torque_internal.fact
);

-- The rule.

-- A fact as the fold sees it. status or unknown_word or neither; asks: for a reason of its own.
create type torque_internal.fold_fact as (
    event_key bytea,
    source text,
    status text,
    unknown_word text,
    as_of timestamptz,
    status_time timestamptz,
    ask_time timestamptz,
    asks boolean
);

-- The newest answer of the API that names a status: the authority on all before it.
create type torque_internal.fold_base as (
    event_key bytea,
    status text,
    as_of timestamptz
);

-- The course of an order so far. reached, reached_at: the statuses it was in, and since when.
create type torque_internal.fold_state as (
    status text,
    raw_status text,
    reached text[],
    reached_at timestamptz[],
    verify_after timestamptz,
    moved_keys bytea[],
    held_keys bytea[]
);

-- The state after a fact has dated a status: by a move, when it is so from then on; else the
-- earliest word counts.
create function torque_internal.dated(
    state torque_internal.fold_state,
    fact torque_internal.fold_fact,
    is_move boolean
)
returns torque_internal.fold_state
language plpgsql
immutable
as $$
declare
    place constant integer := coalesce(
        array_position(state.reached, fact.status),
        cardinality(state.reached) + 1
    );
begin
    state.reached[place] := fact.status;
    state.reached_at[place] := case
        when is_move then fact.status_time
        else least(state.reached_at[place], fact.status_time)
    end;
    return state;
end
$$;

-- One step of the fold. Facts come in the order (as_of, rank, key). What is not newer than the
-- base moves nothing.
create function torque_internal.step(
    state torque_internal.fold_state,
    fact torque_internal.fold_fact,
    base torque_internal.fold_base
)
returns torque_internal.fold_state
language plpgsql
stable
as $$
declare
    is_older constant boolean := coalesce(fact.as_of <= base.as_of, false);
    asks boolean := fact.asks;
    class constant text := torque_internal.move_class(
        (select r.moves from torque_internal.rules r),
        case when is_older then base.status else state.status end,
        fact.status
    );
begin
    if is_older then
        if fact.status is null then
            return state;
        end if;
        state := torque_internal.dated(state, fact, false);
        if fact.event_key = base.event_key then
            state.status := base.status;
            return state;
        end if;
        -- Clocks differ: what is up to 5 s older than the base, and ahead of it, may be newer.
        asks := fact.as_of >= base.as_of - interval '5 seconds'
            and torque_internal.is_move(class)
            and fact.ask_time > base.as_of;
    elsif fact.unknown_word is not null then
        state.raw_status := fact.unknown_word;
    elsif fact.status is not null then
        state.raw_status := null;
        asks := asks or torque_internal.asks_after(class, fact.source);
        if torque_internal.is_move(class) then
            state := torque_internal.dated(state, fact, true);
            state.status := fact.status;
            state.moved_keys := state.moved_keys || fact.event_key;
        elsif class = 'anomaly' then
            state.held_keys := state.held_keys || fact.event_key;
        end if;
    end if;
    if asks then
        state.verify_after := greatest(state.verify_after, fact.ask_time);
    end if;
    return state;
end
$$;

-- The course of an order, from its facts in the order (as_of, rank, key).
create aggregate torque_internal.fold(torque_internal.fold_fact, torque_internal.fold_base) (
    sfunc = torque_internal.step,
    stype = torque_internal.fold_state,
    initcond = '(,,{},{},,{},{})'
);

-- The facts of an order that are kept, without their evidence.
create function torque_internal.kept_facts(of_order text)
returns setof torque_internal.fact
language sql
stable
as $$
    select
        e.order_id, e.event_key, e.source, e.event_id, e.event_type, e.claimed_status,
        e.occurred_at, e.received_at, null::json, e.business_id, e.session_id, e.created_at,
        e.updated_at, e.cancelled_at, e.cancellation_reason, e.customer_email,
        e.customer_first_name, e.customer_last_name, e.customer_phone, e.customer_address,
        e.currency, e.subtotal, e.discounts, e.shipping, e.total, e.item_count, e.items,
        e.items_hash, e.payment_method, e.payment_transaction_id, e.payment_amount,
        e.payment_status, e.faults, e.assumed
    from torque.order_events e
    where e.order_id = of_order
$$;

-- The facts of an order, kept ones and new ones, as the rules of today read them; ignored ones are
-- not among them.
create function torque_internal.facts_of(of_order text, news torque_internal.fact[])
returns table (
    fact torque_internal.fold_fact,
    rank integer,
    received_at timestamptz,
    told torque_internal.fact
)
language sql
stable
as $$
    select
        row(
            t.event_key,
            t.source,
            r.said,
            case when r.said is null then t.claimed_status end,
            r.as_of,
            case t.source
                when 'lookup' then
                    least(t.updated_at, r.as_of)
                when 'operator' then
                    least(t.cancelled_at, r.as_of)
                else
                    r.as_of
            end,
            greatest(t.received_at, r.as_of) + interval '1 second',
            r.is_doubtful
                or t.event_id is not null
                    and count(*) over (partition by t.event_id) > 1
        )::torque_internal.fold_fact,
        coalesce(s.rank, 0),
        t.received_at,
        row(t.*)::torque_internal.fact
    from (
        select k.*
        from torque_internal.kept_facts(of_order) as k
        union all
        select n.*
        from unnest(news) as n
    ) as t
    cross join lateral torque_internal.reading(
        t.source, t.event_type, t.claimed_status, t.occurred_at, t.received_at
    ) as r
    left join torque.order_status s
        on s.status = r.said
    where not r.is_ignored
$$;

-- What a new fold of an order came to.
create type torque_internal.refolded as (
    is_new boolean,
    has_changed boolean,
    from_status text,
    to_status text,
    base_key bytea,
    moved_keys bytea[],
    held_keys bytea[],
    facts integer
);

-- Makes the row of an order, and its lines, from nothing but its facts: those that are kept, and
-- those that the caller is about to keep. The caller has locked the order.
create function torque_internal.refold(
    of_order text,
    news torque_internal.fact[] default '{}'
)
returns torque_internal.refolded
language plpgsql
as $$
declare
    was torque_internal.order_row;
    becomes torque_internal.order_row;
    sums record;
    state torque_internal.fold_state;
    known torque_internal.fact;
    result torque_internal.refolded;
begin
    with facts as materialized (
        select f.*
        from torque_internal.facts_of(of_order, news) as f
    ), base as (
        select row((f.fact).event_key, (f.fact).status, (f.fact).as_of)::torque_internal.fold_base
            as base
        from facts f
        where (f.fact).source = 'lookup'
            and (f.fact).status is not null
        order by
            (f.fact).as_of desc,
            f.rank desc,
            (f.fact).event_key desc
        limit 1
    )
    select
        torque_internal.fold(
            f.fact, b.base
            order by (f.fact).as_of, f.rank, (f.fact).event_key
        ) as state,
        torque_internal.overlaid(
            f.told
            order by (f.fact).source <> 'list', (f.fact).as_of, f.rank, (f.fact).event_key
        ) as known,
        min(f.received_at) as first_seen_at,
        max((f.fact).as_of) as newest_as_of,
        max((f.fact).as_of) filter (where (f.fact).source = 'lookup') as last_confirmed_at,
        (select (b.base).event_key from base b) as base_key,
        count(*) as facts
    into strict sums
    from facts f
    left join base b
        on true;
    if sums.newest_as_of is null then
        return null;
    end if;
    state := sums.state;
    known := sums.known;

    select
        o.order_id, o.business_id, o.session_id, o.status, o.status_at, o.raw_status, o.created_at,
        o.updated_at, o.pending_at, o.processing_at, o.completed_at, o.cancelled_at, o.refunded_at,
        o.cancellation_reason, o.customer_email, o.customer_first_name, o.customer_last_name,
        o.customer_phone, o.customer_address, o.currency, o.subtotal, o.discounts, o.shipping,
        o.total, o.item_count, o.payment_method, o.payment_transaction_id, o.payment_amount,
        o.payment_status, o.has_details, o.is_open, o.held_facts, o.verify_after, o.first_seen_at,
        o.last_changed_at, o.last_confirmed_at, o.newest_as_of, o.items_hash, o.rules_version
    into was
    from torque.orders o
    where o.order_id = of_order;

    select
        of_order, known.business_id, known.session_id, coalesce(state.status, 'unknown'),
        state.reached_at[array_position(state.reached, state.status)], state.raw_status,
        known.created_at, known.updated_at,
        state.reached_at[array_position(state.reached, 'pending')],
        state.reached_at[array_position(state.reached, 'processing')],
        state.reached_at[array_position(state.reached, 'completed')],
        state.reached_at[array_position(state.reached, 'cancelled')],
        state.reached_at[array_position(state.reached, 'refunded')], known.cancellation_reason,
        known.customer_email, known.customer_first_name, known.customer_last_name,
        known.customer_phone, known.customer_address, known.currency, known.subtotal,
        known.discounts, known.shipping, known.total, known.item_count, known.payment_method,
        known.payment_transaction_id, known.payment_amount, known.payment_status,
        known.items_hash is not null, not coalesce((r.finals ->> state.status)::boolean, false),
        cardinality(state.held_keys), state.verify_after, sums.first_seen_at, was.last_changed_at,
        sums.last_confirmed_at, sums.newest_as_of, known.items_hash, r.version
    into strict becomes
    from torque_internal.rules r;

    result.is_new := was.order_id is null;
    result.from_status := nullif(was.status, 'unknown');
    result.to_status := state.status;
    result.base_key := sums.base_key;
    result.moved_keys := state.moved_keys;
    result.held_keys := state.held_keys;
    result.facts := sums.facts;
    -- Compared as text, because 100.1 and 100.10 are equal and not the same.
    result.has_changed := result.is_new;
    if becomes::text is distinct from was::text then
        was.newest_as_of := becomes.newest_as_of;
        was.rules_version := becomes.rules_version;
        result.has_changed := result.has_changed or becomes::text <> was::text;
        if result.has_changed then
            becomes.last_changed_at := clock_timestamp();
        end if;
        perform torque_internal.put_orders(
            case when result.is_new then array[becomes] end,
            case when not result.is_new then array[becomes] end,
            case when becomes.is_open and was.is_open is not true then array[of_order] end,
            case when was.is_open and not becomes.is_open then array[of_order] end
        );
    end if;
    if becomes.items_hash is distinct from was.items_hash then
        perform torque_internal.put_lines(array[of_order], array[known.items], result.is_new);
    end if;
    return result;
end
$$;

-- The number is raised when the code above comes to other rows; older rows are then stale.
update torque_internal.rules
set
    version = version + 1,
    fold = 1,
    refolded_to = '',
    refold_again = false
where fold <> 1;
