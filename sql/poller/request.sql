-- What people ask the poller for. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- What an order may be called: it is a key here and a part of an address elsewhere.
create function torque_internal.is_order_id(word text)
returns boolean
language sql
immutable
as $$
    select length(word) between 1 and 128 and word !~ '[^A-Za-z0-9_.:-]'
$$;

create or replace function torque.resync(order_id text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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

create or replace function torque.link_made(session_id text, expires_at timestamptz)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    insert into torque_internal.checkout_session as s (session_id, expires_at)
    select $1, $2
    where $1 is not null
        and isfinite($2)
    on conflict (session_id) do update
    set expires_at = excluded.expires_at;
end
$$;
comment on function torque.link_made(text, timestamptz) is
    'Notes when a checkout session will be over; null: the API did not say.';

-- A job walks on where one within its time has come to: that one's windows are a part of its own.
create function torque_internal.take_over(own bigint, id bigint, root bigint)
returns void
language plpgsql
as $$
declare
    w torque.reconcile_window;
    o torque.backfill;
begin
    update torque.reconcile_window as t
    set
        root_id = root,
        parent_id = coalesce(t.parent_id, root),
        job_id = id
    where t.job_id = own;
    delete from torque.backfill b
    where b.job_id = own
    returning b.*
    into o;
    select t.*
    into w
    from torque.reconcile_window t
    where t.window_id = root;
    update torque.reconcile_window as t
    set verdict = 'split'
    where t.window_id = root;
    perform torque_internal.add_part(w, w.created_from, o.created_from, null);
    perform torque_internal.add_part(w, o.created_to, w.created_to, null);
end
$$;

-- Times outside of those that a request can be made of are taken for the nearest that can; nobody
-- made orders before. Asked for again while it runs, by a client that lost its connection and does
-- not know whether it was heard, a job is not started twice.
create or replace function torque.backfill_start(
    created_from timestamptz,
    created_to timestamptz,
    details boolean default false,
    now timestamptz default clock_timestamp()
)
returns bigint
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    at constant timestamptz := coalesce($4, clock_timestamp());
    since constant timestamptz := greatest($1, '2000-01-02T00:00:00Z');
    until constant timestamptz := least($2, '2100-01-01T00:00:00Z');
    with_details constant boolean := coalesce($3, false);
    id bigint;
    own bigint;
    root bigint;
begin
    if ($1 < $2 and since < until) is not true then
        raise exception 'no time to walk through: from % to %', $1, $2
            using errcode = 'invalid_parameter_value';
    end if;
    perform torque_internal.lock_poller();
    select b.job_id
    into id
    from torque.backfill b
    where b.created_from = since
        and b.created_to = until
        and b.details = with_details
        and b.state = 'running';
    if found then
        return id;
    end if;
    select b.job_id
    into own
    from torque.backfill b
    where b.is_first_run
        and b.state in ('running', 'incomplete')
        and b.created_from >= since
        and b.created_to <= until
        and not b.details;
    insert into torque.backfill as b (created_from, created_to, details, is_first_run, started_at)
    values (since, until, with_details, own is not null, at)
    returning b.job_id
    into id;
    root := torque_internal.open_root('backfill', since, until, null, id, at);
    if own is not null then
        perform torque_internal.take_over(own, id, root);
    end if;
    return id;
end
$$;
comment on function torque.backfill_start(timestamptz, timestamptz, boolean, timestamptz) is
    'Has the orders made between the two times walked through once; tells the number of the job, of'
    ' the one that runs when it was asked for already.';

create or replace function torque.backfill_resume(job_id bigint)
returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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
        and w.verdict = 'incomplete';
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
set search_path = pg_catalog, pg_temp
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
