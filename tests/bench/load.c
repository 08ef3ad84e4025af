/* load - deliver signed webhooks as fast as a receiver answers them, or at a steady rate, and say
 * how long the answers took.
 *
 *	load PORT PATH SECRET CONNECTIONS SECONDS EVENTS_MAX SALT LINES [RATE [stripe]]
 *
 * Each cart has so many lines. With the last word it is Stripe that delivers, news of charges. Each
 *connection is kept alive and has one request under way at a time: three events an order, in their
 *order, then the next order. With a RATE, in requests a second, each request has a time at which it
 *is meant to be sent, the connections in turn; its latency counts from there, also when its
 *connection still waits for the answer before: a stall is paid for by all whom it delays.
 *Everything is made and signed before the clock starts. Prints one line of JSON; exit code 1 when
 *anything was answered but 200.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	REQUEST_MAX = 4096,
	LINES_MAX = 8,
	LINE_MAX_BYTES = 256,
	ANSWER_MAX = 4096,
	CONNECTIONS_MAX = 4096,
	READY_MAX = 256,
	ANSWER_WAIT_US = 5000000,
	DIGEST_BYTES = 32,
	EVENTS_PER_ORDER = 3,
};

static const struct {
	const char *event, *status;
	const char *charge_event, *charge_status;
} steps[EVENTS_PER_ORDER] = {
	{ "order.created", "pending", "charge.pending", "pending" },
	{ "order.paid", "processing", "charge.succeeded", "succeeded" },
	{ "order.completed", "completed", "charge.updated", "succeeded" },
};

struct request {
	char *bytes;
	size_t len;
};

struct connection {
	int fd;
	size_t next, end; /* its events: indices into requests */
	bool waiting;     /* for an answer */
	int64_t due_us;   /* of the request under way, else of the next one */
	char answer[ANSWER_MAX];
	size_t answer_bytes;
};

