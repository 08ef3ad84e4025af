-- Facts that are kept, judged again: under other rules, or read anew by another reader. Replaced
-- whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- Edits of the rules, in the background: the next orders are folded anew, of which one with many
-- facts weighs as much as many. Those that another session has are left for another round.
create or replace function torque.refold_some(max_facts integer default 1000)
returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
    r torque_internal.rules;
    o record;
    missed boolean := false;
    folded torque_internal.refolded;
    walked integer := 0;
    weight integer := 0;
    reached text;
begin
    select t.*
    into r
    from torque_internal.rules t
    where t.refolded_to is not null
    for update skip locked;
    if not found then
        return 0;
    end if;
    for o in
        select
            t.order_id,
            t.rules_version = r.version as is_folded
        from torque.orders t
        where t.order_id > r.refolded_to
        order by t.order_id
        limit max_facts
    loop
        exit when weight >= max_facts;
        walked := walked + 1;
        weight := weight + 1;
        reached := o.order_id;
        continue when o.is_folded;
        if cardinality((torque_internal.lock_orders(array[o.order_id])).busy) > 0 then
            missed := true;
        else
            folded := torque_internal.refold(o.order_id);
            weight := weight + coalesce(folded.facts, 0);
            if folded.has_changed and current_setting('orderd.notify', true) = 'on' then
                perform torque_internal.tell(array[o.order_id]);
            end if;
        end if;
    end loop;
    update torque_internal.rules as t
    set
        refolded_to = case
            when weight >= max_facts then reached
            when r.refold_again or missed then ''
        end,
        refold_again = weight >= max_facts and (r.refold_again or missed);
    return walked;
end
$$;
comment on function torque.refold_some(integer) is
    'After an edit of the rules: folds the next orders anew, until their number and that of their'
    ' facts come to so many, and says how many orders were looked at; 0: there is nothing to do.';

-- Reading again. The program reads bodies, and says here what they now say: a page of orders at a
-- time, in transactions of their own.

