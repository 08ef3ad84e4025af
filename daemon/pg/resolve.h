/* resolve.h - where a conninfo leads: its hosts and their addresses, one after the other.
 *
 * libpq looks names up while the loop stands still, and waits for each host of a list as long as
 * TCP does. So the list is taken apart here, names are looked up beside the loop (again at most
 * once a second, and what was found last serves while no name server answers), and libpq is given
 * one address at a time.
 */
#pragma once

#include <stdbool.h>

#include "io/loop.h"

enum {
	RESOLVE_MAX = 16,
	RESOLVE_WORDS_MAX = 64,
};

struct resolve; /* heap */

/* What libpq is to be told: keyword and value, up to a keyword of NULL. */
struct resolve_words {
	const char *keywords[RESOLVE_WORDS_MAX + 1];
	const char *values[RESOLVE_WORDS_MAX + 1];
};

/* An address has been found for a name that had none. */
typedef void resolve_found(void *owner);

/* Never NULL: a conninfo that is no conninfo is told by resolve_problem(), and leads nowhere.
 * PGHOST, PGHOSTADDR and PGPORT count as they do for libpq. Settings that conninfo leaves open get
 * the values a daemon needs: target_session_attrs=primary, keepalives, no GSSAPI, UTF-8. Nothing
 * is looked up before resolve_next(): who only asks for resolve_problem() may give a loop of NULL.
 */
struct resolve *resolve_new(struct loop *loop, const char *conninfo, const char *application_name,
	resolve_found *found, void *owner);
void resolve_free(struct resolve *resolve);

/* A new round, from the host that was tried last. */
void resolve_begin(struct resolve *resolve);

/* The next place of the round; words are borrowed until the next call. False: the round is over. */
bool resolve_next(struct resolve *resolve, struct resolve_words *ret_words);

/* Why there is a host that leads nowhere; "" when there is none. */
const char *resolve_problem(const struct resolve *resolve);
