/* See tables.h. */
#include "table/tables.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_jhash.h>

#include "sfu/base/handle.h"
#include "table/tables_priv.h"

struct feedback_key {
    uint32_t peer;
    uint32_t ssrc;
};

struct path_key tables_path_key(const struct path *path)
{
    struct path_key key;

    memcpy(key.remote_ip, path->remote_ip, 16);
    memcpy(key.local_ip, path->local_ip, 16);
    key.remote_port = path->remote_port;
    key.device = path->device;
    return key;
}

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Of one lane: it may have to take all subscriptions. */
static size_t n_chunks(const struct tables_conf *conf)
{
    return (size_t)conf->n_subs / SUBLIST_CHUNK + (size_t)conf->n_streams + 1;
}

/* So many that hardly a name that nobody has is taken for one. */
static uint32_t n_names(const struct tables_conf *conf)
{
    uint32_t n = 1024;

    while (n < 16 * conf->n_peers) {
        n *= 2;
    }
    return n;
}

static size_t lane_bytes(const struct tables_conf *conf)
{
    return aligned(n_chunks(conf) * sizeof(struct sublist_chunk)) +
           aligned(conf->n_peers * sizeof(struct open_peer)) +
           aligned(conf->n_peers * sizeof(uint8_t)) + /* lane_of */
           aligned(conf->n_peers * sizeof(bool));     /* mine */
}

size_t tables_bytes(const struct tables_conf *conf)
{
    return aligned(conf->n_peers * sizeof(struct peer)) +
           aligned(conf->n_peers * sizeof(struct peer_rest)) +
           aligned(conf->n_streams * sizeof(struct stream)) +
           aligned(conf->n_subs * sizeof(struct sub)) +
           aligned(conf->n_subs * sizeof(struct sub_rest)) +
           aligned(conf->n_subs * sizeof(struct sub_layers)) +
           aligned(conf->n_subs * sizeof(struct sub_repair)) +
           aligned(conf->n_peers * sizeof(struct twcc)) +
           aligned(conf->n_peers * sizeof(struct remb)) +
           aligned(conf->n_peers * sizeof(struct bwe)) +
           2 * aligned(conf->n_peers * sizeof(struct crypt_key)) +
           2 * aligned(conf->n_peers * sizeof(struct refused)) +
           2 * aligned(conf->n_subs * sizeof(struct refused)) +
           aligned((size_t)conf->n_streams * conf->n_lanes *
                   sizeof(struct stream_readers)) +
           aligned(conf->ring_bytes / STORE_UNIT * sizeof(uint32_t)) +
           aligned(n_names(conf) * sizeof(uint16_t)) +
           (conf->ring_mem == NULL ? aligned(conf->ring_bytes) : 0) +
           conf->n_lanes * lane_bytes(conf);
}

static void *carve(uint8_t **at, size_t bytes)
{
    void *here = *at;

    *at += aligned(bytes);
    return here;
}

static struct rte_hash *make_hash(const char *what, const char *name, uint32_t lane,
                                  uint32_t entries, uint32_t key_len, uint32_t numa)
{
    char full[RTE_HASH_NAMESIZE];
    struct rte_hash_parameters params = {
        .name = full,
        .entries = entries < 64 ? 64 : entries,
        .key_len = key_len,
        .hash_func = rte_jhash,
        .hash_func_init_val = 0x6b6373,
        .socket_id = (int)numa - 1, /* -1: any NUMA node */
        .extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
    };
    size_t n = strlen(what);
    struct rte_hash *hash;

    /* names are bounded by RTE_HASH_NAMESIZE (32): "paths", the lane, '-' and the name */
    memcpy(full, what, n);
    full[n++] = (char)('0' + lane / 10);
    full[n++] = (char)('0' + lane % 10);
    full[n] = '-';
    for (size_t i = 0; i + n + 2 < sizeof(full); i++) {
        full[n + 1 + i] = name[i];
        full[n + 2 + i] = '\0';
        if (name[i] == '\0') {
            break;
        }
    }
    hash = rte_hash_create(&params);
    if (hash == NULL && numa != 0) {
        params.socket_id = -1;
        hash = rte_hash_create(&params);
    }
    return hash;
}

