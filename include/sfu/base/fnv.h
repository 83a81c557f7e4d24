/* FNV-1a, for places in tables and names of versions. Keeps nothing secret, and who may
 * choose the bytes may choose the hash.
 *
 * Pure, header-only. */
#ifndef SFU_BASE_FNV_H
#define SFU_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t fnv32(const void *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 16777619u;
    }
    return hash;
}

static inline uint64_t fnv64(const void *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

#endif
