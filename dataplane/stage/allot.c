/* See allot.h. */
#include "stage/allot.h"

#include "stage/begin.h"
#include "stage/layers.h"
#include "stage/padding.h"

enum {
    AUDIO_BPS = 40000, /* until they were measured */
    VIDEO_BPS = 300000,
    HEADERS = 40 /* of RTP and SRTP, about */
};

/* What a level of a subscription means. */
struct level {
    uint8_t spatial, temporal;
};

/* Audio is one stream, the first: it is not chosen among. */
struct share {
    size_t n;
    struct sub *subs[ALLOC_STREAMS];
    struct alloc_stream streams[ALLOC_STREAMS];
    struct level levels[ALLOC_STREAMS][ALLOC_LEVELS];
};

/* What the layers of a stream cost, of the given ones and those below. */
static uint32_t cost_of(const struct stream *stream, uint8_t spatial, uint8_t temporal)
{
    uint64_t bps = 0;

    for (unsigned s = 0; s <= spatial && s < LAYER_MAX; s++) {
        for (unsigned t = 0; t <= temporal && t < LAYER_MAX; t++) {
            bps += atomic_load_explicit(&stream->layer_bps[s][t], memory_order_relaxed);
        }
    }
    return bps < UINT32_MAX ? (uint32_t)bps : UINT32_MAX;
}

/* Of a screen a level that costs as much as one with more detail is not worth it, whatever
 * its frame rate. */
static void add_level(struct alloc_stream *out, struct level *levels, uint8_t spatial,
                      uint8_t temporal, uint32_t bps)
{
    uint8_t n = out->n_levels;

    if (n == ALLOC_LEVELS || bps == 0) {
        return; /* not measured yet */
    }
    while (out->kind == ALLOC_SCREEN && n > 0 && levels[n - 1].spatial < spatial &&
           out->bps[n - 1] >= bps) {
        n--;
    }
    out->bps[n] = n > 0 && bps < out->bps[n - 1] ? out->bps[n - 1] : bps;
    levels[n] = (struct level){.spatial = spatial, .temporal = temporal};
    out->n_levels = (uint8_t)(n + 1);
}

/* The layers that come and are wished for, by what they cost. Above the lowest size a frame
 * rate below the half is not worth its cost, but of a screen: detail over motion. */
static void add_layers(const struct sub *sub, uint64_t now_us, struct alloc_stream *out,
                       struct level *levels)
{
    const struct sub_layers *l = sub->layers;
    const uint8_t n_spatial = layers_live_spatial(l, now_us);
    const uint8_t n_temporal = layers_live_temporal(l);

    for (uint8_t s = 0; s < n_spatial && (s == 0 || s <= l->wish_spatial); s++) {
        const struct stream *stream = l->streams[l->n_streams > 1 ? s : 0];
        const uint8_t within = l->n_streams > 1 ? LAYER_MAX - 1 : s;
        uint8_t t =
            s > 0 && !sub->rest->screen && n_temporal > 2 ? (uint8_t)(n_temporal - 2) : 0;

        for (; t < n_temporal && (t == 0 || t <= l->wish_temporal); t++) {
            add_level(out, levels, s, t, cost_of(stream, within, t));
        }
    }
}

/* What it was sent so far that feedback cannot be about. */
static uint64_t unnumbered(const struct sub *sub)
{
    return sub->twcc_at == 0 ? sub->bytes + HEADERS * sub->packets : 0;
}

/* Tells the estimator what is sent besides. A sum that is less than before lost one who
 * left. */
static void note_besides(const struct lane *lane, struct peer *peer, uint64_t bytes)
{
    const uint64_t since_us = lane->now_us - peer->rest->allot_us;

    if (peer->rest->allot_us != 0 && bytes >= peer->rest->besides_bytes && since_us > 0) {
        bwe_besides(peer->bwe, (bytes - peer->rest->besides_bytes) * 8000000 / since_us);
    }
    peer->rest->allot_us = lane->now_us;
    peer->rest->besides_bytes = bytes;
}

static void begin(struct share *share)
{
    share->n = 1;
    share->streams[0] = (struct alloc_stream){.kind = ALLOC_AUDIO, .n_levels = 1};
}

static void add_audio(struct share *share, const struct sub *sub)
{
    const uint32_t bps = cost_of(sub->stream, LAYER_MAX - 1, LAYER_MAX - 1);

    share->streams[0].bps[0] += bps > 0 ? bps : AUDIO_BPS;
}

static void add_video(struct share *share, struct sub *sub, uint64_t now_us)
{
    struct alloc_stream *out = &share->streams[share->n];
    const uint32_t bps = cost_of(sub->stream, LAYER_MAX - 1, LAYER_MAX - 1);

    *out = (struct alloc_stream){.kind = sub->rest->screen ? ALLOC_SCREEN : ALLOC_CAMERA,
                                 .max_level = ALLOC_LEVELS - 1,
                                 .priority = sub->rest->priority,
                                 .area = sub->rest->area,
                                 .level = sub->rest->level};
    if (sub->layers != NULL) {
        add_layers(sub, now_us, out, share->levels[share->n]);
    } else {
        add_level(out, share->levels[share->n], 0, 0, bps > 0 ? bps : VIDEO_BPS);
    }
    if (out->level >= out->n_levels) {
        out->level = (int8_t)(out->n_levels - 1);
    }
    share->subs[share->n++] = sub;
}

