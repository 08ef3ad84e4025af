-- How the common fact is taken: one that is the newest of its order, or its first. Replaced whole
-- by every migrate.
--
-- Such a fact is one step of the fold from the row as it stands. take() is for one fact,
-- take_newest() for many; the first writes by scalars, the second, like the fold, by rows: each
-- costs about half of what the other does at its own. The rule itself is that of rules.sql for all
-- three.
--
-- Nobody waits. Each writer of an order first has the advisory lock of its id, in a statement of
-- its own, as an order may have no row yet; the next statement then sees all that was done before.
-- A row that a foreign session has locked is passed over. What cannot be had is busy, and is
-- offered again.

set search_path = pg_catalog, pg_temp;

-- A hint for those who listen; fifty of the longest ids fit into a message.
create function torque_internal.tell(changed text[])
returns void
language plpgsql
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

-- The lines of carts; null and an empty cart have none.
create function torque_internal.lines(order_ids text[], carts json[])
returns table (
    order_id text,
    line bigint,
    product_id text,
    variant text,
    quantity numeric,
    price numeric,
    total numeric,
    metadata json
)
language sql
immutable
as $$
    select
        u.order_id, c.line, c.product_id, c.variant, c.quantity, c.price, c.total, c.metadata
    from unnest(order_ids, carts) as u(order_id, cart)
    cross join lateral rows from (
        json_to_recordset(u.cart) as (
            product_id text, variant text, quantity numeric, price numeric, total numeric,
            metadata json
        )
    ) with ordinality as c(product_id, variant, quantity, price, total, metadata, line)
$$;

-- Makes the lines of orders those of these carts, of which null and an empty one are none. are_new:
-- the orders have no lines yet. A line keeps what columns of the merchant's own say in its place.
create function torque_internal.put_lines(order_ids text[], carts json[], are_new boolean)
returns void
language plpgsql
as $$
begin
    if are_new then
        insert into torque.order_items (
            order_id, line, product_id, variant, quantity, price, total, metadata
        )
        select
            c.order_id, c.line, c.product_id, c.variant, c.quantity, c.price, c.total, c.metadata
        from torque_internal.lines(order_ids, carts) as c;
        return;
    end if;
    with cart as materialized (
        select
            c.order_id, c.line, c.product_id, c.variant, c.quantity, c.price, c.total, c.metadata
        from torque_internal.lines(order_ids, carts) as c
    ), gone as (
        delete from torque.order_items i
        where i.order_id = any (order_ids)
            and not exists (
                select
                from cart c
                where c.order_id = i.order_id
                    and c.line = i.line
            )
    ), changed as (
        update torque.order_items as i
        set
            product_id = c.product_id,
            variant = c.variant,
            quantity = c.quantity,
            price = c.price,
            total = c.total,
            metadata = c.metadata
        from cart c
        where i.order_id = any (order_ids)
            and c.order_id = i.order_id
            and c.line = i.line
            and row(
                c.product_id, c.variant, c.quantity, c.price, c.total, c.metadata
            )::text <> row(
                i.product_id, i.variant, i.quantity, i.price, i.total, i.metadata
            )::text
    )
    insert into torque.order_items (
        order_id, line, product_id, variant, quantity, price, total, metadata
    )
    select
        c.order_id, c.line, c.product_id, c.variant, c.quantity, c.price, c.total, c.metadata
    from cart c
    where not exists (
        select
        from torque.order_items i
        where i.order_id = c.order_id
            and i.line = c.line
    );
end
$$;

