#include "io/loop.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"

enum { PAIRS = 40 };

static struct loop *loop;
static char story[256]; /* one letter for each thing that happened */

static void tell(char what)
{
	size_t len = strlen(story);

	if (len < sizeof(story) - 1) {
		story[len] = what;
		story[len + 1] = '\0';
	}
}

/* Whatever goes wrong, a test ends. */
static void too_late(void *owner)
{
	(void)owner;
	tell('!');
	loop_stop(loop);
}

static void run_until_stopped(void)
{
	struct loop_timer *guard = loop_timer_new(loop, too_late, NULL);

	story[0] = '\0';
	loop_timer_start(guard, 10000);
	loop_run(loop);
	loop_timer_free(guard);
}

static int64_t started_ms;
static int64_t fired_after_ms;
static int fired_count;

static void timer_fired(void *owner)
{
	(void)owner;
	fired_count++;
	fired_after_ms = clock_mono_ms() - started_ms;
	loop_stop(loop);
}

static void check_timer(void)
{
	struct loop_timer *timer = loop_timer_new(loop, timer_fired, NULL);
	int early = 0;

	for (int64_t after_ms = 0; after_ms < 25; after_ms++) {
		started_ms = clock_mono_ms();
		loop_timer_start(timer, after_ms);
		run_until_stopped();
		early += fired_after_ms < after_ms;
	}
	CHECK(early == 0, "no timer fires early (%d of 25 did)", early);
	CHECK(fired_count == 25, "each timer fires once (%d)", fired_count);

	loop_timer_start(timer, 5000);
	started_ms = clock_mono_ms();
	loop_timer_start(timer, 10);
	run_until_stopped();
	CHECK(fired_after_ms >= 10 && fired_after_ms < 4000, "a timer started again forgets");

	struct loop_timer *other = loop_timer_new(loop, timer_fired, NULL);

	fired_count = 0;
	loop_timer_start(timer, 1);
	loop_timer_stop(timer);
	loop_timer_start(other, 30);
	run_until_stopped();
	CHECK(fired_count == 1, "a stopped timer does not fire");
	loop_timer_free(timer);
	loop_timer_free(other);
	loop_timer_free(NULL);
}

static struct loop_timer *late_timers[2];

static void nothing(void *owner)
{
	(void)owner;
}

/* libevent still takes the start of the round for now, until the next one begins. */
static void start_late(void *owner)
{
	(void)owner;
	poll(NULL, 0, 60);
	started_ms = clock_mono_ms();
	loop_timer_start(late_timers[0], 1);
	loop_timer_start(late_timers[1], 40);
}

static void check_timer_of_a_long_round(void)
{
	struct loop_task *starting = loop_task_new(loop, start_late, NULL);

	late_timers[0] = loop_timer_new(loop, nothing, NULL);
	late_timers[1] = loop_timer_new(loop, timer_fired, NULL);
	loop_task_post(starting);
	run_until_stopped();
	CHECK(fired_after_ms >= 40, "a timer started late in a round is not early (%lld ms)",
		(long long)fired_after_ms);
	loop_timer_free(late_timers[0]);
	loop_timer_free(late_timers[1]);
	loop_task_free(starting);
}

static void signal_came(void *owner)
{
	tell(*(const char *)owner);
	loop_stop(loop);
}

static void check_signal(void)
{
	char letter = 's';
	struct loop_signal *usr1 = loop_signal_new(loop, SIGUSR1, signal_came, &letter);

	raise(SIGUSR1);
	run_until_stopped();
	CHECK(strcmp(story, "s") == 0, "a signal arrives in the loop (got %s)", story);
	raise(SIGUSR1);
	run_until_stopped();
	CHECK(strcmp(story, "s") == 0, "and the next one too (got %s)", story);
	loop_signal_free(usr1);
	loop_signal_free(NULL);
}

struct pair {
	int near;
	int far;
	struct loop_watch *watch;
};

static struct pair pairs[PAIRS];
static struct loop_task *task;
static size_t served;
static size_t served_at_task;

