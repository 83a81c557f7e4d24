#include "support/fake_book.h"

#include <errno.h>
#include <stdbool.h>

#include "sfu/base/handle.h"

static bool is_open(const uint64_t *book, uint32_t n, uint64_t handle)
{
    return handle != HANDLE_NONE && handle_index(handle) < n &&
           book[handle_index(handle)] == handle;
}

static int book_open(struct fake_book *b, int kind, uint64_t *book, uint32_t n,
                     uint64_t handle, int readable, uint64_t stored)
{
    if (handle_index(handle) >= n || readable != 0 || stored != handle) {
        return -ENOENT;
    }
    if (book[handle_index(handle)] != HANDLE_NONE) {
        return -EEXIST;
    }
    book[handle_index(handle)] = handle;
    b->n_open[kind]++;
    return 0;
}

static int book_close(struct fake_book *b, int kind, uint64_t *book, uint32_t n,
                      uint64_t handle, bool used)
{
    if (!is_open(book, n, handle)) {
        return -ENOENT;
    }
    if (used) {
        return -EBUSY;
    }
    book[handle_index(handle)] = HANDLE_NONE;
    b->n_open[kind]--;
    return 0;
}

/* True if an open entry of 'book' belongs to 'owner'. */
static bool owns(const uint64_t *book, const uint64_t *owners, uint32_t n, uint64_t owner)
{
    for (uint32_t i = 0; i < n; i++) {
        if (book[i] != HANDLE_NONE && owners[i] == owner) {
            return true;
        }
    }
    return false;
}

/* Control may commit twice while a record is read, as when it saves what it has just
 * opened; the real dataplane tries again, too. */
#define DEFINE_READ(name)                                                                  \
    static int read_##name(const struct vault_##name *rec,                                 \
                           struct vault_##name##_conf *out)                                \
    {                                                                                      \
        enum { TRIES = 64 };                                                               \
        int err = -EAGAIN;                                                                 \
                                                                                           \
        for (int i = 0; i < TRIES && err == -EAGAIN; i++) {                                \
            err = vault_##name##_read(rec, out);                                           \
        }                                                                                  \
        return err;                                                                        \
    }

DEFINE_READ(peer)
DEFINE_READ(stream)
DEFINE_READ(sub)

static int do_peer(struct fake_book *b, uint32_t op, uint64_t h)
{
    uint32_t n = b->vault->n_peers;
    struct vault_peer_conf conf = {.handle = 0};
    int readable =
        handle_index(h) < n ? read_peer(&b->vault->peers[handle_index(h)], &conf) : -ENOENT;

    switch (op) {
    case ABI_OP_PEER_OPEN:
        return book_open(b, 0, b->peers, n, h, readable, conf.handle);
    case ABI_OP_PEER_UPDATE:
    case ABI_OP_PEER_MOVE:
    case ABI_OP_PEER_CAPTURE:
        return is_open(b->peers, n, h) && readable == 0 ? 0 : -ENOENT;
    default:
        return book_close(b, 0, b->peers, n, h,
                          owns(b->streams, b->stream_peer, b->vault->n_streams, h) ||
                              owns(b->subs, b->sub_peer, b->vault->n_subs, h));
    }
}

static int do_stream(struct fake_book *b, uint32_t op, uint64_t h)
{
    uint32_t n = b->vault->n_streams;
    struct vault_stream_conf conf = {.handle = 0};
    int readable = handle_index(h) < n
                       ? read_stream(&b->vault->streams[handle_index(h)], &conf)
                       : -ENOENT;

    switch (op) {
    case ABI_OP_STREAM_OPEN:
        if (!is_open(b->peers, b->vault->n_peers, conf.peer)) {
            return -ENOENT;
        }
        b->stream_peer[handle_index(h)] = conf.peer;
        return book_open(b, 1, b->streams, n, h, readable, conf.handle);
    case ABI_OP_STREAM_CLOSE:
        return book_close(b, 1, b->streams, n, h,
                          owns(b->subs, b->sub_stream, b->vault->n_subs, h));
    default:
        return is_open(b->streams, n, h) ? 0 : -ENOENT;
    }
}

static int do_sub(struct fake_book *b, uint32_t op, uint64_t h)
{
    uint32_t n = b->vault->n_subs;
    struct vault_sub_conf conf = {.handle = 0};
    int readable =
        handle_index(h) < n ? read_sub(&b->vault->subs[handle_index(h)], &conf) : -ENOENT;

    switch (op) {
    case ABI_OP_SUB_OPEN:
        if (!is_open(b->peers, b->vault->n_peers, conf.peer) ||
            !is_open(b->streams, b->vault->n_streams, conf.stream)) {
            return -ENOENT;
        }
        b->sub_peer[handle_index(h)] = conf.peer;
        b->sub_stream[handle_index(h)] = conf.stream;
        return book_open(b, 2, b->subs, n, h, readable, conf.handle);
    case ABI_OP_SUB_CLOSE:
        return book_close(b, 2, b->subs, n, h, false);
    default:
        if (!is_open(b->subs, n, h) || readable != 0 ||
            !is_open(b->streams, b->vault->n_streams, conf.stream)) {
            return -ENOENT;
        }
        b->sub_stream[handle_index(h)] = conf.stream; /* it may have been moved */
        return 0;
    }
}

int fake_book_do(struct fake_book *b, const struct abi_cmd *cmd)
{
    if (cmd->op >= N_ABI_OPS) {
        return -EINVAL;
    }
    switch (cmd->op) {
    case ABI_OP_PING:
        return 0;
    case ABI_OP_PEER_OPEN:
    case ABI_OP_PEER_UPDATE:
    case ABI_OP_PEER_MOVE:
    case ABI_OP_PEER_CAPTURE:
    case ABI_OP_PEER_CLOSE:
        return do_peer(b, cmd->op, cmd->handle);
    case ABI_OP_STREAM_OPEN:
    case ABI_OP_STREAM_UPDATE:
    case ABI_OP_STREAM_CLOSE:
    case ABI_OP_STREAM_KEYFRAME:
        return do_stream(b, cmd->op, cmd->handle);
    case ABI_OP_SUB_OPEN:
    case ABI_OP_SUB_UPDATE:
    case ABI_OP_SUB_CLOSE:
    case ABI_OP_SUB_KEYFRAME:
        return do_sub(b, cmd->op, cmd->handle);
    default:
        return -EINVAL;
    }
}
