/* What may stand in a path of the API, and what a list asks for. */
#include "order/api_target.h"

#include "base/text.h"
#include "check.h"
#include "order/fact.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FROM_US      INT64_C(1705312800000000) /* 2024-01-15T10:00:00Z */
#define HOUR_US      INT64_C(3600000000)
#define ID_128                                                                                     \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                         \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* clang-format off */
static const struct {
	const char *promise;
	struct text id;
	const char *escaped; /* NULL: never in a URL */
} ids[] = {
	{ "an id as the API writes it stands as it is", TEXT_INIT("order_abc123"), "order_abc123" },
	{ "dots, dashes and underscores stand as they are", TEXT_INIT("a.b-c_d"), "a.b-c_d" },
	{ "a colon is escaped", TEXT_INIT("shop:1"), "shop%3A1" },
	{ "an id of one character is one", TEXT_INIT("a"), "a" },
	{ "an id of 128 characters is one", TEXT_INIT(ID_128), ID_128 },
	{ "three dots are a name", TEXT_INIT("..."), "..." },
	{ "one dot is a path segment of its own", TEXT_INIT("."), NULL },
	{ "two dots are a path segment of their own", TEXT_INIT(".."), NULL },
	{ "129 characters are too many", TEXT_INIT(ID_128 "a"), NULL },
	{ "nothing is no id", TEXT_INIT(""), NULL },
	{ "SQL is no id", TEXT_INIT("'; DROP TABLE orders;--"), NULL },
	{ "a parameter is no id", TEXT_INIT("$1"), NULL },
	{ "a format is no id", TEXT_INIT("%s%n"), NULL },
	{ "a backslash is no id", TEXT_INIT("E'\\x00'"), NULL },
	{ "a way up is no id", TEXT_INIT("../../v1/business"), NULL },
	{ "an escaped slash is no id", TEXT_INIT("..%2f"), NULL },
	{ "escaped dots are no id", TEXT_INIT("%2e%2e/"), NULL },
	{ "a query is no id", TEXT_INIT("a?limit=1"), NULL },
	{ "a fragment is no id", TEXT_INIT("a#b"), NULL },
	{ "a path parameter is no id", TEXT_INIT("a;b"), NULL },
	{ "a second parameter is no id", TEXT_INIT("a&b"), NULL },
	{ "a user at a host is no id", TEXT_INIT("@evil.test/"), NULL },
	{ "a host is no id", TEXT_INIT("//evil.test"), NULL },
	{ "a URL is no id", TEXT_INIT("http://169.254.169.254/"), NULL },
	{ "full-width letters are no id", TEXT_INIT("\xEF\xBD\x8F\xEF\xBD\x92" "der"), NULL },
	{ "Cyrillic letters are no id", TEXT_INIT("\xD0\xBE" "rder"), NULL },
	{ "an accent in one code point is no id", TEXT_INIT("caf\xC3\xA9"), NULL },
	{ "an accent in two code points is no id", TEXT_INIT("cafe\xCC\x81"), NULL },
	{ "a space before it is not trimmed", TEXT_INIT(" order_1"), NULL },
	{ "a space behind it is not trimmed", TEXT_INIT("order_1 "), NULL },
	{ "a line end is no id", TEXT_INIT("order_1\r\nX-Evil: 1"), NULL },
	{ "a NUL is no id", TEXT_INIT("order\0_1"), NULL },
	{ "a slash at the end is no id", TEXT_INIT("order_1/"), NULL },
};

