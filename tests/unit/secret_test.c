#include "base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIXTEEN      "0123456789abcdef"

static char directory[] = "/tmp/secret_test.XXXXXX";
static char path[256];
static struct problem problem;

static void write_secret(const char *bytes, size_t len, mode_t mode)
{
	FILE *file;

	unlink(path);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0 ||
		chmod(path, mode) != 0) {
		perror(path);
		exit(1);
	}
}

/* What a spec with the path of our file gives; problem is "" on success. */
static struct secret *load(const char *prefix)
{
	char spec[300];

	snprintf(spec, sizeof(spec), "%s%s", prefix, path);
	problem.text[0] = '\0';
	return secret_load(spec, &problem);
}

static const struct {
	const char *promise;
	struct text content;
	struct text secret; /* len 0 = refused */
} contents[] = {
	{ "16 bytes are enough", TEXT_INIT(SIXTEEN), TEXT_INIT(SIXTEEN) },
	{ "one newline at the end is dropped", TEXT_INIT(SIXTEEN "\n"), TEXT_INIT(SIXTEEN) },
	{ "only one newline is dropped", TEXT_INIT(SIXTEEN "\n\n"), TEXT_INIT(SIXTEEN "\n") },
	{ "a newline at the start stays", TEXT_INIT("\n" SIXTEEN), TEXT_INIT("\n" SIXTEEN) },
	{ "spaces stay", TEXT_INIT(" " SIXTEEN " "), TEXT_INIT(" " SIXTEEN " ") },
	{ "a NUL is a byte", TEXT_INIT(SIXTEEN "\0x"), TEXT_INIT(SIXTEEN "\0x") },
	{ "15 bytes are too few", TEXT_INIT("0123456789abcde"), { "", 0 } },
	{ "15 bytes and a newline are too few", TEXT_INIT("0123456789abcde\n"), { "", 0 } },
	{ "an empty file is refused", TEXT_INIT(""), { "", 0 } },
};

static const struct {
	mode_t mode;
	bool taken;         /* of a file of our own */
	bool taken_of_root; /* of one of root's in a group of ours */
} modes[] = {
	{ 0400, true, true },
	{ 0600, true, true },
	{ 0700, true, true },
	{ 0440, false, true },
	{ 0640, false, true },
	{ 0420, false, false },
	{ 0460, false, false },
	{ 0450, false, false },
	{ 0444, false, false },
	{ 0604, false, false },
	{ 0602, false, false },
	{ 0666, false, false },
};

/* What was read, the byte that is named, and what is left without it; "" = nothing is wrong. */
static const struct {
	const char *promise;
	struct text content;
	const char *named;
	struct text clean;
} doubts[] = {
	{ "a secret", TEXT_INIT(SIXTEEN), "", TEXT_INIT(SIXTEEN) },
	{ "a secret in words", TEXT_INIT("some words, \xc3\xa4 too"), "",
		TEXT_INIT("some words, \xc3\xa4 too") },
	{ "a quote at one end", TEXT_INIT(SIXTEEN "'"), "", TEXT_INIT(SIXTEEN "'") },
	{ "a carriage return", TEXT_INIT(SIXTEEN "\r\n"),
		"byte 17 of 17 is a carriage return (0x0D)", TEXT_INIT(SIXTEEN) },
	{ "a second newline", TEXT_INIT(SIXTEEN "\n\n"), "byte 17 of 17 is a newline (0x0A)",
		TEXT_INIT(SIXTEEN) },
	{ "a newline within", TEXT_INIT("01234567\n89abcdef"), "byte 9 of 17 is a newline (0x0A)",
		TEXT_INIT(SIXTEEN) },
	{ "a space at the end", TEXT_INIT(SIXTEEN " \n"), "byte 17 of 17 is a space (0x20)",
		TEXT_INIT(SIXTEEN) },
	{ "a space at the start", TEXT_INIT(" " SIXTEEN), "byte 1 of 17 is a space (0x20)",
		TEXT_INIT(SIXTEEN) },
	{ "a tab", TEXT_INIT(SIXTEEN "\t"), "byte 17 of 17 is a tab (0x09)", TEXT_INIT(SIXTEEN) },
	{ "a NUL", TEXT_INIT(SIXTEEN "\0"), "byte 17 of 17 is a NUL (0x00)", TEXT_INIT(SIXTEEN) },
	{ "a DEL", TEXT_INIT(SIXTEEN "\x7f"),
		"byte 17 of 17 is a character that nobody sees (0x7F)", TEXT_INIT(SIXTEEN) },
	{ "a byte order mark", TEXT_INIT("\xef\xbb\xbf" SIXTEEN),
		"byte 1 of 19 is a byte order mark (U+FEFF)", TEXT_INIT(SIXTEEN) },
	{ "a space that does not break", TEXT_INIT(SIXTEEN "\xc2\xa0"),
		"byte 17 of 18 is a character that nobody sees (U+00A0)", TEXT_INIT(SIXTEEN) },
	{ "a space of no width",
		TEXT_INIT("01234567\xe2\x80\x8b"
			  "89abcdef"),
		"byte 9 of 19 is a character that nobody sees (U+200B)", TEXT_INIT(SIXTEEN) },
	{ "double quotes around it", TEXT_INIT("\"" SIXTEEN "\"\n"),
		"byte 1 of 18 is a quote (0x22)", TEXT_INIT(SIXTEEN) },
	{ "single quotes, and blanks in them", TEXT_INIT("' " SIXTEEN " '"),
		"byte 1 of 20 is a quote (0x27)", TEXT_INIT(SIXTEEN) },
	{ "UTF-16",
		TEXT_INIT("\xff\xfe"
			  "a\0b\0c\0d\0e\0f\0g\0h\0"),
		"byte 1 of 18 is not UTF-8", TEXT_INIT("abcdefgh") },
	{ "nothing but blanks", TEXT_INIT("                "), "byte 1 of 16 is a space (0x20)",
		TEXT_INIT("") },
};

