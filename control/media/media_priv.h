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
    uint32_t patience_ms;
    struct media_status status;
    struct media_counts counts;
    bool alive; /* the next three are valid: attached, or waiting for a successor */
    uint64_t patience_us; /* until when we wait for one */
    int pidfd;            /* of the dataplane that we are or were attached to; -1 unknown */
    struct media_map map; /* while waiting: the vault and 'info' alone */
    struct media_slots slots[N_MEDIA_KINDS];
    struct media_cmds cmds;
};

/* media_pump.c: reads all rings. */
void media_pump(struct media *media);
void media_pump_events(struct media *media); /* answers and news alone */

/* media_recover.c: what an attachment needs is made from the vault, is kept while the
 * dataplane is away, goes on with its successor, ends. */
int media_recover_init(struct media *media);
void media_recover_suspend(struct media *media);
void media_recover_resume(struct media *media);
void media_recover_fini(struct media *media);

/* All is lost for our owner: should the vault still be found by somebody, it is nobody's.
 */
void media_recover_abandon(struct media *media);

/* Takes the blob out of an object's record: whoever finds it closes it. */
void media_recover_disown(struct media *media, enum media_kind kind, uint64_t handle);

/* The rings of a lane, NULL while there are none. */
static inline struct media_rings *media_rings_of(struct media *media, uint32_t lane)
{
    return media->link == LINK_ATTACHED ? &media->map.rings[lane] : NULL;
}

/* The lane that has 'handle'. */
static inline uint32_t media_lane_of(uint64_t handle)
{
    (void)handle; /* every object is lane 0's as long as one lane runs */
    return 0;
}

/* Forgets the object: its record is wiped, its slot free. */
void media_release(struct media *media, enum media_kind kind, uint64_t handle);

#endif
