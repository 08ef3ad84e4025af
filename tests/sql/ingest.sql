-- needs: orderd; beside: yes
-- Batches: one outcome a fact, in their order, and no fact's misfortune is another's.
begin;
select no_plan();

create temporary table offer (
    n integer, of_order text, type text, word text, at integer, says jsonb default '{}'
);
create function pg_temp.take(door text)
returns text[]
language plpgsql
as $$
declare
    outcomes text[] := told.take_many(door, (
        select array_agg(
            told.fact('webhook', o.of_order, o.type, o.at, o.word, o.says, null, null) order by o.n
        )
        from offer as o
    ));
begin
    delete from offer;
    return outcomes;
end
$$;

insert into offer
values
    (1, 'new', 'order.created', null, 0, '{}'),
    (2, 'known.kind', 'shop.opened', null, 0, '{}'),
    (3, 'old', 'order.completed', null, 20, '{}'),
    (4, 'odd', 'order.paid', null, 0, '{"faults": ["total"]}'),
    (5, 'orderd-test.1', 'order.paid', null, 0, '{}'),
    (6, 'word', 'order.x', 'wat', 0, '{}');
select is(pg_temp.take('take_many'), array['applied', 'ignored', 'applied', 'applied', 'recorded',
    'applied'], 'one outcome a fact, in their order');
insert into offer
values
    (1, 'new', 'order.created', null, 0),
    (2, 'new', 'order.paid', null, 10),
    (3, 'old', 'order.paid', null, 10),
    (4, 'old', 'order.x', 'pending', 30),
    (5, 'new', 'order.paid', null, 10),
    (6, 'two', 'order.completed', null, 10),
    (7, 'two', 'order.created', null, 0);
update offer set n = 2 where n = 5;
select is(pg_temp.take('take_many'), array['duplicate', 'applied', 'duplicate', 'recorded', 'held',
    'applied', 'applied'], 'several facts of an order, repeats among them, in one batch');
select is(told.course('new') || ', ' || told.course('old') || ', ' || told.course('two'),
    'processing at 10, completed at 20 held 1 ask 32, completed at 10', 'end in its row');
select is(sum(deliveries), 4::bigint, 'and repeats are counted in a batch, too')
from torque.order_events where order_id = 'new';
select is(told.take_many('take_many', '{}'), '{}', 'nothing comes of nothing');

-- What is thought of a fact is written beside it.
select results_eq(
    $$select event_type, outcome, from_status, to_status, reason
      from torque.order_events where order_id = 'old' order by occurred_at$$,
    $$values
        ('order.paid', 'recorded', 'completed', 'processing', 'late'),
        ('order.completed', 'applied', null, 'completed', null),
        ('order.x', 'held', 'completed', 'pending', 'anomaly')$$,
    'each fact tells what it did');
select is(recorded_xid, pg_current_xact_id(), 'and the transaction that recorded it')
from torque.order_events where order_id = 'two' limit 1;

-- Fact by fact.
alter table torque.orders add constraint planted_check
    check (order_id !~ '^poison');
insert into offer
select
    n,
    case when n in (1, 32, 64) then 'poison.' else 'well.' end || n,
    'order.paid',
    null,
    n
from generate_series(1, 64) as n;
select throws_ok($$select pg_temp.take('take_many')$$, '23514', null,
    'an objection of the database fails a batch');
select is(outcomes, (
        select array_agg(
            case when n in (1, 32, 64) then 'quarantined' else 'applied' end order by n)
        from generate_series(1, 64) as n
    ), 'fact by fact only what it objects to is put aside')
from pg_temp.take('take_each') as outcomes;
select is(count(*), 61::bigint, 'all others are there') from torque.orders
where order_id like 'well.%';
select is_empty($$select from torque.order_events where order_id like 'poison%'$$,
    'the objects are no facts');
select is(array_agg(distinct reason), array['database_23514'], 'but kept, with the reason')
from torque.quarantine where reason like 'database%';
-- What the receiver could not use.
select torque.ingest_unusable(
    array[sha256('a'), sha256('b'), sha256('a')],
    array['bad_json', 'no_order_id', 'bad_json'],
    array[told.at(10), told.at(11), told.at(12)],
    array['\x00ff'::bytea, 'b', '\x00ff']
);
select torque.ingest_unusable(
    array[sha256('a')], array['other'], array[told.at(5)], array['\x00ff'::bytea]);
