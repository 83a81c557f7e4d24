/* Viewers: their consumers are moved from producer to producer, by their choice or to
 * whoever speaks; see meeting.h. Who speaks is floor.h's to say, which does not flap. */
#include <stdio.h>
#include <string.h>

#include "meeting/priv.h"

/* ---- who sends ---- */

/* What a participant sends of a kind: rather itself than a screen. */
static struct room_producer *producer_of(const struct participant *p, enum rtp_kind kind)
{
    struct room_producer *found = NULL;

    /* viewers are in no breakout, nor see into one */
    for (const struct transport *t = p->group == 0 ? p->transports : NULL; t != NULL;
         t = t->next) {
        for (struct room_producer *rp = t->producers; rp != NULL; rp = rp->next) {
            bool person = rp->source == SOURCE_CAMERA || rp->source == SOURCE_MIC;

            if (rp->ready && producer_params(rp->producer)->kind == kind &&
                (found == NULL || person)) {
                found = rp;
            }
        }
    }
    return found;
}

struct participant *meeting_find_sender(struct room *room, const char *wanted)
{
    struct participant *found = NULL;

    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        bool video = producer_of(p, RTP_KIND_VIDEO) != NULL;

        if (!video && producer_of(p, RTP_KIND_AUDIO) == NULL) {
            continue;
        }
        if (wanted[0] != '\0') {
            if (strcmp(p->id, wanted) == 0 || strcmp(p->who.user_id, wanted) == 0) {
                return p;
            }
        } else if (found == NULL || video) {
            found = p; /* the list begins with who came last */
        }
    }
    return found;
}

static struct participant *find_participant(const struct room *room, const char *id)
{
    struct participant *p = room->participants;

    while (p != NULL && strcmp(p->id, id) != 0) {
        p = p->next;
    }
    return p;
}

/* Whom a viewer has chosen, or who has come back as the same user; NULL: it has not, or
 * that one is not here. */
static const struct participant *find_watched(struct participant *viewer)
{
    const struct participant *p = NULL;

    if (viewer->watched[0] == '\0') {
        return NULL;
    }
    p = find_participant(viewer->room, viewer->watched);
    if (p != NULL || viewer->watched_user == 0) {
        return p;
    }
    for (p = viewer->room->participants; p != NULL; p = p->next) {
        if (!p->viewer && meeting_user_hash(p->who.user_id) == viewer->watched_user &&
            (producer_of(p, RTP_KIND_AUDIO) != NULL ||
             producer_of(p, RTP_KIND_VIDEO) != NULL)) {
            (void)snprintf(viewer->watched, sizeof(viewer->watched), "%s", p->id);
            meeting_save_person(viewer);
            return p;
        }
    }
    return NULL;
}

/* ---- what to show ---- */

static bool producer_is_taken(void *arg, struct room_producer *rp)
{
    return ortc_can_consume(producer_params(rp->producer), arg);
}

static bool consumer_takes(void *arg, struct room_producer *rp)
{
    const struct room_consumer *rc = arg;

    return consumer_fits(rc->consumer, rp->producer);
}

typedef bool fits_fn(void *arg, struct room_producer *rp);

/* What whoever speaks sends of a kind, if it will do. */
static struct room_producer *of_speaker(const struct room *room, enum rtp_kind kind,
                                        fits_fn *fits, void *arg)
{
    struct room_producer *rp =
        room->speaker != NULL ? producer_of(room->speaker->transport->owner, kind) : NULL;

    return rp != NULL && (fits == NULL || fits(arg, rp)) ? rp : NULL;
}

/* What is sent of a kind: that of who came first of those who send video, if need be of
 * anybody; not 'but', nor if the sender has paused it and another has not. */
static struct room_producer *of_anybody(const struct room *room, enum rtp_kind kind,
                                        const struct room_producer *but, fits_fn *fits,
                                        void *arg)
{
    struct room_producer *found = NULL;
    int best = -1;

    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        struct room_producer *rp = producer_of(p, kind);
        int rank;

        if (rp == NULL || rp == but || (fits != NULL && !fits(arg, rp))) {
            continue;
        }
        rank = (producer_is_paused(rp->producer) ? 0 : 2) +
               (producer_of(p, RTP_KIND_VIDEO) != NULL ? 1 : 0);
        if (rank >= best) {
            best = rank;
            found = rp;
        }
    }
    return found;
}

struct room_producer *meeting_view_first(const struct participant *viewer,
                                         enum rtp_kind kind,
                                         bool (*fits)(void *arg, struct room_producer *rp),
                                         void *arg)
{
    const struct participant *watched;
    struct room_producer *rp;

    if (viewer->watched[0] != '\0') {
        watched = find_participant(viewer->room, viewer->watched);
        rp = watched != NULL ? producer_of(watched, kind) : NULL;
        return rp != NULL && (fits == NULL || fits(arg, rp)) ? rp : NULL;
    }
    rp = of_speaker(viewer->room, kind, fits, arg);
    return rp != NULL ? rp : of_anybody(viewer->room, kind, NULL, fits, arg);
}

/* ---- moving ---- */

static void park(struct meeting *meeting, struct room_consumer *rc, bool parked)
{
    if (rc->parked != parked) {
        rc->parked = parked;
        consumer_set_paused(rc->consumer, parked);
        meeting_layers_counted(meeting, rc);
    }
}

