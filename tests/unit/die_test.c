#include "base/die.h"
#include "base/memory.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#endif

static char last_words[256];

static void die_of_a_bug(void)
{
	die("the answer is %d, not %s", 42, "six");
}

/* More than any address space. */
static void die_of_hunger(void)
{
	free(memory_new((size_t)PTRDIFF_MAX));
}

/* The wait status of a child that ran act; its stderr goes to last_words. */
static int run_in_child(void (*act)(void))
{
	static const struct rlimit no_core = { 0, 0 };
	int ends[2];
	int status = 0;
	size_t len = 0;
	ssize_t got;

	if (pipe(ends) != 0) {
		return -1;
	}

	pid_t child = fork();

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(ends[1], STDERR_FILENO);
		act();
		_exit(0);
	}
	close(ends[1]);
	while (len < sizeof(last_words) - 1 &&
		(got = read(ends[0], last_words + len, sizeof(last_words) - 1 - len)) > 0) {
		len += (size_t)got;
	}
	last_words[len] = '\0';
	close(ends[0]);
	return waitpid(child, &status, 0) == child ? status : -1;
}

int main(void)
{
	static const char zeros[64];
	int status = run_in_child(die_of_a_bug);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "our bug aborts the process");
	CHECK(strstr(last_words, "orderd: the answer is 42, not six"), "and says why (got \"%s\")",
		last_words);

	char *memory = memory_new(sizeof(zeros));
	char *copy = memory_copy("text");

	CHECK(memcmp(memory, zeros, sizeof(zeros)) == 0, "new memory is zeroed");
	CHECK(strcmp(copy, "text") == 0, "a copy is the same text");
	free(memory);
	free(copy);
	free(memory_new(0));
	CHECK(true, "nothing can be asked for, and freed");
#ifndef SANITIZED
	status = run_in_child(die_of_hunger);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "no memory aborts the process");
	CHECK(strstr(last_words, "no memory"), "and says so (got \"%s\")", last_words);
#else
	(void)die_of_hunger; /* the sanitizer's allocator has its own last words */
#endif
	return check_done();
}
