/* body.h - read the body of a request or an answer: as many bytes as were announced, or chunks and
 * the trailer behind them, which is dropped; or what comes until the connection ends.
 *
 * Pure and incremental. Where a body ends is said no more than once, or the message is refused, in
 * both directions alike. They differ where it is not said at all: a POST is then refused and
 * another request has no body, that of an answer ends with the connection, unless it is one to
 * HEAD, a 204 or a 304, which have none whatever their fields say. And in the trailer: see head.h.
 */
#pragma once

#include "http/chunk.h"
#include "http/head.h"

/* BODY_CLOSE is for the caller to set, where nothing is said. */
enum body_end { BODY_UNSAID, BODY_LENGTH, BODY_CHUNKS, BODY_CLOSE };

/* Zeroed but for the limits, for a new message. */
struct body {
	size_t max;                 /* bytes: 413 */
	struct head_reader trailer; /* with its limit, and whether any line is taken */
	enum body_end end;
	char *bytes; /* owned; NULL before the first of them; free() */
	size_t len;
	size_t room;
	uint64_t left; /* still to come: of the length, or of this chunk */
	struct chunk_line line;
	uint8_t state; /* enum in body.c */
};

/* Take from the head where the body ends. False: it says so wrongly or more than once (400), or in
 * a coding that is not ours (501). */
bool body_expect(struct body *body, const struct head *head, struct refusal *refusal);

enum body_step { BODY_MORE, BODY_WHOLE, BODY_REFUSED };

/* From bytes + *used on, which moves behind what was taken: all of them with BODY_MORE. The first
 * call, even with no bytes, judges the length. With BODY_CLOSE there is always more to come. */
enum body_step body_read(
	struct body *body, struct text bytes, size_t *used, struct refusal *refusal);
