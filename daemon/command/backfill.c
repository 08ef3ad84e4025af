/* database_ready -> job_begun -> tick -> progress_arrived -> ... -> over. Read downwards.
 *
 * The job is in the database, and whoever polls carries it on: this process, or the service, which
 * then leaves nothing to do here but to look on.
 */
#include "command/backfill.h"

#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/stamp.h"
#include "command/option.h"
#include "command/print.h"
#include "settings/options.h"

enum {
	BACKFILL_NUMBER_MAX = 24,
	BACKFILL_TICK_MS = 500,
	BACKFILL_LINE_MS = 10000, /* between two lines when stderr is no terminal */
	BACKFILL_BAR = 24,
	BACKFILL_LEFT_MAX = 80,
	BACKFILL_WAITS_MAX = 96,
};

/* Nothing is older, and a little before it is still a time that can be asked for. */
static const char oldest[] = "2000-01-02T00:00:00Z";

#define LOOK                                                                                       \
	"select b.state, b.pages, b.orders, coalesce(b.orders_expected, 0), b.repaired, "          \
	"s.calls_last_minute, case when b.details then s.lookups_due else 0 end, s.is_stopped, "   \
	"torque.backfill_waits_for(b.job_id) "                                                     \
	"from torque.backfill_progress b cross join torque.stat_reconcile s where b.job_id = "     \
	"$1::bigint"

/* The columns of that, in their order. */
enum state_column {
	STATE_WORD,
	STATE_PAGES,
	STATE_ORDERS,
	STATE_EXPECTED,
	STATE_REPAIRED,
	STATE_CALLS,
	STATE_LOOKUPS,
	STATE_STOPPED,
	STATE_WAITS_FOR,
	STATE_COLUMNS,
};

/* How far it is. */
struct progress {
	char word[BACKFILL_NUMBER_MAX]; /* running, done, incomplete or cancelled */
	int64_t numbers[STATE_COLUMNS];
	bool stopped;                       /* the API refuses the key */
	char waits_for[BACKFILL_WAITS_MAX]; /* "": nothing */
};

struct backfill {
	const struct command *command;
	struct loop *loop;
	struct store *store;         /* for the job; the poller has its own */
	struct torque *torque;       /* until the poller takes it */
	struct reconcile *reconcile; /* NULL: there is no job yet */
	struct loop_timer *tick;
	struct loop_signal *signals[2];
	char setup[SCHEDULE_SETUP_MAX];   /* of the job's session, which knows the budget, too */
	char job_id[BACKFILL_NUMBER_MAX]; /* "" = not known yet */
	char from[STAMP_TEXT_MAX], to[STAMP_TEXT_MAX];
	struct progress progress;
	int64_t began_ms, line_ms; /* monotonic */
	int64_t done_before;       /* orders and lookups that were done when we began */
	bool terminal;
	bool leaving; /* a signal came: the job is to be left where it is */
	int code;
};

static void over(struct backfill *backfill, int code)
{
	backfill->code = code;
	loop_stop(backfill->loop);
}

static void end_line(const struct backfill *backfill)
{
	fputs(backfill->terminal ? "\r\033[K" : "", stderr);
}

/* The statement failed: not by its own fault where the connection went, then it runs again. */
static bool refused(struct backfill *backfill, const struct store_result *result)
{
	if (result->end == STORE_COMMITTED) {
		return false;
	}
	if (result->end == STORE_REFUSED) {
		end_line(backfill);
		fprintf(stderr, "orderd: %.*s\n", (int)result->message.len, result->message.ptr);
		over(backfill, verb_database_code(result->sqlstate));
	}
	return true;
}

/* The job. */

static struct store_param param(const char *value)
{
	return (struct store_param){ .bytes = value, .len = strlen(value) };
}

static void job_begun(void *tag, const struct store_result *result);
static void progress_arrived(void *tag, const struct store_result *result);
static void job_left(void *tag, const struct store_result *result);

static bool begin(struct backfill *backfill)
{
	const char *job = verb_value(backfill->command, "job");
	const struct store_call start = {
		.statement = "select torque.backfill_start($1::timestamptz, $2::timestamptz, "
			     "$3::boolean)",
		.param_count = 3,
		.params = { param(backfill->from), param(backfill->to),
			param(verb_has(backfill->command, "details") ? "true" : "false") },
	};
	const struct store_call resume = {
		.statement = "select case when torque.backfill_resume($1::bigint) then $1 end",
		.param_count = 1,
		.params = { param(job ? job : "") },
	};

	return store_run(backfill->store, job ? &resume : &start, 1, job_begun, backfill);
}

