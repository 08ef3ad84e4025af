-- Whether the poller sees what it should. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- For how long nothing has said that all of the newest orders are here.
create function torque_internal.behind(p torque_internal.poller, at timestamptz)
returns interval
language plpgsql
stable
as $$
begin
    return greatest(
        interval '0',
        at - coalesce(
            (
                select max(least(w.created_to, w.opened_at))
                from torque.reconcile_window w
                where w.parent_id is null
                    and w.status is null
                    and w.verified_at is not null
            ),
            p.polls_since
        )
    );
end
$$;

-- Raises the alarm as long as it is so, and clears it when it is not.
create function torque_internal.tell(
    is_so boolean,
    what text,
    sentence text,
    at timestamptz
)
returns void
language plpgsql
as $$
begin
    if is_so then
        perform torque_internal.raise_lasting(what, '', sentence, at);
    else
        perform torque_internal.clear_alarm(what, '', at);
    end if;
end
$$;

-- An API that does not answer, that leaves us nothing of its limit, or whose newest orders have not
-- been verified for long, whatever the reason.
create function torque_internal.watch(p torque_internal.poller, at timestamptz)
returns void
language plpgsql
as $$
declare
    blind_after constant interval :=
        greatest(10 * torque_internal.seconds('sweep_every'), interval '1 minute');
    behind constant interval := torque_internal.behind(p, at);
begin
    perform torque_internal.tell(
        behind > blind_after, 'blind',
        format('the newest orders have not been verified since %s', at - behind), at
    );
    perform torque_internal.tell(
        p.failures >= 3 and not exists (
            select
            from torque_internal.api_call c
            where c.claimed_at > at - interval '5 minutes'
                and c.http_status < 500
        ),
        'unreachable', format('%s calls of the API have failed one after the other', p.failures), at
    );
    perform torque_internal.tell(
        coalesce(p.floor_since <= at - interval '10 minutes', false), 'floor',
        format(
            'since %s less than torque.floor is left of the API''s limit, and polling waits for'
            ' its reset each time', p.floor_since
        ),
        at
    );
end
$$;

-- Why the poller cannot see the newest orders, in a sentence; null: it does.
create function torque_internal.blind_because()
returns text
language plpgsql
stable
as $$
begin
    return (
        select format('%s: %s', a.alarm, a.detail)
        from torque_internal.alarm a
        where a.cleared_at is null
            and (
                a.alarm in ('unauthorized', 'unreachable', 'floor', 'blind')
                or a.alarm = 'refused' and a.subject = 'list'
            )
        order by
            array_position(
                array['unauthorized', 'refused', 'unreachable', 'floor', 'blind'], a.alarm
            )
        limit 1
    );
end
$$;

create or replace function torque.backfill_waits_for(job_id bigint)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    at constant timestamptz := clock_timestamp();
    p torque_internal.poller;
    calls bigint;
    again_at timestamptz;
begin
    select t.*
    into p
    from torque_internal.poller t;
    select count(*)
    into calls
    from torque_internal.api_call c
    where c.claimed_at > at - interval '1 minute';
    if p.stopped_until > at then
        return 'a key that the API takes';
    elsif p.blocked_until > at then
        return format(
            'the API, which said so, until %s UTC',
            to_char(p.blocked_until at time zone 'UTC', 'HH24:MI:SS')
        );
    elsif p.floor_until > at then
        return 'the reset of the API''s limit: what is left of it is the merchant''s';
    elsif p.backing_off_until > at then
        return 'the API, which fails';
    elsif calls >= torque_internal.places(torque_internal.allowance(p, at), false) then
        return format('a place: %s calls of this minute are made', calls);
    end if;
    select min(w.not_before)
    into again_at
    from torque.reconcile_window w
    where w.job_id = $1
        and w.verdict <> 'split'
        and w.verified_at is null
    having bool_and(w.not_before > at);
    return 'windows that contradicted themselves, until '
        || to_char(again_at at time zone 'UTC', 'HH24:MI:SS "UTC"');
end
$$;
comment on function torque.backfill_waits_for(bigint) is
    'What keeps a running backfill from going on just now; null: nothing.';
