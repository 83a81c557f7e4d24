/* Lanes as control sees them. A peer belongs to one, and what it publishes and receives
 * goes with it; so all commands of one client are in one ring, in order. What two lanes
 * have to do one after the other waits here for the first one's answer. It cannot wait for
 * ever: a command waits only for such as were sent before it. */
#include "media/media_priv.h"

#include <errno.h>
#include <string.h>

static enum media_kind kind_of(uint32_t op)
{
    switch (op) {
    case ABI_OP_STREAM_OPEN:
    case ABI_OP_STREAM_UPDATE:
    case ABI_OP_STREAM_CLOSE:
    case ABI_OP_STREAM_KEYFRAME:
        return MEDIA_STREAM;
    case ABI_OP_SUB_OPEN:
    case ABI_OP_SUB_UPDATE:
    case ABI_OP_SUB_CLOSE:
    case ABI_OP_SUB_KEYFRAME:
        return MEDIA_SUB;
    default:
        return MEDIA_PEER;
    }
}

/* The slot of 'handle', whatever its state; NULL if the handle is of another life. */
static struct media_slot *slot_of(const struct media *media, enum media_kind kind,
                                  uint64_t handle)
{
    const struct media_slots *slots = &media->slots[kind];
    uint32_t i = handle_index(handle);

    return i < slots->n && slots->slot[i].gen == handle_gen(handle) ? &slots->slot[i]
                                                                    : NULL;
}

static struct media_slot *peer_of(const struct media *media, enum media_kind kind,
                                  uint64_t handle)
{
    struct media_slot *slot = slot_of(media, kind, handle);

    if (slot == NULL || kind == MEDIA_PEER) {
        return slot;
    }
    return slot->peer < media->slots[MEDIA_PEER].n
               ? &media->slots[MEDIA_PEER].slot[slot->peer]
               : NULL;
}

static struct media_slot *stream_at(const struct media *media, uint32_t index)
{
    const struct media_slots *streams = &media->slots[MEDIA_STREAM];

    return index < streams->n ? &streams->slot[index] : NULL;
}

static void no_streams(uint32_t slots[MEDIA_SUB_STREAMS])
{
    for (int i = 0; i < MEDIA_SUB_STREAMS; i++) {
        slots[i] = UINT32_MAX;
    }
}

/* The slots of a record's streams; UINT32_MAX none. */
static void streams_of(const struct vault_sub_conf *conf, uint32_t slots[MEDIA_SUB_STREAMS])
{
    no_streams(slots);
    slots[0] = handle_index(conf->stream);
    for (int i = 0; i < VAULT_SUB_HIGHER; i++) {
        if (conf->higher[i] != HANDLE_NONE) {
            slots[1 + i] = handle_index(conf->higher[i]);
        }
    }
}

static uint32_t stream_lane(const struct media *media, const struct media_slot *stream)
{
    const struct media_slots *peers = &media->slots[MEDIA_PEER];

    return peers->slot != NULL && stream->peer < peers->n ? peers->slot[stream->peer].lane
                                                          : 0;
}

/* Whether a stream of a subscription is being opened by another lane. */
static bool streams_wait(const struct media *media, const struct media_cmd *cmd)
{
    const struct media_slot *sub = slot_of(media, MEDIA_SUB, cmd->handle);

    for (int i = 0; sub != NULL && i < MEDIA_SUB_STREAMS; i++) {
        const struct media_slot *stream = stream_at(media, sub->stream[i]);

        if (stream != NULL && stream->waiting && stream_lane(media, stream) != cmd->lane) {
            return true;
        }
    }
    return false;
}

/* What must not reach its lane before another lane has answered. */
static bool held(void *arg, const struct media_cmd *cmd)
{
    const struct media *media = arg;
    const struct media_slot *peer = peer_of(media, kind_of(cmd->op), cmd->handle);
    const struct media_slot *stream;

    /* the peer is not there yet; what went to its old lane before goes on */
    if (peer != NULL && peer->waiting && peer->lane == cmd->lane) {
        return true;
    }
    switch (cmd->op) {
    case ABI_OP_SUB_OPEN:
    case ABI_OP_SUB_UPDATE:
        return streams_wait(media, cmd);
    case ABI_OP_STREAM_CLOSE:
        stream = slot_of(media, MEDIA_STREAM, cmd->handle);
        return stream != NULL && stream->n_due > 0;
    default:
        return false;
    }
}

