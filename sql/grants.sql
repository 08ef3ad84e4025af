-- Who may do what. Replaced whole by every migrate, after everything else.
--
-- torque_owner owns all and does not log in. The others have what is granted here and nothing more;
-- PUBLIC has nothing. A role of one's own gets its rights by membership.

set search_path = pg_catalog, pg_temp;

-- What others own in our schemas is not ours to give or to take.
do $$
declare
    statement text;
begin
    for statement in
        select format(
            'revoke all on %s from public, orderd, torque_reader, torque_analyst, torque_operator',
            o.name
        )
        from (
            select format('schema %I', n.nspname) as name, n.nspname, n.nspowner as owner
            from pg_catalog.pg_namespace n
            union all
            select format('table %s', c.oid::regclass), c.relnamespace::regnamespace::name,
                c.relowner
            from pg_catalog.pg_class c
            where c.relkind in ('r', 'v')
            union all
            select format('routine %s', p.oid::regprocedure), p.pronamespace::regnamespace::name,
                p.proowner
            from pg_catalog.pg_proc p
        ) as o
        where o.nspname in ('torque', 'torque_internal')
            and pg_has_role(current_user, o.owner, 'usage')
        union all
        select format('grant select on %s to torque_reader, torque_operator', c.oid::regclass)
        from pg_catalog.pg_class c
        where c.relnamespace = 'torque'::regnamespace
            and c.relkind in ('r', 'v')
            and pg_has_role(current_user, c.relowner, 'usage')
    loop
        execute statement;
    end loop;
end
$$;

grant usage
    on schema torque
    to orderd, torque_reader, torque_analyst, torque_operator;

-- The daemon: its functions, and no table.
grant execute
    on function
        torque.take,
        torque.take_many,
        torque.take_each,
        torque.ingest_unusable,
        torque.refold_some,
        torque.schema_state
    to orderd;

-- Reads everything that tells nothing about a person: no customer, no free text, no body.
grant select
    on
        torque.order_items,
        torque.order_status,
        torque.status_alias,
        torque.status_move,
        torque.event_status,
        torque.odd_values,
        torque.suspect_orders,
        torque.unknown_statuses
    to torque_analyst;
grant select (
        order_id, business_id, session_id, status, status_at, raw_status, created_at, updated_at,
        pending_at, processing_at, completed_at, cancelled_at, refunded_at, currency, subtotal,
        discounts, shipping, total, item_count, payment_method, payment_amount, payment_status,
        has_details, is_open, held_facts, verify_after, first_seen_at, last_changed_at,
        last_confirmed_at, newest_as_of, items_hash, rules_version
    )
    on torque.orders
    to torque_analyst;
grant select (
        order_id, event_key, source, event_id, event_type, claimed_status, occurred_at,
        received_at, deliveries, outcome, from_status, to_status, reason, business_id, session_id,
        created_at, updated_at, cancelled_at, currency, subtotal, discounts, shipping, total,
        item_count, items, payment_method, payment_amount, payment_status, faults, assumed,
        items_hash, recorded_xid
    )
    on torque.order_events
    to torque_analyst;
grant select (body_key, reason, received_at, deliveries)
    on torque.quarantine
    to torque_analyst;

-- Reads everything, and keeps the rules.
grant execute
    on function
        torque.refold_some,
        torque.replay_next,
        torque.replay_read,
        torque.replay_write,
        torque.replay_bodies,
        torque.replay_take
    to torque_operator;
grant insert, update, delete
    on torque.order_status, torque.status_alias, torque.status_move, torque.event_status
    to torque_operator;
