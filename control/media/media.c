#include "media/media.h"

#include <errno.h>
#include <string.h>

#include "media/media_priv.h"
#include "sys/clock.h"

/* The common part of all that commands: 0 if a command for an open object may be pushed. */
static int check_object(const struct media *media, enum media_kind kind, uint64_t handle)
{
    if (!media->alive) {
        return -ENOTCONN;
    }
    if (media_slots_find(&media->slots[kind], handle, SLOT_OPEN) == NULL) {
        return -ESTALE;
    }
    return media_cmds_room(&media->cmds, false) ? 0 : -EAGAIN;
}

/* Takes a slot for a new object. */
static int open_slot(struct media *media, enum media_kind kind, uint64_t *handle)
{
    if (!media->alive) {
        return -ENOTCONN;
    }
    if (!media_cmds_room(&media->cmds, false)) {
        return -EAGAIN;
    }
    *handle = media_slots_take(&media->slots[kind]);
    return *handle != HANDLE_NONE ? 0 : -ENOSPC;
}

int media_peer_open(struct media *media, const struct vault_peer_conf *conf,
                    media_done *done, void *arg, uint64_t *handle)
{
    struct vault_peer_conf copy = *conf;
    int err = open_slot(media, MEDIA_PEER, handle);

    if (err == 0) {
        copy.handle = *handle;
        vault_peer_write(&media->map.vault.peers[handle_index(*handle)], &copy);
        media_lanes_opened(media, MEDIA_PEER, *handle);
        media_push(media, ABI_OP_PEER_OPEN, *handle, done, arg);
    }
    explicit_bzero(&copy, sizeof(copy));
    return err;
}

/* A publisher belongs to the lane that its packets arrive on. Which it is may be known when
 * it begins to publish, or only afterwards. */
static void to_arrival(struct media *media, uint64_t peer)
{
    const struct media_slot *slot =
        media_slots_find(&media->slots[MEDIA_PEER], peer, SLOT_OPEN);

    if (slot != NULL && slot->publishes && !slot->stays && slot->arrival != MEDIA_NO_LANE &&
        slot->arrival != slot->lane) {
        /* without room, or on the move: its packets are handed over, which works, too */
        (void)media_peer_move(media, peer, slot->arrival, NULL, NULL);
    }
}

static void note_publishes(struct media *media, uint64_t peer)
{
    struct media_slot *slot = media_slots_find(&media->slots[MEDIA_PEER], peer, SLOT_OPEN);

    if (slot != NULL) {
        slot->publishes = true;
    }
}

int media_stream_open(struct media *media, const struct vault_stream_conf *conf,
                      media_done *done, void *arg, uint64_t *handle)
{
    struct vault_stream_conf copy = *conf;
    int err = open_slot(media, MEDIA_STREAM, handle);

    if (err == 0) {
        copy.handle = *handle;
        vault_stream_write(&media->map.vault.streams[handle_index(*handle)], &copy);
        media_lanes_opened(media, MEDIA_STREAM, *handle);
        note_publishes(media, copy.peer);
        to_arrival(media, copy.peer);
        media_push(media, ABI_OP_STREAM_OPEN, *handle, done, arg);
    }
    return err;
}

int media_sub_open(struct media *media, const struct vault_sub_conf *conf, media_done *done,
                   void *arg, uint64_t *handle)
{
    struct vault_sub_conf copy = *conf;
    int err = open_slot(media, MEDIA_SUB, handle);

    if (err == 0) {
        copy.handle = *handle;
        vault_sub_write(&media->map.vault.subs[handle_index(*handle)], &copy);
        media_lanes_opened(media, MEDIA_SUB, *handle);
        media_push(media, ABI_OP_SUB_OPEN, *handle, done, arg);
    }
    return err;
}

