/* A handle names a slot of a fixed table and the life it had when it was given out: the
 * low 32 bits are the index, the high 32 bits the generation. A stale handle is a miss,
 * never another object. Generation 0 is never given out, so 0 is "none".
 *
 * Pure, header-only. */
#ifndef SFU_BASE_HANDLE_H
#define SFU_BASE_HANDLE_H

#include <stdint.h>

enum { HANDLE_NONE = 0 };

static inline uint64_t handle_make(uint32_t index, uint32_t gen)
{
    return (uint64_t)gen << 32 | index;
}

static inline uint32_t handle_index(uint64_t handle)
{
    return (uint32_t)handle;
}

static inline uint32_t handle_gen(uint64_t handle)
{
    return (uint32_t)(handle >> 32);
}

/* The generation that follows 'gen', skipping 0. */
static inline uint32_t handle_next_gen(uint32_t gen)
{
    return gen + 1 == 0 ? 1 : gen + 1;
}

#endif
