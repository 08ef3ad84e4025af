/* replay.h - orderd replay: what is kept is read again, by the reader and the rules of today. */
#pragma once

#include "command/verb.h"

int replay_run(const struct command *command);
