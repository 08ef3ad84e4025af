/* Webhook signatures: three schemes of HMAC-SHA-256, verified and made. */
#include "order/signature.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "base/memory.h"

enum {
	US_PER_SECOND = 1000000,
	SIGNED_PARTS_MAX = 5, /* id . timestamp . body */
	BASE64_DIGITS = 4,    /* of three bytes */
	BASE64_TEXT_BYTES = (SIGNATURE_DIGEST_BYTES + 2) / 3 * 4 + 1,
	HEX_TEXT_BYTES = 2 * SIGNATURE_DIGEST_BYTES + 1,
};

/* A claim, decoded: the MACs to try, and what was signed besides the body. */
struct attempt {
	struct text id;
	struct text timestamp; /* the digits as they were signed */
	int64_t at_us;
	unsigned char mac[SIGNATURE_CANDIDATES_MAX][SIGNATURE_DIGEST_BYTES];
	size_t mac_count;
	size_t candidate_count; /* with those of a version or form that is not ours */
};

/* What the scheme signs, piece by piece, so that a body is never copied. */
struct signed_text {
	struct text part[SIGNED_PARTS_MAX];
	size_t count;
};

/* RFC 4648 section 4, the one spelling of each value: padded, no line ends, no bits behind the last
 * byte. OpenSSL's decoder takes more than that, its encoder writes nothing else. Four digits at a
 * time, so that of a key no more than three bytes are ever copied. */
static ptrdiff_t from_base64(struct text base64, unsigned char *out, size_t size)
{
	size_t len = 0;

	if (base64.len % BASE64_DIGITS != 0) {
		return -1;
	}
	for (size_t at = 0; at < base64.len; at += BASE64_DIGITS) {
		const unsigned char *digits = (const unsigned char *)base64.ptr + at;
		bool padded = at + BASE64_DIGITS == base64.len && digits[3] == '=';
		size_t count = !padded ? 3 : digits[2] == '=' ? 1 : 2;
		unsigned char bytes[3], again[BASE64_DIGITS + 1];

		if (count > size - len || EVP_DecodeBlock(bytes, digits, BASE64_DIGITS) != 3) {
			return -1;
		}
		EVP_EncodeBlock(again, bytes, (int)count);
		if (memcmp(again, digits, BASE64_DIGITS) != 0) {
			return -1;
		}
		memcpy(out + len, bytes, count);
		len += count;
	}
	return (ptrdiff_t)len;
}

static bool read_hex(struct attempt *attempt, struct text hex)
{
	unsigned char *mac = attempt->mac[attempt->mac_count];

	if (text_from_hex(hex, mac, SIGNATURE_DIGEST_BYTES) != SIGNATURE_DIGEST_BYTES) {
		return false;
	}
	attempt->mac_count++;
	return true;
}

static bool read_base64(struct attempt *attempt, struct text base64)
{
	unsigned char *mac = attempt->mac[attempt->mac_count];

	if (from_base64(base64, mac, SIGNATURE_DIGEST_BYTES) != SIGNATURE_DIGEST_BYTES) {
		return false;
	}
	attempt->mac_count++;
	return true;
}

/* One signature and no more: a proxy joins repeated headers with commas, and that is refused. */
static bool read_torque(struct attempt *attempt, struct text header)
{
	if (text_has_prefix(header, TEXT("sha256="))) {
		return read_hex(attempt, text_without_prefix(header, TEXT("sha256=")));
	}
	return read_hex(attempt, header) || read_base64(attempt, header);
}

static bool read_seconds(struct attempt *attempt, struct text digits)
{
	uint64_t seconds = 0;

	if (!text_to_u64(digits, &seconds) || seconds > INT64_MAX / US_PER_SECOND) {
		return false;
	}
	attempt->timestamp = digits;
	attempt->at_us = (int64_t)seconds * US_PER_SECOND;
	return true;
}

/* "v1,<base64> v1,<base64>": several while a secret is rotated. Those of other versions (v1a is
 * a public-key signature) are no reason to refuse, but they count. */
static bool read_standard(struct attempt *attempt, const struct signature_claim *claim)
{
	struct text rest = text_trim(claim->signature);
	struct text part;

	attempt->id = text_trim(claim->id);
	if (attempt->id.len == 0 || memchr(attempt->id.ptr, '.', attempt->id.len)) {
		return false;
	}
	if (!read_seconds(attempt, text_trim(claim->timestamp))) {
		return false;
	}
	while (text_next(&rest, ' ', &part)) {
		if (++attempt->candidate_count > SIGNATURE_CANDIDATES_MAX) {
			return false;
		}
		if (text_has_prefix(part, TEXT("v1,"))) {
			read_base64(attempt, text_without_prefix(part, TEXT("v1,")));
		}
	}
	return attempt->mac_count > 0;
}

