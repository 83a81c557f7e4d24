/* SRTP and SRTCP for one lane: bursts of RTP packets encrypted or decrypted out of place
 * under explicit packet indexes, and single RTCP packets. Two backends behind one
 * interface, chosen at run time: ipsec-mb (the product's on x86-64) and libsrtp2 (portable,
 * and the oracle the tests compare with bit for bit).
 *
 * What is NOT here: the guess of an index and the replay window (replay.h), and the parsing
 * of headers (sfu/wire). An index is 48 bits, ROC << 16 | SEQ; under one key and SSRC it
 * must never be used for two different packets, which is the caller's duty.
 *
 * After crypt_ctx_create() and crypt_key_init() the ipsec-mb backend allocates nothing,
 * locks nothing and makes no system call. Threads: a context belongs to one thread. With
 * ipsec-mb one key may be used by several contexts at once, except that the first SRTCP
 * packet of a key writes it; with libsrtp2 a key belongs to one thread. RFC 3711, RFC 6188,
 * RFC 7714. Names start crypt_ since srtp_ is libsrtp2's. */
#ifndef CRYPT_CRYPT_H
#define CRYPT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum crypt_backend { CRYPT_IPSEC_MB, CRYPT_LIBSRTP };

/* By their IANA numbers (RFC 5764, 4.1.2; RFC 7714, 14.2). */
enum crypt_profile {
    CRYPT_AES128_CM_SHA1_80 = 1,
    CRYPT_AES128_CM_SHA1_32 = 2,
    CRYPT_AEAD_AES_128_GCM = 7,
    CRYPT_AEAD_AES_256_GCM = 8
};

enum {
    CRYPT_BURST_MAX = 32,
    CRYPT_SOON = 5,
    CRYPT_SOON_PAIRS = 2, /* of them */
    CRYPT_KEY_NEAR = 2,   /* of __builtin_prefetch: the second cache level */
    CRYPT_KEY_BYTES = 2176,
    CRYPT_KEY_HOT_BYTES = 1088, /* of a key: what encrypting an RTP packet reads at most */
    CRYPT_TAG_MAX = 16,
    CRYPT_RTCP_OVERHEAD_MAX = CRYPT_TAG_MAX + 4 /* tag and index */
};

struct crypt_ctx;

/* One direction of one peer, all its SSRCs: the expanded SRTP keys, and the SRTCP keys,
 * which are expanded when first used. The caller's memory, zeroed or initialised, never
 * copied. */
struct crypt_key {
    _Alignas(64) uint8_t bytes[CRYPT_KEY_BYTES];
};

/* One RTP packet of a burst. The RTP header (12 bytes, CSRCs, extension) is authenticated
 * and not encrypted.
 *
 * protect:    the header lies directly before 'dst', in final form; payload of 'len' bytes
 *             goes from 'src' to 'dst', the tag behind it. 'src' is only read; many ops may
 *             share it. dst has room for len + crypt_tag_len().
 * unprotect:  the header lies directly before 'src'; 'src' is ciphertext and tag, 'len' of
 *             both. dst gets len - crypt_tag_len() bytes. The tag bytes of 'src' may change
 *             during the call and are restored, so 'src' is writable memory, and each op
 *             has a packet of its own.
 *
 * src and dst must not overlap.
 *
 * protect: encryption keeps the core busy and its memory idle. The lines of 'soon' (any
 * addresses; the first NULL: none) are loaded meanwhile, to be written; of the first
 * CRYPT_SOON_PAIRS also the line behind. */
struct crypt_op {
    const struct crypt_key *key;
    const uint8_t *src;
    uint8_t *dst;
    uint64_t index; /* ROC << 16 | SEQ, 48 bits; SEQ as in the header */
    uint32_t ssrc;  /* as in the header */
    uint16_t hdr_len;
    uint16_t len;
    int status; /* filled: 0, or as said below */
    const void *soon[CRYPT_SOON];
};

/* Makes a lane's context: ipsec-mb's managers and scratch, about 400 KiB.
 *
 * Returns 0, -ENOMEM, -EINVAL for an unknown backend, or -ENOTSUP if the CPU lacks what
 * ipsec-mb needs (AES and carry-less multiplication) or libsrtp2 fails to start. */
int crypt_ctx_create(struct crypt_ctx **out, enum crypt_backend backend);

/* Keys must have been wiped before. NULL is a no-op. */
void crypt_ctx_destroy(struct crypt_ctx *ctx);

