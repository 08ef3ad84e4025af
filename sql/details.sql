-- How a payload is read. Replaced whole by every migrate.
--
-- Through jsonb, for it is read once: exact in its numbers, and as to everything else only the text
-- in order_events is what was sent.

set search_path = pg_catalog, pg_temp;

-- Nothing here raises over a value: what cannot be used is null.

-- Names in an order, as webhooks and the API write it.
create type torque_internal.json_order as (
    "businessId" text,
    "sessionId" text,
    "createdAt" text,
    "updatedAt" text,
    "cancelledAt" text,
    "cancellationReason" text,
    "customerData" jsonb,
    customer jsonb,
    cart jsonb,
    payment jsonb,
    amount jsonb,
    currency text
);

-- Names in customerData.
create type torque_internal.json_customer as (
    email text,
    "firstName" text,
    "lastName" text,
    phone text,
    address jsonb
);

-- Names in a cart.
create type torque_internal.json_cart as (
    items jsonb,
    "itemCount" jsonb,
    subtotal jsonb,
    total jsonb,
    currency text
);

-- Names in a payment.
create type torque_internal.json_payment as (
    method text,
    "transactionId" text,
    amount jsonb,
    status text
);

-- Names in a line of a cart.
create type torque_internal.json_item as (
    "productId" text,
    variant text,
    quantity jsonb,
    price jsonb,
    total jsonb,
    metadata jsonb
);

-- A line of a cart.
create type torque_internal.item as (
    product_id text,
    variant text,
    quantity bigint,
    price numeric,
    total numeric,
    metadata jsonb
);

-- All lines of a cart, a hash of the text they came in, and the sum of their quantities. fault: why
-- the fact is refused.
create type torque_internal.items as (
    lines torque_internal.item[],
    hash bigint,
    pieces bigint,
    fault text
);

-- What a payload tells of an order beside its status; null: nothing that can be used. fault: why
-- the fact is refused.
create type torque_internal.details as (
    business_id text,
    session_id text,
    created_at timestamptz,
    updated_at timestamptz,
    cancelled_at timestamptz,
    cancellation_reason text,
    customer_email text,
    customer_first_name text,
    customer_last_name text,
    customer_phone text,
    customer_address jsonb,
    currency text,
    subtotal numeric,
    total numeric,
    item_count bigint,
    items torque_internal.item[],
    items_hash bigint,
    payment_method text,
    payment_transaction_id text,
    payment_amount numeric,
    payment_status text,
    fault text
);

-- What an order may be called: it is a key here and a part of an address elsewhere.
create function torque_internal.is_order_id(word text)
returns boolean
language sql
immutable
parallel safe
as $$
    select length(word) between 1 and 128 and word !~ '[^A-Za-z0-9_.:-]'
$$;

-- At most 20 digits before the point and 18 behind it, an exponent worked out.
create function torque_internal.money(number text)
returns numeric
language sql
immutable
parallel safe
as $$
    select case
        when length(number) <= 20 and number ~ '^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$' then
            number::numeric
        when length(number) <= 64
            and number ~ '^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?0*[0-9]{1,2})?$'
        then
            case
                when number::numeric >= 0
                    and number::numeric < 1e20
                    and scale(number::numeric) <= 18
                then
                    number::numeric
            end
    end
$$;

-- The grammar of RFC 3339, the years 2000 to 2100 in UTC, a fraction cut to microseconds. The
-- second 60 exists at the end of a month only.
create function torque_internal.stamp_rare(word text)
returns timestamptz
language plpgsql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    part constant text[] := regexp_match(
        word,
        '^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])'
        '[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.(\d+))?'
        '(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$'
    );
    month_starts timestamp;
    utc timestamp;
