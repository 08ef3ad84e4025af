/* /livez, /readyz and /metrics, and what the service manager is told. */
#include "flow/health.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "http/server.h"
#include "io/notify.h"

enum {
	HEALTH_STATUS_MS = 5000,
	HEALTH_BODY_MAX = 1024, /* nothing here reads one */
	HEALTH_LINE_MAX = 4096,
	HEALTH_PART_MAX = 1400, /* the longest problem of a call fits */
};

struct health {
	const struct batch *batch;         /* borrowed; NULL: no receiver */
	const struct reconcile *reconcile; /* borrowed; NULL: no poller */
	struct server *server;             /* NULL: no admin address */
	struct loop_timer *watchdog;
	struct loop_timer *status;
	int64_t watchdog_ms;
	bool stopping;
};

static bool ready(const struct health *health)
{
	if (health->stopping) {
		return false;
	}
	if (health->batch) {
		return batch_connected(health->batch) && !batch_full(health->batch);
	}
	return reconcile_connected(health->reconcile) &&
	       reconcile_blind(health->reconcile)[0] == '\0';
}

static const char *not_ready_because(const struct health *health)
{
	if (health->stopping) {
		return "stopping";
	}
	if (!health->batch && reconcile_connected(health->reconcile)) {
		return reconcile_blind(health->reconcile);
	}
	if (!health->batch) {
		return reconcile_problem(health->reconcile);
	}
	if (!batch_connected(health->batch)) {
		return batch_problem(health->batch);
	}
	return "the queue is full";
}

static unsigned head_arrived(void *owner, const struct http_request *request, struct answer *answer)
{
	struct text path = request->path;
	struct text method = request->method;

	(void)owner;
	if (!text_equal(path, TEXT("/livez")) && !text_equal(path, TEXT("/readyz")) &&
		!text_equal(path, TEXT("/metrics"))) {
		return 404;
	}
	if (!text_equal(method, TEXT("GET")) && !text_equal(method, TEXT("HEAD"))) {
		answer->allow = "GET, HEAD";
		return 405;
	}
	return 0;
}

static void answer_text(struct exchange *exchange, unsigned status, const char *line)
{
	struct answer answer = {
		.status = status,
		.body = text_of(line),
		.content_type = "text/plain; charset=utf-8",
	};

	exchange_answer(exchange, &answer);
}

static void answer_ready(const struct health *health, struct exchange *exchange)
{
	char line[HEALTH_LINE_MAX];

	if (ready(health)) {
		answer_text(exchange, 200, "ready\n");
		return;
	}
	snprintf(line, sizeof(line), "not ready: %s\n", not_ready_because(health));
	answer_text(exchange, 503, line);
}

static void answer_metrics(struct exchange *exchange)
{
	struct answer answer = {
		.status = 200,
		.content_type = "text/plain; version=0.0.4; charset=utf-8",
	};
	char *exposition = metrics_render(&answer.body.len);

	if (!exposition) {
		answer_text(exchange, 503, "out of memory\n");
		return;
	}
	answer.body.ptr = exposition;
	exchange_answer(exchange, &answer);
	free(exposition);
}

static void request_arrived(
	void *owner, struct exchange *exchange, const struct http_request *request)
{
	const struct health *health = owner;
	struct text path = request->path;

	if (text_equal(path, TEXT("/readyz"))) {
		answer_ready(health, exchange);
	} else if (text_equal(path, TEXT("/metrics"))) {
		answer_metrics(exchange);
	} else {
		answer_text(exchange, 200, "alive\n");
	}
}

static void notify(const char *lines)
{
	int failed = notify_send(lines);

	if (failed < 0) {
		log_event(LOG_WARNING, "notify_failed",
			LOG_FIELDS(LOG_STRING("error", strerror(-failed))));
	}
}

static void watchdog_due(void *owner)
{
	struct health *health = owner;

	notify("WATCHDOG=1");
	loop_timer_start(health->watchdog, health->watchdog_ms);
}