-- The orders of the next page of facts, first and last; null: there are no more.
create or replace function torque.replay_next(
    after_order text,
    max_facts integer default 200,
    out first_order text,
    out last_order text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
    select min(e.order_id), max(e.order_id)
    from (
        select t.order_id
        from torque.order_events t
        where t.order_id > after_order
        order by t.order_id
        limit max_facts
    ) as e
$$;
comment on function torque.replay_next(text, integer) is
    'For orderd replay: the first and the last order of the next page of facts.';

create or replace function torque.replay_read(
    first_order text,
    last_order text,
    since timestamptz default null
)
returns table (
    order_id text,
    event_key text,
    source text,
    occurred_us bigint,
    received_us bigint,
    payload text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
    select
        e.order_id,
        encode(e.event_key, 'hex'),
        e.source,
        (extract(epoch from e.occurred_at) * 1000000)::bigint,
        (extract(epoch from e.received_at) * 1000000)::bigint,
        e.payload::text
    from torque.order_events e
    where e.order_id >= first_order
        and e.order_id <= last_order
        and (
            since is null
            or e.order_id in (
                select n.order_id
                from torque.order_events n
                where n.order_id >= first_order
                    and n.order_id <= last_order
                    and n.received_at >= since
            )
        )
    order by e.order_id, e.received_at, e.event_key
$$;
comment on function torque.replay_read(text, text, timestamptz) is
    'For orderd replay: the facts of the orders from the first to the last that heard of something'
    ' since then; times in microseconds since 1970. payload null: it was pruned.';

-- What people see of orders: columns and lines as texts.
create function torque_internal.shown(order_ids text[])
returns table (order_id text, field text, value text)
language sql
stable
as $$
    select o.order_id, f.key, f.value
    from torque.orders o
    cross join lateral jsonb_each_text(
        to_jsonb(o) - array[
            'order_id', 'last_changed_at', 'newest_as_of', 'items_hash', 'rules_version'
        ]
        || jsonb_build_object(
            'items',
            (
                select jsonb_agg(to_jsonb(i) - array['order_id', 'line'] order by i.line)
                from torque.order_items i
                where i.order_id = o.order_id
            )
        )
    ) as f
    where o.order_id = any (order_ids)
        and f.value is not null
$$;

-- Facts that are kept say what these say. Returns how many said something else.
create function torque_internal.say_again(facts torque_internal.fact[])
returns integer
language plpgsql
as $$
declare
    f torque_internal.fact;
    said torque_internal.fact;
    changed integer := 0;
begin
    foreach f in array facts loop
        f.payload := null;
        select k.*
        into said
        from torque_internal.kept_facts(f.order_id) as k
        where k.event_key = f.event_key;
        -- Compared as text, because 100.1 and 100.10 are equal and not the same.
        continue when not found or said::text = f::text;
        changed := changed + 1;
        update torque.order_events as e
        set
            event_id = f.event_id,
            event_type = f.event_type,
            claimed_status = f.claimed_status,
            occurred_at = f.occurred_at,
            business_id = f.business_id,
            session_id = f.session_id,
            created_at = f.created_at,
            updated_at = f.updated_at,
            cancelled_at = f.cancelled_at,
            cancellation_reason = f.cancellation_reason,
            customer_email = f.customer_email,
            customer_first_name = f.customer_first_name,
            customer_last_name = f.customer_last_name,
            customer_phone = f.customer_phone,
            customer_address = f.customer_address,
            currency = f.currency,
            subtotal = f.subtotal,
            discounts = f.discounts,
            shipping = f.shipping,
            total = f.total,
            item_count = f.item_count,
            items = f.items,
            items_hash = f.items_hash,
            payment_method = f.payment_method,
            payment_transaction_id = f.payment_transaction_id,
            payment_amount = f.payment_amount,
            payment_status = f.payment_status,
            faults = f.faults,
            assumed = f.assumed
        where e.order_id = f.order_id
            and e.event_key = f.event_key;
    end loop;
    return changed;
end
$$;

create function torque_internal.replay(
    order_ids text[],
    facts torque_internal.fact[],
    out busy text[],
    out said_anew integer
)
language plpgsql
as $$
declare
    of_order text;
begin
    busy := (torque_internal.lock_orders(order_ids)).busy;
    said_anew := torque_internal.say_again(
        array(select f from unnest(facts) as f where f.order_id <> all (busy))
    );
    foreach of_order in array order_ids loop
        if of_order <> all (busy) and not starts_with(of_order, 'orderd-test.') then
            perform torque_internal.refold(of_order);
        end if;
    end loop;
end
$$;

-- A dry run does all of it, looks at what it has come to, and takes it back.
create or replace function torque.replay_write(
    order_ids text[], dry_run boolean,
    order_id text[], event_key bytea[], source text[], event_id text[], event_type text[],
    claimed_status text[], occurred_at timestamptz[], received_at timestamptz[], payload json[],
    business_id text[], session_id text[], created_at timestamptz[], updated_at timestamptz[],
    cancelled_at timestamptz[], cancellation_reason text[], customer_email text[],
    customer_first_name text[], customer_last_name text[], customer_phone text[],
    customer_address json[], currency text[], subtotal numeric[], discounts numeric[],
    shipping numeric[], total numeric[], item_count bigint[], items json[], items_hash bigint[],
    payment_method text[], payment_transaction_id text[], payment_amount numeric[],
    payment_status text[], faults text[], assumed text[],
    out busy text[], out said_anew integer, out differences json
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    before jsonb;
    facts constant torque_internal.fact[] := torque_internal.facts(
        $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
        $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36
    );
begin
    begin
        before := (
            select jsonb_object_agg(s.order_id || ' ' || s.field, s.value)
            from torque_internal.shown(order_ids) as s
        );
        select r.busy, r.said_anew
        into strict busy, said_anew
        from torque_internal.replay(order_ids, facts) as r;
        differences := (
            select json_agg(
                json_build_array(split_part(d.name, ' ', 1), split_part(d.name, ' ', 2),
                    d.was, d.becomes)
                order by d.name collate "C"
            )
            from (
                select
                    coalesce(b.key, a.order_id || ' ' || a.field) as name,
                    b.value as was,
                    a.value as becomes
                from jsonb_each_text(before) as b
                full join torque_internal.shown(order_ids) as a
                    on b.key = a.order_id || ' ' || a.field
            ) as d
            where d.was is distinct from d.becomes
        );
        if dry_run then
            raise exception using errcode = 'ORDRY';
        end if;
    exception
        when sqlstate 'ORDRY' then
            null;
    end;
    if not dry_run and current_setting('orderd.notify', true) = 'on' then
        perform torque_internal.tell(
            array(select d ->> 0 from json_array_elements(differences) as d)
        );
    end if;
end
$$;
comment on function torque.replay_write is
    'For orderd replay: these facts of these orders say what they say here, and the orders are'
    ' folded anew. Says which another session has, how many facts said something else, and'
    ' [order, column, was, becomes] for all that differs then. A dry run keeps nothing.';

-- The next bodies in quarantine.
create or replace function torque.replay_bodies(after_key bytea, max_bodies integer default 50)
returns table (body_key text, received_us bigint, body text)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        encode(q.body_key, 'hex'),
        (extract(epoch from q.received_at) * 1000000)::bigint,
        encode(q.body, 'hex')
    from torque.quarantine q
    where q.body_key > after_key
    order by q.body_key
    limit max_bodies
$$;
comment on function torque.replay_bodies(bytea, integer) is
    'For orderd replay: bodies in quarantine behind that key, as hex digits.';

-- What is taken leaves the quarantine.
create or replace function torque.replay_take(
    dry_run boolean,
    order_id text[], event_key bytea[], source text[], event_id text[], event_type text[],
    claimed_status text[], occurred_at timestamptz[], received_at timestamptz[], payload json[],
    business_id text[], session_id text[], created_at timestamptz[], updated_at timestamptz[],
    cancelled_at timestamptz[], cancellation_reason text[], customer_email text[],
    customer_first_name text[], customer_last_name text[], customer_phone text[],
    customer_address json[], currency text[], subtotal numeric[], discounts numeric[],
    shipping numeric[], total numeric[], item_count bigint[], items json[], items_hash bigint[],
    payment_method text[], payment_transaction_id text[], payment_amount numeric[],
    payment_status text[], faults text[], assumed text[]
)
returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    outcomes text[];
    facts constant torque_internal.fact[] := torque_internal.facts(
        $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
        $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35
    );
begin
    begin
        outcomes := torque_internal.take_each(facts);
        with taken as (
            delete from torque.quarantine q
            using rows from (unnest(outcomes), unnest(facts)) as f(outcome)
            where q.body_key = f.event_key
                and f.outcome in ('applied', 'recorded', 'held', 'ignored', 'duplicate')
            returning f.order_id, f.event_key, f.outcome, q.deliveries
        )
        update torque.order_events as e
        set deliveries = e.deliveries + t.deliveries - 1
        from taken t
        where e.order_id = t.order_id
            and e.event_key = t.event_key;
        if dry_run then
            raise exception using errcode = 'ORDRY';
        end if;
    exception
        when sqlstate 'ORDRY' then
            null;
    end;
    return query
    select u
    from unnest(outcomes) as u;
end
$$;
comment on function torque.replay_take is
    'For orderd replay: bodies of the quarantine that can be read now are taken in, and leave it.'
    ' One outcome each, in their order; a dry run keeps nothing.';
