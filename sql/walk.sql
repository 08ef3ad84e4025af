-- How a sweep walks through list-orders and knows that it has seen all. Replaced whole by every
-- migrate.
--
-- createdAt never changes, so a window of it has the same members for ever, while offsets slide
-- under whoever counts by them. A window is asked for some seconds wider than it is, whatever the
-- API takes "after" to mean, and is verified by an answer that holds as many different orders as
-- it says there are. One that has more is divided; one that cannot be divided is read page by
-- page, each page sharing rows with the one before. What contradicts itself three times is called
-- incomplete, never complete.

set search_path = '';

create function torque_internal.page_size(p torque_internal.poller)
returns integer
language sql
stable
as $$
    select least(torque_internal.setting('page_size'), p.page_cap)
$$;
comment on function torque_internal.page_size(torque_internal.poller) is
    'How many rows a page can have.';

-- Whole days where the API rounds to them: half a day more on each side then.
create function torque_internal.asked_from(w torque.reconcile_window, p torque_internal.poller)
returns timestamptz
language sql
stable
as $$
    select case
        when p.coarse_dates_at is null then
            w.created_from - interval '2 seconds'
        else
            date_trunc('day', w.created_from, 'UTC') - interval '12 hours'
    end
$$;
comment on function torque_internal.asked_from(torque.reconcile_window, torque_internal.poller) is
    'startDate of the requests for a window.';

create function torque_internal.asked_to(w torque.reconcile_window, p torque_internal.poller)
returns timestamptz
language sql
stable
as $$
    select case
        when p.coarse_dates_at is null then
            w.created_to + interval '2 seconds'
        else
            date_trunc('day', w.created_to, 'UTC') + interval '36 hours'
    end
$$;
comment on function torque_internal.asked_to(torque.reconcile_window, torque_internal.poller) is
    'endDate of the requests for a window.';

create function torque_internal.known_orders(
    of_status text,
    since timestamptz,
    until timestamptz
)
returns bigint
language plpgsql
stable
as $$
begin
    return (
        select count(*)
        from torque.orders o
        where o.created_at between since and until
            and (of_status is null or o.status = of_status)
    );
end
$$;
comment on function torque_internal.known_orders(text, timestamptz, timestamptz) is
    'How many orders made in that time, in that status or any, are here.';

create function torque_internal.known_in_span(
    w torque.reconcile_window,
    p torque_internal.poller
)
returns bigint
language sql
stable
as $$
    select torque_internal.known_orders(
        w.status,
        case
            when p.coarse_dates_at is null then torque_internal.asked_from(w, p)
            else date_trunc('day', torque_internal.asked_from(w, p), 'UTC')
        end,
        case
            when p.coarse_dates_at is null then torque_internal.asked_to(w, p)
            else date_trunc('day', torque_internal.asked_to(w, p), 'UTC') + interval '1 day'
        end
    )
$$;
comment on function torque_internal.known_in_span(
    torque.reconcile_window, torque_internal.poller
) is
    'How many orders are here of the time that is asked for when a window is.';

-- Reading an answer.

create type torque_internal.page as (
    total bigint,
    has_more boolean,
    page_limit integer,
    row_count integer,
    unusable integer,
    ids text[],
    inside bigint,
    sort_order text,
    created_ats timestamptz[],
    has_other_status boolean
);
comment on type torque_internal.page is
    'A page of list-orders: ids without repetition; created_ats in the order of the rows.';

create function torque_internal.count_in(answer json, name text)
returns bigint
language sql
immutable
as $$
    select substring(answer -> 'pagination' ->> name from '^(\d{1,15})(?:\.0+)?$')::bigint
$$;
comment on function torque_internal.count_in(json, text) is
    'A count of the pagination; null when it is none.';