void media_lanes_init(struct media *media)
{
    memset(media->load, 0, sizeof(media->load));
    media->arrival = media->answer = MEDIA_NO_LANE;
    media->cmds.held = held;
    media->cmds.held_arg = media;
}

uint32_t media_lanes_place(const struct media *media)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < media->map.info.n_lanes; i++) {
        const struct media_load *a = &media->load[i];
        const struct media_load *b = &media->load[best];

        if (a->n_subs < b->n_subs || (a->n_subs == b->n_subs && a->n_peers < b->n_peers)) {
            best = i;
        }
    }
    return best;
}

uint32_t media_lanes_of(const struct media *media, enum media_kind kind, uint64_t handle)
{
    const struct media_slot *peer = peer_of(media, kind, handle);

    return peer != NULL && peer->lane < media->map.info.n_lanes ? peer->lane : 0;
}

void media_lanes_opened(struct media *media, enum media_kind kind, uint64_t handle)
{
    const struct vault *vault = &media->map.vault;
    uint32_t i = handle_index(handle);
    struct media_slot *slot = &media->slots[kind].slot[i];
    struct vault_stream_conf stream;
    struct vault_sub_conf sub;

    slot->n_due = 0;
    slot->waiting = false;
    slot->switching = 0;
    slot->closing = slot->left_count = 0;
    slot->peer = UINT32_MAX;
    no_streams(slot->stream);
    if (kind == MEDIA_PEER) {
        slot->lane = media_lanes_place(media);
        slot->arrival = MEDIA_NO_LANE;
        slot->publishes = slot->stays = false;
        media->load[slot->lane].n_peers++;
    } else if (kind == MEDIA_STREAM &&
               vault_stream_read(&vault->streams[i], &stream) == 0) {
        slot->peer = handle_index(stream.peer);
    } else if (kind == MEDIA_SUB && vault_sub_read(&vault->subs[i], &sub) == 0) {
        slot->peer = handle_index(sub.peer);
        streams_of(&sub, slot->stream);
    }
}

/* Notes where the dataplane has put a peer. It is where no packet has come from yet. */
static void find_peer(struct media *media, uint32_t i)
{
    struct media_slot *slot = &media->slots[MEDIA_PEER].slot[i];

    slot->lane = (uint32_t)(media->map.vault.peers[i].live.lane % media->map.info.n_lanes);
    slot->arrival = MEDIA_NO_LANE;
    slot->stays = false;
}

void media_lanes_adopted(struct media *media, enum media_kind kind, uint64_t handle)
{
    const struct vault *vault = &media->map.vault;
    struct media_slots *peers = &media->slots[MEDIA_PEER];
    uint32_t i = handle_index(handle);
    struct media_slot *slot = &media->slots[kind].slot[i];
    struct vault_stream_conf stream;
    struct vault_sub_conf sub;
    uint32_t peer = UINT32_MAX;

    if (kind == MEDIA_PEER) {
        peer = i;
    } else if (kind == MEDIA_STREAM &&
               vault_stream_read(&vault->streams[i], &stream) == 0) {
        peer = handle_index(stream.peer);
    } else if (kind == MEDIA_SUB && vault_sub_read(&vault->subs[i], &sub) == 0) {
        peer = handle_index(sub.peer);
        streams_of(&sub, slot->stream);
    }
    slot->peer = peer;
    if (peer < peers->n) {
        find_peer(media, peer);
        peers->slot[peer].publishes |= kind == MEDIA_STREAM;
    }
}

void media_lanes_count(struct media *media)
{
    const struct media_slots *peers = &media->slots[MEDIA_PEER];
    const struct media_slots *subs = &media->slots[MEDIA_SUB];

    memset(media->load, 0, sizeof(media->load));
    for (uint32_t i = 0; i < peers->n; i++) {
        if (peers->slot[i].state != SLOT_FREE) {
            media->load[peers->slot[i].lane].n_peers++;
        }
    }
    for (uint32_t i = 0; i < subs->n; i++) {
        if (subs->slot[i].state != SLOT_FREE && subs->slot[i].peer < peers->n) {
            media->load[peers->slot[subs->slot[i].peer].lane].n_subs++;
        }
    }
}

/* Streams of other lanes that a subscription lets go by a command are not closed before its
 * answer. Returns which of 'slots' count it as due. */