begin
    if part is null or part[1]::integer not between 1999 and 2101 then
        return null;
    end if;
    month_starts := make_timestamp(part[1]::integer, part[2]::integer, 1, 0, 0, 0);
    utc := month_starts + make_interval(
        days => part[3]::integer - 1,
        hours => part[4]::integer,
        mins => part[5]::integer
    );
    if utc >= month_starts + interval '1 month' then
        return null;
    end if;
    utc := utc - coalesce((part[8] || '1')::integer, 1) * make_interval(
        hours => coalesce(part[9]::integer, 0),
        mins => coalesce(part[10]::integer, 0)
    );
    if part[6] = '60'
        and utc + interval '1 minute' <> date_trunc('month', utc + interval '1 minute')
    then
        return null;
    end if;
    utc := utc
        + part[6]::integer * interval '1 second'
        + left(rpad(coalesce(part[7], ''), 6, '0'), 6)::integer * interval '1 microsecond';
    if utc < '2000-01-01' or utc >= '2101-01-01' then
        return null;
    end if;
    return utc at time zone 'UTC';
end
$$;

-- The common forms, in UTC and with microseconds at most, are looked at with arithmetic: a regular
-- expression that knows its places costs as much as all other fields of a payload.
create function torque_internal.stamp(word text)
returns timestamptz
language plpgsql
stable
parallel safe
as $$
declare
    digits text;
    n bigint;
begin
    if word is null then
        return null;
    end if;
    if word like '20__-__-__T__:__:__Z'
        or word like '20__-__-__T__:__:__._%Z' and length(word) <= 27
    then
        digits := translate(word, '-T:.Z', '');
        if length(digits) = greatest(14, length(word) - 7) and digits !~ '[^0-9]' then
            n := left(digits, 14)::bigint;
            if n / 1000000 % 100 between 1 and 28
                and n / 100000000 % 100 between 1 and 12
                and n / 10000 % 100 < 24
                and n / 100 % 100 < 60
                and n % 100 < 60
                and n / 10000000000 <= 2100
            then
                return word::timestamptz;
            end if;
        end if;
    end if;
    return torque_internal.stamp_rare(word);
end
$$;

-- A field that should be text: any scalar will do, an object or an array is not usable.
create function torque_internal.plain(value text, doc jsonb, name text)
returns text
language sql
immutable
parallel safe
as $$
    select case
        when jsonb_typeof(doc -> name) not in ('object', 'array') then value
    end
$$;

-- A customer whose fields are texts.
create function torque_internal.plain_customer(
    customer torque_internal.json_customer,
    doc jsonb
)
returns torque_internal.json_customer
language sql
immutable
parallel safe
as $$
    select row(
        torque_internal.plain(customer.email, doc, 'email'),
        torque_internal.plain(customer."firstName", doc, 'firstName'),
        torque_internal.plain(customer."lastName", doc, 'lastName'),
        torque_internal.plain(customer.phone, doc, 'phone'),
        customer.address
    )::torque_internal.json_customer
$$;

-- Three to five capitals.
create function torque_internal.is_currency(word text)
returns boolean
language sql
immutable
parallel safe
as $$
    select word !~ '[^A-Z]' and length(word) between 3 and 5
$$;

-- An amount; null when it is none.
create function torque_internal.amount(raw jsonb)
returns numeric
language plpgsql
immutable
parallel safe
as $$
declare
    number numeric;
begin
    if raw is null then
        return null;
    elsif jsonb_typeof(raw) = 'number' then
        number := raw::numeric;
        if number >= 0 and number < 1e20 and scale(number) <= 18 then
            return number;
        end if;
    end if;
    return null;
end
$$;

-- For the amounts that amount() refuses, so that only those are looked at twice.
create function torque_internal.text_amount(raw jsonb)
returns numeric
language plpgsql
immutable
parallel safe
as $$
begin
    return torque_internal.money(
        case when jsonb_typeof(raw) = 'string' then raw #>> '{}' end
    );
end
$$;