/* The timer, and every new connection: whatever is to be said to the database next. */
static void database_ready(void *owner)
{
	struct backfill *backfill = owner;
	const struct store_call look = {
		.statement = LOOK,
		.param_count = 1,
		.params = { param(backfill->job_id) },
	};
	const struct store_call leave = {
		.statement = "select torque.backfill_cancel($1::bigint)",
		.param_count = 1,
		.params = { param(backfill->job_id) },
	};

	if (!store_ready(backfill->store)) {
		return; /* it is told when it is, or is busy with our question */
	}
	if (backfill->leaving) {
		store_run(backfill->store, &leave, 1, job_left, backfill);
	} else if (backfill->job_id[0] == '\0') {
		begin(backfill);
	} else {
		store_run(backfill->store, &look, 1, progress_arrived, backfill);
	}
}

static void database_connect_failed(void *owner)
{
	struct backfill *backfill = owner;

	end_line(backfill);
	fprintf(stderr, "orderd: %s\n", store_problem(backfill->store));
	if (backfill->job_id[0] == '\0') {
		over(backfill, EX_UNAVAILABLE);
	}
}

static void database_lost(void *owner)
{
	(void)owner; /* it is connected again, and asked again */
}

static void job_begun(void *tag, const struct store_result *result)
{
	struct backfill *backfill = tag;
	struct reconcile_options options = options_reconcile(backfill->command->settings);

	if (refused(backfill, result)) {
		return;
	}
	if (result->value.len == 0 || result->value.len >= sizeof(backfill->job_id)) {
		fprintf(stderr, "orderd: there is no such job, or it is done\n");
		over(backfill, EX_DATAERR);
		return;
	}
	memcpy(backfill->job_id, result->value.ptr, result->value.len);
	backfill->began_ms = clock_mono_ms();
	backfill->done_before = -1;
	fprintf(stderr, "orderd: job %s; ^C leaves it so that it can be taken up again\n",
		backfill->job_id);
	options.store.application_name = "orderd backfill";
	backfill->reconcile = reconcile_new(backfill->loop, &options, backfill->torque);
	backfill->torque = NULL;
	loop_timer_start(backfill->tick, 0); /* what is done before it goes on is not its pace */
}

/* How far it is. */

static void copy_column(struct text column, size_t size, char *out)
{
	snprintf(out, size, "%.*s", (int)column.len, column.len > 0 ? column.ptr : "");
}

static bool read_progress(const struct store_result *result, struct progress *ret_progress)
{
	struct progress progress = { .stopped = false };

	if (result->column_count != STATE_COLUMNS || result->columns[STATE_WORD].len == 0) {
		return false;
	}
	copy_column(result->columns[STATE_WORD], sizeof(progress.word), progress.word);
	for (unsigned i = STATE_PAGES; i < STATE_STOPPED; i++) {
		uint64_t number;

		if (!text_to_u64(result->columns[i], &number) || number > INT64_MAX) {
			return false;
		}
		progress.numbers[i] = (int64_t)number;
	}
	/* A stop that we have not met ourselves is that of the process which polls, if that is
	 * another. */
	progress.stopped = metrics_get(METRIC_RECONCILE_STOPPED) ||
			   (metrics_get(METRIC_RECONCILE_STANDBY) &&
				   text_equal(result->columns[STATE_STOPPED], TEXT("t")));
	copy_column(
		result->columns[STATE_WAITS_FOR], sizeof(progress.waits_for), progress.waits_for);
	*ret_progress = progress;
	return true;
}

static int64_t done_of(const struct progress *progress)
{
	return progress->numbers[STATE_ORDERS] - progress->numbers[STATE_LOOKUPS];
}

/* Orders of the list count once, and once more for their lookup. */
static int64_t left_of(const struct progress *progress)
{
	return progress->numbers[STATE_EXPECTED] - progress->numbers[STATE_ORDERS] +
	       progress->numbers[STATE_LOOKUPS];
}

