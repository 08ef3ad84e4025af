/* keys.h - the secrets: those of webhooks, read and turned into the keys of signatures, and the
 * API's key.
 */
#pragma once

#include "base/secret.h"
#include "command/config.h"
#include "order/signature.h"

struct keys; /* heap */

/* Reads [webhook] secret and secret_previous. NULL when one is unusable; faults say why, and what
 * is weak. */
struct keys *keys_load(const struct config *config, struct faults *faults);
void keys_free(struct keys *keys);

/* What signature_verify() needs; the secrets are borrowed while keys lives. */
struct signature_rules keys_rules(const struct keys *keys, const struct config *config);

/* The current secret (index 0) or the previous one as it was read, for verify to try other readings
 * of it; len 0 when there is none. Borrowed while keys lives. */
struct text keys_secret(const struct keys *keys, unsigned index);

/* [webhook] key, with auto resolved. */
bool keys_are_base64(const struct config *config);

/* Reads [torque] api_key. NULL when it is unusable; faults say why, and what is weak. */
struct secret *keys_load_api_key(const struct config *config, struct faults *faults);
