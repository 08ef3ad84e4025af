#include "base/text.h"

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *promise;
	struct text a;
	struct text b;
	bool equal;
	bool equal_nocase;
} comparisons[] = {
	{ "an empty text equals one without an address", { "", 0 }, { NULL, 0 }, true, true },
	{ "a text equals itself", TEXT_INIT("Host"), TEXT_INIT("Host"), true, true },
	{ "case may be ignored", TEXT_INIT("hOST"), TEXT_INIT("Host"), false, true },
	{ "a prefix is not equal", TEXT_INIT("Hos"), TEXT_INIT("Host"), false, false },
	{ "only letters have a case", TEXT_INIT("@["), TEXT_INIT("`{"), false, false },
	{ "bytes beyond ASCII have no case", TEXT_INIT("\xc4"), TEXT_INIT("\xe4"), false, false },
	{ "a NUL ends nothing", TEXT_INIT("a\0b"), TEXT_INIT("a\0c"), false, false },
};

static const struct {
	const char *promise;
	const char *padded;
	const char *trimmed;
} trims[] = {
	{ "spaces and tabs go at both ends", " \t a b\t ", "a b" },
	{ "padding alone becomes empty", " \t ", "" },
	{ "an empty text stays empty", "", "" },
	{ "other white space stays", "\va\r\n", "\va\r\n" },
};

static const struct {
	const char *promise;
	const char *digits;
	bool valid;
	uint64_t value;
} numbers[] = {
	{ "zero is a number", "0", true, 0 },
	{ "leading zeros are digits", "007", true, 7 },
	{ "the largest number fits", "18446744073709551615", true, UINT64_MAX },
	{ "one more overflows", "18446744073709551616", false, 0 },
	{ "a tenfold overflows", "184467440737095516150", false, 0 },
	{ "nothing is no number", "", false, 0 },
	{ "a plus sign is no digit", "+5", false, 0 },
	{ "a minus sign is no digit", "-5", false, 0 },
	{ "a space is no digit", " 5", false, 0 },
	{ "a point is no digit", "5.0", false, 0 },
	{ "hexadecimal is not read", "0x5", false, 0 },
	{ "U+0665 is no digit", "\xd9\xa5", false, 0 },
};

static const struct {
	const char *promise;
	const char *hex;
	ptrdiff_t len;
} hexes[] = {
	{ "nothing decodes to nothing", "", 0 },
	{ "lower case decodes", "00ff7f80", 4 },
	{ "upper case decodes", "00FF7F80", 4 },
	{ "an odd digit is refused", "00ff7f8", -1 },
	{ "a letter beyond f is refused", "00ff7g80", -1 },
	{ "a prefix is refused", "0x00ff7f", -1 },
	{ "more than the room is refused", "00ff7f8001", -1 },
};

static const struct {
	const char *promise;
	const char *whole;
	size_t max;
	size_t len;
} cuts[] = {
	{ "what fits is not cut", "abc", 3, 3 },
	{ "ASCII is cut anywhere", "abcd", 3, 3 },
	{ "two bytes stay together", "ab\xc3\xa4", 3, 2 },
	{ "three bytes stay together", "\xe2\x82\xac\xe2\x82\xac", 5, 3 },
	{ "four bytes stay together", "a\xf0\x9f\x98\x80", 4, 1 },
	{ "a cut behind a sequence takes it whole", "\xc3\xa4z", 2, 2 },
	{ "nothing may be left", "\xf0\x9f\x98\x80", 3, 0 },
	{ "a run that is not UTF-8 is cut as it comes", "\x80\x80\x80\x80\x80\x80", 5, 5 },
};

static void check_comparisons(void)
{
	for (size_t i = 0; i < COUNT(comparisons); i++) {
		CHECK(text_equal(comparisons[i].a, comparisons[i].b) == comparisons[i].equal, "%s",
			comparisons[i].promise);
		CHECK(text_equal_nocase(comparisons[i].a, comparisons[i].b) ==
				comparisons[i].equal_nocase,
			"%s, also without case", comparisons[i].promise);
	}
}

static void check_prefixes(void)
{
	struct text whole = TEXT("sha256=00");

	CHECK(text_has_prefix(whole, TEXT("sha256=")), "a prefix is found");
	CHECK(text_has_prefix(whole, TEXT("")), "an empty prefix is always there");
	CHECK(!text_has_prefix(TEXT("sha"), whole), "a longer prefix is not there");
	CHECK(!text_has_prefix(whole, TEXT("SHA256=")), "a prefix has a case");
	CHECK(text_equal(text_without_prefix(whole, TEXT("sha256=")), TEXT("00")),
		"a prefix is taken off");
	CHECK(text_equal(text_without_prefix(whole, TEXT("md5=")), whole),
		"without that prefix all stays");
	CHECK(text_without_prefix(whole, whole).len == 0, "a whole prefix leaves nothing");
}

static void check_trims(void)
{
	for (size_t i = 0; i < COUNT(trims); i++) {
		CHECK(text_equal(text_trim(text_of(trims[i].padded)), text_of(trims[i].trimmed)),
			"%s", trims[i].promise);
	}
}

