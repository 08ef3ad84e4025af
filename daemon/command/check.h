/* check.h - orderd check: everything that is wrong, in one go, each with what it should be. */
#pragma once

#include "command/verb.h"

int check_run(const struct command *command);
