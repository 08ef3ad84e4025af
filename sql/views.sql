-- For the people who query. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

create or replace view torque.unknown_statuses as
    select
        e.claimed_status as word,
        count(*) as facts,
        count(distinct e.order_id) as orders,
        min(e.received_at) as first_received_at,
        max(e.received_at) as last_received_at
    from torque.order_events e
    where e.claimed_status is not null
        and not exists (
            select
            from torque.order_status s
            where lower(s.status collate "C") = e.claimed_status
        )
        and not exists (
            select
            from torque.status_alias a
            where lower(a.alias collate "C") = e.claimed_status
        )
    group by e.claimed_status;
comment on view torque.unknown_statuses is
    'Words for a status that no rule knows: give each a row in torque.status_alias or'
    ' torque.order_status.';
comment on column torque.unknown_statuses.word is 'The word, as sent.';
comment on column torque.unknown_statuses.facts is 'How many facts claim it.';
comment on column torque.unknown_statuses.orders is 'Of how many orders.';
comment on column torque.unknown_statuses.first_received_at is 'When it was first met.';
comment on column torque.unknown_statuses.last_received_at is 'When it was last met.';

-- From the index of facts that have one, and never from a payload.
create or replace view torque.odd_values as
    select
        e.received_at,
        e.order_id,
        e.source,
        e.event_key,
        o.field,
        o.kind
    from torque.order_events e
    cross join lateral (
        select
            f.field,
            'fault' as kind
        from unnest(e.faults) as f (field)
        union all
        select
            a.field,
            'assumed'
        from unnest(e.assumed) as a (field)
    ) as o
    where e.faults is not null or e.assumed is not null;
comment on view torque.odd_values is
    'What in a fact could not be used, or was read with an assumption. One row a field of a fact;'
    ' ask for a time, as in received_at > now() - interval ''1 day''.';
comment on column torque.odd_values.received_at is 'When the fact first reached the receiver.';
comment on column torque.odd_values.order_id is 'The order it speaks of.';
comment on column torque.odd_values.source is 'Where it came from, as in torque.order_events.';
comment on column torque.odd_values.event_key is
    'With order_id the fact in torque.order_events, and its payload what was sent.';
comment on column torque.odd_values.field is
    'A column of torque.orders, or items. and one of torque.order_items.';
comment on column torque.odd_values.kind is
    'fault: it is unknown; assumed: it was read with an assumption, such as a time without a zone'
    ' or an amount in a string.';

-- A hint, not a verdict: a total may have parts that nobody tells of, such as a tax.
create or replace view torque.suspect_orders as
    with cart as (
        select
            i.order_id,
            sum(coalesce(i.total, i.price * i.quantity)) as total
        from torque.order_items i
        group by i.order_id
        having bool_and(coalesce(i.total, i.price * i.quantity) is not null)
    ), shared as (
        select
            o.session_id,
            count(*) as orders
        from torque.orders o
        where o.session_id is not null
        group by o.session_id
        having count(*) > 1
    )
    select
        o.order_id,
        'total' as suspicion,
        format(
            'the lines, less discounts of %s, with shipping of %s, add up to %s, the total is %s',
            coalesce(o.discounts, 0), coalesce(o.shipping, 0),
            c.total - coalesce(abs(o.discounts), 0) + coalesce(o.shipping, 0), o.total
        ) as detail
    from torque.orders o
    join cart c
        on c.order_id = o.order_id
    where c.total - coalesce(abs(o.discounts), 0) + coalesce(o.shipping, 0) <> o.total
    union all
    select
        o.order_id,
        'negative',
        format('the total is %s', o.total)
    from torque.orders o
    where o.total < 0
    union all
    select
        o.order_id,
        'subtotal',
        format('the lines add up to %s, the subtotal is %s', c.total, o.subtotal)
    from torque.orders o
    join cart c
        on c.order_id = o.order_id
    where c.total <> o.subtotal
    union all
    select
        o.order_id,
        'payment',
        format('%s was paid, the total is %s', o.payment_amount, o.total)
    from torque.orders o
    where o.payment_amount <> o.total
    union all
    select
        o.order_id,
        'session',
        format('session %s has %s orders', o.session_id, s.orders)
    from torque.orders o
    join shared s
        on s.session_id = o.session_id;
comment on view torque.suspect_orders is
    'Orders whose numbers do not add up or whose session is not theirs alone. One row a suspicion.';
comment on column torque.suspect_orders.order_id is 'The order.';
comment on column torque.suspect_orders.suspicion is
    'total, subtotal: not what the lines add up to; negative: the total; payment: not the total;'
    ' session: shared.';
comment on column torque.suspect_orders.detail is 'The figures.';
