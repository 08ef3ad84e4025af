-- Which sweeps and lookups are due, without anybody asking. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- Begins a sweep.
create function torque_internal.open_root(
    kind text,
    since timestamptz,
    until timestamptz,
    of_status text,
    of_job bigint,
    at timestamptz,
    is_count boolean default false
)
returns bigint
language plpgsql
as $$
declare
    id constant bigint := nextval(
        pg_get_serial_sequence('torque.reconcile_window', 'window_id')
    );
begin
    insert into torque.reconcile_window (
        window_id, root_id, kind, job_id, status, created_from, created_to, opened_at, is_count
    )
    overriding system value
    values (id, id, $1, of_job, of_status, since, until, at, $7);
    return id;
end
$$;

-- True when the sweep is due and its predecessor is over; then the next time is noted.
create function torque_internal.begin_sweep(
    of_kind text,
    of_status text,
    every interval,
    first_after interval,
    at timestamptz
)
returns boolean
language plpgsql
as $$
begin
    insert into torque_internal.sweep (kind, status, started_at, next_at)
    values (of_kind, of_status, at, at + first_after)
    on conflict (kind, status) do nothing;
    update torque_internal.sweep as s
    set
        started_at = at,
        next_at = at + every
    where s.kind = of_kind
        and s.status = of_status
        and s.next_at <= at
        and not exists (
            select
            from torque.reconcile_window w
            where w.verdict = 'open'
                and w.kind = split_part(of_kind, '_', 1)
                and coalesce(w.status, '') = of_status
        );
    return found;
end
$$;

-- Polls keep finding what webhooks should have told.
create function torque_internal.is_silent()
returns boolean
language sql
stable
as $$
    select exists (
        select
        from torque_internal.alarm a
        where a.alarm = 'webhooks_silent'
            and a.cleared_at is null
    )
$$;

-- The history that was there before anybody polled, as a job that one can see: a larger one that a
-- person has asked for, or one of its own, which a larger one takes over.
create function torque_internal.begin_history(since timestamptz, until timestamptz, at timestamptz)
returns void
language plpgsql
as $$
declare
    id bigint;
begin
    if since >= until then
        return;
    end if;
    update torque.backfill as b
    set is_first_run = true
    where b.state in ('running', 'incomplete')
        and b.created_from <= since
        and b.created_to >= until;
    if found then
        return;
    end if;
    insert into torque.backfill as b (
        created_from, created_to, details, is_first_run, started_at
    )
    values (since, until, false, true, at)
    returning b.job_id
    into id;
    perform torque_internal.open_root('backfill', since, until, null, id, at);
end
$$;

