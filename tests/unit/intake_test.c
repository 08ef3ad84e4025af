/* A delivery over a real connection, with a verdict and a batch that a test decides on. */
#include "flow/intake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metrics.h"
#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { GUARD_MS = 10000, REPLY_MAX = 4096 };

static const char event[] =
	"{\"event\":\"order.paid\",\"data\":{\"orderId\":\"order_1\",\"status\":\"paid\"}}";

/* What the wrapped neighbours say, and what they were told. */
static struct {
	enum signature_verdict verdict;
	size_t secret;
	struct signature_claim claim;
	char claimed[128]; /* its words */
	bool full, refuses;
	unsigned facts;
	char order_id[160];
	batch_done *done;
	void *tag;
} with;

enum signature_verdict __wrap_signature_verify(const struct signature_rules *rules,
	const struct signature_claim *claim, struct text body, int64_t now_us, size_t *ret_secret);
bool __wrap_batch_full(const struct batch *batch);
bool __wrap_batch_add(struct batch *batch, const struct fact *fact, batch_done *done, void *tag);

enum signature_verdict __wrap_signature_verify(const struct signature_rules *rules,
	const struct signature_claim *claim, struct text body, int64_t now_us, size_t *ret_secret)
{
	(void)rules;
	(void)now_us;
	CHECK(text_equal(body, text_of(event)), "the bytes that came are judged");
	with.claim = *claim;
	snprintf(with.claimed, sizeof(with.claimed), "%.*s|%.*s|%.*s", (int)claim->signature.len,
		claim->signature.ptr, (int)claim->id.len, claim->id.ptr ? claim->id.ptr : "",
		(int)claim->timestamp.len, claim->timestamp.ptr ? claim->timestamp.ptr : "");
	*ret_secret = with.secret;
	return with.verdict;
}

bool __wrap_batch_full(const struct batch *batch)
{
	(void)batch;
	return with.full;
}

bool __wrap_batch_add(struct batch *batch, const struct fact *fact, batch_done *done, void *tag)
{
	(void)batch;
	if (with.refuses) {
		return false;
	}
	with.facts++;
	snprintf(with.order_id, sizeof(with.order_id), "%s", fact->order_id);
	with.done = done;
	with.tag = tag;
	return true;
}

static struct loop *loop;
static struct intake *intake;
static char reply[REPLY_MAX];

static void open_intake(enum signature_scheme scheme)
{
	const struct intake_options options = {
		.server = { .address = "127.0.0.1:0",
			.listen_fd = -1,
			.connections_max = 10,
			.body_max = 10000 },
		.path = "/hooks",
		.rules = { .scheme = scheme },
		.signature_header = "X-Signature",
		.business = "",
		.trusted_proxies = "",
	};
	struct problem problem = { "" };

	intake = intake_new(loop, NULL, &options, &problem);
	CHECK(intake != NULL, "the receiver is open (%s)", problem.text);
}

static int connect_to(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f000001) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_port =
		htons((uint16_t)strtoul(strrchr(intake_address(intake), ':') + 1, NULL, 10));
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "it is connected");
	return fd;
}

/* The loop turns until condition() holds. */
static int fd;
static bool (*condition)(void);
static struct loop_timer *looking;

static void stop(void *owner)
{
	(void)owner;
	loop_stop(loop);
}

static void look(void *owner)
{
	(void)owner;
	if (condition()) {
		loop_stop(loop);
	} else {
		loop_timer_start(looking, 1);
	}
}

static void turn_until(bool (*is_met)(void))
{
	struct loop_timer *guard = loop_timer_new(loop, stop, NULL);

	condition = is_met;
	looking = loop_timer_new(loop, look, NULL);
	loop_timer_start(looking, 0);
	loop_timer_start(guard, GUARD_MS);
	loop_run(loop);
	loop_timer_free(looking);
	loop_timer_free(guard);
}

static bool is_answered(void)
{
	size_t len = strlen(reply);
	ssize_t got = recv(fd, reply + len, sizeof(reply) - 1 - len, MSG_DONTWAIT);

	if (got > 0) {
		reply[len + (size_t)got] = '\0';
	}
	return strstr(reply, "\r\n\r\n") != NULL;
}

static bool has_fact(void)
{
	return with.facts > 0;
}

static void send_request(const char *line, const char *fields)
{
	char request[2048];
	int len = snprintf(request, sizeof(request),
		"%s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n%s", line, fields,
		strlen(event), event);

	with.facts = 0;
	reply[0] = '\0';
	fd = connect_to();
	CHECK(send(fd, request, (size_t)len, MSG_NOSIGNAL) == len, "the request is sent");
}

