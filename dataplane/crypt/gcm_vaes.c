/* See gcm_vaes.h.
 *
 * The hash of n blocks (header, ciphertext, their lengths) is the sum of block i times H to
 * the power of n - i, i from 0. Two blocks are multiplied at a time, and products are added up
 * before they are reduced: those of a window of blocks together. Numbers are bit-reflected,
 * blocks therefore byte-swapped; a product of reflected numbers is one bit short, so what the
 * key holds of each power is that power times x (Gueron and Kounavis, "Intel Carry-Less
 * Multiplication Instruction and its Usage for Computing the GCM Mode").
 *
 * AES and multiplication keep different units of the core busy, and each alone has to wait for
 * its own results. So a group's key stream is made while the group before is hashed. */
#include "crypt/gcm_vaes.h"

#include <immintrin.h>
#include <string.h>

enum {
    BLOCK = GCM_VAES_BLOCK,
    VECTOR = 2 * BLOCK,
    GROUP = 4, /* vectors: what the registers have room for */
    GROUP_BYTES = GROUP * VECTOR,
    WINDOW = 2 * GROUP * 2, /* blocks; there are more behind it */
    LAST_WINDOW = GCM_VAES_POWERS - 1 /* at most; hash_one() takes the power above, too */
};

#define TARGET __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq")))
#define INLINE __attribute__((always_inline)) TARGET static inline

/* What is written as a loop are instructions one after the other: the compiler has to see
 * which registers they use. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* ---- blocks and vectors ---- */

INLINE __m128i load(const void *p)
{
    return _mm_loadu_si128(p);
}

INLINE __m256i load_two(const void *p)
{
    return _mm256_loadu_si256(p);
}

