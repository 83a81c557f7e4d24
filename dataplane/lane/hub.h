/* What lanes say to each other. Two ways:
 *
 * - a ring for each pair of lanes and direction, of small messages in order: packets that
 *   belong to the other lane, packets for a device that the other lane serves, paths of
 *   peers, moves. Messages count on a place that packets may not take (HUB_RESERVED).
 * - for each lane a list of the rings of streams that have grown, which any lane pushes to.
 *   It needs no room: a ring is in it once, until its lane takes the whole list.
 *
 * Nobody waits. With one lane there is no hub.
 *
 * Neighbours: worker/across writes and reads the messages; stage/spread tells of growth. */
#ifndef KCS_LANE_HUB_H
#define KCS_LANE_HUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/ring.h"
#include "table/tables.h"

enum {
    HUB_MAX_LANES = 64,
    HUB_SLOTS = 1024,  /* of one direction between two lanes */
    HUB_RESERVED = 128 /* of them, that packets leave free */
};

enum hub_kind {
    HUB_PKT_IN,   /* pkt: of a peer that is yours */
    HUB_PKT_OUT,  /* pkt: a frame for a device that you serve */
    HUB_PATH_ADD, /* key: now a path of 'peer', which is lane 'lane's */
    HUB_PATH_DEL, /* key: no path of 'peer' any more */
    HUB_ROUTE,    /* packets of 'peer' go to lane 'lane' from now on */
    HUB_TAKE,     /* 'peer' is yours */
    HUB_KEYFRAME, /* handle: somebody needs a key frame of your stream */
    HUB_SYNC,     /* answer with HUB_ACK: what was sent before is done */
    HUB_ACK
};

struct hub_msg {
    uint8_t kind; /* enum hub_kind */
    uint8_t lane;
    uint16_t _pad;
    uint32_t peer; /* index */
    union {
        struct pkt *pkt; /* moved */
        uint64_t handle;
        struct path_key key;
        uint8_t _room[56];
    };
};

_Static_assert(sizeof(struct hub_msg) == 64, "one cache line a message");

struct hub_lane {
    _Alignas(64) _Atomic(struct stream_readers *) grown;
};

struct hub {
    uint32_t n_lanes;
    struct hub_lane *lanes;
    struct ring_view *rings; /* [from * n_lanes + to] */
};

/* Bytes of zeroed, 64-byte aligned memory that hub_init() needs. */
size_t hub_bytes(uint32_t n_lanes);

/* mem  borrowed for the hub's life */
void hub_init(struct hub *hub, uint32_t n_lanes, void *mem);

static inline const struct ring_view *hub_ring(const struct hub *hub, uint32_t from,
                                               uint32_t to)
{
    return &hub->rings[from * hub->n_lanes + to];
}

/* Sends a copy of 'msg' if more than 'spare' places are free. Returns false if not. Thread:
 * lane 'from'. */
bool hub_send(const struct hub *hub, uint32_t from, uint32_t to, const struct hub_msg *msg,
              uint32_t spare);

/* How many places are free at least. Thread: lane 'from'. */
uint32_t hub_room(const struct hub *hub, uint32_t from, uint32_t to);

/* Tells lane 'to' that a ring has grown. Returns true if it has to be woken for it. A full
 * fence must lie between the growth and this call. Any lane. */
bool hub_tell_grown(const struct hub *hub, uint32_t to, struct stream_readers *readers);

/* Takes all that was told to lane 'lane', a list by 'next'. Whoever reads the heads of the
 * rings after this sees what was told. Thread: lane 'lane'. */
struct stream_readers *hub_take_grown(const struct hub *hub, uint32_t lane);

/* True if nothing waits for the lane. Thread: the lane. */
bool hub_quiet(const struct hub *hub, uint32_t lane);

#endif
