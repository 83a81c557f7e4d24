/* One peer's packets as they come from its lane, and what control itself sends to it. */
#include <errno.h>
#include <string.h>

#include "media/media_priv.h"
#include "sys/clock.h"

static void command(struct media *media, uint64_t peer, enum abi_capture how)
{
    uint32_t lane = media_lanes_of(media, MEDIA_PEER, peer);

    media->counts.commands++;
    media_cmds_push(&media->cmds, media_rings_of(media, lane), lane, ABI_OP_PEER_CAPTURE,
                    peer, how, NULL, NULL);
}

int media_capture(struct media *media, uint64_t peer, enum abi_capture how,
                  const struct media_capture_ops *ops, void *user)
{
    if (media->link != LINK_ATTACHED) {
        return -ENOTCONN;
    }
    if (media_slots_find(&media->slots[MEDIA_PEER], peer, SLOT_OPEN) == NULL) {
        return -ESTALE;
    }
    if (media->capture.ops != NULL) {
        return -EBUSY;
    }
    if (!media_cmds_room(&media->cmds, false)) {
        return -EAGAIN;
    }
    media->capture = (struct media_capture){.peer = peer, .ops = ops, .user = user};
    command(media, peer, how);
    return 0;
}

/* The command table keeps a place for this one (media_recover_init). */
void media_capture_stop(struct media *media)
{
    const struct media_capture was = media->capture;

    media->capture.ops = NULL;
    if (was.ops != NULL && media->alive &&
        media_slots_find(&media->slots[MEDIA_PEER], was.peer, SLOT_OPEN) != NULL) {
        command(media, was.peer, ABI_CAPTURE_OFF);
    }
}

void media_capture_lost(struct media *media, uint64_t peer, int err)
{
    const struct media_capture was = media->capture;

    if (was.ops == NULL || (peer != HANDLE_NONE && peer != was.peer)) {
        return;
    }
    media->capture.ops = NULL;
    was.ops->on_end(was.user, err);
}

static bool is_valid(const struct abi_captured *c)
{
    return c->len > 0 && c->len <= sizeof(c->data) && c->out <= 1 && c->plain <= 1 &&
           (c->path.family == 4 || c->path.family == 6);
}

void media_capture_pump(struct media *media, uint32_t lane)
{
    const struct ring_view *ring = &media->map.rings[lane].captured;

    for (uint32_t i = 0; i < ABI_CAPTURE_SLOTS; i++) {
        const void *slot = ring_peek(ring);
        struct abi_captured packet;

        if (slot == NULL) {
            return;
        }
        memcpy(&packet, slot, sizeof(packet));
        ring_release(ring);
        if (!is_valid(&packet)) {
            media->counts.bad++;
        } else if (media->capture.ops != NULL && packet.peer == media->capture.peer) {
            media->capture.ops->on_packet(media->capture.user, &packet);
        } /* else it was on its way when the capture ended */
    }
}

void media_capture_sent(struct media *media, uint64_t peer, const struct path *path,
                        const void *data, size_t len)
{
    struct abi_captured packet;

    if (media->capture.ops == NULL || peer != media->capture.peer ||
        len > sizeof(packet.data)) {
        return;
    }
    packet = (struct abi_captured){.time_us = clock_mono_us(),
                                   .peer = peer,
                                   .path = *path,
                                   .len = (uint16_t)len,
                                   .out = 1};
    memcpy(packet.data, data, len);
    media->capture.ops->on_packet(media->capture.user, &packet);
}
