/* next -> page -> judge -> complete | divide | read page by page | doubt. Read downwards. */
#include "command/list_all.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/memory.h"
#include "base/stamp.h"
#include "command/pick.h"
#include "order/fact.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)
#define OLDEST_US (INT64_C(946771200) * SECOND_US) /* 2000-01-02: nothing is older */

enum {
	EDGE_S = 2,         /* whatever the API takes "after" to mean */
	PLACE_PERCENT = 90, /* of a page: what a part is given */
	AIM_PERCENT = 80,   /* the same, where only the density is known */
	ROWS_TELLING = 20,  /* fewer tell nothing of the density */
	TRIES_MAX = 3,
	SPANS_MAX = 256,
	CALLS_FREE = 50, /* beyond these, calls have to bring orders */
	DOUBT_MAX = 256,
};

/* Orders made from then on and before then; guess: how many, -1 = no idea. */
struct span {
	int64_t from_us, to_us;
	int64_t guess;
};

/* An order that some page has shown. */
struct known {
	char id[FACT_ORDER_ID_MAX + 1];
	int64_t created_us;
	unsigned mark;      /* of the attempt that showed it last */
	unsigned collected; /* of the attempt that collected it last */
	bool printed;
};

struct row {
	struct known *known;
	struct text json; /* borrowed from the answer; of a collected row our own copy */
};

struct rows {
	struct row *list;
	size_t count, size;
};

enum sorting { SORTED_NONE, SORTED_NEWEST, SORTED_OLDEST };

struct page {
	struct rows rows; /* in the order in which they came, each order once */
	uint64_t total;
	uint64_t limit; /* as the API says; 0: it does not */
	bool has_more;
	bool outside;      /* some rows were made at another time than was asked for */
	bool shares;       /* some row stood on the page before too */
	size_t news;       /* orders that this attempt had not seen */
	const char *fault; /* NULL, or why the page is not to be believed */
};

struct list_all {
	struct api_target_list filter;
	struct span root;
	int64_t now_us;
	struct span spans[SPANS_MAX]; /* to be asked for, the next one last */
	size_t spans_count;
	struct span span; /* being asked for; valid when asking */
	bool asking;
	bool was_empty; /* said to be empty once */
	unsigned tries;
	unsigned mark; /* of this attempt */

	bool paged;
	uint64_t offset, first_total;
	unsigned steps_back;
	struct rows collected;
	struct rows seam; /* rows of the page before, without JSON */

	unsigned limit;
	int64_t step_us;   /* about AIM_PERCENT of a page were made in that time; 0 = not known */
	bool sparse;       /* the last span had too few orders to tell */
	uint64_t promised; /* what the first believable page says there are in all */
	enum sorting sorting;
	void *tree; /* of struct known, by id */
	struct known **all;
	size_t all_count, all_size;
	size_t printed_count;
	size_t calls;
	char doubt[DOUBT_MAX];
};

static int compare_ids(const void *a, const void *b)
{
	const struct known *left = a, *right = b;

	return strcmp(left->id, right->id);
}

static void *grow(void *list, size_t count, size_t *size, size_t each)
{
	void *larger;

	if (count < *size) {
		return list;
	}
	*size = *size ? 2 * *size : 128;
	larger = reallocarray(list, *size, each);
	if (!larger) {
		die("no memory for %zu orders", *size);
	}
	return larger;
}

static void add_row(struct rows *rows, struct known *known, struct text json)
{
	rows->list = grow(rows->list, rows->count, &rows->size, sizeof(rows->list[0]));
	rows->list[rows->count++] = (struct row){ known, json };
}

static struct known *know(struct list_all *walk, const struct known *key)
{
	void *place = tsearch(key, &walk->tree, compare_ids);
	struct known *known;

	if (!place) {
		die("no memory for an order");
	}
	if (*(const struct known **)place != key) {
		return *(struct known **)place;
	}
	known = memory_new(sizeof(*known));
	*known = *key;
	*(struct known **)place = known;
	walk->all = grow(walk->all, walk->all_count, &walk->all_size, sizeof(struct known *));
	walk->all[walk->all_count++] = known;
	return known;
}

static bool push(struct list_all *walk, int64_t from_us, int64_t to_us, int64_t guess)
{
	if (walk->spans_count == SPANS_MAX) {
		return false;
	}
	walk->spans[walk->spans_count++] = (struct span){ from_us, to_us, guess };
	return true;
}

