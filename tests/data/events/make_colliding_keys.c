/* Makes colliding_keys.json: an event whose metadata has as many keys as a body may have, all in
 * one bucket of jansson's hash table if its seed were 1 (Bob Jenkins's hashlittle of five bytes,
 * the low 14 bits). event_cost_test shows that with a seed nobody knows they cost as little as
 * others.
 *
 *	cc -O2 make_colliding_keys.c -o make && ./make > colliding_keys.json
 */
#include <stdint.h>
#include <stdio.h>

enum { SEED = 1, KEY_BYTES = 5, KEY_COUNT = 9990, BUCKET_MASK = (1 << 14) - 1 };

static uint32_t rotate(uint32_t value, int bits)
{
	return value << bits | value >> (32 - bits);
}

static uint32_t hash(const char *key)
{
	uint32_t a = 0xdeadbeef + KEY_BYTES + SEED;
	uint32_t b = a;
	uint32_t c = a;

	a += (uint32_t)key[0] | (uint32_t)key[1] << 8 | (uint32_t)key[2] << 16 |
	     (uint32_t)key[3] << 24;
	b += (uint32_t)key[4];
	c = (c ^ b) - rotate(b, 14);
	a = (a ^ c) - rotate(c, 11);
	b = (b ^ a) - rotate(a, 25);
	c = (c ^ b) - rotate(b, 16);
	a = (a ^ c) - rotate(c, 4);
	b = (b ^ a) - rotate(a, 14);
	return (c ^ b) - rotate(b, 24);
}

int main(void)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	int count = 0;

	printf("{\"event\":\"order.created\",\"data\":{\"orderId\":\"order_1\",\"metadata\":{");
	for (uint32_t i = 0; count < KEY_COUNT; i++) {
		char key[KEY_BYTES + 1] = { letters[i & 63], letters[i >> 6 & 63],
			letters[i >> 12 & 63], letters[i >> 18 & 63], letters[i >> 24 & 63] };

		if ((hash(key) & BUCKET_MASK) == 0) {
			printf("%s\"%s\":0", count ? "," : "", key);
			count++;
		}
	}
	printf("}}}\n");
	return 0;
}
