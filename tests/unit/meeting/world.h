/* The domain on a real loop, with the real session and media modules and a fake dataplane.
 * What the domain tells is written down. Include cmocka.h before. */
#ifndef UNIT_MEETING_WORLD_H
#define UNIT_MEETING_WORLD_H

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "media/media.h"
#include "meeting/host.h"
#include "meeting/roster.h"
#include "metric/metric.h"
#include "sfu/base/handle.h"
#include "support/fake_dataplane.h"
#include "sys/log.h"
#include "sys/loop.h"

enum {
    WORLD_MAX_TOLD = 1024,
    WORLD_ROOMS = 3,
    WORLD_PEOPLE = 3,
    WORLD_PRODUCERS = 2,
    WORLD_CONSUMERS = 2,
    WORLD_LOUDEST = 1,
};

/* One thing that the domain told. */
struct told {
    enum meeting_event_kind kind;
    bool to_room; /* else to 'one' */
    struct participant *except, *one;
    char who[MEETING_OBJECT_ID + 1];
    char producer[MEETING_OBJECT_ID + 1];
    char consumer[MEETING_OBJECT_ID + 1];
    char reason[32];
    uint64_t seq;
    bool on, kept_only;
    enum fact_reach reach;
    uint32_t n_joined, n_left, n_updated; /* of a roster */
};

struct world {
    char dir[32], socket[64];
    struct fake_dp *dp;
    struct loop *loop;
    struct metric_registry *metrics;
    struct media *media;
    struct session_registry *sessions;
    struct recorder *recorder; /* NULL, if the test makes none: nothing is recorded */
    struct meeting *meeting;
    struct told told[WORLD_MAX_TOLD];
    size_t n_told;
    struct participant *lost[16]; /* media_lost */
    size_t n_lost;
    struct participant *ended[16];
    size_t n_ended;
    unsigned n_detached;
};

static inline uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Turns the loop until 'cond' holds; fails the test after 5 s. */
#define WAIT(w, cond)                                                                      \
    do {                                                                                   \
        uint64_t until_ = now_ms() + 5000;                                                 \
        while (!(cond)) {                                                                  \
            if (now_ms() >= until_) {                                                      \
                fail_msg("waited in vain: %s", #cond);                                     \
            }                                                                              \
            loop_turn((w)->loop);                                                          \
            (void)usleep(200);                                                             \
        }                                                                                  \
    } while (0)

static inline void settle(struct world *w, unsigned ms)
{
    for (uint64_t until = now_ms() + ms; now_ms() < until;) {
        loop_turn(w->loop);
        (void)usleep(500);
    }
}

/* ---- what is told ---- */

static inline struct told *world_note(struct world *w, const struct meeting_event *event)
{
    struct told *told = &w->told[w->n_told++];

    assert_true(w->n_told <= WORLD_MAX_TOLD);
    *told = (struct told){.kind = event->kind,
                          .seq = event->seq,
                          .on = event->on,
                          .kept_only = event->kept_only,
                          .reach = event->audience.reach};
    if (event->roster != NULL) {
        told->n_joined = event->roster->n_joined;
        told->n_left = event->roster->n_left;
        told->n_updated = event->roster->n_updated;
    }
    if (event->who != NULL) {
        memcpy(told->who, event->who->id, sizeof(told->who));
    }
    if (event->producer != NULL) {
        memcpy(told->producer, event->producer->id, sizeof(told->producer));
    }
    if (event->consumer != NULL) {
        memcpy(told->consumer, event->consumer->id, sizeof(told->consumer));
    }
    if (event->reason != NULL) {
        (void)snprintf(told->reason, sizeof(told->reason), "%s", event->reason);
    }
    return told;
}

static inline void world_to_room(void *user, struct room *room,
                                 const struct participant *except,
                                 const struct meeting_event *event)
{
    struct told *told = world_note(user, event);
    uint32_t n = 0;

    told->to_room = true;
    told->except = (struct participant *)(uintptr_t)except;
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        n++; /* the list is whole whenever something is told */
    }
    assert_int_equal(n, room->n_participants);
}

