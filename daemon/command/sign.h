/* sign.h - orderd sign FILE: the headers that make a body genuine. */
#pragma once

#include "command/verb.h"
#include "settings/secrets.h"

enum { SIGN_HEADERS_MAX = 3, SIGN_NAME_MAX = 80, SIGN_VALUE_MAX = SIGNATURE_TEXT_MAX };

/* The request fields of one signed delivery, as the scheme wants them. */
struct signed_headers {
	size_t count;
	struct {
		char name[SIGN_NAME_MAX];
		char value[SIGN_VALUE_MAX];
	} list[SIGN_HEADERS_MAX];
};

/* id may be len 0: the scheme standard then gets a random one. at_us: wall time of the attempt.
 * False: OpenSSL failed, or the kernel gave no random bytes. */
bool sign_headers(const struct settings *settings, const struct secrets *secrets, struct text id,
	int64_t at_us, struct text body, struct signed_headers *ret_headers);

/* Lower-case hex digits of random bytes: digits and a NUL. False: the kernel gave none. */
bool sign_random_hex(char *out, size_t digits);

int sign_run(const struct command *command);
