/* link.h - orderd link FILE: a checkout for a cart. */
#pragma once

#include "command/verb.h"

int link_run(const struct command *command);
