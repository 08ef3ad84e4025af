/* mutate - a fuzz target over changed copies of the files of some directories.
 *
 *	NAME_mutate COUNT DIRECTORY...
 *	NAME_mutate QUICK/ALL/FULL DIRECTORY...    by $ORDERD_TEST_SCALE
 *
 * COUNT 0: over the files as they are. $ORDERD_TEST_SEED: which; a run prints its own, and the same
 * again replays it.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "order/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_BYTES = 8192, FILES_MAX = 4096, CHANGES_MAX = 4 };

struct bytes {
	size_t len;
	uint8_t at[SIZE_MAX_BYTES];
};

static struct bytes *files[FILES_MAX]; /* those that are JSON first */
static size_t files_count, json_count;
static uint64_t state;

/* What a grammar turns on. */
static const char *const pieces[] = { "\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\t", "\n",
	"\r", "-", "+", ".", "e", "E", "0", "1", "9", "null", "true", "false", "1e400", "-1e-400",
	"1e131072", "0.1", "01", "12345678901234567890", "\"\"", "{}", "[]", "\"a\":", "\"a\":1,",
	",\"a\":1", "\\u0000", "\\ud83d", "\\ude00", "\\ud83d\\ude00", "\\u0061", "\\u00", "\\n",
	"\\/", "\xc3\xa9", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\xf4\x90\x80\x80", "\xc0\xaf",
	"\xef\xbf\xbf", "\xef\xbb\xbf", "\x80", "\x1f", "\x7f", "[[[[[[[[[[[[[[[[",
	"]]]]]]]]]]]]]]]]", "{\"a\":{\"a\":{\"a\":{\"a\":", "}}}}", "\"event\":", "\"type\":",
	"\"data\":", "\"order\":", "\"orderId\":", "\"id\":", "\"status\":", "\"cart\":",
	"\"items\":", "\"total\":", "\"currency\":", "\"createdAt\":", "\"2024-01-15 10:00:00\"",
	"1705312800000", "\"59.98\"", "\"success\":true", "\"orders\":", "\"pagination\":" };

/* What can stand in the place of any value. */
static const char *const values[] = { "null", "true", "false", "0", "-0", "1.50", "-1", "1e400",
	"-1e-400", "1e131072", "12345678901234567890", "0.1e-3", "1705312800", "1705312800000",
	"\"\"", "\"a\"", "\"59.98\"", "\"usd\"", "\"Completed\"", "\"2024-01-15\"",
	"\"2024-01-15T10:00:00+0000\"", "\"\\u0000\"", "\"\\ud83d\"", "\"\\ude00\\ud83d\"",
	"\"\\ud83d\\ude00\"", "\"\\u0061\\n\\/\"", "\"\xc3\xa9\"", "\"\xf0\x9f\x98\x80\"", "{}",
	"[]", "[1,[2,{}]]", "{\"a\":1,\"b\":[2]}", "{\"a\":1,\"\\u0061\":2}", "{\"id\":\"a\"}" };

/* xorshift64*. */
static size_t below(size_t bound)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (size_t)((state * UINT64_C(2685821657736338717)) >> 33) % bound;
}

static bool is_json(const struct bytes *bytes)
{
	static char memory[2 * SIZE_MAX_BYTES];
	struct json_room room = { memory, sizeof(memory), 0, false };
	struct json_reader reader;
	struct json value;

	json_begin(&reader, (struct text){ (const char *)bytes->at, bytes->len }, &room);
	return json_read(&reader, &value) && json_end(&reader) &&
	       (value.kind == JSON_KIND_OBJECT || value.kind == JSON_KIND_ARRAY);
}

static void read_file(const char *directory, const char *name)
{
	struct bytes *bytes = malloc(sizeof(*bytes));
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "rb");
	if (!bytes || !file) {
		perror(path);
		exit(1);
	}
	bytes->len = fread(bytes->at, 1, sizeof(bytes->at), file);
	fclose(file);
	if (files_count == FILES_MAX) {
		free(bytes);
	} else if (is_json(bytes)) {
		files[files_count++] = files[json_count];
		files[json_count++] = bytes;
	} else {
		files[files_count++] = bytes;
	}
}

static void read_directory(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			read_file(path, entries[i]->d_name);
		}
		free(entries[i]);
	}
	if (count < 0) {
		perror(path);
		exit(1);
	}
	free(entries);
}

/* Puts bytes in the place of some at an offset, as far as they fit. */
static void replace(struct bytes *out, size_t at, size_t old_len, const void *bytes, size_t len)
{
	static struct bytes tail;

	if (out->len - old_len + len > SIZE_MAX_BYTES) {
		return;
	}
	tail.len = out->len - at - old_len;
	memcpy(tail.at, out->at + at + old_len, tail.len);
	memcpy(out->at + at, bytes, len);
	memcpy(out->at + at + len, tail.at, tail.len);
	out->len = at + len + tail.len;
}

static size_t some_length(size_t left)
{
	size_t most = below(4) == 0 ? left : left < 16 ? left : 16;

	return most > 0 ? below(most + 1) : 0;
}

static size_t string_end(const struct bytes *bytes, size_t at)
{
	for (at++; at < bytes->len && bytes->at[at] != '"'; at++) {
		at += bytes->at[at] == '\\';
	}
	return at + 1 < bytes->len ? at + 1 : bytes->len;
}

