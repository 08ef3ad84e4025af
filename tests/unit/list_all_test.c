/* The walk against an API that is played here, well- and ill-behaved, and whose list moves. */
#include "command/list_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/stamp.h"
#include "check.h"
#include "command/pick.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)
#define NOW    (INT64_C(1767225600) * SECOND)

enum { PAGE = 100, ORDERS_MAX = 30000, CALLS_MAX = 5000, BODY_MAX = PAGE * 200 + 200, WALKS = 20 };

enum dates { INCLUSIVE, EXCLUSIVE, TO_THE_SECOND, BY_DAY, DATES_IGNORED };
enum sorting { NEWEST, OLDEST, SHUFFLED };
enum offsets { HONOURED, IGNORED, SKIPPING };
enum times { EVEN, BURSTS, ONE_SECOND, ONE_INSTANT };
enum fault {
	NONE,
	TOTAL_LOW,
	TOTAL_HIGH,
	TOTAL_OF_PAGE,
	MORE_ALWAYS,
	ROWS_MISSING,
	ROW_TWICE,
	EMPTY,
	NO_TOTAL,
	ENDLESS,
	LAGGING, /* a replica that does not have one of the orders */
};

static struct manners {
	size_t first; /* orders at the beginning */
	enum times times;
	enum dates dates;
	enum sorting sorting;
	unsigned page_cap;
	enum offsets offsets;
	enum fault fault;
	size_t fault_from, fault_until; /* calls: from the first on, before the second */
	unsigned in, out, updated;      /* orders between two calls, at most; updated: newest now */
	size_t updated_until;           /* a call; 0: to the end */
} api;

/* What it did. */
static size_t made, calls, doubled, strange;
static size_t line[ORDERS_MAX], line_count; /* the list, the newest last */
static size_t picked[ORDERS_MAX];
static unsigned seen[ORDERS_MAX];
static bool left[ORDERS_MAX];

static void begin(struct manners manners)
{
	api = manners;
	made = line_count = api.first;
	calls = doubled = strange = 0;
	memset(seen, 0, sizeof(seen));
	memset(left, 0, sizeof(left));
	for (size_t n = 0; n < made; n++) {
		line[n] = n;
	}
}

static int64_t created(size_t n)
{
	int64_t back = (int64_t)api.first - (int64_t)n;

	switch (api.times) {
	case EVEN:
		return NOW - back * 300 * SECOND;
	case BURSTS:
		return NOW - back / 70 * DAY - back % 70 * SECOND / 7;
	case ONE_SECOND:
		return NOW - DAY + (int64_t)n;
	case ONE_INSTANT:
		break;
	}
	return NOW - DAY;
}

static size_t below(size_t bound)
{
	return (size_t)rand() % bound;
}

/* Orders leave, are updated, come. */
static void move_on(void)
{
	bool updates = api.updated_until == 0 || calls < api.updated_until;
	size_t out = below(api.out + 1), in = below(api.in + 1);
	size_t updated = updates ? below(api.updated + 1) : 0;

	for (size_t i = 0; i < out + updated && line_count > 0; i++) {
		size_t place = below(line_count), n = line[place];

		memmove(&line[place], &line[place + 1], (--line_count - place) * sizeof(line[0]));
		left[n] = i < out;
		if (!left[n]) {
			line[line_count++] = n;
		}
	}
	for (; in > 0 && made < ORDERS_MAX; in--) {
		line[line_count++] = made++;
	}
}

static bool is_asked_for(const struct api_target_list *list, int64_t at)
{
	int64_t unit = api.dates == BY_DAY ? DAY : api.dates == TO_THE_SECOND ? SECOND : 1;
	int64_t open = api.dates == EXCLUSIVE ? 1 : 0;

	return api.dates == DATES_IGNORED ||
	       ((!list->has_from || at / unit >= list->from_us / unit + open) &&
		       (!list->has_to || at / unit <= list->to_us / unit - open));
}

static size_t pick_orders(const struct api_target_list *list, bool lacks_one)
{
	size_t count = 0;

	for (size_t i = 0; i < line_count; i++) {
		size_t n = line[api.sorting == NEWEST ? line_count - 1 - i : i];

		if (is_asked_for(list, created(n)) && !(lacks_one && n == api.first / 2)) {
			picked[count++] = n;
		}
	}
	for (size_t i = 1; api.sorting == SHUFFLED && i < count; i++) {
		size_t other = below(i + 1), n = picked[i];

		picked[i] = picked[other];
		picked[other] = n;
	}
	return count;
}