int media_peer_set_paths(struct media *media, uint64_t peer, const struct path *paths,
                         uint8_t n_paths, uint8_t selected, media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_PEER, peer);
    struct vault_peer_conf conf = {.handle = HANDLE_NONE};
    struct vault_peer *rec;

    if (err != 0) {
        return err;
    }
    if (n_paths > VAULT_PATHS || selected > n_paths) {
        return -EINVAL;
    }
    rec = &media->map.vault.peers[handle_index(peer)];
    err = vault_peer_read(rec, &conf);
    if (err == 0) {
        memset(conf.paths, 0, sizeof(conf.paths));
        for (uint8_t i = 0; i < n_paths; i++) {
            conf.paths[i] = paths[i];
        }
        conf.n_paths = n_paths;
        conf.selected = selected;
        if (media->arrival != MEDIA_NO_LANE) {
            media->slots[MEDIA_PEER].slot[handle_index(peer)].arrival = media->arrival;
            media->answer = media_lanes_of(media, MEDIA_PEER, peer);
        }
        vault_peer_write(rec, &conf);
        media_push(media, ABI_OP_PEER_UPDATE, peer, done, arg);
        to_arrival(media, peer); /* behind it, so that the answer finds the path */
    }
    explicit_bzero(&conf, sizeof(conf));
    return err;
}

int media_peer_expect_ice(struct media *media, uint64_t peer, const char *ufrag,
                          media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_PEER, peer);
    struct vault_peer_conf conf = {.handle = HANDLE_NONE};
    size_t len = strlen(ufrag);
    struct vault_peer *rec;

    if (err != 0) {
        return err;
    }
    if (len == 0 || len > VAULT_UFRAG_MAX) {
        return -EINVAL;
    }
    rec = &media->map.vault.peers[handle_index(peer)];
    err = vault_peer_read(rec, &conf);
    if (err == 0) {
        memset(conf.next_ufrag, 0, sizeof(conf.next_ufrag));
        memcpy(conf.next_ufrag, ufrag, len);
        conf.next_ufrag_len = (uint8_t)len;
        vault_peer_write(rec, &conf);
        media_push(media, ABI_OP_PEER_UPDATE, peer, done, arg);
    }
    explicit_bzero(&conf, sizeof(conf));
    return err;
}

int media_peer_set_ice(struct media *media, uint64_t peer, const char *ufrag,
                       const char *pwd, media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_PEER, peer);
    struct vault_peer_conf conf = {.handle = HANDLE_NONE};
    size_t ufrag_len = strlen(ufrag);
    size_t pwd_len = strlen(pwd);
    struct vault_peer *rec;

    if (err != 0) {
        return err;
    }
    if (ufrag_len == 0 || ufrag_len > VAULT_UFRAG_MAX || pwd_len == 0 ||
        pwd_len > VAULT_PWD_MAX) {
        return -EINVAL;
    }
    rec = &media->map.vault.peers[handle_index(peer)];
    err = vault_peer_read(rec, &conf);
    if (err == 0) {
        memset(conf.ufrag, 0, sizeof(conf.ufrag));
        memset(conf.pwd, 0, sizeof(conf.pwd));
        memcpy(conf.ufrag, ufrag, ufrag_len);
        memcpy(conf.pwd, pwd, pwd_len);
        conf.ufrag_len = (uint8_t)ufrag_len;
        conf.pwd_len = (uint8_t)pwd_len;
        memset(conf.next_ufrag, 0, sizeof(conf.next_ufrag));
        conf.next_ufrag_len = 0;
        vault_peer_write(rec, &conf);
        media_push(media, ABI_OP_PEER_UPDATE, peer, done, arg);
    }
    explicit_bzero(&conf, sizeof(conf));
    return err;
}

int media_peer_set_keys(struct media *media, uint64_t peer, const struct media_keys *keys,
                        media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_PEER, peer);
    struct vault_peer_conf conf = {.handle = HANDLE_NONE};
    struct vault_peer *rec;

    if (err != 0) {
        return err;
    }
    if (keys->key_len > VAULT_KEY_MAX || keys->salt_len > VAULT_SALT_MAX) {
        return -EINVAL;
    }
    rec = &media->map.vault.peers[handle_index(peer)];
    err = vault_peer_read(rec, &conf);
    if (err == 0) {
        conf.profile = keys->profile;
        memset(conf.rx_key, 0, sizeof(conf.rx_key));
        memset(conf.tx_key, 0, sizeof(conf.tx_key));
        memset(conf.rx_salt, 0, sizeof(conf.rx_salt));
        memset(conf.tx_salt, 0, sizeof(conf.tx_salt));
        memcpy(conf.rx_key, keys->rx_key, keys->key_len);
        memcpy(conf.tx_key, keys->tx_key, keys->key_len);
        memcpy(conf.rx_salt, keys->rx_salt, keys->salt_len);
        memcpy(conf.tx_salt, keys->tx_salt, keys->salt_len);
        vault_peer_write(rec, &conf);
        media_push(media, ABI_OP_PEER_UPDATE, peer, done, arg);
    }
    explicit_bzero(&conf, sizeof(conf));
    return err;
}