/* At the pace since we began; "" before there is one. */
static void say_left(const struct backfill *backfill, char out[BACKFILL_LEFT_MAX])
{
	int64_t done = done_of(&backfill->progress) - backfill->done_before;
	int64_t took_s = (clock_mono_ms() - backfill->began_ms) / 1000;

	out[0] = '\0';
	if (done > 0 && took_s > 0) {
		int64_t left_s = left_of(&backfill->progress) * took_s / done;
		bool seconds = left_s < 100;

		snprintf(out, BACKFILL_LEFT_MAX,
			", %" PRId64 " orders/min, about %" PRId64 " %s left", done * 60 / took_s,
			seconds ? left_s : (left_s + 59) / 60, seconds ? "s" : "min");
	}
}

static void draw_bar(const struct progress *progress)
{
	int64_t all = progress->numbers[STATE_EXPECTED] > 0 ? progress->numbers[STATE_EXPECTED] : 1;
	int64_t full = progress->numbers[STATE_ORDERS] * BACKFILL_BAR / all;

	fputs("\r[", stderr);
	for (int64_t i = 0; i < BACKFILL_BAR; i++) {
		fputc(i < full ? '#' : '.', stderr);
	}
	fputs("] ", stderr);
}

static void say_progress(struct backfill *backfill)
{
	const int64_t *numbers = backfill->progress.numbers;
	const char *problem = reconcile_problem(backfill->reconcile);
	const char *waits_for = backfill->progress.waits_for;
	int64_t now_ms = clock_mono_ms();
	char left[BACKFILL_LEFT_MAX];

	if (!backfill->terminal && now_ms - backfill->line_ms < BACKFILL_LINE_MS) {
		return;
	}
	backfill->line_ms = now_ms;
	say_left(backfill, left);
	if (backfill->terminal) {
		draw_bar(&backfill->progress);
	} else {
		fputs("orderd: ", stderr);
	}
	fprintf(stderr,
		"%" PRId64 " pages, %" PRId64 " of %" PRId64 " orders, %" PRId64
		" repaired, %" PRId64 " calls/min%s%s%s%s%.60s",
		numbers[STATE_PAGES], numbers[STATE_ORDERS], numbers[STATE_EXPECTED],
		numbers[STATE_REPAIRED], numbers[STATE_CALLS], left,
		waits_for[0] ? "; waits for " : "", waits_for, problem[0] ? "; " : "", problem);
	fputs(backfill->terminal ? "\033[K" : "\n", stderr);
}

static void print_result(const struct backfill *backfill)
{
	const struct progress *progress = &backfill->progress;

	if (verb_has(backfill->command, "json")) {
		print_packed(PRINT_LINE, "{s:s, s:s, s:I, s:I, s:I}", "job", backfill->job_id,
			"state", progress->word, "pages",
			(json_int_t)progress->numbers[STATE_PAGES], "orders",
			(json_int_t)progress->numbers[STATE_ORDERS], "repaired",
			(json_int_t)progress->numbers[STATE_REPAIRED]);
	} else {
		printf("job: %s\nstate: %s\npages: %" PRId64 "\norders: %" PRId64
		       "\nrepaired: %" PRId64 "\n",
			backfill->job_id, progress->word, progress->numbers[STATE_PAGES],
			progress->numbers[STATE_ORDERS], progress->numbers[STATE_REPAIRED]);
	}
}

static void progress_arrived(void *tag, const struct store_result *result)
{
	struct backfill *backfill = tag;
	const struct progress *progress = &backfill->progress;

	loop_timer_start(backfill->tick, BACKFILL_TICK_MS);
	if (refused(backfill, result)) {
		return;
	}
	if (!read_progress(result, &backfill->progress)) {
		fprintf(stderr, "orderd: the database does not tell how far the job is\n");
		over(backfill, EX_SOFTWARE);
		return;
	}
	if (backfill->done_before < 0) {
		backfill->done_before = done_of(progress);
	}
	if (strcmp(progress->word, "running") == 0 && !progress->stopped) {
		say_progress(backfill);
		return;
	}
	end_line(backfill);
	print_result(backfill);
	if (strcmp(progress->word, "done") == 0) {
		over(backfill, EX_OK);
	} else if (strcmp(progress->word, "incomplete") == 0) {
		fprintf(stderr,
			"orderd: not all of it could be verified: torque.reconcile_window says "
			"what; try again with: orderd backfill --job %s\n",
			backfill->job_id);
		over(backfill, VERB_FOUND);
	} else if (progress->stopped) {
		fprintf(stderr,
			"orderd: the API refuses the key%s%.200s; go on with: orderd backfill "
			"--job %s\n",
			reconcile_problem(backfill->reconcile)[0] ? ": " : "",
			reconcile_problem(backfill->reconcile), backfill->job_id);
		over(backfill, EX_NOPERM);
	} else {
		fprintf(stderr,
			"orderd: somebody has cancelled it; go on with: orderd backfill --job %s\n",
			backfill->job_id);
		over(backfill, EX_TEMPFAIL);
	}
}