#define POST "POST /hooks"

static unsigned status(void)
{
	return (unsigned)strtoul(reply + strlen("HTTP/1.1 "), NULL, 10);
}

/* Sends it and has its answer. */
static unsigned answer_to(const char *line, const char *fields)
{
	send_request(line, fields);
	turn_until(is_answered);
	close(fd);
	return status();
}

/* Sends a genuine one and ends it. */
static unsigned answer_to_end(enum batch_end end, enum outcome outcome)
{
	send_request(POST, "");
	turn_until(has_fact);
	CHECK(!is_answered(), "nothing is answered before the commit");
	with.done(with.tag, end, outcome);
	turn_until(is_answered);
	close(fd);
	return status();
}

static void check_path(void)
{
	CHECK(answer_to("POST /other", "") == 404, "another path is not found");
	CHECK(answer_to("POST /hooks/more", "") == 404 && answer_to("POST /hook", "") == 404,
		"nor one that begins or ends like ours");
	CHECK(answer_to("PUT /hooks", "") == 405 && strcasestr(reply, "\r\nAllow: POST\r\n"),
		"another method is not allowed");
}

static void check_committed(void)
{
	static const struct {
		enum outcome outcome;
		enum metric metric;
		const char *word;
	} outcomes[] = {
		{ OUTCOME_APPLIED, METRIC_DELIVERIES_APPLIED, "applied" },
		{ OUTCOME_DUPLICATE, METRIC_DELIVERIES_DUPLICATE, "duplicate" },
		{ OUTCOME_RECORDED, METRIC_DELIVERIES_RECORDED, "recorded" },
		{ OUTCOME_HELD, METRIC_DELIVERIES_HELD, "held" },
		{ OUTCOME_IGNORED, METRIC_DELIVERIES_IGNORED, "ignored" },
		{ OUTCOME_QUARANTINED, METRIC_DELIVERIES_QUARANTINED, "quarantined" },
	};

	with.verdict = SIGNATURE_GENUINE;
	for (size_t i = 0; i < COUNT(outcomes); i++) {
		char body[128];

		snprintf(body, sizeof(body), "{\"success\":true,\"outcome\":\"%s\"}",
			outcomes[i].word);
		CHECK(answer_to_end(BATCH_COMMITTED, outcomes[i].outcome) == 200 &&
				strstr(reply, body) && metrics_get(outcomes[i].metric) == 1,
			"what was %s is answered and counted so", outcomes[i].word);
	}
	CHECK(strcmp(with.order_id, "order_1") == 0, "the fact is the one that was sent");
	CHECK(answer_to_end(BATCH_LOST, 0) == 503 && strcasestr(reply, "\r\nRetry-After: 1\r\n"),
		"what was lost is to be sent again");
}

static void check_secrets(void)
{
	int64_t current = metrics_get(METRIC_SIGNATURE_CURRENT);
	int64_t previous = metrics_get(METRIC_SIGNATURE_PREVIOUS);

	with.secret = 0;
	answer_to_end(BATCH_COMMITTED, OUTCOME_APPLIED);
	CHECK(metrics_get(METRIC_SIGNATURE_CURRENT) == current + 1 &&
			metrics_get(METRIC_SIGNATURE_PREVIOUS) == previous,
		"the first secret is the current one");
	with.secret = 1;
	answer_to_end(BATCH_COMMITTED, OUTCOME_APPLIED);
	CHECK(metrics_get(METRIC_SIGNATURE_CURRENT) == current + 1 &&
			metrics_get(METRIC_SIGNATURE_PREVIOUS) == previous + 1,
		"the second one is the one before it");
	with.secret = 0;
}

static void check_refused(void)
{
	static const enum signature_verdict verdicts[] = { SIGNATURE_ABSENT, SIGNATURE_MALFORMED,
		SIGNATURE_STALE, SIGNATURE_FORGED };

	for (size_t i = 0; i < COUNT(verdicts); i++) {
		int64_t before = metrics_get(METRIC_DELIVERIES_UNSIGNED);

		with.verdict = verdicts[i];
		CHECK(answer_to(POST, "") == 401 && with.facts == 0 &&
				!strcasestr(reply, "\r\nRetry-After:") &&
				metrics_get(METRIC_DELIVERIES_UNSIGNED) == before + 1,
			"a signature that is %s is answered 401, and nothing is kept",
			signature_verdict_name(verdicts[i]));
	}
}

