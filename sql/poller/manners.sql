-- How this API lists, learnt from its answers and believed for a day, and what of list-orders is
-- therefore asked for. Replaced whole by every migrate.
--
-- Each manner is a column of torque_internal.poller and is read in this file alone, so that it can
-- go when it is known that the API has it not: coarse_dates_at, dates_ignored_at,
-- offset_ignored_at, status_ignored_at (read by plan_open() as well) and page_cap.
--
-- createdAt never changes, so a window of it has the same members for ever, while offsets slide
-- under whoever counts by them. A window is asked for some seconds wider than it is, whatever the
-- API takes "after" to mean.

set search_path = pg_catalog, pg_temp;

-- How many rows a page of the window can have.
create function torque_internal.page_size(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns integer
language sql
stable
as $$
    select least(torque_internal.setting('page_size'), p.page_cap, w.page_limit)
$$;

-- It reaches up to the time it was planned at: its members may still become more.
create function torque_internal.is_newest(w torque.reconcile_window)
returns boolean
language sql
immutable
as $$
    select w.created_to >= w.opened_at - interval '5 minutes'
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
            and (w.pages > 0 or not torque_internal.is_newest(w))
        then
            date_trunc('second', w.created_to) + interval '2.999999 seconds'
        else
            date_trunc('day', w.created_to, 'UTC') + interval '36 hours'
    end
$$;

-- How many orders are known of the time that is asked for when a window is.
create function torque_internal.known_in_span(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns bigint
language sql
stable
as $$
    select count(*)
    from (
        select case when p.coarse_dates_at is null then interval '0' else interval '12 hours' end
    ) as m(margin)
    cross join lateral torque_internal.known_orders(
        w.status,
        torque_internal.asked_from(w, p) - m.margin,
        torque_internal.asked_to(w, p) + m.margin
    ) as k
$$;

-- How many may have been in an answer about the window and are not of it.
create function torque_internal.known_beside(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns bigint
language sql
stable
as $$
    select count(*)
    from (
        select case
            when p.coarse_dates_at is null then interval '3 seconds'
            else interval '60 hours'
        end
    ) as m(margin)
    cross join lateral (
        values
            (w.created_from - m.margin, w.created_from - interval '1 microsecond'),
            (
                w.created_to,
                w.created_to + case
                    when torque_internal.is_newest(w) then interval '60 hours'
                    else m.margin
                end
            )
    ) as s(since, until)
    cross join lateral torque_internal.known_orders(null, s.since, s.until) as k
$$;

-- The window can be divided: parts would be longer than what they are asked for beyond their ends.
create function torque_internal.can_divide(w torque.reconcile_window, p torque_internal.poller)
returns boolean
language sql
stable
as $$
    select p.dates_ignored_at is null
        and case
            when p.coarse_dates_at is null then
                w.created_to - w.created_from > interval '10 seconds'
            else
                date_trunc('day', w.created_to - interval '1 microsecond', 'UTC')
                    > w.created_from
        end
$$;

-- Where a window can be cut at the places that were wished for; where none will do, in its middle.
create function torque_internal.cuts_of(
    w torque.reconcile_window,
    p torque_internal.poller,
    wishes timestamptz[]
)
returns timestamptz[]
language plpgsql
stable
as $$
declare
    is_coarse constant boolean := p.coarse_dates_at is not null;
    middle constant timestamptz := w.created_from + (w.created_to - w.created_from) / 2;
    least_part constant interval := case
        when is_coarse then interval '1 microsecond'
        else interval '5 seconds'
    end;
    since timestamptz := w.created_from;
    cuts timestamptz[] := '{}';
    cut timestamptz;
begin
    foreach cut in array wishes loop
        cut := case when is_coarse then date_trunc('day', cut, 'UTC') else cut end;
        continue when (
            cut >= since + least_part
            and cut <= w.created_to - least_part
        ) is not true;
        cuts := cuts || cut;
        since := cut;
    end loop;
    return case
        when cardinality(cuts) > 0 then cuts
        when is_coarse then array[
            greatest(
                date_trunc('day', middle, 'UTC'),
                date_trunc('day', w.created_from, 'UTC') + interval '1 day'
            )
        ]
        else array[middle]
    end;
end
$$;

-- Offsets into a past time do not slide: nothing is added to it, nor taken away. Lists of one
-- status lose orders at any place.
create function torque_internal.may_page(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page
)
returns boolean
language sql
stable
as $$
    select w.status is null
        and not w.is_count
        and not torque_internal.is_newest(w)
        and p.offset_ignored_at is null
        and seen.sort_order is distinct from 'none'
        and seen.unusable = 0
        -- A full page whose total is no more may count itself alone.
        and seen.total > seen.row_count
$$;

-- Rows that were made out of the time that was asked for. Whole days may begin half a day earlier
-- or later elsewhere.
create function torque_internal.is_out_of_span(
    seen torque_internal.page,
    of_call torque_internal.api_call,
    p torque_internal.poller,
    is_coarse boolean default null
)
returns boolean
language sql
immutable
as $$
    select p.dates_ignored_at is null
        and coalesce(
            bool_or(
                c.created_at < of_call.asked_from - s.slack
                    or c.created_at > of_call.asked_to + s.slack
            ),
            false
        )
    from unnest(seen.created_ats) as c(created_at)
    cross join (
        select case
            when coalesce(is_coarse, p.coarse_dates_at is not null) then interval '38 hours'
            else interval '1500 milliseconds'
        end
    ) as s(slack)
$$;

-- Every offset brings the same page.
create function torque_internal.learn_offset_ignored(at timestamptz)
returns void
language sql
volatile
as $$
    update torque_internal.poller
    set offset_ignored_at = at
$$;

-- True: the page has fewer rows than were asked for because the API has a limit of its own.
create function torque_internal.learn_page_cap(seen torque_internal.page, at timestamptz)
returns boolean
language plpgsql
as $$
begin
    update torque_internal.poller
    set
        page_cap = seen.page_limit,
        page_cap_at = at
    where seen.has_more
        and seen.page_limit = seen.row_count
        and seen.page_limit > 0;
    return found;
end
$$;

-- What an API does with filters is seen from what it sends: once may be a fault, twice is a habit.
-- True: windows cut so far were cut on a wrong idea of it.
create function torque_internal.learn_filters(
    p torque_internal.poller,
    w torque.reconcile_window,
    seen torque_internal.page,
    of_call torque_internal.api_call,
    at timestamptz
)
returns boolean
language plpgsql
as $$
declare
    is_coarse boolean;
begin
    if seen.has_other_status and w.problem = 'other_status' and p.status_ignored_at is null then
        update torque_internal.poller
        set status_ignored_at = at;
        perform torque_internal.raise_alarm(
            'status_ignored', '', format('a list of %s orders has others in it', w.status), at
        );
    end if;
    if w.problem is distinct from 'out_of_span'
        or not torque_internal.is_out_of_span(seen, of_call, p)
    then
        return false;
    end if;
    is_coarse := p.coarse_dates_at is null
        and not torque_internal.is_out_of_span(seen, of_call, p, true);
    update torque_internal.poller
    set
        coarse_dates_at = case when is_coarse then at end,
        dates_ignored_at = case when not is_coarse then at end;
    return true;
end
$$;
