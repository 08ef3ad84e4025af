/* The table of all metrics, their values, and how they are rendered. */
#include "base/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

enum kind { COUNTER, GAUGE };

/* Series of one name stand together: HELP and TYPE are said once for each name. */
static const struct {
	const char *name;
	const char *labels; /* as exposed, without the braces; NULL = none */
	const char *help;
	enum kind kind;
} series[METRIC_COUNT] = {
	[METRIC_DELIVERIES_APPLIED] = { "orderd_deliveries_total", "outcome=\"applied\"",
		"Deliveries answered, by what became of them.", COUNTER },
	[METRIC_DELIVERIES_DUPLICATE] = { "orderd_deliveries_total", "outcome=\"duplicate\"", NULL,
		COUNTER },
	[METRIC_DELIVERIES_RECORDED] = { "orderd_deliveries_total", "outcome=\"recorded\"", NULL,
		COUNTER },
	[METRIC_DELIVERIES_HELD] = { "orderd_deliveries_total", "outcome=\"held\"", NULL, COUNTER },
	[METRIC_DELIVERIES_IGNORED] = { "orderd_deliveries_total", "outcome=\"ignored\"", NULL,
		COUNTER },
	[METRIC_DELIVERIES_QUARANTINED] = { "orderd_deliveries_total", "outcome=\"quarantined\"",
		NULL, COUNTER },
	[METRIC_DELIVERIES_UNSIGNED] = { "orderd_deliveries_total", "outcome=\"unsigned\"", NULL,
		COUNTER },
	[METRIC_DELIVERIES_UNAVAILABLE] = { "orderd_deliveries_total", "outcome=\"unavailable\"",
		NULL, COUNTER },
	[METRIC_SIGNATURE_CURRENT] = { "orderd_signature_matches_total", "secret=\"current\"",
		"Genuine signatures, by the secret that made them.", COUNTER },
	[METRIC_SIGNATURE_PREVIOUS] = { "orderd_signature_matches_total", "secret=\"previous\"",
		NULL, COUNTER },
	[METRIC_HTTP_REFUSED] = { "orderd_http_refused_total", NULL,
		"Requests refused for framing, limits, deadlines, path or method.", COUNTER },
	[METRIC_CONNECTIONS_ACCEPTED] = { "orderd_connections_accepted_total", NULL,
		"Connections accepted.", COUNTER },
	[METRIC_CONNECTIONS_OPEN] = { "orderd_connections_open", NULL, "Connections open now.",
		GAUGE },
	[METRIC_CONNECTIONS_EVICTED] = { "orderd_connections_evicted_total", NULL,
		"Connections outside of a request that were closed to make room.", COUNTER },
	[METRIC_ACCEPT_PAUSES] = { "orderd_accept_pauses_total", NULL,
		"Pauses of accepting: no descriptors, or max_connections reached.", COUNTER },
	[METRIC_BATCHES_COMMITTED] = { "orderd_batches_committed_total", NULL,
		"Transactions of facts that committed.", COUNTER },
	[METRIC_BATCHES_RETRIED] = { "orderd_batches_retried_total", NULL,
		"Batches sent again: connection lost, outcome unknown, busy or serialization.",
		COUNTER },
	[METRIC_BATCHES_ISOLATED] = { "orderd_batches_isolated_total", NULL,
		"Batches run fact by fact because the database objected to one.", COUNTER },
	[METRIC_FACTS_QUEUED] = { "orderd_facts_queued", NULL,
		"Facts that wait for their commit now.", GAUGE },
	[METRIC_QUEUE_REFUSED] = { "orderd_queue_refused_total", NULL,
		"Requests answered 503 because the queue was full.", COUNTER },
	[METRIC_DATABASE_CONNECTED] = { "orderd_database_connections", NULL,
		"Database connections that are ready now.", GAUGE },
	[METRIC_DATABASE_CONNECTS] = { "orderd_database_connects_total", NULL,
		"Database connections made.", COUNTER },
	[METRIC_COMMIT_WARNINGS] = { "orderd_commit_warnings_total", NULL,
		"Commits that the synchronous standby did not confirm.", COUNTER },
	[METRIC_API_GOOD] = { "orderd_api_calls_total", "end=\"good\"",
		"Calls to the Checkout API, by how they ended.", COUNTER },
	[METRIC_API_RATE_LIMITED] = { "orderd_api_calls_total", "end=\"rate_limited\"", NULL,
		COUNTER },
	[METRIC_API_UNAUTHORIZED] = { "orderd_api_calls_total", "end=\"unauthorized\"", NULL,
		COUNTER },
	[METRIC_API_NOT_FOUND] = { "orderd_api_calls_total", "end=\"not_found\"", NULL, COUNTER },
	[METRIC_API_REFUSED] = { "orderd_api_calls_total", "end=\"refused\"", NULL, COUNTER },
	[METRIC_API_SERVER_ERROR] = { "orderd_api_calls_total", "end=\"server_error\"", NULL,
		COUNTER },
	[METRIC_API_UNREACHABLE] = { "orderd_api_calls_total", "end=\"unreachable\"", NULL,
		COUNTER },
	[METRIC_API_UNTRUSTED] = { "orderd_api_calls_total", "end=\"untrusted\"", NULL, COUNTER },
	[METRIC_API_LATE] = { "orderd_api_calls_total", "end=\"late\"", NULL, COUNTER },
	[METRIC_API_MALFORMED] = { "orderd_api_calls_total", "end=\"malformed\"", NULL, COUNTER },
	[METRIC_API_DROPPED] = { "orderd_api_calls_total", "end=\"dropped\"", NULL, COUNTER },
	[METRIC_RECONCILE_CONNECTED] = { "orderd_reconcile_connected", NULL,
		"Whether the poller's database connection is ready.", GAUGE },
	[METRIC_RECONCILE_STANDBY] = { "orderd_reconcile_standby", NULL,
		"Whether another process polls, and this one waits to take over.", GAUGE },
	[METRIC_RECONCILE_STOPPED] = { "orderd_reconcile_stopped", NULL,
		"Whether polling has stopped because the API refuses the key.", GAUGE },
	[METRIC_CLOCK_AHEAD_OF_API] = { "orderd_clock_ahead_seconds", "of=\"api\"",
		"By how much the clock of this host is ahead of another's; negative: behind.",
		GAUGE },
	[METRIC_CLOCK_AHEAD_OF_DATABASE] = { "orderd_clock_ahead_seconds", "of=\"database\"", NULL,
		GAUGE },
	[METRIC_RECONCILE_BEHIND] = { "orderd_reconcile_behind_seconds", NULL,
		"For how long nothing has said that all of the newest orders are here.", GAUGE },
	[METRIC_ALARMS_OPEN] = { "orderd_alarms_open", NULL,
		"Kinds of alarms in torque.reconcile_alarm that are not over.", GAUGE },
	[METRIC_RELOADS] = { "orderd_reloads_total", NULL, "Reloads of the configuration applied.",
		COUNTER },
	[METRIC_RELOADS_REFUSED] = { "orderd_reloads_refused_total", NULL,
		"Reloads of the configuration refused for a fault in it.", COUNTER },
	[METRIC_LOG_DROPPED] = { "orderd_log_lines_dropped_total", NULL,
		"Lines of the log that nobody took.", COUNTER },
};

