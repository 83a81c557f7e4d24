/* See command.h. */
#include "worker/command.h"

#include <errno.h>
#include <string.h>

#include "sfu/base/handle.h"
#include "worker/across.h"

_Static_assert(sizeof(struct vault_rx) == sizeof(struct replay), "one layout");
_Static_assert(offsetof(struct vault_rx, started) == offsetof(struct replay, started), "");
_Static_assert(offsetof(struct vault_rx, window) == offsetof(struct replay, window), "");
_Static_assert((int)VAULT_RX_SSRCS == (int)PEER_SSRCS, "one limit");
_Static_assert((int)VAULT_PATHS == (int)PEER_PATHS, "one limit");
_Static_assert((int)VAULT_CNAME_MAX == (int)SUB_CNAME, "one limit");
_Static_assert((int)ABI_EXT_MID == (int)EXT_MID &&
                   (int)ABI_EXT_PLAYOUT_DELAY == (int)EXT_PLAYOUT_DELAY &&
                   (int)N_ABI_EXTS == (int)N_EXTS,
               "one numbering of extensions");
_Static_assert((int)ABI_CODEC_AV1 == (int)CODEC_AV1 && (int)N_ABI_CODECS == (int)N_CODECS,
               "one numbering of codecs");
_Static_assert((int)ABI_SRTP_AEAD_AES_128_GCM == (int)CRYPT_AEAD_AES_128_GCM &&
                   (int)ABI_SRTP_AEAD_AES_256_GCM == (int)CRYPT_AEAD_AES_256_GCM &&
                   (int)ABI_SRTP_AES128_CM_SHA1_80 == (int)CRYPT_AES128_CM_SHA1_80 &&
                   (int)ABI_SRTP_AES128_CM_SHA1_32 == (int)CRYPT_AES128_CM_SHA1_32,
               "one numbering of profiles");

enum { READ_TRIES = 4 };

static const struct keyframe_conf KEYFRAME = {.interval_us = 1000000, .max_tries = 5};
static const struct twcc_conf TWCC = {.interval_us = 100000, .max_packets = 256};

/* read_X fills 'out' with the vault's record of 'handle': 0, -EINVAL (no such slot),
 * -ENOENT (free), -ESTALE (of another life), -EAGAIN (its writer does not come to rest). */
#define DEFINE_READ(name)                                                                  \
    static int read_##name(const struct vault *vault, uint64_t handle,                     \
                           struct vault_##name##_conf *out)                                \
    {                                                                                      \
        int err = -EAGAIN;                                                                 \
                                                                                           \
        memset(out, 0, sizeof(*out));                                                      \
        if (handle_index(handle) >= vault->n_##name##s) {                                  \
            return -EINVAL;                                                                \
        }                                                                                  \
        for (int i = 0; i < READ_TRIES && err == -EAGAIN; i++) {                           \
            err = vault_##name##_read(&vault->name##s[handle_index(handle)], out);         \
        }                                                                                  \
        return err == 0 && out->handle != handle ? -ESTALE : err;                          \
    }

DEFINE_READ(peer)
DEFINE_READ(stream)
DEFINE_READ(sub)

/* ---- peers ---- */

/* Starts or resumes at what comes next; video with a key frame, which is asked for. Until
 * the peer has keys and a path nothing can be sent: then it is done when it has
 * (peer_update). */
static void begin(struct lane *lane, struct sub *sub)
{
    sub->started = false;
    sub->wait_keyframe = sub->stream->video;
    sub->cursor = stream_ring_head(&sub->stream->ring);
    if (sub->stream->video && sub->peer->to != NULL && sub->peer->tx_key != NULL) {
        lane_ask_keyframe(lane, sub->stream, false);
    }
}

static int set_keys(struct lane *lane, struct peer *peer,
                    const struct vault_peer_conf *conf)
{
    struct crypt_key *tx = &lane->tables->tx_keys[peer->index];
    struct crypt_key *rx = &lane->tables->rx_keys[peer->index];
    enum crypt_profile profile = (enum crypt_profile)conf->profile;
    int err;

    if (conf->profile == 0 || peer->tx_key != NULL) {
        return 0; /* keys of a peer never change: DTLS is done once */
    }
    err = crypt_key_init(lane->crypt, tx, profile, conf->tx_key, conf->tx_salt, true);
    if (err == 0) {
        err = crypt_key_init(lane->crypt, rx, profile, conf->rx_key, conf->rx_salt, false);
    }
    if (err != 0) {
        crypt_key_wipe(tx);
        return err;
    }
    peer->profile = (uint8_t)profile;
    peer->tag_len = crypt_tag_len(profile);
    peer->tx_key = tx;
    peer->rx_key = rx;
    return 0;
}

