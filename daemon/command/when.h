/* when.h - times and numbers of the command line. */
#pragma once

#include "command/verb.h"

/* RFC 3339, or a date of it alone: its first moment in UTC. */
bool when_read(struct text when, int64_t *ret_us);

/* The option of that name. Absent: *ret_given false. EX_OK, or EX_USAGE after saying why. */
int when_option(const struct command *command, const char *name, bool *ret_given, int64_t *ret_us);

/* A number from least to most; absent: *ret_number is left alone. EX_OK, or EX_USAGE after saying
 * why. */
int number_option(const struct command *command, const char *name, uint64_t least, uint64_t most,
	uint64_t *ret_number);
