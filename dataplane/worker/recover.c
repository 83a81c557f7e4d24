/* See recover.h. */
#include "worker/recover.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lane/capture.h"
#include "sfu/abi/cmd.h"
#include "sfu/base/handle.h"
#include "worker/command.h"

/* The handle in a record, HANDLE_NONE if it is free. Control is not attached yet, so it
 * does not change. */
#define CURRENT(rec)                                                                       \
    (&(rec)->conf[atomic_load_explicit(&(rec)->commit, memory_order_acquire) & 1])
#define RECORD_HANDLE(rec)                                                                 \
    (atomic_load_explicit(&(rec)->commit, memory_order_acquire) == 0                       \
         ? HANDLE_NONE                                                                     \
         : CURRENT(rec)->handle)

static uint64_t peer_record(const struct vault *v, size_t i)
{
    return RECORD_HANDLE(&v->peers[i]);
}

static uint64_t stream_record(const struct vault *v, size_t i)
{
    return RECORD_HANDLE(&v->streams[i]);
}

static uint64_t sub_record(const struct vault *v, size_t i)
{
    return RECORD_HANDLE(&v->subs[i]);
}

/* All lanes, while they rest. */
struct lanes {
    struct lane *const *lane;
    uint32_t n;
};

static bool peer_gone(const struct vault *v, const struct peer *peer)
{
    return peer_record(v, peer->index) != peer->handle;
}

static bool stream_gone(const struct vault *v, const struct stream *stream)
{
    return stream_record(v, stream->index) != stream->handle || peer_gone(v, stream->peer);
}

/* Also if a stream that it holds is: else that could not end. */
static bool sub_gone(const struct vault *v, const struct sub *sub)
{
    bool gone = sub_record(v, sub->index) != sub->handle || peer_gone(v, sub->peer) ||
                stream_gone(v, sub->stream);

    for (uint8_t i = 0; !gone && sub->layers != NULL && i < sub->layers->n_streams; i++) {
        gone = stream_gone(v, sub->layers->streams[i]);
    }
    return gone;
}

static void drop_gone_subs(struct lane *lane, const struct vault *vault)
{
    struct tables *t = lane->tables;

    for (uint32_t i = 0; i < t->n_open; i++) {
        struct sub *next;

        for (struct sub *sub = t->peers[t->open[i].index].rest->subs; sub != NULL;
             sub = next) {
            next = sub->next_of_peer;
            if (sub_gone(vault, sub)) {
                lane_sub_close(lane, sub);
            }
        }
    }
}

static void drop_gone_streams(struct lane *lane, const struct vault *vault)
{
    struct tables *t = lane->tables;

    for (uint32_t i = 0; i < t->n_open; i++) {
        struct stream *next;

        for (struct stream *s = t->peers[t->open[i].index].rest->streams; s != NULL;
             s = next) {
            next = s->next_of_peer;
            if (stream_gone(vault, s)) {
                (void)tables_stream_close(t, s);
            }
        }
    }
}

static void drop_gone_peers(const struct lanes *all, struct lane *lane,
                            const struct vault *vault)
{
    struct tables *t = lane->tables;

    for (uint32_t i = t->n_open; i-- > 0;) { /* closing moves the last one here */
        struct peer *peer = &t->peers[t->open[i].index];
        struct path paths[PEER_PATHS];
        uint8_t n_paths = peer->rest->n_paths;

        peer->rest->loss_told = false; /* who was told may be dead */
        peer_watch(peer, CAPTURE_OFF); /* so may be who watched */
        if (!peer_gone(vault, peer)) {
            continue;
        }
        memcpy(paths, peer->rest->paths, sizeof(paths));
        (void)tables_peer_close(t, peer);
        for (uint32_t k = 0; k < all->n; k++) {
            for (uint8_t p = 0; p < n_paths; p++) {
                struct path_key key = tables_path_key(&paths[p]);

                tables_path_del(all->lane[k]->tables, &key, peer->index);
            }
        }
    }
}

/* Subscriptions of all lanes before streams: a stream has them on any. */
static void drop_gone(const struct lanes *all, const struct vault *vault)
{
    for (uint32_t i = 0; i < all->n; i++) {
        drop_gone_subs(all->lane[i], vault);
    }
    for (uint32_t i = 0; i < all->n; i++) {
        drop_gone_streams(all->lane[i], vault);
    }
    for (uint32_t i = 0; i < all->n; i++) {
        drop_gone_peers(all, all->lane[i], vault);
    }
}

