/* The receiver's memory of one SSRC under one key: which index a sequence number means, and
 * which indexes were seen. Same for SRTP (48-bit indexes, guessed from the sequence number)
 * and SRTCP (31-bit indexes, in the packet), a struct each.
 *
 * Order: replay_guess(), replay_check(), authenticate, and only then replay_commit(). A
 * packet that was not authenticated must not change the state.
 *
 * The struct lives in memory that survives its writer. Whoever is killed leaves the state
 * from before or from after a change, or one between them that takes nothing in twice.
 *
 * Pure, header-only. Shared by processes: fixed layout, little-endian.
 * RFC 3711, 3.3.1, 3.3.2 and Appendix A. */
#ifndef CRYPT_REPLAY_H
#define CRYPT_REPLAY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

enum { REPLAY_WINDOW = 128 };

struct replay {
    _Alignas(32)
    uint64_t highest;   /* the greatest authenticated index */
    uint64_t window[2]; /* bit k of 128: highest - k was seen; word 0 has bits 0 to 63 */
    uint32_t ssrc;      /* the owner's; not read here */
    uint32_t started;   /* 0 until the first commit, then 1 */
};
_Static_assert(sizeof(struct replay) == 32, "shared layout");
_Static_assert(offsetof(struct replay, started) == 28, "shared layout");

/* With AVX (x86-64-v3) one instruction. Without, halves of 16 bytes, in such an order that
 * every state between refuses all that was seen, and maybe more: a window under another 'highest' than its
 * own would let packets in that were seen. While 'started' is 0 nothing else counts. */
static inline void replay_store(struct replay *replay, struct replay next)
{
#ifdef __AVX__
    typedef uint64_t words __attribute__((vector_size(32), may_alias));

    *(volatile words *)replay = (words){next.highest, next.window[0], next.window[1],
                                        (uint64_t)next.started << 32 | next.ssrc};
#else
    typedef uint64_t half __attribute__((vector_size(16), may_alias));
    volatile half *at = (volatile half *)replay;
    const uint64_t owner = (uint64_t)next.started << 32 | next.ssrc;

    if (replay->started != 0) {
        at[1] = (half){replay->window[1] | next.window[1], owner};
    }
    at[0] = (half){next.highest, next.window[0]};
    at[1] = (half){next.window[1], owner};
#endif
}

/* Forgets what was there; now of 'ssrc', of which nothing was seen. */
static inline void replay_begin(struct replay *replay, uint32_t ssrc)
{
    replay_store(replay, (struct replay){.ssrc = ssrc});
}

/* The index (ROC << 16 | SEQ) that is nearest to the highest one. Any first packet has ROC
 * 0, and no guess goes below it. The ROC wraps at 2^32; replay_check() then refuses the
 * packet, as the key's life is over (RFC 3711, 9.2). */
static inline uint64_t replay_guess(const struct replay *replay, uint16_t seq)
{
    const uint64_t roc = replay->highest >> 16;
    const uint32_t last = (uint16_t)replay->highest;
    uint64_t guess = roc;

    if (replay->started == 0) {
        return seq;
    }
    if (last < 32768 && seq > last + 32768) {
        guess = roc > 0 ? roc - 1 : 0;
    } else if (last >= 32768 && last - 32768 > seq) {
        guess = (roc + 1) & 0xffffffff;
    }
    return guess << 16 | seq;
}

/* Returns 0 if 'index' may be accepted, -EALREADY if it was seen, -ERANGE if it is older
 * than the window. */
static inline int replay_check(const struct replay *replay, uint64_t index)
{
    uint64_t age;

    if (replay->started == 0 || index > replay->highest) {
        return 0;
    }
    age = replay->highest - index;
    if (age >= REPLAY_WINDOW) {
        return -ERANGE;
    }
    return (replay->window[age / 64] >> age % 64 & 1) != 0 ? -EALREADY : 0;
}

/* Notes an authenticated packet, for which replay_check() gave 0. */
static inline void replay_commit(struct replay *replay, uint64_t index)
{
    struct replay next = *replay;
    uint64_t ahead;

    if (next.started == 0) {
        next.started = 1;
        next.highest = index;
        next.window[0] = 1;
        next.window[1] = 0;
    } else if (index <= next.highest) {
        const uint64_t age = next.highest - index;

        if (age < 64) {
            next.window[0] |= UINT64_C(1) << age;
        } else if (age < REPLAY_WINDOW) {
            next.window[1] |= UINT64_C(1) << (age - 64);
        }
    } else {
        ahead = index - next.highest;
        if (ahead >= 128) {
            next.window[1] = 0;
            next.window[0] = 0;
        } else if (ahead >= 64) {
            next.window[1] = next.window[0] << (ahead - 64);
            next.window[0] = 0;
        } else {
            next.window[1] = next.window[1] << ahead | next.window[0] >> (64 - ahead);
            next.window[0] <<= ahead;
        }
        next.window[0] |= 1;
        next.highest = index;
    }
    replay_store(replay, next);
}

#endif
