-- What the poller asks next. Replaced whole by every migrate.
--
-- The daemon does three things in turn: reconcile_next() says what to ask, the API is asked, and
-- reconcile_page(), reconcile_lookup() or reconcile_failed() takes the answer, in one transaction
-- with everything that follows from it.

set search_path = pg_catalog, pg_temp;

-- The window to ask for next, cut so that it should fit on a page.
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
            (
                select greatest(min(s.next_at), torque_internal.plans_again_at(p))
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