static const char *const bad_specs[] = {
	"",
	"supersecretvalue0123456789",
	"file:relative/path",
	"file:",
	"file",
	"credential:",
	"credential:../../etc/shadow",
	"credential:a/b",
	"credential:.",
	"credential:..",
	"credential:.hidden",
	"env:SECRET",
	"CREDENTIAL:webhook-secret",
};

static void check_contents(void)
{
	for (size_t i = 0; i < COUNT(contents); i++) {
		write_secret(contents[i].content.ptr, contents[i].content.len, 0400);

		struct secret *secret = load("file:");
		bool expected = contents[i].secret.len > 0;

		CHECK((secret != NULL) == expected && (problem.text[0] == '\0') == expected,
			"%s (problem \"%s\")", contents[i].promise, problem.text);
		if (secret) {
			CHECK(text_equal(secret_text(secret), contents[i].secret), "%s, rightly",
				contents[i].promise);
		} else {
			CHECK(!strstr(problem.text, "0123456789"), "%s, and it is not repeated",
				contents[i].promise);
		}
		secret_free(secret);
	}
}

static void check_doubts(void)
{
	for (size_t i = 0; i < COUNT(doubts); i++) {
		const char *promise = doubts[i].promise;

		write_secret(doubts[i].content.ptr, doubts[i].content.len, 0400);

		struct secret *secret = load("file:");
		struct secret *clean = secret ? secret_clean(secret) : NULL;

		CHECK(secret && secret_judge(secret, &problem) == (doubts[i].named[0] == '\0'),
			"%s is judged", promise);
		CHECK(strncmp(problem.text, doubts[i].named, strlen(doubts[i].named)) == 0 &&
				!strstr(problem.text, "0123"),
			"%s is named, and nothing else (\"%s\")", promise, problem.text);
		CHECK(clean && text_equal(secret_text(clean), doubts[i].clean), "%s does not stay",
			promise);
		secret_free(clean);
		secret_free(secret);
	}
}

static void check_sizes(void)
{
	static char bytes[SECRET_MAX + 1];
	struct secret *secret;

	memset(bytes, 'x', sizeof(bytes));
	write_secret(bytes, SECRET_MAX, 0400);
	secret = load("file:");
	CHECK(secret && secret_text(secret).len == SECRET_MAX, "SECRET_MAX bytes are taken");
	secret_free(secret);
	write_secret(bytes, SECRET_MAX + 1, 0400);
	secret = load("file:");
	CHECK(!secret && strstr(problem.text, "longer"), "one more is refused (%s)", problem.text);
	secret_free(secret);
	CHECK(!secret_copy((struct text){ bytes, SECRET_MAX + 1 }), "a copy has the same limit");
}

/* As a user who is not root and has written the file itself, in a group of ours. */
static void check_modes_of_another(void)
{
	enum { SOMEBODY = 65534 };

	for (size_t i = 0; i < COUNT(modes); i++) {
		write_secret(SIXTEEN, 16, modes[i].mode);
		if (chown(path, SOMEBODY, getegid()) != 0 || seteuid(SOMEBODY) != 0) {
			perror("to be somebody");
			exit(1);
		}

		struct secret *secret = load("file:");

		if (seteuid(0) != 0) {
			perror("to be root again");
			exit(1);
		}
		CHECK((secret != NULL) == modes[i].taken, "mode %04o of one's own is %s (%s)",
			modes[i].mode, modes[i].taken ? "taken" : "refused", problem.text);
		secret_free(secret);
	}
}

