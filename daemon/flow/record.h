/* record.h - how a call to the API is told to the database, by the poller and the command line
 * alike: calls of functions of the schema torque, in the words of SQL. */
#pragma once

#include "base/stamp.h"
#include "flow/torque.h"
#include "io/store.h"

enum { RECORD_NUMBER_MAX = 24 };

/* An answer without its body. "" is null. */
struct record {
	char call_id[RECORD_NUMBER_MAX]; /* as torque.claim_call() or reconcile_next() gave it */
	char asked[STAMP_TEXT_MAX];
	char answered[STAMP_TEXT_MAX];
	char date[STAMP_TEXT_MAX];
	char remaining[RECORD_NUMBER_MAX];
	char reset[STAMP_TEXT_MAX];
	char status[RECORD_NUMBER_MAX];
	char retry_after[RECORD_NUMBER_MAX];
	char problem[TORQUE_PROBLEM_MAX];
};

/* All but the call_id. */
void record_answer(struct record *record, const struct torque_answer *answer);

/* Parameters are borrowed from record and body; NULs end those of record. */
struct store_call record_ended(const struct record *record);
struct store_call record_page(const struct record *record, struct text body);
struct store_call record_lookup(const struct record *record, struct text body);
struct store_call record_failed(const struct record *record, enum torque_end end);
