/* list_all.h - all orders of a list, none missed, none twice, or a word that it cannot be sure.
 *
 * Page by page, each sharing rows with the one before, so that a list that moves meanwhile leaves
 * no gap; what was listed is held against the total. A list in no order has no pages that join: it
 * is read in parts of createdAt that fit on one. The walk ends whatever the API answers. Pure.
 */
#pragma once

#include "order/api_target.h"

struct list_all; /* heap */

/* filter: status, email and span; its texts are borrowed while the walk lives, its limit and offset
 * are not looked at. */
struct list_all *list_all_new(const struct api_target_list *filter);
void list_all_free(struct list_all *walk);

/* What to ask for next, the same again until list_all_page() is told the answer. False: over. */
bool list_all_next(const struct list_all *walk, struct api_target_list *ret_list);

/* An order of the list: its JSON, borrowed during the callback. */
typedef void list_all_found(void *owner, struct text order);

/* body: a good answer to what list_all_next() said. */
void list_all_page(struct list_all *walk, struct text body, list_all_found *found, void *owner);

size_t list_all_count(const struct list_all *walk); /* orders found so far */

/* NULL, or a sentence: why there may be more orders than were found, or fewer. Static. */
const char *list_all_doubt(const struct list_all *walk);