INLINE __m128i byte_swap(__m128i block)
{
    return _mm_shuffle_epi8(
        block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

INLINE __m256i byte_swap_two(__m256i blocks)
{
    return _mm256_shuffle_epi8(
        blocks, _mm256_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2,
                                3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

INLINE __m256i first_of_two(__m128i block)
{
    return _mm256_inserti128_si256(_mm256_setzero_si256(), block, 0);
}

INLINE __m256i second_of_two(__m128i block)
{
    return _mm256_inserti128_si256(_mm256_setzero_si256(), block, 1);
}

INLINE __m256i two(__m128i first, __m128i second)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
}

INLINE __m128i sum_of_two(__m256i blocks)
{
    return _mm_xor_si128(_mm256_castsi256_si128(blocks), _mm256_extracti128_si256(blocks, 1));
}

/* Ones in the first 'n' bytes, at most a block's. */
INLINE __m128i first_bytes(size_t n)
{
    static const uint8_t ones[2 * BLOCK] = {255, 255, 255, 255, 255, 255, 255, 255,
                                            255, 255, 255, 255, 255, 255, 255, 255};

    return load(ones + BLOCK - n);
}

/* The last 'n' bytes of a block as its first. */
INLINE __m128i last_to_first(__m128i block, size_t n)
{
    static const uint8_t moved[2 * BLOCK] = {
        0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,
        11,   12,   13,   14,   15,   0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
        0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};

    return _mm_shuffle_epi8(block, load(moved + BLOCK - n));
}

/* ---- the hash ---- */

struct hash {
    __m256i low, middle, high; /* the window's products, added up */
    __m128i before;            /* the hash before the window; goes into its first block */
    size_t power;              /* of the next block; 0: the window is complete */
    size_t left;               /* blocks that have not been hashed, the lengths' too */
};

INLINE __m128i reduce(__m128i low, __m128i middle, __m128i high)
{
    const __m128i poly = _mm_set_epi64x((long long)0xc200000000000000, 1);

    middle = _mm_xor_si128(middle, _mm_shuffle_epi32(low, 0x4e));
    middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(poly, low, 0x01));
    high = _mm_xor_si128(high, _mm_shuffle_epi32(middle, 0x4e));
    return _mm_xor_si128(high, _mm_clmulepi64_si128(poly, middle, 0x01));
}

INLINE __m128i hash_so_far(const struct hash *h)
{
    return reduce(sum_of_two(h->low), sum_of_two(h->middle), sum_of_two(h->high));
}

/* Begins a window of all that is left, or of 'most' blocks. */
INLINE void hash_window(struct hash *h, size_t most)
{
    h->power = h->left <= LAST_WINDOW ? h->left : most;
    h->low = h->middle = h->high = _mm256_setzero_si256();
}

/* The same if the window is complete. */
INLINE void hash_go_on(struct hash *h, size_t most)
{
    if (h->power == 0) {
        h->before = hash_so_far(h);
        hash_window(h, most);
    }
}

/* Adds two blocks times 'power' and the one below. */
INLINE void hash_add(struct hash *h, const struct gcm_vaes_key *key, __m256i blocks,
                     size_t power)
{
    const __m256i by = load_two(key->powers[GCM_VAES_POWERS - power]);
    const __m256i a = _mm256_clmulepi64_epi128(blocks, by, 0x01);
    const __m256i b = _mm256_clmulepi64_epi128(blocks, by, 0x10);

    h->low = _mm256_xor_si256(h->low, _mm256_clmulepi64_epi128(blocks, by, 0x00));
    h->high = _mm256_xor_si256(h->high, _mm256_clmulepi64_epi128(blocks, by, 0x11));
    h->middle = _mm256_xor_si256(h->middle, _mm256_xor_si256(a, b));
}

/* The next block, byte-swapped. */
INLINE void hash_one(struct hash *h, const struct gcm_vaes_key *key, __m128i block)
{
    hash_add(h, key, second_of_two(_mm_xor_si128(block, h->before)), h->power + 1);
    h->before = _mm_setzero_si128();
    h->power--;
    h->left--;
}

/* The next two. */
INLINE void hash_two(struct hash *h, const struct gcm_vaes_key *key, __m256i blocks)
{
    hash_add(h, key, _mm256_xor_si256(blocks, first_of_two(h->before)), h->power);
    h->before = _mm_setzero_si128();
    h->power -= 2;
    h->left -= 2;
}

/* What lies behind the header, up to a block, is read too and left out. */
INLINE void hash_header(struct hash *h, const struct gcm_vaes_key *key, const uint8_t *hdr,
                        size_t len)
{
    for (; len > BLOCK; hdr += VECTOR) {
        const size_t n = len < VECTOR ? len : VECTOR;
        const __m128i second = _mm_and_si128(load(hdr + BLOCK), first_bytes(n - BLOCK));

        hash_go_on(h, 2);
        hash_two(h, key, byte_swap_two(two(load(hdr), second)));
        len -= n;
    }
    if (len > 0) {
        hash_go_on(h, 1);
        hash_one(h, key, byte_swap(_mm_and_si128(load(hdr), first_bytes(len))));
    }
}

/* ---- a packet ---- */

struct packet {
    const struct gcm_vaes_key *key;
    unsigned rounds;
    struct hash hash;
    __m256i counters; /* of the next two blocks, byte-swapped */
    __m128i first;    /* the counter block that encrypts the hash */
    __m128i lengths;  /* the last block that is hashed, byte-swapped */
    __m128i last;     /* the payload's last block, without what lies behind it */
    __m128i mask;     /* ones where that has bytes */
    const uint8_t *src;
    uint8_t *dst;
    size_t len; /* of what is to be encrypted */
};

/* Makes n vectors of key stream, and if 'first' another that encrypts the hash. Meanwhile it
 * hashes as much as 'hashed' vectors of ciphertext, which lie directly before p->dst. */
INLINE void make_stream(struct packet *p, __m256i *stream, const size_t n,
                        const bool first, const size_t hashed)
{
    const size_t all = n + first;
    const uint8_t *done = p->dst - hashed * VECTOR;
    const struct gcm_vaes_key *key = p->key;
    size_t taken = 0;
    __m256i round;

    /* Or the compiler would keep round keys from the group before, in memory that is further
     * away than where they are, and not have the registers for this. */
    __asm__("" : "+r"(key));
    round = _mm256_broadcastsi128_si256(load(key->rounds[0]));
    UNROLL for (size_t i = 0; i < n; i++) {
        stream[i] = _mm256_xor_si256(byte_swap_two(p->counters), round);
        p->counters = _mm256_add_epi32(p->counters, _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 2));
    }
    if (first) {
        /* twice: beside zeros the hash key would be made, and might stay on the stack */
        stream[n] = _mm256_xor_si256(_mm256_broadcastsi128_si256(p->first), round);
    }
    if (hashed > 0) {
        hash_go_on(&p->hash, WINDOW);
    }
    UNROLL for (unsigned r = 1; r < p->rounds; r++) {
        round = _mm256_broadcastsi128_si256(load(key->rounds[r]));
        UNROLL for (size_t i = 0; i < all; i++) {
            stream[i] = _mm256_aesenc_epi128(stream[i], round);
        }
        if (r % 2 == 0 && taken < hashed) {
            hash_two(&p->hash, key, byte_swap_two(load_two(done + taken * VECTOR)));
            taken++;
        }
    }
    round = _mm256_broadcastsi128_si256(load(key->rounds[p->rounds]));
    UNROLL for (size_t i = 0; i < all; i++) {
        stream[i] = _mm256_aesenclast_epi128(stream[i], round);
    }
}

/* Encrypts the next n whole vectors. */
INLINE void encrypt(struct packet *p, __m256i *stream, const size_t n)
{
    UNROLL for (size_t i = 0; i < n; i++) {
        stream[i] = _mm256_xor_si256(stream[i], load_two(p->src + i * VECTOR));
        _mm256_storeu_si256((__m256i *)(p->dst + i * VECTOR), stream[i]);
    }
    p->src += n * VECTOR;
    p->dst += n * VECTOR;
    p->len -= n * VECTOR;
}

/* The last vector, of up to 32 bytes. Its last block is stored whole: behind it is the tag's
 * place. Hashes it and the lengths. */
INLINE void encrypt_last(struct packet *p, __m256i stream)
{
    if (p->len > BLOCK) {
        const __m256i plain = two(load(p->src), p->last);
        const __m256i mask = two(_mm_set1_epi8(-1), p->mask);
        const __m256i sealed = _mm256_and_si256(_mm256_xor_si256(stream, plain), mask);

        _mm256_storeu_si256((__m256i *)p->dst, sealed);
        hash_two(&p->hash, p->key, byte_swap_two(sealed));
        hash_one(&p->hash, p->key, p->lengths);
    } else {
        const __m128i sealed =
            _mm_and_si128(_mm_xor_si128(_mm256_castsi256_si128(stream), p->last), p->mask);

        _mm_storeu_si128((__m128i *)p->dst, sealed);
        hash_two(&p->hash, p->key, two(byte_swap(sealed), p->lengths));
    }
}

/* The rest, of n vectors, and the tag. */
INLINE void finish_with(struct packet *p, const size_t n, const size_t hashed)
{
    __m256i stream[GROUP + 1];
    uint8_t *const tag = p->dst + p->len;
    __m128i sum;

    make_stream(p, stream, n, true, hashed);
    hash_go_on(&p->hash, WINDOW);
    if (n == 0) {
        hash_one(&p->hash, p->key, p->lengths);
    } else {
        encrypt(p, stream, n - 1);
        UNROLL for (size_t i = 0; i + 1 < n; i++) {
            hash_two(&p->hash, p->key, byte_swap_two(stream[i]));
        }
        encrypt_last(p, stream[n - 1]);
    }
    sum = byte_swap(hash_so_far(&p->hash));
    _mm_storeu_si128((__m128i *)tag, _mm_xor_si128(sum, _mm256_castsi256_si128(stream[n])));
}

INLINE void finish(struct packet *p, const size_t hashed)
{
    switch ((p->len + VECTOR - 1) / VECTOR) {
    case 0:
        finish_with(p, 0, hashed);
        break;
    case 1:
        finish_with(p, 1, hashed);
        break;
    case 2:
        finish_with(p, 2, hashed);
        break;
    case 3:
        finish_with(p, 3, hashed);
        break;
    default:
        finish_with(p, GROUP, hashed);
        break;
    }
}

/* The payload's last block, as its first bytes. */
INLINE __m128i last_block(const uint8_t *src, size_t len)
{
    const size_t n = (len + BLOCK - 1) % BLOCK + 1;
    uint8_t few[BLOCK] = {0};

    if (len >= BLOCK) {
        return last_to_first(load(src + len - BLOCK), n);
    }
    if (len > 0) { /* before it there may be nothing */
        memcpy(few, src, len);
    }
    return load(few);
}

INLINE void seal(const struct gcm_vaes_key *key, const unsigned rounds,
                 const uint64_t iv[2], uint8_t *dst, const uint8_t *src, size_t len,
                 size_t hdr_len)
{
    const __m128i first = _mm_set_epi64x((long long)iv[0], (long long)(iv[1] | 1));
    const size_t blocks = (hdr_len + BLOCK - 1) / BLOCK + (len + BLOCK - 1) / BLOCK + 1;
    struct packet p = {
        .key = key,
        .rounds = rounds,
        .hash = {.before = _mm_setzero_si128(), .left = blocks},
        .counters = _mm256_add_epi32(_mm256_broadcastsi128_si256(first),
                                     _mm256_set_epi32(0, 0, 0, 2, 0, 0, 0, 1)),
        .first = byte_swap(first),
        .lengths = _mm_set_epi64x((long long)hdr_len * 8, (long long)len * 8),
        .last = last_block(src, len),
        .mask = first_bytes((len + BLOCK - 1) % BLOCK + 1),
        .src = src,
        .dst = dst,
        .len = len,
    };
    __m256i stream[GROUP];

    hash_window(&p.hash, 0); /* or none yet: then zeros are reduced, once */
    hash_header(&p.hash, key, dst - hdr_len, hdr_len);
    if (len < GROUP_BYTES) {
        finish(&p, 0);
        return;
    }
    make_stream(&p, stream, GROUP, false, 0);
    encrypt(&p, stream, GROUP);
    while (p.len >= GROUP_BYTES) {
        make_stream(&p, stream, GROUP, false, GROUP);
        encrypt(&p, stream, GROUP);
    }
    finish(&p, GROUP);
}

TARGET static void seal_128(const struct gcm_vaes_key *key, const uint64_t iv[2],
                            uint8_t *dst, const uint8_t *src, size_t len, size_t hdr_len)
{
    seal(key, 10, iv, dst, src, len, hdr_len);
}

TARGET static void seal_256(const struct gcm_vaes_key *key, const uint64_t iv[2],
                            uint8_t *dst, const uint8_t *src, size_t len, size_t hdr_len)
{
    seal(key, 14, iv, dst, src, len, hdr_len);
}

void gcm_vaes_seal(const struct gcm_vaes_key *key, bool wide, const uint64_t iv[2],
                   uint8_t *dst, const uint8_t *src, size_t len, size_t hdr_len)
{
    if (wide) {
        seal_256(key, iv, dst, src, len, hdr_len);
    } else {
        seal_128(key, iv, dst, src, len, hdr_len);
    }
}

/* ---- keys ---- */

INLINE __m128i multiply(__m128i a, __m128i b)
{
    return reduce(_mm_clmulepi64_si128(a, b, 0x00),
                  _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01),
                                _mm_clmulepi64_si128(a, b, 0x10)),
                  _mm_clmulepi64_si128(a, b, 0x11));
}

