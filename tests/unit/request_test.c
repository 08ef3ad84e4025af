/* Every row of the lists of bad HTTP: framing (A), request line and headers (B), and what is well
 * formed beside them. Each is read whole, byte by byte, and in random pieces: the same must come
 * out. HTTP_TEST_SEED=n repeats a run's random pieces. */
#include "http/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "check.h"

enum {
	BODY_MAX = 1024,
	RANDOM_SPLITS = 20,
	SEEN_MAX = 4096,
	LONG_MAX = 2 * 1024 * 1024,
};

#define POST    "POST /hook HTTP/1.1\r\nHost: a.test\r\n"
#define GOOD    POST "Content-Length: 5\r\n\r\nhello"
#define LENGTH  POST "Content-Length: "
#define CODING  POST "Transfer-Encoding: "
#define CHUNKED CODING "chunked\r\n\r\n"
#define LAST    "0\r\n\r\n"
#define END     "\r\n\r\n"
/* What a smuggler wants to be taken for a request of its own. */
#define HIDDEN "GET /hidden HTTP/1.1\r\nHost: a.test\r\n\r\n"

/* status 0: all of it is well formed. also: another status that is as good, or 0. */
struct row {
	const char *promise;
	struct text bytes;
	unsigned status;
	unsigned also;
	size_t requests; /* well formed ones before it, or in all */
};