int media_stream_set_paused(struct media *media, uint64_t stream, bool paused,
                            media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_STREAM, stream);
    struct vault_stream_conf conf = {.handle = HANDLE_NONE};
    struct vault_stream *rec;

    if (err != 0) {
        return err;
    }
    rec = &media->map.vault.streams[handle_index(stream)];
    err = vault_stream_read(rec, &conf);
    if (err == 0) {
        conf.paused = paused;
        vault_stream_write(rec, &conf);
        media_push(media, ABI_OP_STREAM_UPDATE, stream, done, arg);
    }
    return err;
}

int media_stream_set_gate(struct media *media, uint64_t stream, uint8_t gate,
                          media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_STREAM, stream);
    struct vault_stream_conf conf = {.handle = HANDLE_NONE};
    struct vault_stream *rec;

    if (err != 0) {
        return err;
    }
    rec = &media->map.vault.streams[handle_index(stream)];
    err = vault_stream_read(rec, &conf);
    if (err == 0) {
        conf.gate = gate;
        vault_stream_write(rec, &conf);
        media_push(media, ABI_OP_STREAM_UPDATE, stream, done, arg);
    }
    return err;
}

int media_sub_set_paused(struct media *media, uint64_t sub, bool paused, media_done *done,
                         void *arg)
{
    int err = check_object(media, MEDIA_SUB, sub);
    struct vault_sub_conf conf = {.handle = HANDLE_NONE};
    struct vault_sub *rec;

    if (err != 0) {
        return err;
    }
    rec = &media->map.vault.subs[handle_index(sub)];
    err = vault_sub_read(rec, &conf);
    if (err == 0) {
        conf.paused = paused;
        vault_sub_write(rec, &conf);
        media_push(media, ABI_OP_SUB_UPDATE, sub, done, arg);
    }
    return err;
}

int media_sub_set_layers(struct media *media, uint64_t sub,
                         const struct media_layers *layers, media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_SUB, sub);
    struct vault_sub_conf conf = {.handle = HANDLE_NONE};
    struct vault_sub *rec;

    if (err != 0) {
        return err;
    }
    rec = &media->map.vault.subs[handle_index(sub)];
    err = vault_sub_read(rec, &conf);
    if (err == 0) {
        conf.spatial = layers->spatial;
        conf.temporal = layers->temporal;
        conf.priority = layers->priority;
        conf.area = layers->area;
        vault_sub_write(rec, &conf);
        media_push(media, ABI_OP_SUB_UPDATE, sub, done, arg);
    }
    return err;
}

int media_sub_set_source(struct media *media, uint64_t sub, const struct media_source *to,
                         media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_SUB, sub);
    struct vault_sub_conf conf = {.handle = HANDLE_NONE};
    struct vault_sub *rec;
    uint32_t lane;

    if (err == 0 && (to->n == 0 || to->n > VAULT_SUB_HIGHER + 1)) {
        err = -EINVAL;
    }
    for (uint8_t i = 0; err == 0 && i < to->n; i++) {
        err =
            media_slots_find(&media->slots[MEDIA_STREAM], to->streams[i], SLOT_OPEN) != NULL
                ? 0
                : -ESTALE;
    }
    if (err != 0) {
        return err;
    }
    rec = &media->map.vault.subs[handle_index(sub)];
    err = vault_sub_read(rec, &conf);
    if (err != 0) {
        return err;
    }
    conf.stream = to->streams[0];
    for (uint8_t i = 0; i < VAULT_SUB_HIGHER; i++) {
        conf.higher[i] = i + 1 < to->n ? to->streams[i + 1] : HANDLE_NONE;
    }
    conf.pt = to->pt;
    conf.rtx_pt = to->rtx_pt;
    memcpy(conf.ext_id, to->ext_id, sizeof(conf.ext_id));
    if (!media_lanes_switch(media, sub, &conf, to->urgent)) {
        return -EBUSY;
    }
    vault_sub_write(rec, &conf);
    lane = media_lanes_of(media, MEDIA_SUB, sub);
    media->counts.commands++;
    media_cmds_push(&media->cmds, media_rings_of(media, lane), lane, ABI_OP_SUB_UPDATE, sub,
                    1, done, arg);
    return 0;
}

