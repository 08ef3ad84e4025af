#include "order/shape.h"

/* How far the scan has come outside of strings. */
struct scan {
	size_t depth;
	size_t token_count;
	bool in_word; /* a number, true, false, null, or what a parser will refuse */
};

static void count_byte(struct scan *scan, char c)
{
	bool was_in_word = scan->in_word;

	scan->in_word = false;
	switch (c) {
	case '{':
	case '[':
		scan->depth++;
		scan->token_count++;
		break;
	case '}':
	case ']':
		scan->depth -= scan->depth > 0;
		break;
	case '"':
		scan->token_count++;
		break;
	case ',':
	case ':':
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		break;
	default:
		scan->token_count += !was_in_word;
		scan->in_word = true;
		break;
	}
}

enum shape shape_scan(struct text json, size_t depth_max, size_t tokens_max)
{
	struct scan scan = { .depth = 0 };
	bool in_string = false;

	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];

		if (in_string && c == '\\') {
			i++; /* whatever it escapes does not end the string */
			continue;
		}
		if (!in_string) {
			count_byte(&scan, c);
		}
		in_string ^= c == '"';
		if (scan.depth > depth_max) {
			return SHAPE_TOO_DEEP;
		}
		if (scan.token_count > tokens_max) {
			return SHAPE_TOO_MANY;
		}
	}
	return SHAPE_FINE;
}