create function torque_internal.rows_of(answer json)
returns table (
    n bigint,
    order_id text,
    status text,
    created_at timestamptz,
    total numeric,
    currency text,
    item_count bigint,
    email text,
    doc json
)
language sql
stable
as $$
    select
        r.n,
        case
            when json_typeof(r.doc -> 'id') = 'string'
                and torque_internal.is_order_id(r.doc ->> 'id')
            then
                r.doc ->> 'id'
        end,
        case when json_typeof(r.doc -> 'status') = 'string' then r.doc ->> 'status' end,
        d.created_at,
        d.total,
        d.currency,
        d.item_count,
        d.customer_email,
        r.doc
    from json_array_elements(
        case when json_typeof(answer -> 'orders') = 'array' then answer -> 'orders' end
    ) with ordinality as r(doc, n)
    cross join lateral torque_internal.details(
        case when json_typeof(r.doc) = 'object' then r.doc else '{}' end,
        false,
        null
    ) as d
$$;
comment on function torque_internal.rows_of(json) is
    'The rows of an answer of list-orders; order_id null: not to be used.';

create function torque_internal.read_page(answer json, w torque.reconcile_window)
returns torque_internal.page
language sql
stable
as $$
    select row(
        torque_internal.count_in(answer, 'total'),
        answer -> 'pagination' ->> 'hasMore' = 'true',
        torque_internal.count_in(answer, 'limit'),
        count(r.n),
        count(r.n) filter (where r.order_id is null),
        coalesce(array_agg(distinct r.order_id) filter (where r.order_id is not null), '{}'),
        count(distinct r.order_id) filter (
            where r.created_at >= w.created_from
                and r.created_at < w.created_to
        ),
        case
            when bool_or(r.created_at is null) then 'none'
            when bool_and(r.created_at <= r.before) and bool_and(r.created_at >= r.before) then null
            when bool_and(r.created_at <= r.before) then 'newest'
            when bool_and(r.created_at >= r.before) then 'oldest'
            when count(r.n) > 1 then 'none'
        end,
        coalesce(array_agg(r.created_at order by r.n) filter (where r.n is not null), '{}'),
        coalesce(
            bool_or(
                w.status is not null
                    and coalesce(torque_internal.status_of(r.status), r.status)
                        is distinct from w.status
            ),
            false
        )
    )::torque_internal.page
    from (
        select
            r.n,
            r.order_id,
            r.status,
            r.created_at,
            coalesce(lag(r.created_at) over (order by r.n), r.created_at) as before
        from torque_internal.rows_of(answer) as r
    ) as r
$$;
comment on function torque_internal.read_page(json, torque.reconcile_window) is
    'What an answer of list-orders says about the window it was asked for.';

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
comment on function torque_internal.is_out_of_span(
    torque_internal.page, torque_internal.api_call, boolean
) is
    'The answer has orders from outside the span that was asked for.';

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
comment on function torque_internal.learn_manners(
    torque_internal.poller, torque.reconcile_window, torque_internal.page,
    torque_internal.api_call, timestamptz
) is
    'Learns how the API lists; true when the sweep is better planned anew.';

-- Rows become facts.

create function torque_internal.rank_of(priority text)
returns integer
language sql
immutable
as $$
    select array_position(
        array['operator', 'verify', 'tail', 'open', 'silence', 'details', 'audit', 'backfill'],
        priority
    )
$$;
comment on function torque_internal.rank_of(text) is
    'Of two pieces of work the one with the lower rank comes first.';

create function torque_internal.want_lookup(
    of_order text,
    for_priority text,
    due timestamptz,
    at timestamptz
)
returns void
language plpgsql
as $$
begin
    insert into torque_internal.lookup as l (order_id, priority, due_at, wanted_at)
    values (of_order, for_priority, due, at)
    on conflict (order_id) do update
    set
        priority = case
            when torque_internal.rank_of(excluded.priority) < torque_internal.rank_of(l.priority)
                then excluded.priority
            else l.priority
        end,
        -- What was tried in vain keeps its distance, unless somebody asks.
        due_at = case
            when excluded.priority = 'operator' or l.tries = 0
                then least(l.due_at, excluded.due_at)
            else l.due_at
        end,
        wanted_at = excluded.wanted_at;
end
$$;
comment on function torque_internal.want_lookup(text, text, timestamptz, timestamptz) is
    'Puts an order among those to be looked up.';

-- Facts of a poll go in as those of webhooks do. A receiver that has one of the orders is done with
-- it in milliseconds; what is still taken after a second is told to the caller.
create function torque_internal.ingest_patiently(
    source text,
    order_ids text[],
    as_of timestamptz,
    answered timestamptz,
    docs json[]
)
returns text[]
language plpgsql
as $$
declare
    outcomes text[] := array_fill('busy'::text, array[coalesce(cardinality(order_ids), 0)]);
    places integer[];
    again text[];