/* One kind of record: where they lie, and how to ask whether one is open. */
struct records {
    size_t base, size, n;
    enum abi_op open;
    uint64_t (*record)(const struct vault *v, size_t i);
};

static bool is_open(const struct tables *t, enum abi_op op, uint64_t handle)
{
    switch (op) {
    case ABI_OP_PEER_OPEN:
        return tables_peer(t, handle) != NULL;
    case ABI_OP_STREAM_OPEN:
        return tables_stream(t, handle) != NULL;
    default:
        return tables_sub(t, handle) != NULL;
    }
}

/* The lane of a record's peer: where it was last. */
static struct lane *lane_of(const struct lanes *all, const struct vault *v, enum abi_op op,
                            size_t i)
{
    uint32_t peer = (uint32_t)i;

    if (op == ABI_OP_STREAM_OPEN) {
        peer = handle_index(CURRENT(&v->streams[i])->peer);
    } else if (op == ABI_OP_SUB_OPEN) {
        peer = handle_index(CURRENT(&v->subs[i])->peer);
    }
    return all
        ->lane[peer < v->n_peers && all->n > 1 ? v->peers[peer].live.lane % all->n : 0];
}

/* The other lanes learn the paths of a peer that was opened. */
static void spread_paths(const struct lanes *all, const struct lane *lane, uint64_t handle)
{
    const struct peer *peer = tables_peer(lane->tables, handle);

    for (uint32_t k = 0; k < all->n && peer != NULL; k++) {
        for (uint8_t p = 0; p < peer->rest->n_paths && all->lane[k] != lane; p++) {
            struct path_key key = tables_path_key(&peer->rest->paths[p]);

            tables_path_add(all->lane[k]->tables, &key, peer->index, lane->index);
        }
    }
}

static void open_one(const struct lanes *all, const struct io *io,
                     const struct vault *vault, enum abi_op op, uint64_t handle)
{
    struct lane *lane = lane_of(all, vault, op, handle_index(handle));

    if (is_open(lane->tables, op, handle)) {
        return;
    }
    if (command_resume(lane, io, vault, op, handle) == 0 && op == ABI_OP_PEER_OPEN) {
        spread_paths(all, lane, handle);
    }
}

/* Opens those without an object. Stretches that were never written are passed over: to read
 * them would take memory. */
static void open_missing(const struct lanes *all, const struct io *io,
                         const struct vault *vault, int vault_fd,
                         const struct records *kind)
{
    off_t from = 0;
    off_t to = 0;

    for (size_t i = 0; i < kind->n; i++) {
        off_t at = (off_t)(kind->base + i * kind->size);
        uint64_t handle;

        if (at + (off_t)kind->size > to) {
            from = lseek(vault_fd, at, SEEK_DATA);
            if (from < 0) {
                if (errno == ENXIO) {
                    return; /* nothing behind */
                }
                from = at; /* a kernel that cannot tell */
            }
            to = lseek(vault_fd, from, SEEK_HOLE);
            if (to < 0) {
                to = (off_t)vault->header->bytes;
            }
        }
        if (at + (off_t)kind->size <= from) {
            i += (size_t)(from - at) / kind->size - 1;
            continue;
        }
        handle = kind->record(vault, i);
        if (handle != HANDLE_NONE && handle_index(handle) == i) {
            open_one(all, io, vault, kind->open, handle);
        }
    }
}

void recover_lanes(struct lane *const *lanes, uint32_t n, const struct io *io,
                   const struct vault *vault, int vault_fd, uint64_t now_us)
{
    const struct vault_layout l =
        vault_layout(vault->n_peers, vault->n_streams, vault->n_subs);
    const struct records kinds[] = {
        {l.peers, sizeof(struct vault_peer), vault->n_peers, ABI_OP_PEER_OPEN, peer_record},
        {l.streams, sizeof(struct vault_stream), vault->n_streams, ABI_OP_STREAM_OPEN,
         stream_record},
        {l.subs, sizeof(struct vault_sub), vault->n_subs, ABI_OP_SUB_OPEN, sub_record},
    };
    const struct lanes all = {.lane = lanes, .n = n};
    struct hub *hub = lanes[0]->hub;

    for (uint32_t i = 0; i < n; i++) {
        lanes[i]->n_news = 0;
        lanes[i]->now_us = now_us;
        lanes[i]->hub = NULL; /* nobody listens: what others have to know is done here */
    }
    drop_gone(&all, vault);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        open_missing(&all, io, vault, vault_fd, &kinds[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        lanes[i]->hub = hub;
    }
}
