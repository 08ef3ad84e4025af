/* The verb around a migration: which one is asked for, what is printed, how it ends. */
#include "command/migrate.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "command/migration.h"
#include "command/print.h"
#include "sql.h"

static int exit_code(enum migration_end end)
{
	switch (end) {
	case MIGRATION_FINE:
		return EX_OK;
	case MIGRATION_UNREACHABLE:
		return EX_UNAVAILABLE;
	case MIGRATION_FORBIDDEN:
		return EX_NOPERM;
	case MIGRATION_BUSY:
		return EX_TEMPFAIL;
	case MIGRATION_REFUSED:
		return EX_DATAERR;
	case MIGRATION_FAILED:
		break;
	}
	return EX_SOFTWARE;
}

/* The administrator's connection; without one, the daemon's as whoever runs this. */
static struct migration_options admin_options(const struct command *command)
{
	const char *admin = verb_value(command, "admin-conninfo");

	return (struct migration_options){
		.conninfo = admin ? admin : command->settings->database.conninfo,
		.as_invoker = !admin,
		.allow_unsafe_fsync = command->settings->database.allow_unsafe_fsync,
	};
}

static const char *action_name(enum survey_action action)
{
	switch (action) {
	case SURVEY_NOTHING:
		return "nothing";
	case SURVEY_RUN:
		return "run";
	case SURVEY_REPLACE:
		break;
	}
	return "replace";
}

static json_t *files_json(const struct survey *state)
{
	json_t *list = json_array();

	for (size_t i = 0; i < state->files_count; i++) {
		const struct survey_file *file = &state->files[i];

		json_array_append_new(list, json_pack("{s:s, s:s}", "name", file->name, "action",
						    action_name(file->action)));
	}
	return list;
}

/* Those that are to be made, replaced or dropped, as print and dry run say it. */
static void each_difference(const struct survey *state,
	void (*say)(void *tag, const char *action, const char *kind, size_t kind_len,
		const char *name, size_t name_len),
	void *tag)
{
	for (size_t i = 0; sql_objects[i].kind; i++) {
		const struct sql_object *object = &sql_objects[i];

		if (state->objects[i] != SURVEY_NOTHING && strcmp(object->kind, "do") != 0) {
			say(tag, action_name(state->objects[i]), object->kind, strlen(object->kind),
				object->name, strlen(object->name));
		}
	}
	for (const char *line = state->leftovers; *line != '\0';) {
		size_t kind_len = strcspn(line, " "), len = strcspn(line, "\n");

		if (kind_len < len) {
			say(tag, "drop", line, kind_len, line + kind_len + 1, len - kind_len - 1);
		}
		line += len + (line[len] == '\n');
	}
}

static void add_difference(void *tag, const char *action, const char *kind, size_t kind_len,
	const char *name, size_t name_len)
{
	json_t *list = tag;

	json_array_append_new(list, json_pack("{s:s, s:s%, s:s%}", "action", action, "kind", kind,
					    kind_len, "name", name, name_len));
}

static void print_difference(void *tag, const char *action, const char *kind, size_t kind_len,
	const char *name, size_t name_len)
{
	(void)tag;
	printf("%s %.*s %.*s\n", action, (int)kind_len, kind, (int)name_len, name);
}

static void print_state(const struct survey *state, enum migration_end end)
{
	json_t *object = json_pack("{s:b, s:b, s:i, s:i, s:b, s:b}", "fine", end == MIGRATION_FINE,
		"installed", state->installed, "version", state->version_there, "needed",
		state->version_here, "functions_differ", state->functions_differ, "complete",
		migration_is_complete(state));

	if (state->files_known) {
		json_t *differences = json_array();

		each_difference(state, add_difference, differences);
		json_object_set_new(object, "files", files_json(state));
		json_object_set_new(object, "objects", differences);
		json_object_set_new(object, "grants_missing", json_boolean(state->grants_missing));
	}
	if (state->standing.text[0] != '\0') {
		json_object_set_new(object, "standing", json_string(state->standing.text));
	}
	if (state->problem.text[0] != '\0') {
		/* Not NUL when the server's sentence is not UTF-8: then it goes to stderr only. */
		json_object_set_new(object, "problem", json_string(state->problem.text));
	}
	print_packed(PRINT_INDENTED, "o", object);
}

