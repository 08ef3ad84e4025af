#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <regex.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sink.h"
#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CAUGHT_MAX = 64 * 1024 };

static int real_stderr;
static int caught_fd;
static char caught[CAUGHT_MAX];
static size_t caught_len;

/* stderr is a file from here to caught_all(). */
static void catch_stderr(void)
{
	char name[] = "/tmp/log_test.XXXXXX";

	caught_fd = mkstemp(name);
	unlink(name);
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	dup2(caught_fd, STDERR_FILENO);
}

static const char *caught_all(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);

	ssize_t len = pread(caught_fd, caught, sizeof(caught) - 1, 0);

	caught_len = len > 0 ? (size_t)len : 0;
	caught[caught_len] = '\0';
	close(caught_fd);
	return caught;
}

static const char *line_of(enum log_format format, const struct log_field *fields)
{
	catch_stderr();
	log_setup(LOG_INFO, format);
	log_event(LOG_INFO, "listening", fields);
	return caught_all();
}

static const struct {
	const char *promise;
	struct text value;
	const char *journal;
} escapes[] = {
	{ "a plain value has no quotes", TEXT_INIT("127.0.0.1:80"), "a=127.0.0.1:80" },
	{ "a space needs quotes", TEXT_INIT("a b"), "a=\"a b\"" },
	{ "an equal sign needs quotes", TEXT_INIT("a=b"), "a=\"a=b\"" },
	{ "an empty value is seen", TEXT_INIT(""), "a=\"\"" },
	{ "quotes are escaped", TEXT_INIT("\"\\"), "a=\"\\\"\\\\\"" },
	{ "CR and LF are escaped", TEXT_INIT("x\r\n<0>forged"), "a=\"x\\x0d\\x0a<0>forged\"" },
	{ "NUL is escaped, and ends nothing", TEXT_INIT("a\0b"), "a=\"a\\x00b\"" },
	{ "control bytes are escaped", TEXT_INIT("\x1b[2J\x7f\t"), "a=\"\\x1b[2J\\x7f\\x09\"" },
	{ "UTF-8 is named by its code points", TEXT_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
		"a=\"\\u{e4}\\u{20ac}\\u{1f600}\"" },
	{ "an override of direction is escaped", TEXT_INIT("\xe2\x80\xae"), "a=\"\\u{202e}\"" },
	{ "a C1 control is escaped", TEXT_INIT("\xc2\x9b"), "a=\"\\u{9b}\"" },
	{ "the last code point is one", TEXT_INIT("\xf4\x8f\xbf\xbf"), "a=\"\\u{10ffff}\"" },
	{ "a lone continuation is a byte", TEXT_INIT("\x80"), "a=\"\\x80\"" },
	{ "Latin-1 is bytes", TEXT_INIT("\xe9t\xe9"), "a=\"\\xe9t\\xe9\"" },
	{ "an overlong form is bytes", TEXT_INIT("\xc0\xaf"), "a=\"\\xc0\\xaf\"" },
	{ "a longer overlong form is bytes", TEXT_INIT("\xe0\x80\xaf"), "a=\"\\xe0\\x80\\xaf\"" },
	{ "a surrogate is bytes", TEXT_INIT("\xed\xa0\x80"), "a=\"\\xed\\xa0\\x80\"" },
	{ "what is beyond Unicode is bytes", TEXT_INIT("\xf4\x90\x80\x80"),
		"a=\"\\xf4\\x90\\x80\\x80\"" },
	{ "a sequence cut short is bytes", TEXT_INIT("\xe2\x82"), "a=\"\\xe2\\x82\"" },
	{ "FF is a byte", TEXT_INIT("\xff"), "a=\"\\xff\"" },
};

