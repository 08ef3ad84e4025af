/* Kept payloads, or quarantined bodies, are read again a page at a time; SQL is told what they say
 * now, and says what that changes. A verb for who may read everything: torque_operator. */
#include "command/replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/die.h"
#include "base/memory.h"
#include "base/stamp.h"
#include "command/option.h"
#include "command/print.h"
#include "flow/facts.h"
#include "order/api_answer.h"
#include "order/event.h"
#include "pg/blocking.h"

enum { REPLAY_BODIES_MAX = 50, REPLAY_STATEMENT_MAX = FACTS_LIST_MAX + 256, KEY_SHOWN = 16 };

struct replay {
	const struct command *command;
	struct blocking *session;
	const char *dry_run; /* a boolean of SQL */
	struct facts facts;
	struct array order_ids;
	struct json_room room; /* for the largest body so far */
	size_t read, otherwise, pruned, unreadable, busy, differences;
};

/* The columns of torque.replay_read(), in their order. */
enum { READ_ORDER, READ_KEY, READ_SOURCE, READ_OCCURRED, READ_RECEIVED, READ_PAYLOAD };

static int failed(const struct replay *replay)
{
	fprintf(stderr, "orderd: %s\n", blocking_problem(replay->session));
	return verb_database_code(blocking_sqlstate(replay->session));
}

static struct text business(const struct replay *replay)
{
	return text_of(replay->command->settings->torque.business_id);
}

static struct json_room *room_for(struct replay *replay, struct text body)
{
	struct json_room *room = facts_room(&replay->room, body);

	if (!room) {
		die("no memory to read %zu bytes", body.len);
	}
	return room;
}

/* Without a hash lines would pass for other ones. */
static void check_hashed(bool hashed)
{
	if (!hashed) {
		die("OpenSSL failed");
	}
}

static int64_t microseconds(const char *digits)
{
	return digits ? strtoll(digits, NULL, 10) : 0;
}

/* head, then the facts as parameters behind the first few. */
static int tell(struct replay *replay, const char *head, const char *tail,
	const struct store_param *before, size_t before_count)
{
	struct store_param params[2 + FACTS_COLUMNS];
	const char *values[2 + FACTS_COLUMNS];
	int lengths[2 + FACTS_COLUMNS];
	int formats[2 + FACTS_COLUMNS];
	size_t count = before_count + FACTS_COLUMNS;
	char list[FACTS_LIST_MAX];
	char statement[REPLAY_STATEMENT_MAX];

	memcpy(params, before, before_count * sizeof(params[0]));
	if (!facts_arrays(&replay->facts, &params[before_count])) {
		fprintf(stderr, "orderd: a page of facts is too large for one statement\n");
		return EX_UNAVAILABLE;
	}
	for (size_t i = 0; i < count; i++) {
		values[i] = params[i].bytes;
		lengths[i] = (int)params[i].len;
		formats[i] = params[i].binary;
	}
	facts_list_arrays(before_count + 1, list);
	snprintf(statement, sizeof(statement), "%s%s%s", head, list, tail);
	return blocking_ask_binary(replay->session, statement, values, lengths, formats, count)
		       ? EX_OK
		       : failed(replay);
}

/* Kept facts. */

/* False: nothing of use, or of another order. */
static bool read_again(struct replay *replay, size_t row, struct fact *ret_fact)
{
	const struct blocking *page = replay->session;
	const char *order_id = blocking_cell(page, row, READ_ORDER);
	const char *key = blocking_cell(page, row, READ_KEY);
	const char *occurred = blocking_cell(page, row, READ_OCCURRED);
	struct text source = text_of(blocking_cell(page, row, READ_SOURCE));
	struct text payload = text_of(blocking_cell(page, row, READ_PAYLOAD));
	int64_t received_us = microseconds(blocking_cell(page, row, READ_RECEIVED));

	if (text_equal(source, TEXT("webhook"))) {
		check_hashed(event_parse(payload, received_us, business(replay),
			room_for(replay, payload), ret_fact));
	} else {
		api_answer_read_row(payload, source, room_for(replay, payload), ret_fact);
		check_hashed(!replay->room.unhashed);
		ret_fact->received_us = received_us;
		ret_fact->has_occurred = occurred != NULL;
		ret_fact->occurred_us = microseconds(occurred);
	}
	return text_from_hex(text_of(key), ret_fact->key, sizeof(ret_fact->key)) ==
		       (ptrdiff_t)sizeof(ret_fact->key) &&
	       !ret_fact->unusable && strcmp(ret_fact->order_id, order_id) == 0;
}

