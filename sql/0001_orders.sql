-- The tables. Runs once, as torque_owner, and is never edited after release; until the first one it
-- is, and orderd migrate refuses a database that ran another text of it.
--
-- torque is the product: what people query and the few functions they may call.
-- torque_internal is the machine room: nobody but the functions of torque goes there.

set search_path = pg_catalog, pg_temp;

create schema torque;
comment on schema torque is
    'Orders of Torque Checkout, kept by orderd: start with torque.orders.';

create schema torque_internal;
comment on schema torque_internal is
    'How orderd works inside. Nothing here is a promise; query schema torque.';

-- What was installed.

-- The SQL files this database has, one row a file.
create table torque_internal.migration (
    -- File name. A numbered file runs once; a named one is replaced on every migrate.
    name text not null,
    -- SHA-256 of the file as it was run.
    sha256 bytea not null,
    -- When it was run, last.
    applied_at timestamptz not null default now(),
    -- The version of orderd that brought it.
    version text not null,
    constraint migration_pkey
        primary key (name),
    constraint migration_sha256_check
        check (octet_length(sha256) = 32)
);

-- What the named files have made, one row an object.
create table torque_internal.made (
    -- type, function, aggregate, trigger or view.
    kind text not null,
    -- Name, with the types of its arguments or its table.
    name text not null,
    -- SHA-256 of the statement that made it.
    sha256 bytea not null,
    -- What it was like then, by torque_internal.definition().
    definition text not null,
    constraint made_pkey
        primary key (kind, name)
);

-- What grants.sql and its like have granted.
create table torque_internal.granted (
    -- The statement.
    statement text not null,
    constraint granted_pkey
        primary key (statement)
);

-- The rules, as data. A merchant may edit these four tables; orderd never overwrites an edit, as
-- their rows are only ever inserted, here and by later numbered files.

create table torque.order_status (
    status text not null,
    rank integer not null,
    is_final boolean not null,
    counts_as_revenue boolean not null,
    stuck_after interval,
    description text not null,
    constraint order_status_pkey
        primary key (status),
    constraint order_status_status_check
        check (status <> '' and status <> 'unknown'),
    constraint order_status_rank_check
        check (rank > 0)
);
comment on table torque.order_status is
    'The statuses an order can have. Data: a new word of the provider becomes a row here.';
comment on column torque.order_status.status is 'The word, as the provider writes it.';
comment on column torque.order_status.rank is
    'Of two facts of the same instant the one with the higher rank is the later one.';
comment on column torque.order_status.is_final is
    'An order in this status is not waited for: it leaves the open orders.';
comment on column torque.order_status.counts_as_revenue is
    'Money for an order in this status is in, and is not going back.';
comment on column torque.order_status.stuck_after is
    'An order longer than this in the status deserves a look; null: never.';
comment on column torque.order_status.description is 'The meaning in one sentence.';

insert into torque.order_status (
    status, rank, is_final, counts_as_revenue, stuck_after, description
)
values
    ('pending', 1, false, false, '1 day', 'Order created, awaiting payment.'),
    ('processing', 2, false, true, '7 days', 'Payment received, order being processed.'),
    ('completed', 3, true, true, null, 'Order successfully completed.'),
    ('cancelled', 4, true, false, null, 'Order cancelled by business or customer.'),
    ('refunded', 5, true, false, null, 'Order refunded to customer.');

create table torque.status_alias (
    alias text not null,
    status text not null,
    constraint status_alias_pkey
        primary key (alias),
    constraint status_alias_status_fkey
        foreign key (status)
        references torque.order_status (status)
        on update cascade
);
comment on table torque.status_alias is
    'Other words for a status, in lower case: so claimed words are compared. Spaces matter.';
comment on column torque.status_alias.alias is 'The word that is claimed.';
comment on column torque.status_alias.status is 'The status it means.';

insert into torque.status_alias (alias, status)
values
    ('paid', 'processing'),
    ('canceled', 'cancelled');

