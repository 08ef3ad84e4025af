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
/* The same for who is in doubt about them: what can be read and cannot be right, for a byte that
 * nobody sees or for not being base64, is a warning. */
struct secrets *secrets_load_doubted(const struct config *config, struct faults *faults);
void secrets_free(struct secrets *secrets);

/* What signature_verify() needs; borrowed while secrets lives, as is the next. A doubted secret of
 * which no key can be made is none. */
struct signature_rules secrets_rules(const struct secrets *secrets);

/* The current secret (index 0) or the previous one as it was read; NULL when there is none, or
 * after secrets_load(). */
const struct secret *secrets_doubted(const struct secrets *secrets, unsigned index);

/* [webhook] key, with auto resolved for a scheme. */
bool secrets_are_base64(const struct settings *settings, enum signature_scheme scheme);

/* The key of a secret, new; the decoding is wiped. NULL with a sentence. */
struct secret *secrets_make_key(struct text secret, bool as_base64, struct problem *problem);

/* Reads [torque] api_key. NULL when it is unusable; faults say why, and what is weak. */
struct secret *secrets_load_api_key(const struct config *config, struct faults *faults);
