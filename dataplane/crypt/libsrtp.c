/* libsrtp2 backend. libsrtp2 keeps ROC, replay window and SRTCP index of each SSRC by
 * itself and guesses indexes; the interface here has explicit ones and no window. The two
 * are joined so that the result is always that of the index given:
 *
 * - one session a key; srtp_set_stream_roc() before each packet; repeats allowed;
 * - where the stream's state stands against an index (too old, repeated, ROC 0 guessed as
 * 1), the stream is dropped and the packet done again by a fresh one, which has no past;
 * - an SRTCP index ahead of the stream's own count is reached by encrypting a bare header
 * for each index between and throwing it away, one behind by dropping the stream.
 *
 * In order and without gaps none of this happens, beyond an allocation for each new SSRC
 * (with ROC above 0: a whole key derivation). Packets are copied in and out, as libsrtp2
 * works in place and wants alignment. */
#include "crypt/backend.h"
#include "sfu/base/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <srtp2/srtp.h>
#include <stdlib.h>
#include <string.h>

enum {
    RTP_HEADER = 12,
    PACKET_MAX = 65536,
    WINDOW = 1024,           /* how late a packet may be without a fresh stream */
    RTCP_STEPS_MAX = 1 << 20 /* dummy encryptions for one packet */
};

struct ls_ctx {
    struct crypt_ctx base;
    _Alignas(16) uint8_t pkt[PACKET_MAX + SRTP_MAX_TRAILER_LEN];
};

struct ls_key {
    struct key_head head;
    srtp_t session;
    bool outbound;
    uint8_t master[SRTP_MAX_KEY_LEN]; /* key, then salt */
};
_Static_assert(sizeof(struct ls_key) <= CRYPT_KEY_BYTES, "fits the caller's memory");

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static srtp_err_status_t library_status;

static void library_start(void)
{
    library_status = srtp_init();
}

static void fill_policy(struct ls_key *key, srtp_policy_t *policy)
{
    const srtp_profile_t profile = (srtp_profile_t)key->head.profile; /* both IANA's */

    memset(policy, 0, sizeof(*policy));
    srtp_crypto_policy_set_from_profile_for_rtp(&policy->rtp, profile);
    srtp_crypto_policy_set_from_profile_for_rtcp(&policy->rtcp, profile);
    policy->ssrc.type = key->outbound ? ssrc_any_outbound : ssrc_any_inbound;
    policy->key = key->master;
    policy->window_size = WINDOW;
    policy->allow_repeat_tx = 1;
}

static int ls_key_init(struct crypt_ctx *base, struct crypt_key *opaque,
                       const struct profile *profile, const uint8_t *master_key,
                       const uint8_t *master_salt, bool outbound)
{
    struct ls_key *key = (struct ls_key *)opaque->bytes;
    srtp_policy_t policy;
    (void)base;

    key->head.profile = profile->number;
    key->head.backend = CRYPT_LIBSRTP;
    key->outbound = outbound;
    memcpy(key->master, master_key, profile->key_len);
    memcpy(key->master + profile->key_len, master_salt, profile->salt_len);
    fill_policy(key, &policy);
    if (srtp_create(&key->session, &policy) != srtp_err_status_ok) {
        explicit_bzero(opaque, sizeof(*opaque));
        return -ENOMEM;
    }
    return 0;
}

void libsrtp_key_free(struct crypt_key *key)
{
    srtp_dealloc(((struct ls_key *)key->bytes)->session);
}

static void drop_stream(const struct ls_key *key, uint32_t ssrc)
{
    srtp_remove_stream(key->session, htonl(ssrc)); /* unlike its sisters: network order */
}

/* Brings the SSRC's stream, if there is one or the ROC wants one, to 'roc'. */
static srtp_err_status_t set_roc(struct ls_key *key, uint32_t ssrc, uint32_t roc)
{
    uint32_t now;

    if (srtp_get_stream_roc(key->session, ssrc, &now) == srtp_err_status_ok) {
        /* A ROC of 0 means "not set" to libsrtp2, which would go on guessing. */
        if (roc == 0 && now != 0) {
            drop_stream(key, ssrc);
            return srtp_err_status_ok;
        }
    } else if (roc == 0) {
        return srtp_err_status_ok; /* made from the session's template, with ROC 0 */
    } else {
        srtp_policy_t policy;
        srtp_err_status_t status;

        fill_policy(key, &policy);
        policy.ssrc.type = ssrc_specific;
        policy.ssrc.value = ssrc;
        status = srtp_add_stream(key->session, &policy);
        if (status != srtp_err_status_ok) {
            return status;
        }
    }
    return srtp_set_stream_roc(key->session, ssrc, roc);
}

