-- What the poller learns from the command line. Runs once, as torque_owner, and is never edited
-- after release.

set search_path = '';

-- It takes an order_id, too: see budget.sql.
drop function if exists torque.claim_call(text, text, timestamptz);

create table torque_internal.checkout_session (
    session_id text not null,
    expires_at timestamptz not null,
    constraint checkout_session_pkey
        primary key (session_id)
);
comment on table torque_internal.checkout_session is
    'Checkout sessions that orderd link began: an order still open is looked up when its own is'
    ' over.';
comment on column torque_internal.checkout_session.session_id is
    'The session, as the API calls it.';
comment on column torque_internal.checkout_session.expires_at is
    'When it is over; a week later it is forgotten here.';
