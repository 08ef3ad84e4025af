/* cancel.h - orderd cancel ID: cancel a pending order. */
#pragma once

#include "command/verb.h"

int cancel_run(const struct command *command);