struct load {
	const char *path, *secret, *salt;
	int port;
	size_t connection_count, event_count, line_count;
	double seconds;
	double rate; /* 0: as fast as the answers come */
	bool stripe;
	int64_t end_us;
	struct request *requests;
	struct connection *connections;
	uint32_t *latencies_us;
	size_t answered, refused;
	bool exhausted;
	int epoll;
};

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(70);
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void write_stamp(time_t at, char *out, size_t size)
{
	struct tm utc;

	gmtime_r(&at, &utc);
	strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static void write_lines(size_t count, char out[LINES_MAX * LINE_MAX_BYTES])
{
	size_t len = 0;

	for (size_t i = 1; i <= count; i++) {
		len += (size_t)snprintf(out + len, LINE_MAX_BYTES,
			"%s{\"productId\":\"prod_%zu\",\"quantity\":2,\"price\":29.99,\"total\":59."
			"98,"
			"\"variant\":\"large\",\"metadata\":{\"sku\":\"SKU-%06zu\",\"category\":"
			"\"clothing\",\"tags\":[\"summer\",\"sale\",\"cotton\"]}}",
			i > 1 ? "," : "", i, i);
	}
}

/* About 1 KB with one line, as the yardstick's event. */
static int write_body(const struct load *load, size_t index, char *out, size_t size)
{
	size_t order = index / EVENTS_PER_ORDER, step = index % EVENTS_PER_ORDER;
	time_t created = time(NULL) - EVENTS_PER_ORDER;
	double total = 59.98 * (double)load->line_count;
	char created_at[32], at[32], lines[LINES_MAX * LINE_MAX_BYTES];

	write_lines(load->line_count, lines);
	write_stamp(created, created_at, sizeof(created_at));
	write_stamp(created + (time_t)step, at, sizeof(at));
	return snprintf(out, size,
		"{\"event\":\"%s\",\"timestamp\":\"%s\",\"data\":{\"orderId\":\"order_%s_%zu\","
		"\"sessionId\":\"session_%s_%zu\",\"businessId\":\"business_123\","
		"\"status\":\"%s\",\"createdAt\":\"%s\",\"updatedAt\":\"%s\",\"customerData\":{"
		"\"email\":\"customer%zu@example.com\",\"firstName\":\"John\",\"lastName\":"
		"\"Doe\",\"phone\":\"+1234567890\",\"address\":{\"street\":\"123 Main St\",\"city\""
		":\"New York\",\"state\":\"NY\",\"postalCode\":\"10001\",\"country\":\"US\"}},"
		"\"cart\":{\"items\":[%s],\"subtotal\":%.2f,\"total\":%.2f,\"currency\":\"USD\"},"
		"\"payment\":{"
		"\"method\":\"crypto\",\"transactionId\":\"tx_%s_%zu\",\"amount\":%.2f,"
		"\"status\":\"confirmed\"}}}",
		steps[step].event, at, load->salt, order, load->salt, order, steps[step].status,
		created_at, at, order, lines, total, total, load->salt, order, total);
}

/* About as large as the other with one line. */
static int write_charge(const struct load *load, size_t index, char *out, size_t size)
{
	size_t order = index / EVENTS_PER_ORDER, step = index % EVENTS_PER_ORDER;
	long at = (long)time(NULL) - EVENTS_PER_ORDER + (long)step;

	return snprintf(out, size,
		"{\"id\":\"evt_%s_%zu\",\"object\":\"event\",\"api_version\":\"2020-08-27\","
		"\"created\":"
		"%ld,\"data\":{\"object\":{\"id\":\"ch_%s_%zu\",\"object\":\"charge\",\"amount\":"
		"5998,"
		"\"amount_captured\":5998,\"amount_refunded\":0,\"balance_transaction\":\"txn_%s_%"
		"zu\","
		"\"billing_details\":{\"address\":{\"city\":\"New "
		"York\",\"country\":\"US\",\"line1\":"
		"\"123 Main "
		"St\",\"line2\":null,\"postal_code\":\"10001\",\"state\":\"NY\"},\"email\":"
		"\"customer%zu@example.com\",\"name\":\"John Doe\",\"phone\":\"+1234567890\"},"
		"\"captured\":true,\"created\":%ld,\"currency\":\"usd\",\"customer\":null,"
		"\"description\":null,\"disputed\":false,\"invoice\":null,\"livemode\":false,"
		"\"metadata\":{\"sku\":\"SKU-000001\",\"category\":\"clothing\",\"tags\":"
		"\"summer,sale,cotton\"},\"paid\":true,\"payment_intent\":null,"
		"\"payment_method_details\":{\"card\":{\"brand\":\"visa\",\"country\":\"US\","
		"\"exp_month\":8,\"exp_year\":2030,\"last4\":\"4242\"},\"type\":\"card\"},"
		"\"refunded\":"
		"false,\"status\":\"%s\"}},\"livemode\":false,\"pending_webhooks\":1,\"type\":\"%"
		"s\"}",
		load->salt, index, at, load->salt, order, load->salt, order, order, at,
		steps[step].charge_status, steps[step].charge_event);
}

/* Hex, over the body, or over what stands before it and the body. */
static void write_signature(const struct load *load, const char *before, const char *body,
	char hex[2 * DIGEST_BYTES + 1])
{
	char whole[REQUEST_MAX + 64];
	unsigned char digest[DIGEST_BYTES];
	int len = snprintf(whole, sizeof(whole), "%s%s", before, body);

	if (!HMAC(EVP_sha256(), load->secret, (int)strlen(load->secret),
		    (const unsigned char *)whole, (size_t)len, digest, NULL)) {
		fail("an event cannot be signed");
	}
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	}
}

