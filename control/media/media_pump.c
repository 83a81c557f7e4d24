#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "media/media_priv.h"
#include "sys/log.h"

static bool op_is_close(uint32_t op, enum media_kind *kind)
{
    switch (op) {
    case ABI_OP_PEER_CLOSE:
        *kind = MEDIA_PEER;
        return true;
    case ABI_OP_STREAM_CLOSE:
        *kind = MEDIA_STREAM;
        return true;
    case ABI_OP_SUB_CLOSE:
        *kind = MEDIA_SUB;
        return true;
    default:
        return false;
    }
}

static bool op_is_open(uint32_t op, enum media_kind *kind)
{
    switch (op) {
    case ABI_OP_PEER_OPEN:
        *kind = MEDIA_PEER;
        return true;
    case ABI_OP_STREAM_OPEN:
        *kind = MEDIA_STREAM;
        return true;
    case ABI_OP_SUB_OPEN:
        *kind = MEDIA_SUB;
        return true;
    default:
        return false;
    }
}

void media_release(struct media *media, enum media_kind kind, uint64_t handle)
{
    uint32_t i = handle_index(handle);

    switch (kind) {
    case MEDIA_PEER:
        vault_peer_wipe(&media->map.vault.peers[i], &media->map.vault.peers[i].live);
        media_capture_lost(media, handle, -ESTALE);
        break;
    case MEDIA_STREAM:
        vault_stream_wipe(&media->map.vault.streams[i], &media->map.vault.streams[i].live);
        break;
    case MEDIA_SUB:
        vault_sub_wipe(&media->map.vault.subs[i], &media->map.vault.sub_lives[i]);
        break;
    case N_MEDIA_KINDS:
        return;
    }
    media_slots_release(&media->slots[kind], handle);
}

static void on_answer(struct media *media, uint32_t lane, const struct abi_evt *evt)
{
    struct media_slot *slot;
    struct media_cmd cmd;
    enum media_kind kind;

    if (!media_cmds_take(&media->cmds, lane, evt->cookie, &cmd)) {
        media->counts.bad++;
        return;
    }
    media_lanes_answered(media, &cmd, evt->status);
    if (op_is_open(cmd.op, &kind) && evt->status != 0) {
        /* unless it is closing: then the answer to that ends it */
        if (media_slots_find(&media->slots[kind], cmd.handle, SLOT_OPEN) != NULL) {
            media_release(media, kind, cmd.handle);
        }
    } else if (op_is_close(cmd.op, &kind)) {
        slot = media_slots_find(&media->slots[kind], cmd.handle, SLOT_CLOSING);
        if (slot == NULL) {
            media->counts.bad++;
        } else if (evt->status == 0 || evt->status == -ENOENT || evt->status == -ESTALE) {
            media_release(media, kind, cmd.handle);
        } else {
            slot->state = SLOT_OPEN; /* a lane still holds it */
            log_warn("media_close_refused", LOG_U64("op", cmd.op),
                     LOG_STR("error", strerror(-evt->status)));
        }
    }
    if (cmd.done != NULL) {
        cmd.done(cmd.arg, evt->status);
    }
}

static void on_event(struct media *media, uint32_t lane, const struct abi_evt *evt)
{
    const struct media_ops *ops = media->ops;

    switch (evt->kind) {
    case ABI_EVT_ANSWER:
        on_answer(media, lane, evt);
        return;
    case ABI_EVT_CONSENT_LOST:
        if (media_slots_find(&media->slots[MEDIA_PEER], evt->handle, SLOT_OPEN) != NULL &&
            ops->on_consent_lost != NULL) {
            ops->on_consent_lost(media->user, evt->handle);
        }
        return;
    case ABI_EVT_STREAM_BOUND:
        if (media_slots_find(&media->slots[MEDIA_STREAM], evt->handle, SLOT_OPEN) != NULL &&
            ops->on_stream_bound != NULL) {
            ops->on_stream_bound(media->user, evt->handle, evt->arg);
        }
        return;
    case ABI_EVT_BYE:
        if (media_slots_find(&media->slots[MEDIA_STREAM], evt->handle, SLOT_OPEN) != NULL &&
            ops->on_stream_bye != NULL) {
            ops->on_stream_bye(media->user, evt->handle);
        }
        return;
    case ABI_EVT_LAYERS:
        if (media_slots_find(&media->slots[MEDIA_SUB], evt->handle, SLOT_OPEN) != NULL &&
            ops->on_layers != NULL) {
            ops->on_layers(media->user, evt->handle, evt->arg);
        }
        return;
    case ABI_EVT_BANDWIDTH:
        if (media_slots_find(&media->slots[MEDIA_PEER], evt->handle, SLOT_OPEN) != NULL &&
            ops->on_bandwidth != NULL) {
            ops->on_bandwidth(media->user, evt->handle, evt->arg);
        }
        return;
    default:
        media->counts.bad++;
    }
}

