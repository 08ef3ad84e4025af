#include "pg/array.h"

#include <stdlib.h>

#include "check.h"

enum { HEX_MAX = 1024, UNIT = 1024 * 1024 };

static char hex[HEX_MAX];

/* What the server is sent, as hex digits; "overflowed" when it is not. */
static const char *written(struct array *array)
{
	struct text bytes;

	if (!array_bytes(array, &bytes)) {
		return "overflowed";
	}
	hex[0] = '\0';
	for (size_t i = 0; i < bytes.len && 2 * i + 2 < sizeof(hex); i++) {
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes.ptr[i]);
	}
	return hex;
}

static void check_same(struct array *array, const char *expected, const char *promise)
{
	const char *got = written(array);

	CHECK(strcmp(got, expected) == 0, "%s (got %s)", promise, got);
}

static void check_layout(void)
{
	struct array array;

	array_init(&array, ARRAY_TEXT);
	check_same(&array,
		"00000000"
		"00000000"
		"00000019",
		"an array without elements has no dimension");
	array_add(&array, TEXT("ab"));
	array_add(&array, TEXT(""));
	check_same(&array,
		"00000001"
		"00000000"
		"00000019"
		"00000002"
		"00000001"
		"00000002"
		"6162"
		"00000000",
		"texts are lengths and bytes; the empty one is no null");
	array_add_null(&array);
	check_same(&array,
		"00000001"
		"00000001"
		"00000019"
		"00000003"
		"00000001"
		"00000002"
		"6162"
		"00000000"
		"ffffffff",
		"a null is a length of -1, and told in the head");
	array_clear(&array);
	array_add(&array, (struct text){ "\0{,\"", 4 });
	check_same(&array,
		"00000001"
		"00000000"
		"00000019"
		"00000001"
		"00000001"
		"00000004"
		"007b2c22",
		"a cleared array begins again; bytes are taken as they are");
	array_fini(&array);
}

static void check_types(void)
{
	static const struct {
		const char *promise;
		enum array_type type;
		const char *oid;
	} cases[] = {
		{ "text is type 25", ARRAY_TEXT, "00000019" },
		{ "bytea is type 17", ARRAY_BYTEA, "00000011" },
		{ "timestamptz is type 1184", ARRAY_TIMESTAMPTZ, "000004a0" },
		{ "json is type 114", ARRAY_JSON, "00000072" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct array array;

		array_init(&array, cases[i].type);
		CHECK(strncmp(written(&array) + 16, cases[i].oid, 8) == 0, "%s", cases[i].promise);
		array_fini(&array);
	}
}

static void check_times(void)
{
	static const struct {
		const char *promise;
		int64_t us;
		const char *element;
	} cases[] = {
		{ "the server counts from the year 2000", INT64_C(946684800000000),
			"0000000000000000" },
		{ "microseconds count", INT64_C(946684800000001), "0000000000000001" },
		{ "1970 is before that", 0, "fffca2fec4c82000" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct array array;

		array_init(&array, ARRAY_TIMESTAMPTZ);
		array_add_time(&array, cases[i].us);
		CHECK(strcmp(written(&array) + 48, cases[i].element) == 0, "%s (got %s)",
			cases[i].promise, hex + 48);
		array_fini(&array);
	}
	struct array array;

	array_init(&array, ARRAY_TIMESTAMPTZ);
	array_add_time(&array, INT64_MIN);
	CHECK(strcmp(written(&array), "overflowed") == 0, "a time that cannot be is refused");
	array_fini(&array);
}

static void check_limit(void)
{
	struct array array;
	struct text big = { calloc(1, UNIT), UNIT };
	struct text bytes;
	int count = 0;

	array_init(&array, ARRAY_BYTEA);
	while (count < 1000 && array_bytes(&array, &bytes)) {
		array_add(&array, big);
		count++;
	}
	CHECK(count == ARRAY_BYTES_MAX / UNIT, "there is a limit (after %d MiB)", count);
	array_add_null(&array);
	CHECK(!array_bytes(&array, &bytes), "what did not fit is not forgotten");
	array_clear(&array);
	array_add(&array, (struct text){ big.ptr, SIZE_MAX });
	CHECK(!array_bytes(&array, &bytes), "a length that overflows is refused");
	array_clear(&array);
	CHECK(array_bytes(&array, &bytes), "a cleared array is well again");
	array_fini(&array);
	free((void *)(uintptr_t)big.ptr);
}

int main(void)
{
	check_layout();
	check_types();
	check_times();
	check_limit();
	return check_done();
}
