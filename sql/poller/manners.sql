-- How this API lists, learnt from its answers. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- Whole days may begin half a day earlier or later elsewhere.
create function torque_internal.is_out_of_span(
    seen torque_internal.page,
    of_call torque_internal.api_call,
    is_coarse boolean
)
returns boolean
language sql
immutable
as $$
    select coalesce(
        bool_or(
            c.created_at < of_call.asked_from - s.slack
                or c.created_at > of_call.asked_to + s.slack
        ),
        false
    )
    from unnest(seen.created_ats) as c(created_at)
    cross join (
        select case when is_coarse then interval '38 hours' else interval '1500 milliseconds' end
    ) as s(slack)
$$;

-- What an API does with filters and offsets is seen from what it sends: once may be a fault, twice
-- is a habit, and believed for a day.
-- True: windows cut so far were cut on a wrong idea of it.
create function torque_internal.learn_manners(
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
    if seen.sort_order is distinct from p.sort_order and cardinality(seen.created_ats) > 2 then
        update torque_internal.poller
        set sort_order = coalesce(seen.sort_order, sort_order);
    end if;
    if seen.has_other_status and w.problem = 'other_status' and p.status_ignored_at is null then
        update torque_internal.poller
        set status_ignored_at = at;
        perform torque_internal.raise_alarm(
            'status_ignored', '', format('a list of %s orders has others in it', w.status), at
        );
    end if;
    if p.dates_ignored_at is not null
        or w.problem is distinct from 'out_of_span'
        or torque_internal.is_out_of_span(seen, of_call, p.coarse_dates_at is not null) is not true
    then
        return false;
    end if;
    is_coarse := p.coarse_dates_at is null
        and not torque_internal.is_out_of_span(seen, of_call, true);
    update torque_internal.poller
    set
        coarse_dates_at = case when is_coarse then at end,
        dates_ignored_at = case when not is_coarse then at end;
    return true;
end
$$;
