/* input.h - the body of a delivery from a file, byte for byte. */
#pragma once

#include "command/verb.h"
#include "settings/secrets.h"

enum { INPUT_BYTES_MAX = 16 * 1024 * 1024 };

/* file "-" = stdin. On success EX_OK and *ret_bytes is new: free() it. Else an exit code, after
 * saying why on stderr. */
int input_read(const char *file, char **ret_bytes, size_t *ret_len);

/* Gives use the keys of the config and the body that the command's argument names. Its exit code,
 * or that of what is missing, after saying why on stderr. */
int input_with_secrets(const struct command *command,
	int (*use)(const struct command *command, const struct secrets *secrets, struct text body));
