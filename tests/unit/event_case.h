/* event_case.h - bodies of events around what a case is about, and what becomes of them. */
#pragma once

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/die.h"
#include "check.h"
#include "order/event.h"
#include "order/signature.h"

#define RECEIVED_US INT64_C(1705312801000000)
#define TIME_US     INT64_C(1705312800000000)
#define TIME        "\"timestamp\":\"2024-01-15T10:00:00Z\""
#define CREATED     "\"event\":\"order.created\","

/* Envelopes around what a case is about. */
#define DATA(data)   "{" CREATED TIME ",\"data\":" data "}"
#define ORDER(field) DATA("{\"orderId\":\"order_1\"," field "}")
#define META(value)  ORDER("\"metadata\":{\"x\":" value "}")
#define ID(id)       DATA("{\"orderId\":" id "}")
#define STATUS(word) ORDER("\"status\":" word)
#define AT(time)     "{" CREATED "\"timestamp\":" time ",\"data\":{\"orderId\":\"order_1\"}}"
#define UNIX(time)                                                                                 \
	"{\"type\":\"order.paid\",\"created\":" time ",\"data\":{\"order\":{\"id\":\"order_1\"}}}"
#define FORM_2(order) "{\"type\":\"order.paid\",\"data\":{\"order\":" order "}}"
#define PLAIN         "{" CREATED "\"data\":{\"orderId\":\"order_1\"}}"

#define BAD "bad_json"

enum { BODY_MAX = 1 << 20, REASONS_MAX = 32 };

/* What the last fact borrows. */
static struct json_room room;

struct event_case {
	const char *promise;
	struct text body;
	const char *verdict; /* NULL: it is taken, as order_1, without a mark; see verdict_of() */
};

static bool reason_seen[REASONS_MAX];

static inline void note_reason(const char *unusable)
{
	for (size_t i = 0; event_reason(i); i++) {
		reason_seen[i] = reason_seen[i] || strcmp(event_reason(i), unusable) == 0;
	}
}

static inline bool same_fact(const struct fact *a, const struct fact *b)
{
	return memcmp(a->key, b->key, sizeof(a->key)) == 0 &&
	       strcmp(a->order_id, b->order_id) == 0 && strcmp(a->event_id, b->event_id) == 0 &&
	       strcmp(a->event_type, b->event_type) == 0 && strcmp(a->status, b->status) == 0 &&
	       a->has_status == b->has_status && a->has_occurred == b->has_occurred &&
	       a->occurred_us == b->occurred_us && a->received_us == b->received_us &&
	       a->body.ptr == b->body.ptr && a->body.len == b->body.len &&
	       a->has_event_type == b->has_event_type && a->details.faults == b->details.faults &&
	       a->details.assumed == b->details.assumed && a->unusable == b->unusable;
}

static inline bool is_blank(const struct fact *fact)
{
	return fact->order_id[0] == '\0' && fact->event_id[0] == '\0' &&
	       fact->event_type[0] == '\0' && fact->status[0] == '\0' && !fact->has_status &&
	       !fact->has_occurred && fact->occurred_us == 0 && !fact->has_event_type &&
	       fact->details.faults == 0 && !fact->details.total.ptr;
}

/* A room that ends where its memory ends. */
static inline void make_room(size_t body_len)
{
	free(room.memory);
	room.size = json_room_size(body_len);
	room.memory = malloc(room.size);
	if (!room.memory) {
		die("no memory for a test");
	}
}

/* Parses a copy that ends where its memory ends, twice, with what holds for every body. */
static inline struct fact parse(struct text body)
{
	CLEANUP(cleanup_free) char *copy = malloc(body.len > 0 ? body.len : 1);
	unsigned char key[SIGNATURE_DIGEST_BYTES];
	struct fact fact;
	struct fact again;

	if (!copy) {
		die("no memory for a test");
	}
	memset(&fact, 0xa5, sizeof(fact));
	memset(&again, 0x5a, sizeof(again));
	if (body.len > 0) {
		memcpy(copy, body.ptr, body.len);
	}
	make_room(body.len);
	event_parse((struct text){ copy, body.len }, RECEIVED_US, TEXT(""), &room, &again);
	event_parse((struct text){ copy, body.len }, RECEIVED_US, TEXT(""), &room, &fact);

	if (!same_fact(&fact, &again)) {
		CHECK(false, "the same body gives the same fact");
	}
	if (body.len > 0 && memcmp(copy, body.ptr, body.len) != 0) {
		CHECK(false, "the body stays as it was");
	}
	if (fact.body.ptr != copy || fact.body.len != body.len || fact.received_us != RECEIVED_US ||
		!signature_digest(body, key) || memcmp(fact.key, key, sizeof(key)) != 0) {
		CHECK(false, "body, time of receipt and key are set in every case");
	}
	if (fact.unusable && !is_blank(&fact)) {
		CHECK(false, "a fact for the quarantine says nothing of an order");
	}
	if (fact.unusable) {
		note_reason(fact.unusable);
	}
	fact.body = body;
	return fact;
}

/* "taken", "faults {total}", "assumed {total}", or why it is unusable. */
static inline const char *verdict_of(const struct fact *fact)
{
	static char verdict[sizeof("faults ") + FACT_FIELD_NAMES_MAX];
	bool faulty = fact->details.faults != 0;
	char names[FACT_FIELD_NAMES_MAX];

	if (fact->unusable) {
		return fact->unusable;
	}
	if (!faulty && fact->details.assumed == 0) {
		return "taken";
	}
	fact_field_names(faulty ? fact->details.faults : fact->details.assumed, names);
	snprintf(verdict, sizeof(verdict), "%s %s", faulty ? "faults" : "assumed", names);
	return verdict;
}

static inline void check_case(const char *table, const char *promise, struct text body,
	const char *verdict, const char *order_id)
{
	struct fact fact = parse(body);
	const char *wanted = verdict ? verdict : "taken", *got = verdict_of(&fact);

	CHECK(strcmp(got, wanted) == 0 && (fact.unusable || strcmp(fact.order_id, order_id) == 0),
		"%s: %s (wanted %s, got %s)", table, promise, wanted, got);
}

static inline void check_table(const char *table, const struct event_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_case(table, cases[i].promise, cases[i].body, cases[i].verdict, "order_1");
	}
}

/* Room for one large body at a time. */
static char large[BODY_MAX + 64];

static inline struct text repeated(
	const char *head, const char *piece, size_t count, const char *tail)
{
	size_t piece_len = strlen(piece);
	size_t len = strlen(head);

	if (len + count * piece_len + strlen(tail) > sizeof(large)) {
		die("a body of the test is too large");
	}
	memcpy(large, head, len);
	for (size_t i = 0; i < count; i++) {
		memcpy(large + len, piece, piece_len);
		len += piece_len;
	}
	memcpy(large + len, tail, strlen(tail));
	return (struct text){ large, len + strlen(tail) };
}

#define TABLE(name, cases) check_table((name), (cases), sizeof(cases) / sizeof((cases)[0]))
