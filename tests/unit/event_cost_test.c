/* What the dearest bodies cost. */
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "order/event.h"

enum { LARGE = 1 << 20 };

#define BEGIN "{\"event\":\"order.paid\",\"data\":{\"orderId\":\"order_1\",\"metadata\":"

static char large[LARGE];
static struct json_room room;

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The best of three: what else the machine does is not our cost. */
static double parse_ms(struct text body, struct fact *ret_fact)
{
	double best_ms = 1e9;

	for (int i = 0; i < 3; i++) {
		double began_ms = cpu_ms();

		event_parse(body, 0, TEXT(""), &room, ret_fact);
		double took_ms = cpu_ms() - began_ms;
		best_ms = took_ms < best_ms ? took_ms : best_ms;
	}
	return best_ms;
}

/* Costs are guarded at five times their figure, and not at all under valgrind. */
static void check_cost(const char *what, struct text body, double most_ms, const char *unusable)
{
	const char *preload = getenv("LD_PRELOAD");
	double guard = preload && strstr(preload, "vgpreload") ? 1e6 : 5;
	struct fact fact;
	double ms = parse_ms(body, &fact);

	CHECK(unusable ? fact.unusable && strcmp(fact.unusable, unusable) == 0 : !fact.unusable,
		"%s: %s", what, fact.unusable ? fact.unusable : "taken");
	CHECK(ms <= most_ms * guard, "%s cost %.0f ms at most (%.2f ms)", what, most_ms, ms);
}

static struct text read_file(const char *directory, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "rb");
	if (!CHECK(file, "%s can be read", path)) {
		return TEXT("");
	}
	size_t len = fread(large, 1, sizeof(large), file);
	fclose(file);
	return (struct text){ large, len };
}

/* As many members as fit into max_body: each the text before, a number of its own, the text behind.
 */
static struct text filled(
	const char *open, const char *before, const char *behind, const char *close)
{
	size_t len = (size_t)snprintf(large, sizeof(large), "%s%s", BEGIN, open);

	for (size_t i = 0x10000; len + 64 < sizeof(large); i++) {
		len += (size_t)snprintf(large + len, 64, "%s%zx%s", before, i, behind);
	}
	len--; /* the last comma */
	len += (size_t)snprintf(large + len, sizeof(large) - len, "%s}}", close);
	return (struct text){ large, len };
}

static struct text small_values(void)
{
	size_t len = (size_t)snprintf(large, sizeof(large), "%s[", BEGIN);

	while (len + 64 < sizeof(large)) {
		large[len++] = '0';
		large[len++] = ',';
	}
	len += (size_t)snprintf(large + len, sizeof(large) - len, "0]}}");
	return (struct text){ large, len };
}

/* As few names as make an object that is sorted, and as long as fit, with the same beginning. */
static struct text long_names(size_t count, const char *letter)
{
	size_t len = (size_t)snprintf(large, sizeof(large), "%s{", BEGIN);
	size_t letters = (sizeof(large) - len - 64) / count / strlen(letter) - 10;

	for (size_t i = 0; i < count; i++) {
		large[len++] = '"';
		for (size_t n = 0; n < letters; n++) {
			memcpy(large + len, letter, strlen(letter));
			len += strlen(letter);
		}
		len += (size_t)snprintf(large + len, 32, "%04zx\":0,", i * 7919 % 65536);
	}
	len--;
	len += (size_t)snprintf(large + len, sizeof(large) - len, "}}}");
	return (struct text){ large, len };
}

static void check_costs(const char *directory)
{
	check_cost("9,990 names made to collide in a hash",
		read_file(directory, "events/colliding_keys.json"), 25, NULL);
	check_cost("90,000 names", filled("{", "\"", "\":0,", "}"), 50, NULL);
	check_cost("names in escapes", filled("{", "\"\\u0061", "\":0,", "}"), 50, NULL);
	check_cost("100 long names", long_names(100, "a"), 50, NULL);
	check_cost("1,000 long names", long_names(1000, "a"), 50, NULL);
	check_cost("10,000 names of the same beginning", long_names(10000, "a"), 50, NULL);
	check_cost("long names beyond ASCII", long_names(1000, "\xc3\xa9"), 50, NULL);
	check_cost("long names in escapes", long_names(1000, "\\n"), 50, NULL);
	check_cost("500,000 values", small_values(), 50, NULL);
	check_cost("50,000 lines of a cart",
		filled("0,\"cart\":{\"items\":[", "{\"productId\":\"", "\"},", "]}"), 100, NULL);
	memset(large, '[', sizeof(large));
	check_cost("a million brackets", (struct text){ large, 1000000 }, 5, "too_deep");
}

int main(int argc, char **argv)
{
	room.size = json_room_size(LARGE);
	room.memory = malloc(room.size);
	if (CHECK(argc == 2 && room.memory, "the directory of test data is given")) {
		check_costs(argv[1]);
	}
	free(room.memory);
	return check_done();
}
