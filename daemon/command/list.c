/* A page of the API's list is printed as it came, or all of it span by span. */
#include "command/list.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/memory.h"
#include "command/api_session.h"
#include "command/list_all.h"
#include "command/option.h"
#include "command/pick.h"
#include "command/print.h"

enum {
	LIST_LIMIT = 20, /* as the API's own default */
	LIST_OFFSET_MAX = 1000000000,
	LIST_COLUMNS = 7,
	LIST_ROWS_MAX = 1000, /* held back to find the width of the columns */
	LIST_TRIES_MAX = 3,
};

struct listing {
	const struct command *command;
	struct api_session *ask;
	struct api_target_list list;
	struct print_table table;
	char *cells[LIST_ROWS_MAX][LIST_COLUMNS];
	size_t rows_count; /* in cells */
	bool has_header;
	bool begun; /* JSON: an order has been printed */
};

/* Options. */

static int read_all_option(const struct command *command)
{
	if (!verb_has(command, "all")) {
		return EX_OK;
	}
	if (verb_has(command, "limit") || verb_has(command, "offset")) {
		return verb_usage(command, "--all goes with neither --limit nor --offset");
	}
	return EX_OK;
}

static int read_options(const struct command *command, struct api_target_list *list)
{
	uint64_t limit = LIST_LIMIT, offset = 0;
	int code = option_number(command, "limit", 1, API_TARGET_PAGE_MAX, &limit);

	if (code == EX_OK) {
		code = option_number(command, "offset", 0, LIST_OFFSET_MAX, &offset);
	}
	if (code == EX_OK) {
		code = option_time(command, "from", &list->has_from, &list->from_us);
	}
	if (code == EX_OK) {
		code = option_time(command, "to", &list->has_to, &list->to_us);
	}
	if (code == EX_OK && list->has_from && list->has_to && list->from_us >= list->to_us) {
		code = verb_usage(command, "--from is a time before --to");
	}
	list->limit = (unsigned)limit;
	list->offset = (unsigned)offset;
	list->status = text_of(verb_value(command, "status"));
	list->email = text_of(verb_value(command, "email"));
	return code == EX_OK ? read_all_option(command) : code;
}

/* The table. */

static void free_rows(struct listing *listing)
{
	for (size_t i = 0; i < listing->rows_count; i++) {
		for (size_t j = 0; j < LIST_COLUMNS; j++) {
			free(listing->cells[i][j]);
		}
	}
	listing->rows_count = 0;
}

static void print_rows(struct listing *listing)
{
	for (size_t i = 0; i < listing->rows_count; i++) {
		print_measure(&listing->table, listing->cells[i], LIST_COLUMNS);
	}
	for (size_t i = 0; i < listing->rows_count; i++) {
		print_row(stdout, &listing->table, listing->cells[i], LIST_COLUMNS);
	}
	free_rows(listing);
	fflush(stdout);
}

static char **new_row(struct listing *listing)
{
	if (listing->rows_count == LIST_ROWS_MAX) {
		print_rows(listing);
	}
	return listing->cells[listing->rows_count++];
}

static void hold_header(struct listing *listing)
{
	static const char *const names[LIST_COLUMNS] = { "ORDER", "STATUS", "CREATED", "TOTAL",
		"CURRENCY", "ITEMS", "E-MAIL" };
	char **cells = new_row(listing);

	for (size_t i = 0; i < LIST_COLUMNS; i++) {
		cells[i] = memory_copy(names[i]);
	}
	listing->has_header = true;
}

static void hold_row(struct listing *listing, struct text order)
{
	const struct text values[LIST_COLUMNS] = {
		pick_member(order, "id"),
		pick_member(order, "status"),
		pick_member(order, "createdAt"),
		pick_path(order, "cart", "total", NULL),
		pick_path(order, "cart", "currency", NULL),
		pick_path(order, "cart", "itemCount", NULL),
		pick_path(order, "customerData", "email", NULL),
	};

	if (!listing->has_header) {
		hold_header(listing);
	}
	char **cells = new_row(listing);

	for (size_t i = 0; i < LIST_COLUMNS; i++) {
		cells[i] = print_value(values[i], PRINT_CELL_MAX);
	}
}

/* One page. */

