/* screen.h - answers for people and for programs, whatever the peer wrote into them.
 *
 * A terminal acts on what it is sent. Control characters, what turns the direction of writing, what
 * cannot be seen and bytes that are no UTF-8 are spelled out as \u{9b} or \xff; the rest is shown.
 */
#pragma once

#include <stdio.h>

#include "base/text.h"

enum {
	SCREEN_VALUE_MAX = 2000, /* bytes of one value; the rest is cut and says so */
	SCREEN_CELL_MAX = 80,
	SCREEN_COLUMNS_MAX = 8,
};

/* At most max bytes of text from outside. */
void screen_put(FILE *out, struct text outside, size_t max);

/* A JSON value: a string without its quotes, anything else as it stands; nothing as "-". New:
 * free() it. */
char *screen_value(struct text json, size_t max);

/* "customerData.email: a@b.example", one line for each value of an object and of what is in it.
 * prefix: "" or what stands before each name. */
void screen_fields(FILE *out, const char *prefix, struct text object);

/* A JSON text on one line, the same JSON in printable characters. No newline at the end. */
void screen_json(FILE *out, struct text json);

/* Columns that grow with what they are given and never shrink. Embedded: start from { 0 }. */
struct screen_table {
	size_t widths[SCREEN_COLUMNS_MAX];
};

/* Makes room for a row before it is printed. */
void screen_measure(struct screen_table *table, char *const *cells, size_t count);
void screen_row(FILE *out, struct screen_table *table, char *const *cells, size_t count);
