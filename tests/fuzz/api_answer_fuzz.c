/* Any bytes at all as an answer of the API, and as the fields of its head: judged, never believed,
 * and whatever is made of them is within its bounds. */
#include "order/api_answer.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_US INT64_C(1705312800000000)

static void judge_error(struct text bytes, struct json_room *room)
{
	struct api_answer_error error;

	if (api_answer_read_error(bytes, room, &error)) {
		assert(strlen(error.error) <= API_ANSWER_WORD_MAX &&
			strlen(error.code) <= API_ANSWER_WORD_MAX);
		assert(strlen(error.field) <= API_ANSWER_WORD_MAX);
		assert(strlen(error.message) <= API_ANSWER_WORD_MAX);
		assert(strlen(error.request_id) <= API_ANSWER_WORD_MAX);
	}
}

static bool is_within(struct text inner, struct text outer)
{
	return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

/* Returns the number of rows that are of no use; -1: no page. */
static int judge_page(struct text bytes, struct json_room *room)
{
	struct api_answer_page page;
	struct fact fact;
	size_t rows = 0;
	int unusable = 0;

	if (!api_answer_read_page(bytes, room, &page)) {
		return -1;
	}
	while (api_answer_next_row(&page, room, &fact)) {
		assert(page.row == ++rows);
		assert(fact.body.len > 0 && is_within(fact.body, bytes));
		assert(fact.unusable || fact_order_id_valid(text_of(fact.order_id)));
		unusable += fact.unusable != NULL;
	}
	assert(!page.total.known || page.total.value >= 0);
	assert(page.has_more_known || !page.has_more);
	return unusable;
}

static void judge_times(struct text bytes)
{
	int64_t retry_s = 0, after_us = 0, date_us = 0;

	if (api_answer_retry_after_s(bytes, NOW_US, &retry_s)) {
		assert(retry_s >= API_ANSWER_RETRY_MIN_S && retry_s <= API_ANSWER_RETRY_MAX_S);
	}
	if (api_answer_reset_after_us(bytes, NOW_US, &after_us)) {
		assert(after_us >= 0 && after_us <= API_ANSWER_RETRY_MAX_S * INT64_C(1000000));
	}
	if (api_answer_http_date(bytes, &date_us)) {
		assert(date_us % 1000000 == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text bytes = { (const char *)data, size };
	struct json_room room = { malloc(json_room_size(size)), json_room_size(size), 0, false };
	struct fact fact;

	assert(room.memory);
	int unusable = judge_page(bytes, &room);
	bool list = api_answer_is_list(bytes, &room);
	bool link = api_answer_is_link(bytes, &room);

	assert(!list || unusable >= 0);
	if (api_answer_read_order(bytes, TEXT("order_1"), TEXT("lookup"), &room, &fact)) {
		assert(strcmp(fact.order_id, "order_1") == 0 && is_within(fact.body, bytes));
	}
	assert(!link || size > 0);
	judge_error(bytes, &room);
	judge_times(bytes);
	(void)api_answer_is_json(bytes);
	free(room.memory);
	return 0;
}
