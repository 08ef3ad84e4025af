/* A text is read line by line: sections, values, and what is neither. */
#include "settings/ini.h"

#include "settings/value.h"

static struct ini_item faulty(unsigned line, const char *fault)
{
	return (struct ini_item){ .kind = INI_FAULT, .line = line, .fault = fault };
}

static bool is_name(struct text name)
{
	for (size_t i = 0; i < name.len; i++) {
		if ((name.ptr[i] < 'a' || name.ptr[i] > 'z') && name.ptr[i] != '_') {
			return false;
		}
	}
	return name.len > 0;
}

static struct ini_item read_section(unsigned number, struct text line)
{
	struct ini_item item = { .kind = INI_SECTION, .line = number };

	if (line.ptr[line.len - 1] != ']') {
		return faulty(number, "a section is [name], with nothing behind the bracket");
	}
	item.name = (struct text){ line.ptr + 1, line.len - 2 };
	if (!is_name(item.name)) {
		return faulty(number, "a section's name is lower-case letters, as in [listen]");
	}
	return item;
}

static struct ini_item read_value(unsigned number, struct text line)
{
	struct ini_item item = { .kind = INI_VALUE, .line = number };
	const char *equals = memchr(line.ptr, '=', line.len);

	if (!equals) {
		return faulty(number,
			"is neither [section] nor key = value nor a # comment; a value stands on "
			"one line");
	}
	item.name = text_trim((struct text){ line.ptr, (size_t)(equals - line.ptr) });
	item.value =
		text_trim((struct text){ equals + 1, line.len - (size_t)(equals - line.ptr) - 1 });
	if (!is_name(item.name)) {
		return faulty(number, "a key is lower-case letters and _, as in max_body = 1MiB");
	}
	return item;
}

struct ini ini_start(struct text whole)
{
	/* A byte order mark says nothing in UTF-8; editors that write one mean no harm. */
	return (struct ini){ .rest = text_without_prefix(whole, TEXT("\xef\xbb\xbf")) };
}

static struct text next_line(struct ini *ini)
{
	const char *end = memchr(ini->rest.ptr, '\n', ini->rest.len);
	struct text line = { ini->rest.ptr, end ? (size_t)(end - ini->rest.ptr) : ini->rest.len };
	size_t used = line.len + (end ? 1 : 0);

	ini->rest = (struct text){ ini->rest.ptr + used, ini->rest.len - used };
	ini->line++;
	if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
		line.len--;
	}
	return line;
}

struct ini_item ini_next(struct ini *ini)
{
	while (ini->rest.len > 0) {
		struct text line = next_line(ini);
		const char *bad = value_bad_bytes(line);

		if (bad) {
			return faulty(ini->line, bad);
		}
		line = text_trim(line);
		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';') {
			continue;
		}
		return line.ptr[0] == '[' ? read_section(ini->line, line)
					  : read_value(ini->line, line);
	}
	return (struct ini_item){ .kind = INI_END, .line = ini->line };
}
