-- How a window that has more than a page of orders is divided. Replaced whole by every migrate.
--
-- By the rows that came, by the orders that are known, or by what the neighbourhood lets expect.

set search_path = pg_catalog, pg_temp;

-- Opens a part of a window.
create function torque_internal.add_part(
    w torque.reconcile_window,
    since timestamptz,
    until timestamptz,
    guess bigint
)
returns void
language sql
volatile
as $$
    insert into torque.reconcile_window (
        root_id, parent_id, kind, job_id, status, created_from, created_to, opened_at, guess
    )
    select
        w.root_id, w.window_id, w.kind, w.job_id, w.status, since, until, w.opened_at, $4
    where since < until
$$;

-- The window can be divided, as far as the API tells shorter ones apart.
create function torque_internal.can_split(w torque.reconcile_window, p torque_internal.poller)
returns boolean
language sql
stable
as $$
    select p.dates_ignored_at is null
        and case
            when p.coarse_dates_at is null then
                w.created_to - w.created_from > interval '1 second'
            else
                date_trunc('day', w.created_to - interval '1 microsecond', 'UTC')
                    > w.created_from
        end
$$;

-- Many orders of a few moments: shorter windows would all have them, or their margins would.
create function torque_internal.is_crowd(
    w torque.reconcile_window,
    seen torque_internal.page,
    size integer
)
returns boolean
language sql
immutable
as $$
    select seen.sort_order is distinct from 'none'
        and seen.total <= 5 * size
        and (
            seen.created_ats[greatest(1, size * 9 / 10)]
                not between w.created_from + interval '1 second'
                    and w.created_to - interval '1 second'
            or abs(
                extract(epoch from seen.created_ats[1])
                - extract(epoch from seen.created_ats[cardinality(seen.created_ats)])
            ) < 4
        )
$$;

-- The place of a cut that was wished for; always one that makes both parts shorter.
create function torque_internal.cut_at(
    w torque.reconcile_window,
    p torque_internal.poller,
    wish timestamptz
)
returns timestamptz
language sql
stable
as $$
    select case
        when p.coarse_dates_at is not null then
            greatest(
                least(
                    date_trunc('day', coalesce(wish, w.created_from), 'UTC'),
                    date_trunc('day', w.created_to - interval '1 microsecond', 'UTC')
                ),
                date_trunc('day', w.created_from, 'UTC') + interval '1 day'
            )
        when wish > w.created_from and wish < w.created_to then
            wish
        else
            w.created_from + (w.created_to - w.created_from) / 2
    end
$$;

