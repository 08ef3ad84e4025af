/* request.h - the paths and queries of the Checkout API, escaped (RFC 3986).
 *
 * Pure. Nothing reaches a URL but through here: an order id outside its character set gives no
 * path.
 */
#pragma once

#include "base/text.h"

enum {
	REQUEST_TARGET_MAX = 2048, /* bytes with the NUL */
	REQUEST_PAGE_MAX = 100,    /* the API's limit of rows */
};

struct request_list {
	unsigned limit; /* 1..REQUEST_PAGE_MAX */
	unsigned offset;
	struct text status; /* len 0 = any */
	struct text email;  /* len 0 = any */
	bool has_from, has_to;
	int64_t from_us, to_us; /* createdAt, as the API reads startDate and endDate */
};

/* False: bad order id, or the target would not fit. */
bool request_list(const struct request_list *list, char out[REQUEST_TARGET_MAX]);
bool request_show(struct text order_id, bool details, char out[REQUEST_TARGET_MAX]);
bool request_cancel(struct text order_id, char out[REQUEST_TARGET_MAX]);
const char *request_link(void);
