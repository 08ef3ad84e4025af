-- How a window is closed: verified, or called by its name. Replaced whole by every migrate.
--
-- A window is verified by an answer that holds as many different orders as it says there are, and
-- all that are known. What contradicts itself three times is called incomplete, never complete.

set search_path = pg_catalog, pg_temp;

-- Tidies up after a sweep.
create function torque_internal.finish_root(of_root bigint, at timestamptz)
returns void
language plpgsql
as $$
declare
    r torque.reconcile_window;
begin
    select w.*
    into r
    from torque.reconcile_window w
    where w.window_id = of_root;
    update torque_internal.sweep as s
    set pages = (
        select sum(w.pages)
        from torque.reconcile_window w
        where w.root_id = of_root
    )
    where s.kind = r.kind
        and s.status = coalesce(r.status, '');
    if r.verified_at is null then
        return;
    end if;
    -- The newest certificate is the one that counts.
    delete from torque.reconcile_window w
    where w.parent_id is null
        and w.window_id <> of_root
        and w.created_from >= r.created_from
        and w.created_to <= r.created_to
        and w.status is not distinct from r.status
        and (w.is_count or not r.is_count)
        and w.job_id is null
        and w.opened_at <= r.opened_at;
    update torque_internal.alarm as a
    set cleared_at = at
    where a.alarm = 'incomplete'
        and a.cleared_at is null
        and not exists (
            select
            from torque.reconcile_window w
            where w.kind = a.subject
                and w.verdict = 'incomplete'
        );
end
$$;

-- Forgets how far a window was read page by page.
create function torque_internal.leave_pages(of_window bigint)
returns void
language plpgsql
as $$
begin
    update torque.reconcile_window as t
    set
        page_offset = null,
        seam = null
    where t.window_id = of_window
        and t.page_offset is not null;
    delete from torque_internal.paged_order o
    where o.window_id = of_window;
end
$$;

-- The window stays open, three times; then it is incomplete, and asked for again after a while.
create function torque_internal.contradict(
    w torque.reconcile_window,
    what text,
    at timestamptz,
    details text default null
)
returns text
language plpgsql
as $$
declare
    tries_max constant integer := 3;
    has_failed constant boolean := w.tries + 1 >= tries_max;
begin
    update torque.reconcile_window as t
    set
        tries = t.tries + 1,
        problem = what,
        verdict = case when has_failed then 'incomplete' else 'open' end,
        not_before = case when has_failed then
            torque_internal.due_again(at, w.tries - 2, interval '5 minutes', interval '1 hour')
        end,
        page_limit = case when not has_failed then t.page_limit end
    where t.window_id = w.window_id;
    perform torque_internal.leave_pages(w.window_id);
    if not has_failed then
        return what;
    end if;
    perform torque_internal.raise_alarm(
        'incomplete',
        w.kind,
        format('orders made from %s to %s: %s', w.created_from, w.created_to, what)
            || coalesce(' (' || details || ')', ''),
        at
    );
    return 'incomplete';
end
$$;

-- A divided window is verified when its parts are, and when they have as many orders as it was said
-- to have; if not, what was said of it or of them is wrong, and it is asked for anew.
create function torque_internal.close_up(of_window bigint, at timestamptz)
returns void
language plpgsql
as $$
declare
    w torque.reconcile_window;
    parts record;
    next_id bigint := of_window;
begin
    loop
        select t.*
        into w
        from torque.reconcile_window t
        where t.window_id = next_id;
        if w.parent_id is null then
            perform torque_internal.finish_root(w.window_id, at);
            return;
        end if;
        next_id := w.parent_id;
        select
            bool_and(c.verified_at is not null) as are_verified,
            sum(c.inside) as inside,
            min(c.as_of) as as_of
        into parts
        from torque.reconcile_window c
        where c.parent_id = next_id;
        if not parts.are_verified then
            return;
        end if;
        select t.*
        into w
        from torque.reconcile_window t
        where t.window_id = next_id;
        if w.status is null and not w.is_count and w.expected > parts.inside + (
            select torque_internal.known_beside(w, p)
            from torque_internal.poller p
        ) then
            delete from torque.reconcile_window c
            where c.parent_id = w.window_id;
            perform torque_internal.contradict(w, 'parts_missing', at);
            return;
        end if;
        update torque.reconcile_window as t
        set
            verified_at = at,
            inside = parts.inside,
            as_of = parts.as_of
        where t.window_id = w.window_id;
    end loop;
