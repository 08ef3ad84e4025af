/* show_config.h - orderd config: the effective settings, or an example of the file. */
#pragma once

#include "command/verb.h"

int show_config_run(const struct command *command);