create table torque.status_move (
    from_status text not null,
    to_status text not null,
    class text not null,
    constraint status_move_pkey
        primary key (from_status, to_status),
    constraint status_move_from_status_fkey
        foreign key (from_status)
        references torque.order_status (status)
        on update cascade,
    constraint status_move_to_status_fkey
        foreign key (to_status)
        references torque.order_status (status)
        on update cascade,
    constraint status_move_from_to_check
        check (from_status <> to_status),
    constraint status_move_class_check
        check (class in ('documented', 'skipped', 'plausible', 'anomaly'))
);
comment on table torque.status_move is
    'What becomes of an order in one status when a newer fact says another. No row: anomaly.';
comment on column torque.status_move.from_status is 'The status the order is in.';
comment on column torque.status_move.to_status is 'The status the fact claims.';
comment on column torque.status_move.class is
    'documented, skipped (a fact between was lost): moves. plausible: moves, and the API is asked.'
    ' anomaly: the fact is held, the order stays, and the API is asked.';

insert into torque.status_move (from_status, to_status, class)
values
    ('pending', 'processing', 'documented'),
    ('processing', 'completed', 'documented'),
    ('pending', 'cancelled', 'documented'),
    ('cancelled', 'refunded', 'documented'),
    ('pending', 'completed', 'skipped'),
    ('pending', 'refunded', 'skipped'),
    ('processing', 'cancelled', 'plausible'),
    ('processing', 'refunded', 'plausible'),
    ('completed', 'refunded', 'plausible'),
    ('completed', 'cancelled', 'plausible'),
    ('completed', 'processing', 'anomaly'),
    ('completed', 'pending', 'anomaly'),
    ('processing', 'pending', 'anomaly'),
    ('cancelled', 'pending', 'anomaly'),
    ('cancelled', 'processing', 'anomaly'),
    ('cancelled', 'completed', 'anomaly'),
    ('refunded', 'pending', 'anomaly'),
    ('refunded', 'processing', 'anomaly'),
    ('refunded', 'completed', 'anomaly'),
    ('refunded', 'cancelled', 'anomaly');

create table torque.event_status (
    event_type text not null,
    status text,
    asks_lookup boolean not null default false,
    description text not null,
    constraint event_status_pkey
        primary key (event_type),
    constraint event_status_status_fkey
        foreign key (status)
        references torque.order_status (status)
        on update cascade
);
comment on table torque.event_status is
    'What the name of a webhook''s event says. An event without a row here that claims no status is'
    ' kept and ignored.';
comment on column torque.event_status.event_type is 'The event''s name, as sent.';
comment on column torque.event_status.status is
    'The status of an order after it, for webhooks that claim none; null: it says nothing of it.';
comment on column torque.event_status.asks_lookup is
    'After such an event the API is asked how the order stands.';
comment on column torque.event_status.description is 'The meaning in one sentence.';

insert into torque.event_status (event_type, status, asks_lookup, description)
values
    ('order.created', 'pending', false, 'A checkout was turned into an order.'),
    ('order.paid', 'processing', false, 'The payment has arrived.'),
    ('order.completed', 'completed', false, 'The order was carried out.'),
    ('order.cancelled', 'cancelled', false, 'The order was called off.'),
    ('order.refunded', 'refunded', false, 'The money went back. Documented nowhere, yet sent.'),
    ('payment.failed', null, true, 'A payment did not go through; the order may still be paid.');

-- The rules in force, once more in the form in which they are looked up. One row.
create table torque_internal.rules (
    -- Keeps a second row out.
    only_row boolean not null default true,
    -- Grows with every edit of the rules; a row of orders made under another version is folded anew
    -- before it takes the next fact.
    version integer not null,
    -- The fold that the version counts from, as fold.sql numbers it.
    fold integer not null,
    -- Status by word, aliases included.
    words jsonb not null,
    -- is_final by status.
    finals jsonb not null,
    -- status and asks_lookup by the name of an event.
    events jsonb not null,
    -- Class by status from which, and to which.
    moves jsonb not null,
    -- After an edit of the rules all orders are folded anew, in the order of their ids and some at
    -- a time: up to which that is done; null: there is nothing to do.
    refolded_to text,
    -- Some were left out on the way, as another session had them: once more, then.
    refold_again boolean not null default false,
    constraint rules_pkey
        primary key (only_row),
    constraint rules_only_row_check
        check (only_row)
);

insert into torque_internal.rules (version, fold, words, finals, events, moves)
values
    (0, 1, '{}', '{}', '{}', '{}');

