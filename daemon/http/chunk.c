/* The line before a chunk, byte by byte: one function for each state. */
#include "http/chunk.h"

enum state {
	AT_SIZE,
	IN_SIZE,
	AT_NAME,
	IN_NAME,
	AT_VALUE,
	IN_TOKEN,
	IN_QUOTED,
	AT_ESCAPED,
	AFTER_QUOTED,
	AT_LF,
};

static bool take_digit(struct chunk_line *line, int digit, struct refusal *refusal)
{
	if (line->len > HTTP_CHUNK_DIGITS_MAX || line->size > (INT64_MAX >> 4)) {
		return grammar_refuse(refusal, 400, "chunk_size");
	}
	line->size = line->size << 4 | (uint64_t)digit;
	return true;
}

static bool at_size(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	int digit = grammar_hex(byte);

	if (digit < 0) {
		return grammar_refuse_byte(refusal, byte, "chunk_size");
	}
	line->size = (uint64_t)digit;
	line->state = IN_SIZE;
	return true;
}

/* What may follow a size, a name or a value: an extension, or the end of the line. */
static bool end_part(
	struct chunk_line *line, unsigned char byte, struct refusal *refusal, const char *reason)
{
	if (byte != ';' && byte != '\r') {
		return grammar_refuse_byte(refusal, byte, reason);
	}
	line->state = byte == ';' ? AT_NAME : AT_LF;
	return true;
}

static bool in_size(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	int digit = grammar_hex(byte);

	if (digit >= 0) {
		return take_digit(line, digit, refusal);
	}
	return end_part(line, byte, refusal, "chunk_size");
}

static bool at_name(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	if (!grammar_is(byte, GRAMMAR_TOKEN)) {
		return grammar_refuse_byte(refusal, byte, "chunk_extension");
	}
	line->state = IN_NAME;
	return true;
}

static bool in_name(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	if (byte == '=') {
		line->state = AT_VALUE;
		return true;
	}
	return grammar_is(byte, GRAMMAR_TOKEN) || end_part(line, byte, refusal, "chunk_extension");
}

static bool at_value(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	if (byte != '"' && !grammar_is(byte, GRAMMAR_TOKEN)) {
		return grammar_refuse_byte(refusal, byte, "chunk_extension");
	}
	line->state = byte == '"' ? IN_QUOTED : IN_TOKEN;
	return true;
}

static bool in_token(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	return grammar_is(byte, GRAMMAR_TOKEN) || end_part(line, byte, refusal, "chunk_extension");
}

static bool in_quoted(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	if (!grammar_is(byte, GRAMMAR_VALUE)) {
		return grammar_refuse_byte(refusal, byte, "chunk_extension");
	}
	if (byte == '"') {
		line->state = AFTER_QUOTED;
	} else if (byte == '\\') {
		line->state = AT_ESCAPED;
	}
	return true;
}

static bool at_escaped(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	if (!grammar_is(byte, GRAMMAR_VALUE)) {
		return grammar_refuse_byte(refusal, byte, "chunk_extension");
	}
	line->state = IN_QUOTED;
	return true;
}

static bool after_quoted(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	return end_part(line, byte, refusal, "chunk_extension");
}

static bool at_lf(struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	if (byte != '\n') {
		return grammar_refuse(refusal, 400, "bare_cr");
	}
	line->state = AT_SIZE;
	return true;
}

static bool (*const on_byte[])(
	struct chunk_line *line, unsigned char byte, struct refusal *refusal) = {
	[AT_SIZE] = at_size,
	[IN_SIZE] = in_size,
	[AT_NAME] = at_name,
	[IN_NAME] = in_name,
	[AT_VALUE] = at_value,
	[IN_TOKEN] = in_token,
	[IN_QUOTED] = in_quoted,
	[AT_ESCAPED] = at_escaped,
	[AFTER_QUOTED] = after_quoted,
	[AT_LF] = at_lf,
};

static bool count_byte(struct chunk_line *line, struct refusal *refusal)
{
	bool extension = line->state >= AT_NAME && line->state <= AFTER_QUOTED;

	line->len = line->state == AT_SIZE ? 1 : line->len + 1;
	line->extensions_len += extension;
	if (line->len > HTTP_CHUNK_LINE_MAX || line->extensions_len > HTTP_EXTENSIONS_MAX) {
		return grammar_refuse(refusal, 400, "chunk_extensions_too_long");
	}
	return true;
}

enum chunk_step chunk_line_take(
	struct chunk_line *line, unsigned char byte, struct refusal *refusal)
{
	uint8_t state = line->state;

	if (!count_byte(line, refusal) || !on_byte[state](line, byte, refusal)) {
		return CHUNK_REFUSED;
	}
	if (state == IN_SIZE && line->state != IN_SIZE) {
		return CHUNK_SIZED;
	}
	return state == AT_LF ? CHUNK_WHOLE : CHUNK_MORE;
}
