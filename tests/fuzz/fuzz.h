/* What the fuzz targets share: the entry point's prototype, a reader that spends the input
 * as decisions, and the check that turns a broken promise into a crash.
 *
 * A target is one fuzz_<name>.c with LLVMFuzzerTestOneInput(). With KCS_FUZZ it is linked
 * with libFuzzer; in every build it is linked with replay_main.c, which runs it over the
 * files of corpus/<name>. Its state must not depend on the inputs before. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "sfu/base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(cond)                                                                   \
    do {                                                                                   \
        if (!(cond)) {                                                                     \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond);       \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* The input as a series of decisions; zeros when it is used up. rbytes_u8() and the like
 * read single ones. */
static inline struct rbytes fuzz_in(const uint8_t *data, size_t size)
{
    return rbytes_of(data, size);
}

static inline bool fuzz_more(const struct rbytes *in)
{
    return !in->bad && rbytes_left(in) > 0;
}

/* The next block: two bytes of length, then that many bytes or as many as there are, at
 * most 'max'. Borrowed from the input, never NULL. */
static inline const uint8_t *fuzz_block(struct rbytes *in, size_t max, size_t *len)
{
    size_t n = rbytes_be16(in);
    const uint8_t *p;

    n = n < max ? n : max;
    n = n < rbytes_left(in) ? n : rbytes_left(in);
    p = rbytes_take(in, n);
    *len = p != NULL ? n : 0;
    return p != NULL ? p : (const uint8_t *)"";
}

/* A copy of a block in memory of exactly its length, so that a read or write past its end
 * is seen. The caller frees it. */
static inline uint8_t *fuzz_tight(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    FUZZ_CHECK(copy != NULL);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

#endif
