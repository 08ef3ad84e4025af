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
	bool taken;
} modes[] = {
	{ 0400, true },
	{ 0600, true },
	{ 0700, true },
	{ 0440, false },
	{ 0640, false },
	{ 0420, false },
	{ 0604, false },
	{ 0602, false },
	{ 0666, false },
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

static void check_modes(void)
{
	for (size_t i = 0; i < COUNT(modes); i++) {
		write_secret(SIXTEEN, 16, modes[i].mode);

		struct secret *secret = load("file:");

		CHECK((secret != NULL) == modes[i].taken, "mode %04o is %s (problem \"%s\")",
			modes[i].mode, modes[i].taken ? "taken" : "refused", problem.text);
		secret_free(secret);
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
	if (!mkdtemp(directory)) {
		perror(directory);
		return 1;
	}
	snprintf(path, sizeof(path), "%s/name", directory);
	check_contents();
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
