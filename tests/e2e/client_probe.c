/* client_probe - send requests with http/client and say what became of each, one JSON object a
 *line.
 *
 *	client_probe URL CA_FILE|- [OPTION VALUE]...
 *
 *	method, target, body, field NAME=VALUE
 *	deadline MS     for each request
 *	count N         requests, each sent from the callback of the one before
 *	pause MS        wait between them
 *	block MS        let the whole loop stand still between them
 *	abandon MS      free the client then, in the middle
 */
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/die.h"
#include "http/client.h"

static struct loop *loop;
static struct client *client;
static struct client_request request = { .method = "GET", .target = "" };
static struct loop_timer *pause_timer;
static int64_t pause_ms;
static int64_t block_ms;
static int64_t abandon_ms;
static int64_t started_ms;
static int left = 1;

static const char *const ends[] = {
	[CLIENT_ANSWERED] = "answered",
	[CLIENT_UNREACHABLE] = "unreachable",
	[CLIENT_DROPPED] = "dropped",
	[CLIENT_UNTRUSTED] = "untrusted",
	[CLIENT_BROKEN] = "broken",
	[CLIENT_LATE] = "late",
};

static void send_next(void *owner);

static void print_answer(const struct client_answer *answer)
{
	struct text shown = text_cut_utf8(answer->body, 200);
	struct text retry = client_answer_field(answer, "retry-AFTER");
	struct text location = client_answer_field(answer, "Location");
	json_t *line = json_pack("{s:s, s:b, s:i, s:I, s:s%, s:s, s:s%, s:s%, s:I}", "end",
		ends[answer->end], "sent", answer->sent, "status", (int)answer->status, "length",
		(json_int_t)answer->body.len, "body", shown.ptr ? shown.ptr : "", shown.len,
		"problem", answer->problem, "retry_after", retry.ptr, retry.len, "location",
		location.ptr, location.len, "ms", (json_int_t)(clock_mono_ms() - started_ms));

	if (!line || json_dumpf(line, stdout, JSON_COMPACT) != 0) {
		die("cannot say what was answered");
	}
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static void answered(void *tag, const struct client_answer *answer)
{
	if (tag != &request) {
		die("another's tag came back");
	}
	print_answer(answer);
	if (--left == 0) {
		client_free(client); /* the hardest place: inside its own callback */
		client = NULL;
		loop_stop(loop);
	} else if (block_ms > 0) {
		poll(NULL, 0, (int)block_ms);
		send_next(NULL);
	} else if (pause_ms > 0) {
		loop_timer_start(pause_timer, pause_ms);
	} else {
		send_next(NULL);
	}
}

static void send_next(void *owner)
{
	(void)owner;
	started_ms = clock_mono_ms();
	if (!client_send(client, &request, answered, &request)) {
		die("the client says that it is busy");
	}
	if (client_send(client, &request, answered, NULL)) {
		die("the client takes a second request while one runs");
	}
}

static void stop(void *owner)
{
	(void)owner;
	loop_stop(loop);
}

/* The loop goes on for a moment: whatever was left behind would fire now. */
static void abandon(void *owner)
{
	(void)owner;
	client_free(client);
	client = NULL;
	puts("{\"end\":\"abandoned\"}");
	loop_timer_free(pause_timer);
	pause_timer = loop_timer_new(loop, stop, NULL);
	loop_timer_start(pause_timer, 100);
}

static void add_field(char *pair)
{
	size_t i = 0;
	char *equals = strchr(pair, '=');

	while (i < CLIENT_FIELDS_MAX && request.fields[i].name) {
		i++;
	}
	if (i == CLIENT_FIELDS_MAX || !equals) {
		die("field NAME=VALUE, at most %d", CLIENT_FIELDS_MAX);
	}
	*equals = '\0';
	request.fields[i] = (struct client_field){ pair, equals + 1 };
}

static void take_option(const char *name, char *value)
{
	int64_t number = strtoll(value, NULL, 10);

	if (strcmp(name, "method") == 0) {
		request.method = value;
	} else if (strcmp(name, "target") == 0) {
		request.target = value;
	} else if (strcmp(name, "body") == 0) {
		request.body = text_of(value);
	} else if (strcmp(name, "field") == 0) {
		add_field(value);
	} else if (strcmp(name, "deadline") == 0) {
		request.deadline_ms = number;
	} else if (strcmp(name, "count") == 0) {
		left = (int)number;
	} else if (strcmp(name, "pause") == 0) {
		pause_ms = number;
	} else if (strcmp(name, "block") == 0) {
		block_ms = number;
	} else if (strcmp(name, "abandon") == 0) {
		abandon_ms = number;
	} else {
		die("no such option: %s", name);
	}
}

int main(int argc, char **argv)
{
	struct problem problem;

	if (argc < 3) {
		die("client_probe URL CA_FILE|- [OPTION VALUE]...");
	}
	for (int i = 3; i + 1 < argc; i += 2) {
		take_option(argv[i], argv[i + 1]);
	}
	loop = loop_new();
	client = client_new(loop, argv[1], strcmp(argv[2], "-") == 0 ? NULL : argv[2], &problem);
	if (!client) {
		printf("{\"end\":\"refused\",\"problem\":\"%s\"}\n", problem.text);
		loop_free(loop);
		return 0;
	}

	struct loop_timer *abandonment = loop_timer_new(loop, abandon, NULL);

	if (abandon_ms > 0) {
		loop_timer_start(abandonment, abandon_ms);
	}
	pause_timer = loop_timer_new(loop, send_next, NULL);
	send_next(NULL);
	loop_run(loop);
	loop_timer_free(abandonment);
	loop_timer_free(pause_timer);
	loop_free(loop);
	return 0;
}
