/* Copies of test bytes on the heap, exactly as long as the data, so that AddressSanitizer
 * sees a parser that reads one byte too many. */
#ifndef TESTS_SUPPORT_EXACT_H
#define TESTS_SUPPORT_EXACT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Moved to the caller, who frees it. */
static inline uint8_t *exact_copy(const void *data, size_t len)
{
    uint8_t *copy = (uint8_t *)malloc(len > 0 ? len : 1);

    if (copy == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

/* Loads tests/vectors/<name>: hexadecimal digits, white space ignored, '#' comments to the
 * end of the line. Returns the count of bytes, 0 if it cannot be read or does not fit. */
static inline size_t vector_load(const char *name, uint8_t *out, size_t cap)
{
    char path[512];
    size_t n_digits = 0;
    FILE *file;
    int c;

    (void)snprintf(path, sizeof(path), "%s/%s", KCS_TEST_VECTORS, name);
    file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    while ((c = fgetc(file)) != EOF) {
        const char *digits = "0123456789abcdef";
        const char *at = c != 0 ? strchr(digits, c) : NULL;

        if (c == '#') {
            while ((c = fgetc(file)) != EOF && c != '\n') {
            }
        } else if (at != NULL && n_digits / 2 < cap) {
            unsigned v = (unsigned)(at - digits);

            out[n_digits / 2] =
                (uint8_t)(n_digits % 2 == 0 ? v << 4 : out[n_digits / 2] | v);
            n_digits++;
        } else if (at != NULL) {
            n_digits = 0;
            break;
        }
    }
    (void)fclose(file);
    return n_digits / 2;
}

#endif
