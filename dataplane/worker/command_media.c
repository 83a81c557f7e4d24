/* Commands for streams and subscriptions; see command.h. */
#include "stage/begin.h"
#include "stage/layers.h"
#include "stage/rewrite.h"
#include "worker/command_priv.h"

_Static_assert((int)VAULT_CNAME_MAX == (int)SUB_CNAME, "one limit");
_Static_assert((int)ABI_EXT_MID == (int)EXT_MID &&
                   (int)ABI_EXT_PLAYOUT_DELAY == (int)EXT_PLAYOUT_DELAY &&
                   (int)N_ABI_EXTS == (int)N_EXTS,
               "one numbering of extensions");
_Static_assert((int)ABI_CODEC_AV1 == (int)CODEC_AV1 && (int)N_ABI_CODECS == (int)N_CODECS,
               "one numbering of codecs");
_Static_assert((int)VAULT_LAYER_ANY == (int)SUB_LAYER_ANY &&
                   (int)VAULT_SUB_HIGHER + 1 == (int)SUB_STREAMS,
               "one limit");

_Static_assert((int)ABI_GATE_VOICE == (int)SPEAKER_GATE_VOICE &&
                   (int)ABI_GATE_SHUT == (int)SPEAKER_GATE_SHUT,
               "one numbering of gates");

static const struct keyframe_conf KEYFRAME = {.interval_us = 1000000, .max_tries = 5};
static const struct nack_conf NACK = {.reorder_us = 10000,
                                      .retry_us = 100000,
                                      .retry_min_us = 20000,
                                      .retry_max_us = 500000,
                                      .max_tries = 10};
/* What comes later than a jitter buffer waits is of no use. */
static const struct nack_conf NACK_AUDIO = {.reorder_us = 10000,
                                            .retry_us = 60000,
                                            .retry_min_us = 20000,
                                            .retry_max_us = 200000,
                                            .max_tries = 4};
static const struct twcc_conf TWCC = {
    .interval_us = 50000, .most_us = 250000, .max_packets = 256};

COMMAND_DEFINE_READ(stream)
COMMAND_DEFINE_READ(sub)

/* ---- streams ---- */

/* Whether the publisher's extension ids agree with themselves and with those of its other
 * streams: one id has one meaning in a transport (RFC 8843). */
static bool exts_ok(const struct peer *peer, const uint8_t *ext_id)
{
    uint8_t meaning[PEER_EXT_IDS];

    memcpy(meaning, peer->rest->ext_of, sizeof(meaning));
    for (unsigned ours = 1; ours < N_EXTS; ours++) {
        uint8_t *known = &meaning[ext_id[ours]];

        if (ext_id[ours] != 0 && *known != 0 && *known != ours) {
            return false;
        }
        *known = (uint8_t)ours;
    }
    return true;
}

static void learn_exts(struct peer *peer, const uint8_t *ext_id)
{
    for (unsigned ours = 1; ours < N_EXTS; ours++) {
        if (ext_id[ours] != 0) {
            peer->rest->ext_of[ext_id[ours]] = (uint8_t)ours;
        }
    }
}

static bool stream_conf_ok(const struct vault_stream_conf *conf)
{
    return (conf->kind == ABI_AUDIO || conf->kind == ABI_VIDEO) && conf->codec > 0 &&
           conf->codec < N_ABI_CODECS &&
           (conf->kind == ABI_AUDIO) == (conf->codec == ABI_CODEC_OPUS) &&
           (conf->ssrc == 0 || conf->ssrc != conf->rtx_ssrc) && conf->clock_hz >= 8000 &&
           conf->clock_hz <= 192000 && conf->pt < 128 && conf->rtx_pt < 128 &&
           conf->mid_len <= STREAM_MID && conf->rid_len <= STREAM_RID &&
           conf->gate < N_ABI_GATES && (conf->ssrc != 0 || conf->mid_len != 0);
}

static bool has_ssrc(const struct stream *stream, uint32_t ssrc)
{
    return ssrc != 0 && (stream->ssrc == ssrc || stream->rtx_ssrc == ssrc);
}

static bool same_labels(const struct stream *stream, const struct vault_stream_conf *conf)
{
    return stream->mid_len == conf->mid_len &&
           memcmp(stream->mid, conf->mid, conf->mid_len) == 0 &&
           stream->rid_len == conf->rid_len &&
           memcmp(stream->rid, conf->rid, conf->rid_len) == 0;
}

