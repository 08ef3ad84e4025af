-- needs: orderd; beside: yes
-- Who may do what. rights.expected says it of every role, object and privilege; here what matters
-- most is tried.
begin;
select no_plan();

-- The suite itself needs to be reached by the roles that it takes on.
grant usage on schema tap to public;

create function pg_temp.refused(of_role name, statement text)
returns text
language plpgsql
as $$
begin
    execute format('set local role %I', of_role);
    execute statement;
    reset role;
    return 'allowed';
exception
    when others then
        reset role;
        return sqlstate;
end
$$;

create temporary table tried (of_role name, statement text);
insert into tried
select r, s
from unnest(array['orderd', 'torque_analyst', 'torque_reader', 'torque_operator', 'nobody']) as r
cross join unnest(array[
    $$insert into torque.orders select * from torque.orders$$,
    $$update torque.orders set total = 0$$,
    $$delete from torque.orders$$,
    $$truncate torque.order_events$$,
    $$delete from torque.order_events$$,
    $$update torque.order_events set payload = null$$,
    $$delete from torque.quarantine$$,
    $$select * from torque_internal.migration$$,
    $$update torque_internal.rules set version = 0$$,
    $$select torque_internal.refold('x')$$,
    $$select torque_internal.lock_orders(array['x'])$$,
    $$select torque_internal.take_facts('{}')$$,
    $$select * from torque_internal.open_order$$,
    $$create table torque.t ()$$,
    $$create function torque.f() returns int language sql as 'select 1'$$,
    $$alter function torque.schema_state() owner to current_user$$,
    $$drop view torque.unknown_statuses$$
]) as s;
insert into tried
select r, s
from unnest(array['orderd', 'torque_analyst', 'torque_reader', 'nobody']) as r
cross join unnest(array[
    $$delete from torque.status_move$$,
    $$update torque.order_status set rank = 9$$,
    $$insert into torque.status_alias values ('x', 'pending')$$
]) as s;
insert into tried
select r, s
from unnest(array['torque_analyst', 'torque_reader', 'torque_operator', 'nobody']) as r
cross join unnest(array[
    $$select torque.take_many(NOTHING)$$,
    $$select torque.take_each(NOTHING)$$,
    $$select torque.take(NONE)$$,
    $$select torque.ingest_unusable('{}', '{}', '{}', '{}')$$,
    $$select torque.schema_state()$$
]) as s;
insert into tried
select r, s
from unnest(array['orderd', 'nobody']) as r
cross join unnest(array[
    $$select order_id from torque.orders$$,
    $$select * from torque.order_events$$,
    $$select * from torque.order_status$$,
    $$select * from torque.suspect_orders$$
]) as s;
insert into tried
select 'torque_analyst', s
from unnest(array[
    $$select customer_email from torque.orders$$,
    $$select customer_address from torque.orders$$,
    $$select o from torque.orders o$$,
    $$select * from torque.orders$$,
    $$select count(*) from torque.orders where customer_email like 'a%'$$,
    $$select cancellation_reason from torque.orders$$,
    $$select payload from torque.order_events$$,
    $$select body from torque.quarantine$$
]) as s;

-- Calls of the doors with nothing in them.
create function pg_temp.called(statement text)
returns text
language sql
as $$
    select replace(
        replace(
            statement, 'NOTHING', array_to_string(array_fill($q$'{}'$q$::text, array[34]), ', ')
        ),
        'NONE', array_to_string(array_fill('null'::text, array[33]), ', ')
    )
$$;
create role nobody;
select is(pg_temp.refused(of_role, pg_temp.called(statement)), '42501',
    of_role || ' may not ' || statement)
from tried;

-- And that the same way of asking lets through what is granted.
select is(pg_temp.refused(of_role, pg_temp.called(statement)), 'allowed',
    of_role || ' may ' || statement)
from (
    values
        ('orderd'::name, $$select torque.schema_state()$$),
        ('orderd', $$select torque.take_many(NOTHING)$$),
        ('torque_reader', $$select * from torque.orders$$),
        ('torque_reader', $$select * from torque.order_events$$),
        ('torque_reader', $$select * from torque.quarantine$$),
        ('torque_analyst', $$select order_id, status, total from torque.orders$$),
        ('torque_analyst', $$select * from torque.order_items$$),
        ('torque_analyst', $$select * from torque.suspect_orders$$),
        ('torque_analyst', $$select * from torque.odd_values$$),
        ('torque_operator', $$select * from torque.orders$$),
        ('torque_operator', $$insert into torque.status_alias values ('x', 'pending')$$),
        ('torque_operator', $$update torque.status_move set class = 'plausible'$$)
) as g(of_role, statement);

select is_empty(
    $$select r.rolname
      from pg_catalog.pg_roles r
      where r.rolname in ('torque_owner', 'orderd', 'torque_reader', 'torque_analyst',
              'torque_operator')
          and (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication
              or r.rolbypassrls or r.rolcanlogin <> (r.rolname = 'orderd'))$$,
    'no role is more than it needs to be, and only orderd logs in');
select is_empty(
    $$select c.oid::regclass::text from pg_catalog.pg_class c
      where c.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
          and c.relowner <> 'torque_owner'::regrole
      union all
      select p.oid::regprocedure::text from pg_catalog.pg_proc p
      where p.pronamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
          and p.proowner <> 'torque_owner'::regrole$$,
    'torque_owner owns all');

select * from finish();
rollback;
