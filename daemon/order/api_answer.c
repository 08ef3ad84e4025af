#include "order/api_answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "order/shape.h"

enum { API_DATE_MAX = 64 };

static const int64_t second_us = 1000000;

static void release(json_t **document)
{
	json_decref(*document);
}

/* NULL: no JSON, or more of it than the API has to say. */
static json_t *load(struct text body)
{
	if (shape_scan(body, API_ANSWER_DEPTH_MAX, API_ANSWER_TOKENS_MAX) != SHAPE_FINE) {
		return NULL;
	}
	return json_loadb(
		body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
}

bool api_answer_is_json(struct text content_type)
{
	struct text rest = content_type;
	struct text type = { "", 0 };

	return text_next(&rest, ';', &type) &&
	       text_equal_nocase(text_trim(type), TEXT("application/json"));
}

/* The code unit of an escape "\\uXXXX" that begins at i; -1: there is none. */
static int code_unit(struct text body, size_t i)
{
	unsigned char unit[2];

	if (body.len - i < 6 || body.ptr[i] != '\\' || body.ptr[i + 1] != 'u' ||
		text_from_hex((struct text){ body.ptr + i + 2, 4 }, unit, sizeof(unit)) != 2) {
		return -1;
	}
	return unit[0] << 8 | unit[1];
}

static char *copy_of(struct text body)
{
	char *copy = malloc(body.len);

	if (copy) {
		memcpy(copy, body.ptr, body.len);
	}
	return copy;
}

char *api_answer_replace_escapes(struct text body)
{
	enum { ESCAPE_LEN = 6 };
	char *copy = NULL;
	size_t step;

	for (size_t i = 0; i < body.len; i += step) {
		int unit = code_unit(body, i);
		bool high = unit >= 0xD800 && unit <= 0xDBFF;
		int next = high ? code_unit(body, i + ESCAPE_LEN) : -1;

		if (unit < 0) {
			step = body.ptr[i] == '\\' ? 2 : 1;
			continue;
		}
		step = ESCAPE_LEN;
		if (high && next >= 0xDC00 && next <= 0xDFFF) {
			step += ESCAPE_LEN;
		} else if (unit == 0 || (unit >= 0xD800 && unit <= 0xDFFF)) {
			copy = copy ? copy : copy_of(body);
			if (!copy) {
				return NULL;
			}
			memcpy(copy + i, "\\uFFFD", ESCAPE_LEN);
		}
	}
	return copy;
}

static bool success(const json_t *document)
{
	return json_is_object(document) && json_is_true(json_object_get(document, "success"));
}

static struct text string_of(const json_t *value)
{
	return (struct text){ json_string_value(value), json_string_length(value) };
}

bool api_answer_is_list(struct text body)
{
	CLEANUP(release) json_t *document = load(body);
	const json_t *orders = json_object_get(document, "orders");
	const json_t *total = json_object_get(json_object_get(document, "pagination"), "total");

	if (!success(document) || !json_is_array(orders) || !json_is_real(total) ||
		json_real_value(total) < 0) {
		return false;
	}
	for (size_t i = 0; i < json_array_size(orders); i++) {
		if (!json_is_object(json_array_get(orders, i))) {
			return false;
		}
	}
	return true;
}

bool api_answer_is_order(struct text body, struct text order_id)
{
	CLEANUP(release) json_t *document = load(body);
	const json_t *id = json_object_get(json_object_get(document, "order"), "id");

	return success(document) && json_is_string(id) && text_equal(string_of(id), order_id);
}

bool api_answer_is_link(struct text body)
{
	CLEANUP(release) json_t *document = load(body);

	return success(document) && json_is_string(json_object_get(document, "checkoutUrl"));
}

static void copy_word(const json_t *value, char out[API_ANSWER_WORD_MAX + 1])
{
	struct text word = { "", 0 };

	if (json_is_string(value)) {
		word = text_cut_utf8(string_of(value), API_ANSWER_WORD_MAX);
	}
	memcpy(out, word.ptr, word.len);
	out[word.len] = '\0';
}

bool api_answer_read_error(struct text body, struct api_answer_error *ret_error)
{
	CLEANUP(release) json_t *document = load(body);
	const json_t *error = json_object_get(document, "error");
	const json_t *nested = json_is_object(error) ? error : NULL;
	const json_t *holder = nested ? nested : document;
	const json_t *details = json_object_get(holder, "details");

	if (!json_is_string(error) && !nested) {
		return false;
	}
	copy_word(nested ? json_object_get(nested, "message") : error, ret_error->error);
	copy_word(json_object_get(holder, "code"), ret_error->code);
	copy_word(json_object_get(details, "field"), ret_error->field);
	copy_word(json_object_get(details, "message"), ret_error->message);
	copy_word(json_object_get(document, "requestId"), ret_error->request_id);
	return true;
}

/* The day's name is not compared with the date: RFC 9110 asks for leniency here. */
bool api_answer_http_date(struct text value, int64_t *ret_us)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT",
		"%a %b %e %H:%M:%S %Y",
	};
	char copy[API_DATE_MAX];

	if (value.len == 0 || value.len >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, value.ptr, value.len);
	copy[value.len] = '\0';
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm parts = { .tm_isdst = 0 };
		const char *end = strptime(copy, forms[i], &parts);

		if (end && !*end) {
			*ret_us = (int64_t)timegm(&parts) * second_us;
			return true;
		}
	}
	return false;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static bool all_digits(struct text value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '0' || value.ptr[i] > '9') {
			return false;
		}
	}
	return value.len > 0;
}

bool api_answer_retry_after_s(struct text value, int64_t now_us, int64_t *ret_seconds)
{
	uint64_t seconds = 0;
	int64_t date_us = 0;

	if (all_digits(value)) {
		if (!text_to_u64(value, &seconds) || seconds > API_ANSWER_RETRY_MAX_S) {
			seconds = API_ANSWER_RETRY_MAX_S;
		}
		*ret_seconds =
			clamp((int64_t)seconds, API_ANSWER_RETRY_MIN_S, API_ANSWER_RETRY_MAX_S);
		return true;
	}
	if (api_answer_http_date(value, &date_us)) {
		/* Rounded up: a second too late is obeyed, a second too early is not. */
		*ret_seconds = clamp((date_us - now_us + second_us - 1) / second_us,
			API_ANSWER_RETRY_MIN_S, API_ANSWER_RETRY_MAX_S);
		return true;
	}
	return false;
}

bool api_answer_reset_after_us(struct text value, int64_t now_us, int64_t *ret_after_us)
{
	static const uint64_t delta_max_s = 1000000;      /* eleven days; no epoch is so small */
	static const uint64_t epoch_s_max = 100000000000; /* the year 5138; beyond: milliseconds */
	static const uint64_t epoch_ms_max = 100000000000000;
	uint64_t number = 0;
	int64_t after_us = 0;

	if (!text_to_u64(value, &number) || number > epoch_ms_max) {
		return false;
	}
	if (number <= delta_max_s) {
		after_us = (int64_t)number * second_us;
	} else if (number <= epoch_s_max) {
		after_us = (int64_t)number * second_us - now_us;
	} else {
		after_us = (int64_t)number * 1000 - now_us;
	}
	*ret_after_us = clamp(after_us, 0, API_ANSWER_RETRY_MAX_S * second_us);
	return true;
}