-- Writes rows of orders, new ones and others, and which of them open and close by it; null: none.
-- Not by `on conflict`: what would be inserted is then held against the merchant's own constraints,
-- seen by his triggers and numbered by his sequences before it is known to be there.
create function torque_internal.put_orders(
    made torque_internal.order_row[],
    changed torque_internal.order_row[],
    opened text[],
    closed text[]
)
returns void
language plpgsql
as $$
begin
    if made is not null then
        insert into torque.orders (
            order_id, business_id, session_id, status, status_at, raw_status, created_at,
            updated_at, pending_at, processing_at, completed_at, cancelled_at, refunded_at,
            cancellation_reason, customer_email, customer_first_name, customer_last_name,
            customer_phone, customer_address, currency, subtotal, discounts, shipping, total,
            item_count, payment_method, payment_transaction_id, payment_amount, payment_status,
            has_details, is_open, held_facts, verify_after, first_seen_at, last_changed_at,
            last_confirmed_at, newest_as_of, items_hash, rules_version
        )
        select
            r.order_id, r.business_id, r.session_id, r.status, r.status_at, r.raw_status,
            r.created_at, r.updated_at, r.pending_at, r.processing_at, r.completed_at,
            r.cancelled_at, r.refunded_at, r.cancellation_reason, r.customer_email,
            r.customer_first_name, r.customer_last_name, r.customer_phone, r.customer_address,
            r.currency, r.subtotal, r.discounts, r.shipping, r.total, r.item_count,
            r.payment_method, r.payment_transaction_id, r.payment_amount, r.payment_status,
            r.has_details, r.is_open, r.held_facts, r.verify_after, r.first_seen_at,
            r.last_changed_at, r.last_confirmed_at, r.newest_as_of, r.items_hash, r.rules_version
        from unnest(made) as r;
    end if;
    if changed is not null then
        update torque.orders as o
        set (
            business_id, session_id, status, status_at, raw_status, created_at, updated_at,
            pending_at, processing_at, completed_at, cancelled_at, refunded_at,
            cancellation_reason, customer_email, customer_first_name, customer_last_name,
            customer_phone, customer_address, currency, subtotal, discounts, shipping, total,
            item_count, payment_method, payment_transaction_id, payment_amount, payment_status,
            has_details, is_open, held_facts, verify_after, first_seen_at, last_changed_at,
            last_confirmed_at, newest_as_of, items_hash, rules_version
        ) = row(
            r.business_id, r.session_id, r.status, r.status_at, r.raw_status, r.created_at,
            r.updated_at, r.pending_at, r.processing_at, r.completed_at, r.cancelled_at,
            r.refunded_at, r.cancellation_reason, r.customer_email, r.customer_first_name,
            r.customer_last_name, r.customer_phone, r.customer_address, r.currency, r.subtotal,
            r.discounts, r.shipping, r.total, r.item_count, r.payment_method,
            r.payment_transaction_id, r.payment_amount, r.payment_status, r.has_details, r.is_open,
            r.held_facts, r.verify_after, r.first_seen_at, r.last_changed_at, r.last_confirmed_at,
            r.newest_as_of, r.items_hash, r.rules_version
        )
        from unnest(changed) as r
        where o.order_id = r.order_id
            and o.order_id = any (array(select c.order_id from unnest(changed) as c));
    end if;
    if opened is not null then
        insert into torque_internal.open_order (order_id)
        select u
        from unnest(opened) as u
        on conflict do nothing;
    end if;
    if closed is not null then
        delete from torque_internal.open_order o
        where o.order_id = any (closed);
    end if;
end
$$;

-- Keeps facts that have an outcome, and what is thought of them.
create function torque_internal.keep(
    facts torque_internal.fact[],
    outcomes text[],
    from_statuses text[],
    to_statuses text[],
    reasons text[],
    times integer[]
)
returns void
language plpgsql
as $$
begin
    insert into torque.order_events (
        order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
        received_at, deliveries, outcome, from_status, to_status, reason, business_id, session_id,
        created_at, updated_at, cancelled_at, cancellation_reason, customer_email,
        customer_first_name, customer_last_name, customer_phone, customer_address, currency,
        subtotal, discounts, shipping, total, item_count, items, items_hash, payment_method,
        payment_transaction_id, payment_amount, payment_status, faults, assumed, payload
    )
    select
        f.order_id, f.event_key, f.source, f.event_id, f.event_type, f.claimed_status,
        f.occurred_at, f.received_at, f.deliveries, f.outcome, f.from_status, f.to_status,
        f.reason, f.business_id, f.session_id, f.created_at, f.updated_at, f.cancelled_at,
        f.cancellation_reason, f.customer_email, f.customer_first_name, f.customer_last_name,
        f.customer_phone, f.customer_address, f.currency, f.subtotal, f.discounts, f.shipping,
        f.total, f.item_count, f.items, f.items_hash, f.payment_method, f.payment_transaction_id,
        f.payment_amount, f.payment_status, f.faults, f.assumed, f.payload
    from rows from (
        unnest(outcomes), unnest(from_statuses), unnest(to_statuses), unnest(reasons),
        unnest(times), unnest(facts)
    ) as f(outcome, from_status, to_status, reason, deliveries)
    where f.outcome is not null;
