/* replay - run a fuzz target once over every file given, or in the directories given.
 *
 * Stands in for libFuzzer in ordinary builds: whatever was found once is tried in each run. A
 * corpus that is empty or not there is a failure, not a success without work.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed_count;

_Noreturn static void give_up(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static void replay_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	/* Exactly as long as the file, so that a sanitizer sees one byte read beyond it. */
	uint8_t *bytes = malloc(size ? size : 1);

	if (!file || !bytes) {
		give_up(path);
	}
	if (fread(bytes, 1, size, file) != size) {
		errno = EIO;
		give_up(path);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);
	free(bytes);
	replayed_count++;
}

static void replay(const char *path);

static void replay_directory(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, alphasort);

	if (count < 0) {
		give_up(path);
	}
	for (int i = 0; i < count; i++) {
		char *inner = NULL;

		if (entries[i]->d_name[0] != '.') {
			if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0) {
				give_up(path);
			}
			replay(inner);
		}
		free(inner);
		free(entries[i]);
	}
	free(entries);
}

static void replay(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0) {
		give_up(path);
	}
	if (S_ISDIR(status.st_mode)) {
		replay_directory(path);
	} else {
		replay_file(path, (size_t)status.st_size);
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		replay(argv[i]);
	}
	if (replayed_count == 0) {
		fprintf(stderr, "nothing to replay\n");
		return 1;
	}
	printf("%zu inputs replayed\n", replayed_count);
	return 0;
}
