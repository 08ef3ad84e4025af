/* A value is told what it is by its rule: it is parsed, or refused with what it should be. */
#include "settings/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/address.h"
#include "base/cleanup.h"
#include "base/memory.h"
#include "pg/conninfo.h"

enum {
	QUOTED_MAX = 80, /* bytes of a value that a sentence quotes */
	HEADER_NAME_MAX = 64,
	CREDENTIAL_NAME_MAX = 255,
	BOUND_MAX = 32, /* "1048576KiB" */
	UNITS_MAX = 5,
};

struct unit {
	const char *name;
	int64_t scale;
};

static const struct form {
	const char *expected;
	struct unit units[UNITS_MAX + 1]; /* of a quantity: the largest first, NULL behind the last;
					     a bound is said in the largest that fits */
} forms[] = {
	[VALUE_TEXT] = { .expected = "a text" },
	[VALUE_YES_NO] = { .expected = "yes or no" },
	[VALUE_COUNT] = { .expected = "a number", .units = { { "", 1 } } },
	[VALUE_DURATION] = { .expected = "a duration",
		.units = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 },
			{ "ms", 1 } } },
	[VALUE_SIZE] = { .expected = "a size",
		.units = { { "MiB", 1048576 }, { "KiB", 1024 }, { "B", 1 } } },
	[VALUE_ADDRESS] = { .expected = "a numeric address and a port, as 127.0.0.1:8480 or "
					"[::1]:8480" },
	[VALUE_NETWORKS] = { .expected = "numeric addresses and prefixes with spaces between, as "
					 "127.0.0.1 10.0.0.0/8" },
	[VALUE_FILE] = { .expected = "/an/absolute/path or credential:NAME" },
	[VALUE_SECRET] = { .expected = "credential:NAME or file:/an/absolute/path" },
	[VALUE_PATH] = { .expected = "the path of a URL, from its first / on, without ? # % and "
				     "spaces" },
	[VALUE_URL] = { .expected = "a URL, as https://shop.example/webhooks/torque" },
	[VALUE_HEADER] = { .expected = "the name of an HTTP header, as X-Torque-Signature" },
	[VALUE_CONNINFO] = { .expected = "a connection string of libpq without a password" },
};

/* Digits and a unit, nothing between them. */
static bool parse_quantity(const struct unit *unit, struct text value, int64_t *ret_number)
{
	size_t digits = 0;
	uint64_t amount;

	while (digits < value.len && value.ptr[digits] >= '0' && value.ptr[digits] <= '9') {
		digits++;
	}
	if (!text_to_u64((struct text){ value.ptr, digits }, &amount)) {
		return false;
	}
	for (; unit->name; unit++) {
		if (text_equal((struct text){ value.ptr + digits, value.len - digits },
			    text_of(unit->name))) {
			return !__builtin_mul_overflow(amount, unit->scale, ret_number);
		}
	}
	return false;
}

static bool parse_choice(const struct value_rule *rule, struct text value, int64_t *ret_number)
{
	for (int64_t i = 0; rule->words[i]; i++) {
		if (text_equal(value, text_of(rule->words[i]))) {
			*ret_number = i;
			return true;
		}
	}
	return false;
}

static bool parse_yes_no(struct text value, int64_t *ret_number)
{
	*ret_number = text_equal(value, TEXT("yes")) ? 1 : 0;
	return *ret_number == 1 || text_equal(value, TEXT("no"));
}

static bool all_of(struct text value, const char *punctuation)
{
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (c < '0' || c > '9') && (c == '\0' || !strchr(punctuation, c))) {
			return false;
		}
	}
	return true;
}

/* A name within the credentials directory: never a way out of it. */
static bool is_credential(struct text value)
{
	struct text name = text_without_prefix(value, TEXT("credential:"));

	return name.len < value.len && name.len > 0 && name.len <= CREDENTIAL_NAME_MAX &&
	       name.ptr[0] != '.' && all_of(name, "._-");
}

static bool is_absolute(struct text value)
{
	return value.len > 1 && value.ptr[0] == '/';
}

static bool is_secret(struct text value)
{
	struct text path = text_without_prefix(value, TEXT("file:"));

	return is_credential(value) || (path.len < value.len && is_absolute(path));
}

static bool is_url(struct text value)
{
	struct text rest = text_without_prefix(value, TEXT("https://"));

	if (rest.len == value.len) {
		rest = text_without_prefix(value, TEXT("http://"));
	}
	return rest.len < value.len && rest.len > 0 && rest.ptr[0] != '/' &&
	       all_of(rest, "/._~-:[]%?&=+,;!$'()*");
}

static bool in_bounds(const struct value_rule *rule, int64_t number)
{
	return number >= rule->min && number <= rule->max;
}

static bool fits(const struct value_rule *rule, struct text value, int64_t *ret_number)
{
	struct address ignored;

	switch (rule->type) {
	case VALUE_TEXT:
		return in_bounds(rule, (int64_t)value.len);
	case VALUE_CHOICE:
		return parse_choice(rule, value, ret_number);
	case VALUE_YES_NO:
		return parse_yes_no(value, ret_number);
	case VALUE_COUNT:
	case VALUE_DURATION:
	case VALUE_SIZE:
		return parse_quantity(forms[rule->type].units, value, ret_number) &&
		       in_bounds(rule, *ret_number);
	case VALUE_ADDRESS:
		return address_read(value, &ignored);
	case VALUE_NETWORKS:
		return address_is_list(value);
	case VALUE_FILE:
		return is_absolute(value) || is_credential(value);
	case VALUE_SECRET:
		return is_secret(value);
	case VALUE_PATH:
		return in_bounds(rule, (int64_t)value.len) && value.ptr[0] == '/' &&
		       all_of(value, "/._~-:@!$&'()*+,;=");
	case VALUE_URL:
		return is_url(value);
	case VALUE_HEADER:
		return value.len <= HEADER_NAME_MAX && all_of(value, "-_");
	case VALUE_CONNINFO:
		return true; /* judged on its own: libpq knows more than one thing to say */
	}
	return false;
}

