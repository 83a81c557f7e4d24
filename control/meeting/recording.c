/* Recordings of rooms; see recording.h. */
#include "meeting/recording.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sys/clock.h"
#include "sys/log.h"

enum {
    RECORDINGS_MAX = 16,        /* at once, of a node: each is a process */
    AUTO_RETRY_US = 60000000,   /* after one that was refused, or has failed */
    AUTO_NO_MEDIA_US = 1000000, /* after one for which there was no dataplane */
};

const char *const recording_state_names[N_RECORDING_STATES] = {
    [RECORDING_RUNNING] = "running",   [RECORDING_PAUSED] = "paused",
    [RECORDING_STOPPING] = "stopping", [RECORDING_STOPPED] = "stopped",
    [RECORDING_FAILED] = "failed",
};

static void news(const struct recording *r)
{
    if (r->meeting->ops.recorded != NULL) {
        r->meeting->ops.recorded(r->meeting->user, r);
    }
}

/* Who is in its files, for those who read of them later. */
void meeting_recording_note(struct recording *r, const struct room_producer *rp)
{
    const struct participant *p = rp->transport->owner;
    struct recording_track *track = calloc(1, sizeof(*track));

    if (track == NULL) {
        return;
    }
    memcpy(track->id, rp->id, sizeof(track->id));
    memcpy(track->user_id, p->who.user_id, sizeof(track->user_id));
    memcpy(track->name, p->name, sizeof(track->name));
    track->source = rp->source;
    track->next = r->tracks;
    r->tracks = track;
}

static void dispose(struct recording *r)
{
    while (r->tracks != NULL) {
        struct recording_track *track = r->tracks;

        r->tracks = track->next;
        free(track);
    }
    free(r);
}

static void free_recording(struct recording *r)
{
    struct recording **at = &r->meeting->recordings;

    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    dispose(r);
}

static void end_pause(struct recording *r)
{
    if (r->state == RECORDING_PAUSED) {
        r->pauses[r->n_pauses - 1].to_us = clock_wall_us();
        r->paused_us += clock_mono_us() - r->paused_since_us;
        r->state = RECORDING_RUNNING;
    }
}

/* It runs no more: all are told. 'by' NULL: by nobody's wish. */
static void stop(struct recording *r, struct participant *by)
{
    struct room *room = r->room;

    room->recording = NULL;
    room->auto_record.declined |= by != NULL;
    room->auto_record.next_us = clock_mono_us() + AUTO_RETRY_US;
    meeting_taped_leave(r->meeting, room);
    r->room = NULL;
    end_pause(r);
    r->duration_us = clock_mono_us() - r->since_us - r->paused_us;
    r->stopped_us = clock_wall_us();
    r->state = r->state == RECORDING_FAILED ? RECORDING_FAILED : RECORDING_STOPPING;
    r->files = recorder_files(r->job, &r->n_files);
    recorder_stop(r->job);
    meeting_tell_fact(r->meeting, room, NULL,
                      (struct meeting_event){
                          .kind = MEETING_RECORDING_STOPPED, .recording = r, .by = by});
    news(r);
}

static void tell_hosts(const struct recording *r)
{
    const struct meeting_event event = {.kind = MEETING_RECORDING_STATUS,
                                        .recording = r,
                                        .audience = {.reach = FACT_HOSTS}};

    r->meeting->ops.to_room(r->meeting->user, r->room, NULL, &event);
}

