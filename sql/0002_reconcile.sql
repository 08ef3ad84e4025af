-- The tables of the poller. Runs once, as torque_owner, and is never edited after release.
--
-- What a walk has found out stands here and nowhere else: a poller that dies at any page is
-- continued by the next one.

set search_path = pg_catalog, pg_temp;

-- Jobs: the first run's, and those that somebody asked for.

create table torque.backfill (
    job_id bigint generated always as identity,
    created_from timestamptz not null,
    created_to timestamptz not null,
    details boolean not null,
    is_first_run boolean not null default false,
    details_from timestamptz,
    state text not null default 'running',
    started_at timestamptz not null,
    finished_at timestamptz,
    constraint backfill_pkey
        primary key (job_id),
    constraint backfill_created_check
        check (created_from < created_to),
    constraint backfill_state_check
        check (state in ('running', 'cancelled', 'done', 'incomplete'))
);
comment on table torque.backfill is
    'Walks through the API''s history: the first run''s, and those that somebody asked for;'
    ' torque.backfill_progress tells how far they are.';
comment on column torque.backfill.job_id is
    'Number of the job.';
comment on column torque.backfill.created_from is
    'Orders made from then on,';
comment on column torque.backfill.created_to is
    'and before then.';
comment on column torque.backfill.details is
    'Each order without the lines of its cart is looked up too.';
comment on column torque.backfill.is_first_run is
    'It has the history that was there when polling began, which nobody has to ask for.';
comment on column torque.backfill.details_from is
    'Orders made since then have been asked for one by one; null: none yet.';
comment on column torque.backfill.state is
    'running, cancelled (what was walked stays, and it can be taken up again), done, or incomplete:'
    ' some window could not be verified.';
comment on column torque.backfill.started_at is
    'When it was asked for.';
comment on column torque.backfill.finished_at is
    'When it was done, cancelled or given up; null: not yet.';

-- The certificate. A window is verified by an answer, or by pages of one, that the API itself says
-- to be all there is; anything else leaves it open, divides it, or is called by its name.
create table torque.reconcile_window (
    window_id bigint generated always as identity,
    root_id bigint not null,
    parent_id bigint,
    kind text not null,
    job_id bigint,
    status text,
    created_from timestamptz not null,
    created_to timestamptz not null,
    verdict text not null default 'open',
    expected bigint,
    seen bigint,
    inside bigint,
    as_of timestamptz,
    verified_at timestamptz,
    opened_at timestamptz not null,
    is_count boolean not null default false,
    below bigint,
    page_limit integer,
    pages integer not null default 0,
    tries integer not null default 0,
    not_before timestamptz,
    problem text,
    page_offset bigint,
    seam text[],
    constraint reconcile_window_pkey
        primary key (window_id),
    constraint reconcile_window_parent_id_fkey
        foreign key (parent_id)
        references torque.reconcile_window (window_id)
        on delete cascade,
    constraint reconcile_window_job_id_fkey
        foreign key (job_id)
        references torque.backfill (job_id)
        on delete cascade,
    constraint reconcile_window_kind_check
        check (kind in ('tail', 'open', 'audit', 'backfill')),
    constraint reconcile_window_created_check
        check (created_from < created_to),
    constraint reconcile_window_verdict_check
        check (verdict in ('open', 'verified', 'agreed', 'split', 'incomplete')),
    constraint reconcile_window_verified_check
        check (
            verdict <> 'verified'
            or expected = seen and as_of is not null and verified_at is not null
        )
);
comment on table torque.reconcile_window is
    'Spans of createdAt that a sweep covers, and how completely: the certificate that the orders of'
    ' a time are all here.';
comment on column torque.reconcile_window.window_id is
    'Number of the window.';
comment on column torque.reconcile_window.root_id is
    'The window that the sweep began with; itself, when it is that one.';
comment on column torque.reconcile_window.parent_id is
    'The window it is a part of; null: the sweep began with it.';
comment on column torque.reconcile_window.kind is
    'What it is for: tail (the newest orders), open (orders in one status), audit (old orders once'
    ' more) or backfill.';
comment on column torque.reconcile_window.job_id is
    'The backfill it belongs to.';
comment on column torque.reconcile_window.status is
    'Only orders in this status were asked for; null: all.';
comment on column torque.reconcile_window.created_from is
    'Orders made from then on,';
comment on column torque.reconcile_window.created_to is
    'and before then.';
comment on column torque.reconcile_window.verdict is
    'open (to be asked, or asked again), verified (the API said how many there are, and they are'
    ' here), split (into the windows whose parent it is), agreed (a count only: as many as'
    ' are known here) or incomplete (the API''s answers contradict each other or what is'
    ' known to exist: problem says how; tried again at not_before).';
