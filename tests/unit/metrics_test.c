#include "base/metrics.h"

#include <regex.h>
#include <stdlib.h>

#include "check.h"

enum { LINE_MAX_BYTES = 512, FAMILIES_MAX = 64 };

/* The grammar of the text format 0.0.4, for what is used of it. */
#define NAME  "[a-zA-Z_:][a-zA-Z0-9_:]*"
#define LABEL "[a-zA-Z_][a-zA-Z0-9_]*=\"([^\"\\\n]|\\\\[\\\\n\"])*\""
#define VALUE "([+-]?[0-9]+(\\.[0-9]+)?(e[+-]?[0-9]+)?|[+-]Inf|NaN)"

static regex_t help_line;
static regex_t type_line;
static regex_t sample_line;

static char *exposition;

static void render(void)
{
	size_t len = 0;

	free(exposition);
	exposition = metrics_render(&len);
	CHECK(exposition && strlen(exposition) == len, "the exposition has the length it says");
}

static bool has_line(const char *line)
{
	char whole[LINE_MAX_BYTES];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	return strstr(exposition, whole);
}

static bool matches(const regex_t *pattern, const char *line)
{
	return regexec(pattern, line, 0, NULL, 0) == 0;
}

/* The name a sample belongs to: histograms add an ending of three. */
static void family_of(const char *sample, char *ret_family)
{
	static const char *const endings[] = { "_bucket", "_sum", "_count" };
	size_t len = strcspn(sample, "{ ");

	memcpy(ret_family, sample, len);
	ret_family[len] = '\0';
	for (size_t i = 0; i < 3; i++) {
		size_t ending = strlen(endings[i]);

		if (len > ending && strcmp(ret_family + len - ending, endings[i]) == 0) {
			ret_family[len - ending] = '\0';
			return;
		}
	}
}

struct family {
	char name[LINE_MAX_BYTES];
	char type[16];
};

static struct family families[FAMILIES_MAX];
static size_t family_count;

static void check_type(const char *line)
{
	struct family *family = &families[family_count];

	if (sscanf(line, "# TYPE %511s %15s", family->name, family->type) != 2) {
		CHECK(false, "%s: has a name and a type", line);
		return;
	}
	for (size_t i = 0; i < family_count; i++) {
		CHECK(strcmp(families[i].name, family->name) != 0, "%s: its type is said once",
			family->name);
	}

	size_t len = strlen(family->name);
	bool total = len > 6 && strcmp(family->name + len - 6, "_total") == 0;

	CHECK(total == (strcmp(family->type, "counter") == 0), "%s: a counter ends in _total",
		family->name);
	CHECK(strncmp(family->name, "orderd_", 7) == 0, "%s: is ours", family->name);
	family_count++;
}

static void check_sample(const char *line)
{
	char family[LINE_MAX_BYTES];

	family_of(line, family);
	CHECK(matches(&sample_line, line), "%s: is a sample", line);
	CHECK(family_count > 0 && strcmp(families[family_count - 1].name, family) == 0,
		"%s: stands below its type", line);
}

static void check_grammar(void)
{
	char *rest = exposition;
	char *line;

	CHECK(exposition[strlen(exposition) - 1] == '\n', "the last line ends");
	while ((line = strsep(&rest, "\n")) && *line) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			CHECK(matches(&help_line, line), "%s: is help", line);
		} else if (line[0] == '#') {
			CHECK(matches(&type_line, line), "%s: is a type", line);
			check_type(line);
		} else {
			check_sample(line);
		}
	}
	CHECK(!rest || !*rest, "no line is empty");
}