enum { BUCKETS_MAX = 14 };

/* Upper bounds ascend; 0 ends them. "+Inf" is added. */
static const struct {
	const char *name;
	const char *help;
	double bounds[BUCKETS_MAX + 1];
} histograms[HISTOGRAM_COUNT] = {
	[HISTOGRAM_COMMIT_SECONDS] = { "orderd_commit_duration_seconds",
		"From a batch sent to its commit confirmed.",
		{ 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5 } },
	[HISTOGRAM_ANSWER_SECONDS] = { "orderd_answer_duration_seconds",
		"From a delivery whole to its answer.",
		{ 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 2.5 } },
	[HISTOGRAM_BATCH_FACTS] = { "orderd_batch_facts", "Facts in one transaction.",
		{ 1, 2, 4, 8, 16, 32, 64, 128, 256 } },
	[HISTOGRAM_API_SECONDS] = { "orderd_api_call_duration_seconds",
		"From a call to the Checkout API begun to its end.",
		{ 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30 } },
};

static int64_t values[METRIC_COUNT];

static struct {
	uint64_t buckets[BUCKETS_MAX + 1]; /* not cumulative; the last one used is +Inf */
	uint64_t count;
	double sum;
} observed[HISTOGRAM_COUNT];

/* By its words: the fields are not known down here. */
static struct {
	const char *field;
	const char *kind;
	int64_t count;
} odd[METRICS_ODD_MAX]; /* up to the first without a field */