comment on column torque.reconcile_window.expected is
    'How many orders the API says there are in the span asked for, which is some seconds wider.';
comment on column torque.reconcile_window.seen is
    'How many different orders it listed.';
comment on column torque.reconcile_window.inside is
    'How many of them were made within the window itself.';
comment on column torque.reconcile_window.as_of is
    'The start of the request (the first, of several) that the verdict rests on: what the API'
    ' listed then and still does is here.';
comment on column torque.reconcile_window.verified_at is
    'When it was verified; of a divided window, when the last of its parts was. Null: it is not.';
comment on column torque.reconcile_window.opened_at is
    'When it was planned.';
comment on column torque.reconcile_window.is_count is
    'As many orders as are known here are enough: they are not listed then.';
comment on column torque.reconcile_window.below is
    'It has fewer orders than this, or the API contradicts itself; null: no idea.';
comment on column torque.reconcile_window.page_limit is
    'So many rows are asked for at a time, since more were too much; null: as many as can be.';
comment on column torque.reconcile_window.pages is
    'How many answers it took so far.';
comment on column torque.reconcile_window.tries is
    'How many of its answers contradicted themselves, each other or what is known.';
comment on column torque.reconcile_window.not_before is
    'When to ask again; null: at once.';
comment on column torque.reconcile_window.problem is
    'What was wrong with the last bad answer: absent (orders that are known to exist are not in'
    ' it), not_taken (orders in it could not be taken in), row_without_id, row_twice,'
    ' no_created_at, no_total, no_order (rows in none), rows_missing and total_too_low (fewer or'
    ' more than it counts), has_more (it says so, and there are not), total_changed, seam (pages'
    ' share no row), no_seam (pages of one row share none), offset_ignored, short_pages,'
    ' other_status, out_of_span (the filters let others through), grown (a part has as many as the'
    ' whole), parts_missing (the parts have fewer), empty, endless, malformed, refused or'
    ' not_found.';
comment on column torque.reconcile_window.page_offset is
    'Book-keeping of a window that is read page by page: the next offset; null: it is not.';
comment on column torque.reconcile_window.seam is
    'Book-keeping: the ids of the page before; the next one must have one of them.';

create index reconcile_window_open_idx
    on torque.reconcile_window (kind, created_to)
    where verdict in ('open', 'incomplete');
create index reconcile_window_parent_id_idx
    on torque.reconcile_window (parent_id);
create index reconcile_window_root_id_idx
    on torque.reconcile_window (root_id);
create index reconcile_window_job_id_idx
    on torque.reconcile_window (job_id)
    where job_id is not null;
create index reconcile_window_verified_to_idx
    on torque.reconcile_window (least(created_to, opened_at))
    where parent_id is null and status is null and verified_at is not null;
create index reconcile_window_divided_idx
    on torque.reconcile_window (verified_at)
    where parent_id is null and verdict = 'split' and status is null;
create index reconcile_window_status_idx
    on torque.reconcile_window (status, window_id)
    where kind = 'open' and parent_id is null;
create index reconcile_window_verified_idx
    on torque.reconcile_window (as_of)
    where verdict = 'verified';

-- What the pages of a window that is being read page by page have shown so far.
create table torque_internal.paged_order (
    -- The window.
    window_id bigint not null,
    -- An order that it listed.
    order_id text collate "C" not null,
    -- It was made within the window itself; null: the API does not say when.
    is_inside boolean,
    constraint paged_order_pkey
        primary key (window_id, order_id),
    constraint paged_order_window_id_fkey
        foreign key (window_id)
        references torque.reconcile_window (window_id)
        on delete cascade
);

-- What polling found that no webhook had told.

create table torque.drift (
    order_id text collate "C" not null,
    found_at timestamptz not null,
    field text not null,
    found_by text not null,
    window_id bigint,
    was text,
    api_says text,
    last_webhook_at timestamptz,
    is_settled boolean not null default false,
    repaired_at timestamptz,
    repaired_by text,
    constraint drift_pkey
        primary key (order_id, found_at, field),
    constraint drift_field_check
        check (field in ('order', 'status', 'total', 'currency', 'item_count', 'email')),
    constraint drift_found_by_check
        check (found_by in ('list', 'lookup')),
    constraint drift_repaired_by_check
        check (repaired_by in ('list', 'lookup', 'webhook'))
);
comment on table torque.drift is
    'What polling found that no webhook had told, and how it was repaired.';
