/* The walk against an API that is played here, well- and ill-behaved. */
#include "command/list_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/stamp.h"
#include "check.h"
#include "command/pick.h"

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)
#define NOW    (INT64_C(1767225600) * SECOND)

enum { ORDERS_MAX = 3000, CALLS_MAX = 5000, BODY_MAX = 100 * 200 + 200 };

enum dates { INCLUSIVE, EXCLUSIVE, TO_THE_SECOND, BY_DAY, DATES_IGNORED };
enum sorting { NEWEST, OLDEST, SHUFFLED };
enum times { EVEN, BURSTS, ONE_SECOND, ONE_INSTANT };
enum fault {
	NONE,
	TOTAL_LOW,
	TOTAL_HIGH,
	TOTAL_OF_PAGE, /* and nothing of more */
	MORE_ALWAYS,
	ROWS_MISSING,
	ROW_TWICE,
	EMPTY,
	NO_TOTAL,
	ENDLESS
};

struct api {
	size_t count;
	enum times times;
	enum dates dates;
	enum sorting sorting;
	unsigned page_cap;
	bool offset_ignored;
	enum fault fault;
	size_t fault_from, fault_until; /* calls: from the first on, before the second */
	bool grows;                     /* an order is made after each call */
	/* what it did */
	size_t calls;
	size_t doubled;
	size_t strange;
	unsigned seen[ORDERS_MAX];
	size_t picked[ORDERS_MAX];
};

static int64_t created(const struct api *api, size_t n)
{
	size_t back = api->count - n;

	switch (api->times) {
	case EVEN:
		return NOW - (int64_t)back * 300 * SECOND;
	case BURSTS:
		return NOW - (int64_t)(back / 70) * DAY - (int64_t)(back % 70) * SECOND / 7;
	case ONE_SECOND:
		return NOW - DAY + (int64_t)n;
	case ONE_INSTANT:
		break;
	}
	return NOW - DAY;
}

static bool is_asked_for(const struct api *api, const struct api_target_list *list, int64_t at)
{
	int64_t unit = api->dates == BY_DAY ? DAY : api->dates == TO_THE_SECOND ? SECOND : 1;
	int64_t open = api->dates == EXCLUSIVE ? 1 : 0;

	if (api->dates == DATES_IGNORED) {
		return true;
	}
	return (!list->has_from || at / unit >= list->from_us / unit + open) &&
	       (!list->has_to || at / unit <= list->to_us / unit - open);
}

static size_t pick_orders(struct api *api, const struct api_target_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < api->count; i++) {
		size_t n = api->sorting == NEWEST ? api->count - 1 - i : i;

		if (is_asked_for(api, list, created(api, n))) {
			api->picked[count++] = n;
		}
	}
	for (size_t i = 1; api->sorting == SHUFFLED && i < count; i++) {
		size_t other = (size_t)rand() % (i + 1), n = api->picked[i];

		api->picked[i] = api->picked[other];
		api->picked[other] = n;
	}
	return count;
}

static size_t write_rows(struct api *api, char *body, size_t first, size_t rows, bool twice)
{
	size_t len = (size_t)snprintf(body, BODY_MAX, "{\"success\":true,\"orders\":[");

	for (size_t i = 0; i < rows; i++) {
		size_t n = api->picked[first + (twice && i == 1 ? 0 : i)];
		char stamp[STAMP_TEXT_MAX];

		stamp_format(created(api, n), stamp);
		len += (size_t)snprintf(body + len, BODY_MAX - len,
			"%s{\"id\":\"o%zu\",\"status\":\"pending\",\"createdAt\":\"%s\"}",
			i ? "," : "", n, stamp);
	}
	return len;
}

static struct text answer(struct api *api, const struct api_target_list *list, char *body)
{
	bool faulty = api->calls >= api->fault_from && api->calls < api->fault_until;
	enum fault fault = faulty ? api->fault : NONE;
	size_t total = pick_orders(api, list);
	size_t limit = api->page_cap && api->page_cap < list->limit ? api->page_cap : list->limit;
	size_t offset = api->offset_ignored ? 0 : list->offset < total ? list->offset : total;
	size_t rows = total - offset < limit ? total - offset : limit;
	bool more = (offset + rows < total && fault != TOTAL_OF_PAGE) || fault == MORE_ALWAYS;

	rows = fault == ROWS_MISSING ? rows / 2 : fault == EMPTY ? 0 : rows;
	size_t len = write_rows(api, body, offset, rows, fault == ROW_TWICE && rows > 1);

	total = fault == TOTAL_LOW       ? total - total / 10 - (total > 0)
		: fault == TOTAL_HIGH    ? total + 7
		: fault == TOTAL_OF_PAGE ? rows
		: fault == EMPTY         ? 0
		: fault == ENDLESS       ? 1000000
					 : total;
	len += (size_t)snprintf(body + len, BODY_MAX - len,
		"],\"pagination\":{\"total\":%s%zu%s,\"limit\":%zu,\"offset\":%zu,\"hasMore\":%s}}",
		fault == NO_TOTAL ? "\"" : "", total, fault == NO_TOTAL ? "\"" : "", limit, offset,
		more ? "true" : "false");
	api->calls++;
	return (struct text){ body, len };
}

static void found(void *owner, struct text order)
{
	struct api *api = owner;
	struct text id = pick_member(order, "id");
	uint64_t n = ORDERS_MAX;

	if (!text_to_u64((struct text){ id.ptr + 2, id.len - 3 }, &n) || n >= api->count) {
		api->strange++;
		return;
	}
	api->doubled += api->seen[n]++ > 0;
}