static const struct {
	const char *promise;
	struct api_target_list list;
	const char *target; /* NULL: no path */
} lists[] = {
	{ "a list says limit and offset", { .limit = 100 },
		"/checkout/orders?limit=100&offset=0" },
	{ "a list goes on at its offset", { .limit = 20, .offset = 4294967295U },
		"/checkout/orders?limit=20&offset=4294967295" },
	{ "times are in UTC and escaped",
		{ .limit = 1, .has_from = true, .from_us = FROM_US, .has_to = true,
			.to_us = FROM_US + HOUR_US },
		"/checkout/orders?limit=1&offset=0&startDate=2024-01-15T10%3A00%3A00.000000Z"
		"&endDate=2024-01-15T11%3A00%3A00.000000Z" },
	{ "one end may be open", { .limit = 1, .has_to = true, .to_us = FROM_US + 1 },
		"/checkout/orders?limit=1&offset=0&endDate=2024-01-15T10%3A00%3A00.000001Z" },
	{ "a status is escaped", { .limit = 1, .status = TEXT_INIT("on hold&limit=9") },
		"/checkout/orders?limit=1&offset=0&status=on%20hold%26limit%3D9" },
	{ "an address is escaped", { .limit = 1, .email = TEXT_INIT("a+b@c.example\r\n") },
		"/checkout/orders?limit=1&offset=0&customerEmail=a%2Bb%40c.example%0D%0A" },
	{ "bytes beyond ASCII are escaped", { .limit = 1, .email = TEXT_INIT("\xC3\xA9\xFF") },
		"/checkout/orders?limit=1&offset=0&customerEmail=%C3%A9%FF" },
	{ "no rows are no list", { .limit = 0 }, NULL },
	{ "101 rows are more than the API gives", { .limit = 101 }, NULL },
};
/* clang-format on */

static void check_path(const char *promise, bool made, const char *got, const char *before,
	const char *escaped, const char *after)
{
	char expected[API_TARGET_MAX];

	snprintf(expected, sizeof(expected), "%s%s%s", before, escaped ? escaped : "", after);
	CHECK(made == (escaped != NULL) && (!made || strcmp(got, expected) == 0), "%s: %s%s",
		promise, before, after);
}

static void check_ids(void)
{
	for (size_t i = 0; i < COUNT(ids); i++) {
		char target[API_TARGET_MAX] = "";
		bool made = api_target_show(ids[i].id, false, target);

		check_path(ids[i].promise, made, target, "/checkout/order-status/", ids[i].escaped,
			"");
		made = api_target_show(ids[i].id, true, target);
		check_path(ids[i].promise, made, target, "/checkout/order-status/", ids[i].escaped,
			"?includeDetails=true");
		made = api_target_cancel(ids[i].id, target);
		check_path(ids[i].promise, made, target, "/checkout/orders/", ids[i].escaped,
			"/cancel");
	}
}

static void check_lists(void)
{
	for (size_t i = 0; i < COUNT(lists); i++) {
		char target[API_TARGET_MAX] = "";
		bool made = api_target_list(&lists[i].list, target);

		CHECK(made == (lists[i].target != NULL) &&
				(!made || strcmp(target, lists[i].target) == 0),
			"%s (got %s)", lists[i].promise, target);
	}
}

static void check_length(void)
{
	static char long_email[API_TARGET_MAX];
	const char *before = "/checkout/orders?limit=1&offset=0&customerEmail=";
	size_t room = API_TARGET_MAX - 1 - strlen(before);
	struct api_target_list list = { .limit = 1, .email = { long_email, room } };
	char target[API_TARGET_MAX];

	memset(long_email, 'a', sizeof(long_email));
	CHECK(api_target_list(&list, target) && strlen(target) == API_TARGET_MAX - 1,
		"a target may be as long as its room");
	list.email.len++;
	CHECK(!api_target_list(&list, target), "a target that does not fit is none");
	memset(long_email, '@', sizeof(long_email));
	list.email.len = room / 3;
	CHECK(api_target_list(&list, target), "escapes that fit are written");
	list.email.len++;
	CHECK(!api_target_list(&list, target), "an escape is never cut");
}

int main(void)
{
	check_ids();
	check_lists();
	check_length();
	CHECK(strcmp(api_target_link(), "/checkout/generate-link") == 0, "links have a path");
	return check_done();
}
