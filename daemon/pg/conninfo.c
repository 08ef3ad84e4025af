/* A conninfo is judged by libpq's own reader, so that no spelling of a password is missed. */
#include "pg/conninfo.h"

#include <libpq-fe.h>
#include <string.h>

#include "base/text.h"

enum { WORD_MAX = 32 };

/* What the reader stumbled over may be the end of a password: "password=correct horse=battery". */
static bool may_hold_password(const char *conninfo)
{
	return strcasestr(conninfo, "password") || strpbrk(conninfo, "@%");
}

/* A word of libpq's kind in quotes at the end; a secret in a keyword's place seldom looks so. */
static bool names_a_word(struct text message, struct text prefix)
{
	struct text word = text_without_prefix(message, prefix);

	if (word.len == message.len || word.len < 2 || word.len > WORD_MAX + 1 ||
		word.ptr[word.len - 1] != '"') {
		return false;
	}
	for (size_t i = 0; i + 1 < word.len; i++) {
		if ((word.ptr[i] < 'a' || word.ptr[i] > 'z') && word.ptr[i] != '_') {
			return false;
		}
	}
	return true;
}

/* libpq's other sentences repeat conninfo, or what stands in the place of a value. */
static bool say_unreadable(const char *conninfo, const char *message, struct problem *problem)
{
	struct text said = { message, message ? strcspn(message, "\n") : 0 };

	if (!may_hold_password(conninfo) &&
		(names_a_word(said, TEXT("invalid connection option \"")) ||
			names_a_word(said, TEXT("invalid URI query parameter: \"")))) {
		return problem_say(problem, "cannot be read: %.*s", (int)said.len, said.ptr);
	}
	return problem_say(problem, "cannot be read: it is keyword=value pairs, or a URI");
}

/* libpq marks with "*" what a dialog would not show. */
static bool has_password(const PQconninfoOption *option)
{
	for (; option->keyword; option++) {
		if (option->dispchar[0] == '*' && option->val && option->val[0] != '\0') {
			return true;
		}
	}
	return false;
}

bool conninfo_judge(const char *conninfo, struct problem *problem)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	bool good = true;

	if (!options) {
		good = say_unreadable(conninfo, message, problem);
	} else if (has_password(options)) {
		good = problem_say(problem,
			"holds a password; use peer authentication, or passfile=/path to a file of "
			"passwords");
	}
	PQconninfoFree(options);
	PQfreemem(message);
	return good;
}
