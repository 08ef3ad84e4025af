-- The one rule by which facts add up to an order. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- The value each field was last given. The order of the facts is the caller's.
create function torque_internal.overlay(
    known torque_internal.details,
    newer torque_internal.details
)
returns torque_internal.details
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return row(
        coalesce(newer.business_id, known.business_id),
        coalesce(newer.session_id, known.session_id),
        coalesce(newer.created_at, known.created_at),
        coalesce(newer.updated_at, known.updated_at),
        null,
        coalesce(newer.cancellation_reason, known.cancellation_reason),
        coalesce(newer.customer_email, known.customer_email),
        coalesce(newer.customer_first_name, known.customer_first_name),
        coalesce(newer.customer_last_name, known.customer_last_name),
        coalesce(newer.customer_phone, known.customer_phone),
        coalesce(newer.customer_address, known.customer_address),
        coalesce(newer.currency, known.currency),
        coalesce(newer.subtotal, known.subtotal),
        coalesce(newer.total, known.total),
        coalesce(newer.item_count, known.item_count),
        case when newer.items_hash is null then known.items else newer.items end,
        coalesce(newer.items_hash, known.items_hash),
        coalesce(newer.payment_method, known.payment_method),
        coalesce(newer.payment_transaction_id, known.payment_transaction_id),
        coalesce(newer.payment_amount, known.payment_amount),
        coalesce(newer.payment_status, known.payment_status),
        null
    )::torque_internal.details;
end
$$;

-- What several payloads tell of an order, the last one first.
create aggregate torque_internal.overlaid(torque_internal.details) (
    sfunc = torque_internal.overlay,
    stype = torque_internal.details
);

-- The rule.

-- A fact as the rule sees it. status or unknown_word or neither; asks: for a reason of its own.
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

-- A fact that says nothing new of the course, yet dates a status: the earliest word counts.
create function torque_internal.dated(
    state torque_internal.fold_state,
    fact torque_internal.fold_fact
)
returns torque_internal.fold_state
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    place constant integer := array_position(state.reached, fact.status);
begin
    if place is null then
        state.reached := state.reached || fact.status;
        state.reached_at := state.reached_at || fact.status_time;
    else
        state.reached_at[place] := least(state.reached_at[place], fact.status_time);
    end if;
    return state;
end
$$;

-- The state after a fact that moves the order.
create function torque_internal.moved(
    state torque_internal.fold_state,
    fact torque_internal.fold_fact
)
returns torque_internal.fold_state
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    place constant integer := array_position(state.reached, fact.status);
begin
    state.status := fact.status;
    state.moved_keys := state.moved_keys || fact.event_key;
    if place is null then
        state.reached := state.reached || fact.status;
        state.reached_at := state.reached_at || fact.status_time;
    else
        state.reached_at[place] := fact.status_time;
    end if;
    return state;
end
$$;

-- One step of the fold. Facts come in the order (as_of, rank, key). What is not newer than the
-- base moves nothing. From nothing every move is allowed.
create function torque_internal.step(
    state torque_internal.fold_state,
    fact torque_internal.fold_fact,
    base torque_internal.fold_base
)
returns torque_internal.fold_state
language plpgsql
stable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    asks boolean := fact.asks;
    class text;
begin
    if fact.as_of <= base.as_of then
        if fact.status is null then
            return state;
        end if;
        state := torque_internal.dated(state, fact);
        if fact.event_key = base.event_key then
            state.status := base.status;
            return state;
        end if;
        -- Clocks differ: what is up to 5 s older than the base, and ahead of it, may be newer.
        asks := fact.as_of >= base.as_of - interval '5 seconds'
            and torque_internal.move_class(base.status, fact.status)
                in ('documented', 'skipped', 'plausible')
            and fact.ask_time > base.as_of;
    elsif fact.unknown_word is not null then
        state.raw_status := fact.unknown_word;
    elsif fact.status is not null then
        state.raw_status := null;
        class := torque_internal.move_class(state.status, fact.status);
        case class
            when 'same' then
                null;
            when 'anomaly' then
                state.held_keys := state.held_keys || fact.event_key;
                asks := true;
            else
                state := torque_internal.moved(state, fact);
                asks := asks or class = 'plausible' or fact.source = 'list';
        end case;
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

