/* option.h - times and numbers of the command line. */
#pragma once

#include "command/verb.h"

/* A time of RFC 3339, or a date of it alone: its first moment in UTC. Absent: *ret_given is false,
 * and *ret_us is left alone. EX_OK, or EX_USAGE after saying why. */
int option_time(const struct command *command, const char *name, bool *ret_given, int64_t *ret_us);

/* A number from least to most; absent: *ret_number is left alone. EX_OK, or EX_USAGE after saying
 * why. */
int option_number(const struct command *command, const char *name, uint64_t least, uint64_t most,
	uint64_t *ret_number);
