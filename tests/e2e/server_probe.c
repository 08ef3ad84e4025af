/* server_probe - http/server with a trivial owner, so that it can be tested without a database.
 *
 *	server_probe [name=number]... [address=..] [listen_fd=..] [certificate=.. key=..] [any=1]
 *
 * Says "listening ADDRESS" on stdout. HUP reads the certificate again, TERM drains; at the end it
 *says how many exchanges were taken away from it: "gone COUNT".
 *
 *	/echo   200 with method, path, length and FNV-1a sum of the body
 *	/hold   is never answered by the owner
 *	/later  is answered as /echo is, after later_ms
 *	/busy   503 from the head
 *	/large  200 with 1 MiB
 * Anything else is 404, and 405 when it is not POST; with any=1 all is taken as /echo. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/die.h"
#include "base/log.h"
#include "base/memory.h"
#include "http/server.h"

enum { LATER_MS = 50, LARGE_BYTES = 1048576, ECHO_MAX = 2600 };

struct held {
	LIST_ENTRY(held) entry;
	struct probe *probe;
	struct exchange *exchange;
	const struct http_request *request;
	struct loop_timer *timer; /* NULL: until somebody takes it away */
};

struct probe {
	struct loop *loop;
	struct server *server;
	bool any;
	int64_t later_ms;
	LIST_HEAD(, held) held;
	size_t gone;
};

static void drop(struct held *held)
{
	LIST_REMOVE(held, entry);
	loop_timer_free(held->timer);
	free(held);
}

static void echo(struct exchange *exchange, const struct http_request *request)
{
	struct text method = request->method, path = request->path, body = request->body;
	char out[ECHO_MAX];
	uint32_t sum = 2166136261u;
	struct answer answer = { .status = 200 };

	for (size_t i = 0; i < body.len; i++) {
		sum = (sum ^ (unsigned char)body.ptr[i]) * 16777619u;
	}
	/* A target may hold quotes: those are for the reader of this to undo. */
	answer.body.len = (size_t)snprintf(out, sizeof(out), "%.*s %.*s %zu %" PRIu32 "\n",
		(int)method.len, method.ptr, (int)path.len, path.ptr, body.len, sum);
	answer.body.ptr = out;
	answer.content_type = "text/plain";
	exchange_answer(exchange, &answer);
}

static void answer_large(struct exchange *exchange)
{
	char *bytes = memory_new(LARGE_BYTES);
	struct answer answer = { .status = 200, .body = { bytes, LARGE_BYTES } };

	memset(bytes, 'x', LARGE_BYTES);
	exchange_answer(exchange, &answer);
	free(bytes);
}

static bool is_path(const struct http_request *request, const char *path)
{
	return text_equal(request->path, text_of(path));
}

static unsigned head_arrived(void *owner, const struct http_request *request, struct answer *answer)
{
	static const char *const paths[] = { "/echo", "/hold", "/later", "/busy", "/large", "*" };
	const struct probe *probe = owner;
	bool known = probe->any || text_equal(request->method, TEXT("CONNECT"));

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		known = known || is_path(request, paths[i]);
	}
	if (!known) {
		return 404;
	}
	if (!probe->any && !text_equal(request->method, TEXT("POST"))) {
		answer->allow = "POST";
		return 405;
	}
	if (is_path(request, "/busy")) {
		answer->retry_after_s = 1;
		return 503;
	}
	return 0;
}

static void later_due(void *owner)
{
	struct held *held = owner;

	echo(held->exchange, held->request);
	drop(held);
}

static void hold(struct probe *probe, struct exchange *exchange, const struct http_request *request)
{
	struct held *held = memory_new(sizeof(*held));

	held->probe = probe;
	held->exchange = exchange;
	held->request = request;
	LIST_INSERT_HEAD(&probe->held, held, entry);
	if (is_path(request, "/later")) {
		held->timer = loop_timer_new(probe->loop, later_due, held);
		loop_timer_start(held->timer, probe->later_ms);
	}
	exchange_hold(exchange, held);
}

