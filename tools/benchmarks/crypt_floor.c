/* The bare ipsec-mb loops. Plain and direct on purpose: see crypt_floor.h. */
#include "crypt_floor.h"

#include <errno.h>
#include <intel-ipsec-mb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    HEADER = 12,
    SIZE_MAX_BYTES = 1900,
    BUFFER = 2048,
    RING = 64, /* destination buffers: fit the second cache level, as a burst's do */
    AHEAD = 2,
    STRIDE = 7919, /* keys, if the CPU is not to foresee them; a prime */
    AES_SCHEDULE = 176,
    BURST = 32
};

struct floor_key {
    union {
        struct gcm_key_data gcm;
        struct {
            uint8_t aes[176];
            uint8_t ipad[20], opad[20];
        } cm;
    };
    uint64_t next; /* index */
    uint8_t salt[16];
} __attribute__((aligned(64)));

struct crypt_floor {
    enum crypt_floor_profile profile;
    IMB_MGR *mgr;
    struct floor_key *keys;
    size_t keys_bytes;
    unsigned n_keys, size, ring_at;
    bool cold;
    struct gcm_context_data gcm;
    IMB_JOB jobs[BURST];
    uint8_t ivs[BURST][16];
    uint8_t tags[BURST][16];
    uint8_t src[BUFFER];
    uint8_t ring[RING][BUFFER];
};

static uint8_t *next_buffer(struct crypt_floor *floor)
{
    return floor->ring[floor->ring_at++ % RING];
}

static void put(uint8_t *p, uint64_t v, unsigned len)
{
    v = __builtin_bswap64(v) >> (64 - 8 * len);
    memcpy(p, &v, len);
}

/* A packet's header and IV: index and SSRC at the IV's 'at'-th byte. */
static void start_packet(struct floor_key *key, uint32_t ssrc, uint8_t *dst, uint8_t *iv,
                         unsigned at)
{
    uint64_t mask[2], salt[2];

    put(dst, 0x8060000000000000 | (key->next & 0xffff) << 32, 8);
    put(dst + 8, ssrc, 4);
    memset(iv, 0, 16);
    put(iv + at, ssrc, 4);
    put(iv + at + 4, key->next, 6);
    memcpy(mask, iv, 16);
    memcpy(salt, key->salt, 16);
    mask[0] ^= salt[0];
    mask[1] ^= salt[1];
    memcpy(iv, mask, 16);
    key->next++;
}

/* Always inline: else gcc takes it for a function that does nothing. */
__attribute__((always_inline)) static inline void
prefetch(const struct floor_key *key, size_t from, size_t end)
{
    for (size_t i = from; i < end; i += 64) {
        __builtin_prefetch((const uint8_t *)key + i, 0, 2);
    }
}

/* As the product does: of the powers of the hash key, the lowest of which are the last, as
 * many as there are blocks. */
__attribute__((always_inline)) static inline void prefetch_gcm(const struct floor_key *key, size_t len)
{
    const size_t powers = 16 * (len / 16 + 3);

    if (powers + sizeof(key->gcm.expanded_keys) >= sizeof(key->gcm)) {
        prefetch(key, 0, sizeof(key->gcm));
    } else {
        prefetch(key, 0, AES_SCHEDULE);
        prefetch(key, (sizeof(key->gcm) - powers) / 64 * 64, sizeof(key->gcm));
    }
    __builtin_prefetch(&key->next, 1);
}

static void seal_gcm(struct crypt_floor *floor, unsigned k, uint8_t *dst)
{
    struct floor_key *key = &floor->keys[k];
    uint8_t iv[16];

    if (!floor->cold) {
        prefetch_gcm(&floor->keys[(k + AHEAD) % floor->n_keys], floor->size - HEADER);
    }
    start_packet(key, k, dst, iv, 2);
    IMB_AES128_GCM_ENC(floor->mgr, &key->gcm, &floor->gcm, dst + HEADER, floor->src,
                       floor->size - HEADER, iv, dst, HEADER, dst + floor->size, 16);
}

static unsigned next_key(const struct crypt_floor *floor, unsigned k)
{
    if (floor->cold) {
        return (k + STRIDE) % floor->n_keys;
    }
    return k + 1 == floor->n_keys ? 0 : k + 1;
}

static void run_gcm(struct crypt_floor *floor, unsigned n)
{
    for (unsigned i = 0, k = 0; i < n; i++, k = next_key(floor, k)) {
        seal_gcm(floor, k, next_buffer(floor));
    }
}

unsigned crypt_floor_seal(struct crypt_floor *floor, unsigned key, uint8_t *dst)
{
    seal_gcm(floor, key, dst);
    return floor->size + 16;
}