/* To the comma or bracket behind it. */
static size_t value_end(const struct bytes *bytes, size_t at)
{
	size_t depth = 0;

	while (at < bytes->len) {
		uint8_t c = bytes->at[at];

		if (c == '"') {
			at = string_end(bytes, at);
			continue;
		}
		if (depth == 0 && (c == ',' || c == ']' || c == '}')) {
			break;
		}
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		at++;
	}
	return at;
}

/* A value somewhere in a text of JSON: behind a colon, or an element of an array; else all of it.
 */
static size_t find_value(const struct bytes *bytes, size_t *ret_len)
{
	size_t from = below(bytes->len + 1), found = 0, at = 0;

	while (at < bytes->len && found <= from) {
		uint8_t c = bytes->at[at];

		if (c == '"') {
			at = string_end(bytes, at);
			continue;
		}
		at++;
		if (c == ':' || ((c == ',' || c == '[') && at < bytes->len &&
					bytes->at[at] != '"' && bytes->at[at] != ']')) {
			found = at;
		}
	}
	*ret_len = value_end(bytes, found) - found;
	return found;
}

/* Leaves JSON what it is: another value, or one of another file, in the place of one. */
static void change_value(struct bytes *out)
{
	static struct bytes other;
	size_t len, from, other_len, at = find_value(out, &len);
	const char *value = values[below(sizeof(values) / sizeof(values[0]))];

	if (below(2) == 0) {
		replace(out, at, len, value, strlen(value));
		return;
	}
	other = *files[below(json_count)];
	from = find_value(&other, &other_len);
	replace(out, at, len, other.at + from, other_len);
}

static void change(struct bytes *out)
{
	static struct bytes other;
	size_t at = below(out->len + 1), left = out->len - at;
	size_t len = some_length(left);
	const char *piece = pieces[below(sizeof(pieces) / sizeof(pieces[0]))];
	uint8_t byte = (uint8_t)below(256);

	switch (below(8)) {
	case 0: /* a bit */
		if (left > 0) {
			out->at[at] ^= (uint8_t)(1U << below(8));
		}
		break;
	case 1: /* a byte */
		replace(out, at, left > 0, &byte, 1);
		break;
	case 2: /* a piece between, or over */
		replace(out, at, 0, piece, strlen(piece));
		break;
	case 3:
		replace(out, at, len, piece, strlen(piece));
		break;
	case 4: /* without some bytes */
		replace(out, at, len, "", 0);
		break;
	case 5: /* some bytes twice, further on */
		memcpy(other.at, out->at + at, len);
		replace(out, at + len, 0, other.at, len);
		break;
	case 6: /* the end of another */
		other = *files[below(files_count)];
		at = at < other.len ? at : other.len;
		replace(out, out->len < at ? out->len : at,
			out->len - (out->len < at ? out->len : at), other.at + at, other.len - at);
		break;
	default: /* a piece of another */
		other = *files[below(files_count)];
		left = below(other.len + 1);
		len = some_length(other.len - left);
		replace(out, at, 0, other.at + left, len);
		break;
	}
}

/* Of three counts the one of this run; under valgrind each takes thirty times as long. */
static uint64_t count_of(const char *counts)
{
	const char *scale = getenv("ORDERD_TEST_SCALE"), *preload = getenv("LD_PRELOAD");
	uint64_t quick = 0, all = 0, full = 0;

	if (sscanf(counts, "%" SCNu64 "/%" SCNu64 "/%" SCNu64, &quick, &all, &full) == 1) {
		return quick;
	}
	uint64_t count = scale && strcmp(scale, "quick") == 0  ? quick
			 : scale && strcmp(scale, "full") == 0 ? full
							       : all;
	return preload && strstr(preload, "vgpreload") ? count / 20 : count;
}

/* FNV-1a of the seed, a text as tests/support/scale.py has it. */
static void begin_chance(void)
{
	const char *seed = getenv("ORDERD_TEST_SEED");
	char own[16];

	snprintf(own, sizeof(own), "%08" PRIx64, (uint64_t)time(NULL) & UINT32_MAX);
	seed = seed && seed[0] ? seed : own;
	printf("seed %s, %zu files, %zu of them JSON\n", seed, files_count, json_count);
	fflush(stdout);
	state = UINT64_C(14695981039346656037);
	for (const char *c = seed; *c; c++) {
		state = (state ^ (uint8_t)*c) * UINT64_C(1099511628211);
	}
	state |= state == 0;
}

static void try_files(void)
{
	for (size_t i = 0; i < files_count; i++) {
		LLVMFuzzerTestOneInput(files[i]->at, files[i]->len);
	}
}

/* Most keep the form of JSON, so that what is behind it is met too. */
static void try_changed(void)
{
	static struct bytes input;
	bool keeps_form = below(4) > 0;

	input = *files[below(keeps_form ? json_count : files_count)];
	for (size_t changes = 1 + below(CHANGES_MAX); changes > 0; changes--) {
		if (keeps_form) {
			change_value(&input);
		} else {
			change(&input);
		}
	}
	LLVMFuzzerTestOneInput(input.at, input.len);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 2 ? count_of(argv[1]) : 0;

	for (int i = 2; i < argc; i++) {
		read_directory(argv[i]);
	}
	if (json_count == 0) {
		fprintf(stderr, "usage: %s COUNT DIRECTORY...\n", argv[0]);
		return 1;
	}
	if (count == 0) {
		try_files();
		return 0;
	}
	begin_chance();
	for (uint64_t n = 0; n < count; n++) {
		try_changed();
	}
	printf("%" PRIu64 " mutations\n", count);
	return 0;
}
