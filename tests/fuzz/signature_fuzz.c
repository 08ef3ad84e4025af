/* Whatever stands in the headers of a delivery.
 *
 * Input: one byte (bits 0-1 scheme, 2 repeated, 3 no previous secret), then signature, id and
 * timestamp, each ended by a newline, then the body. The clock stands at AT.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "order/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define AT_US        INT64_C(1705312800000000)
#define TOLERANCE_US INT64_C(300000000)

enum { KEY_SIZE = 24 };

static const struct text secrets[SIGNATURE_SECRETS_MAX] = {
	TEXT_INIT("whsec_test_secret_of_32_bytes_000"),
	TEXT_INIT("whsec_previous_secret_of_bytes_00"),
};

static void must(bool holds, const char *promise)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", promise);
		abort();
	}
}

static struct text line(struct text *rest)
{
	struct text part = { rest->ptr, 0 };

	text_next(rest, '\n', &part);
	return part;
}

static bool contains(struct text whole, const char *piece, bool any_case)
{
	size_t len = strlen(piece);

	for (size_t i = 0; i + len <= whole.len; i++) {
		if (any_case ? strncasecmp(whole.ptr + i, piece, len) == 0
			     : memcmp(whole.ptr + i, piece, len) == 0) {
			return true;
		}
	}
	return false;
}

/* The MAC, made another way: over one copy of everything that the scheme signs. */
static void mac_of(const struct signature_rules *rules, size_t secret,
	const struct signature_claim *claim, struct text timestamp, struct text body,
	unsigned char mac[SIGNATURE_DIGEST_BYTES])
{
	struct text id = text_trim(claim->id);
	size_t size = id.len + timestamp.len + body.len + 2;
	char *whole = malloc(size);
	size_t len = 0;

	must(whole, "memory for a test");
	if (rules->scheme == SIGNATURE_STANDARD) {
		memcpy(whole, id.ptr, id.len);
		whole[id.len] = '.';
		len = id.len + 1;
	}
	if (rules->scheme != SIGNATURE_TORQUE) {
		memcpy(whole + len, timestamp.ptr, timestamp.len);
		len += timestamp.len;
		whole[len++] = '.';
	}
	memcpy(whole + len, body.ptr, body.len);
	len += body.len;
	must(HMAC(EVP_sha256(), secrets[secret].ptr, (int)secrets[secret].len,
		     (unsigned char *)whole, len, mac, NULL),
		"OpenSSL works");
	free(whole);
}

/* The value of t= in a timestamped header that is genuine. */
static struct text timed(struct text header)
{
	struct text part;

	while (text_next(&header, ',', &part)) {
		part = text_trim(part);
		if (text_has_prefix(part, TEXT("t="))) {
			return text_without_prefix(part, TEXT("t="));
		}
	}
	return TEXT("");
}

/* Genuine or stale: the header holds the MAC, in one of its spellings. */
static void check_proof(const struct signature_rules *rules, const struct signature_claim *claim,
	struct text body, size_t secret)
{
	unsigned char mac[SIGNATURE_DIGEST_BYTES];
	unsigned char base64[2 * SIGNATURE_DIGEST_BYTES];
	char hex[2 * SIGNATURE_DIGEST_BYTES + 1];
	struct text timestamp = rules->scheme == SIGNATURE_STANDARD ? text_trim(claim->timestamp)
								    : timed(claim->signature);

	mac_of(rules, secret, claim, timestamp, body, mac);
	text_to_hex(mac, sizeof(mac), hex);
	EVP_EncodeBlock(base64, mac, sizeof(mac));
	must(!claim->repeated, "a repeated header proves nothing");
	must(contains(claim->signature, hex, true) ||
			contains(claim->signature, (const char *)base64, false),
		"what is genuine holds the MAC");
}

/* What we sign ourselves is genuine, and is not when the body differs. */
static void check_own(const struct signature_rules *rules, struct text id, struct text body)
{
	char header[SIGNATURE_TEXT_MAX];
	char *other = malloc(body.len + 1);
	size_t secret = 9;

	must(other, "memory for a test");
	must(signature_make(rules, id, AT_US, body, header), "OpenSSL works");
	struct signature_claim claim = { text_of(header), id, TEXT("1705312800"), false };
	bool allowed =
		rules->scheme != SIGNATURE_STANDARD || (id.len > 0 && !memchr(id.ptr, '.', id.len));

	enum signature_verdict verdict = signature_verify(rules, &claim, body, AT_US, &secret);
	must(verdict == (allowed ? SIGNATURE_GENUINE : SIGNATURE_MALFORMED),
		"what we sign is genuine");
	memcpy(other, body.ptr, body.len);
	other[body.len] = ' ';
	verdict = signature_verify(
		rules, &claim, (struct text){ other, body.len + 1 }, AT_US, &secret);
	must(verdict == (allowed ? SIGNATURE_FORGED : SIGNATURE_MALFORMED),
		"of another body it is forged");
	free(other);
}

/* Both ways of reading a key agree with OpenSSL where OpenSSL is strict enough. */
static void check_key(struct text secret)
{
	unsigned char key[KEY_SIZE];
	unsigned char base64[2 * KEY_SIZE];
	ptrdiff_t len = signature_key(secret, true, key, sizeof(key));

	must(len <= KEY_SIZE, "a key fits");
	if (len >= 0) {
		struct text digits = text_without_prefix(secret, TEXT("whsec_"));

		EVP_EncodeBlock(base64, key, (int)len);
		must(text_equal(digits, text_of((const char *)base64)),
			"a key has one spelling in base64");
	}
	len = signature_key(secret, false, key, sizeof(key));
	must(len < 0 ? secret.len > KEY_SIZE
		     : text_equal(secret, (struct text){ (char *)key, (size_t)len }),
		"a key in text is that text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text rest = { (const char *)data, size };

	if (size == 0) {
		return 0;
	}
	unsigned flags = data[0];
	rest = (struct text){ rest.ptr + 1, rest.len - 1 };
	struct signature_rules rules = {
		.scheme = (enum signature_scheme)((flags & 3U) % 3),
		.secret = { secrets[0], flags & 8U ? (struct text){ NULL, 0 } : secrets[1] },
		.tolerance_us = TOLERANCE_US,
	};
	struct signature_claim claim = {
		.signature = line(&rest),
		.id = line(&rest),
		.timestamp = line(&rest),
		.repeated = flags & 4U,
	};
	size_t secret = 9;
	size_t again = 9;

	enum signature_verdict verdict = signature_verify(&rules, &claim, rest, AT_US, &secret);
	must(verdict == signature_verify(&rules, &claim, rest, AT_US, &again) && secret == again,
		"the same delivery gives the same verdict");
	must(verdict != SIGNATURE_UNCHECKED, "OpenSSL works");
	must((verdict == SIGNATURE_GENUINE) == (secret != 9), "a genuine one names its secret");
	must(signature_verdict_name(verdict)[0] != '\0', "a verdict has a name");
	if (verdict == SIGNATURE_GENUINE) {
		must(secret == 0 || (secret == 1 && rules.secret[1].len > 0), "that secret is set");
		check_proof(&rules, &claim, rest, secret);
	}
	check_own(&rules, text_trim(claim.id), rest);
	check_key(claim.signature);
	return 0;
}
