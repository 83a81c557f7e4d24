/* See producer.h. Answers of the dataplane may come after the producer was closed, so the
 * memory stays until the last of them. */
#include "session/producer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/media.h"
#include "session/record.h"

_Static_assert((int)ORTC_AV1 == (int)ABI_CODEC_AV1 && (int)ORTC_OPUS == (int)ABI_CODEC_OPUS,
               "one numbering of codecs");
_Static_assert((int)ORTC_EXT_PLAYOUT_DELAY == (int)ABI_EXT_PLAYOUT_DELAY &&
                   (int)ORTC_EXT_MID == (int)ABI_EXT_MID &&
                   (int)ORTC_N_EXTS <= (int)N_ABI_EXTS,
               "one numbering of extensions");
_Static_assert((int)RTP_MID_MAX == (int)VAULT_MID_MAX &&
                   (int)RTP_RID_MAX == (int)VAULT_RID_MAX,
               "one limit");

enum { MAX_LAYERS = 4 }; /* spatial, and temporal */

struct producer {
    struct media *media;
    struct ortc_producer params;
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS];
    uint8_t n_streams;
    uint8_t n_waiting; /* answers still to come */
    bool paused;
    uint8_t gate;
    bool closed;
    uint32_t holders; /* who needs its parameters still */
    int status;       /* the first error */
    producer_done *done;
    void *arg;
};

static void free_if_done(struct producer *p)
{
    if (p->closed && p->n_waiting == 0 && p->holders == 0) {
        free(p);
    }
}

static void on_answer(void *arg, int status)
{
    struct producer *p = arg;

    p->n_waiting--;
    if (status != 0 && p->status == 0) {
        p->status = status;
    }
    if (p->n_waiting > 0) {
        return;
    }
    if (p->closed) {
        free_if_done(p);
    } else if (p->done != NULL) {
        producer_done *done = p->done;

        p->done = NULL;
        done(p->arg, p->status);
    }
}

static void fill_conf(const struct producer *p, uint64_t peer, uint8_t encoding,
                      struct vault_stream_conf *out)
{
    const struct ortc_codec_map *codec = &p->params.codecs[0];
    const struct rtp_encoding *enc = &p->params.encodings[encoding];

    *out = (struct vault_stream_conf){
        .peer = peer,
        .clock_hz = codec->codec == ORTC_OPUS ? 48000 : 90000,
        .ssrc = enc->ssrc,
        .rtx_ssrc = enc->rtx_ssrc,
        .kind = p->params.kind == RTP_KIND_AUDIO ? ABI_AUDIO : ABI_VIDEO,
        .codec = codec->codec,
        .paused = p->paused,
        .pt = codec->pt,
        .nack = codec->nack,
        .remb = codec->remb,
        .rtx_pt = codec->rtx_pt == ORTC_NO_PT ? 0 : codec->rtx_pt,
        .mid_len = (uint8_t)strlen(p->params.mid),
        .rid_len = (uint8_t)strlen(enc->rid),
    };
    memcpy(out->mid, p->params.mid, out->mid_len);
    memcpy(out->rid, enc->rid, out->rid_len);
    memcpy(out->ext_id, p->params.ext_id, sizeof(p->params.ext_id));
}

int producer_create(struct producer **out, struct media *media, uint64_t peer,
                    uint16_t room, enum rtp_kind kind, const struct rtp_params *params, bool paused,
                    producer_done *done, void *arg, struct rtp_error *err)
{
    struct producer *p = calloc(1, sizeof(*p));
    int e;

    if (p == NULL) {
        return -ENOMEM;
    }
    p->media = media;
    p->paused = paused;
    e = ortc_map_producer(kind, params, &p->params, err);
    if (e != 0) {
        free(p);
        return e;
    }
    for (uint8_t i = 0; i < p->params.n_encodings && e == 0; i++) {
        struct vault_stream_conf conf;

        fill_conf(p, peer, i, &conf);
        conf.room = room;
        e = media_stream_open(media, &conf, on_answer, p, &p->streams[i]);
        if (e == 0) {
            p->n_streams++;
            p->n_waiting++;
        }
    }
    if (e != 0) {
        producer_close(p);
        return e;
    }
    p->done = done;
    p->arg = arg;
    *out = p;
    return 0;
}

