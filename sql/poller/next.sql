-- What the poller asks next. Replaced whole by every migrate.
--
-- The daemon does three things in turn: reconcile_next() says what to ask, the API is asked, and
-- reconcile_page(), reconcile_lookup() or reconcile_failed() takes the answer, in one transaction
-- with everything that follows from it.

set search_path = pg_catalog, pg_temp;

-- The window of a kind that is due: the newest, which people look at first. One that has failed
-- keeps no other waiting.
create function torque_internal.due_window(of_kind text, at timestamptz)
returns torque.reconcile_window
language plpgsql
stable
as $$
declare
    w torque.reconcile_window;
begin
    select t.*
    into w
    from torque.reconcile_window t
    where t.kind = of_kind
        and t.verdict in ('open', 'incomplete')
        and (t.not_before is null or t.not_before <= at)
        and (
            t.job_id is null
            or exists (
                select
                from torque.backfill b
                where b.job_id = t.job_id
                    and b.state in ('running', 'incomplete')
            )
        )
    order by
        t.verdict desc,
        t.created_to desc
    limit 1;
    return w;
end
$$;

-- Whether this session is the one that polls; the first to ask is, for as long as it lasts.
create function torque_internal.is_poller()
returns boolean
language plpgsql
as $$
begin
    if current_setting('orderd.is_poller', true) = 'on' then
        return true;
    end if;
    if pg_try_advisory_lock(hashtext('orderd poller'), 1) then
        perform set_config('orderd.is_poller', 'on', false);
        return true;
    end if;
    return false;
end
$$;

-- The order to be looked up next on one of these accounts: what has been due for longest.
create function torque_internal.due_lookup(priorities text[], at timestamptz)
returns torque_internal.lookup
language plpgsql
stable
as $$
declare
    l torque_internal.lookup;
begin
    select t.*
    into l
    from unnest(priorities) as u(priority)
    cross join lateral (
        select d.*
        from torque_internal.lookup d
        where d.priority = u.priority
            and d.due_at <= at
        order by d.due_at
        limit 1
    ) as t
    order by t.due_at
    limit 1;
    return l;
end
$$;

-- On whose account the next call is. People come first; of the others that have something due it is
-- the one whose share has had the fewest calls for its weight of late. History is read before it is
-- read again, and both before orders are looked up one by one.
create function torque_internal.next_priority(p torque_internal.poller, at timestamptz)
returns text
language plpgsql
stable
as $$
begin
    return (
        with recent as (
            select
                s.share,
                count(*) as calls
            from torque_internal.api_call c
            join torque_internal.share s
                on s.priority = c.priority
            where c.claimed_at > at - interval '90 seconds'
            group by s.share
        )
        select due.priority
        from (
            select
                d.priority,
                0 as place
            from torque_internal.due_lookup(array['operator'], at) as d
            union all
            select
                d.priority,
                1
            from torque_internal.due_lookup(array['verify', 'silence', 'details'], at) as d
            union all
            select
                d.kind,
                k.place
            from (
                values ('tail', 1), ('open', 1), ('backfill', 1), ('audit', 2)
            ) as k(kind, place)
            cross join lateral torque_internal.due_window(k.kind, at) as d
            union all
            select
                d.priority || ' lookup',
                3
            from torque_internal.due_lookup(array['backfill'], at) as d
        ) as due
        left join torque_internal.share s
            on s.priority = split_part(due.priority, ' ', 1)
        left join recent r
            on r.share = s.share
        where due.priority is not null
        order by
            due.place > 0,
            (coalesce(r.calls, 0) + 1.0) / s.weight,
            due.place
        limit 1
    );
end
$$;

-- When the first of what is not yet due will be; null: nothing is known.
create function torque_internal.due_next_at()
returns timestamptz
language plpgsql
stable
as $$
begin
    return (
        select min(d.due_at)
        from (
            values ('operator'), ('verify'), ('silence'), ('details'), ('backfill')
        ) as k(priority)
        cross join lateral (
            select l.due_at
            from torque_internal.lookup l
            where l.priority = k.priority
            order by l.due_at
            limit 1
        ) as d
    );
