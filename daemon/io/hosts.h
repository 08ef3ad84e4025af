/* hosts.h - where a conninfo leads: its hosts and their addresses, one after the other.
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
	HOSTS_MAX = 16,
	HOSTS_WORDS_MAX = 64,
	HOSTS_PROBLEM_MAX = 256,
};

struct hosts; /* heap */

/* What libpq is to be told: keyword and value, up to a keyword of NULL. */
struct hosts_words {
	const char *keywords[HOSTS_WORDS_MAX + 1];
	const char *values[HOSTS_WORDS_MAX + 1];
};

/* An address has been found for a name that had none. */
typedef void hosts_found(void *owner);

/* Never NULL: a conninfo that is no conninfo is told by hosts_problem(), and leads nowhere.
 * PGHOST, PGHOSTADDR and PGPORT count as they do for libpq. Settings that conninfo leaves open get
 * the values a daemon needs: target_session_attrs=read-write, keepalives, no GSSAPI, UTF-8. Nothing
 * is looked up before hosts_next(): who only asks for hosts_problem() may give a loop of NULL. */
struct hosts *hosts_new(struct loop *loop, const char *conninfo, const char *application_name,
	hosts_found *found, void *owner);
void hosts_free(struct hosts *hosts);

/* A new round, from the host that was tried last. */
void hosts_begin(struct hosts *hosts);

/* The next place of the round; words are borrowed until the next call. False: the round is over. */
bool hosts_next(struct hosts *hosts, struct hosts_words *ret_words);

/* Why there is a host that leads nowhere; "" when there is none. */
const char *hosts_problem(const struct hosts *hosts);
