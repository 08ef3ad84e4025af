/* Any bytes at all as a configuration: faults or settings, never both for one key, never a value
 * that the table would not take. */
#include "settings/config.h"

#include <assert.h>
#include <stdint.h>

#include "../unit/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct faults faults = { .count = 0 };
	struct config *config = config_new();

	config_read_text(config, "fuzz", (struct text){ (const char *)data, size }, &faults);
	config_judge(config, &faults);
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++) {
		struct problem problem;
		int64_t number;
		struct text value = text_of(config_text(config, (enum config_key)key));

		assert(value_parse(&config_rules[key].value, value, &number, &problem));
		assert(number == setting_number(config, (enum config_key)key));
	}
	for (size_t i = 0; i < faults.count; i++) {
		assert(!value_bad_bytes(text_of(faults.list[i].text)));
	}
	config_free(config);
	fault_fini(&faults);
	return 0;
}
