-- needs: orderd; beside: yes
-- The course of an order: moves, ties, the base, asking, words.
begin;
select no_plan();

-- Every pair of statuses, each as the first and the second fact of an order of its own, 10 s apart:
-- told in that order, which is the short way, and told the other way round, which is a fold.
create temporary table pair as
select
    f.status as a,
    t.status as b,
    told.hook('i.' || f.status || '.' || t.status, 'order.x', 0, f.status) as first_word,
    told.hook('i.' || f.status || '.' || t.status, 'order.x', 10, t.status) as second_word,
    told.hook('r.' || f.status || '.' || t.status, 'order.x', 10, t.status) as late_first,
    told.hook('r.' || f.status || '.' || t.status, 'order.x', 0, f.status) as late_second
from torque.order_status f
cross join torque.order_status t;

select results_eq(
    $$select a, b, second_word, told.course('i.' || a || '.' || b) from pair order by a, b$$,
    $$values
        ('cancelled', 'cancelled', 'recorded', 'cancelled at 0'),
        ('cancelled', 'completed', 'held', 'cancelled at 0 held 1 ask 12'),
        ('cancelled', 'pending', 'held', 'cancelled at 0 held 1 ask 12'),
        ('cancelled', 'processing', 'held', 'cancelled at 0 held 1 ask 12'),
        ('cancelled', 'refunded', 'applied', 'refunded at 10'),
        ('completed', 'cancelled', 'applied', 'cancelled at 10 ask 12'),
        ('completed', 'completed', 'recorded', 'completed at 0'),
        ('completed', 'pending', 'held', 'completed at 0 held 1 ask 12'),
        ('completed', 'processing', 'held', 'completed at 0 held 1 ask 12'),
        ('completed', 'refunded', 'applied', 'refunded at 10 ask 12'),
        ('pending', 'cancelled', 'applied', 'cancelled at 10'),
        ('pending', 'completed', 'applied', 'completed at 10'),
        ('pending', 'pending', 'recorded', 'pending at 0'),
        ('pending', 'processing', 'applied', 'processing at 10'),
        ('pending', 'refunded', 'applied', 'refunded at 10'),
        ('processing', 'cancelled', 'applied', 'cancelled at 10 ask 12'),
        ('processing', 'completed', 'applied', 'completed at 10'),
        ('processing', 'pending', 'held', 'processing at 0 held 1 ask 12'),
        ('processing', 'processing', 'recorded', 'processing at 0'),
        ('processing', 'refunded', 'applied', 'refunded at 10 ask 12'),
        ('refunded', 'cancelled', 'held', 'refunded at 0 held 1 ask 12'),
        ('refunded', 'completed', 'held', 'refunded at 0 held 1 ask 12'),
        ('refunded', 'pending', 'held', 'refunded at 0 held 1 ask 12'),
        ('refunded', 'processing', 'held', 'refunded at 0 held 1 ask 12'),
        ('refunded', 'refunded', 'recorded', 'refunded at 0')
    $$,
    'each move does what its class says'
);
select is_empty(
    $$select a, b from pair
      where told.course('i.' || a || '.' || b)
          is distinct from told.course('r.' || a || '.' || b)$$,
    'the other order of arrival ends in the same row'
);
select is(count(*), 25::bigint, 'all pairs were told') from pair;
select set_eq('select distinct first_word from pair', array['applied'],
    'the first fact of an order is applied');

-- Ties.
select told.hook('tie', 'order.paid', 5);
select told.hook('tie', 'order.created', 5);
select is(told.course('tie'), 'processing at 5', 'of one instant the higher rank is the later');
select is(pending_at, told.at(5), 'and the lower one was before it')
from torque.orders where order_id = 'tie';

-- Time.
select is(told.hook('ahead', 'order.created', 3600, null, '{}', null, 0), 'applied', 'a webhook');
select is(status_at, told.at(60), 'dated ahead counts as a minute after its receipt at most')
from torque.orders where order_id = 'ahead';
select is(told.hook('ahead', 'order.paid', 120), 'applied', 'and freezes nothing');

-- The base.
select told.hook('base', 'order.created', 0);
select told.hook('base', 'order.completed', 20);
select is(told.poll('lookup', 'base', 100, 'processing', '{"updated_at": "2026-03-01T12:00:30Z"}'),
    'applied', 'a lookup is believed against every older fact');