static int set_paths(struct lane *lane, const struct io *io, struct peer *peer,
                     const struct vault_peer_conf *conf)
{
    struct pkt_hdr hdr = {.len = 0};
    const struct path before = peer->to != NULL ? *peer->to : (struct path){0};
    struct path old[PEER_PATHS];
    uint8_t n_old = peer->n_paths;
    int err = 0;

    if (conf->n_paths > VAULT_PATHS) {
        return -EINVAL;
    }
    for (uint8_t i = 0; i < conf->n_paths && err == 0; i++) {
        err = io_hdr_build(io, &conf->paths[i], &hdr);
    }
    if (err == 0 && conf->selected < conf->n_paths) {
        err = io_hdr_build(io, &conf->paths[conf->selected], &hdr);
    }
    if (err == 0) {
        memcpy(old, peer->paths, sizeof(old));
        err = tables_peer_set_paths(lane->tables, peer, conf->paths, conf->n_paths,
                                    conf->selected);
        across_paths(lane, peer, old, n_old);
    }
    if (err != 0) {
        return err;
    }
    peer->hdr = hdr;
    if (peer->to != NULL && !path_same_tuple(peer->to, &before)) {
        *peer->last_check_us = lane->now_us; /* the check that selected it */
        peer->consent_lost = peer->loss_told = false;
    }
    return 0;
}

static int peer_update(struct lane *lane, const struct io *io, const struct vault *vault,
                       uint64_t handle)
{
    struct peer *peer = tables_peer(lane->tables, handle);
    struct vault_peer_conf conf;
    int err = read_peer(vault, handle, &conf);
    bool was_ready = peer != NULL && peer->to != NULL && peer->tx_key != NULL;

    if (err == 0 && peer == NULL) {
        err = -ENOENT;
    }
    if (err == 0 && conf.profile != 0 &&
        crypt_tag_len((enum crypt_profile)conf.profile) == 0) {
        err = -EINVAL;
    }
    if (err == 0) {
        err = set_paths(lane, io, peer, &conf);
    }
    if (err == 0) {
        err = set_keys(lane, peer, &conf);
    }
    explicit_bzero(&conf, sizeof(conf));
    if (err == 0 && !was_ready && peer->to != NULL && peer->tx_key != NULL) {
        for (struct sub *sub = peer->subs; sub != NULL; sub = sub->next_of_peer) {
            if (!sub->paused) {
                begin(lane, sub);
            }
        }
    }
    return err;
}

static int peer_open(struct lane *lane, const struct io *io, const struct vault *vault,
                     uint64_t handle)
{
    struct vault_peer_live *live;
    struct vault_peer_conf conf;
    struct peer *peer;
    int err = read_peer(vault, handle, &conf);

    if (err == 0 && (conf.ufrag_len == 0 || conf.ufrag_len > PEER_UFRAG ||
                     conf.pwd_len == 0 || conf.pwd_len > PEER_PWD)) {
        err = -EINVAL;
    }
    if (err != 0) {
        goto out;
    }
    peer = tables_peer_open(lane->tables, handle, &err);
    if (peer == NULL) {
        goto out;
    }
    live = &vault->peers[peer->index].live;
    memset(live, 0, sizeof(*live));
    peer->rx = (struct replay *)live->rx;
    peer->rx_rtcp = (struct replay *)live->rx_rtcp;
    peer->rtcp_next_index = &live->rtcp_next_index;
    peer->twcc_taken = &live->twcc_next;
    peer->last_check_us = &live->last_check_us;
    peer->lane = &live->lane;
    live->lane = lane->index;
    peer->ufrag_len = conf.ufrag_len;
    peer->pwd_len = conf.pwd_len;
    memcpy(peer->ufrag, conf.ufrag, conf.ufrag_len);
    memcpy(peer->pwd, conf.pwd, conf.pwd_len);
    /* reports of many peers are spread over the interval */
    peer->report_due_us = lane->now_us + peer->index * 7919u % 1000000u;
    err = peer_update(lane, io, vault, handle);
    if (err != 0) {
        (void)tables_peer_close(lane->tables, peer);
    }
out:
    explicit_bzero(&conf, sizeof(conf));
    return err;
}

/* ---- streams ---- */

/* Whether the publisher's extension ids agree with themselves and with those of its other
 * streams: one id has one meaning in a transport (RFC 8843). */
static bool exts_ok(const struct peer *peer, const uint8_t *ext_id)
{
    uint8_t meaning[PEER_EXT_IDS];

    memcpy(meaning, peer->ext_of, sizeof(meaning));
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
            peer->ext_of[ext_id[ours]] = (uint8_t)ours;
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
           (conf->ssrc != 0 || conf->mid_len != 0);
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
    for (const struct stream *s = peer->streams; s != NULL; s = s->next_of_peer) {
        if (has_ssrc(s, conf->ssrc) || has_ssrc(s, conf->rtx_ssrc) ||
            (conf->ssrc == 0 && !s->announced && same_labels(s, conf))) {
            return true;
        }
    }
    return false;
}