static inline void world_to_one(void *user, struct participant *to,
                                const struct meeting_event *event)
{
    world_note(user, event)->one = to;
}

static inline void world_media_lost(void *user, struct participant *who)
{
    struct world *w = user;

    assert_true(w->n_lost < 16);
    w->lost[w->n_lost++] = who;
}

static inline void world_ended(void *user, struct participant *who)
{
    struct world *w = user;

    assert_true(w->n_ended < 16);
    w->ended[w->n_ended++] = who;
}

static const struct meeting_ops world_ops = {.to_room = world_to_room,
                                             .to_one = world_to_one,
                                             .media_lost = world_media_lost,
                                             .ended = world_ended};

/* How often something was told since the last were forgotten. */
static inline unsigned world_n_told(const struct world *w, enum meeting_event_kind kind)
{
    unsigned n = 0;

    for (size_t i = 0; i < w->n_told; i++) {
        n += w->told[i].kind == kind;
    }
    return n;
}

/* The last that was told of that kind. */
static inline const struct told *world_last(const struct world *w,
                                            enum meeting_event_kind kind)
{
    for (size_t i = w->n_told; i > 0; i--) {
        if (w->told[i - 1].kind == kind) {
            return &w->told[i - 1];
        }
    }
    fail_msg("it was not told");
    return NULL;
}

/* Above so many people a meeting is large; 0: as it is for real. */
static uint32_t world_crowd;
static struct gate_conf world_gate = {.most = 16, .wait_ms = 4000};
static uint32_t world_people; /* of the node; 0: any number */
static uint32_t world_peers = 64; /* of the dataplane */
static uint64_t world_epoch = 7, world_first_seq;

static inline void world_on_media(void *user, bool attached)
{
    struct world *w = user;

    if (!attached) {
        w->n_detached++;
        meeting_on_media_lost(w->meeting);
    }
}

/* ---- life ---- */

/* Starts all but the domain itself. */
static inline void world_start_media(struct world *w)
{
    struct media_conf media_conf;
    struct session_registry_conf conf;
    struct fake_dp_conf dp_conf = {.n_peers = world_peers, .n_streams = 64, .n_subs = 64};

    memset(w, 0, sizeof(*w));
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/kcs_world_XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->socket, sizeof(w->socket), "%s/dp.sock", w->dir);
    assert_int_equal(loop_create(&w->loop), 0);
    assert_int_equal(metric_registry_create(&w->metrics), 0);
    dp_conf.socket = w->socket;
    w->dp = fake_dp_start(&dp_conf);
    media_conf =
        (struct media_conf){.loop = w->loop, .socket = w->socket, .patience_ms = 50};
    assert_int_equal(media_create(&w->media, &media_conf), 0);
    conf = (struct session_registry_conf){.loop = w->loop,
                                          .media = w->media,
                                          .metrics = w->metrics,
                                          .dtls_threads = 1,
                                          .on_media = world_on_media,
                                          .user = w};
    assert_int_equal(session_registry_create(&w->sessions, &conf), 0);
}

static inline void world_start_meeting(struct world *w, const struct meeting_ops *ops,
                                       void *user)
{
    const struct meeting_conf conf = {.grace_ms = 1,
                                      .sessions = w->sessions,
                                      .media = w->media,
                                      .recorder = w->recorder,
                                      .max_rooms = WORLD_ROOMS,
                                      .max_participants = WORLD_PEOPLE,
                                      .max_people = world_people,
                                      .loop = w->loop,
                                      .gate = world_gate,
                                      .max_producers = WORLD_PRODUCERS,
                                      .max_consumers = WORLD_CONSUMERS,
                                      .loudest = WORLD_LOUDEST,
                                      .crowd = world_crowd,
                                      .epoch = world_epoch,
                                      .first_seq = world_first_seq,
                                      .id_prefix = "n1"};

    assert_int_equal(meeting_create(&w->meeting, &conf, ops, user), 0);
    WAIT(w, media_info(w->media) != NULL);
}

