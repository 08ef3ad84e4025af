-- How a window that has more than a page of orders is divided: by the rows that came. Replaced
-- whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- Where the parts of a window should end; nowhere in particular: it is halved. A part has nine
-- tenths of a page.
create function torque_internal.wishes_of(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page
)
returns timestamptz[]
language plpgsql
stable
as $$
declare
    place constant integer := greatest(1, cardinality(seen.created_ats) * 9 / 10);
    wishes timestamptz[];
begin
    -- A span that is longer than what is read page by page, or of which a count will do.
    if torque_internal.may_page(w, p, seen)
        or w.is_count
    then
        return '{}';
    elsif w.status is not null then
        -- Open orders are listed often, and most of them are known.
        wishes := array(
            select o.created_at
            from (
                select
                    k.created_at,
                    row_number() over (order by k.created_at desc) as n
                from torque_internal.known_orders(w.status, w.created_from, w.created_to) as k
            ) as o
            where o.n % greatest(1, seen.size * 9 / 10) = 0
            order by o.created_at
        );
    end if;
    if cardinality(wishes) > 0 then
        return wishes;
    elsif seen.sort_order in ('newest', 'oldest') then
        return array[seen.created_ats[place]];
    end if;
    return array(
        select percentile_disc(0.5) within group (order by c.created_at)
        from unnest(seen.created_ats) as c(created_at)
    );
end
$$;

-- Opens a part of a window.
create function torque_internal.add_part(
    w torque.reconcile_window,
    since timestamptz,
    until timestamptz,
    below bigint
)
returns void
language sql
volatile
as $$
    insert into torque.reconcile_window (
        root_id, parent_id, kind, job_id, status, created_from, created_to, opened_at, is_count,
        page_limit, below
    )
    select
        w.root_id, w.window_id, w.kind, w.job_id, w.status, since, until, w.opened_at,
        w.is_count, w.page_limit, $4
    where since < until
$$;

-- Divides a window. Of a span that is over, a part has fewer orders than the whole when rows of the
-- whole were made elsewhere.
create function torque_internal.split(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page
)
returns text
language plpgsql
as $$
declare
    margin constant interval := case
        when p.coarse_dates_at is null then interval '4 seconds'
        else interval '4 days'
    end;
    since timestamptz := w.created_from;
    cut timestamptz;
begin
    update torque.reconcile_window as t
    set
        verdict = 'split',
        expected = seen.total,
        seen = cardinality(seen.ids),
        problem = null,
        not_before = null
    where t.window_id = w.window_id;
    foreach cut in array
        torque_internal.cuts_of(w, p, torque_internal.wishes_of(w, p, seen)) || w.created_to
    loop
        perform torque_internal.add_part(
            w, since, cut,
            (
                select case
                    when bool_or(c.created_at not between since - margin and cut + margin)
                        then seen.total
                end
                from unnest(seen.created_ats) as c(created_at)
                where w.status is null
                    and seen.total > seen.row_count
                    and not (cut = w.created_to and torque_internal.is_newest(w))
            )
        );
        since := cut;
    end loop;
    return 'split';
end
$$;