static void begin_attempt(struct list_all *walk)
{
	for (size_t i = 0; i < walk->collected.count; i++) {
		free((void *)(uintptr_t)walk->collected.list[i].json.ptr);
	}
	walk->collected.count = 0;
	walk->seam.count = 0;
	walk->offset = 0;
	walk->steps_back = 0;
	walk->mark++;
}

struct list_all *list_all_new(const struct api_target_list *filter, int64_t now_us)
{
	struct list_all *walk = memory_new(sizeof(*walk));

	walk->filter = *filter;
	walk->now_us = now_us;
	walk->limit = API_TARGET_PAGE_MAX;
	walk->root = (struct span){
		.from_us = filter->has_from ? filter->from_us : OLDEST_US,
		.to_us = filter->has_to ? filter->to_us : now_us + DAY_US,
		.guess = -1,
	};
	if (walk->root.from_us < walk->root.to_us) {
		push(walk, walk->root.from_us, walk->root.to_us, -1);
	}
	return walk;
}

static void forget(void *known)
{
	free(known);
}

void list_all_free(struct list_all *walk)
{
	if (!walk) {
		return;
	}
	begin_attempt(walk);
	tdestroy(walk->tree, forget);
	free(walk->collected.list);
	free(walk->seam.list);
	free(walk->all);
	free(walk);
}

size_t list_all_count(const struct list_all *walk)
{
	return walk->printed_count;
}

const char *list_all_doubt(const struct list_all *walk)
{
	return walk->doubt[0] ? walk->doubt : NULL;
}

static void doubt(struct list_all *walk, const char *why)
{
	char from[STAMP_TEXT_MAX], to[STAMP_TEXT_MAX];

	if (walk->doubt[0]) {
		return; /* the first one is told */
	}
	stamp_format(walk->span.from_us, from);
	stamp_format(walk->span.to_us, to);
	snprintf(walk->doubt, sizeof(walk->doubt), "%s, for orders made between %s and %s", why,
		from, to);
}

/* Of a span that will not fit on a page a part is cut off that will. Where the last part did not
 * have what was expected, the rest is asked for whole: its page tells where its orders are. */
static void cut_off(struct list_all *walk, struct span *span)
{
	int64_t aim = walk->limit * AIM_PERCENT / 100;
	int64_t cut;

	if (span->guess <= walk->limit || walk->sparse || walk->step_us < SECOND_US ||
		walk->step_us >= (span->to_us - span->from_us) / 10 * 9) {
		return;
	}
	if (walk->sorting == SORTED_OLDEST) {
		cut = span->from_us + walk->step_us;
		if (push(walk, cut, span->to_us, span->guess - aim)) {
			*span = (struct span){ span->from_us, cut, aim };
		}
	} else {
		cut = span->to_us - walk->step_us;
		if (push(walk, span->from_us, cut, span->guess - aim)) {
			*span = (struct span){ cut, span->to_us, aim };
		}
	}
}

/* Parts that were emptied one after the other would otherwise pass. Orders do leave a status. */
static void sum_up(struct list_all *walk)
{
	if (walk->filter.status.len == 0 && walk->promised > walk->all_count) {
		walk->span = walk->root;
		doubt(walk, "the API listed fewer orders than it had said there are");
	}
}

bool list_all_next(struct list_all *walk, struct api_target_list *ret_list)
{
	if (!walk->asking) {
		if (walk->spans_count == 0) {
			sum_up(walk);
			return false;
		}
		walk->span = walk->spans[--walk->spans_count];
		cut_off(walk, &walk->span);
		walk->asking = true;
		walk->paged = false;
		walk->was_empty = false;
		walk->tries = 0;
		begin_attempt(walk);
	}
	*ret_list = walk->filter;
	ret_list->limit = walk->limit;
	ret_list->offset = (unsigned)walk->offset;
	ret_list->has_from = walk->filter.has_from || walk->span.from_us > walk->root.from_us;
	ret_list->has_to = walk->filter.has_to || walk->span.to_us < walk->root.to_us;
	ret_list->from_us = walk->span.from_us - EDGE_S * SECOND_US;
	ret_list->to_us = walk->span.to_us + EDGE_S * SECOND_US;
	return true;
}

