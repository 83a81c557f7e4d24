/* See consumer.h. The dataplane's answer may come after the consumer was closed, so the
 * memory stays until then. */
#include "session/consumer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/media.h"
#include "session/record.h"

struct consumer {
    struct media *media;
    struct producer *producer; /* held: for its parameters */
    struct ortc_consumer params;
    struct ortc_caps caps; /* of a movable one */
    uint32_t rtx_ssrc;     /* whether what it is sent now has RTX or not */
    uint64_t sub;
    bool waiting; /* for the answer */
    bool paused;
    bool movable;
    bool stale; /* the dataplane does not know yet what the receiver has chosen */
    bool closed;
    consumer_done *done;
    void *arg;
};

static void discard(struct consumer *c)
{
    producer_let_go(c->producer);
    free(c);
}

static void on_answer(void *arg, int status)
{
    struct consumer *c = arg;

    c->waiting = false;
    if (c->closed) {
        discard(c);
    } else if (c->done != NULL) {
        consumer_done *done = c->done;

        c->done = NULL;
        done(c->arg, status);
    }
}

enum consumer_type consumer_type(const struct producer_layers *layers)
{
    if (layers->n_streams > 1) {
        return CONSUMER_SIMULCAST;
    }
    return layers->n_spatial > 1 || layers->n_temporal > 1 ? CONSUMER_SVC : CONSUMER_SIMPLE;
}

static uint8_t rtx_pt(const struct ortc_consumer *params)
{
    return params->codecs[0].rtx_pt == ORTC_NO_PT ? 0 : params->codecs[0].rtx_pt;
}

static void fill_conf(const struct consumer *c, const struct consumer_conf *conf,
                      struct vault_sub_conf *out)
{
    size_t cname_len = strlen(c->params.cname);
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS] = {0};
    struct producer_layers layers;

    (void)producer_streams(conf->producer, streams);
    producer_layers(conf->producer, &layers);
    *out = (struct vault_sub_conf){
        .stream = streams[0],
        .layered = conf->movable || consumer_type(&layers) != CONSUMER_SIMPLE,
        .spatial = VAULT_LAYER_ANY,
        .temporal = VAULT_LAYER_ANY,
        .priority = 1,
        .screen = conf->screen,
        .peer = conf->peer,
        .ssrc = c->params.ssrc,
        .rtx_ssrc = conf->movable ? conf->rtx_ssrc : c->params.rtx_ssrc,
        .pt = c->params.codecs[0].pt,
        .rtx_pt = rtx_pt(&c->params),
        .paused = 1,
        .mid_len = (uint8_t)strlen(c->params.mid),
        .cname_len = (uint8_t)(cname_len < VAULT_CNAME_MAX ? cname_len : VAULT_CNAME_MAX),
    };
    for (uint8_t i = 1; i < layers.n_streams; i++) {
        out->higher[i - 1] = streams[i];
    }
    memcpy(out->mid, c->params.mid, out->mid_len);
    memcpy(out->cname, c->params.cname, out->cname_len);
    memcpy(out->ext_id, c->params.ext_id, sizeof(c->params.ext_id));
}

int consumer_set_layers(struct consumer *c, const struct media_layers *layers)
{
    return media_sub_set_layers(c->media, c->sub, layers, NULL, NULL);
}

int consumer_create(struct consumer **out, const struct consumer_conf *conf,
                    consumer_done *done, void *arg)
{
    const struct ortc_consumer_conf told = {.mid = conf->mid,
                                            .cname = conf->cname,
                                            .ssrc = conf->ssrc,
                                            .rtx_ssrc = conf->rtx_ssrc};
    struct consumer *c = calloc(1, sizeof(*c));
    struct vault_sub_conf sub;
    int e;

    if (c == NULL) {
        return -ENOMEM;
    }
    c->media = conf->media;
    c->producer = conf->producer;
    producer_hold(c->producer);
    c->paused = true;
    c->movable = conf->movable;
    c->caps = *conf->caps;
    c->rtx_ssrc = conf->rtx_ssrc;
    c->done = done;
    c->arg = arg;
    e = ortc_consume(producer_params(c->producer), conf->caps, &told, &c->params);
    if (e == 0) {
        fill_conf(c, conf, &sub);
        e = media_sub_open(conf->media, &sub, on_answer, c, &c->sub);
    }
    if (e != 0) {
        discard(c);
        return e;
    }
    c->waiting = true;
    *out = c;
    return 0;
}

int consumer_save(const struct consumer *c, const void *tag, size_t tag_len)
{
    /* as record_write_sub() has it */
    _Static_assert(3 + CONSUMER_TAG_MAX + 1 + sizeof(c->params.cname) +
                           sizeof(c->params.scalability_mode) + 4 + 1 +
                           (size_t)4 * ORTC_MAX_CODECS + sizeof(c->caps) <=
                       VAULT_SUB_BLOB_MAX,
                   "every consumer can be kept");
    uint8_t bytes[VAULT_SUB_BLOB_MAX];
    size_t len = tag_len <= CONSUMER_TAG_MAX
                     ? record_write_sub(bytes, tag, tag_len, &c->params,
                                        c->movable ? &c->caps : NULL)
                     : 0;

    return len > 0 ? media_set_blob(c->media, MEDIA_SUB, c->sub, bytes, len) : -EMSGSIZE;
}

