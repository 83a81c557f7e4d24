/* Any bytes as a configuration file, for both programs' schemas. What is accepted is
 * printed, and the print, read again, prints the same. */
#ifndef TESTS_FUZZ_CONF_TARGET_H
#define TESTS_FUZZ_CONF_TARGET_H

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* A file in memory with this content, and the path by which it is opened. */
struct conf_file {
    int fd;
    char path[32];
};

static inline struct conf_file conf_file_of(const void *data, size_t len)
{
    struct conf_file file = {.fd = memfd_create("conf", MFD_CLOEXEC)};

    FUZZ_CHECK(file.fd >= 0 && write(file.fd, data, len) == (ssize_t)len);
    (void)snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
    return file;
}

/* A masked secret is no secret: the line is blanked out, which leaves the key to its
 * default. */
static inline void conf_unmask(const struct conf_file *file, const char *text)
{
    static const char line[] = "\n  hs256_secret: '********'";
    const char *at = strstr(text, line);
    char blank[sizeof(line) - 2];

    memset(blank, ' ', sizeof(blank));
    if (at != NULL) {
        FUZZ_CHECK(pwrite(file->fd, blank, sizeof(blank), at + 1 - text) ==
                   (ssize_t)sizeof(blank));
    }
}

/* check  x_conf_check(): prints the effective configuration of a file; 0 if it is right */
static inline void conf_prints_the_same(const struct conf_file *file,
                                        int (*check)(const char *path, FILE *out))
{
    char *first = NULL;
    char *second = NULL;
    size_t first_len = 0;
    size_t second_len = 0;
    FILE *out = open_memstream(&first, &first_len);
    struct conf_file printed;

    FUZZ_CHECK(out != NULL && check(file->path, out) == 0 && fclose(out) == 0);
    printed = conf_file_of(first, first_len);
    conf_unmask(&printed, first);
    out = open_memstream(&second, &second_len);
    FUZZ_CHECK(out != NULL && check(printed.path, out) == 0 && fclose(out) == 0);
    FUZZ_CHECK(first_len == second_len && memcmp(first, second, first_len) == 0);
    (void)close(printed.fd);
    free(first);
    free(second);
}

#endif