static bool read_id(struct text json, char out[FACT_ORDER_ID_MAX + 1])
{
	struct text quoted = pick_member(json, "id");

	if (quoted.len < 3 || quoted.len - 2 > FACT_ORDER_ID_MAX) {
		return false;
	}
	snprintf(out, FACT_ORDER_ID_MAX + 1, "%.*s", (int)quoted.len - 2, quoted.ptr + 1);
	return fact_order_id_valid(text_of(out));
}

static bool read_created(struct text json, int64_t *ret_us)
{
	struct text quoted = pick_member(json, "createdAt");

	return quoted.len > 2 && quoted.ptr[0] == '"' &&
	       stamp_parse((struct text){ quoted.ptr + 1, quoted.len - 2 }, ret_us);
}

/* Words of letters only are written without escapes. */
static bool has_status(struct text json, struct text status)
{
	struct text quoted = pick_member(json, "status");

	return status.len == 0 || (quoted.len == status.len + 2 &&
					  memcmp(quoted.ptr + 1, status.ptr, status.len) == 0);
}

static bool is_outside(const struct list_all *walk, int64_t created_us)
{
	const int64_t edge_us = (EDGE_S + 1) * SECOND_US; /* to the second is near enough */

	return created_us < walk->span.from_us - edge_us || created_us > walk->span.to_us + edge_us;
}

static bool is_inside(const struct list_all *walk, int64_t created_us)
{
	return created_us >= walk->span.from_us && created_us < walk->span.to_us;
}

static bool in_seam(const struct list_all *walk, const struct known *known)
{
	for (size_t i = 0; i < walk->seam.count; i++) {
		if (walk->seam.list[i].known == known) {
			return true;
		}
	}
	return false;
}

static void read_row(struct list_all *walk, struct page *page, struct text json)
{
	struct known key = { .created_us = 0 };
	struct known *known;

	if (!read_id(json, key.id)) {
		page->fault = "the API listed an order without a usable id";
		return;
	}
	if (!read_created(json, &key.created_us)) {
		page->fault = "the API listed an order without a readable createdAt";
		key.created_us = walk->span.from_us;
	}
	if (!has_status(json, walk->filter.status)) {
		page->fault = "the API listed orders in another status than was asked for";
	}
	known = know(walk, &key);
	for (size_t i = 0; i < page->rows.count; i++) {
		if (page->rows.list[i].known == known) {
			page->fault = "the API listed an order twice on a page";
			return;
		}
	}
	page->shares = page->shares || in_seam(walk, known);
	page->outside = page->outside || is_outside(walk, known->created_us);
	page->news += known->mark != walk->mark;
	known->mark = walk->mark;
	add_row(&page->rows, known, json);
}

static void read_page(struct list_all *walk, struct text body, struct page *page)
{
	struct text pagination = pick_member(body, "pagination");
	struct text orders = pick_content(pick_member(body, "orders"));
	struct text order;

	while (pick_element(&orders, &order)) {
		read_row(walk, page, order);
	}
	page->has_more = text_equal(pick_member(pagination, "hasMore"), TEXT("true"));
	if (!text_to_u64(pick_member(pagination, "limit"), &page->limit)) {
		page->limit = 0;
	}
	if (!text_to_u64(pick_member(pagination, "total"), &page->total)) {
		page->fault = "the API's total is no count";
	} else if (!page->fault && page->total < page->rows.count) {
		page->fault = "the API listed more orders than it says there are";
	}
}

static enum sorting sorting_of(const struct rows *rows)
{
	bool newest = true, oldest = true;

	for (size_t i = 1; i < rows->count; i++) {
		int64_t before = rows->list[i - 1].known->created_us;
		int64_t created = rows->list[i].known->created_us;

		newest = newest && created <= before;
		oldest = oldest && created >= before;
	}
	return newest ? SORTED_NEWEST : oldest ? SORTED_OLDEST : SORTED_NONE;
}

static int compare_newest(const void *a, const void *b)
{
	const struct known *left = ((const struct row *)a)->known;
	const struct known *right = ((const struct row *)b)->known;

	if (left->created_us != right->created_us) {
		return left->created_us < right->created_us ? 1 : -1;
	}
	return strcmp(left->id, right->id);
}

