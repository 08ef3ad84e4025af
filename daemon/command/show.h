/* show.h - orderd show ID: what the API says of an order now. */
#pragma once

#include "command/verb.h"

/* Whether the words of the command line are order ids. EX_OK, or EX_USAGE after saying why. */
int show_check_ids(const struct command *command);

/* The order of an answer, as --json or as fields. */
void show_print(const struct command *command, struct text answer);

int show_run(const struct command *command);
