/* Back-off with jitter, and a list of reasons. */
#include "pg/attempts.h"

#include <string.h>
#include <sys/random.h>

#include "base/clock.h"

enum {
	/* A host that is only slow must get in some time. */
	ATTEMPTS_SLOW_EVERY = 8,
	ATTEMPTS_SLOW_MS = 2000,
	ATTEMPTS_DOUBLINGS_MAX = 8,
};

static int64_t jitter(int64_t ms)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) {
		number = UINT32_MAX / 2;
	}
	return ms / 2 + ms / 2 * (int64_t)number / UINT32_MAX;
}

void attempts_begin_round(struct attempts *attempts, int64_t after_ms)
{
	attempts->reasons.text[0] = '\0';
	attempts->round_ms = clock_mono_ms() + after_ms;
}

void attempts_begin(struct attempts *attempts)
{
	attempts->attempts++;
	attempts->attempt_ms = clock_mono_ms();
}

int64_t attempts_timeout_ms(const struct attempts *attempts)
{
	int64_t left_ms = attempts->attempt_ms + ATTEMPTS_CONNECT_TOTAL_MS - clock_mono_ms();
	int64_t step_ms = attempts->attempts % ATTEMPTS_SLOW_EVERY == 0 ? ATTEMPTS_SLOW_MS
									: ATTEMPTS_CONNECT_MS;

	if (left_ms < 0) {
		return 0;
	}
	return left_ms < step_ms ? left_ms : step_ms;
}

void attempts_failed(struct attempts *attempts)
{
	const char *others = attempts->reasons.text;

	if (!strstr(others, attempts->reason.text)) {
		problem_say(&attempts->reasons, "%s%s%s", others, others[0] ? "; " : "",
			attempts->reason.text);
	}
}

void attempts_succeeded(struct attempts *attempts)
{
	attempts->attempts = 0;
	attempts->rounds = 0;
}

bool attempts_end_round(struct attempts *attempts, int64_t *ret_pause_ms)
{
	unsigned doublings = attempts->rounds < ATTEMPTS_DOUBLINGS_MAX ? attempts->rounds
								       : ATTEMPTS_DOUBLINGS_MAX;
	int64_t pause_ms = (int64_t)ATTEMPTS_BACKOFF_MIN_MS << doublings;
	bool other = attempts->rounds == 0 ||
		     strcmp(attempts->problem.text, attempts->reasons.text) != 0;

	attempts->rounds++;
	attempts->problem = attempts->reasons;
	pause_ms = jitter(pause_ms < ATTEMPTS_BACKOFF_MAX_MS ? pause_ms : ATTEMPTS_BACKOFF_MAX_MS);
	pause_ms -= clock_mono_ms() - attempts->round_ms;
	*ret_pause_ms = pause_ms > 0 ? pause_ms : 0;
	return other;
}

/* Not at once: it may be we who make the server fall. */
int64_t attempts_lost_ms(struct attempts *attempts)
{
	attempts->problem = attempts->reason;
	return jitter(ATTEMPTS_BACKOFF_MIN_MS);
}
