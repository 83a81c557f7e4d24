/* See far.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/far.h"

#include "sfu/base/handle.h"
#include "sfu/wire/demux.h"
#include "sfu/wire/rtcp_fb.h"
#include "sfu/wire/stun.h"
#include "stage/allot.h"
#include "support/hmac_sha1.h"

enum { ETHER_IPV4_UDP = 42, ETHER_IPV6_UDP = 62 };

const uint8_t far_vp8_key[12] = {0x10, 0x50, 0x2a, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xb4, 0, 7};
const uint8_t far_vp8_delta[12] = {0x10, 0x51, 0x2a, 0, 1, 2, 3, 4, 5, 6, 7, 8};

/* ---- transports ---- */

struct path far_path(uint32_t index, uint32_t n, uint8_t family)
{
    const uint8_t ours4[4] = {192, 0, 2, 1};
    const uint8_t theirs4[4] = {203, 0, (uint8_t)index, (uint8_t)(n + 1)};
    struct path path = {.remote_port = (uint16_t)(40000 + index),
                        .local_port = RIG_PORT,
                        .remote_mac = {2, 0, 0, 0, (uint8_t)index, 2},
                        .family = family};

    if (family == 4) {
        path_map_v4(path.local_ip, ours4);
        path_map_v4(path.remote_ip, theirs4);
    } else {
        store_be32(path.local_ip, 0x20010db8);
        path.local_ip[15] = 1;
        store_be32(path.remote_ip, 0x20010db8);
        path.remote_ip[13] = 1;
        path.remote_ip[14] = (uint8_t)index;
        path.remote_ip[15] = (uint8_t)n;
    }
    return path;
}

static srtp_t session(uint32_t profile, const uint8_t *key, const uint8_t *salt,
                      srtp_ssrc_type_t type)
{
    uint8_t master[VAULT_KEY_MAX + VAULT_SALT_MAX];
    uint8_t key_len = crypt_master_key_len((enum crypt_profile)profile);
    srtp_policy_t policy = {
        .ssrc.type = type, .key = master, .window_size = 1024, .allow_repeat_tx = 1};
    static bool started;
    srtp_t out;

    if (!started) { /* by the backend, as the library can only be started once */
        struct crypt_ctx *ctx;

        assert_int_equal(crypt_ctx_create(&ctx, CRYPT_LIBSRTP), 0);
        crypt_ctx_destroy(ctx);
        started = true;
    }
    memcpy(master, key, key_len);
    memcpy(master + key_len, salt, VAULT_SALT_MAX);
    srtp_crypto_policy_set_from_profile_for_rtp(&policy.rtp, (srtp_profile_t)profile);
    srtp_crypto_policy_set_from_profile_for_rtcp(&policy.rtcp, (srtp_profile_t)profile);
    assert_int_equal(srtp_create(&out, &policy), srtp_err_status_ok);
    return out;
}

void far_open(struct far *far, struct rig *rig, uint32_t index, uint32_t profile,
              uint8_t family)
{
    struct vault_peer_conf *conf = &far->conf;

    memset(far, 0, sizeof(*far));
    far->rig = rig;
    far->path = far_path(index, 0, family);
    conf->handle = rig_handle(rig, index);
    conf->profile = profile;
    conf->n_paths = 1;
    conf->paths[0] = far->path;
    conf->ufrag_len = (uint8_t)snprintf((char *)conf->ufrag, 32, "uf%04u", index);
    conf->pwd_len = (uint8_t)snprintf((char *)conf->pwd, 64, "password-of-%010u", index);
    for (unsigned i = 0; i < VAULT_KEY_MAX; i++) {
        conf->rx_key[i] = (uint8_t)(3 * index + 7 * i + rig->gen);
        conf->tx_key[i] = (uint8_t)(5 * index + 11 * i + 1 + rig->gen);
    }
    for (unsigned i = 0; i < VAULT_SALT_MAX; i++) {
        conf->rx_salt[i] = (uint8_t)(7 * index + i);
        conf->tx_salt[i] = (uint8_t)(index + 13 * i);
    }
    if (profile != FAR_NO_KEYS) {
        far->out = session(profile, conf->rx_key, conf->rx_salt, ssrc_any_outbound);
        far->in = session(profile, conf->tx_key, conf->tx_salt, ssrc_any_inbound);
    }
    far->read_at = rig->n_frames;
    assert_int_equal(rig_peer(rig, ABI_OP_PEER_OPEN, conf), 0);
}