-- The product.

-- Columns that later facts change are in no index and in no index's predicate, and half of each
-- page is left free: the updates of an order stay within its page (HOT). Which orders are open is
-- therefore also a table of its own, torque_internal.open_order.
create table torque.orders (
    order_id text collate "C" not null,
    business_id text,
    session_id text,
    status text not null,
    status_at timestamptz,
    raw_status text,
    created_at timestamptz,
    updated_at timestamptz,
    pending_at timestamptz,
    processing_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    refunded_at timestamptz,
    cancellation_reason text,
    customer_email text,
    customer_first_name text,
    customer_last_name text,
    customer_phone text,
    customer_address json,
    currency text,
    subtotal numeric,
    discounts numeric,
    shipping numeric,
    total numeric,
    item_count bigint,
    payment_method text,
    payment_transaction_id text,
    payment_amount numeric,
    payment_status text,
    has_details boolean not null,
    is_open boolean not null,
    held_facts integer not null,
    verify_after timestamptz,
    first_seen_at timestamptz not null,
    last_changed_at timestamptz not null,
    last_confirmed_at timestamptz,
    newest_as_of timestamptz not null,
    items_hash bigint,
    rules_version integer not null,
    constraint orders_pkey
        primary key (order_id)
)
with (fillfactor = 50);
comment on table torque.orders is
    'The orders, one row each: what all facts about an order, whatever their order of arrival, add'
    ' up to.';
comment on column torque.orders.order_id is 'The provider''s id of the order.';
comment on column torque.orders.business_id is 'The provider''s id of the business.';
comment on column torque.orders.session_id is
    'The checkout session it came from. Should be its own; torque.suspect_orders tells where not.';
comment on column torque.orders.status is
    'A status of torque.order_status, or unknown while no fact has said one of them.';
comment on column torque.orders.status_at is 'Since when, by the provider''s clock.';
comment on column torque.orders.raw_status is
    'The newest word for the status, when it is one that orderd does not know; else null.';
comment on column torque.orders.created_at is 'When the order was made, by the provider.';
comment on column torque.orders.updated_at is
    'When the provider last changed it, as far as it said so.';
comment on column torque.orders.pending_at is 'When it became pending; null when no fact said so.';
comment on column torque.orders.processing_at is
    'When it became processing, that is paid; null when no fact said so.';
comment on column torque.orders.completed_at is
    'When it became completed; null when no fact said so.';
comment on column torque.orders.cancelled_at is
    'When it became cancelled; null when no fact said so.';
comment on column torque.orders.refunded_at is
    'When it became refunded; null when no fact said so.';
comment on column torque.orders.cancellation_reason is
    'Why it was cancelled, in the words of who did it.';
comment on column torque.orders.customer_email is 'Personal data.';
comment on column torque.orders.customer_first_name is 'Personal data.';
comment on column torque.orders.customer_last_name is 'Personal data.';
comment on column torque.orders.customer_phone is 'Personal data.';
comment on column torque.orders.customer_address is
    'Personal data, as sent: street, city, state, postalCode, country.';
comment on column torque.orders.currency is 'Of all amounts of the order, three to five capitals.';
comment on column torque.orders.subtotal is 'Digit for digit as sent.';
comment on column torque.orders.discounts is 'Digit for digit as sent: what was taken off.';
comment on column torque.orders.shipping is 'Digit for digit as sent.';
comment on column torque.orders.total is
    'Digit for digit as sent; nobody has checked that it is the sum of the lines, see'
    ' torque.suspect_orders.';
comment on column torque.orders.item_count is 'Pieces: as sent, else the sum of the quantities.';
comment on column torque.orders.payment_method is 'As sent.';
comment on column torque.orders.payment_transaction_id is 'As sent.';
comment on column torque.orders.payment_amount is 'Digit for digit as sent.';
comment on column torque.orders.payment_status is
    'The provider''s word for the payment, not for the order.';
comment on column torque.orders.has_details is 'Some fact has told the lines of the cart.';
comment on column torque.orders.is_open is 'The status is not final: more is to come.';
comment on column torque.orders.held_facts is
    'Facts that contradict the order''s course and were not believed.';
comment on column torque.orders.verify_after is
    'When to ask the API how the order stands; null: no reason to.';
