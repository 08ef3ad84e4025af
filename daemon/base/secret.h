/* secret.h - a secret lives in one locked page, is never dumped, and is wiped when it goes.
 *
 * Where locking memory is forbidden the log says so, once, and the page is used as it is.
 * Named by "credential:NAME" ($CREDENTIALS_DIRECTORY/NAME, systemd.exec(5); without that variable
 * /etc/orderd/credentials/NAME under the rules of file:) or "file:/absolute/path", which is refused
 * when it is not a regular file of ours or root's, or when group or others can read or write it;
 * but what belongs to root a group of ours may read.
 * One newline at the end is not part of the secret.
 */
#pragma once

#include "base/problem.h"
#include "base/text.h"

enum {
	SECRET_MIN = 16,     /* bytes; fewer are refused */
	SECRET_ADVISED = 24, /* fewer are warned about */
	SECRET_MAX = 4096,
};

struct secret; /* heap */

/* NULL with a sentence in problem (which never holds the secret). */
struct secret *secret_load(const char *spec, struct problem *problem);
/* NULL: longer than SECRET_MAX, or no memory. */
struct secret *secret_copy(struct text bytes);
void secret_free(struct secret *secret);

/* Is it what a person sees? False with a sentence that names the first byte which shows as nothing,
 * the blank or the quote at an end: they come with copying, and no signature matches with them. */
bool secret_judge(const struct secret *secret, struct problem *problem);
/* The same without all that secret_judge() minds, new; may be empty. NULL: no memory. */
struct secret *secret_clean(const struct secret *secret);

/* Borrowed while the secret lives. */
struct text secret_text(const struct secret *secret);

/* Where credential:NAME is; new. */
char *secret_credential_path(struct text name);
