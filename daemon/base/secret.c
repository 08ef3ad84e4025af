#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
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

static void *grammar_refuse(char problem[SECRET_PROBLEM_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void *grammar_refuse(char problem[SECRET_PROBLEM_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem, SECRET_PROBLEM_MAX, format, arguments);
	va_end(arguments);
	return NULL;
}

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

static struct secret *secret_new(void)
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

	struct secret *secret = memory_new(sizeof(*secret));

	secret->page = page;
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

static void cleanup_secret(struct secret **secret)
{
	secret_free(*secret);
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

/* The descriptor's own status: a file that is swapped between look and use changes nothing. */
static bool may_be_trusted(
	int fd, const char *path, char problem[SECRET_PROBLEM_MAX], enum trust trust)
{
	struct stat status;

	if (fstat(fd, &status) != 0) {
		return grammar_refuse(problem, "cannot look at %s: %s", path, strerror(errno)) !=
		       NULL;
	}
	if (!S_ISREG(status.st_mode)) {
		return grammar_refuse(problem, "%s is not a regular file", path) != NULL;
	}
	if (status.st_size > SECRET_MAX) {
		return grammar_refuse(problem, "%s is longer than %d bytes", path, SECRET_MAX) !=
		       NULL;
	}
	if (trust == TRUST_MODE && status.st_uid != geteuid() && status.st_uid != 0) {
		return grammar_refuse(problem, "%s belongs to another user", path) != NULL;
	}
	if (trust == TRUST_MODE && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		return grammar_refuse(problem,
			       "%s is open to group or others; it should have mode 0400",
			       path) != NULL;
	}
	return true;
}

static int read_whole(int fd, struct secret *secret)
{
	while (secret->len < SECRET_MAX) {
		ssize_t got = read(fd, secret->page + secret->len, SECRET_MAX - secret->len);

		if (got == 0) {
			break;
		}
		if (got < 0 && errno != EINTR) {
			return -errno;
		}
		if (got > 0) {
			secret->len += (size_t)got;
		}
	}
	return 0;
}

static void drop_newline(struct secret *secret)
{
	if (secret->len > 0 && secret->page[secret->len - 1] == '\n') {
		secret->len--;
	}
}

static struct secret *load_file(
	const char *path, char problem[SECRET_PROBLEM_MAX], enum trust trust)
{
	/* Non-blocking, or a pipe in the file's place would hang us before it is refused. */
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		return grammar_refuse(problem, "cannot open %s: %s", path, strerror(errno));
	}
	if (!may_be_trusted(fd, path, problem, trust)) {
		return NULL;
	}

	CLEANUP(cleanup_secret) struct secret *secret = secret_new();

	if (!secret) {
		return grammar_refuse(
			problem, "cannot lock memory for a secret: %s", strerror(errno));
	}

	int error = read_whole(fd, secret);

	if (error < 0) {
		return grammar_refuse(problem, "cannot read %s: %s", path, strerror(-error));
	}
	drop_newline(secret);
	if (secret->len < SECRET_MIN) {
		return grammar_refuse(problem, "%s holds fewer than %d bytes", path, SECRET_MIN);
	}

	struct secret *loaded = secret;

	secret = NULL;
	return loaded;
}

static struct secret *load_credential(const char *name, char problem[SECRET_PROBLEM_MAX])
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	enum trust trust = directory ? TRUST_MANAGER : TRUST_MODE;
	char path[PATH_MAX];

	if (name[0] == '\0' || name[0] == '.' || strchr(name, '/')) {
		return grammar_refuse(
			problem, "the name of a credential is a file name without \"/\"");
	}

	int len = snprintf(
		path, sizeof(path), "%s/%s", directory ? directory : default_directory, name);

	if (len < 0 || (size_t)len >= sizeof(path)) {
		return grammar_refuse(problem, "the name of the credential is too long");
	}
	return load_file(path, problem, trust);
}

struct secret *secret_load(const char *spec, char problem[SECRET_PROBLEM_MAX])
{
	static const struct text credential = TEXT_INIT("credential:");
	static const struct text file = TEXT_INIT("file:");
	struct text given = text_of(spec);

	if (text_has_prefix(given, credential)) {
		return load_credential(spec + credential.len, problem);
	}
	if (text_has_prefix(given, file) && spec[file.len] == '/') {
		return load_file(spec + file.len, problem, TRUST_MODE);
	}
	/* Not repeated: it may be the secret itself, written where its place belongs. */
	return grammar_refuse(
		problem, "a secret is named by credential:NAME or file:/absolute/path");
}