static const struct {
	const char *promise;
	struct text value;
	const char *decoded;
} json_escapes[] = {
	{ "JSON keeps a plain value", TEXT_INIT("127.0.0.1:80"), "127.0.0.1:80" },
	{ "JSON keeps quotes, CR and LF", TEXT_INIT("\"\\\r\n"), "\"\\\r\n" },
	{ "JSON keeps control bytes", TEXT_INIT("\x1b\x7f\t"), "\x1b\x7f\t" },
	{ "JSON keeps UTF-8 of all lengths", TEXT_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
		"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "JSON replaces bytes that are not UTF-8", TEXT_INIT("\xe9\xed\xa0"),
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
};

static bool is_one_line_of_ascii(void)
{
	for (size_t i = 0; i + 1 < caught_len; i++) {
		if (caught[i] < ' ' || caught[i] > '~') {
			return false;
		}
	}
	return caught_len > 0 && caught[caught_len - 1] == '\n';
}

static void check_escapes(void)
{
	for (size_t i = 0; i < COUNT(escapes); i++) {
		char expected[256];

		line_of(LOG_JOURNAL, LOG_FIELDS(LOG_TEXT("a", escapes[i].value)));
		snprintf(expected, sizeof(expected), "<6>listening %s\n", escapes[i].journal);
		CHECK(strcmp(caught, expected) == 0, "%s (got %s)", escapes[i].promise, caught);
		CHECK(is_one_line_of_ascii(), "%s, in one line of printable ASCII",
			escapes[i].promise);
	}
}

static bool is_json_text(const json_t *object, const char *key, const char *expected)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value && strcmp(value, expected) == 0;
}

static void check_json(void)
{
	for (size_t i = 0; i < COUNT(json_escapes); i++) {
		line_of(LOG_JSON, LOG_FIELDS(LOG_TEXT("a", json_escapes[i].value),
					  LOG_INT("count", INT64_MIN)));

		json_t *line = json_loadb(caught, caught_len, JSON_REJECT_DUPLICATES, NULL);

		CHECK(line && is_one_line_of_ascii(), "%s, in one valid line (got %s)",
			json_escapes[i].promise, caught);
		CHECK(is_json_text(line, "a", json_escapes[i].decoded), "%s",
			json_escapes[i].promise);
		CHECK(is_json_text(line, "level", "info") &&
				is_json_text(line, "event", "listening"),
			"%s, with level and event", json_escapes[i].promise);
		CHECK(json_integer_value(json_object_get(line, "count")) == INT64_MIN,
			"%s, and numbers are numbers", json_escapes[i].promise);
		json_decref(line);
	}
	line_of(LOG_JSON, LOG_FIELDS(LOG_TEXT("a", TEXT("a\0b"))));
	CHECK(strstr(caught, "\"a\":\"a\\u0000b\"}"), "JSON writes a NUL as an escape (got %s)",
		caught);
}

static void check_heads(void)
{
	static const struct {
		enum log_level level;
		const char *head;
	} heads[] = {
		{ LOG_ERROR, "<3>away\n" },
		{ LOG_WARNING, "<4>away\n" },
		{ LOG_INFO, "<6>away\n" },
		{ LOG_DEBUG, "<7>away\n" },
	};
	regex_t logfmt;

	for (size_t i = 0; i < COUNT(heads); i++) {
		catch_stderr();
		log_setup(LOG_DEBUG, LOG_JOURNAL);
		log_event(heads[i].level, "away", NULL);
		CHECK(strcmp(caught_all(), heads[i].head) == 0, "%.3s is the journal's priority",
			heads[i].head);
	}
	regcomp(&logfmt,
		"^time=20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{6}Z level=info "
		"event=listening address=\"\\[::1\\] 80\" port=-5\n$",
		REG_EXTENDED | REG_NOSUB);
	line_of(LOG_LOGFMT, LOG_FIELDS(LOG_STRING("address", "[::1] 80"), LOG_INT("port", -5)));
	CHECK(regexec(&logfmt, caught, 0, NULL, 0) == 0,
		"logfmt has time, level and event (got %s)", caught);
	regfree(&logfmt);
}

static void check_levels(void)
{
	catch_stderr();
	log_setup(LOG_WARNING, LOG_JOURNAL);
	log_event(LOG_ERROR, "a", NULL);
	log_event(LOG_WARNING, "b", NULL);
	log_event(LOG_INFO, "c", NULL);
	log_event(LOG_DEBUG, "d", NULL);
	CHECK(strcmp(caught_all(), "<3>a\n<4>b\n") == 0, "what is below the level is not written");
}

static void check_cut(void)
{
	char value[1000];
	char expected[LOG_VALUE_MAX + 16];

	memset(value, 'x', sizeof(value));
	line_of(LOG_JOURNAL, LOG_FIELDS(LOG_TEXT("a", ((struct text){ value, LOG_VALUE_MAX }))));
	CHECK(caught_len == strlen("<6>listening a=\n") + LOG_VALUE_MAX,
		"a value of LOG_VALUE_MAX bytes is whole");

	line_of(LOG_JOURNAL, LOG_FIELDS(LOG_TEXT("a", ((struct text){ value, sizeof(value) })),
				     LOG_INT("b", 1)));
	snprintf(expected, sizeof(expected), "%.*s...\" b=1\n", LOG_VALUE_MAX, value);
	CHECK(caught_len == strlen("<6>listening a=\"") + strlen(expected) &&
			strcmp(caught + strlen("<6>listening a=\""), expected) == 0,
		"a longer one is cut, says so, and the next field follows");

	memcpy(value + LOG_VALUE_MAX - 1, "\xe2\x82\xac", 3);
	line_of(LOG_JOURNAL, LOG_FIELDS(LOG_TEXT("a", ((struct text){ value, sizeof(value) }))));
	CHECK(strstr(caught, "x...\"\n"), "no UTF-8 sequence is cut in two");
}

