/* Secrets are read from files that nobody else can read, into memory that is never written out. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

static const char default_directory[] = "/etc/orderd/credentials";

struct secret {
	char *page; /* SECRET_MAX bytes, locked */
	size_t len;
};

/* Whose word a file's owner and mode are. */
enum trust {
	TRUST_MANAGER, /* systemd made it: root's, readable for us by an access list */
	TRUST_MODE,
};

/* Some containers forbid it. A receiver whose secret might be swapped out is better than none. */
static void lock(char *page)
{
	static bool told;

	if (mlock(page, SECRET_MAX) != 0 && !told) {
		told = true;
		log_event(LOG_WARNING, "secret_not_locked",
			LOG_FIELDS(LOG_STRING("error", strerror(errno))));
	}
}

/* NULL with errno. */
static char *page_new(void)
{
	char *page =
		mmap(NULL, SECRET_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		return NULL;
	}
	if (madvise(page, SECRET_MAX, MADV_DONTDUMP) != 0) {
		int error = errno;

		munmap(page, SECRET_MAX);
		errno = error;
		return NULL;
	}
	lock(page);
	return page;
}

static struct secret *secret_new(void)
{
	struct secret *secret = calloc(1, sizeof(*secret));

	if (!secret) {
		return NULL;
	}
	secret->page = page_new();
	if (!secret->page) {
		int error = errno;

		free(secret);
		errno = error;
		return NULL;
	}
	return secret;
}

void secret_free(struct secret *secret)
{
	if (!secret) {
		return;
	}
	explicit_bzero(secret->page, SECRET_MAX);
	munmap(secret->page, SECRET_MAX);
	free(secret);
}

struct secret *secret_copy(struct text bytes)
{
	if (bytes.len > SECRET_MAX) {
		return NULL;
	}

	struct secret *secret = secret_new();

	if (secret && bytes.len > 0) {
		memcpy(secret->page, bytes.ptr, bytes.len);
		secret->len = bytes.len;
	}
	return secret;
}

struct text secret_text(const struct secret *secret)
{
	return (struct text){ secret->page, secret->len };
}

/* What root gives to a group of ours to read is meant for us; a group of the file's owner may have
 * other members. */
static mode_t group_may(const struct stat *status)
{
	gid_t group = status->st_gid;
	bool ours = group == getegid() || group_member(group);

	return status->st_uid == 0 && ours ? S_IRGRP : 0;
}

/* The descriptor's own status: a file that is swapped between look and use changes nothing. */
static bool may_be_trusted(int fd, const char *path, enum trust trust, struct problem *problem)
{
	struct stat status;

	if (fstat(fd, &status) != 0) {
		return problem_say(problem, "cannot look at %s: %s", path, strerror(errno));
	}
	if (!S_ISREG(status.st_mode)) {
		return problem_say(problem, "%s is not a regular file", path);
	}
	if (status.st_size > SECRET_MAX) {
		return problem_say(problem, "%s is longer than %d bytes", path, SECRET_MAX);
	}
	if (trust == TRUST_MODE && status.st_uid != geteuid() && status.st_uid != 0) {
		return problem_say(problem, "%s belongs to another user", path);
	}
	if (trust == TRUST_MODE && (status.st_mode & (S_IRWXG | S_IRWXO) & ~group_may(&status))) {
		return problem_say(
			problem, "%s is open to group or others; it should have mode 0400", path);
	}
	return true;
}

static bool read_file(int fd, const char *path, struct secret *secret, struct problem *problem)
{
	ssize_t len = file_read(fd, secret->page, SECRET_MAX);

	if (len < 0) {
		return problem_say(problem, "cannot read %s: %s", path, strerror((int)-len));
	}
	secret->len = (size_t)len;
	if (len > 0 && secret->page[len - 1] == '\n') {
		secret->len--;
	}
	return secret->len >= SECRET_MIN ||
	       problem_say(problem, "%s holds fewer than %d bytes", path, SECRET_MIN);
}

static struct secret *load_file(const char *path, enum trust trust, struct problem *problem)
{
	/* Non-blocking, or a pipe in the file's place would hang us before it is refused. */
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct secret *secret;

	if (fd < 0) {
		problem_say(problem, "cannot open %s: %s", path, strerror(errno));
		return NULL;
	}
	if (!may_be_trusted(fd, path, trust, problem)) {
		return NULL;
	}
	secret = secret_new();
	if (!secret) {
		problem_say(problem, "cannot lock memory for a secret: %s", strerror(errno));
		return NULL;
	}
	if (!read_file(fd, path, secret, problem)) {
		secret_free(secret);
		return NULL;
	}
	return secret;
}

char *secret_credential_path(struct text name)
{
	const char *given = getenv("CREDENTIALS_DIRECTORY");
	const char *directory = given ? given : default_directory;
	size_t size = strlen(directory) + sizeof("/") + name.len;
	char *path = memory_new(size);

	snprintf(path, size, "%s/%.*s", directory, (int)name.len, name.ptr);
	return path;
}