static void on_failed(void *user, const char *reason)
{
    struct recording *r = user;

    if (r->room == NULL) {
        return;
    }
    end_pause(r);
    r->state = RECORDING_FAILED;
    (void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
    tell_hosts(r);
    stop(r, NULL);
}

/* It goes on: that a part is missing is all that is to be told. */
static void on_died(void *user, const char *reason)
{
    struct recording *r = user;

    if (r->room != NULL) {
        (void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
        tell_hosts(r);
        r->reason[0] = '\0';
    }
}

static void on_ended(void *user, const struct recorder_file *files, size_t n)
{
    struct recording *r = user;

    r->files = files;
    r->n_files = n;
    r->job = NULL;
    r->state = r->state == RECORDING_FAILED ? RECORDING_FAILED : RECORDING_STOPPED;
    news(r);
    free_recording(r);
}

static const struct recorder_ops OPS = {
    .died = on_died, .failed = on_failed, .ended = on_ended};

static int may_begin(const struct meeting *meeting, const struct room *room,
                     const struct recording_wish *wish, struct meeting_error *err)
{
    unsigned n = 0;

    if (!meeting_has(room, MEETING_BIT(RECORDING))) {
        return meeting_fail(err, "forbidden", "this meeting has that switched off");
    }
    if (meeting->conf.recorder == NULL || !recorder_has_files(meeting->conf.recorder)) {
        return meeting_fail(err, "not_available", "this node does not record");
    }
    if (!wish->audio && !wish->video) {
        return meeting_fail(err, "invalid", "/options: neither sound nor pictures");
    }
    if (room->recording != NULL) {
        return meeting_fail(err, "already_exists", "the meeting is being recorded");
    }
    for (const struct recording *r = meeting->recordings; r != NULL; r = r->next) {
        n++;
    }
    return n < RECORDINGS_MAX
               ? 0
               : meeting_fail(err, "too_many", "at most %d at once on a node",
                              RECORDINGS_MAX);
}

/* 'by' NULL: nobody, the meeting is one that is recorded. */
static const struct recording *begin(struct meeting *meeting, struct room *room,
                                     struct participant *by,
                                     const struct recording_wish *wish,
                                     struct meeting_error *err)
{
    struct recording *r;
    int e;

    if (may_begin(meeting, room, wish, err) != 0) {
        return NULL;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        (void)meeting_fail_errno(err, -ENOMEM);
        return NULL;
    }
    meeting_new_id(meeting, r->id);
    memcpy(r->tenant, room->tenant, sizeof(r->tenant));
    memcpy(r->meeting_id, room->id, sizeof(r->meeting_id));
    if (by != NULL) {
        memcpy(r->by, by->who.user_id, sizeof(r->by));
    }
    r->audio = wish->audio;
    r->video = wish->video;
    r->chat = wish->chat;
    r->mode = wish->composite && wish->video ? RECORDER_COMPOSITE
              : wish->composite              ? RECORDER_SOUND
              : wish->mp4                    ? RECORDER_MP4
                                             : RECORDER_TRACKS;
    r->layout = wish->layout;
    r->keep_days = wish->keep_days;
    r->started_us = clock_wall_us();
    r->since_us = clock_mono_us();
    r->meeting = meeting;
    r->room = room;
    e = recorder_start(meeting->conf.recorder, r->id, r->mode, &OPS, r, &r->job);
    if (e != 0) {
        (void)(e == -ENOSPC ? meeting_fail(err, "store_full", "the node's disk is full")
               : e == -EDQUOT
                   ? meeting_fail(err, "store_full", "the quota of recordings is used up")
                   : meeting_fail_errno(err, e));
        free(r);
        return NULL;
    }
    r->next = meeting->recordings;
    meeting->recordings = r;
    room->recording = r;
    meeting_taped_begin(meeting, room,
                        &(struct taped){r->job, r->audio, r->video, r->layout, r});
    news(r);
    meeting_tell_fact(meeting, room, NULL,
                      (struct meeting_event){
                          .kind = MEETING_RECORDING_STARTED, .recording = r, .by = by});
    return r;
}

const struct recording *meeting_record_start(struct meeting *meeting, struct participant *p,
                                             const struct recording_wish *wish,
                                             struct meeting_error *err)
{
    if (!meeting_may(p, AUTH_RECORD)) {
        (void)meeting_fail(err, "forbidden", "your role may not record");
        return NULL;
    }
    return begin(meeting, p->room, p, wish, err);
}

/* ---- by itself ---- */

void meeting_record_auto(struct room *room, const struct recording_wish *wish)
{
    room->auto_record.wanted = wish != NULL;
    if (wish != NULL) {
        room->auto_record.audio = wish->audio;
        room->auto_record.video = wish->video;
        room->auto_record.chat = wish->chat;
        room->auto_record.keep_days = wish->keep_days;
        room->auto_record.next_us = 0; /* what kept it may be gone with what was changed */
    }
}

static bool sends_something(const struct room *room)
{
    for (const struct participant *p = room->senders; p != NULL; p = p->next_sender) {
        for (const struct transport *t = p->transports; t != NULL; t = t->next) {
            for (const struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
                if (rp->ready) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* What never began has no id. */
static void tell_refused(struct meeting *meeting, struct room *room,
                         const struct meeting_error *err)
{
    struct recording none = {.state = RECORDING_FAILED, .meeting = meeting, .room = room};

    (void)snprintf(none.reason, sizeof(none.reason), "%.*s", (int)sizeof(none.reason) - 1,
                   err->message);
    log_warn("auto_record_refused", LOG_STR("meeting_id", room->id),
             LOG_STR("code", err->code), LOG_STR("reason", none.reason));
    tell_hosts(&none);
}

/* Not before it is known how the room is to be: one that was restored is read late. */
void meeting_recording_tick(struct meeting *meeting, struct room *room, uint64_t now_us)
{
    struct auto_record *wanted = &room->auto_record;
    const struct recording_wish wish = {.audio = wanted->audio,
                                        .video = wanted->video,
                                        .chat = wanted->chat,
                                        .layout = -1,
                                        .keep_days = wanted->keep_days};
    struct meeting_error err;

    if (!wanted->wanted || wanted->declined || room->recording != NULL || room->loading ||
        room->closing || now_us < wanted->next_us || !sends_something(room) ||
        begin(meeting, room, NULL, &wish, &err) != NULL) {
        return;
    }
    if (strcmp(err.code, "media_unavailable") == 0) {
        wanted->next_us = now_us + AUTO_NO_MEDIA_US;
        return;
    }
    wanted->next_us = now_us + AUTO_RETRY_US;
    tell_refused(meeting, room, &err);
}

static struct recording *find_own(const struct participant *p, const char *id,
                                  struct meeting_error *err)
{
    struct recording *r = p->room->recording;

    if (!meeting_may(p, AUTH_RECORD)) {
        (void)meeting_fail(err, "forbidden", "your role may not record");
        return NULL;
    }
    if (r == NULL || (id[0] != '\0' && strcmp(id, r->id) != 0)) {
        (void)meeting_fail(err, "not_found", "there is no such recording that runs");
        return NULL;
    }
    return r;
}

const struct recording *meeting_record_stop(struct meeting *meeting, struct participant *p,
                                            const char *id, struct meeting_error *err)
{
    struct recording *r = find_own(p, id, err);

    (void)meeting;
    if (r != NULL) {
        stop(r, p);
    }
    return r;
}

const struct recording *meeting_record_pause(struct meeting *meeting, struct participant *p,
                                             const char *id, struct meeting_error *err)
{
    struct recording *r = find_own(p, id, err);

    if (r != NULL && r->state == RECORDING_PAUSED) {
        (void)meeting_fail(err, "already_exists", "it is paused");
        return NULL;
    }
    if (r != NULL && r->n_pauses == RECORDING_PAUSES) {
        (void)meeting_fail(err, "too_many", "at most %d pauses of one", RECORDING_PAUSES);
        return NULL;
    }
    if (r != NULL) {
        r->state = RECORDING_PAUSED;
        r->pauses[r->n_pauses++] = (struct recording_pause){.from_us = clock_wall_us()};
        r->paused_since_us = clock_mono_us();
        recorder_pause(r->job);
        meeting_tell_fact(meeting, p->room, NULL,
                          (struct meeting_event){
                              .kind = MEETING_RECORDING_PAUSED, .recording = r, .by = p});
        news(r);
    }
    return r;
}

const struct recording *meeting_record_resume(struct meeting *meeting,
                                              struct participant *p, const char *id,
                                              struct meeting_error *err)
{
    struct recording *r = find_own(p, id, err);

    if (r != NULL && r->state != RECORDING_PAUSED) {
        (void)meeting_fail(err, "already_exists", "it is not paused");
        return NULL;
    }
    if (r != NULL) {
        end_pause(r);
        recorder_resume(r->job);
        meeting_tell_fact(meeting, p->room, NULL,
                          (struct meeting_event){
                              .kind = MEETING_RECORDING_RESUMED, .recording = r, .by = p});
        news(r);
    }
    return r;
}

void meeting_recording_leave(struct meeting *meeting, struct room *room)
{
    (void)meeting;
    if (room->recording != NULL) {
        stop(room->recording, NULL);
    }
}

const struct recording *meeting_find_recording(const struct meeting *meeting,
                                               const char *tenant, const char *id)
{
    const struct recording *r = meeting->recordings;

    while (r != NULL && (strcmp(r->id, id) != 0 || strcmp(r->tenant, tenant) != 0)) {
        r = r->next;
    }
    return r;
}

void meeting_each_recording(const struct meeting *meeting,
                            void (*fn)(void *arg, const struct recording *recording),
                            void *arg)
{
    for (const struct recording *r = meeting->recordings; r != NULL; r = r->next) {
        fn(arg, r);
    }
}

/* The recorder ends before: nobody tells of them any more. */
void meeting_recording_fini(struct meeting *meeting)
{
    struct recording *next;

    for (struct recording *r = meeting->recordings; r != NULL; r = next) {
        next = r->next;
        if (r->room != NULL) {
            r->room->recording = NULL;
        }
        dispose(r);
    }
    meeting->recordings = NULL;
}