int producer_save(const struct producer *p, const void *tag, size_t tag_len)
{
    uint8_t bytes[VAULT_BLOB_MAX];

    for (uint8_t i = 0; i < p->n_streams; i++) {
        size_t len = tag_len <= PRODUCER_TAG_MAX
                         ? record_write_stream(bytes, tag, tag_len, i, &p->params)
                         : 0;
        int err = len > 0
                      ? media_set_blob(p->media, MEDIA_STREAM, p->streams[i], bytes, len)
                      : -EMSGSIZE;

        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int producer_tag(const struct vault_stream_conf *conf, const uint8_t **tag, size_t *tag_len,
                 uint8_t *encoding, uint8_t *n_encodings)
{
    return record_read_stream(&conf->blob, tag, tag_len, encoding, n_encodings, NULL);
}

int producer_restore(struct producer **out, struct media *media, const uint64_t *streams,
                     uint8_t n, producer_done *done, void *arg)
{
    struct producer *p = calloc(1, sizeof(*p));
    struct vault_stream_conf conf;
    uint8_t encoding;
    uint8_t of;
    int err;

    if (p == NULL) {
        return -ENOMEM;
    }
    err = media_stream_conf(media, streams[0], &conf);
    if (err == 0) {
        err = record_read_stream(&conf.blob, NULL, NULL, &encoding, &of, &p->params);
    }
    if (err == 0 && of != n) {
        err = -EBADMSG;
    }
    if (err != 0) {
        free(p);
        return err;
    }
    p->media = media;
    p->paused = conf.paused != 0;
    p->gate = conf.gate;
    for (uint8_t i = 0; i < n && err == 0; i++) {
        err = media_check(media, MEDIA_STREAM, streams[i], on_answer, p);
        if (err == 0) {
            p->streams[i] = streams[i];
            p->n_waiting++;
        }
    }
    if (err != 0) {
        p->closed = true; /* answers that are due free it */
        if (p->n_waiting == 0) {
            free(p);
        }
        return err;
    }
    p->n_streams = n;
    p->done = done;
    p->arg = arg;
    *out = p;
    return 0;
}

void producer_close(struct producer *p)
{
    if (p == NULL) {
        return;
    }
    for (uint8_t i = 0; i < p->n_streams; i++) {
        /* stale if the dataplane refused it or went away: then there is nothing to close */
        (void)media_close(p->media, MEDIA_STREAM, p->streams[i], NULL, NULL);
    }
    p->closed = true;
    p->done = NULL;
    free_if_done(p);
}

void producer_hold(struct producer *p)
{
    p->holders++;
}

void producer_let_go(struct producer *p)
{
    p->holders--;
    free_if_done(p);
}

void producer_set_paused(struct producer *p, bool paused)
{
    p->paused = paused;
    for (uint8_t i = 0; i < p->n_streams; i++) {
        (void)media_stream_set_paused(p->media, p->streams[i], paused, NULL, NULL);
    }
}

bool producer_is_paused(const struct producer *p)
{
    return p->paused;
}

void producer_set_gate(struct producer *p, uint8_t gate)
{
    if (p->gate == gate) {
        return;
    }
    for (uint8_t i = 0; i < p->n_streams; i++) {
        if (media_stream_set_gate(p->media, p->streams[i], gate, NULL, NULL) != 0) {
            return; /* too much waits: the next time */
        }
    }
    p->gate = gate;
}

uint8_t producer_gate(const struct producer *p)
{
    return p->gate;
}

uint8_t producer_loudness(const struct producer *p, uint64_t now_us)
{
    return p->paused ? 0 : media_stream_loudness(p->media, p->streams[0], now_us);
}

const struct ortc_producer *producer_params(const struct producer *p)
{
    return &p->params;
}

uint64_t producer_stream(const struct producer *p)
{
    return p->streams[0];
}

void producer_layers(const struct producer *p, struct producer_layers *out)
{
    const char *mode = "";
    unsigned spatial = 1;
    unsigned temporal = 1;

    for (uint8_t i = 0; i < p->params.n_encodings && mode[0] == '\0'; i++) {
        mode = p->params.encodings[i].scalability_mode;
    }
    if (sscanf(mode, "%*1[LS]%1uT%1u", &spatial, &temporal) != 2 || spatial == 0 ||
        temporal == 0 || spatial > MAX_LAYERS || temporal > MAX_LAYERS) {
        spatial = temporal = 1;
    }
    out->n_streams =
        p->n_streams <= VAULT_SUB_HIGHER + 1 ? p->n_streams : VAULT_SUB_HIGHER + 1;
    out->n_spatial = out->n_streams > 1 ? out->n_streams : (uint8_t)spatial;
    out->n_temporal = (uint8_t)temporal;
}

uint8_t producer_streams(const struct producer *p, uint64_t out[RTP_PARAMS_MAX_ENCODINGS])
{
    memcpy(out, p->streams, p->n_streams * sizeof(out[0]));
    return p->n_streams;
}
