/* The smaller of two, mostly of times that something is due. Pure, header-only. */
#ifndef SFU_BASE_LEAST_H
#define SFU_BASE_LEAST_H

#include <stdint.h>

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
