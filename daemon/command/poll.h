/* poll.h - the settings of everything that calls the API, as its modules want them. */
#pragma once

#include "base/secret.h"
#include "command/config.h"
#include "flow/reconcile.h"

/* Strings are borrowed from config. */
struct reconcile_options poll_options(const struct config *config);

/* New. key is copied. NULL: the URL or the CA file is at fault, and faults say so. */
struct torque *poll_torque(struct loop *loop, const struct config *config, const struct secret *key,
	struct faults *faults);