select results_eq(
    $$select reason, received_at, deliveries, body from torque.quarantine
      where body_key in (sha256('a'), sha256('b')) order by body$$,
    $$values ('bad_json', told.at(5), 3, '\x00ff'::bytea), ('no_order_id', told.at(11), 1, 'b')$$,
    'unusable bodies are kept byte for byte, and counted');

-- Payloads are evidence: once they are gone, what comes later makes of an order what it would have
-- made of it before.
select told.hook('whole', 'order.paid', 10, 'processing', '{"total": 100.10, "currency": "EUR",
    "items": [{"product_id": "p", "quantity": 2, "price": 50.05}], "item_count": 2}');
select told.hook('pruned', 'order.paid', 10, 'processing', '{"total": 100.10, "currency": "EUR",
    "items": [{"product_id": "p", "quantity": 2, "price": 50.05}], "item_count": 2}');
update torque.order_events set payload = null where order_id = 'pruned';
select is(told.hook(o, 'order.created', 0, 'pending', '{"session_id": "s"}'), 'recorded',
    'a late fact of an order, ' || o)
from unnest(array['whole', 'pruned']) as o;
select is(
    to_jsonb(p) - 'order_id' - 'last_changed_at',
    to_jsonb(w) - 'order_id' - 'last_changed_at',
    'changes as much when the payloads are gone')
from torque.orders p, torque.orders w
where p.order_id = 'pruned' and w.order_id = 'whole';
select is(total::text || ' ' || session_id, '100.10 s', 'and no more')
from torque.orders where order_id = 'pruned';
select results_eq(
    $$select line, product_id, quantity, price from torque.order_items where order_id = 'pruned'$$,
    $$values (1, 'p', 2::numeric, 50.05)$$, 'nor of the lines');
select is(told.hook('pruned', 'order.created', 0, 'pending', '{"session_id": "s"}'), 'duplicate',
    'a repeat is still known');

-- The open orders are those of torque.orders.
select set_eq(
    'select order_id from torque_internal.open_order',
    'select order_id from torque.orders where is_open', 'the open ones are listed');

-- What merchants add to the tables is theirs.
alter table torque.orders add column note text default 'mine';
alter table torque.order_items add column note text default 'mine';
alter table torque.order_events add column note text default 'mine';
select is(told.hook('wide', 'order.created', 0, null, '{"items": [{"product_id": "p"}]}'),
    'applied', 'columns of a merchant are in nobody''s way: not of take()');
update torque.orders set note = 'kept' where order_id = 'wide';
insert into offer
select 1, 'wide', 'order.paid', null, 10
union all
select n, 'wide.' || n, 'order.paid', null, 10 from generate_series(2, 5) as n;
select is(pg_temp.take('take_many'), array_fill('applied'::text, array[5]), 'nor of take_many()');
select is(told.hook('wide', 'order.x', 5, 'pending'), 'recorded', 'nor of the fold');
select is(note, 'kept', 'and stay as they are') from torque.orders where order_id = 'wide';

-- A cap on the facts of an order.
insert into torque.order_events (
    order_id, event_key, source, claimed_status, occurred_at, received_at, outcome)
select 'many', sha256(n::text::bytea), 'webhook', 'pending', told.at(0), told.at(0), 'recorded'
from generate_series(1, 10000) as n;
insert into offer values (1, 'many', 'order.paid', null, 0);
select is(pg_temp.take('take_many'), array['quarantined'], 'the facts of an order have a limit');

select is(version, 2, 'the state of the schema') from torque.schema_state();
select is(sources, (
        select encode(sha256(convert_to(string_agg(
            name || ' ' || encode(sha256, 'hex') || e'\n', '' order by name collate "C"), 'UTF8')),
            'hex')
        from torque_internal.migration
        where name !~ '^[0-9]'
    ), 'is made of its files')
from torque.schema_state();

select * from finish();
rollback;
