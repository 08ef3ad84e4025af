/* Bytes are compared, cut, split and read as numbers, hex and UTF-8. */
#include "base/text.h"

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

bool text_equal(struct text a, struct text b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool text_equal_nocase(struct text a, struct text b)
{
	if (a.len != b.len) {
		return false;
	}
	for (size_t i = 0; i < a.len; i++) {
		if (lower((unsigned char)a.ptr[i]) != lower((unsigned char)b.ptr[i])) {
			return false;
		}
	}
	return true;
}

bool text_has_prefix(struct text whole, struct text prefix)
{
	return whole.len >= prefix.len &&
	       text_equal((struct text){ whole.ptr, prefix.len }, prefix);
}

struct text text_without_prefix(struct text whole, struct text prefix)
{
	if (prefix.len == 0 || !text_has_prefix(whole, prefix)) {
		return whole;
	}
	return (struct text){ whole.ptr + prefix.len, whole.len - prefix.len };
}

static bool is_padding(char c)
{
	return c == ' ' || c == '\t';
}

struct text text_trim(struct text padded)
{
	while (padded.len > 0 && is_padding(padded.ptr[0])) {
		padded.ptr++;
		padded.len--;
	}
	while (padded.len > 0 && is_padding(padded.ptr[padded.len - 1])) {
		padded.len--;
	}
	return padded;
}

bool text_next(struct text *rest, char separator, struct text *ret_part)
{
	if (rest->len == 0) {
		return false;
	}

	const char *end = memchr(rest->ptr, separator, rest->len);
	size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
	size_t used = end ? len + 1 : len;

	*ret_part = (struct text){ rest->ptr, len };
	*rest = (struct text){ rest->ptr + used, rest->len - used };
	return true;
}

bool text_to_u64(struct text digits, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (digits.len == 0) {
		return false;
	}
	for (size_t i = 0; i < digits.len; i++) {
		if (digits.ptr[i] < '0' || digits.ptr[i] > '9') {
			return false;
		}
		if (__builtin_mul_overflow(value, 10U, &value) ||
			__builtin_add_overflow(value, (uint64_t)(digits.ptr[i] - '0'), &value)) {
			return false;
		}
	}
	*ret_value = value;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

ptrdiff_t text_from_hex(struct text hex, unsigned char *out, size_t size)
{
	if (hex.len % 2 != 0 || hex.len / 2 > size) {
		return -1;
	}
	for (size_t i = 0; i < hex.len; i += 2) {
		int high = hex_value(hex.ptr[i]);
		int low = hex_value(hex.ptr[i + 1]);

		if (high < 0 || low < 0) {
			return -1;
		}
		out[i / 2] = (unsigned char)(high * 16 + low);
	}
	return (ptrdiff_t)(hex.len / 2);
}

void text_to_hex(const unsigned char *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static bool continues_utf8(char c)
{
	return ((unsigned char)c & 0xC0U) == 0x80U;
}

struct text text_cut_utf8(struct text whole, size_t max)
{
	size_t len = max;

	if (whole.len <= max) {
		return whole;
	}
	/* A sequence has at most three continuation bytes; a longer run is not UTF-8 anyway. */
	while (len > 0 && max - len < 3 && continues_utf8(whole.ptr[len])) {
		len--;
	}
	if (continues_utf8(whole.ptr[len])) {
		len = max;
	}
	return (struct text){ whole.ptr, len };
}

uint32_t text_next_code_point(struct text *rest, bool *ret_valid)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)rest->ptr[0];
	size_t len = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
	uint32_t code = len == 1 ? first : first & (0x7FU >> len);
	bool valid = first < 0x80 || (first >= 0xC2 && first <= 0xF4 && len <= rest->len);

	for (size_t i = 1; valid && i < len; i++) {
		unsigned char next = (unsigned char)rest->ptr[i];

		valid = (next & 0xC0U) == 0x80;
		code = code << 6 | (next & 0x3FU);
	}
	if (code < least[len] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
		valid = false;
	}
	if (!valid) {
		code = 0xFFFD;
		len = 1;
	}
	rest->ptr += len;
	rest->len -= len;
	*ret_valid = valid;
	return code;
}
