/* What is said to the database of a call to the API: its place, its answer, its end. */
#include "flow/call_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void say_time(int64_t us, char out[STAMP_TEXT_MAX])
{
	out[0] = '\0';
	if (us > 0) {
		stamp_format(us, out);
	}
}

static void say_number(int64_t value, int64_t least, char out[CALL_RECORD_NUMBER_MAX])
{
	out[0] = '\0';
	if (value >= least) {
		snprintf(out, CALL_RECORD_NUMBER_MAX, "%" PRId64, value);
	}
}

void call_record_answer(struct call_record *call_record, const struct torque_answer *answer)
{
	say_time(answer->asked_us, call_record->asked);
	say_time(answer->answered_us, call_record->answered);
	say_time(answer->date_us, call_record->date);
	say_time(answer->reset_us, call_record->reset);
	say_number(answer->remaining, 0, call_record->remaining);
	say_number(answer->status, 1, call_record->status);
	say_number(answer->retry_after_s, 1, call_record->retry_after);
	call_record->problem = answer->problem;
}

static struct store_param word(const char *string)
{
	return string[0] ? (struct store_param){ .bytes = string, .len = strlen(string) }
			 : (struct store_param){ .bytes = NULL };
}

struct store_call call_record_claim(const char *purpose, const char *order_id, const char *now)
{
	return (struct store_call){
		.statement = "select call_id, wait_ms from torque.claim_call('operator', $1::text, "
			     "$2::text, $3::timestamptz)",
		.param_count = 3,
		.params = { word(purpose), word(order_id ? order_id : ""), word(now) },
	};
}

struct store_call call_record_ended(const struct call_record *call_record)
{
	return (struct store_call){
		.statement = "select torque.call_ended($1::bigint, $2::timestamptz, $3::integer, "
			     "$4::integer, $5::timestamptz, $6::integer)",
		.param_count = 6,
		.params = { word(call_record->call_id), word(call_record->answered),
			word(call_record->status), word(call_record->remaining),
			word(call_record->reset), word(call_record->retry_after) },
	};
}

static struct store_call with_body(
	const char *statement, const struct call_record *call_record, struct text body)
{
	return (struct store_call){
		.statement = statement,
		.param_count = 7,
		.params = { word(call_record->call_id), word(call_record->asked),
			word(call_record->answered), word(call_record->date),
			word(call_record->remaining), word(call_record->reset),
			{ .bytes = body.ptr, .len = body.len } },
	};
}

struct store_call call_record_page(const struct call_record *call_record, struct text body)
{
	return with_body("select torque.reconcile_page($1::bigint, $2::timestamptz, "
			 "$3::timestamptz, $4::timestamptz, $5::integer, $6::timestamptz, "
			 "$7::json)",
		call_record, body);
}

struct store_call call_record_lookup(const struct call_record *call_record, struct text body)
{
	return with_body("select torque.reconcile_lookup($1::bigint, $2::timestamptz, "
			 "$3::timestamptz, $4::timestamptz, $5::integer, $6::timestamptz, "
			 "$7::json)",
		call_record, body);
}

struct store_call call_record_failed(const struct call_record *call_record, enum torque_end end)
{
	return (struct store_call){
		.statement = "select torque.reconcile_failed($1::bigint, $2::timestamptz, "
			     "$3::timestamptz, $4::text, $5::integer, $6::integer, $7::integer, "
			     "$8::timestamptz, $9::text)",
		.param_count = 9,
		.params = { word(call_record->call_id), word(call_record->asked),
			word(call_record->answered), word(torque_end_name(end)),
			word(call_record->status), word(call_record->retry_after),
			word(call_record->remaining), word(call_record->reset),
			word(call_record->problem.text) },
	};
}

struct store_call call_record_cancelled(
	const struct call_record *call_record, const char *order_id, struct text body)
{
	return (struct store_call){
		.statement = "select torque.order_cancelled($1::text, $2::timestamptz, "
			     "$3::timestamptz, $4::timestamptz, $5::json)",
		.param_count = 5,
		.params = { word(order_id), word(call_record->asked), word(call_record->answered),
			word(call_record->date), { .bytes = body.ptr, .len = body.len } },
	};
}
