/* One call to the API: call -> target -> ask -> judge -> done. */
#include "flow/torque.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "http/client.h"
#include "http/url.h"
#include "order/signature.h"

_Static_assert(METRIC_API_DROPPED - METRIC_API_GOOD == (int)TORQUE_DROPPED,
	"the metrics of calls stand in the order of enum torque_end");

enum {
	LIMIT_MAX = 256, /* bytes of all fields of a name that are looked at */
	SHOWN_MAX = 80,  /* of a field that is named in a problem */
};

static const int64_t second_us = 1000000;

struct torque {
	struct client *client;
	char *base_url;
	struct secret *api_key;
	struct json_room room; /* of the answer that is being read */
	enum torque_kind kind; /* of the running call, as are the next five */
	bool posts, whole;
	char order_id[API_TARGET_MAX];
	int64_t asked_us, asked_ms;
	torque_done *done;
	void *tag;
};

static void answer_arrived(void *tag, const struct client_answer *client);

static bool target_of(const struct torque_call *call, char target[API_TARGET_MAX])
{
	switch (call->kind) {
	case TORQUE_LIST:
		return api_target_list(&call->list, target);
	case TORQUE_SHOW:
		return api_target_show(call->order_id, call->details, target);
	case TORQUE_CANCEL:
		return api_target_cancel(call->order_id, target);
	case TORQUE_LINK:
		snprintf(target, API_TARGET_MAX, "%s", api_target_link());
		return true;
	}
	return false;
}

bool torque_can_ask(const struct torque_call *call)
{
	char target[API_TARGET_MAX];

	return target_of(call, target);
}

bool torque_ask(struct torque *torque, const struct torque_call *call, torque_done *done, void *tag)
{
	char target[API_TARGET_MAX];
	bool posts = call->kind == TORQUE_CANCEL || call->kind == TORQUE_LINK;

	if (!target_of(call, target)) {
		return false;
	}

	struct client_request request = {
		.method = posts ? "POST" : "GET",
		.target = target,
		.fields = { { "Accept", "application/json" },
			{ posts ? "Content-Type" : NULL, "application/json" } },
		.bearer = secret_text(torque->api_key),
		.body = posts ? call->body : TEXT(""),
		.deadline_ms = TORQUE_CALL_MS,
	};
	if (!client_send(torque->client, &request, answer_arrived, torque)) {
		return false;
	}
	torque->kind = call->kind;
	torque->posts = posts;
	torque->whole = call->whole;
	snprintf(torque->order_id, sizeof(torque->order_id), "%.*s", (int)call->order_id.len,
		call->order_id.ptr ? call->order_id.ptr : "");
	torque->asked_us = clock_wall_us();
	torque->asked_ms = clock_uptime_ms();
	torque->done = done;
	torque->tag = tag;
	return true;
}

/* The API's own clock, where it tells it: what it says of a time is said by that clock. A Date is
 * cut to the second, so that a wait which is counted from it is rather too long. */
static int64_t clock_of(const struct torque_answer *answer)
{
	return answer->date_us > 0 ? answer->date_us : answer->answered_us;
}

/* All fields of that name as one list. */
static struct text join_fields(
	const struct client_answer *client, const char *name, char out[LIMIT_MAX])
{
	struct text value;
	size_t place = 0;
	int len = 0;

	out[0] = '\0';
	while (len < LIMIT_MAX && client_answer_next_field(client, name, &place, &value)) {
		len += snprintf(out + len, LIMIT_MAX - (size_t)len, "%s%.*s", len > 0 ? ", " : "",
			(int)value.len, value.ptr);
	}
	return text_of(out);
}

static void read_limits(const struct client_answer *client, struct torque_answer *answer)
{
	char remaining[LIMIT_MAX], reset[LIMIT_MAX], draft[LIMIT_MAX];
	struct text left = join_fields(client, "X-RateLimit-Remaining", remaining);
	struct text again = join_fields(client, "X-RateLimit-Reset", reset);

	if (left.len == 0) {
		left = join_fields(client, "RateLimit-Remaining", remaining);
	}
	if (again.len == 0) {
		again = join_fields(client, "RateLimit-Reset", reset);
	}

	struct api_answer_limits limits = api_answer_read_limits(
		left, again, join_fields(client, "RateLimit", draft), clock_of(answer));

	answer->remaining = limits.remaining;
	if (limits.reset_after_us >= 0) {
		answer->reset_us = answer->answered_us + limits.reset_after_us;
	}
}

