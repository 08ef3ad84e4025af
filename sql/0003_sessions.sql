-- What the poller learns from the command line, and one more alarm. Runs once, as torque_owner, and
-- is never edited after release.

set search_path = pg_catalog, pg_temp;

-- It takes an order_id, too: see budget.sql.
drop function if exists torque.claim_call(text, text, timestamptz);

-- Checkout sessions that orderd link began: an order still open is looked up when its own is over.
create table torque_internal.checkout_session (
    -- The session, as the API calls it.
    session_id text not null,
    -- When it is over; a week later it is forgotten here.
    expires_at timestamptz not null,
    constraint checkout_session_pkey
        primary key (session_id)
);

alter table torque.reconcile_alarm
    drop constraint reconcile_alarm_alarm_check;
alter table torque.reconcile_alarm
    add constraint reconcile_alarm_alarm_check
        check (alarm in (
            'incomplete', 'suspicious', 'unauthorized', 'refused', 'missing', 'unusable',
            'webhooks_silent', 'status_ignored'
        ));
comment on column torque.reconcile_alarm.alarm is
    'incomplete, suspicious (windows), unauthorized (the API refuses the key), refused (it refuses'
    ' a request), missing (orders that it does not know any more), unusable (orders of which it'
    ' tells what cannot be taken in), webhooks_silent, status_ignored (it does not filter by it).';
