-- needs: orderd; beside: yes
-- Batches: one outcome a fact, in their order, and no fact's misfortune is another's.
begin;
select no_plan();

-- A batch in columns, as the receiver hands it over; word: null, or the status that is claimed.
create temporary table offer (
    n integer, of_order text, type text, word text, at integer, data text default '{}'
);
create function pg_temp.take(how text)
returns text[]
language plpgsql
as $$
declare
    outcomes text[];
begin
    execute format(
        'select torque.%I(
            array_agg(o.of_order order by o.n),
            array_agg(sha256(convert_to(o::text, ''UTF8'')) order by o.n),
            array_agg(null::text),
            array_agg(o.type order by o.n),
            array_agg(o.word order by o.n),
            array_agg(told.at(o.at) order by o.n),
            array_agg(told.at(o.at + 1) order by o.n),
            array_agg(format(''{"event": "x", "data": %%s}'', o.data)::json order by o.n)
        ) from offer as o', how) into outcomes;
    delete from offer;
    return outcomes;
end
$$;

insert into offer
values
    (1, 'new', 'order.created', null, 0, '{}'),
    (2, 'known.kind', 'shop.opened', null, 0, '{}'),
    (3, 'old', 'order.completed', null, 20, '{}'),
    (4, 'bad', 'order.paid', null, 0, '{"cart": {"total": -1}}'),
    (5, 'orderd-test.1', 'order.paid', null, 0, '{}'),
    (6, 'word', 'order.x', 'wat', 0, '{}');
select is(pg_temp.take('ingest'), array['applied', 'ignored', 'applied', 'quarantined', 'recorded',
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
select is(pg_temp.take('ingest'), array['duplicate', 'applied', 'duplicate', 'recorded', 'held',
    'applied', 'applied'], 'several facts of an order, repeats among them, in one batch');
select is(told.course('new') || ', ' || told.course('old') || ', ' || told.course('two'),
    'processing at 10, completed at 20 held 1 ask 32, completed at 10', 'end in its row');
select is(sum(deliveries), 4::bigint, 'and repeats are counted in a batch, too')
from torque.order_events where order_id = 'new';
select is(torque.ingest('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'), '{}',
    'nothing comes of nothing');
select is(pg_temp.take('ingest'), null, 'nor of null');

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
select throws_ok($$select pg_temp.take('ingest')$$, '23514', null,
    'an objection of the database fails a batch');
select is(outcomes, (
        select array_agg(
            case when n in (1, 32, 64) then 'quarantined' else 'applied' end order by n)
        from generate_series(1, 64) as n
    ), 'fact by fact only what it objects to is put aside')
from pg_temp.take('ingest_each') as outcomes;
select is(count(*), 61::bigint, 'all others are there') from torque.orders
where order_id like 'well.%';
select is_empty($$select from torque.order_events where order_id like 'poison%'$$,
    'the objects are no facts');
select is(array_agg(distinct reason), array['database_23514'], 'but kept, with the reason')
from torque.quarantine where reason like 'database%';
insert into offer values (1, 'numeric', 'order.paid', null, 0, '{"x": 1e-99999}');
select is(pg_temp.take('ingest_each'), array['quarantined'], 'so is what cannot be read at all');

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

-- A cap on the facts of an order.
insert into torque.order_events (
    order_id, event_key, source, claimed_status, occurred_at, received_at, outcome)
select 'many', sha256(n::text::bytea), 'webhook', 'pending', told.at(0), told.at(0), 'recorded'
from generate_series(1, 10000) as n;
insert into offer values (1, 'many', 'order.paid', null, 0);
select is(pg_temp.take('ingest'), array['quarantined'], 'the facts of an order have a limit');

select is(version, 3, 'the state of the schema') from torque.schema_state();
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
