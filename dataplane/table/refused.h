/* Frames that had been counted as sent when their device did not take them: at once a lane
 * takes that back itself, but not when they have waited, or were given to the lane that
 * serves the device. So they are counted apart, by peer and by subscription, and taken off
 * where counters are told.
 *
 * By slot, with the handle of its life: what comes after the end of that counts nowhere but
 * in the lane's drops.
 *
 * Thread: open and close are the owner's, all else is any lane's. */
#ifndef KCS_TABLE_REFUSED_H
#define KCS_TABLE_REFUSED_H

#include <stdatomic.h>
#include <stdint.h>

#include "sfu/base/handle.h"

struct refused {
    _Atomic uint64_t handle;
    _Atomic uint64_t packets, bytes; /* counted as the owner does */
};

static inline void refused_open(struct refused *refused, uint64_t handle)
{
    atomic_store_explicit(&refused->packets, 0, memory_order_relaxed);
    atomic_store_explicit(&refused->bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&refused->handle, handle, memory_order_release);
}

static inline void refused_close(struct refused *refused)
{
    atomic_store_explicit(&refused->handle, HANDLE_NONE, memory_order_relaxed);
}

static inline void refused_add(struct refused *refused, uint64_t handle, uint64_t bytes)
{
    if (atomic_load_explicit(&refused->handle, memory_order_acquire) == handle) {
        (void)atomic_fetch_add_explicit(&refused->packets, 1, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&refused->bytes, bytes, memory_order_relaxed);
    }
}

static inline uint64_t refused_packets(const struct refused *refused)
{
    return atomic_load_explicit(&refused->packets, memory_order_relaxed);
}

static inline uint64_t refused_bytes(const struct refused *refused)
{
    return atomic_load_explicit(&refused->bytes, memory_order_relaxed);
}

#endif
