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

-- What an answer of list-orders says about the window it was asked for. A row without an order_id
-- is one that cannot be used.
create function torque_internal.read_page(
    total bigint,
    has_more boolean,
    page_limit integer,
    listed torque_internal.fact[],
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
        read_page.total,
        coalesce(read_page.has_more, false),
        read_page.page_limit,
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
                    and coalesce(r.status, r.claimed_status) is distinct from w.status
            ),
            false
        )
    into seen
    from (
        select
            u.ordinality as n,
            u.order_id,
            u.claimed_status,
            t.words ->> u.claimed_status as status,
            u.created_at,
            coalesce(lag(u.created_at) over (order by u.ordinality), u.created_at) as before
        from unnest(listed) with ordinality as u
        cross join torque_internal.rules t
    ) as r;
    return seen;
end
$$;
