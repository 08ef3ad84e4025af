-- What reconciling has found, for the people who query. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

create or replace view torque.drift_open as
    select
        d.order_id,
        d.found_at,
        d.field,
        d.was,
        d.api_says,
        d.found_by,
        d.last_webhook_at
    from torque.drift d
    where d.repaired_at is null;
comment on view torque.drift_open is
    'Differences to the API that are known and not repaired yet.';
comment on column torque.drift_open.order_id is
    'The order.';
comment on column torque.drift_open.found_at is
    'When the difference was found.';
comment on column torque.drift_open.field is
    'What differs.';
comment on column torque.drift_open.was is
    'The value here.';
comment on column torque.drift_open.api_says is
    'The API''s value.';
comment on column torque.drift_open.found_by is
    'list or lookup.';
comment on column torque.drift_open.last_webhook_at is
    'When a webhook of the order had last arrived.';

-- Orders that were old when they were first heard of are history, and no webhook was due for them.
create or replace view torque.webhook_coverage as
    select
        c.day,
        count(*) filter (where c.is_told) as by_webhook,
        count(*) filter (where not c.is_told) as by_poll,
        round(100.0 * count(*) filter (where c.is_told) / count(*), 1) as percent
    from (
        select
            (min(e.received_at) at time zone 'UTC')::date as day,
            bool_or(e.source = 'webhook') as is_told
        from torque.order_events e
        join torque.orders o
            on o.order_id = e.order_id
        where e.to_status is not null
            and e.outcome <> 'ignored'
            and e.source <> 'operator'
            and (o.created_at < o.first_seen_at - interval '1 day') is not true
        group by
            e.order_id,
            e.to_status
    ) as c
    group by c.day;
comment on view torque.webhook_coverage is
    'Of the statuses that orders came to have, how many a webhook told, and how many only polling'
    ' found.';
comment on column torque.webhook_coverage.day is
    'When it was first heard of, in UTC.';
comment on column torque.webhook_coverage.by_webhook is
    'Told by a webhook, before or after polling found it.';
comment on column torque.webhook_coverage.by_poll is
    'Found by polling alone.';
comment on column torque.webhook_coverage.percent is
    'The share of the webhooks.';

create or replace view torque.incomplete_windows as
    select
        w.window_id,
        w.kind,
        w.status,
        w.created_from,
        w.created_to,
        w.verdict,
        w.problem,
        w.tries,
        w.expected,
        w.seen,
        w.opened_at,
        w.not_before as next_try_at
    from torque.reconcile_window w
    where w.verdict = 'incomplete';
comment on view torque.incomplete_windows is
    'Spans of createdAt whose orders may not all be here: the API''s answers contradict each other'
    ' or what is known.';
comment on column torque.incomplete_windows.window_id is
    'Number of the window.';
comment on column torque.incomplete_windows.kind is
    'tail, open, audit or backfill.';
comment on column torque.incomplete_windows.status is
    'Only orders in this status were asked for; null: all.';
comment on column torque.incomplete_windows.created_from is
    'Orders made from then on,';
comment on column torque.incomplete_windows.created_to is
    'and before then.';
comment on column torque.incomplete_windows.verdict is
    'incomplete.';
comment on column torque.incomplete_windows.problem is
    'What was wrong with the last answer.';
comment on column torque.incomplete_windows.tries is
    'How many answers were wrong.';
comment on column torque.incomplete_windows.expected is
    'How many orders the API once said there are.';
comment on column torque.incomplete_windows.seen is
    'How many it once listed.';
comment on column torque.incomplete_windows.opened_at is
    'When the window was planned.';
comment on column torque.incomplete_windows.next_try_at is
    'When it is asked for again.';

-- However many orders a fault is about, it is one alarm.
create or replace view torque.reconcile_alarm as
    select
        a.alarm,
        count(*) filter (where a.cleared_at is null) as subjects,
        (array_agg(a.subject order by a.cleared_at desc, a.last_at desc))[1] as example,
        (array_agg(a.detail order by a.cleared_at desc, a.last_at desc))[1] as detail,
        coalesce(
            min(a.raised_at) filter (where a.cleared_at is null), max(a.raised_at)
        ) as raised_at,
        max(a.last_at) as last_at,
        sum(a.times) as times,
        case when bool_and(a.cleared_at is not null) then max(a.cleared_at) end as cleared_at
    from torque_internal.alarm a
    group by a.alarm;
