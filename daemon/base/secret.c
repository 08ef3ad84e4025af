/* Secrets are read from files that nobody else can read, into memory that is never written out. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/die.h"
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
	if (trust == TRUST_MODE && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
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
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (asprintf(&path, "%s/%.*s", directory ? directory : default_directory, (int)name.len,
		    name.ptr) < 0) {
		die("no memory for the path of a credential");
	}
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
