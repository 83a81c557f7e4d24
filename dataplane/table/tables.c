/* See tables.h. */
#include "table/tables.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_jhash.h>

#include "sfu/base/handle.h"

/* What a packet's source is looked up by. The link address is not part of it. */
struct path_key {
    uint8_t remote_ip[16];
    uint8_t local_ip[16];
    uint16_t remote_port;
    uint16_t device;
};

struct feedback_key {
    uint32_t peer;
    uint32_t ssrc;
};

static struct path_key path_key_of(const struct path *path)
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

static size_t n_chunks(const struct tables_conf *conf)
{
    return (size_t)conf->n_subs / SUBLIST_CHUNK + (size_t)conf->n_streams * conf->n_lanes +
           1;
}

size_t tables_bytes(const struct tables_conf *conf)
{
    return aligned(conf->n_peers * sizeof(struct peer)) +
           aligned(conf->n_streams * sizeof(struct stream)) +
           aligned(conf->n_subs * sizeof(struct sub)) +
           aligned(conf->n_peers * sizeof(struct twcc)) +
           2 * aligned(conf->n_peers * sizeof(struct crypt_key)) +
           aligned((size_t)conf->n_streams * conf->n_lanes *
                   sizeof(struct stream_readers)) +
           aligned(n_chunks(conf) * sizeof(struct sublist_chunk)) +
           aligned(conf->n_peers * sizeof(uint32_t)) + aligned(conf->ring_bytes);
}

static void *carve(uint8_t **at, size_t bytes)
{
    void *here = *at;

    *at += aligned(bytes);
    return here;
}

static struct rte_hash *make_hash(const char *what, const char *name, uint32_t entries,
                                  uint32_t key_len)
{
    char full[RTE_HASH_NAMESIZE];
    struct rte_hash_parameters params = {
        .name = full,
        .entries = entries < 64 ? 64 : entries,
        .key_len = key_len,
        .hash_func = rte_jhash,
        .hash_func_init_val = 0x6b6373,
        .socket_id = -1, /* any NUMA node */
        .extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
    };
    size_t n = strlen(what);

    /* names are bounded by RTE_HASH_NAMESIZE (32): "paths-" or "feedback-" and the name */
    memcpy(full, what, n);
    full[n] = '-';
    for (size_t i = 0; i + n + 2 < sizeof(full); i++) {
        full[n + 1 + i] = name[i];
        full[n + 2 + i] = '\0';
        if (name[i] == '\0') {
            break;
        }
    }
    return rte_hash_create(&params);
}

int tables_init(struct tables *t, const struct tables_conf *conf, void *mem,
                const char *name)
{
    uint8_t *at = mem;

    memset(t, 0, sizeof(*t));
    t->conf = *conf;
    t->peers = carve(&at, conf->n_peers * sizeof(struct peer));
    t->streams = carve(&at, conf->n_streams * sizeof(struct stream));
    t->subs = carve(&at, conf->n_subs * sizeof(struct sub));
    t->twccs = carve(&at, conf->n_peers * sizeof(struct twcc));
    t->tx_keys = carve(&at, conf->n_peers * sizeof(struct crypt_key));
    t->rx_keys = carve(&at, conf->n_peers * sizeof(struct crypt_key));
    t->readers =
        carve(&at, (size_t)conf->n_streams * conf->n_lanes * sizeof(struct stream_readers));
    sublist_pool_init(&t->chunks, carve(&at, n_chunks(conf) * sizeof(struct sublist_chunk)),
                      n_chunks(conf));
    t->open_peers = carve(&at, conf->n_peers * sizeof(uint32_t));
    ring_store_init(&t->store, carve(&at, conf->ring_bytes), conf->ring_bytes);
    t->paths =
        make_hash("paths", name, conf->n_peers * PEER_PATHS, sizeof(struct path_key));
    t->feedback = make_hash("feedback", name, conf->n_subs, sizeof(struct feedback_key));
    if (t->paths == NULL || t->feedback == NULL) {
        tables_fini(t);
        return -ENOMEM;
    }
    return 0;
}