/* One number: of several limits nobody knows which one is meant. */
static int64_t read_limit(struct text field)
{
	uint64_t limit = 0;

	return text_to_u64(field, &limit) && limit <= INT32_MAX ? (int64_t)limit : 0;
}

static void read_fields(const struct client_answer *client, struct torque_answer *answer)
{
	if (!api_answer_http_date(client_answer_field(client, "Date"), &answer->date_us)) {
		answer->date_us = 0;
	}
	read_limits(client, answer);
	if (!api_answer_retry_after_s(client_answer_field(client, "Retry-After"), clock_of(answer),
		    &answer->retry_after_s)) {
		answer->retry_after_s = 0;
	}
	answer->limit = read_limit(client_answer_field(client, "X-RateLimit-Limit"));
}

static bool is_page(struct torque *torque, struct text body)
{
	struct api_answer_page page;

	return torque->whole ? api_answer_is_list(body, &torque->room)
			     : api_answer_read_page(body, &torque->room, &page);
}

static bool shape_is_right(struct torque *torque, struct text body)
{
	struct fact fact;

	switch (torque->kind) {
	case TORQUE_LIST:
		return is_page(torque, body);
	case TORQUE_SHOW:
	case TORQUE_CANCEL:
		return api_answer_read_order(
			body, text_of(torque->order_id), TEXT("lookup"), &torque->room, &fact);
	case TORQUE_LINK:
		return api_answer_is_link(body, &torque->room);
	}
	return false;
}

static enum torque_end judge_status(unsigned status, bool api_said_so)
{
	if (status == 429) {
		return TORQUE_RATE_LIMITED;
	}
	if (status >= 500) {
		return TORQUE_SERVER_ERROR;
	}
	if (status < 400 || !api_said_so) {
		return TORQUE_MALFORMED;
	}
	if (status == 401 || status == 403) {
		return TORQUE_UNAUTHORIZED;
	}
	return status == 404 ? TORQUE_NOT_FOUND : TORQUE_REFUSED;
}

/* "" or the coding of a body that was asked for in none. */
static struct text coding_of(const struct client_answer *client)
{
	struct text coding = client_answer_field(client, "Content-Encoding");

	return text_equal_nocase(coding, TEXT("identity")) ? TEXT("") : coding;
}

static enum torque_end judge(
	struct torque *torque, const struct client_answer *client, bool api_said_so)
{
	if (client->status != 200 && client->status > 0) {
		bool whole = client->end == CLIENT_ANSWERED;

		return judge_status(client->status, whole && api_said_so);
	}
	switch (client->end) {
	case CLIENT_ANSWERED:
		break;
	case CLIENT_UNREACHABLE:
		return TORQUE_UNREACHABLE;
	case CLIENT_DROPPED:
		return torque->posts ? TORQUE_UNREACHABLE : TORQUE_DROPPED;
	case CLIENT_UNTRUSTED:
		return TORQUE_UNTRUSTED;
	case CLIENT_BROKEN:
		return TORQUE_MALFORMED;
	case CLIENT_LATE:
		return TORQUE_LATE;
	}
	if (coding_of(client).len > 0 ||
		!api_answer_is_json(client_answer_field(client, "Content-Type")) ||
		!shape_is_right(torque, client->body)) {
		return TORQUE_MALFORMED;
	}
	return TORQUE_GOOD;
}

/* Of a field, or of a part of one, what a line can show. */
static void copy_shown(struct text text, char out[SHOWN_MAX])
{
	size_t len = text.len < SHOWN_MAX - 1 ? text.len : SHOWN_MAX - 1;

	for (size_t i = 0; i < len; i++) {
		char c = text.ptr[i];

		out[i] = '?';
		if (c > ' ' && c < '\x7F') {
			out[i] = c;
		}
	}
	out[len] = '\0';
}

static void say_redirect(const struct client_answer *client, struct problem *problem)
{
	char where[SHOWN_MAX];
	struct text location = client_answer_field(client, "Location");
	struct text host = url_reference_host(location);

	copy_shown(host, where);
	if (location.len == 0) {
		problem_say(problem, "HTTP %u without a Location", client->status);
	} else if (host.len == 0) {
		problem_say(problem,
			"HTTP %u to another path of the same host, which is not followed",
			client->status);
	} else {
		problem_say(problem, "HTTP %u to %s, which is not followed", client->status, where);
	}
}