/* What a lane has for itself. Returns 0 or -ENOMEM. */
static int init_lane(struct tables *t, uint8_t **at, const char *name)
{
    const struct tables_conf *conf = &t->conf;

    sublist_pool_init(&t->chunks, carve(at, n_chunks(conf) * sizeof(struct sublist_chunk)),
                      n_chunks(conf));
    t->open = carve(at, conf->n_peers * sizeof(struct open_peer));
    t->lane_of = carve(at, conf->n_peers * sizeof(uint8_t));
    t->mine = carve(at, conf->n_peers * sizeof(bool));
    t->paths = make_hash("paths", name, t->lane, conf->n_peers * PEER_PATHS,
                         sizeof(struct path_key), conf->numa);
    t->feedback = make_hash("feedback", name, t->lane, 2 * conf->n_subs,
                            sizeof(struct feedback_key), conf->numa);
    return t->paths != NULL && t->feedback != NULL ? 0 : -ENOMEM;
}

static void init_objects(struct tables *t, const struct tables_conf *conf, uint8_t **at)
{
    _Atomic uint32_t *next;

    t->peers = carve(at, conf->n_peers * sizeof(struct peer));
    t->peer_rests = carve(at, conf->n_peers * sizeof(struct peer_rest));
    t->streams = carve(at, conf->n_streams * sizeof(struct stream));
    t->subs = carve(at, conf->n_subs * sizeof(struct sub));
    t->sub_rests = carve(at, conf->n_subs * sizeof(struct sub_rest));
    t->layers = carve(at, conf->n_subs * sizeof(struct sub_layers));
    t->repairs = carve(at, conf->n_subs * sizeof(struct sub_repair));
    t->twccs = carve(at, conf->n_peers * sizeof(struct twcc));
    t->rembs = carve(at, conf->n_peers * sizeof(struct remb));
    t->bwes = carve(at, conf->n_peers * sizeof(struct bwe));
    t->tx_keys = carve(at, conf->n_peers * sizeof(struct crypt_key));
    t->rx_keys = carve(at, conf->n_peers * sizeof(struct crypt_key));
    t->refused_peers = carve(at, conf->n_peers * sizeof(struct refused));
    t->refused_subs = carve(at, conf->n_subs * sizeof(struct refused));
    t->refused_rtx = carve(at, conf->n_subs * sizeof(struct refused));
    t->refused_padding = carve(at, conf->n_peers * sizeof(struct refused));
    t->readers =
        carve(at, (size_t)conf->n_streams * conf->n_lanes * sizeof(struct stream_readers));
    for (size_t i = 0; i < (size_t)conf->n_streams * conf->n_lanes; i++) {
        t->readers[i].stream = &t->streams[i / conf->n_lanes];
    }
    next = carve(at, conf->ring_bytes / STORE_UNIT * sizeof(uint32_t));
    t->n_names = n_names(conf);
    t->names = carve(at, t->n_names * sizeof(uint16_t));
    if (conf->ring_mem == NULL) {
        ring_store_init(&t->store, carve(at, conf->ring_bytes), conf->ring_bytes, next);
    } else {
        uint64_t at_bytes = tap_blocks_at(conf->n_streams);

        ring_store_init(&t->store, (uint8_t *)conf->ring_mem + at_bytes, conf->ring_bytes,
                        next);
        t->store.mem_at = at_bytes;
        t->store.taps = tap_first(conf->ring_mem);
    }
}

