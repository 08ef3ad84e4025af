/* sync.h - orderd sync ID...: look orders up now, and apply what the API says. */
#pragma once

#include "command/verb.h"

int sync_run(const struct command *command);