static void say_bound(const struct unit *unit, int64_t number, char out[BOUND_MAX])
{
	while (unit[1].name && (number < unit->scale || number % unit->scale != 0)) {
		unit++;
	}
	snprintf(out, BOUND_MAX, "%" PRId64 "%s", number / unit->scale, unit->name);
}

static void say_words(const struct value_rule *rule, char out[VALUE_EXPECTED_MAX])
{
	size_t used = 0;

	for (size_t i = 0; rule->words[i]; i++) {
		const char *between = i == 0 ? "" : rule->words[i + 1] ? ", " : " or ";
		int len = snprintf(
			out + used, VALUE_EXPECTED_MAX - used, "%s%s", between, rule->words[i]);

		used += (size_t)len; /* the words of a table of ours: they fit */
	}
}

void value_expected(const struct value_rule *rule, char out[VALUE_EXPECTED_MAX])
{
	const struct form *form = &forms[rule->type];
	char min[BOUND_MAX], max[BOUND_MAX];

	if (rule->type == VALUE_CHOICE) {
		say_words(rule, out);
	} else if (rule->type == VALUE_TEXT) {
		snprintf(out, VALUE_EXPECTED_MAX, "%s of at most %" PRId64 " bytes", form->expected,
			rule->max);
	} else if (form->units[0].name) {
		say_bound(form->units, rule->min, min);
		say_bound(form->units, rule->max, max);
		snprintf(out, VALUE_EXPECTED_MAX, "%s from %s to %s", form->expected, min, max);
	} else {
		snprintf(out, VALUE_EXPECTED_MAX, "%s", form->expected);
	}
}

/* What a person probably meant, when the form of the value tells. */
static const char *hint(const struct value_rule *rule, struct text value)
{
	assert(value.ptr && value.len > 0);
	char first = value.ptr[0];
	bool is_number = value.ptr[value.len - 1] >= '0' && value.ptr[value.len - 1] <= '9' &&
			 all_of(value, "");

	if (first == '"' || first == '\'') {
		return "; values stand without quotes";
	}
	if (memmem(value.ptr, value.len, " #", 2) || memmem(value.ptr, value.len, " ;", 2)) {
		return "; a comment needs a line of its own";
	}
	if (is_number && rule->type == VALUE_DURATION) {
		return "; it needs a unit: ms, s, min, h or d";
	}
	if (is_number && rule->type == VALUE_SIZE) {
		return "; it needs a unit: B, KiB or MiB";
	}
	if (rule->type == VALUE_ADDRESS && text_has_prefix(value, TEXT("localhost:"))) {
		return "; names are not looked up";
	}
	return "";
}

const char *value_bad_bytes(struct text value)
{
	while (value.len > 0) {
		bool valid;
		uint32_t code = text_next_code_point(&value, &valid);

		if (!valid) {
			return "is not UTF-8; write it in UTF-8";
		}
		if ((code < ' ' && code != '\t') || code == 0x7F) {
			return "holds a control character; take it out";
		}
	}
	return NULL;
}

static bool judge_conninfo(struct text value, struct problem *problem)
{
	CLEANUP(cleanup_free) char *conninfo = memory_copy_text(value);

	return conninfo_judge(conninfo, problem);
}

/* One that is neither empty nor too long, in good bytes. */
static bool parse_form(const struct value_rule *rule, struct text value, const char *expected,
	int64_t *ret_number, struct problem *problem)
{
	struct text quoted = text_cut_utf8(value, QUOTED_MAX);

	if (rule->type == VALUE_CONNINFO) {
		return judge_conninfo(value, problem);
	}
	if (fits(rule, value, ret_number)) {
		return true;
	}
	if (rule->type == VALUE_SECRET) {
		return problem_say(problem,
			"does not name a secret; put the secret into a file that only its owner "
			"can read, and write %s here",
			expected);
	}
	return problem_say(problem, "is \"%.*s\"%s; it should be %s", (int)quoted.len, quoted.ptr,
		hint(rule, value), expected);
}

bool value_parse(const struct value_rule *rule, struct text value, int64_t *ret_number,
	struct problem *problem)
{
	char expected[VALUE_EXPECTED_MAX];
	const char *bad_bytes = value_bad_bytes(value);
	int64_t number = 0;

	value_expected(rule, expected);
	if (bad_bytes) {
		return problem_say(problem, "%s", bad_bytes);
	}
	if (value.len == 0 && !rule->optional) {
		return problem_say(problem, "is empty; it should be %s", expected);
	}
	if (value.len > VALUE_TEXT_MAX) {
		return problem_say(
			problem, "is %zu bytes long; it should be %s", value.len, expected);
	}
	if (value.len > 0 && !parse_form(rule, value, expected, &number, problem)) {
		return false;
	}
	*ret_number = number;
	return true;
}
