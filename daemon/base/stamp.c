/* Times of RFC 3339, read strictly and written; the calendar is the C library's. */
#include "base/stamp.h"

#include <stdio.h>
#include <time.h>

enum {
	MINUTE_S = 60,
	HOUR_S = 3600,
	DAY_S = 86400,
	FRACTION_DIGITS = 6,
};

static const int64_t second_us = 1000000;
static const int64_t first_s = 946684800;   /* 2000-01-01T00:00:00Z */
static const int64_t beyond_s = 4133980800; /* 2101-01-01T00:00:00Z */

struct reader {
	struct text rest;
	bool failed; /* stays set: the caller asks once, at the end */
};

static char take(struct reader *reader)
{
	if (reader->failed || reader->rest.len == 0) {
		reader->failed = true;
		return '\0';
	}

	char c = reader->rest.ptr[0];

	reader->rest.ptr++;
	reader->rest.len--;
	return c;
}

static char peek(const struct reader *reader)
{
	return reader->failed || reader->rest.len == 0 ? '\0' : reader->rest.ptr[0];
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void expect(struct reader *reader, char wanted)
{
	if (take(reader) != wanted) {
		reader->failed = true;
	}
}

/* Exactly that many digits, with a value between least and most. */
static int64_t number(struct reader *reader, int digits, int64_t least, int64_t most)
{
	int64_t value = 0;

	for (int i = 0; i < digits; i++) {
		char c = take(reader);

		if (!is_digit(c)) {
			reader->failed = true;
			return least;
		}
		value = value * 10 + (c - '0');
	}
	if (value < least || value > most) {
		reader->failed = true;
		return least;
	}
	return value;
}

/* The first second of a date. The calendar has it under the same name, or it is not there. */
static int64_t read_date(struct reader *reader)
{
	int year = (int)number(reader, 4, 0, 9999);
	expect(reader, '-');
	int month = (int)number(reader, 2, 1, 12);
	expect(reader, '-');
	int day = (int)number(reader, 2, 1, 31);

	struct tm date = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
	int64_t seconds = timegm(&date);

	reader->failed = reader->failed || date.tm_mday != day;
	return seconds;
}

/* At least one digit behind the point, any count; those beyond the microsecond are cut. */
static int64_t read_fraction(struct reader *reader)
{
	int64_t us = 0;
	int digits = 0;

	if (peek(reader) != '.') {
		return 0;
	}
	take(reader);
	do {
		int64_t digit = number(reader, 1, 0, 9);

		if (digits < FRACTION_DIGITS) {
			us = us * 10 + digit;
			digits++;
		}
	} while (is_digit(peek(reader)));
	for (; digits < FRACTION_DIGITS; digits++) {
		us *= 10;
	}
	return us;
}

/* Seconds that local time is ahead of UTC. "-00:00" says the local offset is not known: UTC. */
static int64_t read_offset(struct reader *reader)
{
	char sign = take(reader);

	if (sign == 'Z' || sign == 'z') {
		return 0;
	}
	if (sign != '+' && sign != '-') {
		reader->failed = true;
		return 0;
	}

	int64_t hours = number(reader, 2, 0, 23);
	expect(reader, ':');
	int64_t minutes = number(reader, 2, 0, 59);
	int64_t offset = hours * HOUR_S + minutes * MINUTE_S;

	return sign == '-' ? -offset : offset;
}

/* Second 60 is a leap second, which UTC puts at the end of a month's last day and nowhere else.
 * seconds is the second after it. */
static bool is_leap_second(int64_t seconds)
{
	time_t midnight = seconds;
	struct tm after;

	return seconds % DAY_S == 0 && gmtime_r(&midnight, &after) && after.tm_mday == 1;
}

bool stamp_parse(struct text rfc3339, int64_t *ret_us)
{
	struct reader reader = { .rest = rfc3339 };

	int64_t midnight = read_date(&reader);
	char separator = take(&reader);
	int64_t hour = number(&reader, 2, 0, 23);
	expect(&reader, ':');
	int64_t minute = number(&reader, 2, 0, 59);
	expect(&reader, ':');
	int64_t second = number(&reader, 2, 0, 60);
	int64_t fraction_us = read_fraction(&reader);
	int64_t offset = read_offset(&reader);

	if (reader.failed || reader.rest.len > 0 || (separator != 'T' && separator != 't')) {
		return false;
	}

	int64_t seconds = midnight + hour * HOUR_S + minute * MINUTE_S + second - offset;

	if (seconds < first_s || seconds >= beyond_s ||
		(second == 60 && !is_leap_second(seconds))) {
		return false;
	}
	*ret_us = seconds * second_us + fraction_us;
	return true;
}

bool stamp_from_unix(double seconds, int64_t *ret_us)
{
	/* Written so that a NaN fails it; inside these bounds the conversion is exact. */
	if (!(seconds >= (double)first_s && seconds < (double)beyond_s)) {
		return false;
	}

	int64_t whole = (int64_t)seconds;

	if ((double)whole < seconds) {
		return false;
	}
	*ret_us = whole * second_us;
	return true;
}

void stamp_format(int64_t us, char out[STAMP_TEXT_MAX])
{
	int64_t fraction_us = us % second_us + (us % second_us < 0 ? second_us : 0);
	time_t seconds = us / second_us - (us % second_us < 0 ? 1 : 0);
	struct tm at = { 0 };

	if (!gmtime_r(&seconds, &at) || at.tm_year < -1900 || at.tm_year > 9999 - 1900) {
		memcpy(out, "invalid", sizeof("invalid"));
		return;
	}
	snprintf(out, STAMP_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", at.tm_year + 1900,
		at.tm_mon + 1, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec, (int)fraction_us);
}
