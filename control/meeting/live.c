/* Live streams of rooms; see live.h. */
#include "meeting/live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meeting/priv.h"
#include "sfu/base/reach.h"
#include "sfu/base/rtmp_url.h"
#include "sys/clock.h"

enum {
    LIVES_MAX = 4,     /* at once, of a node: each encodes a picture */
    KEPT_US = 60000000 /* that one may be watched to its end */
};

const char *const live_kind_names[N_LIVE_KINDS + 1] = {
    [LIVE_HLS] = "hls",
    [LIVE_DASH] = "dash",
    [LIVE_RTMP] = "rtmp",
};

const char *const live_state_names[N_LIVE_STATES] = {
    [LIVE_STARTING] = "starting",
    [LIVE_RUNNING] = "running",
    [LIVE_STOPPED] = "stopped",
    [LIVE_FAILED] = "failed",
};

/* The hosts hear how it fares. */
static void tell_status(struct live *live)
{
    const struct meeting_event event = {
        .kind = MEETING_LIVE_STATUS, .live = live, .audience = {.reach = FACT_HOSTS}};

    if (live->room != NULL) {
        live->meeting->ops.to_room(live->meeting->user, live->room, NULL, &event);
    }
}

static void stop(struct live *live, struct participant *by)
{
    struct room *room = live->room;

    room->live = NULL;
    meeting_taped_leave(live->meeting, room);
    live->room = NULL;
    live->state = live->state == LIVE_FAILED ? LIVE_FAILED : LIVE_STOPPED;
    recorder_stop(live->job);
    meeting_tell_fact(
        live->meeting, room, NULL,
        (struct meeting_event){.kind = MEETING_LIVE_STOPPED, .live = live, .by = by});
}

static void on_live(void *user)
{
    struct live *live = user;

    if (live->room != NULL) {
        live->state = LIVE_RUNNING;
        live->reason[0] = '\0';
        tell_status(live);
    }
}

/* Nothing comes of it for a while: a try to connect has failed, and each says so, or its
 * process has died, and another follows. Hosts hear of it when it says something else. */
static void on_away(void *user, const char *reason)
{
    struct live *live = user;

    if (live->room != NULL &&
        (live->state != LIVE_STARTING || strcmp(live->reason, reason) != 0)) {
        live->state = LIVE_STARTING;
        (void)snprintf(live->reason, sizeof(live->reason), "%s", reason);
        tell_status(live);
    }
}

static void on_failed(void *user, const char *reason)
{
    struct live *live = user;

    if (live->room != NULL) {
        live->state = LIVE_FAILED;
        (void)snprintf(live->reason, sizeof(live->reason), "%s", reason);
        tell_status(live);
        stop(live, NULL);
    }
}

static void on_ended(void *user, const struct recorder_file *files, size_t n)
{
    struct live *live = user;

    (void)files;
    (void)n;
    live->job = NULL;
    live->over_at_us = clock_mono_us() + (live->kind != LIVE_RTMP ? KEPT_US : 0);
}

static const struct recorder_ops OPS = {.live = on_live,
                                        .away = on_away,
                                        .died = on_away,
                                        .failed = on_failed,
                                        .ended = on_ended};

/* Names are looked at when they are resolved, by the process that connects: an address that
 * the client may not have this node connect to is refused at once. */
static int check_url(const struct recorder *recorder, const char *text,
                     struct meeting_error *err)
{
    struct rtmp_url url;
    uint8_t address[16];
    bool public = true;
    bool good = text != NULL && rtmp_url_parse(text, &url);

    if (good && inet_pton(AF_INET, url.host, address) == 1) {
        public = reach_public4(address);
    } else if (good && inet_pton(AF_INET6, url.host, address) == 1) {
        public = reach_public6(address);
    }
    explicit_bzero(&url, sizeof(url));
    if (!good) {
        return meeting_fail(err, "invalid", "/url: it is none like rtmp[s]://HOST/APP/KEY");
    }
    return public || recorder_pushes_anywhere(recorder)
               ? 0
               : meeting_fail(err, "forbidden",
                              "the address is none of the public Internet");
}

