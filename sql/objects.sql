-- What a migration does with the named files: of their objects only those that differ are replaced,
-- and what no file makes any more is dropped. Runs before the other named files.
--
-- objects: what the files make, [{"kind": "function", "name": "torque.take(text)", "sha256": ...}].

set search_path = pg_catalog, pg_temp;

-- What an object is like in the catalogue, whoever made it so; null: there is none.
create or replace function torque_internal.definition(kind text, name text)
returns text
language sql
stable
as $$
    select md5(
        case
            -- The text of a view is not the same after a dump.
            when kind in ('type', 'view') then (
                select string_agg(
                    format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
                    order by a.attnum
                )
                from pg_catalog.pg_attribute a
                join pg_catalog.pg_class c
                    on c.oid = a.attrelid
                where c.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
                    and c.oid::regclass::text = name
                    and c.relkind = case kind when 'view' then 'v' else 'c' end
                    and a.attnum > 0
                    and not a.attisdropped
            )
            when kind = 'trigger' then (
                select concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)
                from pg_catalog.pg_trigger t
                where format('%s on %s', t.tgname, t.tgrelid::regclass) = name
                    and not t.tgisinternal
            )
            else (
                select concat_ws(
                    ' ', p.prosrc, l.lanname, p.prokind, p.provolatile, p.prosecdef, p.proisstrict,
                    p.proretset, p.proconfig, p.proargnames, p.proargmodes, p.procost, p.prorows,
                    p.proparallel, p.proleakproof, pg_get_function_arguments(p.oid),
                    pg_get_function_result(p.oid), a.aggtransfn, a.aggtranstype::regtype,
                    a.agginitval
                )
                from pg_catalog.pg_proc p
                join pg_catalog.pg_language l
                    on l.oid = p.prolang
                left join pg_catalog.pg_aggregate a
                    on a.aggfnoid = p.oid
                where p.pronamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
                    and p.oid::regprocedure::text = name
            )
        end
    )
$$;

-- What no file makes any more. In torque_internal that is all the rest; in torque, where others may
-- have objects of theirs, what a file once made.
create or replace function torque_internal.leftovers(objects jsonb)
returns table (
    kind text,
    name text
)
language sql
stable
as $$
    select f.kind, f.name
    from (
        select m.kind, m.name
        from torque_internal.made m
        where torque_internal.definition(m.kind, m.name) is not null
        union
        select case c.relkind when 'c' then 'type' else 'view' end, c.oid::regclass::text
        from pg_catalog.pg_class c
        where c.relnamespace = 'torque_internal'::regnamespace
            and c.relkind in ('c', 'v')
        union
        select
            case p.prokind when 'a' then 'aggregate' else 'function' end, p.oid::regprocedure::text
        from pg_catalog.pg_proc p
        where p.pronamespace = 'torque_internal'::regnamespace
    ) as f
    where not exists (
        select
        from jsonb_to_recordset(objects) as o(kind text, name text)
        where o.kind = f.kind
            and o.name = f.name
    )
$$;

-- Drops an object.
create or replace function torque_internal.drop_object(kind text, name text)
returns void
language plpgsql
as $$
begin
    execute case kind
        when 'trigger' then format('drop trigger %s', name)
        when 'view' then format('drop view %s', name)
        when 'type' then format('drop type %s', name)
        else format('drop routine %s', name)
    end;
end
$$;

-- Composite types that are to be others go, and with them the functions that take or give them,
-- which the files then make anew.
create or replace function torque_internal.drop_types(objects jsonb)
returns void
language plpgsql
as $$
declare
    others constant text[] := array(
        select o.name
        from jsonb_to_recordset(objects) as o(kind text, name text, sha256 text)
        join torque_internal.made m
            on m.kind = o.kind
            and m.name = o.name
        where o.kind = 'type'
            and (
                m.sha256 <> decode(o.sha256, 'hex')
                or m.definition <> torque_internal.definition(o.kind, o.name)
            )
    );
    users constant text := (
        select string_agg(distinct p.oid::regprocedure::text, ', ')
        from pg_catalog.pg_type t
        join pg_catalog.pg_depend d
            on d.refclassid = 'pg_type'::regclass
            and d.refobjid in (t.oid, t.typarray)
            and d.classid = 'pg_proc'::regclass
        join pg_catalog.pg_proc p
            on p.oid = d.objid
        where t.oid::regtype::text = any (others)
    );
    name text;
begin
    if users is not null then
        execute format('drop routine %s', users);
    end if;
    foreach name in array others loop
        perform torque_internal.drop_object('type', name);
    end loop;
end
$$;

