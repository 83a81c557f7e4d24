/* Which STUN transactions have been seen: a memory of fixed size that forgets the oldest. A
 * word holds four fingerprints of 16 bits, the newest lowest, so that one store adds one
 * and whoever is killed leaves the old memory or the new. Of 16,000 transactions that were
 * not seen, one is taken for one that was; none that is remembered is missed. The peer
 * picks its transaction ids, so it can only fool itself.
 *
 * Pure, header-only. One writer; readers in other threads or processes. */
#ifndef SFU_BASE_TXIDS_H
#define SFU_BASE_TXIDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TXIDS_PER_WORD = 4 };

/* The finaliser of MurmurHash3 over 12 bytes: ids that only count up are spread too. */
static inline uint64_t txids_hash(const uint8_t txid[12])
{
    uint64_t low;
    uint32_t high;

    memcpy(&low, txid, sizeof(low));
    memcpy(&high, txid + sizeof(low), sizeof(high));
    low ^= high * UINT64_C(0x9e3779b97f4a7c15);
    low = (low ^ low >> 33) * UINT64_C(0xff51afd7ed558ccd);
    low = (low ^ low >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return low ^ low >> 33;
}

/* What stands for it in a word; 0 is an empty place. */
static inline uint16_t txids_print(uint64_t hash)
{
    uint16_t print = (uint16_t)(hash >> 48);

    return print != 0 ? print : 1;
}

/* words  'n' of them, a power of two; zeroed at first */
static inline bool txids_has(const uint64_t *words, uint32_t n, const uint8_t txid[12])
{
    uint64_t hash = txids_hash(txid);
    uint64_t word = __atomic_load_n(&words[hash & (n - 1)], __ATOMIC_RELAXED);
    bool found = false;

    for (; word != 0; word >>= 16) {
        found = found || (uint16_t)word == txids_print(hash);
    }
    return found;
}

static inline void txids_add(uint64_t *words, uint32_t n, const uint8_t txid[12])
{
    uint64_t hash = txids_hash(txid);
    uint64_t *word = &words[hash & (n - 1)];

    __atomic_store_n(word, *word << 16 | txids_print(hash), __ATOMIC_RELAXED);
}

#endif