void far_end(struct far *far)
{
    if (far->out != NULL) {
        (void)srtp_dealloc(far->out);
        (void)srtp_dealloc(far->in);
    }
    far->out = far->in = NULL;
}

/* ---- sending ---- */

size_t far_make_rtp(struct far *far, const struct far_rtp *rtp, uint8_t *out)
{
    _Alignas(8) uint8_t buf[PKT_ROOM + SRTP_MAX_TRAILER_LEN];
    const struct rtp_hdr hdr = {.pt = rtp->pt,
                                .seq = rtp->seq,
                                .ts = rtp->ts,
                                .ssrc = rtp->ssrc,
                                .marker = rtp->marker,
                                .has_ext = rtp->ext != NULL,
                                .has_padding = rtp->padding > 0};
    struct wbytes w = wbytes_of(buf, PKT_ROOM);
    int len;

    rtp_write(&w, &hdr);
    if (rtp->ext != NULL) {
        assert_int_equal(rtp->ext_len % 4, 0);
        wbytes_be16(&w, rtp->ext_profile);
        wbytes_be16(&w, (uint16_t)(rtp->ext_len / 4));
        wbytes_put(&w, rtp->ext, rtp->ext_len);
    }
    wbytes_put(&w, rtp->payload, rtp->len);
    if (rtp->padding > 0) {
        wbytes_zero(&w, rtp->padding - 1u);
        wbytes_u8(&w, rtp->padding);
    }
    assert_false(w.bad);
    len = (int)wbytes_len(&w);
    assert_int_equal(srtp_protect(far->out, buf, &len), srtp_err_status_ok);
    assert_true(len <= PKT_ROOM);
    memcpy(out, buf, (size_t)len);
    return (size_t)len;
}

void far_send_rtp(struct far *far, const struct far_rtp *rtp)
{
    uint8_t buf[PKT_ROOM];
    size_t len = far_make_rtp(far, rtp, buf);

    rig_inject(far->rig, &far->path, buf, len);
}

size_t far_make_rtcp(struct far *far, const struct wbytes *w, uint8_t *out)
{
    _Alignas(8) uint8_t buf[PKT_ROOM + SRTP_MAX_TRAILER_LEN + 4];
    int len = (int)wbytes_len(w);

    assert_false(w->bad);
    assert_true(len <= PKT_ROOM);
    memcpy(buf, w->start, (size_t)len);
    assert_int_equal(srtp_protect_rtcp(far->out, buf, &len), srtp_err_status_ok);
    memcpy(out, buf, (size_t)len);
    return (size_t)len;
}

void far_send_rtcp(struct far *far, const struct wbytes *w)
{
    uint8_t buf[PKT_ROOM];
    size_t len = far_make_rtcp(far, w, buf);

    rig_inject(far->rig, &far->path, buf, len);
}

void far_send_remb(struct far *far, uint64_t bps)
{
    uint8_t bytes[64];
    struct wbytes w = wbytes_of(bytes, sizeof(bytes));

    rtcp_remb_write(&w, 9, bps, NULL, 0);
    far_send_rtcp(far, &w);
    rig_ingress(far->rig);
}

void far_believe(struct rig *rig)
{
    const uint64_t until_us = rig->lane.now_us + ALLOT_GRACE_US + 500000;

    while (rig->lane.now_us < until_us) {
        rig->lane.now_us += 20000;
        (void)pipeline_budget(&rig->pipe);
    }
}

/* ---- receiving ---- */

static size_t outer_len(const struct far *far)
{
    if (!io_device(far->rig->io, 0)->needs_headers) {
        return 0;
    }
    return far->path.family == 4 ? ETHER_IPV4_UDP : ETHER_IPV6_UDP;
}