-- The facts of an order as the rules of today read them; ignored ones are not among them.
create function torque_internal.facts_of(of_order text)
returns table (
    fact torque_internal.fold_fact,
    rank integer,
    received_at timestamptz,
    details torque_internal.details
)
language sql
stable
parallel safe
as $$
    select
        row(
            f.event_key,
            f.source,
            f.status,
            case when f.status is null then f.claimed_status end,
            f.as_of,
            case f.source
                when 'lookup' then
                    least((f.details).updated_at, f.as_of)
                when 'operator' then
                    least((f.details).cancelled_at, f.as_of)
                else
                    f.as_of
            end,
            greatest(f.received_at, f.as_of) + interval '1 second',
            f.asks_lookup
                or f.claimed_status is not null and coalesce(f.status <> f.event_says, false)
                or f.event_id is not null
                    and count(*) over (partition by f.event_id) > 1
        )::torque_internal.fold_fact,
        coalesce(s.rank, 0),
        f.received_at,
        f.details
    from (
        select
            e.event_key,
            e.source,
            e.event_id,
            e.event_type,
            e.claimed_status,
            e.received_at,
            torque_internal.as_of(e.source, e.occurred_at, e.received_at) as as_of,
            case
                when e.claimed_status is not null then
                    torque_internal.status_of(e.claimed_status)
                else
                    n.status
            end as status,
            n.status as event_says,
            coalesce(n.asks_lookup, false) as asks_lookup,
            torque_internal.details(
                e.payload,
                e.source = 'webhook',
                case when e.event_type = 'order.created' then e.occurred_at end
            ) as details
        from torque.order_events e
        left join torque.event_status n
            on n.event_type = e.event_type
                and e.source = 'webhook'
        where e.order_id = of_order
            and (e.source <> 'webhook' or e.claimed_status is not null or n.event_type is not null)
        offset 0
    ) as f
    left join torque.order_status s
        on s.status = f.status
$$;

-- What a new fold of an order came to.
create type torque_internal.refolded as (
    is_new boolean,
    has_changed boolean,
    from_status text,
    to_status text,
    base_key bytea,
    moved_keys bytea[],
    held_keys bytea[]
);

-- The lines of an order, where they are not those already there.
create function torque_internal.write_items(of_order text, items torque_internal.item[])
returns integer
language plpgsql
as $$
begin
    insert into torque.order_items as i (
        order_id, line, product_id, variant, quantity, price, total, metadata
    )
    select of_order, n.*
    from (
        select
            u.line, u.product_id, u.variant, u.quantity, u.price, u.total, u.metadata
        from unnest(items) with ordinality as u(
            product_id, variant, quantity, price, total, metadata, line
        )
    ) as n
    on conflict (order_id, line) do update
    set
        product_id = excluded.product_id,
        variant = excluded.variant,
        quantity = excluded.quantity,
        price = excluded.price,
        total = excluded.total,
        metadata = excluded.metadata
    where row(
            i.product_id, i.variant, i.quantity, i.price::text, i.total::text, i.metadata::text
        ) is distinct from row(
            excluded.product_id, excluded.variant, excluded.quantity, excluded.price::text,
            excluded.total::text, excluded.metadata::text
        );
    delete from torque.order_items i
    where i.order_id = of_order
        and i.line > coalesce(cardinality(items), 0);
    return cardinality(items);
end
$$;

-- The row of an order, from nothing but its facts. The caller has locked the order.
create function torque_internal.refold(of_order text)
returns torque_internal.refolded
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    was torque.orders;
    becomes torque.orders;
    seen torque.orders;
    sums record;
    state torque_internal.fold_state;
    known torque_internal.details;
    result torque_internal.refolded;
