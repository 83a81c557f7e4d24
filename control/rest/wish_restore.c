/* Sessions of WHIP and WHEP as bytes that stand with their participants in the vault, and
 * again as sessions after a restart of this process; see wish.h. The bytes: a version, the
 * session's id, its entity-tag, its MID, the client's ICE generation. */
#include <stdlib.h>
#include <string.h>

#include "rest/wish_priv.h"
#include "sfu/base/bytes.h"
#include "sys/log.h"

enum { VERSION = 1, MAX_TAKEN = 64 /* rooms' lists must not change while one is read */ };

_Static_assert(1 + WISH_ID + 1 + WISH_ETAG + 2 + 1 + RTP_MID_MAX + 8 <= MEETING_FRONT_DATA,
               "the longest one fits");

void wish_save(const struct wish_session *s)
{
    uint8_t bytes[MEETING_FRONT_DATA];
    struct wbytes w = wbytes_of(bytes, sizeof(bytes));

    wbytes_u8(&w, VERSION);
    wbytes_put(&w, s->id, WISH_ID);
    wbytes_text(&w, s->etag);
    wbytes_text(&w, s->mid);
    wbytes_be64(&w, s->remote_ufrag);
    meeting_keep(s->p, bytes, wbytes_len(&w));
}

/* The session of a participant that is back; NULL if its bytes make none. */
static struct wish_session *read_session(struct wish *wish, const struct participant *p)
{
    struct rbytes r = rbytes_of(p->front_data, p->n_front_data);
    uint8_t version = rbytes_u8(&r);
    const uint8_t *id = rbytes_take(&r, WISH_ID);
    struct wish_session *s;

    if (version != VERSION || id == NULL || p->transports == NULL) {
        return NULL;
    }
    s = wish_session_create(wish, p->viewer, (const char *)id);
    if (s == NULL) {
        return NULL;
    }
    rbytes_text(&r, s->etag, sizeof(s->etag));
    rbytes_text(&r, s->mid, sizeof(s->mid));
    s->remote_ufrag = rbytes_be64(&r);
    if (r.bad) {
        wish_session_end(s);
        return NULL;
    }
    memcpy(s->transport_id, p->transports->id, sizeof(s->transport_id));
    memcpy(s->source, p->watched, sizeof(s->source));
    return s;
}

static void take_up(struct wish *wish, struct participant *p)
{
    struct meeting *meeting = wish->conf->meeting;
    struct wish_session *s = read_session(wish, p);
    struct meeting_error err;
    void *old = NULL;

    if (s == NULL) {
        meeting_leave(meeting, p, "not resumed");
        return;
    }
    s->p = meeting_resume(meeting, &p->who, p->room->id, p->resume_token, s, &old, &err);
    if (s->p == NULL) {
        wish_session_end(s);
    }
}

struct taken {
    uint32_t n;
    struct participant *list[MAX_TAKEN];
};

static void collect(void *arg, struct room *room)
{
    struct taken *taken = arg;

    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        if (p->front == MEETING_HTTP && p->client == NULL && !p->media_lost &&
            taken->n < MAX_TAKEN) {
            taken->list[taken->n++] = p;
        }
    }
}

void wish_restore(struct wish *wish)
{
    struct taken taken;
    uint32_t n = 0;

    do { /* each that is taken up has a client then, or is gone */
        taken.n = 0;
        meeting_each_room(wish->conf->meeting, collect, &taken);
        for (uint32_t i = 0; i < taken.n; i++) {
            take_up(wish, taken.list[i]);
        }
        n += taken.n;
    } while (taken.n == MAX_TAKEN);
    if (n > 0) {
        log_info("http_sessions_restored", LOG_U64("sessions", n));
    }
}