comment on column torque.drift.order_id is
    'The order.';
comment on column torque.drift.found_at is
    'When the answer that showed it was asked for.';
comment on column torque.drift.field is
    'What differed; order: it was not known at all.';
comment on column torque.drift.found_by is
    'list or lookup.';
comment on column torque.drift.window_id is
    'The window whose answer showed it, which may have been tidied away since.';
comment on column torque.drift.was is
    'The value here.';
comment on column torque.drift.api_says is
    'The API''s value.';
comment on column torque.drift.last_webhook_at is
    'When a webhook of the order had last arrived; null: never.';
comment on column torque.drift.is_settled is
    'The time in which a webhook may still come is over, and none told it. Rows that a webhook told'
    ' in time go away.';
comment on column torque.drift.repaired_at is
    'When the order here came to be as the API says; null: it is not.';
comment on column torque.drift.repaired_by is
    'The source of the fact that did it.';

create index drift_found_at_idx
    on torque.drift (found_at);
create index drift_window_id_idx
    on torque.drift (window_id)
    where window_id is not null;
create index drift_unsettled_idx
    on torque.drift (found_at)
    where not is_settled;
create index drift_unrepaired_idx
    on torque.drift (order_id)
    where repaired_at is null;

create table torque.missing_order (
    order_id text collate "C" not null,
    missing_since timestamptz not null,
    constraint missing_order_pkey
        primary key (order_id)
);
comment on table torque.missing_order is
    'Orders that the API, asked twice and an hour apart, does not know any more. Nothing is deleted'
    ' here; they are only not waited for.';
comment on column torque.missing_order.order_id is
    'The order.';
comment on column torque.missing_order.missing_since is
    'When the API first did not know it.';

-- The machine room.

-- What somebody should look at, once for each thing that it is about; torque.reconcile_alarm has
-- one row for each kind. What is over is forgotten after a week.
create table torque_internal.alarm (
    -- Its kind.
    alarm text not null,
    -- The sweep, the order, or empty.
    subject text not null,
    -- Since when.
    raised_at timestamptz not null,
    -- When it was last seen.
    last_at timestamptz not null,
    -- How often.
    times integer not null default 1,
    -- One sentence.
    detail text,
    -- When it was over; null: it is not.
    cleared_at timestamptz,
    constraint alarm_pkey
        primary key (alarm, subject),
    constraint alarm_alarm_check
        check (alarm in (
            'blind', 'unreachable', 'floor', 'incomplete', 'unauthorized', 'refused', 'missing',
            'unusable', 'webhooks_silent', 'status_ignored', 'clock'
        ))
);
create index alarm_open_idx
    on torque_internal.alarm (alarm, last_at)
    where cleared_at is null;

-- The poller's standing with the API, and what is learnt of its manners, which is forgotten after a
-- day. One row.
create table torque_internal.poller (
    -- Keeps a second row out.
    only_row boolean not null default true,
    -- When the very first call was planned.
    polls_since timestamptz,
    -- When old book-keeping was last thrown away.
    tidied_at timestamptz,
    -- When the last call was planned.
    planned_at timestamptz,
    -- Facts of transactions before this one have been looked at for orders to verify.
    followed_xid xid8,
    -- How many webhooks an hour had come of late.
    webhooks_per_hour double precision,
    -- When that was so.
    webhooks_at timestamptz,
    -- Up to where the tail was last swept.
    sweeps_known_to timestamptz,
    -- By how much the API's clock is ahead of ours, at least; negative: behind.
    clock_offset interval not null default '0',
    -- The clock of the host that called last, when its uptime was last looked at,
    uptime_at timestamptz,
    -- and that uptime.
    uptime_ms bigint,
    -- Calls a minute left to us by the last 429, and one more each minute since; null: all of them.
    allowance integer,
    -- When the last 429 came.
    limited_at timestamptz,
    -- The API said to wait till then; everybody does.
    blocked_until timestamptz,
    -- Till then what is left of the API's limit is the merchant's own; operators may use it.
    floor_until timestamptz,
    -- The API's own limit, as it told it last; null: it does not.
    rate_limit integer,
    -- Since when each answer has said that no more is left than that; null: the last did not.
    floor_since timestamptz,
    -- Calls that failed since the last that did not.
    failures integer not null default 0,
    -- After failures nobody but an operator calls before then.
    backing_off_until timestamptz,
    -- What the poller last asked with: a fingerprint, keyed by the API's key, of its address. A
    -- refusal is of that; null: nobody has said.
    access text,
    -- How often the API has refused the key since it last took it.
    refusals integer not null default 0,
    -- The API refuses the key: one careful try then, nothing before. Null: it takes it.
    stopped_until timestamptz,
    -- When it was seen that filters by date mean whole days; null: they do not.
    coarse_dates_at timestamptz,
    -- When it was seen that filters by date are ignored; null: they are not.
    dates_ignored_at timestamptz,
    -- When it was seen that every offset brings the same page; null: it does not.
    offset_ignored_at timestamptz,
    -- When it was seen that the filter by status is ignored; null: it is not.
    status_ignored_at timestamptz,
    -- The most rows on a page, when that is fewer than we ask for.
    page_cap integer,
    -- When that was seen.
    page_cap_at timestamptz,
    constraint poller_pkey
        primary key (only_row),
    constraint poller_only_row_check
        check (only_row)
);

