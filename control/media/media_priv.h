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

/* What a lane has to do. */
struct media_load {
    uint32_t n_peers, n_subs;
};

/* Who watches a peer. */
struct media_capture {
    uint64_t peer;
    const struct media_capture_ops *ops; /* NULL: nobody does */
    void *user;
};

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
    bool alive; /* the next four are valid: attached, or waiting for a successor */
    bool alone;           /* of them, the vault: nobody else holds it */
    uint64_t patience_us; /* until when we wait for one */
    int pidfd;            /* of the dataplane that we are or were attached to; -1 unknown */
    struct media_map map; /* while waiting: the vault and 'info' alone */
    struct media_slots slots[N_MEDIA_KINDS];
    struct media_cmds cmds;
    struct media_load load[ABI_MAX_LANES];
    struct media_capture capture;
    uint32_t arrival; /* lane of the datagram that is being given out; MEDIA_NO_LANE none */
    uint32_t answer;  /* lane that a peer was updated on because of it; likewise */
};

/* media_lanes.c: which lane has what, and what has to wait for which answer. */

/* Prepares for a fresh attachment. */
void media_lanes_init(struct media *media);

/* The lane for a new peer: the one that sends least. */
uint32_t media_lanes_place(const struct media *media);

/* Notes a new object, whose record is written: its peer, its stream. */
void media_lanes_opened(struct media *media, enum media_kind kind, uint64_t handle);

/* The same for one that an earlier control has left: it is where the vault says. */
void media_lanes_adopted(struct media *media, enum media_kind kind, uint64_t handle);

/* Counts the load anew, when all are adopted. */
void media_lanes_count(struct media *media);

/* Goes on with another dataplane: it has put peers where the vault says. Commands go back
 * into the queues, now of those lanes. Returns 0 or -ENOMEM. */
int media_lanes_resume(struct media *media);

/* The lane that commands for an object go to. */
uint32_t media_lanes_of(const struct media *media, enum media_kind kind, uint64_t handle);

/* Notes that a command is on its way, and that it was answered. */
void media_lanes_sent(struct media *media, enum abi_op op, uint64_t handle);
void media_lanes_answered(struct media *media, const struct media_cmd *cmd, int status);

/* Sends a command to the lane of its object, or keeps it while there is none; there must be
 * room. */
/* A subscription goes on to the streams of 'to'; the SUB_UPDATE that is pushed next has the
 * arg 1. False while an earlier change is not answered; urgent: while two are not. */
bool media_lanes_switch(struct media *media, uint64_t sub, const struct vault_sub_conf *to,
                        bool urgent);
void media_push(struct media *media, enum abi_op op, uint64_t handle, media_done *done,
                void *arg);

/* media_pump.c: reads all rings. */
void media_pump(struct media *media);
void media_pump_events(struct media *media); /* answers and news alone */

/* media_capture.c: reads a lane's ring; notes what was sent; tells that 'peer' (HANDLE_NONE:
 * any) is not watched any more. */
void media_capture_pump(struct media *media, uint32_t lane);
void media_capture_sent(struct media *media, uint64_t peer, const struct path *path,
                        const void *data, size_t len);
void media_capture_lost(struct media *media, uint64_t peer, int err);

/* media_recover.c: what an attachment needs is made from the vault, is kept while the
 * dataplane is away, goes on with its successor, ends. */
int media_recover_init(struct media *media);
void media_recover_close_leftovers(struct media *media); /* with the rings, once */
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

/* Forgets the object: its record is wiped, its slot free. */
void media_release(struct media *media, enum media_kind kind, uint64_t handle);

#endif
