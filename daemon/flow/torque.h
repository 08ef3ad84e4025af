/* torque.h - typed calls to the Checkout API: asked once, judged whole.
 *
 * The budget is not kept here: whoever asks has taken a slot in SQL first (torque.claim_call).
 * Nothing is retried here either: what a failure means for the next call is decided where the
 * budget is.
 */
#pragma once

#include "base/problem.h"
#include "base/secret.h"
#include "io/loop.h"
#include "order/api_answer.h"
#include "order/api_target.h"

/* Of one call, from its start to its end: the budget counts on it (torque_internal.free_again). */
enum { TORQUE_CALL_MS = 30000 };

enum { TORQUE_ACCESS_MAX = 33 };

struct torque; /* heap */

struct torque_options {
	const char *base_url;
	const char *ca_file;    /* "" = the system's */
	struct secret *api_key; /* taken by what is made; its one copy in this process */
};

enum torque_kind { TORQUE_LIST, TORQUE_SHOW, TORQUE_CANCEL, TORQUE_LINK };

struct torque_call {
	enum torque_kind kind;
	struct api_target_list list; /* TORQUE_LIST, as is the next */
	bool whole;                  /* an answer with an odd row, or without its count, is none */
	struct text order_id;        /* TORQUE_SHOW, TORQUE_CANCEL */
	bool details;                /* TORQUE_SHOW */
	struct text body;            /* TORQUE_CANCEL, TORQUE_LINK: JSON; copied */
};

/* What a proxy answers in the API's stead is not believed: a status of 4xx counts with an error of
 * the API's own shape. 429 and 5xx slow us down whoever sent them. */
enum torque_end {
	TORQUE_GOOD,         /* 200, JSON of the right shape, of the order asked for; or rows */
	TORQUE_RATE_LIMITED, /* 429 */
	TORQUE_UNAUTHORIZED, /* 401, 403 of the API */
	TORQUE_NOT_FOUND,    /* 404 of the API */
	TORQUE_REFUSED,      /* any other 4xx of the API, which says why */
	TORQUE_SERVER_ERROR, /* 5xx */
	TORQUE_UNREACHABLE,
	TORQUE_UNTRUSTED,
	TORQUE_LATE,
	TORQUE_MALFORMED, /* cut short, a redirect, another type, another shape, another order */
	TORQUE_DROPPED,   /* a kept connection ended under a question: ask it again, at once */
};

struct torque_answer {
	enum torque_end end;
	bool maybe_done;       /* nobody says that what was to be done was not */
	unsigned status;       /* whoever sent it; 0: there was no answer */
	int64_t asked_us;      /* wall time of the start of the request: the as_of of its facts */
	int64_t answered_us;   /* by what has passed since, however the clock was set */
	struct text body;      /* borrowed during the callback */
	int64_t date_us;       /* the server's Date; 0 = absent */
	int64_t remaining;     /* X-RateLimit-Remaining, or its like; -1 = absent */
	int64_t reset_us;      /* X-RateLimit-Reset, or its like; 0 = absent */
	int64_t limit;         /* X-RateLimit-Limit; 0 = absent or unreadable */
	int64_t retry_after_s; /* 0 = absent or unreadable */
	struct api_answer_error error; /* valid with has_error */
	bool has_error;
	struct problem problem; /* "" with TORQUE_GOOD */
};

/* Exactly once for each torque_ask() that returned true, from the loop, never from inside it. */
typedef void torque_done(void *tag, const struct torque_answer *answer);

struct torque *torque_new(
	struct loop *loop, const struct torque_options *options, struct problem *problem);
void torque_free(struct torque *torque);

/* A fingerprint, keyed by the key, of the API's address: the same for the same access alone. */
void torque_access(const struct torque *torque, char out[TORQUE_ACCESS_MAX]);

/* False: no path can be made of it: a bad order id, a limit outside 1..API_TARGET_PAGE_MAX. */
bool torque_can_ask(const struct torque_call *call);

/* False: a call is running, or !torque_can_ask(). */
bool torque_ask(
	struct torque *torque, const struct torque_call *call, torque_done *done, void *tag);

/* By how many seconds the clock of this host is ahead of the API's; negative: behind. By no more
 * than the answer proves: its Date is cut to the second, and was written between our request and
 * the end of the answer. 0 without a Date. */
int64_t torque_clock_ahead_s(const struct torque_answer *answer);

/* It has a status that counts. */
bool torque_end_has_status(enum torque_end end);
/* The API itself has answered, and has looked at the key. */
bool torque_end_knows_key(enum torque_end end);

/* "rate_limited", "not_found", …: the words SQL takes; static. */
const char *torque_end_name(enum torque_end end);