/* The hash key, byte-swapped: zeros, encrypted. */
INLINE __m128i hash_key(const struct gcm_vaes_key *key, unsigned rounds)
{
    __m128i block = load(key->rounds[0]);

    for (unsigned r = 1; r < rounds; r++) {
        block = _mm_aesenc_si128(block, load(key->rounds[r]));
    }
    return byte_swap(_mm_aesenclast_si128(block, load(key->rounds[rounds])));
}

/* Times x, in the field. */
INLINE __m128i times_x(__m128i h)
{
    const uint64_t low = (uint64_t)_mm_extract_epi64(h, 0);
    const uint64_t high = (uint64_t)_mm_extract_epi64(h, 1);
    const uint64_t over = 0 - (high >> 63);

    return _mm_set_epi64x(
        (long long)((high << 1 | low >> 63) ^ (over & 0xc200000000000000)),
        (long long)(low << 1 ^ (over & 1)));
}

TARGET void gcm_vaes_expand(struct gcm_vaes_key *key, bool wide)
{
    const __m128i h = times_x(hash_key(key, wide ? 14 : 10));
    __m128i power = h;

    for (unsigned i = 1; i <= GCM_VAES_POWERS; i++) {
        _mm_storeu_si128((__m128i *)key->powers[GCM_VAES_POWERS - i], power);
        power = multiply(power, h);
    }
    _mm256_zeroall();
}
