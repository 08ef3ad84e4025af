/* api_answer.h - judge what the Checkout API answers before anything is made of it.
 *
 * Only the shape is judged here; PostgreSQL reads the content from the same bytes. Pure.
 */
#pragma once

#include "base/text.h"

enum {
	API_ANSWER_WORD_MAX = 200, /* bytes of each part of an error, cut at a UTF-8 boundary */
	API_ANSWER_RETRY_MIN_S = 1,
	API_ANSWER_RETRY_MAX_S = 300,
	API_ANSWER_DEPTH_MAX = 64, /* nested arrays and objects */
	API_ANSWER_TOKENS_MAX =
		100000, /* values and keys, counted before jansson allocates for them */
};

/* "application/json", with or without parameters. */
bool api_answer_is_json(struct text content_type);

/* A customer's name with a NUL in it, or cut within a character, is no reason to refuse the whole
 * answer: a copy, of the same length and owned, with U+FFFD for every escape that is no character.
 * NULL: there is none, or no memory. */
char *api_answer_replace_escapes(struct text body);

/* {"success":true,"orders":[{…},…],"pagination":{"total":N,…}}. The rows are judged in SQL, so
 * that one that is of no use costs the others nothing. */
bool api_answer_is_list(struct text body);

/* {"success":true,"order":{"id":order_id,…}} */
bool api_answer_is_order(struct text body, struct text order_id);

/* {"success":true,"checkoutUrl":"…",…} */
bool api_answer_is_link(struct text body);

/* Both of the API's error shapes; parts that are absent are "". False: neither shape. */
struct api_answer_error {
	char error[API_ANSWER_WORD_MAX + 1];
	char code[API_ANSWER_WORD_MAX + 1];
	char field[API_ANSWER_WORD_MAX + 1];
	char message[API_ANSWER_WORD_MAX + 1];
	char request_id[API_ANSWER_WORD_MAX + 1];
};

bool api_answer_read_error(struct text body, struct api_answer_error *ret_error);

/* RFC 9110 10.2.3: seconds or any of the three HTTP dates; clamped to 1..300 s. now_us is the time
 * by the clock that the date is of. False: absent or unreadable. */
bool api_answer_retry_after_s(struct text value, int64_t now_us, int64_t *ret_seconds);

/* X-RateLimit-Reset as epoch seconds, epoch milliseconds or a number of seconds from now: told
 * apart by size. Microseconds from now, clamped to 0..300 s. False: absent or unreadable. */
bool api_answer_reset_after_us(struct text value, int64_t now_us, int64_t *ret_after_us);

/* RFC 9110 5.6.7: IMF-fixdate, RFC 850 and asctime. */
bool api_answer_http_date(struct text value, int64_t *ret_us);