static void pair_open(struct pair *pair)
{
	int ends[2];

	if (pipe(ends) != 0) {
		perror("pipe");
		exit(1);
	}
	pair->near = ends[0];
	pair->far = ends[1];
}

static void pair_close(struct pair *pair)
{
	loop_watch_free(pair->watch);
	pair->watch = NULL;
	close(pair->near);
	close(pair->far);
}

static void byte_arrived(void *owner, unsigned ready)
{
	struct pair *pair = owner;
	char byte;

	if (ready == LOOP_READ && read(pair->near, &byte, 1) == 1) {
		served++;
	}
	loop_task_post(task);
}

static void round_over(void *owner)
{
	(void)owner;
	tell('t');
	served_at_task = served;
	loop_stop(loop);
}

static void check_task_after_round(void)
{
	task = loop_task_new(loop, round_over, NULL);
	for (size_t i = 0; i < PAIRS; i++) {
		pair_open(&pairs[i]);
		pairs[i].watch = loop_watch_new(loop, pairs[i].near, byte_arrived, &pairs[i]);
		loop_watch_want(pairs[i].watch, LOOP_READ);
	}
	/* libevent asks for 32 descriptors at first and for more when all were ready: the second
	 * round sees all of them at once. */
	for (int round = 0; round < 3; round++) {
		served = 0;
		for (size_t i = 0; i < PAIRS; i++) {
			CHECK(write(pairs[i].far, "x", 1) == 1, "byte %zu is on its way", i);
		}
		while (served < PAIRS) {
			run_until_stopped();
		}
	}
	CHECK(served_at_task == PAIRS && strcmp(story, "t") == 0,
		"a task runs once, after all %d descriptors that were ready (ran at %zu, %s)",
		PAIRS, served_at_task, story);
	for (size_t i = 0; i < PAIRS; i++) {
		pair_close(&pairs[i]);
	}
	loop_task_free(task);
}

static int reposts;

static void repost(void *owner)
{
	(void)owner;
	reposts++;
	loop_task_post(task);
}

static void byte_ends_it(void *owner, unsigned ready)
{
	(void)owner;
	(void)ready;
	loop_stop(loop);
}

static void check_task_does_not_starve(void)
{
	struct pair pair;

	task = loop_task_new(loop, repost, NULL);
	pair_open(&pair);
	pair.watch = loop_watch_new(loop, pair.near, byte_ends_it, NULL);
	loop_watch_want(pair.watch, LOOP_READ);
	loop_task_post(task);
	CHECK(write(pair.far, "x", 1) == 1, "a byte is on its way");
	run_until_stopped();
	CHECK(story[0] == '\0' && reposts > 0, "a task that posts itself starves no descriptor");
	loop_task_free(task);
	pair_close(&pair);
}

/* The other way round: a descriptor that is ready in every round. */
static void always_ready(void *owner, unsigned ready)
{
	(void)owner;
	if (ready == LOOP_WRITE && served++ == 0) {
		loop_task_post(task);
	}
}

static void check_descriptor_does_not_starve(void)
{
	struct pair pair;

	task = loop_task_new(loop, round_over, NULL);
	pair_open(&pair);
	pair.watch = loop_watch_new(loop, pair.far, always_ready, NULL);
	loop_watch_want(pair.watch, LOOP_WRITE);
	served = 0;
	run_until_stopped();
	CHECK(strcmp(story, "t") == 0 && served == 1,
		"a descriptor that is always ready starves no task (%zu rounds)", served);
	loop_task_free(task);
	pair_close(&pair);
}

static struct loop_task *tasks[3];

static void run_and_free_others(void *owner)
{
	tell(*(const char *)owner);
	loop_task_free(tasks[1]);
	loop_task_free(tasks[0]);
	tasks[0] = NULL;
	tasks[1] = NULL;
}

static void run_and_stop(void *owner)
{
	tell(*(const char *)owner);
	loop_stop(loop);
}

