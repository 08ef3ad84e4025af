/* help.h - orderd help, orderd version, orderd completion bash: all from the table of verbs. */
#pragma once

#include "command/verb.h"

int help_run(const struct command *command);
int version_run(const struct command *command);
int completion_run(const struct command *command);