/* As many bytes of escapes as there can be, in each format. */
static void check_full_line(void)
{
	static const enum log_format formats[] = { LOG_JOURNAL, LOG_LOGFMT, LOG_JSON };
	char value[LOG_VALUE_MAX];

	memset(value, 0x01, sizeof(value));

	struct text text = { value, sizeof(value) };

	for (size_t i = 0; i < COUNT(formats); i++) {
		line_of(formats[i],
			LOG_FIELDS(LOG_TEXT("a", text), LOG_TEXT("b", text), LOG_TEXT("c", text),
				LOG_TEXT("d", text), LOG_TEXT("e", text), LOG_TEXT("f", text),
				LOG_INT("last", 7)));
		CHECK(caught_len <= LOG_LINE_MAX && is_one_line_of_ascii(),
			"format %zu: a full line stays one line (%zu bytes)", i, caught_len);
		CHECK(strstr(caught, "last"), "format %zu: a field that still fits is kept", i);
		CHECK(!strstr(caught, i == 2 ? "\"f\"" : " f="),
			"format %zu: a field that does not fit is dropped whole", i);
	}

	json_t *line = json_loadb(caught, caught_len, 0, NULL);

	CHECK(line, "a full line of JSON is valid");
	json_decref(line);
}

/* Lengths around the end of the line, one by one: an escape has six bytes in JSON. */
static void check_exact_fit(void)
{
	char escaped[LOG_VALUE_MAX];
	char plain[LOG_VALUE_MAX];
	size_t longest = 0;
	int invalid = 0;

	memset(escaped, 0x01, sizeof(escaped));
	memset(plain, 'x', sizeof(plain));
	for (size_t len = 0; len <= sizeof(plain); len++) {
		struct text text = { escaped, sizeof(escaped) };
		struct text most = { plain, sizeof(plain) };
		struct text last = { plain, len };

		line_of(LOG_JSON,
			LOG_FIELDS(LOG_TEXT("a", text), LOG_TEXT("b", text), LOG_TEXT("c", text),
				LOG_TEXT("d", most), LOG_TEXT("e", last)));

		json_t *line = json_loadb(caught, caught_len, 0, NULL);

		invalid += !line || caught_len > LOG_LINE_MAX;
		longest = caught_len > longest ? caught_len : longest;
		json_decref(line);
	}
	CHECK(longest == LOG_LINE_MAX, "a line may be as long as the longest (%zu)", longest);
	CHECK(invalid == 0, "JSON stays valid wherever the line ends (%d broken)", invalid);
}

