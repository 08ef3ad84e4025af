/* attempts.h - attempts to connect: how long one may take, when a round of hosts comes again, and
 * why they failed, each reason once. No I/O. */
#pragma once

#include <stdint.h>

#include "base/problem.h"

enum {
	ATTEMPTS_CONNECT_MS = 500, /* of silence */
	ATTEMPTS_CONNECT_TOTAL_MS = 5000,
	ATTEMPTS_BACKOFF_MIN_MS = 50,
	ATTEMPTS_BACKOFF_MAX_MS = 500, /* from the start of one round to the next */
};

/* Embedded; zeroed. Others only read and write the reason, and read the problem. */
struct attempts {
	int64_t round_ms;       /* when this round of hosts began */
	int64_t attempt_ms;     /* when this attempt began */
	unsigned attempts;      /* since it was connected last */
	unsigned rounds;        /* likewise */
	struct problem reason;  /* of this attempt, or why the connection was lost */
	struct problem reasons; /* those of this round */
	struct problem problem; /* those of the last round */
};

/* A round, which begins so much later. */
void attempts_begin_round(struct attempts *attempts, int64_t after_ms);
/* The next host of it. */
void attempts_begin(struct attempts *attempts);
/* How long that host may say nothing; 0: its time is up. */
int64_t attempts_timeout_ms(const struct attempts *attempts);
/* It has failed, for the reason in reason. */
void attempts_failed(struct attempts *attempts);
void attempts_succeeded(struct attempts *attempts);

/* Every host has failed, and the next round begins *ret_pause_ms later. True: that is news, as
 * for another reason than the last time. */
bool attempts_end_round(struct attempts *attempts, int64_t *ret_pause_ms);
/* How long after a connection was lost, for the reason in reason, the next round begins. */
int64_t attempts_lost_ms(struct attempts *attempts);
