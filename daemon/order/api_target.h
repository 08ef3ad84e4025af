/* api_target.h - the paths and queries of the Checkout API, escaped (RFC 3986).
 *
 * Pure. Nothing reaches a URL but through here: an order id outside its character set gives no
 * path.
 */
#pragma once

#include "base/text.h"

enum {
	API_TARGET_MAX = 2048,     /* bytes with the NUL */
	API_TARGET_PAGE_MAX = 100, /* the API's limit of rows */
};

struct api_target_list {
	unsigned limit; /* 1..API_TARGET_PAGE_MAX */
	unsigned offset;
	struct text status; /* len 0 = any */
	struct text email;  /* len 0 = any */
	bool has_from, has_to;
	int64_t from_us, to_us; /* createdAt, as the API reads startDate and endDate */
};

/* False: bad order id, or the target would not fit. */
bool api_target_list(const struct api_target_list *list, char out[API_TARGET_MAX]);
bool api_target_show(struct text order_id, bool details, char out[API_TARGET_MAX]);
bool api_target_cancel(struct text order_id, char out[API_TARGET_MAX]);
const char *api_target_link(void);