static void check_auto(void)
{
	struct stat status;
	char stream[64];

	catch_stderr();
	fstat(STDERR_FILENO, &status);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		(unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup(LOG_INFO, LOG_AUTO);
	log_event(LOG_INFO, "a", NULL);
	CHECK(strcmp(caught_all(), "<6>a\n") == 0, "the journal's stream is known by its inode");

	setenv("JOURNAL_STREAM", "1:1", 1);
	line_of(LOG_AUTO, NULL);
	CHECK(strncmp(caught, "time=", 5) == 0, "another's stream is not the journal");

	setenv("JOURNAL_STREAM", "nonsense", 1);
	line_of(LOG_AUTO, NULL);
	CHECK(strncmp(caught, "time=", 5) == 0, "a broken variable is not the journal");

	unsetenv("JOURNAL_STREAM");
	line_of(LOG_AUTO, NULL);
	CHECK(strncmp(caught, "time=", 5) == 0, "without the variable it is logfmt");
}

/* The clock goes on meanwhile, but not by a second. */
static void check_limit(void)
{
	struct log_limit limit = { .unlogged = 0 };
	int64_t first = log_limit(&limit), second = log_limit(&limit), third = log_limit(&limit);

	CHECK(first == 1, "what happens for the first time is told at once");
	CHECK(second == 0 && third == 0, "what happens again at once is not");
	limit.logged_ms -= LOG_LIMIT_MS;
	CHECK(log_limit(&limit) == 3, "a second later the line says how often it was");
	CHECK(log_limit(&limit) == 0, "and counting begins anew");
	limit.logged_ms -= LOG_LIMIT_MS;
	CHECK(log_limit(&limit) == 2, "from what the last line did not tell");
}

/* Streams that nobody reads. */

enum { LINES = 3000 };

static struct {
	size_t lines, broken; /* whole, and of no form of ours */
	long told;            /* by lines_dropped */
} seen;

/* What has come since, counted on. */
static void read_lines(int fd)
{
	static const char head[] = "<6>spoken text=\"a b\" n=";
	static char line[LOG_LINE_MAX + 1];
	static size_t len;
	char byte;

	/* A terminal hands on what it holds in a moment of its own, a busy machine's the later. */
	while (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, isatty(fd) ? 2000 : 0) ==
			1 &&
		read(fd, &byte, 1) == 1) {
		if (byte == '\r') {
			continue; /* a terminal makes two of one */
		}
		if (byte != '\n' && len < LOG_LINE_MAX) {
			line[len++] = byte;
			continue;
		}
		line[len] = '\0';
		len = 0;
		if (strncmp(line, "<4>lines_dropped count=", 23) == 0) {
			seen.told += atol(line + 23);
		} else {
			seen.lines++;
			seen.broken += strncmp(line, head, strlen(head)) != 0;
		}
	}
}

/* The terminal's two ends, its own in the place of [1]. */
static bool open_terminal(int ends[2])
{
	ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
	if (ends[0] < 0 || grantpt(ends[0]) != 0 || unlockpt(ends[0]) != 0) {
		return false;
	}
	ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
	return ends[1] >= 0;
}

static bool open_stream(const char *kind, int ends[2])
{
	if (strcmp(kind, "a terminal") == 0) {
		return open_terminal(ends);
	}
	if (strcmp(kind, "the journal") == 0) {
		return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0;
	}
	return pipe(ends) == 0 && fcntl(ends[0], F_SETPIPE_SZ, 8192) >= 0;
}

/* A pipe of another user's cannot be opened once more. */
static void give_away(int fd)
{
	if (fchmod(fd, 0) != 0 || (geteuid() == 0 && seteuid(65534) != 0)) {
		_exit(9);
	}
}

static void speak(int count)
{
	for (int i = 0; i < count; i++) {
		log_event(
			LOG_INFO, "spoken", LOG_FIELDS(LOG_STRING("text", "a b"), LOG_INT("n", i)));
	}
}

/* In a process of its own, which is killed when it waits. */
static void speak_to_nobody(const char *kind)
{
	int ends[2];

	alarm(10);
	if (!open_stream(kind, ends) || dup2(ends[1], STDERR_FILENO) < 0 ||
		fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
		_exit(1);
	}
	if (strcmp(kind, "another's pipe") == 0) {
		give_away(ends[1]);
	}
	sink_never_wait();
	log_setup(LOG_INFO, LOG_JOURNAL);
	speak(LINES);

	int64_t dropped = log_dropped();

	read_lines(ends[0]);
	speak(1); /* behind the rest of a line that was begun, and the gap */
	read_lines(ends[0]);
	if (dropped == 0 || seen.broken > 0 || log_dropped() != dropped) {
		_exit(2);
	}
	if (seen.lines + (size_t)dropped != LINES + 1 || seen.told != dropped) {
		_exit(3);
	}
	speak(1);
	read_lines(ends[0]);
	if (seen.lines + (size_t)dropped != LINES + 2 || seen.told != dropped) {
		_exit(4);
	}
	_exit((fcntl(ends[1], F_GETFL) & O_NONBLOCK) ? 5 : 0);
}

static void check_no_reader(void)
{
	static const char *const kinds[] = { "a pipe", "another's pipe", "the journal",
		"a terminal" };

	for (size_t i = 0; i < COUNT(kinds); i++) {
		int status = -1;
		pid_t child = fork();

		if (child == 0) {
			speak_to_nobody(kinds[i]);
		}
		waitpid(child, &status, 0);
		CHECK(status == 0,
			"%s that nobody reads is not waited for, and what it lost is told (%x)",
			kinds[i], status);
	}
}

int main(void)
{
	check_escapes();
	check_json();
	check_heads();
	check_levels();
	check_cut();
	check_full_line();
	check_exact_fit();
	check_auto();
	check_limit();
	check_no_reader();
	return check_done();
}