/* True if another stream of the peer is told by the same SSRC, or by the same labels. */
static bool ambiguous(const struct peer *peer, const struct vault_stream_conf *conf)
{
    for (const struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        if (has_ssrc(s, conf->ssrc) || has_ssrc(s, conf->rtx_ssrc) ||
            (conf->ssrc == 0 && !s->announced && same_labels(s, conf))) {
            return true;
        }
    }
    return false;
}

/* Binds a stream to the SSRCs that an earlier dataplane had found for it: its publisher
 * does not say again which is which. */
static void resume_stream(struct stream *stream, const struct vault_stream_live *live)
{
    struct peer *peer = stream->peer;

    if (!stream->announced) {
        stream->ssrc = (uint32_t)live->ssrc;
        stream->rtx_ssrc = (uint32_t)live->rtx_ssrc;
    }
    for (uint32_t i = 0; i < peer->rest->n_ssrcs; i++) {
        if (peer->rest->rx[i].started == 0 || !has_ssrc(stream, peer->rest->ssrcs[i])) {
            continue;
        }
        peer->rest->ssrc_of[i] = (struct peer_ssrc){
            .stream = stream, .rtx = peer->rest->ssrcs[i] != stream->ssrc};
    }
    stream->bound = live->ssrc != 0;
}

int command_stream_open(struct lane *lane, const struct vault *vault, uint64_t handle,
                        bool resume)
{
    struct tables *t = lane->tables;
    struct vault_stream_live *live;
    struct vault_stream_conf conf;
    struct stream *stream;
    struct peer *peer;
    bool first;
    int err = read_stream(vault, handle, &conf);

    if (err != 0) {
        return err;
    }
    peer = tables_peer(t, conf.peer);
    if (peer == NULL) {
        return -ENOENT;
    }
    if (!stream_conf_ok(&conf)) {
        return -EINVAL;
    }
    if (ambiguous(peer, &conf) || !exts_ok(peer, conf.ext_id)) {
        return -EEXIST;
    }
    first = peer->rest->streams == NULL;
    stream = tables_stream_open(t, handle, peer, &err);
    if (stream == NULL) {
        return err;
    }
    stream->video = conf.kind == ABI_VIDEO;
    /* not told: as if its publisher were alone in one */
    stream->room = (uint8_t)(conf.room != 0 ? conf.room : peer->index);
    stream->codec = (enum codec_kind)conf.codec;
    stream->clock_hz = conf.clock_hz;
    stream->ssrc = conf.ssrc;
    stream->rtx_ssrc = conf.rtx_ssrc;
    stream->announced = conf.ssrc != 0;
    stream->paused = conf.paused != 0;
    stream->pt = conf.pt;
    stream->rtx_pt = conf.rtx_pt;
    stream->mid_len = conf.mid_len;
    stream->rid_len = conf.rid_len;
    memcpy(stream->mid, conf.mid, sizeof(stream->mid));
    memcpy(stream->rid, conf.rid, sizeof(stream->rid));
    recvstat_init(&stream->stat, conf.clock_hz);
    keyframe_init(&stream->keyframe, &KEYFRAME);
    stream->nacks = stream->video || conf.nack != 0;
    nack_init(&stream->nack, stream->video ? &NACK : &NACK_AUDIO);
    speaker_init(&stream->speaker);
    stream->gate = conf.gate;
    err = ring_store_take(t->rings, stream->video, &stream->ring);
    if (err != 0) {
        (void)tables_stream_close(t, stream);
        return err;
    }
    ring_store_show(t->rings, stream->index, handle, &stream->ring);
    if (first) {
        twcc_init(peer->rest->twcc, &TWCC);
        remb_init(peer->rest->remb);
    }
    peer->rest->remb_ok |= conf.remb != 0;
    learn_exts(peer, conf.ext_id);
    live = &vault->streams[stream->index].live;
    if (resume) {
        resume_stream(stream, live);
    } else {
        *live = (struct vault_stream_live){.ssrc = 0};
    }
    stream->live_ssrc = &live->ssrc;
    stream->live_rtx_ssrc = &live->rtx_ssrc;
    stream->live_audio = &live->audio;
    tables_stream_ready(stream);
    return 0;
}

/* The stream of 'handle' if it is this lane's, or NULL. */
static struct stream *own_stream(const struct lane *lane, uint64_t handle)
{
    struct stream *stream = tables_stream(lane->tables, handle);

    return stream != NULL && stream->lane == lane->index ? stream : NULL;
}

