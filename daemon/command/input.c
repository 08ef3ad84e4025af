/* A body is read from a file or from stdin, whole and as it is; keys from where the config says. */
#include "command/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "command/option.h"

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

struct secrets *input_secrets(const struct command *command, input_secrets_load *load)
{
	struct faults faults = { .count = 0 };
	struct secrets *secrets = load(command->config, &faults);

	fault_print(&faults, stderr);
	fault_fini(&faults);
	return secrets;
}

int input_with_delivery(const struct command *command, input_secrets_load *load,
	int (*use)(const struct input_delivery *delivery))
{
	struct input_delivery delivery = { .command = command, .at_us = clock_wall_us() };
	CLEANUP(cleanup_free) char *bytes = NULL;
	bool given;
	int code = option_time(command, "at", &given, &delivery.at_us);

	if (code != EX_OK) {
		return code;
	}
	struct secrets *secrets = input_secrets(command, load);

	code = secrets ? input_read(command->argument, &bytes, &delivery.body.len) : EX_CONFIG;
	if (code == EX_OK) {
		delivery.secrets = secrets;
		delivery.body.ptr = bytes;
		code = use(&delivery);
	}
	secrets_free(secrets);
	return code;
}