/* Sends it again, from the next key frame on. */
static void release(struct lane *lane, struct sub *sub)
{
    sub->held = false;
    if (!sub->paused) {
        begin_sub(lane, sub);
    }
}

static void hold(struct lane *lane, struct sub *sub)
{
    sub->held = true;
    tables_sub_unshed(lane->tables, sub);
    if (sub->layers != NULL) {
        layers_pause(lane, sub);
    }
}

static void apply(struct lane *lane, struct share *share, size_t i)
{
    const struct alloc_stream *s = &share->streams[i];
    struct sub *sub = share->subs[i];
    const bool top = s->level + 1 >= s->n_levels;

    sub->rest->level = s->level;
    if (s->level == ALLOC_PAUSED && s->n_levels > 0) {
        if (!sub->held) {
            hold(lane, sub);
        }
        return;
    }
    if (sub->layers != NULL && (s->n_levels == 0 || top)) {
        layers_limit(lane, sub, SUB_LAYER_ANY, SUB_LAYER_ANY);
    } else if (sub->layers != NULL) {
        const struct level *level = &share->levels[i][s->level];

        layers_limit(lane, sub, level->spatial, level->temporal);
    }
    if (sub->held) {
        release(lane, sub);
    }
}

bool allot_is_known(const struct lane *lane, struct peer *peer)
{
    const struct bwe *bwe = peer->bwe;

    if (!bwe_is_fed(bwe)) {
        return false;
    }
    if (peer->rest->fed_us == 0) {
        peer->rest->fed_us = lane->now_us;
    }
    return bwe->rate.decreased_us != 0 ||
           lane->now_us - peer->rest->fed_us > ALLOT_GRACE_US;
}

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Whether probes show what the link carries. */
static bool is_probed(const struct peer *peer)
{
    return peer->bwe->feedback_us != 0 && padding_is_possible(peer);
}

/* For one for whom media is the only probe. */
static enum trial_step try_more(const struct lane *lane, struct peer *peer,
                                const struct share *share)
{
    struct bwe *bwe = peer->bwe;
    const uint64_t spent_bps = alloc_spent(share->streams, share->n);
    const struct trial_view view = {
        .estimate_bps = bwe_target(bwe),
        .told_bps = bwe_told(bwe),
        .spent_bps = spent_bps,
        .more = alloc_wanted(share->streams, share->n) > spent_bps,
        .calm = bwe_is_calm(bwe, lane->now_us),
        .remb = bwe->feedback_us == 0,
        .silent = bwe->remb_us < peer->rest->trial.since_us,
        .fell_us = latest(peer->rest->alloc.fell_us,
                          latest(bwe->rate.decreased_us, bwe->loss.decreased_us))};
    const enum trial_step step = trial_tick(&peer->rest->trial, &view, lane->now_us);

    if (step == TRIAL_SHOWN) {
        bwe_on_shown(bwe, spent_bps, lane->now_us);
    }
    return step;
}

/* Sets the levels to what the link carries. */
static void share_out(const struct lane *lane, struct peer *peer, struct share *share,
                      bool probed)
{
    const bool known = allot_is_known(lane, peer);
    const enum trial_step step =
        known && !probed ? try_more(lane, peer, share) : TRIAL_NONE;

    if (step == TRIAL_BEGINS) {
        if (!alloc_raise(&peer->rest->alloc, share->streams, share->n, lane->now_us)) {
            trial_cancel(&peer->rest->trial); /* it is too soon for more */
        }
        return;
    }
    peer->rest->alloc.keep = step == TRIAL_LASTS || bwe_is_calm(peer->bwe, lane->now_us);
    (void)alloc_run(&peer->rest->alloc, share->streams, share->n,
                    known ? bwe_target(peer->bwe) : UINT64_C(1) << 40, lane->now_us);
}

void allot_peer(struct lane *lane, struct peer *peer)
{
    struct share share;
    const bool probed = is_probed(peer);
    uint64_t besides = 0;

    begin(&share);
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        besides += unnumbered(sub);
        if (sub->paused) {
            continue;
        }
        if (!sub->stream->video) {
            add_audio(&share, sub);
        } else if (share.n < ALLOC_STREAMS) { /* control gives nobody more */
            add_video(&share, sub, lane->now_us);
        }
    }
    note_besides(lane, peer, besides);
    peer->rest->allot_bytes = peer->tx_bytes;
    bwe_want(peer->bwe, alloc_wanted(share.streams, share.n) * 5 / 4);
    share_out(lane, peer, &share, probed);
    peer->rest->settled = !peer->rest->trial.on &&
                          alloc_spent(share.streams, share.n) >=
                              alloc_wanted(share.streams, share.n);
    peer->rest->given_bps = probed ? 0 : alloc_spent(share.streams, share.n);
    for (size_t i = 1; i < share.n; i++) {
        apply(lane, &share, i);
    }
}