void tables_fini(struct tables *t)
{
    rte_hash_free(t->paths);
    rte_hash_free(t->feedback);
    t->paths = NULL;
    t->feedback = NULL;
}

struct peer *tables_peer(const struct tables *t, uint64_t handle)
{
    uint32_t i = handle_index(handle);

    return handle != HANDLE_NONE && i < t->conf.n_peers && t->peers[i].handle == handle
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

    return handle != HANDLE_NONE && i < t->conf.n_subs && t->subs[i].handle == handle
               ? &t->subs[i]
               : NULL;
}

/* Why a slot cannot be taken, or 0. */
static int slot_err(uint64_t handle, uint32_t n, uint64_t in_use)
{
    if (handle_gen(handle) == 0 || handle_index(handle) >= n) {
        return -EINVAL;
    }
    return in_use != HANDLE_NONE ? -EEXIST : 0;
}

struct peer *tables_peer_open(struct tables *t, uint64_t handle, int *err)
{
    uint32_t i = handle_index(handle);
    struct peer *peer = i < t->conf.n_peers ? &t->peers[i] : NULL;

    *err = slot_err(handle, t->conf.n_peers, peer != NULL ? peer->handle : 0);
    if (peer == NULL || *err != 0) {
        return NULL;
    }
    memset(peer, 0, sizeof(*peer));
    peer->twcc = &t->twccs[i];
    peer->handle = handle;
    peer->index = i;
    peer->open_slot = t->n_open;
    t->open_peers[t->n_open++] = i;
    return peer;
}

static void forget_paths(struct tables *t, struct peer *peer)
{
    for (uint8_t i = 0; i < peer->n_paths; i++) {
        struct path_key key = path_key_of(&peer->paths[i]);
        void *data;

        if (rte_hash_lookup_data(t->paths, &key, &data) >= 0 &&
            (uint32_t)(uintptr_t)data == peer->index) {
            (void)rte_hash_del_key(t->paths, &key);
        }
    }
    peer->n_paths = 0;
    peer->to = NULL;
}

int tables_peer_close(struct tables *t, struct peer *peer)
{
    uint32_t last;

    if (peer->streams != NULL || peer->subs != NULL) {
        return -EBUSY;
    }
    forget_paths(t, peer);
    crypt_key_wipe(&t->tx_keys[peer->index]);
    crypt_key_wipe(&t->rx_keys[peer->index]);
    last = t->open_peers[--t->n_open];
    t->open_peers[peer->open_slot] = last;
    t->peers[last].open_slot = peer->open_slot;
    explicit_bzero(peer->pwd, sizeof(peer->pwd));
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
        struct path_key key = path_key_of(&paths[i]);

        if (rte_hash_add_key_data(t->paths, &key, (void *)(uintptr_t)peer->index) != 0) {
            forget_paths(t, peer);
            return -ENOSPC;
        }
        peer->paths[i] = paths[i];
        peer->n_paths = (uint8_t)(i + 1);
    }
    if (selected < n) {
        peer->to = &peer->paths[selected];
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
        keys[i] = path_key_of(paths[i]);
        key_ptrs[i] = &keys[i];
    }
    if (n == 0 || rte_hash_lookup_bulk_data(t->paths, key_ptrs, n, &hits, data) < 0) {
        hits = 0;
    }
    for (uint16_t i = 0; i < n; i++) {
        out[i] = (hits >> i & 1) != 0 ? &t->peers[(uintptr_t)data[i]] : NULL;
    }
}