static struct text answer(const struct api_target_list *list)
{
	static char body[BODY_MAX];
	enum fault fault = calls >= api.fault_from && calls < api.fault_until ? api.fault : NONE;
	size_t total = pick_orders(list, fault == LAGGING);
	size_t limit = api.page_cap && api.page_cap < list->limit ? api.page_cap : list->limit;
	size_t offset =
		api.offsets == IGNORED ? 0
		: api.offsets == SKIPPING && list->offset > 0 && list->offset + 2 * PAGE < total
			? list->offset + 2 * PAGE
		: list->offset < total ? list->offset
				       : total;
	size_t rows = total - offset < limit ? total - offset : limit;
	bool more = (offset + rows < total && fault != TOTAL_OF_PAGE && fault != EMPTY) ||
		    fault == MORE_ALWAYS;
	const char *quote = fault == NO_TOTAL ? "\"" : "";
	size_t len = (size_t)snprintf(body, BODY_MAX, "{\"success\":true,\"orders\":[");

	rows = fault == ROWS_MISSING ? rows / 2 : fault == EMPTY ? 0 : rows;
	for (size_t i = 0; i < rows; i++) {
		size_t n = picked[offset + (fault == ROW_TWICE && i == 1 ? 0 : i)];
		char stamp[STAMP_TEXT_MAX];

		stamp_format(created(n), stamp);
		len += (size_t)snprintf(body + len, BODY_MAX - len,
			"%s{\"id\":\"o%zu\",\"status\":\"pending\",\"createdAt\":\"%s\"}",
			i ? "," : "", n, stamp);
	}
	total = fault == TOTAL_LOW       ? total - total / 10 - (total > 0)
		: fault == TOTAL_HIGH    ? total + 7
		: fault == TOTAL_OF_PAGE ? rows
		: fault == EMPTY         ? 0
		: fault == ENDLESS       ? 1000000
					 : total;
	len += (size_t)snprintf(body + len, BODY_MAX - len,
		"],\"pagination\":{\"total\":%s%zu%s,\"limit\":%zu,\"offset\":%zu,\"hasMore\":%s}}",
		quote, total, quote, limit, offset, more ? "true" : "false");
	calls++;
	move_on();
	return (struct text){ body, len };
}

static void found(void *owner, struct text order)
{
	struct text id = pick_member(order, "id");
	uint64_t n;

	(void)owner;
	if (!text_to_u64((struct text){ id.ptr + 2, id.len - 3 }, &n) || n >= made) {
		strange++;
		return;
	}
	doubled += seen[n]++ > 0;
}

/* What came of a walk. */
struct outcome {
	bool ended; /* by itself */
	bool sure;
	size_t count;
	size_t missed; /* of those that were there all the time */
};

static size_t missed(void)
{
	size_t count = 0;

	for (size_t n = 0; n < api.first; n++) {
		count += seen[n] == 0 && !left[n];
	}
	return count;
}

static struct outcome walk_all(struct manners manners, struct api_target_list filter)
{
	struct list_all *walk = list_all_new(&filter);
	struct api_target_list list;

	begin(manners);
	while (calls < CALLS_MAX && list_all_next(walk, &list)) {
		list_all_page(walk, answer(&list), found, NULL);
	}
	struct outcome outcome = { !list_all_next(walk, &list), !list_all_doubt(walk),
		list_all_count(walk), missed() };

	list_all_free(walk);
	return outcome;
}

static const struct api_target_list all = { .limit = 1 };
static const struct api_target_list pending = { .limit = 1, .status = { "pending", 7 } };

/* An API that tells the truth is walked completely, however it sorts and filters. */
static void check_truthful(void)
{
	static const size_t counts[] = { 0, 1, 99, 100, 101, 1500 };

	for (unsigned round = 0; round < 6 * 4 * 5 * 2; round++) {
		size_t count = counts[round % 6];
		struct manners manners = { .first = count,
			.times = round / 6 % 4,
			.dates = round / 24 % 5,
			.sorting = round / 120 };
		struct outcome outcome = walk_all(manners, all);

		CHECK(outcome.ended && outcome.sure && outcome.missed == 0 && doubled == 0 &&
				outcome.count == count,
			"%zu orders, times %d, dates %d, sorting %d: all are found once "
			"(%zu calls, %zu missed, %zu twice)",
			count, (int)api.times, (int)api.dates, (int)api.sorting, calls,
			outcome.missed, doubled);
	}
}

static void check_manners(void)
{
	struct api_target_list some = all, paid = { .limit = 1, .status = { "completed", 9 } };
	struct outcome outcome = walk_all((struct manners){ .first = 3000 }, all);

	CHECK(calls == 32, "3000 orders cost 32 calls (%zu)", calls);
	outcome = walk_all((struct manners){ .first = 730, .sorting = SHUFFLED }, all);
	CHECK(outcome.sure && outcome.missed == 0 && calls < 30,
		"a list in no order is read in parts (%zu calls)", calls);
	for (unsigned i = 1; i <= 2; i++) {
		outcome = walk_all(
			(struct manners){ .first = 400, .dates = DATES_IGNORED, .offsets = i },
			all);
		CHECK(outcome.ended && !outcome.sure && calls < 150,
			"dates and offset ignored: it ends, and says it is not sure (%zu calls)",
			calls);
	}
	outcome = walk_all((struct manners){ .first = 700, .page_cap = 50 }, all);
	CHECK(outcome.sure && outcome.missed == 0, "pages shorter than asked for are walked too");
	some.has_from = some.has_to = true;
	some.from_us = NOW - 500 * 300 * SECOND;
	some.to_us = NOW - 200 * 300 * SECOND;
	for (unsigned dates = INCLUSIVE; dates <= DATES_IGNORED; dates++) {
		outcome = walk_all((struct manners){ .first = 1000, .dates = dates }, some);
		CHECK(outcome.sure && outcome.count == 300,
			"a span is walked from its beginning to before its end, dates %u (%zu)",
			dates, outcome.count);
	}
	outcome = walk_all((struct manners){ .first = 300 }, paid);
	CHECK(outcome.ended && !outcome.sure, "an API that ignores the status is doubted");
}

