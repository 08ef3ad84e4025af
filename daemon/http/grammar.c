/* The characters of HTTP by class, and refusals. */
#include "http/grammar.h"

/* clang-format off */
const uint8_t grammar_classes[256] = {
	 0,  0,  0,  0,  0,  0,  0,  0,  0, 16,  0,  0,  0,  0,  0,  0, /* 00 */
	 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, /* 10 */
	16, 28, 24, 28, 28, 28, 28, 28, 24, 24, 28, 28, 24, 60, 60, 24, /* 20 */
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 24, 24, 24, 24, 24, 24, /* 30 */
	24, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, /* 40 */
	62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 24, 24, 24, 28, 60, /* 50 */
	28, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, /* 60 */
	62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 62, 24, 28, 24, 60,  0, /* 70 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* 80 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* 90 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* a0 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* b0 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* c0 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* d0 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* e0 */
	16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, /* f0 */
};
/* clang-format on */

int grammar_hex(unsigned char byte)
{
	unsigned char lower = byte | 0x20;

	if (grammar_is(byte, GRAMMAR_DIGIT)) {
		return byte - '0';
	}
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool grammar_all(struct text text, uint8_t classes)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!grammar_is((unsigned char)text.ptr[i], classes)) {
			return false;
		}
	}
	return text.len > 0;
}

bool grammar_refuse(struct refusal *refusal, uint16_t status, const char *reason)
{
	refusal->status = status;
	refusal->reason = reason;
	return false;
}

bool grammar_refuse_byte(struct refusal *refusal, unsigned char byte, const char *reason)
{
	if (byte == '\n') {
		reason = "bare_lf";
	} else if (byte == '\0') {
		reason = "nul_byte";
	}
	return grammar_refuse(refusal, 400, reason);
}