begin
    for attempt in 1..20 loop
        places := array(
            select u.n::integer
            from unnest(outcomes) with ordinality as u(outcome, n)
            where u.outcome = 'busy'
            order by u.n
        );
        exit when cardinality(places) = 0;
        if attempt > 1 then
            perform pg_sleep(0.05);
        end if;
        select torque.ingest_polled(
            array_agg(source order by u.n),
            array_agg(order_ids[u.place] order by u.n),
            array_agg(as_of order by u.n),
            array_agg(answered order by u.n),
            array_agg(docs[u.place] order by u.n)
        )
        into again
        from unnest(places) with ordinality as u(place, n);
        for n in 1..cardinality(places) loop
            outcomes[places[n]] := again[n];
        end loop;
    end loop;
    return outcomes;
end
$$;
comment on function torque_internal.ingest_patiently(
    text, text[], timestamptz, timestamptz, json[]
) is
    'torque.ingest_polled() for one source and time, again for those that were busy.';

-- The fields in which rows of a list differ from the orders here. A difference that a lookup has
-- looked into and left is not told again; one in status, which may come and go, thrice.
create function torque_internal.differences(answer json)
returns table (
    order_id text,
    fields text[],
    was text[],
    api_says text[],
    is_new boolean,
    doc json
)
language plpgsql
stable
as $$
declare
    repeats_max constant integer := 3;
begin
    return query
    with listed as materialized (
        select distinct on (r.order_id)
            r.*,
            torque_internal.status_of(r.status) as known_status
        from torque_internal.rows_of(answer) as r
        where r.order_id is not null
        order by
            r.order_id,
            r.n
    ), compared as (
        select
            r.order_id,
            r.doc,
            o.order_id is null as is_new,
            array_remove(
                array[
                    case when o.order_id is null then 'order' end,
                    case
                        when o.order_id is null or r.status is null then null
                        when r.known_status is null and r.status is distinct from o.raw_status
                            or r.known_status is not null
                                and (r.known_status <> o.status or o.raw_status is not null)
                            then 'status'
                    end,
                    case when r.total <> o.total then 'total' end,
                    case when r.currency <> o.currency then 'currency' end,
                    case when r.item_count <> o.item_count then 'item_count' end,
                    case when r.email <> o.customer_email then 'email' end,
                    case
                        when o.created_at is null
                            or abs(extract(epoch from r.created_at - o.created_at)) > 1
                            or r.total is not null and o.total is null
                            then 'detail'
                    end
                ],
                null
            ) as fields,
            array[
                null, o.status, o.total::text, o.currency, o.item_count::text, null, null
            ] as was,
            array[
                r.status, r.status, r.total::text, r.currency, r.item_count::text, null, null
            ] as api_says,
            o.last_confirmed_at,
            o.newest_as_of
        from listed r
        -- One search each, however many orders there are.
        left join lateral (
            select t.*
            from torque.orders t
            where t.order_id = r.order_id
            offset 0
        ) as o
            on true
        where r.order_id not like 'orderd-test.%'
    )
    select
        c.order_id,
        c.fields,
        c.was,
        c.api_says,
        c.is_new,
        c.doc
    from compared c
    where cardinality(c.fields) > 0
        and not (
            coalesce(c.newest_as_of <= c.last_confirmed_at, false)
            and exists (
                select
                from torque.order_events e
                where e.order_id = c.order_id
                    and e.event_key = sha256(convert_to('list:' || c.doc::text, 'UTF8'))
                    and e.received_at <= c.last_confirmed_at
                    and (e.deliveries >= repeats_max or 'status' <> all (c.fields))
                    and not exists (
                        select
                        from torque.order_events n
                        where n.order_id = c.order_id
                            and n.source = 'list'
                            and n.occurred_at > e.occurred_at
                    )
            )
        );
end
$$;
comment on function torque_internal.differences(json) is
    'Which rows of a list differ from the orders here, and in what.';