struct stream *tables_stream_open(struct tables *t, uint64_t handle, struct peer *peer,
                                  int *err)
{
    uint32_t i = handle_index(handle);
    struct stream *stream = i < t->conf.n_streams ? &t->streams[i] : NULL;

    *err = slot_err(handle, t->conf.n_streams, stream != NULL ? stream->handle : 0);
    if (stream == NULL || *err != 0) {
        return NULL;
    }
    memset(stream, 0, sizeof(*stream));
    stream->handle = handle;
    stream->index = i;
    stream->peer = peer;
    stream->readers = &t->readers[(size_t)i * t->conf.n_lanes];
    memset(stream->readers, 0, t->conf.n_lanes * sizeof(*stream->readers));
    for (uint32_t lane = 0; lane < t->conf.n_lanes; lane++) {
        stream->readers[lane].stream = stream;
    }
    stream->next_of_peer = peer->streams;
    peer->streams = stream;
    t->n_open_streams++;
    return stream;
}

int tables_stream_close(struct tables *t, struct stream *stream)
{
    struct stream **at = &stream->peer->streams;
    struct peer *peer = stream->peer;

    if (stream->n_subs != 0) {
        return -EBUSY;
    }
    while (*at != stream) {
        at = &(*at)->next_of_peer;
    }
    *at = stream->next_of_peer;
    for (uint32_t i = 0; i < peer->n_ssrcs; i++) {
        if (peer->ssrc_of[i].stream == stream) {
            peer->ssrc_of[i] = (struct peer_ssrc){.stream = NULL};
        }
    }
    if (stream->ring.slots != NULL) {
        ring_store_give(&t->store, stream->video, &stream->ring);
    }
    stream->handle = HANDLE_NONE;
    t->n_open_streams--;
    return 0;
}

struct sub *tables_sub_open(struct tables *t, uint64_t handle, struct stream *stream,
                            struct peer *peer, uint32_t lane, uint32_t ssrc, int *err)
{
    uint32_t i = handle_index(handle);
    struct sub *sub = i < t->conf.n_subs ? &t->subs[i] : NULL;
    struct stream_readers *readers = &stream->readers[lane];
    struct feedback_key key = {.peer = peer->index, .ssrc = ssrc};

    *err = slot_err(handle, t->conf.n_subs, sub != NULL ? sub->handle : 0);
    if (*err == 0 && rte_hash_lookup(t->feedback, &key) >= 0) {
        *err = -EEXIST;
    }
    if (sub == NULL || *err != 0) {
        return NULL;
    }
    memset(sub, 0, sizeof(*sub));
    if (rte_hash_add_key_data(t->feedback, &key, (void *)(uintptr_t)i) != 0) {
        *err = -ENOSPC;
        return NULL;
    }
    *err = sublist_add(&readers->subs, &t->chunks, sub, &sub->at);
    if (*err != 0) {
        (void)rte_hash_del_key(t->feedback, &key);
        return NULL;
    }
    if (readers->subs.n == 1) {
        /* What came while nobody read is nobody's loss, and the place was of no list. */
        readers->next_pos = stream_ring_head(&stream->ring);
        readers->at = sublist_start(&readers->subs);
    }
    sub->handle = handle;
    sub->index = i;
    sub->stream = stream;
    sub->peer = peer;
    sub->ssrc = ssrc;
    sub->next_of_peer = peer->subs;
    peer->subs = sub;
    stream->n_subs++;
    t->n_open_subs++;
    return sub;
}

void tables_sub_close(struct tables *t, struct sub *sub, uint32_t lane)
{
    struct stream_readers *readers = &sub->stream->readers[lane];
    struct feedback_key key = {.peer = sub->peer->index, .ssrc = sub->ssrc};
    struct sub **at = &sub->peer->subs;
    struct sublist_at place = sub->at;
    struct sub *moved;

    while (*at != sub) {
        at = &(*at)->next_of_peer;
    }
    *at = sub->next_of_peer;
    (void)rte_hash_del_key(t->feedback, &key);
    moved = sublist_remove(&readers->subs, &t->chunks, place);
    if (moved != NULL) {
        moved->at = place;
    }
    /* The entry moved into the gap may have been ahead of an interrupted fan-out: start the
     * position again; cursors keep the others from being served twice. */
    readers->at = sublist_start(&readers->subs);
    sub->stream->n_subs--;
    t->n_open_subs--;
    sub->handle = HANDLE_NONE;
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
