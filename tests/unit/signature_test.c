/* The verdict on each header of a delivery, the vectors of tests/data/signatures/ included. */
#include "order/signature.h"

#include <jansson.h>
#include <openssl/evp.h>

#include "base/cleanup.h"
#include "check.h"

#define SECRET   "whsec_test_secret_of_32_bytes_000"
#define PREVIOUS "whsec_previous_secret_of_bytes_00"
#define BODY     "{\"event\":\"order.created\"}"
#define AT       1705312800
#define AT_TEXT  "1705312800"
#define SECONDS  INT64_C(1000000)
/* Made with Python's hmac module over BODY, AT_TEXT "." BODY and "msg_1." AT_TEXT "." BODY. */
#define HEX            "e85d79d52fb089744ebf4027f7fc4a99b71ae9bae5400a011e57988344d43e0c"
#define HEX_UPPER      "E85D79D52FB089744EBF4027F7FC4A99B71AE9BAE5400A011E57988344D43E0C"
#define BASE64         "6F151S+wiXROv0An9/xKmbca6brlQAoBHleYg0TUPgw="
#define BASE64_URL     "6F151S-wiXROv0An9_xKmbca6brlQAoBHleYg0TUPgw="
#define HEX_PREVIOUS   "3f0b339977b27e7693caa08cc4a06ac5bc16ed53b900c13425b1a0c656da7aac"
#define HEX_EMPTY      "62a91d53c8d20950b4e1c055f643c0a77879f3a2633e3448fbd408cf2b4bed97"
#define HEX_SPACED     "ca471784accdcdb8acd4cc850718a585e292436521afd6505d52b3e28806f55d"
#define TIMED          "5c7d735343bfff6c7f36569a37b13789c61dde6c3909f1241af4ed8acc59a592"
#define TIMED_PREVIOUS "cde59749e18fd7241af5e0657d16d50d265d2e262630f10f84066b0b675fd7a2"
#define STANDARD       "1ml0kcxxKckn9nlsK8fDIIW0TdrydIi+D8IoICcML98="
#define STANDARD_URL   "1ml0kcxxKckn9nlsK8fDIIW0TdrydIi-D8IoICcML98="
#define WRONG_HEX      "0000000000000000000000000000000000000000000000000000000000000000"
#define WRONG_BASE64   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define T              "t=" AT_TEXT ","

/* OpenSSL, made to fail at one of its calls. */
enum call { NONE, FETCH, NEW, INIT, UPDATE, FINAL, FINAL_SHORT, DIGEST };

static enum call failing;
static size_t compare_count;

EVP_MAC *__real_EVP_MAC_fetch(OSSL_LIB_CTX *library, const char *name, const char *properties);
EVP_MAC *__wrap_EVP_MAC_fetch(OSSL_LIB_CTX *library, const char *name, const char *properties);
EVP_MAC_CTX *__real_EVP_MAC_CTX_new(EVP_MAC *mac);
EVP_MAC_CTX *__wrap_EVP_MAC_CTX_new(EVP_MAC *mac);
int __real_EVP_MAC_init(
	EVP_MAC_CTX *context, const unsigned char *key, size_t len, const OSSL_PARAM params[]);
int __wrap_EVP_MAC_init(
	EVP_MAC_CTX *context, const unsigned char *key, size_t len, const OSSL_PARAM params[]);
int __real_EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t len);
int __wrap_EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t len);
int __real_EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *out, size_t *len, size_t size);
int __wrap_EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *out, size_t *len, size_t size);
unsigned char *__real_SHA256(const unsigned char *data, size_t len, unsigned char *out);
unsigned char *__wrap_SHA256(const unsigned char *data, size_t len, unsigned char *out);
int __real_CRYPTO_memcmp(const void *a, const void *b, size_t len);
int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t len);

EVP_MAC *__wrap_EVP_MAC_fetch(OSSL_LIB_CTX *library, const char *name, const char *properties)
{
	return failing == FETCH ? NULL : __real_EVP_MAC_fetch(library, name, properties);
}

EVP_MAC_CTX *__wrap_EVP_MAC_CTX_new(EVP_MAC *mac)
{
	return failing == NEW ? NULL : __real_EVP_MAC_CTX_new(mac);
}

int __wrap_EVP_MAC_init(
	EVP_MAC_CTX *context, const unsigned char *key, size_t len, const OSSL_PARAM params[])
{
	return failing == INIT ? 0 : __real_EVP_MAC_init(context, key, len, params);
}

int __wrap_EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t len)
{
	return failing == UPDATE ? 0 : __real_EVP_MAC_update(context, data, len);
}

int __wrap_EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *out, size_t *len, size_t size)
{
	int done = failing == FINAL ? 0 : __real_EVP_MAC_final(context, out, len, size);

	*len -= failing == FINAL_SHORT;
	return done;
}

