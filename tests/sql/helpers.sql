-- For the pgTAP files: facts told in one line. Times are seconds after noon of 1 March 2026.
create schema tap;
\if :is_file
set search_path = tap;
\i :pgtap
reset search_path;
\else
create extension pgtap schema tap;
\endif
create schema told;

create function told.at(seconds numeric)
returns timestamptz
language sql
immutable
as $$
    select timestamptz '2026-03-01 12:00:00+00' + seconds * interval '1 second'
$$;

-- What a fact says beside its status is an object of the columns of torque.order_events.
create function told.fact(
    source text,
    of_order text,
    type text,
    at numeric,
    word text,
    says jsonb,
    event_id text,
    received numeric
)
returns torque_internal.fact
language plpgsql
as $$
declare
    f torque_internal.fact := jsonb_populate_record(null::torque_internal.fact, says);
begin
    f.order_id := of_order;
    f.source := source;
    f.event_id := event_id;
    f.event_type := type;
    f.claimed_status := word;
    f.occurred_at := told.at(at);
    f.received_at := told.at(coalesce(received, at + 1));
    f.payload := coalesce(
        f.payload,
        json_build_object('of', of_order, 'type', type, 'word', word, 'id', event_id,
            'at', case when source = 'webhook' then at end, 'says', says)
    );
    f.event_key := sha256(convert_to(source || ':' || f.payload, 'UTF8'));
    f.items_hash := hashtextextended(f.items::text, 0);
    return f;
end
$$;

create function told.take(f torque_internal.fact)
returns text
language plpgsql
as $$
begin
    return (
        select torque.take(
            f.order_id, f.event_key, f.event_id, f.event_type, f.claimed_status, f.occurred_at,
            f.received_at, f.payload, f.business_id, f.session_id, f.created_at, f.updated_at,
            f.cancelled_at, f.cancellation_reason, f.customer_email, f.customer_first_name,
            f.customer_last_name, f.customer_phone, f.customer_address, f.currency, f.subtotal,
            f.discounts, f.shipping, f.total, f.item_count, f.items, f.items_hash,
            f.payment_method, f.payment_transaction_id, f.payment_amount, f.payment_status,
            f.faults, f.assumed
        )
    );
end
$$;

-- door: take_many or take_each.
create function told.take_many(door text, facts torque_internal.fact[])
returns text[]
language plpgsql
as $$
declare
    outcomes text[];
begin
    execute format(
        'select torque.%I(
            array_agg(f.order_id), array_agg(f.event_key), array_agg(f.source),
            array_agg(f.event_id), array_agg(f.event_type), array_agg(f.claimed_status),
            array_agg(f.occurred_at), array_agg(f.received_at), array_agg(f.payload),
            array_agg(f.business_id), array_agg(f.session_id), array_agg(f.created_at),
            array_agg(f.updated_at), array_agg(f.cancelled_at), array_agg(f.cancellation_reason),
            array_agg(f.customer_email), array_agg(f.customer_first_name),
            array_agg(f.customer_last_name), array_agg(f.customer_phone),
            array_agg(f.customer_address), array_agg(f.currency), array_agg(f.subtotal),
            array_agg(f.discounts), array_agg(f.shipping), array_agg(f.total),
            array_agg(f.item_count), array_agg(f.items), array_agg(f.items_hash),
            array_agg(f.payment_method), array_agg(f.payment_transaction_id),
            array_agg(f.payment_amount), array_agg(f.payment_status), array_agg(f.faults::text),
            array_agg(f.assumed::text)
        ) from unnest($1) as f',
        door
    ) into outcomes using facts;
    return outcomes;
end
$$;

-- A webhook. What became of it.
create function told.hook(
    of_order text,
    type text,
    at numeric,
    word text default null,
    says jsonb default '{}',
    event_id text default null,
    received numeric default null
)
returns text
language plpgsql
as $$
begin
    return told.take(told.fact('webhook', of_order, type, at, word, says, event_id, received));
end
$$;

create function told.poll(
    source text,
    of_order text,
    at numeric,
    word text,
    says jsonb default '{}',
    received numeric default null
)
returns text
language plpgsql
as $$
begin
    return (told.take_many(
        'take_many', array[told.fact(source, of_order, null, at, word, says, null, received)]
    ))[1];
end
$$;

-- A first webhook that says this.
create function told.data(of_order text, says jsonb)
returns text
language plpgsql
as $$
begin
    return told.hook(of_order, 'order.created', 0, null, says);
end
$$;

-- The row that the promises are about, without what depends on arrival.
create function told.course(of_order text)
returns text
language sql
as $$
    select concat_ws(' ',
        o.status,
        'at ' || extract(epoch from o.status_at - told.at(0))::bigint,
        'raw ' || o.raw_status,
        'held ' || nullif(o.held_facts, 0),
        'ask ' || extract(epoch from o.verify_after - told.at(0))::bigint
    )
    from torque.orders o
    where o.order_id = of_order
$$;
