#include "order/fact.h"

#include <assert.h>

static const char *const outcome_names[] = {
	[OUTCOME_APPLIED] = "applied",
	[OUTCOME_DUPLICATE] = "duplicate",
	[OUTCOME_RECORDED] = "recorded",
	[OUTCOME_HELD] = "held",
	[OUTCOME_IGNORED] = "ignored",
	[OUTCOME_QUARANTINED] = "quarantined",
	[OUTCOME_BUSY] = "busy",
};

static const size_t outcome_count = sizeof(outcome_names) / sizeof(outcome_names[0]);

const char *fact_outcome_name(enum outcome outcome)
{
	assert(outcome < outcome_count);
	return outcome_names[outcome];
}

bool fact_outcome_from(struct text name, enum outcome *ret_outcome)
{
	for (size_t i = 0; i < outcome_count; i++) {
		if (text_equal(name, text_of(outcome_names[i]))) {
			*ret_outcome = (enum outcome)i;
			return true;
		}
	}
	return false;
}

static bool is_id_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       c == '_' || c == '.' || c == ':' || c == '-';
}

bool fact_order_id_valid(struct text id)
{
	if (id.len == 0 || id.len > FACT_ORDER_ID_MAX) {
		return false;
	}
	for (size_t i = 0; i < id.len; i++) {
		if (!is_id_byte(id.ptr[i])) {
			return false;
		}
	}
	return !text_equal(id, TEXT(".")) && !text_equal(id, TEXT(".."));
}
