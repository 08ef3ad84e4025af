/* call_record.h - how a call to the API is told to the database, by the poller and the command line
 * alike: calls of functions of the schema torque, in the words of SQL. */
#pragma once

#include "base/stamp.h"
#include "flow/torque.h"
#include "pg/store.h"

enum { CALL_RECORD_NUMBER_MAX = 24 };

/* An answer without its body. "" is null. */
struct call_record {
	char call_id[CALL_RECORD_NUMBER_MAX]; /* as torque.claim_call() or reconcile_next() gave it
					       */
	char asked[STAMP_TEXT_MAX];
	char answered[STAMP_TEXT_MAX];
	char date[STAMP_TEXT_MAX];
	char remaining[CALL_RECORD_NUMBER_MAX];
	char reset[STAMP_TEXT_MAX];
	char status[CALL_RECORD_NUMBER_MAX];
	char retry_after[CALL_RECORD_NUMBER_MAX];
	struct problem problem;
};

/* All but the call_id. */
void call_record_answer(struct call_record *call_record, const struct torque_answer *answer);

/* An operator's place in the budget, by the clock that its end is told by. Parameters are borrowed;
 * order_id NULL: the answer is not to be taken in. */
struct store_call call_record_claim(const char *purpose, const char *order_id, const char *now);

/* Parameters are borrowed from call_record and body; NULs end those of call_record. */
struct store_call call_record_ended(const struct call_record *call_record);
struct store_call call_record_page(const struct call_record *call_record, struct text body);
struct store_call call_record_lookup(const struct call_record *call_record, struct text body);
struct store_call call_record_failed(const struct call_record *call_record, enum torque_end end);
/* Of a call that has been ended; order_id is borrowed, too. */
struct store_call call_record_cancelled(
	const struct call_record *call_record, const char *order_id, struct text body);