static uint8_t note_leaving(struct media *media, const uint32_t slots[MEDIA_SUB_STREAMS],
                            uint32_t lane)
{
    uint8_t counted = 0;

    for (int i = 0; i < MEDIA_SUB_STREAMS; i++) {
        struct media_slot *stream = stream_at(media, slots[i]);

        if (stream != NULL && stream_lane(media, stream) != lane) {
            stream->n_due++;
            counted |= (uint8_t)(1u << i);
        }
    }
    return counted;
}

static void note_left(struct media *media, const uint32_t slots[MEDIA_SUB_STREAMS],
                      uint8_t *counted)
{
    for (int i = 0; i < MEDIA_SUB_STREAMS; i++) {
        struct media_slot *stream = stream_at(media, slots[i]);

        if ((*counted >> i & 1) != 0 && stream != NULL && stream->n_due > 0) {
            stream->n_due--;
        }
    }
    *counted = 0;
}

/* The first change of a subscription's streams was answered. */
static void note_switched(struct media *media, struct media_slot *slot)
{
    uint8_t first = slot->left_count & ((1u << MEDIA_SUB_STREAMS) - 1);

    note_left(media, slot->left, &first);
    memmove(slot->left, slot->left + MEDIA_SUB_STREAMS,
            sizeof(slot->left) - MEDIA_SUB_STREAMS * sizeof(slot->left[0]));
    slot->left_count = (uint8_t)(slot->left_count >> MEDIA_SUB_STREAMS);
    slot->switching--;
}

/* Notes what has to wait for this command's answer. */
static void note_due(struct media *media, uint32_t op, uint64_t handle)
{
    struct media_slot *slot = slot_of(media, kind_of(op), handle);
    uint32_t lane = media_lanes_of(media, kind_of(op), handle);

    if (slot == NULL) {
        return;
    }
    switch (op) {
    case ABI_OP_STREAM_OPEN:
        slot->waiting = true;
        break;
    case ABI_OP_SUB_CLOSE:
        slot->closing = note_leaving(media, slot->stream, lane);
        break;
    default:
        break;
    }
}

void media_lanes_sent(struct media *media, enum abi_op op, uint64_t handle)
{
    note_due(media, op, handle);
    if (op == ABI_OP_SUB_OPEN) {
        media->load[media_lanes_of(media, MEDIA_SUB, handle)].n_subs++;
    }
}

/* The lane that a command goes to again. Asked in the order in which they were commanded,
 * so that what stands behind a move goes where it leads. */
static uint32_t lane_again(void *arg, const struct media_cmd *cmd)
{
    struct media *media = arg;
    struct media_slot *peer = peer_of(media, kind_of(cmd->op), cmd->handle);
    uint32_t lane = peer != NULL ? peer->lane : cmd->lane % media->map.info.n_lanes;

    if (cmd->op != ABI_OP_PEER_MOVE) {
        note_due(media, cmd->op, cmd->handle);
    } else if (peer != NULL && cmd->op_arg < media->map.info.n_lanes) {
        peer->lane = cmd->op_arg;
        peer->waiting = peer->lane != lane;
    }
    return lane;
}

int media_lanes_resume(struct media *media)
{
    int err;

    for (int kind = 0; kind < N_MEDIA_KINDS; kind++) {
        for (uint32_t i = 0; i < media->slots[kind].n; i++) {
            struct media_slot *slot = &media->slots[kind].slot[i];

            slot->waiting = false;
            slot->switching = 0;
            slot->closing = slot->left_count = 0;
            slot->n_due = 0;
            if (kind == MEDIA_PEER && slot->state != SLOT_FREE) {
                find_peer(media, i);
            }
        }
    }
    err = media_cmds_rewind(&media->cmds, lane_again, media);
    if (err == 0) {
        media_lanes_count(media);
    }
    return err;
}

static void sub_n(uint32_t *n)
{
    if (*n > 0) {
        (*n)--;
    }
}