/* libsrtp2 takes SSRC, sequence number and the header's length from the packet. */
static bool header_agrees(const struct crypt_op *op, const uint8_t *hdr)
{
    size_t len = RTP_HEADER;

    if (op->hdr_len < len) {
        return false;
    }
    len += 4 * (size_t)(hdr[0] & 15);
    if ((hdr[0] & 16) != 0) {
        if (op->hdr_len < len + 4) {
            return false;
        }
        len += 4 + 4 * (size_t)load_be16(hdr + len + 2);
    }
    return len == op->hdr_len && load_be16(hdr + 2) == (uint16_t)op->index &&
           load_be32(hdr + 8) == op->ssrc;
}

static int to_errno(srtp_err_status_t status)
{
    switch (status) {
    case srtp_err_status_ok:
        return 0;
    case srtp_err_status_auth_fail:
    case srtp_err_status_parse_err:
    case srtp_err_status_bad_param:
    case srtp_err_status_cipher_fail: /* a GCM packet shorter than its tag */
        return -EBADMSG;
    case srtp_err_status_alloc_fail:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

/* One try. The packet is in ctx->pkt afterwards if the status is ok. */
static srtp_err_status_t ls_once(struct ls_ctx *ctx, const struct crypt_op *op,
                                 const uint8_t *hdr, bool protect)
{
    struct ls_key *key = (struct ls_key *)op->key->bytes;
    const uint32_t roc = (uint32_t)(op->index >> 16);
    int len = op->hdr_len + op->len;
    srtp_err_status_t status = set_roc(key, op->ssrc, roc);
    uint32_t used;

    if (status != srtp_err_status_ok) {
        return status;
    }
    memcpy(ctx->pkt, hdr, op->hdr_len);
    if (op->len > 0) {
        memcpy(ctx->pkt + op->hdr_len, op->src, op->len);
    }
    if (!protect) {
        return srtp_unprotect(key->session, ctx->pkt, &len);
    }
    status = srtp_protect(key->session, ctx->pkt, &len);
    if (status == srtp_err_status_ok && roc == 0 &&
        srtp_get_stream_roc(key->session, op->ssrc, &used) == srtp_err_status_ok &&
        used != 0) {
        return srtp_err_status_pkt_idx_old; /* it guessed a later ROC than ours */
    }
    return status;
}

static int ls_one(struct ls_ctx *ctx, const struct crypt_op *op, bool protect)
{
    const struct ls_key *key = (const struct ls_key *)op->key->bytes;
    const struct profile *profile = profile_find(key->head.profile);
    const uint8_t *hdr = (protect ? op->dst : op->src) - op->hdr_len;
    srtp_err_status_t status;
    uint32_t roc;
    size_t len;
    bool known;

    if (profile == NULL || key->head.backend != CRYPT_LIBSRTP || !header_agrees(op, hdr)) {
        return -EINVAL;
    }
    if (op->hdr_len + op->len > PACKET_MAX) {
        return -EMSGSIZE;
    }
    if (!protect && op->len < profile->tag_len) {
        return -EBADMSG;
    }
    known = srtp_get_stream_roc(key->session, op->ssrc, &roc) == srtp_err_status_ok;
    status = ls_once(ctx, op, hdr, protect);
    if (status != srtp_err_status_ok && known) {
        /* The stream's past may be the cause. Of a wrong tag it is only if the index was
         * guessed; then forgeries cost a second try, and the stream is made anew. */
        if (status != srtp_err_status_auth_fail || op->index >> 16 == 0) {
            drop_stream(key, op->ssrc);
            known = false;
            status = ls_once(ctx, op, hdr, protect);
        }
    }
    if (status != srtp_err_status_ok) {
        if (!known) {
            drop_stream(key, op->ssrc); /* nothing stays of an SSRC that failed */
        }
        return to_errno(status);
    }
    len = protect ? (size_t)op->len + profile->tag_len : (size_t)op->len - profile->tag_len;
    memcpy(op->dst, ctx->pkt + op->hdr_len, len);
    return 0;
}

static uint16_t ls_burst(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n,
                         bool protect)
{
    uint16_t n_ok = 0;

    for (uint16_t i = 0; i < n; i++) {
        ops[i].status = ls_one((struct ls_ctx *)base, &ops[i], protect);
        n_ok = (uint16_t)(n_ok + (ops[i].status == 0));
    }
    return n_ok;
}

static uint16_t ls_protect(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n)
{
    return ls_burst(base, ops, n, true);
}

static uint16_t ls_unprotect(struct crypt_ctx *base, struct crypt_op *ops, uint16_t n)
{
    return ls_burst(base, ops, n, false);
}

/* Encrypts the first 'len' bytes of 'pkt' under the SSRC's next index, and says which that
 * was. */
static srtp_err_status_t rtcp_next(struct ls_ctx *ctx, const struct ls_key *key,
                                   const struct profile *profile, const uint8_t *pkt,
                                   size_t len, uint32_t *index)
{
    int n = (int)len;
    srtp_err_status_t status;

    memcpy(ctx->pkt, pkt, len);
    status = srtp_protect_rtcp(key->session, ctx->pkt, &n);
    if (status == srtp_err_status_ok) {
        *index = load_be32(ctx->pkt + len + (profile->aead ? profile->rtcp_tag_len : 0)) &
                 ~RTCP_E_FLAG;
    }
    return status;
}

static int ls_rtcp_protect(struct crypt_ctx *base, struct crypt_key *opaque,
                           const struct profile *profile, uint32_t index,
                           const uint8_t *pkt, size_t len, uint8_t *out)
{
    struct ls_ctx *ctx = (struct ls_ctx *)base;
    const struct ls_key *key = (const struct ls_key *)opaque->bytes;
    srtp_err_status_t status;
    uint32_t used;

    if (len > PACKET_MAX) {
        return -EMSGSIZE;
    }
    if (index == 0) {
        return -ERANGE;
    }
    status = rtcp_next(ctx, key, profile, pkt, len, &used);
    if (status != srtp_err_status_ok || used > index) {
        drop_stream(key, load_be32(pkt + 4));
        status = rtcp_next(ctx, key, profile, pkt, len, &used);
    }
    if (status == srtp_err_status_ok && index - used > RTCP_STEPS_MAX) {
        return -ERANGE;
    }
    while (status == srtp_err_status_ok && used != index) {
        const size_t part = used + 1 == index ? len : (size_t)RTCP_HEADER;

        status = rtcp_next(ctx, key, profile, pkt, part, &used);
    }
    if (status == srtp_err_status_ok) {
        memcpy(out, ctx->pkt, len + profile->rtcp_tag_len + RTCP_INDEX);
    }
    return to_errno(status);
}

static int ls_rtcp_unprotect(struct crypt_ctx *base, struct crypt_key *opaque,
                             const struct profile *profile, const uint8_t *pkt, size_t len,
                             uint8_t *out)
{
    struct ls_ctx *ctx = (struct ls_ctx *)base;
    const struct ls_key *key = (const struct ls_key *)opaque->bytes;
    srtp_err_status_t status = srtp_err_status_ok;

    if (len > PACKET_MAX) {
        return -EMSGSIZE;
    }
    for (unsigned i = 0; i < 2; i++) {
        int n = (int)len;

        memcpy(ctx->pkt, pkt, len);
        status = srtp_unprotect_rtcp(key->session, ctx->pkt, &n);
        if (status != srtp_err_status_replay_fail && status != srtp_err_status_replay_old) {
            break;
        }
        drop_stream(key, load_be32(pkt + 4)); /* the caller has the window */
    }
    if (status == srtp_err_status_ok) {
        memcpy(out, ctx->pkt, len - profile->rtcp_tag_len - RTCP_INDEX);
    }
    return to_errno(status);
}

static void ls_destroy(struct crypt_ctx *base)
{
    explicit_bzero(base, sizeof(struct ls_ctx));
    free(base);
}

static const struct backend ls_backend = {
    .ctx_destroy = ls_destroy,
    .key_init = ls_key_init,
    .protect = ls_protect,
    .unprotect = ls_unprotect,
    .rtcp_protect = ls_rtcp_protect,
    .rtcp_unprotect = ls_rtcp_unprotect,
};

int libsrtp_create(struct crypt_ctx **out)
{
    struct ls_ctx *ctx;

    pthread_once(&library_once, library_start);
    if (library_status != srtp_err_status_ok) {
        return -ENOTSUP;
    }
    ctx = aligned_alloc(16, (sizeof(*ctx) + 15) / 16 * 16);
    if (ctx == NULL) {
        return -ENOMEM;
    }
    ctx->base.backend = &ls_backend;
    *out = &ctx->base;
    return 0;
}