static void decrypt(struct far *far, struct far_got *got)
{
    int len = (int)got->len;
    srtp_err_status_t status;

    switch (demux_of(got->data, got->len)) {
    case DEMUX_RTP:
        got->kind = FAR_RTP;
        status = srtp_unprotect(far->in, got->data, &len);
        break;
    case DEMUX_RTCP:
        got->kind = FAR_RTCP;
        status = srtp_unprotect_rtcp(far->in, got->data, &len);
        break;
    case DEMUX_STUN:
        got->kind = FAR_STUN;
        return;
    case DEMUX_DTLS:
    case DEMUX_UNKNOWN:
    default:
        fail_msg("neither RTP, RTCP nor STUN was sent");
        return;
    }
    assert_int_equal(status, srtp_err_status_ok);
    got->len = (size_t)len;
    if (got->kind == FAR_RTP) {
        assert_int_equal(rtp_parse(got->data, got->len, &got->hdr), 0);
        got->payload = got->data + got->hdr.hdr_len;
        got->payload_len = got->len - got->hdr.hdr_len;
    } else {
        assert_true(rtcp_valid(got->data, got->len));
    }
}

bool far_take(struct far *far, struct far_got *got)
{
    while (far->read_at < far->rig->n_frames) {
        const struct rig_frame *frame = &far->rig->frames[far->read_at++];
        size_t outer = outer_len(far);

        if (path_same_tuple(&frame->to, &far->path)) {
            assert_true(frame->len >= outer);
            got->len = frame->len - outer;
            memcpy(got->data, frame->data + outer, got->len);
            decrypt(far, got);
            return true;
        }
    }
    return false;
}

bool far_take_rtp(struct far *far, struct far_got *got)
{
    while (far_take(far, got)) {
        if (got->kind == FAR_RTP) {
            return true;
        }
    }
    return false;
}

bool far_take_rtcp(struct far *far, struct far_got *got)
{
    while (far_take(far, got)) {
        if (got->kind == FAR_RTCP) {
            return true;
        }
    }
    return false;
}

bool far_find(const struct far_got *got, uint8_t pt, int count, struct rtcp_pkt *out)
{
    struct rtcp_iter it = rtcp_iter_of(got->data, got->len);

    while (rtcp_next(&it, out) == 1) {
        if (out->pt == pt && (count < 0 || out->count == count)) {
            return true;
        }
    }
    return false;
}

const uint8_t *far_ext(const struct far_got *got, uint8_t id, uint8_t *len)
{
    return rtp_ext_find(&got->hdr, id, len);
}

/* ---- streams and subscriptions ---- */

static struct vault_stream_conf stream_conf(struct far *far, uint32_t index, uint32_t ssrc)
{
    return (struct vault_stream_conf){
        .handle = rig_handle(far->rig, index),
        .peer = far->conf.handle,
        .ssrc = ssrc,
        .ext_id = {[ABI_EXT_MID] = FAR_EXT_MID,
                   [ABI_EXT_RID] = FAR_EXT_RID,
                   [ABI_EXT_REPAIRED_RID] = FAR_EXT_REPAIRED_RID,
                   [ABI_EXT_TRANSPORT_CC] = FAR_EXT_TWCC,
                   [ABI_EXT_AUDIO_LEVEL] = FAR_EXT_LEVEL,
                   [ABI_EXT_DEPENDENCY] = FAR_EXT_DEPENDENCY}};
}

struct vault_stream_conf far_audio(struct far *far, uint32_t index, uint32_t ssrc)
{
    struct vault_stream_conf conf = stream_conf(far, index, ssrc);

    conf.kind = ABI_AUDIO;
    conf.codec = ABI_CODEC_OPUS;
    conf.clock_hz = 48000;
    conf.pt = FAR_AUDIO_PT;
    return conf;
}

struct vault_stream_conf far_video(struct far *far, uint32_t index, uint32_t ssrc)
{
    struct vault_stream_conf conf = stream_conf(far, index, ssrc);

    conf.kind = ABI_VIDEO;
    conf.codec = ABI_CODEC_VP8;
    conf.clock_hz = 90000;
    conf.pt = FAR_VIDEO_PT;
    conf.rtx_pt = FAR_RTX_PT;
    return conf;
}

