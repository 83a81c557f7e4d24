/* See record.h. Every text is a length byte and its characters. */
#include "session/record.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/bytes.h"

enum { STREAM_MAGIC = 'S', SUB_MAGIC = 'C', RECORD_VERSION = 1 };

static void put_tag(struct wbytes *w, uint8_t magic, const void *tag, size_t tag_len)
{
    wbytes_u8(w, magic);
    wbytes_u8(w, RECORD_VERSION);
    wbytes_u8(w, (uint8_t)tag_len);
    wbytes_put(w, tag, tag_len);
}

/* Returns false if this is no record of ours. */
static bool get_tag(struct rbytes *r, uint8_t magic, const uint8_t **tag, size_t *tag_len)
{
    const uint8_t *p;
    size_t len;

    if (rbytes_u8(r) != magic || rbytes_u8(r) != RECORD_VERSION) {
        return false;
    }
    len = rbytes_u8(r);
    p = rbytes_take(r, len);
    if (tag != NULL) {
        *tag = p;
        *tag_len = len;
    }
    return !r->bad;
}

/* Of a blob that has 'cap' bytes. */
static struct rbytes blob_bytes(const uint8_t *data, size_t cap, uint32_t len)
{
    return rbytes_of(data, len <= cap ? len : 0); /* 0: no magic */
}

/* ---- streams ---- */

static void put_fmtp(struct wbytes *w, const struct rtp_fmtp *fmtp)
{
    wbytes_text(w, fmtp->name);
    wbytes_u8(w, fmtp->is_number);
    if (fmtp->is_number) {
        wbytes_be64(w, (uint64_t)fmtp->number);
    } else {
        wbytes_text(w, fmtp->text);
    }
}

static void get_fmtp(struct rbytes *r, struct rtp_fmtp *fmtp)
{
    rbytes_text(r, fmtp->name, sizeof(fmtp->name));
    fmtp->is_number = rbytes_u8(r) != 0;
    if (fmtp->is_number) {
        fmtp->number = (int64_t)rbytes_be64(r);
    } else {
        rbytes_text(r, fmtp->text, sizeof(fmtp->text));
    }
}

static void put_codec(struct wbytes *w, const struct ortc_codec_map *codec)
{
    const uint8_t fixed[] = {codec->entry,  codec->codec,     codec->pt,
                             codec->rtx_pt, codec->router_pt, codec->router_rtx_pt,
                             codec->n_fmtp};

    wbytes_put(w, fixed, sizeof(fixed));
    for (uint8_t i = 0; i < codec->n_fmtp; i++) {
        put_fmtp(w, &codec->fmtp[i]);
    }
}

static void get_codec(struct rbytes *r, struct ortc_codec_map *codec)
{
    codec->entry = rbytes_u8(r);
    codec->codec = rbytes_u8(r);
    codec->pt = rbytes_u8(r);
    codec->rtx_pt = rbytes_u8(r);
    codec->router_pt = rbytes_u8(r);
    codec->router_rtx_pt = rbytes_u8(r);
    codec->n_fmtp = rbytes_u8(r);
    if (codec->n_fmtp > RTP_PARAMS_MAX_FMTP || codec->entry >= ORTC_N_ENTRIES ||
        codec->codec == 0 || codec->codec >= N_ABI_CODECS) {
        codec->n_fmtp = 0;
        r->bad = true;
    }
    for (uint8_t i = 0; i < codec->n_fmtp; i++) {
        get_fmtp(r, &codec->fmtp[i]);
    }
}

static void put_encoding(struct wbytes *w, const struct rtp_encoding *enc)
{
    wbytes_be32(w, enc->ssrc);
    wbytes_be32(w, enc->rtx_ssrc);
    wbytes_be32(w, enc->max_bitrate_bps);
    wbytes_text(w, enc->rid);
    wbytes_text(w, enc->scalability_mode);
    wbytes_u8(w, enc->dtx);
}

static void get_encoding(struct rbytes *r, struct rtp_encoding *enc)
{
    enc->ssrc = rbytes_be32(r);
    enc->rtx_ssrc = rbytes_be32(r);
    enc->max_bitrate_bps = rbytes_be32(r);
    rbytes_text(r, enc->rid, sizeof(enc->rid));
    rbytes_text(r, enc->scalability_mode, sizeof(enc->scalability_mode));
    enc->dtx = rbytes_u8(r) != 0;
}