int tables_init(struct tables *t, const struct tables_conf *conf, void *mem,
                const char *name)
{
    uint8_t *at = mem;
    int err = 0;

    memset(t, 0, conf->n_lanes * sizeof(*t));
    init_objects(t, conf, &at);
    t->conf = *conf; /* before the copies: fini asks how many there are */
    for (uint32_t i = 0; i < conf->n_lanes && err == 0; i++) {
        struct tables *lane = &t[i];

        if (i > 0) {
            lane->peers = t->peers;
            lane->peer_rests = t->peer_rests;
            lane->streams = t->streams;
            lane->subs = t->subs;
            lane->sub_rests = t->sub_rests;
            lane->layers = t->layers;
            lane->twccs = t->twccs;
            lane->rembs = t->rembs;
            lane->repairs = t->repairs;
            lane->bwes = t->bwes;
            lane->tx_keys = t->tx_keys;
            lane->rx_keys = t->rx_keys;
            lane->refused_peers = t->refused_peers;
            lane->refused_subs = t->refused_subs;
            lane->refused_rtx = t->refused_rtx;
            lane->refused_padding = t->refused_padding;
            lane->readers = t->readers;
            lane->names = t->names;
            lane->n_names = t->n_names;
        }
        lane->conf = *conf;
        lane->lane = i;
        lane->rings = &t->store;
        err = init_lane(lane, &at, name);
    }
    if (err != 0) {
        tables_fini(t);
    }
    return err;
}

void tables_fini(struct tables *t)
{
    for (uint32_t i = 0; i < t->conf.n_lanes; i++) {
        rte_hash_free(t[i].paths);
        rte_hash_free(t[i].feedback);
        t[i].paths = NULL;
        t[i].feedback = NULL;
    }
}

struct peer *tables_peer(const struct tables *t, uint64_t handle)
{
    uint32_t i = handle_index(handle);

    return handle != HANDLE_NONE && i < t->conf.n_peers && t->mine[i] &&
                   t->peers[i].handle == handle
               ? &t->peers[i]
               : NULL;
}

struct stream *tables_stream(const struct tables *t, uint64_t handle)
{
    uint32_t i = handle_index(handle);

    return handle != HANDLE_NONE && i < t->conf.n_streams && t->streams[i].handle == handle
               ? &t->streams[i]
               : NULL;
}

struct sub *tables_sub(const struct tables *t, uint64_t handle)
{
    uint32_t i = handle_index(handle);

    return handle != HANDLE_NONE && i < t->conf.n_subs && t->subs[i].handle == handle &&
                   t->mine[t->subs[i].peer->index]
               ? &t->subs[i]
               : NULL;
}

static void list_open(struct tables *t, struct peer *peer)
{
    peer->rest->open_slot = t->n_open;
    t->open[t->n_open++] = (struct open_peer){.index = peer->index,
                                              .tx_bytes = peer->tx_bytes,
                                              .twcc_next = peer->twcc_next};
}

static void unlist_open(struct tables *t, struct peer *peer)
{
    const struct open_peer last = t->open[--t->n_open];

    t->open[peer->rest->open_slot] = last;
    t->peers[last.index].rest->open_slot = peer->rest->open_slot;
}

struct peer *tables_peer_open(struct tables *t, uint64_t handle, int *err)
{
    uint32_t i = handle_index(handle);
    struct peer *peer = i < t->conf.n_peers ? &t->peers[i] : NULL;

    *err = tables_slot_err(handle, t->conf.n_peers, peer != NULL ? peer->handle : 0);
    if (peer == NULL || *err != 0) {
        return NULL;
    }
    memset(peer, 0, sizeof(*peer));
    peer->rest = &t->peer_rests[i];
    memset(peer->rest, 0, sizeof(*peer->rest));
    peer->rest->twcc = &t->twccs[i];
    peer->rest->remb = &t->rembs[i];
    peer->bwe = &t->bwes[i];
    peer->handle = handle;
    peer->index = i;
    refused_open(&t->refused_peers[i], handle);
    refused_open(&t->refused_padding[i], handle);
    list_open(t, peer);
    t->lane_of[i] = (uint8_t)t->lane;
    t->mine[i] = true;
    return peer;
}

