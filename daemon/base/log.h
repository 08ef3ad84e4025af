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
};

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
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

bool log_level_from(struct text word, enum log_level *ret_level);
bool log_format_from(struct text word, enum log_format *ret_format);

/* fields: LOG_FIELDS(...) or NULL. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);