static struct secret *load_credential(const char *name, struct problem *problem)
{
	enum trust trust = getenv("CREDENTIALS_DIRECTORY") ? TRUST_MANAGER : TRUST_MODE;
	CLEANUP(cleanup_free) char *path = secret_credential_path(text_of(name));

	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/')) {
		problem_say(problem, "the name of a credential is a file name without \"/\"");
		return NULL;
	}
	return load_file(path, trust, problem);
}

struct secret *secret_load(const char *spec, struct problem *problem)
{
	static const struct text credential = TEXT_INIT("credential:");
	static const struct text file = TEXT_INIT("file:");
	struct text given = text_of(spec);

	if (text_has_prefix(given, credential)) {
		return load_credential(spec + credential.len, problem);
	}
	if (text_has_prefix(given, file) && spec[file.len] == '/') {
		return load_file(spec + file.len, TRUST_MODE, problem);
	}
	/* Not repeated: it may be the secret itself, written where its place belongs. */
	problem_say(problem, "a secret is named by credential:NAME or file:/absolute/path");
	return NULL;
}

/* Shows as nothing, or as a space, wherever a person looks at it. The space itself is none of them:
 * inside a passphrase it is seen. */
static bool is_invisible(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0, 0x1F },        /* control characters */
		{ 0x7F, 0xA0 },     /* more of them, and the space that does not break */
		{ 0xAD, 0xAD },     /* soft hyphen */
		{ 0x2000, 0x200F }, /* spaces of all widths, and of none */
		{ 0x2028, 0x202F }, /* line ends, directions of writing */
		{ 0x205F, 0x206F }, { 0x3000, 0x3000 },
		{ 0xFE00, 0xFE0F }, /* which form of the character before it */
		{ 0xFEFF, 0xFEFF }, /* byte order mark */
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (code >= ranges[i].first && code <= ranges[i].last) {
			return true;
		}
	}
	return false;
}

static const char *name_of(uint32_t code)
{
	switch (code) {
	case '\0':
		return "a NUL";
	case '\t':
		return "a tab";
	case '\n':
		return "a newline";
	case '\r':
		return "a carriage return";
	case ' ':
		return "a space";
	case '"':
	case '\'':
		return "a quote";
	case 0xFEFF:
		return "a byte order mark";
	default:
		return "a character that nobody sees";
	}
}

static bool say_byte(struct text secret, const char *at, uint32_t code, struct problem *problem)
{
	char number[16];

	snprintf(number, sizeof(number), code < 0x80 ? "0x%02" PRIX32 : "U+%04" PRIX32, code);
	return problem_say(problem,
		"byte %zu of %zu is %s (%s), which is no part of a secret; write the file again "
		"without it",
		(size_t)(at - secret.ptr) + 1, secret.len, name_of(code), number);
}

static bool judge_characters(struct text secret, struct problem *problem)
{
	struct text rest = secret;

	while (rest.len > 0) {
		const char *at = rest.ptr;
		bool valid;
		uint32_t code = text_next_code_point(&rest, &valid);

		if (!valid) {
			return problem_say(problem,
				"byte %zu of %zu is not UTF-8, and a secret is text; write the "
				"file again as text, a binary key as base64",
				(size_t)(at - secret.ptr) + 1, secret.len);
		}
		if (is_invisible(code)) {
			return say_byte(secret, at, code, problem);
		}
	}
	return true;
}

/* Between two quotes of one kind, as a shell or a configuration of another program wants it. */
static bool is_quoted(struct text secret)
{
	return secret.len >= 2 && (secret.ptr[0] == '"' || secret.ptr[0] == '\'') &&
	       secret.ptr[secret.len - 1] == secret.ptr[0];
}

bool secret_judge(const struct secret *secret, struct problem *problem)
{
	struct text text = secret_text(secret);

	if (!judge_characters(text, problem)) {
		return false;
	}
	if (text.len > 0 && (text.ptr[0] == ' ' || is_quoted(text))) {
		return say_byte(text, text.ptr, (unsigned char)text.ptr[0], problem);
	}
	if (text.len > 0 && text.ptr[text.len - 1] == ' ') {
		return say_byte(text, text.ptr + text.len - 1, ' ', problem);
	}
	return true;
}

static size_t copy_visible(struct text secret, char *out)
{
	size_t len = 0;

	while (secret.len > 0) {
		const char *at = secret.ptr;
		bool valid;
		uint32_t code = text_next_code_point(&secret, &valid);

		if (valid && !is_invisible(code)) {
			memcpy(out + len, at, (size_t)(secret.ptr - at));
			len += (size_t)(secret.ptr - at);
		}
	}
	return len;
}

struct secret *secret_clean(const struct secret *secret)
{
	struct secret *clean = secret_new();

	if (!clean) {
		return NULL;
	}

	struct text rest = text_trim(
		(struct text){ clean->page, copy_visible(secret_text(secret), clean->page) });

	while (is_quoted(rest)) {
		rest = text_trim((struct text){ rest.ptr + 1, rest.len - 2 });
	}
	memmove(clean->page, rest.ptr, rest.len);
	clean->len = rest.len;
	return clean;
}
