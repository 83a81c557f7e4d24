/* Sessions of WHIP and WHEP and how they end; see wish.h. */
#include "rest/wish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/wish_priv.h"
#include "sfu/base/fnv.h"
#include "sys/clock.h"
#include "sys/entropy.h"
#include "sys/log.h"
#include "sys/loop.h"

void wish_new_etag(struct wish_session *s)
{
    char text[WISH_ETAG + 1];

    entropy_id(text, WISH_ETAG);
    (void)snprintf(s->etag, sizeof(s->etag), "\"%s\"", text);
}

uint64_t wish_ufrag(const char *ufrag)
{
    return fnv64(ufrag, strlen(ufrag));
}

struct wish_session *wish_session_create(struct wish *wish, bool viewer, const char *id)
{
    struct wish_session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->wish = wish;
    s->viewer = viewer;
    s->since_us = clock_mono_us();
    if (id != NULL) {
        memcpy(s->id, id, WISH_ID);
    } else {
        entropy_id(s->id, WISH_ID);
    }
    wish_new_etag(s);
    HASH_ADD_STR(wish->sessions, id, s);
    if (s->hh.tbl == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

int wish_session_pend(struct wish_session *s, const struct auth_identity *who)
{
    struct wish *wish = s->wish;
    char key[sizeof(s->pending->key)];
    struct wish_user *user;

    (void)snprintf(key, sizeof(key), "%s\n%s", who->tenant, who->user_id);
    HASH_FIND_STR(wish->users, key, user);
    if (user == NULL) {
        user = calloc(1, sizeof(*user));
        if (user == NULL) {
            return -ENOMEM;
        }
        memcpy(user->key, key, sizeof(key));
        HASH_ADD_STR(wish->users, key, user);
        if (user->hh.tbl == NULL) {
            free(user);
            return -ENOMEM;
        }
    }
    if (user->n >= WISH_PENDING) {
        return -EAGAIN;
    }
    user->n++;
    s->pending = user;
    return 0;
}

static void no_longer_pending(struct wish_session *s)
{
    struct wish_user *user = s->pending;

    s->pending = NULL;
    if (user != NULL && --user->n == 0) {
        HASH_DEL(s->wish->users, user);
        free(user);
    }
}

struct wish_session *wish_session_find(struct wish *wish, const struct wish_target *target)
{
    struct wish_session *s;

    HASH_FIND_STR(wish->sessions, target->session_id, s);
    return s != NULL && !s->dying && s->req == NULL && s->viewer == target->viewer &&
                   strcmp(s->p->room->id, target->meeting_id) == 0
               ? s
               : NULL;
}

void wish_session_kill(struct wish_session *s, const char *reason)
{
    if (!s->dying) {
        s->dying = true;
        s->reason = reason;
        loop_timer_start(s->wish->tick, 0, WISH_TICK_MS);
    }
}

void wish_session_end(struct wish_session *s)
{
    struct participant *p = s->p;

    s->dying = true;
    s->p = NULL;
    if (p != NULL) {
        /* what is still to be called back is called now, and finds a dying session */
        meeting_leave(s->wish->conf->meeting, p, s->reason != NULL ? s->reason : "left");
    }
    if (s->req != NULL) {
        struct net_req *req = s->req;

        s->req = NULL;
        wish_problem(req, 503, "gone", "the session ended before it was set up");
    }
    no_longer_pending(s);
    HASH_DELETE(hh, s->wish->sessions, s);
    for (uint8_t i = 0; i < WISH_SECTIONS; i++) {
        free(s->sections[i].params);
    }
    sdp_destroy(s->offer);
    free(s);
}

/* True if a viewer gets nothing now. */
static bool unserved(const struct transport *t)
{
    const struct room_consumer *rc = t->consumers;

    while (rc != NULL && rc->parked) {
        rc = rc->next;
    }
    return rc == NULL;
}

/* Why a session has to end, or NULL. A transport that failed is gone from its owner. */
static const char *ended(struct wish_session *s, uint64_t now_us)
{
    const struct transport *t = s->p->transports;

    if (s->dying) {
        return s->reason;
    }
    if (s->req != NULL) {
        return NULL; /* its transport is still to come */
    }
    if (t == NULL) {
        return "transport close";
    }
    if (!s->viewer || !unserved(t)) {
        s->idle_us = 0;
    } else if (s->idle_us == 0) {
        s->idle_us = now_us;
    } else if (now_us - s->idle_us > WISH_IDLE_S * UINT64_C(1000000)) {
        return "publisher left";
    }
    if (session_state(t->session) == SESSION_CONNECTED) {
        no_longer_pending(s);
    } else if (now_us - s->since_us > WISH_CONNECT_S * UINT64_C(1000000)) {
        return "connect timeout";
    }
    return NULL;
}

static void tick(void *arg)
{
    struct wish *wish = arg;
    uint64_t now_us = clock_mono_us();
    struct wish_session *s = NULL;
    struct wish_session *next = NULL;

    HASH_ITER(hh, wish->sessions, s, next)
    {
        s->reason = ended(s, now_us);
        if (s->reason != NULL) {
            wish_session_end(s);
        }
    }
}

void wish_media_lost(struct participant *p)
{
    wish_session_kill(p->client, p->evicted[0] != '\0' ? p->evicted : "media lost");
}

void wish_on_abort(struct wish *wish, struct net_req *req)
{
    struct wish_session *s = NULL;
    struct wish_session *next = NULL;

    for (struct wish_wait *wait = wish->waits, *after; wait != NULL; wait = after) {
        after = wait->next;
        if (wait->req == req) {
            wish_wait_drop(wait);
        }
    }
    HASH_ITER(hh, wish->sessions, s, next)
    {
        if (s->req == req) {
            s->req = NULL;
            wish_session_kill(s, "left");
        }
    }
}

int wish_create(struct wish **out, const struct rest_conf *conf)
{
    struct wish *wish = calloc(1, sizeof(*wish));

    if (wish == NULL) {
        return -ENOMEM;
    }
    wish->conf = conf;
    if (loop_timer_create(conf->loop, &wish->tick, tick, wish) != 0) {
        free(wish);
        return -ENOMEM;
    }
    loop_timer_start(wish->tick, WISH_TICK_MS, WISH_TICK_MS);
    *out = wish;
    return 0;
}

void wish_destroy(struct wish *wish)
{
    struct wish_session *s = NULL;
    struct wish_session *next = NULL;

    if (wish == NULL) {
        return;
    }
    for (struct wish_wait *wait = wish->waits, *after; wait != NULL; wait = after) {
        after = wait->next;
        wish_wait_drop(wait);
    }
    for (struct wish_wait *wait = wish->waits; wait != NULL; wait = wait->next) {
        wait->wish = NULL; /* its meeting is being read: it is called back after us */
    }
    HASH_ITER(hh, wish->sessions, s, next)
    {
        s->reason = "node stopping";
        wish_session_end(s);
    }
    loop_timer_destroy(wish->tick);
    free(wish);
}
