-- Who there is. Runs on every migrate, before everything else and as the administrator who
-- migrates; the rest runs as torque_owner. Needs the right to create roles only where one is
-- missing, and never a superuser.

set search_path = pg_catalog, pg_temp;

do $$
declare
    wanted constant text[] := array[
        'torque_owner', 'orderd', 'torque_reader', 'torque_analyst', 'torque_operator'
    ];
    name text;
begin
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