static int stream_open(struct lane *lane, const struct vault *vault, uint64_t handle)
{
    struct tables *t = lane->tables;
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
    first = peer->streams == NULL;
    stream = tables_stream_open(t, handle, peer, &err);
    if (stream == NULL) {
        return err;
    }
    stream->video = conf.kind == ABI_VIDEO;
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
    err = ring_store_take(t->rings, stream->video, &stream->ring);
    if (err != 0) {
        (void)tables_stream_close(t, stream);
        return err;
    }
    if (first) {
        twcc_init(peer->twcc, &TWCC);
    }
    learn_exts(peer, conf.ext_id);
    tables_stream_ready(stream);
    return 0;
}

/* The stream of 'handle' if it is this lane's, or NULL. */
static struct stream *own_stream(const struct lane *lane, uint64_t handle)
{
    struct stream *stream = tables_stream(lane->tables, handle);

    return stream != NULL && stream->lane == lane->index ? stream : NULL;
}

static int stream_update(struct lane *lane, const struct vault *vault, uint64_t handle)
{
    struct stream *stream = own_stream(lane, handle);
    struct vault_stream_conf conf;
    int err = read_stream(vault, handle, &conf);

    if (err != 0 || stream == NULL) {
        return err != 0 ? err : -ENOENT;
    }
    if (stream->paused && conf.paused == 0 && stream->video) {
        keyframe_on_request(&stream->keyframe, lane->now_us);
    }
    stream->paused = conf.paused != 0;
    return 0;
}

static int stream_close(struct lane *lane, uint64_t handle)
{
    struct stream *stream = own_stream(lane, handle);

    if (stream == NULL) {
        return -ENOENT;
    }
    return tables_stream_close(lane->tables, stream);
}

/* ---- subscriptions ---- */

/* Appends one one-byte element of the template. Returns the offset of its data. */
static uint8_t add_ext(struct sub *sub, uint8_t id, const uint8_t *data, uint8_t len)
{
    uint8_t at = (uint8_t)(sub->ext_len + 1);

    sub->ext[sub->ext_len] = (uint8_t)(id << 4 | (len - 1));
    if (data != NULL) {
        memcpy(sub->ext + at, data, len);
    }
    sub->ext_len = (uint8_t)(at + len);
    return at;
}

static void make_template(struct sub *sub, const struct vault_sub_conf *conf)
{
    if (conf->ext_on[ABI_EXT_MID] != 0 && conf->mid_len > 0) {
        (void)add_ext(sub, EXT_MID, conf->mid, conf->mid_len);
    }
    if (conf->ext_on[ABI_EXT_ABS_SEND_TIME] != 0) {
        sub->send_time_at = add_ext(sub, EXT_ABS_SEND_TIME, NULL, 3);
    }
    if (conf->ext_on[ABI_EXT_TRANSPORT_CC] != 0) {
        sub->twcc_at = add_ext(sub, EXT_TRANSPORT_CC, NULL, 2);
    }
    for (unsigned id = 1; id < N_EXTS; id++) {
        if (conf->ext_on[id] != 0 && (EXT_FORWARDED >> id & 1) != 0) {
            sub->ext_mask = (uint16_t)(sub->ext_mask | 1u << id);
        }
    }
}

static int sub_open(struct lane *lane, const struct vault *vault, uint64_t handle)
{
    struct tables *t = lane->tables;
    struct vault_sub_live *live;
    struct vault_sub_conf conf;
    struct stream *stream;
    struct peer *peer;
    struct sub *sub;
    int err = read_sub(vault, handle, &conf);

    if (err != 0) {
        return err;
    }
    stream = tables_stream(t, conf.stream);
    peer = tables_peer(t, conf.peer);
    if (stream == NULL || peer == NULL) {
        return -ENOENT;
    }
    if (conf.ssrc == 0 || conf.pt > 127 || conf.mid_len > VAULT_MID_MAX ||
        conf.cname_len > SUB_CNAME) {
        return -EINVAL;
    }
    sub = tables_sub_open(t, handle, stream, peer, conf.stream, conf.ssrc, &err);
    if (sub == NULL) {
        return err;
    }
    live = &vault->subs[sub->index].live;
    memset(live, 0, sizeof(*live));
    /* Any start below 2^15 keeps a receiver's first guess of the roll-over counter right
     * even if the first packets are reordered (RFC 3711, 3.3.1). */
    live->next_index = 1 + (conf.ssrc ^ conf.ssrc >> 16) % 16384;
    sub->next_index = &live->next_index;
    sub->seq_offset_live = &live->seq_offset;
    sub->pt = conf.pt;
    sub->paused = conf.paused != 0;
    sub->cname_len = conf.cname_len;
    memcpy(sub->cname, conf.cname, sizeof(sub->cname));
    make_template(sub, &conf);
    /* Its publisher's lane may have written before it could know of us: what has come since
     * is looked for at once. */
    sub->cursor = stream_ring_head(&stream->ring);
    if (lane->hub != NULL) {
        atomic_thread_fence(memory_order_seq_cst);
        lane_grown(lane, &stream->readers[lane->index]);
    }
    if (!sub->paused) {
        begin(lane, sub);
    }
    return 0;
}

