/* call_record.h - how a call to the API is told to the database, by the poller and the command line
 * alike: calls of functions of the schema torque, in the words of SQL. */
#pragma once

#include "base/stamp.h"
#include "flow/facts.h"
#include "flow/torque.h"

enum { CALL_RECORD_NUMBER_MAX = 24, CALL_RECORD_STATEMENT_MAX = 256 };

/* An answer without its body. "" is null. */
struct call_record {
	char call_id[CALL_RECORD_NUMBER_MAX]; /* as torque.claim_call() or reconcile_next() gave it
					       */
	char asked[STAMP_TEXT_MAX];
	char answered[STAMP_TEXT_MAX];
	char date[STAMP_TEXT_MAX];
	char remaining[CALL_RECORD_NUMBER_MAX];
	char reset[STAMP_TEXT_MAX];
	char status[CALL_RECORD_NUMBER_MAX]; /* "": none, or none to be believed */
	char retry_after[CALL_RECORD_NUMBER_MAX];
	struct problem problem;
};

/* All but the call_id. */
void call_record_answer(struct call_record *call_record, const struct torque_answer *answer);

/* Now, by the clock that the end of a call is told by, and by one that nobody sets. */
void call_record_now(char ret_now[STAMP_TEXT_MAX], char ret_uptime[CALL_RECORD_NUMBER_MAX]);

/* An operator's place in the budget. Parameters are borrowed; order_id NULL: the answer is not to
 * be taken in. */
struct store_call call_record_claim(
	const char *purpose, const char *order_id, const char *now, const char *uptime);

/* Parameters are borrowed from call_record and body; NULs end those of call_record. */
struct store_call call_record_ended(const struct call_record *call_record);

/* What an answer says, and the statements for it. Embedded; call_record_facts_init() / _fini(). The
 * fields are the module's own. */
struct call_record_facts {
	struct facts facts;
	struct json_room room;
	char total[CALL_RECORD_NUMBER_MAX];
	char limit[CALL_RECORD_NUMBER_MAX];
	char page[FACTS_LIST_MAX + CALL_RECORD_STATEMENT_MAX];
	char lookup[FACTS_LIST_MAX + CALL_RECORD_STATEMENT_MAX];
	char cancelled[FACTS_LIST_MAX + CALL_RECORD_STATEMENT_MAX];
};

void call_record_facts_init(struct call_record_facts *facts);
void call_record_facts_fini(struct call_record_facts *facts);

/* Parameters are borrowed from body and facts, too, and the statement is theirs. False: the body
 * is not that, or what it says does not fit into memory. A row of a page that is of no use has no
 * order_id, and says why in place of its payload; without success there is no total. */
bool call_record_page(const struct call_record *call_record, struct text body,
	struct call_record_facts *facts, struct store_call *ret_call);
bool call_record_lookup(const struct call_record *call_record, struct text body,
	struct text order_id, struct call_record_facts *facts, struct store_call *ret_call);
/* Of a call that has been ended. */
bool call_record_cancelled(const struct call_record *call_record, struct text body,
	struct text order_id, struct call_record_facts *facts, struct store_call *ret_call);
struct store_call call_record_failed(const struct call_record *call_record, enum torque_end end);
