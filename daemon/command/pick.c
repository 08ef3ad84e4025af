/* JSON that a parser has taken is walked by its brackets, commas and quotes alone. */
#include "command/pick.h"

#include <stdarg.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct text without_space(struct text value)
{
	while (value.len > 0 && is_space(value.ptr[0])) {
		value.ptr++;
		value.len--;
	}
	while (value.len > 0 && is_space(value.ptr[value.len - 1])) {
		value.len--;
	}
	return value;
}

/* The bytes of the string that begins there, its quotes included. */
static size_t string_len(struct text rest)
{
	for (size_t i = 1; i < rest.len; i++) {
		if (rest.ptr[i] == '\\') {
			i++;
		} else if (rest.ptr[i] == '"') {
			return i + 1;
		}
	}
	return rest.len;
}

/* Up to the separator, or all of it when there is none on this level. */
static size_t value_len(struct text rest, char separator)
{
	size_t depth = 0;

	for (size_t i = 0; i < rest.len; i++) {
		char c = rest.ptr[i];

		if (c == '"') {
			i += string_len((struct text){ rest.ptr + i, rest.len - i }) - 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (depth > 0 && (c == '}' || c == ']')) {
			depth--;
		} else if (depth == 0 && c == separator) {
			return i;
		}
	}
	return rest.len;
}

static struct text take(struct text *rest, char separator)
{
	size_t len = value_len(*rest, separator);
	size_t used = len < rest->len ? len + 1 : len;
	struct text taken = { rest->ptr, len };

	rest->ptr += used;
	rest->len -= used;
	return without_space(taken);
}

bool pick_is_object(struct text value)
{
	return value.len >= 2 && value.ptr[0] == '{';
}

bool pick_is_array(struct text value)
{
	return value.len >= 2 && value.ptr[0] == '[';
}

struct text pick_content(struct text container)
{
	container = without_space(container);
	if (!pick_is_object(container) && !pick_is_array(container)) {
		return TEXT("");
	}
	return without_space((struct text){ container.ptr + 1, container.len - 2 });
}

bool pick_element(struct text *content, struct text *ret_value)
{
	if (content->len == 0) {
		return false;
	}
	*ret_value = take(content, ',');
	return true;
}

bool pick_pair(struct text *content, struct text *ret_name, struct text *ret_value)
{
	struct text pair;

	if (!pick_element(content, &pair)) {
		return false;
	}
	*ret_name = take(&pair, ':');
	*ret_value = without_space(pair);
	return true;
}

struct text pick_member(struct text object, const char *name)
{
	struct text content = without_space(object), key, value;

	if (!pick_is_object(content)) {
		return TEXT("");
	}
	content = pick_content(content);
	while (pick_pair(&content, &key, &value)) {
		if (key.len == strlen(name) + 2 && memcmp(key.ptr + 1, name, key.len - 2) == 0) {
			return value;
		}
	}
	return TEXT("");
}

struct text pick_path(struct text object, ...)
{
	va_list names;

	va_start(names, object);
	for (const char *name = va_arg(names, const char *); name;
		name = va_arg(names, const char *)) {
		object = pick_member(object, name);
	}
	va_end(names);
	return object;
}