/* Whether it came to its end by itself. */
static bool run(struct api *api, const struct api_target_list *filter, struct list_all **ret_walk)
{
	struct list_all *walk = list_all_new(filter, NOW);
	char *body = memory_new(BODY_MAX);
	struct api_target_list list;

	while (api->calls < CALLS_MAX && list_all_next(walk, &list)) {
		list_all_page(walk, answer(api, &list, body), found, api);
		api->count += api->grows && api->count < ORDERS_MAX;
	}
	*ret_walk = walk;
	free(body);
	return !list_all_next(walk, &list);
}

static size_t missed(const struct api *api, size_t count)
{
	size_t missed_count = 0;

	for (size_t n = 0; n < count; n++) {
		missed_count += api->seen[n] == 0;
	}
	return missed_count;
}

/* An API that tells the truth is walked completely, however it sorts and filters. */
static void check_truthful(void)
{
	static const size_t counts[] = { 0, 1, 99, 100, 101, 1500 };
	struct api *api = memory_new(sizeof(*api));

	for (unsigned round = 0; round < 6 * 4 * 5 * 2; round++) {
		const size_t count = counts[round % 6];
		const struct api_target_list all = { .limit = 1 };
		struct list_all *walk;

		*api = (struct api){ .count = count,
			.times = round / 6 % 4,
			.dates = round / 24 % 5,
			.sorting = round / 120 % 2 };
		bool ended = run(api, &all, &walk);

		CHECK(ended && !list_all_doubt(walk) && missed(api, count) == 0 &&
				api->doubled == 0 && list_all_count(walk) == count,
			"%zu orders, times %d, dates %d, sorting %d: all are found once "
			"(%zu calls, %zu missed, %zu twice, %s)",
			count, (int)api->times, (int)api->dates, (int)api->sorting, api->calls,
			missed(api, count), api->doubled,
			list_all_doubt(walk) ? list_all_doubt(walk) : "no doubt");
		list_all_free(walk);
	}
	free(api);
}

static void check_cost(void)
{
	struct api *api = memory_new(sizeof(*api));
	const struct api_target_list all = { .limit = 1 };
	struct list_all *walk;

	*api = (struct api){ .count = 3000 };
	run(api, &all, &walk);
	CHECK(api->calls <= 30 * 18 / 10,
		"3000 orders cost at most 1.8 times the fewest calls "
		"(%zu of 30)",
		api->calls);
	list_all_free(walk);
	free(api);
}

/* Whatever it answers, the walk ends, tells nothing twice, and says so when orders may be missing.
 */
static void check_faults(void)
{
	struct api *api = memory_new(sizeof(*api));
	const struct api_target_list all = { .limit = 1 };
	unsigned falsely_sure = 0, endless = 0, twice = 0, walks = 0, doubts = 0;

	for (int fault = TOTAL_LOW; fault <= ENDLESS; fault++) {
		for (unsigned round = 0; round < 3 * 3 * 12; round++) {
			struct list_all *walk;

			*api = (struct api){ .count = 700,
				.times = round % 3,
				.sorting = round / 3 % 3,
				.fault = (enum fault)fault,
				.fault_from = round / 9,
				.fault_until = round / 9 + (round % 2 ? 1 : CALLS_MAX) };
			endless += !run(api, &all, &walk);
			falsely_sure += !list_all_doubt(walk) && missed(api, 700) > 0;
			doubts += list_all_doubt(walk) != NULL;
			twice += api->doubled > 0 || api->strange > 0;
			walks++;
			list_all_free(walk);
		}
	}
	CHECK(endless == 0, "no walk of %u is without an end (%u)", walks, endless);
	CHECK(twice == 0, "no walk tells an order twice (%u)", twice);
	CHECK(falsely_sure == 0, "no walk that missed an order is sure of itself (%u)",
		falsely_sure);
	CHECK(doubts > 0 && doubts < walks,
		"a passing fault is got over, a lasting one is told (%u)", doubts);
	free(api);
}

static void check_manners(void)
{
	struct api *api = memory_new(sizeof(*api));
	const struct api_target_list all = { .limit = 1 };
	struct list_all *walk;
	bool ended;

	*api = (struct api){ .count = 400, .dates = DATES_IGNORED, .offset_ignored = true };
	ended = run(api, &all, &walk);
	CHECK(ended && list_all_doubt(walk),
		"dates and offset ignored: it ends, and says it is not sure");
	list_all_free(walk);

	*api = (struct api){ .count = 700, .page_cap = 50 };
	ended = run(api, &all, &walk);
	CHECK(ended && !list_all_doubt(walk) && missed(api, 700) == 0,
		"pages shorter than asked for are walked too");
	list_all_free(walk);

	*api = (struct api){ .count = 700, .grows = true };
	ended = run(api, &all, &walk);
	CHECK(ended && missed(api, 700) == 0 && api->doubled == 0,
		"orders made meanwhile hide none of the others");
	list_all_free(walk);

	*api = (struct api){ .count = 1000 };
	const struct api_target_list some = {
		.limit = 1,
		.has_from = true,
		.from_us = NOW - 500 * 300 * SECOND,
		.has_to = true,
		.to_us = NOW - 200 * 300 * SECOND,
	};
	ended = run(api, &some, &walk);
	CHECK(ended && !list_all_doubt(walk) && list_all_count(walk) == 300,
		"a span is walked from its beginning to before its end (%zu)",
		list_all_count(walk));
	list_all_free(walk);

	*api = (struct api){ .count = 300 };
	const struct api_target_list paid = { .limit = 1, .status = TEXT("completed") };
	ended = run(api, &paid, &walk);
	CHECK(ended && list_all_doubt(walk), "an API that ignores the status is doubted");
	list_all_free(walk);
	free(api);
}

int main(void)
{
	check_truthful();
	check_cost();
	check_manners();
	check_faults();
	return check_done();
}