end
$$;

-- One webhook. Statements of its own, and no arrays.
create or replace function torque.take(
    order_id text, event_key bytea, event_id text, event_type text, claimed_status text,
    occurred_at timestamptz, received_at timestamptz, payload json, business_id text,
    session_id text, created_at timestamptz, updated_at timestamptz, cancelled_at timestamptz,
    cancellation_reason text, customer_email text, customer_first_name text,
    customer_last_name text, customer_phone text, customer_address json, currency text,
    subtotal numeric, discounts numeric, shipping numeric, total numeric, item_count bigint,
    items json, items_hash bigint, payment_method text, payment_transaction_id text,
    payment_amount numeric, payment_status text, faults text[], assumed text[]
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    was record;
    is_new boolean;
    r record;
    is_newest boolean;
    class text;
    moves_to text;
    stays_open boolean;
    ask_at timestamptz;
    verdict text;
begin
    if not pg_try_advisory_xact_lock(hashtextextended(take.order_id, 8246723509)) then
        return 'busy';
    end if;
    select o.status, o.is_open, o.items_hash, o.rules_version, o.newest_as_of
    into was
    from torque.orders o
    where o.order_id = take.order_id
    for no key update skip locked;
    is_new := not found;
    select
        t.version,
        t.finals,
        t.moves,
        t.events -> take.event_type as event,
        torque_internal.said(t.words, t.events -> take.event_type, take.claimed_status) as said,
        torque_internal.as_of('webhook', take.occurred_at, take.received_at) as as_of
    into strict r
    from torque_internal.rules t;
    if torque_internal.is_ignored('webhook', r.event, take.claimed_status)
        or starts_with(take.order_id, 'orderd-test.')
    then
        is_newest := false;
    elsif is_new then
        is_newest := not exists (
            select
            from torque.order_events e
            where e.order_id = take.order_id
        );
    else
        is_newest := was.rules_version = r.version and was.newest_as_of < r.as_of;
    end if;
    if take.event_id is not null and is_newest and not is_new then
        is_newest := not exists (
            select
            from torque.order_events e
            where e.order_id = take.order_id
                and e.event_id = take.event_id
        );
    end if;

    class := torque_internal.move_class(r.moves, nullif(was.status, 'unknown'), r.said);
    if torque_internal.is_move(class) then
        moves_to := r.said;
        stays_open := not (r.finals ->> r.said)::boolean;
    else
        stays_open := is_new or was.is_open;
    end if;
    if torque_internal.is_doubtful('webhook', r.event, r.said, take.occurred_at)
        or torque_internal.asks_after(class, 'webhook')
    then
        ask_at := greatest(take.received_at, r.as_of) + interval '1 second';
    end if;
    verdict := torque_internal.outcome(class, is_new);

    if is_newest then
        insert into torque.order_events (
            order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
            received_at, outcome, from_status, to_status, reason, business_id, session_id,
            created_at, updated_at, cancelled_at, cancellation_reason, customer_email,
            customer_first_name, customer_last_name, customer_phone, customer_address, currency,
            subtotal, discounts, shipping, total, item_count, items, items_hash, payment_method,
            payment_transaction_id, payment_amount, payment_status, faults, assumed, payload
        )
        values (
            take.order_id, take.event_key, 'webhook', take.event_id, take.event_type,
            take.claimed_status, take.occurred_at, take.received_at, verdict,
            nullif(was.status, 'unknown'), r.said,
            torque_internal.reason(class, is_new, take.claimed_status), take.business_id,
            take.session_id, take.created_at, take.updated_at, take.cancelled_at,
            take.cancellation_reason, take.customer_email, take.customer_first_name,
            take.customer_last_name, take.customer_phone, take.customer_address, take.currency,
            take.subtotal, take.discounts, take.shipping, take.total, take.item_count, take.items,
            take.items_hash, take.payment_method, take.payment_transaction_id, take.payment_amount,
            take.payment_status, take.faults, take.assumed, take.payload
        )
        on conflict do nothing;
        is_newest := found;
    end if;
    if not is_newest then
        return torque_internal.take_slowly(
            row(
                take.order_id, take.event_key, 'webhook', take.event_id, take.event_type,
                take.claimed_status, take.occurred_at, take.received_at, take.payload,
                take.business_id, take.session_id, take.created_at, take.updated_at,
                take.cancelled_at, take.cancellation_reason, take.customer_email,
                take.customer_first_name, take.customer_last_name, take.customer_phone,
                take.customer_address, take.currency, take.subtotal, take.discounts, take.shipping,
                take.total, take.item_count, take.items, take.items_hash, take.payment_method,
                take.payment_transaction_id, take.payment_amount, take.payment_status, take.faults,
                take.assumed
            )::torque_internal.fact
        );
    end if;

    if is_new then
        insert into torque.orders (
            order_id, business_id, session_id, status, status_at, raw_status, created_at,
            updated_at, pending_at, processing_at, completed_at, cancelled_at, refunded_at,
            cancellation_reason, customer_email, customer_first_name, customer_last_name,
            customer_phone, customer_address, currency, subtotal, discounts, shipping, total,
            item_count, payment_method, payment_transaction_id, payment_amount, payment_status,
            has_details, is_open, held_facts, verify_after, first_seen_at, last_changed_at,
            newest_as_of, items_hash, rules_version
        )
        values (
            take.order_id, take.business_id, take.session_id, coalesce(r.said, 'unknown'),
            case when moves_to is not null then r.as_of end,
            case when r.said is null then take.claimed_status end,
            take.created_at,
            take.updated_at,
            case moves_to when 'pending' then r.as_of end,
            case moves_to when 'processing' then r.as_of end,
            case moves_to when 'completed' then r.as_of end,
            case moves_to when 'cancelled' then r.as_of end,
            case moves_to when 'refunded' then r.as_of end,
            take.cancellation_reason, take.customer_email, take.customer_first_name,
            take.customer_last_name, take.customer_phone, take.customer_address, take.currency,
            take.subtotal, take.discounts, take.shipping, take.total, take.item_count,
            take.payment_method, take.payment_transaction_id, take.payment_amount,
            take.payment_status, take.items_hash is not null, stays_open, 0, ask_at,
            take.received_at, clock_timestamp(), r.as_of, take.items_hash, r.version
        );
    else
        update torque.orders as o
        set
            business_id = coalesce(take.business_id, o.business_id),
            session_id = coalesce(take.session_id, o.session_id),
            status = coalesce(moves_to, o.status),
            status_at = case when moves_to is not null then r.as_of else o.status_at end,
            raw_status
                = case when r.said is null then coalesce(take.claimed_status, o.raw_status) end,
            created_at = coalesce(take.created_at, o.created_at),
            updated_at = coalesce(take.updated_at, o.updated_at),
            pending_at = case moves_to when 'pending' then r.as_of else o.pending_at end,
            processing_at = case moves_to when 'processing' then r.as_of else o.processing_at end,
            completed_at = case moves_to when 'completed' then r.as_of else o.completed_at end,
            cancelled_at = case moves_to when 'cancelled' then r.as_of else o.cancelled_at end,
            refunded_at = case moves_to when 'refunded' then r.as_of else o.refunded_at end,
            cancellation_reason = coalesce(take.cancellation_reason, o.cancellation_reason),
            customer_email = coalesce(take.customer_email, o.customer_email),
            customer_first_name = coalesce(take.customer_first_name, o.customer_first_name),
            customer_last_name = coalesce(take.customer_last_name, o.customer_last_name),
            customer_phone = coalesce(take.customer_phone, o.customer_phone),
            customer_address = coalesce(take.customer_address, o.customer_address),
            currency = coalesce(take.currency, o.currency),
            subtotal = coalesce(take.subtotal, o.subtotal),
            discounts = coalesce(take.discounts, o.discounts),
            shipping = coalesce(take.shipping, o.shipping),
            total = coalesce(take.total, o.total),
            item_count = coalesce(take.item_count, o.item_count),
            payment_method = coalesce(take.payment_method, o.payment_method),
            payment_transaction_id
                = coalesce(take.payment_transaction_id, o.payment_transaction_id),
            payment_amount = coalesce(take.payment_amount, o.payment_amount),
            payment_status = coalesce(take.payment_status, o.payment_status),
            has_details = o.has_details or take.items_hash is not null,
            is_open = stays_open,
            held_facts = o.held_facts + (class = 'anomaly')::integer,
            verify_after = greatest(o.verify_after, ask_at),
            first_seen_at = least(o.first_seen_at, take.received_at),
            last_changed_at = clock_timestamp(),
            newest_as_of = r.as_of,
            items_hash = coalesce(take.items_hash, o.items_hash)
        where o.order_id = take.order_id;
    end if;
    if stays_open and (is_new or not was.is_open) then
        insert into torque_internal.open_order (order_id)
        values (take.order_id)
        on conflict do nothing;
    elsif was.is_open and not stays_open then
        delete from torque_internal.open_order o
        where o.order_id = take.order_id;
    end if;
    if take.items_hash is not null and take.items_hash is distinct from was.items_hash then
        perform torque_internal.put_lines(array[take.order_id], array[take.items], is_new);
    end if;
    if current_setting('orderd.notify', true) = 'on' then
        perform pg_notify('torque_orders', take.order_id);
    end if;
    return verdict;
end
$$;
comment on function torque.take is
    'Takes in one webhook and says what became of it, as torque.take_many() does.';

-- Locks orders until the end of the transaction. busy: those that another session has, by either
-- lock; several: those named more than once.
create function torque_internal.lock_orders(
    order_ids text[],
    out busy text[],
    out several text[]
)
language plpgsql
as $$
begin
    select
        coalesce(array_agg(u.order_id) filter (where u.is_busy), '{}'),
        coalesce(array_agg(u.order_id) filter (where u.n > 1), '{}')
    into busy, several
    from (
        select
            u as order_id,
            count(*) as n,
            not pg_try_advisory_xact_lock(hashtextextended(u, 8246723509)) as is_busy
        from unnest(order_ids) as u
        group by u
    ) as u;
    with locked as materialized (
        select o.order_id
        from torque.orders o
        where o.order_id = any (order_ids)
        for no key update skip locked
    )
    select busy || array_agg(o.order_id)
    into busy
    from torque.orders o
    where o.order_id = any (order_ids)
        and not exists (
            select
            from locked l
            where l.order_id = o.order_id
        );
end
$$;

-- Takes facts of any source. One outcome each, in their order: busy, and null for those that are
-- neither the newest nor the first of their orders; of both nothing was kept.
create function torque_internal.take_newest(
    facts torque_internal.fact[],
    busy text[],
    several text[],
    out outcomes text[],
    out changed text[]
)
language plpgsql
as $$
declare
    n record;
begin
    select
        array_agg(
            case when f.order_id = any (busy) then 'busy' else x.outcome end
            order by f.ordinality
        ) as outcomes,
        array_agg(x.outcome order by f.ordinality) as verdicts,
        array_agg(x.from_status order by f.ordinality) as from_statuses,
        array_agg(x.said order by f.ordinality) as to_statuses,
        array_agg(x.reason order by f.ordinality) as reasons,
        array_agg(x.becomes) filter (where x.outcome is not null and x.is_new) as made,
        array_agg(x.becomes) filter (where x.outcome is not null and not x.is_new) as moved,
        array_agg(f.order_id) filter (where x.stays_open and x.was_open is not true) as opened,
        array_agg(f.order_id) filter (where x.was_open and not x.stays_open) as closed,
        array_agg(f.order_id) filter (where x.outcome is not null) as changed,
        array_agg(f.order_id) filter (where x.has_new_lines and x.is_new) as new_ids,
        array_agg(f.items) filter (where x.has_new_lines and x.is_new) as new_carts,
        array_agg(f.order_id) filter (where x.has_new_lines and not x.is_new) as other_ids,
        array_agg(f.items) filter (where x.has_new_lines and not x.is_new) as other_carts
    into strict n
    from unnest(facts) with ordinality as f
    left join lateral (
        select
            torque_internal.outcome(d.class, w.order_id is null) as outcome,
            torque_internal.reason(d.class, w.order_id is null, f.claimed_status) as reason,
            r.said,
            w.order_id is null as is_new,
            w.is_open as was_open,
            d.stays_open,
            nullif(w.status, 'unknown') as from_status,
            f.items_hash is not null and f.items_hash is distinct from w.items_hash
                as has_new_lines,
            row(
                f.order_id,
                coalesce(f.business_id, w.business_id),
                coalesce(f.session_id, w.session_id),
                coalesce(d.moves_to, w.status, 'unknown'),
                case when d.moves_to is not null then r.as_of else w.status_at end,
                case when r.said is null then coalesce(f.claimed_status, w.raw_status) end,
                coalesce(f.created_at, w.created_at),
                coalesce(f.updated_at, w.updated_at),
                case d.moves_to when 'pending' then r.as_of else w.pending_at end,
                case d.moves_to when 'processing' then r.as_of else w.processing_at end,
                case d.moves_to when 'completed' then r.as_of else w.completed_at end,
                case d.moves_to when 'cancelled' then r.as_of else w.cancelled_at end,
                case d.moves_to when 'refunded' then r.as_of else w.refunded_at end,
                coalesce(f.cancellation_reason, w.cancellation_reason),
                coalesce(f.customer_email, w.customer_email),
                coalesce(f.customer_first_name, w.customer_first_name),
                coalesce(f.customer_last_name, w.customer_last_name),
                coalesce(f.customer_phone, w.customer_phone),
                coalesce(f.customer_address, w.customer_address),
                coalesce(f.currency, w.currency),
                coalesce(f.subtotal, w.subtotal),
                coalesce(f.discounts, w.discounts),
                coalesce(f.shipping, w.shipping),
                coalesce(f.total, w.total),
                coalesce(f.item_count, w.item_count),
                coalesce(f.payment_method, w.payment_method),
                coalesce(f.payment_transaction_id, w.payment_transaction_id),
                coalesce(f.payment_amount, w.payment_amount),
                coalesce(f.payment_status, w.payment_status),
                coalesce(w.has_details, false) or f.items_hash is not null,
                d.stays_open,
                coalesce(w.held_facts, 0) + (d.class = 'anomaly')::integer,
                greatest(
                    w.verify_after,
                    case
                        when r.is_doubtful or torque_internal.asks_after(d.class, f.source)
                            then greatest(f.received_at, r.as_of) + interval '1 second'
                    end
                ),
                least(w.first_seen_at, f.received_at),
                clock_timestamp(),
                w.last_confirmed_at,
                r.as_of,
                coalesce(f.items_hash, w.items_hash),
                r.version
            )::torque_internal.order_row as becomes
        from torque_internal.reading(
            f.source, f.event_type, f.claimed_status, f.occurred_at, f.received_at
        ) as r
        left join torque.orders w
            on w.order_id = f.order_id
        cross join lateral (
            select
                c.class,
                case when torque_internal.is_move(c.class) then r.said end as moves_to,
                case
                    when torque_internal.is_move(c.class) then not (r.finals ->> r.said)::boolean
                    else coalesce(w.is_open, true)
                end as stays_open
            from (
                select torque_internal.move_class(
                    r.moves, nullif(w.status, 'unknown'), r.said
                ) as class
                offset 0
            ) as c
            offset 0
        ) as d
        where f.order_id <> all (busy)
            and f.order_id <> all (several)
            and not r.is_ignored
            and not starts_with(f.order_id, 'orderd-test.')
            and case
                when w.order_id is null then
                    f.source in ('webhook', 'list')
                        and not exists (
                            select
                            from torque.order_events e
                            where e.order_id = f.order_id
                        )
                else
                    f.source = 'webhook'
                        and w.rules_version = r.version
                        and w.newest_as_of < r.as_of
                        and not exists (
                            select
                            from torque.order_events e
                            where e.order_id = f.order_id
                                and e.event_key = f.event_key
                        )
                        and (
                            f.event_id is null
                            or not exists (
                                select
                                from torque.order_events e
                                where e.order_id = f.order_id
                                    and e.event_id = f.event_id
                            )
                        )
            end
    ) as x
        on true;
    outcomes := n.outcomes;
    changed := coalesce(n.changed, '{}');
    if cardinality(changed) > 0 then
        perform torque_internal.keep(
            facts, n.verdicts, n.from_statuses, n.to_statuses, n.reasons,
            array_fill(1, array[cardinality(facts)])
        );
        perform torque_internal.put_orders(n.made, n.moved, n.opened, n.closed);
    end if;
    if n.new_ids is not null then
        perform torque_internal.put_lines(n.new_ids, n.new_carts, true);
    end if;
    if n.other_ids is not null then
        perform torque_internal.put_lines(n.other_ids, n.other_carts, false);
    end if;
end
$$;
