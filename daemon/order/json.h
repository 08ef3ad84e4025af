/* json.h - the one reader of JSON (RFC 8259): strict, in one pass, in slices of the text.
 *
 *	json_begin(&reader, body, room);
 *	if (json_enter(&reader)) {
 *		while (json_next(&reader, &name)) {
 *			json_read(&reader, &value);
 *		}
 *	}
 *	fine = json_end(&reader);
 *
 * Refused: whatever the grammar refuses, UTF-8 that is none, a byte order mark, a name twice in an
 * object (as decoded), a name with \u0000 or half a surrogate pair, more than JSON_DEPTH_MAX arrays
 * and objects within each other. Numbers of any size are numbers. Pure: nothing is allocated.
 */
#pragma once

#include "base/text.h"

enum {
	JSON_DEPTH_MAX = 64,
	JSON_NAMES_COMPARED = 16, /* names of an object that are compared with each other as they
				     come; those of a larger one are sorted at its end */
};

enum json_kind {
	JSON_KIND_ABSENT,
	JSON_KIND_NULL,
	JSON_KIND_TRUE,
	JSON_KIND_FALSE,
	JSON_KIND_NUMBER,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

struct json {
	enum json_kind kind;
	bool escaped;    /* a string, or a name, with a backslash in it */
	bool unstorable; /* holds \u0000, half a surrogate pair, or a number that PostgreSQL's
			    numeric has no room for, at whatever depth: jsonb refuses it */
	struct text raw; /* with quotes or brackets; borrowed from the text */
};

/* Memory of the caller's. While a text is read it holds the names of the objects that are open;
 * afterwards the strings that are decoded, which stay valid until used is set back. */
struct json_room {
	char *memory; /* as malloc() aligns it */
	size_t size;
	size_t used;
	bool unhashed; /* OpenSSL could not hash a part: what was read is of no use */
};

/* Bytes of a room that is enough for any text of that length: for the names of one reading, which
 * are at least five bytes apart, or for all that is written of it, whichever is more. The number
 * of values needs no bound of its own: n of them take 2n - 1 bytes. */
size_t json_room_size(size_t text_len);

enum json_fault { JSON_FINE, JSON_BAD, JSON_TOO_DEEP };

struct json_level {
	uint32_t names_first;
	bool is_object;
	bool begun;
	uint64_t seen; /* a bit for the shape of each name so far */
};

/* The fields are the module's own but fault. */
struct json_reader {
	const char *begin, *at, *end;
	enum json_fault fault; /* the first; final */
	bool unstorable;       /* so far, in the value that is being read */
	uint32_t *names;       /* where each begins; NULL: they are known to differ */
	size_t names_count, names_max;
	size_t depth;
	struct json_level levels[JSON_DEPTH_MAX];
};

/* room NULL: the text is a slice that was read before; names are not compared again. */
void json_begin(struct json_reader *reader, struct text text, struct json_room *room);

/* What the next value is by its first byte; JSON_KIND_ABSENT: none begins there. */
enum json_kind json_peek(struct json_reader *reader);

/* Into the next value, which is an object or an array. False: it is neither, or a fault. */
bool json_enter(struct json_reader *reader);

/* To the next member (ret_name: its name) or element; its value has to be read or entered before
 * the next call. False: it was the last, and the object or array has been left; or a fault. */
bool json_next(struct json_reader *reader, struct json *ret_name);

/* The next value, whole. */
bool json_read(struct json_reader *reader, struct json *ret_value);

/* Over the next element, to the comma or bracket behind it, by brackets and quotes alone: a slice
 * that may be anything, so that one odd element costs its neighbours nothing. */
bool json_skip(struct json_reader *reader, struct text *ret_slice);

/* Whether the text was one value without a fault. */
bool json_end(struct json_reader *reader);

/* The text of a string or a name: a slice of it, or decoded into the room. False: it is no string,
 * or no text (unstorable). */
bool json_text(const struct json *string, struct json_room *room, struct text *ret_text);

/* How large a number is, without working it out. */
struct json_magnitude {
	size_t significant; /* digits from the first that is not 0 to the last written */
	int64_t whole;      /* digits before the point: |x| < 10^whole; 0 or less: x < 1 */
	int64_t scale;      /* digits behind it */
};

struct json_magnitude json_measure(struct text number);
