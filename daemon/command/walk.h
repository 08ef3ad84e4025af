/* walk.h - all orders of a list, none missed, none twice, or a word that it cannot be sure.
 *
 * As the sweep does it: createdAt never changes, so spans of it are asked for until each fits on a
 * page that is as long as the API says it is; a span that cannot be divided is read page by page,
 * each page sharing rows with the one before. The walk ends whatever the API answers. Pure.
 */
#pragma once

#include "order/request.h"

struct walk; /* heap */

/* filter: status, email and span; its texts are borrowed while the walk lives, its limit and offset
 * are not looked at. now_us: wall time. */
struct walk *walk_new(const struct request_list *filter, int64_t now_us);
void walk_free(struct walk *walk);

/* What to ask for next, the same again until walk_page() is told the answer. False: over. */
bool walk_next(struct walk *walk, struct request_list *ret_list);

/* An order of the list: its JSON, borrowed during the callback. */
typedef void walk_found(void *owner, struct text order);

/* body: a good answer to what walk_next() said. */
void walk_page(struct walk *walk, struct text body, walk_found *found, void *owner);

size_t walk_count(const struct walk *walk); /* orders found so far */

/* NULL, or a sentence: why there may be more orders than were found, or fewer. */
const char *walk_doubt(const struct walk *walk);