unsigned char *__wrap_SHA256(const unsigned char *data, size_t len, unsigned char *out)
{
	return failing == DIGEST ? NULL : __real_SHA256(data, len, out);
}

int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t len)
{
	compare_count += len == SIGNATURE_DIGEST_BYTES;
	return __real_CRYPTO_memcmp(a, b, len);
}

static struct signature_rules rules_of(enum signature_scheme scheme)
{
	return (struct signature_rules){
		.scheme = scheme,
		.secret = { TEXT_INIT(SECRET), TEXT_INIT(PREVIOUS) },
		.tolerance_us = 300 * SECONDS,
	};
}

static enum signature_verdict verify(const struct signature_rules *rules,
	const struct signature_claim *claim, struct text body, size_t *ret_secret)
{
	return signature_verify(rules, claim, body, AT * SECONDS, ret_secret);
}

static const struct {
	const char *promise;
	const char *header;
	const char *body; /* NULL: BODY */
	enum signature_verdict expected;
} torque_cases[] = {
	{ "a missing header is absent", NULL, NULL, SIGNATURE_ABSENT },
	{ "an empty header is absent", "", NULL, SIGNATURE_ABSENT },
	{ "a header of spaces is absent", " \t ", NULL, SIGNATURE_ABSENT },
	{ "hex is genuine", HEX, NULL, SIGNATURE_GENUINE },
	{ "upper-case hex is genuine", HEX_UPPER, NULL, SIGNATURE_GENUINE },
	{ "hex under the previous secret is genuine", HEX_PREVIOUS, NULL, SIGNATURE_GENUINE },
	{ "a sha256= prefix is allowed", "sha256=" HEX, NULL, SIGNATURE_GENUINE },
	{ "base64 is genuine", BASE64, NULL, SIGNATURE_GENUINE },
	{ "space around it is no part of it", " \t" HEX "  ", NULL, SIGNATURE_GENUINE },
	{ "an empty body can be signed", HEX_EMPTY, "", SIGNATURE_GENUINE },
	{ "one nibble more is malformed", HEX "0", NULL, SIGNATURE_MALFORMED },
	{ "one byte more is malformed", HEX "00", NULL, SIGNATURE_MALFORMED },
	{ "a short digest is malformed", "e85d", NULL, SIGNATURE_MALFORMED },
	{ "sha1= is malformed", "sha1=" HEX, NULL, SIGNATURE_MALFORMED },
	{ "v0= is malformed", "v0=" HEX, NULL, SIGNATURE_MALFORMED },
	{ "v1= is malformed here", "v1=" HEX, NULL, SIGNATURE_MALFORMED },
	{ "sha256= twice is malformed", "sha256=sha256=" HEX, NULL, SIGNATURE_MALFORMED },
	{ "sha256= before base64 is malformed", "sha256=" BASE64, NULL, SIGNATURE_MALFORMED },
	{ "sha256= alone is malformed", "sha256=", NULL, SIGNATURE_MALFORMED },
	{ "base64url is malformed", BASE64_URL, NULL, SIGNATURE_MALFORMED },
	{ "base64 without padding is malformed", "6F151S+wiXROv0An9/xKmbca6brlQAoBHleYg0TUPgw",
		NULL, SIGNATURE_MALFORMED },
	{ "base64 with bits behind the last byte is malformed",
		"6F151S+wiXROv0An9/xKmbca6brlQAoBHleYg0TUPgx=", NULL, SIGNATURE_MALFORMED },
	{ "base64 with padding inside is malformed",
		"6F151S+wiXROv0An9/xKmbca6brlQAoBHleYg0TU=gw=", NULL, SIGNATURE_MALFORMED },
	{ "base64 of more bytes is malformed",
		"6F151S+wiXROv0An9/xKmbca6brlQAoBHleYg0TUPgwAAAA=", NULL, SIGNATURE_MALFORMED },
	{ "padding alone is malformed", "====", NULL, SIGNATURE_MALFORMED },
	{ "two signatures joined by a proxy are malformed", HEX ", " WRONG_HEX, NULL,
		SIGNATURE_MALFORMED },
	{ "two signatures joined by a proxy are malformed in any order", WRONG_HEX ", " HEX, NULL,
		SIGNATURE_MALFORMED },
	{ "the timestamped form is malformed here", T "v1=" TIMED, NULL, SIGNATURE_MALFORMED },
	{ "the standard form is malformed here", "v1," STANDARD, NULL, SIGNATURE_MALFORMED },
	{ "non-ASCII is malformed", "\xc3\xa9\xff", NULL, SIGNATURE_MALFORMED },
	{ "a wrong hex digest is forged", WRONG_HEX, NULL, SIGNATURE_FORGED },
	{ "a wrong base64 digest is forged", WRONG_BASE64, NULL, SIGNATURE_FORGED },
	{ "a digest that is not of these bytes is forged", HEX_SPACED, NULL, SIGNATURE_FORGED },
	{ "the same digest with its bytes is genuine", HEX_SPACED, "{\"event\": \"order.created\"}",
		SIGNATURE_GENUINE },
};

