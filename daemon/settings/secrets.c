/* Secrets are read where the settings say, and every fault is named by the setting it comes from.
 */
#include "settings/secrets.h"

#include <stdlib.h>

#include "base/memory.h"
#include "http/url.h"

struct secrets {
	struct secret *secret[SIGNATURE_SECRETS_MAX]; /* as read, for doubts; else NULL */
	struct secret *key[SIGNATURE_SECRETS_MAX];    /* what signs; NULL: none */
	struct signature_rules rules;
};

/* What is done about a secret that can be read, and cannot be right. */
enum judgement {
	REFUSE, /* a fault */
	DOUBT,  /* a warning: somebody wants to know which secret would be right */
};

bool secrets_are_base64(const struct settings *settings, enum signature_scheme scheme)
{
	switch (settings->webhook.key) {
	case SETTINGS_KEY_TEXT:
		return false;
	case SETTINGS_KEY_BASE64:
		return true;
	case SETTINGS_KEY_AUTO:
		break;
	}
	return scheme == SIGNATURE_STANDARD;
}

/* "FILE:LINE: [section] key = value: sentence"; a secret's value is where it is, not the secret. */
static void add_fault(const struct config *config, enum config_key setting, struct faults *faults,
	const char *sentence)
{
	config_fault(config, setting, faults, " = %s: %s", config_text(config, setting), sentence);
}

static void add_doubt(const struct config *config, enum config_key setting,
	enum judgement judgement, struct faults *faults, const char *sentence)
{
	if (judgement == REFUSE) {
		add_fault(config, setting, faults, sentence);
	} else {
		config_warn(config, setting, faults, " = %s: %s", config_text(config, setting),
			sentence);
	}
}

static enum config_key setting_of(unsigned index)
{
	return index == 0 ? CONFIG_WEBHOOK_SECRET : CONFIG_WEBHOOK_SECRET_PREVIOUS;
}

static void judge_strength(const struct config *config, enum config_key setting, struct text key,
	struct faults *faults)
{
	if (key.len < SECRET_ADVISED) {
		config_warn(config, setting, faults,
			" = %s: fewer than %d bytes can be guessed; use a longer one",
			config_text(config, setting), SECRET_ADVISED);
	}
}

/* NULL: it is unusable, and faults say why. */
static struct secret *read_secret(const struct config *config, enum config_key setting,
	enum judgement judgement, struct faults *faults)
{
	struct problem problem;
	struct secret *secret;

	if (config_is_faulty(config, setting)) {
		return NULL; /* has been said; the default is not what was meant */
	}
	secret = secret_load(config_text(config, setting), &problem);
	if (!secret) {
		add_fault(config, setting, faults, problem.text);
		return NULL;
	}
	if (!secret_judge(secret, &problem)) {
		add_doubt(config, setting, judgement, faults, problem.text);
		if (judgement == REFUSE) {
			secret_free(secret);
			return NULL;
		}
	}
	return secret;
}

struct secret *secrets_make_key(struct text secret, bool as_base64, struct problem *problem)
{
	unsigned char decoded[SECRET_MAX];
	ptrdiff_t len = signature_key(secret, as_base64, decoded, sizeof(decoded));
	struct secret *key = NULL;

	if (len < 0) {
		problem_say(problem,
			"it is not base64 behind whsec_; copy it again, or set key = text");
	} else if (len < SECRET_MIN) {
		problem_say(
			problem, "it decodes to fewer than %d bytes; get a longer one", SECRET_MIN);
	} else {
		key = secret_copy((struct text){ (const char *)decoded, (size_t)len });
		problem_say(problem, "no memory can be locked for it; raise LimitMEMLOCK=");
	}
	explicit_bzero(decoded, sizeof(decoded));
	return key;
}

/* What signs with the secret that has been read. False: nothing does. */
static bool use(struct secrets *secrets, unsigned index, const struct secret *secret,
	const struct config *config, enum judgement judgement, struct faults *faults)
{
	const struct settings *settings = config_settings(config);
	bool as_base64 = secrets_are_base64(settings, settings->webhook.scheme);
	struct problem problem;
	struct secret *key = secrets_make_key(secret_text(secret), as_base64, &problem);

	secrets->key[index] = key;
	if (!key) {
		add_doubt(config, setting_of(index), judgement, faults, problem.text);
		return judgement == DOUBT;
	}
	secrets->rules.secret[index] = secret_text(key);
	judge_strength(config, setting_of(index), secret_text(key), faults);
	return true;
}

static bool load_one(struct secrets *secrets, unsigned index, const struct config *config,
	enum judgement judgement, struct faults *faults)
{
	enum config_key setting = setting_of(index);
	struct secret *secret;
	bool usable;

	if (config_text(config, setting)[0] == '\0' && !config_is_faulty(config, setting)) {
		return true;
	}
	secret = read_secret(config, setting, judgement, faults);
	usable = secret && use(secrets, index, secret, config, judgement, faults);
	if (judgement == DOUBT) {
		secrets->secret[index] = secret;
	} else {
		secret_free(secret);
	}
	return usable;
}

static struct secrets *load(
	const struct config *config, enum judgement judgement, struct faults *faults)
{
	const struct settings *settings = config_settings(config);
	struct secrets *secrets = memory_new(sizeof(*secrets));
	bool usable = true;

	secrets->rules.scheme = settings->webhook.scheme;
	secrets->rules.tolerance_us = settings->webhook.tolerance_ms * 1000;
	for (unsigned index = 0; index < SIGNATURE_SECRETS_MAX; index++) {
		usable = load_one(secrets, index, config, judgement, faults) && usable;
	}
	if (!usable) {
		secrets_free(secrets);
		return NULL;
	}
	return secrets;
}

struct secrets *secrets_load(const struct config *config, struct faults *faults)
{
	return load(config, REFUSE, faults);
}

struct secrets *secrets_load_doubted(const struct config *config, struct faults *faults)
{
	return load(config, DOUBT, faults);
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

struct signature_rules secrets_rules(const struct secrets *secrets)
{
	return secrets->rules;
}

const struct secret *secrets_doubted(const struct secrets *secrets, unsigned index)
{
	return secrets->secret[index];
}

struct secret *secrets_load_api_key(const struct config *config, struct faults *faults)
{
	struct secret *key = read_secret(config, CONFIG_TORQUE_API_KEY, REFUSE, faults);

	if (key && !url_is_target(secret_text(key))) {
		add_fault(config, CONFIG_TORQUE_API_KEY, faults,
			"it holds a space or a byte that is no visible ASCII; copy it again");
		secret_free(key);
		return NULL;
	}
	if (key) {
		judge_strength(config, CONFIG_TORQUE_API_KEY, secret_text(key), faults);
	}
	return key;
}
