/* The settings are printed with where each comes from, or as a file of defaults to start from. */
#include "command/show_config.h"

#include <jansson.h>

#include "base/die.h"
#include "command/print.h"

enum {
	COLUMN_SETTING = 30,
	COLUMN_VALUE = 34,
	EXAMPLE_WIDTH = 98,
};

static const char *origin_word(enum config_origin origin)
{
	switch (origin) {
	case CONFIG_DEFAULT:
		return "default";
	case CONFIG_FROM_FILE:
		return "file";
	case CONFIG_ENVIRONMENT:
		return "environment";
	case CONFIG_FLAG:
		return "flag";
	}
	die("a setting came from nowhere");
}

static void print_settings(const struct config *config)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const char *value = config_text(config, (enum config_key)key);
		char setting[CONFIG_NAME_MAX], origin[CONFIG_ORIGIN_MAX];

		snprintf(setting, sizeof(setting), "%s.%s", config_rules[key].section,
			config_rules[key].name);
		config_say_origin(config, (enum config_key)key, origin);
		printf("%-*s %-*s %s\n", COLUMN_SETTING, setting, COLUMN_VALUE,
			value[0] ? value : "(none)", origin);
	}
}

static void print_as_json(const struct config *config)
{
	json_t *settings = json_array();

	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const struct config_rule *rule = &config_rules[key];
		char origin[CONFIG_ORIGIN_MAX];

		config_say_origin(config, (enum config_key)key, origin);
		json_array_append_new(settings,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "section", rule->section, "key",
				rule->name, "value", config_text(config, (enum config_key)key),
				"origin", origin_word(config_origin(config, (enum config_key)key)),
				"from", origin, "reload", rule->reload));
	}
	print_packed(PRINT_INDENTED, "o", settings);
}

/* "# " and the sentence, broken at spaces. */
static void print_comment(const char *sentence)
{
	struct text rest = text_of(sentence);
	struct text word;
	size_t column = EXAMPLE_WIDTH;

	while (text_next(&rest, ' ', &word)) {
		if (column + 1 + word.len >= EXAMPLE_WIDTH) {
			printf("%s#", column == EXAMPLE_WIDTH ? "" : "\n");
			column = 1;
		}
		printf(" %.*s", (int)word.len, word.ptr);
		column += 1 + word.len;
	}
	putchar('\n');
}

static int print_example(void)
{
	const char *section = "";

	puts("# orderd.conf - every key with its default. Taking the # from a line that sets a "
	     "key\n"
	     "# changes nothing by itself. orderd check says everything that is wrong in one go.");
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		const struct config_rule *rule = &config_rules[key];
		char expected[VALUE_EXPECTED_MAX];

		if (strcmp(section, rule->section) != 0) {
			section = rule->section;
			printf("\n[%s]\n", section);
		}
		putchar('\n');
		print_comment(rule->help);
		value_expected(&rule->value, expected);
		printf("# Value: %s%s. A change needs a %s.\n", expected,
			rule->value.optional ? ", or nothing" : "",
			rule->reload ? "reload" : "restart");
		printf("#%s =%s%s\n", rule->name, rule->initial[0] ? " " : "", rule->initial);
	}
	return EX_OK;
}

int show_config_run(const struct command *command)
{
	if (verb_has(command, "example")) {
		return print_example();
	}
	/* What is at fault is said; what is known is shown all the same. */
	fault_print(command->faults, stderr);
	if (verb_has(command, "json")) {
		print_as_json(command->config);
	} else {
		print_settings(command->config);
	}
	return command->faults->errors > 0 ? EX_CONFIG : EX_OK;
}