comment on view torque.reconcile_alarm is
    'What somebody should look at, one row for each kind; torque.alarm_subjects has the orders and'
    ' sweeps that it is about.';
comment on column torque.reconcile_alarm.alarm is
    'blind (the newest orders have not been verified for ten times sweep_every), unreachable (the'
    ' API does not answer), floor (what is left of its limit is the merchant''s own), incomplete'
    ' (windows), unauthorized (the API refuses the key), refused (it refuses a request),'
    ' missing (orders that it does not know any more), unusable (orders of which it tells what'
    ' cannot be taken in), webhooks_silent, status_ignored (it does not filter by it), clock (ours'
    ' is more than a minute off the API''s or the database''s).';
comment on column torque.reconcile_alarm.subjects is
    'How many orders or sweeps it is about now.';
comment on column torque.reconcile_alarm.example is
    'The order or sweep that it was last seen at, or empty.';
comment on column torque.reconcile_alarm.detail is
    'One sentence about that one.';
comment on column torque.reconcile_alarm.raised_at is
    'Since when.';
comment on column torque.reconcile_alarm.last_at is
    'When it was last seen.';
comment on column torque.reconcile_alarm.times is
    'How often.';
comment on column torque.reconcile_alarm.cleared_at is
    'When it was over; null: it is not. A week later it is forgotten.';

create or replace view torque.alarm_subjects as
    select
        a.alarm,
        a.subject,
        a.detail,
        a.raised_at,
        a.last_at,
        a.times
    from torque_internal.alarm a
    where a.cleared_at is null;
comment on view torque.alarm_subjects is
    'The orders and sweeps that the alarms of torque.reconcile_alarm are about.';
comment on column torque.alarm_subjects.alarm is
    'The alarm.';
comment on column torque.alarm_subjects.subject is
    'The order, the sweep, or empty.';
comment on column torque.alarm_subjects.detail is
    'One sentence.';
comment on column torque.alarm_subjects.raised_at is
    'Since when.';
comment on column torque.alarm_subjects.last_at is
    'When it was last seen.';
comment on column torque.alarm_subjects.times is
    'How often.';

create or replace view torque.backfill_progress as
    select
        b.job_id,
        b.state,
        b.created_from,
        b.created_to,
        b.details,
        b.started_at,
        b.finished_at,
        w.windows_done,
        w.windows_known,
        w.orders,
        greatest(w.expected, w.orders) as orders_expected,
        w.pages,
        (
            select count(distinct d.order_id)
            from torque.drift d
            join torque.reconcile_window v
                on v.window_id = d.window_id
            where v.job_id = b.job_id
        ) as repaired
    from torque.backfill b
    cross join lateral (
        select
            count(*) filter (where v.verdict = 'verified') as windows_done,
            count(*) filter (where v.verdict <> 'split') as windows_known,
            -- Pages of a window that is not done yet count as well, and so does the very first,
            -- which may only have told how many more there are.
            greatest(
                sum(
                    case
                        when v.verdict = 'verified' then v.inside
                        when v.page_offset is not null then v.seen
                    end
                ) filter (where v.verdict <> 'split'),
                max(v.seen) filter (where v.parent_id is null and v.verified_at is null),
                0
            )::bigint as orders,
            coalesce(
                max(v.expected) filter (where v.parent_id is null),
                sum(v.expected) filter (where v.parent_id = v.root_id)
            )::bigint as expected,
            coalesce(sum(v.pages), 0)::bigint as pages
        from torque.reconcile_window v
        where v.job_id = b.job_id
    ) as w;
comment on view torque.backfill_progress is
    'How far the backfills are.';
comment on column torque.backfill_progress.job_id is
    'Number of the job.';
comment on column torque.backfill_progress.state is
    'running, cancelled, done or incomplete.';
comment on column torque.backfill_progress.created_from is
    'Orders made from then on,';
comment on column torque.backfill_progress.created_to is
    'and before then.';
comment on column torque.backfill_progress.details is
    'Each order without the lines of its cart is looked up too.';
comment on column torque.backfill_progress.started_at is
    'When it was asked for.';
