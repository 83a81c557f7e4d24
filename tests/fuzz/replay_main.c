/* Runs a fuzz target over files and directories of files, once each: the corpora as plain
 * tests, in builds without libFuzzer. A crash is the failure; so is an empty corpus. */
#include <dirent.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { READ_MAX = 1 << 20 };

static unsigned n_inputs;

static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rbe");
    uint8_t *data = malloc(READ_MAX);
    bool done = false;

    if (file != NULL && data != NULL) {
        size_t len = fread(data, 1, READ_MAX, file);
        uint8_t *tight = fuzz_tight(data, len);

        done = ferror(file) == 0;
        (void)printf("%s\n", path);
        (void)fflush(stdout); /* the last line names the one that crashed */
        (void)LLVMFuzzerTestOneInput(tight, len);
        free(tight);
        n_inputs++;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    free(data);
    return done;
}

static bool run_folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    bool done = n >= 0;

    for (int i = 0; i < n; i++) {
        char file[4096];

        (void)snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.') {
            done = run_file(file) && done;
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
    return done;
}

int main(int argc, char **argv)
{
    bool done = true;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            return 1;
        }
        done = (S_ISDIR(st.st_mode) ? run_folder(argv[i]) : run_file(argv[i])) && done;
    }
    (void)printf("%u inputs\n", n_inputs);
    return done && n_inputs > 0 ? 0 : 1;
}
