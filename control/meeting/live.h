/* The live stream of a meeting: one picture and one sound of all, for anybody who has its
 * address (recording/recorder.h). A room has one at a time. It ends when a host says so,
 * with the room, when it cannot be written, and with this process. */
#ifndef MEETING_LIVE_H
#define MEETING_LIVE_H

#include "meeting/meeting.h"
#include "recording/recorder.h"

/* What its address is of: of HLS and DASH the segments are the same; what is sent to a
 * server by RTMP has its viewers there. */
enum live_kind { LIVE_HLS, LIVE_DASH, LIVE_RTMP, N_LIVE_KINDS };

extern const char *const live_kind_names[N_LIVE_KINDS + 1]; /* NULL ends it */

enum live_state { LIVE_STARTING, LIVE_RUNNING, LIVE_STOPPED, LIVE_FAILED, N_LIVE_STATES };

extern const char *const live_state_names[N_LIVE_STATES];

struct live {
    char id[MEETING_OBJECT_ID + 1]; /* told to nobody but who may watch: it is the key */
    char tenant[AUTH_ID_MAX + 1];
    char meeting_id[MEETING_ID_MAX + 1];
    enum live_kind kind;
    int layout;          /* enum meeting_layout; -1: the room's */
    uint64_t started_us; /* wall clock */
    enum live_state state;
    char reason[128];    /* why it failed */
    uint64_t over_at_us; /* monotonic: what there is of it is taken away then */
    struct meeting *meeting;
    struct room *room;        /* NULL: it runs no more */
    struct recorder_job *job; /* NULL: its process has ended */
    struct live *next;
};

struct live_wish {
    enum live_kind kind;
    int layout;
    const char *url; /* of LIVE_RTMP: where to, sfu/base/rtmp_url.h; it is not kept here */
};

/* NULL with 'err': invalid (the URL), forbidden (so may be the address), not_available (this
 * node has no live streams), already_exists (there is one), too_many, media_unavailable,
 * store_full. */
const struct live *meeting_live_start(struct meeting *meeting, struct participant *p,
                                      const struct live_wish *wish,
                                      struct meeting_error *err);

/* id  which; empty: the one that runs. 0, or -1 with 'err': forbidden, not_found. */
int meeting_live_stop(struct meeting *meeting, struct participant *p, const char *id,
                      struct meeting_error *err);

/* Of those that run, or may still be watched. 'fn' must not change anything. */
void meeting_each_live(const struct meeting *meeting,
                       void (*fn)(void *arg, const struct live *live), void *arg);

#endif