int command_stream_update(struct lane *lane, const struct vault *vault, uint64_t handle)
{
    struct stream *stream = own_stream(lane, handle);
    struct vault_stream_conf conf;
    int err = read_stream(vault, handle, &conf);

    if (err != 0 || stream == NULL) {
        return err != 0 ? err : -ENOENT;
    }
    if (conf.gate >= N_ABI_GATES) {
        return -EINVAL;
    }
    /* who sent nothing in the pause goes on where it was */
    if (stream->paused && conf.paused == 0 && stream->video && stream->gate_closed) {
        keyframe_on_request(&stream->keyframe, lane->now_us);
    }
    stream->paused = conf.paused != 0;
    stream->gate = conf.gate;
    return 0;
}

int command_stream_close(struct lane *lane, uint64_t handle)
{
    struct stream *stream = own_stream(lane, handle);

    if (stream == NULL) {
        return -ENOENT;
    }
    return tables_stream_close(lane->tables, stream);
}

/* ---- subscriptions ---- */

/* How its packets are written: what its receiver has agreed to for the codec. */
static void set_form(struct sub *sub, const struct vault_sub_conf *conf)
{
    sub->pt = conf->pt;
    sub->rest->rtx_pt = conf->rtx_pt;
    rewrite_prepare(sub, conf->ext_id, conf->mid, conf->mid_len);
    sub->peer->rest->has_twcc |= sub->twcc_at != 0;
    /* All that is written in audio without a transport-wide number follows from the ring's
     * slot, from the switcher's segment and from this form. */
    sub->rest->repeats = !sub->stream->video && sub->twcc_at == 0 && !sub_repairs(sub);
}

/* Whether set_form() would change nothing. */
static bool same_form(const struct sub *sub, const struct vault_sub_conf *conf)
{
    struct sub_rest rest;
    struct sub form = {.ssrc = sub->ssrc, .rest = &rest};

    rewrite_prepare(&form, conf->ext_id, conf->mid, conf->mid_len);
    return sub->pt == conf->pt && memcmp(sub->hdr, form.hdr, sizeof(form.hdr)) == 0 &&
           memcmp(sub->rest->ext_id, form.rest->ext_id, sizeof(form.rest->ext_id)) == 0;
}

/* The streams of a record, ascending. Returns how many. */
static uint8_t streams_of(const struct vault_sub_conf *conf, uint64_t *out)
{
    uint8_t n = 0;

    out[n++] = conf->stream;
    for (uint8_t i = 0; i < VAULT_SUB_HIGHER && conf->higher[i] != HANDLE_NONE; i++) {
        out[n++] = conf->higher[i];
    }
    return n;
}

static bool same_streams(const struct sub *sub, const uint64_t *handles, uint8_t n)
{
    bool same = n == sub->layers->n_streams;

    for (uint8_t i = 0; same && i < n; i++) {
        same = sub->layers->streams[i]->handle == handles[i];
    }
    return same;
}

/* Where it stands when there is not enough for all. */
static void set_rank(struct sub *sub, const struct vault_sub_conf *conf)
{
    sub->rest->priority = conf->priority > 0 ? conf->priority : 1;
    sub->rest->screen = conf->screen != 0;
    sub->rest->area = conf->area;
}

/* One-byte elements hold ids up to 14. */
static bool ids_fit(const uint8_t *ext_id)
{
    bool fit = true;

    for (unsigned ext = 0; ext < N_EXTS; ext++) {
        fit = fit && ext_id[ext] <= 14;
    }
    return fit;
}

static bool form_ok(const struct vault_sub_conf *conf)
{
    return conf->pt <= 127 && conf->rtx_pt <= 127 && conf->mid_len <= VAULT_MID_MAX &&
           ids_fit(conf->ext_id);
}

