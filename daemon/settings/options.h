/* options.h - the settings of everything that calls the API, as its modules want them. */
#pragma once

#include "base/secret.h"
#include "flow/reconcile.h"
#include "settings/config.h"

/* Strings are borrowed from config. */
struct reconcile_options options_reconcile(const struct config *config);

/* New. key is copied. NULL: the URL or the CA file is at fault, and faults say so. */
struct torque *options_torque(struct loop *loop, const struct config *config,
	const struct secret *key, struct faults *faults);