create function torque_internal.note_drift(
    of_order text,
    field text,
    found_by text,
    of_window bigint,
    was text,
    api_says text,
    at timestamptz,
    is_repaired boolean
)
returns void
language plpgsql
as $$
begin
    insert into torque.drift (
        order_id, found_at, field, found_by, window_id, was, api_says, last_webhook_at,
        repaired_at, repaired_by
    )
    select
        of_order, at, $2, $3, of_window, $5, $6,
        (
            select max(e.received_at)
            from torque.order_events e
            where e.order_id = of_order
                and e.source = 'webhook'
        ),
        case when is_repaired then at end,
        case when is_repaired then $3 end
    -- Found already, and not yet repaired.
    where not exists (
        select
        from torque.drift d
        where d.order_id = of_order
            and d.field = $2
            and d.repaired_at is null
    )
    on conflict do nothing;
end
$$;
comment on function torque_internal.note_drift(
    text, text, text, bigint, text, text, timestamptz, boolean
) is
    'Notes that polling has found what no webhook had told.';

create type torque_internal.difference as (
    order_id text,
    fields text[],
    was text[],
    api_says text[],
    is_new boolean,
    doc json
);
comment on type torque_internal.difference is
    'A row of a list that differs from the order here.';

-- What still differs when the rows are in is looked up. Orders that were there before anybody
-- polled are no webhook's omission.
create function torque_internal.take_rows(
    answer json,
    w torque.reconcile_window,
    as_of timestamptz,
    answered timestamptz
)
returns integer
language plpgsql
as $$
declare
    names constant text[] := array['order', 'status', 'total', 'currency', 'item_count', 'email'];
    polls_since constant timestamptz := (select p.polls_since from torque_internal.poller p);
    found torque_internal.difference[];
    outcomes text[];
    still jsonb;
    d torque_internal.difference;
    o torque.orders;
    place integer;
    field text;
begin
    select array_agg(
        row(f.order_id, f.fields, f.was, f.api_says, f.is_new, f.doc)::torque_internal.difference
        order by f.order_id
    )
    into found
    from torque_internal.differences(answer) as f;
    if found is null then
        return 0;
    end if;
    select torque_internal.ingest_patiently(
        'list', array_agg(f.order_id), as_of, answered, array_agg(f.doc)
    )
    into outcomes
    from unnest(found) as f;
    select coalesce(jsonb_object_agg(f.order_id, to_jsonb(f.fields)), '{}')
    into still
    from torque_internal.differences(answer) as f;

    for n in 1..cardinality(found) loop
        continue when outcomes[n] in ('busy', 'quarantined');
        d := found[n];
        select t.*
        into o
        from torque.orders t
        where t.order_id = d.order_id;
        foreach field in array d.fields loop
            place := array_position(names, field);
            continue when place is null
                or field = 'status' and outcomes[n] <> 'applied'
                or field = 'order' and (o.created_at >= polls_since) is not true;
            perform torque_internal.note_drift(
                d.order_id, field, 'list', w.window_id, d.was[place], d.api_says[place], answered,
                (still -> d.order_id ? field) is not true
            );
        end loop;
        if still ? d.order_id or not d.is_new and o.verify_after is not null then
            perform torque_internal.want_lookup(
                d.order_id, 'verify', coalesce(o.verify_after, answered), answered
            );
        elsif d.is_new and o.created_at > as_of - interval '1 day' then
            perform torque_internal.want_lookup(d.order_id, 'details', answered, answered);
        end if;
    end loop;
    return (
        select count(*)
        from unnest(outcomes) as u
        where u = 'busy'
    );
end
$$;
comment on function torque_internal.take_rows(
    json, torque.reconcile_window, timestamptz, timestamptz
) is
    'Takes in the rows of a list that differ; tells how many orders another session still has.';

-- Verdicts.

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
        and w.job_id is null
        and w.opened_at <= r.opened_at;
    update torque.reconcile_alarm as a
    set cleared_at = at
    where a.alarm in ('incomplete', 'suspicious')
        and a.cleared_at is null
        and not exists (
            select
            from torque.reconcile_window w
            where w.kind = a.subject
                and w.verdict in ('incomplete', 'suspicious')
        );
end
$$;
comment on function torque_internal.finish_root(bigint, timestamptz) is
    'Tidies up after a sweep.';