select is(told.course('base'), 'processing at 30', 'its status counts, and dates from updatedAt');
select is(told.hook('base', 'order.cancelled', 50), 'recorded', 'what is older moves nothing');
select is(told.course('base'), 'processing at 30', 'nothing at all');
select is(cancelled_at, told.at(50), 'but dates what it speaks of')
from torque.orders where order_id = 'base';
select is(told.hook('base', 'order.completed', 101), 'applied', 'what is newer moves it');
select is(told.poll('lookup', 'base', 90, 'pending'), 'recorded',
    'an older lookup that comes late is no base');
select is(told.course('base'), 'completed at 101', 'nor does it move anything');
select is(last_confirmed_at, told.at(100), 'the newest lookup is what confirms')
from torque.orders where order_id = 'base';
select is(told.poll('lookup', 'base', 200, 'wat'), 'recorded', 'a lookup without a known status');
select is(told.course('base'), 'completed at 101 raw wat', 'is no base, and shows its word');

-- Five seconds before the base, and a move ahead of it.
select told.poll('lookup', 'five', 100, 'pending');
select told.hook('five', 'order.paid', 94, null, '{}', null, 101);
select is(told.course('five'), 'pending at 100', 'six seconds before the base nobody asks');
select told.hook('five', 'order.paid', 95, null, '{}', null, 101);
select is(told.course('five'), 'pending at 100 ask 102', 'five seconds before it, it is asked');
select told.poll('lookup', 'five', 110, 'pending');
select is(told.course('five'), 'pending at 110', 'until a lookup has answered');
select told.poll('lookup', 'five.back', 100, 'completed');
select told.hook('five.back', 'order.paid', 99, null, '{}', null, 101);
select is(told.course('five.back'), 'completed at 100', 'a move back asks for nothing there');
select told.poll('lookup', 'five.now', 100, 'pending');
select told.hook('five.now', 'order.paid', 100, null, '{}', null, 101);
select is(told.course('five.now'), 'pending at 100 ask 102', 'the same instant is not after it');

-- List rows and cancellations.
select told.hook('list', 'order.created', 0);
select is(told.poll('list', 'list', 10, 'processing'), 'applied', 'a list row moves an order');
select is(told.course('list'), 'processing at 10 ask 12', 'and asks for the details');
select is(told.poll('list', 'list', 20, 'processing'), 'duplicate',
    'the same row again is a repeat');
select is(occurred_at, told.at(20), 'of which the last request counts')
from torque.order_events where order_id = 'list' and source = 'list';
select is(told.course('list'), 'processing at 20 ask 21', 'so that the fold moves with it');
select is(
    told.poll('operator', 'list', 30, 'cancelled', '{"cancelled_at": "2026-03-01T12:00:25Z"}'),
    'applied', 'a cancellation''s answer');
select is(status_at, told.at(25), 'dates from cancelledAt')
from torque.orders where order_id = 'list';

-- Words.
select told.hook('alias', 'order.created', 0, 'paid');
select is(told.course('alias'), 'processing at 0 ask 2', 'an alias is the status it stands for, and'
    ' a status that contradicts its event asks');
select is(told.hook('word', 'order.created', 0, 'com pleted'), 'applied', 'a word we do not know');
select is(told.course('word'), 'unknown raw com pleted', 'makes an order of unknown status');
select ok(is_open, 'which is open') from torque.orders where order_id = 'word';
select told.hook('word', 'order.paid', 10);
select is(told.course('word'), 'processing at 10', 'until a known word comes');
select is(told.hook('word', 'order.x', 20, ''), 'recorded', 'the empty word is one of them');
select is(status_at, told.at(10), 'and moves nothing') from torque.orders where order_id = 'word';
select is(raw_status, '', 'and is kept') from torque.orders where order_id = 'word';
select is(told.hook('word', 'order.x', 15, 'pending'), 'held', 'a held word, late');
select is(raw_status, '', 'is not the newest') from torque.orders where order_id = 'word';
select is(told.hook('word', 'order.x', 30, 'pending'), 'held', 'a held word');
select is(raw_status, null, 'is a known one') from torque.orders where order_id = 'word';
select is(told.hook('time', 'order.paid', null, null, '{}', null, 9), 'applied',
    'a webhook that does not say when');
select is(told.course('time'), 'processing at 9 ask 10', 'counts from its receipt, and asks');
select set_eq('select word, facts from torque.unknown_statuses',
    $$values ('com pleted', 1::bigint), ('', 1), ('wat', 1)$$, 'a view tells the unknown ones');

