-- What an answer proves about its window. Replaced whole by every migrate.
--
-- A window that has more than a page of orders is divided; one that cannot be divided is read page
-- by page, each page sharing rows with the one before.

set search_path = pg_catalog, pg_temp;

-- Judges a page of a window that is read page by page.
create function torque_internal.judge_paged(
    w torque.reconcile_window,
    p torque_internal.poller,
    seen torque_internal.page,
    listed torque_internal.fact[],
    as_of timestamptz,
    at timestamptz
)
returns text
language plpgsql
as $$
declare
    size constant integer := torque_internal.page_size(p);
    shared constant integer := greatest(1, size / 20);
    total_at_first constant bigint := coalesce(w.first_total, seen.total);
    first_as_of constant timestamptz := case when w.page_offset = 0 then as_of else w.as_of end;
    is_last boolean;
    news integer;
    ids text[];
    inside bigint;
begin
    if seen.sort_order = 'none' then
        return torque_internal.contradict(w, 'no_order', at);
    elsif w.page_offset > 0
        and not seen.ids && w.seam
        and (seen.row_count > 0 or w.page_offset < seen.total)
    then
        -- Rows have moved up: some were left out between the pages.
        if w.pages > (w.tries + 1) * (6 + 4 * seen.total / size) then
            return torque_internal.contradict(w, 'seam', at);
        end if;
        update torque.reconcile_window as t
        set
            page_offset = greatest(0, t.page_offset - greatest(1, size / 2)),
            problem = 'seam'
        where t.window_id = w.window_id;
        return 'seam';
    end if;

    insert into torque_internal.paged_order (window_id, order_id, is_inside)
    select
        w.window_id,
        r.order_id,
        bool_or(coalesce(r.created_at >= w.created_from and r.created_at < w.created_to, false))
    from unnest(listed) as r
    group by r.order_id
    on conflict do nothing;
    get diagnostics news = row_count;

    -- An API that tells of more rows than it has counted, or of as many as a page can have, is
    -- taken at its word once.
    is_last := w.page_offset + seen.row_count >= seen.total
        and (w.page_offset > 0 or seen.has_more is not true and seen.row_count < size);
    if is_last then
        select array_agg(o.order_id), count(*) filter (where o.is_inside)
        into ids, inside
        from torque_internal.paged_order o
        where o.window_id = w.window_id;
        if seen.total <> total_at_first or coalesce(cardinality(ids), 0) <> seen.total then
            return torque_internal.contradict(w, 'total_changed', at);
        end if;
        return torque_internal.complete(w, ids, seen.total, inside, first_as_of, at);
    elsif seen.row_count < size and w.page_offset + seen.row_count < seen.total then
        return torque_internal.contradict(w, 'rows_missing', at);
    elsif news = 0 and w.problem is distinct from 'seam' then
        update torque_internal.poller
        set offset_ignored_at = at;
        return torque_internal.contradict(w, 'offset_ignored', at);
    end if;
    update torque.reconcile_window as t
    set
        page_offset = w.page_offset + seen.row_count - least(shared, seen.row_count - 1),
        first_total = total_at_first,
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
    size constant integer := torque_internal.page_size(p);
    distinct_ids constant integer := cardinality(seen.ids);
    -- The total may be that of the page: only one that leaves room proves that it is all.
    is_full constant boolean := distinct_ids >= size;
    known bigint;
begin
    if seen.unusable > 0 then
        return torque_internal.contradict(w, 'row_without_id', at);
    elsif seen.total is null then
        return torque_internal.contradict(w, 'no_total', at);
    elsif distinct_ids < seen.row_count then
        return torque_internal.contradict(w, 'row_twice', at);
    elsif seen.has_other_status then
        return torque_internal.contradict(w, 'other_status', at);
    elsif p.dates_ignored_at is null
        and torque_internal.is_out_of_span(seen, of_call, p.coarse_dates_at is not null)
    then
        return torque_internal.contradict(w, 'out_of_span', at);
    elsif seen.total < distinct_ids then
        return torque_internal.contradict(w, 'total_too_low', at);
    elsif w.page_offset is not null then
        return torque_internal.judge_paged(w, p, seen, listed, as_of, at);
    elsif seen.total > distinct_ids and distinct_ids < size then
        if seen.has_more and seen.page_limit = distinct_ids then
            update torque_internal.poller
            set
                page_cap = seen.page_limit,
                page_cap_at = at
            where seen.page_limit > 0;
            return torque_internal.contradict(w, 'short_pages', at);
        end if;
        return torque_internal.contradict(w, 'rows_missing', at);
    elsif seen.total = 0 and w.problem is distinct from 'empty' then
        update torque.reconcile_window as t
        set problem = 'empty'
        where t.window_id = w.window_id;
        return 'empty';
    elsif seen.total = distinct_ids and not is_full and not coalesce(seen.has_more, false) then
        return torque_internal.complete(w, seen.ids, seen.total, seen.inside, as_of, at);
    elsif seen.total = distinct_ids
        and seen.has_more
        and w.problem is distinct from 'has_more'
    then
        return torque_internal.contradict(w, 'has_more', at);
    end if;

    known := torque_internal.known_in_span(w, p);
    if w.problem = 'recount' then
        if seen.total <= known then
            update torque.reconcile_window as t
            set
                verdict = 'split',
                expected = seen.total,
                seen = distinct_ids,
                problem = null
            where t.window_id = w.window_id;
            perform torque_internal.close_up(
                (
                    select min(c.window_id)
                    from torque.reconcile_window c
                    where c.parent_id = w.window_id
                ),
                at
            );
            return 'verified';
        end if;
        delete from torque.reconcile_window c
        where c.parent_id = w.window_id;
        return torque_internal.contradict(w, 'parts_missing', at);
    elsif seen.total = known and exists (
        select
        from torque.order_status s
        where s.status = w.status
            and s.is_final
    ) then
        return torque_internal.settle(
            w, 'agreed', seen.total, distinct_ids, seen.inside, as_of, at
        );
    elsif (seen.total > distinct_ids or is_full)
        and torque_internal.can_split(w, p)
        and not torque_internal.is_crowd(w, seen, size)
    then
        return torque_internal.split(w, p, seen, as_of, at);
    end if;
    w.page_offset := 0;
    update torque.reconcile_window as t
    set page_offset = 0
    where t.window_id = w.window_id;
    return torque_internal.judge_paged(w, p, seen, listed, as_of, at);
end
$$;