/* Fills the 'cap' bytes of a blob. */
static int put_blob(uint8_t *out, size_t cap, uint32_t *out_len, const void *data,
                    size_t len)
{
    if (len > cap) {
        return -EMSGSIZE;
    }
    memset(out, 0, cap);
    memcpy(out, data, len);
    *out_len = (uint32_t)len;
    return 0;
}

/* Rewrites the record 'rec' with another blob. */
#define SET_BLOB(name, rec, data, len)                                                     \
    do {                                                                                   \
        struct vault_##name##_conf conf_ = {.handle = HANDLE_NONE};                        \
                                                                                           \
        err = vault_##name##_read((rec), &conf_);                                          \
        if (err == 0) {                                                                    \
            err = put_blob(conf_.blob.data, sizeof(conf_.blob.data), &conf_.blob.len,      \
                           (data), (len));                                                 \
        }                                                                                  \
        if (err == 0) {                                                                    \
            vault_##name##_write((rec), &conf_);                                           \
        }                                                                                  \
        explicit_bzero(&conf_, sizeof(conf_));                                             \
    } while (0)

static int write_blob(struct media *media, enum media_kind kind, uint64_t handle,
                      const void *data, size_t len)
{
    uint32_t i = handle_index(handle);
    int err = -EINVAL;

    switch (kind) {
    case MEDIA_PEER:
        SET_BLOB(peer, &media->map.vault.peers[i], data, len);
        break;
    case MEDIA_STREAM:
        SET_BLOB(stream, &media->map.vault.streams[i], data, len);
        break;
    case MEDIA_SUB:
        SET_BLOB(sub, &media->map.vault.subs[i], data, len);
        break;
    case N_MEDIA_KINDS:
        break;
    }
    return err;
}

static int check_open(const struct media *media, enum media_kind kind, uint64_t handle)
{
    if (!media->alive) {
        return -ENOTCONN;
    }
    return media_slots_find(&media->slots[kind], handle, SLOT_OPEN) != NULL ? 0 : -ESTALE;
}

int media_set_blob(struct media *media, enum media_kind kind, uint64_t handle,
                   const void *data, size_t len)
{
    int err = check_open(media, kind, handle);

    return err == 0 ? write_blob(media, kind, handle, data, len) : err;
}

void media_recover_disown(struct media *media, enum media_kind kind, uint64_t handle)
{
    (void)write_blob(media, kind, handle, "", 0);
}

int media_peer_conf(const struct media *media, uint64_t peer, struct vault_peer_conf *out)
{
    int err = check_open(media, MEDIA_PEER, peer);

    return err == 0 ? vault_peer_read(&media->map.vault.peers[handle_index(peer)], out)
                    : err;
}

int media_stream_conf(const struct media *media, uint64_t stream,
                      struct vault_stream_conf *out)
{
    int err = check_open(media, MEDIA_STREAM, stream);

    return err == 0
               ? vault_stream_read(&media->map.vault.streams[handle_index(stream)], out)
               : err;
}

int media_sub_conf(const struct media *media, uint64_t sub, struct vault_sub_conf *out)
{
    int err = check_open(media, MEDIA_SUB, sub);

    return err == 0 ? vault_sub_read(&media->map.vault.subs[handle_index(sub)], out) : err;
}

int media_check(struct media *media, enum media_kind kind, uint64_t handle,
                media_done *done, void *arg)
{
    static const enum abi_op ops[N_MEDIA_KINDS] = {
        [MEDIA_PEER] = ABI_OP_PEER_OPEN,
        [MEDIA_STREAM] = ABI_OP_STREAM_OPEN,
        [MEDIA_SUB] = ABI_OP_SUB_OPEN,
    };
    int err = check_object(media, kind, handle);
    uint32_t lane;

    if (err == 0) {
        lane = media_lanes_of(media, kind, handle);
        media->counts.commands++;
        media_cmds_push_again(&media->cmds, media_rings_of(media, lane), lane, ops[kind],
                              handle, done, arg);
    }
    return err;
}

uint32_t media_slots_of(const struct media *media, enum media_kind kind)
{
    return media->alive ? media->slots[kind].n : 0;
}