static void make_request(const struct load *load, size_t index, struct request *ret_request)
{
	char body[REQUEST_MAX], whole[REQUEST_MAX], hex[2 * DIGEST_BYTES + 1];
	char before[32] = "", claim[64] = "X-Torque-Signature: ";
	long at = (long)time(NULL);
	int body_bytes = load->stripe ? write_charge(load, index, body, sizeof(body))
				      : write_body(load, index, body, sizeof(body));
	int len;

	if (body_bytes < 0 || (size_t)body_bytes >= sizeof(body)) {
		fail("an event cannot be made");
	}
	if (load->stripe) {
		snprintf(before, sizeof(before), "%ld.", at);
		snprintf(claim, sizeof(claim), "Stripe-Signature: t=%ld,v1=", at);
	}
	write_signature(load, before, body, hex);
	len = snprintf(whole, sizeof(whole),
		"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
		"%s%s\r\nContent-Length: %d\r\n\r\n%s",
		load->path, claim, hex, body_bytes, body);
	if (len < 0 || (size_t)len >= sizeof(whole)) {
		errno = EMSGSIZE;
		fail("a request does not fit");
	}
	ret_request->bytes = strdup(whole);
	ret_request->len = (size_t)len;
	if (!ret_request->bytes) {
		fail("requests");
	}
}

static void prepare(struct load *load)
{
	size_t share = load->event_count / load->connection_count;

	share -= share % EVENTS_PER_ORDER;
	load->event_count = share * load->connection_count;
	load->requests = calloc(load->event_count, sizeof(*load->requests));
	load->latencies_us = calloc(load->event_count, sizeof(*load->latencies_us));
	load->connections = calloc(load->connection_count, sizeof(*load->connections));
	if (!load->requests || !load->latencies_us || !load->connections) {
		fail("memory");
	}
	for (size_t i = 0; i < load->event_count; i++) {
		make_request(load, i, &load->requests[i]);
	}
	for (size_t i = 0; i < load->connection_count; i++) {
		load->connections[i].next = i * share;
		load->connections[i].end = (i + 1) * share;
	}
}

static void connect_one(struct load *load, struct connection *connection)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)load->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = connection };
	int on = 1;

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection->fd < 0 ||
		connect(connection->fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
		setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
		epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
		fail("connect");
	}
}

/* The request is small and the one before it was answered: it always fits the socket's buffer. */
static void send_next(struct load *load, struct connection *connection)
{
	const struct request *request;

	if (connection->next == connection->end) {
		load->exhausted = true;
		return;
	}
	request = &load->requests[connection->next++];
	connection->answer_bytes = 0;
	connection->waiting = true;
	if (send(connection->fd, request->bytes, request->len, MSG_NOSIGNAL) !=
		(ssize_t)request->len) {
		fail("send");
	}
}