static void check_unchecked(void)
{
	int64_t unsigned_before = metrics_get(METRIC_DELIVERIES_UNSIGNED);
	int64_t unavailable_before = metrics_get(METRIC_DELIVERIES_UNAVAILABLE);

	with.verdict = SIGNATURE_UNCHECKED;
	CHECK(answer_to(POST, "") == 503 && strcasestr(reply, "\r\nRetry-After: 1\r\n") &&
			with.facts == 0,
		"a signature that could not be checked is not the sender's fault: again");
	CHECK(metrics_get(METRIC_DELIVERIES_UNSIGNED) == unsigned_before &&
			metrics_get(METRIC_DELIVERIES_UNAVAILABLE) == unavailable_before + 1,
		"nor is it counted as unsigned");
}

static void check_full(void)
{
	int64_t before = metrics_get(METRIC_QUEUE_REFUSED);

	with.verdict = SIGNATURE_GENUINE;
	with.full = true;
	CHECK(answer_to(POST, "") == 503 && strcasestr(reply, "\r\nRetry-After: 1\r\n") &&
			metrics_get(METRIC_QUEUE_REFUSED) == before + 1,
		"without room nothing is read");
	with.full = false;
	with.refuses = true;
	CHECK(answer_to(POST, "") == 503 && metrics_get(METRIC_QUEUE_REFUSED) == before + 2,
		"nor kept when the room has gone meanwhile");
	with.refuses = false;
}

static void check_gone(void)
{
	int64_t before = metrics_get(METRIC_DELIVERIES_HELD);

	send_request(POST, "");
	turn_until(has_fact);
	intake_free(intake);
	with.done(with.tag, BATCH_COMMITTED, OUTCOME_HELD);
	CHECK(metrics_get(METRIC_DELIVERIES_HELD) == before + 1,
		"a fact whose sender is gone is committed all the same");
	close(fd);
	open_intake(SIGNATURE_TORQUE);
}

static void check_claims(void)
{
	static const struct {
		const char *promise;
		enum signature_scheme scheme;
		const char *fields;
		const char *claimed;
		bool repeated;
	} cases[] = {
		{ "the configured header carries it", SIGNATURE_TORQUE,
			"X-Signature: a\r\nwebhook-signature: b\r\n", "a||", false },
		{ "twice is repeated", SIGNATURE_TIMESTAMPED,
			"X-Signature: a\r\nx-signature: a\r\n", "a||", true },
		{ "the scheme standard has three", SIGNATURE_STANDARD,
			"webhook-id: i\r\nwebhook-timestamp: 1\r\nwebhook-signature: s\r\n"
			"X-Signature: x\r\n",
			"s|i|1", false },
		{ "under two names", SIGNATURE_STANDARD,
			"svix-id: i\r\nsvix-timestamp: 1\r\nsvix-signature: s\r\n", "s|i|1",
			false },
		{ "its signature twice is repeated", SIGNATURE_STANDARD,
			"webhook-id: i\r\nwebhook-timestamp: 1\r\nwebhook-signature: s\r\n"
			"webhook-signature: t\r\n",
			"s|i|1", true },
		{ "so is its id", SIGNATURE_STANDARD,
			"webhook-id: i\r\nwebhook-timestamp: 1\r\nwebhook-signature: s\r\n"
			"webhook-id: j\r\n",
			"s|i|1", true },
		{ "so is its time", SIGNATURE_STANDARD,
			"svix-id: i\r\nsvix-timestamp: 1\r\nsvix-signature: s\r\n"
			"svix-timestamp: 2\r\n",
			"s|i|1", true },
	};

	with.verdict = SIGNATURE_FORGED;
	for (size_t i = 0; i < COUNT(cases); i++) {
		intake_free(intake);
		open_intake(cases[i].scheme);
		answer_to(POST, cases[i].fields);
		CHECK(strcmp(with.claimed, cases[i].claimed) == 0 &&
				with.claim.repeated == cases[i].repeated,
			"%s (%s)", cases[i].promise, with.claimed);
	}
}

int main(void)
{
	loop = loop_new();
	open_intake(SIGNATURE_TORQUE);
	check_path();
	check_committed();
	check_secrets();
	check_refused();
	check_unchecked();
	check_full();
	check_gone();
	check_claims();
	intake_free(intake);
	loop_free(loop);
	return check_done();
}