static void check_modes(void)
{
	for (size_t i = 0; i < COUNT(modes); i++) {
		write_secret(SIXTEEN, 16, modes[i].mode);

		struct secret *secret = load("file:");
		bool taken = geteuid() == 0 ? modes[i].taken_of_root : modes[i].taken;

		CHECK((secret != NULL) == taken, "mode %04o is %s (problem \"%s\")", modes[i].mode,
			taken ? "taken" : "refused", problem.text);
		secret_free(secret);
	}
	if (geteuid() == 0) {
		write_secret(SIXTEEN, 16, 0440);
		CHECK(chown(path, 0, 65534) == 0, "root's file is given to another group");
		secret_free(load("file:"));
		CHECK(strstr(problem.text, "open to group"), "that group may not read it (%s)",
			problem.text);
		check_modes_of_another();
	}
}

static void check_kinds(void)
{
	struct secret *secret;

	unlink(path);
	secret = load("file:");
	CHECK(!secret && strstr(problem.text, "No such file"),
		"a missing file is said to be missing");
	if (mkdir(path, 0700) == 0) {
		secret = load("file:");
		CHECK(!secret && strstr(problem.text, "not a regular file"),
			"a directory is no secret");
		rmdir(path);
	}
	if (mkfifo(path, 0600) == 0) {
		secret = load("file:");
		CHECK(!secret && strstr(problem.text, "not a regular file"),
			"a pipe is refused without waiting for it");
		unlink(path);
	}
	if (geteuid() == 0) {
		write_secret(SIXTEEN, 16, 0400);
		CHECK(chown(path, 65534, 65534) == 0, "the file is given away");
		secret = load("file:");
		CHECK(!secret && strstr(problem.text, "another user"),
			"another's file is refused (%s)", problem.text);
	}
}

static void check_specs(void)
{
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	for (size_t i = 0; i < COUNT(bad_specs); i++) {
		problem.text[0] = '\0';

		struct secret *secret = secret_load(bad_specs[i], &problem);

		CHECK(!secret && problem.text[0], "\"%s\" is refused with a sentence",
			bad_specs[i]);
		CHECK(!strstr(problem.text, "supersecret"), "\"%s\" is not repeated", bad_specs[i]);
		secret_free(secret);
	}
}

static void check_credentials(void)
{
	struct secret *secret;

	/* systemd lets the service in by an access list, which shows as the group's bits. */
	write_secret(SIXTEEN "\n", 17, 0440);
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	secret = secret_load("credential:name", &problem);
	CHECK(secret && text_equal(secret_text(secret), TEXT(SIXTEEN)),
		"a credential is looked up in $CREDENTIALS_DIRECTORY");
	secret_free(secret);

	secret = secret_load("credential:other", &problem);
	CHECK(!secret && strstr(problem.text, "/other: No such file"),
		"a missing credential is named");

	unsetenv("CREDENTIALS_DIRECTORY");
	secret = secret_load("credential:no-such-credential-of-a-test", &problem);
	CHECK(!secret && strstr(problem.text,
				 "/etc/orderd/credentials/no-such-credential-of-a-test"),
		"without the variable it is looked up in /etc (%s)", problem.text);
}

/* The line of /proc/self/smaps for the page that holds ptr. */
static bool smaps_flag(const char *ptr, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512];
	bool inside = false;
	bool found = false;

	while (smaps && fgets(line, sizeof(line), smaps)) {
		unsigned long first;
		unsigned long beyond;

		if (sscanf(line, "%lx-%lx ", &first, &beyond) == 2) {
			inside = (unsigned long)ptr >= first && (unsigned long)ptr < beyond;
		} else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, flag) != NULL;
		}
	}
	if (smaps) {
		fclose(smaps);
	}
	return found;
}

/* The address sanitizer turns mlock() into nothing. */
static bool pages_can_be_locked(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool locked;

	mlock(page, 4096);
	locked = smaps_flag(page, " lo ");
	munmap(page, 4096);
	return locked;
}

static const char *watched_page;
static bool wiped;

/* In the place of libc's, to see what is given back. */
int munmap(void *page, size_t len)
{
	if (page == watched_page) {
		wiped = true;
		for (size_t i = 0; i < len; i++) {
			wiped = wiped && watched_page[i] == '\0';
		}
	}
	return (int)syscall(SYS_munmap, page, len);
}

static void check_memory(void)
{
	struct secret *secret = secret_copy(TEXT(SIXTEEN));
	struct text text = secret_text(secret);

	CHECK(text_equal(text, TEXT(SIXTEEN)), "a copy is the same bytes");
	CHECK(smaps_flag(text.ptr, " lo ") == pages_can_be_locked(), "its page is locked");
	CHECK(smaps_flag(text.ptr, " dd "), "its page is left out of core dumps");
	watched_page = text.ptr;
	secret_free(secret);
	CHECK(wiped, "it is wiped before it goes");
	secret_free(NULL);
	CHECK(true, "no secret can be freed");
}

int main(void)
{
	if (!mkdtemp(directory) || chmod(directory, 0711) != 0) {
		perror(directory);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/name", directory);
	check_contents();
	check_doubts();
	check_sizes();
	check_modes();
	check_kinds();
	check_specs();
	check_credentials();
	check_memory();
	unlink(path);
	rmdir(directory);
	return check_done();
}