static void read_fact(struct replay *replay, size_t row)
{
	const struct blocking *page = replay->session;
	const char *order_id = blocking_cell(page, row, READ_ORDER);
	struct fact fact;

	if (row == 0 || strcmp(order_id, blocking_cell(page, row - 1, READ_ORDER)) != 0) {
		array_add(&replay->order_ids, text_of(order_id));
	}
	if (!blocking_cell(page, row, READ_PAYLOAD)) {
		replay->pruned++;
	} else if (read_again(replay, row, &fact)) {
		replay->read++;
		facts_add(&replay->facts, &fact, blocking_cell(page, row, READ_SOURCE));
	} else {
		replay->unreadable++;
		fprintf(stderr, "orderd: %s: the fact %.*s cannot be read any more (%s)\n",
			order_id, KEY_SHOWN, blocking_cell(page, row, READ_KEY),
			fact.unusable ? fact.unusable : "another order");
	}
}

static void print_difference(const struct replay *replay, const json_t *difference)
{
	const char *words[4];

	for (size_t i = 0; i < 4; i++) {
		words[i] = json_string_value(json_array_get(difference, i));
	}
	if (verb_has(replay->command, "json")) {
		print_packed(PRINT_LINE, "{s:s, s:s, s:s?, s:s?}", "order", words[0], "column",
			words[1], "was", words[2], "becomes", words[3]);
		return;
	}
	printf("%s %s: ", words[0], words[1]);
	print_put(stdout, text_of(words[2] ? words[2] : "-"), PRINT_VALUE_MAX);
	printf(" -> ");
	print_put(stdout, text_of(words[3] ? words[3] : "-"), PRINT_VALUE_MAX);
	printf("\n");
}

static int print_differences(struct replay *replay, const char *text)
{
	json_t *differences = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	json_t *difference;
	size_t i;

	if (text && !differences) {
		fprintf(stderr, "orderd: no memory for what differs\n");
		return EX_TEMPFAIL;
	}
	json_array_foreach(differences, i, difference)
	{
		print_difference(replay, difference);
	}
	replay->differences += json_array_size(differences);
	json_decref(differences);
	return EX_OK;
}

/* Whole orders; those of one page are one transaction. */
static int replay_orders(
	struct replay *replay, const char *first, const char *last, const char *since)
{
	const char *const bounds[] = { first, last, since };
	struct text order_ids;

	if (!blocking_ask(replay->session,
		    "select order_id, event_key, source, occurred_us, received_us, payload "
		    "from torque.replay_read($1, $2, $3)",
		    bounds, 3)) {
		return failed(replay);
	}
	facts_clear(&replay->facts);
	array_clear(&replay->order_ids);
	for (size_t row = 0; row < blocking_rows(replay->session); row++) {
		read_fact(replay, row);
	}
	if (replay->order_ids.count == 0) {
		return EX_OK;
	}
	if (!array_bytes(&replay->order_ids, &order_ids)) {
		fprintf(stderr, "orderd: no memory for a page of orders\n");
		return EX_TEMPFAIL;
	}
	const struct store_param before[] = {
		{ .bytes = order_ids.ptr, .len = order_ids.len, .binary = true },
		{ .bytes = replay->dry_run, .len = strlen(replay->dry_run) },
	};
	int code = tell(replay,
		"select cardinality(busy), said_anew, differences "
		"from torque.replay_write($1::text[], $2::boolean, ",
		")", before, 2);

	if (code != EX_OK) {
		return code;
	}
	replay->busy += (size_t)microseconds(blocking_cell(replay->session, 0, 0));
	replay->otherwise += (size_t)microseconds(blocking_cell(replay->session, 0, 1));
	return print_differences(replay, blocking_cell(replay->session, 0, 2));
}