insert into torque_internal.poller default values;

-- Whose orders these are: at which API, and of which business there. One row; none before anybody
-- has polled.
create table torque_internal.shop (
    -- Keeps a second row out.
    only_row boolean not null default true,
    -- The API.
    base_url text not null,
    -- The business; null: no poller has named one.
    business_id text,
    constraint shop_pkey
        primary key (only_row),
    constraint shop_only_row_check
        check (only_row)
);

-- Calls to the API of the last day. Its budget is counted from these rows.
create table torque_internal.api_call (
    -- Number of the call.
    call_id bigint generated always as identity,
    -- On whose account.
    priority text not null,
    -- list, lookup, or the verb of the command line.
    purpose text not null,
    -- When its place in the budget was taken; the request goes out after that.
    claimed_at timestamptz not null,
    -- When it was over. Null: under way, or its process died.
    answered_at timestamptz,
    -- What became of it, in a word.
    outcome text,
    -- The status of the answer; null: none came, or none to be believed.
    http_status integer,
    -- The window it asked for.
    window_id bigint,
    -- The order it looked up.
    order_id text,
    -- The limit it asked with.
    page_limit integer,
    -- The offset it asked with.
    page_offset bigint,
    -- The span of createdAt it asked for.
    asked_from timestamptz,
    -- The span of createdAt it asked for.
    asked_to timestamptz,
    constraint api_call_pkey
        primary key (call_id),
    constraint api_call_priority_check
        check (priority in (
            'operator', 'verify', 'tail', 'open', 'silence', 'details', 'audit', 'backfill'
        ))
);
create index api_call_claimed_at_idx
    on torque_internal.api_call (claimed_at);

-- Orders to be looked up one by one.
create table torque_internal.lookup (
    -- The order.
    order_id text collate "C" not null,
    -- On whose account.
    priority text not null,
    -- When.
    due_at timestamptz not null,
    -- Since when; only an answer asked for later will do.
    wanted_at timestamptz not null,
    -- How many lookups did not settle it.
    tries integer not null default 0,
    -- When the API first did not know the order.
    not_found_at timestamptz,
    constraint lookup_pkey
        primary key (order_id),
    constraint lookup_priority_check
        check (priority in ('operator', 'verify', 'silence', 'details', 'backfill'))
);
create index lookup_due_at_idx
    on torque_internal.lookup (priority, due_at);

-- Orders known to exist that a list which should have them did not show.
create table torque_internal.unlisted (
    -- The order.
    order_id text collate "C" not null,
    -- When that was first seen.
    absent_since timestamptz not null,
    -- When a lookup, asked for later, told how the order stands: lists are believed without it from
    -- then on.
    explained_at timestamptz,
    constraint unlisted_pkey
        primary key (order_id)
);

-- When each kind of sweep ran last, and when it is due again.
create table torque_internal.sweep (
    -- tail, open, audit_near, audit_far, or silence: the search for open orders to be looked up.
    kind text not null,
    -- The status that is asked for; empty: all.
    status text not null,
    -- When it last began.
    started_at timestamptz not null,
    -- When it is due again.
    next_at timestamptz not null,
    -- How many calls it last took.
    pages integer not null default 0,
    constraint sweep_pkey
        primary key (kind, status)
);

comment on sequence torque.backfill_job_id_seq is
    'Numbers the jobs.';
comment on sequence torque.reconcile_window_window_id_seq is
    'Numbers the windows.';

-- Checkout sessions that orderd link began: an order still open is looked up when its own is over.
create table torque_internal.checkout_session (
    -- The session, as the API calls it.
    session_id text not null,
    -- When it is over; a week later it is forgotten here.
    expires_at timestamptz not null,
    constraint checkout_session_pkey
        primary key (session_id)
);
