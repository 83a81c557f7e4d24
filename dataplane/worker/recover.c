/* See recover.h. */
#include "worker/recover.h"

#include <errno.h>
#include <unistd.h>

#include "sfu/abi/cmd.h"
#include "sfu/base/handle.h"
#include "worker/command.h"

/* The handle in a record, HANDLE_NONE if it is free. Control is not attached yet, so it
 * does not change. */
#define RECORD_HANDLE(rec)                                                                 \
    (atomic_load_explicit(&(rec)->commit, memory_order_acquire) == 0                       \
         ? HANDLE_NONE                                                                     \
         : (rec)->conf[(rec)->commit & 1].handle)

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

static void drop_gone_subs(struct lane *lane, struct peer *peer, const struct vault *vault)
{
    struct sub *next;

    for (struct sub *sub = peer->subs; sub != NULL; sub = next) {
        next = sub->next_of_peer;
        if (sub_record(vault, sub->index) != sub->handle) {
            tables_sub_close(lane->tables, sub, lane->index);
        }
    }
}

static void drop_gone_streams(struct lane *lane, struct peer *peer,
                              const struct vault *vault)
{
    struct stream *next;

    for (struct stream *stream = peer->streams; stream != NULL; stream = next) {
        next = stream->next_of_peer;
        if (stream_record(vault, stream->index) != stream->handle) {
            command_drop_stream(lane, stream);
        }
    }
}

static void drop_gone(struct lane *lane, const struct vault *vault)
{
    struct tables *t = lane->tables;

    for (uint32_t i = 0; i < t->n_open; i++) {
        struct peer *peer = &t->peers[t->open_peers[i]];

        drop_gone_subs(lane, peer, vault);
        drop_gone_streams(lane, peer, vault);
        peer->loss_told = false; /* who was told may be dead */
    }
    for (uint32_t i = t->n_open; i-- > 0;) { /* closing moves the last one here */
        struct peer *peer = &t->peers[t->open_peers[i]];

        if (peer_record(vault, peer->index) != peer->handle) {
            command_drop_peer(lane, peer);
        }
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

/* Opens those without an object. Stretches that were never written are passed over: to read
 * them would take memory. */
static void open_missing(struct lane *lane, const struct io *io, const struct vault *vault,
                         int vault_fd, const struct records *kind)
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
        if (handle != HANDLE_NONE && handle_index(handle) == i &&
            !is_open(lane->tables, kind->open, handle)) {
            (void)command_resume(lane, io, vault, kind->open, handle);
        }
    }
}

void recover_lane(struct lane *lane, const struct io *io, const struct vault *vault,
                  int vault_fd)
{
    const struct vault_layout l =
        vault_layout(vault->n_peers, vault->n_streams, vault->n_subs);
    const struct records kinds[] = {
        {l.peers, sizeof(struct vault_peer), vault->n_peers, ABI_OP_PEER_OPEN, peer_record},
        {l.streams, sizeof(struct vault_stream), vault->n_streams, ABI_OP_STREAM_OPEN,
         stream_record},
        {l.subs, sizeof(struct vault_sub), vault->n_subs, ABI_OP_SUB_OPEN, sub_record},
    };

    lane->n_news = 0;
    drop_gone(lane, vault);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        open_missing(lane, io, vault, vault_fd, &kinds[i]);
    }
}