void tables_path_add(struct tables *t, const struct path_key *key, uint32_t index,
                     uint32_t lane)
{
    /* The table has room for all paths of all peers: it does not fail. */
    (void)rte_hash_add_key_data(t->paths, key, (void *)(uintptr_t)index);
    t->lane_of[index] = (uint8_t)lane;
}

void tables_path_del(struct tables *t, const struct path_key *key, uint32_t index)
{
    void *data;

    if (rte_hash_lookup_data(t->paths, key, &data) >= 0 &&
        (uint32_t)(uintptr_t)data == index) {
        (void)rte_hash_del_key(t->paths, key);
    }
}

void tables_paths_reset(struct tables *t)
{
    rte_hash_reset(t->paths);
}

static void forget_paths(struct tables *t, struct peer *peer)
{
    for (uint8_t i = 0; i < peer->rest->n_paths; i++) {
        struct path_key key = tables_path_key(&peer->rest->paths[i]);

        tables_path_del(t, &key, peer->index);
    }
    peer->rest->n_paths = 0;
    peer->to = NULL;
}

int tables_peer_close(struct tables *t, struct peer *peer)
{
    if (peer->rest->streams != NULL || peer->rest->subs != NULL) {
        return -EBUSY;
    }
    forget_paths(t, peer);
    crypt_key_wipe(&t->tx_keys[peer->index]);
    crypt_key_wipe(&t->rx_keys[peer->index]);
    unlist_open(t, peer);
    t->mine[peer->index] = false;
    tables_name_forget(t, peer);
    refused_close(&t->refused_peers[peer->index]);
    refused_close(&t->refused_padding[peer->index]);
    explicit_bzero(peer->rest->pwd, sizeof(peer->rest->pwd));
    peer->handle = HANDLE_NONE;
    return 0;
}

int tables_peer_set_paths(struct tables *t, struct peer *peer, const struct path *paths,
                          uint8_t n, uint8_t selected)
{
    if (n > PEER_PATHS) {
        return -EINVAL;
    }
    forget_paths(t, peer);
    for (uint8_t i = 0; i < n; i++) {
        struct path_key key = tables_path_key(&paths[i]);

        if (rte_hash_add_key_data(t->paths, &key, (void *)(uintptr_t)peer->index) != 0) {
            forget_paths(t, peer);
            return -ENOSPC;
        }
        peer->rest->paths[i] = paths[i];
        peer->rest->n_paths = (uint8_t)(i + 1);
    }
    if (selected < n) {
        peer->to = &peer->rest->paths[selected];
        peer->device = peer->to->device;
    }
    return 0;
}

void tables_find_paths(const struct tables *t, const struct path *const *paths, uint16_t n,
                       struct peer **out)
{
    struct path_key keys[PKT_BURST];
    const void *key_ptrs[PKT_BURST];
    void *data[PKT_BURST];
    uint64_t hits = 0;

    for (uint16_t i = 0; i < n; i++) {
        keys[i] = tables_path_key(paths[i]);
        key_ptrs[i] = &keys[i];
    }
    if (n == 0 || rte_hash_lookup_bulk_data(t->paths, key_ptrs, n, &hits, data) < 0) {
        hits = 0;
    }
    for (uint16_t i = 0; i < n; i++) {
        out[i] = (hits >> i & 1) != 0 ? &t->peers[(uintptr_t)data[i]] : NULL;
    }
}

int tables_enlist(struct tables *t, struct sub *sub, uint64_t from)
{
    struct stream *stream = sub->stream;
    struct stream_readers *readers = &stream->readers[t->lane];
    int err = sublist_add(&readers->subs, &t->chunks, sub, &sub->at);

    if (err != 0) {
        return err;
    }
    if (readers->subs.n == 1) {
        /* What came while nobody read is nobody's loss, and the place was of no list. */
        readers->next_pos = from;
        readers->walk_pos = from - 1;
        readers->shed_pos = readers->counted_pos = readers->late_us = 0;
        readers->run_pos = readers->run_end = readers->shed_had = 0;
        readers->at = sublist_start(&readers->subs);
        (void)atomic_fetch_or(&stream->reader_lanes, UINT64_C(1) << t->lane);
    } else if (from < readers->next_pos) {
        /* The others are further: their cursors keep them from being served twice. */
        readers_go_back(readers, from);
    }
    return 0;
}

