-- Who there is. Runs on every migrate, before everything else and as the administrator who
-- migrates; the rest runs as torque_owner. Needs the right to create roles only where one is
-- missing, and never a superuser.

set search_path = pg_catalog, pg_temp;

do $$
declare
    wanted constant text[] := array[
        'torque_owner', 'orderd', 'torque_reader', 'torque_analyst', 'torque_operator'
    ];
    missing constant text := (
        select string_agg(
            format('create role %I %s;', w, case w when 'orderd' then 'login' else 'nologin' end),
            ' '
        )
        from unnest(wanted) as w
        where not exists (
            select
            from pg_catalog.pg_roles r
            where r.rolname = w
        )
    );
    name text;
begin
    if missing is not null and not exists (
        select
        from pg_catalog.pg_roles r
        where r.rolname = current_user
            and (r.rolsuper or r.rolcreaterole)
    ) then
        raise insufficient_privilege using
            message = format(
                '%I may not make roles: run this as a superuser, and migrate again: %s grant'
                ' torque_owner to %1$I;',
                current_user, missing
            );
    end if;
    foreach name in array wanted
    loop
        if not exists (select from pg_catalog.pg_roles r where r.rolname = name) then
            execute format(
                'create role %I %s',
                name,
                case when name = 'orderd' then 'login' else 'nologin' end
            );
        end if;
    end loop;
    -- From PostgreSQL 16 on whoever makes a role may hand it out, yet not take it on.
    if not pg_has_role(
        current_user,
        'torque_owner',
        case
            when current_setting('server_version_num')::integer < 160000 then 'member'
            else 'set'
        end
    ) then
        execute format('grant torque_owner to %I', current_user);
    end if;
    if not has_database_privilege('torque_owner', current_database(), 'create') then
        execute format('grant create on database %I to torque_owner', current_database());
    end if;
    -- The login that is made here gets in, whatever everybody may. Who else does is not ours to
    -- say: roles are the cluster's, and other databases may have the same ones.
    if has_database_privilege(current_user, current_database(), 'connect with grant option')
        and not exists (
            select
            from pg_catalog.pg_database d
            cross join aclexplode(d.datacl) as a
            where d.datname = current_database()
                and a.grantee = 'orderd'::regrole
                and a.privilege_type = 'CONNECT'
        )
    then
        execute format('grant connect on database %I to orderd', current_database());
    end if;
end
$$;

-- Ours is torque_owner's. A database that was restored where that role was missing, or without its
-- owners, belongs to whoever restored it. orderd.objects, orderd.tables: what is ours in schema
-- torque, where others may have objects too; set by the migration.
do $$
declare
    stranger regrole;
    statement text;
begin
    for stranger, statement in
        with schemas as (
            select n.oid, n.nspname, n.nspowner
            from pg_catalog.pg_namespace n
            where n.nspname in ('torque', 'torque_internal')
        ), ours as (
            select u as name
            from unnest(current_setting('orderd.tables', true)::text[]) as u
            union all
            select o.name
            from jsonb_to_recordset(current_setting('orderd.objects', true)::jsonb) as o(name text)
        ), owned as (
            select
                1 as place, n.nspowner as owner, 'schema' as kind, quote_ident(n.nspname) as name,
                true as is_ours
            from schemas n
            union all
            select
                2, c.relowner, case c.relkind when 'v' then 'view' else 'table' end,
                c.oid::regclass::text, n.nspname = 'torque_internal'
            from pg_catalog.pg_class c
            join schemas n
                on n.oid = c.relnamespace
            where c.relkind in ('r', 'v')
            union all
            select 3, c.relowner, 'type', c.oid::regclass::text, n.nspname = 'torque_internal'
            from pg_catalog.pg_class c
            join schemas n
                on n.oid = c.relnamespace
            where c.relkind = 'c'
            union all
            select
                3, p.proowner, 'routine', p.oid::regprocedure::text, n.nspname = 'torque_internal'
            from pg_catalog.pg_proc p
            join schemas n
                on n.oid = p.pronamespace
        )
        select o.owner, format('alter %s %s owner to torque_owner', o.kind, o.name)
        from owned o
        where o.owner <> 'torque_owner'::regrole
            and (o.is_ours or o.name in (select n.name from ours n))
        order by o.place
    loop
        if not pg_has_role(current_user, stranger, 'usage') then
            raise insufficient_privilege using
                message = format(
                    'objects of schema torque belong to %s and not to torque_owner: migrate as that'
                    ' role or as a superuser, by --admin-conninfo ''dbname=%s user=%1$s''',
                    stranger, current_database()
                );
        end if;
        execute statement;
    end loop;
end
$$;