static void check_torque(void)
{
	struct signature_rules rules = rules_of(SIGNATURE_TORQUE);

	for (size_t i = 0; i < sizeof(torque_cases) / sizeof(torque_cases[0]); i++) {
		struct signature_claim claim = { .signature = text_of(torque_cases[i].header) };
		const char *body = torque_cases[i].body;
		size_t secret = 0;
		enum signature_verdict got =
			verify(&rules, &claim, text_of(body ? body : BODY), &secret);

		CHECK(got == torque_cases[i].expected, "torque: %s (got %s)",
			torque_cases[i].promise, signature_verdict_name(got));
	}
}

static const struct {
	const char *promise;
	const char *header;
	enum signature_verdict expected;
} timestamped_cases[] = {
	{ "t and v1 are genuine", T "v1=" TIMED, SIGNATURE_GENUINE },
	{ "the order does not matter", "v1=" TIMED ",t=" AT_TEXT, SIGNATURE_GENUINE },
	{ "space around the commas is allowed", "t=" AT_TEXT " , v1=" TIMED, SIGNATURE_GENUINE },
	{ "the second v1 may match", T "v1=" WRONG_HEX ",v1=" TIMED, SIGNATURE_GENUINE },
	{ "a v1 under the previous secret matches", T "v1=" TIMED_PREVIOUS, SIGNATURE_GENUINE },
	{ "other versions are passed over", T "v0=" WRONG_HEX ",v1=" TIMED ",v2=x",
		SIGNATURE_GENUINE },
	{ "a v1 that is no hex spoils no other", T "v1=zz,v1=" TIMED, SIGNATURE_GENUINE },
	{ "eight candidates are tried",
		T "v0=a,v0=a,v0=a,v0=a,v0=a,v0=a,v1=" WRONG_HEX ",v1=" TIMED, SIGNATURE_GENUINE },
	{ "nine are not", T "v1=" TIMED ",v0=a,v0=a,v0=a,v0=a,v0=a,v0=a,v0=a,v1=" TIMED,
		SIGNATURE_MALFORMED },
	{ "v0 is never tried", T "v0=" TIMED, SIGNATURE_MALFORMED },
	{ "no t is malformed", "v1=" TIMED, SIGNATURE_MALFORMED },
	{ "no v1 is malformed", "t=" AT_TEXT, SIGNATURE_MALFORMED },
	{ "t twice is malformed", T T "v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t twice around v1 is malformed", T "v1=" TIMED ",t=" AT_TEXT, SIGNATURE_MALFORMED },
	{ "t empty is malformed", "t=,v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t=-1 is malformed", "t=-1,v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t=1e9 is malformed", "t=1e9,v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t in hex is malformed", "t=0x65a50220,v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t of 20 digits is malformed", "t=99999999999999999999,v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t beyond any clock is malformed", "t=9223372036855,v1=" TIMED, SIGNATURE_MALFORMED },
	{ "t with a space before it is malformed", "t= " AT_TEXT ",v1=" TIMED,
		SIGNATURE_MALFORMED },
	{ "t with a sign is malformed", "t=+" AT_TEXT ",v1=" TIMED, SIGNATURE_MALFORMED },
	{ "T is no t", "T=" AT_TEXT ",v1=" TIMED, SIGNATURE_MALFORMED },
	{ "one nibble more is malformed", T "v1=" TIMED "0", SIGNATURE_MALFORMED },
	{ "base64 is malformed here",
		T "v1=XH1zU0O//2x/NlaaN7E3icYd3mw5CfEkGvTtisxZpZI=", SIGNATURE_MALFORMED },
	{ "bare hex is malformed here", HEX, SIGNATURE_MALFORMED },
	{ "another t under the same digest is forged", "t=1705312801,v1=" TIMED, SIGNATURE_FORGED },
	{ "the same t spelled otherwise is forged", "t=01705312800,v1=" TIMED, SIGNATURE_FORGED },
	{ "the digest of the body alone is forged", T "v1=" HEX, SIGNATURE_FORGED },
	{ "an old t under a wrong digest is forged, not stale", "t=1,v1=" TIMED, SIGNATURE_FORGED },
	{ "a missing header is absent", "", SIGNATURE_ABSENT },
};