/* A signal. */

static void drained(void *owner)
{
	struct backfill *backfill = owner;

	loop_stop(backfill->loop);
}

static void job_left(void *tag, const struct store_result *result)
{
	struct backfill *backfill = tag;

	if (refused(backfill, result)) {
		return;
	}
	end_line(backfill);
	fprintf(stderr, "orderd: left where it is; go on with: orderd backfill --job %s\n",
		backfill->job_id);
	reconcile_drain(backfill->reconcile, drained, backfill);
}

static void asked_to_leave(void *owner)
{
	struct backfill *backfill = owner;

	if (backfill->leaving || backfill->job_id[0] == '\0') {
		over(backfill, EX_TEMPFAIL);
		return;
	}
	backfill->leaving = true;
	backfill->code = EX_TEMPFAIL;
	database_ready(backfill);
}

/* Start and end. */

static int walk(struct backfill *backfill)
{
	static const struct store_events events = {
		.connected = database_ready,
		.disconnected = database_lost,
		.connect_failed = database_connect_failed,
	};
	struct reconcile_options options = options_reconcile(backfill->command->settings);

	backfill->tick = loop_timer_new(backfill->loop, database_ready, backfill);
	backfill->signals[0] = loop_signal_new(backfill->loop, SIGINT, asked_to_leave, backfill);
	backfill->signals[1] = loop_signal_new(backfill->loop, SIGTERM, asked_to_leave, backfill);
	options.store.application_name = "orderd backfill job";
	options.store.quiet = true;
	schedule_setup(&options.schedule, backfill->setup);
	options.store.setup = backfill->setup;
	backfill->store = store_new(backfill->loop, &options.store, &events, backfill);
	loop_run(backfill->loop);
	reconcile_free(backfill->reconcile);
	store_free(backfill->store);
	loop_signal_free(backfill->signals[0]);
	loop_signal_free(backfill->signals[1]);
	loop_timer_free(backfill->tick);
	return backfill->code;
}

static int walk_with_key(struct backfill *backfill)
{
	struct faults faults = { .count = 0 };
	int code = EX_CONFIG;

	backfill->loop = loop_new();
	backfill->torque = options_torque(backfill->loop, backfill->command->config, &faults);
	fault_print(&faults, stderr);
	fault_fini(&faults);
	if (backfill->torque) {
		code = walk(backfill);
	}
	torque_free(backfill->torque);
	loop_free(backfill->loop);
	return code;
}

static int read_span(const struct command *command, struct backfill *backfill)
{
	int64_t from_us = 0, to_us = clock_wall_us();
	bool has_from, has_to;
	int code = option_time(command, "from", &has_from, &from_us);

	if (code == EX_OK) {
		code = option_time(command, "to", &has_to, &to_us);
	}
	if (code != EX_OK) {
		return code;
	}
	if (has_from) {
		stamp_format(from_us, backfill->from);
	} else {
		snprintf(backfill->from, sizeof(backfill->from), "%s", oldest);
	}
	stamp_format(to_us, backfill->to);
	if (from_us >= to_us) {
		return verb_usage(command, "--from is a time before --to");
	}
	return EX_OK;
}

static int read_job(const struct command *command)
{
	uint64_t job = 0;
	bool has_span = verb_has(command, "from") || verb_has(command, "to") ||
			verb_has(command, "details");

	if (verb_has(command, "job") && has_span) {
		return verb_usage(command, "--job goes with neither --from nor --to nor --details");
	}
	return option_number(command, "job", 1, INT64_MAX, &job);
}

int backfill_run(const struct command *command)
{
	struct backfill backfill = {
		.command = command,
		.terminal = isatty(STDERR_FILENO) == 1,
		.code = EX_UNAVAILABLE,
	};
	int code = read_job(command);

	if (code == EX_OK) {
		code = read_span(command, &backfill);
	}
	log_setup(LOG_ERROR, LOG_AUTO);
	return code == EX_OK ? walk_with_key(&backfill) : code;
}
