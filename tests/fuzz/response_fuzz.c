/* Any bytes, in any split: the same answer, within the limits. The first byte seeds the splits. */
#include <stdio.h>
#include <stdlib.h>

#include "http/response.h"

enum { HEAD_MAX = 4096, BODY_MAX = 4096 };

struct outcome {
	enum response_step step;
	size_t used;
	bool headed, ended; /* by the end of the connection, a clean one */
	unsigned status;
	struct text body;
	bool keeps;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *promise)
{
	fprintf(stderr, "broken: %s\n", promise);
	abort();
}

/* Zero seed: all at once. */
static struct outcome read_all(struct response *response, struct text bytes, uint32_t seed)
{
	struct outcome out = { .step = RESPONSE_MORE };

	response_reset(response, false);
	while (out.step == RESPONSE_MORE && out.used < bytes.len) {
		size_t len = bytes.len - out.used;
		size_t used;

		if (seed != 0) {
			seed = seed * 1664525U + 1013904223U;
			len = len > seed >> 28 ? 1 + (seed >> 28) : len;
			len = len > bytes.len - out.used ? bytes.len - out.used : len;
		}
		out.step =
			response_read(response, (struct text){ bytes.ptr + out.used, len }, &used);
		if (used > len || (out.step == RESPONSE_MORE && used != len)) {
			broken("all is taken while more is wanted");
		}
		out.used += used;
	}
	out.headed = response_has_head(response);
	if (out.headed) {
		struct text value;
		size_t place = 0;

		out.status = response_status(response);
		response_next_field(response, TEXT("Retry-After"), &place, &value);
	}
	if (out.step == RESPONSE_MORE) {
		out.ended = response_end(response, true);
		if (response_end(response, false)) {
			broken("a cut ends no answer");
		}
	}
	if (out.step == RESPONSE_WHOLE || out.ended) {
		out.body = response_body(response);
		out.keeps = response_keeps_connection(response);
	}
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct response *one = response_new(HEAD_MAX, BODY_MAX);
	struct response *other = response_new(HEAD_MAX, BODY_MAX);

	if (size > 0) {
		struct text bytes = { (const char *)data + 1, size - 1 };
		struct outcome whole = read_all(one, bytes, 0);
		struct outcome split = read_all(other, bytes, 1U + data[0]);

		if (whole.step != split.step || whole.status != split.status ||
			whole.headed != split.headed || whole.ended != split.ended ||
			whole.keeps != split.keeps || !text_equal(whole.body, split.body) ||
			whole.used != split.used) {
			broken("every split gives the same answer");
		}
		if (whole.body.len > BODY_MAX ||
			(whole.headed && (whole.status < 200 || whole.status > 599)) ||
			((whole.step == RESPONSE_WHOLE || whole.ended) && !whole.headed)) {
			broken("an answer is within the limits");
		}
	}
	response_free(one);
	response_free(other);
	return 0;
}
