/* Decodes what a string of JSON writes, character by character, and writes it in UTF-8. */
#include "order/escape.h"

int32_t escape_code_unit(const char *at, const char *end)
{
	unsigned char unit[2];

	if (end - at < 4 || text_from_hex((struct text){ at, 4 }, unit, sizeof(unit)) != 2) {
		return -1;
	}
	return unit[0] << 8 | unit[1];
}

int32_t escape_unicode(const char **at, const char *end)
{
	int32_t high = escape_code_unit(*at, end);

	*at += 4;
	if (high == 0 || (high >= 0xDC00 && high <= 0xDFFF)) {
		return ESCAPE_NONE;
	}
	if (high < 0xD800 || high > 0xDFFF) {
		return high;
	}
	int32_t low =
		end - *at >= 2 && memcmp(*at, "\\u", 2) == 0 ? escape_code_unit(*at + 2, end) : -1;
	if (low < 0xDC00 || low > 0xDFFF) {
		return ESCAPE_NONE;
	}
	*at += 6;
	return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

char escape_short(char c)
{
	static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

	for (size_t i = 0; escapes[i]; i += 2) {
		if (escapes[i] == c) {
			return escapes[i + 1];
		}
	}
	return '\0';
}

int32_t escape_next(const char **at, const char *end)
{
	struct text rest = { *at, (size_t)(end - *at) };
	bool valid;

	if (**at == '"') {
		return ESCAPE_END;
	}
	if (**at != '\\') {
		int32_t code = (int32_t)text_next_code_point(&rest, &valid);

		*at = rest.ptr;
		return code;
	}
	*at += 2;
	return (*at)[-1] == 'u' ? escape_unicode(at, end) : escape_short((*at)[-1]);
}

char *escape_put_utf8(char *out, int32_t code)
{
	uint32_t c = (uint32_t)code;

	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xC0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*out++ = (char)(0xE0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	} else {
		*out++ = (char)(0xF0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3F));
		*out++ = (char)(0x80 | (c >> 6 & 0x3F));
		*out++ = (char)(0x80 | (c & 0x3F));
	}
	return out;
}
