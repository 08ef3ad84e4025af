-- Every role, object and privilege that is granted, one a line; columns where the table's is not.
with role as (
    select unnest(array[
        'public', 'orderd', 'torque_reader', 'torque_analyst', 'torque_operator'
    ]) as name
), thing as (
    select 'schema' as kind, n.oid, n.nspname::text as name, unnest(array['USAGE', 'CREATE']) as may
    from pg_catalog.pg_namespace n
    where n.nspname in ('torque', 'torque_internal')
    union all
    select 'table', c.oid, c.oid::regclass::text,
        unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
    from pg_catalog.pg_class c
    where c.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
        and c.relkind in ('r', 'v', 'm', 'p', 'f')
    union all
    select 'sequence', c.oid, c.oid::regclass::text, unnest(array['SELECT', 'UPDATE', 'USAGE'])
    from pg_catalog.pg_class c
    where c.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
        and c.relkind = 'S'
    union all
    select 'function', p.oid, p.oid::regprocedure::text, 'EXECUTE'
    from pg_catalog.pg_proc p
    where p.pronamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
), granted as (
    select r.name as role, t.*,
        case t.kind
            when 'schema' then pg_catalog.has_schema_privilege(r.name, t.oid, t.may)
            when 'table' then pg_catalog.has_table_privilege(r.name, t.oid, t.may)
            when 'sequence' then pg_catalog.has_sequence_privilege(r.name, t.oid, t.may)
            else pg_catalog.has_function_privilege(r.name, t.oid, t.may)
        end as has
    from role r
    cross join thing t
), line as (
    select format('%s: %s on %s %s', g.role, lower(g.may), g.kind, g.name) as text
    from granted g
    where g.has
    union all
    select format('%s: %s on column %s.%s', g.role, lower(g.may), g.name, a.attname)
    from granted g
    join pg_catalog.pg_attribute a on a.attrelid = g.oid and a.attnum > 0 and not a.attisdropped
    where g.kind = 'table'
        and not g.has
        and case when g.may in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
            then pg_catalog.has_column_privilege(g.role, g.oid, a.attnum, g.may) end
)
select text
from line
order by text collate "C";
