/* What is said to the database of a call to the API: its place, its answer, its end. */
#include "flow/call_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "order/api_answer.h"

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
	say_number(torque_end_has_status(answer->end) ? answer->status : 0, 1, call_record->status);
	say_number(answer->retry_after_s, 1, call_record->retry_after);
	call_record->problem = answer->problem;
}

static struct store_param word(const char *string)
{
	return string[0] ? (struct store_param){ .bytes = string, .len = strlen(string) }
			 : (struct store_param){ .bytes = NULL };
}

void call_record_now(char ret_now[STAMP_TEXT_MAX], char ret_uptime[CALL_RECORD_NUMBER_MAX])
{
	stamp_format(clock_wall_us(), ret_now);
	say_number(clock_uptime_ms(), 0, ret_uptime);
}

struct store_call call_record_claim(
	const char *purpose, const char *order_id, const char *now, const char *uptime)
{
	return (struct store_call){
		.statement = "select call_id, wait_ms from torque.claim_call('operator', $1::text, "
			     "$2::text, $3::timestamptz, $4::bigint)",
		.param_count = 4,
		.params = { word(purpose), word(order_id ? order_id : ""), word(now),
			word(uptime) },
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

/* $1 to $6. */
static size_t put_head(const struct call_record *call_record, struct store_param *params)
{
	size_t count = 0;

	params[count++] = word(call_record->call_id);
	params[count++] = word(call_record->asked);
	params[count++] = word(call_record->answered);
	params[count++] = word(call_record->date);
	params[count++] = word(call_record->remaining);
	params[count++] = word(call_record->reset);
	return count;
}

#define HEAD                                                                                       \
	"$1::bigint, $2::timestamptz, $3::timestamptz, $4::timestamptz, $5::integer, "             \
	"$6::timestamptz"

void call_record_facts_init(struct call_record_facts *facts)
{
	char list[FACTS_LIST_MAX];

	facts_init(&facts->facts);
	facts_list_polled(10, list);
	snprintf(facts->page, sizeof(facts->page),
		"select torque.reconcile_page(" HEAD ", $7::bigint, $8::boolean, $9::integer, %s)",
		list);
	facts_list_polled(7, list);
	snprintf(facts->lookup, sizeof(facts->lookup),
		"select torque.reconcile_lookup(" HEAD ", %s)", list);
	facts_list_polled(4, list);
	snprintf(facts->cancelled, sizeof(facts->cancelled),
		"select torque.order_cancelled($1::timestamptz, $2::timestamptz, $3::timestamptz, "
		"%s)",
		list);
}

void call_record_facts_fini(struct call_record_facts *facts)
{
	facts_fini(&facts->facts);
	free(facts->room.memory);
}

/* NULL: there is no memory for so much text. */
static struct json_room *room_for(struct call_record_facts *facts, struct text body)
{
	facts_clear(&facts->facts);
	return facts_room(&facts->room, body);
}

static struct store_param number(struct fact_integer integer, char out[CALL_RECORD_NUMBER_MAX])
{
	say_number(integer.known ? integer.value : -1, 0, out);
	return word(out);
}

/* It may be no JSON at all. */
static void add_unusable(struct facts *facts, const char *why)
{
	char quoted[CALL_RECORD_NUMBER_MAX];
	struct fact fact = { .unusable = why };

	snprintf(quoted, sizeof(quoted), "\"%s\"", why);
	fact.body = text_of(quoted);
	facts_add(facts, &fact, "list");
}

bool call_record_page(const struct call_record *call_record, struct text body,
	struct call_record_facts *facts, struct store_call *ret_call)
{
	struct json_room *room = room_for(facts, body);
	struct api_answer_page page;
	struct fact fact;
	size_t count;

	*ret_call = (struct store_call){ .statement = facts->page };
	if (!room || !api_answer_read_page(body, room, &page)) {
		return false;
	}
	count = put_head(call_record, ret_call->params);
	page.total.known = page.total.known && page.success;
	ret_call->params[count++] = number(page.total, facts->total);
	ret_call->params[count++] = word(!page.has_more_known ? ""
					 : page.has_more      ? "true"
							      : "false");
	ret_call->params[count++] = number(page.limit, facts->limit);
	while (api_answer_next_row(&page, room, &fact)) {
		facts_count_odd(&fact);
		if (fact.unusable) {
			add_unusable(&facts->facts, fact.unusable);
		} else {
			facts_add(&facts->facts, &fact, "list");
		}
	}
	ret_call->param_count = count + FACTS_POLLED;
	return !room->unhashed && facts_polled(&facts->facts, &ret_call->params[count]);
}

/* False: it is not about that order, or does not fit. count: of the parameters before it. */
static bool put_order(struct call_record_facts *facts, struct text body, struct text order_id,
	const char *source, size_t count, struct store_call *call)
{
	struct json_room *room = room_for(facts, body);
	struct fact fact;

	if (!room || !api_answer_read_order(body, order_id, text_of(source), room, &fact)) {
		return false;
	}
	facts_count_odd(&fact);
	facts_add(&facts->facts, &fact, source);
	call->param_count = count + FACTS_POLLED;
	return !room->unhashed && facts_polled(&facts->facts, &call->params[count]);
}

bool call_record_lookup(const struct call_record *call_record, struct text body,
	struct text order_id, struct call_record_facts *facts, struct store_call *ret_call)
{
	*ret_call = (struct store_call){ .statement = facts->lookup };
	return put_order(
		facts, body, order_id, "lookup", put_head(call_record, ret_call->params), ret_call);
}

bool call_record_cancelled(const struct call_record *call_record, struct text body,
	struct text order_id, struct call_record_facts *facts, struct store_call *ret_call)
{
	*ret_call = (struct store_call){
		.statement = facts->cancelled,
		.params = { word(call_record->asked), word(call_record->answered),
			word(call_record->date) },
	};
	return put_order(facts, body, order_id, "operator", 3, ret_call);
}

struct store_call call_record_failed(const struct call_record *call_record, enum torque_end end)
{
	if (end == TORQUE_DROPPED) {
		return (struct store_call){
			.statement = "select torque.call_dropped($1::bigint, $2::timestamptz)",
			.param_count = 2,
			.params = { word(call_record->call_id), word(call_record->answered) },
		};
	}
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