end
$$;

-- Closes a window.
create function torque_internal.settle(
    w torque.reconcile_window,
    verdict text,
    expected bigint,
    seen bigint,
    inside bigint,
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
begin
    update torque.reconcile_window as t
    set
        verdict = $2,
        expected = $3,
        seen = $4,
        inside = $5,
        as_of = $6,
        verified_at = at,
        problem = null,
        not_before = null
    where t.window_id = w.window_id;
    perform torque_internal.leave_pages(w.window_id);
    perform torque_internal.close_up(w.window_id, at);
    return verdict;
end
$$;

-- Orders that should be in the answer and are not. From a list of one status they have gone on:
-- a lookup tells where to. From a list of all they cannot go: the list is asked again, then the
-- orders are looked up, and a list that hides what exists is told from one that was cut.
create function torque_internal.absent_orders(
    w torque.reconcile_window,
    ids text[],
    as_of timestamptz
)
returns text[]
language plpgsql
stable
as $$
begin
    return array(
        select o.order_id
        from torque_internal.known_orders(w.status, w.created_from, w.created_to) as o
        where o.created_at < w.created_to
            -- Lists may lag behind what is told of single orders.
            and o.first_seen_at < as_of - interval '60 seconds'
            and (w.status is null or o.newest_as_of < as_of - interval '5 seconds')
            and not exists (
                select
                from unnest(ids) as u(order_id)
                where u.order_id = o.order_id
            )
            and not exists (
                select
                from torque.missing_order m
                where m.order_id = o.order_id
            )
            and not exists (
                select
                from torque_internal.unlisted u
                where u.order_id = o.order_id
                    and u.explained_at is not null
            )
        order by o.created_at desc
    );
end
$$;

-- The answer holds all that the API says there is.
create function torque_internal.complete(
    w torque.reconcile_window,
    ids text[],
    expected bigint,
    inside bigint,
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    lookups_max constant integer := 20;
    absent constant text[] := torque_internal.absent_orders(w, ids, as_of);
    of_order text;
begin
    -- Seen is not enough: a certificate says that they are here.
    if exists (
        select
        from unnest(ids) as u(order_id)
        left join torque.orders o
            on o.order_id = u.order_id
        where o.order_id is null
            and u.order_id not like 'orderd-test.%'
    ) then
        return torque_internal.contradict(w, 'not_taken', at);
    end if;
    if cardinality(absent) = 0 then
        delete from torque_internal.unlisted u
        where u.order_id = any (ids);
        perform torque_internal.found_again(ids, at);
        return torque_internal.settle(w, 'verified', expected, cardinality(ids), inside, as_of, at);
    end if;
    -- Of several pages the last is asked for again.
    if w.status is null and w.tries = 0 and w.page_offset is null then
        return torque_internal.contradict(w, 'absent', at);
    end if;
    if w.status is null then
        insert into torque_internal.unlisted (order_id, absent_since)
        select u, at
        from unnest(absent[1:lookups_max]) as u
        on conflict (order_id) do nothing;
    end if;
    foreach of_order in array absent[1:lookups_max] loop
        perform torque_internal.want_lookup(of_order, 'verify', at, at);
    end loop;
    if cardinality(absent) > lookups_max then
        return torque_internal.contradict(w, 'absent', at);
    elsif w.status is not null then
        return torque_internal.settle(w, 'verified', expected, cardinality(ids), inside, as_of, at);
    end if;
    update torque.reconcile_window as t
    set
        problem = 'absent',
        not_before = at + interval '30 seconds'
    where t.window_id = w.window_id;
    return 'absent';
end
$$;
