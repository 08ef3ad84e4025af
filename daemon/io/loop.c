/* The event loop: libevent, and a queue of tasks that ends each round. */
#include "io/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"

enum {
	LOOP_MAGIC = 0x4c4f4f50,
	TIMER_MAGIC = 0x54494d45,
	SIGNAL_MAGIC = 0x5349474e,
	WATCH_MAGIC = 0x57415443,
	ROUNDS_AT_END = 2,
};

TAILQ_HEAD(task_queue, loop_task);

struct loop {
	unsigned magic;
	struct event_base *base;
	struct event *round_end;
	struct task_queue posted;
	struct task_queue due; /* empty but while round_end runs */
	bool ending_round;
	bool stopping;
};

struct loop_timer {
	unsigned magic;
	struct event *event;
	loop_fired *fired;
	void *owner;
	int64_t due_ms; /* valid while the event is pending */
};

struct loop_signal {
	unsigned magic;
	struct event *event;
	loop_fired *fired;
	void *owner;
};

struct loop_watch {
	unsigned magic;
	struct event_base *base;
	struct event *event;
	loop_ready *ready;
	void *owner;
	int fd;
	unsigned want;
};

struct loop_task {
	TAILQ_ENTRY(loop_task) entry; /* valid while queue is not NULL */
	struct task_queue *queue;
	struct loop *loop;
	loop_fired *run;
	void *owner;
};

static void library_spoke(int severity, const char *message)
{
	log_event(severity >= EVENT_LOG_WARN ? LOG_WARNING : LOG_DEBUG, "libevent",
		LOG_FIELDS(LOG_STRING("message", message)));
}

static void library_gave_up(int error)
{
	die("libevent cannot go on (%d)", error);
}

static struct event *event_or_die(struct event *event)
{
	if (!event) {
		die("no memory for an event");
	}
	return event;
}

static void add_or_die(struct event *event, const struct timeval *after)
{
	if (event_add(event, after) != 0) {
		die("the kernel refused to watch descriptor or signal %d",
			(int)event_get_fd(event));
	}
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	/* With the change list a descriptor that is watched, served and watched again costs no
	 * system call in between: a third more requests per second. It needs what loop.h asks for
	 * anyway: no watch outlives its descriptor. */
	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
		event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
		event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0) {
		base = event_base_new_with_config(config);
	}
	if (!base) {
		die("cannot make an event loop");
	}
	event_config_free(config);
	return base;
}

static void run_due_tasks(struct loop *loop)
{
	struct loop_task *task;

	TAILQ_CONCAT(&loop->due, &loop->posted, entry);
	for (task = TAILQ_FIRST(&loop->due); task; task = TAILQ_NEXT(task, entry)) {
		task->queue = &loop->due;
	}
	while ((task = TAILQ_FIRST(&loop->due))) {
		TAILQ_REMOVE(&loop->due, task, entry);
		task->queue = NULL;
		task->run(task->owner); /* may free task, or any other */
	}
}

/* Activated when the first task of a round is posted. By then the kernel's whole answer stands in
 * libevent's queue, so this comes after all of it. Tasks posted by tasks wait for the next round,
 * behind what the kernel has by then: none can starve a descriptor, nor the other way round (as
 * a low event priority could be, of which libevent serves one only when those above are idle). */
static void round_ended(evutil_socket_t fd, short what, void *owner)
{
	static const struct timeval at_once = { 0, 0 };
	struct loop *loop = owner;

	(void)fd;
	(void)what;
	assert(loop->magic == LOOP_MAGIC);
	loop->ending_round = true;
	run_due_tasks(loop);
	loop->ending_round = false;
	if (loop->stopping) {
		event_base_loopbreak(loop->base);
	} else if (!TAILQ_EMPTY(&loop->posted)) {
		add_or_die(loop->round_end, &at_once);
	}
}

struct loop *loop_new(void)
{
	struct loop *loop = memory_new(sizeof(*loop));

	event_set_mem_functions(memory_try, memory_try_again, free);
	event_set_log_callback(library_spoke);
	event_set_fatal_callback(library_gave_up);
	signal(SIGPIPE, SIG_IGN);
	loop->magic = LOOP_MAGIC;
	loop->base = base_new();
	loop->round_end = event_or_die(event_new(loop->base, -1, 0, round_ended, loop));
	TAILQ_INIT(&loop->posted);
	TAILQ_INIT(&loop->due);
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop) {
		return;
	}
	/* Those who are gone, and libevent for them, may have put off some tidying up. */
	for (int i = 0; i < ROUNDS_AT_END; i++) {
		event_base_loop(loop->base, EVLOOP_NONBLOCK);
	}
	assert(TAILQ_EMPTY(&loop->posted) && TAILQ_EMPTY(&loop->due));
	event_free(loop->round_end);
	event_base_free(loop->base);
	loop->magic = 0;
	free(loop);
}

