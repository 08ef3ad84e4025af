/* What the table of verbs says: as help, as the version, as a completion for bash. */
#include "command/help.h"

enum { COLUMN_VERB = 12, COLUMN_OPTION = 24 };

static void print_verbs(const struct verb *verbs)
{
	puts("orderd keeps Torque Checkout orders in PostgreSQL.\n\nUsage: orderd VERB "
	     "[OPTION...]\n");
	for (; verbs->name; verbs++) {
		printf("  %-*s %s\n", COLUMN_VERB, verbs->name, verbs->help);
	}
	puts("\n  -c FILE, --config FILE  the configuration, instead of " CONFIG_FILE
	     "\n\nMore: orderd help VERB, orderd(8), orderd.conf(5)");
}

static void print_option(const char *name, const char *argument, const char *help)
{
	char spelled[2 * CONFIG_NAME_MAX];

	snprintf(spelled, sizeof(spelled), "--%s%s%s", name, argument ? " " : "",
		argument ? argument : "");
	printf("  %-*s %s\n", COLUMN_OPTION, spelled, help);
}

static void print_verb(const struct verb *verb)
{
	printf("Usage: orderd %s%s%s%s\n\n%s\n", verb->name, verb->arguments[0] ? " " : "",
		verb->arguments, verb->options[0].name ? " [OPTION...]" : "", verb->help);
	if (verb->options[0].name) {
		putchar('\n');
	}
	for (unsigned i = 0; verb->options[i].name; i++) {
		const struct verb_option *option = &verb->options[i];

		print_option(option->name, option->argument, option->help);
	}
	if (verb->config != VERB_NO_CONFIG) {
		puts("\n  -c FILE, --config FILE   the configuration, instead of " CONFIG_FILE
		     "\n  --SECTION-KEY VALUE      wins over the configuration, as "
		     "--listen-address 127.0.0.1:0");
	}
}

int help_run(const struct command *command)
{
	const struct verb *verb;

	if (!command->argument) {
		print_verbs(command->verbs);
		return EX_OK;
	}
	verb = verb_find(command->verbs, text_of(command->argument));
	if (!verb) {
		return verb_usage(command, "%.40s is no verb", command->argument);
	}
	print_verb(verb);
	return EX_OK;
}

int help_version_run(const struct command *command)
{
	if (verb_has(command, "json")) {
		puts("{\"version\": \"" ORDERD_VERSION "\"}");
	} else {
		puts("orderd " ORDERD_VERSION);
	}
	return EX_OK;
}

static void print_verb_words(const struct verb *verbs)
{
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("%s%s", verb == verbs ? "" : " ", verb->name);
	}
}

static void print_option_words(const struct verb *verb)
{
	for (unsigned i = 0; verb->options[i].name; i++) {
		printf(" --%s", verb->options[i].name);
	}
	for (unsigned key = 0; verb->config != VERB_NO_CONFIG && key < CONFIG_KEY_COUNT; key++) {
		char flag[CONFIG_NAME_MAX];

		if (!config_is_secret((enum config_key)key)) {
			config_flag_name((enum config_key)key, flag);
			printf(" --%s", flag);
		}
	}
}

static void print_completion(const struct verb *verbs)
{
	puts("# bash completion of orderd(8), made by: orderd completion bash\n"
	     "_orderd()\n{\n"
	     "\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	     "\tlocal verb= word verbs options='--config --help'");
	printf("\tverbs='");
	print_verb_words(verbs);
	puts("'\n\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	     "\t\tif [[ \" $verbs \" == *\" $word \"* ]]; then\n"
	     "\t\t\tverb=$word\n\t\t\tbreak\n\t\tfi\n\tdone\n"
	     "\tcase $verb in");
	for (const struct verb *verb = verbs; verb->name; verb++) {
		printf("\t%s) options+='", verb->name);
		print_option_words(verb);
		puts("' ;;");
	}
	puts("\tesac\n"
	     "\tif [[ $before == -c || $before == --config ]]; then\n"
	     "\t\tCOMPREPLY=($(compgen -f -- \"$current\"))\n"
	     "\telif [[ $current == -* ]]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
	     "\telif [[ -z $verb || $verb == help ]]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$verbs\" -- \"$current\"))\n"
	     "\telif [[ $verb == completion ]]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W bash -- \"$current\"))\n"
	     "\telse\n"
	     "\t\tCOMPREPLY=($(compgen -f -- \"$current\"))\n"
	     "\tfi\n}\n"
	     "complete -F _orderd orderd");
}

int help_completion_run(const struct command *command)
{
	if (strcmp(command->argument, "bash") != 0) {
		return verb_usage(command, "completion is there for bash only");
	}
	print_completion(command->verbs);
	return EX_OK;
}