static void run_cm(struct crypt_floor *floor, unsigned n)
{
    for (unsigned i = 0, k = 0; i < n; i += BURST) {
        for (unsigned b = 0; b < BURST; b++, k = next_key(floor, k)) {
            struct floor_key *key = &floor->keys[k];
            IMB_JOB *job = &floor->jobs[b];
            uint8_t *dst = next_buffer(floor);

            if (!floor->cold) {
                prefetch(&floor->keys[(k + BURST) % floor->n_keys], 0, sizeof(key->cm));
                __builtin_prefetch(&floor->keys[(k + BURST) % floor->n_keys].next, 1);
            }
            start_packet(key, k, dst, floor->ivs[b], 4);
            memset(dst + floor->size, 0, 4); /* the ROC, where the tag goes */
            job->enc_keys = key->cm.aes;
            job->dec_keys = key->cm.aes;
            job->src = floor->src;
            job->dst = dst + HEADER;
            job->u.HMAC._hashed_auth_key_xor_ipad = key->cm.ipad;
            job->u.HMAC._hashed_auth_key_xor_opad = key->cm.opad;
        }
        IMB_SUBMIT_CIPHER_BURST_NOCHECK(floor->mgr, floor->jobs, BURST, IMB_CIPHER_CNTR,
                                        IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
        for (unsigned b = 0; b < BURST; b++) {
            floor->jobs[b].src = floor->jobs[b].dst - HEADER;
        }
        IMB_SUBMIT_HASH_BURST_NOCHECK(floor->mgr, floor->jobs, BURST, IMB_AUTH_HMAC_SHA_1);
        for (unsigned b = 0; b < BURST; b++) {
            memcpy(floor->jobs[b].dst - HEADER + floor->size, floor->tags[b], 10);
        }
    }
}

static void make_key(IMB_MGR *mgr, enum crypt_floor_profile profile, struct floor_key *key)
{
    uint8_t raw[64], unused[176] __attribute__((aligned(16)));

    for (unsigned i = 0; i < sizeof(raw); i++) {
        raw[i] = (uint8_t)(rand() >> 7);
    }
    memcpy(key->salt, raw + 16, 12);
    if (profile == CRYPT_FLOOR_GCM128) {
        IMB_AES128_GCM_PRE(mgr, raw, &key->gcm);
    } else {
        IMB_AES_KEYEXP_128(mgr, raw, key->cm.aes, unused);
        IMB_SHA1_ONE_BLOCK(mgr, raw, key->cm.ipad); /* any two states cost the same */
        raw[0] ^= 1;
        IMB_SHA1_ONE_BLOCK(mgr, raw, key->cm.opad);
    }
}

void crypt_floor_chill(struct crypt_floor *floor)
{
    floor->cold = true;
}

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double crypt_floor_round(struct crypt_floor *floor, unsigned n_keys, unsigned n_packets)
{
    const unsigned n = (n_packets + BURST - 1) / BURST * BURST;
    double start;

    floor->n_keys = n_keys;
    start = cpu_ns();
    if (floor->profile == CRYPT_FLOOR_GCM128) {
        run_gcm(floor, n);
    } else {
        run_cm(floor, n);
    }
    return (cpu_ns() - start) / n;
}

void crypt_floor_destroy(struct crypt_floor *floor)
{
    if (floor == NULL) {
        return;
    }
    if (floor->mgr != NULL) {
        free_mb_mgr(floor->mgr);
    }
    if (floor->keys != NULL) {
        munmap(floor->keys, floor->keys_bytes);
    }
    free(floor);
}

int crypt_floor_create(struct crypt_floor **out, enum crypt_floor_profile profile,
                       unsigned n_keys, unsigned size)
{
    struct crypt_floor *floor;
    IMB_ARCH arch;

    if (n_keys == 0 || size <= HEADER || size > SIZE_MAX_BYTES) {
        return -EINVAL;
    }
    floor = aligned_alloc(64, (sizeof(*floor) + 63) / 64 * 64);
    if (floor == NULL) {
        return -ENOMEM;
    }
    memset(floor, 0, sizeof(*floor));
    floor->profile = profile;
    floor->size = size;
    floor->n_keys = n_keys;
    floor->keys_bytes = n_keys * sizeof(struct floor_key);
    floor->keys = mmap(NULL, floor->keys_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    floor->mgr = alloc_mb_mgr(0);
    if (floor->keys == MAP_FAILED || floor->mgr == NULL) {
        floor->keys = floor->keys == MAP_FAILED ? NULL : floor->keys;
        crypt_floor_destroy(floor);
        return -ENOMEM;
    }
    madvise(floor->keys, floor->keys_bytes, MADV_HUGEPAGE);
    init_mb_mgr_auto(floor->mgr, &arch);
    if (imb_get_errno(floor->mgr) != 0) {
        crypt_floor_destroy(floor);
        return -ENOTSUP;
    }
    for (unsigned i = 0; i < n_keys; i++) {
        make_key(floor->mgr, profile, &floor->keys[i]);
    }
    for (unsigned b = 0; b < BURST; b++) {
        floor->jobs[b] = (IMB_JOB){.cipher_mode = IMB_CIPHER_CNTR,
                                   .cipher_direction = IMB_DIR_ENCRYPT,
                                   .hash_alg = IMB_AUTH_HMAC_SHA_1,
                                   .key_len_in_bytes = IMB_KEY_128_BYTES,
                                   .iv = floor->ivs[b],
                                   .iv_len_in_bytes = 16,
                                   .msg_len_to_cipher_in_bytes = size - HEADER,
                                   .msg_len_to_hash_in_bytes = size + 4,
                                   .auth_tag_output = floor->tags[b],
                                   .auth_tag_output_len_in_bytes = 12};
    }
    *out = floor;
    return 0;
}
