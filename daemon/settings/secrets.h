/* secrets.h - the secrets: those of webhooks, read and turned into the keys of signatures, and the
 * API's key.
 */
#pragma once

#include "base/secret.h"
#include "settings/config.h"

struct secrets; /* heap */

/* Reads [webhook] secret and secret_previous. NULL when one is unusable; faults say why, and what
 * is weak. */
struct secrets *secrets_load(const struct config *config, struct faults *faults);
void secrets_free(struct secrets *secrets);

/* What signature_verify() needs; borrowed while secrets lives, as is the next. */
struct signature_rules secrets_rules(const struct secrets *secrets);

/* The current secret (index 0) or the previous one as it was read, for verify to try other readings
 * of it; len 0 when there is none. */
struct text secrets_webhook(const struct secrets *secrets, unsigned index);

/* [webhook] key, with auto resolved. */
bool secrets_are_base64(const struct settings *settings);

/* Reads [torque] api_key. NULL when it is unusable; faults say why, and what is weak. */
struct secret *secrets_load_api_key(const struct config *config, struct faults *faults);