static void check_timestamped(void)
{
	struct signature_rules rules = rules_of(SIGNATURE_TIMESTAMPED);

	for (size_t i = 0; i < sizeof(timestamped_cases) / sizeof(timestamped_cases[0]); i++) {
		struct signature_claim claim = {
			.signature = text_of(timestamped_cases[i].header),
		};
		size_t secret = 0;
		enum signature_verdict got = verify(&rules, &claim, TEXT(BODY), &secret);

		CHECK(got == timestamped_cases[i].expected, "timestamped: %s (got %s)",
			timestamped_cases[i].promise, signature_verdict_name(got));
	}
}

static const struct {
	const char *promise;
	const char *header;
	const char *id;
	const char *timestamp;
	enum signature_verdict expected;
} standard_cases[] = {
	{ "v1 is genuine", "v1," STANDARD, "msg_1", AT_TEXT, SIGNATURE_GENUINE },
	{ "space around the headers is no part of them", " v1," STANDARD " ", " msg_1 ",
		"\t" AT_TEXT " ", SIGNATURE_GENUINE },
	{ "the second v1 may match", "v1," WRONG_BASE64 " v1," STANDARD, "msg_1", AT_TEXT,
		SIGNATURE_GENUINE },
	{ "other versions are passed over", "v1a,abc= v1," STANDARD " v2,x", "msg_1", AT_TEXT,
		SIGNATURE_GENUINE },
	{ "eight candidates are tried", "a a a a a a a v1," STANDARD, "msg_1", AT_TEXT,
		SIGNATURE_GENUINE },
	{ "nine are not", "v1," STANDARD " a a a a a a a v1," STANDARD, "msg_1", AT_TEXT,
		SIGNATURE_MALFORMED },
	{ "base64url is malformed", "v1," STANDARD_URL, "msg_1", AT_TEXT, SIGNATURE_MALFORMED },
	{ "hex is malformed here", "v1," HEX, "msg_1", AT_TEXT, SIGNATURE_MALFORMED },
	{ "bare base64 is malformed here", STANDARD, "msg_1", AT_TEXT, SIGNATURE_MALFORMED },
	{ "v1= is malformed here", "v1=" STANDARD, "msg_1", AT_TEXT, SIGNATURE_MALFORMED },
	{ "v1 without its comma is malformed", "v1" STANDARD, "msg_1", AT_TEXT,
		SIGNATURE_MALFORMED },
	{ "v1a alone is malformed", "v1a," STANDARD, "msg_1", AT_TEXT, SIGNATURE_MALFORMED },
	{ "no id is malformed", "v1," STANDARD, "", AT_TEXT, SIGNATURE_MALFORMED },
	{ "an id with a full stop is malformed", "v1," STANDARD, "msg.1", AT_TEXT,
		SIGNATURE_MALFORMED },
	{ "no timestamp is malformed", "v1," STANDARD, "msg_1", "", SIGNATURE_MALFORMED },
	{ "a negative timestamp is malformed", "v1," STANDARD, "msg_1", "-" AT_TEXT,
		SIGNATURE_MALFORMED },
	{ "a timestamp with a fraction is malformed", "v1," STANDARD, "msg_1", AT_TEXT ".0",
		SIGNATURE_MALFORMED },
	{ "a timestamp in words is malformed", "v1," STANDARD, "msg_1", "2024-01-15T10:00:00Z",
		SIGNATURE_MALFORMED },
	{ "another id is forged", "v1," STANDARD, "msg_2", AT_TEXT, SIGNATURE_FORGED },
	{ "another timestamp is forged", "v1," STANDARD, "msg_1", "1705312801", SIGNATURE_FORGED },
	{ "a wrong digest is forged", "v1," WRONG_BASE64, "msg_1", AT_TEXT, SIGNATURE_FORGED },
	{ "the digest of the body alone is forged", "v1," BASE64, "msg_1", AT_TEXT,
		SIGNATURE_FORGED },
	{ "no signature is absent", "", "msg_1", AT_TEXT, SIGNATURE_ABSENT },
};

static void check_standard(void)
{
	struct signature_rules rules = rules_of(SIGNATURE_STANDARD);

	for (size_t i = 0; i < sizeof(standard_cases) / sizeof(standard_cases[0]); i++) {
		struct signature_claim claim = {
			.signature = text_of(standard_cases[i].header),
			.id = text_of(standard_cases[i].id),
			.timestamp = text_of(standard_cases[i].timestamp),
		};
		size_t secret = 0;
		enum signature_verdict got = verify(&rules, &claim, TEXT(BODY), &secret);

		CHECK(got == standard_cases[i].expected, "standard: %s (got %s)",
			standard_cases[i].promise, signature_verdict_name(got));
	}
}