-- A field that is there and is no number is a fault, null included.
create function torque_internal.amount_fault(doc jsonb, name text)
returns text
language plpgsql
immutable
parallel safe
as $$
begin
    return case
        when torque_internal.text_amount(doc -> name) is not null then 'amount_is_text'
        when doc ? name and torque_internal.amount(doc -> name) is null then 'bad_amount'
    end;
end
$$;

-- Of two faults one that no setting forgives.
create function torque_internal.worse(fault text, other text)
returns text
language sql
immutable
parallel safe
as $$
    select case
        when fault is null or fault = 'amount_is_text' then coalesce(other, fault)
        else fault
    end
$$;

-- A number of pieces up to a thousand million; null when it is none.
create function torque_internal.quantity(raw jsonb, least_allowed integer)
returns bigint
language plpgsql
immutable
parallel safe
as $$
declare
    number numeric;
begin
    if jsonb_typeof(raw) = 'number' then
        number := raw::numeric;
        if number >= least_allowed and number <= 1000000000 and number = trunc(number) then
            return number;
        end if;
    end if;
    return null;
end
$$;

-- The lines of a cart, or null when they are not usable.
create function torque_internal.items(raw jsonb)
returns torque_internal.items
language plpgsql
immutable
parallel safe
as $$
declare
    doc jsonb;
    item torque_internal.json_item;
    line torque_internal.item;
    lines torque_internal.item[] := '{}';
    pieces bigint := 0;
    fault text;
begin
    for n in 0..jsonb_array_length(raw) - 1 loop
        doc := raw -> n;
        if jsonb_typeof(doc) <> 'object' then
            return null;
        end if;
        item := jsonb_populate_record(null::torque_internal.json_item, doc);
        line := row(
            torque_internal.plain(item."productId", doc, 'productId'),
            torque_internal.plain(item.variant, doc, 'variant'),
            torque_internal.quantity(item.quantity, 1),
            torque_internal.amount(item.price),
            torque_internal.amount(item.total),
            item.metadata
        );
        if line.price is null then
            line.price := torque_internal.text_amount(item.price);
            fault := torque_internal.worse(fault, torque_internal.amount_fault(doc, 'price'));
        end if;
        if line.total is null then
            line.total := torque_internal.text_amount(item.total);
            fault := torque_internal.worse(fault, torque_internal.amount_fault(doc, 'total'));
        end if;
        if line.quantity is not null then
            pieces := pieces + line.quantity;
        elsif doc ? 'quantity' then
            fault := torque_internal.worse(fault, 'bad_quantity');
        end if;
        lines := lines || line;
    end loop;
    return row(lines, hashtextextended(raw::text, 0), pieces, fault);
end
$$;

-- Everything a payload tells beside the status, and what is wrong with its money. The names are
-- those of the first form; the second form's own ones stand in where those are absent. made_at:
-- when the order was made, should the payload not say.
create function torque_internal.details(
    payload json,
    is_webhook boolean,
    made_at timestamptz
)
returns torque_internal.details
language plpgsql
stable
parallel safe
as $$
declare
    doc jsonb := payload::jsonb;
    is_second boolean := false;
    o torque_internal.json_order;
    customer torque_internal.json_customer;
    second torque_internal.json_customer;
    cart torque_internal.json_cart;
    items torque_internal.items;
    payment torque_internal.json_payment;
    subtotal numeric;
    total numeric;
    item_count bigint;
    currency text;
    paid numeric;
    fault text;
