/* Any bytes: no time outside the years 2000 to 2100, and none that cannot be written and read back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/stamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void broken(const char *promise)
{
	fprintf(stderr, "broken: %s\n", promise);
	abort();
}

static void check_round_trip(int64_t us)
{
	char formatted[STAMP_TEXT_MAX];
	int64_t again;

	if (us < 946684800000000 || us >= 4133980800000000) {
		broken("within 2000 to 2100");
	}
	stamp_format(us, formatted);
	if (!stamp_parse(text_of(formatted), &again) || again != us) {
		broken("what was written is read back");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char formatted[STAMP_TEXT_MAX];
	int64_t us;
	double seconds;

	if (stamp_parse((struct text){ (const char *)data, size }, &us)) {
		check_round_trip(us);
	}
	if (size >= sizeof(seconds)) {
		memcpy(&seconds, data, sizeof(seconds));
		if (stamp_from_unix(seconds, &us)) {
			check_round_trip(us);
		}
	}
	if (size >= sizeof(us)) {
		memcpy(&us, data, sizeof(us));
		stamp_format(us, formatted);
		if (!memchr(formatted, '\0', sizeof(formatted))) {
			broken("every number has a text that ends");
		}
	}
	return 0;
}
