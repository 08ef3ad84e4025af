-- One database, one shop. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- The first poller's API and business are those of the database. A business that nobody has named
-- yet may be named later.
create or replace function torque.poll_for(base_url text, business_id text, claims boolean)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    named constant text := nullif(poll_for.business_id, '');
    kept record;
begin
    select s.base_url, s.business_id
    into kept
    from torque_internal.shop s;
    if not found then
        if claims then
            insert into torque_internal.shop (base_url, business_id)
            values (poll_for.base_url, named)
            on conflict do nothing;
        end if;
    elsif kept.base_url <> poll_for.base_url or kept.business_id <> named then
        return format(
            'this database is that of another shop (%s): give each its own, or make it this one''s'
            ' by orderd migrate --adopt',
            concat_ws(', ', kept.base_url, kept.business_id)
        );
    elsif kept.business_id is null and named is not null and claims then
        update torque_internal.shop
        set business_id = named;
    end if;
    return null;
end
$$;
comment on function torque.poll_for is
    'Null when the database is that of the business at the API, else a sentence; claims: it is'
    ' theirs from now on, where it was nobody''s.';
