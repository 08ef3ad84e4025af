/* What a terminal must not act on is spelled out; fields, tables and JSON are printed so. */
#include "command/print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "command/pick.h"

enum { PREFIX_MAX = 256, DEPTH_MAX = 16 };

/* Invisible, or they move what stands beside them: format characters, separators, tags. */
static bool is_hidden(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x00, 0x1F },
		{ 0x7F, 0xA0 },
		{ 0xAD, 0xAD },
		{ 0x61C, 0x61C },
		{ 0x180E, 0x180E },
		{ 0x200B, 0x200F },
		{ 0x2028, 0x202E },
		{ 0x2060, 0x206F },
		{ 0xFE00, 0xFE0F },
		{ 0xFEFF, 0xFEFF },
		{ 0xFFF0, 0xFFFB },
		{ 0xE0000, 0xE0FFF },
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (code >= hidden[i].first && code <= hidden[i].last) {
			return true;
		}
	}
	return false;
}

void print_put(FILE *out, struct text outside, size_t max)
{
	struct text rest = text_cut_utf8(outside, max);
	bool cut = rest.len < outside.len;

	while (rest.len > 0) {
		const char *start = rest.ptr;
		bool valid;
		uint32_t code = text_next_code_point(&rest, &valid);

		if (!valid) {
			fprintf(out, "\\x%02x", (unsigned char)start[0]);
		} else if (is_hidden(code)) {
			fprintf(out, "\\u{%" PRIx32 "}", code);
		} else {
			fwrite(start, 1, (size_t)(rest.ptr - start), out);
		}
	}
	fputs(cut ? "..." : "", out);
}

static void put_string(FILE *out, struct text json, size_t max)
{
	json_t *string = json_loadb(json.ptr, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (json_is_string(string)) {
		print_put(out,
			(struct text){ json_string_value(string), json_string_length(string) },
			max);
	} else {
		print_put(out, json, max);
	}
	json_decref(string);
}

static void put_value(FILE *out, struct text json, size_t max)
{
	if (json.len == 0 || text_equal(json, TEXT("null"))) {
		fputc('-', out);
	} else if (json.ptr[0] == '"') {
		put_string(out, json, max);
	} else {
		print_put(out, json, max);
	}
}

char *print_value(struct text json, size_t max)
{
	char *value = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&value, &size);

	if (!stream) {
		die("no memory for a value of the screen");
	}
	put_value(stream, json, max);
	if (fclose(stream) != 0 || !value) {
		die("no memory for a value of the screen");
	}
	return value;
}

static void put_fields(FILE *out, const char *prefix, struct text value, unsigned depth);

/* One member or element: a line, or those of what is in it. */
static void put_field(FILE *out, const char *name, struct text value, unsigned depth)
{
	bool deeper = pick_is_object(value) || pick_is_array(value);

	if (deeper && depth < DEPTH_MAX && pick_content(value).len > 0) {
		put_fields(out, name, value, depth + 1);
		return;
	}
	fprintf(out, "%s: ", name);
	put_value(out, value, PRINT_VALUE_MAX);
	fputc('\n', out);
}

static void put_fields(FILE *out, const char *prefix, struct text value, unsigned depth)
{
	struct text content = pick_content(value), name = TEXT(""), member;
	bool is_object = pick_is_object(value);
	char path[PREFIX_MAX];

	for (size_t i = 0;
		is_object ? pick_pair(&content, &name, &member) : pick_element(&content, &member);
		i++) {
		CLEANUP(cleanup_free) char *shown = print_value(name, PRINT_CELL_MAX);

		if (is_object) {
			snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", shown);
		} else {
			snprintf(path, sizeof(path), "%s[%zu]", prefix, i);
		}
		put_field(out, path, member, depth);
	}
}

void print_fields(FILE *out, const char *prefix, struct text object)
{
	put_fields(out, prefix, object, 0);
}

/* What is hidden can stand in strings only, where it may be escaped; white space may stand between
 * all else. */
void print_json(FILE *out, struct text json)
{
	while (json.len > 0) {
		const char *start = json.ptr;
		bool valid;
		uint32_t code = text_next_code_point(&json, &valid);

		if (valid && (code == '\n' || code == '\r' || code == '\t')) {
			fputc(' ', out);
		} else if (valid && is_hidden(code) && code > 0xFFFF) {
			fprintf(out, "\\u%04" PRIx32 "\\u%04" PRIx32,
				0xD800 + ((code - 0x10000) >> 10),
				0xDC00 + ((code - 0x10000) & 0x3FF));
		} else if (!valid || is_hidden(code)) {
			fprintf(out, "\\u%04" PRIx32, code);
		} else {
			fwrite(start, 1, (size_t)(json.ptr - start), out);
		}
	}
}

void print_packed(enum print_layout layout, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	json_t *value = json_vpack_ex(NULL, 0, format, arguments);
	va_end(arguments);

	json_dumpf(value, stdout,
		JSON_ENSURE_ASCII | (layout == PRINT_LINE ? JSON_COMPACT : JSON_INDENT(2)));
	putchar('\n');
	json_decref(value);
}

/* Places on the screen, near enough: code points. */
static size_t width_of(const char *cell)
{
	size_t width = 0;

	for (; *cell; cell++) {
		width += ((unsigned char)*cell & 0xC0U) != 0x80U;
	}
	return width;
}

void print_measure(struct print_table *table, char *const *cells, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t width = width_of(cells[i]);

		table->widths[i] = width > table->widths[i] ? width : table->widths[i];
	}
}

void print_row(FILE *out, struct print_table *table, char *const *cells, size_t count)
{
	print_measure(table, cells, count);
	for (size_t i = 0; i < count; i++) {
		size_t pad = i + 1 < count ? table->widths[i] - width_of(cells[i]) + 2 : 0;

		fprintf(out, "%s%*s", cells[i], (int)pad, "");
	}
	fputc('\n', out);
}
