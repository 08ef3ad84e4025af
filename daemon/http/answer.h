/* answer.h - what an answer looks like on the wire. Pure: no socket, no clock.
 *
 * An error without a body of its own gets the API's shape, in at most ANSWER_ERROR_MAX bytes:
 * {"success":false,"error":..,"code":..,"timestamp":..,"requestId":..}. It depends on the status
 * alone, so that one 401 is like another; nothing of the request is repeated.
 */
#pragma once

#include "base/text.h"

enum {
	ANSWER_HEAD_MAX = 512,  /* bytes */
	ANSWER_ERROR_MAX = 512, /* bytes */
};

struct answer {
	unsigned status;
	struct text body;         /* copied; len 0 with status >= 400: the API's error shape */
	const char *content_type; /* static; NULL = application/json */
	const char *allow;        /* static; 405: the methods; NULL = no such field */
	int64_t retry_after_s;    /* 0 = no such field */
};

/* Status line and fields, up to the empty line; returns the length. body_len is what Content-Length
 * says, also when the body itself is left out (HEAD). */
size_t answer_head(const struct answer *answer, size_t body_len, bool keep_alive, int64_t now_us,
	char out[ANSWER_HEAD_MAX]);

/* The error body for a status; returns the length. */
size_t answer_error(
	unsigned status, int64_t now_us, const char *request_id, char out[ANSWER_ERROR_MAX]);
