/* See hub.h. */
#include "lane/hub.h"

static size_t views_bytes(uint32_t n_lanes)
{
    return ((size_t)n_lanes * n_lanes * sizeof(struct ring_view) + 63) & ~(size_t)63;
}

size_t hub_bytes(uint32_t n_lanes)
{
    return n_lanes * sizeof(struct hub_lane) + views_bytes(n_lanes) +
           (size_t)n_lanes * n_lanes * ring_bytes(HUB_SLOTS, sizeof(struct hub_msg));
}

void hub_init(struct hub *hub, uint32_t n_lanes, void *mem)
{
    uint8_t *at = mem;

    hub->n_lanes = n_lanes;
    hub->lanes = (struct hub_lane *)(void *)at;
    at += n_lanes * sizeof(struct hub_lane);
    hub->rings = (struct ring_view *)(void *)at;
    at += views_bytes(n_lanes);
    for (uint32_t i = 0; i < n_lanes * n_lanes; i++) {
        ring_init(at, HUB_SLOTS, sizeof(struct hub_msg));
        hub->rings[i] = ring_view_of(at, HUB_SLOTS, sizeof(struct hub_msg));
        at += ring_bytes(HUB_SLOTS, sizeof(struct hub_msg));
    }
}

uint32_t hub_room(const struct hub *hub, uint32_t from, uint32_t to)
{
    const struct ring *ring = hub_ring(hub, from, to)->ring;
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return HUB_SLOTS - (head - tail);
}

bool hub_send(const struct hub *hub, uint32_t from, uint32_t to, const struct hub_msg *msg,
              uint32_t spare)
{
    const struct ring_view *ring = hub_ring(hub, from, to);

    if (hub_room(hub, from, to) <= spare) {
        return false;
    }
    *(struct hub_msg *)ring_reserve(ring) = *msg;
    ring_commit(ring);
    return true;
}

bool hub_tell_grown(const struct hub *hub, uint32_t to, struct stream_readers *readers)
{
    _Atomic(struct stream_readers *) *list = &hub->lanes[to].grown;
    struct stream_readers *first;

    if (atomic_load_explicit(&readers->told, memory_order_relaxed) ||
        atomic_exchange(&readers->told, true)) {
        return false;
    }
    first = atomic_load_explicit(list, memory_order_relaxed);
    do {
        readers->next = first;
    } while (!atomic_compare_exchange_weak(list, &first, readers));
    return true;
}

struct stream_readers *hub_take_grown(const struct hub *hub, uint32_t lane)
{
    _Atomic(struct stream_readers *) *list = &hub->lanes[lane].grown;

    if (atomic_load_explicit(list, memory_order_relaxed) == NULL) {
        return NULL;
    }
    return atomic_exchange(list, NULL);
}

bool hub_quiet(const struct hub *hub, uint32_t lane)
{
    if (atomic_load_explicit(&hub->lanes[lane].grown, memory_order_relaxed) != NULL) {
        return false;
    }
    for (uint32_t from = 0; from < hub->n_lanes; from++) {
        if (!ring_empty(hub_ring(hub, from, lane))) {
            return false;
        }
    }
    return true;
}