size_t record_write_stream(uint8_t out[VAULT_BLOB_MAX], const void *tag, size_t tag_len,
                           uint8_t encoding, const struct ortc_producer *params)
{
    struct wbytes w = wbytes_of(out, VAULT_BLOB_MAX);

    put_tag(&w, STREAM_MAGIC, tag, tag_len);
    wbytes_u8(&w, encoding);
    wbytes_u8(&w, params->n_encodings);
    if (encoding == 0) {
        wbytes_u8(&w, (uint8_t)params->kind);
        wbytes_text(&w, params->mid);
        wbytes_text(&w, params->cname);
        wbytes_put(&w, params->ext_id, sizeof(params->ext_id));
        wbytes_u8(&w, params->n_codecs);
        for (uint8_t i = 0; i < params->n_codecs; i++) {
            put_codec(&w, &params->codecs[i]);
        }
        for (uint8_t i = 0; i < params->n_encodings; i++) {
            put_encoding(&w, &params->encodings[i]);
        }
    }
    return w.bad ? 0 : wbytes_len(&w);
}

static void get_params(struct rbytes *r, struct ortc_producer *params)
{
    const uint8_t *exts;
    uint8_t kind = rbytes_u8(r);

    params->kind = kind == RTP_KIND_AUDIO ? RTP_KIND_AUDIO : RTP_KIND_VIDEO;
    rbytes_text(r, params->mid, sizeof(params->mid));
    rbytes_text(r, params->cname, sizeof(params->cname));
    exts = rbytes_take(r, sizeof(params->ext_id));
    params->n_codecs = rbytes_u8(r);
    if (exts == NULL || kind < RTP_KIND_AUDIO || kind > RTP_KIND_VIDEO ||
        params->n_codecs == 0 || params->n_codecs > ORTC_MAX_CODECS) {
        r->bad = true;
        params->n_codecs = 0;
        return;
    }
    memcpy(params->ext_id, exts, sizeof(params->ext_id));
    for (uint8_t i = 0; i < params->n_codecs; i++) {
        get_codec(r, &params->codecs[i]);
    }
    for (uint8_t i = 0; i < params->n_encodings; i++) {
        get_encoding(r, &params->encodings[i]);
    }
}

int record_read_stream(const struct vault_blob *blob, const uint8_t **tag, size_t *tag_len,
                       uint8_t *encoding, uint8_t *n_encodings,
                       struct ortc_producer *params)
{
    struct rbytes r = blob_bytes(blob->data, sizeof(blob->data), blob->len);

    if (!get_tag(&r, STREAM_MAGIC, tag, tag_len)) {
        return -EBADMSG;
    }
    *encoding = rbytes_u8(&r);
    *n_encodings = rbytes_u8(&r);
    if (r.bad || *n_encodings == 0 || *n_encodings > RTP_PARAMS_MAX_ENCODINGS ||
        *encoding >= *n_encodings) {
        return -EBADMSG;
    }
    if (params == NULL) {
        return 0;
    }
    if (*encoding != 0) {
        return -ENOENT;
    }
    memset(params, 0, sizeof(*params));
    params->n_encodings = *n_encodings;
    get_params(&r, params);
    return r.bad ? -EBADMSG : 0;
}

/* ---- subscriptions ---- */

static void put_caps(struct wbytes *w, const struct ortc_caps *caps)
{
    wbytes_u8(w, caps->codecs);
    wbytes_u8(w, caps->rtx);
    wbytes_be16(w, caps->audio_exts);
    wbytes_be16(w, caps->video_exts);
    wbytes_put(w, caps->feedback, sizeof(caps->feedback));
    wbytes_put(w, caps->audio_ext_id, sizeof(caps->audio_ext_id));
    wbytes_put(w, caps->video_ext_id, sizeof(caps->video_ext_id));
    wbytes_put(w, caps->pt, sizeof(caps->pt));
    wbytes_put(w, caps->rtx_pt, sizeof(caps->rtx_pt));
}

static void get_bytes(struct rbytes *r, uint8_t *out, size_t len)
{
    const uint8_t *bytes = rbytes_take(r, len);

    if (bytes != NULL) {
        memcpy(out, bytes, len);
    }
}