int consumer_tag(const struct vault_sub_conf *conf, const uint8_t **tag, size_t *tag_len)
{
    return record_read_sub(conf, tag, tag_len, NULL, NULL);
}

int consumer_restore(struct consumer **out, struct media *media, uint64_t sub,
                     struct producer *producer, consumer_done *done, void *arg)
{
    struct consumer *c = calloc(1, sizeof(*c));
    struct vault_sub_conf conf;
    int err;

    if (c == NULL) {
        return -ENOMEM;
    }
    c->media = media;
    c->sub = sub;
    c->producer = producer;
    producer_hold(producer);
    err = media_sub_conf(media, sub, &conf);
    if (err == 0) {
        err = record_read_sub(&conf, NULL, NULL, &c->params, &c->caps);
    }
    for (uint8_t i = 0; err == 0 && i < c->params.n_codecs; i++) {
        err = c->params.codecs[i].map < producer_params(producer)->n_codecs ? 0 : -EBADMSG;
    }
    if (err == 0) {
        c->paused = conf.paused != 0;
        c->movable = c->caps.codecs != 0;
        c->rtx_ssrc = conf.rtx_ssrc;
        err = media_check(media, MEDIA_SUB, sub, on_answer, c);
    }
    if (err != 0) {
        discard(c);
        return err;
    }
    c->waiting = true;
    c->done = done;
    c->arg = arg;
    *out = c;
    return 0;
}

void consumer_close(struct consumer *c)
{
    if (c == NULL) {
        return;
    }
    (void)media_close(c->media, MEDIA_SUB, c->sub, NULL, NULL);
    c->closed = true;
    c->done = NULL;
    if (!c->waiting) {
        discard(c);
    }
}

void consumer_set_paused(struct consumer *c, bool paused)
{
    c->paused = paused;
    (void)media_sub_set_paused(c->media, c->sub, paused, NULL, NULL);
}

bool consumer_is_paused(const struct consumer *c)
{
    return c->paused;
}

bool consumer_fits(const struct consumer *c, const struct producer *to)
{
    const struct ortc_producer *other = producer_params(to);

    return c->movable && other->kind == c->params.kind && ortc_can_consume(other, &c->caps);
}

/* What its receiver is sent of 'from', under the numbers that it has. */
static int negotiate(const struct consumer *c, const struct ortc_producer *from, bool any,
                     struct ortc_consumer *out)
{
    const struct ortc_consumer_conf told = {.mid = c->params.mid,
                                            .cname = c->params.cname,
                                            .ssrc = c->params.ssrc,
                                            .rtx_ssrc = c->rtx_ssrc,
                                            .any = any};

    return ortc_consume(from, &c->caps, &told, out);
}

int consumer_move(struct consumer *c, struct producer *to, bool urgent)
{
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS] = {0};
    uint8_t ext_id[N_ABI_EXTS] = {0};
    struct producer_layers layers;
    struct ortc_consumer params;
    struct media_source source;
    int e;

    if (!consumer_fits(c, to)) {
        return -ENOTSUP;
    }
    e = negotiate(c, producer_params(to), false, &params);
    if (e != 0) {
        return e;
    }
    (void)producer_streams(to, streams);
    producer_layers(to, &layers);
    memcpy(ext_id, params.ext_id, sizeof(params.ext_id));
    source = (struct media_source){.streams = streams,
                                   .n = layers.n_streams,
                                   .pt = params.codecs[0].pt,
                                   .rtx_pt = rtx_pt(&params),
                                   .ext_id = ext_id,
                                   .urgent = urgent};
    e = media_sub_set_source(c->media, c->sub, &source, NULL, NULL);
    if (e == 0) {
        producer_hold(to);
        producer_let_go(c->producer);
        c->producer = to;
        c->params = params;
        c->stale = false;
    }
    return e;
}

bool consumer_narrow(struct consumer *c, const struct ortc_caps *caps)
{
    struct ortc_caps left = c->caps;
    struct ortc_producer any;

    ortc_narrow_caps(&left, caps);
    ortc_any_producer(c->params.kind, &any);
    if (!ortc_can_consume(&any, &left)) {
        return false;
    }
    c->caps = left;
    c->stale = true;
    return true;
}

bool consumer_is_stale(const struct consumer *c)
{
    return c->stale;
}

enum rtp_kind consumer_kind(const struct consumer *c)
{
    return c->params.kind;
}

/* A codec that is sent now is told as the stream is, any other as the router takes it. */
static void any_params(const struct consumer *c, struct rtp_params *out)
{
    const struct ortc_producer *of = producer_params(c->producer);
    struct ortc_producer any;
    struct ortc_consumer all;

    ortc_any_producer(c->params.kind, &any);
    for (uint8_t i = 0; i < any.n_codecs; i++) {
        for (uint8_t k = 0; k < of->n_codecs; k++) {
            if (any.codecs[i].entry == of->codecs[k].entry) {
                any.codecs[i] = of->codecs[k];
            }
        }
    }
    if (negotiate(c, &any, true, &all) == 0) {
        ortc_consumer_params(&any, &all, out);
    }
}

void consumer_params(const struct consumer *c, struct rtp_params *out)
{
    ortc_consumer_params(producer_params(c->producer), &c->params, out);
    if (c->movable) {
        any_params(c, out);
    }
}

uint64_t consumer_sub(const struct consumer *c)
{
    return c->sub;
}
