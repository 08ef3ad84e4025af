#include "io/parray.h"

#include <stdlib.h>

#include "check.h"

enum { HEX_MAX = 1024, UNIT = 1024 * 1024 };

static char hex[HEX_MAX];

/* What the server is sent, as hex digits; "overflowed" when it is not. */
static const char *written(struct parray *array)
{
	struct text bytes;

	if (!parray_bytes(array, &bytes)) {
		return "overflowed";
	}
	hex[0] = '\0';
	for (size_t i = 0; i < bytes.len && 2 * i + 2 < sizeof(hex); i++) {
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes.ptr[i]);
	}
	return hex;
}

static void check_same(struct parray *array, const char *expected, const char *promise)
{
	const char *got = written(array);

	CHECK(strcmp(got, expected) == 0, "%s (got %s)", promise, got);
}

static void check_layout(void)
{
	struct parray array;

	parray_init(&array, PARRAY_TEXT);
	check_same(&array,
		"00000000"
		"00000000"
		"00000019",
		"an array without elements has no dimension");
	parray_add(&array, TEXT("ab"));
	parray_add(&array, TEXT(""));
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
	parray_add_null(&array);
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
	parray_clear(&array);
	parray_add(&array, (struct text){ "\0{,\"", 4 });
	check_same(&array,
		"00000001"
		"00000000"
		"00000019"
		"00000001"
		"00000001"
		"00000004"
		"007b2c22",
		"a cleared array begins again; bytes are taken as they are");
	parray_fini(&array);
}

static void check_types(void)
{
	static const struct {
		const char *promise;
		enum parray_type type;
		const char *oid;
	} cases[] = {
		{ "text is type 25", PARRAY_TEXT, "00000019" },
		{ "bytea is type 17", PARRAY_BYTEA, "00000011" },
		{ "timestamptz is type 1184", PARRAY_TIMESTAMPTZ, "000004a0" },
		{ "json is type 114", PARRAY_JSON, "00000072" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct parray array;

		parray_init(&array, cases[i].type);
		CHECK(strncmp(written(&array) + 16, cases[i].oid, 8) == 0, "%s", cases[i].promise);
		parray_fini(&array);
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
		struct parray array;

		parray_init(&array, PARRAY_TIMESTAMPTZ);
		parray_add_time(&array, cases[i].us);
		CHECK(strcmp(written(&array) + 48, cases[i].element) == 0, "%s (got %s)",
			cases[i].promise, hex + 48);
		parray_fini(&array);
	}
	struct parray array;

	parray_init(&array, PARRAY_TIMESTAMPTZ);
	parray_add_time(&array, INT64_MIN);
	CHECK(strcmp(written(&array), "overflowed") == 0, "a time that cannot be is refused");
	parray_fini(&array);
}

static void check_limit(void)
{
	struct parray array;
	struct text big = { calloc(1, UNIT), UNIT };
	struct text bytes;
	int count = 0;

	parray_init(&array, PARRAY_BYTEA);
	while (count < 1000 && parray_bytes(&array, &bytes)) {
		parray_add(&array, big);
		count++;
	}
	CHECK(count == PARRAY_BYTES_MAX / UNIT, "there is a limit (after %d MiB)", count);
	parray_add_null(&array);
	CHECK(!parray_bytes(&array, &bytes), "what did not fit is not forgotten");
	parray_clear(&array);
	parray_add(&array, (struct text){ big.ptr, SIZE_MAX });
	CHECK(!parray_bytes(&array, &bytes), "a length that overflows is refused");
	parray_clear(&array);
	CHECK(parray_bytes(&array, &bytes), "a cleared array is well again");
	parray_fini(&array);
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