void tables_sub_unshed(const struct tables *t, struct sub *sub)
{
    sub->stream->readers[t->lane].n_shed -= sub->shed;
    sub->shed = false;
}

void tables_delist(struct tables *t, struct sub *sub)
{
    struct stream_readers *readers = &sub->stream->readers[t->lane];
    struct sublist_at place = sub->at;
    struct sub *moved;

    tables_sub_unshed(t, sub);
    sub->at = (struct sublist_at){.chunk = NULL};
    moved = sublist_remove(&readers->subs, &t->chunks, place);

    if (moved != NULL) {
        moved->at = place;
    }
    /* The entry moved into the gap may have been ahead of an interrupted fan-out: start the
     * position again; cursors keep the others from being served twice. */
    readers->at = sublist_start(&readers->subs);
    if (readers->subs.n == 0) {
        (void)atomic_fetch_and(&sub->stream->reader_lanes, ~(UINT64_C(1) << t->lane));
    }
}

/* ---- the SSRCs of a subscription, by which feedback finds it ---- */

static bool ssrc_taken(const struct tables *t, const struct peer *peer, uint32_t ssrc)
{
    const struct feedback_key key = {.peer = peer->index, .ssrc = ssrc};

    return rte_hash_lookup(t->feedback, &key) >= 0;
}

static void feedback_del(struct tables *t, const struct sub *sub)
{
    struct feedback_key key = {.peer = sub->peer->index, .ssrc = sub->ssrc};

    (void)rte_hash_del_key(t->feedback, &key);
    if (sub->rest->rtx_ssrc != 0) {
        key.ssrc = sub->rest->rtx_ssrc;
        (void)rte_hash_del_key(t->feedback, &key);
    }
}

static int feedback_add(struct tables *t, const struct sub *sub)
{
    struct feedback_key key = {.peer = sub->peer->index, .ssrc = sub->ssrc};
    void *data = (void *)(uintptr_t)sub->index;

    if (rte_hash_add_key_data(t->feedback, &key, data) != 0) {
        return -ENOSPC;
    }
    key.ssrc = sub->rest->rtx_ssrc;
    if (sub->rest->rtx_ssrc != 0 && rte_hash_add_key_data(t->feedback, &key, data) != 0) {
        feedback_del(t, sub);
        return -ENOSPC;
    }
    return 0;
}

struct sub *tables_sub_open(struct tables *t, uint64_t handle, struct stream *stream,
                            struct peer *peer, uint64_t stream_handle, uint32_t ssrc,
                            uint32_t rtx_ssrc, int *err)
{
    uint32_t i = handle_index(handle);
    struct sub *sub = i < t->conf.n_subs ? &t->subs[i] : NULL;

    *err = tables_slot_err(handle, t->conf.n_subs, sub != NULL ? sub->handle : 0);
    if (*err == 0 &&
        (ssrc_taken(t, peer, ssrc) || (rtx_ssrc != 0 && ssrc_taken(t, peer, rtx_ssrc)))) {
        *err = -EEXIST;
    }
    if (*err == 0 && !tables_hold(stream, stream_handle)) {
        *err = -ENOENT;
    }
    if (sub == NULL || *err != 0) {
        return NULL;
    }
    memset(sub, 0, sizeof(*sub));
    sub->rest = &t->sub_rests[i];
    memset(sub->rest, 0, sizeof(*sub->rest));
    sub->index = i;
    sub->stream = stream;
    sub->peer = peer;
    sub->ssrc = ssrc;
    sub->rest->rtx_ssrc = rtx_ssrc;
    *err = feedback_add(t, sub);
    if (*err != 0) {
        goto release;
    }
    *err = tables_enlist(t, sub, stream_ring_head(&stream->ring));
    if (*err != 0) {
        feedback_del(t, sub);
        goto release;
    }
    sub->handle = handle;
    refused_open(&t->refused_subs[i], handle);
    refused_open(&t->refused_rtx[i], handle);
    sub->next_of_peer = peer->rest->subs;
    peer->rest->subs = sub;
    t->n_open_subs++;
    tables_wake(t, peer);
    return sub;
release:
    (void)atomic_fetch_sub(&stream->n_subs, 1);
    return NULL;
}