int command_sub_open(struct lane *lane, const struct vault *vault, uint64_t handle,
                     bool resume)
{
    struct tables *t = lane->tables;
    struct vault_sub_live *live;
    struct vault_sub_conf conf;
    struct stream *stream;
    struct peer *peer;
    uint64_t streams[SUB_STREAMS];
    uint8_t n_streams;
    struct sub *sub;
    int err = read_sub(vault, handle, &conf);

    if (err != 0) {
        return err;
    }
    n_streams = streams_of(&conf, streams);
    stream = tables_stream(t, conf.stream);
    peer = tables_peer(t, conf.peer);
    if (stream == NULL || peer == NULL) {
        return -ENOENT;
    }
    if (conf.ssrc == 0 || conf.cname_len > SUB_CNAME || conf.rtx_ssrc == conf.ssrc ||
        (conf.layered == 0 && n_streams > 1) || !form_ok(&conf)) {
        return -EINVAL;
    }
    sub = tables_sub_open(t, handle, stream, peer, conf.stream, conf.ssrc, conf.rtx_ssrc,
                          &err);
    if (sub == NULL) {
        return err;
    }
    live = &vault->sub_lives[sub->index];
    if (!resume || live->next_index == 0) {
        memset(live, 0, sizeof(*live));
        /* Any start below 2^15 keeps a receiver's first guess of the roll-over counter
         * right even if the first packets are reordered (RFC 3711, 3.3.1). */
        live->next_index = 1 + (conf.ssrc ^ conf.ssrc >> 16) % 16384;
        live->rtx_next_index = 1 + (conf.rtx_ssrc ^ conf.rtx_ssrc >> 16) % 16384;
    }
    sub->next_index = &live->next_index;
    sub->rest->seq_offset_live = &live->seq_offset;
    sub->rest->rtx_next_index = &live->rtx_next_index;
    set_form(sub, &conf);
    sub->paused = conf.paused != 0;
    sub->rest->cname_len = conf.cname_len;
    memcpy(sub->rest->cname, conf.cname, sizeof(sub->rest->cname));
    /* Its publisher's lane may have written before it could know of us: what has come since
     * is looked for at once. */
    sub->cursor = stream_ring_head(&stream->ring);
    if (lane->hub != NULL) {
        atomic_thread_fence(memory_order_seq_cst);
        lane_grown(lane, &stream->readers[lane->index]);
    }
    set_rank(sub, &conf);
    if (conf.layered != 0) {
        err = layers_streams(lane, sub, streams, n_streams);
        if (err != 0) {
            lane_sub_close(lane, sub);
            return err;
        }
        layers_live(lane, sub, &live->last_us, &live->last_out, resume);
        layers_wish(lane, sub, conf.spatial, conf.temporal);
    }
    if (!sub->paused) {
        begin_sub(lane, sub);
    }
    return 0;
}

/* Other streams, other wishes. A pause in which both changed ends on what is new. What is
 * written otherwise begins anew, too: nothing of before may be sent again in a new form. */
static int update_layers(struct lane *lane, struct sub *sub,
                         const struct vault_sub_conf *conf)
{
    uint64_t streams[SUB_STREAMS];
    uint8_t n = streams_of(conf, streams);
    int err;

    if (!same_streams(sub, streams, n) || !same_form(sub, conf)) {
        err = layers_streams(lane, sub, streams, n);
        if (err != 0) {
            return err;
        }
        if (!sub->paused) {
            layers_begin(lane, sub);
        }
    }
    set_form(sub, conf);
    if (conf->paused != 0 && !sub->paused) {
        layers_pause(lane, sub);
    }
    layers_wish(lane, sub, conf->spatial, conf->temporal);
    return 0;
}

int command_sub_update(struct lane *lane, const struct vault *vault, uint64_t handle)
{
    struct sub *sub = tables_sub(lane->tables, handle);
    struct vault_sub_conf conf;
    int err = read_sub(vault, handle, &conf);

    if (err != 0 || sub == NULL) {
        return err != 0 ? err : -ENOENT;
    }
    if (sub->layers != NULL && !form_ok(&conf)) {
        return -EINVAL;
    }
    tables_wake(lane->tables, sub->peer);
    set_rank(sub, &conf);
    if (sub->layers != NULL) {
        err = update_layers(lane, sub, &conf);
        if (err != 0) {
            return err;
        }
    }
    if (sub->paused && conf.paused == 0) {
        sub->paused = false;
        begin_sub(lane, sub);
    } else if (conf.paused != 0) {
        tables_sub_unshed(lane->tables, sub);
    }
    sub->paused = conf.paused != 0;
    return 0;
}

int command_sub_close(struct lane *lane, uint64_t handle)
{
    struct sub *sub = tables_sub(lane->tables, handle);

    if (sub == NULL) {
        return -ENOENT;
    }
    lane_sub_close(lane, sub);
    return 0;
}

int command_stream_keyframe(struct lane *lane, uint64_t handle)
{
    struct stream *stream = own_stream(lane, handle);

    if (stream == NULL) {
        return -ENOENT;
    }
    if (!stream->video) {
        return -EINVAL;
    }
    stream->pli_asked++;
    keyframe_on_request(&stream->keyframe, lane->now_us);
    return 0;
}

int command_sub_keyframe(struct lane *lane, uint64_t handle)
{
    struct sub *sub = tables_sub(lane->tables, handle);

    if (sub == NULL) {
        return -ENOENT;
    }
    if (!sub->stream->video) {
        return -EINVAL;
    }
    lane_hear_keyframe(lane, sub);
    return 0;
}