/* Whether the answer is whole: headers, and as much body as they say. */
static bool whole(const struct connection *connection)
{
	const char *end = strstr(connection->answer, "\r\n\r\n");
	const char *length = strcasestr(connection->answer, "\r\nContent-Length:");

	if (!end || !length || length > end) {
		return false;
	}
	return connection->answer_bytes >=
	       (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

/* Between two requests of a connection; 0 without a rate. */
static int64_t interval_us(const struct load *load)
{
	return load->rate > 0 ? (int64_t)((double)load->connection_count * 1e6 / load->rate) : 0;
}

static void answer_ready(struct load *load, struct connection *connection)
{
	int64_t now;
	size_t room = sizeof(connection->answer) - 1 - connection->answer_bytes;
	ssize_t got = recv(
		connection->fd, connection->answer + connection->answer_bytes, room, MSG_DONTWAIT);

	if (got <= 0) {
		fail("the receiver closed a connection");
	}
	connection->answer_bytes += (size_t)got;
	connection->answer[connection->answer_bytes] = '\0';
	if (!whole(connection)) {
		return;
	}
	if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0) {
		load->refused++;
	}
	now = now_us();
	load->latencies_us[load->answered++] = (uint32_t)(now - connection->due_us);
	connection->waiting = false;
	connection->due_us = load->rate > 0 ? connection->due_us + interval_us(load) : now;
}

/* Sends what is due. When the next one is: INT64_MAX with nothing left before the end. */
static int64_t send_due(struct load *load)
{
	int64_t next_us = INT64_MAX, now = now_us();

	for (size_t i = 0; i < load->connection_count; i++) {
		struct connection *connection = &load->connections[i];

		if (connection->waiting || connection->due_us >= load->end_us) {
			continue;
		}
		if (connection->due_us <= now) {
			send_next(load, connection);
		} else if (connection->due_us < next_us) {
			next_us = connection->due_us;
		}
	}
	return next_us;
}

static bool any_waiting(const struct load *load)
{
	for (size_t i = 0; i < load->connection_count; i++) {
		if (load->connections[i].waiting) {
			return true;
		}
	}
	return false;
}

/* Until an answer comes or next_us is there. */
static void take_answers(struct load *load, int64_t next_us)
{
	struct epoll_event ready[READY_MAX];
	int64_t wait_us = next_us == INT64_MAX ? ANSWER_WAIT_US : next_us - now_us();
	struct timespec wait = { .tv_sec = 0 };
	int count;

	if (wait_us > 0) {
		wait.tv_sec = wait_us / 1000000;
		wait.tv_nsec = wait_us % 1000000 * 1000;
	}
	count = epoll_pwait2(load->epoll, ready, READY_MAX, &wait, NULL);
	if (count == 0 && next_us == INT64_MAX) {
		errno = ETIMEDOUT;
		fail("no answer");
	}
	for (int i = 0; i < count; i++) {
		answer_ready(load, ready[i].data.ptr);
	}
}

/* To the last answer. */
static double run(struct load *load)
{
	int64_t start, next_us;

	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < load->connection_count; i++) {
		connect_one(load, &load->connections[i]);
	}
	start = now_us();
	load->end_us = start + (int64_t)(load->seconds * 1e6);
	for (size_t i = 0; i < load->connection_count; i++) {
		load->connections[i].due_us =
			start + interval_us(load) * (int64_t)i / (int64_t)load->connection_count;
	}
	next_us = send_due(load);
	while (!load->exhausted && (next_us != INT64_MAX || any_waiting(load))) {
		take_answers(load, next_us);
		next_us = send_due(load);
	}
	return (double)(now_us() - start) / 1e6;
}

static int compare(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static double percentile_ms(const struct load *load, double part)
{
	return load->latencies_us[(size_t)((double)(load->answered - 1) * part)] / 1e3;
}

static void report(struct load *load, double seconds)
{
	qsort(load->latencies_us, load->answered, sizeof(*load->latencies_us), compare);
	printf("{\"connections\":%zu,\"seconds\":%.2f,\"answered\":%zu,\"not_200\":%zu,"
	       "\"exhausted\":%s,\"rate\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
		load->connection_count, seconds, load->answered, load->refused,
		load->exhausted ? "true" : "false", (double)load->answered / seconds,
		percentile_ms(load, 0.5), percentile_ms(load, 0.99), percentile_ms(load, 1));
}

int main(int argc, char **argv)
{
	struct load load = { .epoll = -1 };

	if (argc < 9 || argc > 11) {
		fprintf(stderr, "usage: load PORT PATH SECRET CONNECTIONS SECONDS EVENTS_MAX SALT "
				"LINES [RATE [stripe]]\n");
		return 64;
	}
	load.port = (int)strtol(argv[1], NULL, 10);
	load.path = argv[2];
	load.secret = argv[3];
	load.connection_count = strtoul(argv[4], NULL, 10);
	load.seconds = strtod(argv[5], NULL);
	load.event_count = strtoul(argv[6], NULL, 10);
	load.salt = argv[7];
	load.line_count = strtoul(argv[8], NULL, 10);
	load.rate = argc > 9 ? strtod(argv[9], NULL) : 0;
	load.stripe = argc > 10 && strcmp(argv[10], "stripe") == 0;
	if (load.line_count < 1 || load.line_count > LINES_MAX || load.connection_count < 1 ||
		load.connection_count > CONNECTIONS_MAX ||
		load.event_count < EVENTS_PER_ORDER * load.connection_count) {
		fprintf(stderr, "load: CONNECTIONS, EVENTS_MAX or LINES out of range\n");
		return 64;
	}
	prepare(&load);
	report(&load, run(&load));
	return load.answered == 0 || load.refused > 0;
}