/* Derives the session keys (RFC 3711, 4.3, and of 256-bit keys RFC 6188, 3; key derivation
 * rate 0) and expands SRTP's. Not for the packet path: 1 to 6 us with ipsec-mb, 20 to 70 us
 * and allocations with libsrtp2.
 *
 * key          filled; must be wiped before it is initialised again
 * master_key   crypt_master_key_len() bytes, borrowed
 * master_salt  crypt_master_salt_len() bytes, borrowed
 * outbound     for protect; else for unprotect
 *
 * Returns 0, -EINVAL for an unknown profile, or -ENOMEM (libsrtp2 only). */
int crypt_key_init(struct crypt_ctx *ctx, struct crypt_key *key, enum crypt_profile profile,
                   const uint8_t *master_key, const uint8_t *master_salt, bool outbound);

/* Forgets the keys, and frees what libsrtp2 allocated. A zeroed key is a no-op. */
void crypt_key_wipe(struct crypt_key *key);

/* Lengths of a profile, in bytes; 0 for an unknown one. */
uint8_t crypt_tag_len(enum crypt_profile profile);       /* SRTP's */
uint8_t crypt_rtcp_overhead(enum crypt_profile profile); /* SRTCP's tag and index */
uint8_t crypt_master_key_len(enum crypt_profile profile);
uint8_t crypt_master_salt_len(enum crypt_profile profile);

/* Starts loading what encrypting one packet reads of a key. A burst prefetches its own
 * keys, which is late for its first two: call this for them some 200 ns before. */
static inline void crypt_key_prefetch(const struct crypt_key *key)
{
    for (unsigned i = 0; i < CRYPT_KEY_HOT_BYTES; i += 64) {
        __builtin_prefetch(key->bytes + i, 0, CRYPT_KEY_NEAR);
    }
}

/* Likewise for one SRTCP packet of some 100 bytes. */
void crypt_rtcp_prefetch(const struct crypt_key *key);

/* Encrypts and authenticates; n <= CRYPT_BURST_MAX, profiles may be mixed.
 *
 * status  0, -EINVAL for a key that is not initialised; with libsrtp2 also -EINVAL if
 * header, hdr_len, ssrc and index disagree, -EMSGSIZE above 64 KiB, -EIO if it fails
 *
 * Returns how many have status 0. */
uint16_t crypt_protect_burst(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n);

/* Authenticates and decrypts, under the index given; it keeps no replay window.
 *
 * status  as above, and -EBADMSG if the tag is wrong or missing: nothing of 'dst' may then
 * be used (what was decrypted is zeroed)
 *
 * Returns how many have status 0. */
uint16_t crypt_unprotect_burst(struct crypt_ctx *ctx, struct crypt_op *ops, uint16_t n);

/* Encrypts one compound RTCP packet and appends index and tag.
 *
 * key    written when it meets its first RTCP packet
 * index  31 bits; one sequence per key and SSRC, each index once
 * pkt    len >= 8 bytes, borrowed; 'out' is the same memory or does not overlap
 * out    filled; cap >= len + crypt_rtcp_overhead()
 *
 * Returns 0, -EINVAL (key or index), -EBADMSG if 'pkt' is shorter than a header, or
 * -ENOSPC. libsrtp2 counts by itself from 1 for each SSRC: index 0 is -ERANGE, an index
 * ahead of its count costs a dummy encryption for each one passed (some us), more than 2^20
 * is -ERANGE. */
int crypt_rtcp_protect(struct crypt_ctx *ctx, struct crypt_key *key, uint32_t index,
                       const uint8_t *pkt, size_t len, uint8_t *out, size_t cap,
                       size_t *out_len);

/* Authenticates and decrypts one SRTCP packet; an unencrypted one (E flag clear) is
 * refused.
 *
 * pkt        borrowed; 'out' is the same memory or does not overlap
 * out        filled; cap >= len - crypt_rtcp_overhead()
 * index_out  filled with the packet's 31-bit index, for the caller's replay window
 *
 * Returns 0, -EINVAL (key), -ENOSPC, or -EBADMSG if the packet is too short, not encrypted
 * or its tag is wrong; 'out' then holds nothing usable. */
int crypt_rtcp_unprotect(struct crypt_ctx *ctx, struct crypt_key *key, const uint8_t *pkt,
                         size_t len, uint8_t *out, size_t cap, size_t *out_len,
                         uint32_t *index_out);

#endif