static void say_problem(const struct survey *state)
{
	if (state->problem.text[0] != '\0') {
		fprintf(stderr, "orderd: %s\n", state->problem.text);
	}
}

static const char *verdict(const struct survey *state)
{
	if (!state->installed) {
		return "there is no schema torque";
	}
	if (state->version_there < state->version_here) {
		return "the schema is older than this orderd";
	}
	if (state->version_there > state->version_here) {
		return "the schema is newer than this orderd";
	}
	if (state->standing.text[0] != '\0') {
		return state->standing.text;
	}
	if (state->functions_differ) {
		return "the functions are those of another orderd";
	}
	return state->files_known && state->grants_missing ? "some of its grants are missing"
							   : "up to date";
}

/* What the daemon itself sees: its own conninfo will do. */
static int show_status(const struct command *command)
{
	const char *admin = verb_value(command, "admin-conninfo");
	struct migration_options options = {
		.conninfo = admin ? admin : command->settings->database.conninfo,
		.allow_unsafe_fsync = command->settings->database.allow_unsafe_fsync,
	};
	struct survey state;
	enum migration_end end = migration_look(&options, &state);

	if (verb_has(command, "json")) {
		print_state(&state, end);
	} else if (end == MIGRATION_FINE || end == MIGRATION_REFUSED) {
		printf("schema %d, needed %d: %s\n", state.version_there, state.version_here,
			verdict(&state));
		if (state.installed && state.files_known) {
			each_difference(&state, print_difference, NULL);
		}
	}
	say_problem(&state);
	if (end != MIGRATION_FINE) {
		return exit_code(end);
	}
	return migration_is_complete(&state) ? EX_OK : VERB_FOUND;
}

/* Look at what there is as the administrator, who may read all of it. */
static int show_plan(const struct command *command)
{
	struct migration_options options = admin_options(command);
	struct survey state;
	enum migration_end end = migration_look(&options, &state);

	if (end == MIGRATION_FINE && !state.files_known) {
		if (state.standing.text[0] != '\0') {
			problem_say(&state.problem,
				"%s: what differs is seen when orderd migrate has mended that",
				state.standing.text);
		} else {
			problem_say(&state.problem, "only a member of torque_owner sees what has "
						    "run: use --admin-conninfo");
		}
		end = MIGRATION_FORBIDDEN;
	}
	if (verb_has(command, "print")) {
		if (end == MIGRATION_FINE) {
			migration_print(&state, stdout);
		}
	} else if (verb_has(command, "json")) {
		print_state(&state, end);
	} else if (end == MIGRATION_FINE) {
		for (size_t i = 0; i < state.files_count; i++) {
			printf("%s %s\n", action_name(state.files[i].action), state.files[i].name);
		}
		each_difference(&state, print_difference, NULL);
	}
	say_problem(&state);
	return exit_code(end);
}

static int bring_up_to_date(const struct command *command)
{
	struct migration_options options = admin_options(command);
	struct survey state;
	enum migration_end end;

	if (verb_has(command, "adopt")) {
		options.adopt_base_url = command->settings->torque.base_url;
		options.adopt_business_id = command->settings->torque.business_id;
	}
	end = migration_run(&options, &state);

	if (verb_has(command, "json")) {
		print_state(&state, end);
	} else if (end == MIGRATION_FINE) {
		fprintf(stderr, "orderd: the schema is at version %d, from %d\n",
			state.version_here, state.version_there);
		if (options.adopt_base_url) {
			fprintf(stderr, "orderd: the database is that of %s from now on\n",
				options.adopt_base_url);
		}
	}
	say_problem(&state);
	return exit_code(end);
}

int migrate_run(const struct command *command)
{
	bool status = verb_has(command, "status");
	bool plan = verb_has(command, "dry-run") || verb_has(command, "print");

	if (status && plan) {
		return verb_usage(command, "--status goes with neither --dry-run nor --print");
	}
	if (verb_has(command, "adopt") && (status || plan)) {
		return verb_usage(
			command, "--adopt goes with none of --status, --dry-run and --print");
	}
	if (verb_has(command, "print") && verb_has(command, "json")) {
		return verb_usage(command, "--print prints SQL, not JSON");
	}
	if (status) {
		return show_status(command);
	}
	return plan ? show_plan(command) : bring_up_to_date(command);
}
