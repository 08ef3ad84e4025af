-- Who may call the API, and when. Replaced whole by every migrate.
--
-- The budget is a rolling window kept in rows, shared by the service and the command line: a place
-- is taken before a call and free again 60 s after its end, so whichever 60 s the API looks at, it
-- never finds more than orderd.requests_per_minute calls in them. A restart forgets nothing.

set search_path = pg_catalog, pg_temp;

-- The daemon sets orderd.* when it connects; what it does not set is as the configuration's
-- defaults are.
create function torque_internal.setting(name text)
returns integer
language sql
stable
as $$
    select coalesce(
        nullif(current_setting('orderd.' || name, true), '')::integer,
        case name
            when 'requests_per_minute' then 30
            when 'floor' then 20
            when 'sweep_every' then 60
            when 'lookback' then 900
            when 'open_every' then 300
            when 'history' then 7776000
            when 'page_size' then 100
            when 'call_ms' then 30000
        end
    )
$$;

-- A duration of the poller's settings.
create function torque_internal.seconds(name text)
returns interval
language sql
stable
as $$
    select torque_internal.setting(name) * interval '1 second'
$$;

-- Raises an alarm, or counts it once more.
create function torque_internal.raise_alarm(
    what text,
    about text,
    sentence text,
    at timestamptz
)
returns void
language plpgsql
as $$
begin
    insert into torque_internal.alarm as a (alarm, subject, raised_at, last_at, detail)
    values (what, about, at, at, sentence)
    on conflict (alarm, subject) do update
    set
        raised_at = case when a.cleared_at is null then a.raised_at else excluded.raised_at end,
        last_at = excluded.last_at,
        times = case when a.cleared_at is null then a.times + 1 else 1 end,
        detail = excluded.detail,
        cleared_at = null;
end
$$;

-- Raises an alarm about what lasts, or counts it once more every few minutes.
create function torque_internal.raise_lasting(
    what text,
    about text,
    sentence text,
    at timestamptz
)
returns void
language plpgsql
as $$
begin
    if not exists (
        select
        from torque_internal.alarm a
        where a.alarm = what
            and a.subject = about
            and a.cleared_at is null
            and a.last_at between at - interval '5 minutes' and at
    ) then
        perform torque_internal.raise_alarm(what, about, sentence, at);
    end if;
end
$$;

-- Says that what an alarm was about is over.
create function torque_internal.clear_alarm(what text, about text, at timestamptz)
returns void
language plpgsql
as $$
begin
    update torque_internal.alarm as a
    set cleared_at = at
    where a.alarm = what
        and a.subject = about
        and a.cleared_at is null;
end
$$;

-- Two clocks that are further apart than a person would notice are an alarm.
create function torque_internal.judge_clock(other text, ahead interval, at timestamptz)
returns void
language plpgsql
as $$
declare
    apart_max constant integer := 60;
    seconds constant bigint := extract(epoch from ahead)::bigint;
begin
    if abs(seconds) > apart_max then
        perform torque_internal.raise_lasting(
            'clock', other,
            format(
                'the clock of this host is %s s %s that of the %s', abs(seconds),
                case when seconds > 0 then 'ahead of' else 'behind' end, other
            ),
            at
        );
    elsif seconds is not null then
        perform torque_internal.clear_alarm('clock', other, at);
    end if;
end
$$;

-- Also the lock under which calls are planned, claimed and ended: one transaction at a time. Not
-- that of the row, which would be written to the disk although nothing has changed.
-- Whoever takes a page in has it for some tenths of a second, more than the lock_timeout of
-- sessions that must not make a webhook wait; here only statement_timeout bounds the wait.
create function torque_internal.lock_poller()
returns torque_internal.poller
language plpgsql
set lock_timeout = 0
as $$
declare
    p torque_internal.poller;
begin
    perform pg_advisory_xact_lock(hashtext('orderd poller'), 2);
    select t.*
    into p
    from torque_internal.poller t;
    return p;
end
$$;

-- After a 429 half of the calls a minute that were allowed, and one more each minute since.
create function torque_internal.allowance(p torque_internal.poller, at timestamptz)
returns integer
language sql
stable
as $$
    select greatest(1, least(
        torque_internal.setting('requests_per_minute'),
        p.allowance + floor(extract(epoch from at - p.limited_at) / 60)::integer
    ))
$$;

-- A call without an end is counted as if it ended with the longest time a call may take, which the
-- daemon knows.
create function torque_internal.free_again(claimed_at timestamptz, answered_at timestamptz)
returns timestamptz
language sql
stable
as $$
    select coalesce(
        answered_at,
        claimed_at + torque_internal.setting('call_ms') * interval '1 millisecond'
    ) + interval '60 seconds'
$$;