static void request_arrived(
	void *owner, struct exchange *exchange, const struct http_request *request)
{
	struct probe *probe = owner;

	if (is_path(request, "/hold") || is_path(request, "/later")) {
		hold(probe, exchange, request);
	} else if (is_path(request, "/large")) {
		answer_large(exchange);
	} else {
		echo(exchange, request);
	}
}

static void exchange_gone(void *owner, void *tag)
{
	struct probe *probe = owner;

	probe->gone++;
	drop(tag);
}

static void drained(void *owner)
{
	struct probe *probe = owner;

	loop_stop(probe->loop);
}

static void terminate(void *owner)
{
	struct probe *probe = owner;

	server_drain(probe->server, drained, probe);
}

static void reload(void *owner)
{
	struct probe *probe = owner;
	struct problem problem;

	if (!server_reload_tls(probe->server, &problem)) {
		printf("refused %s\n", problem.text);
	} else {
		puts("reloaded");
	}
	fflush(stdout);
}

/* "name=value" of the command line. */
static void set(struct server_options *options, struct probe *probe, const char *argument)
{
	const struct {
		const char *name;
		int64_t *number;
	} times[] = {
		{ "answer_ms=", &options->answer_ms },
		{ "first_ms=", &options->first_ms },
		{ "head_ms=", &options->head_ms },
		{ "body_ms=", &options->body_ms },
		{ "idle_ms=", &options->idle_ms },
		{ "handshake_ms=", &options->handshake_ms },
		{ "linger_ms=", &options->linger_ms },
		{ "later_ms=", &probe->later_ms },
	};
	const char *value = strchr(argument, '=');

	if (!value) {
		die("%s has no value", argument);
	}
	value++;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		if (strncmp(argument, times[i].name, (size_t)(value - argument)) == 0) {
			*times[i].number = strtoll(value, NULL, 10);
			return;
		}
	}
	if (strncmp(argument, "address=", 8) == 0) {
		options->address = value;
	} else if (strncmp(argument, "certificate=", 12) == 0) {
		options->tls_certificate = value;
	} else if (strncmp(argument, "key=", 4) == 0) {
		options->tls_key = value;
	} else if (strncmp(argument, "listen_fd=", 10) == 0) {
		options->listen_fd = (int)strtol(value, NULL, 10);
	} else if (strncmp(argument, "connections=", 12) == 0) {
		options->connections_max = strtoul(value, NULL, 10);
	} else if (strncmp(argument, "body=", 5) == 0) {
		options->body_max = strtoul(value, NULL, 10);
	} else if (strncmp(argument, "bodies=", 7) == 0) {
		options->bodies_max = strtoul(value, NULL, 10);
	} else if (strncmp(argument, "handshakes=", 11) == 0) {
		options->handshakes_max = strtoul(value, NULL, 10);
	} else if (strncmp(argument, "any=", 4) == 0) {
		probe->any = true;
	} else {
		die("%s means nothing here", argument);
	}
}

int main(int argc, char **argv)
{
	static const struct exchange_events events = {
		.head_arrived = head_arrived,
		.request_arrived = request_arrived,
		.exchange_gone = exchange_gone,
	};
	struct server_options options = {
		.address = "127.0.0.1:0",
		.listen_fd = -1,
		.connections_max = 15000,
		.body_max = 1048576,
	};
	struct probe probe = { .later_ms = LATER_MS };
	struct problem problem;

	log_setup(LOG_DEBUG, LOG_LOGFMT);
	for (int i = 1; i < argc; i++) {
		set(&options, &probe, argv[i]);
	}
	probe.loop = loop_new();
	probe.server = server_new(probe.loop, &options, &events, &probe, &problem);
	if (!probe.server) {
		printf("refused %s\n", problem.text);
		loop_free(probe.loop);
		return 1;
	}
	struct loop_signal *term = loop_signal_new(probe.loop, SIGTERM, terminate, &probe);
	struct loop_signal *hup = loop_signal_new(probe.loop, SIGHUP, reload, &probe);

	printf("listening %s\n", server_address(probe.server));
	fflush(stdout);
	loop_run(probe.loop);
	server_free(probe.server);
	loop_signal_free(term);
	loop_signal_free(hup);
	loop_free(probe.loop);
	printf("gone %zu\n", probe.gone);
	return 0;
}