/* What came instead of JSON of the API's, as far as its head tells. */
static void say_what_it_is(const struct client_answer *client, struct problem *problem)
{
	char shown[SHOWN_MAX];
	struct text coding = coding_of(client);
	struct text rest = client_answer_field(client, "Content-Type"), type = { "", 0 };

	text_next(&rest, ';', &type);
	copy_shown(coding.len > 0 ? coding : text_trim(type), shown);
	if (client->status >= 300 && client->status < 400) {
		say_redirect(client, problem);
	} else if (coding.len > 0) {
		problem_say(problem, "HTTP %u with a body in the coding %s, which nobody asked for",
			client->status, shown);
	} else if (client->body.len == 0) {
		problem_say(problem, "HTTP %u with an empty body", client->status);
	} else if (!api_answer_is_json(text_of(shown))) {
		problem_say(problem, "HTTP %u with %s instead of JSON", client->status,
			shown[0] ? shown : "a body of no type");
	} else {
		problem_say(problem, "HTTP %u with a body that is not what the API documents",
			client->status);
	}
}

/* What the API says stays on one line. */
static void replace_controls(char *sentence)
{
	for (char *c = sentence; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == '\x7F') {
			*c = '?';
		}
	}
}

/* One readable line: what the API said, else what the connection said, else what was wrong with it.
 */
static void say_problem(const struct client_answer *client, struct torque_answer *answer)
{
	const struct api_answer_error *error = &answer->error;

	if (answer->end == TORQUE_GOOD) {
		return;
	}
	if (client->end != CLIENT_ANSWERED && client->status > 0) {
		problem_say(&answer->problem, "HTTP %u, and %s", client->status, client->problem);
	} else if (client->end != CLIENT_ANSWERED) {
		problem_say(&answer->problem, "%s", client->problem);
	} else if (answer->has_error && answer->end == TORQUE_MALFORMED) {
		problem_say(&answer->problem, "HTTP %u with an error that is not the API's own: %s",
			client->status, error->error);
	} else if (answer->has_error) {
		problem_say(&answer->problem, "%s%s%s%s%s (HTTP %u%s%s%s%s)", error->error,
			error->field[0] ? ": " : "", error->field, error->message[0] ? ": " : "",
			error->message, client->status, error->code[0] ? ", " : "", error->code,
			error->request_id[0] ? ", request " : "", error->request_id);
	} else {
		say_what_it_is(client, &answer->problem);
	}
	replace_controls(answer->problem.text);
}

/* A part of an error that repeats the key, even one cut short at its end, or an address of e-mail
 * would go to the log. */
static void redact(const struct torque *torque, char *part)
{
	enum { KEY_LEAST = 8 }; /* bytes; fewer may be a word */
	struct text key = secret_text(torque->api_key);

	for (char *c = part; *c; c++) {
		size_t left = strlen(c);
		size_t len = left < key.len ? left : key.len;

		if (len >= KEY_LEAST && memcmp(c, key.ptr, len) == 0) {
			memset(c, '*', len);
		}
	}
	for (char *at = strchr(part, '@'); at; at = strchr(at, '@')) {
		char *begin = at;

		while (begin > part && begin[-1] != ' ') {
			begin--;
		}
		memset(begin, '*', (size_t)(at - begin) + strcspn(at, " "));
	}
}

static void redact_error(const struct torque *torque, struct api_answer_error *error)
{
	redact(torque, error->error);
	redact(torque, error->code);
	redact(torque, error->field);
	redact(torque, error->message);
	redact(torque, error->request_id);
}

/* Neither done nor refused. */
static bool is_open(enum torque_end end)
{
	return end != TORQUE_GOOD && end != TORQUE_RATE_LIMITED && !torque_end_knows_key(end);
}

