/* batch_probe - flow/batch without the rest of the daemon, for tests.
 *
 *	batch_probe CONNINFO CONNECTIONS KEEP_MS [notify] [unsafe]
 *
 * Each line of stdin is one body; the line's number, from 1, is its name:
 *	N committed OUTCOME | N lost | N full        when it has ended
 * A line "?" is answered at once:
 *	state connected=0 waiting=2 problem=...
 * After the end of stdin it ends when every fact has. Answers leave when the loop is idle, at the
 * latest after a few milliseconds.
 *
 *	batch_probe CONNINFO CONNECTIONS KEEP_MS load FACTS WINDOW LINES
 *
 * keeps WINDOW made-up facts under way, fewer at the beginning, their carts of so many lines, until
 * FACTS have been committed, and says how long it took.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "flow/batch.h"
#include "order/event.h"

enum {
	LINE_MAX_BYTES = 2 * 1024 * 1024,
	LOAD_BODY_MAX = 4096,
	LOAD_LINES_MAX = 8,
	LOAD_LINE_MAX = 256,
	LOAD_EVENTS_OF_ORDER = 3,
	LOAD_ORDERS = 64,    /* told of in turn */
	LOAD_FACTS_EACH = 8, /* committed before one more is under way */
};

struct probe {
	struct loop *loop;
	struct batch *batch;
	struct loop_watch *input;
	char *line;
	size_t line_len;
	uint64_t lines;
	bool ended; /* stdin */
	uint64_t load_facts, load_window, load_lines;
	uint64_t sent, committed, lost;
	int64_t began_us;
	struct json_room room;
};

static struct probe probe;

static void stop_when_done(void)
{
	if (probe.ended && batch_waiting(probe.batch) == 0) {
		loop_stop(probe.loop);
	}
}

static void line_committed(void *tag, enum batch_end end, enum outcome outcome)
{
	uint64_t number = (uint64_t)(uintptr_t)tag;

	if (end == BATCH_COMMITTED) {
		printf("%" PRIu64 " committed %s\n", number, fact_outcome_name(outcome));
	} else {
		printf("%" PRIu64 " lost\n", number);
	}
	fflush(stdout);
	stop_when_done();
}

static void take_line(struct text line)
{
	struct fact fact;

	if (text_equal(line, TEXT("?"))) {
		printf("state connected=%d waiting=%zu problem=%s\n", batch_connected(probe.batch),
			batch_waiting(probe.batch), batch_problem(probe.batch));
		fflush(stdout);
		return;
	}
	probe.lines++;
	event_parse(line, clock_wall_us(), TEXT(""), &probe.room, &fact);
	if (!batch_add(probe.batch, &fact, line_committed, (void *)(uintptr_t)probe.lines)) {
		printf("%" PRIu64 " full\n", probe.lines);
		fflush(stdout);
	}
}

static void take_lines(void)
{
	struct text rest = { probe.line, probe.line_len };
	const char *end;

	while (rest.len > 0 && (end = memchr(rest.ptr, '\n', rest.len))) {
		size_t len = (size_t)(end - rest.ptr);

		take_line((struct text){ rest.ptr, len });
		rest.ptr += len + 1;
		rest.len -= len + 1;
	}
	memmove(probe.line, rest.ptr, rest.len);
	probe.line_len = rest.len;
}

static void input_ready(void *owner, unsigned ready)
{
	ssize_t got =
		read(STDIN_FILENO, probe.line + probe.line_len, LINE_MAX_BYTES - probe.line_len);

	(void)owner;
	(void)ready;
	if (got > 0) {
		probe.line_len += (size_t)got;
		take_lines();
		if (probe.line_len == LINE_MAX_BYTES) {
			die("a line is too long");
		}
	} else if (got == 0) {
		loop_watch_want(probe.input, 0);
		probe.ended = true;
		stop_when_done();
	} else if (errno != EAGAIN && errno != EINTR) {
		die("stdin: %s", strerror(errno));
	}
}

static void run_lines(void)
{
	probe.line = memory_new(LINE_MAX_BYTES);
	if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0) {
		die("stdin: %s", strerror(errno));
	}
	probe.input = loop_watch_new(probe.loop, STDIN_FILENO, input_ready, NULL);
	loop_watch_want(probe.input, LOOP_READ);
	loop_run(probe.loop);
	loop_watch_free(probe.input);
}

static const char *const load_events[LOAD_EVENTS_OF_ORDER][2] = {
	{ "order.created", "pending" },
	{ "order.paid", "processing" },
	{ "order.completed", "completed" },
};

static void load_cart(char cart[LOAD_LINES_MAX * LOAD_LINE_MAX])
{
	size_t len = 0;

	for (uint64_t i = 1; i <= probe.load_lines; i++) {
		len += (size_t)snprintf(cart + len, LOAD_LINE_MAX,
			"%s{\"productId\":\"prod_%" PRIu64
			"\",\"quantity\":2,\"price\":29.99,\"total\":59.98,"
			"\"variant\":\"large\",\"metadata\":{\"sku\":\"SKU-%06" PRIu64
			"\",\"category\":\"clothing\",\"tags\":[\"summer\",\"sale\",\"cotton\"]}}",
			i > 1 ? "," : "", i, i);
	}
}