struct vault_sub_conf far_sub(struct far *far, uint32_t index,
                              const struct vault_stream_conf *stream, uint32_t ssrc)
{
    struct vault_sub_conf conf = {
        .handle = rig_handle(far->rig, index),
        .stream = stream->handle,
        .peer = far->conf.handle,
        .ssrc = ssrc,
        .pt = stream->kind == ABI_VIDEO ? FAR_OUT_VIDEO_PT : FAR_OUT_AUDIO_PT,
    };

    if (stream->kind == ABI_VIDEO) {
        conf.rtx_pt = FAR_OUT_RTX_PT;
        conf.rtx_ssrc = ssrc ^ FAR_OUT_RTX_BIT;
    }
    conf.mid_len = (uint8_t)snprintf((char *)conf.mid, sizeof(conf.mid), "%u", index);
    conf.cname_len = (uint8_t)snprintf(conf.cname, sizeof(conf.cname), "cname-%u", index);
    for (unsigned id = 1; id <= ABI_EXT_PLAYOUT_DELAY; id++) {
        conf.ext_id[id] =
            (uint8_t)(id != ABI_EXT_RID && id != ABI_EXT_REPAIRED_RID ? id : 0);
    }
    return conf;
}

struct vault_stream_conf far_publish_audio(struct far *far, uint32_t index, uint32_t ssrc)
{
    struct vault_stream_conf conf = far_audio(far, index, ssrc);

    assert_int_equal(rig_stream(far->rig, ABI_OP_STREAM_OPEN, &conf), 0);
    return conf;
}

struct vault_stream_conf far_publish_video(struct far *far, uint32_t index, uint32_t ssrc)
{
    struct vault_stream_conf conf = far_video(far, index, ssrc);

    assert_int_equal(rig_stream(far->rig, ABI_OP_STREAM_OPEN, &conf), 0);
    return conf;
}

struct vault_sub_conf far_subscribe(struct far *far, uint32_t index,
                                    const struct vault_stream_conf *stream, uint32_t ssrc)
{
    struct vault_sub_conf conf = far_sub(far, index, stream, ssrc);

    assert_int_equal(rig_sub(far->rig, ABI_OP_SUB_OPEN, &conf), 0);
    return conf;
}

/* ---- STUN ---- */

static void hmac(void *ctx, const uint8_t *data, size_t len, uint8_t out[STUN_MAC_LEN])
{
    test_hmac_sha1(ctx, data, len, out);
}

size_t far_make_check(const struct far *far, const struct far_check *check, uint8_t *out)
{
    static _Atomic uint32_t n_made;
    uint8_t txid[STUN_TXID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct stun_writer w;
    char user[64];
    char pwd[65];
    int len;

    (void)snprintf(user, sizeof(user), "%s:theirs", (const char *)far->conf.ufrag);
    (void)snprintf(pwd, sizeof(pwd), "%.64s",
                   check->pwd != NULL ? check->pwd : (const char *)far->conf.pwd);
    if (check->username != NULL) {
        (void)snprintf(user, sizeof(user), "%s", check->username);
    }
    store_be32(txid + 8, atomic_fetch_add(&n_made, 1));
    stun_write_begin(&w, out, 256, STUN_BINDING_REQUEST, txid);
    if (!check->no_username) {
        stun_write_attr(&w, STUN_USERNAME, user, (uint16_t)strlen(user));
    }
    if (!check->bare) {
        stun_write_u64(&w, STUN_ICE_CONTROLLING, 0x1122334455667788);
        stun_write_u32(&w, STUN_PRIORITY, 1845501695);
    }
    if (check->nominate) {
        stun_write_attr(&w, STUN_USE_CANDIDATE, NULL, 0);
    }
    if (!check->no_integrity) {
        stun_write_integrity(&w, hmac, pwd);
    }
    len = stun_write_finish(&w);
    assert_true(len > 0);
    return (size_t)len;
}

void far_send_check(struct far *far, const struct path *from)
{
    const struct far_check check = {.nominate = true};
    uint8_t buf[256];
    size_t len = far_make_check(far, &check, buf);

    rig_inject(far->rig, from, buf, len);
}
