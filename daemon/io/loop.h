/* loop.h - the event loop: timers, signals, descriptors, and work put off to the end of a round.
 *
 * Everything runs on one thread. A callback may free the object that called it, or any other.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop;        /* heap */
struct loop_timer;  /* heap, one-shot, stopped when new */
struct loop_signal; /* heap */
struct loop_watch;  /* heap, level-triggered */
struct loop_task;   /* heap */

enum loop_want { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void loop_fired(void *owner);
typedef void loop_ready(void *owner, unsigned want); /* LOOP_READ | LOOP_WRITE that are ready */

/* SIGPIPE is ignored from then on; libevent speaks through our log. */
struct loop *loop_new(void);
void loop_free(struct loop *loop); /* after everything that was made with it */

/* Returns after loop_stop(), at the end of that round. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

struct loop_timer *loop_timer_new(struct loop *loop, loop_fired *fired, void *owner);
/* Started again it counts from now. Never fires early. */
void loop_timer_start(struct loop_timer *timer, int64_t after_ms);
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);

struct loop_signal *loop_signal_new(struct loop *loop, int number, loop_fired *fired, void *owner);
void loop_signal_free(struct loop_signal *signal);

/* Watches nothing until loop_watch_want(). fd is borrowed; free the watch before closing it. */
struct loop_watch *loop_watch_new(struct loop *loop, int fd, loop_ready *ready, void *owner);
/* False: the kernel has no means to; nothing is watched. Watching nothing always works. */
bool loop_watch_want(struct loop_watch *watch, unsigned want);
void loop_watch_free(struct loop_watch *watch);

/* A task runs once, after every descriptor that was ready in this round has been served, so that
 * what they brought is sent as one batch. Posting it again before it ran does nothing. */
struct loop_task *loop_task_new(struct loop *loop, loop_fired *run, void *owner);
void loop_task_post(struct loop_task *task);
void loop_task_free(struct loop_task *task);

/* For the other modules of io/ only. */
struct event_base;
struct event_base *loop_base(struct loop *loop);
