#include "base/stamp.h"

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

struct civil {
	int64_t year;
	int64_t month; /* 1..12 */
	int64_t day;   /* 1..31 */
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

static bool is_leap_year(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t days_of_month(int64_t year, int64_t month)
{
	static const int64_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. Years are counted from March, so that
 * the leap day is the last of its year; 400 years are 146097 days. */
static int64_t days_from_civil(const struct civil *date)
{
	int64_t year = date->month <= 2 ? date->year - 1 : date->year;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t year_of_era = year - era * 400;
	int64_t month_from_march = (date->month + 9) % 12;
	int64_t day_of_year = (153 * month_from_march + 2) / 5 + date->day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

static struct civil civil_from_days(int64_t days)
{
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int64_t day_of_era = shifted - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_from_march = (5 * day_of_year + 2) / 153;
	int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

	return (struct civil){
		.year = year_of_era + era * 400 + (month <= 2 ? 1 : 0),
		.month = month,
		.day = day_of_year - (153 * month_from_march + 2) / 5 + 1,
	};
}

static int64_t read_date(struct reader *reader)
{
	struct civil date;

	date.year = number(reader, 4, 0, 9999);
	expect(reader, '-');
	date.month = number(reader, 2, 1, 12);
	expect(reader, '-');
	date.day = number(reader, 2, 1, days_of_month(date.year, date.month));
	return days_from_civil(&date);
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
	return seconds % DAY_S == 0 && civil_from_days(seconds / DAY_S).day == 1;
}

bool stamp_parse(struct text rfc3339, int64_t *ret_us)
{
	struct reader reader = { .rest = rfc3339 };

	int64_t days = read_date(&reader);
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

	int64_t seconds = days * DAY_S + hour * HOUR_S + minute * MINUTE_S + second - offset;

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

static int64_t divide_down(int64_t value, int64_t by)
{
	return value / by - (value % by < 0 ? 1 : 0);
}

/* The last digits of value, with zeros in front. */
static char *put_number(char *out, int64_t value, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		out[i] = (char)('0' + value % 10);
		value /= 10;
	}
	return out + digits;
}

void stamp_format(int64_t us, char out[STAMP_TEXT_MAX])
{
	int64_t seconds = divide_down(us, second_us);
	int64_t days = divide_down(seconds, DAY_S);
	int64_t second_of_day = seconds - days * DAY_S;
	struct civil date = civil_from_days(days);
	char *next = out;

	if (date.year < 0 || date.year > 9999) {
		memcpy(out, "invalid", sizeof("invalid"));
		return;
	}
	next = put_number(next, date.year, 4);
	*next++ = '-';
	next = put_number(next, date.month, 2);
	*next++ = '-';
	next = put_number(next, date.day, 2);
	*next++ = 'T';
	next = put_number(next, second_of_day / HOUR_S, 2);
	*next++ = ':';
	next = put_number(next, second_of_day / MINUTE_S % 60, 2);
	*next++ = ':';
	next = put_number(next, second_of_day % 60, 2);
	*next++ = '.';
	next = put_number(next, us - seconds * second_us, FRACTION_DIGITS);
	*next++ = 'Z';
	*next = '\0';
}
