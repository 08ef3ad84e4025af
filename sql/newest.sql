-- The short way in, for the common fact. Replaced whole by every migrate.
--
-- It says the rule of fold.sql a second time, for its speed alone: a fact that is the newest of its
-- order is one step of the fold, and a statement can take it for a whole batch of orders. It must
-- end in the rows that refold() makes.

set search_path = pg_catalog, pg_temp;

-- Facts that are the newest of their orders, or their first, and alone of their orders in the
-- batch. outcomes: null for the others, of which nothing was kept. The tests are (select true ..)
-- and not exists (..), which may be planned as a walk through the whole table.
create function torque_internal.ingest_newest(
    busy text[],
    order_ids text[],
    event_keys bytea[],
    event_ids text[],
    event_types text[],
    claimed_statuses text[],
    occurred_ats timestamptz[],
    received_ats timestamptz[],
    payloads json[],
    out outcomes text[],
    out changed text[]
)
language plpgsql
as $$
declare
    rules torque_internal.rules;
    lines_written bigint;
begin
    select r.*
    into strict rules
    from torque_internal.rules r;

    with locked as materialized (
        select o.order_id, o.status, o.items_hash, o.newest_as_of, o.rules_version
        from torque.orders o
        where o.order_id = any (order_ids)
        for no key update skip locked
    ), fact as materialized (
        select
            u.*,
            torque_internal.as_of('webhook', u.occurred_at, u.received_at) as as_of,
            rules.events -> u.event_type as event,
            case
                when u.claimed_status is null then rules.events -> u.event_type ->> 'status'
                else rules.words ->> u.claimed_status
            end as status,
            w.status as was_status,
            w.items_hash as was_hash,
            case
                when u.order_id = any (busy)
                    then 'busy'
                when w.order_id is null and (
                    select true
                    from torque.orders o
                    where o.order_id = u.order_id
                )
                    then 'busy'
                when not torque_internal.is_order_id(u.order_id)
                    or u.order_id like 'orderd-test.%'
                    or u.claimed_status is null and not rules.events ? u.event_type
                    or count(*) over (partition by u.order_id) > 1
                    then null
                when w.rules_version <> rules.version
                    or w.newest_as_of
                        >= torque_internal.as_of('webhook', u.occurred_at, u.received_at)
                    then null
                when w.order_id is not null then
                    case
                        when (
                            select true
                            from torque.order_events e
                            where e.order_id = u.order_id
                                and e.event_key = u.event_key
                        )
                            then null
                        when u.event_id is not null and (
                            select true
                            from torque.order_events e
                            where e.order_id = u.order_id
                                and e.event_id = u.event_id
                            limit 1
                        )
                            then null
                        else 'newest'
                    end
                when (
                    select true
                    from torque.order_events e
                    where e.order_id = u.order_id
                    limit 1
                )
                    then null
                else 'first'
            end as way
        from unnest(
                order_ids, event_keys, event_ids, event_types, claimed_statuses, occurred_ats,
                received_ats, payloads
            ) with ordinality as u(
                order_id, event_key, event_id, event_type, claimed_status, occurred_at,
                received_at, payload, n
            )
        left join locked w
            on w.order_id = u.order_id
    ), step as materialized (
        select
            f.*,
            torque_internal.details(
                f.payload,
                true,
                case when f.event_type = 'order.created' then f.occurred_at end
            ) as d,
            case
                when f.status is null then 'none'
                when f.way = 'first' or f.was_status = 'unknown' then 'documented'
                when f.status = f.was_status then 'same'
                else coalesce(rules.moves -> f.was_status ->> f.status, 'anomaly')
            end as class
        from fact f
        where f.way in ('first', 'newest')
    ), news as materialized (
        select
            x.*,
            x.class in ('documented', 'skipped', 'plausible') as moves,
            case
                when x.class in ('documented', 'skipped', 'plausible') or x.way = 'first'
                    then 'applied'
                when x.class = 'anomaly'
                    then 'held'
                else 'recorded'
            end as outcome,
            case
                when x.class in ('plausible', 'anomaly')
                    or (x.event -> 'asks_lookup')::boolean
                    or x.status <> x.event ->> 'status'
                    then greatest(x.received_at, x.as_of) + interval '1 second'
            end as verify_after
        from step x
        where (x.d).fault is null
    ), added as (
        insert into torque.order_events (
            order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
            received_at, outcome, from_status, to_status, reason, payload
        )
        select
            x.order_id, x.event_key, 'webhook', x.event_id, x.event_type, x.claimed_status,
            x.occurred_at, x.received_at, x.outcome, nullif(x.was_status, 'unknown'), x.status,
            case
                when x.outcome = 'applied' then null
                when x.class = 'same' then 'same_status'
                when x.class = 'anomaly' then 'anomaly'
                when x.claimed_status is not null then 'unknown_word'
                else 'no_status'
            end,
            x.payload
        from news x
    ), created as (
        insert into torque.orders (
            order_id, business_id, session_id, status, status_at, raw_status, created_at,
            updated_at, pending_at, processing_at, completed_at, cancelled_at, refunded_at,
            cancellation_reason, customer_email, customer_first_name, customer_last_name,
            customer_phone, customer_address, currency, subtotal, total, item_count,
            payment_method, payment_transaction_id, payment_amount, payment_status, has_details,
            is_open, held_facts, verify_after, first_seen_at, last_changed_at, newest_as_of,
            items_hash, rules_version
        )
        select
            x.order_id, (x.d).business_id, (x.d).session_id,
            coalesce(x.status, 'unknown'),
            case when x.status is not null then x.as_of end,
            case when x.status is null then x.claimed_status end,
            (x.d).created_at, (x.d).updated_at,
            case when x.status = 'pending' then x.as_of end,
            case when x.status = 'processing' then x.as_of end,
            case when x.status = 'completed' then x.as_of end,
            case when x.status = 'cancelled' then x.as_of end,
            case when x.status = 'refunded' then x.as_of end,
            (x.d).cancellation_reason, (x.d).customer_email, (x.d).customer_first_name,
            (x.d).customer_last_name, (x.d).customer_phone, (x.d).customer_address,
            (x.d).currency, (x.d).subtotal, (x.d).total, (x.d).item_count,
            (x.d).payment_method, (x.d).payment_transaction_id, (x.d).payment_amount,
            (x.d).payment_status, (x.d).items_hash is not null,
            not coalesce((rules.finals -> x.status)::boolean, false),
            0, x.verify_after, x.received_at, clock_timestamp(), x.as_of, (x.d).items_hash,
            rules.version
        from news x
        where x.way = 'first'
    ), updated as (
        update torque.orders as o
        set
            business_id = coalesce((x.d).business_id, o.business_id),
            session_id = coalesce((x.d).session_id, o.session_id),
            status = case when x.moves then x.status else o.status end,
            status_at = case when x.moves then x.as_of else o.status_at end,
            raw_status = case
                when x.status is null then coalesce(x.claimed_status, o.raw_status)
            end,
            created_at = coalesce((x.d).created_at, o.created_at),
            updated_at = coalesce((x.d).updated_at, o.updated_at),
            pending_at = case
                when x.moves and x.status = 'pending' then x.as_of else o.pending_at
            end,
            processing_at = case
                when x.moves and x.status = 'processing' then x.as_of else o.processing_at
            end,
            completed_at = case
                when x.moves and x.status = 'completed' then x.as_of else o.completed_at
            end,
            cancelled_at = case
                when x.moves and x.status = 'cancelled' then x.as_of else o.cancelled_at
            end,
            refunded_at = case
                when x.moves and x.status = 'refunded' then x.as_of else o.refunded_at
            end,
            cancellation_reason = coalesce((x.d).cancellation_reason, o.cancellation_reason),
            customer_email = coalesce((x.d).customer_email, o.customer_email),
            customer_first_name = coalesce((x.d).customer_first_name, o.customer_first_name),
            customer_last_name = coalesce((x.d).customer_last_name, o.customer_last_name),
            customer_phone = coalesce((x.d).customer_phone, o.customer_phone),
            customer_address = coalesce((x.d).customer_address, o.customer_address),
            currency = coalesce((x.d).currency, o.currency),
            subtotal = coalesce((x.d).subtotal, o.subtotal),
            total = coalesce((x.d).total, o.total),
            item_count = coalesce((x.d).item_count, o.item_count),
            payment_method = coalesce((x.d).payment_method, o.payment_method),
            payment_transaction_id
                = coalesce((x.d).payment_transaction_id, o.payment_transaction_id),
            payment_amount = coalesce((x.d).payment_amount, o.payment_amount),
            payment_status = coalesce((x.d).payment_status, o.payment_status),
            has_details = o.has_details or (x.d).items_hash is not null,
            is_open = case
                when x.moves then not (rules.finals -> x.status)::boolean else o.is_open
            end,
            held_facts = o.held_facts + (x.class = 'anomaly')::integer,
            verify_after = greatest(o.verify_after, x.verify_after),
            first_seen_at = least(o.first_seen_at, x.received_at),
            last_changed_at = clock_timestamp(),
            newest_as_of = x.as_of,
            items_hash = coalesce((x.d).items_hash, o.items_hash)
        from news x
        where x.way = 'newest'
            and o.order_id = x.order_id
    ), lines as (
        insert into torque.order_items (
            order_id, line, product_id, variant, quantity, price, total, metadata
        )
        select
            x.order_id, i.line, i.product_id, i.variant, i.quantity, i.price, i.total, i.metadata
        from news x
        cross join lateral unnest((x.d).items) with ordinality as i(
            product_id, variant, quantity, price, total, metadata, line
        )
        where x.way = 'first'
    )
    select
        array_agg(case when f.way = 'busy' then 'busy' else x.outcome end order by f.n),
        array_agg(x.order_id) filter (where x.order_id is not null),
        sum(torque_internal.write_items(x.order_id, (x.d).items)) filter (
            where x.way = 'newest'
                and (x.d).items_hash is not null
                and (x.d).items_hash is distinct from x.was_hash
        )
    into
        outcomes,
        changed,
        lines_written
    from fact f
    left join news x
        on x.n = f.n;