/* The rows of the span that were not told before, newest first. */
static size_t tell(struct list_all *walk, struct rows *rows, list_all_found *found, void *owner)
{
	size_t inside = 0;

	if (rows->count > 0) {
		qsort(rows->list, rows->count, sizeof(rows->list[0]), compare_newest);
	}
	for (size_t i = 0; i < rows->count; i++) {
		struct known *known = rows->list[i].known;

		if (!is_inside(walk, known->created_us)) {
			continue;
		}
		inside++;
		if (!known->printed) {
			known->printed = true;
			walk->printed_count++;
			found(owner, rows->list[i].json);
		}
	}
	return inside;
}

/* An order listed once cannot leave a span of createdAt; it can leave a status. */
static bool lacks_known(const struct list_all *walk)
{
	for (size_t i = 0; walk->filter.status.len == 0 && i < walk->all_count; i++) {
		const struct known *known = walk->all[i];

		if (known->mark != walk->mark && is_inside(walk, known->created_us)) {
			return true;
		}
	}
	return false;
}

/* What came of a span corrects the guess about what it was cut off from. */
static void correct_guess(struct list_all *walk, int64_t count)
{
	if (walk->spans_count > 0 && walk->span.guess >= 0 &&
		walk->spans[walk->spans_count - 1].guess >= 0) {
		walk->spans[walk->spans_count - 1].guess += walk->span.guess - count;
	}
}

static void learn_density(struct list_all *walk, size_t inside)
{
	int64_t end_us = walk->span.to_us < walk->now_us ? walk->span.to_us : walk->now_us;
	int64_t length_us = end_us - walk->span.from_us;

	if (length_us <= 0) {
		return;
	}
	walk->sparse = inside < ROWS_TELLING;
	if (!walk->sparse) {
		walk->step_us = length_us / (int64_t)inside * (walk->limit * AIM_PERCENT / 100);
	}
}

static void complete(struct list_all *walk, struct rows *rows, list_all_found *found, void *owner)
{
	size_t inside = tell(walk, rows, found, owner);

	correct_guess(walk, (int64_t)inside);
	learn_density(walk, inside);
	walk->asking = false;
}

/* Once more, and then what is known is told with a doubt. */
static void contradict(struct list_all *walk, struct page *page, const char *why,
	list_all_found *found, void *owner)
{
	if (++walk->tries < TRIES_MAX) {
		begin_attempt(walk);
		return;
	}
	doubt(walk, why);
	tell(walk, &walk->collected, found, owner);
	tell(walk, &page->rows, found, owner);
	walk->asking = false;
}

static const char left_out[] = "the API left out orders that it had listed before";

static void collect(struct list_all *walk, const struct page *page)
{
	walk->seam.count = 0;
	for (size_t i = 0; i < page->rows.count; i++) {
		struct known *known = page->rows.list[i].known;
		struct text json = page->rows.list[i].json;

		if (known->collected != walk->mark) {
			char *copy = memory_copy_text(json);

			add_row(&walk->collected, known, (struct text){ copy, json.len });
			known->collected = walk->mark;
		}
		add_row(&walk->seam, known, TEXT(""));
	}
}

static void judge_paged(
	struct list_all *walk, struct page *page, list_all_found *found, void *owner)
{
	unsigned shared = walk->limit / 20 > 0 ? walk->limit / 20 : 1;

	if (walk->offset > 0 && !page->shares) {
		/* Rows have moved up: some were left out between the pages. */
		unsigned back = walk->limit / 2 > 0 ? walk->limit / 2 : 1;

		if (++walk->steps_back > CALLS_FREE) {
			contradict(walk, page, "the API's pages do not join", found, owner);
			return;
		}
		walk->offset = walk->offset > back ? walk->offset - back : 0;
		return;
	}
	if (walk->offset == 0) {
		walk->first_total = page->total;
	}
	collect(walk, page);
	if (walk->offset + page->rows.count >= page->total &&
		(walk->offset > 0 || page->rows.count < walk->limit)) {
		if (page->total != walk->first_total || walk->collected.count != page->total) {
			contradict(
				walk, page, "the API's pages and its total disagree", found, owner);
		} else if (lacks_known(walk)) {
			contradict(walk, page, left_out, found, owner);
		} else {
			complete(walk, &walk->collected, found, owner);
		}
	} else if (page->rows.count < walk->limit) {
		contradict(walk, page, "the API left rows out of a page", found, owner);
	} else if (page->news == 0 && walk->steps_back == 0) {
		contradict(
			walk, page, "the API gives the same page for every offset", found, owner);
	} else {
		walk->offset += page->rows.count - shared;
	}
}