comment on column torque.orders.first_seen_at is 'When orderd first heard of it.';
comment on column torque.orders.last_changed_at is
    'When this row last changed in anything but its book-keeping.';
comment on column torque.orders.last_confirmed_at is
    'When the API was last asked for this very order and answered.';
comment on column torque.orders.newest_as_of is
    'Internal: the newest instant any fact of it speaks of.';
comment on column torque.orders.items_hash is
    'Internal: of the cart from which torque.order_items was written.';
comment on column torque.orders.rules_version is
    'Internal: the rules under which this row was made.';

create index orders_created_at_idx
    on torque.orders (created_at);

-- The orders that are open. A row is written when an order opens and deleted when it closes; no
-- fact between changes it.
create table torque_internal.open_order (
    order_id text collate "C" not null,
    constraint open_order_pkey
        primary key (order_id)
);

-- No foreign key to torque.orders: for each line it would look for the order, and lock it, which
-- costs more than the line. Both are written by the same functions, in one transaction.
create table torque.order_items (
    order_id text collate "C" not null,
    line integer not null,
    product_id text,
    variant text,
    quantity numeric,
    price numeric,
    total numeric,
    metadata json,
    constraint order_items_pkey
        primary key (order_id, line),
    constraint order_items_line_check
        check (line > 0)
);
comment on table torque.order_items is 'The lines of the orders'' carts.';
comment on column torque.order_items.order_id is 'The order.';
comment on column torque.order_items.line is 'Place in the cart, from 1.';
comment on column torque.order_items.product_id is 'The provider''s id of the product.';
comment on column torque.order_items.variant is 'Size, colour and the like, as sent.';
comment on column torque.order_items.quantity is 'Pieces.';
comment on column torque.order_items.price is 'Of one piece, digit for digit as sent.';
comment on column torque.order_items.total is 'Of the line, digit for digit as sent.';
comment on column torque.order_items.metadata is 'What else the shop keeps with the line, as sent.';

-- The key begins with the order: it finds duplicates, gathers the facts of an order and could
-- divide the table, all in one index. json, not jsonb: the exact text stays, and it is cheaper.
-- No checks: every statement reads them anew, and six of them took longer than the rest of the
-- insert. Nobody but the functions may write here, and they look at what they write.
--
-- What a fact says is in its columns, and orders are folded from them alone: the payload is
-- evidence, and may be null.
create table torque.order_events (
    order_id text collate "C" not null,
    event_key bytea not null,
    source text not null,
    event_id text,
    event_type text,
    claimed_status text,
    occurred_at timestamptz,
    received_at timestamptz not null,
    deliveries integer not null default 1,
    outcome text not null,
    from_status text,
    to_status text,
    reason text,
    business_id text,
    session_id text,
    created_at timestamptz,
    updated_at timestamptz,
    cancelled_at timestamptz,
    cancellation_reason text,
    customer_email text,
    customer_first_name text,
    customer_last_name text,
    customer_phone text,
    customer_address json,
    currency text,
    subtotal numeric,
    discounts numeric,
    shipping numeric,
    total numeric,
    item_count bigint,
    items json,
    payment_method text,
    payment_transaction_id text,
    payment_amount numeric,
    payment_status text,
    faults text[],
    assumed text[],
    payload json,
    items_hash bigint,
    recorded_xid xid8 not null default pg_current_xact_id(),
    constraint order_events_pkey
        primary key (order_id, event_key)
);
comment on table torque.order_events is
    'Every fact about every order, refused ones too; never deleted, and only the count of its'
    ' deliveries and its times ever change.';
comment on column torque.order_events.order_id is 'The order it speaks of.';
comment on column torque.order_events.event_key is
    'SHA-256 of a webhook''s body; of source and content of a polled fact.';
comment on column torque.order_events.source is
    'webhook, list (a row of list-orders), lookup (order-status) or operator (the answer to a'
    ' cancellation).';
comment on column torque.order_events.event_id is
    'The provider''s id of the event, where its form has one.';
comment on column torque.order_events.event_type is 'The name of a webhook''s event.';
comment on column torque.order_events.claimed_status is
    'The word for the order''s status in the fact itself, as sent; null: none.';