comment on column torque.backfill_progress.finished_at is
    'When it ended; null: it has not.';
comment on column torque.backfill_progress.windows_done is
    'Windows verified.';
comment on column torque.backfill_progress.windows_known is
    'Windows known so far; those that turn out too long are divided into more.';
comment on column torque.backfill_progress.orders is
    'Orders in the verified windows, and on the pages read of those that are under way.';
comment on column torque.backfill_progress.orders_expected is
    'Orders in all, as far as the API has said.';
comment on column torque.backfill_progress.pages is
    'Answers read.';
comment on column torque.backfill_progress.repaired is
    'Orders that differed and that a webhook should have told of.';

create or replace view torque.stat_reconcile as
    select
        c.calls_last_minute,
        c.calls_last_hour,
        c.failed_last_hour,
        p.limited_at,
        (
            select coalesce(min(w.created_from), p.sweeps_known_to)
            from torque.reconcile_window w
            left join torque.backfill b
                on b.job_id = w.job_id
            where (w.kind = 'tail' or b.is_first_run)
                and w.parent_id is null
                and w.verified_at is null
        ) as watermark,
        (
            select count(*)
            from torque.reconcile_window w
            where w.verdict = 'open'
        ) as windows_open,
        (
            select count(*)
            from torque.reconcile_window w
            where w.verdict = 'incomplete'
        ) as windows_incomplete,
        (
            select count(*)
            from torque_internal.lookup l
            where l.due_at <= now()
        ) as lookups_due,
        (
            select max(s.next_at - s.started_at)
            from torque_internal.sweep s
            join torque.order_status t
                on t.status = s.status
                    and not t.is_final
        ) as open_every,
        (
            select count(*)
            from torque.drift d
            where d.is_settled
                and d.found_at > now() - interval '1 day'
        ) as drift_last_day,
        p.clock_offset,
        greatest(p.blocked_until, p.backing_off_until, p.floor_until) as waits_until,
        p.stopped_until is not null as is_stopped,
        array_remove(
            array[
                case when p.coarse_dates_at is not null then 'dates by the day' end,
                case when p.dates_ignored_at is not null then 'dates ignored' end,
                case when p.offset_ignored_at is not null then 'offset ignored' end,
                case when p.status_ignored_at is not null then 'status ignored' end,
                'pages of ' || p.page_cap
            ],
            null
        ) as manners
    from torque_internal.poller p
    cross join (
        select
            count(*) filter (where a.claimed_at > now() - interval '1 minute') as calls_last_minute,
            count(*) as calls_last_hour,
            count(*) filter (where a.http_status is distinct from 200 and a.answered_at is not null)
                as failed_last_hour
        from torque_internal.api_call a
        where a.claimed_at > now() - interval '1 hour'
    ) as c;
comment on view torque.stat_reconcile is
    'The poller''s work and standing, in one row.';
comment on column torque.stat_reconcile.calls_last_minute is
    'Calls of the API in the last minute.';
comment on column torque.stat_reconcile.calls_last_hour is
    'Calls of the API in the last hour.';
comment on column torque.stat_reconcile.failed_last_hour is
    'How many of them were not answered with 200.';
comment on column torque.stat_reconcile.limited_at is
    'When the API last said that there were too many; calls were halved then, and grow again.';
comment on column torque.stat_reconcile.watermark is
    'All orders made before then have been verified at least once.';
comment on column torque.stat_reconcile.windows_open is
    'Windows to be asked for.';
comment on column torque.stat_reconcile.windows_incomplete is
    'Windows of torque.incomplete_windows.';
comment on column torque.stat_reconcile.lookups_due is
    'Orders to be looked up now.';
comment on column torque.stat_reconcile.open_every is
    'How often open orders are swept; longer than configured when they are too many for the'
    ' budget.';
comment on column torque.stat_reconcile.drift_last_day is
    'Changes of the last day that no webhook told.';
comment on column torque.stat_reconcile.clock_offset is
    'By how much the API''s clock is ahead of ours, at least; negative: behind.';
comment on column torque.stat_reconcile.waits_until is
    'After failures, or because the API said so, nothing is asked before then.';
comment on column torque.stat_reconcile.is_stopped is
    'The API refuses the key.';
comment on column torque.stat_reconcile.manners is
    'What is learnt of how the API lists.';
