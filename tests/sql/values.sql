-- needs: orderd; beside: yes
-- What is read from a payload: money, quantities, currencies, times, texts.
begin;
select no_plan();

-- Digit for digit.
create temporary table digits (sent text, kept text);
insert into digits
values
    ('29.99', '29.99'),
    ('100.10', '100.10'),
    ('0.123456789012345678', '0.123456789012345678'),
    ('12345678901234567890.5', '12345678901234567890.5'),
    ('99999999999999999999.999999999999999999', '99999999999999999999.999999999999999999'),
    ('0', '0'),
    ('0.00', '0.00'),
    ('-0', '0'),
    ('-0.00', '0.00'),
    ('9223372036854775807', '9223372036854775807'),
    ('9223372036854775808', '9223372036854775808'),
    ('18446744073709551616', '18446744073709551616'),
    ('1e3', '1000'),
    ('1.5E+2', '150'),
    ('1e-18', '0.000000000000000001'),
    ('1e19', '10000000000000000000');
select is(
    told.data('digits.' || sent, format(
        '{"cart": {"subtotal": %1$s, "total": %1$s, "items": [{"price": %1$s, "total": %1$s}]},
          "payment": {"amount": %1$s}}', sent)),
    'applied', sent || ' is an amount')
from digits
where sent !~ '\+';
select results_eq(
    $$select d.sent, o.subtotal::text, o.total::text, o.payment_amount::text, i.price::text,
             i.total::text
      from digits d
      join torque.orders o on o.order_id = 'digits.' || d.sent
      join torque.order_items i on i.order_id = o.order_id
      order by d.sent$$,
    $$select sent, kept, kept, kept, kept, kept from digits where sent !~ '\+' order by sent$$,
    'and comes out digit for digit, in every place');
select is(torque_internal.money(sent)::text, kept, sent || ' is money as a text, too') from digits;

-- Refused amounts, in every place where one may stand.
create temporary table refused (what text, sent text);
insert into refused
values
    ('1e400', '1e400'),
    ('an underflow', '1e-400'),
    ('a small underflow', '1e-19'),
    ('21 digits', '123456789012345678901'),
    ('19 digits of a fraction', '0.1234567890123456789'),
    ('a large exponent', '1e20'),
    ('a negative amount', '-1'),
    ('nearly nothing, negative', '-0.01'),
    ('a string', '"59.98"'),
    ('an empty string', '""'),
    ('true', 'true'),
    ('null', 'null'),
    ('an array', '[]'),
    ('an object', '{}');
create temporary table place (name text, data text);
insert into place
values
    ('subtotal', '{"cart": {"subtotal": %s}}'),
    ('total', '{"cart": {"total": %s}}'),
    ('price', '{"cart": {"items": [{"price": 1}, {"price": %s}]}}'),
    ('line total', '{"cart": {"items": [{"total": %s}]}}'),
    ('payment', '{"payment": {"amount": %s}}');
select is(
    told.data('refused', format(p.data, r.sent)), 'quarantined', r.what || ' as ' || p.name)
from refused r
cross join place p;
select is(
    told.hook('refused', 'order.paid', 0, 'paid', format('{"id": "refused", "amount": %s}', r.sent),
        'evt_1'),
    'quarantined', r.what || ' as the second form''s amount')
from refused r;
select is(told.data('refused', '{"cart": {"total": 1e131071}}'), 'quarantined', '1e131071');
select is_empty($$select from torque.orders where order_id = 'refused'$$, 'none made an order');
select is_empty($$select from torque.order_events where order_id = 'refused'$$, 'none is a fact');
select is(count(*), 85::bigint, 'all are kept')
from torque.quarantine where reason in ('bad_amount', 'amount_is_text');
select is(convert_from(body, 'UTF8'),
    '{"event": "order.created", "timestamp": 0, "data": {"cart": {"total": -1}}}', 'byte for byte')
from torque.quarantine where body like '%"total": -1}}}';
select is(told.data('refused', '{"cart": {"total": -1}}'), 'quarantined', 'a refused fact again');
select is(deliveries, 2, 'is counted') from torque.quarantine where body like '%"total": -1}}}';
set local orderd.string_amounts = 'on';
select is(told.data('text', '{"cart": {"total": "59.98"}}'), 'applied', 'a string, by a setting');
select is(total, 59.98, 'is an amount') from torque.orders where order_id = 'text';
select is(told.data('text.2', '{"cart": {"total": "5.", "subtotal": "1"}}'), 'quarantined',
    'but not every string');
reset orderd.string_amounts;
select is(told.data('meta',
    '{"cart": {"items": [{"metadata": {"n": 123456789012345678901234567890, "x": null}}]}}'),
    'applied', 'numbers in metadata are nobody''s business');

-- Quantities.
select is(told.data('pieces.' || n, format('{"cart": {"items": [{"quantity": %s}]}}', n)),
    'applied', n || ' pieces')
from unnest(array['1', '2.0', '2e0', '1000000000']) as n;
select is(told.data('pieces', format('{"cart": {"items": [{"quantity": %s}]}}', n)),
    'quarantined', n || ' pieces are refused')
from unnest(array['0', '-1', '1.5', '1000000000000', '1000000001', '"1"', 'null', 'true', '[]'])
    as n;
select is(told.data('pieces', format('{"cart": {"itemCount": %s}}', n)), 'quarantined',
    n || ' as itemCount is refused')
from unnest(array['-1', '1.5', '"1"', '1e10']) as n;
select told.data('count.1', '{"cart": {"items": [{"quantity": 2}, {"quantity": 3}, {}]}}');
select told.data('count.2', '{"cart": {"itemCount": 9, "items": [{"quantity": 2}]}}');
select told.data('count.3', '{"cart": {"itemCount": null, "items": []}}');
select results_eq(
    $$select item_count from torque.orders where order_id like 'count.%' order by order_id$$,
    array[5, 9, 0]::bigint[],
    'pieces are counted as the cart counts them, else by its lines');

-- Currencies.
select is(told.data('money.' || c, format('{"cart": {"currency": %s}}', to_json(c))),
    'applied', c || ' is a currency')
from unnest(array['USD', 'USDC', 'USDCX']) as c;
select is(told.data('money', format('{"cart": {"currency": %s}}', to_json(c))), 'quarantined',
    left(to_json(c)::text, 8) || ' is none')
from unnest(array['usd', 'US', 'USDXYZ', '', ' USD', E'USD\n', '😀😀😀', repeat('X', 1024), '840'])
    as c;
select is(told.hook('money', 'order.paid', 0, null, '{"id": "money", "currency": "eur"}', 'evt_1'),
    'quarantined', 'nor in the second form');
select is(told.data('money.null', '{"cart": {"currency": null}}'), 'applied', 'null is no claim');

-- Times.
create temporary table stamps (sent text, kept timestamptz);
insert into stamps
values
    ('2024-01-15T10:00:00Z', '2024-01-15 10:00:00+00'),
    ('2024-01-31t10:00:00z', '2024-01-31 10:00:00+00'),
    ('2024-02-29T10:00:00Z', '2024-02-29 10:00:00+00'),
    ('2023-02-29T10:00:00Z', null),
    ('2024-02-30T10:00:00Z', null),
    ('2024-04-31T10:00:00Z', null),
    ('2024-13-01T10:00:00Z', null),
    ('2024-01-15T24:00:00Z', null),
    ('2024-01-15T10:60:00Z', null),
    ('2024-01-15T10:00:61Z', null),
    ('2016-12-31T23:59:60Z', '2017-01-01 00:00:00+00'),
    ('2016-12-31T18:59:60.5-05:00', '2017-01-01 00:00:00.5+00'),
    ('2016-12-30T23:59:60Z', null),
    ('2024-01-15T10:00:00.1234567891234Z', '2024-01-15 10:00:00.123456+00'),
    ('2024-01-15T10:00:00.9999999Z', '2024-01-15 10:00:00.999999+00'),
    ('2024-01-15T10:00:00.5+05:30', '2024-01-15 04:30:00.5+00'),
    ('2024-01-15T10:00:00+23:59', '2024-01-14 10:01:00+00'),
    ('2024-01-15T10:00:00-00:00', '2024-01-15 10:00:00+00'),
    ('2024-01-15T10:00:00+25:00', null),
    ('2024-01-15T10:00:00+0530', null),
    ('2024-01-15T10:00:00', null),
    ('2024-01-15', null),
    ('2024-01-15 10:00:00Z', null),
    ('2024-01-15T10:00:00,5Z', null),
    ('2000-01-01T00:00:00Z', '2000-01-01 00:00:00+00'),
    ('1999-12-31T23:59:59Z', null),
    ('1999-12-31T23:59:59-01:00', '2000-01-01 00:59:59+00'),
    ('2100-12-31T23:59:59.999999Z', '2100-12-31 23:59:59.999999+00'),
    ('2101-01-01T00:00:00Z', null),
    ('2101-01-01T00:30:00+01:00', '2100-12-31 23:30:00+00'),
    ('0000-01-01T00:00:00Z', null),
    ('9999-01-01T00:00:00Z', null),
    ('10000-01-01T00:00:00Z', null),
    ('-001-01-01T00:00:00Z', null),
    ('294277-01-01T00:00:00Z', null),
    ('now', null),
    ('infinity', null),
    ('epoch', null),
    ('1640995200', null),
    ('2024-01-15T10:00:00Z ', null),
    ('', null),
    (null, null);
select is(torque_internal.stamp(sent), kept, coalesce('"' || sent || '"', 'null') || ' as a time')
from stamps;

-- Texts and shapes.
select told.data('text.3', $${
    "businessId": "b1", "sessionId": 5, "cancellationReason": {"a": 1},
    "customerData": {"email": "", "firstName": "{x", "lastName": ["a"], "phone": true,
        "address": {"city": "Graz"}, "preferences": {"newsletter": true}}}$$);
select results_eq(
    $$select business_id, session_id, cancellation_reason, customer_email, customer_first_name,
             customer_last_name, customer_phone, customer_address
      from torque.orders where order_id = 'text.3'$$,
    $$values ('b1', '5', null, '', '{x', null, 'true', '{"city": "Graz"}'::jsonb)$$,
    'a scalar is a text, an object or an array is none');
select is(told.data('shape.' || n, format(
        '{"customerData": %1$s, "cart": %1$s, "payment": %1$s}', s)),
    'applied', s || ' in the place of an object is passed over')
from unnest(array['"total"', '5', 'null', '["amount"]', 'true']) with ordinality as u(s, n);
select told.data('shape.items', '{"cart": {"items": [{"quantity": 1}, 5], "total": 7}}');
select is(row(total, item_count, has_details)::text, '(7,,f)',
    'lines of a wrong shape are no lines')
from torque.orders where order_id = 'shape.items';
select is(told.data('many', format('{"customerData": {%s}}',
    (select string_agg(format('"k%s": 1', n), ', ') from generate_series(1, 1000) as n))),
    'applied', 'a thousand fields are none that we know');
select told.hook('second', 'order.paid', 0, 'paid', $${
    "id": "second", "amount": 59.98, "currency": "EUR",
    "customer": {"email": "a@example.com", "firstName": "A", "lastName": "B", "phone": "1"},
    "customerData": {"email": "c@example.com"}, "cart": {"currency": "USD"}}$$, 'evt_2');
select results_eq(
    $$select total, currency, customer_email, customer_first_name, customer_phone
      from torque.orders where order_id = 'second'$$,
    $$values (59.98, 'USD', 'c@example.com', 'A', '1')$$,
    'the second form is read, and the first form''s names win');
select told.hook('first', 'order.paid', 0, 'paid',
    '{"amount": 1, "currency": "EUR", "customer": {"email": "a"}}');
select results_eq(
    $$select total, currency, customer_email from torque.orders where order_id = 'first'$$,
    $$values (null::numeric, null::text, null::text)$$,
    'the second form''s names mean nothing in the first');
select is(told.poll('lookup', 'poll', 0, 'pending', '{"cart": {"total": -1}}'), 'quarantined',
    'polled money is no other');
select is(told.poll('lookup', 'poll', 0, null, '{"status": 5}'), 'quarantined',
    'nor is a status that is no word');

-- Each field keeps the newest value that is one; a list row is older than any detail.
select told.hook('field', 'order.created', 0, null,
    '{"customerData": {"email": "a", "phone": "1"}, "cart": {"total": 5, "items": [{}, {}]}}');
select told.hook('field', 'order.paid', 10, null,
    '{"customerData": {"email": "b"}, "cart": {"items": [{"productId": "p"}]}}');
select told.poll('list', 'field', 20, 'processing',
    '{"customerData": {"email": "c", "lastName": "L"}, "cart": {"total": 6, "currency": "USD"}}');
select told.hook('field', 'order.x', 5, 'pending', '{"customerData": {"phone": "2"}}');
select results_eq(
    $$select customer_email, customer_phone, customer_last_name, total, currency
      from torque.orders where order_id = 'field'$$,
    $$values ('b', '2', 'L', 5::numeric, 'USD')$$,
    'each field keeps the newest value that is one');
select results_eq(
    $$select line, product_id from torque.order_items where order_id = 'field'$$,
    $$values (1, 'p')$$, 'and the lines are those of one cart');
select told.hook('field', 'order.completed', 30, null, '{"cart": {"items": []}}');
select is_empty($$select from torque.order_items where order_id = 'field'$$, 'be it empty');
select told.hook('made', 'order.created', 7);
select is(created_at, told.at(7), 'the event of its making dates an order that does not say')
from torque.orders where order_id = 'made';

-- Flags.
select told.data('sum', '{"sessionId": "s1",
    "cart": {"total": 5, "subtotal": 59.98, "items": [{"quantity": 2, "price": 29.99}]},
    "payment": {"amount": 4}}');
select told.data('sum.2', '{"sessionId": "s1", "cart": {"total": 1, "items": [{"total": 1.00}]}}');
select results_eq(
    $$select order_id, suspicion from torque.suspect_orders where order_id like 'sum%'
      order by 1, 2$$,
    $$values ('sum', 'payment'), ('sum', 'session'), ('sum', 'total'), ('sum.2', 'session')$$,
    'what does not add up, and shared sessions, are told');

select is(told.data(id, '{}'), 'quarantined', 'not an order id: ' || left(to_json(id)::text, 16))
from unnest(array['', 'a b', 'a/b', 'a?b', '../x', 'ä', 'а', 'a''b', E'a\n', repeat('x', 129)])
    as id;
select is(told.data(id, '{}'), 'applied', 'an order id: ' || left(id, 16))
from unnest(array['a', 'A', '-', 'a.b:c_d-e', repeat('x', 128)]) as id;

select * from finish();
rollback;