static void print_page(struct listing *listing, struct text answer)
{
	struct text orders = pick_content(pick_member(answer, "orders"));
	struct text total = pick_path(answer, "pagination", "total", NULL);
	uint64_t count = 0, all;
	struct text order;

	if (verb_has(listing->command, "json")) {
		print_json(stdout, answer);
		putchar('\n');
		return;
	}
	for (; pick_element(&orders, &order); count++) {
		hold_row(listing, order);
	}
	print_rows(listing);
	if (text_to_u64(total, &all) && all > listing->list.offset + count) {
		fprintf(stderr,
			"orderd: %" PRIu64 " of %" PRIu64 " orders; --offset %" PRIu64
			" goes on, --all prints all\n",
			count, all, listing->list.offset + count);
	}
}

static int list_page(struct listing *listing)
{
	struct torque_call call = { .kind = TORQUE_LIST, .list = listing->list, .whole = true };
	const struct torque_answer *answer;
	int code = api_session_call(listing->ask, &call, "list", &answer);

	if (code == EX_OK) {
		print_page(listing, answer->body);
	}
	return code;
}

/* All of it. */

static void order_found(void *owner, struct text order)
{
	struct listing *listing = owner;

	if (!verb_has(listing->command, "json")) {
		hold_row(listing, order);
		return;
	}
	fputs(listing->begun ? ",\n" : "", stdout);
	print_json(stdout, order);
	listing->begun = true;
}

/* The API may be busy for a moment; a key that it refuses stays refused. */
static bool is_worth_another_try(enum torque_end end)
{
	switch (end) {
	case TORQUE_RATE_LIMITED:
	case TORQUE_SERVER_ERROR:
	case TORQUE_UNREACHABLE:
	case TORQUE_LATE:
	case TORQUE_MALFORMED:
	case TORQUE_DROPPED:
		return true;
	case TORQUE_GOOD:
	case TORQUE_UNAUTHORIZED:
	case TORQUE_NOT_FOUND:
	case TORQUE_REFUSED:
	case TORQUE_UNTRUSTED:
		break;
	}
	return false;
}

static int ask_page(struct listing *listing, const struct api_target_list *list,
	const struct torque_answer **ret_answer)
{
	struct torque_call call = { .kind = TORQUE_LIST, .list = *list, .whole = true };
	int code = EX_OK;

	for (unsigned tries = 0; tries < LIST_TRIES_MAX; tries++) {
		code = api_session_call(listing->ask, &call, "list", ret_answer);
		if (code == EX_OK || !*ret_answer || !is_worth_another_try((*ret_answer)->end)) {
			break;
		}
	}
	return code;
}

static int walk_all(struct listing *listing, struct list_all *walk)
{
	struct api_target_list list;

	while (list_all_next(walk, &list)) {
		const struct torque_answer *answer;
		int code = ask_page(listing, &list, &answer);

		if (code != EX_OK) {
			return code;
		}
		list_all_page(walk, answer->body, order_found, listing);
		print_rows(listing);
	}
	return EX_OK;
}

static void end_json(const struct list_all *walk, const char *doubt)
{
	printf("],\"count\":%zu,\"complete\":%s", list_all_count(walk), doubt ? "false" : "true");
	if (doubt) {
		printf(",\"doubt\":\"%s\"", doubt); /* a sentence of ours: nothing to escape */
	}
	puts("}");
}

static int list_all(struct listing *listing)
{
	bool json = verb_has(listing->command, "json");
	struct list_all *walk = list_all_new(&listing->list);
	const char *doubt;
	int code;

	fputs(json ? "{\"orders\":[" : "", stdout);
	code = walk_all(listing, walk);
	doubt = code == EX_OK ? list_all_doubt(walk) : "a call failed before the end";
	if (json) {
		end_json(walk, doubt);
	}
	if (doubt) {
		fprintf(stderr, "orderd: %zu orders, and not surely all: %s\n",
			list_all_count(walk), doubt);
	} else if (!json) {
		fprintf(stderr, "orderd: %zu orders, all there are\n", list_all_count(walk));
	}
	list_all_free(walk);
	return code == EX_OK && doubt ? VERB_FOUND : code;
}

int list_run(const struct command *command)
{
	struct listing *listing = memory_new(sizeof(*listing));
	int code;

	listing->command = command;
	code = read_options(command, &listing->list);
	if (code == EX_OK) {
		listing->ask = api_session_new(command, &code);
	}
	if (listing->ask) {
		code = verb_has(command, "all") ? list_all(listing) : list_page(listing);
		api_session_free(listing->ask);
	}
	free(listing);
	return code;
}
