-- The schema in lines, the same from every PostgreSQL: one object, column or rule a line.
with space as (
    select n.oid, n.nspname
    from pg_catalog.pg_namespace n
    where n.nspname in ('torque', 'torque_internal')
), line as (
    select format('%s %s%s',
            case c.relkind when 'r' then 'table' when 'v' then 'view' when 'c' then 'type'
                else c.relkind::text end,
            c.oid::regclass, ' with (' || array_to_string(c.reloptions, ', ') || ')') as text,
        c.oid::regclass::text as owner, 0 as part, 0 as n
    from pg_catalog.pg_class c
    join space s on s.oid = c.relnamespace
    where c.relkind not in ('i')
    union all
    select format('    %s %s%s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then ' not null' end,
            ' default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid)),
        c.oid::regclass::text, 1, a.attnum
    from pg_catalog.pg_class c
    join space s on s.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relkind not in ('i')
    union all
    select format('    constraint %s %s', k.conname, pg_catalog.pg_get_constraintdef(k.oid)),
        k.conrelid::regclass::text, 2,
        row_number() over (order by k.contype <> 'p', k.conname collate "C")
    from pg_catalog.pg_constraint k
    join space s on s.oid = k.connamespace
    where k.contype <> 'n'
    union all
    select '    ' || pg_catalog.pg_get_indexdef(i.indexrelid),
        i.indrelid::regclass::text, 3,
        row_number() over (order by i.indexrelid::regclass::text collate "C")
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indrelid
    join space s on s.oid = c.relnamespace
    union all
    select '    ' || pg_catalog.pg_get_triggerdef(t.oid), t.tgrelid::regclass::text, 4,
        row_number() over (order by t.tgname collate "C")
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid
    join space s on s.oid = c.relnamespace
    where not t.tgisinternal
    union all
    select format('%s %s -> %s, %s%s%s',
            case p.prokind when 'a' then 'aggregate' else 'function' end,
            p.oid::regprocedure, pg_catalog.pg_get_function_result(p.oid),
            case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end,
            case when p.prosecdef then ', security definer' end,
            ', ' || array_to_string(p.proconfig, ', ')),
        p.oid::regprocedure::text, 0, 0
    from pg_catalog.pg_proc p
    join space s on s.oid = p.pronamespace
)
select text
from line
order by owner collate "C", part, n;