static int64_t deliveries_committed(void)
{
	int64_t sum = 0;

	for (int metric = METRIC_DELIVERIES_APPLIED; metric <= METRIC_DELIVERIES_QUARANTINED;
		metric++) {
		sum += metrics_get((enum metric)metric);
	}
	return sum;
}

static void say_receiving(const struct health *health, char out[HEALTH_PART_MAX])
{
	out[0] = '\0';
	if (health->batch) {
		snprintf(out, HEALTH_PART_MAX, "; %lld deliveries committed, %zu waiting",
			(long long)deliveries_committed(), batch_waiting(health->batch));
	}
}

static void say_polling(const struct health *health, char out[HEALTH_PART_MAX])
{
	const char *problem = health->reconcile ? reconcile_problem(health->reconcile) : "";
	const char *blind = health->reconcile ? reconcile_blind(health->reconcile) : "";

	out[0] = '\0';
	if (blind[0] != '\0') {
		snprintf(out, HEALTH_PART_MAX, "; polling is blind: %s", blind);
	} else if (problem[0] != '\0') {
		snprintf(out, HEALTH_PART_MAX, "; polling fails: %s", problem);
	} else if (health->reconcile && reconcile_standby(health->reconcile)) {
		snprintf(out, HEALTH_PART_MAX, "; standing by: another process polls");
	} else if (health->reconcile) {
		snprintf(out, HEALTH_PART_MAX, "; polling, %lld good answers",
			(long long)metrics_get(METRIC_API_GOOD));
	}
}

static void status_due(void *owner)
{
	struct health *health = owner;
	char line[HEALTH_LINE_MAX], receiving[HEALTH_PART_MAX], polling[HEALTH_PART_MAX];

	say_receiving(health, receiving);
	say_polling(health, polling);
	snprintf(line, sizeof(line), "STATUS=%s%s%s%s", ready(health) ? "ready" : "not ready: ",
		ready(health) ? "" : not_ready_because(health), receiving, polling);
	notify(line);
	loop_timer_start(health->status, HEALTH_STATUS_MS);
}

static bool open_admin(
	struct health *health, struct loop *loop, const char *address, struct problem *problem)
{
	static const struct exchange_events events = {
		.head_arrived = head_arrived,
		.request_arrived = request_arrived,
	};
	struct server_options options = {
		.address = address,
		.listen_fd = -1,
		.connections_max = HEALTH_CONNECTIONS_MAX,
		.body_max = HEALTH_BODY_MAX,
		.answer_ms = SERVER_ANSWER_MS,
	};

	health->server = server_new(loop, &options, &events, health, problem);
	return health->server != NULL;
}

struct health *health_new(struct loop *loop, const struct batch *batch,
	const struct reconcile *reconcile, const struct health_options *options,
	struct problem *problem)
{
	struct health *health = memory_new(sizeof(*health));

	assert(batch || reconcile);
	health->batch = batch;
	health->reconcile = reconcile;
	health->watchdog = loop_timer_new(loop, watchdog_due, health);
	health->status = loop_timer_new(loop, status_due, health);
	health->watchdog_ms = notify_watchdog_ms();
	if (options->address && options->address[0] &&
		!open_admin(health, loop, options->address, problem)) {
		health_free(health);
		return NULL;
	}
	if (health->watchdog_ms > 0) {
		watchdog_due(health);
	}
	return health;
}

void health_free(struct health *health)
{
	if (!health) {
		return;
	}
	server_free(health->server);
	loop_timer_free(health->watchdog);
	loop_timer_free(health->status);
	free(health);
}

const char *health_address(const struct health *health)
{
	return health->server ? server_address(health->server) : "";
}

void health_ready(struct health *health)
{
	notify("READY=1");
	status_due(health);
}

void health_reloading(struct health *health)
{
	(void)health;
	notify("RELOADING=1");
}

void health_stopping(struct health *health)
{
	health->stopping = true;
	notify("STOPPING=1");
	status_due(health);
}
