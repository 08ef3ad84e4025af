-- Who may do what with the poller. To be run after grants.sql, or to become a part of it.

set search_path = pg_catalog, pg_temp;

grant execute
    on function
        torque.claim_call(text, text, text, timestamptz, bigint),
        torque.call_ended(bigint, timestamptz, integer, integer, timestamptz, integer),
        torque.call_dropped(bigint, timestamptz),
        torque.access_is(text),
        torque.rate_limit_told(integer),
        torque.poll_for,
        torque.reconcile_next(timestamptz, bigint),
        torque.reconcile_page,
        torque.reconcile_lookup,
        torque.reconcile_failed(
            bigint, timestamptz, timestamptz, text, integer, integer, integer, timestamptz, text
        ),
        torque.order_cancelled,
        torque.resync(text),
        torque.link_made(text, timestamptz),
        torque.backfill_start(timestamptz, timestamptz, boolean, timestamptz),
        torque.backfill_resume(bigint),
        torque.backfill_cancel(bigint, timestamptz),
        torque.backfill_waits_for(bigint)
    to orderd;
grant select
    on torque.backfill_progress, torque.stat_reconcile
    to orderd;

grant execute
    on function
        torque.resync(text),
        torque.backfill_start(timestamptz, timestamptz, boolean, timestamptz),
        torque.backfill_resume(bigint),
        torque.backfill_cancel(bigint, timestamptz),
        torque.backfill_waits_for(bigint)
    to torque_operator;

-- Windows and alarms tell nothing about a person; a drift of an e-mail keeps no value.
grant select
    on
        torque.reconcile_window,
        torque.reconcile_alarm,
        torque.alarm_subjects,
        torque.drift,
        torque.drift_open,
        torque.missing_order,
        torque.backfill,
        torque.backfill_progress,
        torque.incomplete_windows,
        torque.webhook_coverage,
        torque.stat_reconcile
    to torque_analyst;
