/* trigger.h - orderd trigger EVENT: send signed, realistic events to a receiver. */
#pragma once

#include "command/verb.h"

int trigger_run(const struct command *command);
