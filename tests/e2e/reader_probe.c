/* reader_probe - says what is read of each file of some directories, or of changed copies of them,
 * line by line, so that PostgreSQL can read it again.
 *
 * It stands behind tests/fuzz/mutate.c like a fuzz target. Fields are parted by tabs:
 *	D number bytes read deep unstorable
 *	V number path kind value whole scale     every value of what is read and not unstorable
 *	F number column value                    every column of a fact that is usable
 * bytes, values and the steps of a path are hexadecimal, a step with a k in front of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "order/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 8192, PATH_MAX_BYTES = 4 * INPUT_MAX };

static unsigned long number;
static char path[PATH_MAX_BYTES];

static void print_hex(struct text bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		printf("%02x", (unsigned char)bytes.ptr[i]);
	}
}

static void print_value(struct json_reader *reader, size_t path_len, struct json_room *room);

/* Adds a step to the path, which ends there again afterwards. */
static void print_inner(
	struct json_reader *reader, size_t path_len, struct text step, struct json_room *room)
{
	size_t len = path_len;

	len += (size_t)snprintf(path + len, sizeof(path) - len, "%sk", path_len > 0 ? "," : "");
	for (size_t i = 0; i < step.len; i++) {
		len += (size_t)snprintf(
			path + len, sizeof(path) - len, "%02x", (unsigned char)step.ptr[i]);
	}
	print_value(reader, len, room);
	path[path_len] = '\0';
}

static void print_members(
	struct json_reader *reader, enum json_kind kind, size_t path_len, struct json_room *room)
{
	struct json name;
	struct text step;
	char index[24];

	json_enter(reader);
	for (size_t i = 0; json_next(reader, &name); i++) {
		snprintf(index, sizeof(index), "%zu", i);
		step = text_of(index);
		room->used = 0;
		if (kind == JSON_KIND_OBJECT) {
			json_text(&name, room, &step);
		}
		print_inner(reader, path_len, step, room);
	}
}

static void print_scalar(const struct json *value, struct json_room *room)
{
	struct text text = value->raw;
	struct json_magnitude size = { .scale = 0 };

	room->used = 0;
	json_text(value, room, &text);
	if (value->kind == JSON_KIND_NUMBER) {
		size = json_measure(value->raw);
	}
	print_hex(text);
	printf("\t%" PRId64 "\t%" PRId64 "\n", size.whole, size.scale);
}

static void print_value(struct json_reader *reader, size_t path_len, struct json_room *room)
{
	static const char *const kinds[] = { "absent", "null", "boolean", "boolean", "number",
		"string", "array", "object" };
	enum json_kind kind = json_peek(reader);
	struct json value;

	printf("V\t%lu\t%.*s\t%s\t", number, (int)path_len, path, kinds[kind]);
	if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY) {
		printf("\\N\t\\N\t\\N\n");
		print_members(reader, kind, path_len, room);
	} else {
		json_read(reader, &value);
		print_scalar(&value, room);
	}
}

static void print_column(const char *name, struct text value)
{
	printf("F\t%lu\t%s\t", number, name);
	print_hex(value);
	printf("\n");
}

static void print_integer(const char *name, struct fact_integer integer)
{
	char digits[32];

	snprintf(digits, sizeof(digits), "%" PRId64, integer.value);
	if (integer.known) {
		print_column(name, text_of(digits));
	}
}

static void print_fact(const struct fact *fact)
{
	char faults[FACT_FIELD_NAMES_MAX];

	fact_field_names(fact->details.faults, faults);
	print_column("faults", text_of(faults));
	print_column("order_id", text_of(fact->order_id));
	if (fact->has_event_type) {
		print_column("event_type", text_of(fact->event_type));
	}
	if (fact->has_status) {
		print_column("status", text_of(fact->status));
	}
	for (enum fact_field column = 0; column < FACT_COLUMNS; column++) {
		enum fact_kind kind = fact_column_kind(column);
		const char *name = fact_field_name(column);

		if (kind == FACT_INTEGER || kind == FACT_TIME) {
			print_integer(name, fact_column_integer(&fact->details, column));
		} else if (fact_column_text(&fact->details, column).ptr) {
			print_column(name, fact_column_text(&fact->details, column));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint32_t memory[INPUT_MAX]; /* more than json_room_size() asks for */
	struct json_room room = { (char *)memory, sizeof(memory), 0, false };
	struct text text = { (const char *)data, size };
	struct json_reader reader;
	struct json value = { .unstorable = false };
	struct fact fact;

	if (size > INPUT_MAX) {
		return 0;
	}
	number++;
	json_begin(&reader, text, &room);
	bool read = json_read(&reader, &value);
	read = json_end(&reader) && read;
	printf("D\t%lu\t", number);
	print_hex(text);
	printf("\t%d\t%d\t%d\n", read, reader.fault == JSON_TOO_DEEP, value.unstorable);
	if (read && !value.unstorable) {
		json_begin(&reader, text, NULL);
		print_value(&reader, 0, &room);
	}
	event_parse(text, 0, TEXT(""), &room, &fact);
	if (!fact.unusable) {
		print_fact(&fact);
	}
	return 0;
}