static void answer_arrived(void *tag, const struct client_answer *arrived)
{
	struct client_answer readable = *arrived;
	const struct client_answer *client = &readable;
	struct torque *torque = tag;
	int64_t took_ms = clock_uptime_ms() - torque->asked_ms;
	struct torque_answer answer = {
		.status = client->status,
		.asked_us = torque->asked_us,
		.answered_us = torque->asked_us + took_ms * 1000,
		.remaining = -1,
	};

	readable.body = api_answer_body(arrived->body);
	answer.body = client->body;
	if (client->status > 0) {
		read_fields(client, &answer);
	}
	answer.has_error = client->end == CLIENT_ANSWERED &&
			   api_answer_read_error(client->body, &torque->room, &answer.error);
	answer.end = judge(torque, client, answer.has_error && answer.error.own);
	answer.has_error = answer.has_error && answer.end != TORQUE_GOOD;
	answer.maybe_done = torque->posts && client->sent && is_open(answer.end);
	if (answer.has_error) {
		redact_error(torque, &answer.error);
	}
	say_problem(client, &answer);
	metrics_add((enum metric)(METRIC_API_GOOD + (int)answer.end), 1);
	metrics_observe(HISTOGRAM_API_SECONDS, (double)took_ms / 1000);
	if (answer.date_us > 0) {
		metrics_set(METRIC_CLOCK_AHEAD_OF_API, torque_clock_ahead_s(&answer));
	}
	torque->done(torque->tag, &answer);
}

int64_t torque_clock_ahead_s(const struct torque_answer *answer)
{
	int64_t ahead_s = (answer->asked_us - answer->date_us) / second_us - 1;
	int64_t behind_s = (answer->date_us - answer->answered_us) / second_us;

	if (answer->date_us == 0) {
		return 0;
	}
	return ahead_s > 0 ? ahead_s : behind_s > 0 ? -behind_s : 0;
}

bool torque_end_has_status(enum torque_end end)
{
	return end <= TORQUE_SERVER_ERROR;
}

bool torque_end_knows_key(enum torque_end end)
{
	return end == TORQUE_GOOD || end == TORQUE_UNAUTHORIZED || end == TORQUE_NOT_FOUND ||
	       end == TORQUE_REFUSED;
}

const char *torque_end_name(enum torque_end end)
{
	static const char *const names[] = {
		[TORQUE_GOOD] = "good",
		[TORQUE_RATE_LIMITED] = "rate_limited",
		[TORQUE_UNAUTHORIZED] = "unauthorized",
		[TORQUE_NOT_FOUND] = "not_found",
		[TORQUE_REFUSED] = "refused",
		[TORQUE_SERVER_ERROR] = "server_error",
		[TORQUE_UNREACHABLE] = "unreachable",
		[TORQUE_UNTRUSTED] = "untrusted",
		[TORQUE_LATE] = "late",
		[TORQUE_MALFORMED] = "malformed",
		[TORQUE_DROPPED] = "dropped",
	};

	return names[end];
}

struct torque *torque_new(
	struct loop *loop, const struct torque_options *options, struct problem *problem)
{
	const char *ca_file = options->ca_file && options->ca_file[0] ? options->ca_file : NULL;
	struct torque *torque = memory_new(sizeof(*torque));

	torque->client = client_new(loop, options->base_url, ca_file, problem);
	if (!torque->client) {
		free(torque);
		return NULL;
	}
	torque->room.size = json_room_size(CLIENT_BODY_MAX);
	torque->room.memory = malloc(torque->room.size);
	if (!torque->room.memory) {
		problem_say(problem, "no memory for an answer of the API");
		client_free(torque->client);
		free(torque);
		return NULL;
	}
	torque->base_url = memory_copy(options->base_url);
	torque->api_key = options->api_key;
	return torque;
}

void torque_access(const struct torque *torque, char out[TORQUE_ACCESS_MAX])
{
	const struct signature_rules rules = {
		.scheme = SIGNATURE_TORQUE,
		.secret = { secret_text(torque->api_key) },
	};
	char mac[SIGNATURE_TEXT_MAX];

	if (!signature_make(&rules, TEXT(""), 0, text_of(torque->base_url), mac)) {
		die("no fingerprint of the API's key: OpenSSL failed");
	}
	snprintf(out, TORQUE_ACCESS_MAX, "%.*s", TORQUE_ACCESS_MAX - 1, mac);
}

void torque_free(struct torque *torque)
{
	if (!torque) {
		return;
	}
	client_free(torque->client);
	free(torque->base_url);
	secret_free(torque->api_key);
	free(torque->room.memory);
	free(torque);
}
