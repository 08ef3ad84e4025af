-- What the poller asks next, and what it makes of the answers. Replaced whole by every migrate.
--
-- The daemon does three things in turn: reconcile_next() says what to ask, the API is asked, and
-- reconcile_page(), reconcile_lookup() or reconcile_failed() takes the answer, in one transaction
-- with everything that follows from it.

set search_path = '';

-- Planning.

create function torque_internal.open_root(
    kind text,
    since timestamptz,
    until timestamptz,
    of_status text,
    of_job bigint,
    at timestamptz
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
        window_id, root_id, kind, job_id, status, created_from, created_to, opened_at
    )
    overriding system value
    values (id, id, $1, of_job, of_status, since, until, at);
    return id;
end
$$;
comment on function torque_internal.open_root(
    text, timestamptz, timestamptz, text, bigint, timestamptz
) is
    'Begins a sweep.';

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
comment on function torque_internal.begin_sweep(text, text, interval, interval, timestamptz) is
    'Whether a sweep is to begin now.';

create function torque_internal.is_silent()
returns boolean
language sql
stable
as $$
    select exists (
        select
        from torque.reconcile_alarm a
        where a.alarm = 'webhooks_silent'
            and a.cleared_at is null
    )
$$;
comment on function torque_internal.is_silent() is
    'Polls keep finding what webhooks should have told.';

