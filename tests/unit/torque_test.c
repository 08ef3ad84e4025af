/* What becomes of a call, over a client that a test answers for. */
#include "flow/torque.h"

#include <stdlib.h>

#include "base/clock.h"
#include "check.h"
#include "http/client.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "a-key-of-some-length"

enum { FIELDS_MAX = 6 };

/* The last request, and whoever waits for its answer. */
static struct {
	struct client_request request;
	char target[API_TARGET_MAX];
	char bearer[64];
	client_done *done;
	void *tag;
} sent;

/* Of the next answer. */
static struct client_field fields[FIELDS_MAX];

struct client *__wrap_client_new(
	struct loop *loop, const char *base_url, const char *ca_file, struct problem *problem);
void __wrap_client_free(struct client *client);
bool __wrap_client_send(
	struct client *client, const struct client_request *request, client_done *done, void *tag);
bool __wrap_client_answer_next_field(const struct client_answer *answer, const char *name,
	size_t *place, struct text *ret_value);

struct client *__wrap_client_new(
	struct loop *loop, const char *base_url, const char *ca_file, struct problem *problem)
{
	static char client;

	(void)loop;
	(void)base_url;
	(void)ca_file;
	(void)problem;
	return (struct client *)&client;
}

void __wrap_client_free(struct client *client)
{
	(void)client;
}

bool __wrap_client_send(
	struct client *client, const struct client_request *request, client_done *done, void *tag)
{
	(void)client;
	sent.request = *request;
	snprintf(sent.target, sizeof(sent.target), "%s", request->target);
	snprintf(sent.bearer, sizeof(sent.bearer), "%.*s", (int)request->bearer.len,
		request->bearer.ptr);
	sent.done = done;
	sent.tag = tag;
	return true;
}

bool __wrap_client_answer_next_field(
	const struct client_answer *answer, const char *name, size_t *place, struct text *ret_value)
{
	(void)answer;
	while (*place < FIELDS_MAX && fields[*place].name) {
		const struct client_field *field = &fields[(*place)++];

		if (strcmp(field->name, name) == 0) {
			*ret_value = text_of(field->value);
			return true;
		}
	}
	return false;
}

static struct torque *torque;
static struct torque_answer got;

static void answered(void *tag, const struct torque_answer *answer)
{
	(void)tag;
	got = *answer;
}

static const struct torque_call show = { .kind = TORQUE_SHOW, .order_id = TEXT_INIT("order_1") };

/* Makes a call and answers it. */
static void call(const struct client_answer *answer)
{
	memset(&got, 0, sizeof(got));
	CHECK(torque_ask(torque, &show, answered, NULL), "the call is made");
	sent.done(sent.tag, answer);
}

static void call_status(unsigned status, const char *body)
{
	const struct client_answer answer = {
		.end = CLIENT_ANSWERED, .status = status, .body = text_of(body), .problem = ""
	};

	call(&answer);
}

static void check_request(void)
{
	call_status(200, "");
	CHECK(strcmp(sent.request.method, "GET") == 0 && strstr(sent.target, "order_1"),
		"an order is asked for by its id");
	CHECK(strcmp(sent.bearer, KEY) == 0, "with the key");
	CHECK(sent.request.deadline_ms == TORQUE_CALL_MS,
		"a call takes no longer than the budget thinks");
}

/* The same status of the API itself and of whoever stands before it. */
static void check_statuses(void)
{
	static const struct {
		unsigned status;
		enum torque_end end, of_others;
	} statuses[] = {
		{ 429, TORQUE_RATE_LIMITED, TORQUE_RATE_LIMITED },
		{ 401, TORQUE_UNAUTHORIZED, TORQUE_MALFORMED },
		{ 403, TORQUE_UNAUTHORIZED, TORQUE_MALFORMED },
		{ 404, TORQUE_NOT_FOUND, TORQUE_MALFORMED },
		{ 400, TORQUE_REFUSED, TORQUE_MALFORMED },
		{ 409, TORQUE_REFUSED, TORQUE_MALFORMED },
		{ 422, TORQUE_REFUSED, TORQUE_MALFORMED },
		{ 500, TORQUE_SERVER_ERROR, TORQUE_SERVER_ERROR },
		{ 503, TORQUE_SERVER_ERROR, TORQUE_SERVER_ERROR },
		{ 302, TORQUE_MALFORMED, TORQUE_MALFORMED },
		{ 204, TORQUE_MALFORMED, TORQUE_MALFORMED },
	};
	static const char *const others[] = { "", "<html>404 Not Found</html>",
		"{\"message\":\"no Route matched with those values\"}",
		"{\"status\":404,\"error\":\"Not Found\",\"path\":\"/v1\"}" };

	for (size_t i = 0; i < COUNT(statuses); i++) {
		unsigned status = statuses[i].status;

		call_status(status, "{\"success\":false,\"error\":\"no\"}");
		CHECK(got.end == statuses[i].end && got.status == status && got.problem.text[0],
			"%u of the API is %s", status, torque_end_name(statuses[i].end));
		for (size_t k = 0; k < COUNT(others); k++) {
			call_status(status, others[k]);
			CHECK(got.end == statuses[i].of_others && got.status == status &&
					got.problem.text[0],
				"%u with '%s' is %s", status, others[k],
				torque_end_name(statuses[i].of_others));
		}
	}
}