static bool datagram_valid(const struct media *media, const struct abi_datagram *d)
{
    return d->len > 0 && d->len <= sizeof(d->data) &&
           (d->kind == ABI_DATAGRAM_STUN || d->kind == ABI_DATAGRAM_DTLS) &&
           (d->path.family == 4 || d->path.family == 6) &&
           d->path.device < media->map.info.n_devices &&
           d->rx_lane < media->map.info.n_lanes;
}

/* Reads at most a ring's worth of events of a lane. Slots are copied out before they are
 * looked at: the other side could still write to them. */
static void pump_events(struct media *media, uint32_t lane)
{
    for (uint32_t i = 0; i < ABI_EVT_SLOTS; i++) {
        const struct ring_view *ring = &media->map.rings[lane].evt;
        const void *slot = ring_peek(ring);
        struct abi_evt evt;

        if (slot == NULL) {
            break;
        }
        memcpy(&evt, slot, sizeof(evt));
        ring_release(ring);
        media->counts.events++;
        on_event(media, lane, &evt);
    }
}

static void pump_datagrams(struct media *media, uint32_t lane)
{
    for (uint32_t i = 0; i < ABI_PUNT_SLOTS; i++) {
        const struct ring_view *ring = &media->map.rings[lane].punt_in;
        const void *slot = ring_peek(ring);
        struct abi_datagram datagram;

        if (slot == NULL) {
            break;
        }
        memcpy(&datagram, slot, sizeof(datagram));
        ring_release(ring);
        media->counts.datagrams++;
        if (!datagram_valid(media, &datagram)) {
            media->counts.bad++;
        } else if (media->ops->on_datagram != NULL) {
            media->arrival = datagram.rx_lane;
            media->ops->on_datagram(media->user, &datagram);
            media->arrival = media->answer = MEDIA_NO_LANE;
        }
    }
}

static void set_sleeping(struct media *media, uint32_t sleeping)
{
    for (uint32_t i = 0; i < media->map.info.n_lanes; i++) {
        atomic_store_explicit(&media->map.rings[i].lane->ctl_sleeping, sleeping,
                              memory_order_relaxed);
    }
}

static bool rings_empty(const struct media *media)
{
    for (uint32_t i = 0; i < media->map.info.n_lanes; i++) {
        if (!ring_empty(&media->map.rings[i].evt) ||
            !ring_empty(&media->map.rings[i].punt_in) ||
            !ring_empty(&media->map.rings[i].captured)) {
            return false;
        }
    }
    return true;
}

void media_pump_events(struct media *media)
{
    for (uint32_t i = 0; i < media->map.info.n_lanes; i++) {
        pump_events(media, i);
    }
}

void media_pump(struct media *media)
{
    set_sleeping(media, 0);
    for (uint32_t i = 0; i < media->map.info.n_lanes; i++) {
        pump_events(media, i);
        pump_datagrams(media, i);
        media_capture_pump(media, i);
    }
    for (uint32_t i = 0; i < media->map.info.n_lanes; i++) {
        media_cmds_flush(&media->cmds, &media->map.rings[i], i);
    }
    set_sleeping(media, 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (!rings_empty(media)) {
        /* More has come: others of the loop first, then here again. */
        (void)eventfd_write(media->map.doorbell, 1);
    }
}
