/* The walk through the pages of a list: what to ask for next, and whether the answers agree. */
#include "command/list_all.h"

#include <search.h>
#include <stdlib.h>

#include "base/die.h"
#include "base/memory.h"
#include "base/stamp.h"
#include "command/pick.h"
#include "order/fact.h"

#define SECOND_US INT64_C(1000000)
#define EDGE_US   (2 * SECOND_US)           /* whatever the API takes "after" to mean */
#define EVER_US   (INT64_MAX - 2 * EDGE_US) /* no bound */

enum {
	SHARED_OF = 20, /* one row of so many stands on the next page too */
	TRIES_MAX = 3,
	PARTS_MAX = 64,
	CALLS_FREE = 50, /* beyond these, calls have to bring orders */
};

/* An order that some page has shown. */
struct known {
	char id[FACT_ORDER_ID_MAX + 1];
	size_t call;   /* that showed it last */
	unsigned pass; /* that took it last; 0: none */
	bool told;
};

struct page {
	uint64_t count, total;
	uint64_t limit; /* as the API says; 0: it does not */
	bool has_more;
	uint64_t joining;                /* rows that this pass has taken before */
	uint64_t met;                    /* rows that the pass before it has taken */
	bool newest_first, oldest_first; /* both: the rows were made at one time */
	bool outside;                    /* some were made at another time than was asked for */
	int64_t last_us;
	const char *fault; /* NULL, or why the page is not to be believed */
};

struct list_all {
	struct api_target_list filter;
	int64_t parts_us[PARTS_MAX]; /* where each begins; the last one is being read */
	size_t parts_count;
	int64_t to_us; /* where that one ends */
	unsigned tries;

	unsigned pass;  /* over the pages of a part, from 1 */
	unsigned since; /* the pass since which orders count as taken */
	bool checking;
	bool disordered;      /* some page was in no order */
	size_t seen, taken;   /* rows of the pages; different orders */
	double middle_us;     /* the mean of the rows' createdAt */
	uint64_t first_total; /* of the first page */
	uint64_t offset;

	unsigned limit;
	uint64_t promised; /* the total of what was divided first */
	void *tree;        /* of struct known, by id */
	size_t calls, all_taken, told;
	const char *doubt;
};

/* Over the pages from the first one on: to take all of them, or only to look again. */
static void begin_pass(struct list_all *walk, bool checking)
{
	walk->pass++;
	walk->offset = 0;
	walk->checking = checking;
	if (!checking) {
		walk->since = walk->pass;
		walk->seen = 0;
		walk->taken = 0;
		walk->disordered = false;
	}
}

static void begin_part(struct list_all *walk)
{
	walk->tries = 0;
	begin_pass(walk, false);
}

struct list_all *list_all_new(const struct api_target_list *filter)
{
	struct list_all *walk = memory_new(sizeof(*walk));

	walk->filter = *filter;
	walk->limit = API_TARGET_PAGE_MAX;
	walk->parts_us[walk->parts_count++] = filter->has_from ? filter->from_us : -EVER_US;
	walk->to_us = filter->has_to ? filter->to_us : EVER_US;
	begin_part(walk);
	return walk;
}

void list_all_free(struct list_all *walk)
{
	if (walk) {
		tdestroy(walk->tree, free);
		free(walk);
	}
}

size_t list_all_count(const struct list_all *walk)
{
	return walk->told;
}

const char *list_all_doubt(const struct list_all *walk)
{
	return walk->doubt;
}

static int64_t from_us(const struct list_all *walk)
{
	return walk->parts_us[walk->parts_count - 1];
}

bool list_all_next(const struct list_all *walk, struct api_target_list *ret_list)
{
	if (walk->parts_count == 0) {
		return false;
	}
	*ret_list = walk->filter;
	ret_list->limit = walk->limit;
	ret_list->offset = (unsigned)walk->offset;
	ret_list->has_from = from_us(walk) > -EVER_US;
	ret_list->has_to = walk->to_us < EVER_US;
	ret_list->from_us = from_us(walk) - EDGE_US;
	ret_list->to_us = walk->to_us + EDGE_US;
	return true;
}

