#include "base/problem.h"

#include <string.h>

#include "check.h"

int main(void)
{
	struct problem problem = { "before" };
	char longer[2 * PROBLEM_MAX];

	CHECK(!problem_say(&problem, "%s has %d", "it", 2), "saying a problem is false");
	CHECK(strcmp(problem.text, "it has 2") == 0, "the sentence is there");
	problem_say(&problem, "so: %s", problem.text);
	CHECK(strcmp(problem.text, "so: it has 2") == 0, "a sentence may quote the one before it");

	for (size_t i = 0; i + 2 < sizeof(longer); i += 2) {
		memcpy(longer + i, "\xc3\xa9", 3);
	}
	problem_say(&problem, "%s", longer);
	CHECK(strlen(problem.text) % 2 == 0 && strlen(problem.text) >= PROBLEM_MAX - 4,
		"a long sentence is cut between characters");
	problem_say(&problem, "x%s", longer);
	CHECK(strlen(problem.text) % 2 == 1 && strlen(problem.text) >= PROBLEM_MAX - 4,
		"also where the last one would end with the room");
	return check_done();
}
