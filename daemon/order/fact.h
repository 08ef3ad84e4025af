/* fact.h - one statement: source S says order X was in status T at time U.
 *
 * The waist of the program: webhooks and polls both end here, and below nobody knows which way a
 * fact came. What it means is decided in SQL (torque.ingest).
 */
#pragma once

#include "base/text.h"

enum {
	FACT_ORDER_ID_MAX = 128, /* bytes of [A-Za-z0-9_.:-] */
	FACT_WORD_MAX = 255,     /* bytes; a longer word is cut, the payload has all of it */
	FACT_KEY_BYTES = 32,     /* SHA-256 of the body */
};

/* What the database made of a fact; the words are those of the answers and of SQL. */
enum outcome {
	OUTCOME_APPLIED,
	OUTCOME_DUPLICATE,
	OUTCOME_RECORDED,
	OUTCOME_HELD,
	OUTCOME_IGNORED,
	OUTCOME_QUARANTINED,
	OUTCOME_BUSY, /* somebody holds the order locked: nothing was kept, offer it again */
};

struct fact {
	unsigned char key[FACT_KEY_BYTES];
	char order_id[FACT_ORDER_ID_MAX + 1];
	char event_id[FACT_WORD_MAX + 1];   /* "" = the envelope has none */
	char event_type[FACT_WORD_MAX + 1]; /* UTF-8 */
	char status[FACT_WORD_MAX + 1];     /* as claimed; valid when has_status */
	bool has_status;                    /* false: absent or null, the event's name decides */
	bool has_occurred;
	int64_t occurred_us;  /* valid when has_occurred */
	int64_t received_us;  /* when the request was whole */
	struct text body;     /* borrowed: the bytes as they came off the wire */
	const char *unusable; /* NULL, or why it goes to quarantine: a word; borrowed */
};

/* Static; "busy" never reaches a sender. */
const char *fact_outcome_name(enum outcome outcome);
bool fact_outcome_from(struct text name, enum outcome *ret_outcome);

/* 1..128 bytes of [A-Za-z0-9_.:-], compared byte for byte, never trimmed. "." and ".." are refused:
 * in the path of a lookup they would name another resource. */
bool fact_order_id_valid(struct text id);