/* The first one is told. */
static void doubt(struct list_all *walk, const char *why)
{
	walk->doubt = walk->doubt ? walk->doubt : why;
}

static int compare_ids(const void *a, const void *b)
{
	const struct known *left = a, *right = b;

	return strcmp(left->id, right->id);
}

/* What is between the quotes; an escape stays one. len 0: no string, or an empty one. */
static struct text string_of(struct text json, const char *name)
{
	struct text quoted = pick_member(json, name);

	return quoted.len > 2 && quoted.ptr[0] == '"'
		       ? (struct text){ quoted.ptr + 1, quoted.len - 2 }
		       : TEXT("");
}

/* NULL: it has no usable id. */
static struct known *know(struct list_all *walk, struct text json)
{
	struct text id = string_of(json, "id");
	struct known *known, **place;

	if (!fact_order_id_valid(id)) {
		return NULL;
	}
	known = memory_new(sizeof(*known));
	memcpy(known->id, id.ptr, id.len);
	place = tsearch(known, &walk->tree, compare_ids);
	if (!place) {
		die("no memory for an order");
	}
	if (*place != known) {
		free(known);
	}
	return *place;
}

static void note_created(struct list_all *walk, struct page *page, int64_t created_us)
{
	int64_t edge_us = EDGE_US + SECOND_US; /* to the second is near enough */
	int64_t before_us = page->count > 1 ? page->last_us : created_us;

	page->newest_first = page->newest_first && created_us <= before_us;
	page->oldest_first = page->oldest_first && created_us >= before_us;
	page->outside = page->outside || created_us < from_us(walk) - edge_us ||
			created_us > walk->to_us + edge_us;
	page->last_us = created_us;
	walk->middle_us += ((double)created_us - walk->middle_us) / (double)++walk->seen;
}

static void read_row(struct list_all *walk, struct page *page, struct text json)
{
	struct text status = walk->filter.status;
	struct known *known = know(walk, json);
	int64_t created_us;

	page->count++;
	if (!known) {
		page->fault = "the API listed an order without a usable id";
		return;
	}
	if (known->call == walk->calls) {
		page->fault = "the API listed an order twice on a page";
	}
	known->call = walk->calls;
	page->joining += known->pass == walk->pass;
	page->met += known->pass >= walk->since && known->pass < walk->pass;
	if (status.len > 0 && !text_equal(string_of(json, "status"), status)) {
		page->fault = "the API listed orders in another status than was asked for";
	}
	if (stamp_parse(string_of(json, "createdAt"), &created_us)) {
		note_created(walk, page, created_us);
	} else {
		page->fault = "the API listed an order without a readable createdAt";
	}
}

/* Its pages may be shorter than ours. An order leaves a status, but not all of them at once. */
static void judge_length(struct list_all *walk, struct page *page)
{
	uint64_t end = walk->offset + page->count;

	if (page->count > 0 && end > page->total) {
		page->fault = "the API listed more orders than it says there are";
	} else if (page->has_more && end >= page->total) {
		page->fault = "the API says there is more than its total";
	} else if (page->total == 0 && walk->all_taken > 0) {
		page->fault = "the API left out orders that it had listed before";
	} else if (end < page->total && page->count < walk->limit) {
		if (page->limit != page->count || page->count == 0) {
			page->fault = "the API left rows out of a page";
			return;
		}
		walk->limit = (unsigned)page->limit;
	}
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
	} else if (!page->fault) {
		judge_length(walk, page);
	}
}

static unsigned shared_rows(const struct list_all *walk)
{
	return walk->limit < SHARED_OF ? 1 : walk->limit / SHARED_OF;
}

/* Once more; then on, with a doubt. */
static bool again(struct list_all *walk, const char *why)
{
	if (++walk->tries < TRIES_MAX) {
		return true;
	}
	doubt(walk, why);
	return false;
}

static bool is_ordered(const struct page *page)
{
	return page->newest_first || page->oldest_first;
}

/* A full first page may have the total of itself alone. */
static bool is_last(const struct list_all *walk, const struct page *page)
{
	return page->count < walk->limit ||
	       (walk->offset > 0 && walk->offset + page->count >= page->total);
}