static void check_ends(void)
{
	static const struct {
		enum client_end how;
		enum torque_end end;
	} ends[] = {
		{ CLIENT_UNREACHABLE, TORQUE_UNREACHABLE },
		{ CLIENT_DROPPED, TORQUE_DROPPED },
		{ CLIENT_UNTRUSTED, TORQUE_UNTRUSTED },
		{ CLIENT_BROKEN, TORQUE_MALFORMED },
		{ CLIENT_LATE, TORQUE_LATE },
	};

	for (size_t i = 0; i < COUNT(ends); i++) {
		const struct client_answer answer = { .end = ends[i].how, .problem = "no way" };

		call(&answer);
		CHECK(got.end == ends[i].end && got.status == 0 &&
				strcmp(got.problem.text, "no way") == 0,
			"an answer that never came is %s", torque_end_name(ends[i].end));
	}
}

/* What was told to do something may have done it. */
static void check_post(void)
{
	const struct torque_call cancel = {
		.kind = TORQUE_CANCEL, .order_id = TEXT("order_1"), .body = TEXT("{}")
	};
	const struct client_answer answer = { .end = CLIENT_DROPPED, .problem = "no way" };

	CHECK(torque_ask(torque, &cancel, answered, NULL), "a cancel is asked for");
	sent.done(sent.tag, &answer);
	CHECK(got.end == TORQUE_UNREACHABLE, "and is not asked for again");
}

/* An answer whose body never ended has a status and fields all the same. */
static void check_cut(void)
{
	static const struct {
		enum client_end how;
		unsigned status;
		enum torque_end end;
	} ends[] = {
		{ CLIENT_BROKEN, 429, TORQUE_RATE_LIMITED },
		{ CLIENT_LATE, 429, TORQUE_RATE_LIMITED },
		{ CLIENT_BROKEN, 503, TORQUE_SERVER_ERROR },
		{ CLIENT_BROKEN, 200, TORQUE_MALFORMED },
		{ CLIENT_LATE, 200, TORQUE_LATE },
		{ CLIENT_BROKEN, 401, TORQUE_MALFORMED },
		{ CLIENT_BROKEN, 404, TORQUE_MALFORMED },
	};

	fields[0] = (struct client_field){ "Retry-After", "40" };
	fields[1] = (struct client_field){ "X-RateLimit-Remaining", "3" };
	for (size_t i = 0; i < COUNT(ends); i++) {
		const struct client_answer answer = { .end = ends[i].how,
			.status = ends[i].status,
			.body = TEXT("{\"success\":false,\"error\":\"no\"}"),
			.problem = "it was cut" };

		call(&answer);
		CHECK(got.end == ends[i].end && got.status == ends[i].status &&
				got.retry_after_s == 40 && got.remaining == 3 &&
				strstr(got.problem.text, "it was cut"),
			"a cut answer of %u is %s and says how long to wait (%s)", ends[i].status,
			torque_end_name(ends[i].end), got.problem.text);
	}
	memset(fields, 0, sizeof(fields));
}

