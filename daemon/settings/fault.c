/* Faults are kept in the order in which they are found, up to a number, and printed in one go. */
#include "settings/fault.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/memory.h"

enum { NEAREST_WORD_MAX = 48 }; /* bytes; longer words are nobody's slip of the hand */

void fault_fini(struct faults *faults)
{
	free(faults->list);
	*faults = (struct faults){ .count = 0 };
}

static void add(struct faults *faults, bool warning, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

static void add(struct faults *faults, bool warning, const char *format, va_list arguments)
{
	struct fault *fault;

	if (!faults->list) {
		faults->list = memory_new(FAULTS_MAX * sizeof(*faults->list));
	}
	faults->errors += warning ? 0 : 1;
	if (faults->count == FAULTS_MAX) {
		faults->dropped++;
		return;
	}
	fault = &faults->list[faults->count++];
	fault->warning = warning;
	if (vsnprintf(fault->text, FAULT_TEXT_MAX, format, arguments) >= FAULT_TEXT_MAX) {
		struct text cut = { fault->text, FAULT_TEXT_MAX - 1 };

		fault->text[text_cut_utf8(cut, FAULT_TEXT_MAX - 2).len] = '\0';
	}
	for (char *c = fault->text; *c; c++) {
		*c = (*c >= 0 && *c < ' ') || *c == 0x7f ? ' ' : *c; /* one line, no escapes */
	}
}

void fault_add(struct faults *faults, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(faults, false, format, arguments);
	va_end(arguments);
}

void fault_warn(struct faults *faults, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(faults, true, format, arguments);
	va_end(arguments);
}

void fault_print(const struct faults *faults, FILE *stream)
{
	for (size_t i = 0; i < faults->count; i++) {
		const struct fault *fault = &faults->list[i];

		fprintf(stream, "orderd: %s%s\n", fault->warning ? "warning: " : "", fault->text);
	}
	if (faults->dropped > 0) {
		fprintf(stream, "orderd: and %zu more\n", faults->dropped);
	}
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
static unsigned edit_distance(struct text a, struct text b)
{
	unsigned cost[NEAREST_WORD_MAX + 1][NEAREST_WORD_MAX + 1];

	for (unsigned i = 0; i <= a.len; i++) {
		for (unsigned j = 0; j <= b.len; j++) {
			if (i == 0 || j == 0) {
				cost[i][j] = i + j;
				continue;
			}
			unsigned other = a.ptr[i - 1] == b.ptr[j - 1] ? 0 : 1;

			cost[i][j] = least(least(cost[i - 1][j], cost[i][j - 1]) + 1,
				cost[i - 1][j - 1] + other);
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
				a.ptr[i - 2] == b.ptr[j - 1]) {
				cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
			}
		}
	}
	return cost[a.len][b.len];
}

const char *fault_nearest_word(struct text word, const char *const *candidates, size_t count)
{
	const char *nearest = NULL;
	unsigned limit = (unsigned)(word.len / 3) + 2; /* the first distance that is too far */

	if (word.len == 0 || word.len > NEAREST_WORD_MAX) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		struct text candidate = text_of(candidates[i]);

		if (candidate.len > NEAREST_WORD_MAX) {
			continue;
		}
		unsigned distance = edit_distance(word, candidate);

		if (distance < limit) {
			nearest = candidates[i];
			limit = distance;
		}
	}
	return nearest;
}