void loop_run(struct loop *loop)
{
	/* Tasks that were left when the loop was stopped. */
	if (!TAILQ_EMPTY(&loop->posted)) {
		event_active(loop->round_end, EV_TIMEOUT, 1);
	}
	if (event_base_dispatch(loop->base) < 0) {
		die("the event loop failed");
	}
	if (!loop->stopping) {
		die("the event loop has nothing to wait for");
	}
	loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
	if (!loop->ending_round) {
		event_active(loop->round_end, EV_TIMEOUT, 1);
	}
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

static void start_event(struct loop_timer *timer, int64_t after_ms)
{
	struct timeval after = {
		.tv_sec = after_ms / 1000,
		.tv_usec = after_ms % 1000 * 1000,
	};

	add_or_die(timer->event, &after);
}

static void timer_fired(evutil_socket_t fd, short what, void *owner)
{
	struct loop_timer *timer = owner;

	(void)fd;
	(void)what;
	assert(timer->magic == TIMER_MAGIC);

	/* libevent counts from the start of the round, and on a clock of some milliseconds' grain:
	 * it may come early, which a deadline never does. */
	int64_t left_ms = timer->due_ms - clock_mono_ms();

	if (left_ms > 0) {
		start_event(timer, left_ms);
		return;
	}
	timer->fired(timer->owner);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_fired *fired, void *owner)
{
	struct loop_timer *timer = memory_new(sizeof(*timer));

	timer->magic = TIMER_MAGIC;
	timer->event = event_or_die(evtimer_new(loop->base, timer_fired, timer));
	timer->fired = fired;
	timer->owner = owner;
	return timer;
}

void loop_timer_start(struct loop_timer *timer, int64_t after_ms)
{
	assert(after_ms >= 0);
	timer->due_ms = clock_mono_ms() + after_ms;
	start_event(timer, after_ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
	event_del(timer->event);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (!timer) {
		return;
	}
	event_free(timer->event);
	timer->magic = 0;
	free(timer);
}

static void signal_arrived(evutil_socket_t number, short what, void *owner)
{
	struct loop_signal *received = owner;

	(void)number;
	(void)what;
	assert(received->magic == SIGNAL_MAGIC);
	received->fired(received->owner);
}

struct loop_signal *loop_signal_new(struct loop *loop, int number, loop_fired *fired, void *owner)
{
	struct loop_signal *awaited = memory_new(sizeof(*awaited));

	awaited->magic = SIGNAL_MAGIC;
	awaited->event = event_or_die(evsignal_new(loop->base, number, signal_arrived, awaited));
	awaited->fired = fired;
	awaited->owner = owner;
	add_or_die(awaited->event, NULL);
	return awaited;
}

void loop_signal_free(struct loop_signal *awaited)
{
	if (!awaited) {
		return;
	}
	event_free(awaited->event);
	awaited->magic = 0;
	free(awaited);
}

static void descriptor_ready(evutil_socket_t fd, short what, void *owner)
{
	struct loop_watch *watch = owner;

	(void)fd;
	assert(watch->magic == WATCH_MAGIC);

	unsigned ready = ((what & EV_READ) != 0 ? LOOP_READ : 0U) |
			 ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0U);

	watch->ready(watch->owner, ready);
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_ready *ready, void *owner)
{
	struct loop_watch *watch = memory_new(sizeof(*watch));

	watch->magic = WATCH_MAGIC;
	watch->base = loop->base;
	watch->event = event_or_die(event_new(loop->base, fd, EV_PERSIST, descriptor_ready, watch));
	watch->ready = ready;
	watch->owner = owner;
	watch->fd = fd;
	return watch;
}

bool loop_watch_want(struct loop_watch *watch, unsigned want)
{
	short what = EV_PERSIST;

	assert((want & ~(unsigned)(LOOP_READ | LOOP_WRITE)) == 0);
	if (want == watch->want) {
		return true;
	}
	what = (short)(what | ((want & LOOP_READ) != 0 ? EV_READ : 0));
	what = (short)(what | ((want & LOOP_WRITE) != 0 ? EV_WRITE : 0));
	event_del(watch->event);
	if (event_assign(watch->event, watch->base, watch->fd, what, descriptor_ready, watch) !=
		0) {
		die("cannot change what descriptor %d is watched for", watch->fd);
	}
	watch->want = want != 0 && event_add(watch->event, NULL) != 0 ? 0 : want;
	return watch->want == want;
}

void loop_watch_free(struct loop_watch *watch)
{
	if (!watch) {
		return;
	}
	event_free(watch->event);
	watch->magic = 0;
	free(watch);
}

struct loop_task *loop_task_new(struct loop *loop, loop_fired *run, void *owner)
{
	struct loop_task *task = memory_new(sizeof(*task));

	task->loop = loop;
	task->run = run;
	task->owner = owner;
	return task;
}

void loop_task_post(struct loop_task *task)
{
	struct loop *loop = task->loop;

	if (task->queue) {
		return;
	}
	task->queue = &loop->posted;
	TAILQ_INSERT_TAIL(&loop->posted, task, entry);
	if (!loop->ending_round) {
		event_active(loop->round_end, EV_TIMEOUT, 1);
	}
}

void loop_task_free(struct loop_task *task)
{
	if (!task) {
		return;
	}
	if (task->queue) {
		TAILQ_REMOVE(task->queue, task, entry);
	}
	free(task);
}
