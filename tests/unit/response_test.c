#include "http/response.h"

#include <stdlib.h>

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OK           "HTTP/1.1 200 OK\r\n"
#define EMPTY        "\r\nContent-Length: 0\r\n\r\n"
#define CHUNKED      OK "Transfer-Encoding: chunked\r\n\r\n"

enum { HEAD_MAX = 2048, BODY_MAX = 4096 };

static const struct {
	const char *promise;
	struct text bytes;
	enum response_step step;
	unsigned status;
	const char *body;
	size_t behind; /* bytes that are not taken */
} cases[] = {
	{ "a length says where the body ends", TEXT_INIT(OK "Content-Length: 2\r\n\r\nok"),
		RESPONSE_WHOLE, 200, "ok", 0 },
	{ "what is behind the body is left", TEXT_INIT(OK "Content-Length: 2\r\n\r\nokHTTP"),
		RESPONSE_WHOLE, 200, "ok", 4 },
	{ "an empty body is whole at once", TEXT_INIT(OK "Content-Length: 0\r\n\r\n"),
		RESPONSE_WHOLE, 200, "", 0 },
	{ "names have no case, values are trimmed",
		TEXT_INIT(OK "content-LENGTH: \t 2 \t\r\n\r\nok"), RESPONSE_WHOLE, 200, "ok", 0 },
	{ "a reason may be missing", TEXT_INIT("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"),
		RESPONSE_WHOLE, 404, "", 0 },
	{ "a reason may be empty", TEXT_INIT("HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n"),
		RESPONSE_WHOLE, 503, "", 0 },
	{ "HTTP/1.0 is read", TEXT_INIT("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
		RESPONSE_WHOLE, 200, "ok", 0 },
	{ "chunks are put together", TEXT_INIT(CHUNKED "2\r\nab\r\n00A\r\n0123456789\r\n0\r\n\r\n"),
		RESPONSE_WHOLE, 200, "ab0123456789", 0 },
	{ "extensions of chunks are dropped", TEXT_INIT(CHUNKED "2;a=\"b\"\r\nab\r\n0;c\r\n\r\n"),
		RESPONSE_WHOLE, 200, "ab", 0 },
	{ "a trailer is dropped", TEXT_INIT(CHUNKED "2\r\nab\r\n0\r\nX: y\r\nZ: \r\n\r\n"),
		RESPONSE_WHOLE, 200, "ab", 0 },
	{ "a trailer of anything is dropped",
		TEXT_INIT(CHUNKED "2\r\nab\r\n0\r\n no field\r\n: \0\x01\r\n\r\n"), RESPONSE_WHOLE,
		200, "ab", 0 },
	{ "an interim answer is dropped",
		TEXT_INIT("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" OK "Content-Length: 2\r\n\r\nok"),
		RESPONSE_WHOLE, 200, "ok", 0 },
	{ "204 has no body", TEXT_INIT("HTTP/1.1 204 None\r\n\r\n"), RESPONSE_WHOLE, 204, "", 0 },
	{ "304 has no body, whatever its length says",
		TEXT_INIT("HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n"), RESPONSE_WHOLE, 304,
		"", 0 },
	{ "bytes beyond ASCII may be in a value",
		TEXT_INIT(OK "X: \xe4\xff\r\nContent-Length: 0\r\n\r\n"), RESPONSE_WHOLE, 200, "",
		0 },

	{ "half a body is not whole", TEXT_INIT(OK "Content-Length: 5\r\n\r\nok"), RESPONSE_MORE, 0,
		"", 0 },
	{ "chunks without the last are not whole", TEXT_INIT(CHUNKED "2\r\nab\r\n"), RESPONSE_MORE,
		0, "", 0 },
	{ "the last chunk alone is not whole", TEXT_INIT(CHUNKED "2\r\nab\r\n0\r\n"), RESPONSE_MORE,
		0, "", 0 },
	{ "a head without its end is not whole", TEXT_INIT(OK "Content-Length: 0\r\n"),
		RESPONSE_MORE, 0, "", 0 },
	{ "nothing is not whole", TEXT_INIT(""), RESPONSE_MORE, 0, "", 0 },

	{ "neither length nor chunks has no end of its own", TEXT_INIT(OK "\r\nok"), RESPONSE_MORE,
		0, "", 0 },
	{ "two lengths", TEXT_INIT(OK "Content-Length: 2\r\nContent-Length: 5\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "two equal lengths", TEXT_INIT(OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "a list of lengths", TEXT_INIT(OK "Content-Length: 2, 2\r\n\r\n"), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a signed length", TEXT_INIT(OK "Content-Length: +2\r\n\r\n"), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a length beyond 64 bits", TEXT_INIT(OK "Content-Length: 18446744073709551616\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "a length over the limit", TEXT_INIT(OK "Content-Length: 4097\r\n\r\n"), RESPONSE_BROKEN,
		0, "", 0 },
	{ "an empty length", TEXT_INIT(OK "Content-Length: \r\n\r\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "length and chunks",
		TEXT_INIT(OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "another coding", TEXT_INIT(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "chunks in HTTP/1.0", TEXT_INIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "a signed chunk", TEXT_INIT(CHUNKED "+2\r\nab\r\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "a negative chunk", TEXT_INIT(CHUNKED "-1\r\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "a chunk over the limit", TEXT_INIT(CHUNKED "1001\r\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "chunks over the limit together", TEXT_INIT(CHUNKED "1\r\nx\r\n1000\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "a chunk of 2^64 - 1", TEXT_INIT(CHUNKED "ffffffffffffffff\r\n"), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a chunk longer than it said", TEXT_INIT(CHUNKED "2\r\nabc\r\n"), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a chunk that ends in a bare LF", TEXT_INIT(CHUNKED "2\r\nab\n"), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a size that ends in a bare LF", TEXT_INIT(CHUNKED "2\nab\r\n"), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a trailer with a bare LF", TEXT_INIT(CHUNKED "0\r\n\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "a bare LF in a line of a trailer", TEXT_INIT(CHUNKED "0\r\nX: y\n\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "a trailer with a bare CR", TEXT_INIT(CHUNKED "0\r\nX\rY\r\n\r\n"), RESPONSE_BROKEN, 0,
		"", 0 },
	{ "another protocol", TEXT_INIT("220 mail ESMTP"), RESPONSE_BROKEN, 0, "", 0 },
	{ "HTTP/2", TEXT_INIT("HTTP/2 200" EMPTY), RESPONSE_BROKEN, 0, "", 0 },
	{ "an empty line first", TEXT_INIT("\r\n" OK "Content-Length: 0\r\n\r\n"), RESPONSE_BROKEN,
		0, "", 0 },
	{ "no dot in the version", TEXT_INIT("HTTP/1_1 200 OK" EMPTY), RESPONSE_BROKEN, 0, "", 0 },
	{ "no minor version", TEXT_INIT("HTTP/1. 200 OK" EMPTY), RESPONSE_BROKEN, 0, "", 0 },
	{ "a minor version that is no digit", TEXT_INIT("HTTP/1.x 200 OK" EMPTY), RESPONSE_BROKEN,
		0, "", 0 },
	{ "no space before the status", TEXT_INIT("HTTP/1.1_200 OK" EMPTY), RESPONSE_BROKEN, 0, "",
		0 },
	{ "a status of two digits", TEXT_INIT("HTTP/1.1 20 OK" EMPTY), RESPONSE_BROKEN, 0, "", 0 },
	{ "a status of four digits", TEXT_INIT("HTTP/1.1 2000 OK" EMPTY), RESPONSE_BROKEN, 0, "",
		0 },
	{ "status 000", TEXT_INIT("HTTP/1.1 000 OK" EMPTY), RESPONSE_BROKEN, 0, "", 0 },
	{ "status 600", TEXT_INIT("HTTP/1.1 600 OK" EMPTY), RESPONSE_BROKEN, 0, "", 0 },
	{ "another protocol offered", TEXT_INIT("HTTP/1.1 101 Switch" EMPTY), RESPONSE_BROKEN, 0,
		"", 0 },
	{ "a line without a colon", TEXT_INIT(OK "nothing\r\n\r\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "an empty name", TEXT_INIT(OK ": x\r\n\r\n"), RESPONSE_BROKEN, 0, "", 0 },
	{ "a space before the colon", TEXT_INIT(OK "Content-Length : 0\r\n\r\n"), RESPONSE_BROKEN,
		0, "", 0 },
	{ "a folded line", TEXT_INIT(OK "X: y\r\n z\r\nContent-Length: 0\r\n\r\n"), RESPONSE_BROKEN,
		0, "", 0 },
	{ "a NUL in a value", TEXT_INIT(OK "X: y\0z\r\nContent-Length: 0\r\n\r\n"), RESPONSE_BROKEN,
		0, "", 0 },
	{ "a bare CR in a value", TEXT_INIT(OK "X: y\rz\r\nContent-Length: 0\r\n\r\n"),
		RESPONSE_BROKEN, 0, "", 0 },
	{ "a bare LF in a value", TEXT_INIT(OK "X: y\nContent-Length: 0\r\n\r\n"), RESPONSE_BROKEN,
		0, "", 0 },
};

struct outcome {
	enum response_step step;
	size_t used;
	unsigned status;
	bool keeps;
	char body[BODY_MAX];
	size_t body_len;
};

/* From copies of their length, so that a sanitizer sees a byte read beyond one. */
static enum response_step feed(struct response *response, struct text part, size_t *used)
{
	char *copy = malloc(part.len + 1);
	enum response_step step;

	memcpy(copy, part.ptr, part.len);
	step = response_read(response, (struct text){ copy, part.len }, used);
	free(copy);
	return step;
}

static void read_in_pieces(
	struct response *response, struct text bytes, size_t piece, struct outcome *out)
{
	size_t used;

	memset(out, 0, sizeof(*out));
	response_reset(response, false);
	do {
		size_t left = bytes.len - out->used;
		struct text part = { bytes.ptr + out->used, left < piece ? left : piece };

		out->step = feed(response, part, &used);
		out->used += used;
	} while (out->step == RESPONSE_MORE && out->used < bytes.len);
	if (out->step == RESPONSE_WHOLE) {
		out->status = response_status(response);
		out->keeps = response_keeps_connection(response);
		out->body_len = response_body(response).len;
		memcpy(out->body, response_body(response).ptr, out->body_len);
	}
}

static void check_cases(struct response *response)
{
	static struct outcome whole;
	static struct outcome split;

	for (size_t i = 0; i < COUNT(cases); i++) {
		int different = 0;

		read_in_pieces(response, cases[i].bytes, SIZE_MAX, &whole);
		CHECK(whole.step == cases[i].step && whole.status == cases[i].status &&
				text_equal((struct text){ whole.body, whole.body_len },
					text_of(cases[i].body)),
			"%s: %s (got %d, %u)", cases[i].promise,
			cases[i].step == RESPONSE_BROKEN ? "broken" : "as it should",
			(int)whole.step, whole.status);
		CHECK(whole.step != RESPONSE_WHOLE ||
				whole.used + cases[i].behind == cases[i].bytes.len,
			"%s: no byte too many is taken", cases[i].promise);
		CHECK((whole.step == RESPONSE_BROKEN) == (response_problem(response)[0] != '\0'),
			"%s: says why if broken (%s)", cases[i].promise,
			response_problem(response));
		for (size_t piece = 1; piece < cases[i].bytes.len; piece++) {
			read_in_pieces(response, cases[i].bytes, piece, &split);
			different += memcmp(&whole, &split, sizeof(whole)) != 0;
		}
		CHECK(different == 0, "%s: the same in all splits", cases[i].promise);
	}
}

static void check_connection(struct response *response)
{
	static const struct {
		const char *promise;
		struct text bytes;
		bool keeps;
	} connections[] = {
		{ "HTTP/1.1 keeps the connection", TEXT_INIT(OK "Content-Length: 0\r\n\r\n"),
			true },
		{ "close ends it", TEXT_INIT(OK "Connection: close\r\nContent-Length: 0\r\n\r\n"),
			false },
		{ "close may be one of several",
			TEXT_INIT(OK "Connection: x\r\nConnection: y , CLOSE\r\nContent-Length: "
				     "0\r\n\r\n"),
			false },
		{ "HTTP/1.0 ends it",
			TEXT_INIT("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: "
				  "0\r\n\r\n"),
			false },
	};
	static struct outcome out;

	for (size_t i = 0; i < COUNT(connections); i++) {
		read_in_pieces(response, connections[i].bytes, SIZE_MAX, &out);
		CHECK(out.step == RESPONSE_WHOLE && out.keeps == connections[i].keeps, "%s",
			connections[i].promise);
	}
}

static void check_fields(struct response *response)
{
	static struct outcome out;
	struct text value = TEXT("");
	size_t place = 0;

	read_in_pieces(response,
		TEXT(OK "Retry-After:  7 \r\nX:\r\nretry-after: 8\r\nContent-Length: 0\r\n\r\n"),
		SIZE_MAX, &out);
	CHECK(response_next_field(response, TEXT("RETRY-after"), &place, &value) &&
			text_equal(value, TEXT("7")),
		"the first field of a name is found, in any case, trimmed");
	CHECK(response_next_field(response, TEXT("RETRY-after"), &place, &value) &&
			text_equal(value, TEXT("8")),
		"then the second");
	CHECK(!response_next_field(response, TEXT("RETRY-after"), &place, &value), "and no third");
	place = 0;
	CHECK(response_next_field(response, TEXT("X"), &place, &value) && value.len == 0,
		"an empty field is empty");
	place = 0;
	CHECK(!response_next_field(response, TEXT("Retry"), &place, &value),
		"an absent field is absent");
}

/* A body that only the end of the connection ends, and what is known whatever becomes of one. */
static void check_ends(struct response *response)
{
	static const struct {
		const char *promise;
		struct text bytes;
		bool ends, headed;
	} ends[] = {
		{ "a body without an end of its own", TEXT_INIT(OK "\r\n{}"), true, true },
		{ "an empty one", TEXT_INIT(OK "\r\n"), true, true },
		{ "one of HTTP/1.0", TEXT_INIT("HTTP/1.0 429 Slow\r\n\r\n{}"), true, true },
		{ "a body of a length", TEXT_INIT(OK "Content-Length: 5\r\n\r\n{}"), false, true },
		{ "a body of chunks", TEXT_INIT(CHUNKED "2\r\n{}\r\n"), false, true },
		{ "a head", TEXT_INIT(OK "X: y\r\n"), false, false },
		{ "an interim answer", TEXT_INIT("HTTP/1.1 100 Go on\r\n\r\n"), false, false },
		{ "a body that cannot be read", TEXT_INIT(CHUNKED "x"), false, true },
		{ "a body with two ends",
			TEXT_INIT(OK "Content-Length: 1\r\nContent-Length: "
				     "2\r\n\r\n"),
			false, true },
	};
	static struct outcome out;
	static char long_body[BODY_MAX + 1];
	size_t used;

	for (size_t i = 0; i < COUNT(ends); i++) {
		read_in_pieces(response, ends[i].bytes, SIZE_MAX, &out);
		CHECK(response_end(response, true) == ends[i].ends &&
				!response_end(response, false),
			"%s is whole by a clean end of the connection: %d", ends[i].promise,
			ends[i].ends);
		CHECK(response_has_head(response) == ends[i].headed &&
				(!ends[i].headed || response_status(response) >= 200),
			"%s has a status: %d", ends[i].promise, ends[i].headed);
	}
	read_in_pieces(response, TEXT(OK "\r\n{}"), SIZE_MAX, &out);
	CHECK(text_equal(response_body(response), TEXT("{}")), "such a body is all that came");
	memset(long_body, 'x', sizeof(long_body));
	read_in_pieces(response, TEXT(OK "\r\n"), SIZE_MAX, &out);
	CHECK(response_read(response, (struct text){ long_body, BODY_MAX }, &used) == RESPONSE_MORE,
		"it may be as long as allowed");
	CHECK(response_read(response, TEXT("x"), &used) == RESPONSE_BROKEN,
		"one byte more is broken");
}

/* head, then piece as often as it takes. */
static void check_endless(
	struct response *response, const char *promise, struct text head, struct text piece)
{
	size_t used;
	size_t sent = 0;
	enum response_step step;

	response_reset(response, false);
	step = head.len > 0 ? response_read(response, head, &used) : RESPONSE_MORE;
	while (step == RESPONSE_MORE && sent < 1000000) {
		step = response_read(response, piece, &used);
		sent += used;
	}
	CHECK(step == RESPONSE_BROKEN && sent < 100000, "%s end as broken (after %zu bytes)",
		promise, sent);
}

/* head, count times piece, and end. */
static enum response_step read_many(struct response *response, struct text head, struct text piece,
	size_t count, struct text end)
{
	size_t used;

	response_reset(response, false);
	response_read(response, head, &used);
	for (size_t i = 0; i < count; i++) {
		if (response_read(response, piece, &used) == RESPONSE_BROKEN) {
			return RESPONSE_BROKEN;
		}
	}
	return response_read(response, end, &used);
}

static void check_counts(struct response *response)
{
	struct text empty = TEXT(OK "Content-Length: 0\r\n");
	struct text chunks = TEXT(CHUNKED "0\r\n");
	struct text line = TEXT("12345678901234\r\n"), end = TEXT("\r\n");

	CHECK(read_many(response, empty, TEXT("X: y\r\n"), RESPONSE_FIELDS_MAX - 1, end) ==
			RESPONSE_WHOLE,
		"as many fields as allowed are taken");
	CHECK(read_many(response, empty, TEXT("X: y\r\n"), RESPONSE_FIELDS_MAX, end) ==
			RESPONSE_BROKEN,
		"one more is broken");
	CHECK(read_many(response, chunks, line, RESPONSE_TRAILER_MAX / 16 - 1,
		      TEXT("12345678901234\r\n")) == RESPONSE_MORE,
		"the trailer may be as long as allowed");
	CHECK(read_many(response, chunks, line, RESPONSE_TRAILER_MAX / 16, TEXT("\r")) ==
			RESPONSE_BROKEN,
		"one byte more is broken");
	CHECK(read_many(response, TEXT(""), TEXT("HTTP/1.1 100 C\r\n\r\n"), RESPONSE_INTERIM_MAX,
		      TEXT(OK "Content-Length: 0\r\n\r\n")) == RESPONSE_WHOLE,
		"as many interim answers as allowed are passed over");
	CHECK(read_many(response, TEXT(""), TEXT("HTTP/1.1 100 C\r\n\r\n"),
		      RESPONSE_INTERIM_MAX + 1,
		      TEXT(OK "Content-Length: 0\r\n\r\n")) == RESPONSE_BROKEN,
		"one more is broken");
}

static void check_limits(struct response *response)
{
	static struct outcome out;
	char head[HEAD_MAX + 1];

	check_endless(response, "endless fields", TEXT(OK), TEXT("X: y\r\n"));
	check_endless(response, "an endless field does", TEXT(OK "X: "), TEXT("y"));
	check_endless(response, "an endless status line does", TEXT("HTTP/1.1 200 "), TEXT("y"));
	check_endless(
		response, "endless interim answers", TEXT(""), TEXT("HTTP/1.1 100 C\r\n\r\n"));
	check_endless(response, "endless chunks", TEXT(CHUNKED), TEXT("1\r\nx\r\n"));
	check_endless(response, "an endless chunk size does", TEXT(CHUNKED), TEXT("0"));
	check_endless(response, "an endless extension does", TEXT(CHUNKED "1;"), TEXT("x"));
	check_endless(response, "endless trailers", TEXT(CHUNKED "0\r\n"), TEXT("X: y\r\n"));

	memset(head, 'x', sizeof(head));
	memcpy(head, OK "Content-Length: 0\r\nX: ", strlen(OK "Content-Length: 0\r\nX: "));
	memcpy(head + HEAD_MAX - 4, "\r\n\r\n", 4);
	read_in_pieces(response, (struct text){ head, HEAD_MAX }, SIZE_MAX, &out);
	CHECK(out.step == RESPONSE_WHOLE, "the longest head is taken");
	memcpy(head + HEAD_MAX - 4, "x\r\n\r\n", 5);
	read_in_pieces(response, (struct text){ head, HEAD_MAX + 1 }, SIZE_MAX, &out);
	CHECK(out.step == RESPONSE_BROKEN, "one byte more is broken");
}

static void check_head_request(struct response *response)
{
	static const char bytes[] = OK "Content-Length: 500\r\n\r\n";
	size_t used;

	response_reset(response, true);
	CHECK(!response_begun(response), "nothing has begun at first");
	CHECK(response_read(response, text_of(bytes), &used) == RESPONSE_WHOLE &&
			used == sizeof(bytes) - 1 && response_body(response).len == 0,
		"an answer to HEAD has no body");
	CHECK(response_begun(response), "it has begun with its first byte");
}

int main(void)
{
	struct response *response = response_new(HEAD_MAX, BODY_MAX);

	check_cases(response);
	check_connection(response);
	check_fields(response);
	check_ends(response);
	check_counts(response);
	check_limits(response);
	check_head_request(response);
	response_free(response);
	response_free(NULL);
	return check_done();
}
