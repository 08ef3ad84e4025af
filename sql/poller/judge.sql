-- What an answer proves about its window. Replaced whole by every migrate.
--
-- A window that has more than a page of orders is divided, or read page by page, each page sharing
-- rows with the one before. What is wrong with a single row keeps the certificate out, and no row.

set search_path = pg_catalog, pg_temp;

-- Judges a page of a window that is read page by page.
create function torque_internal.judge_paged(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page,
    flaw text,
    listed torque_internal.fact[],
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    -- Nobody makes so many orders in a moment.
    pages_max constant integer := 10000;
    shared constant integer := greatest(1, seen.size / 50);
    first_as_of constant timestamptz := case when w.page_offset = 0 then as_of else w.as_of end;
    next_offset constant bigint := w.page_offset + seen.row_count;
    -- An API that tells of more rows than it has counted, or of as many as a page can have, is
    -- taken at its word once.
    is_last constant boolean := case
        when seen.total is null then seen.row_count < seen.size
        else next_offset >= seen.total
            and (w.page_offset > 0 or not seen.has_more and seen.row_count < seen.size)
    end;
    news integer;
    paged record;
begin
    if seen.sort_order = 'none' then
        return torque_internal.contradict(w, 'no_order', at);
    elsif greatest(seen.total, w.page_offset) > pages_max * seen.size then
        return torque_internal.contradict(w, 'endless', at);
    elsif w.page_offset > 0 and seen.total is distinct from w.expected then
        return torque_internal.contradict(w, 'total_changed', at);
    elsif w.page_offset > 0
        and seen.size > 1
        and not seen.ids && w.seam
        and (seen.row_count > 0 or w.page_offset < seen.total)
    then
        -- Rows have moved up: some were left out between the pages.
        if (w.pages <= (w.tries + 1) * (6 + 4 * seen.total / seen.size)) is not true then
            return torque_internal.contradict(w, 'seam', at);
        end if;
        update torque.reconcile_window as t
        set
            page_offset = greatest(0, t.page_offset - greatest(1, seen.size / 2)),
            problem = 'seam'
        where t.window_id = w.window_id;
        return 'seam';
    end if;

    insert into torque_internal.paged_order (window_id, order_id, is_inside)
    select
        w.window_id,
        r.order_id,
        bool_or(r.created_at >= w.created_from and r.created_at < w.created_to)
    from unnest(listed) as r
    where r.order_id is not null
    group by r.order_id
    on conflict do nothing;
    get diagnostics news = row_count;

    if is_last then
        select
            array_agg(o.order_id) as ids,
            count(*) as seen,
            count(*) filter (where o.is_inside) as inside,
            bool_or(o.is_inside is null) as is_undated
        into paged
        from torque_internal.paged_order o
        where o.window_id = w.window_id;
        w.problem := case
            when flaw is not null then flaw
            when paged.is_undated then 'no_created_at'
            -- Pages of one row share none.
            when seen.size = 1 and paged.seen > 1 then 'no_seam'
            when paged.seen <> seen.total then 'rows_missing'
        end;
        if w.problem is not null then
            return torque_internal.contradict(w, w.problem, at);
        end if;
        return torque_internal.complete(
            w, coalesce(paged.ids, '{}'), seen.total, paged.inside, first_as_of, at
        );
    elsif seen.row_count < seen.size and next_offset < seen.total then
        return torque_internal.contradict(w, 'rows_missing', at);
    elsif news = 0 and w.problem is distinct from 'seam' then
        perform torque_internal.learn_offset_ignored(at);
        return torque_internal.contradict(w, 'offset_ignored', at);
    end if;
    update torque.reconcile_window as t
    set
        page_offset = next_offset - least(shared, seen.row_count - 1),
        expected = seen.total,
        seen = coalesce(case when w.page_offset > 0 then t.seen end, 0) + news,
        as_of = first_as_of,
        seam = seen.ids,
        problem = nullif(w.problem, 'seam')
    where t.window_id = w.window_id;
    return 'paged';
end
$$;

-- What an answer proves about its window, in a word.
create function torque_internal.judge_page(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page,
    of_call torque_internal.api_call,
    listed torque_internal.fact[],
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    -- Longer windows are divided, as far as they can be.
    pages_max constant integer := 50;
    contradiction constant text := case
        when cardinality(seen.ids) + seen.unusable < seen.row_count then 'row_twice'
        when seen.has_other_status then 'other_status'
        when torque_internal.is_out_of_span(seen, of_call, p) then 'out_of_span'
        when seen.total < seen.row_count then 'total_too_low'
        when seen.total >= w.below then 'grown'
    end;
    flaw constant text := case
        when seen.unusable > 0 then 'row_without_id'
        when seen.undated > 0 then 'no_created_at'
        when seen.total is null then 'no_total'
    end;
    -- The total may be that of the page: only one that leaves room proves that it is all.
    is_full constant boolean := seen.row_count >= seen.size;
    known constant bigint := case
        when w.is_count or seen.row_count = 0 then torque_internal.known_in_span(w, p)
    end;
begin
    if contradiction is not null then
        return torque_internal.contradict(w, contradiction, at);
    elsif w.page_offset is not null then
        return torque_internal.judge_paged(w, p, seen, flaw, listed, as_of, at);
    elsif seen.total > seen.row_count and not is_full then
        return torque_internal.contradict(
            w,
            case
                when torque_internal.learn_page_cap(seen, at) then 'short_pages'
                else 'rows_missing'
            end,
            at
        );
    end if;

    if not is_full and not seen.has_more then
        if flaw is not null then
            return torque_internal.contradict(
                w, flaw, at,
                format('row %s of those from %s on', seen.odd_place, of_call.page_offset)
            );
        elsif seen.row_count = 0
            and w.problem is distinct from 'empty'
            and (known > 0 or w.status is null and w.parent_id is null)
        then
            update torque.reconcile_window as t
            set problem = 'empty'
            where t.window_id = w.window_id;
            return 'empty';
        end if;
        return torque_internal.complete(w, seen.ids, seen.total, seen.inside, as_of, at);
    elsif not is_full and w.problem is distinct from 'has_more' then
        return torque_internal.contradict(w, 'has_more', at);
    elsif w.is_count and flaw is null and seen.total = known then
        return torque_internal.settle(
            w, 'agreed', seen.total, cardinality(seen.ids), seen.inside, as_of, at
        );
    elsif is_full
        and cardinality(seen.created_ats) > 0
        and torque_internal.can_divide(w, p)
        and not (
            w.tries = 0
            and seen.total <= pages_max * seen.size
            and torque_internal.may_page(w, p, seen)
        )
    then
        return torque_internal.split(w, p, seen);
    end if;
    w.page_offset := 0;
    update torque.reconcile_window as t
    set page_offset = 0
    where t.window_id = w.window_id;
    return torque_internal.judge_paged(w, p, seen, flaw, listed, as_of, at);
end
$$;