-- The tail reaches back to an order that is known, so that no answer can be empty and true.
create function torque_internal.plan_tail(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    oldest constant timestamptz := at - torque_internal.seconds('history');
    since timestamptz := p.sweeps_known_to - torque_internal.seconds('lookback');
    until constant timestamptz := at + p.clock_offset;
begin
    if not torque_internal.begin_sweep(
        'tail', '',
        torque_internal.seconds('sweep_every')
            / case when torque_internal.is_silent() then 2 else 1 end,
        interval '0', at
    ) then
        return;
    end if;
    since := (
        select max(o.created_at)
        from torque.orders o
        where o.created_at <= since
    );
    since := least(greatest(since, oldest), until - interval '1 second');
    perform torque_internal.open_root('tail', coalesce(since, oldest), until, null, null, at);
    update torque_internal.poller
    set sweeps_known_to = until;
end
$$;
comment on function torque_internal.plan_tail(torque_internal.poller, timestamptz) is
    'Plans the newest windows.';

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
        delete from torque.reconcile_window w
        where w.kind = 'open'
            and w.status = s.status
            and w.verdict in ('incomplete', 'suspicious');
        perform torque_internal.open_root(
            'open', at - torque_internal.seconds('history'), at + p.clock_offset, s.status, null,
            at
        );
    end loop;
end
$$;
comment on function torque_internal.plan_open(torque_internal.poller, timestamptz) is
    'Plans the sweeps of single statuses.';

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
comment on function torque_internal.plan_audit(timestamptz) is
    'Plans that old windows are read again: daily those of a fortnight, weekly the rest.';

-- Orders that ask to be verified, found by following the facts: the column itself is not indexed.
create function torque_internal.plan_verify(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    horizon constant xid8 := pg_snapshot_xmin(pg_current_snapshot());
    followed constant xid8 := least(p.followed_xid, horizon);
    webhooks bigint;
begin
    select count(*) filter (where e.source = 'webhook')
    into webhooks
    from torque.order_events e
    where e.recorded_xid >= followed
        and e.recorded_xid < horizon;
    perform torque_internal.want_lookup(o.order_id, 'verify', o.verify_after, at)
    from torque.orders o
    where o.verify_after is not null
        and (
            o.is_open
            or o.order_id in (
                select e.order_id
                from torque.order_events e
                where e.recorded_xid >= followed
                    and e.recorded_xid < horizon
            )
        )
        -- An order of which nothing but lists is known waits for whoever wants its details.
        and (o.has_details or o.last_confirmed_at is not null or o.held_facts > 0)
        and not exists (
            select
            from torque_internal.lookup l
            where l.order_id = o.order_id
                and torque_internal.rank_of(l.priority) <= 2
        );
    update torque_internal.poller as t
    set
        followed_xid = horizon,
        webhooks_per_hour = coalesce(t.webhooks_per_hour, 0)
            * exp(-extract(epoch from greatest(at - t.planned_at, '0')) / 3600)
            + coalesce(webhooks, 0);
end
$$;
comment on function torque_internal.plan_verify(torque_internal.poller, timestamptz) is
    'Plans lookups of orders whose facts ask for one.';

-- Open orders that no sweep covers are asked for by their age, ever less often, each at a moment
-- of its own.
create function torque_internal.plan_silence(at timestamptz)
returns void
language plpgsql
as $$
declare
    history constant interval := torque_internal.seconds('history');
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
    if not torque_internal.begin_sweep('silence', '', interval '1 minute', interval '0', at) then
        return;
    end if;
    perform torque_internal.want_lookup(o.order_id, 'silence', at, at)
    from torque.orders o
    where o.is_open
        and coalesce(o.created_at, o.first_seen_at) > at - history
        and exists (
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
        and not exists (
            select
            from torque.reconcile_window w
            where w.verdict = 'verified'
                and w.as_of > covered_since
                and w.as_of > o.newest_as_of
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
        );
end
$$;
comment on function torque_internal.plan_silence(timestamptz) is
    'Plans lookups of open orders of which nothing has been heard.';

-- A webhook that told the same within lookback was only slower than the poll.
create function torque_internal.settle_drift(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    lookback constant interval := torque_internal.seconds('lookback');
    untold bigint;
begin
    delete from torque.drift d
    where not d.is_settled
        and d.found_at <= at - lookback
        and d.field in ('order', 'status')
        and exists (
            select
            from torque.order_events e
            left join torque.event_status s
                on s.event_type = e.event_type
            where e.order_id = d.order_id
                and e.source = 'webhook'
                and e.received_at between d.found_at - lookback and d.found_at + lookback
                and coalesce(torque_internal.status_of(e.claimed_status), s.status) = d.api_says
        );
    update torque.drift as d
    set is_settled = true
    where not d.is_settled
        and d.found_at <= at - lookback;
    select count(*)
    into untold
    from torque.drift d
    where d.is_settled
        and d.found_at > at - lookback - interval '1 hour'
        and d.field in ('order', 'status');
    if untold >= 5 and untold > 0.2 * coalesce(p.webhooks_per_hour, 0) then
        perform torque_internal.raise_alarm(
            'webhooks_silent', '',
            format('polling found %s changes within an hour that no webhook told', untold), at
        );
    elsif untold < 3 then
        perform torque_internal.clear_alarm('webhooks_silent', '', at);
    end if;
end
$$;
comment on function torque_internal.settle_drift(torque_internal.poller, timestamptz) is
    'Decides which findings of polls no webhook told, and whether webhooks come at all.';

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
                where w.root_id = r.window_id
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
            perform torque_internal.want_lookup(o.order_id, 'backfill', at, at)
            from (
                select o.order_id
                from torque.orders o
                where o.created_at >= job.created_from
                    and o.created_at < job.created_to
                    and not o.has_details
                    and (o.last_confirmed_at >= job.started_at) is not true
                order by o.created_at desc
                limit lookups_max
            ) as o;
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
comment on function torque_internal.plan_jobs(timestamptz) is
    'Carries backfills on to their details and their end.';

create function torque_internal.tidy(at timestamptz)
returns void
language plpgsql
as $$
declare
    forgotten constant timestamptz := at - interval '1 day';
begin
    delete from torque_internal.api_call c
    where c.claimed_at < forgotten;
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
comment on function torque_internal.tidy(timestamptz) is
    'Throws old book-keeping away.';

create function torque_internal.plan_work(at timestamptz)
returns void
language plpgsql
as $$
declare
    p torque_internal.poller;
begin
    update torque_internal.poller as t
    set polls_since = coalesce(t.polls_since, at)
    returning t.*
    into p;
    if p.planned_at > at - interval '5 seconds' and p.planned_at <= at then
        return;
    end if;
    if (p.tidied_at > at - interval '1 hour') is not true then
        perform torque_internal.tidy(at);
    end if;
    perform torque_internal.plan_verify(p, at);
    perform torque_internal.plan_tail(p, at);
    perform torque_internal.plan_open(p, at);
    perform torque_internal.plan_silence(at);
    perform torque_internal.plan_audit(at);
    perform torque_internal.plan_jobs(at);
    perform torque_internal.settle_drift(p, at);
    update torque_internal.poller
    set planned_at = at;
end
$$;
comment on function torque_internal.plan_work(timestamptz) is
    'Looks for what is due, every few seconds.';

-- The next call.

create function torque_internal.next_window(p torque_internal.poller, at timestamptz)
returns torque.reconcile_window
language plpgsql
as $$
declare
    w torque.reconcile_window;
    known bigint;
    size constant integer := torque_internal.page_size(p);
    rest bigint;
begin
    loop
        select t.*
        into w
        from (
            values ('tail'), ('open'), ('audit'), ('backfill')
        ) as k(kind)
        cross join lateral (
            select t.*
            from torque.reconcile_window t
            where t.kind = k.kind
                and t.verdict in ('open', 'incomplete', 'suspicious')
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
                case when p.sort_order = 'oldest' then t.created_to end,
                t.created_to desc
            limit 1
        ) as t
        order by torque_internal.rank_of(k.kind)
        limit 1;
        -- One that was asked for already is asked for again as it is.
        if w.window_id is null
            or w.verdict <> 'open'
            or w.pages > 0
            or w.page_offset is not null
            or not torque_internal.can_split(w, p)
        then
            return w;
        end if;
        known := torque_internal.known_orders(w.status, w.created_from, w.created_to);
        if known > size * 19 / 20 and torque_internal.divide_known(w, p) then
            continue;
        end if;
        if w.guess > size * 19 / 20 and w.status is null then
            -- What the nearest total above leaves, now that more is known.
            select a.expected + known - torque_internal.known_in_span(a, p)
            into rest
            from torque.reconcile_window a
            where a.root_id = w.root_id
                and a.created_from <= w.created_from
                and a.created_to >= w.created_to
                and a.expected is not null
            order by a.created_to - a.created_from
            limit 1;
            w.guess := least(w.guess, rest);
        end if;
        if w.guess > size * 19 / 20 then
            perform torque_internal.cut_off(w, p);
            continue;
        end if;
        return w;
    end loop;
end
$$;
comment on function torque_internal.next_window(torque_internal.poller, timestamptz) is
    'The window to ask for next, cut so that it should fit on a page.';

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
comment on function torque_internal.is_poller() is
    'Whether this session is the one that polls; the first to ask is, for as long as it lasts.';

create function torque_internal.wire_time(t timestamptz)
returns text
language sql
stable
as $$
    select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
comment on function torque_internal.wire_time(timestamptz) is
    'A time as it is put into a request.';

create or replace function torque.reconcile_next(
    now timestamptz default clock_timestamp(),
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
    out priority text
)
language plpgsql
security definer
set search_path = ''
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
    perform torque_internal.plan_work(at);
    p := torque_internal.lock_poller();

    select t.*
    into l
    from torque_internal.lookup t
    where t.due_at <= at
    order by
        torque_internal.rank_of(t.priority),
        t.due_at
    limit 1;
    if l.priority is null or torque_internal.rank_of(l.priority) > 2 then
        w := torque_internal.next_window(p, at);
    end if;
    if w.window_id is not null
        and (
            l.order_id is null
            or torque_internal.rank_of(w.kind) < torque_internal.rank_of(l.priority)
        )
    then
        l := null;
    else
        w := null;
    end if;
    priority := coalesce(l.priority, w.kind);
    if priority is null then
        possible_at := least(
            at + idle_max,
            (select min(t.due_at) from torque_internal.lookup t),
            (select min(s.next_at) from torque_internal.sweep s where s.next_at > at),
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
        page_limit := torque_internal.page_size(p);
        page_offset := coalesce(w.page_offset, 0);
    end if;
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
comment on function torque.reconcile_next(timestamptz) is
    'What the poller does next. action: list or lookup (a call of the API, for which a place in the'
    ' budget is taken), wait (wait_ms), standby (another session polls) or stopped (the API refuses'
    ' the key; wait_ms).';

-- Answers.

-- By how much the API's clock is ahead of ours, no more than its Date header proves; a Date that is
-- minutes off proves nothing.
create function torque_internal.clock_offset(
    server_date timestamptz,
    asked timestamptz,
    answered timestamptz
)
returns interval
language sql
immutable
as $$
    select case
        when o.least_offset > interval '0' and o.least_offset < interval '5 minutes'
            then o.least_offset
        when o.most_offset < interval '0' and o.most_offset > interval '-5 minutes'
            then o.most_offset
        else interval '0'
    end
    from (
        select
            server_date - answered as least_offset,
            server_date + interval '1 second' - asked as most_offset
    ) as o
$$;
comment on function torque_internal.clock_offset(timestamptz, timestamptz, timestamptz) is
    'The least that the API''s clock differs from ours.';

-- The call that an answer belongs to, ended; null when it is not one that is waited for.
create function torque_internal.take_call(
    of_call bigint,
    at timestamptz,
    status integer,
    remaining integer,
    reset_at timestamptz,
    retry_after_s integer
)
returns torque_internal.api_call
language plpgsql
as $$
declare
    c torque_internal.api_call;
begin
    perform torque_internal.lock_poller();
    select t.*
    into c
    from torque_internal.api_call t
    where t.call_id = of_call
        and t.answered_at is null;
    perform torque_internal.end_call(of_call, at, status, remaining, reset_at, retry_after_s);
    if status = 200 then
        perform torque_internal.clear_alarm('refused', c.purpose, at);
    end if;
    return c;
end
$$;
comment on function torque_internal.take_call(
    bigint, timestamptz, integer, integer, timestamptz, integer
) is
    'Ends a call of the poller and tells which it was.';

create function torque_internal.log_call(of_call bigint, word text)
returns text
language sql
volatile
as $$
    update torque_internal.api_call
    set outcome = word
    where call_id = of_call
    returning word
$$;
comment on function torque_internal.log_call(bigint, text) is
    'Notes what became of a call.';

create or replace function torque.reconcile_page(
    call_id bigint,
    asked_at timestamptz,
    answered_at timestamptz,
    server_date timestamptz,
    rate_remaining integer,
    rate_reset_at timestamptz,
    page json
)
returns text
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
    at constant timestamptz := coalesce($3, clock_timestamp());
    ahead constant interval := torque_internal.clock_offset($4, $2, at);
    as_of constant timestamptz := $2 + ahead;
    c torque_internal.api_call;
    p torque_internal.poller;
    w torque.reconcile_window;
    seen torque_internal.page;
    busy integer;
begin
    c := torque_internal.take_call($1, at, 200, $5, $6, null);
    select t.*
    into w
    from torque.reconcile_window t
    where t.window_id = c.window_id
        and t.verdict in ('open', 'incomplete', 'suspicious')
        and coalesce(t.page_offset, 0) = c.page_offset
    for update;
    if w.window_id is null then
        return torque_internal.log_call($1, 'superseded');
    end if;
    update torque.reconcile_window as t
    set pages = t.pages + 1
    where t.window_id = w.window_id;
    w.pages := w.pages + 1;
    update torque_internal.poller as t
    set clock_offset = ahead
    where t.clock_offset <> ahead;

    seen := torque_internal.read_page(page, w);
    busy := torque_internal.take_rows(page, w, as_of, at);
    p := torque_internal.lock_poller();
    if torque_internal.learn_manners(p, w, seen, c, at) then
        delete from torque.reconcile_window t
        where t.parent_id = w.root_id;
        update torque.reconcile_window as t
        set
            verdict = 'open',
            pages = 0,
            tries = 0,
            problem = null,
            expected = null
        where t.window_id = w.root_id;
        return torque_internal.log_call($1, 'manners');
    elsif busy > 0 then
        return torque_internal.log_call($1, 'busy');
    end if;
    p := torque_internal.lock_poller();
    return torque_internal.log_call($1, torque_internal.judge_page(w, p, seen, c, page, as_of, at));
end
$$;
comment on function torque.reconcile_page(
    bigint, timestamptz, timestamptz, timestamptz, integer, timestamptz, json
) is
    'Takes a page of list-orders in and judges its window, in a word: verified, split, paged, seam,'
    ' empty, agreed, absent, incomplete, suspicious, superseded, manners, busy, or what in it'
    ' contradicts itself.';

-- What an answer about one order settles.
create function torque_internal.looked_up(
    of_order text,
    asked timestamptz,
    at timestamptz
)
returns void
language plpgsql
as $$
declare
    o torque.orders;
begin
    select t.*
    into o
    from torque.orders t
    where t.order_id = of_order;
    update torque.drift as d
    set
        repaired_at = at,
        repaired_by = 'lookup'
    where d.order_id = of_order
        and d.repaired_at is null
        and d.api_says is not distinct from case d.field
            when 'order' then o.status
            when 'status' then o.status
            when 'total' then o.total::text
            when 'currency' then o.currency
            when 'item_count' then o.item_count::text
        end;
    update torque_internal.unlisted as u
    set explained_at = at
    where u.order_id = of_order
        and u.absent_since <= asked;
    perform torque_internal.found_again(array[of_order], at);
    delete from torque_internal.lookup l
    where l.order_id = of_order
        and l.wanted_at <= asked
        and o.verify_after is null;
    update torque_internal.lookup as l
    set
        tries = l.tries + 1,
        priority = 'verify',
        not_found_at = null,
        due_at = at + least(interval '1 minute' * 2 ^ least(l.tries, 20), interval '1 day')
    where l.order_id = of_order;
end
$$;
comment on function torque_internal.looked_up(text, timestamptz, timestamptz) is
    'Draws the conclusions from a good lookup.';

create or replace function torque.reconcile_failed(
    call_id bigint,
    asked_at timestamptz,
    answered_at timestamptz,
    kind text,
    http_status integer,
    retry_after_s integer,
    rate_remaining integer,
    rate_reset_at timestamptz,
    problem text
)
returns text
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
    gone_after constant interval := '1 hour';
    at constant timestamptz := coalesce($3, clock_timestamp());
    is_answer constant boolean :=
        $4 in ('rate_limited', 'unauthorized', 'not_found', 'refused', 'server_error');
    c torque_internal.api_call;
    w torque.reconcile_window;
    l torque_internal.lookup;
begin
    c := torque_internal.take_call(
        $1, at,
        case
            when not is_answer then null
            when $4 = 'rate_limited' then 429
            when $4 = 'unauthorized' then coalesce($5, 401)
            when $4 = 'not_found' then 404
            else $5
        end,
        $7, $8, $6
    );
    if $4 in ('rate_limited', 'unauthorized') then
        return torque_internal.log_call($1, $4);
    elsif $4 in ('refused', 'untrusted') or $4 = 'not_found' and c.window_id is not null then
        perform torque_internal.raise_alarm('refused', c.purpose, left($9, 1000), at);
    end if;

    -- A window whose answers cannot be read must not keep the others waiting.
    select t.*
    into w
    from torque.reconcile_window t
    where t.window_id = c.window_id
        and t.verdict in ('open', 'incomplete', 'suspicious');
    if w.window_id is not null then
        if $4 in ('refused', 'not_found', 'malformed') then
            return torque_internal.log_call(
                $1, torque_internal.contradict(w, $4, at)
            );
        end if;
        update torque.reconcile_window as t
        set not_before = at + interval '5 seconds'
        where t.window_id = w.window_id
            and t.not_before is null;
        return torque_internal.log_call($1, $4);
    end if;

    select t.*
    into l
    from torque_internal.lookup t
    where t.order_id = c.order_id;
    if $4 = 'not_found' then
        update torque_internal.unlisted as u
        set explained_at = at
        where u.order_id = c.order_id
            and u.absent_since <= $2;
        if l.not_found_at <= at - gone_after then
            insert into torque.missing_order (order_id, missing_since)
            values (c.order_id, l.not_found_at)
            on conflict do nothing;
            delete from torque_internal.lookup t
            where t.order_id = c.order_id;
            perform torque_internal.raise_alarm(
                'missing', c.order_id, 'the API does not know this order any more', at
            );
            return torque_internal.log_call($1, 'missing');
        end if;
    end if;
    update torque_internal.lookup as t
    set
        tries = t.tries + 1,
        priority = case when t.priority = 'operator' then 'verify' else t.priority end,
        not_found_at = case when $4 = 'not_found' then coalesce(t.not_found_at, at) end,
        due_at = case
            when $4 = 'not_found' then
                coalesce(t.not_found_at, at) + gone_after
            else
                at + least(interval '30 seconds' * 2 ^ least(t.tries, 20), interval '1 hour')
        end
    where t.order_id = c.order_id;
    return torque_internal.log_call($1, $4);
end
$$;
comment on function torque.reconcile_failed(
    bigint, timestamptz, timestamptz, text, integer, integer, integer, timestamptz, text
) is
    'Ends a call that brought nothing to use. kind: rate_limited, unauthorized, not_found, refused,'
    ' server_error, unreachable, untrusted, late or malformed.';

create or replace function torque.reconcile_lookup(
    call_id bigint,
    asked_at timestamptz,
    answered_at timestamptz,
    server_date timestamptz,
    rate_remaining integer,
    rate_reset_at timestamptz,
    answer json
)
returns text
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
set jit = off
as $$
declare
    at constant timestamptz := coalesce($3, clock_timestamp());
    as_of constant timestamptz := $2 + torque_internal.clock_offset($4, $2, at);
    doc constant json := $7 -> 'order';
    c torque_internal.api_call;
    was text;
    becomes text;
    outcome text;
begin
    select t.*
    into c
    from torque_internal.api_call t
    where t.call_id = $1;
    if c.order_id is not null and c.order_id is distinct from doc ->> 'id' then
        return torque.reconcile_failed(
            $1, $2, at, 'malformed', 200, null, $5, $6, 'the answer is about another order'
        );
    end if;
    c := torque_internal.take_call($1, at, 200, $5, $6, null);
    if c.order_id is null then
        return torque_internal.log_call($1, 'superseded');
    end if;
    select o.status
    into was
    from torque.orders o
    where o.order_id = c.order_id;
    outcome := (
        torque_internal.ingest_patiently('lookup', array[c.order_id], as_of, at, array[doc])
    )[1];
    if outcome in ('busy', 'quarantined') then
        update torque_internal.lookup as l
        set
            tries = l.tries + 1,
            due_at = at + least(interval '5 seconds' * 2 ^ least(l.tries, 20), interval '1 hour')
        where l.order_id = c.order_id;
        return torque_internal.log_call($1, outcome);
    end if;
    select o.status
    into becomes
    from torque.orders o
    where o.order_id = c.order_id;
    if was <> becomes and becomes = torque_internal.status_of(doc ->> 'status') then
        perform torque_internal.note_drift(
            c.order_id, 'status', 'lookup', null, was, becomes, at, true
        );
    end if;
    perform torque_internal.looked_up(c.order_id, $2, at);
    return torque_internal.log_call(
        $1,
        case when was is distinct from becomes then 'applied' else 'agreed' end
    );
end
$$;
comment on function torque.reconcile_lookup(
    bigint, timestamptz, timestamptz, timestamptz, integer, timestamptz, json
) is
    'Takes an answer of order-status in, in a word: applied, agreed, busy, quarantined, malformed'
    ' (about another order) or superseded.';

-- Requests of people.

create or replace function torque.resync(order_id text)
returns void
language plpgsql
security definer
set search_path = ''
as $$
begin
    if torque_internal.is_order_id($1) is not true then
        raise exception 'not an order id: %', quote_nullable($1)
            using errcode = 'invalid_parameter_value';
    end if;
    perform torque_internal.want_lookup($1, 'operator', clock_timestamp(), clock_timestamp());
end
$$;
comment on function torque.resync(text) is
    'Has an order looked up next, and what the API says applied.';

create or replace function torque.backfill_start(
    created_from timestamptz,
    created_to timestamptz,
    details boolean default false,
    now timestamptz default clock_timestamp()
)
returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
    id bigint;
begin
    insert into torque.backfill as b (created_from, created_to, details, started_at)
    values ($1, $2, coalesce($3, false), coalesce($4, clock_timestamp()))
    returning b.job_id
    into id;
    perform torque_internal.open_root(
        'backfill', $1, $2, null, id, coalesce($4, clock_timestamp())
    );
    return id;
end
$$;
comment on function torque.backfill_start(timestamptz, timestamptz, boolean, timestamptz) is
    'Has the orders made between the two times walked through once; tells the number of the job.';

create or replace function torque.backfill_resume(job_id bigint)
returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
    update torque.backfill as b
    set
        state = 'running',
        finished_at = null
    where b.job_id = $1
        and b.state in ('cancelled', 'incomplete');
    if not found then
        return exists (
            select
            from torque.backfill b
            where b.job_id = $1
                and b.state = 'running'
        );
    end if;
    update torque.reconcile_window as w
    set not_before = null
    where w.job_id = $1
        and w.verdict in ('incomplete', 'suspicious');
    return true;
end
$$;
comment on function torque.backfill_resume(bigint) is
    'Goes on with a backfill where it was left; false: there is nothing to go on with.';

create or replace function torque.backfill_cancel(
    job_id bigint,
    now timestamptz default clock_timestamp()
)
returns boolean
language plpgsql
security definer
set search_path = ''
as $$
begin
    update torque.backfill as b
    set
        state = 'cancelled',
        finished_at = coalesce($2, clock_timestamp())
    where b.job_id = $1
        and b.state in ('running', 'incomplete');
    return found;
end
$$;
comment on function torque.backfill_cancel(bigint, timestamptz) is
    'Leaves a backfill where it is; false: it was not under way.';
