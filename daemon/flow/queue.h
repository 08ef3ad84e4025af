/* queue.h - the facts that are to commit: waiting or deferred, and those in flight by who took
 * them.
 *
 * One queue, and a flight for each connection that takes from it. Lists and nothing else: when a
 * batch is sent is the batch's business, what becomes of one that did not commit is retry.h's.
 *
 * An order is in one flight at a time: facts of it wait until that has ended, or go with it.
 */
#pragma once

#include <sys/queue.h>

#include "order/fact.h"
#include "pg/call.h"

enum {
	QUEUE_BATCH_BYTES_MAX = 4 * 1024 * 1024, /* bodies of one batch, but for a first one */
	QUEUE_FULL = 64,     /* facts of a batch that would gain next to nothing by more */
	QUEUE_MARKS = 16384, /* two orders have the same by chance: then one waits */
};

enum queue_place { QUEUE_WAITING, QUEUE_IN_FLIGHT, QUEUE_DEFERRED };

struct queue_fact {
	TAILQ_ENTRY(queue_fact) entry; /* of the list that place says */
	enum queue_place place;
	uint32_t mark;    /* of its order; below QUEUE_MARKS */
	struct fact fact; /* its body outlives this */
	int64_t deadline_ms;
	int64_t retry_ms;   /* valid while deferred: when it is offered again */
	size_t batch_limit; /* facts of a batch that it may be part of */
	bool retried;       /* after an operator's error */
	bool isolated;      /* goes with its like only, each in a subtransaction of its own */
	char reason[sizeof("database_") + STORE_SQLSTATE_MAX]; /* refused even so: fact.unusable */
	enum outcome outcome; /* valid once its transaction has committed */
};

TAILQ_HEAD(queue_list, queue_fact);

/* The batch of one connection. Embedded; queue_join(). Only queue.c changes it. */
struct flight {
	struct flight *next;
	struct queue_list facts; /* in the order in which they were sent */
	size_t count, bytes;
	size_t limit;                     /* the smallest batch_limit among them */
	uint64_t marks[QUEUE_MARKS / 64]; /* one bit each */
};

/* Embedded; queue_init(). Only queue.c and retry.c change it. */
struct queue {
	struct queue_list waiting;  /* the first to be sent first */
	struct queue_list deferred; /* the first to be offered again first */
	size_t count, bytes;        /* waiting */
	struct flight *flights;
	unsigned refusals; /* of batches in a row, none of them for its data */
};

void queue_init(struct queue *queue);
/* flight is borrowed for as long as the queue is used. */
void queue_join(struct queue *queue, struct flight *flight);

/* Waits behind all others. */
void queue_add(struct queue *queue, struct queue_fact *fact);
/* Not while it is in flight. */
void queue_remove(struct queue *queue, struct queue_fact *fact);

/* As many wait as fit into one batch: it would not grow by waiting. */
bool queue_full(const struct queue *queue);

/* Puts in flight, behind those that are, as many as fit from the front of what waits and may go. */
void queue_gather(struct queue *queue, struct flight *flight);
/* The batch has ended: facts, which is overwritten, holds what was in flight. */
void queue_take_batch(struct flight *flight, struct queue_list *facts);

/* All of facts wait again, before those that wait. */
void queue_requeue(struct queue *queue, struct queue_list *facts);
/* All of facts are offered again from retry_ms on, monotonic. */
void queue_defer(struct queue *queue, struct queue_list *facts, int64_t retry_ms);
/* Deferred facts whose time has come wait again, before what came later. */
void queue_requeue_due(struct queue *queue, int64_t now_ms);
/* When that is next; 0 = nothing is deferred. */
int64_t queue_next_retry_ms(const struct queue *queue);
