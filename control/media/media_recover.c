/* What of an attachment outlives its ends: objects of an earlier control are adopted from
 * the vault; ours are kept while the dataplane is away and go on with its successor. */
#include <errno.h>
#include <string.h>

#include "media/media_priv.h"
#include "sys/log.h"

static const enum abi_op closing_op[N_MEDIA_KINDS] = {[MEDIA_PEER] = ABI_OP_PEER_CLOSE,
                                                      [MEDIA_STREAM] = ABI_OP_STREAM_CLOSE,
                                                      [MEDIA_SUB] = ABI_OP_SUB_CLOSE};

/* What a record says: its handle (HANDLE_NONE if it is free), whether it is somebody's, and
 * whether it was ever written. */
struct found {
    uint64_t handle;
    bool owned, written;
};

#define FOUND(rec)                                                                         \
    do {                                                                                   \
        uint64_t commit_ = atomic_load_explicit(&(rec)->commit, memory_order_acquire);     \
                                                                                           \
        if (commit_ != 0) {                                                                \
            f = (struct found){.handle = (rec)->conf[commit_ & 1].handle,                  \
                               .owned = (rec)->conf[commit_ & 1].blob.len > 0,             \
                               .written = true};                                           \
        }                                                                                  \
    } while (0)

static struct found look(const struct vault *vault, enum media_kind kind, size_t i)
{
    struct found f = {.handle = HANDLE_NONE};

    switch (kind) {
    case MEDIA_PEER:
        FOUND(&vault->peers[i]);
        break;
    case MEDIA_STREAM:
        FOUND(&vault->streams[i]);
        break;
    case MEDIA_SUB:
        FOUND(&vault->subs[i]);
        break;
    case N_MEDIA_KINDS:
        break;
    }
    return f;
}

/* Wipes a record whose last owner may have died while wiping it. */
static void wipe(struct vault *vault, enum media_kind kind, size_t i)
{
    switch (kind) {
    case MEDIA_PEER:
        vault_peer_wipe(&vault->peers[i], &vault->peers[i].live);
        break;
    case MEDIA_STREAM:
        vault_stream_wipe(&vault->streams[i], &vault->streams[i].live);
        break;
    case MEDIA_SUB:
        vault_sub_wipe(&vault->subs[i], &vault->sub_lives[i]);
        break;
    case N_MEDIA_KINDS:
        break;
    }
}

/* Adopts what an earlier control has left in a record; what it was closing, or nobody
 * knows, is about to be closed. */
static void adopt(struct media *media, enum media_kind kind, size_t i)
{
    struct found f = look(&media->map.vault, kind, i);

    if (f.handle == HANDLE_NONE || handle_index(f.handle) != i ||
        !media_slots_adopt(&media->slots[kind], f.handle, f.owned)) {
        if (f.written) {
            wipe(&media->map.vault, kind, i);
        }
        return;
    }
    media_lanes_adopted(media, kind, f.handle);
    media->counts.adopted += f.owned;
}

/* Closes what nobody knows, when it is known which lane has what. */
static void close_leftovers(struct media *media, enum media_kind kind)
{
    const struct media_slots *slots = &media->slots[kind];

    for (uint32_t i = 0; i < slots->n; i++) {
        if (slots->slot[i].state == SLOT_CLOSING) {
            media_push(media, closing_op[kind], handle_make(i, slots->slot[i].gen), NULL,
                       NULL);
        }
    }
}

/* Looks at all records of a kind. 'base' and 'size' say where they lie. */
static void adopt_all(struct media *media, enum media_kind kind, size_t base, size_t size)
{
    struct media_slots *slots = &media->slots[kind];
    size_t from = 0, to = 0;

    for (size_t i = 0; i < slots->n; i++) {
        size_t at = base + i * size;

        if (at + size > to && !media_map_written(&media->map, at, &from, &to)) {
            break;
        }
        if (at + size > from) {
            adopt(media, kind, i);
        } else {
            i += (from - at) / size - 1; /* the next that reaches into it */
        }
    }
    media_slots_ready(slots);
}

int media_recover_init(struct media *media)
{
    const struct abi_shm *info = &media->map.info;
    const struct vault_layout at =
        vault_layout(info->n_peers, info->n_streams, info->n_subs);
    int err =
        media_cmds_init(&media->cmds, info->n_peers + info->n_streams + info->n_subs + 1);

    if (err == 0) {
        err = media_slots_reset(&media->slots[MEDIA_PEER], info->n_peers);
    }
    if (err == 0) {
        err = media_slots_reset(&media->slots[MEDIA_STREAM], info->n_streams);
    }
    if (err == 0) {
        err = media_slots_reset(&media->slots[MEDIA_SUB], info->n_subs);
    }
    if (err != 0) {
        media_cmds_fini(&media->cmds);
        return err;
    }
    media_lanes_init(media);
    adopt_all(media, MEDIA_SUB, at.subs, sizeof(struct vault_sub));
    adopt_all(media, MEDIA_STREAM, at.streams, sizeof(struct vault_stream));
    adopt_all(media, MEDIA_PEER, at.peers, sizeof(struct vault_peer));
    media_lanes_count(media);
    media->alive = true;
    return 0;
}

void media_recover_close_leftovers(struct media *media)
{
    close_leftovers(media, MEDIA_SUB);
    close_leftovers(media, MEDIA_STREAM);
    close_leftovers(media, MEDIA_PEER);
}

void media_recover_suspend(struct media *media)
{
    media_map_close_rings(&media->map);
}

/* Every record is open again, or cannot be: each object is asked for, behind what was
 * commanded before. */
void media_recover_resume(struct media *media)
{
    for (uint32_t i = 0; i < media->map.info.n_lanes; i++) {
        media_cmds_flush(&media->cmds, &media->map.rings[i], i);
    }
}

void media_recover_abandon(struct media *media)
{
    for (int kind = 0; kind < N_MEDIA_KINDS; kind++) {
        for (uint32_t i = 0; i < media->slots[kind].n; i++) {
            uint64_t handle = media_handle_at(media, (enum media_kind)kind, i);

            if (handle != HANDLE_NONE) {
                media_recover_disown(media, (enum media_kind)kind, handle);
            }
        }
    }
}

void media_recover_fini(struct media *media)
{
    struct media_cmd cmd;
    uint32_t cursor = 0;

    media->alive = false;
    if (media->alone) {
        media_map_wipe(&media->map);
    }
    media_map_close(&media->map);
    while (media_cmds_take_next(&media->cmds, &cursor, &cmd)) {
        if (cmd.done != NULL) {
            cmd.done(cmd.arg, -ECONNRESET);
        }
    }
    media_cmds_fini(&media->cmds);
}