static int replay_all(struct replay *replay, const char *since)
{
	char first[FACT_ORDER_ID_MAX + 1];
	char last[FACT_ORDER_ID_MAX + 1] = "";
	int code = EX_OK;

	while (code == EX_OK) {
		const char *const after[] = { last };

		if (!blocking_ask(replay->session,
			    "select first_order, last_order from torque.replay_next($1)", after,
			    1)) {
			return failed(replay);
		}
		if (!blocking_cell(replay->session, 0, 0)) {
			break;
		}
		snprintf(first, sizeof(first), "%s", blocking_cell(replay->session, 0, 0));
		snprintf(last, sizeof(last), "%s", blocking_cell(replay->session, 0, 1));
		code = replay_orders(replay, first, last, since);
	}
	return code;
}

static int say_kept(const struct replay *replay)
{
	fprintf(stderr,
		"orderd: %zu facts read again, %zu of them say something else; %zu columns "
		"of orders differ%s\n",
		replay->read, replay->otherwise, replay->differences,
		verb_has(replay->command, "dry-run") ? "; nothing was kept" : "");
	if (replay->pruned > 0) {
		fprintf(stderr,
			"orderd: %zu facts have no payload any more: they say what they said\n",
			replay->pruned);
	}
	if (replay->unreadable > 0) {
		fprintf(stderr,
			"orderd: %zu facts cannot be read any more: they say what they said\n",
			replay->unreadable);
	}
	if (replay->busy > 0) {
		fprintf(stderr, "orderd: another session has %zu orders; try again\n",
			replay->busy);
		return EX_TEMPFAIL;
	}
	return EX_OK;
}

/* The quarantine. */

/* The columns of torque.replay_bodies(), in their order. */
enum { BODY_KEY, BODY_RECEIVED, BODY_TEXT };

/* What is told to the database of a page of bodies, and what came of it. */
struct bodies {
	size_t count;
	char order_ids[REPLAY_BODIES_MAX][FACT_ORDER_ID_MAX + 1];
	char keys[REPLAY_BODIES_MAX][2 * FACT_KEY_BYTES + 1];
};

/* What an answer of the API said is kept under another key than a webhook's body. */
static void read_body(struct replay *replay, size_t row, struct bodies *bodies)
{
	struct text key = text_of(blocking_cell(replay->session, row, BODY_KEY));
	struct text hex = text_of(blocking_cell(replay->session, row, BODY_TEXT));
	char *bytes = memory_new(hex.len / 2 + 1);
	struct text body = { bytes, hex.len / 2 };
	char digest[2 * FACT_KEY_BYTES + 1];
	struct fact fact;

	text_from_hex(hex, (unsigned char *)bytes, body.len);
	check_hashed(
		event_parse(body, microseconds(blocking_cell(replay->session, row, BODY_RECEIVED)),
			business(replay), room_for(replay, body), &fact));
	text_to_hex(fact.key, sizeof(fact.key), digest);
	if (fact.unusable || !text_equal(key, text_of(digest))) {
		replay->unreadable++;
	} else {
		replay->read++;
		snprintf(bodies->order_ids[bodies->count], sizeof(bodies->order_ids[0]), "%s",
			fact.order_id);
		snprintf(bodies->keys[bodies->count++], sizeof(bodies->keys[0]), "%s", digest);
		facts_add(&replay->facts, &fact, "webhook");
	}
	free(bytes);
}

static void print_outcome(struct replay *replay, const struct bodies *bodies, size_t row)
{
	const char *outcome = blocking_cell(replay->session, row, 0);
	bool stays = strcmp(outcome, "busy") == 0 || strcmp(outcome, "refused") == 0 ||
		     strcmp(outcome, "quarantined") == 0;

	replay->busy += strcmp(outcome, "busy") == 0;
	replay->otherwise += !stays;
	if (verb_has(replay->command, "json")) {
		print_packed(PRINT_LINE, "{s:s, s:s, s:s}", "order", bodies->order_ids[row], "body",
			bodies->keys[row], "outcome", outcome);
	} else {
		printf("%s %.*s: %s\n", bodies->order_ids[row], KEY_SHOWN, bodies->keys[row],
			outcome);
	}
}