end
$$;

-- The same, one fact after the other, for a batch of a few: for those the one large statement above
-- takes longer to set up than to run.
create function torque_internal.ingest_few(
    busy text[],
    order_ids text[],
    event_keys bytea[],
    event_ids text[],
    event_types text[],
    claimed_statuses text[],
    occurred_ats timestamptz[],
    received_ats timestamptz[],
    payloads json[],
    out outcomes text[],
    out changed text[]
)
language plpgsql
as $$
declare
    rules torque_internal.rules;
    f record;
    was record;
    others record;
    d torque_internal.details;
    as_of timestamptz;
    new_status text;
    class text;
    moves boolean;
    outcome text;
    ask timestamptz;
    stale text[] := '{}';
begin
    select r.*
    into strict rules
    from torque_internal.rules r;
    outcomes := '{}';
    changed := '{}';

    for f in
        select u.*
        from unnest(
                order_ids, event_keys, event_ids, event_types, claimed_statuses, occurred_ats,
                received_ats, payloads
            ) as u(
                order_id, event_key, event_id, event_type, claimed_status, occurred_at,
                received_at, payload
            )
    loop
        outcomes := outcomes || null::text;
        if f.order_id = any (stale) then
            continue;
        elsif f.order_id = any (busy) then
            outcomes[cardinality(outcomes)] := 'busy';
            continue;
        elsif not torque_internal.is_order_id(f.order_id)
            or f.order_id like 'orderd-test.%'
            or f.claimed_status is null and not rules.events ? f.event_type
        then
            continue;
        end if;

        as_of := torque_internal.as_of('webhook', f.occurred_at, f.received_at);
        select o.status, o.items_hash, o.newest_as_of, o.rules_version
        into was
        from torque.orders o
        where o.order_id = f.order_id
        for no key update skip locked;
        if was.rules_version is null then
            select
                exists (
                    select
                    from torque.orders o
                    where o.order_id = f.order_id
                ) as row,
                exists (
                    select
                    from torque.order_events e
                    where e.order_id = f.order_id
                ) as facts
            into strict others;
            if others.row then
                outcomes[cardinality(outcomes)] := 'busy';
                continue;
            elsif others.facts then
                stale := stale || f.order_id;
                continue;
            end if;
        elsif was.rules_version <> rules.version
            or was.newest_as_of >= as_of
            or f.event_id is not null and exists (
                select
                from torque.order_events e
                where e.order_id = f.order_id
                    and e.event_id = f.event_id
            )
        then
            stale := stale || f.order_id;
            continue;
        end if;

        d := torque_internal.details(
            f.payload,
            true,
            case when f.event_type = 'order.created' then f.occurred_at end
        );
        if d.fault is not null then
            continue;
        end if;

        new_status := case
            when f.claimed_status is null then rules.events -> f.event_type ->> 'status'
            else rules.words ->> f.claimed_status
        end;
        class := case
            when new_status is null then 'none'
            when was.rules_version is null or was.status = 'unknown' then 'documented'
            when new_status = was.status then 'same'
            else coalesce(rules.moves -> was.status ->> new_status, 'anomaly')
        end;
        moves := class in ('documented', 'skipped', 'plausible');
        outcome := case
            when moves or was.rules_version is null then 'applied'
            when class = 'anomaly' then 'held'
            else 'recorded'
        end;
        ask := case
            when class in ('plausible', 'anomaly')
                or (rules.events -> f.event_type -> 'asks_lookup')::boolean
                or new_status <> rules.events -> f.event_type ->> 'status'
                then greatest(f.received_at, as_of) + interval '1 second'
        end;

        insert into torque.order_events (
            order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
            received_at, outcome, from_status, to_status, reason, payload
        )
        values (
            f.order_id, f.event_key, 'webhook', f.event_id, f.event_type, f.claimed_status,
            f.occurred_at, f.received_at, outcome, nullif(was.status, 'unknown'), new_status,
            case
                when outcome = 'applied' then null
                when class = 'same' then 'same_status'
                when class = 'anomaly' then 'anomaly'
                when f.claimed_status is not null then 'unknown_word'
                else 'no_status'
            end,
            f.payload
        )
        on conflict do nothing;
        if not found then
            stale := stale || f.order_id;
            continue;
        end if;

        if was.rules_version is null then
            insert into torque.orders
            values (
                f.order_id, d.business_id, d.session_id, coalesce(new_status, 'unknown'),
                case when moves then as_of end,
                case when new_status is null then f.claimed_status end,
                d.created_at, d.updated_at,
                case new_status when 'pending' then as_of end,
                case new_status when 'processing' then as_of end,
                case new_status when 'completed' then as_of end,
                case new_status when 'cancelled' then as_of end,
                case new_status when 'refunded' then as_of end,
                d.cancellation_reason, d.customer_email, d.customer_first_name,
                d.customer_last_name, d.customer_phone, d.customer_address, d.currency,
                d.subtotal, d.total, d.item_count, d.payment_method, d.payment_transaction_id,
                d.payment_amount, d.payment_status, d.items_hash is not null,
                not coalesce((rules.finals -> new_status)::boolean, false),
                0, ask, f.received_at, clock_timestamp(), null, as_of, d.items_hash,
                rules.version
            );
        else
            update torque.orders as o
            set
                business_id = coalesce(d.business_id, o.business_id),
                session_id = coalesce(d.session_id, o.session_id),
                status = case when moves then new_status else o.status end,
                status_at = case when moves then as_of else o.status_at end,
                raw_status = case
                    when new_status is null then coalesce(f.claimed_status, o.raw_status)
                end,
                created_at = coalesce(d.created_at, o.created_at),
                updated_at = coalesce(d.updated_at, o.updated_at),
                pending_at = case
                    when moves and new_status = 'pending' then as_of else o.pending_at
                end,
                processing_at = case
                    when moves and new_status = 'processing' then as_of else o.processing_at
                end,
                completed_at = case
                    when moves and new_status = 'completed' then as_of else o.completed_at
                end,
                cancelled_at = case
                    when moves and new_status = 'cancelled' then as_of else o.cancelled_at
                end,
                refunded_at = case
                    when moves and new_status = 'refunded' then as_of else o.refunded_at
                end,
                cancellation_reason = coalesce(d.cancellation_reason, o.cancellation_reason),
                customer_email = coalesce(d.customer_email, o.customer_email),
                customer_first_name = coalesce(d.customer_first_name, o.customer_first_name),
                customer_last_name = coalesce(d.customer_last_name, o.customer_last_name),
                customer_phone = coalesce(d.customer_phone, o.customer_phone),
                customer_address = coalesce(d.customer_address, o.customer_address),
                currency = coalesce(d.currency, o.currency),
                subtotal = coalesce(d.subtotal, o.subtotal),
                total = coalesce(d.total, o.total),
                item_count = coalesce(d.item_count, o.item_count),
                payment_method = coalesce(d.payment_method, o.payment_method),
                payment_transaction_id
                    = coalesce(d.payment_transaction_id, o.payment_transaction_id),
                payment_amount = coalesce(d.payment_amount, o.payment_amount),
                payment_status = coalesce(d.payment_status, o.payment_status),
                has_details = o.has_details or d.items_hash is not null,
                is_open = case
                    when moves then not (rules.finals -> new_status)::boolean else o.is_open
                end,
                held_facts = o.held_facts + (class = 'anomaly')::integer,
                verify_after = greatest(o.verify_after, ask),
                first_seen_at = least(o.first_seen_at, f.received_at),
                last_changed_at = clock_timestamp(),
                newest_as_of = as_of,
                items_hash = coalesce(d.items_hash, o.items_hash)
            where o.order_id = f.order_id;
        end if;
        if d.items_hash is not null and d.items_hash is distinct from was.items_hash then
            perform torque_internal.write_items(f.order_id, d.items);
        end if;
        outcomes[cardinality(outcomes)] := outcome;
        changed := changed || f.order_id;
    end loop;
end
$$;
