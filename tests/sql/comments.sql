-- needs: orderd; beside: yes
-- COMMENT ON everything that people query or call; the machine room has its sentences in sql/.
begin;
select no_plan();

select is_empty(
    $$select c.relkind, c.oid::regclass
      from pg_catalog.pg_class c
      where c.relnamespace = 'torque'::regnamespace
          and c.relkind in ('r', 'v', 'c', 'm', 'S', 'p', 'f')
          and pg_catalog.obj_description(c.oid, 'pg_class') is null
          and pg_catalog.obj_description(c.reltype, 'pg_type') is null$$,
    'every table, view and type has a comment');
select is_empty(
    $$select c.oid::regclass, a.attname
      from pg_catalog.pg_class c
      join pg_catalog.pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = 'torque'::regnamespace
          and c.relkind in ('r', 'v', 'm', 'p', 'f')
          and a.attnum > 0
          and not a.attisdropped
          and pg_catalog.col_description(c.oid, a.attnum) is null$$,
    'every column has a comment');
select is_empty(
    $$select p.oid::regprocedure
      from pg_catalog.pg_proc p
      where p.pronamespace = 'torque'::regnamespace
          and pg_catalog.obj_description(p.oid, 'pg_proc') is null$$,
    'every function has a comment');
select is_empty(
    $$select n.nspname
      from pg_catalog.pg_namespace n
      where n.nspname like 'torque%'
          and pg_catalog.obj_description(n.oid, 'pg_namespace') is null$$,
    'every schema has a comment');
select is_empty(
    $$select c.conname
      from pg_catalog.pg_constraint c
      join pg_catalog.pg_class t on t.oid = c.conrelid
      where t.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
          and c.conname !~ ('^' || t.relname || '_[a-z0-9_]*(pkey|fkey|key|check)$')$$,
    'every constraint has a name of its own');
select cmp_ok(count(*), '>', 100::bigint, 'there was something to look at')
from pg_catalog.pg_description d
join pg_catalog.pg_class c on c.oid = d.objoid
where c.relnamespace = 'torque'::regnamespace;

select * from finish();
rollback;
