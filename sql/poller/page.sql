-- What of list-orders is asked for when a window is, and what an answer says. Replaced whole by
-- every migrate.
--
-- createdAt never changes, so a window of it has the same members for ever, while offsets slide
-- under whoever counts by them. A window is asked for some seconds wider than it is, whatever the
-- API takes "after" to mean.

set search_path = pg_catalog, pg_temp;

-- How many rows a page can have.
create function torque_internal.page_size(p torque_internal.poller)
returns integer
language sql
stable
as $$
    select least(torque_internal.setting('page_size'), p.page_cap)
$$;

-- From the first to the last microsecond of seconds, so that an API that looks at no more than
-- seconds counts the same orders as one that looks closer. Whole days where the API rounds to them:
-- half a day more on each side then. What reaches up to now is asked for as far as tomorrow, once:
-- an API that takes the beginning of a day for its end would hide the day, and nothing show it.
create function torque_internal.asked_from(w torque.reconcile_window, p torque_internal.poller)
returns timestamptz
language sql
stable
as $$
    select case
        when p.coarse_dates_at is null then
            date_trunc('second', w.created_from) - interval '2 seconds'
        else
            date_trunc('day', w.created_from, 'UTC') - interval '12 hours'
    end
$$;

-- endDate of the requests for a window.
create function torque_internal.asked_to(w torque.reconcile_window, p torque_internal.poller)
returns timestamptz
language sql
stable
as $$
    select case
        when p.coarse_dates_at is null
            and (w.pages > 0 or w.created_to < w.opened_at - interval '5 minutes')
        then
            date_trunc('second', w.created_to) + interval '2.999999 seconds'
        else
            date_trunc('day', w.created_to, 'UTC') + interval '36 hours'
    end
$$;

-- How many orders made in that time, in that status or any, are here.
create function torque_internal.known_orders(
    of_status text,
    since timestamptz,
    until timestamptz
)
returns bigint
language plpgsql
stable
as $$
begin
    return (
        select count(*)
        from torque.orders o
        where o.created_at between since and until
            and (of_status is null or o.status = of_status)
    );
end
$$;

-- How many orders are here of the time that is asked for when a window is.
create function torque_internal.known_in_span(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns bigint
language sql
stable
as $$
    select torque_internal.known_orders(
        w.status,
        case
            when p.coarse_dates_at is null then torque_internal.asked_from(w, p)
            else date_trunc('day', torque_internal.asked_from(w, p), 'UTC')
        end,
        case
            when p.coarse_dates_at is null then torque_internal.asked_to(w, p)
            else date_trunc('day', torque_internal.asked_to(w, p), 'UTC') + interval '1 day'
        end
    )
$$;

-- A page of list-orders: ids without repetition; created_ats in the order of the rows.
create type torque_internal.page as (
    total bigint,
    has_more boolean,
    page_limit integer,
    row_count integer,
    unusable integer,
    ids text[],
    inside bigint,
    sort_order text,
    created_ats timestamptz[],
    has_other_status boolean
);

-- A count of the pagination; null when it is none.
create function torque_internal.count_in(answer json, name text)
returns bigint
language sql
immutable
as $$
    select substring(answer -> 'pagination' ->> name from '^(\d{1,15})(?:\.0+)?$')::bigint
$$;

-- A row of a list, its n-th; order_id null: not to be used.
create type torque_internal.listed_order as (
    n bigint,
    order_id text,
    status text,
    created_at timestamptz,
    total numeric,
    currency text,
    item_count bigint,
    email text,
    doc json
);

-- The rows of an answer of list-orders.
create function torque_internal.rows_of(answer json)
returns setof torque_internal.listed_order
language sql
stable
as $$
    select
        r.n,
        case
            when json_typeof(r.doc -> 'id') = 'string'
                and torque_internal.is_order_id(r.doc ->> 'id')
            then
                r.doc ->> 'id'
        end,
        case when json_typeof(r.doc -> 'status') = 'string' then r.doc ->> 'status' end,
        d.created_at,
        d.total,
        d.currency,
        d.item_count,
        d.customer_email,
        r.doc
    from json_array_elements(
        case when json_typeof(answer -> 'orders') = 'array' then answer -> 'orders' end
    ) with ordinality as r(doc, n)
    cross join lateral torque_internal.details(
        case when json_typeof(r.doc) = 'object' then r.doc else '{}' end,
        false,
        null
    ) as d
$$;

-- What an answer of list-orders says about the window it was asked for.
create function torque_internal.read_page(
    answer json,
    listed torque_internal.listed_order[],
    w torque.reconcile_window
)
returns torque_internal.page
language plpgsql
stable
as $$
declare
    seen torque_internal.page;
begin
    select
        torque_internal.count_in(answer, 'total'),
        answer -> 'pagination' ->> 'hasMore' = 'true',
        torque_internal.count_in(answer, 'limit'),
        count(r.n),
        count(r.n) filter (where r.order_id is null),
        coalesce(array_agg(distinct r.order_id) filter (where r.order_id is not null), '{}'),
        count(distinct r.order_id) filter (
            where r.created_at >= w.created_from
                and r.created_at < w.created_to
        ),
        case
            when bool_or(r.created_at is null) then 'none'
            when bool_and(r.created_at <= r.before) and bool_and(r.created_at >= r.before) then null
            when bool_and(r.created_at <= r.before) then 'newest'
            when bool_and(r.created_at >= r.before) then 'oldest'
            when count(r.n) > 1 then 'none'
        end,
        coalesce(array_agg(r.created_at order by r.n) filter (where r.n is not null), '{}'),
        coalesce(
            bool_or(
                w.status is not null
                    and coalesce(torque_internal.status_of(r.status), r.status)
                        is distinct from w.status
            ),
            false
        )
    into seen
    from (
        select
            r.n,
            r.order_id,
            r.status,
            r.created_at,
            coalesce(lag(r.created_at) over (order by r.n), r.created_at) as before
        from unnest(listed) as r
    ) as r;
    return seen;
end
$$;
