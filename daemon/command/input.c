#include "command/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *file, int error, const char *what)
{
	fprintf(stderr, "orderd: %s: %s\n", file, what);
	return error == EACCES || error == EPERM ? EX_NOPERM : EX_DATAERR;
}

static int read_stream(const char *file, FILE *stream, char **ret_bytes, size_t *ret_len)
{
	char *bytes = malloc(INPUT_BYTES_MAX + 1); /* the kernel gives pages as they are touched */
	size_t len;

	if (!bytes) {
		return refuse(file, ENOMEM, strerror(ENOMEM));
	}
	len = fread(bytes, 1, INPUT_BYTES_MAX + 1, stream);
	if (ferror(stream)) {
		int error = errno;

		free(bytes);
		return refuse(file, error, strerror(error));
	}
	if (len > INPUT_BYTES_MAX) {
		free(bytes);
		return refuse(file, EFBIG, "longer than any body that orderd takes (16 MiB)");
	}
	*ret_bytes = bytes;
	*ret_len = len;
	return EX_OK;
}

int input_read(const char *file, char **ret_bytes, size_t *ret_len)
{
	FILE *stream;
	int code;

	if (strcmp(file, "-") == 0) {
		return read_stream("stdin", stdin, ret_bytes, ret_len);
	}
	stream = fopen(file, "rbe");
	if (!stream) {
		return refuse(file, errno, strerror(errno));
	}
	code = read_stream(file, stream, ret_bytes, ret_len);
	fclose(stream);
	return code;
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
