/* What is recorded of a meeting: each stream that is sent, in a file of its own, or all of
 * them as one picture and one sound (recording/recorder.h). A room has one recording at a
 * time. It ends when a host says so, with the room, when it cannot be written, and with
 * this process. Live streams are its neighbours: live.h. */
#ifndef MEETING_RECORDING_H
#define MEETING_RECORDING_H

#include "meeting/meeting.h"
#include "recording/recorder.h"

enum recording_state {
    RECORDING_RUNNING,
    RECORDING_PAUSED,
    RECORDING_STOPPING,
    RECORDING_STOPPED,
    RECORDING_FAILED,
    N_RECORDING_STATES
};

extern const char *const recording_state_names[N_RECORDING_STATES];

/* Whose stream a track was; 'id' is its producer's, and what its files are named by. */
struct recording_track {
    char id[MEETING_OBJECT_ID + 1];
    char user_id[AUTH_ID_MAX + 1];
    char name[MEETING_NAME_MAX + 1];
    enum meeting_source source;
    struct recording_track *next;
};

enum { RECORDING_PAUSES = 64 }; /* of one */

struct recording {
    char id[MEETING_OBJECT_ID + 1];
    char tenant[AUTH_ID_MAX + 1];
    char meeting_id[MEETING_ID_MAX + 1];
    char by[AUTH_ID_MAX + 1]; /* who began it; empty: nobody, its meeting is recorded */
    bool audio, video, chat;
    enum recorder_mode mode;
    int layout;         /* of the picture: enum meeting_layout; -1: the room's */
    uint32_t keep_days; /* 0: as the node keeps them */
    enum recording_state state;
    char reason[128];    /* why it failed */
    uint64_t started_us; /* wall clock */
    uint64_t since_us;   /* monotonic */
    uint64_t stopped_us; /* wall clock; 0: it runs */
    struct recording_pause {
        uint64_t from_us, to_us; /* wall clock; 0: it is paused */
    } pauses[RECORDING_PAUSES];
    size_t n_pauses;
    uint64_t paused_since_us;       /* monotonic; while it is paused */
    uint64_t paused_us;             /* in all, but for that */
    uint64_t duration_us;           /* once it does not run */
    struct recording_track *tracks; /* the newest first */
    const struct recorder_file *files;
    size_t n_files;
    struct meeting *meeting;
    struct room *room; /* NULL: it runs no more */
    struct recorder_job *job;
    struct recording *next;
};

/* One that runs or whose files are being ended; NULL: there is none of this id here. */
const struct recording *meeting_find_recording(const struct meeting *meeting,
                                               const char *tenant, const char *id);

/* Of those that run or whose files are being ended. 'fn' must not change anything. */
void meeting_each_recording(const struct meeting *meeting,
                            void (*fn)(void *arg, const struct recording *recording),
                            void *arg);

struct recording_wish {
    bool audio, video;  /* one of them */
    bool chat;          /* and what is said to all in writing */
    bool mp4;           /* of each stream for itself: VP8 as H264 */
    bool composite;     /* one picture (if there is any) and one sound */
    int layout;         /* of the picture: enum meeting_layout; -1: the room's */
    uint32_t keep_days; /* it is kept; 0: as the node keeps them */
};

/* NULL with 'err': forbidden, not_available (this node does not record), already_exists (it
 * is recorded), too_many, media_unavailable, store_full, invalid. */
const struct recording *meeting_record_start(struct meeting *meeting, struct participant *p,
                                             const struct recording_wish *wish,
                                             struct meeting_error *err);

/* id  which; empty: the one that runs
 *
 * Returns it, or NULL with 'err': forbidden, not_found. Its files are ended soon. */
const struct recording *meeting_record_stop(struct meeting *meeting, struct participant *p,
                                            const char *id, struct meeting_error *err);

/* Nothing of what follows is recorded; and again. 'id' and what it returns as above, and
 * already_exists: it is so; too_many: pauses. */
const struct recording *meeting_record_pause(struct meeting *meeting, struct participant *p,
                                             const char *id, struct meeting_error *err);
const struct recording *meeting_record_resume(struct meeting *meeting,
                                              struct participant *p, const char *id,
                                              struct meeting_error *err);

/* The room is recorded by itself: it begins with the first who sends something, and after
 * one that failed or ended with the process before; no more once a host has ended one.
 * What keeps it from beginning hosts are told, each minute that it does. Call when settings
 * have changed. NULL: it is not, from the next on. */
void meeting_record_auto(struct room *room, const struct recording_wish *wish);

#endif
