/* See media_balance.h. */
#include "media/media_balance.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "media/media.h"
#include "sfu/base/handle.h"
#include "sys/log.h"
#include "sys/loop.h"

/* Packets of a peer when the lanes were first seen to differ; 'weight' is what came and
 * went since, of one that may move. */
struct seen {
    uint64_t handle;
    uint64_t tx, rx;
    uint64_t weight;
};

struct media_balance {
    struct media *media;
    struct loop_timer *timer;
    uint32_t from, to; /* the busiest lane and the least busy */
    uint32_t looks;    /* at these, running */
    uint32_t n;        /* of 'seen', by slot */
    struct seen *seen; /* NULL: the lanes do not differ */
};

static void forget(struct media_balance *b)
{
    free(b->seen);
    b->seen = NULL;
    b->n = b->looks = 0;
}

/* How busy a lane was in the last second, in permille. */
static bool busy_of(const struct media *media, uint32_t lane, uint32_t *busy)
{
    struct abi_lane_counts counts;

    if (media_lane_counts(media, lane, &counts) != 0 || counts.recent_cycles == 0 ||
        counts.recent_busy_cycles > counts.recent_cycles) {
        return false;
    }
    *busy = (uint32_t)abi_lane_busy(&counts);
    return true;
}

/* Whether the lanes differ, and which most. */
static bool differ(const struct media *media, uint32_t *from, uint32_t *to, uint32_t *most,
                   uint32_t *least)
{
    const struct abi_shm *info = media_info(media);

    *most = 0;
    *least = UINT32_MAX;
    for (uint32_t i = 0; info != NULL && i < info->n_lanes; i++) {
        uint32_t busy;

        if (!busy_of(media, i, &busy)) {
            return false;
        }
        if (busy > *most) {
            *most = busy;
            *from = i;
        }
        if (busy < *least) {
            *least = busy;
            *to = i;
        }
    }
    return *most >= BALANCE_BUSY && *most - *least >= BALANCE_GAP;
}

static bool is_of(const struct media *media, uint64_t peer, uint32_t lane)
{
    uint32_t at;

    return peer != HANDLE_NONE && media_peer_lane(media, peer, &at) == 0 && at == lane;
}

/* Notes what all peers of the busiest lane have been sent. */
static void see(struct media_balance *b)
{
    const uint32_t n = media_info(b->media)->n_peers;

    forget(b);
    b->seen = calloc(n, sizeof(*b->seen));
    b->n = b->seen != NULL ? n : 0;
    for (uint32_t i = 0; i < b->n; i++) {
        const uint64_t peer = media_handle_at(b->media, MEDIA_PEER, i);
        struct abi_peer_stats stats;

        if (is_of(b->media, peer, b->from) &&
            media_peer_stats(b->media, peer, &stats) == 0) {
            b->seen[i] = (struct seen){
                .handle = peer, .tx = stats.tx_packets, .rx = stats.rx_packets};
        }
    }
}

/* Weighs those that may move. Returns the packets of all that are on the lane still. */
static uint64_t weigh(struct media_balance *b)
{
    uint64_t all = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        struct seen *s = &b->seen[i];
        struct abi_peer_stats stats = {.handle = HANDLE_NONE};
        uint64_t tx, rx;

        if (!is_of(b->media, s->handle, b->from) ||
            media_peer_stats(b->media, s->handle, &stats) != 0 ||
            stats.tx_packets < s->tx || stats.rx_packets < s->rx) {
            continue;
        }
        tx = stats.tx_packets - s->tx;
        rx = stats.rx_packets - s->rx;
        all += tx + rx;
        s->weight = tx > rx ? tx + rx : 0; /* else it publishes */
    }
    return all;
}

/* The heaviest of no more than 'most'; NULL there is none. */
static struct seen *heaviest(struct media_balance *b, uint64_t most)
{
    struct seen *best = NULL;

    for (uint32_t i = 0; i < b->n; i++) {
        struct seen *s = &b->seen[i];

        if (s->weight > 0 && s->weight <= most &&
            (best == NULL || s->weight > best->weight)) {
            best = s;
        }
    }
    return best;
}

/* Moves what makes up to a half of the difference. */
static uint32_t relieve(struct media_balance *b, uint32_t most, uint32_t least)
{
    uint64_t budget = weigh(b) * (most - least) / (2 * (uint64_t)most);
    struct seen *s;
    uint32_t n = 0;

    while (n < BALANCE_MOVES && (s = heaviest(b, budget)) != NULL) {
        if (media_peer_move(b->media, s->handle, b->to, NULL, NULL) == 0) {
            budget -= s->weight;
            n++;
        }
        s->weight = 0;
    }
    if (n > 0) {
        log_info("lanes_balanced", LOG_U64("from", b->from), LOG_U64("to", b->to),
                 LOG_U64("peers", n), LOG_U64("busy_percent", most / 10),
                 LOG_U64("other_percent", least / 10));
    }
    return n;
}

uint32_t media_balance_look(struct media_balance *b)
{
    uint32_t from = 0, to = 0, most, least, n = 0;

    if (!differ(b->media, &from, &to, &most, &least)) {
        forget(b);
        return 0;
    }
    if (b->seen == NULL || from != b->from || to != b->to) {
        b->from = from;
        b->to = to;
        see(b);
    }
    if (++b->looks > BALANCE_LOOKS) {
        n = relieve(b, most, least);
        forget(b); /* what it came to shows afterwards */
    }
    return n;
}

static void on_time(void *arg)
{
    (void)media_balance_look(arg);
}

int media_balance_create(struct media_balance **out, struct loop *loop, struct media *media)
{
    struct media_balance *b = calloc(1, sizeof(*b));

    if (b == NULL) {
        return -ENOMEM;
    }
    b->media = media;
    if (loop_timer_create(loop, &b->timer, on_time, b) != 0) {
        free(b);
        return -ENOMEM;
    }
    loop_timer_start(b->timer, BALANCE_LOOK_MS, BALANCE_LOOK_MS);
    *out = b;
    return 0;
}

void media_balance_destroy(struct media_balance *b)
{
    if (b == NULL) {
        return;
    }
    loop_timer_destroy(b->timer);
    forget(b);
    free(b);
}