static const struct {
	const char *promise;
	int64_t late_us;
	enum signature_verdict expected;
} age_cases[] = {
	{ "an attempt of now is genuine", 0, SIGNATURE_GENUINE },
	{ "as old as the tolerance is genuine", 300 * SECONDS, SIGNATURE_GENUINE },
	{ "older is stale", 300 * SECONDS + 1, SIGNATURE_STALE },
	{ "as far ahead as the tolerance is genuine", -300 * SECONDS, SIGNATURE_GENUINE },
	{ "further ahead is stale", -300 * SECONDS - 1, SIGNATURE_STALE },
	{ "a clock at its end is stale", INT64_MAX - AT *SECONDS, SIGNATURE_STALE },
	{ "a clock before its beginning is stale", INT64_MIN, SIGNATURE_STALE },
};

static void check_age(void)
{
	static const struct signature_claim claims[] = {
		[SIGNATURE_TORQUE] = { .signature = TEXT_INIT(HEX) },
		[SIGNATURE_STANDARD] = { .signature = TEXT_INIT("v1," STANDARD),
			.id = TEXT_INIT("msg_1"),
			.timestamp = TEXT_INIT(AT_TEXT) },
		[SIGNATURE_TIMESTAMPED] = { .signature = TEXT_INIT(T "v1=" TIMED) },
	};

	for (size_t i = 0; i < sizeof(age_cases) / sizeof(age_cases[0]); i++) {
		int64_t late_us = age_cases[i].late_us;
		int64_t now_us = late_us == INT64_MIN ? INT64_MIN : AT * SECONDS + late_us;

		for (size_t scheme = 0; scheme < sizeof(claims) / sizeof(claims[0]); scheme++) {
			struct signature_rules rules = rules_of((enum signature_scheme)scheme);
			enum signature_verdict expected = scheme == SIGNATURE_TORQUE
								  ? SIGNATURE_GENUINE
								  : age_cases[i].expected;
			size_t secret = 9;
			enum signature_verdict got = signature_verify(
				&rules, &claims[scheme], TEXT(BODY), now_us, &secret);

			CHECK(got == expected, "age: %s (scheme %zu, got %s)%s",
				age_cases[i].promise, scheme, signature_verdict_name(got),
				scheme == SIGNATURE_TORQUE ? ", but torque has no age" : "");
			CHECK((secret == 9) == (got != SIGNATURE_GENUINE),
				"the secret is told for a genuine one only");
		}
	}
}

static void check_secrets(void)
{
	struct signature_rules rules = rules_of(SIGNATURE_TORQUE);
	struct signature_claim current = { .signature = TEXT(HEX) };
	struct signature_claim previous = { .signature = TEXT(HEX_PREVIOUS) };
	size_t secret = 9;

	verify(&rules, &current, TEXT(BODY), &secret);
	CHECK(secret == 0, "the current secret is number 0");
	verify(&rules, &previous, TEXT(BODY), &secret);
	CHECK(secret == 1, "the previous secret is number 1");

	rules.secret[1] = rules.secret[0];
	verify(&rules, &current, TEXT(BODY), &secret);
	CHECK(secret == 0, "of two equal secrets the current one matches");

	rules.secret[1] = (struct text){ NULL, 0 };
	CHECK(verify(&rules, &previous, TEXT(BODY), &secret) == SIGNATURE_FORGED,
		"a secret that has gone matches no more");
	rules.secret[1] = TEXT(PREVIOUS);
	rules.secret[0] = (struct text){ NULL, 0 };
	CHECK(verify(&rules, &previous, TEXT(BODY), &secret) == SIGNATURE_GENUINE && secret == 1,
		"an unused place in front does no harm");
	rules.secret[1] = (struct text){ NULL, 0 };
	CHECK(verify(&rules, &current, TEXT(BODY), &secret) == SIGNATURE_FORGED,
		"without a secret nothing is genuine");
}

static void check_repeated(void)
{
	struct signature_rules rules = rules_of(SIGNATURE_TORQUE);
	struct signature_claim claim = { .signature = TEXT(HEX), .repeated = true };
	size_t secret = 0;

	CHECK(verify(&rules, &claim, TEXT(BODY), &secret) == SIGNATURE_MALFORMED,
		"a repeated header is malformed, however good the first is");
	claim.signature = TEXT("");
	CHECK(verify(&rules, &claim, TEXT(BODY), &secret) == SIGNATURE_MALFORMED,
		"a repeated empty header is malformed");
}