begin
    if is_webhook then
        is_second := doc ->> 'event' is null;
        doc := case when is_second then doc #> '{data,order}' else doc -> 'data' end;
    end if;
    if jsonb_typeof(doc) is distinct from 'object' then
        doc := '{}';
    end if;
    o := jsonb_populate_record(null::torque_internal.json_order, doc);

    if jsonb_typeof(o."customerData") = 'object' then
        customer := jsonb_populate_record(null::torque_internal.json_customer, o."customerData");
    end if;

    if jsonb_typeof(o.cart) = 'object' then
        cart := jsonb_populate_record(null::torque_internal.json_cart, o.cart);
        currency := cart.currency;
        subtotal := torque_internal.amount(cart.subtotal);
        if subtotal is null then
            subtotal := torque_internal.text_amount(cart.subtotal);
            fault := torque_internal.amount_fault(o.cart, 'subtotal');
        end if;
        total := torque_internal.amount(cart.total);
        if total is null then
            total := torque_internal.text_amount(cart.total);
            fault := torque_internal.worse(
                fault, torque_internal.amount_fault(o.cart, 'total'));
        end if;
        if jsonb_typeof(cart.items) = 'array' then
            items := torque_internal.items(cart.items);
            fault := torque_internal.worse(fault, items.fault);
        end if;
        if cart."itemCount" is not null then
            item_count := torque_internal.quantity(cart."itemCount", 0);
            if item_count is null then
                fault := torque_internal.worse(fault, 'bad_quantity');
            end if;
        end if;
    end if;

    if jsonb_typeof(o.payment) = 'object' then
        payment := jsonb_populate_record(null::torque_internal.json_payment, o.payment);
        paid := torque_internal.amount(payment.amount);
        if paid is null then
            paid := torque_internal.text_amount(payment.amount);
            fault := torque_internal.worse(
                fault, torque_internal.amount_fault(o.payment, 'amount'));
        end if;
    end if;

    if is_second then
        if jsonb_typeof(o.customer) = 'object' then
            second := jsonb_populate_record(null::torque_internal.json_customer, o.customer);
        end if;
        total := coalesce(
            total,
            torque_internal.amount(o.amount),
            torque_internal.text_amount(o.amount)
        );
        fault := torque_internal.worse(fault, torque_internal.amount_fault(doc, 'amount'));
        if not torque_internal.is_currency(o.currency) then
            fault := torque_internal.worse(fault, 'bad_currency');
        end if;
        currency := coalesce(currency, o.currency);
    end if;
    if not torque_internal.is_currency(currency) then
        fault := torque_internal.worse(fault, 'bad_currency');
    end if;

    -- Text that begins like an object or an array most likely is one; that text is looked at again.
    if concat_ws(
            e'\x01', '', o."businessId", o."sessionId", o."cancellationReason",
            customer.email, customer."firstName", customer."lastName", customer.phone,
            second.email, second."firstName", second."lastName", second.phone,
            payment.method, payment."transactionId", payment.status
        ) ~ '\x01[{[]'
    then
        o."businessId" := torque_internal.plain(o."businessId", doc, 'businessId');
        o."sessionId" := torque_internal.plain(o."sessionId", doc, 'sessionId');
        o."cancellationReason"
            := torque_internal.plain(o."cancellationReason", doc, 'cancellationReason');
        customer := torque_internal.plain_customer(customer, o."customerData");
        second := torque_internal.plain_customer(second, o.customer);
        payment.method := torque_internal.plain(payment.method, o.payment, 'method');
        payment."transactionId"
            := torque_internal.plain(payment."transactionId", o.payment, 'transactionId');
        payment.status := torque_internal.plain(payment.status, o.payment, 'status');
    end if;

    return row(
        o."businessId",
        o."sessionId",
        coalesce(torque_internal.stamp(o."createdAt"), made_at),
        torque_internal.stamp(o."updatedAt"),
        torque_internal.stamp(o."cancelledAt"),
        o."cancellationReason",
        coalesce(customer.email, second.email),
        coalesce(customer."firstName", second."firstName"),
        coalesce(customer."lastName", second."lastName"),
        coalesce(customer.phone, second.phone),
        case when jsonb_typeof(customer.address) = 'object' then customer.address end,
        currency,
        subtotal,
        total,
        coalesce(item_count, items.pieces),
        items.lines,
        items.hash,
        payment.method,
        payment."transactionId",
        paid,
        payment.status,
        fault
    );
end
$$;
