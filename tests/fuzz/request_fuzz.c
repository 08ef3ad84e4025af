/* The request reader. The first byte chooses body_max, the next seven how the rest is cut.
 *
 * What must hold: any cutting of the same bytes gives the same; no more is used than was given, and
 * all of it while more is wanted; a body is never longer than body_max; a refusal has a status and
 * a reason, and is final. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/die.h"
#include "http/request.h"

enum { KEY_BYTES = 8, SEEN_BYTES = 1 << 16, REQUESTS_MAX = 256 };

/* All that came out, as bytes. */
struct seen {
	size_t len;
	size_t requests;
	unsigned char bytes[SEEN_BYTES];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool holds, const char *promise)
{
	if (!holds) {
		die("%s", promise);
	}
}

static void see(struct seen *seen, const void *bytes, size_t len)
{
	uint64_t sum = 14695981039346656037u;

	for (size_t i = 0; i < len; i++) {
		sum = (sum ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
	}
	if (seen->len + sizeof(len) + sizeof(sum) <= sizeof(seen->bytes)) {
		memcpy(seen->bytes + seen->len, &len, sizeof(len));
		memcpy(seen->bytes + seen->len + sizeof(len), &sum, sizeof(sum));
		seen->len += sizeof(len) + sizeof(sum);
	}
}

static void see_text(struct seen *seen, struct text text)
{
	hold(text.ptr != NULL, "a text has an address");
	see(seen, text.ptr, text.len);
}

static void see_head(struct seen *seen, struct request_reader *reader)
{
	const struct http_request *request = request_of(reader);
	size_t count;
	bool flags[] = { request->keep_alive, request->expects_continue, request->has_body };

	hold(request_reading_body(reader) && request_reading(reader), "behind a head is its body");
	hold(request->method.len > 0 && request->method.len <= HTTP_METHOD_MAX,
		"a method is short");
	hold(request->path.len <= HTTP_TARGET_MAX, "a path is short");
	see_text(seen, request->method);
	see_text(seen, request->path);
	see_text(seen, request_field(request, TEXT("Host"), &count));
	see(seen, &count, sizeof(count));
	see_text(seen, request_field(request, TEXT("x"), &count));
	see(seen, &count, sizeof(count));
	see(seen, flags, sizeof(flags));
}

static void see_refusal(struct seen *seen, const struct request_reader *reader)
{
	unsigned status = request_refusal(reader)->status;
	const char *reason = request_refusal(reader)->reason;

	hold(status == 400 || status == 411 || status == 413 || status == 414 || status == 431 ||
			status == 501 || status == 505,
		"a refusal has a status of the list");
	hold(reason && reason[0], "and a reason");
	see(seen, &status, sizeof(status));
	see_text(seen, text_of(reason));
}

static size_t cut(const uint8_t *key, size_t *turn, size_t left)
{
	size_t piece = key ? (size_t)key[1 + (*turn)++ % (KEY_BYTES - 1)] : left;

	return piece < left ? piece : left;
}

/* key NULL: in one piece. */
static void read_all(struct text bytes, size_t body_max, const uint8_t *key, struct seen *seen)
{
	struct request_reader *reader = request_reader_new(body_max);
	enum request_step step = REQUEST_MORE;
	size_t turn = 0, idle = 0;

	seen->len = 0;
	seen->requests = 0;
	while (step != REQUEST_REFUSED && seen->requests < REQUESTS_MAX) {
		struct text piece = { bytes.ptr, cut(key, &turn, bytes.len) };
		enum request_step last = step;
		size_t used;

		/* A key of zeros would never get anywhere. */
		if (piece.len == 0 && last == REQUEST_MORE && ++idle > KEY_BYTES) {
			if (bytes.len == 0) {
				break;
			}
			piece.len = 1;
		}
		step = request_read(reader, piece, &used);
		hold(used <= piece.len, "no more is used than given");
		hold(step != REQUEST_MORE || used == piece.len, "all is used while more is wanted");
		bytes = (struct text){ bytes.ptr + used, bytes.len - used };
		idle = used ? 0 : idle;
		if (step == REQUEST_HEAD) {
			hold(last != REQUEST_HEAD, "a head is reported once");
			see_head(seen, reader);
		} else if (step == REQUEST_WHOLE) {
			hold(request_of(reader)->body.len <= body_max,
				"a body is no longer than allowed");
			see_text(seen, request_of(reader)->body);
			seen->requests++;
			request_reader_reset(reader);
			step = REQUEST_MORE;
		}
	}
	if (step == REQUEST_REFUSED) {
		size_t used = 1;

		see_refusal(seen, reader);
		hold(request_read(reader, bytes, &used) == REQUEST_REFUSED && used == 0,
			"a refusal is final");
	}
	see(seen, &bytes.len, sizeof(bytes.len));
	request_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t bytewise[KEY_BYTES] = { 0, 1, 1, 1, 1, 1, 1, 1 };
	static struct seen whole, other;

	if (size < KEY_BYTES) {
		return 0;
	}

	struct text bytes = { (const char *)data + KEY_BYTES, size - KEY_BYTES };
	size_t body_max = (size_t)data[0] * 64;

	read_all(bytes, body_max, NULL, &whole);
	read_all(bytes, body_max, data, &other);
	hold(whole.len == other.len && memcmp(whole.bytes, other.bytes, whole.len) == 0,
		"pieces give what the whole gives");
	read_all(bytes, body_max, bytewise, &other);
	hold(whole.len == other.len && memcmp(whole.bytes, other.bytes, whole.len) == 0,
		"bytes give what the whole gives");
	return 0;
}