begin
    select o.*
    into was
    from torque.orders o
    where o.order_id = of_order;

    with facts as materialized (
        select f.*
        from torque_internal.facts_of(of_order) as f
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
            f.details
            order by (f.fact).source <> 'list', (f.fact).as_of, f.rank, (f.fact).event_key
        ) as known,
        min(f.received_at) as first_seen_at,
        max((f.fact).as_of) as newest_as_of,
        max((f.fact).as_of) filter (where (f.fact).source = 'lookup') as last_confirmed_at,
        (select (b.base).event_key from base b) as base_key
    into strict sums
    from facts f
    left join base b
        on true;
    if sums.newest_as_of is null then
        return null;
    end if;
    state := sums.state;
    known := sums.known;

    becomes.order_id := of_order;
    becomes.business_id := known.business_id;
    becomes.session_id := known.session_id;
    becomes.status := coalesce(state.status, 'unknown');
    becomes.status_at := state.reached_at[array_position(state.reached, state.status)];
    becomes.raw_status := state.raw_status;
    becomes.created_at := known.created_at;
    becomes.updated_at := known.updated_at;
    becomes.pending_at := state.reached_at[array_position(state.reached, 'pending')];
    becomes.processing_at := state.reached_at[array_position(state.reached, 'processing')];
    becomes.completed_at := state.reached_at[array_position(state.reached, 'completed')];
    becomes.cancelled_at := state.reached_at[array_position(state.reached, 'cancelled')];
    becomes.refunded_at := state.reached_at[array_position(state.reached, 'refunded')];
    becomes.cancellation_reason := known.cancellation_reason;
    becomes.customer_email := known.customer_email;
    becomes.customer_first_name := known.customer_first_name;
    becomes.customer_last_name := known.customer_last_name;
    becomes.customer_phone := known.customer_phone;
    becomes.customer_address := known.customer_address;
    becomes.currency := known.currency;
    becomes.subtotal := known.subtotal;
    becomes.total := known.total;
    becomes.item_count := known.item_count;
    becomes.payment_method := known.payment_method;
    becomes.payment_transaction_id := known.payment_transaction_id;
    becomes.payment_amount := known.payment_amount;
    becomes.payment_status := known.payment_status;
    becomes.has_details := known.items_hash is not null;
    becomes.is_open := not exists (
        select
        from torque.order_status s
        where s.status = state.status
            and s.is_final
    );
    becomes.held_facts := cardinality(state.held_keys);
    becomes.verify_after := state.verify_after;
    becomes.first_seen_at := sums.first_seen_at;
    becomes.last_confirmed_at := sums.last_confirmed_at;
    becomes.newest_as_of := sums.newest_as_of;
    becomes.rules_version := (select r.version from torque_internal.rules r);
    becomes.items_hash := known.items_hash;

    -- Compared as text, because 100.1 and 100.10 are equal and not the same.
    result.is_new := was.order_id is null;
    result.from_status := nullif(was.status, 'unknown');
    result.to_status := state.status;
    result.base_key := sums.base_key;
    result.moved_keys := state.moved_keys;
    result.held_keys := state.held_keys;
    seen := was;
    seen.newest_as_of := becomes.newest_as_of;
    seen.rules_version := becomes.rules_version;
    becomes.last_changed_at := was.last_changed_at;
    result.has_changed := result.is_new or becomes::text <> seen::text;
    if result.has_changed then
        becomes.last_changed_at := clock_timestamp();
    end if;

    if result.is_new then
        insert into torque.orders
        values (becomes.*);
    elsif becomes::text <> was::text then
        update torque.orders as o
        set
            business_id = becomes.business_id,
            session_id = becomes.session_id,
            status = becomes.status,
            status_at = becomes.status_at,
            raw_status = becomes.raw_status,
            created_at = becomes.created_at,
            updated_at = becomes.updated_at,
            pending_at = becomes.pending_at,
            processing_at = becomes.processing_at,
            completed_at = becomes.completed_at,
            cancelled_at = becomes.cancelled_at,
            refunded_at = becomes.refunded_at,
            cancellation_reason = becomes.cancellation_reason,
            customer_email = becomes.customer_email,
            customer_first_name = becomes.customer_first_name,
            customer_last_name = becomes.customer_last_name,
            customer_phone = becomes.customer_phone,
            customer_address = becomes.customer_address,
            currency = becomes.currency,
            subtotal = becomes.subtotal,
            total = becomes.total,
            item_count = becomes.item_count,
            payment_method = becomes.payment_method,
            payment_transaction_id = becomes.payment_transaction_id,
            payment_amount = becomes.payment_amount,
            payment_status = becomes.payment_status,
            has_details = becomes.has_details,
            is_open = becomes.is_open,
            held_facts = becomes.held_facts,
            verify_after = becomes.verify_after,
            first_seen_at = becomes.first_seen_at,
            last_changed_at = becomes.last_changed_at,
            last_confirmed_at = becomes.last_confirmed_at,
            newest_as_of = becomes.newest_as_of,
            items_hash = becomes.items_hash,
            rules_version = becomes.rules_version
        where o.order_id = of_order;
    end if;
    if becomes.items_hash is distinct from was.items_hash then
        perform torque_internal.write_items(of_order, known.items);
    end if;
    return result;
end
$$;

-- The number is raised when the code above comes to other rows; older rows are then stale.
update torque_internal.rules
set
    version = version + 1,
    fold = 1
where fold <> 1;