static int may_begin(const struct meeting *meeting, const struct participant *p,
                     const struct live_wish *wish, struct meeting_error *err)
{
    const bool fetched = wish->kind != LIVE_RTMP;
    unsigned n = 0;

    if (!meeting_may(p, AUTH_RECORD) || !meeting_has(p->room, MEETING_BIT(RECORDING))) {
        return meeting_fail(err, "forbidden", "%s",
                            meeting_may(p, AUTH_RECORD)
                                ? "this meeting has that switched off"
                                : "your role may not begin a live stream");
    }
    if (meeting->conf.recorder == NULL ||
        (fetched && !recorder_has_live(meeting->conf.recorder))) {
        return meeting_fail(err, "not_available", "this node has no live streams");
    }
    if (!fetched && check_url(meeting->conf.recorder, wish->url, err) != 0) {
        return -1;
    }
    if (p->room->live != NULL) {
        return meeting_fail(err, "already_exists", "the meeting is live already");
    }
    for (const struct live *live = meeting->lives; live != NULL; live = live->next) {
        n += live->job != NULL;
    }
    return n < LIVES_MAX
               ? 0
               : meeting_fail(err, "too_many", "at most %d at once on a node", LIVES_MAX);
}

const struct live *meeting_live_start(struct meeting *meeting, struct participant *p,
                                      const struct live_wish *wish,
                                      struct meeting_error *err)
{
    struct room *room = p->room;
    struct live *live;
    int e;

    if (may_begin(meeting, p, wish, err) != 0) {
        return NULL;
    }
    live = calloc(1, sizeof(*live));
    if (live == NULL) {
        (void)meeting_fail_errno(err, -ENOMEM);
        return NULL;
    }
    meeting_new_id(meeting, live->id);
    memcpy(live->tenant, room->tenant, sizeof(live->tenant));
    memcpy(live->meeting_id, room->id, sizeof(live->meeting_id));
    live->started_us = clock_wall_us();
    live->kind = wish->kind;
    live->layout = wish->layout;
    live->meeting = meeting;
    live->room = room;
    e = wish->kind == LIVE_RTMP
            ? recorder_push(meeting->conf.recorder, live->id, wish->url, &OPS, live,
                            &live->job)
            : recorder_start(meeting->conf.recorder, live->id, RECORDER_LIVE, &OPS, live,
                             &live->job);
    if (e != 0) {
        (void)(e == -ENOSPC ? meeting_fail(err, "store_full", "the node's disk is full")
                            : meeting_fail_errno(err, e));
        free(live);
        return NULL;
    }
    live->next = meeting->lives;
    meeting->lives = live;
    room->live = live;
    meeting_taped_begin(meeting, room,
                        &(struct taped){live->job, true, true, wish->layout, NULL});
    meeting_tell_fact(
        meeting, room, NULL,
        (struct meeting_event){.kind = MEETING_LIVE_STARTED, .live = live, .by = p});
    return live;
}

int meeting_live_stop(struct meeting *meeting, struct participant *p, const char *id,
                      struct meeting_error *err)
{
    struct live *live = p->room->live;

    (void)meeting;
    if (!meeting_may(p, AUTH_RECORD)) {
        return meeting_fail(err, "forbidden", "your role may not end a live stream");
    }
    if (live == NULL || (id[0] != '\0' && strcmp(id, live->id) != 0)) {
        return meeting_fail(err, "not_found", "there is no such live stream that runs");
    }
    stop(live, p);
    return 0;
}

void meeting_each_live(const struct meeting *meeting,
                       void (*fn)(void *arg, const struct live *live), void *arg)
{
    for (const struct live *live = meeting->lives; live != NULL; live = live->next) {
        fn(arg, live);
    }
}

void meeting_live_leave(struct room *room)
{
    if (room->live != NULL) {
        stop(room->live, NULL);
    }
}

void meeting_live_tick(struct meeting *meeting, uint64_t now_us)
{
    struct live **at = &meeting->lives;

    while (*at != NULL) {
        struct live *live = *at;

        if (live->job == NULL && now_us >= live->over_at_us) {
            recorder_erase_live(meeting->conf.recorder, live->id);
            *at = live->next;
            free(live);
        } else {
            at = &live->next;
        }
    }
}

/* The recorder ends before: nobody tells of them any more. */
void meeting_live_fini(struct meeting *meeting)
{
    while (meeting->lives != NULL) {
        struct live *live = meeting->lives;

        meeting->lives = live->next;
        if (live->room != NULL) {
            live->room->live = NULL;
        }
        free(live);
    }
}