/* About a kilobyte with one line; the three events of an order lie some orders apart. */
static struct text load_body(uint64_t number, char body[LOAD_BODY_MAX])
{
	uint64_t round = number / (LOAD_EVENTS_OF_ORDER * LOAD_ORDERS);
	uint64_t step = number / LOAD_ORDERS % LOAD_EVENTS_OF_ORDER;
	uint64_t order = round * LOAD_ORDERS + number % LOAD_ORDERS;
	double total = 59.98 * (double)probe.load_lines;
	char cart[LOAD_LINES_MAX * LOAD_LINE_MAX];

	load_cart(cart);
	int len = snprintf(body, LOAD_BODY_MAX,
		"{\"event\":\"%s\",\"timestamp\":\"2024-01-15T1%" PRIu64 ":00:00Z\",\"data\":{"
		"\"orderId\":\"load_%d_%" PRIu64 "\",\"sessionId\":\"cs_%" PRIu64 "\","
		"\"businessId\":\"biz_1\",\"status\":\"%s\",\"createdAt\":\"2024-01-15T09:59:00Z\","
		"\"customerData\":{\"email\":\"c%" PRIu64 "@example.com\",\"firstName\":\"Ada\","
		"\"lastName\":\"Lovelace\",\"phone\":\"+358401234567\",\"address\":{\"street\":"
		"\"Mannerheimintie 1\",\"city\":\"Helsinki\",\"postalCode\":\"00100\","
		"\"country\":\"FI\"}},\"cart\":{\"items\":[%s],\"subtotal\":%.2f,\"total\":%.2f,"
		"\"currency\":\"EUR\"},\"payment\":{\"method\":\"card\",\"transactionId\":"
		"\"tx_%" PRIu64 "\",\"amount\":%.2f,\"status\":\"ok\"}}}",
		load_events[step][0], step, (int)getpid(), order, order, load_events[step][1],
		order, cart, total, total, order, total);

	return (struct text){ body, (size_t)len };
}

static void load_more(void);

static void load_committed(void *tag, enum batch_end end, enum outcome outcome)
{
	(void)tag;
	(void)outcome;
	if (end == BATCH_COMMITTED) {
		probe.committed++;
	} else {
		probe.lost++;
	}
	if (probe.committed + probe.lost == probe.load_facts) {
		loop_stop(probe.loop);
	} else {
		load_more();
	}
}

static void load_more(void)
{
	char body[LOAD_BODY_MAX];
	struct fact fact;
	uint64_t window = 1 + probe.committed / LOAD_FACTS_EACH;

	window = window < probe.load_window ? window : probe.load_window;
	while (probe.sent < probe.load_facts &&
		probe.sent - probe.committed - probe.lost < window) {
		event_parse(
			load_body(probe.sent, body), clock_wall_us(), TEXT(""), &probe.room, &fact);
		probe.sent++;
		if (!batch_add(probe.batch, &fact, load_committed, NULL)) {
			die("the queue is full at a window of %" PRIu64, probe.load_window);
		}
	}
}

/* Connections are no part of what is measured. */
static void begin_load(void *owner)
{
	struct loop_timer **timer = owner;

	if (metrics_get(METRIC_DATABASE_CONNECTED) == 0) {
		loop_timer_start(*timer, 10);
		return;
	}
	probe.began_us = clock_wall_us();
	load_more();
}

static void run_load(void)
{
	struct loop_timer *timer = NULL;

	timer = loop_timer_new(probe.loop, begin_load, &timer);
	loop_timer_start(timer, 200);
	loop_run(probe.loop);
	loop_timer_free(timer);

	double seconds = (double)(clock_wall_us() - probe.began_us) / 1e6;
	double batches = (double)metrics_get(METRIC_BATCHES_COMMITTED);

	printf("{\"facts\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"seconds\":%.3f,\"per_second\":%.0f,"
	       "\"facts_per_batch\":%.1f}\n",
		probe.committed, probe.lost, seconds, (double)probe.committed / seconds,
		(double)probe.committed / batches);
}

int main(int argc, char **argv)
{
	struct batch_options options = { .store = { .application_name = "batch_probe" } };

	if (argc < 4) {
		die("batch_probe CONNINFO CONNECTIONS KEEP_MS [notify] [unsafe] [load FACTS "
		    "WINDOW LINES]");
	}
	options.store.conninfo = argv[1];
	options.connections = (unsigned)strtoul(argv[2], NULL, 10);
	options.keep_ms = strtol(argv[3], NULL, 10);
	for (int i = 4; i < argc; i++) {
		options.notify = options.notify || strcmp(argv[i], "notify") == 0;
		options.store.allow_unsafe_fsync =
			options.store.allow_unsafe_fsync || strcmp(argv[i], "unsafe") == 0;
		if (strcmp(argv[i], "load") == 0 && i + 3 < argc) {
			probe.load_facts = strtoull(argv[i + 1], NULL, 10);
			probe.load_window = strtoull(argv[i + 2], NULL, 10);
			probe.load_lines = strtoull(argv[i + 3], NULL, 10);
			if (probe.load_lines > LOAD_LINES_MAX) {
				die("LINES is at most %d", LOAD_LINES_MAX);
			}
		}
	}
	log_setup(LOG_DEBUG, LOG_LOGFMT);
	probe.room.size = json_room_size(LINE_MAX_BYTES);
	probe.room.memory = memory_new(probe.room.size);
	probe.loop = loop_new();
	probe.batch = batch_new(probe.loop, &options);
	if (probe.load_facts > 0) {
		run_load();
	} else {
		run_lines();
	}
	batch_free(probe.batch);
	loop_free(probe.loop);
	free(probe.line);
	free(probe.room.memory);
	return 0;
}