-- Drops what no file makes any more, each after those that need it. waits: what a view still needs
-- stays, and no view is dropped, as its readers would be waited for.
create or replace function torque_internal.drop_leftovers(objects jsonb, waits boolean)
returns void
language plpgsql
as $$
declare
    f record;
    left_before integer := -1;
    left_now integer;
begin
    loop
        left_now := 0;
        for f in
            select l.kind, l.name
            from torque_internal.leftovers(objects) as l
            where not (waits and l.kind = 'view')
            order by array_position(array['view', 'trigger', 'aggregate', 'function'], l.kind)
        loop
            begin
                perform torque_internal.drop_object(f.kind, f.name);
            exception
                when dependent_objects_still_exist then
                    if not waits and left_now = left_before then
                        raise;
                    end if;
                    left_now := left_now + 1;
            end;
        end loop;
        exit when left_now = 0 or waits and left_now = left_before;
        left_before := left_now;
    end loop;
    delete from torque_internal.granted g
    where not exists (
        select
        from torque_internal.grants() as n
        where n.statement = g.statement
    );
end
$$;

-- Every right to something in our schemas that is not the owner's, as the statement that gives it.
-- is_ours: to everybody or to a role of roles.sql.
create or replace function torque_internal.grants()
returns table (
    statement text,
    is_ours boolean
)
language sql
stable
as $$
    select
        format(
            'grant %s%s on %s %s to %s%s', a.privilege_type, t.column_list, t.kind, t.name,
            case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
            case when a.is_grantable then ' with grant option' else '' end
        ),
        a.grantee = 0
            or a.grantee::regrole::text in (
                'orderd', 'torque_reader', 'torque_analyst', 'torque_operator'
            )
    from (
        select 'schema' as kind, quote_ident(n.nspname) as name, '' as column_list, n.nspacl as acl,
            n.nspowner as owner
        from pg_catalog.pg_namespace n
        where n.nspname in ('torque', 'torque_internal')
        union all
        select case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass::text, '',
            c.relacl, c.relowner
        from pg_catalog.pg_class c
        where c.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
            and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        union all
        select 'table', c.oid::regclass::text, format(' (%I)', b.attname), b.attacl, c.relowner
        from pg_catalog.pg_class c
        join pg_catalog.pg_attribute b
            on b.attrelid = c.oid
        where c.relnamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
            and b.attacl is not null
            and not b.attisdropped
        union all
        select 'routine', p.oid::regprocedure::text, '', p.proacl, p.proowner
        from pg_catalog.pg_proc p
        where p.pronamespace in ('torque'::regnamespace, 'torque_internal'::regnamespace)
    ) as t
    cross join lateral aclexplode(t.acl) as a
    where a.grantee <> t.owner
$$;

-- After grants.sql: what was granted before, and not by it, is granted again.
create or replace function torque_internal.keep_grants(before text[])
returns void
language plpgsql
as $$
declare
    ours constant text[] := array(
        select g.statement
        from torque_internal.grants() as g
        where g.is_ours
    );
    statement text;
begin
    for statement in
        select u
        from unnest(before) as u
        except
        select g.statement
        from torque_internal.granted g
        except
        select g.statement
        from torque_internal.grants() as g
    loop
        begin
            execute statement;
        exception
            -- What it was on is no more.
            when undefined_table or undefined_column or undefined_function or undefined_object then
                null;
        end;
    end loop;
    delete from torque_internal.granted;
    insert into torque_internal.granted (statement)
    select distinct u
    from unnest(ours) as u;
end
$$;

-- Notes what the files have made. Views that are there already are noted one by one, by name, as
-- they are replaced.
create or replace function torque_internal.note_made(objects jsonb, of_view text default null)
returns void
language plpgsql
as $$
begin
    if of_view is null then
        delete from torque_internal.made m
        where not exists (
            select
            from jsonb_to_recordset(objects) as o(kind text, name text)
            where o.kind = m.kind
                and o.name = m.name
        )
            and torque_internal.definition(m.kind, m.name) is null;
    end if;
    insert into torque_internal.made as m (kind, name, sha256, definition)
    select o.kind, o.name, decode(o.sha256, 'hex'), torque_internal.definition(o.kind, o.name)
    from jsonb_to_recordset(objects) as o(kind text, name text, sha256 text)
    where case
        when of_view is not null then o.kind = 'view' and o.name = of_view
        when o.kind = 'view' then not exists (
            select
            from torque_internal.made t
            where t.kind = o.kind
                and t.name = o.name
        )
        else true
    end
    on conflict (kind, name) do update
    set
        sha256 = excluded.sha256,
        definition = excluded.definition;
end
$$;