static void check_parts(void)
{
	static const struct text expected[] = { TEXT_INIT("a"), TEXT_INIT(""), TEXT_INIT("b") };
	struct text rest = TEXT("a,,b");
	struct text part = TEXT("untouched");
	struct text empty = TEXT("");
	size_t count = 0;

	CHECK(!text_next(&empty, ',', &part) && text_equal(part, TEXT("untouched")),
		"an empty text has no parts");
	while (count < COUNT(expected) && text_next(&rest, ',', &part)) {
		CHECK(text_equal(part, expected[count]), "part %zu is \"%s\"", count,
			expected[count].ptr);
		count++;
	}
	CHECK(count == COUNT(expected) && !text_next(&rest, ',', &part),
		"there are three parts, then no more");
	rest = TEXT("a,");
	CHECK(text_next(&rest, ',', &part) && !text_next(&rest, ',', &part),
		"a separator at the end adds no part");
	CHECK(text_of(NULL).len == 0 && text_of(NULL).ptr, "no string is an empty text");
}

static void check_numbers(void)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint64_t value = 42;
		bool valid = text_to_u64(text_of(numbers[i].digits), &value);

		CHECK(valid == numbers[i].valid && value == (valid ? numbers[i].value : 42), "%s",
			numbers[i].promise);
	}
}

static void check_hex(void)
{
	static const unsigned char bytes[] = { 0x00, 0xff, 0x7f, 0x80 };
	unsigned char decoded[sizeof(bytes)];
	char hex[2 * sizeof(bytes) + 1];

	for (size_t i = 0; i < COUNT(hexes); i++) {
		ptrdiff_t len = text_from_hex(text_of(hexes[i].hex), decoded, sizeof(decoded));

		CHECK(len == hexes[i].len, "%s", hexes[i].promise);
		if (len > 0) {
			CHECK(memcmp(decoded, bytes, (size_t)len) == 0, "%s, rightly",
				hexes[i].promise);
		}
	}
	text_to_hex(bytes, sizeof(bytes), hex);
	CHECK(strcmp(hex, "00ff7f80") == 0, "bytes become lower-case digits and a NUL");
}

static void check_cuts(void)
{
	for (size_t i = 0; i < COUNT(cuts); i++) {
		struct text cut = text_cut_utf8(text_of(cuts[i].whole), cuts[i].max);

		CHECK(cut.ptr == cuts[i].whole && cut.len == cuts[i].len, "%s (got %zu)",
			cuts[i].promise, cut.len);
	}
}

static const struct {
	const char *promise;
	const char *bytes;
	size_t len;
	uint32_t code; /* 0xFFFD: none */
	size_t taken;
} code_points[] = {
	{ "ASCII is itself", "a", 1, 'a', 1 },
	{ "the first of two bytes", "\xc2\x80", 2, 0x80, 2 },
	{ "the first of three bytes", "\xe0\xa0\x80", 3, 0x800, 3 },
	{ "the last before the surrogates", "\xed\x9f\xbf", 3, 0xD7FF, 3 },
	{ "a high surrogate is none", "\xed\xa0\x80", 3, 0xFFFD, 1 },
	{ "a low surrogate is none", "\xed\xbf\xbf", 3, 0xFFFD, 1 },
	{ "the first after the surrogates", "\xee\x80\x80", 3, 0xE000, 3 },
	{ "the first of four bytes", "\xf0\x90\x80\x80", 4, 0x10000, 4 },
	{ "the last of all", "\xf4\x8f\xbf\xbf", 4, 0x10FFFF, 4 },
	{ "one beyond the last is none", "\xf4\x90\x80\x80", 4, 0xFFFD, 1 },
	{ "an overlong form of two bytes is none", "\xc1\xbf", 2, 0xFFFD, 1 },
	{ "an overlong form of three bytes is none", "\xe0\x9f\xbf", 3, 0xFFFD, 1 },
	{ "an overlong form of four bytes is none", "\xf0\x8f\xbf\xbf", 4, 0xFFFD, 1 },
	{ "a continuation begins none", "\x80\x80", 2, 0xFFFD, 1 },
	{ "bytes behind the end do not count", "\xe2\x82\xac", 2, 0xFFFD, 1 },
	{ "another character does not continue", "\xe2\x82x", 3, 0xFFFD, 1 },
};

static void check_code_points(void)
{
	for (size_t i = 0; i < COUNT(code_points); i++) {
		struct text rest = { code_points[i].bytes, code_points[i].len };
		bool valid = false;
		uint32_t code = text_next_code_point(&rest, &valid);

		CHECK(code == code_points[i].code && valid == (code != 0xFFFD) &&
				rest.len == code_points[i].len - code_points[i].taken &&
				rest.ptr == code_points[i].bytes + code_points[i].taken,
			"code points: %s (got %x, %zu left)", code_points[i].promise,
			(unsigned)code, rest.len);
	}
}

int main(void)
{
	check_comparisons();
	check_prefixes();
	check_trims();
	check_parts();
	check_numbers();
	check_hex();
	check_cuts();
	check_code_points();
	return check_done();
}
