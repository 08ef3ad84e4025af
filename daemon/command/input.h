/* input.h - what verbs read before they act: keys, and bodies of deliveries from files. */
#pragma once

#include "command/verb.h"
#include "settings/secrets.h"

enum { INPUT_BYTES_MAX = 16 * 1024 * 1024 };

/* file "-" = stdin. On success EX_OK and *ret_bytes is new: free() it. Else an exit code, after
 * saying why on stderr. */
int input_read(const char *file, char **ret_bytes, size_t *ret_len);

/* secrets_load() or secrets_load_doubted(). */
typedef struct secrets *input_secrets_load(const struct config *config, struct faults *faults);

/* The keys of the config, new. NULL after saying why on stderr: EX_CONFIG. */
struct secrets *input_secrets(const struct command *command, input_secrets_load *load);

/* A delivery at hand; borrowed. */
struct input_delivery {
	const struct command *command;
	const struct secrets *secrets;
	struct text body;
	int64_t at_us; /* of --at; else now */
};

/* Gives use the delivery whose body is in the file that the command's argument names. Its exit
 * code, or that of what is missing, after saying why on stderr. */
int input_with_delivery(const struct command *command, input_secrets_load *load,
	int (*use)(const struct input_delivery *delivery));