void media_lanes_answered(struct media *media, const struct media_cmd *cmd, int status)
{
    struct media_slot *slot = slot_of(media, kind_of(cmd->op), cmd->handle);
    bool ended = false;

    if (slot == NULL) {
        return;
    }
    switch (slot->state) {
    case SLOT_OPEN: /* refused */
        ended = status != 0;
        break;
    case SLOT_CLOSING:
        ended = (cmd->op == ABI_OP_PEER_CLOSE || cmd->op == ABI_OP_SUB_CLOSE) &&
                (status == 0 || status == -ENOENT || status == -ESTALE);
        break;
    default:
        break;
    }
    switch (cmd->op) {
    case ABI_OP_PEER_MOVE:
        slot->waiting = false;
        if (status != 0) {
            slot->lane = cmd->lane;
        }
        break;
    case ABI_OP_PEER_OPEN:
    case ABI_OP_PEER_CLOSE:
        if (ended) {
            sub_n(&media->load[slot->lane].n_peers);
        }
        break;
    case ABI_OP_STREAM_OPEN:
        slot->waiting = false;
        break;
    case ABI_OP_SUB_UPDATE:
        if (slot->switching > 0 && cmd->op_arg != 0) {
            note_switched(media, slot);
        }
        break;
    case ABI_OP_SUB_OPEN:
    case ABI_OP_SUB_CLOSE:
        if (cmd->op == ABI_OP_SUB_CLOSE) {
            note_left(media, slot->stream, &slot->closing);
        }
        if (ended) {
            sub_n(&media->load[media_lanes_of(media, MEDIA_SUB, cmd->handle)].n_subs);
        }
        break;
    default:
        break;
    }
}

bool media_lanes_switch(struct media *media, uint64_t sub, const struct vault_sub_conf *to,
                        bool urgent)
{
    struct media_slot *slot = slot_of(media, MEDIA_SUB, sub);
    uint32_t *left;
    uint8_t counted;

    if (slot == NULL || slot->switching >= (urgent ? MEDIA_SUB_MOVES : 1)) {
        return false;
    }
    left = slot->left + slot->switching * (size_t)MEDIA_SUB_STREAMS;
    memcpy(left, slot->stream, sizeof(slot->stream));
    counted = note_leaving(media, left, media_lanes_of(media, MEDIA_SUB, sub));
    slot->left_count =
        (uint8_t)(slot->left_count | counted << slot->switching * MEDIA_SUB_STREAMS);
    slot->switching++;
    streams_of(to, slot->stream);
    return true;
}

void media_push(struct media *media, enum abi_op op, uint64_t handle, media_done *done,
                void *arg)
{
    uint32_t lane = media_lanes_of(media, kind_of(op), handle);

    media->counts.commands++;
    media_lanes_sent(media, op, handle);
    media_cmds_push(&media->cmds, media_rings_of(media, lane), lane, op, handle, 0, done,
                    arg);
}

int media_peer_lane(const struct media *media, uint64_t peer, uint32_t *lane)
{
    const struct media_slot *slot =
        media->alive ? media_slots_find(&media->slots[MEDIA_PEER], peer, SLOT_OPEN) : NULL;

    if (slot == NULL) {
        return -ESTALE;
    }
    *lane = slot->lane;
    return 0;
}

/* Subscriptions that go along. */
static uint32_t subs_of(const struct media *media, uint32_t peer)
{
    const struct media_slots *subs = &media->slots[MEDIA_SUB];
    uint32_t n = 0;

    for (uint32_t i = 0; i < subs->n; i++) {
        n += subs->slot[i].state != SLOT_FREE && subs->slot[i].peer == peer;
    }
    return n;
}

int media_peer_move(struct media *media, uint64_t peer, uint32_t lane, media_done *done,
                    void *arg)
{
    struct media_slot *slot;
    uint32_t from, n_subs;

    if (!media->alive) {
        return -ENOTCONN;
    }
    slot = media_slots_find(&media->slots[MEDIA_PEER], peer, SLOT_OPEN);
    if (slot == NULL) {
        return -ESTALE;
    }
    if (lane >= media->map.info.n_lanes) {
        return -EINVAL;
    }
    if (slot->waiting) {
        return -EBUSY;
    }
    if (!media_cmds_room(&media->cmds, false)) {
        return -EAGAIN;
    }
    from = slot->lane;
    n_subs = subs_of(media, handle_index(peer));
    slot->lane = lane;
    slot->waiting = lane != from; /* on the same lane all stays in order */
    media->load[from].n_peers -= media->load[from].n_peers > 0;
    media->load[lane].n_peers++;
    media->load[from].n_subs -=
        n_subs < media->load[from].n_subs ? n_subs : media->load[from].n_subs;
    media->load[lane].n_subs += n_subs;
    media->counts.commands++;
    media_cmds_push(&media->cmds, media_rings_of(media, from), from, ABI_OP_PEER_MOVE, peer,
                    lane, done, arg);
    return 0;
}

void media_peer_stay(struct media *media, uint64_t peer)
{
    struct media_slot *slot = media_slots_find(&media->slots[MEDIA_PEER], peer, SLOT_OPEN);

    if (slot != NULL) {
        slot->stays = true;
    }
}