/* "t=<unix>,v1=<hex>,v1=<hex>"; v0 is a downgrade and never tried. */
static bool read_timestamped(struct attempt *attempt, struct text rest)
{
	size_t time_count = 0;
	struct text part;

	while (text_next(&rest, ',', &part)) {
		part = text_trim(part);
		if (text_has_prefix(part, TEXT("t="))) {
			time_count++;
			if (!read_seconds(attempt, text_without_prefix(part, TEXT("t=")))) {
				return false;
			}
			continue;
		}
		if (++attempt->candidate_count > SIGNATURE_CANDIDATES_MAX) {
			return false;
		}
		if (text_has_prefix(part, TEXT("v1="))) {
			read_hex(attempt, text_without_prefix(part, TEXT("v1=")));
		}
	}
	return time_count == 1 && attempt->mac_count > 0;
}

static bool read_claim(
	enum signature_scheme scheme, const struct signature_claim *claim, struct attempt *attempt)
{
	bool well_formed = false;

	switch (scheme) {
	case SIGNATURE_TORQUE:
		well_formed = read_torque(attempt, text_trim(claim->signature));
		break;
	case SIGNATURE_STANDARD:
		well_formed = read_standard(attempt, claim);
		break;
	case SIGNATURE_TIMESTAMPED:
		well_formed = read_timestamped(attempt, text_trim(claim->signature));
		break;
	}
	return well_formed;
}

static struct signed_text signed_by(
	enum signature_scheme scheme, struct text id, struct text timestamp, struct text body)
{
	struct signed_text whole = { .count = 0 };

	if (scheme == SIGNATURE_STANDARD) {
		whole.part[whole.count++] = id;
		whole.part[whole.count++] = TEXT(".");
	}
	if (scheme != SIGNATURE_TORQUE) {
		whole.part[whole.count++] = timestamp;
		whole.part[whole.count++] = TEXT(".");
	}
	whole.part[whole.count++] = body;
	return whole;
}

static void free_algorithm(EVP_MAC **algorithm)
{
	EVP_MAC_free(*algorithm);
}

static void free_context(EVP_MAC_CTX **context)
{
	EVP_MAC_CTX_free(*context);
}

/* A context kept between calls would save 1.2 us of 2.3, and would keep the key outside the page
 * in which its secret is locked and wiped. */
static bool mac_of(const struct signed_text *whole, struct text secret,
	unsigned char out[SIGNATURE_DIGEST_BYTES])
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	CLEANUP(free_algorithm) EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
	CLEANUP(free_context) EVP_MAC_CTX *context = algorithm ? EVP_MAC_CTX_new(algorithm) : NULL;
	size_t len = 0;

	if (!context ||
		!EVP_MAC_init(context, (const unsigned char *)secret.ptr, secret.len, parameters)) {
		return false;
	}
	for (size_t i = 0; i < whole->count; i++) {
		struct text part = whole->part[i];

		if (!EVP_MAC_update(context, (const unsigned char *)part.ptr, part.len)) {
			return false;
		}
	}
	return EVP_MAC_final(context, out, &len, SIGNATURE_DIGEST_BYTES) &&
	       len == SIGNATURE_DIGEST_BYTES;
}

/* The count says how many there are, not which one differs where. */
static bool any_equals(
	const struct attempt *attempt, const unsigned char expected[SIGNATURE_DIGEST_BYTES])
{
	size_t equal_count = 0;

	for (size_t i = 0; i < attempt->mac_count; i++) {
		equal_count +=
			CRYPTO_memcmp(attempt->mac[i], expected, SIGNATURE_DIGEST_BYTES) == 0;
	}
	return equal_count > 0;
}

static enum signature_verdict try_secrets(const struct signature_rules *rules,
	const struct attempt *attempt, struct text body, size_t *ret_secret)
{
	struct signed_text whole = signed_by(rules->scheme, attempt->id, attempt->timestamp, body);
	enum signature_verdict verdict = SIGNATURE_FORGED;

	for (size_t i = 0; i < SIGNATURE_SECRETS_MAX; i++) {
		unsigned char expected[SIGNATURE_DIGEST_BYTES];

		if (rules->secret[i].len == 0) {
			continue;
		}
		if (!mac_of(&whole, rules->secret[i], expected)) {
			return SIGNATURE_UNCHECKED;
		}
		if (any_equals(attempt, expected) && verdict == SIGNATURE_FORGED) {
			verdict = SIGNATURE_GENUINE;
			*ret_secret = i;
		}
	}
	return verdict;
}

