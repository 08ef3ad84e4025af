/* metrics.h - counters, gauges and histograms, rendered as Prometheus text format 0.0.4.
 *
 * One table (metrics.c) names them all; the manual lists the same names and a test compares. No
 * label ever carries anything a peer wrote.
 */
#pragma once

#include "base/text.h"

/* One line for each time series; the table in metrics.c gives name, labels, kind and help. */
enum metric {
	METRIC_DELIVERIES_APPLIED, /* orderd_deliveries_total{outcome="applied"} */
	METRIC_DELIVERIES_DUPLICATE,
	METRIC_DELIVERIES_RECORDED,
	METRIC_DELIVERIES_HELD,
	METRIC_DELIVERIES_IGNORED,
	METRIC_DELIVERIES_QUARANTINED,
	METRIC_DELIVERIES_UNSIGNED,    /* answered 401 */
	METRIC_DELIVERIES_UNAVAILABLE, /* answered 503 */
	METRIC_SIGNATURE_CURRENT,      /* orderd_signature_matches_total{secret="current"} */
	METRIC_SIGNATURE_PREVIOUS,
	METRIC_HTTP_REFUSED, /* framing, limits, deadlines, path and method */
	METRIC_CONNECTIONS_ACCEPTED,
	METRIC_CONNECTIONS_OPEN, /* gauge */
	METRIC_CONNECTIONS_EVICTED,
	METRIC_ACCEPT_PAUSES, /* out of descriptors or at max_connections */
	METRIC_BATCHES_COMMITTED,
	METRIC_BATCHES_RETRIED,    /* sent again: connection lost, unsure, busy, serialization */
	METRIC_BATCHES_ISOLATED,   /* run fact by fact because the database objected */
	METRIC_FACTS_QUEUED,       /* gauge */
	METRIC_QUEUE_REFUSED,      /* the queue was full */
	METRIC_DATABASE_CONNECTED, /* gauge: connections that are ready */
	METRIC_DATABASE_CONNECTS,
	METRIC_COMMIT_WARNINGS, /* commits the standby did not confirm */
	METRIC_API_GOOD, /* orderd_api_calls_total{end="good"}; in the order of enum torque_end */
	METRIC_API_RATE_LIMITED,
	METRIC_API_UNAUTHORIZED,
	METRIC_API_NOT_FOUND,
	METRIC_API_REFUSED,
	METRIC_API_SERVER_ERROR,
	METRIC_API_UNREACHABLE,
	METRIC_API_UNTRUSTED,
	METRIC_API_LATE,
	METRIC_API_MALFORMED,
	METRIC_API_DROPPED,
	METRIC_RECONCILE_CONNECTED, /* gauge: 1 or 0, as the next two */
	METRIC_RECONCILE_STANDBY,   /* another process polls */
	METRIC_RECONCILE_STOPPED,   /* the API refuses the key */
	METRIC_CLOCK_AHEAD_OF_API,  /* gauge: seconds, negative: behind; as the next one */
	METRIC_CLOCK_AHEAD_OF_DATABASE,
	METRIC_RECONCILE_BEHIND, /* gauge: seconds, as the database told last */
	METRIC_ALARMS_OPEN,
	METRIC_RELOADS,
	METRIC_RELOADS_REFUSED,
	METRIC_LOG_DROPPED,
	METRIC_COUNT,
};

enum metric_histogram {
	HISTOGRAM_COMMIT_SECONDS, /* orderd_commit_duration_seconds: batch sent -> committed */
	HISTOGRAM_ANSWER_SECONDS, /* orderd_answer_duration_seconds: request whole -> answered */
	HISTOGRAM_BATCH_FACTS,    /* orderd_batch_facts */
	HISTOGRAM_API_SECONDS,    /* orderd_api_call_duration_seconds */
	HISTOGRAM_COUNT,
};

void metrics_add(enum metric metric, int64_t amount);
void metrics_set(enum metric gauge, int64_t value);
int64_t metrics_get(enum metric metric);
void metrics_observe(enum metric_histogram histogram, double value);

/* orderd_odd_values_total{field="…",kind="…"}. Words of ours, which stay where they are; at most
 * METRICS_ODD_MAX different pairs. */
enum { METRICS_ODD_MAX = 128 };
void metrics_add_odd(const char *field, const char *kind);

/* The whole exposition, NUL-terminated; free() it. NULL: no memory. */
char *metrics_render(size_t *ret_len);
