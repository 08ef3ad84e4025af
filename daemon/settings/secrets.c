#include "settings/secrets.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "http/url.h"

enum { ORIGIN_MAX = 512 };

struct secrets {
	struct secret *secret[SIGNATURE_SECRETS_MAX]; /* as read; NULL: none */
	struct secret *key[SIGNATURE_SECRETS_MAX];    /* what signs; NULL: none */
};

bool secrets_are_base64(const struct config *config)
{
	enum config_webhook_key key =
		(enum config_webhook_key)config_number(config, CONFIG_WEBHOOK_KEY);

	switch (key) {
	case CONFIG_KEY_TEXT:
		return false;
	case CONFIG_KEY_BASE64:
		return true;
	case CONFIG_KEY_AUTO:
		break;
	}
	return config_number(config, CONFIG_WEBHOOK_SCHEME) == SIGNATURE_STANDARD;
}

/* The key bytes in a locked page of their own; the decoding is wiped. NULL with a sentence. */
static struct secret *make_key(struct text secret, bool as_base64, char problem[SECRET_PROBLEM_MAX])
{
	unsigned char decoded[SECRET_MAX];
	ptrdiff_t len = signature_key(secret, as_base64, decoded, sizeof(decoded));
	struct secret *key = NULL;

	if (len < 0) {
		snprintf(problem, SECRET_PROBLEM_MAX,
			"it is not base64 behind whsec_; copy it again, or set key = text");
	} else if (len < SECRET_MIN) {
		snprintf(problem, SECRET_PROBLEM_MAX,
			"it decodes to fewer than %d bytes; get a longer one", SECRET_MIN);
	} else {
		key = secret_copy((struct text){ (const char *)decoded, (size_t)len });
		snprintf(problem, SECRET_PROBLEM_MAX,
			"no memory can be locked for it; raise LimitMEMLOCK=");
	}
	explicit_bzero(decoded, sizeof(decoded));
	return key;
}

static void say_setting(const struct config *config, enum config_key setting, char out[ORIGIN_MAX])
{
	char origin[ORIGIN_MAX / 2];

	config_say_origin(config, setting, origin, sizeof(origin));
	snprintf(out, ORIGIN_MAX, "%s: [%s] %s = %s", origin, config_rules[setting].section,
		config_rules[setting].name, config_text(config, setting));
}

/* NULL: it is unusable, and faults say why. */
static struct secret *read_secret(
	const struct config *config, enum config_key setting, struct faults *faults)
{
	char problem[SECRET_PROBLEM_MAX], said[ORIGIN_MAX];
	struct secret *secret;

	if (config_is_faulty(config, setting)) {
		return NULL; /* has been said; the default is not what was meant */
	}
	secret = secret_load(config_text(config, setting), problem);
	if (!secret) {
		say_setting(config, setting, said);
		fault_add(faults, "%s: %s", said, problem);
	}
	return secret;
}

static void judge_strength(const struct config *config, enum config_key setting, struct text key,
	struct faults *faults)
{
	char said[ORIGIN_MAX];

	if (key.len < SECRET_ADVISED) {
		say_setting(config, setting, said);
		fault_warn(faults, "%s: fewer than %d bytes can be guessed; use a longer one", said,
			SECRET_ADVISED);
	}
}

static bool load_one(
	struct secrets *secrets, unsigned index, const struct config *config, struct faults *faults)
{
	enum config_key setting =
		index == 0 ? CONFIG_WEBHOOK_SECRET : CONFIG_WEBHOOK_SECRET_PREVIOUS;
	char problem[SECRET_PROBLEM_MAX];
	char said[ORIGIN_MAX];

	if (config_text(config, setting)[0] == '\0' && !config_is_faulty(config, setting)) {
		return true;
	}
	secrets->secret[index] = read_secret(config, setting, faults);
	if (!secrets->secret[index]) {
		return false;
	}
	say_setting(config, setting, said);
	secrets->key[index] =
		make_key(secret_text(secrets->secret[index]), secrets_are_base64(config), problem);
	if (!secrets->key[index]) {
		fault_add(faults, "%s: %s", said, problem);
		return false;
	}
	judge_strength(config, setting, secret_text(secrets->key[index]), faults);
	return true;
}

struct secrets *secrets_load(const struct config *config, struct faults *faults)
{
	struct secrets *secrets = memory_new(sizeof(*secrets));
	bool usable = true;

	for (unsigned index = 0; index < SIGNATURE_SECRETS_MAX; index++) {
		usable = load_one(secrets, index, config, faults) && usable;
	}
	if (!usable) {
		secrets_free(secrets);
		return NULL;
	}
	return secrets;
}

void secrets_free(struct secrets *secrets)
{
	if (!secrets) {
		return;
	}
	for (unsigned index = 0; index < SIGNATURE_SECRETS_MAX; index++) {
		secret_free(secrets->secret[index]);
		secret_free(secrets->key[index]);
	}
	free(secrets);
}

struct text secrets_webhook(const struct secrets *secrets, unsigned index)
{
	return secrets->secret[index] ? secret_text(secrets->secret[index]) : text_of("");
}

struct signature_rules secrets_rules(const struct secrets *secrets, const struct config *config)
{
	struct signature_rules rules = {
		.scheme = (enum signature_scheme)config_number(config, CONFIG_WEBHOOK_SCHEME),
		.tolerance_us = config_number(config, CONFIG_WEBHOOK_TOLERANCE) * 1000,
	};

	for (unsigned index = 0; index < SIGNATURE_SECRETS_MAX; index++) {
		if (secrets->key[index]) {
			rules.secret[index] = secret_text(secrets->key[index]);
		}
	}
	return rules;
}

struct secret *secrets_load_api_key(const struct config *config, struct faults *faults)
{
	struct secret *key = read_secret(config, CONFIG_TORQUE_API_KEY, faults);
	char said[ORIGIN_MAX];

	if (!key) {
		return NULL;
	}
	if (!url_is_target(secret_text(key))) {
		say_setting(config, CONFIG_TORQUE_API_KEY, said);
		fault_add(faults,
			"%s: it holds a space or a byte that is no visible ASCII; copy it again",
			said);
		secret_free(key);
		return NULL;
	}
	judge_strength(config, CONFIG_TORQUE_API_KEY, secret_text(key), faults);
	return key;
}
