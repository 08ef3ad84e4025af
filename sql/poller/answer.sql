-- What becomes of the answers. Replaced whole by every migrate.

set search_path = pg_catalog, pg_temp;

-- By how much the API's clock is ahead of ours, no more than its Date header proves.
create function torque_internal.clock_skew(
    server_date timestamptz,
    asked timestamptz,
    answered timestamptz
)
returns interval
language sql
immutable
as $$
    select case
        when server_date is null then null
        else
            greatest(server_date - answered, '0')
                + least(server_date + interval '1 second' - asked, '0')
    end
$$;

-- A Date that is minutes off proves nothing of the time.
create function torque_internal.clock_offset(skew interval)
returns interval
language sql
immutable
as $$
    select case when abs(extract(epoch from skew)) < 300 then skew else interval '0' end
$$;

-- When what an answer says was so. A fact that is dated ahead outranks all that comes after it, so
-- that our own clock is believed no further than the API's Date or, where that is no proof, the
-- database's clock.
create function torque_internal.as_of(skew interval, asked timestamptz)
returns timestamptz
language sql
volatile
as $$
    select case
        when skew < interval '5 minutes' then asked + skew
        else least(asked, clock_timestamp())
    end
$$;

-- The call that an answer belongs to, ended; null when it is not one that is waited for.
create function torque_internal.take_call(
    of_call bigint,
    at timestamptz,
    status integer,
    remaining integer,
    reset_at timestamptz,
    retry_after_s integer
)
returns torque_internal.api_call
language plpgsql
as $$
declare
    c torque_internal.api_call;
begin
    perform torque_internal.lock_poller();
    select t.*
    into c
    from torque_internal.api_call t
    where t.call_id = of_call
        and t.answered_at is null;
    perform torque_internal.end_call(of_call, at, status, remaining, reset_at, retry_after_s);
    if status = 200 then
        perform torque_internal.clear_alarm('refused', c.purpose, at);
    end if;
    return c;
end
$$;

-- Notes what became of a call.
create function torque_internal.log_call(of_call bigint, word text)
returns text
language sql
volatile
as $$
    update torque_internal.api_call
    set outcome = word
    where call_id = of_call
    returning word
$$;

-- Rows of a list that are of no use have no order_id, and say why in place of their payload. They
-- are named by their place until no window of the kind has any.
create function torque_internal.tell_odd_rows(
    listed torque_internal.fact[],
    w torque.reconcile_window,
    at timestamptz
)
returns void
language plpgsql
as $$
declare
    shown_max constant integer := 5;
    odd text[];
