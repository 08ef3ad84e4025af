-- For the pgTAP files: facts told in one line. Times are seconds after noon of 1 March 2026.
create schema tap;
create extension pgtap schema tap;
create schema told;

create function told.at(seconds numeric)
returns timestamptz
language sql
immutable
as $$
    select timestamptz '2026-03-01 12:00:00+00' + seconds * interval '1 second'
$$;

-- A webhook of the first form, or of the second when it has an event id. What became of it.
create function told.hook(
    of_order text,
    type text,
    at numeric,
    word text default null,
    data text default '{}',
    event_id text default null,
    received numeric default null
)
returns text
language plpgsql
as $$
declare
    payload text := case
        when event_id is null then
            format('{"event": %s, "timestamp": %s, "data": %s}',
                to_json(type), to_json(at), data)
        else
            format('{"id": %s, "type": %s, "created": %s, "data": {"order": %s}}',
                to_json(event_id), to_json(type), to_json(at), data)
    end;
begin
    return (
        torque.ingest(
            array[of_order],
            array[sha256(convert_to(concat_ws('|', of_order, word, payload), 'UTF8'))],
            array[event_id],
            array[type],
            array[word],
            array[told.at(at)],
            array[told.at(coalesce(received, at + 1))],
            array[payload::json]
        )
    )[1];
end
$$;

create function told.poll(
    source text,
    of_order text,
    at numeric,
    word text,
    more jsonb default '{}',
    received numeric default null
)
returns text
language sql
as $$
    select (
        torque.ingest_polled(
            array[source],
            array[of_order],
            array[told.at(at)],
            array[told.at(coalesce(received, at + 1))],
            array[(jsonb_build_object('id', of_order, 'status', word) || more)::json]
        )
    )[1]
$$;

-- A first webhook with this text as the data's cart, or payment, or whatever it says.
create function told.data(of_order text, data text)
returns text
language sql
as $$
    select told.hook(of_order, 'order.created', 0, null, data)
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