/* What came instead of what the API documents, in words. */
static void check_words(void)
{
	static const char order[] = "{\"success\":true,\"order\":{\"id\":\"order_1\"}}";
	static const struct {
		unsigned status;
		struct client_field fields[2];
		const char *body, *words;
	} cases[] = {
		{ 200, { { "Content-Type", "text/html; charset=utf-8" } }, "<html>",
			"HTTP 200 with text/html instead of JSON" },
		{ 200, { { "Content-Type", "text/plain" } }, order,
			"HTTP 200 with text/plain instead of JSON" },
		{ 404, { { "Content-Type", "text/html" } }, "<html>",
			"HTTP 404 with text/html instead of JSON" },
		{ 200, { { "Server", "x" } }, order,
			"HTTP 200 with a body of no type instead of JSON" },
		{ 200, { { "Content-Type", "te\xc3\xa4t/x y" } }, "x",
			"HTTP 200 with te??t/x?y instead of JSON" },
		{ 200, { { "Content-Type", "application/json" }, { "Content-Encoding", "gzip" } },
			order, "HTTP 200 with a body in the coding gzip, which nobody asked for" },
		{ 204, { { "Server", "x" } }, "", "HTTP 204 with an empty body" },
		{ 301, { { "Location", "https://me:secret@other.example/v2" } }, "",
			"HTTP 301 to other.example, which is not followed" },
		{ 308, { { "Location", "/v2" } }, "<html>",
			"HTTP 308 to another path of the same host, which is not followed" },
		{ 302, { { "Server", "x" } }, "", "HTTP 302 without a Location" },
		{ 200, { { "Content-Type", "application/json" } }, "{}",
			"HTTP 200 with a body that is not what the API documents" },
		{ 404, { { "Content-Type", "application/json" } }, "{\"error\":\"Not Found\"}",
			"HTTP 404 with an error that is not the API's own: Not Found" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		memcpy(fields, cases[i].fields, sizeof(cases[i].fields));
		call_status(cases[i].status, cases[i].body);
		CHECK(got.end == TORQUE_MALFORMED && strcmp(got.problem.text, cases[i].words) == 0,
			"%s (%s)", cases[i].words, got.problem.text);
	}
	fields[1] = (struct client_field){ "Content-Encoding", "Identity" };
	fields[0].value = "application/vnd.api+json";
	call_status(200, "\xEF\xBB\xBF{\"success\":true,\"order\":{\"id\":\"order_1\"}}");
	CHECK(got.end == TORQUE_GOOD, "identity is no coding, +json is JSON, with a mark or not");
	memset(fields, 0, sizeof(fields));
}

static void check_good(void)
{
	static const char order[] = "{\"success\":true,\"order\":{\"id\":\"order_1\"}}";
	static const char other[] = "{\"success\":true,\"order\":{\"id\":\"order_2\"}}";

	fields[0] = (struct client_field){ "Content-Type", "application/json" };
	call_status(200, order);
	CHECK(got.end == TORQUE_GOOD && got.problem.text[0] == '\0', "the order asked for is good");
	call_status(200, other);
	CHECK(got.end == TORQUE_MALFORMED, "another order is not");
	call_status(404, order);
	CHECK(got.end == TORQUE_MALFORMED, "nor is any with another status");
	fields[0].value = "text/html";
	call_status(200, order);
	CHECK(got.end == TORQUE_MALFORMED, "nor what is no JSON");
	fields[0].name = NULL;
}

static void check_patience(void)
{
	static const struct {
		const char *promise;
		unsigned status;
		const char *retry_after;
		int64_t seconds;
	} cases[] = {
		{ "a 429's Retry-After is told", 429, "17", 17 },
		{ "so is a 503's", 503, "17", 17 },
		{ "so is a 500's", 500, "17", 17 },
		{ "it is five minutes at the most", 429, "4000", 300 },
		{ "one that cannot be read is none", 429, "soon", 0 },
		{ "on a 503, too", 503, "soon", 0 },
		{ "a 429 without one says nothing of when", 429, "", 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		fields[0] = (struct client_field){ "Retry-After", cases[i].retry_after };
		call_status(cases[i].status, "");
		CHECK(got.retry_after_s == cases[i].seconds, "%s", cases[i].promise);
	}
	fields[0] = (struct client_field){ "X-RateLimit-Remaining", "19" };
	fields[1] = (struct client_field){ "X-RateLimit-Reset", "30" };
	call_status(200, "");
	CHECK(got.remaining == 19 && got.reset_us == got.answered_us + INT64_C(30000000),
		"what is left of the API's patience is told, and until when");
	fields[2] = (struct client_field){ "X-RateLimit-Remaining", "3" };
	fields[3] = (struct client_field){ "X-RateLimit-Reset", "40" };
	call_status(200, "");
	CHECK(got.remaining == 3 && got.reset_us == got.answered_us + INT64_C(40000000),
		"of two limits that of which less is left, though they are two fields");
	memset(fields, 0, sizeof(fields));
	fields[0] = (struct client_field){ "RateLimit-Remaining", "3" };
	fields[1] = (struct client_field){ "RateLimit-Reset", "40" };
	call_status(200, "");
	CHECK(got.remaining == 3 && got.reset_us == got.answered_us + INT64_C(40000000),
		"the name may be that of the draft");
	memset(fields, 0, sizeof(fields));
	fields[0] = (struct client_field){ "RateLimit", "\"x\";r=3;t=40" };
	call_status(200, "");
	CHECK(got.remaining == 3 && got.reset_us == got.answered_us + INT64_C(40000000),
		"or the field be one");
	memset(fields, 0, sizeof(fields));
	fields[0] = (struct client_field){ "Date", "Sun, 06 Nov 2044 08:49:37 GMT" };
	fields[1] = (struct client_field){ "Retry-After", "Sun, 06 Nov 2044 08:50:00 GMT" };
	fields[2] = (struct client_field){ "X-RateLimit-Reset", "2362034990" };
	call_status(429, "");
	CHECK(got.retry_after_s == 23 && got.reset_us == got.answered_us + INT64_C(13000000),
		"times are those of the API's own clock (%lld s)", (long long)got.retry_after_s);
	memset(fields, 0, sizeof(fields));
	call_status(200, "");
	CHECK(got.remaining == -1 && got.reset_us == 0, "or that nothing is said of it");
	CHECK(got.limit == 0, "nor of the limit");
	fields[0] = (struct client_field){ "X-RateLimit-Limit", "20" };
	call_status(200, "");
	CHECK(got.limit == 20, "the API's limit is told");
	fields[0] = (struct client_field){ "X-RateLimit-Limit", "20, 1000" };
	call_status(200, "");
	CHECK(got.limit == 0, "but of two of them none");
	memset(fields, 0, sizeof(fields));
}

static void check_problem(void)
{
	call_status(400, "{\"success\":false,\"error\":\"the key " KEY
			 " of a@example.com \\u001b[2J\",\"code\":\"X\"}");
	CHECK(got.has_error && !strstr(got.problem.text, KEY) &&
			!strstr(got.problem.text, "a@example") && !strchr(got.problem.text, 0x1b),
		"no problem repeats the key, an address or what a terminal acts on (%s)",
		got.problem.text);
	CHECK(strstr(got.problem.text, "(HTTP 400, X)") != NULL, "it has the status and the code");
	call_status(400, "{\"error\":\"Bearer a-key-of-some\",\"code\":\"X\"}");
	CHECK(got.has_error && !strstr(got.problem.text, "a-key-of"),
		"nor a key that was cut short (%s)", got.problem.text);
}

static void check_access(void)
{
	static const struct {
		const char *base_url, *key;
	} others[] = {
		{ "https://api.example/v1", "a-key-of-some-lengtH" },
		{ "https://api.example/v2", KEY },
		{ "https://api.example/v1", KEY },
	};
	char access[TORQUE_ACCESS_MAX], other[TORQUE_ACCESS_MAX];

	torque_access(torque, access);
	for (size_t i = 0; i < COUNT(others); i++) {
		const struct torque_options options = { .base_url = others[i].base_url,
			.ca_file = "",
			.api_key = secret_copy(text_of(others[i].key)) };
		struct problem problem;
		struct torque *another = torque_new(NULL, &options, &problem);

		torque_access(another, other);
		CHECK((strcmp(access, other) == 0) == (i + 1 == COUNT(others)) &&
				strlen(other) == TORQUE_ACCESS_MAX - 1 && !strstr(other, KEY),
			"an access has a fingerprint of its own (%s)", other);
		torque_free(another);
	}
}

int main(void)
{
	const struct torque_options options = { .base_url = "https://api.example/v1",
		.ca_file = "",
		.api_key = secret_copy(TEXT(KEY)) };
	struct problem problem;

	torque = torque_new(NULL, &options, &problem);
	check_access();
	check_request();
	check_statuses();
	check_ends();
	check_post();
	check_cut();
	check_words();
	check_good();
	check_patience();
	check_problem();
	torque_free(torque);
	return check_done();
}
