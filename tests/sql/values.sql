-- needs: orderd; beside: yes
-- What facts say, as it comes out in the orders: money, texts, lines, each field by itself.
begin;
select no_plan();

-- Digit for digit, in every place and by every way in.
create temporary table digits (sent text, kept text);
insert into digits
values
    ('29.99', '29.99'),
    ('100.10', '100.10'),
    ('-1', '-1'),
    ('-0.01', '-0.01'),
    ('0.123456789012345678901234567890', '0.123456789012345678901234567890'),
    ('12345678901234567890.5', '12345678901234567890.5'),
    ('999999999999999999999999999999.9999999999', '999999999999999999999999999999.9999999999'),
    ('0', '0'),
    ('0.00', '0.00'),
    ('-0', '0'),
    ('-0.00', '0.00'),
    ('9223372036854775808', '9223372036854775808'),
    ('1e3', '1000'),
    ('1.5E+2', '150'),
    ('2.50e1', '25.0'),
    ('1e-30', '0.000000000000000000000000000001'),
    ('1e29', '100000000000000000000000000000');
create function pg_temp.amounts(sent text)
returns jsonb
language sql
as $$
    select jsonb_build_object(
        'subtotal', sent, 'discounts', sent, 'shipping', sent, 'total', sent,
        'payment_amount', sent
    )
$$;
create function pg_temp.fact(of_order text, sent text)
returns torque_internal.fact
language plpgsql
as $$
declare
    f torque_internal.fact := told.fact(
        'webhook', of_order, 'order.created', 0, null, pg_temp.amounts(sent), null, null);
begin
    -- As the daemon writes it: the digits as sent, which jsonb would not keep.
    f.items := format('[{"price":%1$s,"total":%1$s}]', sent);
    f.items_hash := 1;
    return f;
end
$$;
select is(told.take(pg_temp.fact('one.' || sent, sent)), 'applied', sent || ' is an amount')
from digits;
select is(
    told.take_many('take_many', (
        select array_agg(pg_temp.fact('many.' || sent, sent)) from digits
    )),
    (select array_fill('applied'::text, array[count(*)::integer]) from digits),
    'of many facts, too');
select told.poll('lookup', 'fold.' || sent, 5, 'pending', pg_temp.amounts(sent)) from digits;
select told.take(pg_temp.fact('fold.' || sent, sent)) from digits;
select results_eq(
    format(
        $$select d.sent, o.subtotal::text, o.discounts::text, o.shipping::text, o.total::text,
                 o.payment_amount::text, i.price::text, i.total::text
          from digits d
          join torque.orders o on o.order_id = '%s.' || d.sent
          join torque.order_items i on i.order_id = o.order_id
          order by d.sent$$, way),
    'select sent, kept, kept, kept, kept, kept, kept, kept from digits order by sent',
    'and comes out digit for digit, in every place: ' || way)
from unnest(array['one', 'many', 'fold']) as way;
select results_eq(
    $$select d.sent, e.total::text, e.items -> 0 ->> 'price'
      from digits d
      join torque.order_events e on e.order_id = 'one.' || d.sent
      order by d.sent$$,
    'select sent, kept, sent from digits order by sent', 'in the history as well');

-- Lines.
select told.data('lines', '{"items": [
    {"product_id": "p1", "variant": "L", "quantity": 1.5, "price": 2, "total": 3,
     "metadata": {"n": 123456789012345678901234567890, "x": null}},
    {},
    {"product_id": "quo\"te", "quantity": -1}]}');
select results_eq(
    $$select line, product_id, variant, quantity, price, total, metadata::text
      from torque.order_items where order_id = 'lines' order by line$$,
    $$values
        (1, 'p1', 'L', 1.5, 2::numeric, 3::numeric,
         '{"n": 123456789012345678901234567890, "x": null}'),
        (2, null, null, null, null, null, null),
        (3, 'quo"te', null, -1, null, null, null)$$,
    'each line has what it says of itself, and its place');
