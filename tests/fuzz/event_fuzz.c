/* Whatever a sender with the secret writes as a body. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "order/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define YEAR_2000_US INT64_C(946684800000000)
#define YEAR_2101_US INT64_C(4133980800000000)

static void must(bool holds, const char *promise)
{
	if (!holds) {
		fprintf(stderr, "broken: %s\n", promise);
		abort();
	}
}

static bool same_words(const struct fact *a, const struct fact *b)
{
	return strcmp(a->order_id, b->order_id) == 0 && strcmp(a->event_id, b->event_id) == 0 &&
	       strcmp(a->event_type, b->event_type) == 0 && strcmp(a->status, b->status) == 0 &&
	       a->has_status == b->has_status && a->has_occurred == b->has_occurred &&
	       a->occurred_us == b->occurred_us;
}

static bool is_utf8(const char *word)
{
	json_t *json = json_string(word);
	bool valid = json != NULL;

	json_decref(json);
	return valid && strlen(word) <= FACT_WORD_MAX;
}

static bool is_listed(const char *unusable)
{
	for (size_t i = 0; event_reason(i); i++) {
		if (event_reason(i) == unusable) {
			return true;
		}
	}
	return false;
}

struct tree {
	size_t depth;
	size_t token_count;
};

/* Depth and size as they are once jansson has read everything. */
static void measure(const json_t *json, size_t depth, struct tree *tree)
{
	const char *key;
	json_t *value;
	size_t index;

	tree->token_count++;
	if (!json_is_object(json) && !json_is_array(json)) {
		return;
	}
	tree->depth = depth > tree->depth ? depth : tree->depth;
	if (json_is_array(json)) {
		json_array_foreach(json, index, value)
		{
			measure(value, depth + 1, tree);
		}
		return;
	}
	for (void *at = json_object_iter((json_t *)(uintptr_t)json); at;
		at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
		key = json_object_iter_key(at);
		tree->token_count += key != NULL;
		measure(json_object_iter_value(at), depth + 1, tree);
	}
}

static bool is_reason(const struct fact *fact, const char *reason)
{
	return fact->unusable && strcmp(fact->unusable, reason) == 0;
}

/* The limits are those of the JSON itself, and nothing else is kept from jansson. */
static void check_against_jansson(struct text body, const struct fact *fact)
{
	json_t *json = body.len > 0
			       ? json_loadb(body.ptr, body.len,
					 JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL)
			       : NULL;
	struct tree tree = { 0, 0 };

	if (!json) {
		must(is_reason(fact, "bad_json") || is_reason(fact, "too_deep") ||
				is_reason(fact, "too_many_values"),
			"what jansson refuses is never used");
		return;
	}
	measure(json, 1, &tree);
	must(!is_reason(fact, "bad_json"), "what jansson reads is not called bad JSON");
	must(is_reason(fact, "too_deep") || is_reason(fact, "too_many_values") ||
			(tree.depth <= EVENT_DEPTH_MAX && tree.token_count <= EVENT_TOKENS_MAX),
		"what is above a limit is refused");
	must(!is_reason(fact, "too_deep") || tree.depth > EVENT_DEPTH_MAX,
		"only what is too deep is called so");
	must(!is_reason(fact, "too_many_values") || tree.token_count > EVENT_TOKENS_MAX,
		"only what has too many values is called so");
	json_decref(json);
}

static void check_fact(const struct fact *fact)
{
	static const struct fact blank;

	if (fact->unusable) {
		must(is_listed(fact->unusable), "every reason is in the list");
		must(same_words(fact, &blank), "an unusable fact says nothing of an order");
		return;
	}
	must(fact_order_id_valid(text_of(fact->order_id)), "a usable fact has a valid order id");
	must(is_utf8(fact->event_id) && is_utf8(fact->event_type) && is_utf8(fact->status),
		"words are UTF-8");
	must(fact->has_status || fact->status[0] == '\0', "a status that is absent is empty");
	must(fact->has_occurred
			? fact->occurred_us >= YEAR_2000_US && fact->occurred_us < YEAR_2101_US
			: fact->occurred_us == 0,
		"times are in years 2000 to 2100");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size + 1);
	struct text body = { bytes, size };
	struct fact fact;
	struct fact again;
	struct fact ours;

	if (!bytes) {
		return 0;
	}
	memcpy(bytes, data, size);
	memset(&fact, 0xa5, sizeof(fact));
	memset(&again, 0x5a, sizeof(again));
	event_parse(body, 1, TEXT(""), &fact);
	event_parse(body, 1, TEXT(""), &again);
	event_parse(body, 1, TEXT("business_1"), &ours);

	must(memcmp(bytes, data, size) == 0, "the body stays as it was");
	must(fact.body.ptr == bytes && fact.body.len == size && fact.received_us == 1,
		"body and receipt are set");
	must(fact.unusable == again.unusable && same_words(&fact, &again) &&
			memcmp(fact.key, again.key, sizeof(fact.key)) == 0,
		"the same body gives the same fact");
	must(ours.unusable ? !fact.unusable || ours.unusable == fact.unusable ||
				     is_reason(&ours, "wrong_business")
			   : same_words(&fact, &ours),
		"the business only refuses");
	check_fact(&fact);
	check_fact(&ours);
	check_against_jansson(body, &fact);
	free(bytes);
	return 0;
}
