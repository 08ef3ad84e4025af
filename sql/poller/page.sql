-- What an answer of list-orders says. Replaced whole by every migrate.
--
-- The life of a window, a span of createdAt that is to be covered whole:
--
--   plan ─▶ open ─next─▶ a page of it is asked for ─▶ its rows are taken in (drift)
--            ▲                                                │
--            │                                  judge: what does the page prove?
--            │                                                │
--            │   all that there is, and all that is known ────┼─▶ verified
--            │   a count that agrees, of a final status ──────┼─▶ agreed
--            │   more than a page, up to 50 of a past time ───┼─▶ paged: the next page is at
--            │                                                │   an offset and shares rows
--            │   more than that ── divide ────────────────────┼─▶ split: its parts are windows;
--            │                                                │   it is verified as they are
--            ├── asked again ◀── it contradicts itself, ──────┴─ 3 ─▶ incomplete: an alarm
--            │                   or what is known                         │
--            └────────────────── minutes to an hour later ◀───────────────┘

set search_path = pg_catalog, pg_temp;

-- ids without repetition; created_ats in the order of the rows that have one. odd_place: of the
-- first row without an id or a createdAt. size: the most rows that the page could have.
create type torque_internal.page as (
    total bigint,
    has_more boolean,
    page_limit integer,
    size integer,
    row_count integer,
    unusable integer,
    undated integer,
    odd_place integer,
    ids text[],
    inside bigint,
    sort_order text,
    created_ats timestamptz[],
    has_other_status boolean
);

-- What an answer of list-orders says about the window it was asked for. A row without an order_id
-- is one that cannot be used. A word for a status that is not known is not one of another status.
create function torque_internal.read_page(
    total bigint,
    has_more boolean,
    page_limit integer,
    size integer,
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
        read_page.size,
        count(r.n),
        count(r.n) filter (where r.order_id is null),
        count(r.n) filter (where r.order_id is not null and r.created_at is null),
        min(r.n) filter (where r.order_id is null or r.created_at is null),
        coalesce(array_agg(distinct r.order_id) filter (where r.order_id is not null), '{}'),
        count(distinct r.order_id) filter (
            where r.created_at >= w.created_from
                and r.created_at < w.created_to
        ),
        case
            when bool_and(r.created_at <= r.before) and bool_and(r.created_at >= r.before) then null
            when bool_and(r.created_at <= r.before) then 'newest'
            when bool_and(r.created_at >= r.before) then 'oldest'
            when count(r.created_at) > 1 then 'none'
        end,
        coalesce(
            array_agg(r.created_at order by r.n) filter (where r.created_at is not null), '{}'
        ),
        coalesce(bool_or(r.status <> w.status), false)
    into seen
    from (
        select
            u.ordinality as n,
            u.order_id,
            torque_internal.status_of(u.claimed_status) as status,
            u.created_at,
            coalesce(
                lag(u.created_at) over (partition by u.created_at is null order by u.ordinality),
                u.created_at
            ) as before
        from unnest(listed) with ordinality as u
    ) as r;
    return seen;
end
$$;

-- Orders go from it to another sooner or later. False of no status, too.
create function torque_internal.is_open_status(of_status text)
returns boolean
language sql
stable
as $$
    select exists (
        select
        from torque.order_status s
        where s.status = of_status
            and not s.is_final
    )
$$;

-- The known orders made in a time, in that status or any. Of those whose status is not final there
-- is a short list.
create function torque_internal.known_orders(
    of_status text,
    since timestamptz,
    until timestamptz
)
returns table (
    order_id text,
    created_at timestamptz,
    first_seen_at timestamptz,
    newest_as_of timestamptz
)
language plpgsql
stable
set plan_cache_mode = force_custom_plan
as $$
begin
    if torque_internal.is_open_status(of_status) then
        return query
        select o.order_id, o.created_at, o.first_seen_at, o.newest_as_of
        from torque_internal.open_order n
        -- One search each, however many orders there are.
        cross join lateral (
            select t.*
            from torque.orders t
            where t.order_id = n.order_id
            offset 0
        ) as o
        where o.created_at between since and until
            and o.status = of_status;
    else
        return query
        select o.order_id, o.created_at, o.first_seen_at, o.newest_as_of
        from torque.orders o
        where o.created_at between since and until
            and (of_status is null or o.status = of_status);
    end if;
end
$$;