comment on column torque.order_events.occurred_at is
    'When it happened, says the provider; null: it did not say. Of a polled fact: when the last'
    ' request that brought it was sent.';
comment on column torque.order_events.received_at is 'When it first reached the receiver.';
comment on column torque.order_events.deliveries is 'How often it came.';
comment on column torque.order_events.outcome is
    'What it did on arrival: applied, recorded (true, but nothing moved), held or ignored.';
comment on column torque.order_events.from_status is
    'The order''s status before it arrived; null when it was not known.';
comment on column torque.order_events.to_status is
    'The status it speaks of; null when none is known.';
comment on column torque.order_events.reason is
    'Why it did not move the order, in a word; null when it did.';
comment on column torque.order_events.business_id is
    'What it says of the order, here and below; null: nothing, or nothing that can be used.';
comment on column torque.order_events.session_id is 'The checkout session.';
comment on column torque.order_events.created_at is 'When the order was made.';
comment on column torque.order_events.updated_at is 'When the provider last changed it.';
comment on column torque.order_events.cancelled_at is 'When it was cancelled.';
comment on column torque.order_events.cancellation_reason is
    'Why it was cancelled, in the words of who did it.';
comment on column torque.order_events.customer_email is 'Personal data.';
comment on column torque.order_events.customer_first_name is 'Personal data.';
comment on column torque.order_events.customer_last_name is 'Personal data.';
comment on column torque.order_events.customer_phone is 'Personal data.';
comment on column torque.order_events.customer_address is 'Personal data, as sent.';
comment on column torque.order_events.currency is 'Of its amounts.';
comment on column torque.order_events.subtotal is 'Digit for digit as sent.';
comment on column torque.order_events.discounts is 'Digit for digit as sent.';
comment on column torque.order_events.shipping is 'Digit for digit as sent.';
comment on column torque.order_events.total is 'Digit for digit as sent.';
comment on column torque.order_events.item_count is
    'Pieces: as sent, else the sum of the quantities.';
comment on column torque.order_events.items is
    'The lines of the cart: product_id, variant, quantity, price, total, metadata of each, as'
    ' far as they can be used.';
comment on column torque.order_events.payment_method is 'As sent.';
comment on column torque.order_events.payment_transaction_id is 'As sent.';
comment on column torque.order_events.payment_amount is 'Digit for digit as sent.';
comment on column torque.order_events.payment_status is 'The provider''s word for the payment.';
comment on column torque.order_events.faults is
    'What in it could not be used and is unknown therefore; null: nothing.';
comment on column torque.order_events.assumed is
    'What in it was read with an assumption, such as a time without a zone; null: nothing.';
comment on column torque.order_events.payload is
    'The text as it came, the evidence; null when it was put away. May hold what jsonb refuses, as'
    ' \u0000.';
comment on column torque.order_events.items_hash is 'Internal: of items.';
comment on column torque.order_events.recorded_xid is
    'Internal: the transaction that recorded it, for readers who follow the table.';

-- For the change feed: rows become visible in another order than they are numbered in, and only
-- transaction ids say up to where a reader has seen them all.
create index order_events_recorded_xid_idx
    on torque.order_events (recorded_xid);

-- For torque.odd_values: no fact without an odd value is in it, and its time does not change.
create index order_events_odd_idx
    on torque.order_events (received_at)
    where faults is not null or assumed is not null;

create table torque.quarantine (
    body_key bytea not null,
    reason text not null,
    received_at timestamptz not null,
    deliveries integer not null default 1,
    body bytea not null,
    constraint quarantine_pkey
        primary key (body_key),
    constraint quarantine_body_key_check
        check (octet_length(body_key) = 32),
    constraint quarantine_deliveries_check
        check (deliveries > 0)
);
comment on table torque.quarantine is 'Genuine bodies that could not be used, byte for byte.';
comment on column torque.quarantine.body_key is 'SHA-256 of the body.';
comment on column torque.quarantine.reason is 'Why, in a word.';
comment on column torque.quarantine.received_at is 'When it first reached the receiver.';
comment on column torque.quarantine.deliveries is 'How often it came.';
comment on column torque.quarantine.body is 'The bytes. May hold personal data.';
create index quarantine_received_at_idx
    on torque.quarantine (received_at);
