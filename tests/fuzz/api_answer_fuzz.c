/* Any bytes at all as an answer of the API, and as the fields of its head: judged, never believed,
 * and whatever time is made of them is within its bounds. */
#include "order/api_answer.h"

#include <assert.h>
#include <stdint.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_US INT64_C(1705312800000000)

static void judge_error(struct text bytes)
{
	struct api_answer_error error;

	if (api_answer_read_error(bytes, &error)) {
		assert(strlen(error.error) <= API_ANSWER_WORD_MAX &&
			strlen(error.code) <= API_ANSWER_WORD_MAX);
		assert(strlen(error.field) <= API_ANSWER_WORD_MAX);
		assert(strlen(error.message) <= API_ANSWER_WORD_MAX);
		assert(strlen(error.request_id) <= API_ANSWER_WORD_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text bytes = { (const char *)data, size };
	int64_t retry_s = 0, after_us = 0, date_us = 0;
	bool list = api_answer_is_list(bytes);
	bool order = api_answer_is_order(bytes, TEXT("order_1"));
	bool link = api_answer_is_link(bytes);

	judge_error(bytes);
	if (api_answer_retry_after_s(bytes, NOW_US, &retry_s)) {
		assert(retry_s >= API_ANSWER_RETRY_MIN_S && retry_s <= API_ANSWER_RETRY_MAX_S);
	}
	if (api_answer_reset_after_us(bytes, NOW_US, &after_us)) {
		assert(after_us >= 0 && after_us <= API_ANSWER_RETRY_MAX_S * INT64_C(1000000));
		assert(!list && !order && !link);
	}
	if (api_answer_http_date(bytes, &date_us)) {
		assert(date_us % 1000000 == 0);
	}
	(void)api_answer_is_json(bytes);
	return 0;
}
