/* list.h - orderd list: the API's list of orders, a page of it or all. */
#pragma once

#include "command/verb.h"

int list_run(const struct command *command);
