/* The table of verbs. */
#include <fcntl.h>
#include <unistd.h>

#include "command/backfill.h"
#include "command/cancel.h"
#include "command/check.h"
#include "command/help.h"
#include "command/link.h"
#include "command/list.h"
#include "command/migrate.h"
#include "command/replay.h"
#include "command/service.h"
#include "command/show.h"
#include "command/show_config.h"
#include "command/sign.h"
#include "command/sync.h"
#include "command/trigger.h"
#include "command/verify.h"

/* clang-format off */
#define JSON_OPTION { "json", NULL, "print JSON" }

static const struct verb verbs[] = {
	{ "receive", "", 0, 0, "Receive webhooks until a signal says to stop.",
		VERB_CONFIG, { { 0 } }, service_receive },
	{ "reconcile", "", 0, 0, "Compare with the API and repair until a signal says to stop.",
		VERB_CONFIG, { { 0 } }, service_reconcile },
	{ "run", "", 0, 0, "Receive and reconcile in one process.",
		VERB_CONFIG, { { 0 } }, service_both },
	{ "migrate", "", 0, 0, "Bring the schema in the database up to date.",
		VERB_CONFIG, {
			{ "status", NULL, "say which schema is there and which is needed" },
			{ "dry-run", NULL, "list what would be run, and run nothing" },
			{ "print", NULL, "print the SQL that would be run" },
			{ "adopt", NULL, "make the database that of this shop, whose ever it was" },
			{ "admin-conninfo", "CONNINFO", "connect with this, as somebody who may" },
			JSON_OPTION,
		}, migrate_run },
	{ "check", "", 0, 0, "Say everything that is wrong with configuration, files and secrets.",
		VERB_FAULTY_CONFIG, {
			{ "online", NULL, "look at the database too" },
			JSON_OPTION,
		}, check_run },
	{ "config", "", 0, 0, "Print the settings in force and where each comes from.",
		VERB_FAULTY_CONFIG, {
			{ "example", NULL, "print a commented file with every default" },
			JSON_OPTION,
		}, show_config_run },
	{ "sign", "FILE", 1, 1, "Print the headers that make the body in FILE genuine (-: stdin).",
		VERB_CONFIG, {
			{ "id", "ID", "of the delivery; scheme standard, else random" },
			{ "at", "TIME", "when the attempt is made, RFC 3339 or a date; else now" },
			JSON_OPTION,
		}, sign_run },
	{ "verify", "FILE", 1, 1, "Judge a signature of the body in FILE, and say why it fails (-: stdin).",
		VERB_CONFIG, {
			{ "signature", "VALUE", "what the signature header said" },
			{ "id", "ID", "what webhook-id said; scheme standard" },
			{ "timestamp", "SECONDS", "what webhook-timestamp said; scheme standard" },
			{ "at", "TIME", "judge as of this time, RFC 3339 or a date; else now" },
			JSON_OPTION,
		}, verify_run },
	{ "trigger", "EVENT", 1, 1, "Send a signed, realistic event to a receiver.",
		VERB_CONFIG, {
			{ "order", "ID", "about this order; else orderd-test.* at random" },
			{ "status", "WORD", "claim this status instead of the event's own" },
			{ "to", "URL", "the receiver; else our own listener" },
			{ "count", "N", "so many events, one after the other" },
			{ "ca-file", "FILE", "trust these certificates instead of the system's" },
			JSON_OPTION,
		}, trigger_run },
	{ "link", "FILE", 1, 1, "Make a checkout for the cart in FILE, and print its URL (-: stdin).",
		VERB_CONFIG, { JSON_OPTION }, link_run },
	{ "list", "", 0, 0, "Print the API's list of orders.",
		VERB_CONFIG, {
			{ "status", "WORD", "only those in this status" },
			{ "from", "TIME", "only those made since then: RFC 3339, or a date" },
			{ "to", "TIME", "only those made before then" },
			{ "email", "ADDRESS", "only those of this customer" },
			{ "limit", "N", "so many, from 1 to 100; else 20" },
			{ "offset", "N", "after so many others" },
			{ "all", NULL, "all, none missed and none twice" },
			JSON_OPTION,
		}, list_run },
	{ "show", "ID", 1, 1, "Print what the API says of an order.",
		VERB_CONFIG, {
			{ "details", NULL, "its customer, cart and payment too" },
			JSON_OPTION,
		}, show_run },
	{ "cancel", "ID", 1, 1, "Cancel a pending order.",
		VERB_CONFIG, {
			{ "reason", "TEXT", "why" },
			{ "refund", NULL, "give the customer the money back" },
			JSON_OPTION,
		}, cancel_run },
	{ "backfill", "", 0, 0, "Walk the API's whole history into the database.",
		VERB_CONFIG, {
			{ "from", "TIME", "only orders made since then: RFC 3339, or a date" },
			{ "to", "TIME", "only orders made before then; else now" },
			{ "details", NULL, "look each order up too that is known from lists only" },
			{ "job", "N", "go on with the job of that number" },
			JSON_OPTION,
		}, backfill_run },
	{ "sync", "ID...", 1, VERB_ARGUMENTS_MAX, "Look orders up now, and apply what the API says.",
		VERB_CONFIG, { JSON_OPTION }, sync_run },
	{ "replay", "", 0, 0, "Read again what is kept, by the reader and the rules of today.",
		VERB_CONFIG, {
			{ "order", "ID", "the facts of this order" },
			{ "since", "TIME", "those of orders that heard of something since: RFC 3339, or a date" },
			{ "all", NULL, "all facts" },
			{ "quarantined", NULL, "the bodies in quarantine" },
			{ "dry-run", NULL, "say what would differ, and keep nothing" },
			{ "admin-conninfo", "CONNINFO", "connect with this, as somebody who may" },
			JSON_OPTION,
		}, replay_run },
	{ "completion", "bash", 1, 1, "Print the completion of orderd for a shell.",
		VERB_NO_CONFIG, { { 0 } }, help_completion_run },
	{ "version", "", 0, 0, "Print the version.",
		VERB_NO_CONFIG, { JSON_OPTION }, help_version_run },
	{ "help", "[VERB]", 0, 1, "Print the verbs, or what one of them takes.",
		VERB_NO_CONFIG, { { 0 } }, help_run },
	{ 0 },
};
/* clang-format on */

/* A descriptor that is opened into the place of a closed stdout or stderr would be written to. */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0) {
		close(fd);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	fill_standard_descriptors();
	return verb_main(verbs, argv);
}