/* clang-format off */
static const struct row rows[] = {
	/* A: Content-Length */
	{ "Content-Length with a plus is refused", TEXT_INIT(LENGTH "+5" END "hello"), 400, 0, 0 },
	{ "Content-Length -0 is refused", TEXT_INIT(LENGTH "-0" END), 400, 0, 0 },
	{ "Content-Length -5 is refused", TEXT_INIT(LENGTH "-5" END "hello"), 400, 0, 0 },
	{ "Content-Length 0x5 is refused", TEXT_INIT(LENGTH "0x5" END "hello"), 400, 0, 0 },
	{ "Content-Length 5_0 is refused", TEXT_INIT(LENGTH "5_0" END "hello"), 400, 0, 0 },
	{ "Content-Length `5, 5` is refused", TEXT_INIT(LENGTH "5, 5" END "hello"), 400, 0, 0 },
	{ "Content-Length `5,6` is refused", TEXT_INIT(LENGTH "5,6" END "hello"), 400, 0, 0 },
	{ "an empty Content-Length is refused", TEXT_INIT(LENGTH END "hello"), 400, 0, 0 },
	{ "a blank Content-Length is refused", TEXT_INIT(LENGTH " \t " END "hello"), 400, 0, 0 },
	{ "Content-Length 2^63 is refused", TEXT_INIT(LENGTH "9223372036854775808" END), 413, 400, 0 },
	{ "Content-Length 2^64 + 5 is refused", TEXT_INIT(LENGTH "18446744073709551621" END "hello"),
		413, 400, 0 },
	{ "Content-Length `5;a` is refused", TEXT_INIT(LENGTH "5;a" END "hello"), 400, 0, 0 },
	{ "Content-Length `5 5` is refused", TEXT_INIT(LENGTH "5 5" END "hello"), 400, 0, 0 },
	{ "an Arabic digit is no digit", TEXT_INIT(LENGTH "\xd9\xa5" END "hello"), 400, 0, 0 },
	{ "Content-Length with a NUL behind it is refused", TEXT_INIT(LENGTH "5\0" END "hello"),
		400, 0, 0 },
	{ "two equal Content-Lengths are refused",
		TEXT_INIT(LENGTH "5\r\nContent-Length: 5" END "hello"), 400, 0, 0 },
	{ "two different Content-Lengths are refused",
		TEXT_INIT(LENGTH "5\r\nContent-Length: 6" END "hello"), 400, 0, 0 },
	{ "two Content-Lengths in different case are refused",
		TEXT_INIT(LENGTH "5\r\ncontent-LENGTH: 6" END "hello"), 400, 0, 0 },
	{ "a POST without a length is refused", TEXT_INIT(POST "\r\n" HIDDEN), 411, 0, 0 },
	{ "Content-Length 0 is a length", TEXT_INIT(LENGTH "0" END), 0, 0, 1 },
	{ "a body over the limit is refused", TEXT_INIT(LENGTH "1025" END), 413, 0, 0 },
	/* A: Transfer-Encoding */
	{ "Content-Length and Transfer-Encoding are refused",
		TEXT_INIT(LENGTH "5\r\nTransfer-Encoding: chunked" END LAST), 400, 0, 0 },
	{ "Transfer-Encoding and Content-Length are refused",
		TEXT_INIT(CODING "chunked\r\nContent-Length: 5" END LAST), 400, 0, 0 },
	{ "`xchunked` and Content-Length are refused",
		TEXT_INIT(CODING "xchunked\r\nContent-Length: 5" END LAST), 501, 400, 0 },
	{ "`xchunked` is not implemented", TEXT_INIT(CODING "xchunked" END LAST), 501, 0, 0 },
	{ "`chunked, identity` is refused", TEXT_INIT(CODING "chunked, identity" END LAST), 501, 400, 0 },
	{ "`chunked, chunked` is refused", TEXT_INIT(CODING "chunked, chunked" END LAST), 501, 400, 0 },
	{ "`gzip, chunked` is not implemented", TEXT_INIT(CODING "gzip, chunked" END LAST), 501, 0, 0 },
	{ "Transfer-Encoding with a space before its colon is refused",
		TEXT_INIT(POST "Transfer-Encoding : chunked" END LAST), 400, 0, 0 },
	{ "a vertical tab in Transfer-Encoding is refused", TEXT_INIT(CODING "\x0b" "chunked" END LAST),
		400, 0, 0 },
	{ "a form feed in Transfer-Encoding is refused", TEXT_INIT(CODING "\x0c" "chunked" END LAST),
		400, 0, 0 },
	{ "a quoted `\"chunked\"` is refused", TEXT_INIT(CODING "\"chunked\"" END LAST), 400, 501, 0 },
	{ "`chunked,` is refused", TEXT_INIT(CODING "chunked," END LAST), 400, 0, 0 },
	{ "`, chunked` is refused", TEXT_INIT(CODING ", chunked" END LAST), 400, 0, 0 },
	{ "`chunked;q=1` is refused", TEXT_INIT(CODING "chunked;q=1" END LAST), 400, 501, 0 },
	{ "an empty Transfer-Encoding is refused", TEXT_INIT(CODING END LAST), 400, 0, 0 },
	{ "Transfer-Encoding twice is refused",
		TEXT_INIT(CODING "chunked\r\nTransfer-Encoding: chunked" END LAST), 400, 0, 0 },
	{ "`chunked` with a bare CR is refused", TEXT_INIT(CODING "chunked\r" END LAST), 400, 0, 0 },
	{ "`chunked` with a NUL is refused", TEXT_INIT(CODING "chunked\0" END LAST), 400, 0, 0 },
	{ "a folded Transfer-Encoding is refused", TEXT_INIT(CODING "\r\n chunked" END LAST), 400, 0, 0 },
	{ "a Transfer-Encoding folded with a tab is refused", TEXT_INIT(CODING "\r\n\tchunked" END LAST),
		400, 0, 0 },
	{ "Transfer-Encoding in HTTP/1.0 is refused",
		TEXT_INIT("POST /hook HTTP/1.0\r\nTransfer-Encoding: chunked" END LAST), 400, 0, 0 },
	{ "CHUNKED is chunked", TEXT_INIT(CODING "CHUNKED" END "5\r\nhello\r\n" LAST), 0, 0, 1 },
	/* A: chunks */
	{ "chunk size 0x5 is refused", TEXT_INIT(CHUNKED "0x5\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk size +5 is refused", TEXT_INIT(CHUNKED "+5\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk size ` 5` is refused", TEXT_INIT(CHUNKED " 5\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk size `5 ` is refused", TEXT_INIT(CHUNKED "5 \r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk size `5 junk` is refused", TEXT_INIT(CHUNKED "5 junk\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "a chunk that ends with a space is refused", TEXT_INIT(CHUNKED "5\r\nhello \n" LAST),
		400, 0, 0 },
	{ "chunk size `5;` is refused", TEXT_INIT(CHUNKED "5;\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk extension `a=` is refused", TEXT_INIT(CHUNKED "5;a=\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk extension `=a` is refused", TEXT_INIT(CHUNKED "5;=a\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk extension `a b` is refused", TEXT_INIT(CHUNKED "5;a b\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk extension `a=b c` is refused", TEXT_INIT(CHUNKED "5;a=b c\r\nhello\r\n" LAST),
		400, 0, 0 },
	{ "chunk extension `a=\"b\"c` is refused", TEXT_INIT(CHUNKED "5;a=\"b\"c\r\nhello\r\n" LAST),
		400, 0, 0 },
	{ "a chunk extension with LF is refused", TEXT_INIT(CHUNKED "5;a\nb\r\nhello\r\n" LAST),
		400, 0, 0 },
	{ "a chunk extension with CR is refused", TEXT_INIT(CHUNKED "5;a\rb\r\nhello\r\n" LAST),
		400, 0, 0 },
	{ "a quoted LF in a chunk extension is refused",
		TEXT_INIT(CHUNKED "5;a=\"\n\"\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "a quoted CR in a chunk extension is refused",
		TEXT_INIT(CHUNKED "5;a=\"\r\n\"\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "an escaped CR in a chunk extension is refused",
		TEXT_INIT(CHUNKED "5;a=\"\\\r\n\"\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "a NUL in a chunk extension is refused", TEXT_INIT(CHUNKED "5;a\0\r\nhello\r\n" LAST),
		400, 0, 0 },
	{ "chunk extensions are read and dropped",
		TEXT_INIT(CHUNKED "5;a;b=c;d=\"e \\\" ;f\xff\";g\r\nhello\r\n0;z\r\n\r\n"), 0, 0, 1 },
	{ "a chunk-size line with a bare LF is refused", TEXT_INIT(CHUNKED "5\nhello\r\n" LAST),
		400, 0, 0 },
	{ "chunk data with a bare LF behind is refused", TEXT_INIT(CHUNKED "5\r\nhello\n" LAST),
		400, 0, 0 },
	{ "a last chunk with a bare LF is refused", TEXT_INIT(CHUNKED "0\n\n"), 400, 0, 0 },
	{ "a trailer ended with a bare LF is refused", TEXT_INIT(CHUNKED "0\r\n\n"), 400, 0, 0 },
	{ "chunk data followed by XX is refused", TEXT_INIT(CHUNKED "5\r\nhelloXX" LAST), 400, 0, 0 },
	{ "chunk data followed by a bare CR is refused", TEXT_INIT(CHUNKED "5\r\nhello\rX" LAST),
		400, 0, 0 },
	{ "chunk size -1 is refused", TEXT_INIT(CHUNKED "-1\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "chunk size 2^64 is refused", TEXT_INIT(CHUNKED "10000000000000000\r\nhello"), 400, 0, 0 },
	{ "chunk size 5 in 17 digits is refused", TEXT_INIT(CHUNKED "00000000000000005\r\nhello"),
		400, 0, 0 },
	{ "chunk size FFFFFFFFFFFFFFFE is refused", TEXT_INIT(CHUNKED "FFFFFFFFFFFFFFFE\r\nhello"),
		400, 0, 0 },
	{ "chunk size FFFFFFFFFFFFFFFE behind another chunk is refused",
		TEXT_INIT(CHUNKED "5\r\nhello\r\nFFFFFFFFFFFFFFFE\r\nhello"), 400, 0, 0 },
	{ "the largest chunk size is only too large", TEXT_INIT(CHUNKED "7fffffffffffffff\r\nhello"),
		413, 400, 0 },
	{ "a chunk over the limit is refused", TEXT_INIT(CHUNKED "401\r\n"), 413, 0, 0 },
	{ "chunks that pass the limit together are refused",
		TEXT_INIT(CHUNKED "5\r\nhello\r\n3fc\r\n"), 413, 0, 0 },
	{ "an empty chunk-size line is refused", TEXT_INIT(CHUNKED "\r\n5\r\nhello\r\n" LAST), 400, 0, 0 },
	{ "a missing last chunk leaves the request unfinished", TEXT_INIT(CHUNKED "5\r\nhello\r\n"),
		0, 0, 0 },
	{ "leading zeros of a chunk size count for nothing",
		TEXT_INIT(CHUNKED "0005\r\nhello\r\n000\r\n\r\n"), 0, 0, 1 },
	/* A: trailers */
	{ "a signature in the trailer is dropped",
		TEXT_INIT(CHUNKED "5\r\nhello\r\n0\r\nX-Torque-Signature: 00\r\n\r\n"), 0, 0, 1 },
	{ "Content-Length, Transfer-Encoding and Host in a trailer are dropped",
		TEXT_INIT(CHUNKED "5\r\nhello\r\n0\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n"
			"Host: b.test\r\n\r\n"), 0, 0, 1 },
	{ "a malformed trailer name is refused", TEXT_INIT(CHUNKED "0\r\na b: c\r\n\r\n"), 400, 0, 0 },
	{ "a trailer without a colon is refused", TEXT_INIT(CHUNKED "0\r\nabc\r\n\r\n"), 400, 0, 0 },
	{ "a folded trailer is refused", TEXT_INIT(CHUNKED "0\r\na: b\r\n c\r\n\r\n"), 400, 0, 0 },
	{ "a NUL in a trailer is refused", TEXT_INIT(CHUNKED "0\r\na: \0\r\n\r\n"), 400, 0, 0 },
	/* A: several requests */
	{ "a bad request behind a good one is refused alone", TEXT_INIT(GOOD "BAD\x01"), 400, 0, 1 },
	{ "pipelined requests are read one by one", TEXT_INIT(GOOD GOOD CHUNKED LAST HIDDEN), 0, 0, 4 },
	{ "an empty line behind a body is forgiven", TEXT_INIT(GOOD "\r\n" GOOD), 0, 0, 2 },
	{ "two empty lines are not", TEXT_INIT(GOOD "\r\n\r\n" GOOD), 400, 0, 1 },
	{ "an empty line with a bare LF is not", TEXT_INIT("\n" GOOD), 400, 0, 0 },
	{ "a CR alone is no empty line", TEXT_INIT("\rX" GOOD), 400, 0, 0 },
	/* B: line ends */
	{ "bare LF line ends are refused", TEXT_INIT("POST /hook HTTP/1.1\nHost: a.test\n\n"), 400, 0, 0 },
	{ "a bare LF behind a header is refused", TEXT_INIT(POST "A: b\nContent-Length: 0" END), 400, 0, 0 },
	{ "CR-only line ends are refused", TEXT_INIT("POST /hook HTTP/1.1\rHost: a.test\r\r"), 400, 0, 0 },
	/* B: header fields */
	{ "a space before the first header is refused",
		TEXT_INIT("POST /hook HTTP/1.1\r\n Host: a.test\r\nContent-Length: 0" END), 400, 0, 0 },
	{ "a header without a colon is refused", TEXT_INIT(POST "abc" END), 400, 0, 0 },
	{ "an empty header name is refused", TEXT_INIT(POST ": v" END), 400, 0, 0 },
	{ "a header name with NUL is refused", TEXT_INIT(POST "a\0b: v" END), 400, 0, 0 },
	{ "a header name with a control is refused", TEXT_INIT(POST "a\x01" "b: v" END), 400, 0, 0 },
	{ "a header name with DEL is refused", TEXT_INIT(POST "a\x7f" "b: v" END), 400, 0, 0 },
	{ "a header name with a space is refused", TEXT_INIT(POST "a b: v" END), 400, 0, 0 },
	{ "a header name with a tab is refused", TEXT_INIT(POST "a\tb: v" END), 400, 0, 0 },
	{ "a header name with ( is refused", TEXT_INIT(POST "a(b: v" END), 400, 0, 0 },
	{ "a header name with a non-ASCII byte is refused", TEXT_INIT(POST "a\xc3\xa9: v" END), 400, 0, 0 },
	{ "a header value with NUL is refused", TEXT_INIT(POST "a: v\0w" END), 400, 0, 0 },
	{ "a header value with a bare CR is refused", TEXT_INIT(POST "a: v\rw" END), 400, 0, 0 },
	{ "a header value with a control is refused", TEXT_INIT(POST "a: v\x1b[1m" END), 400, 0, 0 },
	{ "a header value with DEL is refused", TEXT_INIT(POST "a: v\x7f" END), 400, 0, 0 },
	{ "bytes above 0x7f in a header value are allowed",
		TEXT_INIT(POST "a: \x80\xff\xc3\xa9\r\nContent-Length: 0" END), 0, 0, 1 },
	{ "an empty header value is allowed", TEXT_INIT(POST "a:\r\nb: \r\nContent-Length: 0" END),
		0, 0, 1 },
	{ "HTTP/1.1 without Host is refused",
		TEXT_INIT("POST /hook HTTP/1.1\r\nContent-Length: 0" END), 400, 0, 0 },
	{ "HTTP/1.0 without Host is allowed",
		TEXT_INIT("POST /hook HTTP/1.0\r\nContent-Length: 5" END "hello"), 0, 0, 1 },
	{ "two Hosts are refused", TEXT_INIT(POST "Host: b.test\r\nContent-Length: 0" END), 400, 0, 0 },
	{ "two equal Hosts are refused", TEXT_INIT(POST "Host: a.test\r\nContent-Length: 0" END),
		400, 0, 0 },
	{ "two Hosts in HTTP/1.0 are refused",
		TEXT_INIT("GET / HTTP/1.0\r\nHost: a\r\nHost: a" END), 400, 0, 0 },
	{ "Host `a, b` is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: a, b" END), 400, 0, 0 },
	{ "Host `a,b` is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: a,b" END), 400, 0, 0 },
	{ "Host with a path is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: a/b" END), 400, 0, 0 },
	{ "Host with a user is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: u@a" END), 400, 0, 0 },
	{ "an empty Host is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost:" END), 400, 0, 0 },
	{ "Host with a port that is none is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: a:b" END),
		400, 0, 0 },
	{ "Host with a port of 6 digits is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: a:123456" END),
		400, 0, 0 },
	{ "Host with a port left out is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: a:" END), 400, 0, 0 },
	{ "Host that is only a port is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: :80" END), 400, 0, 0 },
	{ "Host with an open bracket is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: [::1" END),
		400, 0, 0 },
	{ "Host with empty brackets is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: []" END), 400, 0, 0 },
	{ "Host with a name in brackets is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: [x]" END),
		400, 0, 0 },
	{ "Host with colons alone in brackets is refused",
		TEXT_INIT("GET / HTTP/1.1\r\nHost: [:::]" END), 400, 0, 0 },
	{ "Host with an IPv4 address in brackets is refused",
		TEXT_INIT("GET / HTTP/1.1\r\nHost: [127.0.0.1]" END), 400, 0, 0 },
	{ "Host with junk behind brackets is refused", TEXT_INIT("GET / HTTP/1.1\r\nHost: [::1]a" END),
		400, 0, 0 },
	{ "names, addresses and ports are Hosts",
		TEXT_INIT("GET / HTTP/1.1\r\nHost: a-b_c.test:8480" END
			"GET / HTTP/1.1\r\nHost: 127.0.0.1:1" END
			"GET / HTTP/1.1\r\nHost: [::1]" END
			"GET / HTTP/1.1\r\nHost: [::ffff:127.0.0.1]:65535" END), 0, 0, 4 },
	/* B: request line */
	{ "HTTP/0.9 without a version is refused", TEXT_INIT("GET /\r\n"), 400, 0, 0 },
	{ "HTTP/0.9 with a version is refused", TEXT_INIT("GET / HTTP/0.9\r\nHost: a" END), 400, 0, 0 },
	{ "the HTTP/2 preface is refused", TEXT_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400, 505, 0 },
	{ "HTTP/2.0 is not supported", TEXT_INIT("GET / HTTP/2.0\r\nHost: a" END), 505, 0, 0 },
	{ "HTTP/1.2 is not supported", TEXT_INIT("GET / HTTP/1.2\r\nHost: a" END), 505, 0, 0 },
	{ "HTTP/4294967297.1 is refused", TEXT_INIT("GET / HTTP/4294967297.1\r\nHost: a" END), 400, 0, 0 },
	{ "http/1.1 in lower case is refused", TEXT_INIT("GET / http/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "HTTP/01.1 is refused", TEXT_INIT("GET / HTTP/01.1\r\nHost: a" END), 400, 0, 0 },
	{ "HTTP/1.10 is refused", TEXT_INIT("GET / HTTP/1.10\r\nHost: a" END), 400, 0, 0 },
	{ "HTTP/1 is refused", TEXT_INIT("GET / HTTP/1\r\nHost: a" END), 400, 0, 0 },
	{ "`HTTP /1.1` is refused", TEXT_INIT("GET / HTTP /1.1\r\nHost: a" END), 400, 0, 0 },
	{ "a space behind the version is refused", TEXT_INIT("GET / HTTP/1.1 \r\nHost: a" END), 400, 0, 0 },
	{ "two spaces before the target are refused", TEXT_INIT("GET  / HTTP/1.1\r\nHost: a" END),
		400, 0, 0 },
	{ "two spaces behind the target are refused", TEXT_INIT("GET /  HTTP/1.1\r\nHost: a" END),
		400, 0, 0 },
	{ "a tab in place of a space is refused", TEXT_INIT("GET\t/ HTTP/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "a tab in the target is refused", TEXT_INIT("GET /a\tb HTTP/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "a space in the target is refused", TEXT_INIT("GET /a b HTTP/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "a NUL in the target is refused", TEXT_INIT("GET /a\0b HTTP/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "a byte above 0x7f in the target is refused", TEXT_INIT("GET /\xe9 HTTP/1.1\r\nHost: a" END),
		400, 0, 0 },
	{ "an absolute target of another host is refused",
		TEXT_INIT("GET http://evil.test/hook HTTP/1.1\r\nHost: a.test" END), 400, 404, 0 },
	{ "an absolute target of this host is taken",
		TEXT_INIT("GET http://a.test/hook?x HTTP/1.1\r\nHost: A.test" END), 0, 0, 1 },
	{ "an absolute target needs a host", TEXT_INIT("GET http:///hook HTTP/1.1\r\nHost: a" END),
		400, 0, 0 },
	{ "an absolute target of another scheme is refused",
		TEXT_INIT("GET ftp://a.test/ HTTP/1.1\r\nHost: a.test" END), 400, 0, 0 },
	{ "a target without a slash is refused", TEXT_INIT("GET hook HTTP/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "`*` is a target of OPTIONS only", TEXT_INIT("GET * HTTP/1.1\r\nHost: a" END), 400, 0, 0 },
	{ "OPTIONS * is well formed", TEXT_INIT("OPTIONS * HTTP/1.1\r\nHost: a" END), 0, 0, 1 },
	{ "CONNECT is well formed", TEXT_INIT("CONNECT a:443 HTTP/1.1\r\nHost: a:443" END), 0, 0, 1 },
	{ "other methods are well formed",
		TEXT_INIT("TRACE / HTTP/1.1\r\nHost: a" END "PUT / HTTP/1.1\r\nHost: a" END
			"DELETE / HTTP/1.1\r\nHost: a" END "PATCH / HTTP/1.1\r\nHost: a" END
			"post / HTTP/1.1\r\nHost: a" END), 0, 0, 5 },
	{ "a method with a byte that is no token is refused", TEXT_INIT("P@ST / HTTP/1.1\r\nHost: a" END),
		400, 0, 0 },
	{ "a TLS hello is refused at its first byte", TEXT_INIT("\x16\x03\x01\x02\x00"), 400, 0, 0 },
	{ "the body of a GET is no second request",
		TEXT_INIT("GET /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 38" END HIDDEN), 0, 0, 1 },
	{ "the body of a HEAD is no second request",
		TEXT_INIT("HEAD /hook HTTP/1.1\r\nHost: a\r\nContent-Length: 38" END HIDDEN), 0, 0, 1 },
};
/* clang-format on */

struct seen {
	char text[SEEN_MAX]; /* every request, then the refusal, and how many bytes it took */
	size_t len;
	size_t requests;
	unsigned status;
};

static uint32_t random_state;

/* xorshift32: enough to choose where to cut. */
static size_t random_below(size_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state % bound;
}

/* How many of the left bytes are in the next piece. */
typedef size_t cutter(size_t left);

static size_t cut_nowhere(size_t left)
{
	return left;
}

static size_t cut_everywhere(size_t left)
{
	return left ? 1 : 0;
}

static size_t cut_anywhere(size_t left)
{
	return random_below((left < 64 ? left : 64) + 1);
}

__attribute__((format(printf, 2, 3))) static void note(struct seen *seen, const char *format, ...)
{
	va_list arguments;
	size_t room = sizeof(seen->text) - seen->len;
	int len;

	va_start(arguments, format);
	len = vsnprintf(seen->text + seen->len, room, format, arguments);
	va_end(arguments);
	seen->len += (size_t)len < room ? (size_t)len : room - 1;
}

static uint32_t sum_of(struct text text)
{
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < text.len; i++) {
		sum = (sum ^ (unsigned char)text.ptr[i]) * 16777619u;
	}
	return sum;
}

static void note_request(struct seen *seen, struct request_reader *reader)
{
	const struct http_request *request = request_of(reader);
	struct text method = request->method, path = request->path, body = request->body;

	seen->requests++;
	note(seen, "%.*s %.*s keep=%d body=%zu:%08x; ", (int)method.len, method.ptr, (int)path.len,
		path.ptr, request->keep_alive, body.len, sum_of(body));
}

/* Reads as a server does: request after request until a refusal or the end. */
static void read_all(struct text bytes, cutter *cut, struct seen *seen)
{
	struct request_reader *reader = request_reader_new(BODY_MAX);
	size_t at = 0, used, heads = 0;
	enum request_step step = REQUEST_MORE;

	*seen = (struct seen){ 0 };
	while (step != REQUEST_REFUSED && (at < bytes.len || step != REQUEST_MORE)) {
		struct text piece = { bytes.ptr + at, cut(bytes.len - at) };

		step = request_read(reader, piece, &used);
		at += used;
		if (used > piece.len || (step == REQUEST_MORE && used != piece.len)) {
			note(seen, "took %zu of %zu; ", used, piece.len);
			break;
		}
		heads += step == REQUEST_HEAD;
		if (step == REQUEST_WHOLE) {
			note_request(seen, reader);
			request_reader_reset(reader);
			step = REQUEST_MORE;
		}
	}
	if (step == REQUEST_REFUSED) {
		seen->status = request_refusal(reader)->status;
		note(seen, "%u %s; ", seen->status, request_refusal(reader)->reason);
	}
	note(seen, "%zu bytes, %zu heads, reading %d %d", at, heads, request_reading(reader),
		request_reading_body(reader));
	request_reader_free(reader);
}

static void check_row(const struct row *row)
{
	struct seen whole, cut;

	read_all(row->bytes, cut_nowhere, &whole);
	CHECK((whole.status == row->status || (row->also && whole.status == row->also)) &&
			whole.requests == row->requests,
		"%s (%s)", row->promise, whole.text);
	read_all(row->bytes, cut_everywhere, &cut);
	CHECK(strcmp(whole.text, cut.text) == 0, "%s, byte by byte (%s)", row->promise, cut.text);
	for (int i = 0; i < RANDOM_SPLITS; i++) {
		uint32_t seed = random_state;

		read_all(row->bytes, cut_anywhere, &cut);
		if (strcmp(whole.text, cut.text) != 0) {
			CHECK(false, "%s, in pieces %u (%s)", row->promise, seed, cut.text);
		}
	}
}

/* A request made of head, count times piece, and tail. */
static struct text build(
	char *out, const char *head, const char *piece, size_t count, const char *tail)
{
	char *at = stpcpy(out, head);

	for (size_t i = 0; i < count; i++) {
		at = stpcpy(at, piece);
	}
	at = stpcpy(at, tail);
	return (struct text){ out, (size_t)(at - out) };
}

/* The limits, each at the last size that passes and the first that does not. */
static const struct {
	const char *promise;
	const char *head, *piece, *tail;
	size_t count;
	unsigned status;
} limits[] = {
	{ "a method of 32 bytes passes", "", "M", " / HTTP/1.1\r\nHost: a\r\n\r\n", 32, 0 },
	{ "a method of 33 bytes is refused", "", "M", " / HTTP/1.1\r\nHost: a\r\n\r\n", 33, 400 },
	{ "a method of 4 KiB is refused", "", "M", "", 4096, 400 },
	{ "a target of 2 KiB passes", "GET /", "a", " HTTP/1.1\r\nHost: a\r\n\r\n", 2047, 0 },
	{ "a target of 2 KiB + 1 is refused", "GET /", "a", " HTTP/1.1\r\nHost: a\r\n\r\n", 2048,
		414 },
	{ "a target of 20 KiB is refused", "GET /", "a", "", 20480, 414 },
	{ "64 headers pass", "GET / HTTP/1.1\r\nHost: a\r\n", "a: b\r\n", "\r\n", 63, 0 },
	{ "65 headers are refused", "GET / HTTP/1.1\r\nHost: a\r\n", "a: b\r\n", "\r\n", 64, 431 },
	{ "headers of 16 KiB pass", "GET / HTTP/1.1\r\nHost: a\r\nx: ", "a", "\r\n\r\n",
		16384 - 25 - 3 - 4, 0 },
	{ "headers of 16 KiB + 1 are refused", "GET / HTTP/1.1\r\nHost: a\r\nx: ", "a", "\r\n\r\n",
		16384 - 25 - 3 - 4 + 1, 431 },
	{ "one header of 20 KiB is refused", "GET / HTTP/1.1\r\nHost: a\r\nx: ", "a", "", 20480,
		431 },
	{ "one header name of 20 KiB is refused", "GET / HTTP/1.1\r\n", "a", "", 20480, 431 },
	{ "a body of body_max passes", POST "Content-Length: 1024" END, "b", "", 1024, 0 },
	{ "chunks of body_max in all pass", CHUNKED,
		"100\r\n" /* and 256 bytes */
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
		LAST, 4, 0 },
	{ "1,024 chunks of one byte pass", CHUNKED, "1\r\nb\r\n", LAST, 1024, 0 },
	{ "1,025 chunks of one byte are refused", CHUNKED, "1\r\nb\r\n", LAST, 1025, 413 },
	{ "a chunk line of 256 bytes passes", CHUNKED "1;", "e", "\r\nb\r\n" LAST, 256 - 4, 0 },
	{ "a chunk line of 257 bytes is refused", CHUNKED "1;", "e", "\r\nb\r\n" LAST, 256 - 2,
		400 },
	{ "a chunk extension of 64 KiB is refused", CHUNKED "5;", "e", "\r\nhello\r\n" LAST, 65536,
		400 },
	{ "chunk extensions of 16 KiB in all pass", CHUNKED, "1;eeeeee\r\nb\r\n", LAST, 1024, 0 },
	{ "chunk extensions over 16 KiB in all are refused", CHUNKED,
		"1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nb\r\n", LAST, 300,
		400 },
	{ "a trailer of 4 KiB passes", CHUNKED "0\r\nx:", "a", "\r\n\r\n", 4096 - 2 - 4, 0 },
	{ "a trailer of 4 KiB + 1 is refused", CHUNKED "0\r\nx:", "a", "\r\n\r\n", 4096 - 2 - 3,
		431 },
	{ "a trailer of 1 MiB is refused", CHUNKED "0\r\nx: ", "a", "\r\n\r\n", 1048576, 431 },
};

static void check_limits(void)
{
	char *room = memory_new(LONG_MAX);

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct row row = { limits[i].promise,
			build(room, limits[i].head, limits[i].piece, limits[i].count,
				limits[i].tail),
			limits[i].status, 0, limits[i].status == 0 };

		check_row(&row);
	}
	free(room);
}

static const struct {
	const char *promise;
	const char *request;
	bool keep;
} connections[] = {
	{ "HTTP/1.1 stays", "GET / HTTP/1.1\r\nHost: a" END, true },
	{ "HTTP/1.1 with close closes", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close" END,
		false },
	{ "CLOSE in a list closes", "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE ,y" END,
		false },
	{ "close in the second field closes",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nconnection: close" END,
		false },
	{ "close beats keep-alive",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close" END, false },
	{ "closed is not close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed" END, true },
	{ "HTTP/1.0 closes", "GET / HTTP/1.0" END, false },
	{ "HTTP/1.0 with keep-alive stays", "GET / HTTP/1.0\r\nConnection: Keep-Alive" END, true },
};

/* From the bytes of a whole request to the reader that holds it. */
static struct request_reader *reader_of(const char *request, enum request_step *ret_step)
{
	struct request_reader *reader = request_reader_new(BODY_MAX);
	struct text rest = text_of(request);
	size_t used;

	*ret_step = request_read(reader, rest, &used);
	if (*ret_step == REQUEST_HEAD) {
		rest = (struct text){ rest.ptr + used, rest.len - used };
		*ret_step = request_read(reader, rest, &used);
	}
	return reader;
}

static void check_connections(void)
{
	for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
		enum request_step step;
		struct request_reader *reader = reader_of(connections[i].request, &step);

		CHECK(step == REQUEST_WHOLE &&
				request_of(reader)->keep_alive == connections[i].keep,
			"%s", connections[i].promise);
		request_reader_free(reader);
	}
}

static const struct {
	const char *promise;
	const char *request;
	bool expects;
} expectations[] = {
	{ "Expect: 100-continue waits", POST "Expect: 100-continue\r\nContent-Length: 5" END,
		true },
	{ "in any case", POST "Expect: 100-CONTINUE\r\nContent-Length: 5" END, true },
	{ "for chunks, too", POST "Expect: 100-continue\r\nTransfer-Encoding: chunked" END, true },
	{ "but not without a body", POST "Expect: 100-continue\r\nContent-Length: 0" END, false },
	{ "not in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5" END,
		false },
	{ "and not for anything else", POST "Expect: 200-ok\r\nContent-Length: 5" END, false },
};

static void check_expectations(void)
{
	for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
		enum request_step step;
		struct request_reader *reader = reader_of(expectations[i].request, &step);

		CHECK(step != REQUEST_REFUSED &&
				request_of(reader)->expects_continue == expectations[i].expects,
			"Expect: %s", expectations[i].promise);
		request_reader_free(reader);
	}
}

static void check_fields(void)
{
	enum request_step step;
	struct request_reader *reader =
		reader_of("POST /a?b=/c HTTP/1.1\r\nHost: h\r\nX-One:\t one \t\r\nx-two: 1\r\n"
			  "X-TWO:2\r\nX-Empty: \t\r\nContent-Length: 5\r\n\r\nhello",
			&step);
	const struct http_request *request = request_of(reader);
	size_t count = 9;

	CHECK(step == REQUEST_WHOLE, "a request with fields is whole");
	CHECK(text_equal(request->method, TEXT("POST")), "the method is the method");
	CHECK(text_equal(request->path, TEXT("/a")), "the path ends at the question mark");
	CHECK(text_equal(request_field(request, TEXT("x-ONE"), &count), TEXT("one")) && count == 1,
		"a field is found in any case and trimmed");
	CHECK(text_equal(request_field(request, TEXT("X-Two"), &count), TEXT("1")) && count == 2,
		"the first of two is given, and their number");
	CHECK(request_field(request, TEXT("X-Empty"), &count).len == 0 && count == 1,
		"an empty field is there");
	CHECK(request_field(request, TEXT("X-None"), &count).len == 0 && count == 0,
		"an absent field is not");
	CHECK(request_field(request, TEXT("X-On"), &count).len == 0, "half a name is no name");
	CHECK(text_equal(request->body, TEXT("hello")), "the body is the body");
	request_reader_reset(reader);
	CHECK(!request_reading(reader) && request_of(reader)->body.len == 0, "reset forgets");
	request_reader_free(reader);
}

static void check_phases(void)
{
	struct request_reader *reader = request_reader_new(BODY_MAX);
	size_t used;

	CHECK(!request_reading(reader), "nothing is being read before the first byte");
	request_read(reader, TEXT("\r\n"), &used);
	CHECK(!request_reading(reader), "an empty line begins no request");
	request_read(reader, TEXT("P"), &used);
	CHECK(request_reading(reader) && !request_reading_body(reader),
		"the first byte begins the head");
	CHECK(request_read(reader,
		      TEXT("OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\nx"),
		      &used) == REQUEST_HEAD,
		"a head is reported before its length is judged");
	CHECK(request_reading_body(reader) && request_of(reader)->has_body,
		"then the body is awaited");
	CHECK(request_read(reader, (struct text){ "", 0 }, &used) == REQUEST_REFUSED &&
			request_refusal(reader)->status == 413,
		"and refused for its length at once");
	CHECK(request_read(reader, TEXT("more"), &used) == REQUEST_REFUSED && used == 0,
		"a refusal is final");
	CHECK(!request_reading(reader), "and ends the reading");
	request_reader_free(reader);
	request_reader_free(NULL);
}

/* The linker sends the reader's calls here (--wrap=realloc). */
void *__real_realloc(void *pointer, size_t size);
void *__wrap_realloc(void *pointer, size_t size);

static size_t reallocs_left = SIZE_MAX;
static size_t realloc_largest;

void *__wrap_realloc(void *pointer, size_t size)
{
	if (reallocs_left == 0) {
		return NULL;
	}
	reallocs_left--;
	realloc_largest = size > realloc_largest ? size : realloc_largest;
	return __real_realloc(pointer, size);
}

/* Every allocation fails once: each failure is a 503, none an abort. */
static void check_no_memory(void)
{
	char *room = memory_new(LONG_MAX);
	struct text request = build(room, POST "Transfer-Encoding: chunked\r\nx: ", "y", 4000, END);
	struct seen seen;
	size_t failures = 0;

	memcpy(room + request.len, "5\r\nhello\r\n0\r\n\r\n", 16);
	request.len += 15;
	for (;; failures++) {
		reallocs_left = failures;
		read_all(request, cut_nowhere, &seen);
		if (seen.status == 0) {
			break;
		}
		CHECK(seen.status == 503, "allocation %zu fails: refused (%s)", failures,
			seen.text);
	}
	CHECK(failures >= 4 && seen.requests == 1, "with %zu allocations it is read", failures);
	reallocs_left = SIZE_MAX;
	free(room);
}

static void check_growth(void)
{
	static char bytes[5000];
	struct request_reader *reader = request_reader_new(1 << 30);
	size_t used;

	realloc_largest = 0;
	request_read(reader, TEXT(LENGTH "1073741824" END), &used);
	request_read(reader, TEXT("a few bytes"), &used);
	CHECK(realloc_largest <= 4096, "an announced GiB costs nothing before it arrives (%zu)",
		realloc_largest);
	request_read(reader, (struct text){ bytes, sizeof(bytes) }, &used);
	CHECK(realloc_largest == 8192, "and little more than has arrived then (%zu)",
		realloc_largest);
	request_reader_free(reader);
}

int main(void)
{
	const char *seed = getenv("HTTP_TEST_SEED");

	random_state = seed ? (uint32_t)strtoul(seed, NULL, 10) : (uint32_t)time(NULL) | 1;
	printf("# HTTP_TEST_SEED=%u\n", random_state);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		check_row(&rows[i]);
	}
	check_limits();
	check_connections();
	check_expectations();
	check_fields();
	check_phases();
	check_no_memory();
	check_growth();
	return check_done();
}