static void check_values(void)
{
	render();
	CHECK(has_line("orderd_deliveries_total{outcome=\"applied\"} 0"),
		"what has not happened is there, and zero");
	metrics_add(METRIC_DELIVERIES_APPLIED, 2);
	metrics_add(METRIC_DELIVERIES_APPLIED, 3);
	metrics_add(METRIC_SIGNATURE_PREVIOUS, 1);
	metrics_set(METRIC_CONNECTIONS_OPEN, 7);
	metrics_add(METRIC_CONNECTIONS_OPEN, -2);
	metrics_add(METRIC_CONNECTIONS_ACCEPTED, 5000000000000000000);
	render();
	CHECK(metrics_get(METRIC_DELIVERIES_APPLIED) == 5, "a counter adds up");
	CHECK(has_line("orderd_deliveries_total{outcome=\"applied\"} 5"), "and is rendered");
	CHECK(has_line("orderd_deliveries_total{outcome=\"duplicate\"} 0"),
		"its neighbour is untouched");
	CHECK(has_line("orderd_signature_matches_total{secret=\"previous\"} 1"),
		"the secret that matched is counted");
	CHECK(has_line("orderd_connections_open 5"), "a gauge goes both ways");
	CHECK(has_line("orderd_connections_accepted_total 5000000000000000000"),
		"a large counter is rendered digit for digit");
}

static void check_histogram(void)
{
	metrics_observe(HISTOGRAM_BATCH_FACTS, 1);
	metrics_observe(HISTOGRAM_BATCH_FACTS, 2);
	metrics_observe(HISTOGRAM_BATCH_FACTS, 3);
	metrics_observe(HISTOGRAM_BATCH_FACTS, 1000);
	metrics_observe(HISTOGRAM_COMMIT_SECONDS, 0.0005);
	render();
	CHECK(has_line("orderd_batch_facts_bucket{le=\"1\"} 1"), "a bound is part of its bucket");
	CHECK(has_line("orderd_batch_facts_bucket{le=\"2\"} 2"), "buckets add up");
	CHECK(has_line("orderd_batch_facts_bucket{le=\"4\"} 3"), "the next bucket holds the rest");
	CHECK(has_line("orderd_batch_facts_bucket{le=\"256\"} 3"), "the last bound leaves one out");
	CHECK(has_line("orderd_batch_facts_bucket{le=\"+Inf\"} 4"), "+Inf holds all");
	CHECK(has_line("orderd_batch_facts_count 4"), "the count is that of +Inf");
	CHECK(has_line("orderd_batch_facts_sum 1006"), "the sum is the sum");
	CHECK(has_line("orderd_commit_duration_seconds_bucket{le=\"0.0005\"} 1"),
		"half a millisecond has a bucket");
}

static void check_odd(void)
{
	metrics_add_odd("total", "fault");
	metrics_add_odd("total", "assumed");
	metrics_add_odd("items.price", "fault");
	metrics_add_odd("total", "fault");
	render();
	CHECK(has_line("orderd_odd_values_total{field=\"total\",kind=\"fault\"} 2") &&
			has_line("orderd_odd_values_total{field=\"total\",kind=\"assumed\"} 1") &&
			has_line("orderd_odd_values_total{field=\"items.price\",kind=\"fault\"} 1"),
		"what is odd is counted by field and kind");
}

/* A hole in the table would render as "(null)". Histograms have lines of their own. */
static void check_complete(void)
{
	size_t samples = 0;

	render();
	CHECK(!strstr(exposition, "(null)"), "every series has a name");
	for (const char *line = exposition; *line; line = strchr(line, '\n') + 1) {
		size_t name = strcspn(line, "{ \n");

		samples += line[0] != '#' && !memmem(line, name, "_duration_seconds", 17) &&
			   !memmem(line, name, "_batch_facts", 12);
	}
	CHECK(samples == METRIC_COUNT, "every series is rendered once (%zu of %d)", samples,
		METRIC_COUNT);
}

int main(void)
{
	regcomp(&help_line, "^# HELP " NAME " [^\\]+$", REG_EXTENDED | REG_NOSUB);
	regcomp(&type_line, "^# TYPE " NAME " (counter|gauge|histogram)$",
		REG_EXTENDED | REG_NOSUB);
	regcomp(&sample_line, "^" NAME "(\\{" LABEL "(," LABEL ")*\\})? " VALUE "$",
		REG_EXTENDED | REG_NOSUB);
	check_values();
	check_histogram();
	check_complete();
	check_odd();
	check_grammar();
	CHECK(family_count >= HISTOGRAM_COUNT + 10, "families are there (%zu)", family_count);
	regfree(&help_line);
	regfree(&type_line);
	regfree(&sample_line);
	free(exposition);
	return check_done();
}