static inline void world_start(struct world *w)
{
    world_start_media(w);
    world_start_meeting(w, &world_ops, w);
}

static inline unsigned world_n_open(struct world *w)
{
    return fake_dp_n_open(w->dp, 'p') + fake_dp_n_open(w->dp, 's') +
           fake_dp_n_open(w->dp, 'u');
}

/* The last room has closed: nothing is left with us or with the dataplane. */
static inline void world_finish(struct world *w)
{
    if (w->n_detached == 0) {
        WAIT(w, world_n_open(w) == 0);
    }
    assert_int_equal(meeting_n_rooms(w->meeting), 0);
    assert_int_equal(meeting_n_participants(w->meeting), 0);
    for (enum session_state state = 0; state < N_SESSION_STATES; state++) {
        assert_int_equal(session_registry_count(w->sessions, state), 0);
    }
    for (enum media_kind kind = 0; kind < N_MEDIA_KINDS; kind++) {
        for (uint32_t i = 0; i < 64; i++) {
            assert_true(media_handle_at(w->media, kind, i) == HANDLE_NONE);
        }
    }
    meeting_destroy(w->meeting);
    session_registry_destroy(w->sessions);
    media_destroy(w->media);
    metric_registry_destroy(w->metrics);
    loop_destroy(w->loop);
    fake_dp_kill(w->dp);
    assert_int_equal(rmdir(w->dir), 0);
}

/* ---- people ---- */

static inline struct auth_identity identity(const char *user, const char *meeting,
                                            enum auth_role role)
{
    struct auth_identity who = {.role = role, .tenant = "default"};

    (void)snprintf(who.user_id, sizeof(who.user_id), "%s", user);
    (void)snprintf(who.meeting_id, sizeof(who.meeting_id), "%s", meeting);
    return who;
}

/* Somebody enters the room "m" by a token for it. */
static inline struct participant *enter_as(struct world *w, const char *user,
                                           enum auth_role role)
{
    struct auth_identity who = identity(user, "m", role);
    struct meeting_error err = {.code = "none"};
    struct participant *p = meeting_enter(w->meeting, &who, "m", "", w, &err);

    if (p == NULL) {
        fail_msg("%s: %s", err.code, err.message);
    }
    return p;
}

static inline struct participant *enter(struct world *w, const char *user)
{
    return enter_as(w, user, AUTH_PRESENTER);
}

/* Changes settings as a host. */
static inline void set_flags(struct world *w, struct participant *host, uint32_t set,
                             uint32_t clear)
{
    const struct meeting_change change = {.set = set, .clear = clear, .layout = -1};
    struct meeting_error err = {.code = "none"};

    if (meeting_update(w->meeting, host, &change, &err) != 0) {
        fail_msg("%s: %s", err.code, err.message);
    }
}

/* ---- parameters ---- */

static const char world_opus[] =
    "{\"mid\":\"%u\",\"codecs\":[{\"mimeType\":\"audio/opus\",\"payloadType\":111,"
    "\"clockRate\":48000,\"channels\":2,\"parameters\":{},\"rtcpFeedback\":[]}],"
    "\"headerExtensions\":[],\"encodings\":[{\"ssrc\":%u}],\"rtcp\":{\"cname\":\"c\"}}";

static const char world_vp8[] =
    "{\"mid\":\"%u\",\"codecs\":[{\"mimeType\":\"video/VP8\",\"payloadType\":96,"
    "\"clockRate\":90000,\"parameters\":{},\"rtcpFeedback\":[]}],"
    "\"headerExtensions\":[],\"encodings\":[{\"ssrc\":%u}],\"rtcp\":{\"cname\":\"c\"}}";

static const char world_simulcast[] =
    "{\"mid\":\"%u\",\"codecs\":[{\"mimeType\":\"video/VP8\",\"payloadType\":96,"
    "\"clockRate\":90000,\"parameters\":{},\"rtcpFeedback\":[]}],\"headerExtensions\":["
    "{\"uri\":\"urn:ietf:params:rtp-hdrext:sdes:mid\",\"id\":4},"
    "{\"uri\":\"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\",\"id\":10}],"
    "\"encodings\":[{\"rid\":\"a\"},{\"rid\":\"b\"},{\"rid\":\"c\"}],"
    "\"rtcp\":{\"cname\":\"c%u\"}}";

