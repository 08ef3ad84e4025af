/* verify.h - orderd verify FILE --signature S: is it genuine, and if not, why not. */
#pragma once

#include "command/verb.h"

int verify_run(const struct command *command);
