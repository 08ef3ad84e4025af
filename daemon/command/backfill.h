/* backfill.h - orderd backfill: walk the API's whole history into the database. */
#pragma once

#include "command/verb.h"

int backfill_run(const struct command *command);
