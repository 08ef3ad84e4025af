/* sender.h - where a request comes from, for the log: the peer of the socket and, where that is a
 * trusted proxy, whom it speaks for. Pure.
 */
#pragma once

#include "base/address.h"
#include "http/request.h"

struct sender {
	char peer[ADDRESS_TEXT_MAX];   /* with its port; "" = none that is known */
	char client[ADDRESS_TEXT_MAX]; /* without; "" = X-Forwarded-For is not there or not believed
					*/
};

/* trusted: as address_is_list() takes it. Every proxy on the way adds an address at the end: the
 * client is the last one that is no trusted proxy itself. What is before that anybody can write. */
void sender_find(const struct address *peer, const struct http_request *request,
	struct text trusted, struct sender *ret_sender);
