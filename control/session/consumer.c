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
    struct ortc_producer producer; /* its parameters; the producer itself may end first */
    struct ortc_consumer params;
    uint64_t sub;
    bool waiting; /* for the answer */
    bool paused;
    bool movable;
    bool closed;
    consumer_done *done;
    void *arg;
};

static void on_answer(void *arg, int status)
{
    struct consumer *c = arg;

    c->waiting = false;
    if (c->closed) {
        free(c);
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
        .rtx_ssrc = c->params.rtx_ssrc,
        .pt = c->params.codecs[0].pt,
        .rtx_pt = c->params.codecs[0].rtx_pt == ORTC_NO_PT ? 0 : c->params.codecs[0].rtx_pt,
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

int consumer_set_layers(struct consumer *c, uint8_t spatial, uint8_t temporal,
                        uint8_t priority)
{
    const struct media_layers layers = {
        .spatial = spatial, .temporal = temporal, .priority = priority};

    return media_sub_set_layers(c->media, c->sub, &layers, NULL, NULL);
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
    c->producer = *producer_params(conf->producer);
    c->paused = true;
    c->movable = conf->movable;
    c->done = done;
    c->arg = arg;
    e = ortc_consume(&c->producer, conf->caps, &told, &c->params);
    if (e == 0) {
        fill_conf(c, conf, &sub);
        e = media_sub_open(conf->media, &sub, on_answer, c, &c->sub);
    }
    if (e != 0) {
        free(c);
        return e;
    }
    c->waiting = true;
    *out = c;
    return 0;
}

int consumer_save(const struct consumer *c, const void *tag, size_t tag_len)
{
    uint8_t bytes[VAULT_BLOB_MAX];
    size_t len =
        tag_len <= CONSUMER_TAG_MAX ? record_write_sub(bytes, tag, tag_len, &c->params) : 0;

    return len > 0 ? media_set_blob(c->media, MEDIA_SUB, c->sub, bytes, len) : -EMSGSIZE;
}

int consumer_tag(const struct vault_sub_conf *conf, const uint8_t **tag, size_t *tag_len)
{
    return record_read_sub(conf, tag, tag_len, NULL);
}

int consumer_restore(struct consumer **out, struct media *media, uint64_t sub,
                     const struct producer *producer, consumer_done *done, void *arg)
{
    struct consumer *c = calloc(1, sizeof(*c));
    struct vault_sub_conf conf;
    int err;

    if (c == NULL) {
        return -ENOMEM;
    }
    c->media = media;
    c->sub = sub;
    c->producer = *producer_params(producer);
    err = media_sub_conf(media, sub, &conf);
    if (err == 0) {
        err = record_read_sub(&conf, NULL, NULL, &c->params);
    }
    for (uint8_t i = 0; err == 0 && i < c->params.n_codecs; i++) {
        err = c->params.codecs[i].map < c->producer.n_codecs ? 0 : -EBADMSG;
    }
    if (err == 0) {
        c->paused = conf.paused != 0;
        c->movable = conf.layered != 0;
        err = media_check(media, MEDIA_SUB, sub, on_answer, c);
    }
    if (err != 0) {
        free(c);
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
        free(c);
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

    return c->movable && other->kind == c->producer.kind &&
           other->codecs[0].entry == c->producer.codecs[c->params.codecs[0].map].entry;
}

int consumer_move(struct consumer *c, const struct producer *to)
{
    uint64_t streams[RTP_PARAMS_MAX_ENCODINGS] = {0};
    struct producer_layers layers;
    int e;

    if (!consumer_fits(c, to)) {
        return -ENOTSUP;
    }
    (void)producer_streams(to, streams);
    producer_layers(to, &layers);
    e = media_sub_set_streams(c->media, c->sub, streams, layers.n_streams, NULL, NULL);
    if (e == 0) {
        c->producer = *producer_params(to);
        c->params.codecs[0].map = 0;
        c->params.n_codecs = 1;
    }
    return e;
}

void consumer_params(const struct consumer *c, struct rtp_params *out)
{
    ortc_consumer_params(&c->producer, &c->params, out);
}

uint64_t consumer_sub(const struct consumer *c)
{
    return c->sub;
}
