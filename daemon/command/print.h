/* print.h - answers for people and for programs, whatever the peer wrote into them.
 *
 * A terminal acts on what it is sent. Control characters, what turns the direction of writing, what
 * cannot be seen and bytes that are no UTF-8 are spelled out as \u{9b} or \xff; the rest is shown.
 */
#pragma once

#include <stdio.h>

#include "base/text.h"

enum {
	PRINT_VALUE_MAX = 2000, /* bytes of one value; the rest is cut and says so */
	PRINT_CELL_MAX = 80,
	PRINT_COLUMNS_MAX = 8,
};

/* At most max bytes of text from outside. */
void print_put(FILE *out, struct text outside, size_t max);

/* A JSON value: a string without its quotes, anything else as it stands; nothing as "-". New:
 * free() it. */
char *print_value(struct text json, size_t max);

/* "customerData.email: a@b.example", one line for each value of an object and of what is in it.
 * prefix: "" or what stands before each name. */
void print_fields(FILE *out, const char *prefix, struct text object);

/* A JSON text on one line, the same JSON in printable characters. No newline at the end. */
void print_json(FILE *out, struct text json);

enum print_layout { PRINT_INDENTED, PRINT_LINE };

/* Our own JSON on stdout, in ASCII, with a newline: format and what follows are of json_pack(); "o"
 * is a value made before, which is taken. Nothing but the newline when a string is not UTF-8. */
void print_packed(enum print_layout layout, const char *format, ...);

/* Columns that grow with what they are given and never shrink. Embedded: start from { 0 }. */
struct print_table {
	size_t widths[PRINT_COLUMNS_MAX];
};

/* Makes room for a row before it is printed. */
void print_measure(struct print_table *table, char *const *cells, size_t count);
void print_row(FILE *out, struct print_table *table, char *const *cells, size_t count);