/* A NUL, a thousand candidates, eight KiB of junk: what a table of strings cannot hold. */
static void check_bulk(void)
{
	static char header[128 * 1024];
	struct signature_rules rules = rules_of(SIGNATURE_TORQUE);
	struct signature_claim claim = { .signature = TEXT(HEX "\0") };
	size_t secret = 0;
	size_t len = 0;

	CHECK(verify(&rules, &claim, TEXT(BODY), &secret) == SIGNATURE_MALFORMED,
		"a NUL behind the digest is malformed");
	claim.signature = TEXT("e85d79d5\0"
			       "2fb089744ebf4027f7fc4a99b71ae9bae5400a011e57988344d43e0c");
	CHECK(verify(&rules, &claim, TEXT(BODY), &secret) == SIGNATURE_MALFORMED,
		"a NUL inside the digest is malformed");

	memset(header, 'e', 8192);
	for (size_t scheme = 0; scheme < 3; scheme++) {
		rules = rules_of((enum signature_scheme)scheme);
		claim = (struct signature_claim){ { header, 8192 }, TEXT("msg_1"), TEXT(AT_TEXT),
			false };
		CHECK(verify(&rules, &claim, TEXT(BODY), &secret) == SIGNATURE_MALFORMED,
			"8 KiB of junk is malformed (scheme %zu)", scheme);
	}

	len = (size_t)snprintf(header, sizeof(header), "t=" AT_TEXT);
	for (int i = 0; i < 1000; i++) {
		len += (size_t)snprintf(
			header + len, sizeof(header) - len, ",v1=%s", i == 500 ? TIMED : WRONG_HEX);
	}
	rules = rules_of(SIGNATURE_TIMESTAMPED);
	claim = (struct signature_claim){ .signature = { header, len } };
	compare_count = 0;
	CHECK(verify(&rules, &claim, TEXT(BODY), &secret) == SIGNATURE_MALFORMED,
		"1,000 candidates are malformed");
	CHECK(compare_count <= SIGNATURE_CANDIDATES_MAX * SIGNATURE_SECRETS_MAX,
		"of 1,000 candidates at most %d are tried", SIGNATURE_CANDIDATES_MAX);
}

/* Whichever of them matches: the number of comparisons must not tell. */
static void check_all_are_tried(void)
{
	struct signature_rules rules = rules_of(SIGNATURE_TIMESTAMPED);

	for (int match = 0; match <= SIGNATURE_CANDIDATES_MAX; match++) {
		char header[1024];
		size_t len = (size_t)snprintf(header, sizeof(header), "t=" AT_TEXT);
		size_t secret = 0;

		for (int i = 0; i < SIGNATURE_CANDIDATES_MAX; i++) {
			len += (size_t)snprintf(header + len, sizeof(header) - len, ",v1=%s",
				i == match ? TIMED : WRONG_HEX);
		}
		struct signature_claim claim = { .signature = { header, len } };

		compare_count = 0;
		enum signature_verdict got = verify(&rules, &claim, TEXT(BODY), &secret);
		CHECK(got == (match < SIGNATURE_CANDIDATES_MAX ? SIGNATURE_GENUINE
							       : SIGNATURE_FORGED),
			"candidate %d of 8 matches (got %s)", match + 1,
			signature_verdict_name(got));
		CHECK(compare_count == SIGNATURE_CANDIDATES_MAX * SIGNATURE_SECRETS_MAX,
			"all 16 comparisons are made (made %zu)", compare_count);
	}
}

static void check_openssl_failing(void)
{
	static const char *const names[] = { "", "fetch", "new", "init", "update", "final",
		"final, too short", "digest" };
	struct signature_rules rules = rules_of(SIGNATURE_TORQUE);
	struct signature_claim claim = { .signature = TEXT(HEX) };
	unsigned char digest[SIGNATURE_DIGEST_BYTES];
	char header[SIGNATURE_TEXT_MAX];

	for (failing = FETCH; failing <= FINAL_SHORT; failing++) {
		size_t secret = 9;
		enum signature_verdict got = verify(&rules, &claim, TEXT(BODY), &secret);

		CHECK(got == SIGNATURE_UNCHECKED && secret == 9,
			"unchecked when OpenSSL fails at %s (got %s)", names[failing],
			signature_verdict_name(got));
		CHECK(!signature_make(&rules, TEXT(""), 0, TEXT(BODY), header),
			"nothing is signed when OpenSSL fails at %s", names[failing]);
	}
	failing = DIGEST;
	CHECK(!signature_digest(TEXT(BODY), digest), "no digest when OpenSSL fails");
	failing = NONE;
	CHECK(signature_digest(TEXT(BODY), digest), "a digest when it does not");
}