uint8_t media_stream_loudness(const struct media *media, uint64_t stream, uint64_t now_us)
{
    enum { STALE_MS = 350 }; /* silence that is not sent at all (DTX) */
    uint64_t audio;

    if (check_open(media, MEDIA_STREAM, stream) != 0) {
        return 0;
    }
    audio = __atomic_load_n(&media->map.vault.streams[handle_index(stream)].live.audio,
                            __ATOMIC_RELAXED);
    /* signed: it may have been measured since 'now_us' was read */
    return (int64_t)(now_us / 1000 - abi_audio_ms(audio)) > STALE_MS
               ? 0
               : abi_audio_loudness(audio);
}

int media_peer_heard(struct media *media, uint64_t peer, struct media_heard *out)
{
    int err = check_open(media, MEDIA_PEER, peer);
    struct vault_peer_live *live;

    if (err != 0) {
        return err;
    }
    live = &media->map.vault.peers[handle_index(peer)].live;
    for (unsigned i = 0; i < VAULT_PATHS; i++) {
        out->media_us[i] = __atomic_load_n(&live->heard_us[i], __ATOMIC_RELAXED);
    }
    out->checked_us = __atomic_load_n(&live->last_check_us, __ATOMIC_RELAXED);
    out->nominated_us = __atomic_load_n(&live->last_nomination_us, __ATOMIC_RELAXED);
    out->answered = live->answered;
    out->judged = live->judged;
    return 0;
}

int media_stream_keyframe(struct media *media, uint64_t stream, media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_STREAM, stream);

    if (err == 0) {
        media_push(media, ABI_OP_STREAM_KEYFRAME, stream, done, arg);
    }
    return err;
}

int media_sub_keyframe(struct media *media, uint64_t sub, media_done *done, void *arg)
{
    int err = check_object(media, MEDIA_SUB, sub);

    if (err == 0) {
        media_push(media, ABI_OP_SUB_KEYFRAME, sub, done, arg);
    }
    return err;
}

int media_close(struct media *media, enum media_kind kind, uint64_t handle,
                media_done *done, void *arg)
{
    const enum abi_op op = kind == MEDIA_PEER     ? ABI_OP_PEER_CLOSE
                           : kind == MEDIA_STREAM ? ABI_OP_STREAM_CLOSE
                                                  : ABI_OP_SUB_CLOSE;
    struct media_slot *slot;

    if (!media->alive) {
        return -ENOTCONN;
    }
    slot = media_slots_find(&media->slots[kind], handle, SLOT_OPEN);
    if (slot == NULL) {
        return -ESTALE;
    }
    /* One closing an object: the reserve of the command table always has room for it. */
    slot->state = SLOT_CLOSING;
    media_recover_disown(media, kind, handle);
    if (kind == MEDIA_PEER) {
        media_capture_lost(media, handle, -ESTALE);
    }
    media_push(media, op, handle, done, arg);
    return 0;
}

int media_ping(struct media *media, uint32_t lane, media_done *done, void *arg)
{
    if (!media->alive) {
        return -ENOTCONN;
    }
    if (lane >= media->map.info.n_lanes) {
        return -EINVAL;
    }
    if (!media_cmds_room(&media->cmds, false)) {
        return -EAGAIN;
    }
    media->counts.commands++;
    media_cmds_push(&media->cmds, media_rings_of(media, lane), lane, ABI_OP_PING,
                    HANDLE_NONE, 0, done, arg);
    return 0;
}

int media_send(struct media *media, uint64_t peer, const struct path *path,
               enum abi_datagram_kind kind, const void *data, size_t len)
{
    struct abi_datagram *slot;
    struct media_rings *rings;
    uint32_t lane;

    if (media->link != LINK_ATTACHED) {
        return -ENOTCONN;
    }
    if (len > sizeof(slot->data)) {
        return -EMSGSIZE;
    }
    /* The lane that serves the device's first queue hands over nothing. But an answer goes
     * behind the command that it depends on: the client's next packet finds its path; and
     * to the last flight of a handshake there are its keys. */
    lane = media->answer != MEDIA_NO_LANE ? media->answer
           : peer != HANDLE_NONE          ? media_lanes_of(media, MEDIA_PEER, peer)
                                          : path->device % media->map.info.n_lanes;
    rings = &media->map.rings[lane];
    slot = ring_reserve(&rings->punt_out);
    if (slot == NULL) {
        media->counts.send_full++;
        return -EAGAIN;
    }
    slot->time_us = 0;
    slot->peer = HANDLE_NONE;
    slot->path = *path;
    slot->len = (uint16_t)len;
    slot->kind = (uint8_t)kind;
    slot->rx_lane = 0;
    memcpy(slot->data, data, len);
    ring_commit(&rings->punt_out);
    media->counts.sent++;
    media_wake(rings);
    media_capture_sent(media, peer, path, data, len);
    return 0;
}