/* Where nine tenths of a page end; the middle of what came when that is in no order. */
static int64_t cut_of(const struct list_all *walk, struct page *page)
{
	size_t place = walk->limit * PLACE_PERCENT / 100;
	int64_t cut;

	if (walk->sorting == SORTED_NONE) {
		qsort(page->rows.list, page->rows.count, sizeof(page->rows.list[0]),
			compare_newest);
		place = page->rows.count / 2;
	}
	place = place < page->rows.count ? place : page->rows.count - 1;
	cut = page->rows.list[place].known->created_us;
	if (cut < walk->span.from_us + SECOND_US) {
		cut = walk->span.from_us + SECOND_US;
	}
	return cut < walk->span.to_us - SECOND_US ? cut : walk->span.to_us - SECOND_US;
}

/* The next span on top: it is the one of whose size most is known. */
static bool push_parts(struct list_all *walk, struct page *page)
{
	int64_t total = (int64_t)page->total, place = walk->limit * PLACE_PERCENT / 100;
	const struct span *span = &walk->span;
	int64_t cut = cut_of(walk, page);

	switch (walk->sorting) {
	case SORTED_NEWEST:
		return push(walk, span->from_us, cut, total - place) &&
		       push(walk, cut, span->to_us, place);
	case SORTED_OLDEST:
		return push(walk, cut, span->to_us, total - place) &&
		       push(walk, span->from_us, cut, place);
	case SORTED_NONE:
		break;
	}
	return push(walk, span->from_us, cut, total / 2) && push(walk, cut, span->to_us, total / 2);
}

/* Dates that are ignored, or mean whole days, divide nothing: all of it page by page then. */
static void read_by_pages(struct list_all *walk)
{
	walk->spans_count = 0;
	walk->span = walk->root;
	walk->paged = true;
	begin_attempt(walk);
}

static void divide(struct list_all *walk, struct page *page, list_all_found *found, void *owner)
{
	walk->sorting = sorting_of(&page->rows);
	if (page->outside) {
		read_by_pages(walk);
		return;
	}
	if (walk->span.to_us - walk->span.from_us < 2 * SECOND_US) {
		walk->paged = true;
		judge_paged(walk, page, found, owner);
		return;
	}
	if (walk->promised == 0) {
		walk->promised = page->total;
	}
	correct_guess(walk, (int64_t)page->total);
	if (!push_parts(walk, page)) {
		doubt(walk, "the API's lists cannot be divided any further");
		walk->spans_count = 0;
	}
	walk->asking = false;
}

static void judge(struct list_all *walk, struct page *page, list_all_found *found, void *owner)
{
	if (page->fault) {
		contradict(walk, page, page->fault, found, owner);
	} else if (walk->paged) {
		judge_paged(walk, page, found, owner);
	} else if (page->total > page->rows.count && page->rows.count < walk->limit) {
		if (page->has_more && page->limit == page->rows.count && page->limit > 0) {
			walk->limit = (unsigned)page->limit; /* its pages are shorter than ours */
		}
		contradict(walk, page, "the API left rows out of a page", found, owner);
	} else if (page->total > page->rows.count || page->rows.count >= walk->limit) {
		divide(walk, page, found, owner); /* its total may be that of the page alone */
	} else if (page->has_more) {
		contradict(walk, page, "the API says there is more than its total", found, owner);
	} else if (page->total == 0 && !walk->was_empty) {
		walk->was_empty = true; /* asked once more: nothing is easily said */
	} else if (lacks_known(walk)) {
		contradict(walk, page, left_out, found, owner);
	} else {
		complete(walk, &page->rows, found, owner);
	}
}

void list_all_page(struct list_all *walk, struct text body, list_all_found *found, void *owner)
{
	struct page page = { .total = 0 };

	walk->calls++;
	read_page(walk, body, &page);
	if (walk->calls > CALLS_FREE + 4 * walk->all_count / (walk->limit / 2 + 1)) {
		doubt(walk, "the API says there is always more");
		walk->spans_count = 0;
		walk->tries = TRIES_MAX;
		contradict(walk, &page, "", found, owner);
	} else {
		judge(walk, &page, found, owner);
	}
	free(page.rows.list);
}
