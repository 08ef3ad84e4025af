/* service.h - orderd receive, orderd reconcile and orderd run, from their start to the end of their
 * drain: one skeleton for the receiver, the poller, and both in one process.
 */
#pragma once

#include "command/verb.h"

int service_receive(const struct command *command);
int service_reconcile(const struct command *command);
int service_both(const struct command *command);