void media_status(const struct media *media, struct media_status *out)
{
    *out = media->status;
}

uint32_t media_n_waiting(const struct media *media)
{
    return media->alive ? media->cmds.n_used : 0;
}

void media_counts(const struct media *media, struct media_counts *out)
{
    *out = media->counts;
}

int media_streams(const struct media *media, int *fd, uint64_t *id)
{
    if (media->link != LINK_ATTACHED) {
        return -ENOTCONN;
    }
    *fd = media->map.streams_fd;
    *id = media->counts.attaches;
    return 0;
}

const struct abi_shm *media_info(const struct media *media)
{
    return media->alive ? &media->map.info : NULL;
}

enum abi_device_state media_device_state(const struct media *media, uint32_t device)
{
    const struct abi_shm *shm = media->map.shm;
    uint32_t state;

    if (media->link != LINK_ATTACHED || device >= media->map.info.n_devices) {
        return ABI_DEVICE_WORKS;
    }
    state = __atomic_load_n(&shm->devices[device].state, __ATOMIC_RELAXED);
    return state <= ABI_DEVICE_GONE ? (enum abi_device_state)state : ABI_DEVICE_GONE;
}

int media_lane_counts(const struct media *media, uint32_t lane, struct abi_lane_counts *out)
{
    enum { TRIES = 64 };

    if (media->link != LINK_ATTACHED) {
        return -ENOTCONN;
    }
    if (lane >= media->map.info.n_lanes) {
        return -EINVAL;
    }
    return abi_lane_stats_read(media->map.rings[lane].stats, TRIES, out) == 0 ? 0 : -EAGAIN;
}

int media_lane_trace(const struct media *media, uint32_t lane, uint32_t stage,
                     uint32_t most_s, struct abi_trace_sample out[ABI_TRACE_SAMPLES])
{
    if (media->link != LINK_ATTACHED) {
        return -ENOTCONN;
    }
    if (lane >= media->map.info.n_lanes || stage >= media->map.info.n_traces) {
        return -EINVAL;
    }
    return (int)abi_trace_read(&media->map.rings[lane].trace->stages[stage],
                               clock_mono_us(), most_s, out);
}

static int check_stats(const struct media *media, enum media_kind kind, uint64_t handle)
{
    if (media->link != LINK_ATTACHED) {
        return -ENOTCONN;
    }
    return media_slots_find(&media->slots[kind], handle, SLOT_OPEN) != NULL ? 0 : -ESTALE;
}

int media_peer_stats(const struct media *media, uint64_t peer, struct abi_peer_stats *out)
{
    int err = check_stats(media, MEDIA_PEER, peer);

    if (err != 0) {
        return err;
    }
    abi_words_copy(out, &media->map.peer_stats[handle_index(peer)], sizeof(*out));
    return out->handle == peer ? 0 : -ENOENT;
}

int media_stream_stats(const struct media *media, uint64_t stream,
                       struct abi_stream_stats *out)
{
    int err = check_stats(media, MEDIA_STREAM, stream);

    if (err != 0) {
        return err;
    }
    abi_words_copy(out, &media->map.stream_stats[handle_index(stream)], sizeof(*out));
    return out->handle == stream ? 0 : -ENOENT;
}

int media_sub_stats(const struct media *media, uint64_t sub, struct abi_sub_stats *out)
{
    int err = check_stats(media, MEDIA_SUB, sub);

    if (err != 0) {
        return err;
    }
    abi_words_copy(out, &media->map.sub_stats[handle_index(sub)], sizeof(*out));
    return out->handle == sub ? 0 : -ENOENT;
}

uint64_t media_handle_at(const struct media *media, enum media_kind kind, uint32_t index)
{
    const struct media_slots *slots = &media->slots[kind];

    if (!media->alive || index >= slots->n || slots->slot[index].state != SLOT_OPEN) {
        return HANDLE_NONE;
    }
    return handle_make(index, slots->slot[index].gen);
}