/* What a consumer is to show now; NULL: nothing. */
static struct room_producer *best_for(struct room_consumer *rc,
                                      const struct participant *watched,
                                      const struct room_producer *but)
{
    const struct participant *viewer = rc->transport->owner;
    enum rtp_kind kind = consumer_kind(rc->consumer);
    struct room_producer *to;

    if (viewer->watched[0] != '\0') {
        to = watched != NULL ? producer_of(watched, kind) : NULL;
        return to != NULL && to != but && consumer_takes(rc, to) ? to : NULL;
    }
    to = of_speaker(viewer->room, kind, consumer_takes, rc);
    if (to != NULL && to != but) {
        return to;
    }
    to = rc->source;
    if (to == but || meeting_is_nobody(to) || !consumer_takes(rc, to)) {
        to = of_anybody(viewer->room, kind, but, consumer_takes, rc);
    }
    return to;
}

/* Brings a consumer to what its viewer is to be shown now. What cannot be done at once is
 * done at a later turn. */
static void look(struct meeting *meeting, const struct participant *watched,
                 struct room_consumer *rc)
{
    struct room_producer *to;

    if (rc->done != NULL || !rc->transport->owner->watching) {
        return; /* it is not there yet */
    }
    to = best_for(rc, watched, NULL);
    if (to == NULL) {
        park(meeting, rc, true);
    } else if ((to == rc->source && !consumer_is_stale(rc->consumer)) ||
               meeting_move_consumer(meeting, rc, to, false) == 0) {
        park(meeting, rc, false);
    }
}

static void look_at_all(struct meeting *meeting, struct participant *viewer)
{
    const struct participant *watched = find_watched(viewer);

    for (const struct transport *t = viewer->transports; t != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            look(meeting, watched, rc);
        }
    }
}

void meeting_viewers_tick(struct meeting *meeting, struct room *room)
{
    for (struct participant *p = room->participants; p != NULL; p = p->next) {
        if (p->viewer) {
            look_at_all(meeting, p);
        }
    }
}

/* They go on with another, or wait for one with nobody. */
void meeting_viewers_leave(struct meeting *meeting, struct room_producer *rp)
{
    struct room_producer *nobody = NULL;
    struct room_consumer *next;

    for (struct room_consumer *rc = rp->consumers; rc != NULL; rc = next) {
        struct participant *viewer = rc->transport->owner;
        struct room_producer *to;

        next = rc->next_of_source;
        if (!viewer->viewer || rc->done != NULL) {
            continue;
        }
        to = best_for(rc, find_watched(viewer), rp);
        if (to != NULL && meeting_move_consumer(meeting, rc, to, true) == 0) {
            continue;
        }
        park(meeting, rc, true);
        nobody = meeting_nobody(meeting, consumer_kind(rc->consumer));
        if (nobody != NULL) {
            (void)meeting_move_consumer(meeting, rc, nobody, true);
        }
    }
}

/* ---- viewers ---- */

void meeting_view_as(struct participant *p, const char *watched)
{
    const struct participant *to;

    if (!p->viewer) {
        p->viewer = true;
        p->room->n_viewers++;
    }
    (void)snprintf(p->watched, sizeof(p->watched), "%s", watched);
    to = watched[0] != '\0' ? find_participant(p->room, watched) : NULL;
    p->watched_user = to != NULL ? meeting_user_hash(to->who.user_id) : 0;
}

int meeting_view_open(struct meeting *meeting, struct participant *viewer,
                      const char *transport_id, enum rtp_kind kind, const char *mid,
                      const struct ortc_caps *caps, meeting_done *done, void *arg,
                      struct meeting_error *err)
{
    struct transport *t = meeting_find_transport(viewer, transport_id);
    struct ortc_caps all = *caps;
    struct room_producer *rp = meeting_view_first(viewer, kind, producer_is_taken, &all);
    /* also if it is not needed now: who leaves later must find it */
    struct room_producer *nobody = meeting_nobody(meeting, kind);

    rp = rp != NULL ? rp : nobody;
    if (t == NULL || rp == NULL) {
        return meeting_fail(err, t == NULL ? "not_found" : "media_unavailable",
                            t == NULL ? "there is no such transport"
                                      : "the dataplane takes nothing now");
    }
    return meeting_consume_of(meeting, t, rp, mid, caps, done, arg, err);
}

void meeting_view_begin(struct meeting *meeting, struct participant *viewer)
{
    viewer->watching = true;
    look_at_all(meeting, viewer);
}

bool meeting_view_narrow(struct participant *viewer, const char *consumer_id,
                         const struct ortc_caps *caps)
{
    struct room_consumer *rc = meeting_find_consumer(viewer, consumer_id);

    return rc != NULL && consumer_narrow(rc->consumer, caps);
}

int meeting_view_change(struct meeting *meeting, struct participant *p, const char *wanted,
                        struct meeting_error *err)
{
    const struct participant *to =
        wanted[0] != '\0' ? meeting_find_sender(p->room, wanted) : NULL;
    bool any = false;

    if (wanted[0] != '\0' && to == NULL) {
        return meeting_fail(err, "not_found", "that participant sends nothing now");
    }
    for (const struct transport *t = p->transports; t != NULL && to != NULL; t = t->next) {
        for (struct room_consumer *rc = t->consumers; rc != NULL; rc = rc->next) {
            struct room_producer *rp = producer_of(to, consumer_kind(rc->consumer));

            if (rp != NULL && !consumer_fits(rc->consumer, rp->producer)) {
                return meeting_fail(err, "unsupported",
                                    "it sends a codec that was not negotiated");
            }
            any = any || rp != NULL;
        }
    }
    if (to != NULL && !any) {
        return meeting_fail(err, "not_found",
                            "that participant sends nothing that was negotiated");
    }
    meeting_view_as(p, to != NULL ? to->id : "");
    look_at_all(meeting, p);
    meeting_save_person(p);
    return 0;
}
