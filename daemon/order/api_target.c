#include "order/api_target.h"

#include <stdio.h>

#include "base/stamp.h"
#include "order/fact.h"

struct target {
	char *out;
	size_t len;
	bool fits;
};

static void put(struct target *target, const char *bytes, size_t len)
{
	if (!target->fits || len >= API_TARGET_MAX - target->len) {
		target->fits = false;
		return;
	}
	memcpy(target->out + target->len, bytes, len);
	target->len += len;
	target->out[target->len] = '\0';
}

static void put_string(struct target *target, const char *string)
{
	put(target, string, strlen(string));
}

static bool unreserved(unsigned char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
	       byte == '~';
}

/* RFC 3986 2.3: everything but the unreserved characters is escaped. */
static void put_escaped(struct target *target, struct text value)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char byte = (unsigned char)value.ptr[i];
		char escape[4];

		if (unreserved(byte)) {
			put(target, value.ptr + i, 1);
			continue;
		}
		snprintf(escape, sizeof(escape), "%%%02X", (unsigned)byte);
		put(target, escape, 3);
	}
}

static void put_stamp(struct target *target, const char *name, int64_t us)
{
	char stamp[STAMP_TEXT_MAX];

	stamp_format(us, stamp);
	put_string(target, name);
	put_escaped(target, text_of(stamp));
}

static void put_filter(struct target *target, const char *name, struct text value)
{
	if (value.len > 0) {
		put_string(target, name);
		put_escaped(target, value);
	}
}

bool api_target_list(const struct api_target_list *list, char out[API_TARGET_MAX])
{
	struct target target = { .out = out, .fits = true };
	char paging[64];

	if (list->limit < 1 || list->limit > API_TARGET_PAGE_MAX) {
		return false;
	}
	snprintf(paging, sizeof(paging), "?limit=%u&offset=%u", list->limit, list->offset);
	put_string(&target, "/checkout/orders");
	put_string(&target, paging);
	put_filter(&target, "&status=", list->status);
	if (list->has_from) {
		put_stamp(&target, "&startDate=", list->from_us);
	}
	if (list->has_to) {
		put_stamp(&target, "&endDate=", list->to_us);
	}
	put_filter(&target, "&customerEmail=", list->email);
	return target.fits;
}

/* "." and ".." are in the character set of ids, and would be path segments of their own. */
static bool put_order(struct target *target, const char *before, struct text order_id)
{
	if (!fact_order_id_valid(order_id) || text_equal(order_id, TEXT(".")) ||
		text_equal(order_id, TEXT(".."))) {
		return false;
	}
	put_string(target, before);
	put_escaped(target, order_id);
	return true;
}

bool api_target_show(struct text order_id, bool details, char out[API_TARGET_MAX])
{
	struct target target = { .out = out, .fits = true };

	if (!put_order(&target, "/checkout/order-status/", order_id)) {
		return false;
	}
	put_string(&target, details ? "?includeDetails=true" : "");
	return target.fits;
}

bool api_target_cancel(struct text order_id, char out[API_TARGET_MAX])
{
	struct target target = { .out = out, .fits = true };

	if (!put_order(&target, "/checkout/orders/", order_id)) {
		return false;
	}
	put_string(&target, "/cancel");
	return target.fits;
}

const char *api_target_link(void)
{
	return "/checkout/generate-link";
}