-- How the calls are shared out: of what is due, the share that has had the fewest calls for its
-- weight comes next. When all want more than there is, each has so many of 28 calls; what one
-- leaves the others have.
create or replace view torque_internal.share as
    select
        s.priority,
        s.share,
        s.weight
    from (
        values
            ('verify', 'lookups', 11),
            ('silence', 'lookups', 11),
            ('details', 'lookups', 11),
            ('tail', 'tail', 6),
            ('open', 'open', 4),
            ('audit', 'history', 7),
            ('backfill', 'history', 7)
    ) as s (priority, share, weight);

-- How many of the calls of a minute may be under way or just made, for a person and for the others.
create function torque_internal.places(allowed integer, is_person boolean)
returns integer
language sql
immutable
as $$
    select case
        when is_person then allowed
        else greatest(1, allowed - greatest(1, allowed / 15))
    end
$$;

-- People find a place at any time: a fifteenth of all is theirs alone. Beyond half of the places
-- the poller's calls come at even distances, so that places become free one by one.
create function torque_internal.call_possible_at(
    p torque_internal.poller,
    for_priority text,
    at timestamptz
)
returns timestamptz
language plpgsql
stable
as $$
declare
    allowed constant integer := torque_internal.allowance(p, at);
    is_person constant boolean := for_priority = 'operator';
    places constant integer := torque_internal.places(allowed, is_person);
    free_at timestamptz[];
    last_at timestamptz;
    possible_at timestamptz;
begin
    select
        array_agg(f.free_at order by f.free_at),
        max(f.claimed_at)
    into free_at, last_at
    from (
        select
            torque_internal.free_again(c.claimed_at, c.answered_at) as free_at,
            c.claimed_at
        from torque_internal.api_call c
        where c.claimed_at > at - interval '10 minutes'
    ) as f
    where f.free_at > at;
    possible_at := greatest(
        at,
        p.blocked_until,
        free_at[cardinality(free_at) - places + 1]
    );
    if not is_person then
        possible_at := greatest(possible_at, p.floor_until, p.backing_off_until, p.stopped_until);
        if cardinality(free_at) >= (allowed + 1) / 2 then
            possible_at := greatest(possible_at, last_at + interval '60 seconds' / allowed);
        end if;
    end if;
    return possible_at;
end
$$;

-- How long that is, up to an hour.
create function torque_internal.milliseconds(until timestamptz, at timestamptz)
returns bigint
language sql
immutable
as $$
    select greatest(0, least(
        3600000,
        ceil(extract(epoch from until - at) * 1000)
    ))::bigint
$$;

-- Places are counted by the caller's clock, which somebody may set: the host's uptime proves how
-- much of the time that has passed by it really has. What it was set ahead by is moved along with
-- it, as are the waits that the API asked for. An uptime of another host, or of before it was
-- started, proves less than has passed: then a place is free rather too late.
create function torque_internal.keep_time(at timestamptz, uptime_ms bigint)
returns void
language plpgsql
as $$
declare
    remembered constant interval := '10 minutes';
    least_step constant interval := '100 milliseconds';
    p torque_internal.poller;
    step interval;
begin
    select t.*
    into p
    from torque_internal.poller t;
    step := at - p.uptime_at - (uptime_ms - p.uptime_ms) * interval '1 millisecond';
    if uptime_ms is null
        or uptime_ms >= p.uptime_ms and step between -least_step and least_step
    then
        return;
    end if;
    if uptime_ms >= p.uptime_ms and step > least_step then
        update torque_internal.api_call as c
        set
            claimed_at = c.claimed_at + step,
            answered_at = c.answered_at + step
        where c.claimed_at > p.uptime_at - remembered;
        update torque_internal.poller as t
        set
            limited_at = t.limited_at + step,
            blocked_until = t.blocked_until + step,
            floor_until = t.floor_until + step,
            backing_off_until = t.backing_off_until + step;
    end if;
    update torque_internal.poller as t
    set
        uptime_at = at,
        uptime_ms = keep_time.uptime_ms;
end
$$;