void metrics_add_odd(const char *field, const char *kind)
{
	size_t i = 0;

	while (i < METRICS_ODD_MAX && odd[i].field &&
		(strcmp(odd[i].field, field) != 0 || strcmp(odd[i].kind, kind) != 0)) {
		i++;
	}
	assert(i < METRICS_ODD_MAX);
	odd[i].field = field;
	odd[i].kind = kind;
	odd[i].count++;
}

void metrics_add(enum metric metric, int64_t amount)
{
	assert(metric < METRIC_COUNT);
	assert(series[metric].kind == GAUGE || amount >= 0);
	values[metric] += amount;
}

void metrics_set(enum metric gauge, int64_t value)
{
	assert(gauge < METRIC_COUNT && series[gauge].kind == GAUGE);
	values[gauge] = value;
}

int64_t metrics_get(enum metric metric)
{
	assert(metric < METRIC_COUNT);
	return values[metric];
}

void metrics_observe(enum metric_histogram histogram, double value)
{
	size_t i = 0;

	assert(histogram < HISTOGRAM_COUNT);
	while (histograms[histogram].bounds[i] > 0 && value > histograms[histogram].bounds[i]) {
		i++;
	}
	observed[histogram].buckets[i]++;
	observed[histogram].count++;
	observed[histogram].sum += value;
}

static void render_head(FILE *out, const char *name, const char *help, const char *type)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void render_series(FILE *out, enum metric metric)
{
	const char *labels = series[metric].labels;

	if (series[metric].help) {
		render_head(out, series[metric].name, series[metric].help,
			series[metric].kind == COUNTER ? "counter" : "gauge");
	}
	if (labels) {
		fprintf(out, "%s{%s} %lld\n", series[metric].name, labels,
			(long long)values[metric]);
	} else {
		fprintf(out, "%s %lld\n", series[metric].name, (long long)values[metric]);
	}
}

static void render_odd(FILE *out)
{
	static const char name[] = "orderd_odd_values_total";

	render_head(out, name, "Values of what was read that were at fault or assumed.", "counter");
	for (size_t i = 0; i < METRICS_ODD_MAX && odd[i].field; i++) {
		fprintf(out, "%s{field=\"%s\",kind=\"%s\"} %lld\n", name, odd[i].field, odd[i].kind,
			(long long)odd[i].count);
	}
}

static void render_histogram(FILE *out, enum metric_histogram histogram)
{
	const char *name = histograms[histogram].name;
	uint64_t below = 0;

	render_head(out, name, histograms[histogram].help, "histogram");
	for (size_t i = 0; histograms[histogram].bounds[i] > 0; i++) {
		below += observed[histogram].buckets[i];
		fprintf(out, "%s_bucket{le=\"%g\"} %llu\n", name, histograms[histogram].bounds[i],
			(unsigned long long)below);
	}
	fprintf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name,
		(unsigned long long)observed[histogram].count);
	fprintf(out, "%s_sum %.9g\n%s_count %llu\n", name, observed[histogram].sum, name,
		(unsigned long long)observed[histogram].count);
}

char *metrics_render(size_t *ret_len)
{
	char *rendered = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&rendered, &len);

	if (!out) {
		return NULL;
	}
	values[METRIC_LOG_DROPPED] = log_dropped();
	for (enum metric i = 0; i < METRIC_COUNT; i++) {
		render_series(out, i);
	}
	render_odd(out);
	for (enum metric_histogram i = 0; i < HISTOGRAM_COUNT; i++) {
		render_histogram(out, i);
	}

	bool complete = !ferror(out);

	if (fclose(out) != 0 || !complete) {
		free(rendered);
		return NULL;
	}
	*ret_len = len;
	return rendered;
}
