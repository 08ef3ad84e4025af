#include "base/stamp.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *given;
	const char *expected; /* as stamp_format() writes it; NULL = refused */
} cases[] = {
	{ "2024-01-15T10:00:00Z", "2024-01-15T10:00:00.000000Z" },
	{ "2024-01-15t10:00:00z", "2024-01-15T10:00:00.000000Z" },
	{ "2024-01-15T10:00:00.1Z", "2024-01-15T10:00:00.100000Z" },
	{ "2024-01-15T10:00:00.123456Z", "2024-01-15T10:00:00.123456Z" },
	{ "2024-01-15T10:00:00.1234569Z", "2024-01-15T10:00:00.123456Z" },
	{ "2024-01-15T10:00:00.123456789012345678901234567890Z", "2024-01-15T10:00:00.123456Z" },
	{ "2024-01-15T10:00:00.000000999Z", "2024-01-15T10:00:00.000000Z" },
	{ "2024-01-15T10:00:00+02:00", "2024-01-15T08:00:00.000000Z" },
	{ "2024-01-15T10:00:00-05:30", "2024-01-15T15:30:00.000000Z" },
	{ "2024-01-15T10:00:00-00:00", "2024-01-15T10:00:00.000000Z" },
	{ "2024-01-15T00:00:00+23:59", "2024-01-14T00:01:00.000000Z" },
	{ "2024-02-29T23:59:59Z", "2024-02-29T23:59:59.000000Z" },
	{ "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000000Z" },

	/* leap seconds */
	{ "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z" },
	{ "2016-12-31T23:59:60.5Z", "2017-01-01T00:00:00.500000Z" },
	{ "2017-01-01T01:59:60+02:00", "2017-01-01T00:00:00.000000Z" },
	{ "2015-06-30T23:59:60Z", "2015-07-01T00:00:00.000000Z" },
	{ "2016-12-30T23:59:60Z", NULL },
	{ "2016-12-31T22:59:60Z", NULL },
	{ "2016-12-31T23:58:60Z", NULL },
	{ "2016-12-31T23:59:61Z", NULL },

	/* the bounds */
	{ "2000-01-01T00:00:00Z", "2000-01-01T00:00:00.000000Z" },
	{ "2100-12-31T23:59:59.999999Z", "2100-12-31T23:59:59.999999Z" },
	{ "2000-01-01T00:00:00+00:01", NULL },
	{ "1999-12-31T23:59:00-00:01", "2000-01-01T00:00:00.000000Z" },
	{ "2100-12-31T23:59:59-00:01", NULL },
	{ "2100-12-31T23:59:60Z", NULL },
	{ "0000-01-01T00:00:00Z", NULL },
	{ "-001-01-01T00:00:00Z", NULL },
	{ "1969-12-31T23:59:59Z", NULL },
	{ "1999-12-31T23:59:59Z", NULL },
	{ "2101-01-01T00:00:00Z", NULL },
	{ "9999-12-31T23:59:59Z", NULL },
	{ "10000-01-01T00:00:00Z", NULL },
	{ "294277-01-01T00:00:00Z", NULL },

	/* other forms */
	{ "", NULL },
	{ "now", NULL },
	{ "infinity", NULL },
	{ "2024-01-15", NULL },
	{ "2024-01-15T10:00:00", NULL },
	{ "2024-01-15T10:00Z", NULL },
	{ "2024-01-15T10Z", NULL },
	{ "2024-01-15 10:00:00Z", NULL },
	{ "2024-01-15T10:00:00 Z", NULL },
	{ "2024-01-15T10:00:00,5Z", NULL },
	{ "2024-01-15T10:00:00.Z", NULL },
	{ "2024-01-15T10:00:00+25:00", NULL },
	{ "2024-01-15T10:00:00+24:00", NULL },
	{ "2024-01-15T10:00:00+05:60", NULL },
	{ "2024-01-15T10:00:00+0530", NULL },
	{ "2024-01-15T10:00:00+05", NULL },
	{ "2024-01-15T10:00:00ZZ", NULL },
	{ "2024-01-15T10:00:00Z ", NULL },
	{ " 2024-01-15T10:00:00Z", NULL },
	{ "2024-1-15T10:00:00Z", NULL },
	{ "+024-01-15T10:00:00Z", NULL },
	{ "20240115T100000Z", NULL },
	{ "2024/01/15T10:00:00Z", NULL },
	{ "2024-01-15T10.00.00Z", NULL },
	{ "2024-W03-1T10:00:00Z", NULL },
	{ "1705312800", NULL },

	/* dates and times that are not there */
	{ "2024-02-30T00:00:00Z", NULL },
	{ "2023-02-29T00:00:00Z", NULL },
	{ "2100-02-29T00:00:00Z", NULL },
	{ "2024-04-31T00:00:00Z", NULL },
	{ "2024-00-10T00:00:00Z", NULL },
	{ "2024-13-01T00:00:00Z", NULL },
	{ "2024-01-00T00:00:00Z", NULL },
	{ "2024-01-32T00:00:00Z", NULL },
	{ "2024-01-15T24:00:00Z", NULL },
	{ "2024-01-15T10:60:00Z", NULL },
	{ "2024-01-15T10:00:99Z", NULL },
};

