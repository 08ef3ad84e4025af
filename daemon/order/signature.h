/* signature.h - prove that a body was written by someone who knows the webhook secret.
 *
 * HMAC-SHA-256 over the body exactly as it came off the wire, before any JSON is read. Three
 * schemes: torque (hex, sha256=hex or base64 over the body), standard (Standard Webhooks:
 * v1,base64 over id.timestamp.body) and timestamped (t=unix,v1=hex over t.body).
 * Pure: no I/O, no logging, no clock; nothing allocated outlives a call. Thread-safe.
 */
#pragma once

#include "base/text.h"

enum {
	SIGNATURE_DIGEST_BYTES = 32,  /* SHA-256, plain or keyed */
	SIGNATURE_SECRETS_MAX = 2,    /* the current and the previous, so that it can be rotated */
	SIGNATURE_CANDIDATES_MAX = 8, /* signatures tried in one header */
	SIGNATURE_TEXT_MAX = 128,     /* the longest header signature_make() writes, with its NUL */
};

enum signature_scheme { SIGNATURE_TORQUE, SIGNATURE_STANDARD, SIGNATURE_TIMESTAMPED };

enum signature_verdict {
	SIGNATURE_GENUINE,
	SIGNATURE_ABSENT,    /* 401: no header, or an empty one */
	SIGNATURE_MALFORMED, /* 401: not of the scheme's form, or repeated */
	SIGNATURE_STALE,     /* 401: genuine, but the attempt's time is out of tolerance */
	SIGNATURE_FORGED,    /* 401: well formed, wrong */
	SIGNATURE_UNCHECKED, /* 503: OpenSSL failed, we cannot say; the sender will retry */
};

struct signature_rules {
	enum signature_scheme scheme;
	struct text secret[SIGNATURE_SECRETS_MAX]; /* borrowed; decoded key bytes; unused: len 0 */
	int64_t tolerance_us;                      /* both directions; not used by torque */
};

/* What the request carried. The caller reports a repeated header as repeated. */
struct signature_claim {
	struct text signature; /* the scheme's header; len 0 = absent */
	struct text id;        /* standard: webhook-id or svix-id, without a "." */
	struct text timestamp; /* standard: webhook-timestamp or svix-timestamp */
	bool repeated;         /* any of them more than once */
};

/* Compare every candidate with the MAC of body under every secret, in a time that does not depend
 * on where they differ; a header of more than SIGNATURE_CANDIDATES_MAX is malformed. On
 * SIGNATURE_GENUINE *ret_secret is the index of the secret that matched. now_us: wall time, used by
 * the schemes that sign the time of the attempt. */
enum signature_verdict signature_verify(const struct signature_rules *rules,
	const struct signature_claim *claim, struct text body, int64_t now_us, size_t *ret_secret);

/* Write the header value a sender with secret[0] would send; id and at_us as the scheme needs them
 * (the signed timestamp is at_us in whole seconds). False: OpenSSL failed. */
bool signature_make(const struct signature_rules *rules, struct text id, int64_t at_us,
	struct text body, char out[SIGNATURE_TEXT_MAX]);

/* The key bytes of a configured secret: the text itself (as_base64 false), or the base64-decoded
 * part after an optional "whsec_". Decoded length, or -1: not base64, or more than size bytes. */
ptrdiff_t signature_key(struct text secret, bool as_base64, unsigned char *out, size_t size);

/* SHA-256 of body: the key under which a webhook's fact is known. False: OpenSSL failed. */
bool signature_digest(struct text body, unsigned char out[SIGNATURE_DIGEST_BYTES]);

/* OpenSSL takes memory from the reserve (base/memory.h) too. Before its first use. */
void signature_use_reserve(void);

/* "genuine", "absent", … for logs and metrics; static. */
const char *signature_verdict_name(enum signature_verdict verdict);