create or replace function torque.claim_call(
    priority text,
    purpose text,
    order_id text default null,
    now timestamptz default clock_timestamp(),
    uptime_ms bigint default null,
    out call_id bigint,
    out wait_ms bigint
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    at constant timestamptz := coalesce($4, clock_timestamp());
    p torque_internal.poller;
    possible_at timestamptz;
begin
    -- Only a statement after the wait sees the calls of those who were waited for.
    perform torque_internal.lock_poller();
    perform torque_internal.keep_time(at, $5);
    p := torque_internal.lock_poller();
    possible_at := torque_internal.call_possible_at(p, $1, at);
    wait_ms := torque_internal.milliseconds(possible_at, at);
    if possible_at <= at then
        insert into torque_internal.api_call as c (priority, purpose, order_id, claimed_at)
        values ($1, $2, $3, at)
        returning c.call_id
        into claim_call.call_id;
    end if;
end
$$;
comment on function torque.claim_call(text, text, text, timestamptz, bigint) is
    'Takes a place in the API''s budget for one call; without a call_id there is none yet, and'
    ' wait_ms says when to ask again. Tell torque.call_ended() when it is over; of an order_id''s'
    ' lookup torque.reconcile_lookup() or torque.reconcile_failed().';

-- Of a small limit a fifth is left to others, or it would all be theirs.
create function torque_internal.floor_of(rate_limit integer)
returns integer
language sql
stable
as $$
    select least(torque_internal.setting('floor'), rate_limit / 5)
$$;

create or replace function torque.rate_limit_told(rate_limit integer)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform torque_internal.lock_poller();
    update torque_internal.poller as p
    set
        rate_limit = $1,
        -- What was left was held against another floor.
        floor_until = null,
        floor_since = null
    where p.rate_limit is distinct from $1;
end
$$;
comment on function torque.rate_limit_told(integer) is
    'The API says how many calls its own limit has: the floor that is left of them to others is no'
    ' more than a fifth.';

-- What an answer's head says about the API's patience with us. No time in it is longer than the
-- daemon lets the API ask for (daemon/order/api_answer.h); what a 429 leaves open is decided here.
create function torque_internal.end_call(
    of_call bigint,
    at timestamptz,
    status integer,
    remaining integer,
    reset_at timestamptz,
    retry_after_s integer
)
returns void
language plpgsql
as $$
declare
    p torque_internal.poller;
    is_person boolean;
    retry_at constant timestamptz := at + coalesce(retry_after_s, 60) * interval '1 second';
begin
    p := torque_internal.lock_poller();
    update torque_internal.api_call as c
    set
        answered_at = greatest(at, c.claimed_at),
        http_status = status
    where c.call_id = of_call
        and c.answered_at is null
    returning c.priority = 'operator'
    into is_person;
    if not found then
        return;
    end if;

    if status = 429 then
        p.allowance := greatest(1, torque_internal.allowance(p, at) / 2);
        p.limited_at := at;
        p.blocked_until := greatest(p.blocked_until, retry_at);
    elsif status in (401, 403) and is_person then
        null; -- the key is theirs, and they are told
    elsif status in (401, 403) then
        p.refusals := p.refusals + 1;
        p.stopped_until := at + interval '5 minutes' * least(2 ^ (p.refusals - 1), 12);
        perform torque_internal.raise_alarm(
            'unauthorized', '', format('the API answers %s: is the key right?', status), at
        );
    elsif status is null or status >= 500 then
        p.failures := p.failures + 1;
        p.backing_off_until := at
            + interval '1 second' * random() * least(2 ^ least(p.failures, 20), 300);
        if retry_after_s is not null then
            p.blocked_until := greatest(p.blocked_until, retry_at);
        end if;
    else
        p.failures := 0;
        p.backing_off_until := null;
        if p.refusals > 0 and not is_person then
            p.refusals := 0;
            p.stopped_until := null;
            perform torque_internal.clear_alarm('unauthorized', '', at);
        end if;
    end if;
    p.floor_until := case
        when remaining < torque_internal.floor_of(p.rate_limit) then
            coalesce(reset_at, at + interval '60 seconds')
        when remaining is null then
            p.floor_until
    end;
    p.floor_since := case when p.floor_until is not null then coalesce(p.floor_since, at) end;
    update torque_internal.poller
    set
        allowance = p.allowance,
        limited_at = p.limited_at,
        blocked_until = p.blocked_until,
        floor_until = p.floor_until,
        floor_since = p.floor_since,
        failures = p.failures,
        backing_off_until = p.backing_off_until,
        refusals = p.refusals,
        stopped_until = p.stopped_until;
end
$$;

create or replace function torque.access_is(fingerprint text)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not torque_internal.is_poller() then
        return;
    end if;
    perform torque_internal.lock_poller();
    update torque_internal.poller as p
    set
        access = $1,
        refusals = 0,
        stopped_until = null
    where p.access is distinct from $1;
    if found then
        perform torque_internal.clear_alarm('unauthorized', '', clock_timestamp());
    end if;
end
$$;
comment on function torque.access_is(text) is
    'Told by the poller, of its key and address: where they are not those that the API has refused,'
    ' polling that was stopped is tried again at once.';

create or replace function torque.call_ended(
    call_id bigint,
    answered_at timestamptz,
    http_status integer,
    rate_remaining integer,
    rate_reset_at timestamptz,
    retry_after_s integer
)
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform torque_internal.end_call(
        $1, coalesce($2, clock_timestamp()), $3, $4, $5, $6
    );
end
$$;
comment on function torque.call_ended(
    bigint, timestamptz, integer, integer, timestamptz, integer
) is
    'Ends a call that torque.claim_call() allowed. http_status null: there was no answer.';

create or replace function torque.call_dropped(call_id bigint, answered_at timestamptz)
returns text
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
    update torque_internal.api_call as c
    set
        answered_at = greatest(coalesce($2, clock_timestamp()), c.claimed_at),
        outcome = 'dropped'
    where c.call_id = $1
        and c.answered_at is null
    returning c.outcome
$$;
comment on function torque.call_dropped(bigint, timestamptz) is
    'Ends a call whose connection, kept from an earlier one, ended before an answer: it may be made'
    ' again at once, in a place of its own.';