begin
    odd := array(
        select format('row %s (%s)', coalesce(w.page_offset, 0) + u.ordinality, u.payload #>> '{}')
        from unnest(listed) with ordinality as u
        where u.order_id is null
        order by u.ordinality
    );
    if cardinality(odd) > 0 then
        perform torque_internal.raise_alarm(
            'unusable', w.kind,
            format(
                'of the list of orders made from %s to %s: %s%s', w.created_from, w.created_to,
                array_to_string(odd[1:shown_max], ', '),
                case
                    when cardinality(odd) > shown_max then
                        format(' and %s more', cardinality(odd) - shown_max)
                end
            ),
            at
        );
    elsif exists (
        select
        from torque_internal.alarm a
        where a.alarm = 'unusable'
            and a.subject = w.kind
            and a.cleared_at is null
    ) and not exists (
        select
        from torque.reconcile_window t
        where t.kind = w.kind
            and t.verdict in ('open', 'incomplete')
            and t.problem = 'row_without_id'
            and t.window_id <> w.window_id
    ) then
        perform torque_internal.clear_alarm('unusable', w.kind, at);
    end if;
end
$$;

create or replace function torque.reconcile_page(
    call_id bigint,
    asked_at timestamptz,
    answered_at timestamptz,
    server_date timestamptz,
    rate_remaining integer,
    rate_reset_at timestamptz,
    page_total bigint,
    has_more boolean,
    page_limit integer,
    order_id text[], claimed_status text[], payload json[], business_id text[], session_id text[],
    created_at timestamptz[], updated_at timestamptz[], cancelled_at timestamptz[],
    cancellation_reason text[], customer_email text[], customer_first_name text[],
    customer_last_name text[], customer_phone text[], customer_address json[], currency text[],
    subtotal numeric[], discounts numeric[], shipping numeric[], total numeric[],
    item_count bigint[], items json[], items_hash bigint[], payment_method text[],
    payment_transaction_id text[], payment_amount numeric[], payment_status text[], faults text[],
    assumed text[]
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    at constant timestamptz := coalesce($3, clock_timestamp());
    skew constant interval := torque_internal.clock_skew($4, $2, at);
    ahead constant interval := torque_internal.clock_offset(skew);
    as_of constant timestamptz := torque_internal.as_of(skew, $2);
    rows constant integer[] := array[coalesce(cardinality($12), 0)];
    c torque_internal.api_call;
    p torque_internal.poller;
    w torque.reconcile_window;
    listed torque_internal.fact[];
    seen torque_internal.page;
    busy integer;
begin
    c := torque_internal.take_call($1, at, 200, $5, $6, null);
    select t.*
    into w
    from torque.reconcile_window t
    where t.window_id = c.window_id
        and t.verdict in ('open', 'incomplete')
        and coalesce(t.page_offset, 0) = c.page_offset
    for update;
    if w.window_id is null then
        return torque_internal.log_call($1, 'superseded');
    end if;
    update torque.reconcile_window as t
    set pages = t.pages + 1
    where t.window_id = w.window_id;
    w.pages := w.pages + 1;
    update torque_internal.poller as t
    set clock_offset = ahead
    where t.clock_offset <> ahead;

    select t.*
    into p
    from torque_internal.poller t;
    listed := torque_internal.facts(
        $10, null, array_fill('list'::text, rows), null, null, $11, array_fill(as_of, rows),
        array_fill(at, rows), $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
        $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37
    );
    seen := torque_internal.read_page($7, $8, $9, least(c.page_limit, p.page_cap), listed, w);
    perform torque_internal.judge_clock('API', -skew, at);
    perform torque_internal.tell_odd_rows(listed, w, at);
    busy := torque_internal.take_rows(listed, w, as_of, at);
    if torque_internal.learn_filters(p, w, seen, c, at) then
        delete from torque.reconcile_window t
        where t.parent_id = w.root_id;
        update torque.reconcile_window as t
        set
            verdict = 'open',
            pages = 0,
            tries = 0,
            problem = null,
            expected = null
        where t.window_id = w.root_id;
        return torque_internal.log_call($1, 'manners');
    elsif busy > 0 then
        -- Held by somebody who takes his time; other work is not to wait for it.
        update torque.reconcile_window as t
        set not_before = at + interval '15 seconds'
        where t.window_id = w.window_id;
        return torque_internal.log_call($1, 'busy');
    end if;
    return torque_internal.log_call(
        $1, torque_internal.judge_page(w, p, seen, c, listed, as_of, at)
    );
end
$$;
comment on function torque.reconcile_page is
    'Takes a page of list-orders in and judges its window, in a word: verified, split, paged, seam,'
    ' empty, agreed, absent, incomplete, superseded, manners, busy, or what in it'
    ' contradicts itself.';

create or replace function torque.reconcile_failed(
    call_id bigint,
    asked_at timestamptz,
    answered_at timestamptz,
    kind text,
    http_status integer,
    retry_after_s integer,
    rate_remaining integer,
    rate_reset_at timestamptz,
    problem text
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    gone_after constant interval := '1 hour';
    at constant timestamptz := coalesce($3, clock_timestamp());
    is_answer constant boolean :=
        $4 in ('rate_limited', 'unauthorized', 'not_found', 'refused', 'server_error');
    c torque_internal.api_call;
    w torque.reconcile_window;
    l torque_internal.lookup;
begin
    c := torque_internal.take_call(
        $1, at,
        case
            when not is_answer then null
            when $4 = 'rate_limited' then 429
            when $4 = 'unauthorized' then coalesce($5, 401)
            when $4 = 'not_found' then 404
            else $5
        end,
        $7, $8, $6
    );
    if $4 in ('rate_limited', 'unauthorized') then
        return torque_internal.log_call($1, $4);
    elsif $4 in ('refused', 'untrusted') or $4 = 'not_found' and c.window_id is not null then
        perform torque_internal.raise_alarm('refused', c.purpose, left($9, 1000), at);
    end if;

    -- A window whose answers cannot be read must not keep the others waiting.
    select t.*
    into w
    from torque.reconcile_window t
    where t.window_id = c.window_id
        and t.verdict in ('open', 'incomplete');
    if w.window_id is not null then
        if $4 = 'malformed' and c.page_limit > 1 then
            -- It may have been too much for somebody on its way.
            update torque.reconcile_window as t
            set page_limit = c.page_limit / 2
            where t.window_id = w.window_id;
            return torque_internal.log_call($1, 'smaller');
        elsif $4 in ('refused', 'not_found', 'malformed') then
            return torque_internal.log_call(
                $1, torque_internal.contradict(w, $4, at)
            );
        end if;
        update torque.reconcile_window as t
        set not_before = at + interval '5 seconds'
        where t.window_id = w.window_id
            and t.not_before is null;
        return torque_internal.log_call($1, $4);
    end if;

    select t.*
    into l
    from torque_internal.lookup t
    where t.order_id = c.order_id;
    if $4 = 'not_found' then
        update torque_internal.unlisted as u
        set explained_at = at
        where u.order_id = c.order_id
            and u.absent_since <= $2;
        if l.not_found_at <= at - gone_after then
            insert into torque.missing_order (order_id, missing_since)
            values (c.order_id, l.not_found_at)
            on conflict do nothing;
            delete from torque_internal.lookup t
            where t.order_id = c.order_id;
            perform torque_internal.raise_alarm(
                'missing', c.order_id, 'the API does not know this order any more', at
            );
            return torque_internal.log_call($1, 'missing');
        end if;
    end if;
    update torque_internal.lookup as t
    set
        tries = t.tries + 1,
        priority = case when t.priority = 'operator' then 'verify' else t.priority end,
        not_found_at = case when $4 = 'not_found' then coalesce(t.not_found_at, at) end,
        due_at = case
            when $4 = 'not_found' then
                coalesce(t.not_found_at, at) + gone_after
            else
                torque_internal.due_again(at, t.tries, interval '30 seconds', interval '1 hour')
        end
    where t.order_id = c.order_id;
    return torque_internal.log_call($1, $4);
end
$$;
comment on function torque.reconcile_failed(
    bigint, timestamptz, timestamptz, text, integer, integer, integer, timestamptz, text
) is
    'Ends a call that brought nothing to use. kind: rate_limited, unauthorized, not_found, refused,'
    ' server_error, unreachable, untrusted, late or malformed.';

-- The order is as the fact says, as far as it says anything.
create function torque_internal.is_as_told(o torque.orders, fact torque_internal.fact)
returns boolean
language sql
stable
as $$
    select o.order_id is not null
        and coalesce(
            case
                when torque_internal.status_of(fact.claimed_status) is null then
                    o.raw_status = fact.claimed_status
                else o.status = torque_internal.status_of(fact.claimed_status)
            end,
            fact.claimed_status is null
        )
        and (fact.total is null or o.total is not distinct from fact.total)
        and (fact.currency is null or o.currency is not distinct from fact.currency)
        and (fact.item_count is null or o.item_count is not distinct from fact.item_count)
$$;

create or replace function torque.reconcile_lookup(
    call_id bigint,
    asked_at timestamptz,
    answered_at timestamptz,
    server_date timestamptz,
    rate_remaining integer,
    rate_reset_at timestamptz,
    order_id text[], claimed_status text[], payload json[], business_id text[], session_id text[],
    created_at timestamptz[], updated_at timestamptz[], cancelled_at timestamptz[],
    cancellation_reason text[], customer_email text[], customer_first_name text[],
    customer_last_name text[], customer_phone text[], customer_address json[], currency text[],
    subtotal numeric[], discounts numeric[], shipping numeric[], total numeric[],
    item_count bigint[], items json[], items_hash bigint[], payment_method text[],
    payment_transaction_id text[], payment_amount numeric[], payment_status text[], faults text[],
    assumed text[]
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    at constant timestamptz := coalesce($3, clock_timestamp());
    as_of constant timestamptz :=
        torque_internal.as_of(torque_internal.clock_skew($4, $2, at), $2);
    rows constant integer[] := array[coalesce(cardinality($9), 0)];
    fact constant torque_internal.fact := (torque_internal.facts(
        $7, null, array_fill('lookup'::text, rows), null, null, $8, array_fill(as_of, rows),
        array_fill(at, rows), $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
        $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34
    ))[1];
    c torque_internal.api_call;
    was text;
    becomes torque.orders;
    outcome text;
begin
    select t.*
    into c
    from torque_internal.api_call t
    where t.call_id = $1;
    if c.order_id is not null and c.order_id is distinct from fact.order_id then
        return torque.reconcile_failed(
            $1, $2, at, 'malformed', 200, null, $5, $6, 'the answer is about another order'
        );
    end if;
    c := torque_internal.take_call($1, at, 200, $5, $6, null);
    if c.order_id is null then
        return torque_internal.log_call($1, 'superseded');
    end if;
    select o.status
    into was
    from torque.orders o
    where o.order_id = c.order_id;
    outcome := (torque_internal.take_patiently(array[fact]))[1];
    if outcome = 'quarantined' then
        perform torque_internal.raise_alarm(
            'unusable', c.order_id, format('what a lookup tells of it is %s', outcome), at
        );
    end if;
    if outcome in ('busy', 'quarantined') then
        update torque_internal.lookup as l
        set
            tries = l.tries + 1,
            due_at = torque_internal.due_again(
                at, l.tries, interval '5 seconds', interval '1 hour'
            )
        where l.order_id = c.order_id;
        return torque_internal.log_call($1, outcome);
    end if;
    select o.*
    into becomes
    from torque.orders o
    where o.order_id = c.order_id;
    if was <> becomes.status
        and becomes.status = torque_internal.status_of(fact.claimed_status)
    then
        perform torque_internal.note_drift(
            c.order_id, 'status', 'lookup', null, was, becomes.status, at, true
        );
    end if;
    perform torque_internal.looked_up(c.order_id, $2, at);
    return torque_internal.log_call(
        $1,
        case
            when not torque_internal.is_as_told(becomes, fact) then 'older'
            when was is distinct from becomes.status then 'applied'
            else 'agreed'
        end
    );
end
$$;
comment on function torque.reconcile_lookup is
    'Takes an answer of order-status in, in a word: applied, agreed, older (than what is known,'
    ' which says otherwise), busy, quarantined, malformed (about another order) or superseded.';

-- A person who cancels waits for seconds rather than be told that the database does not know.
create or replace function torque.order_cancelled(
    asked_at timestamptz,
    answered_at timestamptz,
    server_date timestamptz,
    order_id text[], claimed_status text[], payload json[], business_id text[], session_id text[],
    created_at timestamptz[], updated_at timestamptz[], cancelled_at timestamptz[],
    cancellation_reason text[], customer_email text[], customer_first_name text[],
    customer_last_name text[], customer_phone text[], customer_address json[], currency text[],
    subtotal numeric[], discounts numeric[], shipping numeric[], total numeric[],
    item_count bigint[], items json[], items_hash bigint[], payment_method text[],
    payment_transaction_id text[], payment_amount numeric[], payment_status text[], faults text[],
    assumed text[]
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
declare
    at constant timestamptz := coalesce($2, clock_timestamp());
    as_of constant timestamptz :=
        torque_internal.as_of(torque_internal.clock_skew($3, $1, at), $1);
    facts constant torque_internal.fact[] := torque_internal.facts(
        $4, null, array['operator'], null, null, $5, array[as_of], array[at], $6, $7, $8, $9, $10,
        $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
        $29, $30, $31
    );
    outcome text := 'busy';
begin
    for attempt in 1..20 loop
        exit when outcome <> 'busy';
        outcome := (torque_internal.take_patiently(facts))[1];
    end loop;
    return outcome;
end
$$;
comment on function torque.order_cancelled is
    'Takes an answer of cancel in; tells its outcome, or busy or quarantined, when the order here'
    ' is still as it was.';