static void get_caps(struct rbytes *r, struct ortc_caps *caps)
{
    caps->codecs = rbytes_u8(r);
    caps->rtx = rbytes_u8(r);
    caps->audio_exts = rbytes_be16(r);
    caps->video_exts = rbytes_be16(r);
    get_bytes(r, caps->feedback, sizeof(caps->feedback));
    get_bytes(r, caps->audio_ext_id, sizeof(caps->audio_ext_id));
    get_bytes(r, caps->video_ext_id, sizeof(caps->video_ext_id));
    get_bytes(r, caps->pt, sizeof(caps->pt));
    get_bytes(r, caps->rtx_pt, sizeof(caps->rtx_pt));
    r->bad = r->bad || caps->codecs == 0 || caps->codecs >= 1u << ORTC_N_ENTRIES;
    for (unsigned i = 0; i < ORTC_N_ENTRIES; i++) {
        r->bad = r->bad || caps->pt[i] > 127 || caps->rtx_pt[i] > 127;
    }
    for (unsigned i = 0; i < ORTC_N_EXTS; i++) {
        r->bad = r->bad || caps->audio_ext_id[i] > RTP_EXT_ID_MAX ||
                 caps->video_ext_id[i] > RTP_EXT_ID_MAX;
    }
}

size_t record_write_sub(uint8_t out[VAULT_SUB_BLOB_MAX], const void *tag, size_t tag_len,
                        const struct ortc_consumer *params, const struct ortc_caps *caps)
{
    struct wbytes w = wbytes_of(out, VAULT_SUB_BLOB_MAX);

    put_tag(&w, SUB_MAGIC, tag, tag_len);
    wbytes_u8(&w, (uint8_t)params->kind);
    wbytes_text(&w, params->cname);
    wbytes_text(&w, params->scalability_mode);
    wbytes_be32(&w, params->max_bitrate_bps);
    wbytes_u8(&w, params->n_codecs);
    for (uint8_t i = 0; i < params->n_codecs; i++) {
        wbytes_u8(&w, params->codecs[i].map);
        wbytes_u8(&w, params->codecs[i].pt);
        wbytes_u8(&w, params->codecs[i].rtx_pt);
        wbytes_u8(&w, params->codecs[i].feedback);
    }
    if (caps != NULL) {
        put_caps(&w, caps);
    }
    return w.bad ? 0 : wbytes_len(&w);
}

int record_read_sub(const struct vault_sub_conf *conf, const uint8_t **tag, size_t *tag_len,
                    struct ortc_consumer *params, struct ortc_caps *caps)
{
    struct rbytes r =
        blob_bytes(conf->blob.data, sizeof(conf->blob.data), conf->blob.len);
    uint8_t kind;

    if (!get_tag(&r, SUB_MAGIC, tag, tag_len)) {
        return -EBADMSG;
    }
    if (params == NULL) {
        return 0;
    }
    memset(params, 0, sizeof(*params));
    kind = rbytes_u8(&r);
    rbytes_text(&r, params->cname, sizeof(params->cname));
    rbytes_text(&r, params->scalability_mode, sizeof(params->scalability_mode));
    params->max_bitrate_bps = rbytes_be32(&r);
    params->n_codecs = rbytes_u8(&r);
    if (params->n_codecs == 0 || params->n_codecs > ORTC_MAX_CODECS ||
        kind < RTP_KIND_AUDIO || kind > RTP_KIND_VIDEO || conf->mid_len > RTP_MID_MAX) {
        return -EBADMSG;
    }
    params->kind = (enum rtp_kind)kind;
    for (uint8_t i = 0; i < params->n_codecs; i++) {
        params->codecs[i].map = rbytes_u8(&r);
        params->codecs[i].pt = rbytes_u8(&r);
        params->codecs[i].rtx_pt = rbytes_u8(&r);
        params->codecs[i].feedback = rbytes_u8(&r);
    }
    if (caps != NULL) {
        memset(caps, 0, sizeof(*caps));
        if (rbytes_left(&r) > 0) {
            get_caps(&r, caps);
        }
    }
    memcpy(params->mid, conf->mid, conf->mid_len);
    memcpy(params->ext_id, conf->ext_id, sizeof(params->ext_id));
    params->ssrc = conf->ssrc;
    params->rtx_ssrc = conf->rtx_ssrc;
    return r.bad ? -EBADMSG : 0;
}
