/* retry.h - what becomes of the facts of a batch: which are offered again, when, and in what
 * company.
 *
 * Whatever the refusal, it may be meant for one fact alone: a trigger of the merchant's that waits
 * for a lock, or names a column that is no more, may do so for one order only. So no fact is
 * refused twice in the same batch.
 */
#pragma once

#include "flow/queue.h"
#include "flow/refusal.h"

/* It committed; each fact has its outcome. Those that were busy are deferred, and leave facts. */
void retry_committed(struct queue *queue, struct queue_list *facts);

/* It was never sent, or nobody knows whether it committed: all are deferred. */
void retry_later(struct queue *queue, struct queue_list *facts);

/* It was refused. What is left in facts is lost. */
void retry_refused(
	struct queue *queue, struct queue_list *facts, enum refusal refusal, const char *sqlstate);