/* A list in no order, or in one that changes, is read in parts, the newer one first. Dates that are
 * ignored, or mean whole days, divide nothing. */
static bool divide(struct list_all *walk, const struct page *page)
{
	int64_t cut_us = (int64_t)walk->middle_us;

	if (is_ordered(page) || page->outside || (walk->offset == 0 && is_last(walk, page)) ||
		walk->parts_count == PARTS_MAX || cut_us < from_us(walk) + SECOND_US ||
		cut_us > walk->to_us - SECOND_US) {
		return false;
	}
	walk->promised = walk->promised > 0 ? walk->promised : page->total;
	walk->parts_us[walk->parts_count++] = cut_us;
	begin_part(walk);
	return true;
}

static void take_row(struct list_all *walk, struct text json, list_all_found *found, void *owner)
{
	struct known *known = know(walk, json);
	int64_t created_us = from_us(walk);

	if (!known) {
		return;
	}
	walk->all_taken += known->pass == 0;
	walk->taken += known->pass < walk->since;
	known->pass = walk->pass;
	stamp_parse(string_of(json, "createdAt"), &created_us);
	if (!known->told && created_us >= from_us(walk) && created_us < walk->to_us) {
		known->told = true;
		walk->told++;
		found(owner, json);
	}
}

static void take(struct list_all *walk, struct text body, list_all_found *found, void *owner)
{
	struct text orders = pick_content(pick_member(body, "orders"));
	struct text order;

	while (pick_element(&orders, &order)) {
		take_row(walk, order, found, owner);
	}
}

/* Parts that were emptied one after the other would otherwise pass. */
static void end_part(struct list_all *walk)
{
	walk->to_us = walk->parts_us[--walk->parts_count];
	begin_part(walk);
	if (walk->parts_count == 0 && walk->filter.status.len == 0 &&
		walk->promised > walk->all_taken) {
		doubt(walk, "the API listed fewer orders than it had said there are");
	}
}

/* Where orders have come or left meanwhile, the first pages, until they meet what was taken, have
 * the new ones, and tell whether the list is in the order that it seemed to be in. An empty list is
 * looked at again too: nothing is easily said. */
static void end_pass(struct list_all *walk, const struct page *page)
{
	bool same = page->total == walk->taken && page->total == walk->first_total;

	if (walk->checking && !walk->disordered ? page->total <= walk->taken
						: same && page->total > 0) {
		end_part(walk);
	} else if (!walk->checking && !walk->disordered) {
		begin_pass(walk, true);
	} else if (again(walk, "the API's pages and its total disagree")) {
		begin_pass(walk, false);
	} else {
		end_part(walk);
	}
}

static void judge(struct list_all *walk, const struct page *page, struct text body,
	list_all_found *found, void *owner)
{
	unsigned limit = walk->limit;

	if ((page->fault && again(walk, page->fault)) || divide(walk, page)) {
		return;
	}
	if (walk->offset > 0 && page->joining == 0) {
		/* Rows have moved up: some were left out between the pages. */
		walk->offset -= walk->offset < limit / 2 ? walk->offset : limit / 2;
		return;
	}
	if (walk->taken == 0) {
		walk->first_total = page->total;
	}
	walk->disordered = walk->disordered || !is_ordered(page);
	take(walk, body, found, owner);
	if (is_last(walk, page) || (walk->checking && page->met > shared_rows(walk))) {
		end_pass(walk, page);
	} else {
		walk->offset += page->count - shared_rows(walk);
	}
}

void list_all_page(struct list_all *walk, struct text body, list_all_found *found, void *owner)
{
	struct page page = { .newest_first = true, .oldest_first = true };

	walk->calls++;
	read_page(walk, body, &page);
	if (walk->calls > CALLS_FREE + 4 * walk->all_taken / (walk->limit / 2 + 1)) {
		take(walk, body, found, owner);
		doubt(walk, "the API says there is always more");
		walk->parts_count = 0;
	} else {
		judge(walk, &page, body, found, owner);
	}
}