void tables_sub_close(struct tables *t, struct sub *sub)
{
    struct sub **at = &sub->peer->rest->subs;

    while (*at != sub) {
        at = &(*at)->next_of_peer;
    }
    *at = sub->next_of_peer;
    feedback_del(t, sub);
    tables_delist(t, sub);
    t->n_open_subs--;
    tables_wake(t, sub->peer);
    refused_close(&t->refused_subs[sub->index]);
    refused_close(&t->refused_rtx[sub->index]);
    sub->handle = HANDLE_NONE;
    tables_let_go(sub); /* from here on its streams may be gone */
}

void tables_refused(struct tables *t, const struct pkt *pkt)
{
    if (pkt->peer_handle != HANDLE_NONE) {
        refused_add(&t->refused_peers[handle_index(pkt->peer_handle)], pkt->peer_handle,
                    pkt->len);
        if (pkt_is_padding(pkt)) {
            refused_add(&t->refused_padding[handle_index(pkt->peer_handle)],
                        pkt->peer_handle, pkt->len);
        }
    }
    if (pkt->sub_handle != HANDLE_NONE) {
        struct refused *refused = pkt->rtx ? t->refused_rtx : t->refused_subs;

        refused_add(&refused[handle_index(pkt->sub_handle)], pkt->sub_handle,
                    pkt->payload_len);
    }
}

/* ---- moving ---- */

void tables_peer_pause(struct tables *t, struct peer *peer)
{
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        const struct stream_readers *readers = &sub->stream->readers[t->lane];

        tables_sub_catch_up(t, sub);
        /* it has had all before the position of its lane, or lost it to an overrun; one
         * that waits has not */
        if (sub->cursor < readers->next_pos && !sub->behind) {
            sub->cursor = readers->next_pos;
        }
        tables_delist(t, sub);
        tables_layers_unlink(sub);
    }
    unlist_open(t, peer);
}

void tables_peer_leave(struct tables *t, struct peer *peer)
{
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        feedback_del(t, sub);
        t->n_open_subs--;
    }
    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        t->n_open_streams--;
    }
    t->mine[peer->index] = false;
}

int tables_peer_join(struct tables *t, struct peer *peer)
{
    int err = 0;

    for (struct stream *s = peer->rest->streams; s != NULL; s = s->next_of_peer) {
        atomic_store(&s->lane, t->lane);
        t->n_open_streams++;
    }
    for (struct sub *sub = peer->rest->subs; sub != NULL; sub = sub->next_of_peer) {
        if (feedback_add(t, sub) != 0 || tables_enlist(t, sub, sub->cursor) != 0) {
            err = -ENOSPC;
        }
        tables_layers_link(t, sub);
        t->n_open_subs++;
    }
    list_open(t, peer);
    t->mine[peer->index] = true;
    t->lane_of[peer->index] = (uint8_t)t->lane;
    if (peer->rest->lane != NULL) {
        *peer->rest->lane = t->lane;
    }
    return err;
}

struct sub *tables_find_feedback(const struct tables *t, const struct peer *peer,
                                 uint32_t ssrc)
{
    struct feedback_key key = {.peer = peer->index, .ssrc = ssrc};
    void *data;

    if (rte_hash_lookup_data(t->feedback, &key, &data) < 0) {
        return NULL;
    }
    return &t->subs[(uintptr_t)data];
}
