#include "pg/attempts.h"

#include "base/clock.h"
#include "check.h"

static struct attempts attempts;

static void fail(const char *reason)
{
	attempts_begin(&attempts);
	problem_say(&attempts.reason, "%s", reason);
	attempts_failed(&attempts);
}

static void check_reasons(void)
{
	int64_t pause_ms;

	attempts_begin_round(&attempts, 0);
	fail("the first is away");
	fail("the second is a standby");
	fail("the first is away");
	CHECK(attempts_end_round(&attempts, &pause_ms) &&
			strcmp(attempts.problem.text,
				"the first is away; the second is a standby") == 0,
		"each reason of a round is told once (%s)", attempts.problem.text);
	attempts_begin_round(&attempts, 0);
	fail("the first is away");
	fail("the second is a standby");
	CHECK(!attempts_end_round(&attempts, &pause_ms), "the same reasons again are no news");
	attempts_begin_round(&attempts, 0);
	fail("the first is away");
	CHECK(attempts_end_round(&attempts, &pause_ms), "one less is");
	attempts_succeeded(&attempts);
	attempts_lost_ms(&attempts);
	attempts_begin_round(&attempts, 0);
	fail("the first is away");
	CHECK(attempts_end_round(&attempts, &pause_ms),
		"so is that a connection which was lost for a reason cannot be made for it");
}

/* The longest pause of some rounds, each begun when the one before had paused. */
static int64_t longest_pause(unsigned rounds)
{
	int64_t longest_ms = 0;

	for (unsigned i = 0; i < rounds; i++) {
		int64_t pause_ms;

		attempts_begin_round(&attempts, 0);
		attempts_end_round(&attempts, &pause_ms);
		longest_ms = pause_ms > longest_ms ? pause_ms : longest_ms;
	}
	return longest_ms;
}

static void check_pauses(void)
{
	int64_t pause_ms;

	attempts_succeeded(&attempts);
	CHECK(longest_pause(1) <= ATTEMPTS_BACKOFF_MIN_MS, "the first pause is short");
	pause_ms = longest_pause(20);
	CHECK(pause_ms > ATTEMPTS_BACKOFF_MIN_MS && pause_ms <= ATTEMPTS_BACKOFF_MAX_MS,
		"later ones are longer, up to a bound (%d ms)", (int)pause_ms);
	attempts_begin_round(&attempts, -2 * ATTEMPTS_BACKOFF_MAX_MS);
	attempts_end_round(&attempts, &pause_ms);
	CHECK(pause_ms == 0, "a round that took long has waited by that");
	problem_say(&attempts.reason, "it went");
	CHECK(attempts_lost_ms(&attempts) > 0 && strcmp(attempts.problem.text, "it went") == 0,
		"a connection that was lost is not made again at once");
}

static void check_patience(void)
{
	unsigned patient = 0;

	for (unsigned i = 0; i < 16; i++) {
		attempts_begin(&attempts);
		patient += attempts_timeout_ms(&attempts) > ATTEMPTS_CONNECT_MS;
	}
	CHECK(patient == 2, "a host that is only slow gets in some time (%u of 16)", patient);
	attempts.attempt_ms = clock_mono_ms() - ATTEMPTS_CONNECT_TOTAL_MS;
	CHECK(attempts_timeout_ms(&attempts) == 0, "but no attempt lasts for ever");
}

int main(void)
{
	check_reasons();
	check_pauses();
	check_patience();
	return check_done();
}