static void check_tasks_order_and_free(void)
{
	char letters[] = "abc";

	tasks[0] = loop_task_new(loop, run_and_free_others, &letters[0]);
	tasks[1] = loop_task_new(loop, run_and_stop, &letters[1]);
	tasks[2] = loop_task_new(loop, run_and_stop, &letters[2]);
	for (size_t i = 0; i < 3; i++) {
		loop_task_post(tasks[i]);
		loop_task_post(tasks[i]);
	}
	run_until_stopped();
	CHECK(strcmp(story, "ac") == 0,
		"tasks run in order, once each, and may free one another (got %s)", story);
	loop_task_post(tasks[2]);
	run_until_stopped();
	CHECK(strcmp(story, "c") == 0, "a task can be posted again (got %s)", story);
	loop_task_post(tasks[2]);
	loop_task_free(tasks[2]);
	loop_task_free(NULL);
}

static void free_both(void *owner, unsigned ready)
{
	(void)owner;
	(void)ready;
	tell('w');
	for (size_t i = 0; i < 2; i++) {
		loop_watch_free(pairs[i].watch);
		pairs[i].watch = NULL;
	}
	loop_stop(loop);
}

static void check_watch_frees_others(void)
{
	for (size_t i = 0; i < 2; i++) {
		pair_open(&pairs[i]);
		pairs[i].watch = loop_watch_new(loop, pairs[i].near, free_both, NULL);
		loop_watch_want(pairs[i].watch, LOOP_READ);
		CHECK(write(pairs[i].far, "x", 1) == 1, "byte %zu is on its way", i);
	}
	run_until_stopped();
	CHECK(strcmp(story, "w") == 0, "a watch may free itself and the next one (got %s)", story);
	for (size_t i = 0; i < 2; i++) {
		pair_close(&pairs[i]);
	}
}

static void say_ready(void *owner, unsigned ready)
{
	(void)owner;
	tell((ready & LOOP_READ) != 0 ? 'r' : '-');
	tell((ready & LOOP_WRITE) != 0 ? 'w' : '-');
	loop_stop(loop);
}

static void check_watch_wants(void)
{
	struct pair pair;
	struct pair again;
	int numbers[2];

	pair_open(&pair);
	numbers[0] = pair.far;
	numbers[1] = pair.near;
	pair.watch = loop_watch_new(loop, pair.far, say_ready, NULL);
	loop_watch_want(pair.watch, LOOP_READ | LOOP_WRITE);
	run_until_stopped();
	CHECK(strcmp(story, "-w") == 0, "an empty pipe can be written (got %s)", story);

	struct loop_timer *timer = loop_timer_new(loop, timer_fired, NULL);

	loop_watch_want(pair.watch, 0);
	loop_timer_start(timer, 20);
	run_until_stopped();
	CHECK(story[0] == '\0', "a watch that wants nothing is silent (got %s)", story);
	loop_timer_free(timer);

	loop_watch_want(pair.watch, LOOP_WRITE);
	pair_close(&pair);
	/* The same numbers, other descriptors, before the kernel was told of the change. */
	pair_open(&again);
	CHECK((again.far == numbers[0] || again.far == numbers[1]), "a descriptor is used again");
	again.watch = loop_watch_new(loop, again.far, say_ready, NULL);
	loop_watch_want(again.watch, LOOP_WRITE);
	run_until_stopped();
	CHECK(strcmp(story, "-w") == 0, "a number used again is watched anew (got %s)", story);
	pair_close(&again);
	loop_watch_free(NULL);
}

static void check_sigpipe(void)
{
	struct pair pair;

	pair_open(&pair);
	close(pair.near);
	CHECK(write(pair.far, "x", 1) < 0, "writing to a peer that has gone kills nobody");
	close(pair.far);
}

int main(void)
{
	loop = loop_new();
	check_timer();
	check_timer_of_a_long_round();
	check_signal();
	check_task_after_round();
	check_task_does_not_starve();
	check_descriptor_does_not_starve();
	check_tasks_order_and_free();
	check_watch_frees_others();
	check_watch_wants();
	check_sigpipe();
	loop_free(loop);
	loop_free(NULL);
	return check_done();
}
