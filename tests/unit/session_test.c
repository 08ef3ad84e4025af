#include "pg/session.h"

#include "check.h"

enum { ANSWER_MAX = 512 };

static const struct {
	const char *promise;
	enum session_step step;
	const char *answer;
	bool unsafe_allowed;
	const char *reason; /* a part of it; NULL = the server will do */
} answers[] = {
	{ "settings only have to succeed", SESSION_SETTINGS, "on", false, NULL },
	{ "a good server will do", SESSION_SERVER, "good", false, NULL },
	{ "a standby will not", SESSION_SERVER, "standby", false, "standby" },
	{ "nor a standby when fsync does not matter", SESSION_SERVER, "standby", true, "standby" },
	{ "nor a read-only server", SESSION_SERVER, "readonly", false, "read-only" },
	{ "nor one with fsync=off", SESSION_SERVER, "unsafe", false, "fsync=off" },
	{ "but where that is allowed", SESSION_SERVER, "unsafe", true, NULL },
	{ "an empty schema is too old", SESSION_SCHEMA, "0 ", false, "run orderd migrate" },
	{ "no answer is too old", SESSION_SCHEMA, "", false, "run orderd migrate" },
	{ "a version that is no number is too old", SESSION_SCHEMA, "new x", false,
		"run orderd migrate" },
	{ "a newer schema means that we are too old", SESSION_SCHEMA, "9999 x", false,
		"this orderd is too old" },
};

static const struct {
	const char *promise;
	enum session_step step;
	const char *sqlstate;
	const char *reason;
} refusals[] = {
	{ "no schema: migrate", SESSION_SCHEMA, "3F000", "there is no schema torque: run orderd" },
	{ "no function: migrate", SESSION_SCHEMA, "42883", "there is no schema torque" },
	{ "no right: who to connect as", SESSION_SCHEMA, "42501",
		"said so: run orderd migrate, and" },
	{ "a setting: the server's words", SESSION_SETTINGS, "22023", "said so" },
};

static void check_answers(void)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct problem reason = { .text = "" };
		bool fit = session_judge(answers[i].step, text_of(answers[i].answer),
			answers[i].unsafe_allowed, &reason);

		CHECK(fit == !answers[i].reason && (fit || strstr(reason.text, answers[i].reason)),
			"%s (%s)", answers[i].promise, reason.text);
	}
}

static void check_refusals(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct problem reason = { .text = "" };

		session_refused(refusals[i].step, refusals[i].sqlstate, TEXT("the server said so"),
			&reason);
		CHECK(strstr(reason.text, refusals[i].reason) != NULL, "%s (%s)",
			refusals[i].promise, reason.text);
	}
}

static void check_statements(void)
{
	static const char *const settings[] = { "synchronous_commit", "lock_timeout",
		"statement_timeout", "idle_in_transaction_session_timeout",
		"default_transaction_isolation", "client_min_messages", "search_path", "jit" };

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		CHECK(strstr(session_statement(SESSION_SETTINGS), settings[i]) != NULL,
			"each session sets %s", settings[i]);
	}
}

static void check_stale(void)
{
	static const struct {
		const char *promise;
		const char *sqlstate;
		bool raised_inside, server_is_read_only;
		bool stale;
	} cases[] = {
		{ "a plan of another result type asks for a new session", "0A000", false, false,
			true },
		{ "so do prepared statements that have gone", "26000", false, false, true },
		{ "so does a server that has become read-only", "25006", true, true, true },
		{ "a function that raises the first does not", "0A000", true, false, false },
		{ "nor one that raises the second", "26000", true, false, false },
		{ "nor one that raises the third", "25006", true, false, false },
		{ "nor does a deadlock", "40P01", false, false, false },
		{ "nor a statement that took too long", "57014", true, false, false },
		{ "nor a failure without a code", "", false, false, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(session_is_stale(cases[i].sqlstate, cases[i].raised_inside,
			      cases[i].server_is_read_only) == cases[i].stale,
			"%s", cases[i].promise);
	}
}

static void check_lines(void)
{
	static const struct {
		const char *promise;
		const char *message;
		const char *line;
	} cases[] = {
		{ "a sentence stays", "as it is", "as it is" },
		{ "spaces, tabs and newlines are one space", "a\n\tb  c", "a b c" },
		{ "at the ends there is none", " \na\n", "a" },
		{ "nothing stays nothing", "\n \n", "" },
	};
	struct problem line;
	char endless[4 * PROBLEM_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		session_one_line(&line, cases[i].message);
		CHECK(strcmp(line.text, cases[i].line) == 0, "%s (%s)", cases[i].promise,
			line.text);
	}
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	session_one_line(&line, endless);
	CHECK(strlen(line.text) > PROBLEM_MAX - 8 && strspn(line.text, "x") == strlen(line.text),
		"what is too long is cut (%zu)", strlen(line.text));
}

int main(void)
{
	check_answers();
	check_refusals();
	check_statements();
	check_stale();
	check_lines();
	return check_done();
}