static const struct {
	const char *promise;
	double seconds;
	bool valid;
} unix_cases[] = {
	{ "whole seconds are a time", 1705312800, true },
	{ "the first second of 2000 is", 946684800, true },
	{ "the last second of 2100 is", 4133980799, true },
	{ "the second before 2000 is not", 946684799, false },
	{ "the first second of 2101 is not", 4133980800, false },
	{ "milliseconds are not seconds", 1705312800000, false },
	{ "1e12 is not a time", 1e12, false },
	{ "1e300 is not a time", 1e300, false },
	{ "negative seconds are not a time", -1705312800, false },
	{ "zero is not a time", 0, false },
	{ "half a second is not whole", 1705312800.5, false },
	{ "no number is no time", NAN, false },
	{ "endless is no time", INFINITY, false },
	{ "endlessly long ago is no time", -INFINITY, false },
};

static void check_cases(void)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		char formatted[STAMP_TEXT_MAX] = "refused";
		int64_t us = 42;
		bool valid = stamp_parse(text_of(cases[i].given), &us);
		const char *expected = cases[i].expected ? cases[i].expected : "refused";

		if (valid) {
			stamp_format(us, formatted);
		}
		CHECK(strcmp(formatted, expected) == 0, "\"%s\" is %s (got %s)", cases[i].given,
			expected, formatted);
		CHECK(valid || us == 42, "\"%s\": a refusal touches nothing", cases[i].given);
	}
}

static void check_unix(void)
{
	for (size_t i = 0; i < COUNT(unix_cases); i++) {
		int64_t us = 42;
		bool valid = stamp_from_unix(unix_cases[i].seconds, &us);
		int64_t expected = valid ? (int64_t)unix_cases[i].seconds * 1000000 : 42;

		CHECK(valid == unix_cases[i].valid && us == expected, "%s", unix_cases[i].promise);
	}
}

/* Every day of the span against the C library's calendar. */
static void check_calendar(void)
{
	int wrong = 0;

	for (time_t day = 946684800; day < 4133980800; day += 86400) {
		char expected[STAMP_TEXT_MAX];
		char formatted[STAMP_TEXT_MAX];
		struct tm date;
		int64_t us;

		gmtime_r(&day, &date);
		strftime(expected, sizeof(expected), "%Y-%m-%dT00:00:00.000000Z", &date);
		stamp_format((int64_t)day * 1000000, formatted);
		wrong += strcmp(expected, formatted) != 0;
		wrong += !stamp_parse(text_of(expected), &us) || us != (int64_t)day * 1000000;
	}
	CHECK(wrong == 0, "each day from 2000 to 2100 is that of gmtime (%d wrong)", wrong);
}

static void check_format(void)
{
	char formatted[STAMP_TEXT_MAX];

	stamp_format(-1, formatted);
	CHECK(strcmp(formatted, "1969-12-31T23:59:59.999999Z") == 0,
		"times before 1970 count backwards (got %s)", formatted);
	stamp_format(INT64_MAX, formatted);
	CHECK(strcmp(formatted, "invalid") == 0, "the end of time has no text (got %s)", formatted);
	stamp_format(INT64_MIN, formatted);
	CHECK(strcmp(formatted, "invalid") == 0, "nor has its beginning (got %s)", formatted);
}

static void check_cut_short(void)
{
	static const char whole[] = "2024-01-15T10:00:00.5+02:00";
	int taken = 0;

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		/* A copy of that length, so that a sanitizer sees a byte read beyond it. */
		char *part = malloc(len + 1);
		int64_t us;

		memcpy(part, whole, len);
		part[len] = 'Z';
		taken += stamp_parse((struct text){ part, len }, &us);
		free(part);
	}
	CHECK(taken == 0, "no beginning of a time is a time");
}

int main(void)
{
	check_cases();
	check_unix();
	check_calendar();
	check_format();
	check_cut_short();
	return check_done();
}