-- A divided window is verified when its parts are, and when they have as many orders as it was said
-- to have; if not, it is counted once more.
create function torque_internal.close_up(of_window bigint, at timestamptz)
returns void
language plpgsql
as $$
declare
    w torque.reconcile_window;
    p torque_internal.poller;
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
        select t.*
        into w
        from torque.reconcile_window t
        where t.window_id = next_id;
        if exists (
            select
            from torque.reconcile_window c
            where c.parent_id = w.window_id
                and c.verified_at is null
        ) then
            return;
        end if;
        select t.*
        into p
        from torque_internal.poller t;
        if w.status is null and w.expected > torque_internal.known_in_span(w, p) then
            update torque.reconcile_window as t
            set
                verdict = 'open',
                problem = 'recount'
            where t.window_id = w.window_id;
            return;
        end if;
        update torque.reconcile_window as t
        set
            verified_at = at,
            inside = c.inside,
            as_of = c.as_of
        from (
            select
                sum(c.inside) as inside,
                min(c.as_of) as as_of
            from torque.reconcile_window c
            where c.parent_id = w.window_id
        ) as c
        where t.window_id = w.window_id;
    end loop;
end
$$;
comment on function torque_internal.close_up(bigint, timestamptz) is
    'Verifies the windows that a verified one completes.';

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
        not_before = null,
        page_offset = null,
        first_total = null,
        seam = null
    where t.window_id = w.window_id;
    delete from torque_internal.paged_order o
    where o.window_id = w.window_id;
    perform torque_internal.close_up(w.window_id, at);
    return verdict;
end
$$;
comment on function torque_internal.settle(
    torque.reconcile_window, text, bigint, bigint, bigint, timestamptz, timestamptz
) is
    'Closes a window.';