/* A text above with its mid and SSRC. */
static inline json_t *world_json(const char *format, unsigned mid, unsigned ssrc)
{
    char text[1024];
    json_t *json;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), format, mid, ssrc);
#pragma GCC diagnostic pop
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

static inline struct rtp_params world_params(const char *format, unsigned ssrc)
{
    json_t *json = world_json(format, ssrc, ssrc);
    struct rtp_params params;
    struct rtp_error err;

    if (rtp_params_parse(json, &params, &err) != 0) {
        fail_msg("%s: %s", err.path, err.reason);
    }
    json_decref(json);
    return params;
}

/* ---- requests ---- */

/* What a meeting_done got. */
struct asked {
    unsigned n;
    char code[32]; /* empty: it went well */
    uint32_t retry_after_ms;
    void *object;
};

static inline void on_done(void *arg, const struct meeting_error *err, void *object)
{
    struct asked *asked = arg;

    asked->n++;
    asked->object = object;
    assert_true((err == NULL) == (object != NULL));
    (void)snprintf(asked->code, sizeof(asked->code), "%s", err != NULL ? err->code : "");
    asked->retry_after_ms = err != NULL ? err->retry_after_ms : 0;
}

static inline struct transport *open_transport(struct world *w, struct participant *p,
                                               bool send)
{
    struct asked asked = {.n = 0};
    struct meeting_error err;

    assert_int_equal(meeting_transport_create(w->meeting, p, send, on_done, &asked, &err),
                     0);
    WAIT(w, asked.n == 1);
    assert_string_equal(asked.code, "");
    return asked.object;
}

static inline struct room_producer *produce(struct world *w, struct transport *t,
                                            const char *format, unsigned ssrc)
{
    bool audio = format == world_opus;
    struct rtp_params params = world_params(format, ssrc);
    struct asked asked = {.n = 0};
    struct meeting_error err;

    assert_int_equal(meeting_produce(w->meeting, t->owner, t->id,
                                     audio ? RTP_KIND_AUDIO : RTP_KIND_VIDEO, &params,
                                     audio ? SOURCE_MIC : SOURCE_CAMERA, false, on_done,
                                     &asked, &err),
                     0);
    WAIT(w, asked.n == 1);
    assert_string_equal(asked.code, "");
    return asked.object;
}

/* What a browser with all of the router's codecs can receive. */
static inline struct ortc_caps all_caps(void)
{
    json_t *json = ortc_router_capabilities();
    struct ortc_caps caps;
    struct rtp_error err;

    assert_int_equal(ortc_parse_caps(json, &caps, &err), 0);
    json_decref(json);
    return caps;
}

static inline struct room_consumer *consume(struct world *w, struct transport *t,
                                            const char *producer_id)
{
    struct ortc_caps caps = all_caps();
    struct asked asked = {.n = 0};
    struct meeting_error err;

    assert_int_equal(meeting_consume(w->meeting, t->owner, t->id, producer_id, NULL, &caps,
                                     on_done, &asked, &err),
                     0);
    WAIT(w, asked.n == 1);
    assert_string_equal(asked.code, "");
    return asked.object;
}

/* Two people, of whom the first can send and the second receive. */
struct pair {
    struct participant *a, *b;
    struct transport *send, *recv;
};

static inline struct pair make_pair(struct world *w)
{
    struct pair p = {.a = enter(w, "a"), .b = enter(w, "b")};

    p.send = open_transport(w, p.a, true);
    p.recv = open_transport(w, p.b, false);
    return p;
}

static inline void part(struct world *w, struct pair *p)
{
    meeting_leave(w->meeting, p->a, "left");
    meeting_leave(w->meeting, p->b, "left");
}

#endif
