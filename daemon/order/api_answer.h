/* api_answer.h - read what the Checkout API answers: pages, orders, links, errors, and times.
 *
 * A row stands for itself: one that is odd is named by its place and costs its neighbours nothing.
 * The frame around the rows is proof, not fact: without it the rows are read all the same.
 * rooms are of json_room_size(body.len) bytes; what they held is gone. Pure: no allocation.
 */
#pragma once

#include "order/fact.h"
#include "order/json.h"

enum {
	API_ANSWER_WORD_MAX = 200, /* bytes of each part of an error, cut at a UTF-8 boundary */
	API_ANSWER_RETRY_MIN_S = 1,
	API_ANSWER_RETRY_MAX_S = 300,
};

/* "application/json" or "…+json", with or without parameters. */
bool api_answer_is_json(struct text content_type);

/* Without the byte order mark that some write in front. */
struct text api_answer_body(struct text body);

/* {"success":true,"orders":[{…},…],"pagination":{"total":N,…}} and each row an object, for those
 * who take it as a whole. */
bool api_answer_is_list(struct text body, struct json_room *room);

/* {"success":true,"checkoutUrl":"…",…} */
bool api_answer_is_link(struct text body, struct json_room *room);

/* {"orders":[…],"pagination":{"total":…,"limit":…,"offset":…,"hasMore":…},"success":…} */
struct api_answer_page {
	bool success; /* said to be true */
	bool has_more_known, has_more;
	struct fact_integer total, limit, offset; /* known: a whole number, 0 to below 10^15 */
	size_t row;                               /* the one that was read last, from 1 */
	struct json_reader rows;                  /* the module's own */
};

/* False: what stands around the rows is no JSON, or there is no array of orders. The page borrows
 * from body. */
bool api_answer_read_page(
	struct text body, struct json_room *room, struct api_answer_page *ret_page);

/* The next row as a fact, with key, order_id, status, details and body (the row); its times are the
 * caller's to set. It borrows from body and room, until the room is used again. unusable is set
 * where the row is no JSON, no object, or has no usable id. False: there was no other row. */
bool api_answer_next_row(
	struct api_answer_page *page, struct json_room *room, struct fact *ret_fact);

/* A row, or another answer's order, by itself: as api_answer_next_row() reads it. source: "list",
 * "lookup" or "operator". */
void api_answer_read_row(
	struct text row, struct text source, struct json_room *room, struct fact *ret_fact);

/* The answer of order-status (source "lookup") or cancel ("operator") as a fact, like a row. False:
 * it is not {"success":true,"order":{"id":order_id,…}}. */
bool api_answer_read_order(struct text body, struct text order_id, struct text source,
	struct json_room *room, struct fact *ret_fact);

/* Both of the API's error shapes; parts that are absent are "". False: neither shape. own: all is
 * there that marks it as the API's, {"success":false,"error":"…"} or {"error":{"code":"…",
 * "message":"…","details":{…}}}; with less it may be that of a proxy. */
struct api_answer_error {
	bool own;
	char error[API_ANSWER_WORD_MAX + 1];
	char code[API_ANSWER_WORD_MAX + 1];
	char field[API_ANSWER_WORD_MAX + 1];
	char message[API_ANSWER_WORD_MAX + 1];
	char request_id[API_ANSWER_WORD_MAX + 1];
};

bool api_answer_read_error(
	struct text body, struct json_room *room, struct api_answer_error *ret_error);

/* RFC 9110 10.2.3: seconds or any of the three HTTP dates; clamped to 1..300 s. now_us is the time
 * by the clock that the date is of. False: absent or unreadable. */
bool api_answer_retry_after_s(struct text value, int64_t now_us, int64_t *ret_seconds);

/* X-RateLimit-Reset as epoch seconds, epoch milliseconds or a number of seconds from now: told
 * apart by size; or a time in words. Microseconds from now, clamped to 0..300 s. False: absent or
 * unreadable. */
bool api_answer_reset_after_us(struct text value, int64_t now_us, int64_t *ret_after_us);

/* What is left of the API's limits, of several the least, and when there is more of that. */
struct api_answer_limits {
	int64_t remaining;      /* -1: not told */
	int64_t reset_after_us; /* as above; -1: not told */
};

/* From the values of X-RateLimit-Remaining and X-RateLimit-Reset, each a number or a list of them,
 * and, where the first has none, from RateLimit ("limit=9, remaining=3, reset=40", or
 * "\"name\";r=3;t=40, …"). */
struct api_answer_limits api_answer_read_limits(
	struct text remaining, struct text reset, struct text draft, int64_t now_us);

/* RFC 9110 5.6.7: IMF-fixdate, RFC 850 and asctime. */
bool api_answer_http_date(struct text value, int64_t *ret_us);