static bool is_stale(const struct signature_rules *rules, int64_t at_us, int64_t now_us)
{
	int64_t late_us = 0;

	if (rules->scheme == SIGNATURE_TORQUE) {
		return false;
	}
	return __builtin_sub_overflow(now_us, at_us, &late_us) || late_us > rules->tolerance_us ||
	       late_us < -rules->tolerance_us;
}

enum signature_verdict signature_verify(const struct signature_rules *rules,
	const struct signature_claim *claim, struct text body, int64_t now_us, size_t *ret_secret)
{
	struct attempt attempt = { .mac_count = 0 };
	size_t secret = 0;

	assert(rules->tolerance_us >= 0);
	if (claim->repeated) {
		return SIGNATURE_MALFORMED;
	}
	if (text_trim(claim->signature).len == 0) {
		return SIGNATURE_ABSENT;
	}
	if (!read_claim(rules->scheme, claim, &attempt)) {
		return SIGNATURE_MALFORMED;
	}
	enum signature_verdict verdict = try_secrets(rules, &attempt, body, &secret);
	if (verdict != SIGNATURE_GENUINE) {
		return verdict;
	}
	if (is_stale(rules, attempt.at_us, now_us)) {
		return SIGNATURE_STALE;
	}
	*ret_secret = secret;
	return SIGNATURE_GENUINE;
}

bool signature_make(const struct signature_rules *rules, struct text id, int64_t at_us,
	struct text body, char out[SIGNATURE_TEXT_MAX])
{
	unsigned char mac[SIGNATURE_DIGEST_BYTES];
	char hex[HEX_TEXT_BYTES];
	unsigned char base64[BASE64_TEXT_BYTES];
	char seconds[24];

	assert(rules->secret[0].len > 0 && at_us >= 0);
	snprintf(seconds, sizeof(seconds), "%" PRId64, at_us / US_PER_SECOND);
	struct signed_text whole = signed_by(rules->scheme, id, text_of(seconds), body);
	if (!mac_of(&whole, rules->secret[0], mac)) {
		return false;
	}
	text_to_hex(mac, sizeof(mac), hex);
	EVP_EncodeBlock(base64, mac, sizeof(mac));

	switch (rules->scheme) {
	case SIGNATURE_TORQUE:
		snprintf(out, SIGNATURE_TEXT_MAX, "%s", hex);
		break;
	case SIGNATURE_STANDARD:
		snprintf(out, SIGNATURE_TEXT_MAX, "v1,%s", (const char *)base64);
		break;
	case SIGNATURE_TIMESTAMPED:
		snprintf(out, SIGNATURE_TEXT_MAX, "t=%s,v1=%s", seconds, hex);
		break;
	}
	return true;
}

ptrdiff_t signature_key(struct text secret, bool as_base64, unsigned char *out, size_t size)
{
	if (as_base64) {
		return from_base64(text_without_prefix(secret, TEXT("whsec_")), out, size);
	}
	if (secret.len > size) {
		return -1;
	}
	memcpy(out, secret.ptr, secret.len);
	return (ptrdiff_t)secret.len;
}

bool signature_digest(struct text body, unsigned char out[SIGNATURE_DIGEST_BYTES])
{
	return SHA256((const unsigned char *)body.ptr, body.len, out) != NULL;
}

static void *library_memory(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_try(size);
}

static void *more_library_memory(void *memory, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_try_again(memory, size);
}

static void free_library_memory(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	free(memory);
}

void signature_use_reserve(void)
{
	if (!CRYPTO_set_mem_functions(library_memory, more_library_memory, free_library_memory)) {
		die("OpenSSL has begun before it was told where memory is");
	}
}

const char *signature_verdict_name(enum signature_verdict verdict)
{
	static const char *const names[] = {
		[SIGNATURE_GENUINE] = "genuine",
		[SIGNATURE_ABSENT] = "absent",
		[SIGNATURE_MALFORMED] = "malformed",
		[SIGNATURE_STALE] = "stale",
		[SIGNATURE_FORGED] = "forged",
		[SIGNATURE_UNCHECKED] = "unchecked",
	};

	assert(verdict < sizeof(names) / sizeof(names[0]));
	return names[verdict];
}