select told.data('cart.empty', '{"items": []}');
select told.data('cart.none', '{}');
select results_eq(
    $$select has_details from torque.orders where order_id like 'cart.%' order by order_id$$,
    array[true, false], 'an empty cart is a cart');
create temporary table written as
select i.line, i.ctid as place
from torque.order_items i
where i.order_id = 'lines';
select told.hook('lines', 'order.paid', 10, null, (e.payload -> 'says')::jsonb)
from (select e.payload from torque.order_events e where e.order_id = 'lines') as e;
select set_eq(
    $$select line, ctid as place from torque.order_items where order_id = 'lines'$$,
    'select line, place from written', 'the same cart again writes no line');

-- Faults and assumptions stand beside the fact and cost it nothing.
select is(told.data('odd', '{"faults": ["total", "items.price"], "assumed": ["created_at"]}'),
    'applied', 'a fact with odd fields');
select is(faults || assumed, array['total', 'items.price', 'created_at'], 'names them')
from torque.order_events where order_id = 'odd';
select results_eq(
    $$select order_id collate "default", source, field, kind from torque.odd_values
      order by kind, field$$,
    $$values ('odd', 'webhook', 'created_at', 'assumed'),
        ('odd', 'webhook', 'items.price', 'fault'), ('odd', 'webhook', 'total', 'fault')$$,
    'a view tells each of them');
select is(
    (select e.order_id
     from torque.odd_values o
     join torque.order_events e
         using (order_id, event_key, received_at)
     where o.field = 'total'),
    'odd', 'and which fact it stands in');
create function pg_temp.plan(query text) returns setof text language plpgsql as $$
begin
    return query execute 'explain (costs off) ' || query;
end
$$;
set local enable_seqscan = off;
select is(
    (select count(*)
     from pg_temp.plan('select * from torque.odd_values where received_at > now()') as p (line)
     where p.line like '%order_events_odd_idx%'),
    1::bigint, 'from an index that has nothing else in it');
reset enable_seqscan;

-- Each field keeps the newest value that is one; a list row is older than any detail.
select told.hook('field', 'order.created', 0, null,
    '{"customer_email": "a", "customer_phone": "1", "total": 5, "items": [{}, {}]}');
select told.hook('field', 'order.paid', 10, null,
    '{"customer_email": "b", "items": [{"product_id": "p"}]}');
select told.poll('list', 'field', 20, 'processing',
    '{"customer_email": "c", "customer_last_name": "L", "total": 6, "currency": "USD"}');
select told.hook('field', 'order.x', 5, 'pending', '{"customer_phone": "2"}');
select results_eq(
    $$select customer_email, customer_phone, customer_last_name, total, currency
      from torque.orders where order_id = 'field'$$,
    $$values ('b', '2', 'L', 5::numeric, 'USD')$$,
    'each field keeps the newest value that is one');
select results_eq(
    $$select line, product_id from torque.order_items where order_id = 'field'$$,
    $$values (1, 'p')$$, 'and the lines are those of one cart');
select told.hook('field', 'order.completed', 30, null, '{"items": []}');
select is_empty($$select from torque.order_items where order_id = 'field'$$, 'be it empty');

-- Flags.
select told.data('sum', '{"session_id": "s1", "total": 5, "subtotal": 59.98,
    "items": [{"quantity": 2, "price": 29.99}], "payment_amount": 4}');
select told.data('sum.2', '{"session_id": "s1", "total": 1, "items": [{"total": 1.00}]}');
select told.data('sum.3', '{"total": 13, "discounts": 2, "shipping": 5, "items": [{"total": 10}]}');
select told.data('sum.4', '{"total": 10, "discounts": 2, "items": [{"total": 10}]}');
select told.data('sum.5', '{"total": -1}');
select results_eq(
    $$select order_id collate "default", suspicion from torque.suspect_orders
      where order_id like 'sum%'
      order by 1, 2$$,
    $$values ('sum', 'payment'), ('sum', 'session'), ('sum', 'total'), ('sum.2', 'session'),
        ('sum.4', 'total'), ('sum.5', 'negative')$$,
    'what does not add up, and shared sessions, are told');

select * from finish();
rollback;