end
$$;

-- A time as it is put into a request.
create function torque_internal.wire_time(t timestamptz)
returns text
language sql
stable
as $$
    select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

create or replace function torque.reconcile_next(
    now timestamptz default clock_timestamp(),
    uptime_ms bigint default null,
    out action text,
    out call_id bigint,
    out wait_ms bigint,
    out order_id text,
    out details boolean,
    out created_from text,
    out created_to text,
    out status text,
    out page_limit integer,
    out page_offset bigint,
    out priority text,
    out behind_s bigint,
    out alarms_open integer,
    out blind text,
    out clock_ahead_s bigint
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    idle_max constant interval := '30 seconds';
    at constant timestamptz := coalesce($1, clock_timestamp());
    p torque_internal.poller;
    l torque_internal.lookup;
    w torque.reconcile_window;
    asked_from timestamptz;
    asked_to timestamptz;
    possible_at timestamptz;
begin
    if not torque_internal.is_poller() then
        action := 'standby';
        wait_ms := 5000;
        return;
    end if;
    perform torque_internal.lock_poller();
    perform torque_internal.keep_time(at, $2);
    if $2 is not null then -- else at is a time of the caller's own
        clock_ahead_s := extract(epoch from at - clock_timestamp());
        perform torque_internal.judge_clock('database', at - clock_timestamp(), at);
    end if;
    perform torque_internal.plan_work(at);
    p := torque_internal.lock_poller();

    behind_s := extract(epoch from torque_internal.behind(p, at));
    alarms_open := (
        select count(distinct a.alarm)
        from torque_internal.alarm a
        where a.cleared_at is null
    );
    blind := torque_internal.blind_because();
    priority := torque_internal.next_priority(p, at);
    if priority = 'backfill lookup' or priority in ('operator', 'verify', 'silence', 'details') then
        priority := split_part(priority, ' ', 1);
        l := torque_internal.due_lookup(array[priority], at);
    else
        w := torque_internal.due_window(priority, at);
    end if;
    if priority is null then
        possible_at := least(
            at + idle_max,
            torque_internal.due_next_at(),
            (
                select greatest(min(s.next_at), torque_internal.plans_again_at())
                from torque_internal.sweep s
            ),
            -- Somebody waits for its end, or looks on.
            (
                select at + interval '2 seconds'
                from torque.backfill b
                where b.state = 'running'
                limit 1
            )
        );
    else
        possible_at := torque_internal.call_possible_at(p, priority, at);
    end if;
    if priority is null or possible_at > at then
        action := case when p.stopped_until > at then 'stopped' else 'wait' end;
        wait_ms := greatest(
            10, torque_internal.milliseconds(least(possible_at, at + idle_max), at)
        );
        priority := null;
        return;
    end if;

    action := case when l.order_id is null then 'list' else 'lookup' end;
    if action = 'lookup' then
        order_id := l.order_id;
        details := true;
    else
        asked_from := torque_internal.asked_from(w, p);
        asked_to := torque_internal.asked_to(w, p);
        created_from := torque_internal.wire_time(asked_from);
        created_to := torque_internal.wire_time(asked_to);
        status := w.status;
        page_limit := torque_internal.page_size(w, p);
        page_offset := coalesce(w.page_offset, 0);
    end if;
    update torque_internal.poller
    set planned_at = at;
    insert into torque_internal.api_call as c (
        priority, purpose, claimed_at, window_id, order_id, page_limit, page_offset, asked_from,
        asked_to
    )
    values (
        reconcile_next.priority, action, at, w.window_id, reconcile_next.order_id,
        reconcile_next.page_limit, reconcile_next.page_offset, asked_from, asked_to
    )
    returning c.call_id
    into reconcile_next.call_id;
end
$$;
comment on function torque.reconcile_next(timestamptz, bigint) is
    'What the poller does next. action: list or lookup (a call of the API, for which a place in the'
    ' budget is taken), wait (wait_ms), standby (another session polls) or stopped (the API refuses'
    ' the key; wait_ms). behind_s: for how long nothing has said that all of the newest orders are'
    ' here; blind: why not, when that is too long.';