-- Divides a window that has more than a page of orders, where the rows that came say best.
create function torque_internal.split(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page,
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    calls_free constant integer := 50;
    size constant integer := torque_internal.page_size(p);
    place constant integer := greatest(1, size * 9 / 10);
    cut timestamptz;
    calls bigint;
    found bigint;
begin
    -- An API that always has more would be walked for ever: calls must bring orders.
    select sum(t.pages), sum(t.inside) filter (where t.verdict = 'verified')
    into calls, found
    from torque.reconcile_window t
    where t.root_id = w.root_id;
    if calls > calls_free + 4 * coalesce(found, 0) / greatest(1, size / 2) then
        update torque.reconcile_window as t
        set
            verdict = 'incomplete',
            problem = 'endless',
            not_before = at + interval '1 hour'
        where t.root_id = w.root_id
            and t.window_id <> w.window_id
            and t.verdict = 'open';
        w.tries := greatest(w.tries, 2);
        return torque_internal.contradict(w, 'endless', at);
    end if;

    delete from torque.reconcile_window c
    where c.parent_id = w.window_id;
    update torque.reconcile_window as t
    set
        verdict = 'split',
        expected = seen.total,
        seen = cardinality(seen.ids),
        problem = null,
        not_before = null
    where t.window_id = w.window_id;
    if w.status is not null and exists (
        select
        from torque.order_status s
        where s.status = w.status
            and s.is_final
    ) then
        cut := (
            select percentile_disc(0.5) within group (order by o.created_at)
            from torque.orders o
            where o.created_at >= w.created_from
                and o.created_at < w.created_to
                and o.status = w.status
        );
        cut := torque_internal.cut_at(w, p, cut);
        perform torque_internal.add_part(w, w.created_from, cut, null);
        perform torque_internal.add_part(w, cut, w.created_to, null);
    elsif seen.sort_order = 'newest' then
        cut := torque_internal.cut_at(w, p, seen.created_ats[place]);
        perform torque_internal.add_part(w, w.created_from, cut, seen.total - place);
        perform torque_internal.add_part(w, cut, w.created_to, place);
    elsif seen.sort_order = 'oldest' then
        cut := torque_internal.cut_at(w, p, seen.created_ats[place]);
        perform torque_internal.add_part(w, w.created_from, cut, place);
        perform torque_internal.add_part(w, cut, w.created_to, seen.total - place);
    else
        cut := (
            select percentile_disc(0.5) within group (order by c.created_at)
            from unnest(seen.created_ats) as c(created_at)
        );
        cut := torque_internal.cut_at(w, p, cut);
        perform torque_internal.add_part(w, w.created_from, cut, seen.total / 2);
        perform torque_internal.add_part(w, cut, w.created_to, seen.total / 2);
    end if;
    return 'split';
end
$$;

-- Before asking: what would not fit on a page is divided by what is known already, every part with
-- nine tenths of a page. Of what is not known a part is cut off that has, judged by its
-- neighbourhood, eight tenths; shops have days and weeks, so the same hours of the next week or day
-- tell more than the hours next to it.
create function torque_internal.divide_known(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns boolean
language plpgsql
as $$
declare
    place constant integer := greatest(1, torque_internal.page_size(p) * 9 / 10);
    cuts timestamptz[];
    since timestamptz := w.created_from;
    cut timestamptz;
begin
    if p.coarse_dates_at is not null then
        return false;
    end if;
    cuts := array(
        select distinct o.created_at
        from (
            select
                o.created_at,
                row_number() over (order by o.created_at desc) as n
            from torque.orders o
            where o.created_at >= w.created_from
                and o.created_at < w.created_to
                and (w.status is null or o.status = w.status)
        ) as o
        where o.n % place = 0
            and o.created_at > w.created_from
        order by 1
    );
    if cardinality(cuts) = 0 then
        return false;
    end if;
    foreach cut in array cuts loop
        perform torque_internal.add_part(w, since, cut, place);
        since := cut;
    end loop;
    perform torque_internal.add_part(w, since, w.created_to, place);
    update torque.reconcile_window as t
    set verdict = 'split'
    where t.window_id = w.window_id;
    return true;
end
$$;

-- How long it takes until there are so many orders, in the known neighbourhood of an edge.
create function torque_internal.span_of(
    orders bigint,
    edge timestamptz,
    apart interval,
    is_upwards boolean
)
returns interval
language plpgsql
stable
as $$
declare
    -- Of the hours next to the edge, or of those some days off that look the same way as it does.
    is_up constant boolean := is_upwards = (apart is not null);
    start constant timestamptz := edge + case
        when apart is null then interval '0'
        when is_upwards then -apart
        else apart
    end;
    last_at timestamptz;
    span interval;
begin
    if is_up then
        select o.created_at
        into last_at
        from torque.orders o
        where o.created_at >= start
        order by o.created_at
        offset orders - 1
        limit 1;
    else
        select o.created_at
        into last_at
        from torque.orders o
        where o.created_at < start
        order by o.created_at desc
        offset orders - 1
        limit 1;
    end if;
    -- Beyond the edge nothing is known yet.
    span := case when last_at > start then last_at - start else start - last_at end;
    return case when (span > apart) is not true then span end;
end
$$;

-- Cuts a page's worth off a window of which only a total is known.
create function torque_internal.cut_off(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns void
language plpgsql
as $$
declare
    aim constant bigint :=
        greatest(1, least(torque_internal.page_size(p) * 8 / 10, w.guess / 2));
    is_upwards constant boolean := p.sort_order = 'oldest';
    edge constant timestamptz := case when is_upwards then w.created_from else w.created_to end;
    walked constant interval := (
        select case when is_upwards then edge - r.created_from else r.created_to - edge end
        from torque.reconcile_window r
        where r.window_id = w.root_id
    );
    part constant interval := (w.created_to - w.created_from)
        * (aim::double precision / greatest(w.guess, 1));
    apart interval;
    span interval;
    cut timestamptz;
begin
    apart := case
        when walked > interval '7 days' then interval '7 days'
        when walked > interval '1 day' then interval '1 day'
    end;
    span := least(
        coalesce(
            torque_internal.span_of(aim, edge, apart, is_upwards),
            torque_internal.span_of(aim, edge, null, is_upwards),
            part
        ),
        (w.created_to - w.created_from) * 0.9
    );
    span := greatest(span, interval '1 second');
    if is_upwards then
        cut := torque_internal.cut_at(w, p, edge + span);
        perform torque_internal.add_part(w, w.created_from, cut, aim);
        perform torque_internal.add_part(w, cut, w.created_to, w.guess - aim);
    else
        cut := torque_internal.cut_at(w, p, edge - span);
        perform torque_internal.add_part(w, w.created_from, cut, w.guess - aim);
        perform torque_internal.add_part(w, cut, w.created_to, aim);
    end if;
    update torque.reconcile_window as t
    set verdict = 'split'
    where t.window_id = w.window_id;
end
$$;
