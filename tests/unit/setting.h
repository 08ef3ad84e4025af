/* setting.h - the number that a key of the configuration has filled in; 0 for a text. */
#pragma once

#include "settings/config.h"

static inline int64_t setting_number(const struct config *config, enum config_key key)
{
	const struct config_field *field = &config_rules[key].field;
	const void *member = (const char *)config_settings(config) + field->offset;

	switch (field->type) {
	case CONFIG_TYPE_TEXT:
		return 0;
	case CONFIG_TYPE_BOOL:
		return *(const bool *)member;
	case CONFIG_TYPE_UNSIGNED:
		return *(const unsigned *)member;
	case CONFIG_TYPE_SIZE:
		return (int64_t) * (const size_t *)member;
	case CONFIG_TYPE_INT64:
		return *(const int64_t *)member;
	}
	return -1;
}