static void check_make(void)
{
	static const struct {
		enum signature_scheme scheme;
		const char *expected;
	} made[] = {
		{ SIGNATURE_TORQUE, HEX },
		{ SIGNATURE_STANDARD, "v1," STANDARD },
		{ SIGNATURE_TIMESTAMPED, T "v1=" TIMED },
	};

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		struct signature_rules rules = rules_of(made[i].scheme);
		char header[SIGNATURE_TEXT_MAX];
		bool done = signature_make(
			&rules, TEXT("msg_1"), AT * SECONDS + 999999, TEXT(BODY), header);

		CHECK(done && strcmp(header, made[i].expected) == 0,
			"we sign as others do (scheme %d, got %s)", made[i].scheme, header);
	}

	struct signature_rules rules = rules_of(SIGNATURE_TIMESTAMPED);
	struct signature_claim claim;
	char header[SIGNATURE_TEXT_MAX];
	size_t secret = 9;

	signature_make(&rules, TEXT(""), INT64_MAX, TEXT(BODY), header);
	claim = (struct signature_claim){ .signature = text_of(header) };
	CHECK(signature_verify(&rules, &claim, TEXT(BODY), INT64_MAX, &secret) == SIGNATURE_GENUINE,
		"the longest header we write is whole: %zu bytes", strlen(header));
}

static const struct {
	const char *promise;
	const char *secret;
	bool as_base64;
	size_t size;
	const char *expected; /* NULL: refused */
} key_cases[] = {
	{ "text is taken as it is", "whsec_AAEC", false, 64, "whsec_AAEC" },
	{ "text may fill the room", "whsec_AAEC", false, 10, "whsec_AAEC" },
	{ "text beyond the room is refused", "whsec_AAEC", false, 9, NULL },
	{ "base64 is decoded", "Zm9vYmFy", true, 64, "foobar" },
	{ "the prefix is no part of it", "whsec_Zm9vYmFy", true, 64, "foobar" },
	{ "one padding", "whsec_Zm9vYmE=", true, 64, "fooba" },
	{ "two paddings", "whsec_Zm9vYg==", true, 64, "foob" },
	{ "every digit has its value", "whsec_fn5+Pz8/", true, 64, "~~~???" },
	{ "an empty key is empty", "whsec_", true, 64, "" },
	{ "it may fill the room", "whsec_Zm9vYmFy", true, 6, "foobar" },
	{ "it beyond the room is refused", "whsec_Zm9vYmFy", true, 5, NULL },
	{ "three paddings are refused", "whsec_Zm9vY===", true, 64, NULL },
	{ "three paddings behind zero bits are refused", "whsec_Zm9vA===", true, 64, NULL },
	{ "padding before the end is refused", "whsec_Zg==Zm9v", true, 64, NULL },
	{ "no padding is refused", "whsec_Zm9vYg", true, 64, NULL },
	{ "a newline is refused", "whsec_Zm9vYmF\n", true, 64, NULL },
	{ "base64url is refused", "whsec_fn5-Pz8_", true, 64, NULL },
	{ "bits behind the last byte are refused", "whsec_Zm9vYh==", true, 64, NULL },
	{ "the prefix in upper case is no prefix", "WHSEC_Zm9vYmFy", true, 64, NULL },
};

static void check_keys(void)
{
	for (size_t i = 0; i < sizeof(key_cases) / sizeof(key_cases[0]); i++) {
		unsigned char key[64] = { 0 };
		const char *expected = key_cases[i].expected;
		ptrdiff_t len = signature_key(text_of(key_cases[i].secret), key_cases[i].as_base64,
			key, key_cases[i].size);
		bool right = expected ? text_equal(text_of(expected),
						(struct text){ (const char *)key, (size_t)len })
				      : len == -1;

		CHECK(right, "key: %s (got %td bytes)", key_cases[i].promise, len);
	}
}

