/* Memory comes zeroed, or the program ends; copies are made in it. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/die.h"

/* Below the size at which the C library asks the kernel for each: what is given back serves the
 * next that asks. */
static struct {
	void *pieces[MEMORY_RESERVE_PIECES];
	size_t missing; /* of those that are kept */
} reserve;

static bool give_up_a_piece(void)
{
	for (size_t i = 0; i < MEMORY_RESERVE_PIECES; i++) {
		if (reserve.pieces[i]) {
			free(reserve.pieces[i]);
			reserve.pieces[i] = NULL;
			reserve.missing++;
			return true;
		}
	}
	return false;
}

static void get_pieces_back(void)
{
	for (size_t i = 0; reserve.missing > 0 && i < MEMORY_RESERVE_PIECES; i++) {
		if (!reserve.pieces[i]) {
			reserve.pieces[i] = malloc(MEMORY_SMALL_MAX);
			reserve.missing -= reserve.pieces[i] ? 1 : 0;
		}
	}
}

/* After an attempt that failed: is there a reason for another? */
static bool helped(size_t size)
{
	return size <= MEMORY_SMALL_MAX && give_up_a_piece();
}

void *memory_try(size_t size)
{
	void *memory;

	get_pieces_back();
	do {
		memory = malloc(size ? size : 1);
	} while (!memory && helped(size));
	return memory;
}

void *memory_try_again(void *memory, size_t size)
{
	void *moved;

	get_pieces_back();
	do {
		moved = realloc(memory, size);
	} while (!moved && size > 0 && helped(size));
	return moved;
}

void *memory_new(size_t size)
{
	void *memory;

	get_pieces_back();
	do {
		memory = calloc(1, size ? size : 1);
	} while (!memory && helped(size));
	if (!memory) {
		die("no memory for %zu bytes", size);
	}
	return memory;
}

char *memory_copy_text(struct text text)
{
	char *copy = memory_new(text.len + 1);

	if (text.len > 0) {
		memcpy(copy, text.ptr, text.len);
	}
	return copy;
}

char *memory_copy(const char *string)
{
	return memory_copy_text(text_of(string));
}

void memory_keep_reserve(void)
{
	reserve.missing = MEMORY_RESERVE_PIECES;
	if (memory_is_short()) {
		die("no memory for a reserve of %d bytes",
			MEMORY_RESERVE_PIECES * MEMORY_SMALL_MAX);
	}
}

bool memory_is_short(void)
{
	get_pieces_back();
	return reserve.missing > 0;
}

void memory_free_reserve(void)
{
	while (give_up_a_piece()) {
	}
	reserve.missing = 0;
}
