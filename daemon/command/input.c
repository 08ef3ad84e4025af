/* A body is read from a file or from stdin, whole and as it is. */
#include "command/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

static int refuse(const char *file, int error, const char *what)
{
	fprintf(stderr, "orderd: %s: %s\n", file, what);
	return error == EACCES || error == EPERM ? EX_NOPERM : EX_DATAERR;
}

int input_read(const char *file, char **ret_bytes, size_t *ret_len)
{
	bool is_stdin = strcmp(file, "-") == 0;
	const char *name = is_stdin ? "stdin" : file;
	CLEANUP(cleanup_close)
	int fd = is_stdin ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	/* The kernel gives pages as they are touched. */
	CLEANUP(cleanup_free) char *bytes = fd < 0 ? NULL : malloc(INPUT_BYTES_MAX + 1);
	ssize_t len = bytes ? file_read(fd, bytes, INPUT_BYTES_MAX + 1) : -errno;

	if (len < 0) {
		return refuse(name, (int)-len, strerror((int)-len));
	}
	if (len > INPUT_BYTES_MAX) {
		return refuse(name, EFBIG, "longer than any body that orderd takes (16 MiB)");
	}
	*ret_bytes = bytes;
	*ret_len = (size_t)len;
	bytes = NULL;
	return EX_OK;
}

int input_with_secrets(const struct command *command,
	int (*use)(const struct command *command, const struct secrets *secrets, struct text body))
{
	struct faults faults = { .count = 0 };
	struct secrets *secrets = secrets_load(command->config, &faults);
	char *bytes;
	size_t len;
	int code;

	fault_print(&faults, stderr);
	fault_fini(&faults);
	if (!secrets) {
		return EX_CONFIG;
	}
	code = input_read(command->argument, &bytes, &len);
	if (code == EX_OK) {
		code = use(command, secrets, (struct text){ bytes, len });
		free(bytes);
	}
	secrets_free(secrets);
	return code;
}
