/* help.h - orderd help, orderd version, orderd completion bash: all from the table of verbs. */
#pragma once

#include "command/verb.h"

int help_run(const struct command *command);
int help_version_run(const struct command *command);
int help_completion_run(const struct command *command);
