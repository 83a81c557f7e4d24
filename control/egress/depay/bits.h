/* A reader of bits, the highest first. What is not there is 0, and 'bad' tells. */
#ifndef EGRESS_BITS_H
#define EGRESS_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
    const uint8_t *p;
    size_t n, at; /* bytes there are; bits that were taken */
    bool bad;
};

/* n  at most 32 */
static inline uint32_t bits_take(struct bits *b, unsigned n)
{
    uint32_t value = 0;

    for (; n > 0; n--, b->at++) {
        if (b->at / 8 >= b->n) {
            b->bad = true;
            return 0;
        }
        value = value << 1 | (b->p[b->at / 8] >> (7 - b->at % 8) & 1u);
    }
    return value;
}

static inline void bits_skip(struct bits *b, unsigned n)
{
    (void)bits_take(b, n);
}

/* A bit says whether 'n' others follow. */
static inline void bits_skip_if(struct bits *b, unsigned n)
{
    if (bits_take(b, 1) != 0) {
        bits_skip(b, n);
    }
}

#endif