-- Asking.
select told.hook('failed', 'order.created', 0);
select is(told.hook('failed', 'payment.failed', 10), 'recorded', 'a failed payment is no status');
select is(told.course('failed'), 'pending at 0 ask 12', 'and asks');
select told.poll('lookup', 'failed', 20, 'pending');
select is(told.course('failed'), 'pending at 0', 'once');
select told.hook('twin', 'order.paid', 0, 'paid', '{"session_id": "1"}', 'evt_1');
select is(told.course('twin'), 'processing at 0', 'one event id is well');
select told.hook('twin', 'order.paid', 0, 'paid', '{"total": 5}', 'evt_1');
select is(told.course('twin'), 'processing at 0 ask 2', 'two bodies with one event id ask');
select is(count(*), 2::bigint, 'and are both kept')
from torque.order_events where order_id = 'twin';

-- Ignored, repeated, tests.
select is(told.hook('ign', 'shop.opened', 0), 'ignored', 'an event that says nothing is ignored');
select is_empty($$select from torque.orders where order_id = 'ign'$$, 'makes no order');
select is(outcome || ' ' || reason, 'ignored unknown_event', 'and is kept')
from torque.order_events where order_id = 'ign';
select told.hook('ign', 'order.created', 10);
select is(first_seen_at, told.at(11), 'it is no fact of the order') from torque.orders
where order_id = 'ign';
select is(told.hook('ign', 'order.created', 10), 'duplicate', 'a repeat is a repeat');
select is(deliveries, 2, 'and is counted')
from torque.order_events where order_id = 'ign' and event_type = 'order.created';
select is(told.hook('ign', 'order.created', 10, null, '{}', null, 5), 'duplicate', 'a repeat');
select is(first_seen_at, told.at(5), 'that was received earlier counts as received then')
from torque.orders where order_id = 'ign';
select is(told.hook('orderd-test.1', 'order.created', 0), 'recorded', 'a test of the service');
select is(told.poll('lookup', 'orderd-test.1', 10, 'completed'), 'recorded', 'however it comes');
select is_empty($$select from torque.orders where order_id like 'orderd-test.%'$$,
    'makes no order');
select is(count(*), 2::bigint, 'and is kept')
from torque.order_events where order_id = 'orderd-test.1';

-- The rules are data.
select told.hook('data', 'order.paid', 0);
insert into torque.order_status
values ('shipped', 3, false, true, null, 'On its way.');
insert into torque.status_move
values ('processing', 'shipped', 'documented');
insert into torque.status_alias
values ('sent', 'shipped');
select is(told.hook('data', 'order.x', 10, 'sent'), 'applied', 'a new status is a row');
select is(told.course('data'), 'shipped at 10', 'in force at once');
select told.hook('data', 'order.x', 20, 'pending');
delete from torque.status_move where class = 'documented' and to_status = 'shipped';
select is(told.hook('data', 'payment.failed', 30), 'recorded', 'a rule that is taken back');
select is(told.course('data'), 'processing at 0 held 2 ask 32', 'is so for the older facts too');
-- An edit makes all rows stale; they are folded anew some at a time, and what is locked is left for
-- another round.
select told.hook('back.' || n, 'order.paid', 0) from generate_series(1, 9) as n;
insert into torque.status_alias
values ('data', 'completed');
select is((select count(*) from torque.orders where rules_version = r.version), 0::bigint,
    'an edit of the rules makes every row stale')
from torque_internal.rules r;
select is(torque.refold_some(6), 3, 'some are folded anew: they and their facts are six')
from torque_internal.rules;
select is(count(*), 3::bigint, 'and no others')
from torque.orders o, torque_internal.rules r where o.rules_version = r.version;
do $$ begin while torque.refold_some(7) > 0 loop end loop; end $$;
select is_empty(
    $$select from torque.orders o, torque_internal.rules r where o.rules_version <> r.version$$,
    'and all in the end');
select is(torque.refold_some(5), 0, 'then there is nothing to do');
select told.hook('word.new', 'order.x', 0, 'gone');
select is(told.course('word.new'), 'unknown raw gone', 'a word');
insert into torque.status_alias
values ('Gone', 'cancelled');
do $$ begin while torque.refold_some(7) > 0 loop end loop; end $$;
select is(told.course('word.new'), 'cancelled at 0', 'that comes to be known, whatever its case');
select throws_ok($$select told.poll('mail', 'x', 0, 'pending')$$, '22023', null,
    'a fact is of one of four kinds');
select throws_ok($$select told.poll('list', 'x', null, 'pending')$$, '22023', null,
    'and a poll knows when it asked');
select throws_ok($$insert into torque.order_status values ('unknown', 9, false, false, null, '')$$,
    '23514', null, 'unknown is no status');

select * from finish();
rollback;
