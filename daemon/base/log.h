/* log.h - one event, one line: a word of the vocabulary in orderd(8) and its fields.
 *
 * journal: "<6>listening address=…" (sd-daemon(3) priorities), logfmt with time and level, or JSON.
 * Values are escaped, and cut at LOG_VALUE_MAX bytes: nobody outside writes a line of ours. No
 * body, e-mail address, name, secret or signature is ever handed to this module.
 */
#pragma once

#include "base/text.h"

enum {
	LOG_VALUE_MAX = 200, /* bytes of one value, before escaping */
	LOG_LINE_MAX = 4096, /* bytes; what does not fit is dropped, the line stays one line */
	LOG_LIMIT_MS = 1000, /* between two lines of a log_limit */
};

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_AUTO, LOG_JOURNAL, LOG_LOGFMT, LOG_JSON };

enum log_kind { LOG_KIND_END, LOG_KIND_TEXT, LOG_KIND_INT };

struct log_field {
	const char *key; /* static */
	enum log_kind kind;
	struct text text;
	int64_t integer;
};

/* clang-format off */
#define LOG_TEXT(name, value)   { .key = (name), .kind = LOG_KIND_TEXT, .text = (value) }
#define LOG_STRING(name, value) { .key = (name), .kind = LOG_KIND_TEXT, .text = text_of(value) }
#define LOG_INT(name, value)    { .key = (name), .kind = LOG_KIND_INT, .integer = (value) }
#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__, { .kind = LOG_KIND_END } })
/* clang-format on */

/* LOG_AUTO: journal when stderr is the journal's stream ($JOURNAL_STREAM), else logfmt. */
void log_setup(enum log_level level, enum log_format format);

/* fields: LOG_FIELDS(...) or NULL. What cannot be written is dropped, and counted in
 * "lines_dropped" before the next line that can. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);

/* How many lines were dropped since the start. */
int64_t log_dropped(void);

/* What a peer can cause as often as it likes makes one line each LOG_LIMIT_MS, with how often it
 * happened since the last one. Embedded; zeroed = never. */
struct log_limit {
	int64_t unlogged;
	int64_t logged_ms; /* monotonic; 0 = never */
};

/* It has happened once more. 0: no line now; else the count that the line, which is due, tells. */
int64_t log_limit(struct log_limit *limit);
