/* What the files of this folder share. */
#ifndef KCS_MEDIA_MEDIA_PRIV_H
#define KCS_MEDIA_MEDIA_PRIV_H

#include <sys/un.h>

#include "media/media.h"
#include "media/media_cmds.h"
#include "media/media_map.h"
#include "media/media_slots.h"
#include "sys/loop.h"

enum media_link { LINK_AWAY, LINK_GREETING, LINK_ATTACHED };

struct media {
    struct loop *loop;
    struct sockaddr_un addr;
    const struct media_ops *ops; /* NULL until started */
    void *user;
    enum media_link link;
    int sock;
    struct loop_watch *sock_watch, *bell_watch;
    struct loop_timer *timer; /* of the next attempt, or of the greeting's end */
    uint64_t retry_ms;
    struct media_status status;
    struct media_counts counts;
    struct media_map map; /* valid when attached, as are the next two */
    struct media_slots slots[N_MEDIA_KINDS];
    struct media_cmds cmds;
};

/* media_pump.c: prepares and ends what an attachment needs; reads all rings. */
int media_pump_init(struct media *media);
void media_pump_fini(struct media *media);
void media_pump(struct media *media);

/* The lane that has 'handle'. */
static inline uint32_t media_lane_of(uint64_t handle)
{
    (void)handle; /* every object is lane 0's as long as one lane runs */
    return 0;
}

/* Forgets the object: its record is wiped, its slot free. */
void media_release(struct media *media, enum media_kind kind, uint64_t handle);

#endif