-- The tail reaches back to an order that is known, so that no answer can be empty and true.
create function torque_internal.plan_tail(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    oldest constant timestamptz := at - torque_internal.seconds('history');
    until constant timestamptz := at + p.clock_offset;
    since constant timestamptz := greatest(
        oldest,
        coalesce(p.sweeps_known_to, until) - torque_internal.seconds('lookback')
    );
    known_at timestamptz;
begin
    if not torque_internal.begin_sweep(
        'tail', '',
        torque_internal.seconds('sweep_every')
            / case when torque_internal.is_silent() then 2 else 1 end,
        interval '0', at
    ) then
        return;
    end if;
    if p.sweeps_known_to is null then
        perform torque_internal.begin_history(oldest, since, at);
    end if;
    select max(o.created_at)
    into known_at
    from torque.orders o
    where o.created_at <= since
        and o.created_at >= oldest;
    perform torque_internal.open_root(
        'tail', least(coalesce(known_at, since), until - interval '1 second'), until, null, null, at
    );
    update torque_internal.poller
    set sweeps_known_to = until;
end
$$;

-- Open statuses are swept often. Final ones to which an order may still go from another final one
-- change rarely, and no webhook may tell; of those a count is enough where it agrees.
create function torque_internal.plan_open(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    final_every constant integer := 12;
    every interval;
    s record;
begin
    if p.status_ignored_at is not null then
        return;
    end if;
    for s in
        select
            t.status,
            t.is_final,
            coalesce(w.pages, 0) as pages
        from torque.order_status t
        left join torque_internal.sweep w
            on w.kind = 'open'
                and w.status = t.status
        where not t.is_final
            or exists (
                select
                from torque.status_move m
                join torque.order_status f
                    on f.status = m.from_status
                where m.to_status = t.status
                    and m.class <> 'anomaly'
                    and f.is_final
            )
        order by t.rank
    loop
        every := torque_internal.seconds('open_every')
            * case when s.is_final then final_every else 1 end
            / case when torque_internal.is_silent() then 2 else 1 end;
        -- Never more than half of the budget for it: what takes longer comes less often.
        every := greatest(
            every,
            s.pages * interval '120 seconds' / torque_internal.allowance(p, at)
        );
        continue when not torque_internal.begin_sweep('open', s.status, every, every, at);
        -- Of a status only the last certificate tells anything.
        delete from torque.reconcile_window w
        where w.kind = 'open'
            and w.status = s.status
            and w.parent_id is null
            and (
                w.verified_at is null
                or w.window_id < (
                    select max(v.window_id)
                    from torque.reconcile_window v
                    where v.kind = 'open'
                        and v.status = s.status
                        and v.parent_id is null
                        and v.verified_at is not null
                )
            );
        perform torque_internal.open_root(
            'open', at - torque_internal.seconds('history'), at + p.clock_offset, s.status, null,
            at, s.is_final
        );
    end loop;
end
$$;

-- Plans that old windows are read again: daily those of a fortnight, weekly the rest. Orders that
-- lists showed later than lookback are missed when the last day is counted, every hour.
create function torque_internal.plan_audit(at timestamptz)
returns void
language plpgsql
as $$
declare
    near constant timestamptz :=
        at - least(interval '14 days', torque_internal.seconds('history'));
    oldest constant timestamptz := at - torque_internal.seconds('history');
    until constant timestamptz := at - torque_internal.seconds('lookback');
begin
    if greatest(oldest, at - interval '1 day') < until
        and torque_internal.begin_sweep('audit_late', '', interval '1 hour', interval '1 hour', at)
    then
        perform torque_internal.open_root(
            'audit', greatest(oldest, at - interval '1 day'), until, null, null, at, true
        );
    end if;
    if near < until
        and torque_internal.begin_sweep('audit_near', '', interval '1 day', interval '1 day', at)
    then
        perform torque_internal.open_root('audit', near, until, null, null, at);
    end if;
    if oldest < near
        and torque_internal.begin_sweep('audit_far', '', interval '7 days', interval '7 days', at)
    then
        perform torque_internal.open_root('audit', oldest, near, null, null, at);
    end if;
end
$$;

-- What the poller remembers for as long as its session lasts, so that looking costs no write.
create function torque_internal.session_time(name text)
returns timestamptz
language sql
stable
as $$
    select to_timestamp(
        nullif(current_setting('orderd.' || name, true), '')::double precision
    )
$$;

-- Notes such a time.
create function torque_internal.note_time(name text, at timestamptz)
returns void
language sql
volatile
as $$
    select set_config('orderd.' || name, extract(epoch from at)::text, false)
$$;

-- Orders that ask to be verified, found by following the facts: the column itself is not indexed.
-- Those that are open are looked through as well, when that is asked for.
create function torque_internal.plan_verify(
    p torque_internal.poller,
    with_open boolean,
    at timestamptz
)
returns void
language plpgsql
as $$
declare
    horizon constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
    followed constant xid8 := least(p.followed_xid, horizon);
    facts bigint;
    webhooks bigint;
begin
    select
        count(*),
        count(*) filter (where e.source = 'webhook')
    into facts, webhooks
    from torque.order_events e
    where e.recorded_xid >= followed
        and e.recorded_xid < horizon;
    perform torque_internal.want_lookup(o.order_id, 'verify', o.verify_after, at)
    from (
        select e.order_id
        from torque.order_events e
        where e.recorded_xid >= followed
            and e.recorded_xid < horizon
        union
        select n.order_id
        from torque_internal.open_order n
        where with_open
    ) as n
    -- One search each, however many orders there are.
    cross join lateral (
        select
            t.order_id, t.verify_after, t.has_details, t.last_confirmed_at, t.held_facts
        from torque.orders t
        where t.order_id = n.order_id
        offset 0
    ) as o
    where o.verify_after is not null
        -- An order of which nothing but lists is known waits for whoever wants its details.
        and (o.has_details or o.last_confirmed_at is not null or o.held_facts > 0)
        and not exists (
            select
            from torque_internal.lookup l
            where l.order_id = o.order_id
                and torque_internal.rank_of(l.priority) <= 2
        );
    if facts > 0 or p.followed_xid is null then
        update torque_internal.poller as t
        set
            followed_xid = horizon,
            webhooks_per_hour = torque_internal.webhooks_per_hour(t, at) + webhooks,
            webhooks_at = at;
    end if;
end
$$;

-- Open orders that no sweep covers are asked for by their age, ever less often, each at a moment
-- of its own; and once when the checkout session is just over, unless a sweep has covered them
-- since then. No more than are soon looked up: the others still want it then.
create function torque_internal.plan_silence(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    history constant interval := torque_internal.seconds('history');
    room constant bigint := (torque_internal.allowance(p, at) + 1) / 2 - (
        select count(*)
        from torque_internal.lookup l
        where l.priority = 'silence'
            and l.due_at <= at
    );
    -- For the API to make up its mind.
    expiry_margin constant interval := '30 seconds';
    covered_since constant timestamptz := at - (
        select greatest(
            3 * torque_internal.seconds('open_every'),
            2 * max(s.next_at - s.started_at)
        )
        from torque_internal.sweep s
        join torque.order_status t
            on t.status = s.status
                and not t.is_final
    );
    ages constant interval[] := array[
        '2 minutes', '5 minutes', '15 minutes', '1 hour', '3 hours', '6 hours', '12 hours', '1 day',
        '2 days', '3 days', '4 days', '5 days', '6 days', '7 days'
    ]::interval[] || array(
        select w * interval '7 days'
        from generate_series(2, 520) as w
        where w * interval '7 days' <= history
    );
begin
    if exists (
        select
        from torque_internal.sweep s
        where s.kind = 'silence'
            and s.next_at > at
    ) then
        return;
    end if;
    perform torque_internal.want_lookup(o.order_id, 'silence', at, at)
    from torque_internal.open_order n
    cross join lateral (
        select t.order_id, t.session_id, t.status, t.created_at, t.first_seen_at, t.newest_as_of
        from torque.orders t
        where t.order_id = n.order_id
        offset 0
    ) as o
    left join torque_internal.checkout_session s
        on s.session_id = o.session_id
            and s.expires_at + expiry_margin between o.newest_as_of and at
    where coalesce(o.created_at, o.first_seen_at) > at - history
        and (
            s.session_id is not null
            or exists (
                select
                from unnest(ages) as a(age)
                cross join lateral (
                    select coalesce(o.created_at, o.first_seen_at)
                        + a.age * (0.9 + abs(hashtext(o.order_id || a.age::text)) % 1000 / 5000.0)
                        as due_at
                ) as d
                where d.due_at <= at
                    and d.due_at > o.newest_as_of
            )
        )
        and not exists (
            select
            from torque.reconcile_window w
            where w.verdict = 'verified'
                and w.as_of > covered_since
                and w.as_of > greatest(o.newest_as_of, s.expires_at + expiry_margin)
                and o.created_at >= w.created_from
                and o.created_at < w.created_to
                and (w.status is null or w.status = o.status)
        )
        and not exists (
            select
            from torque_internal.lookup l
            where l.order_id = o.order_id
        )
        and not exists (
            select
            from torque.missing_order m
            where m.order_id = o.order_id
        )
    limit greatest(0, room);
    if found then
        insert into torque_internal.sweep as s (kind, status, started_at, next_at)
        values ('silence', '', at, at + interval '1 minute')
        on conflict (kind, status) do update
        set
            started_at = excluded.started_at,
            next_at = excluded.next_at;
    end if;
end
$$;

-- Carries backfills on to their details and their end.
create function torque_internal.plan_jobs(at timestamptz)
returns void
language plpgsql
as $$
declare
    lookups_max constant integer := 100;
    job record;
    wanted integer;
begin
    for job in
        select
            b.*,
            r.verified_at is not null as is_verified,
            exists (
                select
                from torque.reconcile_window w
                where w.kind = 'backfill'
                    and w.job_id = b.job_id
                    and w.verdict = 'open'
            ) as is_walking
        from torque.backfill b
        join torque.reconcile_window r
            on r.job_id = b.job_id
                and r.parent_id is null
        where b.state in ('running', 'incomplete')
    loop
        continue when job.is_walking;
        wanted := 0;
        if job.details and not exists (
            select
            from torque_internal.lookup l
            where l.priority = 'backfill'
        ) then
            with next_orders as (
                select
                    o.order_id,
                    o.created_at
                from torque.orders o
                where o.created_at >= job.created_from
                    and o.created_at < coalesce(job.details_from, job.created_to)
                    and not o.has_details
                    and (o.last_confirmed_at >= job.started_at) is not true
                order by o.created_at desc
                fetch first lookups_max rows with ties
            ), asked as (
                select
                    torque_internal.want_lookup(o.order_id, 'backfill', at, at),
                    o.created_at
                from next_orders o
            )
            update torque.backfill as b
            set details_from = a.created_from
            from (
                select min(n.created_at) as created_from
                from asked n
            ) as a
            where b.job_id = job.job_id
                and a.created_from is not null;
            get diagnostics wanted = row_count;
        elsif job.details then
            wanted := 1;
        end if;
        continue when wanted > 0;
        update torque.backfill as b
        set
            state = case when job.is_verified then 'done' else 'incomplete' end,
            finished_at = case when job.is_verified then at end
        where b.job_id = job.job_id;
    end loop;
end
$$;

-- One verified window in the place of the parts that a walk has divided it into, an hour after it
-- was verified: as a certificate it says as much, and takes less room.
create function torque_internal.roll_up(at timestamptz)
returns void
language plpgsql
as $$
declare
    parts_max constant integer := 200;
    r torque.reconcile_window;
    parts bigint[];
    pages_gone bigint;
begin
    select w.*
    into r
    from torque.reconcile_window w
    where w.parent_id is null
        and w.verdict = 'split'
        and w.status is null
        and not w.is_count
        and w.verified_at <= at - interval '1 hour'
    limit 1;
    if r.window_id is null then
        return;
    end if;
    -- Those that nothing is a part of, some at a time.
    parts := array(
        select w.window_id
        from torque.reconcile_window w
        where w.root_id = r.window_id
            and w.window_id <> r.window_id
            and not exists (
                select
                from torque.reconcile_window c
                where c.parent_id = w.window_id
            )
        limit parts_max
    );
    select coalesce(sum(w.pages), 0)
    into pages_gone
    from torque.reconcile_window w
    where w.window_id = any (parts);
    update torque.reconcile_window as w
    set pages = w.pages + pages_gone
    where w.window_id = r.window_id;
    delete from torque.reconcile_window w
    where w.window_id = any (parts);
    if cardinality(parts) < parts_max and not exists (
        select
        from torque.reconcile_window w
        where w.parent_id = r.window_id
    ) then
        update torque.reconcile_window as w
        set
            verdict = 'verified',
            expected = w.inside,
            seen = w.inside
        where w.window_id = r.window_id;
    end if;
end
$$;

-- Throws old book-keeping away.
create function torque_internal.tidy(at timestamptz)
returns void
language plpgsql
as $$
declare
    forgotten constant timestamptz := at - interval '1 day';
begin
    delete from torque_internal.api_call c
    where c.claimed_at < forgotten;
    delete from torque_internal.checkout_session s
    where s.expires_at < at - interval '7 days';
    delete from torque_internal.alarm a
    where a.cleared_at < at - interval '7 days';
    -- Audits have long read again what tails have told.
    delete from torque.reconcile_window w
    where w.kind = 'tail'
        and w.parent_id is null
        and w.verdict <> 'open'
        and w.opened_at < at - interval '15 days';
    update torque_internal.poller as p
    set
        tidied_at = at,
        coarse_dates_at = case when p.coarse_dates_at > forgotten then p.coarse_dates_at end,
        dates_ignored_at = case when p.dates_ignored_at > forgotten then p.dates_ignored_at end,
        offset_ignored_at = case when p.offset_ignored_at > forgotten then p.offset_ignored_at end,
        status_ignored_at = case when p.status_ignored_at > forgotten then p.status_ignored_at end,
        page_cap = case when p.page_cap_at > forgotten then p.page_cap end;
end
$$;

-- Planning looks at many rows, and calls are short.
create function torque_internal.plans_again_at()
returns timestamptz
language sql
stable
as $$
    select torque_internal.session_time('planned_at')
        + least(interval '5 seconds', torque_internal.seconds('sweep_every'))
$$;

-- What was due in so many minutes still is, and what was asked is as old as it can be. The API's
-- wishes are not undercut: none of them is for longer than this.
create function torque_internal.clock_set_back(at timestamptz)
returns void
language plpgsql
as $$
declare
    wait_max constant timestamptz := at + interval '300 seconds';
begin
    update torque_internal.poller as p
    set
        polls_since = least(p.polls_since, at),
        tidied_at = null,
        sweeps_known_to = case when p.sweeps_known_to > at then at else p.sweeps_known_to end,
        limited_at = case when p.limited_at > at then at else p.limited_at end,
        blocked_until = case when p.blocked_until > at then least(p.blocked_until, wait_max) end,
        floor_until = case when p.floor_until > at then least(p.floor_until, wait_max) end,
        backing_off_until = case
            when p.backing_off_until > at then least(p.backing_off_until, wait_max)
        end,
        stopped_until = case when p.stopped_until > wait_max then wait_max else p.stopped_until end;
    update torque_internal.api_call as c
    set
        claimed_at = least(c.claimed_at, at),
        answered_at = case when c.answered_at > at then at else c.answered_at end
    where c.claimed_at > at
        or c.answered_at > at;
    update torque_internal.sweep as s
    set
        started_at = at,
        next_at = at + (s.next_at - s.started_at)
    where s.started_at > at;
    update torque_internal.lookup as l
    set
        due_at = least(l.due_at, at),
        wanted_at = at
    where l.wanted_at > at;
    update torque.reconcile_window as w
    set not_before = at
    where w.verdict in ('open', 'incomplete')
        and w.not_before > at + interval '1 hour';
    update torque.reconcile_window as w
    set as_of = at
    where w.verdict = 'verified'
        and w.as_of > at;
end
$$;

-- Looks for what is due, every few seconds, and through all that is open every minute. Where
-- nothing is due nothing is written: a database at rest is left alone.
create function torque_internal.plan_work(at timestamptz)
returns void
language plpgsql
as $$
declare
    p torque_internal.poller;
    looks_through constant boolean :=
        (
            torque_internal.session_time('looked_through_at')
                between at - interval '59 seconds' and at
        ) is not true;
begin
    if (select t.planned_at > at from torque_internal.poller t) then
        perform torque_internal.clock_set_back(at);
    end if;
    update torque_internal.poller
    set polls_since = at
    where polls_since is null;
    select t.*
    into p
    from torque_internal.poller t;
    if torque_internal.plans_again_at() > at
        and torque_internal.session_time('planned_at') <= at
    then
        return;
    end if;
    perform torque_internal.note_time('planned_at', at);
    if (p.tidied_at > at - interval '1 hour') is not true then
        perform torque_internal.tidy(at);
    end if;
    perform torque_internal.roll_up(at);
    perform torque_internal.plan_verify(p, looks_through, at);
    perform torque_internal.plan_tail(p, at);
    perform torque_internal.plan_open(p, at);
    if looks_through then
        perform torque_internal.plan_silence(p, at);
        perform torque_internal.note_time('looked_through_at', at);
    end if;
    perform torque_internal.plan_audit(at);
    perform torque_internal.plan_jobs(at);
    perform torque_internal.settle_drift(p, at);
    perform torque_internal.watch(p, at);
end
$$;