/* Whatever it answers, the walk ends, tells nothing twice, and says so when orders may be missing.
 */
static void check_faults(void)
{
	unsigned falsely_sure = 0, endless = 0, twice = 0, not_got_over = 0, not_told = 0;
	size_t most_calls = 0;

	for (int fault = TOTAL_LOW; fault <= LAGGING; fault++) {
		for (unsigned round = 0; round < 3 * 3 * 12; round++) {
			bool passes = round % 2;
			struct manners manners = { .first = 700,
				.times = round % 3,
				.sorting = round / 3 % 3,
				.fault = (enum fault)fault,
				.fault_from = round / 9 % 8,
				.fault_until = passes ? round / 9 % 8 + 1 : CALLS_MAX };
			struct outcome outcome = walk_all(manners, all);
			/* An order that is never there, or pages that are a list each. */
			bool credible =
				!passes &&
				((fault == EMPTY && api.fault_from == 0) || fault == LAGGING ||
					(fault == TOTAL_OF_PAGE && api.sorting == SHUFFLED));

			endless += !outcome.ended;
			falsely_sure += outcome.sure && outcome.missed > 0 && !credible;
			twice += doubled > 0 || strange > 0;
			not_got_over += passes && !outcome.sure && api.sorting != SHUFFLED;
			not_told += !passes && outcome.sure && !credible;
			most_calls = calls > most_calls ? calls : most_calls;
		}
	}
	CHECK(endless == 0 && most_calls < 70,
		"no walk of 700 orders is without an end (%zu calls)", most_calls);
	CHECK(twice == 0, "no walk tells an order twice (%u)", twice);
	CHECK(falsely_sure == 0, "no walk that missed an order is sure of itself (%u)",
		falsely_sure);
	CHECK(not_got_over == 0, "a passing fault is got over (%u)", not_got_over);
	CHECK(not_told == 0, "a lasting one is told (%u)", not_told);
}

/* Page after page, with no row shared: what the walk has to do better. */
static size_t missed_by_plain_pages(struct manners manners)
{
	struct api_target_list list = { .limit = PAGE };
	struct text orders, order;

	begin(manners);
	do {
		orders = pick_content(pick_member(answer(&list), "orders"));
		list.offset += PAGE;
		while (pick_element(&orders, &order)) {
			found(NULL, order);
		}
	} while (list.offset < line_count);
	return missed();
}

/* Orders come, leave, and where the list is by time of update move to its front, while the walk is
 * under way. */
static void check_drift(const char *what, struct manners manners, unsigned sure_percent)
{
	static const unsigned rates[] = { 0, 1, 5, 20, 40, 60 };
	unsigned sure = 0, falsely_sure = 0, incomplete = 0, twice = 0, plain = 0;

	for (unsigned i = 0; i < 6 * WALKS; i++) {
		unsigned rate = rates[i % 6];

		manners.first = 50 + below(i % 4 ? 351 : 2951);
		manners.in = manners.out = rate;
		manners.updated = manners.updated ? rate + 1 : 0;
		struct outcome outcome = walk_all(manners, i % 4 < 2 ? all : pending);

		sure += outcome.sure;
		incomplete += outcome.missed > 0;
		falsely_sure += outcome.sure && outcome.missed > 0;
		twice += doubled > 0;
		plain += missed_by_plain_pages(manners) > 0;
	}
	CHECK(falsely_sure == 0 && twice == 0,
		"%s: no order that was there all the time is missed silently (%u)", what,
		falsely_sure);
	CHECK(sure >= 6 * WALKS * sure_percent / 100, "%s: it is sure of %u walks", what, sure);
	CHECK(incomplete <= (sure_percent > 0 ? 0 : 6 * WALKS / 20),
		"%s: nor is any missed at all (%u)", what, incomplete);
	CHECK(plain > WALKS, "%s: plain pages miss some (%u walks)", what, plain);
}

int main(void)
{
	check_truthful();
	check_manners();
	check_faults();
	check_drift("a list that moves", (struct manners){ .times = EVEN }, 95);
	check_drift("by time of update", (struct manners){ .updated = 1 }, 90);
	check_drift("updated early", (struct manners){ .updated = 1, .updated_until = 5 }, 90);
	check_drift("updated, dates ignored",
		(struct manners){ .updated = 1, .dates = DATES_IGNORED }, 0);
	return check_done();
}