static void check_digest(void)
{
	/* FIPS 180-2, appendix B.1. */
	static const char expected[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	unsigned char digest[SIGNATURE_DIGEST_BYTES];
	char hex[2 * SIGNATURE_DIGEST_BYTES + 1];

	CHECK(signature_digest(TEXT("abc"), digest), "a digest is made");
	text_to_hex(digest, sizeof(digest), hex);
	CHECK(strcmp(hex, expected) == 0, "the digest is SHA-256");
	CHECK(signature_digest((struct text){ NULL, 0 }, digest), "nothing has a digest too");
}

static void check_names(void)
{
	static const char *const names[] = { "genuine", "absent", "malformed", "stale", "forged",
		"unchecked" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK(strcmp(signature_verdict_name((enum signature_verdict)i), names[i]) == 0,
			"verdict %zu is named %s", i, names[i]);
	}
}

/* One delivery of vectors.json. The texts are borrowed from its JSON but can be altered in place:
 * each is a copy of its own. */
struct vector {
	const char *name;
	struct signature_rules rules;
	struct signature_claim claim;
	struct text body;
	int64_t at_us;
	bool single;
	unsigned char key[64];
	char text[4][2048]; /* signature, id, timestamp, body */
};

static struct text copy_field(const json_t *json, const char *name, char out[2048])
{
	const json_t *value = json_object_get(json, name);
	size_t len = json_string_length(value);

	if (!value || len > 2048) {
		return (struct text){ out, 0 };
	}
	memcpy(out, json_string_value(value), len);
	return (struct text){ out, len };
}

static bool is_word(const json_t *json, const char *name, const char *word)
{
	const char *value = json_string_value(json_object_get(json, name));

	return value && strcmp(value, word) == 0;
}

static void read_vector(const json_t *json, struct vector *vector)
{
	struct text secret = text_of(json_string_value(json_object_get(json, "secret")));
	ptrdiff_t len = signature_key(
		secret, is_word(json, "key", "base64"), vector->key, sizeof(vector->key));

	vector->name = json_string_value(json_object_get(json, "name"));
	vector->rules = (struct signature_rules){
		.scheme = is_word(json, "scheme", "standard")      ? SIGNATURE_STANDARD
			  : is_word(json, "scheme", "timestamped") ? SIGNATURE_TIMESTAMPED
								   : SIGNATURE_TORQUE,
		.secret = { { (const char *)vector->key, len > 0 ? (size_t)len : 0 } },
		.tolerance_us = 300 * SECONDS,
	};
	vector->claim = (struct signature_claim){
		.signature = copy_field(json, "signature", vector->text[0]),
		.id = copy_field(json, "id", vector->text[1]),
		.timestamp = copy_field(json, "timestamp", vector->text[2]),
	};
	vector->body = copy_field(json, "body", vector->text[3]);
	vector->at_us = json_integer_value(json_object_get(json, "at")) * SECONDS;
	vector->single = json_is_true(json_object_get(json, "single"));
}

static enum signature_verdict judge(const struct vector *vector)
{
	size_t secret = 0;

	return signature_verify(
		&vector->rules, &vector->claim, vector->body, vector->at_us, &secret);
}

/* How many one-bit alterations of a text are still genuine, and of how many. */
static size_t alter(struct vector *vector, char *bytes, size_t len, size_t *altered_count)
{
	size_t genuine_count = 0;

	for (size_t i = 0; i < len; i++) {
		bytes[i] = (char)(bytes[i] ^ 1);
		genuine_count += judge(vector) == SIGNATURE_GENUINE;
		(*altered_count)++;
		bytes[i] = (char)(bytes[i] ^ 1);
	}
	return genuine_count;
}

static void check_vector(struct vector *vector)
{
	size_t altered_count = 0;
	size_t genuine_count = 0;
	enum signature_verdict got = judge(vector);

	CHECK(got == SIGNATURE_GENUINE, "%s: genuine (got %s)", vector->name,
		signature_verdict_name(got));
	genuine_count += alter(vector, vector->text[1], vector->claim.id.len, &altered_count);
	genuine_count +=
		alter(vector, vector->text[2], vector->claim.timestamp.len, &altered_count);
	genuine_count += alter(vector, vector->text[3], vector->body.len, &altered_count);
	if (vector->single) {
		genuine_count +=
			alter(vector, vector->text[0], vector->claim.signature.len, &altered_count);
	}
	CHECK(altered_count > 0 && genuine_count == 0, "%s: none of %zu alterations is genuine",
		vector->name, altered_count);

	vector->body.len--;
	CHECK(vector->body.len == SIZE_MAX || judge(vector) != SIGNATURE_GENUINE,
		"%s: a shorter body is refused", vector->name);
	vector->body.len++;
	if (vector->rules.scheme != SIGNATURE_TORQUE) {
		vector->at_us += 301 * SECONDS;
		CHECK(judge(vector) == SIGNATURE_STALE, "%s: stale five minutes later",
			vector->name);
	}
}

static void free_json(json_t **json)
{
	json_decref(*json);
}

static void check_vectors(const char *directory)
{
	char path[4096];
	json_error_t error;

	snprintf(path, sizeof(path), "%s/signatures/vectors.json", directory);
	CLEANUP(free_json) json_t *file = json_load_file(path, 0, &error);
	if (!CHECK(file, "%s can be read", path)) {
		return;
	}
	const json_t *vectors = json_object_get(file, "vectors");

	CHECK(json_array_size(vectors) >= 40, "%zu vectors", json_array_size(vectors));
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		struct vector vector;

		read_vector(json_array_get(vectors, i), &vector);
		check_vector(&vector);
	}
}

int main(int argc, char **argv)
{
	check_torque();
	check_timestamped();
	check_standard();
	check_age();
	check_secrets();
	check_repeated();
	check_bulk();
	check_all_are_tried();
	check_openssl_failing();
	check_make();
	check_keys();
	check_digest();
	check_names();
	if (CHECK(argc == 2, "the directory of test data is given")) {
		check_vectors(argv[1]);
	}
	return check_done();
}
