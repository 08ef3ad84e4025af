/* The list of X-Forwarded-For is read from its end, as far as each address in it is trusted to have
 * written the one before. */
#include "flow/sender.h"

static const struct text field = TEXT_INIT("X-Forwarded-For");

/* "192.0.2.1" and "2001:db8::1", and what some proxies make of them: with a port, in brackets. */
static bool read_element(struct text element, struct address *ret_address)
{
	struct text host, port;

	element = text_trim(element);
	return address_read_host(element, 0, ret_address) ||
	       (address_split(element, &host, &port) && address_read_host(host, 0, ret_address));
}

/* What is behind the last comma; *list becomes what is before it. */
static struct text take_last(struct text *list)
{
	const char *comma = list->len > 0 ? memrchr(list->ptr, ',', list->len) : NULL;
	struct text last = *list;

	if (!comma) {
		list->len = 0;
		return last;
	}
	list->len = (size_t)(comma - list->ptr);
	last.ptr = comma + 1;
	last.len -= list->len + 1;
	return last;
}

/* False: the search is over, with what has been found. */
static bool look_at(struct text element, struct text trusted, struct sender *sender)
{
	struct address address;

	if (!read_element(element, &address)) {
		return false;
	}
	address_write_host(&address, sender->client);
	return address_is_listed(&address, trusted);
}

void sender_find(const struct address *peer, const struct http_request *request,
	struct text trusted, struct sender *ret_sender)
{
	struct text list;
	bool goes_on = true;

	*ret_sender = (struct sender){ .peer = "" };
	if (peer->len == 0) {
		return;
	}
	address_write(peer, ret_sender->peer);
	if (!address_is_listed(peer, trusted)) {
		return;
	}
	for (size_t n = 0; goes_on && request_field_from_end(request, field, n, &list); n++) {
		do {
			goes_on = look_at(take_last(&list), trusted, ret_sender);
		} while (goes_on && list.len > 0);
	}
}