static int take_bodies(struct replay *replay, const struct bodies *bodies)
{
	const struct store_param before[] = {
		{ .bytes = replay->dry_run, .len = strlen(replay->dry_run) },
	};

	if (bodies->count == 0) {
		return EX_OK;
	}
	int code = tell(replay, "select torque.replay_take($1::boolean, ", ")", before, 1);

	if (code != EX_OK) {
		return code;
	}
	for (size_t row = 0; row < blocking_rows(replay->session) && row < bodies->count; row++) {
		print_outcome(replay, bodies, row);
	}
	return EX_OK;
}

static int replay_quarantine(struct replay *replay)
{
	char after[2 * FACT_KEY_BYTES + 1] = "";
	size_t rows = REPLAY_BODIES_MAX;
	int code = EX_OK;

	while (code == EX_OK && rows == REPLAY_BODIES_MAX) {
		const char *const values[] = { after };
		struct bodies bodies = { .count = 0 };

		if (!blocking_ask(replay->session,
			    "select body_key, received_us, body "
			    "from torque.replay_bodies(decode($1, 'hex'), 50)",
			    values, 1)) {
			return failed(replay);
		}
		rows = blocking_rows(replay->session);
		facts_clear(&replay->facts);
		for (size_t row = 0; row < rows; row++) {
			read_body(replay, row, &bodies);
			snprintf(after, sizeof(after), "%s",
				blocking_cell(replay->session, row, BODY_KEY));
		}
		code = take_bodies(replay, &bodies);
	}
	return code;
}

static int say_quarantine(const struct replay *replay)
{
	fprintf(stderr, "orderd: %zu bodies can be read now, %zu are taken in%s; %zu cannot\n",
		replay->read, replay->otherwise,
		verb_has(replay->command, "dry-run") ? " if it is no dry run" : "",
		replay->unreadable);
	return replay->busy > 0 ? EX_TEMPFAIL : EX_OK;
}

/* Begin and end. */

static int run(struct replay *replay, const char *since)
{
	const char *order = verb_value(replay->command, "order");
	int code;

	if (replay->command->settings->database.notify &&
		!blocking_run(replay->session, "set orderd.notify = 'on'")) {
		return failed(replay);
	}
	if (verb_has(replay->command, "quarantined")) {
		code = replay_quarantine(replay);
		return code == EX_OK ? say_quarantine(replay) : code;
	}
	code = order ? replay_orders(replay, order, order, NULL) : replay_all(replay, since);
	return code == EX_OK ? say_kept(replay) : code;
}

/* One of them says what; everything is not done by leaving something out. */
static int judge_options(const struct command *command, const char **ret_since, char *stamp)
{
	int64_t since_us = 0;
	bool has_since = false;
	int code = option_time(command, "since", &has_since, &since_us);
	int asked = has_since + verb_has(command, "order") + verb_has(command, "all") +
		    verb_has(command, "quarantined");

	if (code != EX_OK) {
		return code;
	}
	if (asked != 1) {
		return verb_usage(command,
			"one of --order, --since, --all and --quarantined has to be given");
	}
	if (has_since) {
		stamp_format(since_us, stamp);
		*ret_since = stamp;
	}
	return EX_OK;
}

int replay_run(const struct command *command)
{
	const char *admin = verb_value(command, "admin-conninfo");
	struct replay replay = {
		.command = command,
		.dry_run = verb_has(command, "dry-run") ? "true" : "false",
	};
	const char *since = NULL;
	char stamp[STAMP_TEXT_MAX];
	struct problem problem;
	int code = judge_options(command, &since, stamp);

	if (code != EX_OK) {
		return code;
	}
	replay.session = blocking_new(
		admin ? admin : command->settings->database.conninfo, !admin, &problem);
	if (!replay.session ||
		!blocking_check(replay.session, command->settings->database.allow_unsafe_fsync, 0,
			&problem)) {
		fprintf(stderr, "orderd: %s\n", problem.text);
		blocking_free(replay.session);
		return EX_UNAVAILABLE;
	}
	facts_init(&replay.facts);
	array_init(&replay.order_ids, ARRAY_TEXT);
	code = run(&replay, since);
	array_fini(&replay.order_ids);
	facts_fini(&replay.facts);
	free(replay.room.memory);
	blocking_free(replay.session);
	return code;
}
