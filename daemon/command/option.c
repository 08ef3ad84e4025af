/* Times and numbers of the command line are read, or refused with what they should be. */
#include "command/option.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/stamp.h"

static const char midnight[] = "T00:00:00Z";

static bool read_time(struct text when, int64_t *ret_us)
{
	char whole[STAMP_TEXT_MAX];

	if (when.len != strlen("2026-03-01")) {
		return stamp_parse(when, ret_us);
	}
	snprintf(whole, sizeof(whole), "%.*s%s", (int)when.len, when.ptr, midnight);
	return stamp_parse(text_of(whole), ret_us);
}

int option_time(const struct command *command, const char *name, bool *ret_given, int64_t *ret_us)
{
	const char *value = verb_value(command, name);

	if (value && !read_time(text_of(value), ret_us)) {
		return verb_usage(command,
			"--%s takes a time as 2026-03-01T12:00:00Z, or a date as 2026-03-01", name);
	}
	*ret_given = value != NULL;
	return EX_OK;
}

int option_number(const struct command *command, const char *name, uint64_t least, uint64_t most,
	uint64_t *ret_number)
{
	const char *value = verb_value(command, name);
	uint64_t number;

	if (!value) {
		return EX_OK;
	}
	if (!text_to_u64(text_of(value), &number) || number < least || number > most) {
		return verb_usage(command, "--%s takes a number from %" PRIu64 " to %" PRIu64, name,
			least, most);
	}
	*ret_number = number;
	return EX_OK;
}
