/* body.h - the body of a delivery from a file, byte for byte. */
#pragma once

#include <stddef.h>

enum { BODY_BYTES_MAX = 16 * 1024 * 1024 };

/* file "-" = stdin. On success EX_OK and *ret_bytes is new: free() it. Else an exit code, after
 * saying why on stderr. */
int body_read(const char *file, char **ret_bytes, size_t *ret_len);