-- The window stays open, three times; then it is incomplete, and asked for again after a while.
create function torque_internal.contradict(
    w torque.reconcile_window,
    what text,
    at timestamptz,
    named text default 'incomplete'
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
        verdict = case when has_failed then named else t.verdict end,
        not_before = case when has_failed then
            at + least(interval '5 minutes' * 2 ^ least(w.tries - 2, 10), interval '1 hour')
        end,
        page_offset = null,
        first_total = null,
        seam = null
    where t.window_id = w.window_id;
    delete from torque_internal.paged_order o
    where o.window_id = w.window_id;
    if not has_failed then
        return what;
    end if;
    perform torque_internal.raise_alarm(
        named,
        w.kind,
        format('orders made from %s to %s: %s', w.created_from, w.created_to, what),
        at
    );
    return named;
end
$$;
comment on function torque_internal.contradict(
    torque.reconcile_window, text, timestamptz, text
) is
    'Counts an answer that cannot be believed.';

create function torque_internal.found_again(ids text[], at timestamptz)
returns void
language plpgsql
as $$
begin
    delete from torque.missing_order m
    where m.order_id = any (ids);
    if found then
        update torque.reconcile_alarm as a
        set cleared_at = at
        where a.alarm = 'missing'
            and a.subject = any (ids)
            and a.cleared_at is null;
    end if;
end
$$;
comment on function torque_internal.found_again(text[], timestamptz) is
    'Orders that the API knows are not missing.';

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
        from torque.orders o
        where o.created_at >= w.created_from
            and o.created_at < w.created_to
            and (w.status is null or o.status = w.status)
            -- Lists may lag behind what is told of single orders.
            and o.first_seen_at < as_of - interval '60 seconds'
            and (w.status is null or o.newest_as_of < as_of - interval '5 seconds')
            and o.order_id <> all (ids)
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
comment on function torque_internal.absent_orders(
    torque.reconcile_window, text[], timestamptz
) is
    'Orders known here that an answer for the window should have had.';

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
    if cardinality(absent) = 0 then
        delete from torque_internal.unlisted u
        where u.order_id = any (ids);
        perform torque_internal.found_again(ids, at);
        return torque_internal.settle(w, 'verified', expected, cardinality(ids), inside, as_of, at);
    end if;
    if w.status is null and w.tries = 0 then
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
        return torque_internal.contradict(w, 'absent', at, 'suspicious');
    elsif w.status is not null then
        return torque_internal.settle(w, 'verified', expected, cardinality(ids), inside, as_of, at);
    end if;
    update torque.reconcile_window as t
    set
        problem = 'absent',
        not_before = at + interval '30 seconds',
        page_offset = null,
        first_total = null,
        seam = null
    where t.window_id = w.window_id;
    delete from torque_internal.paged_order o
    where o.window_id = w.window_id;
    return 'absent';
end
$$;
comment on function torque_internal.complete(
    torque.reconcile_window, text[], bigint, bigint, timestamptz, timestamptz
) is
    'Verifies a window, unless it lacks what is known to exist.';

-- Dividing.

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
comment on function torque_internal.add_part(
    torque.reconcile_window, timestamptz, timestamptz, bigint
) is
    'Opens a part of a window.';

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
comment on function torque_internal.can_split(
    torque.reconcile_window, torque_internal.poller
) is
    'The window can be divided, as far as the API tells shorter ones apart.';

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
comment on function torque_internal.is_crowd(
    torque.reconcile_window, torque_internal.page, integer
) is
    'Reading page by page takes fewer calls than dividing on.';

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
comment on function torque_internal.cut_at(
    torque.reconcile_window, torque_internal.poller, timestamptz
) is
    'Where to divide a window.';

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
comment on function torque_internal.split(
    torque.reconcile_window, torque_internal.poller, torque_internal.page, timestamptz,
    timestamptz
) is
    'Divides a window that has more than a page of orders, where the rows that came say best.';

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
comment on function torque_internal.divide_known(
    torque.reconcile_window, torque_internal.poller
) is
    'Divides a window by the orders that are known in it; false when they fit on a page.';

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
comment on function torque_internal.span_of(bigint, timestamptz, interval, boolean) is
    'How long it takes until there are so many orders, in the known neighbourhood of an edge.';

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
comment on function torque_internal.cut_off(torque.reconcile_window, torque_internal.poller) is
    'Cuts a page''s worth off a window of which only a total is known.';

-- Judging.

create function torque_internal.judge_paged(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page,
    answer json,
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    size constant integer := torque_internal.page_size(p);
    shared constant integer := greatest(1, size / 20);
    total_at_first constant bigint := coalesce(w.first_total, seen.total);
    first_as_of constant timestamptz := case when w.page_offset = 0 then as_of else w.as_of end;
    is_last boolean;
    news integer;
    ids text[];
    inside bigint;
begin
    if seen.sort_order = 'none' then
        return torque_internal.contradict(w, 'no_order', at);
    elsif w.page_offset > 0
        and not seen.ids && w.seam
        and (seen.row_count > 0 or w.page_offset < seen.total)
    then
        -- Rows have moved up: some were left out between the pages.
        if w.pages > (w.tries + 1) * (6 + 4 * seen.total / size) then
            return torque_internal.contradict(w, 'seam', at);
        end if;
        update torque.reconcile_window as t
        set
            page_offset = greatest(0, t.page_offset - greatest(1, size / 2)),
            problem = 'seam'
        where t.window_id = w.window_id;
        return 'seam';
    end if;

    insert into torque_internal.paged_order (window_id, order_id, is_inside)
    select
        w.window_id,
        r.order_id,
        bool_or(coalesce(r.created_at >= w.created_from and r.created_at < w.created_to, false))
    from torque_internal.rows_of(answer) as r
    group by r.order_id
    on conflict do nothing;
    get diagnostics news = row_count;

    -- An API that tells of more rows than it has counted is taken at its word once.
    is_last := w.page_offset + seen.row_count >= seen.total
        and (w.page_offset > 0 or seen.has_more is not true);
    if is_last then
        select array_agg(o.order_id), count(*) filter (where o.is_inside)
        into ids, inside
        from torque_internal.paged_order o
        where o.window_id = w.window_id;
        if seen.total <> total_at_first or coalesce(cardinality(ids), 0) <> seen.total then
            return torque_internal.contradict(w, 'total_changed', at);
        end if;
        return torque_internal.complete(w, ids, seen.total, inside, first_as_of, at);
    elsif seen.row_count < size and w.page_offset + seen.row_count < seen.total then
        return torque_internal.contradict(w, 'rows_missing', at);
    elsif news = 0 and w.problem is distinct from 'seam' then
        update torque_internal.poller
        set offset_ignored_at = at;
        return torque_internal.contradict(w, 'offset_ignored', at);
    end if;
    update torque.reconcile_window as t
    set
        page_offset = w.page_offset + seen.row_count - least(shared, seen.row_count - 1),
        first_total = total_at_first,
        as_of = first_as_of,
        seam = seen.ids,
        problem = nullif(w.problem, 'seam')
    where t.window_id = w.window_id;
    return 'paged';
end
$$;
comment on function torque_internal.judge_paged(
    torque.reconcile_window, torque_internal.poller, torque_internal.page, json, timestamptz,
    timestamptz
) is
    'Judges a page of a window that is read page by page.';

create function torque_internal.judge_page(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page,
    of_call torque_internal.api_call,
    answer json,
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    size constant integer := torque_internal.page_size(p);
    distinct_ids constant integer := cardinality(seen.ids);
    known bigint;
begin
    if seen.unusable > 0 then
        return torque_internal.contradict(w, 'row_without_id', at);
    elsif seen.total is null then
        return torque_internal.contradict(w, 'no_total', at);
    elsif distinct_ids < seen.row_count then
        return torque_internal.contradict(w, 'row_twice', at);
    elsif seen.has_other_status then
        return torque_internal.contradict(w, 'other_status', at);
    elsif p.dates_ignored_at is null
        and torque_internal.is_out_of_span(seen, of_call, p.coarse_dates_at is not null)
    then
        return torque_internal.contradict(w, 'out_of_span', at);
    elsif seen.total < distinct_ids then
        return torque_internal.contradict(w, 'total_too_low', at);
    elsif w.page_offset is not null then
        return torque_internal.judge_paged(w, p, seen, answer, as_of, at);
    elsif seen.total > distinct_ids and distinct_ids < size then
        if seen.has_more and seen.page_limit = distinct_ids then
            update torque_internal.poller
            set
                page_cap = seen.page_limit,
                page_cap_at = at
            where seen.page_limit > 0;
            return torque_internal.contradict(w, 'short_pages', at);
        end if;
        return torque_internal.contradict(w, 'rows_missing', at);
    elsif seen.total = 0 and w.problem is distinct from 'empty' then
        update torque.reconcile_window as t
        set problem = 'empty'
        where t.window_id = w.window_id;
        return 'empty';
    elsif seen.total = distinct_ids and not coalesce(seen.has_more, false) then
        return torque_internal.complete(w, seen.ids, seen.total, seen.inside, as_of, at);
    elsif seen.total = distinct_ids and w.problem is distinct from 'has_more' then
        return torque_internal.contradict(w, 'has_more', at);
    end if;

    known := torque_internal.known_in_span(w, p);
    if w.problem = 'recount' then
        if seen.total <= known then
            update torque.reconcile_window as t
            set
                verdict = 'split',
                expected = seen.total,
                seen = distinct_ids,
                problem = null
            where t.window_id = w.window_id;
            perform torque_internal.close_up(
                (
                    select min(c.window_id)
                    from torque.reconcile_window c
                    where c.parent_id = w.window_id
                ),
                at
            );
            return 'verified';
        end if;
        delete from torque.reconcile_window c
        where c.parent_id = w.window_id;
        return torque_internal.contradict(w, 'parts_missing', at);
    elsif seen.total = known and exists (
        select
        from torque.order_status s
        where s.status = w.status
            and s.is_final
    ) then
        return torque_internal.settle(
            w, 'agreed', seen.total, distinct_ids, seen.inside, as_of, at
        );
    elsif seen.total > distinct_ids
        and torque_internal.can_split(w, p)
        and not torque_internal.is_crowd(w, seen, size)
    then
        return torque_internal.split(w, p, seen, as_of, at);
    end if;
    w.page_offset := 0;
    update torque.reconcile_window as t
    set page_offset = 0
    where t.window_id = w.window_id;
    return torque_internal.judge_paged(w, p, seen, answer, as_of, at);
end
$$;
comment on function torque_internal.judge_page(
    torque.reconcile_window, torque_internal.poller, torque_internal.page,
    torque_internal.api_call, json, timestamptz, timestamptz
) is
    'What an answer proves about its window, in a word.';
