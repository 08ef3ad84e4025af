/* Lines for the journal, for a terminal or for machines, and how seldom they may come. */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sink.h"
#include "base/stamp.h"

static const char *const level_words[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static const int priorities[] = {
	/* of sd-daemon(3) */
	[LOG_ERROR] = 3,
	[LOG_WARNING] = 4,
	[LOG_INFO] = 6,
	[LOG_DEBUG] = 7,
};

_Static_assert((int)LOG_LINE_MAX <= (int)SINK_LINE_MAX, "a line is written in one piece");

static enum log_level threshold = LOG_INFO;
static enum log_format shape = LOG_LOGFMT; /* never LOG_AUTO */

static int64_t dropped_count;
static int64_t untold_count; /* of those, since the last line that told of them */

struct line {
	char bytes[LOG_LINE_MAX];
	size_t len;
	bool full; /* what was put last did not fit */
};

/* sd-daemon(3): "device:inode" of the stream that was connected to the journal. Inherited by
 * children whose stderr was redirected, so the numbers are compared. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct text inode = text_of(stream);
	struct text device;
	struct stat status;
	uint64_t device_number;
	uint64_t inode_number;

	if (!text_next(&inode, ':', &device) || !text_to_u64(device, &device_number) ||
		!text_to_u64(inode, &inode_number)) {
		return false;
	}
	return fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device_number &&
	       status.st_ino == inode_number;
}

void log_setup(enum log_level level, enum log_format format)
{
	threshold = level;
	shape = format;
	if (format == LOG_AUTO) {
		shape = stderr_is_journal() ? LOG_JOURNAL : LOG_LOGFMT;
	}
}

/* The last byte of a line is kept for its newline, the one before for JSON's brace. */
static void put(struct line *line, const char *bytes, size_t len)
{
	if (len > sizeof(line->bytes) - 2 - line->len) {
		line->full = true;
		return;
	}
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

static void put_string(struct line *line, const char *string)
{
	put(line, string, strlen(string));
}

/* Everything beyond printable ASCII is spelled out: terminals act on more than control characters
 * (a right-to-left override, a C1 byte), and nobody need know which. */
static void put_escaped(struct line *line, unsigned char byte, uint32_t code, bool valid)
{
	char escape[16];
	int len;

	if (code == '"' || code == '\\') {
		len = snprintf(escape, sizeof(escape), "\\%c", (int)code);
	} else if (valid && code >= 0x20 && code < 0x7F) {
		len = snprintf(escape, sizeof(escape), "%c", (int)code);
	} else if (shape == LOG_JSON && code > 0xFFFF) {
		len = snprintf(escape, sizeof(escape), "\\u%04" PRIx32 "\\u%04" PRIx32,
			0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF));
	} else if (shape == LOG_JSON) {
		len = snprintf(escape, sizeof(escape), "\\u%04" PRIx32, code);
	} else if (valid && code >= 0x80) {
		len = snprintf(escape, sizeof(escape), "\\u{%" PRIx32 "}", code);
	} else {
		len = snprintf(escape, sizeof(escape), "\\x%02x", byte);
	}
	put(line, escape, (size_t)len);
}

static void put_quoted(struct line *line, struct text value)
{
	struct text rest = text_cut_utf8(value, LOG_VALUE_MAX);
	bool cut = rest.len < value.len;

	put(line, "\"", 1);
	while (rest.len > 0) {
		unsigned char byte = (unsigned char)rest.ptr[0];
		bool valid;
		uint32_t code = text_next_code_point(&rest, &valid);

		put_escaped(line, byte, code, valid);
	}
	put_string(line, cut ? "...\"" : "\"");
}

/* A logfmt value that needs no quotes. */
static bool is_plain(struct text value)
{
	if (value.len == 0 || value.len > LOG_VALUE_MAX) {
		return false;
	}
	for (size_t i = 0; i < value.len; i++) {
		char c = value.ptr[i];

		if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=') {
			return false;
		}
	}
	return true;
}

static void put_value(struct line *line, const struct log_field *field)
{
	if (field->kind == LOG_KIND_INT) {
		char digits[24];
		int len = snprintf(digits, sizeof(digits), "%" PRId64, field->integer);

		put(line, digits, (size_t)len);
	} else if (shape != LOG_JSON && is_plain(field->text)) {
		put(line, field->text.ptr, field->text.len);
	} else {
		put_quoted(line, field->text);
	}
}

/* Whole, or not at all. */
static void put_field(struct line *line, const struct log_field *field)
{
	size_t before = line->len;

	line->full = false;
	if (shape == LOG_JSON) {
		put_string(line, ",\"");
		put_string(line, field->key);
		put_string(line, "\":");
	} else {
		put_string(line, " ");
		put_string(line, field->key);
		put_string(line, "=");
	}
	put_value(line, field);
	if (line->full) {
		line->len = before;
	}
}

static void put_head(struct line *line, enum log_level level, const char *event)
{
	char stamp[STAMP_TEXT_MAX];
	char head[256];
	int len = 0;

	stamp_format(clock_wall_us(), stamp);
	switch (shape) {
	case LOG_JOURNAL: /* which keeps time and level itself */
		len = snprintf(head, sizeof(head), "<%d>%s", priorities[level], event);
		break;
	case LOG_JSON:
		len = snprintf(head, sizeof(head),
			"{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", stamp,
			level_words[level], event);
		break;
	case LOG_AUTO:
	case LOG_LOGFMT:
		len = snprintf(head, sizeof(head), "time=%s level=%s event=%s", stamp,
			level_words[level], event);
		break;
	}
	put(line, head, (size_t)len);
}

static void make_line(
	struct line *line, enum log_level level, const char *event, const struct log_field *fields)
{
	line->len = 0;
	line->full = false;
	put_head(line, level, event);
	for (; fields && fields->kind != LOG_KIND_END; fields++) {
		put_field(line, fields);
	}
	if (shape == LOG_JSON) {
		line->bytes[line->len++] = '}';
	}
	line->bytes[line->len++] = '\n';
}

/* A gap in the log is told in it, as soon as it takes lines again. */
static bool tell_dropped(void)
{
	struct line line;

	if (untold_count == 0) {
		return true;
	}
	make_line(&line, LOG_WARNING, "lines_dropped", LOG_FIELDS(LOG_INT("count", untold_count)));
	if (!sink_put(line.bytes, line.len)) {
		return false;
	}
	untold_count = 0;
	return true;
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
	struct line line;

	if (level > threshold) {
		return;
	}
	make_line(&line, level, event, fields);
	if (!tell_dropped() || !sink_put(line.bytes, line.len)) {
		dropped_count++;
		untold_count++;
	}
}

int64_t log_dropped(void)
{
	return dropped_count;
}

int64_t log_limit(struct log_limit *limit)
{
	int64_t now_ms = clock_mono_ms();
	int64_t count = ++limit->unlogged;

	if (limit->logged_ms != 0 && now_ms - limit->logged_ms < LOG_LIMIT_MS) {
		return 0;
	}
	limit->unlogged = 0;
	limit->logged_ms = now_ms;
	return count;
}
