/* options.h - the settings as each module below wants them; nobody else makes its options.
 *
 * Texts are borrowed from the config.
 */
#pragma once

#include "flow/health.h"
#include "flow/intake.h"
#include "flow/reconcile.h"
#include "settings/secrets.h"

/* application_name: static. */
struct store_options options_store(const struct settings *settings, const char *application_name);
struct batch_options options_batch(const struct settings *settings);
/* listen_fd: from the service manager, or -1. secrets are borrowed. */
struct intake_options options_intake(
	const struct settings *settings, const struct secrets *secrets, int listen_fd);
struct reconcile_options options_reconcile(const struct settings *settings);
/* receives: the process has a receiver, and perhaps a poller too. */
struct health_options options_health(const struct settings *settings, bool receives);

/* New, with the API's key. NULL: the key, the URL or the CA file is at fault, and faults say so. */
struct torque *options_torque(
	struct loop *loop, const struct config *config, struct faults *faults);

/* Descriptors that a receiver may need. */
size_t options_descriptors(const struct settings *settings);
/* Webhook connections for which so many descriptors are enough, 1 at least. */
size_t options_connections(const struct settings *settings, size_t descriptors);