static int sub_update(struct lane *lane, const struct vault *vault, uint64_t handle)
{
    struct sub *sub = tables_sub(lane->tables, handle);
    struct vault_sub_conf conf;
    int err = read_sub(vault, handle, &conf);

    if (err != 0 || sub == NULL) {
        return err != 0 ? err : -ENOENT;
    }
    if (sub->paused && conf.paused == 0) {
        begin(lane, sub);
    }
    sub->paused = conf.paused != 0;
    return 0;
}

/* ---- all ---- */

static int peer_close(struct lane *lane, uint64_t handle)
{
    struct peer *peer = tables_peer(lane->tables, handle);
    struct path old[PEER_PATHS];
    uint8_t n_old;
    int err;

    if (peer == NULL) {
        return -ENOENT;
    }
    memcpy(old, peer->paths, sizeof(old));
    n_old = peer->n_paths;
    err = tables_peer_close(lane->tables, peer);
    if (err == 0) {
        across_paths(lane, peer, old, n_old);
        err = across_settle(lane);
    }
    return err;
}

static int peer_move(struct lane *lane, const struct abi_cmd *cmd)
{
    struct peer *peer = tables_peer(lane->tables, cmd->handle);

    return peer != NULL ? across_move(lane, peer, cmd->arg) : -ENOENT;
}

static int sub_close(struct lane *lane, uint64_t handle)
{
    struct sub *sub = tables_sub(lane->tables, handle);

    if (sub == NULL) {
        return -ENOENT;
    }
    lane_sub_close(lane, sub);
    return 0;
}

static int keyframe(struct lane *lane, uint64_t handle)
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

int command_apply(struct lane *lane, const struct io *io, const struct vault *vault,
                  const struct abi_cmd *cmd)
{
    switch (cmd->op) {
    case ABI_OP_PING:
        return 0;
    case ABI_OP_PEER_OPEN:
        return peer_open(lane, io, vault, cmd->handle);
    case ABI_OP_PEER_UPDATE:
        return peer_update(lane, io, vault, cmd->handle);
    case ABI_OP_PEER_CLOSE:
        return peer_close(lane, cmd->handle);
    case ABI_OP_PEER_MOVE:
        return peer_move(lane, cmd);
    case ABI_OP_STREAM_OPEN:
        return stream_open(lane, vault, cmd->handle);
    case ABI_OP_STREAM_UPDATE:
        return stream_update(lane, vault, cmd->handle);
    case ABI_OP_STREAM_CLOSE:
        return stream_close(lane, cmd->handle);
    case ABI_OP_SUB_OPEN:
        return sub_open(lane, vault, cmd->handle);
    case ABI_OP_SUB_UPDATE:
        return sub_update(lane, vault, cmd->handle);
    case ABI_OP_SUB_CLOSE:
        return sub_close(lane, cmd->handle);
    case ABI_OP_KEYFRAME:
        return keyframe(lane, cmd->handle);
    default:
        return -EINVAL;
    }
}

static void close_subs(struct lane *lane)
{
    struct tables *t = lane->tables;

    for (uint32_t i = 0; i < t->n_open; i++) {
        struct peer *peer = &t->peers[t->open_peers[i]];

        while (peer->subs != NULL) {
            lane_sub_close(lane, peer->subs);
        }
    }
}

static void close_peers(struct tables *t)
{
    while (t->n_open > 0) {
        struct peer *peer = &t->peers[t->open_peers[t->n_open - 1]];

        while (peer->streams != NULL) {
            (void)tables_stream_close(t, peer->streams);
        }
        (void)tables_peer_close(t, peer);
    }
    tables_paths_reset(t);
}

void command_close_lanes(struct lane *const *lanes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        across_cancel(lanes, i);
    }
    for (uint32_t i = 0; i < n; i++) {
        across_reset(lanes[i]);
        close_subs(lanes[i]);
        lanes[i]->n_news = 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        close_peers(lanes[i]->tables);
    }
}

void command_close_all(struct lane *lane)
{
    command_close_lanes(&lane, 1);
}
