/* migrate.h - orderd migrate: bring the schema up to date, or say what that would take. */
#pragma once

#include "command/verb.h"

int migrate_run(const struct command *command);
