/* intake.h - a delivery's way: accept, verify, parse, batch, commit, answer. */
#pragma once

#include "flow/batch.h"
#include "http/server.h"
#include "order/signature.h"

enum { INTAKE_PATH_MAX = 256 };

struct intake; /* heap */

struct intake_options {
	struct server_options server;
	const char *path; /* "/webhooks/torque", compared exactly */
	struct signature_rules
		rules; /* secrets are borrowed until intake_change() or intake_free() */
	const char *signature_header; /* scheme torque and timestamped */
	const char *business;         /* the business id; "" = any */
	const char *trusted_proxies;  /* as address_is_list() takes them; "" = none */
};

/* batch is borrowed. NULL with a sentence in problem. */
struct intake *intake_new(struct loop *loop, struct batch *batch,
	const struct intake_options *options, struct problem *problem);
void intake_free(struct intake *intake);

/* Reload: rules, header, path and business are copied from options; the listener's certificate is
 * read again. False and nothing changed, with a sentence in problem. */
bool intake_change(
	struct intake *intake, const struct intake_options *options, struct problem *problem);

const char *intake_address(const struct intake *intake);

/* Stop accepting; drained runs once, when every accepted request has its answer. */
void intake_drain(struct intake *intake, loop_fired *drained, void *owner);
